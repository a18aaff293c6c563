"""The lists of agreements, clients and services: filters, tabs, columns and files."""

from __future__ import annotations

from typing import Any

import django_filters
from django.contrib import admin
from django.db.models import Prefetch, QuerySet
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from agreements.admin.badges import validity_badge
from agreements.models import Client, Service, ServiceAgreement, ServiceCoverage
from agreements.models.agreement import ServiceAgreementQuerySet
from agreements.models.client import ClientQuerySet
from config.admin import both_zones, link
from config.filters import FilteredAdmin, NameFilter, PersonFilter, Tab


class AgreementFilter(django_filters.FilterSet):  # type: ignore[misc]  # the library ships no types
    state = django_filters.ChoiceFilter(
        choices=(("in_force", _("In force")), ("coming", _("Coming")), ("ended", _("Ended"))),
        label=_("State"),
        empty_label=_("All"),
        method="by_state",
    )
    client = NameFilter(ServiceAgreement.client.field, label=_("Client"))
    service = NameFilter(
        ServiceCoverage.service.field,
        label=_("Service"),
        reach=lambda agreements, services: agreements.filter(
            pk__in=ServiceCoverage.objects.filter(service__in=services).values("agreement")
        ),
    )
    owner = PersonFilter(ServiceAgreement.owner.field, label=_("Owner"))

    class Meta:
        model = ServiceAgreement
        fields = ()

    def by_state(self, queryset: ServiceAgreementQuerySet, name: str, value: str) -> ServiceAgreementQuerySet:
        found: ServiceAgreementQuerySet = getattr(queryset, value)(timezone.now())
        return found


class AgreementList(FilteredAdmin):
    """Which contract holds now, for whom, and who answers for it."""

    filterset_class = AgreementFilter
    tabs = (
        Tab(_("In force"), {"state": "in_force"}),
        Tab(_("Mine"), {"state": "in_force", "owner": PersonFilter.ME}),
        Tab(_("Coming"), {"state": "coming"}),
        Tab(_("Ended"), {"state": "ended"}),
        Tab(_("All"), {}),
    )
    list_display = ("__str__", "client", "state_badge", "begins", "ends", "calendar", "owner")
    list_filter = ()
    list_select_related = ("client", "calendar", "owner")
    search_fields = ("words",)
    search_help_text = _("Reference or client")
    export_columns = (
        "reference",
        "version",
        "client__name",
        "effective_at",
        "ends_at",
        "calendar",
        "owner",
        admin.display(description=_("zone of the client"))(lambda agreement: agreement.client.time_zone),
    )

    @admin.display(description=_("state"))
    def state_badge(self, agreement: ServiceAgreement) -> SafeString:
        return validity_badge(agreement.validity(timezone.now()))

    @admin.display(description=_("in force from"), ordering="effective_at")
    def begins(self, agreement: ServiceAgreement) -> SafeString:
        return both_zones(agreement.effective_at, agreement.client.time_zone)

    @admin.display(description=_("in force until"), ordering="ends_at")
    def ends(self, agreement: ServiceAgreement) -> SafeString | str:
        if agreement.ends_at is None:
            return _now("further notice")
        return both_zones(agreement.ends_at, agreement.client.time_zone)


class ClientFilter(django_filters.FilterSet):  # type: ignore[misc]  # the library ships no types
    state = django_filters.ChoiceFilter(
        choices=(
            ("active", _("Active")),
            ("unreachable", _("Nobody gets mail")),
            ("inactive", _("Not active")),
        ),
        label=_("State"),
        empty_label=_("All"),
        method="by_state",
    )

    class Meta:
        model = Client
        fields = ()

    def by_state(self, queryset: ClientQuerySet, name: str, value: str) -> ClientQuerySet:
        return queryset.unreachable() if value == "unreachable" else queryset.filter(is_active=value == "active")


class ClientList(FilteredAdmin):
    """Whom we owe notices, whether anybody there gets them, and by which agreements."""

    filterset_class = ClientFilter
    tabs = (
        Tab(_("Active"), {"state": "active"}),
        Tab(_("Nobody gets mail"), {"state": "unreachable"}),
        Tab(_("All"), {}),
    )
    list_display = ("name", "in_force", "reachable", "time_zone", "language", "is_active")
    list_filter = ()
    search_fields = ("words",)
    search_help_text = _("Name")
    export_columns = (
        "name",
        "time_zone",
        "language",
        "is_active",
        admin.display(description=_("contacts who get mail"))(lambda client: client.usable_contacts),
        admin.display(description=_("agreements in force"))(lambda client: ", ".join(map(str, client.agreed))),
    )

    def with_columns(self, rows: QuerySet[Any], reader: Any) -> QuerySet[Any]:
        agreed = ServiceAgreement.objects.in_force(timezone.now()).order_by("reference")
        return rows.prefetch_related(Prefetch("agreements", agreed, to_attr="agreed"))

    @admin.display(description=_("agreements in force"))
    def in_force(self, client: Any) -> SafeString | str:
        return format_html_join(", ", "{}", ((link(agreement),) for agreement in client.agreed)) or "–"


class ServiceFilter(django_filters.FilterSet):  # type: ignore[misc]  # the library ships no types
    state = django_filters.ChoiceFilter(
        choices=(("active", _("Active")), ("inactive", _("Not active"))),
        label=_("State"),
        empty_label=_("All"),
        method="by_state",
    )

    class Meta:
        model = Service
        fields = ()

    def by_state(self, queryset: QuerySet[Service], name: str, value: str) -> QuerySet[Service]:
        return queryset.filter(is_active=value == "active")


class ServiceList(FilteredAdmin):
    filterset_class = ServiceFilter
    tabs = (Tab(_("Active"), {"state": "active"}), Tab(_("All"), {}))
    list_display = ("name", "is_active")
    list_filter = ()
    search_fields = ("words",)
    search_help_text = _("Name")
    export_columns = ("name", "description", "is_active")
