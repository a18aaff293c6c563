"""What people decide about stuck notices and sending: what each verb does and refuses, and what is in the trail."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command

from agreements.models import Client, Obligation, ServiceAgreement, Severity
from config import instants
from config.models import User
from incidents import handling, lifecycle, notices, outbox
from incidents.lifecycle import Refused
from incidents.models import Acknowledgement, Deadline, DeliveryAttempt, Incident, Notice, Sending, Standing
from incidents.models.notice import HELD_STATES, STUCK_STATES, DeliveryPhase, NoticeKind, NoticeState, Outcome
from tests import cast
from tests.cast import at
from tests.services.smtp import SmtpSink

pytestmark = pytest.mark.django_db


@pytest.fixture
def incident(olga: User, northwind: ServiceAgreement, contoso: ServiceAgreement) -> Incident:
    """Northwind's notice is due at 14:00, Contoso's at 12:00; Contoso has two contacts."""
    return declare(olga)


def declare(by: User) -> Incident:
    return lifecycle.declare(
        by=by,
        now=at("10:00"),
        title="Storage is down",
        severity=Severity.CRITICAL,
        services=[cast.service("Object storage")],
        detected_at=at("10:00"),
    )


def told(incident: Incident, client: Client, olga: User) -> list[Notice]:
    """The client notice of 10:10, one to each contact."""
    lifecycle.notify_client(incident, by=olga, now=at("10:10"), clients=[client])
    return list(incident.notices.filter(client=client).order_by("pk"))


@pytest.fixture
def notice(incident: Incident, northwind: ServiceAgreement, olga: User) -> Notice:
    """Northwind's, refused by its server at 10:11."""
    return refused(told(incident, northwind.client, olga)[0])


def refused(notice: Notice) -> Notice:
    return stuck(notice, NoticeState.FAILED, (at("10:11"), Outcome.REFUSED))


def doubtful(notice: Notice) -> Notice:
    """Twice the answer to it was lost, at 10:11 and at 10:13."""
    return stuck(notice, NoticeState.REVIEW, (at("10:11"), Outcome.AMBIGUOUS), (at("10:13"), Outcome.AMBIGUOUS))


def stuck(notice: Notice, state: NoticeState, *tries: tuple[dt.datetime, Outcome]) -> Notice:
    for when, outcome in tries:
        DeliveryAttempt.objects.create(
            notice=notice, at=when, worker="here:1", outcome=outcome, phase=DeliveryPhase.BODY, answer="550 no"
        )
    notice.state, notice.state_reason, notice.tries = state, "The mail server refused it.", len(tries)
    notice.ambiguous_tries = sum(outcome == Outcome.AMBIGUOUS for _when, outcome in tries)
    notice.save()
    return notice


def reread(notice: Notice) -> Notice:
    return Notice.objects.get(pk=notice.pk)


def notify(incident: Incident, client: Client) -> Deadline:
    return incident.deadlines.get(obligation=Obligation.NOTIFY, client=client)


def last_change(row: Any) -> tuple[str, str]:
    change = row.history.first()
    return change.actor_name, change.history_change_reason


Verb = Callable[..., object]
#: Every verb about a notice, with all that it asks for.
VERBS: dict[str, tuple[Verb, dict[str, str]]] = {
    "send_again": (handling.send_again, {"reason": "They fixed it."}),
    "it_arrived": (handling.it_arrived, {"reason": "Asked.", "evidence": "Ms Reyes has it before her."}),
    "told_otherwise": (
        handling.told_otherwise,
        {"reason": "Mailbox full.", "channel": "phone", "evidence": "+1 555 0100, Ms Reyes"},
    ),
    "set_aside": (handling.set_aside, {"reason": "The mailbox is gone."}),
}


class TestEveryVerb:
    @pytest.mark.parametrize("state", [state for state in NoticeState if state not in STUCK_STATES])
    def test_what_is_not_stuck_is_left_alone_whatever_a_page_showed_before(
        self, state: NoticeState, notice: Notice, olga: User
    ) -> None:
        seen = doubtful(notice)
        held = {"lease_token": uuid.uuid4(), "leased_until": at("11:00")} if state in HELD_STATES else {}
        cast.past_the_trail(Notice.objects.filter(pk=notice.pk), state=state, accepted_at=at("10:12"), **held)
        before = Notice.objects.filter(pk=notice.pk).values().get()
        for verb, asked in VERBS.values():
            with pytest.raises(Refused, match="Nothing was done"):
                verb(seen, by=olga, now=at("10:30"), **asked)
            assert Notice.objects.filter(pk=notice.pk).values().get() == before
        assert not Deadline.objects.filter(obligation=Obligation.NOTIFY, met_at__isnull=False).exists()

    def test_why_and_how_it_is_known_have_to_be_said(self, notice: Notice, incident: Incident, olga: User) -> None:
        doubtful(notice)
        for verb, asked in VERBS.values():
            for field in asked.keys() - {"channel"}:
                with pytest.raises(Refused) as refusal:
                    verb(notice, by=olga, now=at("10:30"), **{**asked, field: "  "})
                assert field in refusal.value.message_dict
        assert reread(notice).state == NoticeState.REVIEW
        assert incident.timeline.count() == 2  # declared, and the notice

    @pytest.mark.parametrize("name", ["send_again", "it_arrived", "told_otherwise"])
    def test_the_trail_says_who_and_why_in_one_act(self, name: str, notice: Notice, olga: User) -> None:
        verb, asked = VERBS[name]
        doubtful(notice)
        verb(notice, by=olga, now=at("10:30"), **asked)
        assert last_change(notice) == (olga.audit_name, asked["reason"])
        deadline = notify(Incident.objects.get(), Client.objects.get(name="Northwind"))
        if name != "send_again":
            assert deadline.met_at is not None
            assert deadline.history.first().request_id == notice.history.first().request_id
            assert deadline.history.first().actor_name == olga.audit_name


class TestSendAgain:
    def test_the_same_message_is_due_at_once_with_its_tries_counted_anew(self, notice: Notice, olga: User) -> None:
        doubtful(notice)
        handling.send_again(notice, by=olga, now=at("10:30"), reason="They fixed their mailbox.")
        back = reread(notice)
        assert (back.state, back.next_attempt_at) == (NoticeState.PENDING, at("10:30"))
        assert (back.tries, back.ambiguous_tries) == (0, 0)
        assert (back.message_id, back.text, back.recipient_address) == (
            notice.message_id,
            notice.text,
            notice.recipient_address,
        )

    def test_a_refused_notice_reaches_the_client_and_meets_notify_after_all(
        self, relay: SmtpSink, incident: Incident, northwind: ServiceAgreement, olga: User
    ) -> None:
        [notice] = told(incident, northwind.client, olga)
        relay.refuse(notice.recipient_address, times=1)
        outbox.deliver(at("10:11"))
        assert reread(notice).state == NoticeState.FAILED
        handling.send_again(notice, by=olga, now=at("10:30"), reason="They fixed their mailbox.")
        outbox.deliver(at("10:31"))
        assert reread(notice).state == NoticeState.SENT
        met_at = notify(incident, northwind.client).met_at
        assert met_at is not None
        assert met_at >= at("10:31")


class TestItArrived:
    def test_it_counts_as_of_the_last_try_in_doubt_and_not_as_of_now(
        self, incident: Incident, northwind: ServiceAgreement, notice: Notice, olga: User
    ) -> None:
        doubtful(notice)
        handling.it_arrived(notice, by=olga, now=at("15:00"), reason="Asked.", evidence="Ms Reyes has it before her.")
        arrived = reread(notice)
        assert (arrived.state, arrived.accepted_at) == (NoticeState.HANDLED, at("10:13"))
        assert "Ms Reyes has it before her." in arrived.state_reason
        assert olga.audit_name in arrived.state_reason
        deadline = notify(incident, northwind.client)
        assert deadline.met_at == at("10:13")
        assert deadline.standing(at("15:00")) == Standing.MET
        assert "Ms Reyes has it before her." in incident.timeline.get(happened_at=at("10:13")).text

    def test_what_arrived_after_it_was_due_was_missed(
        self, incident: Incident, northwind: ServiceAgreement, notice: Notice, olga: User
    ) -> None:
        stuck(notice, NoticeState.REVIEW, (at("14:00:01"), Outcome.AMBIGUOUS))
        handling.it_arrived(notice, by=olga, now=at("15:00"), reason="Asked.", evidence="It is there.")
        assert notify(incident, northwind.client).standing(at("15:00")) == Standing.MISSED

    def test_one_that_failed_after_a_doubtful_try_may_have_arrived_too(
        self, incident: Incident, northwind: ServiceAgreement, notice: Notice, olga: User
    ) -> None:
        stuck(notice, NoticeState.FAILED, (at("10:20"), Outcome.AMBIGUOUS), (at("10:40"), Outcome.REFUSED))
        handling.it_arrived(notice, by=olga, now=at("11:00"), reason="Asked.", evidence="It is there.")
        assert notify(incident, northwind.client).met_at == at("10:20")

    def test_one_that_was_never_transmitted_cannot_have_arrived(self, notice: Notice, olga: User) -> None:
        with pytest.raises(Refused, match="cannot have arrived"):
            handling.it_arrived(notice, by=olga, now=at("11:00"), reason="Asked.", evidence="It is there.")
        assert reread(notice).state == NoticeState.FAILED

    def test_the_copies_of_one_message_are_one_step_of_two(
        self, incident: Incident, contoso: ServiceAgreement, olga: User
    ) -> None:
        cast.commit(contoso, Obligation.NOTIFY, 24, label="Full notice")
        two_steps = declare(olga)
        first, second = (doubtful(copy) for copy in told(two_steps, contoso.client, olga))
        for copy in (first, second):
            handling.it_arrived(copy, by=olga, now=at("11:00"), reason="Asked.", evidence="It is there.")
        owed = two_steps.deadlines.filter(client=contoso.client, obligation=Obligation.NOTIFY)
        assert owed.filter(met_at=at("10:13")).count() == 1
        assert owed.open().get().commitment.label == "Full notice"

    def test_a_copy_that_a_server_accepted_has_counted_already(
        self, incident: Incident, contoso: ServiceAgreement, olga: User
    ) -> None:
        first, second = told(incident, contoso.client, olga)
        doubtful(second)
        cast.past_the_trail(Notice.objects.filter(pk=first.pk), state=NoticeState.SENT, accepted_at=at("10:12"))
        case = handling.case_of(second)
        assert (case.is_told, list(case.owed)) == (True, [])
        handling.it_arrived(second, by=olga, now=at("11:00"), reason="Asked.", evidence="It is there.")
        assert reread(second).state == NoticeState.HANDLED
        assert notify(incident, contoso.client).met_at is None  # left to the acceptance of the first

    def test_a_copy_that_is_accepted_later_is_sent_and_counts_for_no_further_step(
        self, relay: SmtpSink, contoso: ServiceAgreement, olga: User
    ) -> None:
        cast.commit(contoso, Obligation.NOTIFY, 24, label="Full notice")
        two_steps = declare(olga)
        first, second = told(two_steps, contoso.client, olga)
        handling.it_arrived(doubtful(first), by=olga, now=at("10:20"), reason="Asked.", evidence="It is there.")
        outbox.deliver(at("10:21"))
        assert reread(second).state == NoticeState.SENT
        owed = two_steps.deadlines.filter(client=contoso.client, obligation=Obligation.NOTIFY)
        assert owed.open().get().commitment.label == "Full notice"

    def test_what_the_client_acknowledged_is_known_to_the_case(self, notice: Notice) -> None:
        assert handling.case_of(notice).acknowledged_at is None
        Acknowledgement.objects.create(notice=notice, at=at("10:14"))
        assert handling.case_of(reread(notice)).acknowledged_at == at("10:14")

    def test_a_doubtful_warning_meets_nothing(self, incident: Incident, notice: Notice, olga: User) -> None:
        doubtful(notice)
        cast.past_the_trail(Notice.objects.filter(pk=notice.pk), kind=NoticeKind.WARNING)
        handling.it_arrived(notice, by=olga, now=at("11:00"), reason="Asked.", evidence="It is there.")
        assert reread(notice).state == NoticeState.HANDLED
        assert not incident.deadlines.filter(met_at__isnull=False).exists()


class TestToldOtherwise:
    def tell(self, notice: Notice, olga: User, **changes: Any) -> list[Notice]:
        asked: dict[str, Any] = {
            "reason": "The mailbox is full.",
            "channel": handling.Channel.PHONE,
            "evidence": "+49 30 1234, Herr Vogel",
            "at": at("10:40"),
        }
        return handling.told_otherwise(notice, by=olga, now=at("11:00"), **{**asked, **changes})

    def test_one_telling_meets_what_is_owed_and_serves_all_stuck_copies(
        self, incident: Incident, contoso: ServiceAgreement, notice: Notice, olga: User
    ) -> None:
        first, second = told(incident, contoso.client, olga)
        refused(first)
        doubtful(second)
        assert {row.pk for row in self.tell(first, olga)} == {first.pk, second.pk}
        for copy in (first, second):
            assert reread(copy).state == NoticeState.HANDLED
            assert "Phone: +49 30 1234, Herr Vogel" in reread(copy).state_reason
            assert last_change(copy) == (olga.audit_name, "The mailbox is full.")
            assert reread(copy).accepted_at is None  # no server took it
        assert reread(notice).state == NoticeState.FAILED  # another client's
        assert notify(incident, contoso.client).met_at == at("10:40")
        assert notify(incident, notice.client).met_at is None  # type: ignore[arg-type]
        assert "Herr Vogel" in incident.timeline.get(happened_at=at("10:40")).text

    def test_a_copy_that_still_waits_is_sent_all_the_same(
        self, incident: Incident, contoso: ServiceAgreement, olga: User
    ) -> None:
        first, second = told(incident, contoso.client, olga)
        self.tell(refused(first), olga)
        assert reread(second).state == NoticeState.PENDING

    @pytest.mark.parametrize("when", [at("11:00:01"), at("9:59")])
    def test_an_impossible_time_is_refused_and_nothing_is_half_done(
        self, incident: Incident, notice: Notice, olga: User, when: dt.datetime
    ) -> None:
        with pytest.raises(ValidationError) as refusal:
            self.tell(notice, olga, at=when)
        assert "at" in refusal.value.message_dict
        assert reread(notice).state == NoticeState.FAILED
        assert incident.timeline.count() == 2

    def test_a_client_that_waits_for_nothing_more_cannot_be_told(
        self, incident: Incident, northwind: ServiceAgreement, notice: Notice, olga: User
    ) -> None:
        lifecycle.record_told(incident, northwind.client, by=olga, now=at("10:50"), evidence="Called.")
        with pytest.raises(Refused, match="waits for nothing more"):
            self.tell(notice, olga)

    def test_an_old_update_gives_nothing_that_was_asked_for_after_it_was_written(
        self, northwind: ServiceAgreement, olga: User
    ) -> None:
        cast.commit(northwind, Obligation.UPDATE, 1, is_recurring=True)
        incident, client = declare(olga), northwind.client
        lifecycle.post_update(incident, by=olga, now=at("10:10"), message="Half of it works.")
        update = refused(incident.notices.get())
        lifecycle.record_told(incident, client, Obligation.UPDATE, by=olga, now=at("10:20"), evidence="Called.")
        assert incident.deadlines.open().filter(obligation=Obligation.UPDATE, started_at=at("10:20")).exists()
        with pytest.raises(Refused, match="waits for nothing more"):
            self.tell(update, olga)

    def test_what_is_owed_to_no_client_has_nobody_to_be_told(self, notice: Notice, olga: User) -> None:
        cast.past_the_trail(Notice.objects.filter(pk=notice.pk), kind=NoticeKind.ALARM)
        with pytest.raises(Refused, match="owed to no client"):
            self.tell(notice, olga)


class TestSetAside:
    def test_a_warning_to_a_dead_mailbox_needs_nobody_any_more(
        self, incident: Incident, notice: Notice, olga: User
    ) -> None:
        notices.raise_due(at("13:00"))
        warning = incident.notices.filter(kind=NoticeKind.STAFF_WARNING).first()
        assert warning is not None
        handling.set_aside(refused(warning), by=olga, now=at("13:05"), reason="He has left.")
        assert reread(warning).state == NoticeState.HANDLED
        assert last_change(warning) == (olga.audit_name, "He has left.")
        assert not incident.deadlines.filter(met_at__isnull=False).exists()

    def test_what_a_client_still_waits_for_cannot_be_set_aside(self, notice: Notice, olga: User) -> None:
        with pytest.raises(Refused, match="Northwind still waits for this"):
            handling.set_aside(notice, by=olga, now=at("11:00"), reason="Too late at night.")
        assert reread(notice).state == NoticeState.FAILED

    def test_a_notice_whose_obligation_is_met_can(
        self, incident: Incident, northwind: ServiceAgreement, notice: Notice, olga: User
    ) -> None:
        lifecycle.record_told(incident, northwind.client, by=olga, now=at("10:50"), evidence="Called.")
        handling.set_aside(notice, by=olga, now=at("11:00"), reason="They were called.")
        assert reread(notice).state == NoticeState.HANDLED
        assert notify(incident, northwind.client).met_at == at("10:50")

    def test_a_copy_whose_message_reached_another_contact_can(
        self, incident: Incident, contoso: ServiceAgreement, olga: User
    ) -> None:
        first, second = told(incident, contoso.client, olga)
        handling.it_arrived(doubtful(first), by=olga, now=at("11:00"), reason="Asked.", evidence="It is there.")
        handling.set_aside(refused(second), by=olga, now=at("11:00"), reason="The other desk has it.")
        assert reread(second).state == NoticeState.HANDLED

    def test_a_canary_that_failed_can(self, notice: Notice, olga: User) -> None:
        cast.past_the_trail(
            Notice.objects.filter(pk=notice.pk),
            kind=NoticeKind.CANARY,
            incident=None,
            client=None,
            deadline=None,
            contact=None,
        )
        handling.set_aside(reread(notice), by=olga, now=at("11:00"), reason="The probe's mailbox was full.")
        assert reread(notice).state == NoticeState.HANDLED


class TestTheSwitch:
    def test_nothing_goes_out_while_sending_is_held_and_all_does_when_it_is_released(
        self, relay: SmtpSink, incident: Incident, northwind: ServiceAgreement, olga: User, max_: User
    ) -> None:
        [notice] = told(incident, northwind.client, olga)
        handling.hold(by=max_, now=at("10:10"), reason="Backup restored.")
        outbox.deliver(at("10:11"))
        assert (reread(notice).state, relay.messages) == (NoticeState.PENDING, [])
        handling.release(by=max_, now=at("10:20"), reason="Compared with the relay's log.")
        outbox.deliver(at("10:21"))
        assert reread(notice).state == NoticeState.SENT

    def test_it_says_since_when_and_why_and_the_trail_says_who(self, max_: User) -> None:
        handling.hold(by=max_, now=at("10:10"), reason="Backup restored.")
        row = Sending.row()
        assert (row.is_held, row.held_at, row.hold_reason) == (True, at("10:10"), "Backup restored.")
        assert last_change(row) == (max_.audit_name, "Backup restored.")
        handling.release(by=max_, now=at("10:20"), reason="Compared.")
        row = Sending.row()
        assert (row.is_held, row.held_at, row.hold_reason) == (False, None, "")
        assert last_change(row) == (max_.audit_name, "Compared.")

    def test_holding_twice_and_releasing_what_is_not_held_are_refused(self, max_: User) -> None:
        with pytest.raises(Refused, match="not held"):
            handling.release(by=max_, now=at("10:00"), reason="Why not.")
        handling.hold(by=max_, now=at("10:10"), reason="Backup restored.")
        with pytest.raises(Refused, match="held already: Backup restored"):
            handling.hold(by=max_, now=at("10:11"), reason="Me too.")
        row = Sending.row()
        assert (row.held_at, row.hold_reason) == (at("10:10"), "Backup restored.")

    @pytest.mark.parametrize("verb", [handling.hold, handling.release])
    def test_both_need_a_reason(self, verb: Verb, max_: User) -> None:
        with pytest.raises(Refused) as refusal:
            verb(by=max_, now=at("10:00"), reason=" ")
        assert "reason" in refusal.value.message_dict

    def test_holding_leaves_a_fault_of_the_server_as_it_is(self, max_: User) -> None:
        row = Sending.row()
        row.fault, row.fault_since, row.retry_at, row.failures = Outcome.CONFIGURATION, at("9:00"), at("9:05"), 3
        row.save()
        handling.hold(by=max_, now=at("10:10"), reason="Backup restored.")
        row = Sending.row()
        assert (row.fault, row.fault_since, row.retry_at, row.failures) == (
            Outcome.CONFIGURATION,
            at("9:00"),
            at("9:05"),
            3,
        )


# ── after a backup was restored ─────────────────────────────────────────────────────────────────────────────────────


def settle(tmp_path: Path, *lines: str) -> None:
    log = tmp_path / "log.txt"
    log.write_text("\n".join(lines))
    call_command("outbox", "arrived", "--log", str(log), "--by", "max", "--reason", "Compared with the log")


def test_what_the_mail_log_has_is_settled_as_of_then_and_no_copy_goes(
    relay: SmtpSink,
    incident: Incident,
    northwind: ServiceAgreement,
    olga: User,
    max_: User,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(instants, "_synced", (instants._ticks(), at("10:25")))
    notice = told(incident, northwind.client, olga)[0]
    line = f"{notice.message_id} 2026-11-24T10:12:00+00:00 250 2.0.0 queued as 4711"
    with pytest.raises(CommandError, match="Hold sending first"):
        settle(tmp_path, line)
    handling.hold(by=max_, now=at("10:20"), reason="Backup restored")
    for wrong, sentence in (
        ("<nobody@due-notice.example> 2026-11-24T10:12:00+00:00 250", "Line 2: .* is not in this database"),
        (f"{notice.message_id} 2026-11-24T10:12:00 250", "Line 2 needs"),
        (f"{notice.message_id} 2026-11-24T10:12:00+00:00", "Line 2 needs"),
        (f"{notice.message_id} 2026-11-24T10:08:00+00:00 250", "Line 2: .*not there yet"),
        (f"{notice.message_id} 2026-11-24T10:27:00+00:00 250", "Line 2: .*not there yet"),
    ):
        with pytest.raises(CommandError, match=sentence):
            settle(tmp_path, "", wrong)
    settle(tmp_path, line)
    notice = reread(notice)
    assert (notice.state, notice.accepted_at) == (NoticeState.HANDLED, at("10:12"))
    assert notify(incident, northwind.client).met_at == at("10:12")
    assert last_change(notice) == ("Max Weber (max)", "Compared with the log")
    assert "250 2.0.0 queued as 4711" in notice.state_reason
    with pytest.raises(CommandError, match="Nothing was done: it is “Handled"):
        settle(tmp_path, line)
    handling.release(by=max_, now=at("10:30"), reason="Compared with the log")
    outbox.deliver(at("10:31"))
    assert notice.message_id not in relay.by_message_id()


def test_the_mail_servers_clock_may_be_a_little_off(
    relay: SmtpSink,
    incident: Incident,
    northwind: ServiceAgreement,
    olga: User,
    max_: User,
) -> None:
    notice = told(incident, northwind.client, olga)[0]
    handling.hold(by=max_, now=at("10:20"), reason="Backup restored")
    early = notice.made_at - dt.timedelta(seconds=1)  # such as a log has it that leaves fractions out
    handling.mail_log_has(notice, by=max_, now=at("10:25"), at=early, reason="Compared", evidence="250 Ok")
    assert reread(notice).accepted_at == notice.made_at
