"""The page on which a client says that a notice was read. The secret is in its address; nobody signs in to it."""

from __future__ import annotations

import datetime as dt
import functools
import logging
from collections.abc import Callable
from email.utils import parseaddr
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.csrf import csrf_exempt

from config.addresses import client_address
from config.audit import events
from config.history import acting
from config.limits import Limit, neighbourhood
from config.models import EventKind
from incidents import acknowledgement
from incidents.acknowledgement import LinkStanding
from incidents.models import Acknowledgement, Notice

logger = logging.getLogger(__name__)

#: On every answer: nobody keeps it, lists it, learns its address from it, frames it, or runs anything in it.
SEALED = {
    "Cache-Control": "no-store",
    "X-Robots-Tag": "noindex, nofollow",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
}
METHODS = ("GET", "HEAD", "POST")
USER_AGENT_LENGTH = Acknowledgement._meta.get_field("user_agent").max_length


REQUESTS = Limit("requests", most=60, window=60)  # by one client address
PRESSES = Limit("presses", most=20, window=3600)  # of one notice's button
FORGERIES = Limit("forgeries", most=60, window=3600)  # that are recorded: anybody can make up as many as they like


# ── the page ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _sealed(view: Callable[[HttpRequest, str], HttpResponse]) -> Callable[[HttpRequest, str], HttpResponse]:
    """Every answer gets the headers, errors too, and none is logged with its address, which is a secret."""

    @functools.wraps(view)
    def answer(request: HttpRequest, token: str) -> HttpResponse:
        # Until a notice says who reads it, the browser's language is the best guess.
        with translation.override(translation.get_language_from_request(request)), acting(by_link=True):
            try:
                response = view(request, token)
            except Exception:
                # Django's own report of it would name the address, in the log and in mails to administrators.
                logger.exception("The page for the acknowledgement of a notice failed.")
                response = _refusal(
                    500, _("Something went wrong on our side"), _("Nothing was recorded. Please try again in a minute.")
                )
        for name, value in SEALED.items():
            response.headers[name] = value
        response._has_been_logged = True  # type: ignore[attr-defined]  # Django logs the address of every refusal
        return response

    return answer


# No form token: that protects people who are signed in from pages that post in their name. Here nobody is; the secret
# in the address is the whole right to press. (And under no-referrer browsers post without the Origin it asks for.)
@csrf_exempt
@_sealed
def acknowledge(request: HttpRequest, token: str) -> HttpResponse:
    """GET and HEAD show the notice and acknowledge nothing, whoever or whatever opens the link; POST does."""
    now = timezone.now()
    address = client_address(request)
    if seconds := REQUESTS.wait(neighbourhood(address), now):
        return _too_often(seconds)
    if request.method not in METHODS:
        sentence = _("This page can only be read, and its button pressed.")
        return _refusal(405, _("That is not possible here"), sentence, Allow=", ".join(METHODS))
    notice = acknowledgement.find(token.removesuffix("/"))
    if notice is None or notice.client is None:
        if not FORGERIES.wait("anybody", now):
            events.record(EventKind.LINK_REFUSED, why=events.UNKNOWN)
        return _nothing_here()
    with translation.override(notice.client.language):
        return _answer(request, notice, address, now)


def _answer(request: HttpRequest, notice: Notice, address: str | None, now: dt.datetime) -> HttpResponse:
    stands = acknowledgement.standing(notice, now)
    if stands in (LinkStanding.EXPIRED, LinkStanding.REVOKED):
        events.record(EventKind.LINK_REFUSED, about=notice, why=stands.value)
        return _gone(stands)
    # In the demo one person plays everybody.
    colleague = request.user if request.user.is_authenticated and not settings.DEMO else None
    if request.method != "POST":
        if request.method == "GET":
            with acting(colleague):
                events.record(EventKind.LINK_OPENED, about=notice)
        return _notice_page(notice, colleague is not None)
    if seconds := PRESSES.wait(str(notice.pk), now):
        return _too_often(seconds)
    if colleague is not None:
        with acting(colleague):
            events.record(EventKind.LINK_REFUSED, about=notice, why=events.COLLEAGUE)
        return _refusal(403, _("Only the client can confirm this"), _colleagues_press())
    user_agent = _printable(request.headers.get("User-Agent", ""))
    acknowledgement.record(notice, now=now, from_address=address, user_agent=user_agent)
    return HttpResponse(status=303, headers={"Location": request.path})


def _notice_page(notice: Notice, is_colleague: bool) -> HttpResponse:
    return _page(
        "acknowledge",
        200,
        notice=notice,
        sender=parseaddr(settings.NOTICE_FROM)[0],
        paragraphs=acknowledgement.paragraphs(notice),
        acknowledged=getattr(notice, "acknowledgement", None),
        colleagues_press=_colleagues_press() if is_colleague else "",
    )


def _colleagues_press() -> str:
    return _("You are signed in as a colleague. Pressing the button would not prove that the client has read this.")


def _nothing_here() -> HttpResponse:
    """The same for what is forged, cut off, not yet sent or not there at all: no hint which notices exist."""
    sentence = _("The link may have been cut off on its way. Open it again from the message that we sent you.")
    return _refusal(404, _("There is nothing to read at this address"), sentence)


def _gone(stands: LinkStanding) -> HttpResponse:
    is_revoked = stands == LinkStanding.REVOKED
    title = _("This link has been withdrawn") if is_revoked else _("This link has expired")
    return _refusal(410, title, _("If you still need the notice, ask your contact at the provider."))


def _too_often(seconds: int) -> HttpResponse:
    minutes = -(-seconds // 60)
    sentence = ngettext(
        "This page was asked for too often. Please try again in a minute.",
        "This page was asked for too often. Please try again in %(minutes)d minutes.",
        minutes,
    ) % {"minutes": minutes}
    return _refusal(429, _("Too many requests"), sentence, **{"Retry-After": str(seconds)})


def _refusal(status: int, title: str, sentence: str, **headers: str) -> HttpResponse:
    response = _page("acknowledge_refused", status, title=title, sentence=sentence)
    for name, value in headers.items():
        response.headers[name] = value
    return response


def _page(name: str, status: int, **context: Any) -> HttpResponse:
    """Rendered without the request: nothing of a session can get onto the page."""
    response = HttpResponse(render_to_string(f"incidents/{name}.html", context), status=status)
    response.headers["Content-Language"] = translation.get_language() or settings.LANGUAGE_CODE
    return response


def _printable(text: str) -> str:
    return "".join(sign for sign in text if sign.isprintable())[:USER_AGENT_LENGTH]
