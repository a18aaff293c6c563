"""The list of incidents: its filters, tabs and columns, its file, and what can be done to many."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import django_filters
from django.contrib import admin
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from agreements.models import ServiceAgreement, Severity
from config import scope
from config.admin import zoned
from config.filters import FilteredAdmin, NameFilter, PersonFilter, Tab, days
from incidents.admin import badges
from incidents.admin.deadline import NAMES, DeadlineRow, responders_in_words
from incidents.admin.many import AcknowledgeMany, AssignMany, CloseMany
from incidents.models import AffectedAgreement, AffectedService, Deadline, Incident, Responder, Standing
from incidents.models.incident import Category, IncidentQuerySet, Status


class IncidentFilter(django_filters.FilterSet):  # type: ignore[misc]  # the library ships no types
    status = django_filters.ChoiceFilter(
        choices=(("open", _("Open")), *Status.choices), label=_("Status"), empty_label=_("All"), method="by_status"
    )
    severity = django_filters.ChoiceFilter(choices=Severity.choices, label=_("Severity"), empty_label=_("All"))
    standing = django_filters.ChoiceFilter(
        choices=((Standing.AT_RISK, _("At risk or missed")),),
        label=_("Deadlines"),
        empty_label=_("All"),
        method="by_standing",
    )
    category = django_filters.ChoiceFilter(choices=Category.choices, label=_("Category"), empty_label=_("All"))
    client = NameFilter(ServiceAgreement.client.field, label=_("Client"), reach=IncidentQuerySet.of_clients)
    agreement = NameFilter(AffectedAgreement.agreement.field, label=_("Agreement"), reach=IncidentQuerySet.under)
    service = NameFilter(AffectedService.service.field, label=_("Service"), reach=IncidentQuerySet.affecting)
    responder = PersonFilter(Responder.user.field, label=_("Responder"), reach=IncidentQuerySet.answered_by)
    detected_from, detected_until = days("detected_at", since=_("Detected from"), until=_("Detected until"))

    class Meta:
        model = Incident
        fields = ()

    def by_status(self, queryset: IncidentQuerySet, name: str, value: str) -> IncidentQuerySet:
        return queryset.open() if value == "open" else queryset.filter(status=value)

    def by_standing(self, queryset: IncidentQuerySet, name: str, value: str) -> IncidentQuerySet:
        endangered = scope.visible(Deadline.objects.endangered(timezone.now()), self.request.user)
        return queryset.filter(pk__in=endangered.values("incident"))


def clients_in_words(incident: Any) -> str:
    """Of a row of the list, which brings them: each that something is owed to."""
    names = {affected.agreement.client.name for affected in incident.applying}
    return ", ".join(sorted(names))


@admin.display(description=_("next due"))
def next_due_at(incident: Any) -> dt.datetime | None:
    return incident.nearest[0].due_at if incident.nearest else None


#: Of the nearest deadline, what its row of the list reads.
READ_OF_NEAREST = (
    "incident",
    "client__time_zone",
    "started_at",
    "due_at",
    "at_risk_at",
    "paused_at",
    "met_at",
    "ended_at",
    "end_reason",
)


class IncidentList(FilteredAdmin):
    """What operators work from, the newest first."""

    filterset_class = IncidentFilter
    tabs = (
        Tab(_("Open"), {"status": "open"}, when_empty=_("No incident is open.")),
        Tab(_("Mine"), {"status": "open", "responder": PersonFilter.ME}),
        Tab(_("At risk"), {"standing": Standing.AT_RISK.value}),
        Tab(_("All"), {}),
    )
    bulk_forms = (AcknowledgeMany, AssignMany, CloseMany)
    export_columns = (
        "reference",
        "title",
        "severity",
        "status",
        "category",
        admin.display(description=_("clients"))(clients_in_words),
        admin.display(description=_("responders"))(responders_in_words),
        next_due_at,
        "occurred_at",
        "detected_at",
        "aware_at",
        "declared_at",
        "acknowledged_at",
        "mitigated_at",
        "resolved_at",
        "closed_at",
    )
    search_fields = ("words",)
    search_help_text = _("Reference or its beginning, words of the title, client")

    def get_list_display(self, request: HttpRequest) -> Sequence[Any]:
        detected = zoned(Incident, "detected_at")
        return ("incident", "severity_badge", "status_badge", "next_due", "clients", "responders", detected)

    def with_columns(self, rows: QuerySet[Any], reader: Any) -> QuerySet[Any]:
        nearest: QuerySet[Any] = scope.visible(Deadline.objects.open().filter(due_at__isnull=False), reader)
        nearest = nearest.select_related("client").order_by("due_at", "pk")
        applying: QuerySet[Any] = scope.visible(AffectedAgreement.objects.included(), reader)
        applying = applying.select_related("agreement__client")
        team: QuerySet[Any] = Responder.objects.select_related("user").order_by("role", "pk")
        return rows.defer("description", "client_summary", "words").prefetch_related(
            Prefetch("deadlines", nearest.only(*READ_OF_NEAREST)[:1], to_attr="nearest"),
            Prefetch("affected_agreements", applying.only("incident", "agreement__client__name"), to_attr="applying"),
            Prefetch("responders", team.only("incident", *NAMES), to_attr="team"),
        )

    @admin.display(description=_("incident"), ordering="reference")
    def incident(self, incident: Incident) -> SafeString:
        return format_html("{}<br>{}", incident.reference, incident.title)

    @admin.display(description=_("severity"), ordering="severity")
    def severity_badge(self, incident: Incident) -> SafeString:
        return badges.severity(incident.severity)

    @admin.display(description=_("status"), ordering="status")
    def status_badge(self, incident: Incident) -> SafeString:
        return badges.status(incident.status)

    @admin.display(description=_("next due"))
    def next_due(self, incident: Any) -> SafeString | str:
        """How long until the nearest deadline, how it stands, and when that is for us and for its client."""
        if not incident.nearest:
            return "–"
        row = DeadlineRow(incident.nearest[0], timezone.now())
        return format_html("<strong>{}</strong> {}<br>{}", row.time_left, badges.standing(row.standing), row.due)

    @admin.display(description=_("clients"))
    def clients(self, incident: Any) -> str:
        return clients_in_words(incident) or "–"

    @admin.display(description=_("responders"))
    def responders(self, incident: Any) -> str:
        return responders_in_words(incident) or _now("nobody yet")
