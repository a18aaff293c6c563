"""The life of the contract clock, told as stories: who promised what, what happened, and when what is due.

Every instant is worked out by hand from the clause. All are UTC and counted round the clock unless a story says so.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from agreements.models import (
    Client,
    Commitment,
    Contact,
    Obligation,
    ServiceAgreement,
    Severity,
    SpecialDay,
    StartEvent,
)
from agreements.models.commitment import Roll
from config.models import User
from incidents import deadlines, lifecycle, notices, outbox
from incidents.lifecycle import Refused
from incidents.models import Deadline, Incident, Notice, Standing
from incidents.models.incident import Status
from incidents.models.notice import NoticeKind, NoticeState
from tests import cast
from tests.cast import at
from tests.services.smtp import SmtpSink

pytestmark = pytest.mark.django_db

NOTIFY, UPDATE, RESOLVE, REPORT = Obligation.NOTIFY, Obligation.UPDATE, Obligation.RESOLVE, Obligation.REPORT


def on(instant: str) -> dt.datetime:
    """An instant outside November 2026: on("2027-01-31 10:00"), UTC."""
    return dt.datetime.fromisoformat(instant).replace(tzinfo=dt.UTC)


@pytest.fixture
def acme(db: None) -> Client:
    return cast.client("Acme", "UTC", "desk@acme.example")


@pytest.fixture
def promised(acme: Client) -> ServiceAgreement:
    """An agreement that owes nothing yet; each story says what it promises."""
    return cast.agreement("AC-1", acme, cast.always_open(), cast.service("Object storage"))


@pytest.fixture
def office(acme: Client) -> ServiceAgreement:
    """The same, counted from nine to five on weekdays."""
    calendar = cast.office_hours(time_zone="UTC")
    return cast.agreement("AC-2", acme, calendar, cast.service("Object storage"))


TEN = at("10:00")


def declare(by: User, detected: dt.datetime = TEN, **said: Any) -> Incident:
    usual: dict[str, Any] = {
        "now": detected,
        "title": "Storage is down",
        "severity": Severity.CRITICAL,
        "services": [cast.service("Object storage")],
    }
    return lifecycle.declare(by=by, detected_at=detected, **usual | said)


def tell(
    incident: Incident, client: Client, obligation: Obligation, by: User, now: dt.datetime, **more: Any
) -> list[Deadline]:
    return lifecycle.record_told(incident, client, obligation, by=by, now=now, evidence="By phone.", **more)


def of(commitment: Commitment, incident: Incident, cycle: int = 1) -> Deadline:
    return incident.deadlines.get(commitment=commitment, cycle=cycle)


def told(kind: NoticeKind) -> list[Notice]:
    """What has been queued of that kind, and not taken back."""
    given_up = (NoticeState.CANCELLED, NoticeState.SUPERSEDED)
    return list(Notice.objects.filter(kind=kind).exclude(state__in=given_up).order_by("pk"))


def warned_at(deadline: Deadline) -> dict[str, dt.datetime]:
    return {moment.key: moment.at for moment in deadline.planned_moments() if moment.kind == "warning"}


# ── when it is due, and when somebody is warned ─────────────────────────────────────────────────────────────────────


class TestDue:
    def test_entered_five_hours_late_it_is_overdue_at_creation_with_one_overdue_notice_and_no_warnings(
        self, olga: User, promised: ServiceAgreement
    ) -> None:
        notify = cast.commit(promised, NOTIFY, 4)
        cast.warn(notify, 50)
        cast.warn(notify, 80)
        incident = declare(olga, now=at("15:00"))
        assert of(notify, incident).due_at == at("14:00")
        assert of(notify, incident).standing(at("15:00")) == Standing.MISSED
        for now in (at("15:00"), at("15:01"), at("18:00")):
            notices.raise_due(now)
        assert [notice.moment for notice in Notice.objects.all()] == ["overdue"]

    def test_warnings_at_half_and_at_four_fifths_of_four_hours(self, olga: User, promised: ServiceAgreement) -> None:
        notify = cast.commit(promised, NOTIFY, 4)
        cast.warn(notify, 50)
        cast.warn(notify, 80)
        deadline = of(notify, declare(olga))
        assert warned_at(deadline) == {"warning-50%": at("12:00"), "warning-80%": at("13:12")}
        assert deadline.next_action_at == at("12:00")

    def test_a_warning_in_business_hours_comes_the_next_day(self, olga: User, office: ServiceAgreement) -> None:
        resolve = cast.commit(office, RESOLVE, 8, "business_hours")
        cast.warn(resolve, 80)
        deadline = of(resolve, declare(olga, at("16:00")))
        # one hour today; 80 % of eight are 6 h 24 min, so 5 h 24 min from nine tomorrow
        assert warned_at(deadline) == {"warning-80%": at("14:24", day=25)}
        assert deadline.due_at == at("16:00", day=25)

    def test_a_holiday_added_while_it_is_open_moves_nothing(self, olga: User, office: ServiceAgreement) -> None:
        resolve = cast.commit(office, RESOLVE, 8, "business_hours")
        incident = declare(olga, at("16:00"))
        SpecialDay.objects.create(calendar=office.calendar, on=dt.date(2026, 11, 25), name="Founders' day")
        lifecycle.acknowledge(incident, by=olga, now=at("16:10"))
        assert of(resolve, incident).due_at == at("16:00", day=25)
        assert of(resolve, declare(olga, at("16:00"))).due_at == at("16:00", day=26), (
            "the next incident has the holiday"
        )

    def test_an_agreement_that_ends_while_it_is_open_moves_nothing(
        self, olga: User, promised: ServiceAgreement
    ) -> None:
        notify = cast.commit(promised, NOTIFY, 4)
        incident = declare(olga)
        promised.ends_at = at("11:00")
        cast.save(promised)
        lifecycle.acknowledge(incident, by=olga, now=at("11:30"))
        lifecycle.correct_times(incident, by=olga, now=at("12:00"), aware_at=at("10:02"), reason="The log says so.")
        assert of(notify, incident).is_open
        assert of(notify, incident).due_at == at("14:00")
        notices.raise_due(at("14:00"))
        assert len(told(NoticeKind.OVERDUE)) == 1

    def test_resolution_done_at_the_very_second_is_met_and_a_second_later_is_missed(
        self, olga: User, promised: ServiceAgreement
    ) -> None:
        resolve = cast.commit(promised, RESOLVE, 4)
        in_time, late = declare(olga), declare(olga)
        lifecycle.resolve(in_time, by=olga, now=at("14:00"))
        lifecycle.resolve(late, by=olga, now=at("14:00:01"))
        assert of(resolve, in_time).standing(at("20:00")) == Standing.MET
        assert of(resolve, late).standing(at("20:00")) == Standing.MISSED

    def test_resolved_a_second_before_the_warning_sends_nothing(self, olga: User, promised: ServiceAgreement) -> None:
        cast.warn(cast.commit(promised, RESOLVE, 4), 50)
        lifecycle.resolve(declare(olga), by=olga, now=at("11:59:59"))
        assert notices.raise_due(at("12:00")) == 0
        assert not Notice.objects.exists()

    def test_a_worker_down_for_three_hours_sends_one_overdue_mail_and_the_holding_notice_and_records_all_moments(
        self, olga: User, promised: ServiceAgreement
    ) -> None:
        notify = cast.commit(promised, NOTIFY, 4, sends_holding_notice=True)
        cast.warn(notify, 80, has_responders=False)
        incident = declare(olga)
        notices.raise_due(at("16:00"))  # down since 13:00, over the warning at 13:12 and the end at 14:00
        notices.raise_due(at("16:01"))
        states = {notice.moment: notice.state for notice in Notice.objects.all()}
        assert states == {"warning-80%": "superseded", "holding": "pending", "overdue": "pending"}
        assert of(notify, incident).raised_until == at("16:00")
        assert of(notify, incident).next_action_at is None


class TestChainsCapsAndRolls:
    @pytest.fixture
    def dora(self, promised: ServiceAgreement) -> Commitment:
        """Initial notice: four hours from classification, at most 24 hours from awareness (Reg. (EU) 2025/301)."""
        return cast.commit(
            promised,
            NOTIFY,
            4,
            start_event=StartEvent.CLASSIFIED,
            cap_amount=24,
            cap_unit="hours",
            cap_event=StartEvent.AWARE,
        )

    @pytest.mark.parametrize(
        ("classified", "due"),
        [
            pytest.param(at("10:00", 23), at("14:00", 23), id="soon: four hours"),
            pytest.param(at("07:00", 24), at("08:00", 24), id="late: the cap"),
            pytest.param(at("09:00", 24), at("13:00", 24), id="after the cap: four hours again"),
        ],
    )
    def test_four_hours_from_classification_capped_at_a_day_from_awareness(
        self, olga: User, dora: Commitment, classified: dt.datetime, due: dt.datetime
    ) -> None:
        assert of(dora, declare(olga, at("08:00", 23), now=classified)).due_at == due

    def test_a_corrected_awareness_moves_the_cap(self, olga: User, dora: Commitment) -> None:
        incident = declare(olga, at("08:00", 23), now=at("07:00", 24))
        lifecycle.correct_times(incident, by=olga, now=at("07:10", 24), aware_at=at("10:00", 23), reason="Later.")
        assert of(dora, incident).due_at == at("10:00", 24)

    @pytest.mark.parametrize(
        ("terms", "due"),
        [
            pytest.param({}, on("2027-03-01 00:00"), id="the end of Sunday, 28 February"),
            pytest.param(
                {"roll": Roll.NEXT_BUSINESS_DAY_AT, "roll_at": dt.time(12)},
                on("2027-03-01 12:00"),
                id="rolled to Monday noon",
            ),
        ],
    )
    def test_the_final_report_is_due_a_month_after_the_intermediate_one(
        self, olga: User, office: ServiceAgreement, terms: dict[str, Any], due: dt.datetime
    ) -> None:
        intermediate = cast.commit(office, NOTIFY, 72, label="intermediate")
        final = cast.commit(
            office, REPORT, 1, "months", start_event=StartEvent.COMMITMENT, follows=intermediate, **terms
        )
        incident = declare(olga, on("2027-01-31 10:00"))
        assert of(final, incident).standing(on("2027-01-31 11:00")) == Standing.WAITING
        tell(incident, office.client, NOTIFY, olga, on("2027-01-31 18:00"))
        assert (of(final, incident).started_at, of(final, incident).due_at) == (on("2027-01-31 18:00"), due)

    def test_a_report_that_follows_a_notice_can_be_given_before_the_resolution(
        self, olga: User, promised: ServiceAgreement
    ) -> None:
        """NIS2 art. 23(4)(d): one month after the notification, whether or not the incident is over."""
        notification = cast.commit(promised, NOTIFY, 72)
        final = cast.commit(promised, REPORT, 1, "months", start_event=StartEvent.COMMITMENT, follows=notification)
        incident = declare(olga)
        with pytest.raises(Refused, match="once the incident is resolved"):
            tell(incident, promised.client, REPORT, olga, at("10:30"))
        tell(incident, promised.client, NOTIFY, olga, at("11:00"))
        tell(incident, promised.client, REPORT, olga, at("12:00"))
        assert of(final, incident).met_at == at("12:00")

    def test_the_nis2_final_report_waits_for_the_72_hour_notification_not_for_the_early_warning(
        self, olga: User, promised: ServiceAgreement
    ) -> None:
        warning = cast.commit(promised, NOTIFY, 24, label="early warning", start_event=StartEvent.AWARE)
        notification = cast.commit(promised, NOTIFY, 72, label="notification", start_event=StartEvent.AWARE)
        final = cast.commit(promised, REPORT, 1, "months", start_event=StartEvent.COMMITMENT, follows=notification)
        incident = declare(olga, at("10:00", 2))
        tell(incident, promised.client, NOTIFY, olga, at("20:00", 2))
        assert of(warning, incident).met_at == at("20:00", 2)
        assert of(notification, incident).is_open
        assert of(final, incident).standing(at("20:00", 2)) == Standing.WAITING
        tell(incident, promised.client, NOTIFY, olga, at("09:00", 4))
        assert of(notification, incident).met_at == at("09:00", 4)
        assert of(final, incident).due_at == on("2026-12-05 00:00"), "the end of the same day a month later"

    def test_of_two_steps_the_first_accepted_notice_meets_only_the_first_even_with_three_contacts(
        self, relay: SmtpSink, olga: User, promised: ServiceAgreement
    ) -> None:
        for name in ("night", "board"):
            Contact.objects.create(client=promised.client, name=name, address=f"{name}@acme.example", position=2)
        first, second = (
            cast.commit(promised, NOTIFY, 24, label="first"),
            cast.commit(promised, NOTIFY, 72, label="full"),
        )
        incident = declare(olga)
        assert lifecycle.notify_client(incident, by=olga, now=at("10:10"), message="We know.") == 3
        outbox.deliver(at("10:11"))
        assert len(relay.messages) == 3
        assert not of(first, incident).is_open
        assert of(second, incident).is_open
        lifecycle.notify_client(incident, by=olga, now=at("11:00"), message="All of it.")
        outbox.deliver(at("11:01"))
        assert len(relay.messages) == 6
        assert not of(second, incident).is_open


# ── the clock stands still ──────────────────────────────────────────────────────────────────────────────────────────


class TestPauses:
    @pytest.fixture
    def resolve(self, promised: ServiceAgreement) -> Commitment:
        resolve = cast.commit(promised, RESOLVE, 4, is_pausable=True)
        cast.warn(resolve, 50)
        cast.warn(resolve, 80)
        return resolve

    def stop(self, incident: Incident, by: User, start: dt.datetime, end: dt.datetime | None = None) -> None:
        lifecycle.pause(incident, by=by, now=start, reason="The client is asked.")
        if end:
            lifecycle.resume(incident, by=by, now=end, reason="They answered.")

    def test_an_hour_of_pause_moves_the_resolution_by_an_hour_and_not_the_notice(
        self, olga: User, promised: ServiceAgreement, resolve: Commitment
    ) -> None:
        notify = cast.commit(promised, NOTIFY, 4)
        incident = declare(olga)
        self.stop(incident, olga, at("12:00"), at("13:00"))
        assert of(resolve, incident).due_at == at("15:00")
        assert of(notify, incident).due_at == at("14:00")
        assert of(notify, incident).revision == 1

    def test_a_pause_that_ends_with_the_resolution_still_counts(self, olga: User, resolve: Commitment) -> None:
        incident = declare(olga)
        self.stop(incident, olga, at("13:00"))
        lifecycle.resolve(incident, by=olga, now=at("14:30"))
        deadline = of(resolve, incident)
        assert (deadline.due_at, deadline.met_at) == (at("15:30"), at("14:30"))
        assert deadline.standing(at("20:00")) == Standing.MET
        assert not incident.pauses.filter(ends_at=None).exists()

    def test_while_it_is_paused_nobody_is_warned_and_after_it_the_warnings_come_at_the_moved_instants(
        self, olga: User, resolve: Commitment
    ) -> None:
        incident = declare(olga)
        self.stop(incident, olga, at("11:00"))
        assert notices.raise_due(at("23:00")) == 0
        assert of(resolve, incident).standing(at("23:00")) == Standing.PAUSED
        lifecycle.resume(incident, by=olga, now=at("23:00"), reason="They answered.")
        assert warned_at(of(resolve, incident)) == {"warning-50%": at("00:00", 25), "warning-80%": at("01:12", 25)}
        assert notices.raise_due(at("23:59:59")) == 0
        assert notices.raise_due(at("00:00", 25)) == 1
        assert {notice.moment for notice in Notice.objects.all()} == {"warning-50%"}

    def test_a_warning_that_was_sent_before_the_pause_is_not_repeated_after_it(
        self, olga: User, resolve: Commitment
    ) -> None:
        incident = declare(olga)
        notices.raise_due(at("12:00"))
        cast.past_the_trail(Notice.objects, state=NoticeState.SENT, accepted_at=at("12:00"))
        self.stop(incident, olga, at("12:30"), at("13:00"))
        assert warned_at(of(resolve, incident)) == {"warning-80%": at("13:42")}

    def test_what_was_overdue_before_the_pause_stays_missed(self, olga: User, resolve: Commitment) -> None:
        incident = declare(olga)
        self.stop(incident, olga, at("14:30"))
        assert of(resolve, incident).standing(at("15:00")) == Standing.MISSED
        lifecycle.resume(incident, by=olga, now=at("16:00"), reason="They answered.")
        deadline = of(resolve, incident)
        assert (deadline.due_at, deadline.standing(at("16:00"))) == (at("14:00"), Standing.MISSED)

    def test_reopened_it_goes_on_where_it_stood_and_the_time_in_between_does_not_count(
        self, olga: User, resolve: Commitment
    ) -> None:
        incident = declare(olga)
        lifecycle.resolve(incident, by=olga, now=at("11:30"))
        lifecycle.reopen(incident, by=olga, now=at("16:00"), reason="It is back.")
        deadline = of(resolve, incident)
        assert (deadline.met_at, deadline.due_at) == (None, at("18:30"))
        assert incident.deadlines.count() == 1
        assert deadline.next_action_at == at("16:30"), "half of four hours, of which an hour and a half are used"

    def test_without_leave_to_stop_the_clock_a_new_cycle_begins(self, olga: User, promised: ServiceAgreement) -> None:
        resolve = cast.commit(promised, RESOLVE, 4)
        incident = declare(olga)
        lifecycle.resolve(incident, by=olga, now=at("11:30"))
        lifecycle.reopen(incident, by=olga, now=at("16:00"), reason="It is back.")
        assert of(resolve, incident).met_at == at("11:30")
        assert of(resolve, incident, cycle=2).due_at == at("20:00")


# ── updates ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class TestUpdates:
    @pytest.fixture
    def hourly(self, promised: ServiceAgreement) -> Commitment:
        return cast.commit(promised, UPDATE, 60, "minutes", is_recurring=True)

    def test_sent_at_1040_and_1210_the_first_is_in_time_the_second_half_an_hour_late_the_next_due_at_1310(
        self, olga: User, hourly: Commitment
    ) -> None:
        incident = declare(olga)
        for sent in (at("10:40"), at("12:10")):
            tell(incident, hourly.agreement.client, UPDATE, olga, sent)
        first, second, third = (of(hourly, incident, cycle) for cycle in (1, 2, 3))
        assert (first.due_at, first.standing(at("12:30"))) == (at("11:00"), Standing.MET)
        assert (second.due_at, second.standing(at("12:30"))) == (at("11:40"), Standing.MISSED)
        assert second.met_at is not None
        assert second.due_at is not None
        assert second.met_at - second.due_at == dt.timedelta(minutes=30)
        assert (third.due_at, third.standing(at("12:30"))) == (at("13:10"), Standing.RUNNING)

    def test_after_severity_went_down_and_up_again_they_go_on_from_the_last_one(
        self, olga: User, hourly: Commitment
    ) -> None:
        incident = declare(olga)
        tell(incident, hourly.agreement.client, UPDATE, olga, at("12:40"))
        lifecycle.reclassify(incident, "low", by=olga, now=at("12:50"), reason="One tenant.")
        lifecycle.reclassify(incident, "critical", by=olga, now=at("13:00"), reason="All of them.")
        assert of(hourly, incident, cycle=3).due_at == at("13:40")

    def test_correcting_the_detection_after_the_resolution_starts_none(self, olga: User, hourly: Commitment) -> None:
        incident = declare(olga)
        lifecycle.resolve(incident, by=olga, now=at("10:30"))
        lifecycle.correct_times(incident, by=olga, now=at("12:00"), detected_at=at("09:30"), reason="The log.")
        assert incident.deadlines.count() == 1
        assert not incident.deadlines.open().exists()

    def test_an_agreement_found_while_it_was_resolved_is_owed_updates_once_it_is_reopened(
        self, olga: User, hourly: Commitment
    ) -> None:
        hourly.agreement.ends_at = at("09:50")
        cast.save(hourly.agreement)
        incident = declare(olga)
        lifecycle.resolve(incident, by=olga, now=at("10:30"))
        lifecycle.correct_times(incident, by=olga, now=at("10:40"), detected_at=at("09:40"), reason="The log.")
        lifecycle.reopen(incident, by=olga, now=at("11:00"), reason="It is back.")
        assert of(hourly, incident).due_at == at("12:00")

    def test_one_that_was_given_stays_given_after_reopening(self, olga: User, promised: ServiceAgreement) -> None:
        once = cast.commit(promised, UPDATE, 2, is_pausable=True)
        incident = declare(olga)
        tell(incident, promised.client, UPDATE, olga, at("11:00"))
        lifecycle.resolve(incident, by=olga, now=at("11:30"))
        lifecycle.reopen(incident, by=olga, now=at("12:00"), reason="It is back.")
        assert of(once, incident).met_at == at("11:00")
        assert of(once, incident, cycle=2).due_at == at("14:00")


# ── severity, times and work that change ────────────────────────────────────────────────────────────────────────────


class TestWhatWasMissedStaysMissed:
    def test_a_notice_counted_from_classification_is_not_excused_by_the_next_classification(
        self, olga: User, promised: ServiceAgreement
    ) -> None:
        notify = cast.commit(promised, NOTIFY, 1, start_event=StartEvent.CLASSIFIED)
        incident = declare(olga)
        lifecycle.reclassify(incident, "low", by=olga, now=at("11:30"), reason="One tenant.")
        lifecycle.acknowledge(incident, by=olga, now=at("11:40"))
        missed = of(notify, incident)
        assert (missed.due_at, missed.standing(at("12:00"))) == (at("11:00"), Standing.MISSED)
        lifecycle.reclassify(incident, "critical", by=olga, now=at("12:00"), reason="All of them.")
        lifecycle.mitigate(incident, by=olga, now=at("12:10"))
        assert of(notify, incident).standing(at("12:10")) == Standing.MISSED
        assert of(notify, incident, cycle=2).due_at == at("13:00"), "and the new classification has its own"

    def test_a_notice_given_within_the_hour_of_its_classification_keeps_that_hour(
        self, olga: User, promised: ServiceAgreement
    ) -> None:
        notify = cast.commit(promised, NOTIFY, 1, start_event=StartEvent.CLASSIFIED)
        incident = declare(olga)
        tell(incident, promised.client, NOTIFY, olga, at("11:10"))
        lifecycle.reclassify(incident, "low", by=olga, now=at("11:30"), reason="One tenant.")
        lifecycle.acknowledge(incident, by=olga, now=at("11:40"))
        assert (of(notify, incident).started_at, of(notify, incident).due_at) == (at("10:00"), at("11:00"))

    def test_a_report_that_was_missed_is_not_wiped_by_reopening(self, olga: User, promised: ServiceAgreement) -> None:
        report = cast.commit(promised, REPORT, 1, start_event=StartEvent.RESOLVED)
        incident = declare(olga)
        lifecycle.resolve(incident, by=olga, now=at("11:00"))
        lifecycle.reopen(incident, by=olga, now=at("12:30"), reason="It is back.")
        missed = of(report, incident)
        assert (missed.due_at, missed.standing(at("13:00"))) == (at("12:00"), Standing.MISSED)
        lifecycle.resolve(incident, by=olga, now=at("13:00"))
        assert of(report, incident).due_at == at("12:00")

    def test_a_late_report_stays_late_after_reopening(self, olga: User, promised: ServiceAgreement) -> None:
        report = cast.commit(promised, REPORT, 1, start_event=StartEvent.RESOLVED)
        incident = declare(olga)
        lifecycle.resolve(incident, by=olga, now=at("11:00"))
        tell(incident, promised.client, REPORT, olga, at("12:01"))
        lifecycle.reopen(incident, by=olga, now=at("12:30"), reason="It is back.")
        assert of(report, incident).standing(at("13:00")) == Standing.MISSED

    def test_a_late_report_that_follows_the_resolution_stays_late_when_the_resolution_goes_on(
        self, olga: User, promised: ServiceAgreement
    ) -> None:
        resolve = cast.commit(promised, RESOLVE, 4, is_pausable=True)
        report = cast.commit(promised, REPORT, 1, start_event=StartEvent.COMMITMENT, follows=resolve)
        incident = declare(olga)
        lifecycle.resolve(incident, by=olga, now=at("11:00"))
        tell(incident, promised.client, REPORT, olga, at("12:01"))
        lifecycle.reopen(incident, by=olga, now=at("12:30"), reason="It is back.")
        assert of(report, incident).standing(at("13:00")) == Standing.MISSED

    def test_a_report_that_follows_the_resolution_waits_for_the_next_one(
        self, olga: User, promised: ServiceAgreement
    ) -> None:
        resolve = cast.commit(promised, RESOLVE, 4)
        report = cast.commit(promised, REPORT, 2, start_event=StartEvent.COMMITMENT, follows=resolve)
        incident = declare(olga)
        lifecycle.resolve(incident, by=olga, now=at("11:00"))
        lifecycle.reopen(incident, by=olga, now=at("12:30"), reason="It is back.")
        assert of(report, incident).standing(at("13:00")) == Standing.WAITING
        lifecycle.resolve(incident, by=olga, now=at("14:00"))
        assert of(report, incident).due_at == at("16:00")


class TestReopened:
    def test_mitigation_cannot_be_dated_before_it_came_back(self, olga: User, promised: ServiceAgreement) -> None:
        cast.commit(promised, Obligation.MITIGATE, 2)
        incident = declare(olga)
        lifecycle.resolve(incident, by=olga, now=at("10:30"))
        lifecycle.reopen(incident, by=olga, now=at("11:00"), reason="It is back.")
        with pytest.raises(Refused, match="reopened after that"):
            lifecycle.mitigate(incident, by=olga, now=at("11:30"), at=at("10:45"))

    def test_an_agreement_that_turned_out_not_to_apply_owes_nothing_again(
        self, olga: User, promised: ServiceAgreement
    ) -> None:
        resolve = cast.commit(promised, RESOLVE, 4)
        promised.effective_at = at("09:55")
        cast.save(promised)
        incident = declare(olga)
        lifecycle.resolve(incident, by=olga, now=at("10:30"))
        lifecycle.correct_times(incident, by=olga, now=at("10:40"), detected_at=at("09:40"), reason="The log.")
        lifecycle.reopen(incident, by=olga, now=at("11:00"), reason="It is back.")
        assert [(d.commitment, d.met_at) for d in incident.deadlines.all()] == [(resolve, at("10:30"))]


class TestTakenBackAndMadeAnew:
    """A correction takes unsent mails back, as they name the old due time; what they were for is still owed."""

    @pytest.fixture
    def notify(self, promised: ServiceAgreement) -> Commitment:
        return cast.commit(promised, NOTIFY, 4, sends_holding_notice=True)

    def test_a_holding_notice_that_was_still_in_the_queue_is_made_anew(self, olga: User, notify: Commitment) -> None:
        incident = declare(olga)
        notices.raise_due(at("13:36"))
        lifecycle.correct_times(incident, by=olga, now=at("13:37"), detected_at=at("09:50"), reason="The log.")
        notices.raise_due(at("13:37"))
        (holding,) = told(NoticeKind.HOLDING_NOTICE)
        assert (holding.revision, holding.due_at) == (2, at("13:50"))

    def test_one_that_was_sent_is_not(self, olga: User, notify: Commitment) -> None:
        incident = declare(olga)
        notices.raise_due(at("14:00"))
        cast.past_the_trail(Notice.objects, state=NoticeState.SENT, accepted_at=at("14:00"))
        lifecycle.correct_times(incident, by=olga, now=at("14:10"), detected_at=at("09:50"), reason="The log.")
        notices.raise_due(at("14:10"))
        assert sorted(notice.moment for notice in Notice.objects.all()) == ["holding", "overdue"]


# ── several agreements, several incidents ───────────────────────────────────────────────────────────────────────────


class TestSeveralAgreements:
    def test_four_hours_and_a_day_with_one_client_are_two_duties_and_one_notice_meets_both(
        self, relay: SmtpSink, olga: User, promised: ServiceAgreement, office: ServiceAgreement
    ) -> None:
        soon, later = cast.commit(promised, NOTIFY, 4), cast.commit(office, NOTIFY, 24)
        incident = declare(olga)
        assert (of(soon, incident).due_at, of(later, incident).due_at) == (at("14:00"), at("10:00", 25))
        assert lifecycle.notify_client(incident, by=olga, now=at("10:30"), message="We know.") == 1
        outbox.deliver(at("10:31"))
        assert len(relay.messages) == 1
        assert of(soon, incident).standing(at("12:00")) == of(later, incident).standing(at("12:00")) == Standing.MET

    def test_a_notice_under_one_agreement_counts_for_one_step_of_another_that_is_found_later(
        self, olga: User, promised: ServiceAgreement, office: ServiceAgreement
    ) -> None:
        cast.commit(promised, NOTIFY, 4)
        first, second = cast.commit(office, NOTIFY, 24, label="first"), cast.commit(office, NOTIFY, 72, label="full")
        office.ends_at = at("09:50")
        cast.save(office)
        incident = declare(olga)
        tell(incident, promised.client, NOTIFY, olga, at("10:30"))
        lifecycle.correct_times(incident, by=olga, now=at("10:40"), detected_at=at("09:40"), reason="The log.")
        assert of(first, incident).met_at == at("10:30")
        assert of(second, incident).is_open

    def test_a_client_without_a_contact_alarms_operators_and_is_still_owed_its_notice(
        self, relay: SmtpSink, olga: User, promised: ServiceAgreement
    ) -> None:
        notify = cast.commit(promised, NOTIFY, 4)
        cast.past_the_trail(promised.client.contacts, is_active=False)
        incident = declare(olga)
        assert lifecycle.notify_client(incident, by=olga, now=at("10:10"), message="We know.") == 0
        outbox.deliver(at("10:11"))
        assert [mail.recipients for mail in relay.messages] == [("olga@due-notice.example",)]
        assert of(notify, incident).is_open
        assert of(notify, incident).standing(at("14:00:01")) == Standing.MISSED


class TestMerged:
    @pytest.fixture
    def hooli(self, db: None) -> ServiceAgreement:
        """Another client, on another service."""
        client = cast.client("Hooli", "UTC", "desk@hooli.example")
        return cast.agreement("HO-1", client, cast.always_open("Hooli's"), cast.service("Payments"))

    def put_together(self, child: Incident, master: Incident, by: User, now: dt.datetime) -> Incident:
        return lifecycle.merge(child, master, by=by, now=now, reason="One cause.")

    def test_the_childs_deadlines_end_and_the_master_keeps_the_earliest_start(
        self, olga: User, promised: ServiceAgreement
    ) -> None:
        notify = cast.commit(promised, NOTIFY, 4)
        child, master = declare(olga, at("09:00")), declare(olga, at("10:00"))
        master = self.put_together(child, master, olga, at("10:30"))
        child.refresh_from_db()
        assert (child.status, child.merged_into) == (Status.MERGED, master)
        ended = of(notify, child)
        assert (ended.ended_at, ended.end_reason) == (at("10:30"), f"Merged into {master.reference}.")
        assert of(notify, master).due_at == at("13:00")

    def test_what_the_child_had_missed_stays_missed(self, olga: User, promised: ServiceAgreement) -> None:
        notify = cast.commit(promised, NOTIFY, 4)
        child, master = declare(olga, at("09:00")), declare(olga, at("10:00"))
        self.put_together(child, master, olga, at("13:30"))
        assert of(notify, child).standing(at("13:30")) == Standing.MISSED

    def test_a_pause_of_the_child_that_ends_with_the_merging_still_counts(
        self, olga: User, promised: ServiceAgreement
    ) -> None:
        resolve = cast.commit(promised, RESOLVE, 4, is_pausable=True)
        child, master = declare(olga), declare(olga)
        lifecycle.pause(child, by=olga, now=at("12:00"), reason="The client is asked.")
        self.put_together(child, master, olga, at("14:30"))
        ended = of(resolve, child)
        assert (ended.due_at, ended.standing(at("20:00"))) == (at("16:30"), Standing.ENDED)

    def test_a_client_of_the_child_alone_is_still_owed_its_notice_by_the_master(
        self, olga: User, promised: ServiceAgreement, hooli: ServiceAgreement
    ) -> None:
        cast.commit(promised, NOTIFY, 4)
        notify = cast.commit(hooli, NOTIFY, 4)
        child, master = declare(olga, at("09:00"), services=[cast.service("Payments")]), declare(olga, at("10:00"))
        master = self.put_together(child, master, olga, at("10:30"))
        assert (of(notify, master).due_at, of(notify, master).is_open) == (at("13:00"), True)
        assert hooli.client in lifecycle.affected_clients(master)

    def test_one_that_was_notified_of_the_child_is_not_owed_it_again(self, olga: User, hooli: ServiceAgreement) -> None:
        first = cast.commit(hooli, NOTIFY, 4, label="first")
        second = cast.commit(hooli, NOTIFY, 24, label="full")
        child = declare(olga, at("09:00"), services=[cast.service("Payments")])
        tell(child, hooli.client, NOTIFY, olga, at("09:20"))
        master = self.put_together(child, declare(olga, at("10:00")), olga, at("10:30"))
        assert of(first, master).met_at == at("09:20")
        assert of(second, master).is_open, "one notice is one step"

    def test_nor_is_it_owed_again_where_the_master_has_the_same_agreement(
        self, olga: User, promised: ServiceAgreement
    ) -> None:
        notify = cast.commit(promised, NOTIFY, 4)
        child, master = declare(olga, at("09:00")), declare(olga, at("10:00"))
        tell(child, promised.client, NOTIFY, olga, at("09:20"))
        master = self.put_together(child, master, olga, at("13:30"))
        deadline = of(notify, master)
        assert (deadline.due_at, deadline.met_at) == (at("13:00"), at("09:20"))
        assert deadline.standing(at("13:30")) == Standing.MET

    def test_updates_go_on_from_the_last_one_that_the_child_gave(self, olga: User, hooli: ServiceAgreement) -> None:
        hourly = cast.commit(hooli, UPDATE, 60, "minutes", is_recurring=True)
        child = declare(olga, at("09:00"), services=[cast.service("Payments")])
        tell(child, hooli.client, UPDATE, olga, at("10:20"))
        master = self.put_together(child, declare(olga, at("10:00")), olga, at("10:30"))
        assert of(hourly, master).due_at == at("11:20")

    def test_a_critical_one_does_not_vanish_in_a_lesser_one(self, olga: User, hooli: ServiceAgreement) -> None:
        cast.commit(hooli, NOTIFY, 4)
        child = declare(olga, at("09:00"), services=[cast.service("Payments")])
        master = declare(olga, at("10:00"), severity=Severity.LOW)
        with pytest.raises(Refused, match="Reclassify"):
            self.put_together(child, master, olga, at("10:30"))
        lifecycle.reclassify(master, "critical", by=olga, now=at("10:40"), reason="It is all one.")
        self.put_together(child, master, olga, at("10:50"))
        assert master.deadlines.open().filter(client=hooli.client, obligation=NOTIFY).exists()

    def test_correcting_other_times_of_the_master_does_not_let_go_of_an_agreement_it_took_over(
        self, olga: User, hooli: ServiceAgreement
    ) -> None:
        notify = cast.commit(hooli, NOTIFY, 4)
        hooli.effective_at = at("10:05")
        cast.save(hooli)
        master = declare(olga, at("10:00"))
        child = declare(olga, at("10:10"), services=[cast.service("Payments")])
        self.put_together(child, master, olga, at("10:30"))
        lifecycle.correct_times(master, by=olga, now=at("10:40"), aware_at=at("10:02"), reason="The log.")
        assert of(notify, master).is_open


def test_every_story_recomputes_to_what_is_stored(olga: User, promised: ServiceAgreement) -> None:
    """The promise on which `deadlines verify` rests, over a life with every kind of turn."""
    for commitment in (
        cast.commit(promised, NOTIFY, 1, start_event=StartEvent.CLASSIFIED),
        cast.commit(promised, RESOLVE, 4, is_pausable=True),
        cast.commit(promised, UPDATE, 60, "minutes", is_recurring=True),
    ):
        cast.warn(commitment, 50)
    cast.commit(promised, REPORT, 2, start_event=StartEvent.RESOLVED)
    incident = declare(olga)
    lifecycle.reclassify(incident, "low", by=olga, now=at("11:30"), reason="One tenant.")
    lifecycle.reclassify(incident, "critical", by=olga, now=at("11:40"), reason="All of them.")
    lifecycle.pause(incident, by=olga, now=at("12:00"), reason="Asked.")
    lifecycle.resolve(incident, by=olga, now=at("12:30"))
    lifecycle.reopen(incident, by=olga, now=at("13:00"), reason="It is back.")
    lifecycle.correct_times(incident, by=olga, now=at("13:10"), detected_at=at("09:30"), reason="The log.")
    incident.refresh_from_db()
    for deadline in incident.deadlines.all():
        assert deadlines.course_of(deadline, incident).is_that_of(deadline), deadline
