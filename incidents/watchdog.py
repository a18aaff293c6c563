"""Silence is noticed: heartbeats, the audit of the queue, the dead man's switch and the canary.

Two looks at the same thing. `red_problems` is cheap: every page and every probe asks it whether mail may go out late.
`audit` asks whether anything was lost: each minute of what is recent and of a part of the rest, and as a whole by
`manage.py outbox audit`. Nothing here repairs anything.

A notice that waits for a person is a problem of the audit, so the dead man's switch is not pinged and somebody comes;
it is not red, for the others go out.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
import os
import socket
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import parseaddr
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import connection, models
from django.db.models import Exists, Max, OuterRef, Q, QuerySet
from django.template.loader import render_to_string
from django.utils.translation import gettext as _

from agreements.models import Commitment
from agreements.terms import Audience, Moment
from config import counts, times
from config.audit import seals
from config.health import Problem
from incidents import notices
from incidents.models import AffectedAgreement, Deadline, DeliveryAttempt, Heartbeat, Incident, Notice, Sending
from incidents.models.incident import OPEN_STATUSES
from incidents.models.notice import (
    HELD_STATES,
    STUCK_STATES,
    WAITING_STATES,
    NoticeKind,
    NoticeState,
    Outcome,
    Rank,
)
from incidents.models.sending import Part

logger = logging.getLogger(__name__)

PATIENCE = dt.timedelta(seconds=120)  # promise G4: after this, silence and lateness are noticed
AUDITOR_PATIENCE = dt.timedelta(seconds=180)  # it comes once a minute: 120 s would be one late minute and a bit
RELEASE_PATIENCE = dt.timedelta(seconds=60)  # a lease that ran out is given back at the next minute
BEAT_EVERY = dt.timedelta(seconds=10)
RECENT = dt.timedelta(minutes=15)
SLICE = 1_000  # keys of a table that the audit of one minute looks through
SHOWN = 1_000  # more than this many are not counted
NAMED = 10  # incidents named beside a problem
CANARY_EVERY = dt.timedelta(minutes=15)
CANARY_PATIENCE = dt.timedelta(minutes=5)
PING_TIMEOUT = 5.0  # seconds

UNFINISHED_STATES = (*WAITING_STATES, *HELD_STATES, *STUCK_STATES)


# ── heartbeats ──────────────────────────────────────────────────────────────────────────────────────────────────────

_host = socket.gethostname()[:80]
_beaten: dict[tuple[int, Part], dt.datetime] = {}  # by process, for a forked worker inherits this memory


def worker_name() -> str:
    """This process, as heartbeats and delivery attempts name it."""
    return f"{_host}:{os.getpid()}"


def beat(part: Part, now: dt.datetime) -> None:
    """Remember that this part was at work; written at most every 10 s by each process, and never set back."""
    key = (os.getpid(), part)
    if key in _beaten and now - _beaten[key] < BEAT_EVERY:
        return
    row = Heartbeat(part=part, at=now, worker=worker_name())
    # A clock that was far ahead must not make a part look alive for as long.
    older = Heartbeat.objects.filter(Q(at__lte=now) | Q(at__gt=now + PATIENCE), part=part)
    if not older.update(at=row.at, worker=row.worker):
        Heartbeat.objects.bulk_create([row], ignore_conflicts=True)
    _beaten[key] = now


# ── whether mail may go out late: two queries ───────────────────────────────────────────────────────────────────────


def red_problems(
    now: dt.datetime, watching_since: dt.datetime | None = None, *, parts: Collection[Part] = tuple(Part)
) -> list[Problem]:
    """What may make mail late, as every page and /healthz/delivery show it.

    A part that was never at work has until 120 s after `watching_since`, so that everything can be started together;
    without it, it is silent at once. A heartbeat that is there and old is no fresh start.
    """
    beats, late = _seen(now)
    silences = _silences(beats, now, watching_since, parts)
    return [*silences, *_sending_problems(now), *_lateness(late, now)]


def _silences(
    beats: Mapping[str, dt.datetime], now: dt.datetime, watching_since: dt.datetime | None, parts: Collection[Part]
) -> Iterator[Problem]:
    for part in parts:
        if problem := _silence(part, beats.get(part), now, watching_since):
            yield problem


def _silence(
    part: Part, beat_at: dt.datetime | None, now: dt.datetime, watching_since: dt.datetime | None
) -> Problem | None:
    heard_at, patience = beat_at or watching_since, PATIENCE
    if part == Part.AUDITOR:
        # It comes only a minute after a start, and what it finds can wait for that.
        heard_at, patience = max(filter(None, (beat_at, watching_since)), default=None), AUDITOR_PATIENCE
    if heard_at is not None and heard_at - now > PATIENCE:
        sentence = _("Last at work in the future: %(part)s. Set the clocks of the machines right.")
        return Problem(f"{part}-clock", sentence % {"part": part.label}, is_red=True)
    if heard_at is not None and now - heard_at <= patience:
        return None
    told = {"part": part.label, "age": times.duration(now - beat_at) if beat_at else ""}
    silent = _("Silent for %(age)s: %(part)s.") if beat_at else _("Not at work so far: %(part)s.")
    remedy = _("Start the worker and the beat.")
    return Problem(f"{part}-silent", f"{silent % told} {remedy}", is_red=True)


def _sending_problems(now: dt.datetime) -> Iterator[Problem]:
    sending = Sending.objects.filter(pk=Sending.THE_ONE).first()
    if sending is None:
        return
    if sending.is_held and sending.held_at:
        sentence = _("Sending is held for %(age)s: nothing goes out until somebody releases it.")
        told = {"age": times.duration(now - sending.held_at)}
        yield Problem("sending-held", sentence % told, is_red=True, detail=sending.hold_reason)
    if not sending.fault or sending.fault_since is None:
        return
    told = {"age": times.duration(now - sending.fault_since)}
    if sending.fault == Outcome.CONFIGURATION:
        sentence = _("The mail server refuses us for %(age)s: put right the name, password or certificate it is given.")
        yield Problem("mail-configuration", sentence % told, is_red=True, detail=sending.fault_answer)
    elif now - sending.fault_since > PATIENCE:
        sentence = _("The mail server cannot be used for %(age)s. Notices wait and are tried again by themselves.")
        yield Problem("mail-server", sentence % told, is_red=True, detail=sending.fault_answer)


@dataclass(frozen=True)
class Late:
    """How many, none above SHOWN + 1, and since when the first."""

    count: int
    oldest: dt.datetime

    def told(self, now: dt.datetime) -> dict[str, str]:
        return {"count": _count(self.count), "age": times.duration(now - self.oldest)}


def _seen(now: dt.datetime) -> tuple[Mapping[str, dt.datetime], Mapping[str, Late]]:
    """When each part was last at work, and what is late by its name."""
    late: dict[str, tuple[QuerySet[Any], str]] = {
        "unraised": (Deadline.objects.filter(next_action_at__lt=now - PATIENCE), "next_action_at"),
        "unsent": (Notice.objects.waiting().filter(next_attempt_at__lt=now - PATIENCE), "next_attempt_at"),
        "stalled": (Notice.objects.stalled(now - RELEASE_PATIENCE), "leased_until"),
    }
    # One query for the three, each from its own partial index, and for the heartbeats. Every page asks it.
    asked, values = [f"SELECT part, 1, at FROM {Heartbeat._meta.db_table}"], list[Any]()  # noqa: S608 - our own names
    for what, (rows, instant) in late.items():
        sql, its_values = counts.written_out(rows.order_by(instant).values(instant)[: SHOWN + 1])
        asked.append(f"SELECT '{what}', COUNT(*), MIN({instant}) FROM ({sql}) AS first")  # noqa: S608 - the ORM wrote it
        values.extend(its_values)
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(asked), values)
        found = {what: Late(count, _instant(oldest)) for what, count, oldest in cursor.fetchall() if count}
    return {part: found.pop(part).oldest for part in Part if part in found}, found


def _instant(value: dt.datetime | str) -> dt.datetime:
    """SQLite gives the text that it keeps, or what Python makes of it, which is without a zone."""
    at = dt.datetime.fromisoformat(value) if isinstance(value, str) else value
    return at if at.tzinfo else at.replace(tzinfo=dt.UTC)


def _lateness(found: Mapping[str, Late], now: dt.datetime) -> Iterator[Problem]:
    sentences = {
        "unraised": _("Deadlines whose moment came and made no notice: %(count)s, the first %(age)s ago."),
        "unsent": _("Notices that are due and wait: %(count)s, the first for %(age)s."),
        "stalled": _("Notices that a worker took and nobody took back: %(count)s, the first lease ended %(age)s ago."),
    }
    keys = {"unraised": "deadlines-unraised", "unsent": "notices-unsent", "stalled": "notices-stalled"}
    for what, late in found.items():
        yield Problem(keys[what], sentences[what] % late.told(now), is_red=True)


def _count(count: int) -> str:
    return _("more than %(limit)d") % {"limit": SHOWN} if count > SHOWN else str(count)


# ── whether anything was lost ───────────────────────────────────────────────────────────────────────────────────────


def audit(now: dt.datetime, *, whole: bool = False) -> list[Problem]:
    """Everything that is wrong: what is red, what waits for a person, what was lost.

    By default what a minute can afford however much there is: what is recent, and one slice of the rest, another each
    minute. `whole` looks through everything, in bounded memory, and at the silence of the auditor itself.
    """
    parts = tuple(Part) if whole else (Part.PLANNER, Part.SENDER)
    return [
        *red_problems(now, parts=parts),
        *_stuck(now),
        *_unproven(now, whole=whole),
        *_late_canaries(now),
        *_gaps(now, whole=whole),
        *_without_deadline(now, whole=whole),
        *seals.problems(now),
    ]


def _stuck(now: dt.datetime) -> Iterator[Problem]:
    if late := _late(Notice.objects.needing_a_person(), "made_at"):
        sentence = _("Notices that wait for a person to decide: %(count)s, the first made %(age)s ago.")
        yield Problem("notices-need-a-person", sentence % late.told(now))


def _unproven(now: dt.datetime, *, whole: bool) -> Iterator[Problem]:
    """Sent, it is said, but no attempt tells that a mail server accepted it."""
    accepting = DeliveryAttempt.objects.filter(notice=OuterRef("pk"), outcome=Outcome.ACCEPTED)
    unproven = Notice.objects.filter(~Exists(accepting), state=NoticeState.SENT)
    if not whole:
        unproven = unproven.filter(accepted_at__gte=now - RECENT)
    if late := _late(unproven, "accepted_at"):
        sentence = _("Notices marked as sent without the mail server's acceptance: %(count)s. They may not have left.")
        yield Problem("notices-unproven", sentence % late.told(now))


def _late_canaries(now: dt.datetime) -> Iterator[Problem]:
    overdue = Notice.objects.filter(
        kind=NoticeKind.CANARY, state__in=UNFINISHED_STATES, made_at__lt=now - CANARY_PATIENCE
    )
    if late := _late(overdue, "made_at"):
        sentence = _("A canary, the mail that tests the whole way, is not accepted yet: made %(age)s ago.")
        yield Problem("canary-late", sentence % late.told(now))


def _late(rows: QuerySet[Any], instant: str) -> Late | None:
    found = list(rows.order_by(instant).values_list(instant, flat=True)[: SHOWN + 1])
    return Late(len(found), found[0]) if found else None


def _slices(model: type[models.Model], now: dt.datetime, *, whole: bool) -> Iterator[tuple[int, int]]:
    """Half-open ranges of primary keys: all, or the one whose turn it is in this minute."""
    last = model._default_manager.aggregate(last=Max("pk"))["last"] or 0
    slices = last // SLICE + 1
    turns = range(slices) if whole else [int(now.timestamp() // 60) % slices]
    for turn in turns:
        yield turn * SLICE, (turn + 1) * SLICE


# ── open deadlines and their notices ────────────────────────────────────────────────────────────────────────────────


@dataclass
class Gaps:
    """Primary keys of deadlines with a moment that came and left no trace."""

    overlooked: set[int] = field(default_factory=set)  # not raised, and not on the way to it
    raised_for_nobody: dict[int, list[Moment]] = field(default_factory=lambda: defaultdict(list))  # raised, without row


def _gaps(now: dt.datetime, *, whole: bool) -> Iterator[Problem]:
    """Every moment of an open deadline that came has its row for the present revision, in whatever state."""
    gaps = Gaps()
    lately = Deadline.objects.open().filter(due_at__gte=now - RECENT, due_at__lt=now).order_by("due_at")
    keys = [] if whole else list(lately.values_list("pk", flat=True)[:SLICE])
    _look_for_gaps(gaps, Q(pk__in=keys), Q(deadline__in=keys), now)
    for first, end in _slices(Deadline, now, whole=whole):
        _look_for_gaps(gaps, Q(pk__gte=first, pk__lt=end), Q(deadline__gte=first, deadline__lt=end), now)
    if gaps.overlooked:
        sentence = _(
            "Open deadlines with a moment that came and that the planner passed over or could not raise: %(count)s. "
            "See the worker's log, and tell those concerned yourself."
        )
        yield _about("moments-overlooked", sentence, gaps.overlooked)
    lost, untold = _who_should_have_been_told(gaps.raised_for_nobody)
    if lost:
        sentence = _(
            "Open deadlines that lack a notice of a moment that was raised: %(count)s. Tell those concerned yourself."
        )
        yield _about("notices-missing", sentence, lost)
    if untold:
        sentence = _(
            "Open deadlines about which neither the client nor anybody here can be mailed: %(count)s. Add a contact, "
            "tell the client yourself and record it."
        )
        yield _about("nobody-to-tell", sentence, untold)


def _look_for_gaps(gaps: Gaps, which: Q, their_notices: Q, now: dt.datetime) -> None:
    """Two queries. Deadlines first: a row and the mark that it was raised are committed together."""
    deadlines = Deadline.objects.open().filter(which, started_at__isnull=False)
    fields = ("revision", "raised_until", "paused_at", "next_action_at", "moments")
    passed = [(deadline, _passed(deadline, now)) for deadline in deadlines.only(*fields)]
    made = set(
        Notice.objects.filter(their_notices, deadline__met_at=None, deadline__ended_at=None)
        .order_by()
        .values_list("deadline", "revision", "moment")
        .distinct()
    )
    for deadline, moments in passed:
        if moments is None:
            gaps.overlooked.add(deadline.pk)
            continue
        for moment in moments:
            if not deadline.was_raised(moment):
                if _is_overlooked(deadline, moment, now):
                    gaps.overlooked.add(deadline.pk)
            elif not made & {(deadline.pk, deadline.revision, key) for key in (moment.key, f"no-contact-{moment.key}")}:
                gaps.raised_for_nobody[deadline.pk].append(moment)


def _passed(deadline: Deadline, now: dt.datetime) -> list[Moment] | None:
    """The moments that have come; None if they cannot be read, which is why they are never raised."""
    try:
        came = [data for data in deadline.moments if dt.datetime.fromisoformat(data["at"]) <= now]
        return [Moment.from_json(data) for data in came]  # the others, of which there are many, are not read whole
    except (KeyError, TypeError, ValueError):
        return None


def _is_overlooked(deadline: Deadline, moment: Moment, now: dt.datetime) -> bool:
    """Past its time and not in the planner's queue either; what is late there has been counted among what is red."""
    if deadline.paused_at is not None or moment.at >= now - PATIENCE:
        return False
    return deadline.next_action_at is None or deadline.next_action_at >= now - PATIENCE


def _who_should_have_been_told(raised: dict[int, list[Moment]]) -> tuple[set[int], set[int]]:
    """(deadlines that lack a row although somebody should have one, those of a client that nobody could be told of).

    A warning for an owner or for managers that do not exist is no loss.
    """
    keys = sorted(raised)[:SLICE]
    rows = Deadline.objects.filter(pk__in=keys).select_related("incident", "client", "agreement__owner", "commitment")
    deadlines = list(rows) if keys else []
    if not deadlines:
        return set(), set()
    directory = notices.Directory([deadline.incident for deadline in deadlines], {d.client_id for d in deadlines})
    alarmed = directory.operators or directory.managers
    lost, untold = set(), set()
    for deadline in deadlines:
        for moment in raised[deadline.pk]:
            is_for_client = Audience.CONTACTS in moment.audience
            if directory.recipients(moment.audience, deadline) or (is_for_client and alarmed):
                lost.add(deadline.pk)
            elif is_for_client:
                untold.add(deadline.pk)
    return lost, untold


def _about(key: str, sentence: str, deadlines: Collection[int]) -> Problem:
    first = sorted(deadlines)[: 2 * NAMED]
    return Problem(
        key, sentence % {"count": len(deadlines)}, detail=_named(Incident.objects.filter(deadlines__in=first))
    )


def _named(incidents: QuerySet[Incident]) -> str:
    names = sorted(set(incidents.order_by().values_list("reference", flat=True)))
    return ", ".join(names[:NAMED]) + (" …" if len(names) > NAMED else "")


def _without_deadline(now: dt.datetime, *, whole: bool) -> Iterator[Problem]:
    """Every agreement that an open incident falls under, and that promises something at its severity, has a clock."""
    promised = Commitment.objects.filter(agreement=OuterRef("agreement"), severity=OuterRef("incident__severity"))
    started = Deadline.objects.filter(incident=OuterRef("incident"), agreement=OuterRef("agreement"))
    bare = AffectedAgreement.objects.included().filter(
        Exists(promised), ~Exists(started), incident__status__in=OPEN_STATUSES
    )
    found: set[int] = set()
    for first, end in _slices(AffectedAgreement, now, whole=whole):
        found |= set(bare.filter(pk__gte=first, pk__lt=end).values_list("incident", flat=True))
    if found:
        sentence = _(
            "Open incidents under an agreement that promises something for their severity, without any deadline of "
            "it: %(count)s. Correct the times of the incident, unchanged if they are right, to start them."
        )
        first_of_them = Incident.objects.filter(pk__in=sorted(found)[: 2 * NAMED])
        yield Problem("deadlines-missing", sentence % {"count": len(found)}, detail=_named(first_of_them))


# ── the auditor's minute ────────────────────────────────────────────────────────────────────────────────────────────


def keep_watch(now: dt.datetime) -> list[Problem]:
    """The auditor's minute: look, say so, send a canary if one is due, ping if nothing was wrong; what it found."""
    found = audit(now)
    beat(Part.AUDITOR, now)
    for problem in found:
        logger.warning("The audit of the queue found: %s", problem)
    send_canary(now)
    if not found:
        ping()
    return found


def ping() -> bool:
    """Tell the dead man's switch at HEARTBEAT_URL that all is well; False if it could not be told. Never raises."""
    url = settings.HEARTBEAT_URL
    if not url:
        return True
    try:
        request = urllib.request.Request(url, headers={"User-Agent": "due-notice"})  # noqa: S310 - http(s), see env
        with urllib.request.urlopen(request, timeout=PING_TIMEOUT):  # noqa: S310
            return True
    except Exception as error:  # noqa: BLE001 - whatever it is, the audit stands
        # Its path, query and name are secrets, and an error may repeat them.
        answer = error.code if isinstance(error, urllib.error.HTTPError) else type(error).__name__
        logger.warning("The heartbeat could not be sent to %s (%s).", urlsplit(url).hostname, answer)
        return False


def send_canary(now: dt.datetime) -> bool:
    """Queue this quarter hour's canary to CANARY_ADDRESS, if there is one to be; True if it was queued.

    Two auditors make one, by its Message-ID. None is made while sending is held or an earlier one is not through: a
    server that refuses it shall leave one notice for a person, not a hundred.
    """
    address = settings.CANARY_ADDRESS
    if not address or Sending.objects.filter(is_held=True).exists():
        return False
    quarter = dt.datetime.fromtimestamp(now.timestamp() // CANARY_EVERY.total_seconds() * 900, dt.UTC)
    canary = _canary(address, quarter, now)
    others = Notice.objects.filter(
        Q(message_id=canary.message_id) | Q(kind=NoticeKind.CANARY, state__in=UNFINISHED_STATES)
    )
    if others.exists():
        return False
    notices.queue([canary])
    return True


def _canary(address: str, quarter: dt.datetime, now: dt.datetime) -> Notice:
    domain = parseaddr(settings.NOTICE_FROM)[1].rpartition("@")[2]
    site = hashlib.sha256(settings.PUBLIC_URL.encode()).hexdigest()[:12]  # two installations may share the domain
    context = {"at": quarter, "site": settings.PUBLIC_URL, "minutes": int(CANARY_EVERY.total_seconds() // 60)}
    subject, text, html = (render_to_string(f"notices/canary.{p}", context) for p in ("subject.txt", "txt", "html"))
    return Notice(
        moment=f"canary-{quarter:%Y-%m-%dT%H:%MZ}",
        kind=NoticeKind.CANARY,
        rank=Rank.of(NoticeKind.CANARY),
        recipient_name=_("Canary"),
        recipient_address=address,
        subject=" ".join(subject.split())[:300],
        text=text,
        html=html,
        message_id=f"<canary.{quarter:%Y%m%dT%H%MZ}.{site}@{domain}>",
        thread_id=f"<canary.{site}@{domain}>",
        made_at=now,
        due_at=now,
        next_attempt_at=now,
    )


# ── after a backup was restored ─────────────────────────────────────────────────────────────────────────────────────


def may_have_been_sent(since: dt.datetime) -> Iterator[Notice]:
    """Notices that the mail server may have had before this database was set back to `since`, oldest first.

    Those whose state says that they are not sent, and those that were made, tried or accepted since then. Each has
    `tried_at`, the instant of its last attempt that this database knows of. Read in bounded memory.
    """
    tried = DeliveryAttempt.objects.filter(at__gte=since).values("notice")
    wanted = (
        Q(state__in=UNFINISHED_STATES)
        | Q(made_at__gte=since) & ~Q(state__in=(NoticeState.CANCELLED, NoticeState.SUPERSEDED))
        | Q(accepted_at__gte=since)
        | Q(pk__in=tried)
    )
    rows = Notice.objects.filter(wanted).select_related("incident", "client").defer("text", "html")
    rows = rows.annotate(tried_at=Max("attempts__at")).order_by("made_at", "pk")
    return rows.iterator(chunk_size=1000)
