"""The pages of the demo's inbox.

Open to read without signing in, on purpose: they exist only where settings.DEMO is set, the demo's server listens on
127.0.0.1 alone, and what they show are mails to invented people.
"""

from __future__ import annotations

from email.message import EmailMessage

from django.conf import settings
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from config.content_policy import mail_document
from reviews.demo.inbox import Entry, Inbox, header, parsed
from reviews.demo.world import STAFF_DOMAIN

PER_PAGE = 50
READERS = {"clients": False, "colleagues": True}


@never_cache
@require_safe
def inbox(request: HttpRequest) -> HttpResponse:
    """All mails, the newest first; `?to=clients` or `?to=colleagues` leaves out the others."""
    chosen = request.GET.get("to", "")
    entries = _inbox().entries()[::-1]
    if chosen in READERS:
        entries = [entry for entry in entries if _is_colleague(entry) == READERS[chosen]]
    page = Paginator(entries, PER_PAGE).get_page(request.GET.get("page"))
    rows = [(entry, _is_colleague(entry)) for entry in page]
    context = {"page": page, "rows": rows, "chosen": chosen, "now": timezone.now()}
    return render(request, "demo/inbox.html", context)


@never_cache
@require_safe
def message(request: HttpRequest, number: int) -> HttpResponse:
    entry, mail = _found(number)
    headers = [(name, header(mail, name)) for name in ("From", "To", "Reply-To", "Date", "Message-ID", "References")]
    context = {
        "entry": entry,
        "headers": headers,
        "text": _body(mail, "plain"),
        "has_html": mail.get_body(("html",)) is not None,
    }
    return render(request, "demo/message.html", context)


@never_cache
@require_safe
def message_html(request: HttpRequest, number: int) -> HttpResponse:
    """The HTML part as it was received, shut in by its policy; only our own page may frame it."""
    _entry, mail = _found(number)
    return mail_document(_body(mail, "html"))


@never_cache
@require_safe
def message_source(request: HttpRequest, number: int) -> HttpResponse:
    raw = _inbox().raw(number)
    if raw is None:
        raise Http404
    response = HttpResponse(raw, content_type="text/plain; charset=utf-8")
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return response


def _inbox() -> Inbox:
    return Inbox(settings.VAR_DIR / "inbox")


def _found(number: int) -> tuple[Entry, EmailMessage]:
    box = _inbox()
    entry = next((entry for entry in box.entries() if entry.number == number), None)
    raw = box.raw(number)
    if entry is None or raw is None:
        raise Http404
    return entry, parsed(raw)


def _body(mail: EmailMessage, kind: str) -> str:
    part = mail.get_body((kind,))
    if part is None:
        return ""
    try:
        return str(part.get_content())
    except (LookupError, ValueError):  # a charset that nobody knows
        return str(part.get_payload())


def _is_colleague(entry: Entry) -> bool:
    return any(address.lower().endswith("@" + STAFF_DOMAIN) for address in entry.recipients)
