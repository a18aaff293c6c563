"""The simulator says what production would do, names the traps, and saves nothing."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.test.utils import CaptureQueriesContext

from agreements import presets
from agreements.models import Contact, Obligation, ServiceAgreement, Severity, SpecialDay, StartEvent, WarningPoint
from agreements.simulation import SimulatedDeadline, Simulation, simulate
from agreements.terms import MomentKind
from config.models import User
from incidents import deadlines, lifecycle
from incidents.models import Deadline
from tests import cast

pytestmark = pytest.mark.django_db

FRIDAY_1755 = cast.at("16:55", day=27)  # in Berlin, whose office hours are cast's
HOUR = dt.timedelta(hours=1)


def asked(
    agreement: ServiceAgreement, detected_at: dt.datetime = FRIDAY_1755, severity: str = "critical", **options: Any
) -> Simulation:
    fresh = ServiceAgreement.objects.get(pk=agreement.pk)
    return simulate(fresh, severity=severity, detected_at=detected_at, **options)


def of(simulation: Simulation, obligation: Obligation, label: str = "") -> SimulatedDeadline:
    [found] = [
        deadline
        for deadline in simulation.deadlines
        if (deadline.commitment.obligation, deadline.commitment.label) == (obligation, label)
    ]
    return found


def traps(agreement: ServiceAgreement, detected_at: dt.datetime = FRIDAY_1755, **options: Any) -> str:
    return "\n".join(asked(agreement, detected_at, **options).traps)


@pytest.fixture
def bare(olga: User, max_: User) -> ServiceAgreement:
    """Office hours, an owner, a contact, and no commitment yet."""
    client = cast.client("Fabrikam", "Europe/Berlin", "it@fabrikam.example")
    return cast.agreement("FK-1", client, cast.office_hours("Fabrikam hours"), cast.service("Storage"), owner=max_)


# ── equal to production ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("severity", Severity.values)
@pytest.mark.parametrize("preset", list(presets.PRESETS))
def test_every_commitment_of_each_preset_is_due_and_warned_of_when_production_says(
    olga: User, bare: ServiceAgreement, preset: str, severity: str
) -> None:
    presets.apply_preset(bare, preset, hours=4)
    simulation = asked(bare, severity=severity, events={StartEvent.CLASSIFIED: FRIDAY_1755})
    incident = lifecycle.declare(
        by=olga,
        now=FRIDAY_1755,
        title="Storage is down",
        severity=severity,
        services=[cast.service("Storage")],
        detected_at=FRIDAY_1755,
    )
    stored = Deadline.objects.filter(incident=incident)
    assert {deadline.commitment.pk for deadline in simulation.deadlines} == {real.commitment_id for real in stored}
    for deadline in simulation.deadlines:  # an earlier step of a chain comes before the one that follows it
        real = stored.get(commitment=deadline.commitment)
        if real.follows and real.follows.due_at:
            meet_exactly_when_due(real.follows)
            real.refresh_from_db()
        assert (deadline.started_at, deadline.due_at) == (real.started_at, real.due_at)
        assert [mail.moment for mail in deadline.mails] == real.planned_moments()


def meet_exactly_when_due(deadline: Deadline) -> None:
    """As the simulator assumes of a commitment that another follows."""
    assert deadline.due_at is not None
    deadline.met_at, deadline.next_action_at = deadline.due_at, None
    cast.save(deadline)
    deadlines.recompute(deadline.incident, now=deadline.due_at)


def test_a_commitment_counted_from_resolution_is_due_when_production_says(olga: User, bare: ServiceAgreement) -> None:
    presets.apply_preset(bare, "critical_support_24x7")
    resolved_at = FRIDAY_1755 + 2 * HOUR
    simulation = asked(bare, events={StartEvent.RESOLVED: resolved_at})
    services = [cast.service("Storage")]
    incident = lifecycle.declare(
        by=olga, now=FRIDAY_1755, title="Down", severity="critical", services=services, detected_at=FRIDAY_1755
    )
    lifecycle.resolve(incident, by=olga, now=resolved_at)
    real = Deadline.objects.get(incident=incident, obligation=Obligation.REPORT)
    report = of(simulation, Obligation.REPORT)
    assert (report.due_at, [mail.moment for mail in report.mails]) == (real.due_at, real.planned_moments())


# ── the answer ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_deadlines_come_by_due_time_and_what_waits_comes_last(bare: ServiceAgreement) -> None:
    presets.apply_preset(bare, "critical_support_24x7")
    simulation = asked(bare)
    owed = [deadline.commitment.obligation for deadline in simulation.deadlines]
    assert owed[0] == Obligation.ACKNOWLEDGE
    assert owed[-1] == Obligation.REPORT
    assert of(simulation, Obligation.REPORT).waits_for == "resolution"
    assert of(simulation, Obligation.REPORT).mails == ()
    assert [mail.at for _deadline, mail in simulation.mails] == sorted(mail.at for _, mail in simulation.mails)


def test_awareness_comes_with_detection_unless_said_otherwise(bare: ServiceAgreement) -> None:
    cast.commit(bare, Obligation.NOTIFY, 4, start_event=StartEvent.AWARE)
    assert of(asked(bare), Obligation.NOTIFY).started_at == FRIDAY_1755
    later = asked(bare, events={StartEvent.AWARE: FRIDAY_1755 + HOUR})
    assert of(later, Obligation.NOTIFY).started_at == FRIDAY_1755 + HOUR


def test_mails_name_the_contacts_and_say_what_colleagues_are(bare: ServiceAgreement) -> None:
    presets.apply_preset(bare, "notify_within_hours", hours=4)
    told = [(mail.what, mail.to) for mail in of(asked(bare), Obligation.NOTIFY).mails]
    contact = "Fabrikam Operations <it@fabrikam.example>"
    colleagues = ("the responders", "the agreement's owner (Max Weber)", "the managers")
    assert told == [
        ("Warning (50 % of the allowance)", (contact, "the responders")),
        ("Warning (80 % of the allowance)", (contact, *colleagues)),
        ("Holding notice (90 % of the allowance)", (contact,)),
        ("“Overdue”", colleagues),
    ]


def test_a_chain_is_taken_to_be_met_when_it_is_due_or_when_somebody_says(bare: ServiceAgreement) -> None:
    first = cast.commit(bare, Obligation.NOTIFY, 24, label="early warning")
    cast.commit(
        bare,
        Obligation.NOTIFY,
        1,
        unit="months",
        label="final report",
        start_event=StartEvent.COMMITMENT,
        follows=first,
    )
    assumed = of(asked(bare), Obligation.NOTIFY, "final report")
    assert assumed.started_at == FRIDAY_1755 + 24 * HOUR
    assert assumed.assumption == "if “Notify the client (early warning)” is met exactly when it is due"
    told = asked(bare, met={first.pk: FRIDAY_1755 + HOUR})
    assert of(told, Obligation.NOTIFY, "final report").started_at == FRIDAY_1755 + HOUR
    assert of(told, Obligation.NOTIFY, "final report").assumption == ""
    assert of(told, Obligation.NOTIFY, "early warning").mails == ()


def test_what_is_done_sends_no_more_mails(bare: ServiceAgreement) -> None:
    presets.apply_preset(bare, "critical_support_24x7")
    simulation = asked(bare, events={StartEvent.ACKNOWLEDGED: FRIDAY_1755 + dt.timedelta(minutes=8)})
    assert [mail.moment.key for mail in of(simulation, Obligation.ACKNOWLEDGE).mails] == ["warning-50%"]


def test_an_overall_limit_is_heeded(bare: ServiceAgreement) -> None:
    cast.commit(bare, Obligation.NOTIFY, 24, cap_amount=4, cap_unit="hours", cap_event=StartEvent.OCCURRED)
    occurred = {StartEvent.OCCURRED: FRIDAY_1755 - HOUR}
    assert of(asked(bare, events=occurred), Obligation.NOTIFY).due_at == FRIDAY_1755 + 3 * HOUR


def test_nothing_is_saved(bare: ServiceAgreement) -> None:
    presets.apply_preset(bare, "critical_support_24x7")

    def counts() -> dict[str, int]:
        return {model._meta.label: model._default_manager.count() for model in apps.get_models()}

    before = counts()
    with CaptureQueriesContext(connection) as captured:
        asked(bare, events={StartEvent.RESOLVED: FRIDAY_1755 + HOUR})
    assert counts() == before
    assert all(query["sql"].startswith("SELECT") for query in captured)


# ── traps ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_agreement_without_traps_names_none(bare: ServiceAgreement) -> None:
    presets.apply_preset(bare, "office_hours_support")
    assert traps(bare) == ""
    cast.commit(bare, Obligation.REPORT, 2, unit="business_days", start_event=StartEvent.DETECTED)
    assert traps(bare) == "", "the midnight that ends a business day is as agreed"


def test_a_due_time_on_a_closed_weekend_is_a_trap(bare: ServiceAgreement) -> None:
    cast.commit(bare, Obligation.NOTIFY, 4)
    assert traps(bare) == (
        "“Notify the client” is due at Fri 27 Nov 2026, 21:55 CET, when the calendar is closed; "
        "it opens again at Mon 30 Nov 2026, 09:00 CET."
    )
    assert traps(bare, cast.at("9:00")) == ""
    assert traps(bare, cast.at("12:00")) == "", "17:00 is closing time, and still open until then"


def test_all_that_is_due_in_one_closed_time_is_one_trap(bare: ServiceAgreement) -> None:
    cast.commit(bare, Obligation.ACKNOWLEDGE, 1)
    cast.commit(bare, Obligation.NOTIFY, 4)
    [trap] = asked(bare).traps
    assert trap.startswith("“Acknowledge” is due at Fri 27 Nov 2026, 18:55 CET; “Notify the client” is due at")


def test_a_day_that_ends_on_a_weekend_is_a_trap(bare: ServiceAgreement) -> None:
    cast.commit(bare, Obligation.REPORT, 1, unit="calendar_days")
    assert "due at Sun 29 Nov 2026, 00:00 CET, when the calendar is closed" in traps(bare)


def test_a_warning_before_the_start_is_a_trap(bare: ServiceAgreement) -> None:
    commitment = cast.commit(bare, Obligation.NOTIFY, 24, cap_amount=2, cap_unit="hours", cap_event=StartEvent.DETECTED)
    WarningPoint.objects.create(commitment=commitment, minutes_before=180)
    said = traps(bare, cast.at("9:00"))
    assert said == (
        "Warning (180 minutes before its end) of “Notify the client” would come before the clock starts, "
        "so it is never sent."
    )
    assert [mail.moment.kind for mail in of(asked(bare, cast.at("9:00")), Obligation.NOTIFY).mails] == [
        MomentKind.OVERDUE
    ]


def test_a_warning_before_detection_and_a_due_time_before_it_are_traps(bare: ServiceAgreement) -> None:
    commitment = cast.commit(bare, Obligation.NOTIFY, 4, start_event=StartEvent.OCCURRED)
    cast.warn(commitment, 50)
    noon = cast.at("12:00")
    late = traps(bare, noon, events={StartEvent.OCCURRED: noon - 3 * HOUR})
    assert "was to come at Tue 24 Nov 2026, 12:00 CET, before detection, so it is never sent" in late
    too_late = traps(bare, noon, events={StartEvent.OCCURRED: noon - 5 * HOUR})
    assert "overdue as soon as the incident is detected: it was due at Tue 24 Nov 2026, 12:00 CET" in too_late


def test_no_contact_who_gets_mail_is_a_trap(bare: ServiceAgreement) -> None:
    presets.apply_preset(bare, "office_hours_support")
    contact = Contact.objects.get()
    contact.is_active = False
    cast.save(contact)
    assert "Nobody at Fabrikam gets mail" in traps(bare)
    warning = of(asked(bare), Obligation.NOTIFY).mails[0]
    assert warning.to[0] == "the operators and the managers, because nobody at Fabrikam gets mail"


def test_a_calendar_whose_special_days_end_too_early_is_a_trap(bare: ServiceAgreement) -> None:
    cast.commit(bare, Obligation.REPORT, 5, unit="business_days", start_event=StartEvent.DETECTED)
    SpecialDay.objects.create(calendar=bare.calendar, on=dt.date(2026, 11, 20), name="Old")
    said = traps(bare)
    assert "“Fabrikam hours” knows closures and changed days until 2026-11-20 only" in said
    SpecialDay.objects.create(calendar=bare.calendar, on=dt.date(2027, 1, 1), name="New Year")
    assert traps(bare) == ""


def test_round_the_clock_needs_no_special_days(bare: ServiceAgreement) -> None:
    cast.commit(bare, Obligation.NOTIFY, 4)
    SpecialDay.objects.create(calendar=bare.calendar, on=dt.date(2026, 11, 20))
    assert traps(bare, cast.at("9:00")) == ""


@pytest.mark.parametrize(("hours", "is_trap"), [(1, True), (3, False)])
def test_a_holding_notice_just_before_the_deadline_is_a_trap(bare: ServiceAgreement, hours: int, is_trap: bool) -> None:
    cast.commit(bare, Obligation.NOTIFY, hours, sends_holding_notice=True)
    sentence = "The holding notice of “Notify the client” goes out only 6 min before it is due, less than 15 minutes."
    assert (sentence in traps(bare, cast.at("9:00"))) is is_trap


def test_an_audience_with_nobody_in_it_is_a_trap(bare: ServiceAgreement, max_: User) -> None:
    presets.apply_preset(bare, "office_hours_support")
    bare.owner = None
    cast.save(bare)
    assert traps(bare) == "Mails to the agreement's owner reach nobody: no owner who can be mailed is set."
    assert "the agreement's owner (nobody)" in of(asked(bare), Obligation.NOTIFY).mails[-1].to
    max_.is_active = False
    cast.save(max_)
    assert "Mails to the managers reach nobody" in traps(bare)


def test_an_instant_outside_the_agreement_is_a_trap(bare: ServiceAgreement) -> None:
    cast.commit(bare, Obligation.NOTIFY, 4)
    assert "FK-1 is not in force at that moment" in traps(bare, cast.LONG_AGO - HOUR)
