"""Clients with their contacts, and services."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from agreements import reading
from agreements.admin.badges import validity_badge
from agreements.admin.lists import ClientList, ServiceList
from agreements.models import Client, Commitment, Contact, Service, ServiceAgreement, Validity
from config.admin import badge
from config.erased import ERASED
from config.forms import ActForm, RowsFormSet
from config.site import Panel, site


class ContactFormSet(RowsFormSet):
    """Checks what no single row can see."""

    def clean(self) -> None:
        super().clean()
        if any(self.errors):
            return
        addresses = Counter(row["address"].lower() for row in self._kept())
        if twice := [address for address, count in addresses.items() if count > 1]:
            raise ValidationError(_now("%(address)s is there twice. Keep one of them.") % {"address": twice[0]})
        if self.instance.is_active and not any(row["is_active"] for row in self._kept()):
            raise ValidationError(
                _now(
                    "Nobody here gets mail, so nobody could be notified. "
                    "Add a contact who does, or deactivate the client."
                )
            )

    def _kept(self) -> Iterator[dict[str, Any]]:
        return (form.cleaned_data for form in self.forms if form.cleaned_data.get("address"))


class ContactInline(admin.TabularInline):  # type: ignore[type-arg]
    """Contacts are deactivated, never taken out: notices name them."""

    model = Contact
    formset = ContactFormSet
    fields = ("name", "address", "phone", "position", "is_active")
    extra = 0
    min_num = 1
    can_delete = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Contact]:
        """Of who was pseudonymised nothing is left to edit."""
        found: QuerySet[Contact] = super().get_queryset(request)
        return found.exclude(address=ERASED)


@dataclass(frozen=True)
class Reading:
    """What somebody who opens a client wants to know, read in a fixed number of queries."""

    client: Client
    agreements: list[tuple[ServiceAgreement, SafeString]]
    contacts: list[Contact]
    heard: list[reading.Heard]
    panels: list[Panel]


def reading_of(client: Client, request: HttpRequest, now: dt.datetime) -> Reading:
    """What contacts receive is what the agreements in force `now` say, all together."""
    agreements = list(client.agreements.select_related("calendar"))
    in_force = [agreement for agreement in agreements if agreement.validity(now) is Validity.IN_FORCE]
    return Reading(
        client=client,
        agreements=[(agreement, validity_badge(agreement.validity(now))) for agreement in agreements],
        contacts=list(client.contacts.all()),
        heard=reading.heard_by_contacts(list(Commitment.objects.of(in_force))),
        panels=site.panels(request, client, now),
    )


#: What is done on a page of its own with a client, which floors above add.
ACTS: list[type[ActForm]] = []


@admin.register(Client)
class ClientAdmin(ClientList):
    change_form_template = "admin/agreements/client/change_form.html"
    inlines = (ContactInline,)
    instead_of_deleting = _("Take the tick from “Active” on the page of a client who leaves.")
    fields = ("name", "time_zone", "language", "is_active")

    def get_acts(self) -> Sequence[type[ActForm]]:
        return ACTS

    def zone_beside(self, obj: Client) -> str:
        return obj.time_zone

    def get_queryset(self, request: HttpRequest) -> QuerySet[Client]:
        found: QuerySet[Client] = super().get_queryset(request)
        usable = Contact.objects.filter(client=OuterRef("pk"), is_active=True).order_by().values("client")
        counted = Subquery(usable.annotate(count=Count("pk")).values("count"))
        return found.annotate(usable_contacts=Coalesce(counted, 0))  # joined, the list would lose its order

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        client = self.get_object(request, object_id) if object_id.isdecimal() else None
        if client is None or not self.has_view_permission(request, client):
            return super().change_view(request, object_id, form_url, extra_context)
        context = {
            "title": str(client),
            "subtitle": None,
            "reading": reading_of(client, request, timezone.now()),
            **(extra_context or {}),
        }
        return super().change_view(request, object_id, form_url, context)

    @admin.display(description=_("contacts who get mail"), ordering="usable_contacts")
    def reachable(self, client: Any) -> Any:
        return client.usable_contacts or badge(_("nobody"), "crit", "!")


@admin.register(Service)
class ServiceAdmin(ServiceList):
    fields = ("name", "description", "is_active")
    instead_of_deleting = _("Take the tick from “Active” on the page of a service that is no more.")
