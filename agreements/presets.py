"""Ready-made clauses: a person picks one, sees what it says, and edits the commitments that it made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from django.core.exceptions import ValidationError
from django.utils.functional import Promise
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from agreements.models import Commitment, Obligation, ServiceAgreement, Severity, StartEvent, WarningPoint
from agreements.models.commitment import DayEnd, Unit

SEED_CLAUSE = (
    "The Service Provider shall maintain a process to identify, respond to and resolve incidents that affect the "
    "services. The Service Provider shall notify the Client of any critical incidents within {hours} hours and work "
    "to resolve the issue as quickly as possible."
)


@dataclass(frozen=True)
class Duty:
    """One commitment of a preset; amount None is a duty without a number."""

    severity: Severity
    obligation: Obligation
    amount: int | None = None
    unit: Unit = Unit.HOURS
    start_event: StartEvent = StartEvent.DETECTED
    day_end: DayEnd = DayEnd.END_OF_DAY


@dataclass(frozen=True)
class Preset:
    """A named set of duties. `asks_hours`: the notice allowance is for the person to fill in, as in “[X] hours”."""

    key: str
    name: str | Promise
    description: str | Promise
    duties: Sequence[Duty] = field(default_factory=tuple)
    asks_hours: bool = False


_C, _H, _M, _L = Severity.CRITICAL, Severity.HIGH, Severity.MEDIUM, Severity.LOW
_O = Obligation

PRESETS: Mapping[str, Preset] = {
    preset.key: preset
    for preset in (
        Preset(
            key="notify_within_hours",
            name=_("Notify within [X] hours"),
            description=_(
                "Notify the client of any critical incident within the hours you enter, counted round the clock from "
                "detection; resolve it as quickly as possible."
            ),
            duties=(Duty(_C, _O.NOTIFY), Duty(_C, _O.RESOLVE)),
            asks_hours=True,
        ),
        Preset(
            key="critical_support_24x7",
            name=_("24×7 critical support"),
            description=_(
                "Critical: acknowledge in 15 minutes, notify in 1 hour, update every hour, mitigate in 2 and "
                "resolve in 4 hours, report within 5 business days. High: acknowledge in 30 minutes, notify in "
                "4 hours, resolve in 8 hours. All counted round the clock."
            ),
            duties=(
                Duty(_C, _O.ACKNOWLEDGE, 15, Unit.MINUTES),
                Duty(_C, _O.NOTIFY, 1),
                Duty(_C, _O.UPDATE, 60, Unit.MINUTES),
                Duty(_C, _O.MITIGATE, 2),
                Duty(_C, _O.RESOLVE, 4),
                Duty(_C, _O.REPORT, 5, Unit.BUSINESS_DAYS, StartEvent.RESOLVED, DayEnd.CLOSE_OF_BUSINESS),
                Duty(_H, _O.ACKNOWLEDGE, 30, Unit.MINUTES),
                Duty(_H, _O.NOTIFY, 4),
                Duty(_H, _O.RESOLVE, 8),
            ),
        ),
        Preset(
            key="office_hours_support",
            name=_("Office hours support"),
            description=_(
                "Counted in the calendar's business hours. Critical: acknowledge in 1, notify in 3, resolve in 8. "
                "High: acknowledge in 2, notify in 8, resolve in 16. Medium: acknowledge in 4, resolve in 40. "
                "Low: acknowledge in 8."
            ),
            duties=(
                Duty(_C, _O.ACKNOWLEDGE, 1, Unit.BUSINESS_HOURS),
                Duty(_C, _O.NOTIFY, 3, Unit.BUSINESS_HOURS),
                Duty(_C, _O.RESOLVE, 8, Unit.BUSINESS_HOURS),
                Duty(_H, _O.ACKNOWLEDGE, 2, Unit.BUSINESS_HOURS),
                Duty(_H, _O.NOTIFY, 8, Unit.BUSINESS_HOURS),
                Duty(_H, _O.RESOLVE, 16, Unit.BUSINESS_HOURS),
                Duty(_M, _O.ACKNOWLEDGE, 4, Unit.BUSINESS_HOURS),
                Duty(_M, _O.RESOLVE, 40, Unit.BUSINESS_HOURS),
                Duty(_L, _O.ACKNOWLEDGE, 8, Unit.BUSINESS_HOURS),
            ),
        ),
    )
}


def apply_preset(agreement: ServiceAgreement, key: str, *, hours: int | None = None) -> list[Commitment]:
    """Give the agreement the preset's commitments with the usual warning points; `hours` fills in “[X]”.

    Raises ValidationError where the agreement already has one of them or the hours are missing, KeyError for an
    unknown preset.
    """
    preset = PRESETS[key]
    if preset.asks_hours and hours is None:
        raise ValidationError({"hours": _now("Say within how many hours the client is to be notified.")})
    return [_make(agreement, duty, hours if preset.asks_hours else None) for duty in preset.duties]


def _make(agreement: ServiceAgreement, duty: Duty, hours: int | None) -> Commitment:
    is_notify = duty.obligation == Obligation.NOTIFY
    amount = hours if is_notify and hours is not None else duty.amount
    commitment = Commitment(
        agreement=agreement,
        severity=duty.severity,
        obligation=duty.obligation,
        amount=amount,
        unit=duty.unit,
        start_event=duty.start_event,
        day_end=duty.day_end,
        is_recurring=duty.obligation == Obligation.UPDATE,
        sends_holding_notice=is_notify and amount is not None,
    )
    commitment.full_clean()
    commitment.save()
    add_usual_warning_points(commitment)
    return commitment


def add_usual_warning_points(commitment: Commitment) -> None:
    """At half the allowance the client's contacts and the responders are warned, at 80 % the managers too.

    A client is not warned that an acknowledgement or an update is due: such a mail would say less than the act
    itself, and come as often.
    """
    if commitment.amount is None or commitment.warning_points.exists():
        return
    has_contacts = commitment.obligation not in (Obligation.ACKNOWLEDGE, Obligation.UPDATE)
    WarningPoint.objects.create(commitment=commitment, percent=50, has_contacts=has_contacts)
    WarningPoint.objects.create(
        commitment=commitment, percent=80, has_contacts=has_contacts, has_managers=True, has_owner=True
    )
