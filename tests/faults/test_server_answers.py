"""What a mail server can answer, minute by minute to the end of all waits: nothing is lost, and people are told."""

from __future__ import annotations

import datetime as dt
import itertools
import random
import shutil
import socket
import ssl
import subprocess
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from django.test import Client as Browser
from django.utils import timezone
from pytest_django import Settings

from agreements.models import Contact, Obligation, ServiceAgreement, Severity
from config.env import MailRelay
from config.models import User
from incidents import handling, lifecycle, notices, outbox, watchdog
from incidents.models import DeliveryAttempt, Incident, Notice, Sending
from incidents.models.notice import DeliveryPhase, NoticeKind, NoticeState, Outcome
from tests import cast
from tests.cast import at
from tests.faults.oracle import all_at_work, nothing_is_lost
from tests.services.smtp import Phase, SmtpSink

pytestmark = pytest.mark.django_db

MINUTE = dt.timedelta(minutes=1)
OPS, OLGA = "ops@northwind.example", "olga@due-notice.example"
NEED_A_PERSON = "notices-need-a-person"


def declare(by: User, now: dt.datetime) -> Incident:
    return lifecycle.declare(
        by=by,
        now=now,
        title="Storage is down",
        severity=Severity.CRITICAL,
        services=[cast.service("Object storage")],
        detected_at=now,
    )


def notify(by: User, now: dt.datetime, count: int = 1) -> list[Incident]:
    """So many incidents whose client notices wait to be sent."""
    incidents = [declare(by, now) for _number in range(count)]
    for incident in incidents:
        lifecycle.notify_client(incident, by=by, now=now)
    return incidents


def run(
    start: dt.datetime, *, minutes: int, every: dt.timedelta = MINUTE, meanwhile: Callable[[], object] = int
) -> dt.datetime:
    """Planner and sender at work every so often for so many minutes; returns the instant of the last pass."""
    now = start
    for number in range(minutes * MINUTE // every + 1):
        now = start + number * every
        notices.raise_due(now)
        outbox.deliver(now)
        meanwhile()
    return now


def alarmed() -> set[str]:
    return set(Notice.objects.filter(kind=NoticeKind.ALARM).values_list("recipient_address", flat=True))


def outcomes() -> Counter[str]:
    return Counter(DeliveryAttempt.objects.values_list("outcome", flat=True))


# ── this recipient ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_refused_for_now_three_times_it_waits_1_2_and_4_minutes_and_is_sent_with_its_tries_counted(
    relay: SmtpSink, olga: User, northwind: ServiceAgreement, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(random, "uniform", lambda low, high: 1.0)
    (incident,) = notify(olga, at("10:10"))
    relay.answer(451, "greylisted", times=3)
    now = run(at("10:11"), minutes=10, every=MINUTE / 6)
    attempts = DeliveryAttempt.objects.order_by("at").values_list("at", "outcome")
    assert [outcome for _at, outcome in attempts] == [Outcome.REFUSED_FOR_NOW] * 3 + [Outcome.ACCEPTED]
    gaps = [round((later - earlier) / MINUTE) for (earlier, _), (later, _) in itertools.pairwise(attempts)]
    assert gaps == [1, 2, 4]
    assert Notice.objects.get().tries == 4
    nothing_is_lost(now, relay, [(incident.reference, OPS)])


def test_one_refused_contact_of_three_is_shown_and_the_other_two_were_told(
    relay: SmtpSink, olga: User, max_: User, northwind: ServiceAgreement
) -> None:
    for name in ("second", "third"):
        Contact.objects.create(client=northwind.client, name=name, address=f"{name}@northwind.example")
    relay.refuse("second@northwind.example", 550, "no such user here")
    (incident,) = notify(olga, at("10:10"))
    now = run(at("10:11"), minutes=1)
    assert incident.deadlines.get(obligation=Obligation.NOTIFY).met_at
    failed = Notice.objects.get(state=NoticeState.FAILED)
    assert (failed.recipient_address, failed.server_answer) == ("second@northwind.example", "550 no such user here")
    assert alarmed() == {OLGA, "max@due-notice.example"}
    assert "1, the first made" in next(p.sentence for p in watchdog.audit(now) if p.key == NEED_A_PERSON)
    told = [(incident.reference, address) for address in (OPS, "third@northwind.example", *alarmed())]
    nothing_is_lost(now, relay, told, problems=[NEED_A_PERSON])


@pytest.mark.parametrize("seed", [1])
def test_with_answers_of_every_kind_mixed_each_notice_ends_as_its_own_answers_say(
    relay: SmtpSink, olga: User, northwind: ServiceAgreement, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - repeatable
    cast.past_the_trail(northwind.client.contacts, is_active=False)
    addresses = [f"ops-{number}@northwind.example" for number in range(30)]
    for number, address in enumerate(addresses):
        Contact.objects.create(client=northwind.client, name=f"Ops {number}", address=address)
    fates = {
        address: chance.choice(("at once", "later", "much later", "never", "not for now, ever"))
        for address in addresses
    }
    for address, fate in fates.items():
        if fate == "never":
            relay.refuse(address, 550)
        elif fate != "at once":
            times = {"later": chance.randint(1, 3), "much later": 12}.get(fate)
            relay.refuse(address, 451, "try again later", times=times)
    (incident,) = notify(olga, at("10:10"))
    now = run(at("10:11"), minutes=11 * 60, every=4 * MINUTE)  # 30 tries, up to 18 minutes apart

    states = dict(Notice.objects.exclude(kind=NoticeKind.ALARM).values_list("recipient_address", "state"))
    lost = {address for address, fate in fates.items() if fate in ("never", "not for now, ever")}
    assert {address for address, state in states.items() if state == NoticeState.FAILED} == lost
    assert {states[address] for address in set(addresses) - lost} == {NoticeState.SENT}
    told = [(incident.reference, address) for address in set(addresses) - lost]
    alarms = [(incident.reference, OLGA)] * len(lost)
    nothing_is_lost(now, relay, told + alarms, problems=[NEED_A_PERSON])


def test_a_server_that_never_says_what_became_of_it_gets_two_copies_then_a_person_says_that_it_arrived(
    relay: SmtpSink, olga: User, northwind: ServiceAgreement
) -> None:
    (incident,) = notify(olga, at("10:10"))
    relay.accept_then_drop(times=None)
    run(at("10:11"), minutes=15)
    notice = Notice.objects.get(kind=NoticeKind.CLIENT_NOTICE)
    assert (notice.state, notice.ambiguous_tries) == (NoticeState.REVIEW, 2)
    assert len(relay.by_message_id()[notice.message_id]) == 2
    assert incident.deadlines.get(obligation=Obligation.NOTIFY).is_open
    alarm = Notice.objects.get(kind=NoticeKind.ALARM)
    assert alarm.state == NoticeState.REVIEW, "it met the same server; the audit and every page say so instead"
    nothing_is_lost(at("10:27"), relay, [(incident.reference, OPS)], problems=[NEED_A_PERSON])

    for row, evidence in ((notice, "Kim at Northwind has it before her."), (alarm, "I have it before me.")):
        handling.it_arrived(row, by=olga, now=at("10:30"), reason="Asked them.", evidence=evidence)
    last_try = max(notice.attempts.values_list("at", flat=True))
    assert incident.deadlines.get(obligation=Obligation.NOTIFY).met_at == last_try
    relay.behave()
    nothing_is_lost(run(at("10:31"), minutes=1), relay, [(incident.reference, OPS)])


# ── our own configuration ───────────────────────────────────────────────────────────────────────────────────────────


def test_a_refused_login_stops_all_and_uses_up_nothing_and_one_probe_after_another_finds_it_put_right(
    relay: SmtpSink, olga: User, northwind: ServiceAgreement, settings: Settings, client: Browser
) -> None:
    settings.MAIL_RELAY = MailRelay("127.0.0.1", relay.port, "none", "due-notice", "out of date")
    start = timezone.now() - 12 * MINUTE  # the probe from outside looks at the real clock
    incidents = notify(olga, start, count=4)
    relay.refuse_login()
    tried = [relay.count(Phase.AUTH)]
    run(start + MINUTE, minutes=8, meanwhile=lambda: tried.append(relay.count(Phase.AUTH)))
    probes = [later - earlier for earlier, later in itertools.pairwise(tried)]
    assert set(probes) == {0, 1}, "one at a time, and none before its time"
    assert relay.count(Phase.MAIL) == 0
    assert set(Notice.objects.values_list("tries", flat=True)) == {0}
    assert Notice.objects.waiting().count() == 4
    assert outcomes() == {Outcome.CONFIGURATION: sum(probes)}

    all_at_work(timezone.now())
    answer = client.get("/healthz/delivery")
    assert answer.status_code == 503
    assert b"mail-configuration" in answer.content

    relay.behave()
    now = run(start + 11 * MINUTE, minutes=0)
    assert relay.logins == [("due-notice", "out of date")], "all over the one connection of the probe"
    assert client.get("/healthz/delivery").status_code == 200
    nothing_is_lost(now, relay, [(incident.reference, OPS) for incident in incidents])


@pytest.mark.parametrize("relay_as", ["über", "due-notice"])
def test_a_password_that_no_server_can_be_told_is_our_fault_and_fails_nothing(
    relay: SmtpSink, olga: User, northwind: ServiceAgreement, settings: Settings, relay_as: str
) -> None:
    settings.MAIL_RELAY = MailRelay("127.0.0.1", relay.port, "none", relay_as, "geheim-ß")
    (incident,) = notify(olga, at("10:10"))
    now = run(at("10:11"), minutes=2)
    assert outcomes() == {Outcome.CONFIGURATION: 3}
    assert Sending.row().fault == Outcome.CONFIGURATION
    settings.MAIL_RELAY = MailRelay("127.0.0.1", relay.port, "none", "due-notice", "geheim")
    outbox.hang_up()
    now = run(now + MINUTE, minutes=0)
    nothing_is_lost(now, relay, [(incident.reference, OPS)])


class SecureServer:
    """Offers TLS with a certificate that nobody vouches for; keeps all that it could read."""

    def __init__(self, certificate: Path, *, at_once: bool) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)
        self._at_once = at_once
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.lines: list[bytes] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(10)

    def _serve(self) -> None:
        while True:
            try:
                connection, _address = self._socket.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(10)
                try:
                    self._speak(connection)
                except OSError:  # the client has hung up
                    continue

    def _speak(self, connection: socket.socket) -> None:
        if self._at_once:
            connection = self._context.wrap_socket(connection, server_side=True)
        connection.sendall(b"220 secure.localhost\r\n")
        with connection.makefile("rb") as lines:
            for line in lines:
                self.lines.append(line)
                if line.upper().startswith(b"STARTTLS"):
                    connection.sendall(b"220 go ahead\r\n")
                    connection = self._context.wrap_socket(connection, server_side=True)
                else:
                    connection.sendall(b"250-secure.localhost\r\n250 STARTTLS\r\n")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that its owner has signed, with its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("Nothing here can make a certificate: openssl is missing.")
    folder = tmp_path_factory.mktemp("certificate")
    made = folder / "both.pem"
    key, own = folder / "key.pem", folder / "certificate.pem"
    command = "req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
    subprocess.run([openssl, *command.split(), "-keyout", key, "-out", own], check=True, capture_output=True)
    made.write_bytes(key.read_bytes() + own.read_bytes())
    return made


@pytest.mark.parametrize("encryption", ["tls", "starttls"])
def test_a_certificate_that_nobody_vouches_for_stops_all_and_nothing_goes_out_in_the_clear(
    relay: SmtpSink, olga: User, northwind: ServiceAgreement, settings: Settings, certificate: Path, encryption: str
) -> None:
    server = SecureServer(certificate, at_once=encryption == "tls")
    try:
        settings.MAIL_RELAY = MailRelay("127.0.0.1", server.port, encryption, "due-notice", "secret")
        (incident,) = notify(olga, at("10:10"))
        now = run(at("10:11"), minutes=2)
    finally:
        server.close()
    heard = [line.split()[0].upper() for line in server.lines]
    assert heard == ([] if encryption == "tls" else [b"EHLO", b"STARTTLS"] * 3)
    assert_our_fault(DeliveryPhase.CONNECT if encryption == "tls" else DeliveryPhase.STARTTLS)
    assert "CERTIFICATE_VERIFY_FAILED" in Sending.row().fault_answer
    put_right(relay, settings)
    nothing_is_lost(run(now + MINUTE, minutes=0), relay, [(incident.reference, OPS)])


def test_a_server_that_offers_no_encryption_any_more_gets_nothing_in_the_clear(
    relay: SmtpSink, olga: User, northwind: ServiceAgreement, settings: Settings
) -> None:
    """Somebody between us and the server can take STARTTLS out of what it offers."""
    settings.MAIL_RELAY = MailRelay("127.0.0.1", relay.port, "starttls", "due-notice", "secret")
    (incident,) = notify(olga, at("10:10"))
    now = run(at("10:11"), minutes=2)
    assert (relay.count(Phase.AUTH), relay.count(Phase.MAIL)) == (0, 0)
    assert_our_fault(DeliveryPhase.STARTTLS)
    put_right(relay, settings)
    nothing_is_lost(run(now + MINUTE, minutes=0), relay, [(incident.reference, OPS)])


def test_a_server_that_speaks_in_the_clear_where_encryption_is_agreed_gets_nothing(
    relay: SmtpSink, olga: User, northwind: ServiceAgreement, settings: Settings
) -> None:
    settings.MAIL_RELAY = MailRelay("127.0.0.1", relay.port, "tls", "due-notice", "secret")
    (incident,) = notify(olga, at("10:10"))
    now = run(at("10:11"), minutes=2)
    assert (relay.count(Phase.AUTH), relay.count(Phase.MAIL)) == (0, 0)
    assert_our_fault(DeliveryPhase.CONNECT)
    put_right(relay, settings)
    nothing_is_lost(run(now + MINUTE, minutes=0), relay, [(incident.reference, OPS)])


def assert_our_fault(phase: DeliveryPhase) -> None:
    """Red at once, and no notice has lost a try by it."""
    tried = set(DeliveryAttempt.objects.values_list("outcome", "phase"))
    assert tried == {(Outcome.CONFIGURATION, phase)}
    assert set(Notice.objects.values_list("state", "tries")) == {(NoticeState.RETRY_WAIT, 0)}
    assert "mail-configuration" in {problem.key for problem in watchdog.red_problems(at("10:13"))}


def put_right(relay: SmtpSink, settings: Settings) -> None:
    settings.MAIL_RELAY = MailRelay("127.0.0.1", relay.port, "none")
    outbox.hang_up()


# ── away for hours ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_after_six_hours_without_a_mail_server_everything_that_is_owed_goes_within_five_minutes(
    relay: SmtpSink, olga: User, max_: User, northwind: ServiceAgreement
) -> None:
    Contact.objects.create(client=northwind.client, name="Duty", address="duty@northwind.example")
    contacts = [OPS, "duty@northwind.example"]
    relay.stop()
    told = notify(olga, at("8:00"), count=3)  # due at 12:00, sent by a person
    slept_through = [declare(olga, at(clock)) for clock in ("8:10", "8:20")]  # holding notices, due at 12:10 and 12:20
    run(at("8:30"), minutes=180, every=5 * MINUTE)
    lifecycle.post_update(told[0], by=olga, now=at("11:31"), message="It is a broken switch.")
    lifecycle.post_update(told[0], by=olga, now=at("11:32"), message="It is replaced.")
    later = declare(olga, at("11:40"))  # at 14:30 of its warnings one has come, at 14:55 both; it is due at 15:40
    run(at("11:45"), minutes=195, every=5 * MINUTE)
    assert relay.messages == []
    relay.start()

    back = at("15:01")
    passes = [back + number * MINUTE for number in range(5)]
    for now in passes:
        notices.raise_due(now)
        outbox.deliver(now)
    owed = [(incident.reference, address) for incident in told + slept_through for address in contacts]
    owed += [(told[0].reference, address) for address in contacts] * 2  # neither update stands for the other
    owed += [(later.reference, address) for address in contacts]  # its warning
    assert not Notice.objects.waiting().exists(), "within five passes, one a minute"
    nothing_is_lost(passes[-1], relay, owed)

    owed_rows = Notice.objects.filter(kind__in=(NoticeKind.CLIENT_NOTICE, NoticeKind.HOLDING_NOTICE))
    given_up = owed_rows.exclude(state=NoticeState.SENT)  # holding notices to whom somebody has written meanwhile
    assert set(given_up.values_list("kind", "state", "state_reason")) <= {
        (NoticeKind.HOLDING_NOTICE, NoticeState.CANCELLED, "Done before this was sent.")
    }
    due = {at("12:00"): "07:00 EST", at("12:10"): "07:10 EST", at("12:20"): "07:20 EST"}
    for row in owed_rows.filter(state=NoticeState.SENT):
        (mail,) = relay.by_message_id()[row.message_id]
        assert mail.text.startswith(f"This message is late: it was due by 24 Nov 2026, {due[row.due_at]}.")

    warnings = Notice.objects.filter(kind__in=(NoticeKind.WARNING, NoticeKind.STAFF_WARNING))
    assert set(warnings.filter(state=NoticeState.SENT).values_list("incident", "moment")) == {(later.pk, "warning-80%")}
    overtaken = warnings.filter(incident=later, state=NoticeState.SUPERSEDED)
    assert {row.superseded_by.moment for row in overtaken if row.superseded_by} == {"warning-80%"}
    assert {row.superseded_by.recipient_address for row in overtaken if row.superseded_by} >= {*contacts, OLGA}
    assert set(warnings.exclude(incident=later).values_list("state", flat=True)) == {NoticeState.SUPERSEDED}
    assert relay.messages[0].recipients[0] in contacts, "what is owed goes first"
