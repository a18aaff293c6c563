"""The ready-made clauses: what each makes, and when that is due, with dates worked out by hand."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from agreements import presets
from agreements.models import Commitment, Obligation, ServiceAgreement, ServiceCalendar, Severity, StartEvent
from agreements.presets import PRESETS, Basis, Duty, Preset
from agreements.terms import Audience, agreed_terms
from config.models import User
from incidents import lifecycle
from incidents.models import Deadline, Incident, Standing
from tests import cast
from tests.cast import at

pytestmark = pytest.mark.django_db

SCENARIOS = {
    scenario["id"]: scenario for scenario in json.loads((Path(__file__).parent / "data" / "scenarios.json").read_text())
}
LAWS = [key for key, preset in PRESETS.items() if preset.basis == Basis.LAW]


def utc(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def made(key: str, calendar: ServiceCalendar | None = None, **options: Any) -> ServiceAgreement:
    """An agreement that says what the preset says; in office hours of UTC unless said otherwise."""
    agreement = cast.agreement(
        "X-1",
        cast.client("X", "UTC", "ops@x.example"),
        calendar or cast.office_hours(time_zone="UTC"),
        cast.service("Object storage"),
    )
    presets.apply_preset(agreement, key, **options)
    return agreement


def said(agreement: ServiceAgreement, **terms: Any) -> Commitment:
    return agreement.commitments.get(**{"severity": Severity.CRITICAL, **terms})


def due(commitment: Commitment, start: str, **options: Any) -> dt.datetime | None:
    return agreed_terms(commitment).plan(utc(start), **options).due_at


class TestEveryPreset:
    @pytest.mark.parametrize("key", PRESETS)
    def test_it_makes_commitments_that_pass_their_own_checks(self, key: str) -> None:
        commitments = list(made(key, hours=4).commitments.all())
        assert len(commitments) == len(PRESETS[key].duties)
        for commitment in commitments:
            commitment.full_clean()
            for point in commitment.warning_points.all():
                point.full_clean()

    @pytest.mark.parametrize("key", PRESETS)
    def test_it_names_its_source(self, key: str) -> None:
        assert str(PRESETS[key].source)

    @pytest.mark.parametrize("key", LAWS)
    def test_what_a_law_demands_is_told_by_a_person_and_never_by_itself(self, key: str) -> None:
        for commitment in made(key).commitments.all():
            assert commitment.severity == Severity.CRITICAL
            assert not commitment.sends_holding_notice
            audiences = {who for moment in agreed_terms(commitment).plan(cast.NOON).moments for who in moment.audience}
            assert Audience.CONTACTS not in audiences

    @pytest.mark.parametrize("key", sorted(PRESETS.keys() - set(LAWS)))
    def test_a_contracts_notice_with_a_number_holds_by_itself(self, key: str) -> None:
        for commitment in made(key, hours=4).commitments.all():
            assert commitment.sends_holding_notice == (commitment.obligation == Obligation.NOTIFY)

    def test_it_adds_all_or_nothing(self) -> None:
        agreement = made("notify_within_hours", hours=4)
        cast.commit(agreement, Obligation.NOTIFY, 9, label="final report")
        with pytest.raises(ValidationError, match="already owes"):
            presets.apply_preset(agreement, "dora")
        assert not agreement.commitments.filter(label="initial notification").exists()

    def test_laws_may_be_added_to_a_contract(self) -> None:
        agreement = made("notify_within_hours", hours=4)
        for key in set(LAWS) - {"nis2"}:  # financial entities report under DORA instead: NIS2, Art. 4
            presets.apply_preset(agreement, key)

    def test_a_duty_that_follows_nothing_earlier_cannot_be_written(self) -> None:
        step = Duty(Severity.CRITICAL, Obligation.NOTIFY, 1, start_event=StartEvent.COMMITMENT, follows="later")
        later = Duty(Severity.CRITICAL, Obligation.NOTIFY, 1, key="later")
        with pytest.raises(ValueError, match="no earlier duty"):
            Preset(key="x", name="X", description="", source="", duties=(step, later))
        with pytest.raises(ValueError, match="follows another exactly where"):
            Duty(Severity.CRITICAL, Obligation.NOTIFY, 1, follows="later")


class TestTheSeedClause:
    def test_it_asks_for_its_hours(self, northwind: ServiceAgreement) -> None:
        notify = northwind.commitments.get(obligation=Obligation.NOTIFY)
        assert (notify.amount, notify.unit, notify.sends_holding_notice) == (4, "hours", True)
        assert northwind.commitments.get(obligation=Obligation.RESOLVE).amount is None

    def test_without_its_hours_it_is_refused(self) -> None:
        agreement = cast.agreement("X-1", cast.client("X", "UTC"), cast.office_hours())
        with pytest.raises(ValidationError, match="how many hours"):
            presets.apply_preset(agreement, "notify_within_hours")
        assert not agreement.commitments.exists()

    def test_by_default_contacts_and_responders_are_warned_and_later_the_manager_too(
        self, northwind: ServiceAgreement
    ) -> None:
        first, second = northwind.commitments.get(obligation=Obligation.NOTIFY).warning_points.order_by("percent")
        assert (first.has_contacts, first.has_responders, first.has_managers) == (True, True, False)
        assert (second.has_contacts, second.has_responders, second.has_managers) == (True, True, True)

    def test_four_hours_are_counted_through_the_night(self) -> None:
        agreement = made("notify_within_hours", hours=4)
        assert due(said(agreement, obligation=Obligation.NOTIFY), "2026-11-27T23:00") == utc("2026-11-28T03:00")


#: (preset, severity, obligation, start in UTC, due in UTC); the office is open 9 to 17 in Berlin, which is UTC+1.
#: The 27th of November 2026 is a Friday.
WORKED = [
    ("critical_support_24x7", "critical", "acknowledge", "2026-11-27T23:50", "2026-11-28T00:05"),
    ("critical_support_24x7", "critical", "notify", "2026-11-27T23:50", "2026-11-28T00:50"),
    ("critical_support_24x7", "critical", "resolve", "2026-11-27T23:50", "2026-11-28T03:50"),
    ("critical_support_24x7", "critical", "report", "2026-11-24T13:00", "2026-12-01T16:00"),
    ("critical_support_24x7", "high", "notify", "2026-11-27T23:50", "2026-11-28T03:50"),
    ("office_hours_support", "critical", "acknowledge", "2026-11-27T15:00", "2026-11-27T16:00"),
    ("office_hours_support", "critical", "notify", "2026-11-27T15:00", "2026-11-30T10:00"),
    ("office_hours_support", "critical", "resolve", "2026-11-27T15:00", "2026-11-30T15:00"),
    ("managed_service_p1_p4", "critical", "acknowledge", "2026-11-28T03:00", "2026-11-28T03:15"),
    ("managed_service_p1_p4", "critical", "update", "2026-11-28T03:00", "2026-11-28T04:00"),
    ("managed_service_p1_p4", "critical", "mitigate", "2026-11-28T03:00", "2026-11-28T05:00"),
    ("managed_service_p1_p4", "critical", "resolve", "2026-11-28T03:00", "2026-11-28T07:00"),
    ("managed_service_p1_p4", "critical", "report", "2026-11-28T07:00", "2026-12-04T16:00"),
    ("managed_service_p1_p4", "high", "acknowledge", "2026-11-28T03:00", "2026-11-28T03:30"),
    ("managed_service_p1_p4", "high", "resolve", "2026-11-28T03:00", "2026-11-28T11:00"),
    ("managed_service_p1_p4", "high", "report", "2026-11-24T13:00", "2026-12-01T16:00"),
    ("managed_service_p1_p4", "medium", "acknowledge", "2026-11-27T15:00", "2026-11-30T11:00"),
    ("managed_service_p1_p4", "medium", "resolve", "2026-11-27T15:00", "2026-12-02T15:00"),
    ("managed_service_p1_p4", "low", "acknowledge", "2026-11-27T15:00", "2026-11-30T15:00"),
    ("managed_service_p1_p4", "low", "resolve", "2026-11-27T15:00", "2026-12-04T15:00"),
]


class TestContracts:
    @pytest.mark.parametrize(("key", "severity", "obligation", "start", "expected"), WORKED)
    def test_a_worked_example(self, key: str, severity: str, obligation: str, start: str, expected: str) -> None:
        agreement = made(key, cast.office_hours())
        assert due(said(agreement, severity=severity, obligation=obligation), start) == utc(expected)

    def test_only_the_resolution_of_p3_and_p4_can_be_paused(self) -> None:
        agreement = made("managed_service_p1_p4", cast.office_hours())
        pausable = agreement.commitments.filter(is_pausable=True)
        assert {(c.severity, c.obligation) for c in pausable} == {("medium", "resolve"), ("low", "resolve")}
        # Two open hours are lost on Monday: one is made good on Wednesday, the other on Thursday at nine.
        pauses = [(utc("2026-11-30T09:00"), utc("2026-11-30T11:00"))]
        resolve = said(agreement, severity="medium", obligation="resolve")
        assert due(resolve, "2026-11-27T15:00", pauses=pauses) == utc("2026-12-03T09:00")


class TestGdpr:
    def test_the_processor_has_no_number_but_a_target_of_our_own(self) -> None:
        notice = said(made("gdpr_processor"))
        assert (notice.amount, notice.start_event) == (None, StartEvent.AWARE)
        plan = agreed_terms(notice).plan(utc("2026-11-27T15:00"))
        assert (plan.due_at, plan.moments, plan.target_at) == (None, (), utc("2026-11-28T15:00"))

    def test_seventy_two_hours_run_through_the_weekend(self) -> None:
        assert due(said(made("gdpr_controller")), "2026-11-27T15:00") == utc("2026-11-30T15:00")


class TestDora:
    @pytest.mark.parametrize(
        ("aware", "classified", "expected"),
        [
            ("2026-11-23T08:00", "2026-11-23T10:00", "2026-11-23T14:00"),
            ("2026-11-23T08:00", "2026-11-24T07:00", "2026-11-24T08:00"),  # cut short by the 24 hours
            ("2026-11-23T08:00", "2026-11-24T09:00", "2026-11-24T13:00"),  # classified later: no such limit
            ("2026-11-28T09:00", "2026-11-28T10:00", "2026-11-30T12:00"),  # Saturday: noon on Monday
        ],
    )
    def test_the_initial_notification(self, aware: str, classified: str, expected: str) -> None:
        initial = said(made("dora"), label="initial notification")
        assert due(initial, classified, cap_started_at=utc(aware)) == utc(expected)

    @pytest.mark.parametrize(
        ("initial_at", "expected"),
        [("2026-11-24T14:00", "2026-11-27T14:00"), ("2026-11-25T14:00", "2026-11-30T12:00")],
    )
    def test_the_intermediate_report(self, initial_at: str, expected: str) -> None:
        assert due(said(made("dora"), label="intermediate report"), initial_at) == utc(expected)

    def test_the_final_report_a_month_after_the_last_of_january_is_due_at_noon_on_the_first_of_march(self) -> None:
        # 28 February 2027 is a Sunday.
        assert due(said(made("dora"), label="final report"), "2027-01-31T10:00") == utc("2027-03-01T12:00")

    def test_each_step_begins_when_the_one_before_it_is_made(self, olga: User) -> None:
        agreement = made("dora")
        incident = declared(olga, at("10:00", day=23), detected_at=at("08:00", day=23))
        assert of(incident, "initial notification").due_at == at("14:00", day=23)
        for step in ("intermediate report", "final report"):
            assert of(incident, step).standing(at("10:00", day=23)) == Standing.WAITING
        tell(incident, agreement, olga, at("13:00", day=23))
        assert of(incident, "intermediate report").due_at == at("13:00", day=26)
        assert of(incident, "final report").standing(at("13:00", day=23)) == Standing.WAITING
        tell(incident, agreement, olga, at("09:00", day=26))
        # A month after 26 November is 26 December, a Saturday: noon on Monday.
        assert of(incident, "final report").due_at == utc("2026-12-28T12:00")


class TestNis2:
    def test_the_final_report_waits_until_the_72_hour_notification_is_made(self, olga: User) -> None:
        agreement = made("nis2")
        incident = declared(olga, at("09:00", day=23), detected_at=at("08:00", day=23))
        assert of(incident, "early warning").due_at == at("08:00", day=24)
        assert of(incident, "72-hour notification").due_at == at("08:00", day=26)
        assert of(incident, "final report").standing(at("09:00", day=23)) == Standing.WAITING

        tell(incident, agreement, olga, at("12:00", day=23))
        assert of(incident, "early warning").met_at == at("12:00", day=23)
        assert of(incident, "72-hour notification").is_open
        assert of(incident, "final report").standing(at("12:00", day=23)) == Standing.WAITING

        tell(incident, agreement, olga, at("10:00", day=25))
        assert of(incident, "72-hour notification").met_at == at("10:00", day=25)
        assert of(incident, "final report").due_at == utc("2026-12-26T00:00")  # at the end of 25 December
        assert of(incident, "final report").standing(at("10:00", day=25)) == Standing.RUNNING


class TestSec:
    @pytest.mark.parametrize(
        ("scenario", "expected"),
        [("s21", "2026-12-01T22:30"), ("s22", "2026-11-19T22:30")],
    )
    def test_the_fourth_business_day_after_the_determination_ends_when_filings_count_for_the_next(
        self, scenario: str, expected: str
    ) -> None:
        calendar = cast.office_hours(time_zone="America/New_York")
        for hours in calendar.hours.all():
            hours.closes = dt.time(17, 30)
            cast.save(hours)
        for day in SCENARIOS[scenario]["cal"]["holidays"]:
            calendar.special_days.create(on=dt.date.fromisoformat(day))
        filing = said(made("sec_8k", calendar))
        assert filing.start_event == StartEvent.CLASSIFIED
        found = agreed_terms(filing).plan(dt.datetime.fromisoformat(SCENARIOS[scenario]["start"])).due_at
        assert found == utc(expected)
        # six and a half hours before the day ends by which the vectors count
        assert found + dt.timedelta(hours=6.5) == dt.datetime.fromisoformat(SCENARIOS[scenario]["expected"])


class TestHipaa:
    @pytest.mark.parametrize("discovered", ["2026-11-24T15:00", "2026-11-25T04:30"])  # 23:30 on the 24th there
    def test_sixty_days_after_the_day_of_discovery_end_at_midnight(self, discovered: str) -> None:
        # 60 days after 24 November is 23 January, which ends at midnight in New York.
        notice = said(made("hipaa", cast.office_hours(time_zone="America/New_York")))
        assert notice.start_event == StartEvent.DETECTED
        assert due(notice, discovered) == utc("2027-01-24T05:00")


# ── incidents, for what follows something ───────────────────────────────────────────────────────────────────────────


def declared(olga: User, now: dt.datetime, *, detected_at: dt.datetime) -> Incident:
    """Critical; detection is when we became aware, the declaration is the classification."""
    return lifecycle.declare(
        by=olga,
        now=now,
        title="Down",
        severity=Severity.CRITICAL,
        services=[cast.service("Object storage")],
        detected_at=detected_at,
    )


def tell(incident: Incident, agreement: ServiceAgreement, olga: User, now: dt.datetime) -> None:
    lifecycle.record_told(incident, agreement.client, by=olga, now=now, evidence="On their portal, receipt 42.")


def of(incident: Incident, label: str) -> Deadline:
    return incident.deadlines.get(commitment__label=label)
