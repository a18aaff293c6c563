"""The truth changes while a notice waits or is in a worker's hands; and rows that cannot be sent as they are."""

from __future__ import annotations

import copy
import datetime as dt
import logging
import uuid
from collections import Counter
from pathlib import Path

import pytest
from django.db import transaction
from pytest_django import Settings

from agreements.models import Contact, Obligation, ServiceAgreement, Severity
from config.instants import Watch
from config.models import User
from incidents import handling, lifecycle, notices, outbox
from incidents.models import Incident, Notice, Sending
from incidents.models.notice import NoticeKind, NoticeState, Rank
from tests import cast
from tests.cast import at
from tests.faults.oracle import Owed, nothing_is_lost
from tests.services.smtp import SmtpSink

pytestmark = pytest.mark.django_db

OPS, OLGA = "ops@northwind.example", "olga@due-notice.example"


def declare(by: User, now: dt.datetime = at("10:00"), title: str = "Storage is down") -> Incident:  # noqa: B008 - an instant
    return lifecycle.declare(
        by=by,
        now=now,
        title=title,
        severity=Severity.CRITICAL,
        services=[cast.service("Object storage")],
        detected_at=now,
    )


@pytest.fixture
def incident(olga: User, northwind: ServiceAgreement) -> Incident:
    return declare(olga)


def notify(incident: Incident, by: User) -> Notice:
    """The client notice that a person sends at 10:10."""
    lifecycle.notify_client(incident, by=by, now=at("10:10"))
    return Notice.objects.get(kind=NoticeKind.CLIENT_NOTICE, incident=incident)


def lease(now: dt.datetime) -> list[Notice]:
    """What a worker has in its hands."""
    leased = outbox.lease(now)
    assert leased
    return leased


def transmit(leased: list[Notice], now: dt.datetime) -> None:
    """The worker goes on with what it has."""
    for notice in leased:
        outbox._deliver_one(notice, Watch(now), Counter())


def fate(notice: Notice) -> tuple[str, str]:
    row = Notice.objects.get(pk=notice.pk)
    return row.state, row.state_reason


def planned() -> set[tuple[str, str, str]]:
    rows = Notice.objects.exclude(kind=NoticeKind.CLIENT_NOTICE)
    return set(rows.values_list("moment", "state", "state_reason"))


def arrived(sink: SmtpSink) -> list[str]:
    return [mail.recipients[0] for mail in sink.messages]


# ── while it waits, and while it is leased ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("is_leased", [False, True])
class TestWhatAPersonSentGoesWhateverBecomesOfItsDeadline:
    def told(self, incident: Incident) -> list[Owed]:
        return [(incident.reference, OPS)]

    def deliver(self, leased: list[Notice]) -> None:
        transmit(leased, at("10:20"))
        notices.raise_due(at("10:20"))
        outbox.deliver(at("10:20"))

    def test_the_deadline_moves(self, relay: SmtpSink, olga: User, incident: Incident, is_leased: bool) -> None:
        notice = notify(incident, olga)
        leased = lease(at("10:11")) if is_leased else []
        lifecycle.correct_times(incident, by=olga, now=at("10:12"), detected_at=at("9:50"), reason="Seen in the logs.")
        self.deliver(leased)
        assert fate(notice) == (NoticeState.SENT, "")
        nothing_is_lost(at("10:20"), relay, self.told(incident))

    def test_the_incident_is_resolved(self, relay: SmtpSink, olga: User, incident: Incident, is_leased: bool) -> None:
        notice = notify(incident, olga)
        leased = lease(at("10:11")) if is_leased else []
        lifecycle.resolve(incident, by=olga, now=at("10:12"))
        self.deliver(leased)
        assert fate(notice) == (NoticeState.SENT, "")
        nothing_is_lost(at("10:20"), relay, self.told(incident))

    def test_the_incident_is_merged(self, relay: SmtpSink, olga: User, incident: Incident, is_leased: bool) -> None:
        notice, master = notify(incident, olga), declare(olga, at("10:05"))
        leased = lease(at("10:11")) if is_leased else []
        lifecycle.merge(incident, master, by=olga, now=at("10:12"), reason="The same switch.")
        self.deliver(leased)
        assert fate(notice) == (NoticeState.SENT, "")
        nothing_is_lost(at("10:20"), relay, self.told(incident))

    def test_the_client_is_told_by_phone(
        self, relay: SmtpSink, olga: User, incident: Incident, northwind: ServiceAgreement, is_leased: bool
    ) -> None:
        notice = notify(incident, olga)
        leased = lease(at("10:11")) if is_leased else []
        lifecycle.record_told(incident, northwind.client, by=olga, now=at("10:12"), evidence="By phone, Kim.")
        self.deliver(leased)
        assert fate(notice) == (NoticeState.SENT, "")
        assert incident.deadlines.get(obligation=Obligation.NOTIFY).met_at == at("10:12"), "the first telling counts"
        nothing_is_lost(at("10:20"), relay, self.told(incident))

    def test_the_agreement_ends(
        self, relay: SmtpSink, olga: User, incident: Incident, northwind: ServiceAgreement, is_leased: bool
    ) -> None:
        """It was in force when the incident was detected, so its duties for this incident stay."""
        notice = notify(incident, olga)
        leased = lease(at("10:11")) if is_leased else []
        northwind.ends_at = at("10:12")
        cast.save(northwind)
        self.deliver(leased)
        assert fate(notice) == (NoticeState.SENT, "")
        nothing_is_lost(at("10:20"), relay, self.told(incident))

    def test_the_contact_has_a_new_address(
        self, relay: SmtpSink, olga: User, incident: Incident, northwind: ServiceAgreement, is_leased: bool
    ) -> None:
        """The row is frozen: what was written to an address goes there, and the next notice to the new one."""
        notify(incident, olga)
        leased = lease(at("10:11")) if is_leased else []
        contact = northwind.client.contacts.get()
        contact.address = "duty@northwind.example"
        cast.save(contact)
        lifecycle.post_update(incident, by=olga, now=at("10:15"), message="It is a broken switch.")
        self.deliver(leased)
        assert sorted(arrived(relay)) == ["duty@northwind.example", OPS]
        owed = [*self.told(incident), (incident.reference, "duty@northwind.example")]
        nothing_is_lost(at("10:20"), relay, owed)


class TestTheContactLeaves:
    """While it waits: tests/incidents/test_outbox.py."""

    def test_the_mail_that_a_worker_holds_already_goes(self, relay: SmtpSink, olga: User, incident: Incident) -> None:
        notice = notify(incident, olga)
        leased = lease(at("10:11"))
        cast.past_the_trail(Contact.objects, is_active=False)
        transmit(leased, at("10:12"))
        assert fate(notice) == (NoticeState.SENT, "")
        nothing_is_lost(at("10:12"), relay, [(incident.reference, OPS)])

    def test_of_two_the_one_who_stays_is_told_and_operators_hear_of_the_other(
        self, relay: SmtpSink, olga: User, incident: Incident, northwind: ServiceAgreement
    ) -> None:
        Contact.objects.create(client=northwind.client, name="Duty", address="duty@northwind.example")
        lifecycle.notify_client(incident, by=olga, now=at("10:10"))
        cast.past_the_trail(Contact.objects.filter(address=OPS), is_active=False)
        for now in (at("10:11"), at("10:12")):
            outbox.deliver(now)
        gone = Notice.objects.get(recipient_address=OPS)
        reason = "Northwind Operations is no longer a contact who can be mailed."
        assert fate(gone) == (NoticeState.CANCELLED, reason)
        assert incident.deadlines.get(obligation=Obligation.NOTIFY).met_at
        nothing_is_lost(
            at("10:12"), relay, [(incident.reference, "duty@northwind.example"), (incident.reference, OLGA)]
        )

    def test_a_client_who_leaves_altogether_is_not_written_to(
        self, relay: SmtpSink, olga: User, incident: Incident, northwind: ServiceAgreement
    ) -> None:
        notice = notify(incident, olga)
        northwind.client.is_active = False
        cast.save(northwind.client)
        for now in (at("10:11"), at("10:12")):
            outbox.deliver(now)
        assert fate(notice)[0] == NoticeState.CANCELLED
        assert arrived(relay) == [OLGA]
        nothing_is_lost(at("10:12"), relay, [(incident.reference, OLGA)])


class TestWhatWasPlanned:
    """By the planner at 13:36: the holding notice, and the overtaken warnings."""

    def test_of_a_deadline_that_ends_with_a_merger_it_is_taken_back_and_the_master_owes_it(
        self, relay: SmtpSink, olga: User, incident: Incident
    ) -> None:
        master = declare(olga, at("10:05"))
        notices.raise_due(at("13:36"))
        lifecycle.merge(incident, master, by=olga, now=at("13:37"), reason="The same switch.")
        taken_back = Notice.objects.filter(incident=incident, moment="holding")
        reason = f"Merged into {master.reference}."
        assert set(taken_back.values_list("state", "state_reason")) == {(NoticeState.SUPERSEDED, reason)}
        for now in (at("13:38"), at("13:42")):
            notices.raise_due(now)
            outbox.deliver(now)
        nothing_is_lost(at("13:42"), relay, [(master.reference, OPS)])
        assert not [mail for mail in relay.messages if incident.reference in mail.subject]

    def test_of_a_deadline_that_ends_while_it_is_leased_it_goes_and_no_other_is_made(
        self, relay: SmtpSink, olga: User, incident: Incident
    ) -> None:
        master = declare(olga, at("10:05"))
        notices.raise_due(at("13:36"))
        leased = [row for row in lease(at("13:36")) if row.incident_id == incident.pk]
        lifecycle.merge(incident, master, by=olga, now=at("13:37"), reason="The same switch.")
        transmit(leased, at("13:38"))
        assert OPS in arrived(relay)
        outbox.release_stalled(at("13:40"))
        for now in (at("13:41"), at("13:42")):
            notices.raise_due(now)
            outbox.deliver(now)
        nothing_is_lost(at("13:42"), relay, [(incident.reference, OPS), (master.reference, OPS)])

    def test_a_resolution_leaves_the_notice_owed_so_the_holding_notice_goes(
        self, relay: SmtpSink, olga: User, incident: Incident
    ) -> None:
        notices.raise_due(at("13:36"))
        lifecycle.resolve(incident, by=olga, now=at("13:37"))
        outbox.deliver(at("13:38"))
        nothing_is_lost(at("13:38"), relay, [(incident.reference, OPS)])

    def test_of_an_agreement_that_was_not_in_force_it_is_taken_back(
        self, relay: SmtpSink, olga: User, incident: Incident, northwind: ServiceAgreement
    ) -> None:
        notices.raise_due(at("13:36"))
        northwind.effective_at = at("9:55")
        cast.save(northwind)
        lifecycle.correct_times(incident, by=olga, now=at("13:37"), detected_at=at("9:50"), reason="Seen in the logs.")
        outbox.deliver(at("13:38"))
        reason = "The agreement was not in force at the corrected time of detection."
        assert ("holding", NoticeState.SUPERSEDED, reason) in planned()
        assert OPS not in arrived(relay)
        nothing_is_lost(at("13:38"), relay)

    def test_a_client_who_is_told_by_phone_while_it_is_leased_gets_it_and_the_call_counts(
        self, relay: SmtpSink, olga: User, incident: Incident, northwind: ServiceAgreement
    ) -> None:
        notices.raise_due(at("13:36"))
        leased = lease(at("13:36"))
        lifecycle.record_told(incident, northwind.client, by=olga, now=at("13:37"), evidence="By phone, Kim.")
        transmit(leased, at("13:38"))
        outbox.deliver(at("13:39"))
        assert incident.deadlines.get(obligation=Obligation.NOTIFY).met_at == at("13:37")
        nothing_is_lost(at("13:39"), relay, [(incident.reference, OPS)])


class TestHeld:
    def test_the_mail_in_hand_goes_and_nothing_after_it_until_the_release(
        self, relay: SmtpSink, olga: User, max_: User, incident: Incident
    ) -> None:
        for minute in range(10, 15):
            lifecycle.notify_client(incident, by=olga, now=at(f"10:{minute}"))

        def hold_after_the_first() -> bool:
            if len(relay.messages) == 1 and not Sending.row().is_held:
                handling.hold(by=max_, now=at("10:15"), reason="A backup was restored.")
            return False

        assert outbox.deliver(at("10:15"), should_stop=hold_after_the_first) == {"accepted": 1}
        assert outbox.deliver(at("10:16")) == {}
        owed = [(incident.reference, OPS)]
        nothing_is_lost(at("10:16"), relay, owed, problems=["sending-held", "notices-unsent"])
        handling.release(by=max_, now=at("10:17"), reason="Compared with the server's log.")
        outbox.deliver(at("10:17"))
        nothing_is_lost(at("10:17"), relay, owed * 5)


def test_a_verb_that_is_taken_back_leaves_no_row_and_no_mail(relay: SmtpSink, olga: User, incident: Incident) -> None:
    with transaction.atomic():  # as when anything fails after the verb
        lifecycle.notify_client(incident, by=olga, now=at("10:10"))
        assert Notice.objects.exists()
        transaction.set_rollback(True)
    assert not Notice.objects.exists()
    assert outbox.deliver(at("10:11")) == {}
    assert not incident.timeline.filter(text__startswith="Client notice").exists()
    nothing_is_lost(at("10:11"), relay)


# ── rows that cannot be sent as they are ────────────────────────────────────────────────────────────────────────────


def test_one_poisoned_row_among_a_thousand_fails_alone_and_the_order_is_kept(
    relay: SmtpSink, olga: User, incident: Incident, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "mail.log")  # a thousand mails, each told line by line
    first = notify(incident, olga)
    cast.lose(Notice.objects.filter(pk=first.pk))
    rows = []
    for number in range(1000):
        row = copy.copy(first)
        row.pk, row.deadline, row.moment = None, None, f"n-{number}"
        row.kind = NoticeKind.CLIENT_NOTICE if number == 500 else NoticeKind.ALARM
        row.contact_id = first.contact_id if number == 500 else None
        row.rank, row.due_at = Rank.ALARM, at("12:00") - dt.timedelta(seconds=(number * 7) % 1000)
        row.message_id = f"<{uuid.uuid4()}@due-notice.example>"
        row.subject = "Two\r\nBcc: everybody@x.example" if number == 500 else f"[{incident.reference}] {number}"
        rows.append(row)
    Notice.objects.bulk_create(rows)
    tally = outbox.deliver(at("10:20"))
    assert tally == {"accepted": 1000, "poison": 1}, "999 and the alarm about the other"
    failed = Notice.objects.get(state=NoticeState.FAILED)
    assert failed.moment == "n-500"
    others = Notice.objects.filter(moment__startswith="n-").exclude(pk=failed.pk)
    sent = [mail.message_id for mail in relay.messages if mail.recipients == (OPS,)]
    assert sent == list(others.order_by("due_at").values_list("message_id", flat=True))
    told = [(incident.reference, OPS)] * 999 + [(incident.reference, OLGA)]
    nothing_is_lost(at("10:20"), relay, told, problems=["notices-need-a-person"])


def test_a_template_that_cannot_be_rendered_sends_the_plain_facts(
    relay: SmtpSink, olga: User, incident: Incident, settings: Settings, tmp_path: Path
) -> None:
    """What they say: tests/incidents/test_notices.py."""
    (tmp_path / "notices").mkdir()
    (tmp_path / "notices" / "holding_notice.html").write_text("{% load no_such_library %}")
    templates = copy.deepcopy(settings.TEMPLATES)
    templates[0]["DIRS"].insert(0, tmp_path)
    settings.TEMPLATES = templates
    notices.raise_due(at("14:01"))
    outbox.deliver(at("14:01"))
    (mail,) = [mail for mail in relay.messages if mail.recipients == (OPS,)]
    assert mail.subject == f"[{incident.reference}] Holding notice: Storage is down"
    late = "This message is late: it was due by 24 Nov 2026, 09:00 EST."
    assert mail.text.startswith(late)
    assert late in mail.html
    assert "<!--" not in mail.html
    nothing_is_lost(at("14:01"), relay, [(incident.reference, OPS)])
