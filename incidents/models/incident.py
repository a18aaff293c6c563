"""An incident: what happened, when, whom it affects, who works on it."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from agreements.models import Client, Service, ServiceAgreement, Severity, StartEvent
from config.fields import LineField, ProseField
from config.history import AuditedModel, AuditedQuerySet, AuditedRecords
from config.search import FoldedField, FoundByWords, either, holding


class Status(models.TextChoices):
    DECLARED = "declared", _("Declared")
    ACKNOWLEDGED = "acknowledged", _("Acknowledged")
    MITIGATED = "mitigated", _("Mitigated")
    RESOLVED = "resolved", _("Resolved")
    CLOSED = "closed", _("Closed")
    MERGED = "merged", _("Merged")


#: Still being worked on.
OPEN_STATUSES = (Status.DECLARED, Status.ACKNOWLEDGED, Status.MITIGATED)


class Category(models.TextChoices):
    OUTAGE = "outage", _("Outage")
    DEGRADATION = "degradation", _("Degradation")
    DATA_LOSS = "data_loss", _("Data loss")
    SECURITY = "security", _("Security")
    FAULTY_RELEASE = "faulty_release", _("Faulty release")
    OTHER = "other", _("Other")


class ReferenceCounter(models.Model):
    """The last number given out in a year. Locked while an incident is declared, so that references have no gaps."""

    year = models.PositiveSmallIntegerField(primary_key=True)
    last = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.year}: {self.last}"


#: A folded word that begins like a reference.
_REFERENCE = re.compile(r"inc-\d{1,4}(-\d*)?")


class IncidentQuerySet(FoundByWords["Incident"]):
    def found_by(self, word: str, reader: Any = None) -> Q:
        """In its reference or title, or in the name of a client whose agreement it falls under."""
        clients = Client.objects.all().pks_by(word, reader)
        if not clients:
            return self.worded(word)
        return either(Incident.objects.filter(self.worded(word)), Incident.objects.of_clients(clients))

    @staticmethod
    def worded(word: str) -> Q:
        """In its reference or title. What begins like a reference is looked up as one, which every index can do."""
        if _REFERENCE.fullmatch(word):
            return Q(reference__startswith=word.upper())
        return holding("words", word)

    def open(self) -> IncidentQuerySet:
        return self.filter(status__in=OPEN_STATUSES)

    def of_clients(self, clients: Collection[int]) -> IncidentQuerySet:
        """That owe something to one of these clients."""
        owed = AffectedAgreement.objects.included().filter(agreement__client__in=clients)
        return self.filter(pk__in=owed.values("incident"))

    def under(self, agreements: Collection[int]) -> IncidentQuerySet:
        return self.filter(
            pk__in=AffectedAgreement.objects.included().filter(agreement__in=agreements).values("incident")
        )

    def affecting(self, services: Collection[int]) -> IncidentQuerySet:
        return self.filter(pk__in=AffectedService.objects.filter(service__in=services).values("incident"))

    def answered_by(self, colleagues: Collection[int]) -> IncidentQuerySet:
        """That one of these is a responder of."""
        return self.filter(pk__in=Responder.objects.filter(user__in=colleagues).values("incident"))

    def sharing_a_service_with(self, incident: Incident) -> IncidentQuerySet:
        """Others that affect one of its services."""
        services = incident.affected_services.values("service")
        shared = AffectedService.objects.filter(incident=models.OuterRef("pk"), service__in=services)
        return self.exclude(pk=incident.pk).filter(models.Exists(shared))

    def locked(self) -> IncidentQuerySet:
        """For a verb: one at a time per incident. Weak enough that other rows may still refer to a locked incident."""
        return self.select_for_update(no_key=True)


class Incident(AuditedModel):
    """Changed only by the verbs in incidents/lifecycle. Every `_at` is when it happened, not when it was typed."""

    CLIENT_PATH = "affected_agreements__agreement__client"
    CALLED = "reference"
    NEED_REASON = frozenset(
        {
            "reference",
            "severity",
            "occurred_at",
            "detected_at",
            "aware_at",
            "classified_at",
            "declared_at",
            "acknowledged_at",
            "mitigated_at",
            "resolved_at",
            "reopened_at",
            "closed_at",
            "merged_at",
            "merged_into_id",
            "imported_at",
        }
    )
    MAY_BE_FILLED = frozenset(
        {
            "occurred_at",
            "aware_at",
            "classified_at",
            "acknowledged_at",
            "mitigated_at",
            "resolved_at",
            "reopened_at",
            "closed_at",
            "merged_at",
        }
    )

    reference = LineField(_("reference"), max_length=20, unique=True, editable=False)
    declaration_token = models.UUIDField(
        null=True, blank=True, unique=True, editable=False, help_text=_("Of the form that declared it: one form, once.")
    )
    title = LineField(_("title"), max_length=200, help_text=_("In one line, as a colleague would say it."))
    severity = models.CharField(_("severity"), max_length=10, choices=Severity.choices)
    status = models.CharField(_("status"), max_length=12, choices=Status.choices, default=Status.DECLARED)
    category = models.CharField(_("category"), max_length=20, choices=Category.choices, default=Category.OUTAGE)
    description = ProseField(
        _("internal notes"), blank=True, max_length=20_000, help_text=_("For colleagues only; clients never see this.")
    )
    client_summary = ProseField(
        _("what clients may be told"), blank=True, max_length=5_000, help_text=_("Goes into every mail to clients.")
    )
    occurred_at = models.DateTimeField(_("happened at"), null=True, blank=True)
    detected_at = models.DateTimeField(_("detected at"))
    aware_at = models.DateTimeField(_("aware at"), null=True, blank=True)
    classified_at = models.DateTimeField(_("classified at"), null=True, blank=True)
    declared_at = models.DateTimeField(_("declared at"), editable=False)
    acknowledged_at = models.DateTimeField(_("acknowledged at"), null=True, blank=True)
    mitigated_at = models.DateTimeField(_("mitigated at"), null=True, blank=True)
    resolved_at = models.DateTimeField(_("resolved at"), null=True, blank=True)
    reopened_at = models.DateTimeField(_("reopened at"), null=True, blank=True)
    closed_at = models.DateTimeField(_("closed at"), null=True, blank=True)
    merged_at = models.DateTimeField(_("merged at"), null=True, blank=True)
    imported_at = models.DateTimeField(
        _("imported at"), null=True, blank=True, editable=False,
        help_text=_("Taken over as history then: nothing is owed because of it."),
    )  # fmt: skip
    merged_into = models.ForeignKey(
        "self", models.PROTECT, null=True, blank=True, related_name="merged", verbose_name=_("merged into")
    )

    words = FoldedField(of=("reference", "title"))

    services = models.ManyToManyField(Service, through="AffectedService", verbose_name=_("affected services"))
    agreements = models.ManyToManyField(
        ServiceAgreement, through="AffectedAgreement", verbose_name=_("affected agreements")
    )

    objects = IncidentQuerySet.as_manager()
    history = AuditedRecords(excluded_fields=["words"])

    class Meta:
        verbose_name = _("incident")
        verbose_name_plural = _("incidents")
        ordering = ("-declared_at", "-pk")
        constraints = (
            models.CheckConstraint(
                condition=Q(resolved_at__isnull=True) | Q(resolved_at__gte=models.F("detected_at")),
                name="incident_resolved_after_detected",
            ),
            models.CheckConstraint(
                condition=~Q(status__in=(Status.RESOLVED, Status.CLOSED)) | Q(resolved_at__isnull=False),
                name="incident_resolved_has_its_time",
            ),
            models.CheckConstraint(
                condition=~Q(status=Status.CLOSED) | Q(closed_at__isnull=False), name="incident_closed_has_its_time"
            ),
            models.CheckConstraint(
                condition=Q(status=Status.MERGED, merged_into__isnull=False, merged_at__isnull=False)
                | (~Q(status=Status.MERGED) & Q(merged_into__isnull=True)),
                name="incident_merged_into_another",
            ),
        )
        indexes = (
            # IncidentQuerySet.open, and the list of what is open
            models.Index(fields=("-declared_at",), name="incident_open", condition=Q(status__in=OPEN_STATUSES)),
            # the list, newest first, with its severity filter
            models.Index(fields=("severity", "-declared_at"), name="incident_severity"),
            models.Index(fields=("-declared_at",), name="incident_newest"),
            # which of them owe a review, each minute (reviews/owed.py)
            models.Index(fields=("resolved_at",), name="incident_resolved", condition=Q(resolved_at__isnull=False)),
        )

    def __str__(self) -> str:
        return f"{self.reference} {self.title}"

    @property
    def is_open(self) -> bool:
        return self.status in OPEN_STATUSES

    def with_merged(self) -> set[int]:
        """Its key, and those of all that were merged into it, also by way of others."""
        keys = last = {self.pk}
        while last := set(Incident.objects.filter(merged_into__in=last).values_list("pk", flat=True)):
            keys = keys | last
        return keys

    def is_part_of(self, incident: int) -> bool:
        """Whether it is the incident of that key or was merged into it, also by way of others."""
        if incident in (self.pk, self.merged_into_id):
            return True
        return self.merged_into is not None and self.merged_into.is_part_of(incident)

    def needing_reason(self, changed: set[str]) -> set[str]:
        """Besides its fields: a status that goes backwards."""
        order = list(Status)
        loaded = self.__dict__.get("_loaded", {}).get("status", self.status)
        is_backwards = order.index(Status(self.status)) < order.index(Status(loaded))
        return super().needing_reason(changed) | ({"status"} if is_backwards else set())

    def instant_of(self, event: str) -> dt.datetime | None:
        """When a start event happened; None while it has not."""
        if event == StartEvent.COMMITMENT:
            return None  # no instant of the incident; the deadline knows what it follows
        return getattr(self, f"{StartEvent(event).value}_at")  # type: ignore[no-any-return]


class Pause(AuditedModel):
    """A time in which the clock of pausable commitments stands still; half-open [begins_at, ends_at)."""

    PART_OF = "incident"
    NEED_REASON = frozenset({"incident_id", "begins_at", "ends_at", "why"})
    MAY_BE_FILLED = frozenset({"ends_at"})

    incident = models.ForeignKey(Incident, models.PROTECT, related_name="pauses")
    begins_at = models.DateTimeField(_("begins at"))
    ends_at = models.DateTimeField(_("ends at"), null=True, blank=True)
    why = ProseField(_("why"), max_length=1000)

    objects = AuditedQuerySet["Pause"].as_manager()
    history = AuditedRecords()

    class Meta:
        verbose_name = _("pause")
        verbose_name_plural = _("pauses")
        ordering = ("begins_at", "pk")
        constraints = (
            models.UniqueConstraint(
                fields=("incident",), condition=Q(ends_at__isnull=True), name="pause_one_at_a_time"
            ),
            models.CheckConstraint(
                condition=Q(ends_at__isnull=True) | Q(ends_at__gte=models.F("begins_at")),
                name="pause_ends_after_it_begins",
            ),
        )

    def __str__(self) -> str:
        return self.why[:80]


class AffectedService(AuditedModel):
    """That an incident affects a service."""

    PART_OF = "incident"
    NAMED_WITH = ("service",)
    NEED_REASON = frozenset({"incident_id", "service_id"})

    incident = models.ForeignKey(Incident, models.PROTECT, related_name="affected_services")
    service = models.ForeignKey(Service, models.PROTECT, related_name="+", verbose_name=_("service"))

    objects = AuditedQuerySet["AffectedService"].as_manager()
    history = AuditedRecords()

    class Meta:
        verbose_name = _("affected service")
        verbose_name_plural = _("affected services")
        constraints = (models.UniqueConstraint(fields=("incident", "service"), name="affected_service_once"),)

    def __str__(self) -> str:
        return str(self.service)


class AffectedAgreementQuerySet(AuditedQuerySet["AffectedAgreement"]):
    def included(self) -> AffectedAgreementQuerySet:
        """Those that owe something here: all that were found and that nobody has excluded."""
        return self.filter(excluded_at__isnull=True)


class AffectedAgreement(AuditedModel):
    """That an incident falls under an agreement, and why it was found to; or why somebody excluded it."""

    PART_OF = "incident"
    IS_KEPT = False  # one that does not apply after all is taken out
    NAMED_WITH = ("agreement",)
    CLIENT_PATH = "agreement__client"
    NEED_REASON = frozenset({"incident_id", "agreement_id", "excluded_at", "exclusion_reason"})

    incident = models.ForeignKey(Incident, models.PROTECT, related_name="affected_agreements")
    agreement = models.ForeignKey(ServiceAgreement, models.PROTECT, related_name="+", verbose_name=_("agreement"))
    why = models.CharField(_("why"), max_length=500)
    excluded_at = models.DateTimeField(_("excluded at"), null=True, blank=True)
    exclusion_reason = models.CharField(_("why it is excluded"), max_length=1000, blank=True)

    objects = AffectedAgreementQuerySet.as_manager()
    history = AuditedRecords()

    class Meta:
        verbose_name = _("affected agreement")
        verbose_name_plural = _("affected agreements")
        constraints = (
            models.UniqueConstraint(fields=("incident", "agreement"), name="affected_agreement_once"),
            models.CheckConstraint(
                condition=Q(excluded_at__isnull=True, exclusion_reason="")
                | (Q(excluded_at__isnull=False) & ~Q(exclusion_reason="")),
                name="affected_agreement_excluded_for_a_reason",
            ),
        )

    def __str__(self) -> str:
        return str(self.agreement)

    @property
    def is_excluded(self) -> bool:
        return self.excluded_at is not None


class ResponderRole(models.TextChoices):
    COMMANDER = "commander", _("Commander")
    COMMUNICATIONS = "communications", _("Communications")
    EXPERT = "expert", _("Subject expert")


class Responder(AuditedModel):
    """A colleague who works on the incident."""

    PART_OF = "incident"
    NAMED_WITH = ("user",)

    incident = models.ForeignKey(Incident, models.PROTECT, related_name="responders")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("colleague"))
    role = models.CharField(_("role"), max_length=20, choices=ResponderRole.choices, default=ResponderRole.EXPERT)

    objects = AuditedQuerySet["Responder"].as_manager()
    history = AuditedRecords()

    class Meta:
        verbose_name = _("responder")
        verbose_name_plural = _("responders")
        constraints = (models.UniqueConstraint(fields=("incident", "user", "role"), name="responder_once_per_role"),)

    def __str__(self) -> str:
        return f"{self.user} ({self.get_role_display()})"


class TimelineEntry(AuditedModel):
    """What happened when, and when that was typed in."""

    PART_OF = "incident"
    NAMES_CLIENTS_IN = ("text",)
    TELLS = "text"
    PERSONAL = ("author_name",)  # of a client's contact, where they acknowledged something
    NEED_REASON = frozenset({"incident_id", "text", "happened_at", "typed_at", "author_name"})

    incident = models.ForeignKey(Incident, models.PROTECT, related_name="timeline")
    text = ProseField(_("what happened"), max_length=5_000)
    happened_at = models.DateTimeField(_("when it happened"))
    typed_at = models.DateTimeField(_("typed in at"), editable=False)
    is_client_visible = models.BooleanField(_("visible to clients"), default=False)
    author_name = models.CharField(_("by"), max_length=200, editable=False)
    is_note = models.BooleanField(
        _("note"), default=False, editable=False, help_text=_("Typed by a person; the others are written by verbs.")
    )

    objects = AuditedQuerySet["TimelineEntry"].as_manager()
    history = AuditedRecords()

    class Meta:
        verbose_name = _("timeline entry")
        verbose_name_plural = _("timeline entries")
        ordering = ("-happened_at", "-pk")

    def __str__(self) -> str:
        return self.text[:80]
