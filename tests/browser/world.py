"""A world with something on every page, made inside the product as tests/journeys/acts.py is.

It is the demo's, so that what is tested is what people are shown first; and beside it what a demo has not: mail that
nobody takes, a clock that stands still, two incidents that are one, and names that no layout likes.
"""

from __future__ import annotations

import datetime as dt
import re
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager

from django.conf import settings
from django.utils import timezone

from agreements.models import Client, Contact, Obligation, Service, ServiceAgreement, Severity
from config.celery import app as celery
from config.env import MailRelay
from config.history import acting
from config.models import Export, User
from config.periods import month_after
from incidents import handling, intake, lifecycle, outbox
from incidents.models import Incident, IntakeToken, Notice
from incidents.models.notice import NoticeState
from reviews import lifecycle as reviewing
from reviews.demo import story
from reviews.demo import world as demo
from reviews.demo.inbox import Inbox, MailServer
from tests import cast
from tests.services.smtp import SmtpSink

#: No space, no hyphen, nothing at which a line could be broken.
ENDLESS = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"
MARKUP = "<b>bold</b>&<script>document.title='obeyed'</script>"
MINUTE = dt.timedelta(minutes=1)


def make() -> None:
    """Everything; prints the address of a client's page, which no page of ours shows."""
    celery.conf["broker_url"] = "memory://"  # nobody needs to be woken
    now = timezone.now().replace(microsecond=0)
    demo.load(now)
    with _inbox():
        story.load(now)
    with SmtpSink() as sink:
        _send_to(sink.port)
        _stop_a_clock(now)
        _make_one_of_two(now)
        _name_without_mercy(now)
        _send_a_statement(now)
        _lose_mail(sink, now)
    _let_machines_in(now)
    _decide(now)
    cast.past_the_trail(User.objects.filter(username="ada"), language="de")
    told = Notice.objects.filter(client__name="Northwind", accepted_at__isnull=False).latest("pk")
    print(re.findall(r"/notice/\S+", told.text)[-1])


def _let_machines_in(now: dt.datetime) -> None:
    token = IntakeToken(name="Prometheus", service=Service.objects.earliest("pk"), severity=Severity.HIGH)
    intake.issue(token, now=now)
    token.save()


@contextmanager
def _inbox() -> Iterator[None]:
    """The demo's inbox receives."""
    inbox = Inbox(settings.VAR_DIR / "inbox")
    inbox.open()
    with closing(socket.create_server(("127.0.0.1", 0))) as bound:
        server = MailServer(inbox, bound, lambda entry: None)
        server.start()
        _send_to(bound.getsockname()[1])
        yield
        server.stop()


def _send_to(port: int) -> None:
    outbox.hang_up()
    settings.MAIL_RELAY = MailRelay("127.0.0.1", port, "none")


def _declare(
    title: str,
    *services: str,
    now: dt.datetime,
    ago: dt.timedelta = 20 * MINUTE,
    severity: Severity = Severity.CRITICAL,
) -> Incident:
    return lifecycle.declare(
        by=demo.people()["olga"],
        now=now,
        title=title,
        severity=severity,
        services=list(Service.objects.filter(name__in=services)),
        detected_at=now - ago,
        client_summary="We are looking into it.",
    )


def _stop_a_clock(now: dt.datetime) -> None:
    """Two incidents under an agreement that lets the clock stop; one of them is paused."""
    agreement = cast.agreement(
        "AD-2026-02",
        cast.client("Adatum", "Europe/Lisbon", "it@adatum.example"),
        cast.always_open(),
        cast.service("Tape"),
    )
    cast.commit(agreement, Obligation.RESOLVE, 8, is_pausable=True)
    olga = demo.people()["olga"]
    waiting = _declare("Tapes cannot be read", "Tape", now=now)
    lifecycle.acknowledge(waiting, by=olga, now=now)
    lifecycle.pause(waiting, by=olga, now=now, reason="Waits for a drive.")
    small = _declare("One tape was mislabelled", "Tape", now=now, severity=Severity.LOW)  # nobody owes its review
    lifecycle.resolve(small, by=olga, now=now)
    _declare("Tapes cannot be written", "Tape", now=now)


def _make_one_of_two(now: dt.datetime) -> None:
    one, other = (_declare(title, "Backups", now=now) for title in ("Backups are late", "Backups do not end"))
    lifecycle.merge(other, one, by=demo.people()["max"], now=now, reason="The same full disk.")


def _send_a_statement(now: dt.datetime) -> None:
    last_month = month_after(timezone.localdate(now).replace(day=1), -1)
    contoso, max_ = Client.objects.get(name="Contoso"), demo.people()["max"]
    reviewing.send_statement(contoso, last_month, by=max_, now=now, message="*Quiet.*")


def _name_without_mercy(now: dt.datetime) -> None:
    service = Service.objects.create(name=f"{ENDLESS} 1"[:100], description=ENDLESS * 30)
    client = Client.objects.create(name=ENDLESS, time_zone="America/Argentina/ComodRivadavia")
    Contact.objects.create(client=client, name=ENDLESS, address=f"{'a' * 64}@{'b' * 60}.example", position=1)
    agreement = cast.agreement("X" * 40, client, cast.always_open(ENDLESS), service)
    agreement.clause = ENDLESS * 30
    cast.save(agreement)
    cast.commit(agreement, Obligation.NOTIFY, 4)
    title = (MARKUP + ENDLESS * 3)[: Incident._meta.get_field("title").max_length]
    incident = _declare(title, service.name, now=now)
    olga = demo.people()["olga"]
    lifecycle.note(incident, by=olga, now=now, text=ENDLESS * 38)
    lifecycle.notify_client(incident, by=olga, now=now, message=MARKUP + ENDLESS * 38)


def _decide(now: dt.datetime) -> None:
    """What has a page only once somebody has done it."""
    max_, ada = demo.people()["max"], demo.people()["ada"]
    handling.hold(by=ada, now=now, reason="The mail server moves.")
    handling.release(by=ada, now=now, reason="It has moved.")
    stuck = Notice.objects.filter(state=NoticeState.REVIEW, contact__isnull=True)[0]
    handling.set_aside(stuck, by=max_, now=now, reason="Known already.")
    incident = Incident.objects.get(title="Objects cannot be listed")
    agreement = ServiceAgreement.objects.get(reference="CT-2024-11")
    lifecycle.exclude_agreement(incident, agreement, by=max_, now=now, reason="Not its region.")
    with acting(max_):
        Export.objects.create(at=now, by=max_, listed="incidents.incident", query="", rows=0, sha256="0" * 64)


def _lose_mail(sink: SmtpSink, now: dt.datetime) -> None:
    """A notice that one contact's server refuses, and one of which nobody knows whether it arrived."""
    olga = demo.people()["olga"]
    outbox.deliver(now)
    sink.refuse("it@contoso.example")
    lifecycle.notify_client(_declare("Objects cannot be listed", "Object storage", now=now), by=olga, now=now)
    outbox.deliver(now)
    sink.accept_then_drop(times=None)
    lifecycle.notify_client(_declare("Sign-in is slow", "Sign-in", now=now), by=olga, now=now)
    for wait in range(0, 60, 5):
        outbox.deliver(now + wait * MINUTE)
