"""The outbox against a real mail server that misbehaves on command: nothing lost, copies bounded, states honest."""

from __future__ import annotations

import datetime as dt
import uuid
from collections import Counter

import pytest
from django.conf import settings
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext

from agreements.models import Contact, Obligation, ServiceAgreement, Severity
from config.instants import Watch
from config.models import User
from incidents import breaker, handling, lifecycle, notices, outbox, smtp
from incidents.models import DeliveryAttempt, Incident, Notice, Sending, Standing
from incidents.models.notice import NoticeKind, NoticeState, Outcome, Rank
from tests import cast
from tests.cast import at
from tests.services.smtp import Phase, ReceivedMail, SmtpSink

pytestmark = pytest.mark.django_db


@pytest.fixture
def incident(olga: User, northwind: ServiceAgreement) -> Incident:
    return lifecycle.declare(
        by=olga,
        now=at("10:00"),
        title="Storage is down",
        severity=Severity.CRITICAL,
        services=[cast.service("Object storage")],
        detected_at=at("10:00"),
    )


@pytest.fixture
def notice(incident: Incident, olga: User) -> Notice:
    """One client notice that waits to be sent since 10:10."""
    lifecycle.notify_client(incident, by=olga, now=at("10:10"), message="We are on it – naïvely.")
    return Notice.objects.get()


@pytest.fixture(autouse=True)
def _steady_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.uniform", lambda low, high: 1.0)


def to_clients(relay: SmtpSink) -> list[ReceivedMail]:
    """What the server kept for clients; colleagues may have been alarmed in the same pass."""
    return [mail for mail in relay.messages if not mail.recipients[0].endswith("@due-notice.example")]


def alarms() -> set[tuple[str, str]]:
    return set(Notice.objects.filter(kind=NoticeKind.ALARM).values_list("recipient_address", "moment"))


def reread(notice: Notice) -> Notice:
    return Notice.objects.get(pk=notice.pk)


class TestAccepted:
    def test_the_notice_is_sent_and_notify_is_met_when_the_server_accepts(
        self, relay: SmtpSink, notice: Notice, incident: Incident
    ) -> None:
        assert outbox.deliver(at("10:11")) == {Outcome.ACCEPTED: 1}

        notice = reread(notice)
        assert notice.state == NoticeState.SENT
        assert notice.server_answer.startswith("250")
        deadline = incident.deadlines.get(obligation=Obligation.NOTIFY)
        assert deadline.met_at == notice.accepted_at
        assert deadline.standing(at("23:00")) == Standing.MET

    def test_the_trail_says_that_the_worker_met_it_and_why(
        self, relay: SmtpSink, notice: Notice, incident: Incident
    ) -> None:
        outbox.deliver(at("10:11"))
        row = incident.deadlines.get(obligation=Obligation.NOTIFY).history.first()
        assert row.actor_name == "system: outbox.deliver"
        assert row.caller == "worker"
        assert row.history_change_reason == "Accepted by the mail server."

    def test_the_mail_is_what_was_frozen(self, relay: SmtpSink, notice: Notice) -> None:
        outbox.deliver(at("10:11"))
        mail = relay.messages[0]
        assert mail.recipients == ("ops@northwind.example",)
        message = mail.message
        assert message["Subject"] == "[INC-2026-0001] Critical incident: Storage is down"
        assert message["Message-ID"] == notice.message_id
        assert message["References"] == message["In-Reply-To"] == notice.thread_id
        assert message["Auto-Submitted"] == "auto-generated"
        assert message["To"].addresses[0].addr_spec == "ops@northwind.example"
        assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
        assert mail.text.splitlines() == notice.text.splitlines()
        assert "We are on it – naïvely." in mail.text
        assert "We are on it – naïvely." in mail.html

    def test_one_connection_carries_many_mails(self, relay: SmtpSink, incident: Incident, olga: User) -> None:
        for minute in range(10, 15):
            lifecycle.notify_client(incident, by=olga, now=at(f"10:{minute}"))
        outbox.deliver(at("10:20"))
        assert (len(relay.messages), relay.connections) == (5, 1)

    def test_a_connection_that_the_server_closed_meanwhile_is_replaced_without_a_failure(
        self, relay: SmtpSink, incident: Incident, olga: User
    ) -> None:
        lifecycle.notify_client(incident, by=olga, now=at("10:10"))
        outbox.deliver(at("10:11"))
        relay.drop(Phase.MAIL)
        lifecycle.notify_client(incident, by=olga, now=at("10:12"))
        assert outbox.deliver(at("10:13")) == {Outcome.ACCEPTED: 1}
        assert relay.connections == 2

    def test_every_contact_gets_a_mail_of_its_own(
        self, relay: SmtpSink, olga: User, contoso: ServiceAgreement, incident: Incident
    ) -> None:
        other = lifecycle.declare(
            by=olga,
            now=at("10:00"),
            title="Payments delayed",
            severity=Severity.CRITICAL,
            services=[cast.service("Payments")],
            detected_at=at("10:00"),
        )
        lifecycle.notify_client(other, by=olga, now=at("10:10"))
        outbox.deliver(at("10:11"))
        assert {mail.recipients for mail in relay.messages} == {("it@contoso.example",), ("duty@contoso.example",)}

    @pytest.mark.parametrize("batch", [1, 20])
    def test_every_contact_still_gets_the_notice_after_the_first_has_met_the_deadline(
        self, relay: SmtpSink, olga: User, northwind: ServiceAgreement, monkeypatch: pytest.MonkeyPatch, batch: int
    ) -> None:
        monkeypatch.setattr(outbox, "BATCH", batch)
        for name in ("second", "third"):
            Contact.objects.create(client=northwind.client, name=name, address=f"{name}@northwind.example")
        for holding in (False, True):
            incident = lifecycle.declare(
                by=olga,
                now=at("10:00"),
                title="Storage is down",
                severity=Severity.CRITICAL,
                services=[cast.service("Object storage")],
                detected_at=at("10:00"),
            )
            if holding:
                notices.raise_due(at("13:36"))
            else:
                lifecycle.notify_client(incident, by=olga, now=at("10:10"))
            outbox.deliver(at("13:36"))
            told = {mail.recipients[0] for mail in relay.messages if incident.reference in mail.subject}
            assert told - {"olga@due-notice.example"} == {
                "ops@northwind.example",
                "second@northwind.example",
                "third@northwind.example",
            }

    def test_a_holding_notice_is_not_sent_when_the_client_was_told_by_phone_meanwhile(
        self, relay: SmtpSink, olga: User, incident: Incident, northwind: ServiceAgreement
    ) -> None:
        notices.raise_due(at("13:36"))
        lifecycle.record_told(incident, northwind.client, by=olga, now=at("13:37"), evidence="By phone.")
        outbox.deliver(at("13:38"))
        assert relay.messages == []

    def test_a_holding_notice_in_a_workers_hands_survives_its_deadline_moving(
        self, relay: SmtpSink, olga: User, incident: Incident, northwind: ServiceAgreement
    ) -> None:
        notices.raise_due(at("13:36"))
        relay.answer(451, "greylisted", times=2)  # the holding notice and the overlooked warning to staff
        (held,) = [notice for notice in outbox.lease(at("13:37")) if notice.moment == "holding"]
        lifecycle.correct_times(incident, by=olga, now=at("13:37"), detected_at=at("9:50"), reason="Seen in the logs.")
        outbox._deliver_one(held, Watch(at("13:37")), Counter())
        notices.raise_due(at("13:50"))
        relay.behave()
        outbox.deliver(at("13:50"))
        assert [mail for mail in relay.messages if "ops@northwind.example" in mail.recipients]

    def test_an_accepted_update_meets_the_cycle_it_was_written_for_and_no_other(
        self, relay: SmtpSink, olga: User, contoso: ServiceAgreement
    ) -> None:
        cast.commit(contoso, Obligation.UPDATE, 60, "minutes", is_recurring=True)
        other = lifecycle.declare(
            by=olga,
            now=at("10:00"),
            title="Payments delayed",
            severity=Severity.CRITICAL,
            services=[cast.service("Payments")],
            detected_at=at("10:00"),
        )
        lifecycle.post_update(other, by=olga, now=at("10:30"), message="Half of it works.")  # two contacts, two mails
        outbox.deliver(at("10:31"))
        cycles = other.deadlines.filter(obligation=Obligation.UPDATE).order_by("cycle")
        assert [d.met_at is not None for d in cycles] == [True, False]

    def test_the_nearest_contractual_due_time_goes_first(
        self, relay: SmtpSink, olga: User, northwind: ServiceAgreement, contoso: ServiceAgreement
    ) -> None:
        incident = lifecycle.declare(
            by=olga,
            now=at("10:00"),
            title="Storage is down",
            severity=Severity.CRITICAL,
            services=[cast.service("Object storage")],
            detected_at=at("10:00"),
        )
        lifecycle.notify_client(incident, by=olga, now=at("10:10"))
        outbox.deliver(at("10:11"))
        first_recipients = [mail.recipients[0] for mail in relay.messages]
        assert first_recipients[-1] == "ops@northwind.example", "Contoso is due at 13:00, Northwind at 14:00"

    def test_a_notice_takes_three_queries(
        self, relay: SmtpSink, incident: Incident, northwind: ServiceAgreement
    ) -> None:
        notices.raise_due(at("12:00"))
        cast.lose(Notice.objects.exclude(contact=None))
        with CaptureQueriesContext(connection) as all_of_them:
            outbox.deliver(at("12:01"))
        written = [q["sql"] for q in all_of_them if q["sql"].startswith(("INSERT", "UPDATE"))]
        changes = [sql for sql in written if "incidents_heartbeat" not in sql]  # one each ten seconds, of all mails
        assert len(changes) == 4, "lease (shared by a batch), fence, result, attempt"


class TestRefused:
    def test_refused_for_now_waits_longer_each_time(self, relay: SmtpSink, notice: Notice) -> None:
        relay.answer(451, "greylisted", times=2)
        now = at("10:11")
        waits = []
        for _try in range(2):
            outbox.deliver(now)
            waiting = reread(notice)
            assert waiting.state == NoticeState.RETRY_WAIT
            waits.append(round((waiting.next_attempt_at - now).total_seconds() / 60))
            assert outbox.deliver(now + dt.timedelta(seconds=30)) == {}, "not before its time"
            now = waiting.next_attempt_at
        assert waits == [1, 2]
        outbox.deliver(now)
        assert reread(notice).state == NoticeState.SENT

    def test_refused_for_good_fails_at_once_with_the_servers_words_and_the_obligation_stays_open(
        self, relay: SmtpSink, notice: Notice, incident: Incident
    ) -> None:
        relay.refuse("ops@northwind.example", 550, "no such user here")
        outbox.deliver(at("10:11"))
        notice = reread(notice)
        assert (notice.state, notice.server_answer) == (NoticeState.FAILED, "550 no such user here")
        attempt = DeliveryAttempt.objects.get(notice=notice)
        assert (attempt.outcome, attempt.phase, attempt.code) == (Outcome.REFUSED, "recipient", 550)
        assert incident.deadlines.get(obligation=Obligation.NOTIFY).is_open
        assert [mail.recipients for mail in relay.messages] == [("olga@due-notice.example",)], "operators are told"
        assert "550 no such user here" in relay.messages[0].text

    def test_one_refused_contact_does_not_hold_up_the_other(
        self, relay: SmtpSink, olga: User, contoso: ServiceAgreement
    ) -> None:
        incident = lifecycle.declare(
            by=olga,
            now=at("10:00"),
            title="Payments delayed",
            severity=Severity.CRITICAL,
            services=[cast.service("Payments")],
            detected_at=at("10:00"),
        )
        relay.refuse("it@contoso.example")
        lifecycle.notify_client(incident, by=olga, now=at("10:10"))
        outbox.deliver(at("10:11"))
        assert [mail.recipients for mail in to_clients(relay)] == [("duty@contoso.example",)]
        assert incident.deadlines.get(obligation=Obligation.NOTIFY).met_at

    def test_send_again_puts_a_failed_notice_back_and_is_in_the_trail(
        self, relay: SmtpSink, notice: Notice, olga: User
    ) -> None:
        relay.refuse("ops@northwind.example", times=1)
        outbox.deliver(at("10:11"))
        handling.send_again(notice, by=olga, now=at("10:20"), reason="They fixed their mailbox.")
        assert reread(notice).history.first().history_change_reason == "They fixed their mailbox."
        outbox.deliver(at("10:21"))
        assert reread(notice).state == NoticeState.SENT
        with pytest.raises(lifecycle.Refused):  # what was sent is not sent again
            handling.send_again(notice, by=olga, now=at("10:22"), reason="Again.")

    def test_our_own_fault_uses_up_no_try_and_fails_nothing(self, relay: SmtpSink, notice: Notice) -> None:
        relay.answer(530, "authentication required", phase=Phase.MAIL, times=3)
        now = at("10:11")
        for _pass in range(3):
            outbox.deliver(now)
            assert (reread(notice).state, reread(notice).tries) == (NoticeState.RETRY_WAIT, 0)
            now = max(reread(notice).next_attempt_at, Sending.row().retry_at or now)
        outbox.deliver(now)
        assert reread(notice).state == NoticeState.SENT

    def test_a_refused_sender_is_our_fault_and_fails_nothing(self, relay: SmtpSink, notice: Notice) -> None:
        relay.answer(550, "sender address rejected", phase=Phase.MAIL)
        assert outbox.deliver(at("10:11")) == {Outcome.CONFIGURATION: 1}
        assert (reread(notice).state, reread(notice).tries) == (NoticeState.RETRY_WAIT, 0)
        assert Sending.row().fault_answer == "550 sender address rejected"

    def test_an_alarm_that_is_refused_raises_no_alarm(self, relay: SmtpSink, notice: Notice) -> None:
        relay.refuse("ops@northwind.example")
        relay.refuse("olga@due-notice.example")
        outbox.deliver(at("10:11"))
        assert alarms() == {("olga@due-notice.example", f"undelivered-{notice.pk}-1")}
        assert set(Notice.objects.values_list("state", flat=True)) == {NoticeState.FAILED}

    def test_refused_again_after_being_sent_again_alarms_again(
        self, relay: SmtpSink, notice: Notice, olga: User
    ) -> None:
        relay.refuse("ops@northwind.example")
        outbox.deliver(at("10:11"))
        handling.send_again(notice, by=olga, now=at("10:20"), reason="They say it works now.")
        outbox.deliver(at("10:21"))
        assert len(alarms()) == 2


class TestServerAway:
    @pytest.mark.parametrize("phase", [Phase.CONNECT, Phase.EHLO, Phase.MAIL, Phase.RCPT, Phase.DATA])
    def test_dropped_before_the_message_began_no_copy_exists_and_it_is_sent_later(
        self, relay: SmtpSink, notice: Notice, phase: Phase
    ) -> None:
        relay.drop(phase)
        outbox.deliver(at("10:11"))
        waiting = reread(notice)
        assert waiting.state == NoticeState.RETRY_WAIT
        assert relay.messages == []
        outbox.deliver(waiting.next_attempt_at)
        assert reread(notice).state == NoticeState.SENT
        assert len(relay.messages) == 1

    def test_nobody_listening_keeps_everything_in_the_queue(self, notice: Notice) -> None:
        assert outbox.deliver(at("10:11")) == {Outcome.TRANSPORT_DOWN: 1}
        assert (reread(notice).state, reread(notice).tries) == (NoticeState.RETRY_WAIT, 0)

    @pytest.mark.parametrize("phase", [Phase.BODY, Phase.DOT, Phase.ANSWER])
    def test_after_the_message_began_it_is_sent_once_more_with_the_same_id_and_body_then_a_person_decides(
        self, relay: SmtpSink, notice: Notice, phase: Phase
    ) -> None:
        relay.drop(phase, times=2)
        outbox.deliver(at("10:11"))
        first = reread(notice)
        assert (first.state, first.ambiguous_tries) == (NoticeState.RETRY_WAIT, 1)

        outbox.deliver(first.next_attempt_at)
        assert reread(notice).state == NoticeState.REVIEW
        assert outbox.deliver(at("23:00")) == {}, "no third copy without a person"
        assert len({(mail.message_id, mail.text) for mail in to_clients(relay)}) <= 1
        assert [mail.recipients for mail in relay.messages if mail not in to_clients(relay)] == [
            ("olga@due-notice.example",)
        ], "operators are asked"

    def test_the_rest_of_the_batch_goes_back_untried_when_the_server_is_away(
        self, incident: Incident, olga: User
    ) -> None:
        for minute in range(10, 15):
            lifecycle.notify_client(incident, by=olga, now=at(f"10:{minute}"))
        assert outbox.deliver(at("10:20")) == {Outcome.TRANSPORT_DOWN: 1}
        assert sorted(Notice.objects.values_list("state", flat=True)) == [NoticeState.PENDING] * 4 + ["retry_wait"]
        assert DeliveryAttempt.objects.count() == 1

    def test_nothing_else_is_tried_until_a_probe_has_gone_through(
        self, relay: SmtpSink, incident: Incident, olga: User
    ) -> None:
        for minute in range(10, 15):
            lifecycle.notify_client(incident, by=olga, now=at(f"10:{minute}"))
        relay.answer(421, "too busy", phase=Phase.CONNECT, times=2)
        now = at("10:20")
        assert outbox.deliver(now) == {Outcome.TRANSPORT_DOWN: 1}
        assert outbox.deliver(now + dt.timedelta(seconds=4)) == {}, "the breaker is open"
        assert relay.connections == 1
        assert outbox.deliver(now + dt.timedelta(seconds=6)) == {Outcome.TRANSPORT_DOWN: 1}, "one probe"
        assert Sending.row().fault_since == pytest.approx(now, abs=dt.timedelta(seconds=1))
        assert outbox.deliver(now + dt.timedelta(seconds=30)) == {Outcome.ACCEPTED: 5}
        assert Sending.row().fault == ""

    def test_two_senders_that_meet_a_fault_send_one_probe(self, notice: Notice) -> None:
        outbox.deliver(at("10:11"))
        gates = [breaker.gate(at("10:12")) for _sender in range(2)]
        assert gates == [breaker.Gate.PROBE, breaker.Gate.SHUT]
        assert breaker.gate(at("10:15")) is breaker.Gate.PROBE, "a probe whose worker was lost is made anew"

    def test_a_probe_that_cannot_even_be_built_leaves_the_next_mail_to_be_the_probe(
        self, relay: SmtpSink, incident: Incident, notice: Notice, olga: User
    ) -> None:
        lifecycle.notify_client(incident, by=olga, now=at("10:12"))
        relay.answer(421, "too busy", phase=Phase.CONNECT, times=1)
        outbox.deliver(at("10:13"))
        cast.past_the_trail(Notice.objects.filter(pk=notice.pk), subject="Two\r\nlines")
        assert outbox.deliver(at("10:14"))[Outcome.POISON] == 1
        assert Sending.row().fault == ""
        assert len(to_clients(relay)) == 1

    @pytest.mark.parametrize("phase", [Phase.RCPT, Phase.DATA])
    def test_a_recipient_at_whom_the_server_breaks_off_does_not_hold_up_the_others(
        self, relay: SmtpSink, incident: Incident, notice: Notice, olga: User, phase: Phase
    ) -> None:
        relay.drop(phase)
        lifecycle.notify_client(incident, by=olga, now=at("10:12"))
        assert outbox.deliver(at("10:13")) == {Outcome.TRANSPORT_DOWN: 1, Outcome.ACCEPTED: 1}
        assert (reread(notice).state, reread(notice).tries) == (NoticeState.RETRY_WAIT, 1)

    def test_an_envelope_whose_fence_failed_does_not_stand_open_for_the_next_mail(self, relay: SmtpSink) -> None:
        transport = smtp.Transport(settings.MAIL_RELAY, timeout=5)

        def database_is_away() -> bool:
            raise OperationalError

        envelope = {"sender": "notices@due-notice.example", "recipient": "ops@northwind.example"}
        with pytest.raises(OperationalError):
            transport.send(b"lost", before_data=database_is_away, **envelope)
        assert transport.send(b"Subject: next\r\n\r\nnext", before_data=lambda: True, **envelope).startswith("250")
        transport.close()


class TestHeld:
    def test_nothing_goes_out_while_sending_is_held(self, relay: SmtpSink, notice: Notice) -> None:
        row = Sending.row()
        row.is_held, row.held_at, row.hold_reason = True, at("10:00"), "A backup was restored."
        cast.save(row)
        assert outbox.deliver(at("10:11")) == {}
        assert reread(notice).state == NoticeState.PENDING
        row.is_held = False
        cast.save(row)
        assert outbox.deliver(at("10:12")) == {Outcome.ACCEPTED: 1}


class TestStopped:
    def test_the_mail_in_hand_is_finished_and_the_rest_is_handed_back_untried(
        self, relay: SmtpSink, incident: Incident, olga: User
    ) -> None:
        for minute in range(10, 15):
            lifecycle.notify_client(incident, by=olga, now=at(f"10:{minute}"))
        assert outbox.deliver(at("10:20"), should_stop=lambda: len(relay.messages) == 2) == {Outcome.ACCEPTED: 2}
        assert sorted(Notice.objects.values_list("state", flat=True)) == ["pending"] * 3 + ["sent"] * 2
        assert outbox.deliver(at("10:20")) == {Outcome.ACCEPTED: 3}, "whoever comes next sends them at once"


class TestOrder:
    def test_what_is_owed_goes_before_what_warns_however_near_the_warned_deadline_is(
        self, relay: SmtpSink, notice: Notice, incident: Incident
    ) -> None:
        notices.raise_due(at("12:00"))  # the half-way warnings of the deadline at 14:00
        cast.past_the_trail(Notice.objects.filter(rank=Rank.OBLIGATION), due_at=at("23:00"))
        cast.past_the_trail(Notice.objects.filter(rank=Rank.WARNING), due_at=at("12:30"))
        outbox.deliver(at("12:01"))
        kinds = dict(Notice.objects.values_list("message_id", "kind"))
        assert kinds[relay.messages[0].message_id] == NoticeKind.CLIENT_NOTICE

    def test_warnings_for_one_address_are_limited_and_what_is_owed_never_is(
        self, relay: SmtpSink, notice: Notice, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(outbox, "WARNING_LIMIT", 2)
        copies = [_copy(notice, f"warning-{number}", NoticeKind.WARNING) for number in range(3)]
        copies += [_copy(notice, f"client_notice-{number}", NoticeKind.CLIENT_NOTICE) for number in range(2, 4)]
        Notice.objects.bulk_create(copies)
        assert outbox.deliver(at("10:11")) == {Outcome.ACCEPTED: 5}
        assert outbox.deliver(at("10:14")) == {}, "the third is asked about again, and still waits"
        (waiting,) = Notice.objects.waiting()
        assert (waiting.kind, waiting.tries) == (NoticeKind.WARNING, 0)
        assert waiting.state_reason == "This address was sent 2 warnings in 10 minutes; the next ones wait."
        assert outbox.deliver(at("10:22")) == {Outcome.ACCEPTED: 1}


def _copy(notice: Notice, moment: str, kind: NoticeKind) -> Notice:
    """Another row like this one, that no deadline asks for."""
    copy = Notice.objects.get(pk=notice.pk)
    copy.pk, copy.deadline, copy.moment, copy.kind, copy.rank = None, None, moment, kind, Rank.of(kind)
    copy.state, copy.accepted_at = NoticeState.PENDING, None
    copy.message_id = f"<{moment}@due-notice.example>"
    return copy


class TestLate:
    def test_a_notice_that_waited_for_the_mail_server_past_its_deadline_says_so(
        self, relay: SmtpSink, notice: Notice
    ) -> None:
        outbox.deliver(at("13:59"))
        assert "This message is late" not in relay.messages[0].text
        copy = _copy(notice, "late", NoticeKind.CLIENT_NOTICE)
        copy.save(force_insert=True)
        outbox.deliver(at("14:01"))
        late = "This message is late: it was due by 24 Nov 2026, 09:00 EST."
        assert relay.messages[1].text.startswith(late)
        assert late in relay.messages[1].html
        assert reread(copy).is_marked_late

    def test_a_copy_of_what_may_have_arrived_in_time_has_the_same_body(self, relay: SmtpSink, notice: Notice) -> None:
        relay.accept_then_drop()
        outbox.deliver(at("13:59"))
        outbox.deliver(at("14:05"))
        first, second = relay.messages
        assert (first.text, first.html, first.message_id) == (second.text, second.html, second.message_id)

    def test_a_late_copy_of_a_late_notice_has_the_same_body(self, relay: SmtpSink, notice: Notice) -> None:
        relay.accept_then_drop()
        outbox.deliver(at("14:05"))
        outbox.deliver(at("14:10"))
        first, second = relay.messages
        assert first.text == second.text
        assert first.text.startswith("This message is late")


class TestContactRemoved:
    def test_a_contact_who_left_is_not_written_to_and_operators_hear_that_nobody_was(
        self, relay: SmtpSink, notice: Notice, incident: Incident
    ) -> None:
        cast.past_the_trail(Contact.objects, is_active=False)
        outbox.deliver(at("10:11"))
        assert reread(notice).state == NoticeState.CANCELLED
        assert "no longer a contact" in reread(notice).state_reason
        assert to_clients(relay) == []
        assert incident.deadlines.get(obligation=Obligation.NOTIFY).is_open
        outbox.deliver(at("10:12"))
        assert [mail.recipients for mail in relay.messages] == [("olga@due-notice.example",)]


class TestLease:
    def test_a_leased_notice_is_nobody_elses(self, notice: Notice) -> None:
        assert [n.pk for n in outbox.lease(at("10:11"))] == [notice.pk]
        assert outbox.lease(at("10:11")) == []

    def test_a_worker_whose_lease_was_taken_over_does_not_transmit(self, relay: SmtpSink, notice: Notice) -> None:
        (mine,) = outbox.lease(at("10:11"))
        cast.past_the_trail(Notice.objects, lease_token=uuid.uuid4())  # another worker has it by now
        with pytest.raises(outbox.HeldBack):
            outbox._deliver_one(mine, Watch(at("10:11")), Counter())
        assert relay.messages == []
        assert reread(notice).state == NoticeState.LEASED

    def test_lost_before_transmission_it_is_simply_due_again(self, relay: SmtpSink, notice: Notice) -> None:
        outbox.lease(at("10:11"))
        assert outbox.release_stalled(at("10:12")) == 0, "its lease still runs"
        assert outbox.release_stalled(at("10:13")) == 1
        outbox.deliver(at("10:13"))
        assert len(relay.messages) == 1
        assert reread(notice).ambiguous_tries == 0

    def test_lost_during_transmission_it_is_sent_once_more_and_then_reviewed(self, notice: Notice) -> None:
        now = at("10:11")
        for expected in (NoticeState.RETRY_WAIT, NoticeState.REVIEW):
            (mine,) = outbox.lease(now)
            assert outbox._fence(mine, now)
            now += dt.timedelta(minutes=5)
            assert outbox.release_stalled(now) == 1
            assert reread(notice).state == expected
            now = reread(notice).next_attempt_at
        assert DeliveryAttempt.objects.filter(outcome=Outcome.AMBIGUOUS).count() == 2

    def test_an_answer_that_comes_after_the_row_was_given_back_spares_the_copy(
        self, relay: SmtpSink, notice: Notice, incident: Incident
    ) -> None:
        (mine,) = outbox.lease(at("10:11"))
        assert outbox._fence(mine, at("10:11"))
        assert outbox.release_stalled(at("10:20")) == 1
        assert reread(notice).state == NoticeState.RETRY_WAIT
        outbox._record_acceptance(mine, "250 at last", Watch(at("10:20")), 0.0)
        assert reread(notice).state == NoticeState.SENT
        assert incident.deadlines.get(obligation=Obligation.NOTIFY).met_at == reread(notice).accepted_at
        assert outbox.deliver(at("10:30")) == {}

    def test_what_was_done_meanwhile_is_cancelled_instead_of_sent(
        self, relay: SmtpSink, incident: Incident, northwind: ServiceAgreement, olga: User
    ) -> None:
        notices.raise_due(at("12:00"))
        warning = Notice.objects.filter(contact__isnull=False).get()
        cast.past_the_trail(
            incident.deadlines.filter(obligation=Obligation.NOTIFY), met_at=at("12:00"), next_action_at=None
        )
        outbox.deliver(at("12:01"))
        assert (reread(warning).state, reread(warning).state_reason) == ("cancelled", "Done before this was sent.")
        assert relay.messages == []


class TestPoison:
    def test_a_row_that_cannot_be_built_fails_alone(
        self, relay: SmtpSink, incident: Incident, notice: Notice, olga: User
    ) -> None:
        cast.past_the_trail(
            Notice.objects, subject="Two\r\nlines"
        )  # nothing lets this in; if something does, it must not get out
        lifecycle.notify_client(incident, by=olga, now=at("10:12"))
        outbox.deliver(at("10:13"))
        assert reread(notice).state == NoticeState.FAILED
        assert len(to_clients(relay)) == 1

    def test_an_international_domain_is_written_so_that_every_server_understands_it(
        self, relay: SmtpSink, notice: Notice
    ) -> None:
        cast.past_the_trail(Notice.objects, recipient_address="ops@bücher.example", recipient_name="Dörte, Betrieb")
        outbox.deliver(at("10:11"))
        mail = relay.messages[0]
        assert mail.recipients == ("ops@xn--bcher-kva.example",)
        assert mail.message["To"].addresses[0].display_name == "Dörte, Betrieb"


def test_an_idle_pass_asks_once(db: None) -> None:
    with CaptureQueriesContext(connection) as captured:
        outbox.deliver(at("10:00"))
    assert len(captured) == 1
