"""Clients, the people there who get mail, and the services they receive."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models.functions import Lower
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from config import scope
from config.erased import ERASED, shown
from config.fields import AddressField, LineField, ProseField, ZoneField
from config.history import AuditedModel, AuditedQuerySet, AuditedRecords
from config.search import FoldedField, FoundByWords


class ClientQuerySet(FoundByWords["Client"]):
    def unreachable(self) -> ClientQuerySet:
        """Active ones of whom nobody gets mail."""
        mailable = Contact.objects.usable().filter(client=models.OuterRef("pk"))
        return self.filter(~models.Exists(mailable), is_active=True)

    def pks_by(self, word: str, reader: Any = None) -> list[int]:
        """Of those with this word in their name. Clients are few: who searches millions asks for them first."""
        seen = self if reader is None else scope.visible(self, reader)
        return list(seen.order_by().filter(self.found_by(word)).values_list("pk", flat=True))


class Client(AuditedModel):
    """Who an agreement is with."""

    CLIENT_PATH = "pk"
    CALLED = "name"
    NEED_REASON = frozenset({"is_active"})

    name = LineField(_("name"), max_length=120, unique=True)
    time_zone = ZoneField(
        _("time zone"), help_text=_("Mails to this client show every time in this zone, for example America/New_York.")
    )
    language = models.CharField(_("language of mails"), max_length=10, choices=settings.LANGUAGES, default="en")
    is_active = models.BooleanField(_("active"), default=True)
    words = FoldedField(of=("name",))

    objects = ClientQuerySet.as_manager()
    history = AuditedRecords(excluded_fields=["words"])

    class Meta:
        verbose_name = _("client")
        verbose_name_plural = _("clients")
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    def strangers_in(self, texts: Iterable[str], names: Iterable[str]) -> list[str]:
        """Those of these clients' names that stand in what this one is to read, as whole words.

        Its own name may hold another's, as “Northwind Traders” does “Northwind”.
        """
        own = self.name.casefold()
        said = "\n".join(texts).casefold().replace(own, " ")
        others = (name for name in names if name.casefold() != own and name.casefold() in said)
        return [name for name in others if re.search(rf"(?<!\w){re.escape(name.casefold())}(?!\w)", said)]


class ContactQuerySet(AuditedQuerySet["Contact"]):
    def known(self) -> ContactQuerySet:
        """Those whose name and address are still there."""
        return self.exclude(address=ERASED)

    def usable(self) -> ContactQuerySet:
        """Those who can be mailed, the first to be tried first."""
        return self.filter(is_active=True, client__is_active=True).exclude(address="").order_by("position", "pk")


class Contact(AuditedModel):
    """A person or desk at a client who gets mail about incidents."""

    PART_OF = "client"
    PERSONAL = ("name", "address", "phone")
    NEED_REASON = frozenset({"client_id", "name", "address", "phone", "position", "is_active"})

    client = models.ForeignKey(Client, models.PROTECT, related_name="contacts", verbose_name=_("client"))
    name = LineField(_("name"), max_length=120)
    address = AddressField(_("mail address"), max_length=254)
    phone = LineField(_("phone"), max_length=40, blank=True, help_text=_("For telling them by voice when mail fails."))
    position = models.PositiveSmallIntegerField(_("order"), default=1, help_text=_("1 is tried first."))
    is_active = models.BooleanField(_("gets mail"), default=True)

    objects = ContactQuerySet.as_manager()
    history = AuditedRecords()

    class Meta:
        verbose_name = _("contact")
        verbose_name_plural = _("contacts")
        ordering = ("client", "position", "pk")
        permissions = (("pseudonymise_contact", "Can pseudonymise contact"),)
        constraints = (
            models.UniqueConstraint(
                "client",
                Lower("address"),
                condition=~models.Q(address=ERASED),
                name="contact_address_once_per_client",
                violation_error_message=_("This client already has a contact with that address."),
            ),
            models.CheckConstraint(
                condition=~models.Q(address=""),
                name="contact_has_an_address",
                violation_error_message=_("A contact needs a mail address. Enter one that they read day and night."),
            ),
            models.CheckConstraint(
                condition=~models.Q(address=ERASED) | models.Q(is_active=False), name="contact_erased_gets_no_mail"
            ),
        )

    def __str__(self) -> str:
        if self.is_erased:
            return _now("%(erased)s, contact no. %(number)s") % {"erased": shown(ERASED), "number": self.pk}
        return f"{self.name} <{self.address}>"

    @property
    def is_erased(self) -> bool:
        """Pseudonymised: nobody is mailed by it, for good."""
        return self.address == ERASED


class Service(AuditedModel):
    """Something that is provided and can be affected by an incident."""

    CALLED = "name"

    name = LineField(_("name"), max_length=120, unique=True)
    description = ProseField(_("description"), blank=True, max_length=2000)
    is_active = models.BooleanField(_("active"), default=True)
    words = FoldedField(of=("name",))

    objects = FoundByWords["Service"].as_manager()
    history = AuditedRecords(excluded_fields=["words"])

    class Meta:
        verbose_name = _("service")
        verbose_name_plural = _("services")
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name
