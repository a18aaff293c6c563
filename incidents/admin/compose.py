"""What the pages show on which people write to clients: texts to start from, and how each client will read it.

Nothing here is written to the database: a preview is the very rows that sending would make, which are thrown away.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import get_object_or_404
from django.utils.html import format_html
from django.utils.translation import gettext as _now

from agreements.models import Client
from config import scope
from config.content_policy import mail_document
from incidents import acknowledgement_link, letter, lifecycle
from incidents.models import Incident, MessageTemplate, Notice
from incidents.models.notice import NoticeKind

if TYPE_CHECKING:
    from incidents.admin.verbs import TellForm

Choices = list[tuple[str, str | list[tuple[str, str]]]]


@dataclass(frozen=True)
class Preview:
    """What one client would read now: the notice to its first contact, or the sentence that says why there is none."""

    client: Client
    notice: Notice | None = None
    refusal: str = ""

    @property
    def text(self) -> str:
        """Without the client's own link, which would lead nowhere."""
        return acknowledgement_link.masked(letter.text_of(self.notice)) if self.notice else ""

    def as_mail_shows_it(self) -> HttpResponse:
        """The HTML as a document of its own, for a frame."""
        if self.notice is None:
            return mail_document(format_html("<!doctype html><html><head></head><p>{}</p></html>", self.refusal))
        return mail_document(acknowledgement_link.masked(letter.html_of(self.notice)))


def preview(incident: Incident, kind: NoticeKind, client: Client, *, now: dt.datetime, message: str) -> Preview:
    try:
        (drafted,) = lifecycle.draft(incident, kind, [client], now=now, message=message)
    except ValidationError as refused:
        return Preview(client, refusal=" ".join(refused.messages))
    if not drafted.mails:
        nobody = _now("Nobody at %(client)s can be mailed. Operators will be alarmed instead.")
        return Preview(client, refusal=nobody % {"client": client})
    return Preview(client, drafted.mails[0])


def mail(request: HttpRequest, object_id: int, *, form_class: type[TellForm]) -> HttpResponse:
    """The mail that is being written as a document of its own: its page posts the form into a frame."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    if not request.user.has_perm(form_class.permission):
        raise PermissionDenied
    by: Any = request.user  # the site lets nobody in who is not signed in
    incident = get_object_or_404(scope.visible(Incident.objects.all(), by), pk=object_id)
    shown = form_class(request.POST, subject=incident, by=by).shown
    if shown is None:
        raise Http404
    return shown.as_mail_shows_it()


def choices(templates: Iterable[MessageTemplate]) -> Choices:
    """For a select, one group per language."""
    groups = groupby(templates, key=lambda template: template.get_language_display())
    return [
        ("", _now("Choose a text")),
        *((language, [(str(template.pk), template.name) for template in group]) for language, group in groups),
    ]


def start_from(template: MessageTemplate, typed: str, others: Iterable[MessageTemplate]) -> str:
    """The template's text in place of another template's; below anything that somebody has typed."""
    typed = typed.replace("\r\n", "\n")
    if not typed.strip() or typed.strip() in {other.text.replace("\r\n", "\n").strip() for other in others}:
        return template.text
    return f"{typed.rstrip()}\n\n{template.text}"
