"""Evidence for one client of an incident: as a page that prints well, and as a PDF."""

from __future__ import annotations

import datetime as dt

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.text import slugify
from django.views.decorators.cache import cache_control

from agreements.models import Client
from config import instants, proof, scope, turns
from config.admin import READING_METHODS, page_of
from config.models import User
from incidents import evidence
from incidents.document import Document
from incidents.document_pdf import pdf_of
from incidents.evidence_document import document_of
from incidents.models import Incident

#: It shows all three; who may not see one of them there may not see it here.
PERMISSIONS = ("incidents.view_incident", "incidents.view_deadline", "incidents.view_notice")

PAGE, PDF = "incidents_incident_evidence", "incidents_incident_evidence_pdf"


@cache_control(no_store=True)
def page(request: HttpRequest, object_id: int, client_id: int) -> HttpResponse:
    """The document as a page of its own; 403 without the permissions, 404 where the client has no part in it."""
    if request.method not in READING_METHODS:
        return HttpResponseNotAllowed(READING_METHODS)
    incident, client = _subject(request, object_id, client_id)
    _found, document = _made(request, incident, client, instants.now())
    links = {
        "incident_url": page_of(incident),
        "pdf_url": reverse(f"admin:{PDF}", args=[incident.pk, client.pk]),
    }
    return TemplateResponse(request, "incidents/evidence.html", {"document": document, "incident": incident, **links})


@cache_control(no_store=True)
@proof.required
@turns.one_at_a_time
def pdf(request: HttpRequest, object_id: int, client_id: int) -> HttpResponse:
    """The same document as a file to keep and to hand on."""
    if request.method not in READING_METHODS:
        return HttpResponseNotAllowed(READING_METHODS)
    incident, client = _subject(request, object_id, client_id)
    now = instants.now()
    found, document = _made(request, incident, client, now)
    made = pdf_of(document, facts=found.canonical(), made_at=now)
    name = slugify(f"evidence {incident.reference} {client.name}")
    headers = {"Content-Disposition": f'attachment; filename="{name}.pdf"'}
    return HttpResponse(made, content_type="application/pdf", headers=headers)


def _subject(request: HttpRequest, object_id: int, client_id: int) -> tuple[Incident, Client]:
    if not request.user.has_perms(PERMISSIONS):
        raise PermissionDenied
    incident = get_object_or_404(
        scope.visible(Incident.objects.select_related("merged_into"), request.user), pk=object_id
    )
    client = get_object_or_404(scope.visible(Client.objects.all(), request.user), pk=client_id)
    if not evidence.concerns(incident, client):
        raise Http404
    return incident, client


def _made(
    request: HttpRequest, incident: Incident, client: Client, now: dt.datetime
) -> tuple[evidence.Evidence, Document]:
    by: User = request.user  # type: ignore[assignment]  # the site lets nobody in who is not signed in
    found = evidence.evidence_of(incident, client, now=now)
    return found, document_of(found, made_at=now, made_by=by.get_full_name() or by.username)
