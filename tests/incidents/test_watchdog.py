"""The watchdog: every invariant of the queue, broken on purpose, is noticed; a clean world is left in peace."""

from __future__ import annotations

import datetime as dt
import logging
import os
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from agreements.models import Contact, Obligation, ServiceAgreement, Severity
from config.models import User
from incidents import lifecycle, notices, outbox, watchdog
from incidents.models import AffectedAgreement, Deadline, DeliveryAttempt, Heartbeat, Incident, Notice, Sending
from incidents.models.notice import DeliveryPhase, NoticeKind, NoticeState, Outcome
from incidents.models.sending import Part
from tests import cast
from tests.cast import at
from tests.services.smtp import SmtpSink

pytestmark = pytest.mark.django_db

SECOND = dt.timedelta(seconds=1)
SILENCE = 120 * SECOND
NOW = at("13:37")  # the holding notice to Northwind was due at 13:36, its notice is at 14:00


@pytest.fixture(autouse=True)
def _small_world(monkeypatch: pytest.MonkeyPatch) -> None:
    """One minute looks through all of it, whatever keys PostgreSQL has given to the tests before."""
    monkeypatch.setattr(watchdog, "SLICE", 1_000_000)


def declare(olga: User, now: dt.datetime = at("10:00"), **facts: object) -> Incident:  # noqa: B008 - an instant
    return lifecycle.declare(
        by=olga,
        now=now,
        title="Storage is down",
        severity=Severity.CRITICAL,
        services=[cast.service("Object storage")],
        detected_at=now,
        **facts,  # type: ignore[arg-type]
    )


def beats(now: dt.datetime, *parts: Part) -> None:
    for part in parts or tuple(Part):
        Heartbeat.objects.update_or_create(part=part, defaults={"at": now, "worker": "test"})


@pytest.fixture
def incident(olga: User, northwind: ServiceAgreement) -> Incident:
    """An incident whose notices up to 13:37 are made; everything was at work a moment ago."""
    incident = declare(olga)
    notices.raise_due(NOW)
    beats(NOW)
    return incident


@pytest.fixture
def notice(incident: Incident) -> Notice:
    return Notice.objects.get(kind=NoticeKind.HOLDING_NOTICE)


def keys(now: dt.datetime = NOW, *, whole: bool = False) -> set[str]:
    return {problem.key for problem in watchdog.audit(now, whole=whole)}


def everywhere(now: dt.datetime = NOW) -> set[str]:
    """What the minute's audit and the whole one find; they agree on a small world."""
    found = keys(now)
    assert found == keys(now, whole=True)
    return found


def red(now: dt.datetime = NOW) -> set[str]:
    """What makes /healthz/delivery answer 503."""
    assert all(problem.is_red for problem in watchdog.red_problems(now))
    return {problem.key for problem in watchdog.red_problems(now)}


def set_to(notice: Notice, **values: object) -> None:
    cast.past_the_trail(Notice.objects.filter(pk=notice.pk), **values)


def lose(**which: object) -> None:
    """As if the rows had never been made."""
    cast.past_the_trail(Notice.objects, superseded_by=None)
    cast.lose(Notice.objects.filter(**which))


class TestClean:
    def test_a_world_in_order_has_no_problem(self, incident: Incident) -> None:
        assert Notice.objects.exists()
        assert everywhere() == set()

    def test_a_world_in_which_the_mail_was_accepted_has_none(self, relay: SmtpSink, incident: Incident) -> None:
        outbox.deliver(NOW)
        assert Notice.objects.filter(state=NoticeState.SENT).exists()
        assert everywhere() == set()

    def test_a_deadline_that_moved_is_asked_for_its_present_revision_only(self, incident: Incident, olga: User) -> None:
        lifecycle.correct_times(incident, by=olga, now=NOW, detected_at=at("9:50"), reason="Seen in the logs.")
        notices.raise_due(NOW)
        assert everywhere() == set()

    def test_a_paused_deadline_is_not_overlooked(self, contoso: ServiceAgreement, olga: User) -> None:
        resolve = contoso.commitments.filter(obligation=Obligation.RESOLVE, severity=Severity.CRITICAL).get()
        resolve.is_pausable = True
        cast.save(resolve)
        incident = declare(olga)
        lifecycle.pause(incident, by=olga, now=at("10:01"), reason="We wait for the client.")
        assert incident.deadlines.filter(paused_at__isnull=False).exists()
        notices.raise_due(at("22:00"))
        beats(at("22:00"))
        assert not {"moments-overlooked", "notices-missing"} & keys(at("22:00"))


class TestSilence:
    @pytest.mark.parametrize("part", [Part.PLANNER, Part.SENDER])
    def test_a_part_that_was_not_at_work_for_more_than_120_seconds_is_silent(
        self, incident: Incident, part: Part
    ) -> None:
        beats(NOW - SILENCE, part)
        assert everywhere() == set()
        beats(NOW - SILENCE - SECOND, part)
        assert everywhere() == red() == {f"{part}-silent"}

    def test_the_auditor_that_comes_each_minute_has_180_seconds(self, incident: Incident) -> None:
        beats(NOW - 180 * SECOND, Part.AUDITOR)
        assert red() == set()
        beats(NOW - 181 * SECOND, Part.AUDITOR)
        assert red() == keys(whole=True) == {"auditor-silent"}
        assert keys() == set(), "at work at this very moment"

    def test_what_was_never_at_work_is_silent_at_once_unless_the_watcher_has_just_begun(self, db: None) -> None:
        assert keys() == {"planner-silent", "sender-silent"}
        assert watchdog.red_problems(NOW, NOW - SILENCE) == []
        found = watchdog.red_problems(NOW, NOW - SILENCE - SECOND)
        assert {problem.key for problem in found} == {"planner-silent", "sender-silent"}
        assert all("Not at work so far" in problem.sentence for problem in found)

    def test_a_web_server_that_was_started_again_hides_no_dead_planner(self, db: None) -> None:
        beats(NOW - 3600 * SECOND, Part.PLANNER)
        (problem,) = watchdog.red_problems(NOW, NOW)
        assert problem.key == "planner-silent"
        assert "1 h 0 min" in problem.sentence

    def test_a_heartbeat_from_the_future_is_no_sign_of_life(self, incident: Incident) -> None:
        beats(NOW + SILENCE + SECOND, Part.SENDER)
        assert everywhere() == red() == {"sender-clock"}


class TestBeat:
    def test_it_is_written_at_most_every_ten_seconds(self, db: None) -> None:
        watchdog.beat(Part.PLANNER, NOW)
        with CaptureQueriesContext(connection) as idle:
            watchdog.beat(Part.PLANNER, NOW + 9 * SECOND)
        assert len(idle) == 0
        with CaptureQueriesContext(connection) as written:
            watchdog.beat(Part.PLANNER, NOW + 10 * SECOND)
        assert len(written) == 1
        assert Heartbeat.objects.get().at == NOW + 10 * SECOND

    def test_each_part_has_its_own(self, db: None) -> None:
        watchdog.beat(Part.PLANNER, NOW)
        watchdog.beat(Part.SENDER, NOW + SECOND)
        assert dict(Heartbeat.objects.values_list("part", "at")) == {"planner": NOW, "sender": NOW + SECOND}
        assert all(row.worker.endswith(f":{os.getpid()}") for row in Heartbeat.objects.all())

    def test_a_process_that_is_behind_does_not_set_it_back(self, db: None) -> None:
        beats(NOW, Part.SENDER)
        watchdog.beat(Part.SENDER, NOW - 5 * SECOND)
        assert Heartbeat.objects.get().at == NOW

    def test_a_clock_that_was_an_hour_ahead_is_put_right(self, db: None) -> None:
        beats(NOW + 3600 * SECOND, Part.SENDER)
        watchdog.beat(Part.SENDER, NOW)
        assert Heartbeat.objects.get().at == NOW


class TestLate:
    def test_a_deadline_whose_moment_came_and_was_not_raised(self, olga: User, northwind: ServiceAgreement) -> None:
        incident = declare(olga)
        moment = min(d.next_action_at for d in incident.deadlines.all() if d.next_action_at is not None)
        beats(moment + SILENCE)
        assert everywhere(moment + SILENCE) == set()
        late = moment + SILENCE + SECOND
        assert everywhere(late) == red(late) == {"deadlines-unraised"}

    def test_a_notice_that_is_due_and_waits(self, notice: Notice) -> None:
        late = NOW + SILENCE + SECOND
        beats(late)
        cast.past_the_trail(Notice.objects.exclude(pk=notice.pk), state=NoticeState.CANCELLED)
        assert everywhere(late) == red(late) == {"notices-unsent"}
        (problem,) = watchdog.red_problems(late)
        assert problem.sentence == "Notices that are due and wait: 1, the first for 2 min."
        set_to(notice, next_attempt_at=late)
        assert everywhere(late) == set(), "one that is tried again later is not late before"

    def test_a_notice_whose_worker_is_gone_and_that_nobody_took_back(self, notice: Notice) -> None:
        leased = outbox.lease(NOW)
        until = leased[0].leased_until
        assert until is not None
        beats(until + 61 * SECOND)
        assert everywhere(until + 60 * SECOND) == set()
        assert everywhere(until + 61 * SECOND) == red(until + 61 * SECOND) == {"notices-stalled"}


class TestPeople:
    @pytest.mark.parametrize("state", [NoticeState.FAILED, NoticeState.REVIEW])
    def test_a_notice_that_waits_for_a_person_stops_the_ping_but_is_not_red(
        self, notice: Notice, state: NoticeState
    ) -> None:
        set_to(notice, state=state)
        assert everywhere() == {"notices-need-a-person"}
        assert red() == set()
        set_to(notice, state=NoticeState.HANDLED)
        assert everywhere() == set()

    def test_what_is_said_names_no_client_and_no_address(self, notice: Notice) -> None:
        set_to(notice, state=NoticeState.FAILED)
        cast.past_the_trail(Deadline.objects, next_action_at=None, raised_until=None)
        Sending.objects.create(is_held=True, held_at=NOW, hold_reason="Northwind asked, ops@northwind.example.")
        found = watchdog.audit(NOW + 3600 * SECOND, whole=True)
        assert len(found) >= 4
        assert "orthwind" not in "".join(f"{problem.key} {problem.sentence}" for problem in found)


class TestProof:
    def test_sent_without_an_accepting_attempt(self, notice: Notice) -> None:
        set_to(notice, state=NoticeState.SENT, accepted_at=NOW)
        facts = {"notice": notice, "at": NOW, "worker": "w", "phase": DeliveryPhase.DATA}
        DeliveryAttempt.objects.create(**facts, outcome=Outcome.AMBIGUOUS)
        assert everywhere() == {"notices-unproven"}
        assert red() == set()
        DeliveryAttempt.objects.create(**facts, outcome=Outcome.ACCEPTED)
        assert everywhere() == set()

    def test_one_of_long_ago_is_found_by_the_whole_audit(self, notice: Notice) -> None:
        set_to(notice, state=NoticeState.SENT, accepted_at=NOW - 16 * 60 * SECOND)
        assert keys() == set()
        assert keys(whole=True) == {"notices-unproven"}


class TestGaps:
    def test_a_row_that_is_missing_for_a_moment_that_was_raised(self, notice: Notice, incident: Incident) -> None:
        lose(moment=notice.moment)
        assert everywhere() == {"notices-missing"}
        (problem,) = watchdog.audit(NOW)
        assert problem.detail == incident.reference

    def test_a_row_of_an_earlier_revision_does_not_count(self, notice: Notice) -> None:
        cast.past_the_trail(Deadline.objects.filter(notices=notice), revision=2)
        assert everywhere() == {"notices-missing"}

    def test_a_deadline_that_is_done_owes_no_row(
        self, notice: Notice, incident: Incident, olga: User, northwind: ServiceAgreement
    ) -> None:
        lose()
        lifecycle.record_told(incident, northwind.client, by=olga, now=NOW, evidence="By phone.")
        assert everywhere() == set()

    def test_a_moment_behind_the_planner_s_mark(self, notice: Notice) -> None:
        deadline = notice.deadline
        assert deadline is not None
        lose()
        for mark in (None, NOW + 3600 * SECOND):  # lost, or set too far
            cast.past_the_trail(Deadline.objects.filter(pk=deadline.pk), raised_until=None, next_action_at=mark)
            assert everywhere(NOW) == {"moments-overlooked"}

    def test_a_deadline_that_the_planner_sets_aside_minute_by_minute(
        self, olga: User, northwind: ServiceAgreement, caplog: pytest.LogCaptureFixture
    ) -> None:
        incident = declare(olga)
        cast.past_the_trail(Deadline.objects.filter(incident=incident), moments=[{"kind": "nonsense"}])
        beats(NOW)
        with caplog.at_level(logging.CRITICAL):
            notices.raise_due(NOW)
        assert everywhere() == {"moments-overlooked"}

    def test_a_client_without_contacts_has_its_alarm_as_its_row(
        self, olga: User, max_: User, northwind: ServiceAgreement
    ) -> None:
        cast.lose(Contact.objects.all())
        declare(olga)
        notices.raise_due(NOW)
        beats(NOW)
        assert Notice.objects.filter(kind=NoticeKind.ALARM, moment="no-contact-holding").exists()
        assert everywhere() == set()

    def test_a_client_that_nobody_can_be_told_of(self, olga: User, northwind: ServiceAgreement) -> None:
        cast.lose(Contact.objects.all())
        cast.past_the_trail(User.objects, email="")
        declare(olga)
        notices.raise_due(NOW)
        beats(NOW)
        assert not Notice.objects.exists()
        assert everywhere() == {"nobody-to-tell"}

    def test_a_warning_for_an_owner_that_there_is_not_is_no_loss(self, olga: User, db: None) -> None:
        agreement = cast.agreement(
            "A-1", cast.client("Fabrikam", "UTC", "it@fabrikam.example"), cast.always_open(), cast.service("Mail")
        )
        commitment = cast.commit(agreement, Obligation.RESOLVE, 8)
        cast.warn(commitment, 50, has_owner=True, has_responders=False, has_contacts=False)
        lifecycle.declare(
            by=olga,
            now=at("10:00"),
            title="Mail is down",
            severity=Severity.CRITICAL,
            services=[cast.service("Mail")],
            detected_at=at("10:00"),
        )
        assert notices.raise_due(at("14:30")) == 1
        beats(at("14:30"))
        assert not Notice.objects.exists()
        assert everywhere(at("14:30")) == set()

    def test_an_open_incident_without_any_deadline_of_an_agreement_it_falls_under(self, incident: Incident) -> None:
        lose()
        cast.lose(Deadline.objects.all())
        assert everywhere() == {"deadlines-missing"}
        cast.remove(AffectedAgreement.objects.get().agreement.commitments.all())
        assert everywhere() == set(), "an agreement that promises nothing for the severity starts nothing"


class TestSending:
    def test_a_hold_is_red_and_says_why_only_to_those_who_have_signed_in(self, incident: Incident) -> None:
        Sending.objects.create(is_held=True, held_at=NOW - 300 * SECOND, hold_reason="Wrong template.")
        assert everywhere() == red() == {"sending-held"}
        (problem,) = watchdog.red_problems(NOW)
        assert "5 min" in problem.sentence
        assert problem.detail == "Wrong template."

    def test_a_refusal_of_our_configuration_is_red_at_once(self, incident: Incident) -> None:
        Sending.objects.create(fault=Outcome.CONFIGURATION, fault_since=NOW, retry_at=NOW, fault_answer="535 no")
        assert everywhere() == red() == {"mail-configuration"}

    def test_a_mail_server_that_is_away_is_red_after_120_seconds(self, incident: Incident) -> None:
        Sending.objects.create(fault=Outcome.TRANSPORT_DOWN, fault_since=NOW - SILENCE, retry_at=NOW)
        assert everywhere() == set()
        cast.past_the_trail(Sending.objects, fault_since=NOW - SILENCE - SECOND)
        assert everywhere() == red() == {"mail-server"}


# ── the auditor's minute ────────────────────────────────────────────────────────────────────────────────────────────


class Switch:
    """A dead man's switch that counts how often it was told, and answers as it is set to."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.status = 200
        switch = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                switch.asked.append(self.path)
                self.send_response(switch.status)
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/ping/secret-token?key=secret-key"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def switch(settings: Settings) -> Iterator[Switch]:
    switch = Switch()
    settings.HEARTBEAT_URL = switch.url
    yield switch
    switch.close()


class TestWatch:
    def test_the_switch_is_told_when_nothing_is_wrong(self, switch: Switch, incident: Incident) -> None:
        assert watchdog.keep_watch(NOW) == []
        assert switch.asked == ["/ping/secret-token?key=secret-key"]

    def test_it_is_not_told_when_anything_is(
        self, switch: Switch, notice: Notice, caplog: pytest.LogCaptureFixture
    ) -> None:
        set_to(notice, state=NoticeState.FAILED)
        assert [problem.key for problem in watchdog.keep_watch(NOW)] == ["notices-need-a-person"]
        assert switch.asked == []
        assert "Notices that wait for a person to decide: 1" in caplog.text

    def test_the_auditor_s_own_heartbeat_is_written_whatever_it_found(self, incident: Incident, notice: Notice) -> None:
        set_to(notice, state=NoticeState.FAILED)
        Heartbeat.objects.filter(part=Part.AUDITOR).delete()
        watchdog.keep_watch(NOW)
        assert Heartbeat.objects.get(part=Part.AUDITOR).at == NOW

    @pytest.mark.parametrize("fault", ["refused", "nobody there", "no address at all"])
    def test_a_switch_that_cannot_be_told_stops_nothing_and_its_secrets_are_not_logged(
        self,
        switch: Switch,
        incident: Incident,
        settings: Settings,
        caplog: pytest.LogCaptureFixture,
        fault: str,
    ) -> None:
        switch.status = 500
        if fault != "refused":
            settings.HEARTBEAT_URL = {
                "nobody there": "http://name:secret-word@127.0.0.1:1/secret-token",
                "no address at all": "http://127.0.0.1:port/secret-token",
            }[fault]
        assert watchdog.keep_watch(NOW) == []
        assert "could not be sent to 127.0.0.1" in caplog.text
        assert "secret" not in caplog.text


class TestCanary:
    @pytest.fixture(autouse=True)
    def _address(self, settings: Settings, db: None) -> None:
        settings.CANARY_ADDRESS = "canary@due-notice.example"

    def test_two_auditors_make_one_in_a_quarter_of_an_hour(self) -> None:
        canary = watchdog._canary("canary@due-notice.example", at("10:00"), at("10:02"))
        assert watchdog.send_canary(at("10:01"))
        notices.queue([canary])  # by another auditor that looked at the same time
        assert not watchdog.send_canary(at("10:14"))
        assert Notice.objects.get().moment == "canary-2026-11-24T10:00Z"

    def test_the_next_one_follows_in_the_next_quarter(self, relay: SmtpSink) -> None:
        for minute in ("10:14", "10:15"):
            watchdog.keep_watch(at(minute))
            outbox.deliver(at(minute))
        assert Notice.objects.filter(state=NoticeState.SENT).count() == 2
        first, second = relay.messages
        assert first.recipients == second.recipients == ("canary@due-notice.example",)
        assert "Canary of 2026-11-24 10:00 UTC" in first.subject
        assert first.message["Message-ID"] != second.message["Message-ID"]
        assert "/healthz/delivery" in first.text
        assert "/healthz/delivery" in first.html

    def test_one_that_is_not_accepted_after_five_minutes_is_a_problem(self) -> None:
        watchdog.send_canary(at("10:00"))
        cast.past_the_trail(Notice.objects, next_attempt_at=at("11:00"))  # the server said 451, say
        beats(at("10:05"))
        assert everywhere(at("10:05")) == set()
        beats(at("10:06"))
        assert everywhere(at("10:06")) == {"canary-late"}

    def test_one_that_is_refused_fails_like_any_notice_and_no_other_follows_until_it_is_dealt_with(
        self, relay: SmtpSink
    ) -> None:
        relay.refuse("canary@due-notice.example")
        watchdog.send_canary(at("10:00"))
        outbox.deliver(at("10:00"))
        assert Notice.objects.get().state == NoticeState.FAILED
        assert not watchdog.send_canary(at("10:15"))
        cast.past_the_trail(Notice.objects, state=NoticeState.HANDLED)
        assert watchdog.send_canary(at("10:16"))

    def test_none_is_made_while_sending_is_held_or_nobody_wants_one(self, settings: Settings) -> None:
        Sending.objects.create(is_held=True, held_at=at("10:00"), hold_reason="Restored.")
        assert not watchdog.send_canary(at("10:00"))
        cast.past_the_trail(Sending.objects, is_held=False)
        settings.CANARY_ADDRESS = ""
        assert not watchdog.send_canary(at("10:00"))
        assert not Notice.objects.exists()


# ── the command ─────────────────────────────────────────────────────────────────────────────────────────────────────


def run_audit(*options: str) -> str:
    """What it prints, and the error that it ends with."""
    out = StringIO()
    try:
        call_command("outbox", "audit", *options, stdout=out, stderr=out)
    except CommandError as error:
        out.write(f"error {error.returncode}: {error}")
    return out.getvalue()


class TestCommand:
    def test_a_clean_world_exits_0_says_so_and_tells_the_switch(self, switch: Switch) -> None:
        beats(timezone.now())
        assert run_audit() == "Clean: no notice is late, lost or waiting for a person.\n"
        assert len(switch.asked) == 1

    def test_any_problem_exits_1_with_its_sentence_and_tells_nobody(self, switch: Switch, notice: Notice) -> None:
        set_to(notice, state=NoticeState.REVIEW)
        beats(timezone.now(), Part.SENDER)
        shown = run_audit()
        assert "notices-need-a-person: Notices that wait for a person to decide: 1" in shown
        assert "planner-silent: " in shown
        assert "error 1: Not clean: " in shown
        assert switch.asked == []


class TestHold:
    def test_sending_is_held_and_released_from_the_command_line_by_somebody_for_a_reason(self, olga: User) -> None:
        call_command("outbox", "hold", "--by=olga", "--reason=A backup was restored.")
        row = Sending.row()
        assert (row.is_held, row.hold_reason) == (True, "A backup was restored.")
        assert row.history.first().history_user == olga
        call_command("outbox", "release", "--by=olga", "--reason=Compared with the relay's log.")
        assert not Sending.row().is_held

    @pytest.mark.parametrize(
        ("options", "said"), [(["--reason=x"], "Say who decides that"), (["--by=olga"], "Say why"), (["--by=o"], "who")]
    )
    def test_it_is_refused_without_who_or_why(self, olga: User, options: list[str], said: str) -> None:
        with pytest.raises(CommandError, match=said):
            call_command("outbox", "hold", *options)
        assert not Sending.row().is_held


class TestSince:
    """After a backup of 13:00 was restored."""

    SINCE = "2026-11-24T13:00Z"

    @pytest.fixture(autouse=True)
    def _now(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from config import instants

        monkeypatch.setattr(instants, "now", lambda: NOW + 60 * SECOND)

    def listed(self, *options: str) -> list[list[str]]:
        lines = run_audit("--since", *(options or (self.SINCE,))).splitlines()
        return [line.split("\t") for line in lines if "<" in line]

    def test_everything_unsent_is_listed_with_what_identifies_it(self, notice: Notice, incident: Incident) -> None:
        set_to(notice, made_at=at("12:00"))
        cast.past_the_trail(Notice.objects.exclude(pk=notice.pk), state=NoticeState.CANCELLED)
        assert self.listed() == [
            [
                incident.reference,
                "Northwind",
                "holding_notice",
                "Northwind Operations <ops@northwind.example>",
                notice.message_id,
                "pending",
                "2026-11-24T12:00:00Z",
                "–",
            ]
        ]

    @pytest.mark.parametrize(
        ("values", "is_listed"),
        [
            ({"state": NoticeState.TRANSMITTING, "made_at": at("9:00")}, True),
            ({"state": NoticeState.FAILED, "made_at": at("9:00")}, True),
            ({"state": NoticeState.SENT, "made_at": at("9:00"), "accepted_at": at("12:59")}, False),
            ({"state": NoticeState.SENT, "made_at": at("9:00"), "accepted_at": at("13:00")}, True),
            ({"state": NoticeState.SENT, "made_at": at("13:00"), "accepted_at": at("13:00")}, True),
            ({"state": NoticeState.CANCELLED, "made_at": at("13:30")}, False),
            ({"state": NoticeState.HANDLED, "made_at": at("12:00")}, False),
        ],
    )
    def test_what_is_certain_is_left_out(self, notice: Notice, values: dict[str, object], is_listed: bool) -> None:
        held = {"lease_token": "5c6b7a1e-3f5a-4a43-8a8e-0f3c1b0e9d11", "leased_until": NOW}
        set_to(notice, **values, **(held if values["state"] == NoticeState.TRANSMITTING else {}))
        assert (notice.message_id in [row[4] for row in self.listed()]) is is_listed

    def test_one_that_was_tried_since_is_listed_with_when(self, notice: Notice) -> None:
        set_to(notice, state=NoticeState.HANDLED, made_at=at("12:00"))
        DeliveryAttempt.objects.create(
            notice=notice, at=at("13:10"), worker="w", phase=DeliveryPhase.DATA, outcome=Outcome.AMBIGUOUS
        )
        (row,) = [row for row in self.listed() if row[4] == notice.message_id]
        assert row[7] == "2026-11-24T13:10:00Z"

    def test_an_offset_counts(self, notice: Notice) -> None:
        set_to(notice, state=NoticeState.HANDLED, made_at=at("12:30"))
        assert notice.message_id in [row[4] for row in self.listed("2026-11-24T13:30+01:00")]
        assert notice.message_id not in [row[4] for row in self.listed("2026-11-24T13:30Z")]

    @pytest.mark.parametrize(
        ("written", "said"),
        [
            ("2026-11-24T13:00", "does not name its zone. Write 2026-11-24T13:00Z for UTC"),
            ("yesterday", "is no instant"),
            ("2027-01-01T00:00Z", "lies in the future"),
        ],
    )
    def test_an_instant_that_cannot_be_meant_is_refused_with_a_sentence(self, written: str, said: str) -> None:
        with pytest.raises(CommandError, match="--since"):
            call_command("outbox", "audit", "--since", written, stdout=StringIO())
        assert said in run_audit("--since", written)


# ── how much it asks ────────────────────────────────────────────────────────────────────────────────────────────────


def asked(look: Callable[[], object]) -> int:
    with CaptureQueriesContext(connection) as captured:
        look()
    return len(captured)


def test_every_page_pays_two_queries(incident: Incident) -> None:
    assert asked(lambda: watchdog.red_problems(NOW)) == 2


def test_the_minute_s_audit_asks_as_much_of_twenty_incidents_as_of_one(incident: Incident, olga: User) -> None:
    with_one = asked(lambda: watchdog.audit(NOW))
    for _number in range(19):
        declare(olga)
    notices.raise_due(NOW)
    assert watchdog.audit(NOW) == []
    assert asked(lambda: watchdog.audit(NOW)) == with_one <= 14


def test_over_some_minutes_the_minute_s_audit_looks_through_everything(
    incident: Incident, olga: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchdog, "SLICE", 2)
    monkeypatch.setattr(watchdog, "RECENT", 0 * SECOND)
    for _number in range(3):
        declare(olga)
    notices.raise_due(NOW)
    deadline = Deadline.objects.filter(next_action_at=None, raised_until__isnull=False).first()
    deadline = deadline or Deadline.objects.filter(raised_until__isnull=False).first()
    assert deadline is not None
    lose(deadline=deadline)
    slices = Deadline.objects.order_by("-pk").values_list("pk", flat=True)[0] // 2 + 1
    minutes = [NOW + number * 60 * SECOND for number in range(slices)]
    found = ["notices-missing" in {p.key for p in watchdog._gaps(minute, whole=False)} for minute in minutes]
    assert found.count(True) == 1
    assert "notices-missing" in keys(whole=True)
