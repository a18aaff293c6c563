"""What goes out next, as the client will see it: rendered from the real templates, written nowhere."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse

from agreements.explanation import MOMENTS
from agreements.terms import Moment, MomentKind
from config import scope
from config.admin import READING_METHODS, page_of
from config.content_policy import mail_document
from config.site import site
from incidents import acknowledgement_link, letter, notices
from incidents.models import Deadline, Notice

MAIL = "incidents_incident_goes_out_mail"
PERMISSIONS = ("incidents.view_incident", "incidents.view_deadline", "incidents.view_notice")


def page(request: HttpRequest, object_id: int, deadline_id: int, moment: str) -> HttpResponse:
    """The mail of a moment that has not come: to whom, when, its subject and text, and how a mail program shows it."""
    deadline, found = _subject(request, object_id, deadline_id, moment)
    mails = _foretold(deadline, found)
    context = {
        **site.each_context(request),
        "opts": deadline.incident._meta,
        "title": f"{MOMENTS[MomentKind(found.kind)]}: {deadline.client}",
        "incident": deadline.incident,
        "incident_url": page_of(deadline.incident),
        "deadline": deadline,
        "moment": found,
        "mails": mails,
        "text": acknowledgement_link.masked(letter.text_of(mails[0])),
        "mail_url": reverse(f"admin:{MAIL}", args=[object_id, deadline_id, moment]),
    }
    return TemplateResponse(request, "admin/incidents/incident/goes_out.html", context)


def mail(request: HttpRequest, object_id: int, deadline_id: int, moment: str) -> HttpResponse:
    """The HTML of the same mail, for a frame."""
    mails = _foretold(*_subject(request, object_id, deadline_id, moment))
    return mail_document(acknowledgement_link.masked(letter.html_of(mails[0])))


def _subject(request: HttpRequest, object_id: int, deadline_id: int, key: str) -> tuple[Deadline, Moment]:
    if request.method not in READING_METHODS:
        raise Http404
    if not request.user.has_perms(PERMISSIONS):
        raise PermissionDenied
    rows = scope.visible(Deadline.objects.open(), request.user).select_related(
        "incident", "client", "agreement", "commitment"
    )
    deadline = get_object_or_404(rows, pk=deadline_id, incident=object_id)
    moment = next((m for m in deadline.planned_moments() if m.key == key and not deadline.was_raised(m)), None)
    if moment is None:
        raise Http404
    return deadline, moment


def _foretold(deadline: Deadline, moment: Moment) -> list[Notice]:
    mails = notices.foretell(deadline, moment)
    if not mails:
        raise Http404
    return mails
