"""The incident: the form that declares it, and its page, which is a workspace."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from agreements.models import Client
from agreements.terms import MomentKind
from config import times
from config.admin import list_of
from config.forms import ActForm
from config.models import User
from incidents import evidence
from incidents.admin import badges
from incidents.admin import evidence as evidence_pages
from incidents.admin.deadline import MOMENTS, DeadlineRow, audience_in_words, readable, rows
from incidents.admin.incident_list import IncidentList
from incidents.admin.verbs import VERBS, Contacts, Declare, Note, usable_contacts
from incidents.models import AffectedAgreement, Deadline, Incident, Notice, Responder, TimelineEntry
from incidents.models.notice import STUCK_STATES

SHOWN_NOTICES = 200
SHOWN_PER_CLIENT = 4
SHOWN_ENTRIES = 100
SHOWN_PLANNED = 6

#: Floors above say what else belongs to an incident, such as its review.
FollowUp = Callable[[Incident], tuple[str | Promise, str] | None]
FOLLOW_UPS: list[FollowUp] = []


def follow_up(make: FollowUp) -> FollowUp:
    """Decorator: a link (words, address) for the incident's page, or None where there is none."""
    FOLLOW_UPS.append(make)
    return make


# ── the workspace ───────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Planned:
    """A message that goes out at `at` if nobody acts."""

    at: dt.datetime
    kind: str | Promise
    about: str
    to: str


@dataclass(frozen=True)
class NoticeRow:
    notice: Notice

    @property
    def badge(self) -> SafeString:
        return badges.notice_state(self.notice.state)

    @property
    def needs_a_person(self) -> bool:
        return self.notice.state in STUCK_STATES


@dataclass(frozen=True)
class ToldClient:
    """What one client has been told so far: the latest notices, and whether there is any at all."""

    client: Client
    has_any: bool
    notices: list[NoticeRow] = field(default_factory=list)

    @property
    def latest(self) -> list[NoticeRow]:
        return self._stuck_first[:SHOWN_PER_CLIENT]

    @property
    def earlier(self) -> list[NoticeRow]:
        return self._stuck_first[SHOWN_PER_CLIENT:]

    @property
    def _stuck_first(self) -> list[NoticeRow]:
        """What did not reach the client is in sight, however much was sent since."""
        return sorted(self.notices, key=lambda row: not row.needs_a_person)


@dataclass(frozen=True)
class Workspace:
    """Everything that the page of one incident shows, read in a fixed number of queries."""

    incident: Incident
    now: dt.datetime
    deadlines: list[DeadlineRow]
    agreements: list[AffectedAgreement]
    told: list[ToldClient]
    to_staff: list[NoticeRow]
    planned: list[Planned]
    responders: list[Responder]
    timeline: list[TimelineEntry]
    services: list[str]
    follow_ups: list[tuple[str | Promise, str]]
    evidence: list[tuple[Client, str]]

    @property
    def severity(self) -> SafeString:
        return badges.severity(self.incident.severity)

    @property
    def status(self) -> SafeString:
        return badges.status(self.incident.status)

    @property
    def age(self) -> str:
        """Since detection; for one that works again, how long it took."""
        span = times.duration((self.incident.resolved_at or self.now) - self.incident.detected_at)
        if self.incident.resolved_at:
            return _now("resolved %(span)s after detection") % {"span": span}
        return _now("detected %(span)s ago") % {"span": span}

    @property
    def next_act(self) -> DeadlineRow | None:
        """The open deadline that is due first, with its button."""
        return next((row for row in self.deadlines if row.deadline.is_open and row.deadline.due_at), None)

    @property
    def planned_soon(self) -> list[Planned]:
        return self.planned[:SHOWN_PLANNED]

    @property
    def planned_later(self) -> list[Planned]:
        return self.planned[SHOWN_PLANNED:]

    @property
    def instants(self) -> list[tuple[str, str]]:
        """Each instant of the incident that is known, with its zone, in the order of its life."""
        names = (
            "occurred_at",
            "detected_at",
            "aware_at",
            "declared_at",
            "classified_at",
            "acknowledged_at",
            "mitigated_at",
            "resolved_at",
            "reopened_at",
            "closed_at",
        )
        found = ((Incident._meta.get_field(name).verbose_name, getattr(self.incident, name)) for name in names)  # type: ignore[union-attr]
        return [(str(label), times.for_reader(at)) for label, at in found if at is not None]

    @property
    def notices_url(self) -> str:
        return f"{list_of(Notice)}?incident={self.incident.reference}"


def workspace_of(incident: Incident, *, now: dt.datetime, by: User) -> Workspace:
    deadlines = list(readable(Deadline.objects.filter(incident=incident)))
    for deadline in deadlines:
        deadline.incident = incident
    agreements = list(incident.affected_agreements.select_related("agreement__client").order_by("agreement__client"))
    contacts = usable_contacts([affected.agreement.client for affected in agreements])
    notices = incident.notices.select_related("client", "acknowledgement").defer("text", "html")
    return Workspace(
        incident=incident,
        now=now,
        deadlines=_open_first(rows(deadlines, now=now, by=by)),
        agreements=agreements,
        told=_told(agreements, notices.filter(contact__isnull=False)),
        to_staff=[NoticeRow(notice) for notice in notices.filter(contact__isnull=True)[:SHOWN_NOTICES]],
        planned=_planned(deadlines, contacts),
        responders=list(incident.responders.select_related("user").order_by("role", "pk")),
        timeline=list(incident.timeline.all()[:SHOWN_ENTRIES]),
        services=[str(affected) for affected in incident.affected_services.select_related("service")],
        follow_ups=[found for make in FOLLOW_UPS if (found := make(incident))],
        evidence=_evidence(incident, deadlines, by),
    )


def _evidence(incident: Incident, deadlines: Sequence[Deadline], by: User) -> list[tuple[Client, str]]:
    """Each client that something is owed to, with the address of its evidence, for whoever may see that."""
    if not by.has_perms(evidence_pages.PERMISSIONS):
        return []
    clients = evidence.clients_of(deadlines)
    return [(client, reverse(f"admin:{evidence_pages.PAGE}", args=[incident.pk, client.pk])) for client in clients]


def _open_first(found: list[DeadlineRow]) -> list[DeadlineRow]:
    return sorted(found, key=lambda row: not row.deadline.is_open)


def _told(agreements: Sequence[AffectedAgreement], notices: QuerySet[Notice]) -> list[ToldClient]:
    """One entry per affected client, those who have been told nothing included."""
    # Asked by itself: "nothing yet" must be true however many newer notices there are to others.
    reached = set(notices.order_by().values_list("client", flat=True).distinct())
    clients = {affected.agreement.client_id: affected.agreement.client for affected in agreements}
    told = {pk: ToldClient(client, has_any=pk in reached) for pk, client in clients.items()}
    for notice in notices[:SHOWN_NOTICES]:
        if notice.client is not None:
            told.setdefault(notice.client.pk, ToldClient(notice.client, True)).notices.append(NoticeRow(notice))
    return list(told.values())


def _planned(deadlines: Sequence[Deadline], contacts: Contacts) -> list[Planned]:
    """Moments of open deadlines that have not made their notices yet, the next first."""
    planned = [
        Planned(
            at=moment.at,
            kind=MOMENTS[MomentKind(moment.kind)],
            about=f"{deadline.get_obligation_display()} · {deadline.client}",
            to=audience_in_words(moment.audience, deadline.client, contacts.get(deadline.client_id, 0)),
        )
        for deadline in deadlines
        if deadline.is_open
        for moment in deadline.planned_moments()
        if not deadline.was_raised(moment)
    ]
    return sorted(planned, key=lambda item: item.at)


# ── the page ────────────────────────────────────────────────────────────────────────────────────────────────────────


@admin.register(Incident)
class IncidentAdmin(IncidentList):
    """Declared by a form of its own, changed by verbs; only the words can be edited in place."""

    fieldsets = ((_("Words"), {"fields": ("title", "category", "client_summary", "description")}),)
    save_on_top = False

    def get_acts(self) -> Sequence[type[ActForm]]:
        return VERBS

    # the pages

    def get_urls(self) -> list[URLPattern]:
        page, pdf = (self.admin_site.admin_view(view) for view in (evidence_pages.page, evidence_pages.pdf))
        return [
            path("<int:object_id>/evidence/<int:client_id>/", page, name=evidence_pages.PAGE),
            path("<int:object_id>/evidence/<int:client_id>.pdf", pdf, name=evidence_pages.PDF),
            *super().get_urls(),
        ]

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        return self.show_act(request, Declare, None, title=_now("Declare an incident"), cancel_url=list_of(Incident))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        incident = self.get_object(request, object_id) if object_id.isdecimal() else None
        if incident is None or not self.has_view_permission(request, incident):
            return super().change_view(request, object_id, form_url, extra_context)
        context = {
            "title": f"{incident.reference} · {incident.title}",
            "subtitle": None,
            "show_save_and_add_another": False,
            "show_save_and_continue": False,
            "workspace": workspace_of(incident, now=timezone.now(), by=request.user),  # type: ignore[arg-type]
            "note": Note(subject=incident, by=request.user, prefix=None),  # type: ignore[arg-type]
            "note_url": reverse("admin:incidents_incident_note", args=[incident.pk]),
            **(extra_context or {}),
        }
        return super().change_view(request, object_id, form_url, context)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **options: Any) -> forms.Field | None:
        found: forms.Field | None = super().formfield_for_dbfield(db_field, request, **options)
        if found is not None and db_field.name in ("client_summary", "description"):
            found.widget.attrs["rows"] = 4
        return found
