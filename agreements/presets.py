"""Ready-made clauses: a person picks one, sees what it says, and edits the commitments that it made.

Each names its source. They are a start for somebody who knows the contract and the law, not legal advice.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.functional import Promise
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from agreements.models import (
    Commitment,
    Obligation,
    ServiceAgreement,
    Severity,
    SeverityDefinition,
    StartEvent,
    WarningPoint,
)
from agreements.models.commitment import DayEnd, Roll, Unit

SEED_CLAUSE = (
    "The Service Provider shall maintain a process to identify, respond to and resolve incidents that affect the "
    "services. The Service Provider shall notify the Client of any critical incidents within {hours} hours and work "
    "to resolve the issue as quickly as possible."
)


class Basis(StrEnum):
    """Why it is owed."""

    CONTRACT = "contract"
    LAW = "law"
    """What is told to whom is a person's decision: no holding notice, and no warning to the client's contacts."""


@dataclass(frozen=True)
class Cap:
    """An overall limit, counted from an event of the incident."""

    amount: int
    unit: Unit
    event: StartEvent


@dataclass(frozen=True)
class Target:
    """Our own, for a duty without a number; no part of what is owed."""

    amount: int
    unit: Unit


@dataclass(frozen=True)
class Duty:
    """One commitment of a preset; amount None is a duty without a number.

    `follows` is the key of the duty of the same preset that must be met first: its being met is the start event.
    """

    severity: Severity
    obligation: Obligation
    amount: int | None = None
    unit: Unit = Unit.HOURS
    start_event: StartEvent = StartEvent.DETECTED
    day_end: DayEnd = DayEnd.END_OF_DAY
    key: str = ""
    label: str | Promise = ""
    clause_number: str = ""
    follows: str = ""
    roll: Roll = Roll.NONE
    roll_at: dt.time | None = None
    cap: Cap | None = None
    is_pausable: bool = False
    target: Target | None = None

    def __post_init__(self) -> None:
        if bool(self.follows) != (self.start_event == StartEvent.COMMITMENT):
            raise ValueError("A duty follows another exactly where it is counted from a commitment being met.")


@dataclass(frozen=True)
class Preset:
    """A named set of duties and where they are written.

    `definitions` say what each severity means, where the source says it. `asks_hours`: the notice allowance is for the
    person to fill in, as in “[X] hours”.
    """

    key: str
    name: str | Promise
    description: str | Promise
    source: str | Promise
    duties: Sequence[Duty] = field(default_factory=tuple)
    definitions: Mapping[Severity, str | Promise] = field(default_factory=dict)
    basis: Basis = Basis.CONTRACT
    asks_hours: bool = False

    def __post_init__(self) -> None:
        earlier: set[str] = {""}
        for duty in self.duties:
            if duty.follows not in earlier:
                raise ValueError(f"“{duty.follows}” is no earlier duty of the preset “{self.key}”.")
            earlier.add(duty.key)


_C, _H, _M, _L = Severity.CRITICAL, Severity.HIGH, Severity.MEDIUM, Severity.LOW
_O = Obligation
_NOON = dt.time(12)

_REPORT = Duty(_C, _O.REPORT, 5, Unit.BUSINESS_DAYS, StartEvent.RESOLVED, DayEnd.CLOSE_OF_BUSINESS)
_NOTIFY_BY_LAW = Duty(_C, _O.NOTIFY, start_event=StartEvent.AWARE)  # whoever must be told once we know

_MEANINGS: Mapping[Severity, str | Promise] = {
    _C: _("The service cannot be used, or data is lost or exposed, and there is no reasonable way around it."),
    _H: _("An important part of the service fails or is very slow; work goes on with great effort only."),
    _M: _("A part of the service fails, and there is a reasonable way around it."),
    _L: _("A fault that hinders nobody in their work."),
}


def _meanings(*severities: Severity) -> Mapping[Severity, str | Promise]:
    return {severity: _MEANINGS[severity] for severity in severities}


_OUR_PROPOSAL = _("Our own proposal after common support contracts; what binds is the contract.")

_CONTRACTS = (
    Preset(
        key="notify_within_hours",
        name=_("Notify within [X] hours"),
        description=_(
            "Notify the client of any critical incident within the hours you enter, counted round the clock from "
            "detection; resolve it as quickly as possible."
        ),
        source=_("The clause itself: “notify the Client of any critical incidents within [X] hours …”."),
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
        source=_OUR_PROPOSAL,
        duties=(
            Duty(_C, _O.ACKNOWLEDGE, 15, Unit.MINUTES),
            Duty(_C, _O.NOTIFY, 1),
            Duty(_C, _O.UPDATE, 60, Unit.MINUTES),
            Duty(_C, _O.MITIGATE, 2),
            Duty(_C, _O.RESOLVE, 4),
            _REPORT,
            Duty(_H, _O.ACKNOWLEDGE, 30, Unit.MINUTES),
            Duty(_H, _O.NOTIFY, 4),
            Duty(_H, _O.RESOLVE, 8),
        ),
        definitions=_meanings(_C, _H),
    ),
    Preset(
        key="office_hours_support",
        name=_("Office hours support"),
        description=_(
            "Counted in the calendar's business hours. Critical: acknowledge in 1, notify in 3, resolve in 8. "
            "High: acknowledge in 2, notify in 8, resolve in 16. Medium: acknowledge in 4, resolve in 40. "
            "Low: acknowledge in 8."
        ),
        source=_OUR_PROPOSAL,
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
        definitions=_MEANINGS,
    ),
    Preset(
        key="managed_service_p1_p4",
        name=_("Managed service, P1 to P4"),
        description=_(
            "P1 (critical) and P2 (high) round the clock. P1: acknowledge in 15 minutes, notify in 1 hour, update "
            "every hour, mitigate in 2 and resolve in 4 hours. P2: acknowledge in 30 minutes, notify in 2 hours, "
            "update every 2 hours, mitigate in 4 and resolve in 8 hours. Both: report within 5 business days of "
            "resolution. P3 (medium) and P4 (low) in business hours. P3: acknowledge in 4, update every 8, resolve in "
            "24. P4: acknowledge in 8, resolve in 40. The resolution of P3 and P4 can be paused."
        ),
        source=_("The usual matrix of managed service contracts, with ITIL's priorities; what binds is the contract."),
        duties=(
            Duty(_C, _O.ACKNOWLEDGE, 15, Unit.MINUTES),
            Duty(_C, _O.NOTIFY, 1),
            Duty(_C, _O.UPDATE, 60, Unit.MINUTES),
            Duty(_C, _O.MITIGATE, 2),
            Duty(_C, _O.RESOLVE, 4),
            _REPORT,
            Duty(_H, _O.ACKNOWLEDGE, 30, Unit.MINUTES),
            Duty(_H, _O.NOTIFY, 2),
            Duty(_H, _O.UPDATE, 2),
            Duty(_H, _O.MITIGATE, 4),
            Duty(_H, _O.RESOLVE, 8),
            replace(_REPORT, severity=_H),
            Duty(_M, _O.ACKNOWLEDGE, 4, Unit.BUSINESS_HOURS),
            Duty(_M, _O.UPDATE, 8, Unit.BUSINESS_HOURS),
            Duty(_M, _O.RESOLVE, 24, Unit.BUSINESS_HOURS, is_pausable=True),
            Duty(_L, _O.ACKNOWLEDGE, 8, Unit.BUSINESS_HOURS),
            Duty(_L, _O.RESOLVE, 40, Unit.BUSINESS_HOURS, is_pausable=True),
        ),
        definitions=_MEANINGS,
    ),
)

_A_PERSONAL_DATA_BREACH: Mapping[Severity, str | Promise] = {
    _C: _(
        "A personal data breach: personal data is accidentally or unlawfully destroyed, lost, altered, disclosed or "
        "accessed (Art. 4(12))."
    )
}

_LAWS = (
    Preset(
        key="gdpr_processor",
        name=_("GDPR Art. 33, we are the processor"),
        description=_(
            "Notify the controller without undue delay after becoming aware of a personal data breach. The law gives "
            "no number; the 24 hours that are tracked are our own target."
        ),
        source=_("Regulation (EU) 2016/679, Art. 33(2)."),
        duties=(
            replace(
                _NOTIFY_BY_LAW,
                label=_("notice to the controller"),
                clause_number="Art. 33(2)",
                target=Target(24, Unit.HOURS),
            ),
        ),
        definitions=_A_PERSONAL_DATA_BREACH,
        basis=Basis.LAW,
    ),
    Preset(
        key="gdpr_controller",
        name=_("GDPR Art. 33, to the supervisory authority"),
        description=_(
            "The controller notifies the supervisory authority within 72 hours of becoming aware of a personal data "
            "breach; every hour counts, weekends and holidays too."
        ),
        source=_("Regulation (EU) 2016/679, Art. 33(1)."),
        duties=(
            replace(
                _NOTIFY_BY_LAW,
                amount=72,
                label=_("notification to the authority"),
                clause_number="Art. 33(1)",
            ),
        ),
        definitions=_A_PERSONAL_DATA_BREACH,
        basis=Basis.LAW,
    ),
    Preset(
        key="nis2",
        name=_("NIS2 Art. 23, significant incident"),
        description=_(
            "Early warning within 24 hours and incident notification within 72 hours, both of becoming aware; final "
            "report one month after the incident notification was made. Trust service providers have 24 hours for "
            "the incident notification too: edit it for them."
        ),
        source=_("Directive (EU) 2022/2555, Art. 23(4), as made law by each Member State."),
        duties=(
            replace(_NOTIFY_BY_LAW, amount=24, label=_("early warning"), clause_number="Art. 23(4)(a)"),
            replace(
                _NOTIFY_BY_LAW,
                amount=72,
                key="notification",
                label=_("72-hour notification"),
                clause_number="Art. 23(4)(b)",
            ),
            Duty(
                _C,
                _O.NOTIFY,
                1,
                Unit.MONTHS,
                StartEvent.COMMITMENT,
                follows="notification",
                label=_("final report"),
                clause_number="Art. 23(4)(d)",
            ),
        ),
        definitions={
            _C: _(
                "It has caused or can cause severe disruption of the services or financial loss to us, or has affected "
                "or can affect others by considerable damage (Art. 23(3))."
            )
        },
        basis=Basis.LAW,
    ),
    Preset(
        key="dora",
        name=_("DORA, major ICT-related incident"),
        description=_(
            "Initial notification within 4 hours of classification and at most 24 hours from becoming aware, unless "
            "it is classified later; intermediate report within 72 hours of the initial notification; final report "
            "one month after the intermediate report. What ends on a weekend or holiday may be given by noon of the "
            "next working day. Credit institutions, central counterparties, trading venues, and essential or "
            "important entities may use that for the final report alone: edit the first two for them."
        ),
        source=_("Delegated Regulation (EU) 2025/301, Art. 5, under Regulation (EU) 2022/2554, Art. 19(4)."),
        duties=(
            replace(
                _NOTIFY_BY_LAW,
                amount=4,
                start_event=StartEvent.CLASSIFIED,
                cap=Cap(24, Unit.HOURS, StartEvent.AWARE),
                key="initial",
                label=_("initial notification"),
                clause_number="Art. 5(1)(a)",
                roll=Roll.NEXT_BUSINESS_DAY_AT,
                roll_at=_NOON,
            ),
            Duty(
                _C,
                _O.NOTIFY,
                72,
                Unit.HOURS,
                StartEvent.COMMITMENT,
                follows="initial",
                key="intermediate",
                label=_("intermediate report"),
                clause_number="Art. 5(1)(b)",
                roll=Roll.NEXT_BUSINESS_DAY_AT,
                roll_at=_NOON,
            ),
            Duty(
                _C,
                _O.NOTIFY,
                1,
                Unit.MONTHS,
                StartEvent.COMMITMENT,
                follows="intermediate",
                label=_("final report"),
                clause_number="Art. 5(1)(c)",
                roll=Roll.NEXT_BUSINESS_DAY_AT,
                roll_at=_NOON,
            ),
        ),
        definitions={
            _C: _(
                "A major ICT-related incident: one with a high adverse impact on the systems that support critical or "
                "important functions (Art. 3(10) of Regulation (EU) 2022/2554)."
            )
        },
        basis=Basis.LAW,
    ),
    Preset(
        key="sec_8k",
        name=_("SEC Form 8-K, Item 1.05"),
        description=_(
            "File within four business days of determining that a cybersecurity incident is material, which is its "
            "classification here. What is filed after 17:30 in Washington counts for the next business day: use a "
            "calendar in that zone that closes at 17:30, with the holidays on which the Commission is closed."
        ),
        source=_("17 CFR 249.308, Form 8-K, General Instruction B.1 and Item 1.05; 17 CFR 232.13(a)(2)."),
        duties=(
            Duty(
                _C,
                _O.NOTIFY,
                4,
                Unit.BUSINESS_DAYS,
                StartEvent.CLASSIFIED,
                DayEnd.CLOSE_OF_BUSINESS,
                label=_("Form 8-K, Item 1.05"),
                clause_number="Item 1.05",
            ),
        ),
        definitions={_C: _("A cybersecurity incident that is determined to be material (Item 1.05).")},
        basis=Basis.LAW,
    ),
    Preset(
        key="hipaa",
        name=_("HIPAA breach notification"),
        description=_(
            "Notify without unreasonable delay and no later than 60 calendar days after discovery, which is the "
            "detection here and is day 0: the covered entity the individuals, its business associate the covered "
            "entity. Sixty days are the outer limit, not the aim."
        ),
        source=_("45 CFR 164.404(b) and 164.410(b)."),
        duties=(
            Duty(
                _C, _O.NOTIFY, 60, Unit.CALENDAR_DAYS, label=_("breach notification"), clause_number="164.404, 164.410"
            ),
        ),
        definitions={_C: _("A breach of unsecured protected health information (45 CFR 164.402).")},
        basis=Basis.LAW,
    ),
)

PRESETS: Mapping[str, Preset] = {preset.key: preset for preset in (*_CONTRACTS, *_LAWS)}

_ONCE = next(rule for rule in Commitment._meta.constraints if rule.name == "commitment_once")


def apply_preset(agreement: ServiceAgreement, key: str, *, hours: int | None = None) -> list[Commitment]:
    """Give the agreement the preset's commitments, all or none, with the usual warning points.

    It also says what the severities mean, where the agreement does not say so yet. `hours` fills in “[X]”. Raises
    ValidationError where the agreement already has one of them or the hours are missing, KeyError for an unknown
    preset.
    """
    preset = PRESETS[key]
    if preset.asks_hours and hours is None:
        raise ValidationError({"hours": _now("Say within how many hours the client is to be notified.")})
    made: list[Commitment] = []
    by_key: dict[str, Commitment] = {}
    with transaction.atomic():
        for duty in preset.duties:  # what is followed comes first; the preset itself sees to that
            if preset.asks_hours and duty.obligation == Obligation.NOTIFY:
                duty = replace(duty, amount=hours)
            by_key[duty.key] = _make(
                agreement, duty, preset.basis, follows=by_key[duty.follows] if duty.follows else None
            )
            made.append(by_key[duty.key])
        _define_severities(agreement, preset)
    return made


def _define_severities(agreement: ServiceAgreement, preset: Preset) -> None:
    """What somebody has written is left as it is."""
    known = set(agreement.definitions.values_list("severity", flat=True))
    for severity, words in preset.definitions.items():
        if severity not in known:
            SeverityDefinition.objects.create(agreement=agreement, severity=severity, words=str(words))


def _make(agreement: ServiceAgreement, duty: Duty, basis: Basis, *, follows: Commitment | None) -> Commitment:
    is_by_contract = basis == Basis.CONTRACT
    commitment = Commitment(
        agreement=agreement,
        severity=duty.severity,
        obligation=duty.obligation,
        label=str(duty.label),
        clause_number=duty.clause_number,
        amount=duty.amount,
        unit=duty.unit,
        start_event=duty.start_event,
        follows=follows,
        day_end=duty.day_end,
        roll=duty.roll,
        roll_at=duty.roll_at,
        is_pausable=duty.is_pausable,
        is_recurring=duty.obligation == Obligation.UPDATE,
        sends_holding_notice=is_by_contract and duty.obligation == Obligation.NOTIFY and duty.amount is not None,
        **_limits(duty),
    )
    # The database holds every row to its rules. What stands in the agreement already can break only one of them.
    commitment.full_clean(validate_constraints=False)
    _ONCE.validate(Commitment, commitment)
    commitment.save()
    add_usual_warning_points(commitment, may_warn_contacts=is_by_contract)
    return commitment


def _limits(duty: Duty) -> dict[str, Any]:
    limits: dict[str, Any] = {}
    if duty.cap is not None:
        limits |= {"cap_amount": duty.cap.amount, "cap_unit": duty.cap.unit, "cap_event": duty.cap.event}
    if duty.target is not None:
        limits |= {"target_amount": duty.target.amount, "target_unit": duty.target.unit}
    return limits


def add_usual_warning_points(commitment: Commitment, *, may_warn_contacts: bool = True) -> None:
    """At half the allowance the client's contacts and the responders are warned, at 80 % the managers too.

    A client is not warned that an acknowledgement or an update is due: such a mail would say less than the act
    itself, and come as often.
    """
    if commitment.amount is None or commitment.warning_points.exists():
        return
    has_contacts = may_warn_contacts and commitment.obligation not in (Obligation.ACKNOWLEDGE, Obligation.UPDATE)
    WarningPoint.objects.create(commitment=commitment, percent=50, has_contacts=has_contacts)
    WarningPoint.objects.create(
        commitment=commitment, percent=80, has_contacts=has_contacts, has_managers=True, has_owner=True
    )
