"""One term of an agreement: for this severity, this obligation, within this allowance, from this start event."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from agreements import clock
from agreements.models.agreement import ServiceAgreement
from config.fields import LineField
from config.history import AuditedModel, AuditedQuerySet, AuditedRecords


class Severity(models.TextChoices):
    CRITICAL = "critical", _("Critical")
    HIGH = "high", _("High")
    MEDIUM = "medium", _("Medium")
    LOW = "low", _("Low")


class Obligation(models.TextChoices):
    """What is owed."""

    ACKNOWLEDGE = "acknowledge", _("Acknowledge")
    NOTIFY = "notify", _("Notify the client")
    UPDATE = "update", _("Update the client")
    MITIGATE = "mitigate", _("Mitigate")
    RESOLVE = "resolve", _("Resolve")
    REPORT = "report", _("Report")


class StartEvent(models.TextChoices):
    """From what moment the allowance runs. Each value but the last names a field of the incident: `<value>_at`."""

    OCCURRED = "occurred", _("when it happened")
    DETECTED = "detected", _("detection")
    AWARE = "aware", _("when we became aware")
    CLASSIFIED = "classified", _("classification")
    ACKNOWLEDGED = "acknowledged", _("acknowledgement")
    RESOLVED = "resolved", _("resolution")
    COMMITMENT = "commitment", _("another commitment being met")


#: The start events that are instants of the incident itself.
INCIDENT_EVENTS = tuple(event for event in StartEvent if event != StartEvent.COMMITMENT)
#: From what an overall limit may be counted: events that happen once and that no verb moves on.
LIMIT_EVENTS = (StartEvent.OCCURRED, StartEvent.DETECTED, StartEvent.AWARE)


class Unit(models.TextChoices):
    """How the allowance is counted; the values are those of the contract clock."""

    MINUTES = clock.Unit.MINUTES.value, _("minutes")
    HOURS = clock.Unit.HOURS.value, _("hours")
    BUSINESS_MINUTES = clock.Unit.BUSINESS_MINUTES.value, _("business minutes")
    BUSINESS_HOURS = clock.Unit.BUSINESS_HOURS.value, _("business hours")
    CALENDAR_DAYS = clock.Unit.CALENDAR_DAYS.value, _("calendar days")
    BUSINESS_DAYS = clock.Unit.BUSINESS_DAYS.value, _("business days")
    MONTHS = clock.Unit.MONTHS.value, _("months")


class Roll(models.TextChoices):
    """What happens when the due time falls on a day without an opening."""

    NONE = clock.Roll.NONE.value, _("stays where it is")
    NEXT_BUSINESS_DAY = clock.Roll.NEXT_BUSINESS_DAY.value, _("moves to the next business day")
    NEXT_BUSINESS_DAY_AT = clock.Roll.NEXT_BUSINESS_DAY_AT.value, _("moves to a time on the next business day")


class DayEnd(models.TextChoices):
    CLOSE_OF_BUSINESS = clock.DayEnd.CLOSE_OF_BUSINESS.value, _("at close of business")
    END_OF_DAY = clock.DayEnd.END_OF_DAY.value, _("at the end of the day")


#: An obligation that would begin only once it is done.
_STARTS_TOO_LATE: Mapping[str, frozenset[str]] = {
    Obligation.ACKNOWLEDGE: frozenset({StartEvent.ACKNOWLEDGED, StartEvent.RESOLVED}),
    Obligation.UPDATE: frozenset({StartEvent.RESOLVED}),
    Obligation.MITIGATE: frozenset({StartEvent.RESOLVED}),
    Obligation.RESOLVE: frozenset({StartEvent.RESOLVED}),
}


class CommitmentQuerySet(AuditedQuerySet["Commitment"]):
    def of(self, agreements: Iterable[ServiceAgreement]) -> CommitmentQuerySet:
        """Those of these agreements, with all that telling them needs, in a fixed number of queries."""
        found = self.filter(agreement__in=agreements)
        return found.select_related("follows").prefetch_related("warning_points")


class Commitment(AuditedModel):
    """One term of an agreement. Without an amount it is a duty without a number ("as quickly as possible")."""

    PART_OF = "agreement"
    IS_KEPT = False
    NAMED_WITH = ("follows",)
    NEED_REASON = frozenset(
        {
            "agreement_id",
            "severity",
            "obligation",
            "label",
            "clause_number",
            "amount",
            "unit",
            "day_end",
            "start_event",
            "follows_id",
            "roll",
            "roll_at",
            "cap_amount",
            "cap_unit",
            "cap_event",
            "is_pausable",
            "target_amount",
            "target_unit",
            "is_recurring",
            "sends_holding_notice",
            "holding_percent",
        }
    )

    agreement = models.ForeignKey(
        ServiceAgreement, models.CASCADE, related_name="commitments", verbose_name=_("service agreement")
    )
    severity = models.CharField(_("severity"), max_length=10, choices=Severity.choices)
    obligation = models.CharField(_("obligation"), max_length=12, choices=Obligation.choices)
    label = LineField(
        _("label"),
        max_length=60,
        blank=True,
        help_text=_("Only where one agreement owes the same thing twice, for example “first notice”."),
    )
    clause_number = LineField(_("clause number"), max_length=20, blank=True, help_text=_("For example 7.2."))
    amount = models.PositiveIntegerField(
        _("allowance"),
        null=True,
        blank=True,
        validators=[
            MinValueValidator(1, _("An allowance must be more than zero. Leave it empty if the clause has no number."))
        ],
        help_text=_("The contract's number. Leave empty where it has none, as in “as quickly as possible”."),
    )
    unit = models.CharField(_("unit"), max_length=20, choices=Unit.choices, default=Unit.HOURS)
    day_end = models.CharField(
        _("day ends"),
        max_length=20,
        choices=DayEnd.choices,
        default=DayEnd.END_OF_DAY,
        help_text=_("For allowances in days or months: when the last day is over."),
    )
    start_event = models.CharField(
        _("counted from"), max_length=12, choices=StartEvent.choices, default=StartEvent.DETECTED
    )
    follows = models.ForeignKey(
        "self",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="followers",
        verbose_name=_("which commitment"),
        help_text=_("Where it is counted from another commitment being met: the one that must be met first."),
    )
    roll = models.CharField(
        _("on a day without opening"),
        max_length=24,
        choices=Roll.choices,
        default=Roll.NONE,
        help_text=_("Where the clause moves a deadline that falls on a weekend or a holiday."),
    )
    roll_at = models.TimeField(
        _("at what time"), null=True, blank=True, help_text=_("In the calendar's zone, for example 12:00.")
    )
    cap_amount = models.PositiveIntegerField(
        _("but at most"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text=_("An overall limit from a second event: the earlier of the two holds."),
    )
    cap_unit = models.CharField(_("unit of the limit"), max_length=20, choices=Unit.choices, blank=True)
    cap_event = models.CharField(
        _("limit counted from"), max_length=12, choices=[(e.value, e.label) for e in LIMIT_EVENTS], blank=True
    )
    is_pausable = models.BooleanField(
        _("can be paused"),
        default=False,
        help_text=_("Only where the clause stops the clock, for example while the client is asked something."),
    )
    target_amount = models.PositiveIntegerField(
        _("our own target"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text=_("For a duty without a number: what we ask of ourselves. It is not part of the contract."),
    )
    target_unit = models.CharField(_("unit of the target"), max_length=20, choices=Unit.choices, blank=True)
    is_recurring = models.BooleanField(
        _("repeats"),
        default=False,
        help_text=_("For updates: owed again after each one, until the incident is resolved."),
    )
    sends_holding_notice = models.BooleanField(
        _("sends a holding notice"),
        default=False,
        help_text=_("If nobody has notified the client by then, a holding notice goes out by itself."),
    )
    holding_percent = models.PositiveSmallIntegerField(
        _("holding notice at (%)"),
        default=90,
        validators=[MinValueValidator(1), MaxValueValidator(99)],
        help_text=_("Share of the allowance after which the holding notice goes out."),
    )

    objects = CommitmentQuerySet.as_manager()
    history = AuditedRecords()

    class Meta:
        verbose_name = _("commitment")
        verbose_name_plural = _("commitments")
        ordering = ("agreement", "severity", "obligation", "label")
        constraints = (
            models.UniqueConstraint(
                fields=("agreement", "severity", "obligation", "label"),
                name="commitment_once",
                violation_error_message=_(
                    "This agreement already owes that for that severity. Give each a label to tell them apart."
                ),
            ),
            models.CheckConstraint(
                condition=Q(amount__isnull=True) | Q(amount__gt=0), name="commitment_allowance_positive"
            ),
            models.CheckConstraint(
                condition=Q(is_recurring=False) | Q(obligation=Obligation.UPDATE, amount__isnull=False),
                name="commitment_only_updates_recur",
                violation_error_message=_("Only updates can repeat, and they need an allowance to repeat after."),
            ),
            models.CheckConstraint(
                condition=Q(sends_holding_notice=False) | Q(obligation=Obligation.NOTIFY, amount__isnull=False),
                name="commitment_only_notify_holds",
                violation_error_message=_(
                    "Only “Notify the client” with an allowance can send a holding notice by itself."
                ),
            ),
            models.CheckConstraint(
                condition=Q(start_event=StartEvent.COMMITMENT, follows__isnull=False)
                | (~Q(start_event=StartEvent.COMMITMENT) & Q(follows__isnull=True)),
                name="commitment_follows_what_it_names",
                violation_error_message=_(
                    "Name the commitment to follow, and only where it is counted from another commitment being met."
                ),
            ),
            models.CheckConstraint(
                condition=Q(roll=Roll.NEXT_BUSINESS_DAY_AT, roll_at__isnull=False)
                | (~Q(roll=Roll.NEXT_BUSINESS_DAY_AT) & Q(roll_at__isnull=True)),
                name="commitment_roll_time",
                violation_error_message=_("Give the time on the next business day, and only where it moves to one."),
            ),
            models.CheckConstraint(
                condition=Q(cap_amount__isnull=True, cap_unit="", cap_event="")
                | (
                    Q(cap_amount__isnull=False, cap_amount__gt=0, amount__isnull=False)
                    & ~Q(cap_unit="")
                    & ~Q(cap_event="")
                ),
                name="commitment_cap_is_whole",
                violation_error_message=_(
                    "An overall limit needs its amount, its unit, the event it is counted from, and an allowance."
                ),
            ),
            models.CheckConstraint(
                condition=Q(target_amount__isnull=True, target_unit="")
                | (Q(target_amount__isnull=False, target_amount__gt=0, amount__isnull=True) & ~Q(target_unit="")),
                name="commitment_target_without_number",
                violation_error_message=_(
                    "A target of our own needs an amount and a unit, and is only for a duty without a number."
                ),
            ),
            models.CheckConstraint(
                condition=Q(holding_percent__gte=1, holding_percent__lte=99), name="commitment_holding_percent"
            ),
        )

    def __str__(self) -> str:
        return f"{self.get_severity_display()}: {self.in_words()}"

    def clean(self) -> None:
        if self.start_event in _STARTS_TOO_LATE.get(self.obligation, ()):
            raise ValidationError(
                {"start_event": _("This obligation would begin only once it is done. Choose an earlier start event.")}
            )
        self._refuse_a_chain_that_cannot_run()
        try:
            self.as_clock_terms()
            self.as_clock_target()
        except clock.ClockError as error:
            raise ValidationError({"amount": ValidationError(_(error.sentence), params=error.values)}) from error
        except ValueError:  # a unit that clean_fields has already complained about
            return

    def _refuse_a_chain_that_cannot_run(self) -> None:
        """A chain stays within one agreement and severity, and may not come back to where it began."""
        earlier = self.follows
        if earlier is None:
            return
        if (earlier.agreement_id, earlier.severity) != (self.agreement_id, self.severity):
            raise ValidationError({"follows": _("Choose a commitment of the same agreement and severity.")})
        seen = {self.pk} - {None}
        while earlier is not None:
            if earlier.pk in seen:
                raise ValidationError(
                    {"follows": _("These commitments would wait for each other, and none could ever begin.")}
                )
            seen.add(earlier.pk)
            earlier = earlier.follows

    def as_clock_terms(self) -> clock.Terms:
        """The terms as the contract clock reads them; ValueError where they make no sense."""
        return clock.Terms(
            allowance=_allowance(self.amount, self.unit),
            day_end=clock.DayEnd(self.day_end),
            roll=clock.Roll(self.roll),
            roll_at=self.roll_at,
            cap=_allowance(self.cap_amount, self.cap_unit),
        )

    def as_clock_target(self) -> clock.Terms | None:
        """Our own target for a duty without a number."""
        target = _allowance(self.target_amount, self.target_unit)
        return clock.Terms(allowance=target) if target else None

    def name_in_words(self) -> str:
        """What is owed: "Notify the client (72-hour notification)"."""
        return f"{self.get_obligation_display()} ({self.label})" if self.label else self.get_obligation_display()

    def allowance_in_words(self) -> str:
        """As the contract says it: "4 hours", "1 business day", or "as quickly as possible"."""
        if self.amount is None:
            return str(_("as quickly as possible"))
        return allowance_in_words(self.amount, self.unit)

    def in_words(self) -> str:
        """The commitment in one line: "Notify the client within 4 hours of detection"."""
        what = self.name_in_words()
        if self.amount is None:
            return _("%(what)s as quickly as possible") % {"what": what}
        if self.is_recurring:
            return _("%(what)s every %(allowance)s") % {"what": what, "allowance": self.allowance_in_words()}
        return _("%(what)s within %(allowance)s of %(event)s") % {
            "what": what,
            "allowance": self.allowance_in_words(),
            "event": event_in_words(self.start_event, self.follows.name_in_words() if self.follows else ""),
        }


def event_in_words(start_event: str, follows: str = "") -> str:
    """`detection`, or `“Notify the client” being met` where another commitment starts the clock."""
    if start_event == StartEvent.COMMITMENT:
        return _("“%(follows)s” being met") % {"follows": _translated_name(follows)}
    return str(StartEvent(start_event).label)


def _translated_name(name: str) -> str:
    """`Commitment.name_in_words` as it was copied, in the active language; a label stays as somebody typed it."""
    obligation, bracket, label = name.partition(" (")
    return gettext(obligation) + bracket + label if obligation else ""


def _allowance(amount: int | None, unit: str) -> clock.Allowance | None:
    """None where there is no number, or no unit yet: the constraints say what is missing."""
    return clock.Allowance(amount, clock.Unit(unit)) if amount is not None and unit else None


def allowance_in_words(amount: int, unit: str) -> str:
    match Unit(unit):
        case Unit.MINUTES:
            words = ngettext("%d minute", "%d minutes", amount)
        case Unit.HOURS:
            words = ngettext("%d hour", "%d hours", amount)
        case Unit.BUSINESS_MINUTES:
            words = ngettext("%d business minute", "%d business minutes", amount)
        case Unit.BUSINESS_HOURS:
            words = ngettext("%d business hour", "%d business hours", amount)
        case Unit.CALENDAR_DAYS:
            words = ngettext("%d calendar day", "%d calendar days", amount)
        case Unit.BUSINESS_DAYS:
            words = ngettext("%d business day", "%d business days", amount)
        case Unit.MONTHS:
            words = ngettext("%d month", "%d months", amount)
    return words % amount


class WarningPoint(AuditedModel):
    """A moment before the deadline at which somebody is warned: a share of the allowance, or a time before its end."""

    PART_OF = "commitment"
    IS_KEPT = False
    NEED_REASON = frozenset(
        {"commitment_id", "percent", "minutes_before", "has_contacts", "has_responders", "has_owner", "has_managers"}
    )

    commitment = models.ForeignKey(
        Commitment, models.CASCADE, related_name="warning_points", verbose_name=_("commitment")
    )
    percent = models.PositiveSmallIntegerField(
        _("share of the allowance (%)"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(99)],
    )
    minutes_before = models.PositiveIntegerField(
        _("or minutes before its end"), null=True, blank=True, validators=[MinValueValidator(1)]
    )
    has_contacts = models.BooleanField(_("client's contacts"), default=True)
    has_responders = models.BooleanField(_("responders"), default=True)
    has_owner = models.BooleanField(_("agreement's owner"), default=False)
    has_managers = models.BooleanField(_("managers"), default=False)

    objects = AuditedQuerySet["WarningPoint"].as_manager()
    history = AuditedRecords()

    class Meta:
        verbose_name = _("warning point")
        verbose_name_plural = _("warning points")
        ordering = ("percent", "-minutes_before")
        constraints = (
            models.CheckConstraint(
                condition=Q(percent__isnull=False, minutes_before__isnull=True)
                | Q(percent__isnull=True, minutes_before__isnull=False),
                name="warning_point_one_measure",
                violation_error_message=_("Give either a share of the allowance or minutes before its end, not both."),
            ),
            models.CheckConstraint(
                condition=Q(percent__isnull=True) | Q(percent__gte=1, percent__lte=99), name="warning_point_percent"
            ),
            models.CheckConstraint(
                condition=Q(minutes_before__isnull=True) | Q(minutes_before__gte=1), name="warning_point_minutes"
            ),
            models.CheckConstraint(
                condition=Q(has_contacts=True) | Q(has_responders=True) | Q(has_owner=True) | Q(has_managers=True),
                name="warning_point_has_an_audience",
                violation_error_message=_("Choose at least one audience for the warning."),
            ),
        )

    def __str__(self) -> str:
        if self.percent is not None:
            return _("at %(percent)s %% of the allowance") % {"percent": self.percent}
        return _("%(minutes)s minutes before it is due") % {"minutes": self.minutes_before}

    def clean(self) -> None:
        commitment = self.commitment
        if commitment.amount is None:
            raise ValidationError(
                _("A duty without a number has no end to warn before. Give the commitment an allowance.")
            )
        exact = {Unit.MINUTES: 1, Unit.BUSINESS_MINUTES: 1, Unit.HOURS: 60, Unit.BUSINESS_HOURS: 60}
        per_unit = exact.get(Unit(commitment.unit))
        if self.minutes_before and per_unit and self.minutes_before >= commitment.amount * per_unit:
            raise ValidationError(
                {"minutes_before": _("This is not before the end but before the start. Choose fewer minutes.")}
            )
