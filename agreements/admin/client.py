"""Clients with their contacts, and services."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from agreements.models import Client, Contact, Service
from config.admin import AuditedModelAdmin, badge
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
class ClientAdmin(AuditedModelAdmin):
    inlines = (ContactInline,)
    list_display = ("name", "time_zone", "language", "reachable", "is_active")
    list_filter = ("is_active",)
    search_fields = ("name",)
    fields = ("name", "time_zone", "language", "is_active")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Client]:
        found: QuerySet[Client] = super().get_queryset(request)
        return found.annotate(usable_contacts=Count("contacts", filter=Q(contacts__is_active=True)))

    @admin.display(description=_("contacts who get mail"), ordering="usable_contacts")
    def reachable(self, client: Any) -> Any:
        return client.usable_contacts or badge(_("nobody"), "crit", "!")


@admin.register(Service)
class ServiceAdmin(AuditedModelAdmin):
    list_display = ("name", "is_active")
    list_filter = ("is_active",)
    search_fields = ("name",)
    fields = ("name", "description", "is_active")
