"""A deadline: one commitment started by one incident, with its terms copied."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypedDict

from django.db import models
from django.db.models import Case, Q, Value, When
from django.utils.translation import gettext_lazy as _

from agreements import explanation
from agreements.models import Client, Commitment, Obligation, ServiceAgreement, Severity, StartEvent
from agreements.terms import AgreedTerms, Moment
from config import times
from config.history import AddedOnly, AuditedModel, AuditedRecords
from config.search import FoundByWords, either
from incidents.models.incident import Incident, Responder


class TermsCopy(AddedOnly):
    """Terms and calendar as they read when a deadline started. Never edited; deadlines with equal terms share one."""

    IS_SEALED = False  # its key is the digest of its content (incidents/proof.py)

    digest = models.CharField(max_length=64, primary_key=True)
    content = models.JSONField()

    def __str__(self) -> str:
        return self.digest[:12]

    @classmethod
    def of(cls, terms: AgreedTerms) -> TermsCopy:
        """The one copy of these terms, made if it is the first."""
        copy, _is_new = cls.objects.get_or_create(digest=terms.digest(), defaults={"content": terms.to_json()})
        return copy


_KEPT = 4096  # terms kept in memory by one process
_kept: dict[str, AgreedTerms] = {}


def read_terms(digests: Iterable[str]) -> None:
    """Read the terms of many deadlines in one query; they never change, so each is read once per process."""
    missing = set(digests) - _kept.keys()
    if not missing:
        return
    if len(_kept) + len(missing) > _KEPT:
        _kept.clear()
    for copy in TermsCopy.objects.filter(digest__in=missing):
        _kept[copy.digest] = AgreedTerms.from_json(copy.content)


class Standing(models.TextChoices):
    """How a deadline stands at an instant: computed, never stored."""

    WAITING = "waiting", _("Waiting")
    PAUSED = "paused", _("Paused")
    RUNNING = "running", _("Running")
    AT_RISK = "at_risk", _("At risk")
    MISSED = "missed", _("Missed")
    MET = "met", _("Met")
    ENDED = "ended", _("No longer owed")


if TYPE_CHECKING:
    from django_stubs_ext import WithAnnotations

    from config.models import User

    class StandingNow(TypedDict):
        standing_now: str


class DeadlineQuerySet(FoundByWords["Deadline"]):
    def found_by(self, word: str, reader: Any = None) -> Q:
        """In its incident's reference or title, or in the name of its client."""
        incidents = Incident.objects.filter(Incident.objects.all().worded(word))
        clients = Client.objects.all().pks_by(word, reader)
        return either(
            Deadline.objects.filter(incident__in=incidents.order_by()), Deadline.objects.filter(client__in=clients)
        )

    def open(self) -> DeadlineQuerySet:
        """Still owed: neither met nor ended."""
        return self.filter(met_at__isnull=True, ended_at__isnull=True)

    def endangered(self, now: dt.datetime) -> models.QuerySet[WithAnnotations[Deadline, StandingNow]]:
        """Still owed, and at risk or missed."""
        return self.open().with_standing(now).filter(standing_now__in=(Standing.AT_RISK, Standing.MISSED))

    def of(self, user: User) -> DeadlineQuerySet:
        """Of the incidents that they respond to, and of the agreements that they answer for."""
        incidents = Responder.objects.filter(user=user).order_by().values("incident")
        return self.filter(Q(incident__in=incidents) | Q(agreement__owner=user))

    def due_for_action(self, now: dt.datetime) -> DeadlineQuerySet:
        """Those with a moment that has come, nearest contractual due time first."""
        return self.filter(next_action_at__lte=now).order_by("next_action_at", "pk")

    def next_action_by(self, instant: dt.datetime) -> dt.datetime | None:
        """When the next moment comes, if that is by then."""
        return self.due_for_action(instant).values_list("next_action_at", flat=True).first()

    def with_standing(self, now: dt.datetime) -> models.QuerySet[WithAnnotations[Deadline, StandingNow]]:
        """Adds `standing_now`; says in SQL what Deadline.standing says in Python."""
        done = models.functions.Coalesce(
            "met_at", "ended_at", "paused_at", Value(now, output_field=models.DateTimeField())
        )
        return self.annotate(  # type: ignore[return-value]  # the plugin names the same annotation anew
            standing_now=Case(
                When(due_at__lt=done, then=Value(Standing.MISSED)),
                When(met_at__isnull=False, then=Value(Standing.MET)),
                When(ended_at__isnull=False, then=Value(Standing.ENDED)),
                When(started_at__isnull=True, then=Value(Standing.WAITING)),
                When(paused_at__isnull=False, then=Value(Standing.PAUSED)),
                When(at_risk_at__lte=now, then=Value(Standing.AT_RISK)),
                default=Value(Standing.RUNNING),
                output_field=models.CharField(),
            )
        )

    def standing(self, standing: str, now: dt.datetime) -> DeadlineQuerySet:
        """Those that stand so. The plain condition says nothing more than the computed one; an index can serve it."""
        plain = {
            Standing.MET: Q(met_at__isnull=False),
            Standing.ENDED: Q(ended_at__isnull=False),
            Standing.MISSED: Q(due_at__lt=now),
            Standing.AT_RISK: Q(met_at__isnull=True, ended_at__isnull=True, at_risk_at__lte=now),
        }.get(Standing(standing), Q(met_at__isnull=True, ended_at__isnull=True))
        return self.with_standing(now).filter(plain, standing_now=standing)  # type: ignore[return-value]


class Deadline(AuditedModel):
    """What one commitment asks because of one incident.

    Lifecycle: waiting for its start event (`started_at` empty) → running → met, or ended with a reason. `due_at` is
    empty for a duty without a number. Recomputing from `terms_copy` and `started_at` always gives the stored values.
    """

    PART_OF = "incident"
    NAMED_WITH = ("incident", "commitment", "client")
    CLIENT_PATH = "client"

    SILENT_FIELDS = frozenset({"next_action_at", "raised_until"})
    NEED_REASON = frozenset(
        {
            "incident_id",
            "commitment_id",
            "agreement_id",
            "client_id",
            "obligation",
            "severity",
            "begins_at",
            "terms_copy_id",
            "started_at",
            "due_at",
            "target_at",
            "met_at",
            "ended_at",
            "end_reason",
        }
    )
    MAY_BE_FILLED = frozenset({"begins_at", "started_at", "due_at", "target_at", "met_at"})

    incident = models.ForeignKey(Incident, models.PROTECT, related_name="deadlines", verbose_name=_("incident"))
    commitment = models.ForeignKey(Commitment, models.PROTECT, related_name="+", verbose_name=_("commitment"))
    agreement = models.ForeignKey(ServiceAgreement, models.PROTECT, related_name="+", verbose_name=_("agreement"))
    client = models.ForeignKey(Client, models.PROTECT, related_name="deadlines", verbose_name=_("client"))
    obligation = models.CharField(_("obligation"), max_length=12, choices=Obligation.choices)
    severity = models.CharField(_("severity"), max_length=10, choices=Severity.choices)
    start_event = models.CharField(_("counted from"), max_length=12)
    cycle = models.PositiveIntegerField(
        _("cycle"), default=1, help_text=_("Rises with every repetition and every reopening.")
    )
    begins_at = models.DateTimeField(
        _("cycle begins at"),
        null=True,
        blank=True,
        help_text=_("Set where a cycle does not begin with the start event."),
    )
    follows = models.ForeignKey(
        "self",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="followers",
        verbose_name=_("begins when this is met"),
    )
    terms_copy = models.ForeignKey(TermsCopy, models.PROTECT, related_name="+", verbose_name=_("terms"))
    iana_version = models.CharField(_("time zone rules"), max_length=10)

    started_at = models.DateTimeField(_("started at"), null=True, blank=True)
    due_at = models.DateTimeField(_("due at"), null=True, blank=True)
    at_risk_at = models.DateTimeField(_("at risk from"), null=True, blank=True)
    target_at = models.DateTimeField(
        _("our own target"), null=True, blank=True, help_text=_("For a duty without a number; no part of the contract.")
    )
    paused_at = models.DateTimeField(_("paused since"), null=True, blank=True)
    met_at = models.DateTimeField(_("met at"), null=True, blank=True)
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True)
    end_reason = models.CharField(_("why it ended"), max_length=300, blank=True)

    revision = models.PositiveIntegerField(_("revision"), default=1, help_text=_("Rises whenever the due time moves."))
    moments = models.JSONField(_("moments"), default=list)
    raised_until = models.DateTimeField(
        null=True, blank=True, editable=False, help_text=_("Moments up to here have made their notices.")
    )
    next_action_at = models.DateTimeField(_("next action at"), null=True, blank=True, editable=False)

    objects = DeadlineQuerySet.as_manager()
    history = AuditedRecords(excluded_fields=["next_action_at", "raised_until"])

    class Meta:
        verbose_name = _("deadline")
        verbose_name_plural = _("deadlines")
        ordering = ("due_at", "pk")
        constraints = (
            models.UniqueConstraint(fields=("incident", "commitment", "cycle"), name="deadline_once_per_cycle"),
            models.CheckConstraint(
                condition=Q(due_at__isnull=True) | Q(started_at__isnull=False), name="deadline_due_needs_start"
            ),
            models.CheckConstraint(
                condition=Q(met_at__isnull=True) | Q(ended_at__isnull=True), name="deadline_met_or_ended"
            ),
            models.CheckConstraint(
                condition=Q(next_action_at__isnull=True) | Q(met_at__isnull=True, ended_at__isnull=True),
                name="deadline_done_needs_no_action",
            ),
        )
        indexes = (
            # notices.raise_due, every second: stays as small as what is open, however many are done
            models.Index(
                fields=("next_action_at",), name="deadline_next_action", condition=Q(next_action_at__isnull=False)
            ),
            # the board: open deadlines by due time
            models.Index(
                fields=("due_at",), name="deadline_open", condition=Q(met_at__isnull=True, ended_at__isnull=True)
            ),
            # the board's count of what was missed today, and the list by due day: of all, however many are done
            models.Index(fields=("due_at",), name="deadline_due"),
            # the board's count of what is at risk
            models.Index(
                fields=("at_risk_at",), name="deadline_at_risk", condition=Q(met_at__isnull=True, ended_at__isnull=True)
            ),
        )

    def __str__(self) -> str:
        return f"{self.incident.reference}: {self.commitment.in_words()} ({self.client})"

    @property
    def is_open(self) -> bool:
        return self.met_at is None and self.ended_at is None

    @property
    def terms(self) -> AgreedTerms:
        read_terms([self.terms_copy_id])
        return _kept[self.terms_copy_id]

    @property
    def terms_in_words(self) -> str:
        """The copied terms, which a later edit of the agreement does not move: "within 4 hours of detection"."""
        return self.terms.in_words(self.start_event)

    @staticmethod
    def start_event_in_words(value: str) -> str:
        """For the trail, as the next: what a row of it holds in this field."""
        return str(StartEvent(value).label)

    @staticmethod
    def moments_in_words(value: list[dict[str, Any]]) -> str:
        moments = [Moment.from_json(data) for data in value]
        return "; ".join(f"{explanation.MOMENTS[moment.kind]} {times.for_reader(moment.at)}" for moment in moments)

    def planned_moments(self) -> list[Moment]:
        return [Moment.from_json(data) for data in self.moments]

    def was_raised(self, moment: Moment) -> bool:
        return self.raised_until is not None and moment.at <= self.raised_until

    def standing(self, now: dt.datetime) -> Standing:
        """Met at the due instant is met; one second later is missed, and stays missed."""
        if self.due_at is not None and self.due_at < (self.met_at or self.ended_at or self.paused_at or now):
            return Standing.MISSED
        if self.met_at is not None:
            return Standing.MET
        if self.ended_at is not None:
            return Standing.ENDED
        if self.started_at is None:
            return Standing.WAITING
        if self.paused_at is not None:
            return Standing.PAUSED
        if self.at_risk_at is not None and self.at_risk_at <= now:
            return Standing.AT_RISK
        return Standing.RUNNING

    def standing_in_words(self, at: dt.datetime) -> str:
        return str(self.standing(at).label)
