"""Clients with their contacts, and services."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from agreements.admin.lists import ClientList, ServiceList
from agreements.models import Client, Contact, Service
from config.admin import badge
from config.forms import RowsFormSet


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


@admin.register(Client)
class ClientAdmin(ClientList):
    inlines = (ContactInline,)
    fields = ("name", "time_zone", "language", "is_active")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Client]:
        found: QuerySet[Client] = super().get_queryset(request)
        usable = Contact.objects.filter(client=OuterRef("pk"), is_active=True).order_by().values("client")
        counted = Subquery(usable.annotate(count=Count("pk")).values("count"))
        return found.annotate(usable_contacts=Coalesce(counted, 0))  # joined, the list would lose its order

    @admin.display(description=_("contacts who get mail"), ordering="usable_contacts")
    def reachable(self, client: Any) -> Any:
        return client.usable_contacts or badge(_("nobody"), "crit", "!")


@admin.register(Service)
class ServiceAdmin(ServiceList):
    fields = ("name", "description", "is_active")
