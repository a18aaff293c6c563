"""A thousand notices fall due at once: how many mails a second, and what each costs. `python -m tests.bench.burst`"""

from __future__ import annotations

import argparse
import datetime as dt
import multiprocessing
import smtplib
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from multiprocessing.synchronize import Event
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import Value
from django.db.models.functions import Concat
from django.template.loader import render_to_string

from agreements.models import (
    Client,
    Commitment,
    Contact,
    Obligation,
    Service,
    ServiceAgreement,
    ServiceCalendar,
    ServiceCoverage,
    Severity,
    WarningPoint,
)
from config.env import MailRelay
from config.instants import Watch
from config.models import User
from incidents import acknowledgement_link, letter, lifecycle, loop, notices, outbox
from incidents.models import Deadline, Notice
from incidents.models.notice import NoticeKind, NoticeState, Outcome
from tests import cast
from tests.bench.sink import Sink, running_sink
from tests.bench.stage import DATABASES, Cores, Spent, metered, verdict, watched_cores

DETECTED_AT = cast.NOON
WARNED_AT = DETECTED_AT + dt.timedelta(hours=2)  # half of four hours
HOLDING_AT = DETECTED_AT + dt.timedelta(hours=3, minutes=36)  # nine tenths
WARM_UP = 20  # notices of either kind, sent before the burst
EARLIER = dt.timedelta(minutes=10)
MOMENTS = {NoticeKind.WARNING: WARNED_AT, NoticeKind.HOLDING_NOTICE: HOLDING_AT}
NAMES = {NoticeKind.WARNING: "Warnings", NoticeKind.HOLDING_NOTICE: "Holding notices, which meet NOTIFY"}
SETTLING = 2.0  # seconds from the start of the processes to the instant at which the burst falls due …
AHEAD = 0.5  # … and from the beginning of the planner's pass


# ── the scene ───────────────────────────────────────────────────────────────────────────────────────────────────────


def set_scene(count: int, *, is_one_incident: bool) -> None:
    """Clients with one contact each, 4 hours' notice, resolution as quickly as possible; one incident each, or for all.

    At half the allowance the contact is warned, at nine tenths a holding notice goes out. A few clients more have an
    incident that was detected a little earlier: with theirs the program is warmed up, as a worker is long before.
    """
    calendar, olga = cast.always_open(), cast.olga()
    for service, agreements in _services(sign_agreements(WARM_UP, calendar, "Early"), is_one_incident=True):
        declare(olga, service, agreements, DETECTED_AT - EARLIER)
    for service, agreements in _services(sign_agreements(count, calendar, "Client"), is_one_incident=is_one_incident):
        declare(olga, service, agreements, DETECTED_AT)


def sign_agreements(
    count: int, calendar: ServiceCalendar, name: str, *, is_warned: bool = True
) -> list[ServiceAgreement]:
    clients = cast.add_past_the_trail(
        Client.objects, (Client(name=f"{name} {number:04d}", time_zone="Europe/Berlin") for number in range(count))
    )
    cast.add_past_the_trail(
        Contact.objects,
        (
            Contact(client=client, name=f"{client} Operations", address=f"ops@client-{client.pk}.example")
            for client in clients
        ),
    )
    agreements = cast.add_past_the_trail(
        ServiceAgreement.objects,
        (
            ServiceAgreement(
                reference=f"CL-{client.pk}",
                client=client,
                calendar=calendar,
                effective_at=cast.LONG_AGO,
                clause="As agreed.",
            )
            for client in clients
        ),
    )
    commitments = cast.add_past_the_trail(
        Commitment.objects,
        (
            Commitment(
                agreement=agreement,
                severity=Severity.CRITICAL,
                obligation=obligation,
                amount=amount,
                sends_holding_notice=amount is not None,
            )
            for agreement in agreements
            for obligation, amount in ((Obligation.NOTIFY, 4), (Obligation.RESOLVE, None))
        ),
    )
    cast.add_past_the_trail(
        WarningPoint.objects,
        (
            WarningPoint(commitment=commitment, percent=50, has_responders=False)
            for commitment in commitments
            if commitment.amount and is_warned
        ),
    )
    return agreements


def _services(
    agreements: list[ServiceAgreement], *, is_one_incident: bool
) -> Iterator[tuple[Service, list[ServiceAgreement]]]:
    """The services that fail, each with the agreements that cover it."""
    size = len(agreements) if is_one_incident else 1
    for start in range(0, len(agreements), size):
        covering = agreements[start : start + size]
        yield Service.objects.create(name=f"Service of {covering[0].client}"), covering


def declare(by: User, service: Service, agreements: list[ServiceAgreement], detected_at: dt.datetime) -> None:
    cast.add_past_the_trail(
        ServiceCoverage.objects, (ServiceCoverage(agreement=each, service=service) for each in agreements)
    )
    lifecycle.declare(
        by=by,
        now=detected_at + dt.timedelta(minutes=5),
        title=f"{service} is down",
        severity=Severity.CRITICAL,
        services=[service],
        detected_at=detected_at,
        client_summary="Requests to the service fail. We have found the cause and are replacing the broken part.",
    )


# ── what is measured ────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Burst:
    """What a burst cost, and when by the monotonic clock it began and its first mail arrived."""

    raised: Spent
    delivered: Spent
    first_mail: float

    @property
    def whole(self) -> Spent:
        return self.raised + self.delivered


def burst(now: dt.datetime, count: int, sink: Sink) -> Burst:
    """One planner's pass and then one sender's, in one process, as a single worker does them."""
    began = time.monotonic()
    with metered() as raised:
        assert notices.raise_due(now) == count
    with metered() as delivered:
        assert outbox.deliver(now) == {Outcome.ACCEPTED: count}
    seen = sink.seen()
    assert seen.mails == count
    return Burst(raised, delivered, seen.first_at - began)


@dataclass(frozen=True)
class SideBySide:
    """When the first and the last mail came, in seconds after the burst fell due, and how busy the machine was."""

    first: float
    last: float
    cores: Cores


def side_by_side(due_at: dt.datetime, count: int, sink: Sink, *, senders: int) -> SideBySide:
    """A planner's and a sender's process, as the two children of a Celery worker are; the sender has such threads.

    Both are at work before the burst falls due, and warm, for they are forked from a process that did the same.
    """
    settings.NOTICE_SENDERS = senders
    outbox.hang_up()
    connection.close()  # a forked process must not share it
    forked = multiprocessing.get_context("fork")
    nudge, stop = forked.Event(), forked.Event()
    watch, due = Watch(due_at - dt.timedelta(seconds=SETTLING)), time.monotonic() + SETTLING
    processes = [
        forked.Process(target=_plan_once, args=(watch, nudge)),
        forked.Process(target=_send_until, args=(stop, watch, nudge)),
    ]
    for process in processes:
        process.start()
    time.sleep(due - time.monotonic())
    with watched_cores() as cores:
        sink.wait_for(count, timeout=600)
    stop.set()
    nudge.set()
    for process in processes:
        process.join()
    seen = sink.seen()
    assert seen.mails == count
    return SideBySide(seen.first_at - due, seen.last_at - due, cores)


def _plan_once(watch: Watch, nudge: Event) -> None:
    """The planner's pass in the second in which the burst falls due."""
    connection.ensure_connection()
    time.sleep(SETTLING - AHEAD - watch.elapsed)
    notices.raise_as_they_come(watch.now(), then=nudge.set)


def _send_until(stop: Event, watch: Watch, nudge: Event) -> None:
    while not stop.is_set():
        outbox.deliver(watch.now())
        nudge.wait(loop.TICK)
        nudge.clear()


def delivered_by(workers: int, kind: NoticeKind, now: dt.datetime, count: int, sink: Sink) -> float:
    """Seconds in which so many worker processes deliver the same notices once more, their start included."""
    cast.past_the_trail(
        Notice.objects.filter(kind=kind, state=NoticeState.SENT), state=NoticeState.PENDING, next_attempt_at=now
    )
    outbox.hang_up()
    connection.close()  # a forked process must not share it
    forked = multiprocessing.get_context("fork")
    began = time.monotonic()
    processes = [forked.Process(target=outbox.deliver, args=(now,)) for _number in range(workers)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    spent = time.monotonic() - began
    assert sink.seen().mails >= count
    return spent


def rewind(kind: NoticeKind, count: int) -> None:
    """As if the burst had not fallen due yet; the notices it made stay, under another name of their moment."""
    due_at = MOMENTS[kind]
    made = Notice.objects.filter(kind=kind, deadline__incident__detected_at=DETECTED_AT)
    again = Deadline.objects.filter(pk__in=made.values("deadline"))
    assert (
        cast.past_the_trail(again, met_at=None, raised_until=due_at - dt.timedelta(seconds=1), next_action_at=due_at)
        == count
    )
    cast.past_the_trail(made.exclude(moment__contains=" "), moment=Concat("moment", Value(f" {time.monotonic()}")))


def plain_loop(kind: NoticeKind, now: dt.datetime, count: int, sink: Sink) -> Spent:
    """The least that anybody could write: render two templates with an equal context, send, keep no record."""
    sent = Notice.objects.filter(kind=kind, made_at=now).select_related(*_RELATED)
    contexts = [_context(notice, now) for notice in sent]
    assert len(contexts) == count
    with metered() as spent, smtplib.SMTP("127.0.0.1", sink.port) as connection:
        for context in contexts:
            message = EmailMessage()
            message["From"] = settings.NOTICE_FROM
            message["To"] = context["recipient"].address
            message["Subject"] = f"[{context['incident'].reference}] {context['incident'].title}"
            message.set_content(render_to_string(f"notices/{kind}.txt", context))
            message.add_alternative(render_to_string(f"notices/{kind}.html", context), subtype="html")
            connection.send_message(message)
    assert sink.seen().mails == count
    return spent


_RELATED = ("contact", "client", "incident", "deadline__commitment", "deadline__incident", "deadline__client")


def _context(notice: Notice, now: dt.datetime) -> dict[str, Any]:
    """What the notice was rendered with, all of it read beforehand."""
    assert notice.contact is not None
    assert notice.client is not None
    assert notice.incident is not None
    owed = Deadline.objects.filter(incident=notice.incident_id, client=notice.client_id).select_related("commitment")
    agreed = [notices.AgreedLine.of(deadline) for deadline in owed]
    return {
        "recipient": notice.contact,
        "zone": notice.client.time_zone,
        "incident": notice.incident,
        "client": notice.client,
        "deadline": notice.deadline,
        "owed": notices.AgreedLine.of(notice.deadline) if notice.deadline else None,
        "services": [affected.service.name for affected in notice.incident.affected_services.select_related("service")],
        "agreed": agreed,
        "message": "",
        "now": now,
        "is_this_message": notice.kind == NoticeKind.HOLDING_NOTICE,
        "late_note_place": letter.LATE_NOTE_PLACE,
        "staff_url": settings.PUBLIC_URL,
        "acknowledge_url": acknowledgement_link.link(uuid.uuid4()),
    }


# ── the report ──────────────────────────────────────────────────────────────────────────────────────────────────────


def report(measured: Burst, plain: Spent, count: int) -> None:
    whole = measured.whole
    print(" One process, one connection")
    print(f"{'':16}{'mails/s':>9}{'queries':>9}{'ms':>8}{'ms CPU':>8}{'program':>9}{'database':>9}   each per notice")
    for what, spent in (("raise_due", measured.raised), ("deliver", measured.delivered), ("both", whole)):
        print(_row(what, spent, count))
    print(_row("plain loop", plain, count))
    ratio = plain.wall / whole.wall
    queries, cpu = whole.queries / count, whole.cpu / count * 1000
    print(f"  rate, of the plain loop's      {ratio:6.2f}   (aim ≥ 0.5)  {verdict(ratio >= 0.5)}")
    print(f"  queries per notice             {queries:6.2f}   (aim ≤ 3)    {verdict(queries <= 3)}")
    print(f"  ms of CPU per notice           {cpu:6.2f}   (aim ≤ 3)    {verdict(cpu <= 3)}")
    print(f"  CPU, of the plain loop's       {whole.cpu / plain.cpu:6.2f}   (less disturbed by others on this machine)")
    print(
        f"  s from the tick to first mail  {measured.first_mail:6.2f}   (all of them are made before the first is sent)"
    )


def _row(what: str, spent: Spent, count: int) -> str:
    database = "unknown" if spent.database is None else f"{spent.database / count * 1000:.2f}"
    milliseconds = "".join(
        f"{t / count * 1000:>{w}.2f}" for t, w in ((spent.wall, 8), (spent.cpu, 8), (spent.program, 9))
    )
    return f"  {what:14}{count / spent.wall:9.0f}{spent.queries / count:9.2f}{milliseconds}{database:>9}"


def report_side_by_side(measured: SideBySide, senders: int, plain: Spent, count: int) -> None:
    ratio = plain.wall / measured.last
    print(
        f"  {senders} sender{'s' if senders > 1 else ' '}{count / measured.last:9.0f} mails/s{ratio:7.2f} (aim ≥ 0.5)"
        f"{measured.first:8.2f} s (aim ≤ 0.5){measured.last:8.2f} s (aim ≤ 3)"
        f"{measured.cores.busy:7.1f} of {measured.cores.there} cores busy"
        f"   {verdict(ratio >= 0.5 and measured.first <= 0.5 and measured.last <= 3)}",
        flush=True,
    )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--count", type=int, default=1000, help="how many fall due at once (1000)")
    options.add_argument("--one-incident", action="store_true", help="one incident that affects all the clients")
    options.add_argument("--database", choices=list(DATABASES), default="postgresql")
    options.add_argument(
        "--delay", type=float, default=0, help="milliseconds that the relay takes for every answer (0)"
    )
    options.add_argument("--senders", type=int, nargs="+", default=(1, 4), help="NOTICE_SENDERS, side by side (1 4)")
    options.add_argument(
        "--side-by-side", action="store_true", help="measure nothing but the planner beside the sender"
    )
    options.add_argument("--kind", choices=list(MOMENTS), action="append", help="only this kind of notice")
    chosen = options.parse_args()
    with DATABASES[chosen.database](), running_sink(delay=chosen.delay / 1000) as sink:
        settings.MAIL_RELAY = MailRelay("127.0.0.1", sink.port, "none")
        set_scene(chosen.count, is_one_incident=chosen.one_incident)
        for kind in MOMENTS:
            if not chosen.kind or kind in chosen.kind:
                measure(kind, sink, chosen)
        outbox.hang_up()


def measure(kind: NoticeKind, sink: Sink, chosen: argparse.Namespace) -> None:
    settings.NOTICE_SENDERS = 1
    now, count = MOMENTS[kind], chosen.count
    print(f"\n{NAMES[kind]}: {count} due at once")
    burst(now - EARLIER, WARM_UP, sink)
    measured = burst(now, count, sink)
    plain = plain_loop(kind, now, count, sink)
    if not chosen.side_by_side:
        report(measured, plain, count)
    if kind == NoticeKind.WARNING and not chosen.side_by_side:
        for workers in (1, 2, 4):
            spent = delivered_by(workers, kind, now, count, sink)
            print(f"  deliver by {workers} worker processes  {plain.wall / spent:6.2f}   of the plain loop's rate")
    print(" Planner and sender side by side: rate, of the plain loop's; first and last mail after it fell due")
    for senders in chosen.senders:
        rewind(kind, count)
        report_side_by_side(side_by_side(now, count, sink, senders=senders), senders, plain, count)


if __name__ == "__main__":
    main()
