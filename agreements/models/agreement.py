"""The contract with a client, and the services it covers."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from agreements.models.calendar import ServiceCalendar
from agreements.models.client import Client, Service
from config.fields import LineField, ProseField
from config.history import AuditedModel, AuditedQuerySet, AuditedRecords
from config.search import FoldedField, FoundByWords, holding

_VERSION = re.compile(r"(?P<reference>.+) v(?P<version>[0-9]{1,4})")


class Validity(models.TextChoices):
    """Whether a version holds at an instant: computed, never stored."""

    COMING = "coming", _("Coming")
    IN_FORCE = "in_force", _("In force")
    ENDED = "ended", _("Ended")


class ServiceAgreementQuerySet(FoundByWords["ServiceAgreement"]):
    def found_by(self, word: str, reader: Any = None) -> Q:
        """In its reference or in the name of its client."""
        return holding("words", word) | Q(client__in=Client.objects.all().pks_by(word, reader))

    def in_force(self, at: dt.datetime) -> ServiceAgreementQuerySet:
        """Versions whose half-open span [effective_at, ends_at) holds the instant."""
        return self.filter(effective_at__lte=at).filter(Q(ends_at__isnull=True) | Q(ends_at__gt=at))

    def coming(self, at: dt.datetime) -> ServiceAgreementQuerySet:
        return self.filter(effective_at__gt=at)

    def ended(self, at: dt.datetime) -> ServiceAgreementQuerySet:
        return self.filter(ends_at__lte=at)

    def named(self, text: str) -> ServiceAgreementQuerySet:
        """By its reference, `NW-2025-03`, or one version of it, `NW-2025-03 v2`."""
        whole = _VERSION.fullmatch(text.strip())
        found = super().named(whole["reference"] if whole else text)
        return found.filter(version=whole["version"]) if whole else found

    def covering(self, services: Iterable[Service]) -> ServiceAgreementQuerySet:
        return self.filter(pk__in=ServiceCoverage.objects.filter(service__in=services).values("agreement"))


class ServiceAgreement(AuditedModel):
    """One version of a contract. An amendment is a new version of the same reference that supersedes the old one.

    In force over the half-open span [effective_at, ends_at); no `ends_at` means until further notice. The database
    refuses two versions of one reference that are in force at the same instant.
    """

    CLIENT_PATH = "client"
    CALLED = "reference"
    NEED_REASON = frozenset(
        {
            "reference",
            "version",
            "client_id",
            "calendar_id",
            "effective_at",
            "ends_at",
            "clause",
            "owner_id",
            "supersedes_id",
        }
    )

    reference = LineField(_("reference"), max_length=40, help_text=_("As on the paper, for example NW-2025-03."))
    version = models.PositiveSmallIntegerField(_("version"), default=1)
    client = models.ForeignKey(Client, models.PROTECT, related_name="agreements", verbose_name=_("client"))
    calendar = models.ForeignKey(
        ServiceCalendar,
        models.PROTECT,
        verbose_name=_("service calendar"),
        help_text=_("Business hours and business days are counted by it."),
    )
    services = models.ManyToManyField(Service, through="ServiceCoverage", verbose_name=_("services"))
    effective_at = models.DateTimeField(_("in force from"))
    ends_at = models.DateTimeField(
        _("in force until"), null=True, blank=True, help_text=_("The first moment at which it no longer holds.")
    )
    clause = ProseField(
        _("clause"), max_length=20_000, help_text=_("The contract's own words about incidents, copied exactly.")
    )
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("owner"),
        help_text=_("The colleague who answers for this agreement."),
    )
    supersedes = models.OneToOneField(
        "self", models.PROTECT, null=True, blank=True, related_name="superseded_by", verbose_name=_("supersedes")
    )

    words = FoldedField(of=("reference",))

    objects = ServiceAgreementQuerySet.as_manager()
    history = AuditedRecords(excluded_fields=["words"])

    class Meta:
        verbose_name = _("service agreement")
        verbose_name_plural = _("service agreements")
        ordering = ("client", "reference", "-version")
        constraints = (
            models.UniqueConstraint(fields=("reference", "version"), name="agreement_version_once"),
            models.CheckConstraint(
                condition=Q(ends_at__isnull=True) | Q(ends_at__gt=F("effective_at")),
                name="agreement_ends_after_it_begins",
                violation_error_message=_("“In force until” must be later than “in force from”."),
            ),
        )
        indexes = (
            # ServiceAgreementQuerySet.in_force: which agreements apply to an incident detected at an instant
            models.Index(fields=("effective_at", "ends_at"), name="agreement_in_force"),
        )

    def __str__(self) -> str:
        return self.reference if self.version == 1 else f"{self.reference} v{self.version}"

    def validity(self, at: dt.datetime) -> Validity:
        """Says in Python of one version what `in_force` says in SQL of many."""
        if at < self.effective_at:
            return Validity.COMING
        return Validity.ENDED if self.ends_at is not None and self.ends_at <= at else Validity.IN_FORCE

    def standing_in_words(self, at: dt.datetime) -> str:
        return str(self.validity(at).label)

    def clean(self) -> None:
        self._refuse_two_versions_at_once()
        if self.supersedes and self.supersedes.reference != self.reference:
            raise ValidationError({"supersedes": _("A version can only supersede a version of the same reference.")})

    def _refuse_two_versions_at_once(self) -> None:
        if not self.effective_at:
            return
        others = ServiceAgreement.objects.filter(reference=self.reference).exclude(pk=self.pk)
        others = others.filter(Q(ends_at__isnull=True) | Q(ends_at__gt=self.effective_at))
        if self.ends_at:
            others = others.filter(effective_at__lt=self.ends_at)
        if other := others.first():
            raise ValidationError(
                {
                    "effective_at": _(
                        "Version %(version)s of %(reference)s is in force during that time. "
                        "End it first, or use “Amend”, which does both."
                    )
                    % {"version": other.version, "reference": other.reference}
                }
            )


class ServiceCoverage(AuditedModel):
    """That an agreement covers a service."""

    PART_OF = "agreement"
    IS_KEPT = False
    NAMED_WITH = ("service",)
    NEED_REASON = frozenset({"agreement_id", "service_id"})

    agreement = models.ForeignKey(
        ServiceAgreement, models.CASCADE, related_name="coverage", verbose_name=_("agreement")
    )
    service = models.ForeignKey(Service, models.PROTECT, related_name="coverage", verbose_name=_("service"))

    objects = AuditedQuerySet["ServiceCoverage"].as_manager()
    history = AuditedRecords()

    class Meta:
        verbose_name = _("covered service")
        verbose_name_plural = _("covered services")
        constraints = (models.UniqueConstraint(fields=("agreement", "service"), name="service_covered_once"),)

    def __str__(self) -> str:
        return str(self.service)
