"""The outbox: takes notices that are due, sends each once, and records what became of it.

Every change of state is a compare-and-set on the state and the lease token: zero rows changed means that somebody
else has the row, and that this worker must leave it alone. No transaction is open while the mail server is spoken to.
"""

from __future__ import annotations

import datetime as dt
import logging
import os
import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from email.utils import parseaddr
from typing import Any

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import Exists, Q
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from agreements.models import Obligation
from config import logs, stopping
from config.history import acting
from config.instants import Watch
from incidents import breaker, deadlines, letter, notices, smtp, watchdog
from incidents.breaker import Gate
from incidents.models import DeliveryAttempt, Incident, Notice, Sending
from incidents.models.notice import (
    HELD_STATES,
    PLANNED_KINDS,
    STUCK_STATES,
    WAITING_STATES,
    DeliveryPhase,
    NoticeKind,
    NoticeState,
    Outcome,
    Rank,
)
from incidents.models.sending import Part

logger = logging.getLogger(__name__)

BATCH = 20  # notices leased at once
FEW = 5  # notices that are not worth other senders; of more, each leases so many at once
HELPER_WAIT = 0.05  # seconds after which one of several senders that found nothing looks again
LEASE = dt.timedelta(seconds=settings.NOTICE_LEASE)
PASS_LIMIT = 60.0  # seconds after which a pass hands over to the next
BACKOFF = (1, 2, 4, 8, 15)  # minutes before the next try; the last one repeats
MAX_TRIES = 30  # refusals for now, about seven hours; then a person decides
PROBLEM_WAIT = dt.timedelta(seconds=15)  # when the server or our configuration is at fault, which uses up no try
RECORD_WAITS = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0)  # seconds between tries to record an answer when the database is away

WARNING_LIMIT = 60  # warnings for one address …
WARNING_WINDOW = dt.timedelta(minutes=10)  # … in this time; what is owed is never held up
WARNING_WAIT = dt.timedelta(minutes=2)  # for one above the limit

FREE = {"lease_token": None, "leased_until": None}
FAILED_BECAUSE = {
    Outcome.REFUSED: gettext_lazy("The mail server refused it."),
    Outcome.REFUSED_FOR_NOW: gettext_lazy("The mail server refused it again and again."),
    Outcome.TRANSPORT_DOWN: gettext_lazy("The mail server breaks off whenever this recipient is named."),
    Outcome.POISON: gettext_lazy("It cannot be sent as it is."),
}

#: The obligation that an accepted notice of this kind meets.
MEETS = {
    NoticeKind.CLIENT_NOTICE: Obligation.NOTIFY,
    NoticeKind.HOLDING_NOTICE: Obligation.NOTIFY,
    NoticeKind.UPDATE: Obligation.UPDATE,
    NoticeKind.REPORT: Obligation.REPORT,
}

#: Made once in a deadline's life, however often it moves.
MADE_ONCE = (NoticeKind.HOLDING_NOTICE, NoticeKind.OVERDUE)


class HeldBack(Exception):
    """At the fence: sending was held, or the lease was lost. Nothing was transmitted."""


# ── one pass ────────────────────────────────────────────────────────────────────────────────────────────────────────


def deliver(now: dt.datetime, *, should_stop: Callable[[], bool] = stopping.never) -> Counter[str]:
    """Send what is due, nearest contractual due time first; returns how many notices had which outcome.

    A burst is shared among NOTICE_SENDERS threads. `should_stop` is asked between mails: once it says so, the
    mail in hand is finished, the rest is handed back.
    """
    watch, tally = Watch(now), Counter[str]()
    while watch.elapsed < PASS_LIMIT and not should_stop():
        ready = Notice.objects.ready(watch.now())[: FEW + 1].count()
        if not ready:
            break  # in the usual second at once, after one query
        others = settings.NOTICE_SENDERS - 1 if ready > FEW else 0
        sent = _send_together(watch, others, should_stop) if others else _send_batch(watch, BATCH, should_stop)
        if not sent:
            break  # sending has stopped, or all of it is in other hands
        tally += sent
    return tally


def _send_together(watch: Watch, others: int, should_stop: Callable[[], bool]) -> Counter[str]:
    """This thread and so many others, until this one finds nothing more: none goes on alone with what comes then."""
    tally: Counter[str] = Counter()
    is_over = threading.Event()
    with ThreadPoolExecutor(others, thread_name_prefix="sender") as pool:
        helping = [pool.submit(_help, watch, is_over, should_stop) for _ in range(others)]
        try:
            while watch.elapsed < PASS_LIMIT and (sent := _send_batch(watch, FEW, should_stop)):
                tally += sent
        finally:
            is_over.set()
    return sum((helped.result() for helped in helping), tally)


def _help(watch: Watch, is_over: threading.Event, should_stop: Callable[[], bool]) -> Counter[str]:
    tally: Counter[str] = Counter()
    try:
        while not is_over.is_set():
            sent = _send_batch(watch, FEW, should_stop)
            tally += sent
            if not sent:
                is_over.wait(HELPER_WAIT)
        return tally
    finally:
        hang_up()
        connection.close()


def _send_batch(watch: Watch, limit: int, should_stop: Callable[[], bool]) -> Counter[str]:
    """Lease up to `limit` notices and send them; empty if none was tried."""
    tally: Counter[str] = Counter()
    gate = breaker.gate(watch.now())
    if gate is Gate.SHUT:
        return tally
    leased = lease(watch.now(), 1 if gate is Gate.PROBE else limit)
    if not leased:
        if gate is Gate.PROBE:
            breaker.probe_anew(watch.now())
        return tally
    watchdog.beat(Part.SENDER, watch.now())
    for number, notice in enumerate(leased):
        if should_stop():
            _hand_back(leased[number:])
            break
        try:
            fault = _deliver_one(notice, watch, tally)
        except HeldBack:
            _hand_back(leased[number:])
            break
        if fault is not None and fault.meets_every_mail:
            breaker.trip(fault, watch.now())
            _hand_back(leased[number + 1 :])
            break
        if gate is Gate.PROBE and fault is not None and fault.outcome == Outcome.POISON:
            breaker.probe_anew(watch.now())
        elif gate is Gate.PROBE:
            breaker.close()
    return tally


# ── leasing ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def lease(now: dt.datetime, limit: int = BATCH) -> list[Notice]:
    """Take up to `limit` ready notices for this worker. What need not go, or not now, is put aside, saying why."""
    while taken := _take(now, limit):
        if owed := [notice for notice in _within_the_limit(taken, now) if _is_still_owed(notice, now)]:
            return owed
    return []


def _take(now: dt.datetime, limit: int) -> list[Notice]:
    token, until = uuid.uuid4(), now + LEASE
    with transaction.atomic():
        ready = Notice.objects.ready(now).select_related("deadline", "client", "contact")
        taken = list(ready.select_for_update(skip_locked=True, of=("self",))[:limit])
        Notice.objects.filter(pk__in=[notice.pk for notice in taken]).update(
            state=NoticeState.LEASED, lease_token=token, leased_until=until
        )
    for notice in taken:
        notice.state, notice.lease_token, notice.leased_until = NoticeState.LEASED, token, until
    return taken


def _within_the_limit(taken: Sequence[Notice], now: dt.datetime) -> Iterator[Notice]:
    """All that is owed, and of warnings no more than WARNING_LIMIT for one address; the others wait their turn."""
    warned = {notice.recipient_address for notice in taken if notice.rank == Rank.WARNING}
    sent = Notice.objects.warned_since(now - WARNING_WINDOW, warned) if warned else {}
    for notice in taken:
        if notice.rank == Rank.WARNING:
            address = notice.recipient_address
            if sent.get(address, 0) >= WARNING_LIMIT:
                _put_off(notice, now)
                continue
            sent[address] = sent.get(address, 0) + 1
        yield notice


def _put_off(notice: Notice, now: dt.datetime) -> None:
    minutes = WARNING_WINDOW // dt.timedelta(minutes=1)
    reason = _("This address was sent %(limit)d warnings in %(minutes)d minutes; the next ones wait.")
    _move(
        notice,
        NoticeState.LEASED,
        NoticeState.RETRY_WAIT,
        state_reason=reason % {"limit": WARNING_LIMIT, "minutes": minutes},
        next_attempt_at=now + WARNING_WAIT,
        **FREE,
    )


def _is_still_owed(notice: Notice, now: dt.datetime) -> bool:
    """Truth is checked when the row is leased: what was done meanwhile, or has nobody to go to, is not sent."""
    reason = _why_not_owed(notice)
    if not reason:
        return True
    with transaction.atomic():
        is_cancelled = _move(notice, NoticeState.LEASED, NoticeState.CANCELLED, state_reason=reason, **FREE)
        if is_cancelled and notice.kind in (*MEETS, NoticeKind.STATEMENT) and not is_reachable(notice):
            notices.queue(notices.alarm_about(notice, reason, now=now))
    return False


def _why_not_owed(notice: Notice) -> str:
    if notice.contact is not None and not is_reachable(notice):
        return _("%(recipient)s is no longer a contact who can be mailed.") % {"recipient": notice.recipient_name}
    deadline = notice.deadline
    if deadline is None or notice.kind not in PLANNED_KINDS:
        return ""
    is_wanted = deadline.is_open or (notice.kind in MEETS and _was_accepted_for_another(notice))
    # A holding or overdue notice that was in a worker's hands while its deadline moved has not been made anew.
    is_current = notice.revision == deadline.revision or notice.kind in MADE_ONCE
    if is_current and is_wanted:
        return ""
    return _("Done before this was sent.") if deadline.met_at else _("No longer owed.")


def is_reachable(notice: Notice) -> bool:
    """Whether it goes to a colleague, or to somebody who is still a contact of a client that is mailed."""
    contact, client = notice.contact, notice.client
    return contact is None or (contact.is_active and client is not None and client.is_active)


def _was_accepted_for_another(notice: Notice) -> bool:
    """The same message has reached another contact of that client and met what it meets; this one is sent it too."""
    same = Notice.objects.filter(incident=notice.incident_id, client=notice.client_id, moment=notice.moment)
    return same.filter(deadline=notice.deadline_id, revision=notice.revision, accepted_at__isnull=False).exists()


def _hand_back(leased: Sequence[Notice]) -> None:
    """Untried, and due as before: for whoever comes next."""
    ids = [notice.pk for notice in leased]
    tokens = {notice.lease_token for notice in leased}
    Notice.objects.filter(pk__in=ids, lease_token__in=tokens, state=NoticeState.LEASED).update(
        state=NoticeState.PENDING, **FREE
    )


# ── one mail ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _deliver_one(notice: Notice, watch: Watch, tally: Counter[str]) -> smtp.DeliveryError | None:
    """Try one leased notice and record what became of it; returns the error if it was not accepted.

    Raises HeldBack, with nothing recorded, if it was not this worker's to transmit any more.
    """
    with acting(task="outbox.deliver", cause=notice.cause):
        return _try(notice, watch, tally)


def _try(notice: Notice, watch: Watch, tally: Counter[str]) -> smtp.DeliveryError | None:
    started = watch.elapsed
    try:
        notice.is_marked_late = notice.is_marked_late or _goes_out_late(notice, watch.now())
        content = letter.as_mail(notice, watch.now())
    except Exception as error:  # a row that cannot even be built: it fails alone, the pass goes on
        logger.exception("Notice %s cannot be sent as it is.", notice.pk)
        poison = smtp.DeliveryError(Outcome.POISON, DeliveryPhase.CONNECT, f"{type(error).__name__}: {error}"[:500])
        return _record_failure(notice, poison, watch, started, tally)
    try:
        answer = _transport().send(
            content,
            sender=parseaddr(settings.NOTICE_FROM)[1],
            recipient=letter.on_the_wire(notice.recipient_address),
            before_data=lambda: _fence(notice, watch.now()),
        )
    except smtp.DeliveryError as error:
        return _record_failure(notice, error, watch, started, tally)
    if not answer:
        logger.warning("Notice %s was held, or taken over by another worker, before it was transmitted.", notice.pk)
        raise HeldBack
    _persistently(lambda: _record_acceptance(notice, answer, watch, started))
    logger.info("Notice %s was accepted.", notice.pk)
    tally[Outcome.ACCEPTED] += 1
    return None


def _goes_out_late(notice: Notice, now: dt.datetime) -> bool:
    """After it was due, unless it may have gone out before: a copy has the same body."""
    if not notice.late_note or now <= notice.due_at:
        return False
    return not notice.attempts.filter(phase__in=(DeliveryPhase.BODY, DeliveryPhase.DONE)).exists()


def _fence(notice: Notice, now: dt.datetime) -> bool:
    """Just before DATA: from here on a copy may exist. False if the lease was lost, or sending held, meanwhile."""
    mine = Notice.objects.filter(pk=notice.pk, state=NoticeState.LEASED, lease_token=notice.lease_token)
    free = mine.exclude(Exists(Sending.objects.filter(is_held=True)))
    changes = {"leased_until": now + LEASE, "is_marked_late": notice.is_marked_late}
    return free.update(state=NoticeState.TRANSMITTING, **changes) == 1


def _persistently(record: Callable[[], None]) -> None:
    """Do it again while the database is away for a moment: an answer that is not recorded costs a copy."""
    for wait in RECORD_WAITS:
        try:
            return record()
        except (InterfaceError, OperationalError) as error:
            if connection.in_atomic_block:
                raise
            logger.warning("The answer could not be recorded (%s); once more in %.1f s.", logs.said(error), wait)
            connection.close()
            time.sleep(wait)
    return record()


def _record_acceptance(notice: Notice, answer: str, watch: Watch, started: float) -> None:
    """The server has the mail: the notice is sent, and what it owed is met, in one transaction."""
    now = watch.now()
    with transaction.atomic(), acting(reason=_("Accepted by the mail server.")):
        incident = _lock_incident_it_meets(notice)  # before the notice, in the order in which verbs lock
        is_first = incident is not None and not _was_accepted_for_another(notice)
        # If it was taken for lost and given back meanwhile, it need not go again: only a copy on its way is too late.
        still_mine = Q(state=NoticeState.TRANSMITTING, lease_token=notice.lease_token)
        given_back = Q(state__in=(*WAITING_STATES, NoticeState.LEASED, NoticeState.REVIEW))
        Notice.objects.filter(still_mine | given_back, pk=notice.pk).update(
            state=NoticeState.SENT, accepted_at=now, server_answer=answer, tries=notice.tries + 1, state_reason=""
        )
        _add_attempt(notice, Outcome.ACCEPTED, DeliveryPhase.DONE, watch, started, code=250, answer=answer)
        if incident is not None and is_first:
            meet_by(notice, incident, at=now, now=now)


def meet_by(notice: Notice, incident: Incident, *, at: dt.datetime, now: dt.datetime) -> None:
    """Meet what this notice owes, as of `at`; expects the caller's transaction with the incident locked."""
    deadlines.meet(
        incident,
        MEETS[NoticeKind(notice.kind)],
        at=at,
        now=now,
        client=notice.client,
        asked_by=notice.made_at,
        by_moment=notice.moment,
    )


def arrived(notice: Notice, *, at: dt.datetime, why: str, now: dt.datetime) -> None:
    """A notice in doubt is known to have arrived, as of `at`: no copy goes any more, and it meets what it owed, once.

    Expects the caller's transaction with the incident and the notice locked.
    """
    is_first = not _was_accepted_for_another(notice)
    is_first = is_first and not notice.attempts.filter(outcome=Outcome.ACCEPTED).exists()
    notice.state, notice.accepted_at, notice.state_reason = NoticeState.HANDLED, at, why[:500]
    notice.lease_token = notice.leased_until = None
    notice.save()
    if notice.kind in MEETS and is_first and notice.incident is not None:
        meet_by(notice, notice.incident, at=at, now=now)


def _lock_incident_it_meets(notice: Notice) -> Incident | None:
    if notice.kind not in MEETS or notice.incident_id is None:
        return None
    return Incident.objects.locked().get(pk=notice.incident_id)


def _record_failure(
    notice: Notice, error: smtp.DeliveryError, watch: Watch, started: float, tally: Counter[str]
) -> smtp.DeliveryError:
    now = watch.now()
    changes = _after(notice, error, now)
    answer = f"{error.code or ''} {error.answer}".strip()
    mine = Notice.objects.filter(pk=notice.pk, lease_token=notice.lease_token, state__in=HELD_STATES)
    with transaction.atomic():
        is_mine = mine.update(**changes, **FREE, server_answer=answer) == 1
        _add_attempt(notice, error.outcome, error.phase, watch, started, code=error.code, answer=error.answer)
        if is_mine and changes["state"] in STUCK_STATES:
            notices.queue(notices.alarm_about(notice, answer, now=now))
    logger.warning("Notice %s: %s while %s (%s).", notice.pk, error.outcome.label, error.phase.label, error.code)
    tally[error.outcome] += 1
    return error


def _after(notice: Notice, error: smtp.DeliveryError, now: dt.datetime) -> dict[str, Any]:
    """Where a notice goes after this error."""
    if error.meets_every_mail:  # not its fault: no try is used up, and another one is the next probe
        return {"state": NoticeState.RETRY_WAIT, "next_attempt_at": now + PROBLEM_WAIT}
    tries = notice.tries + 1
    if error.outcome in (Outcome.REFUSED_FOR_NOW, Outcome.TRANSPORT_DOWN) and tries < MAX_TRIES:
        return {"state": NoticeState.RETRY_WAIT, "tries": tries, "next_attempt_at": now + _backoff(tries)}
    if error.outcome == Outcome.AMBIGUOUS:
        return _after_ambiguity(notice, now) | {"tries": tries}
    return {"state": NoticeState.FAILED, "tries": tries, "state_reason": FAILED_BECAUSE[error.outcome]}


def _after_ambiguity(notice: Notice, now: dt.datetime) -> dict[str, Any]:
    """It may have arrived. Sent once more (same Message-ID, same body); after the second time a person decides."""
    ambiguous_tries = notice.ambiguous_tries + 1
    if ambiguous_tries >= 2:
        reason = _("Twice it is unknown whether it arrived. Ask the recipient, then send again or say that it arrived.")
        return {"state": NoticeState.REVIEW, "ambiguous_tries": ambiguous_tries, "state_reason": reason}
    return {"state": NoticeState.RETRY_WAIT, "ambiguous_tries": ambiguous_tries, "next_attempt_at": now + _backoff(1)}


def _backoff(tries: int) -> dt.timedelta:
    """The wait before the next try, ± 20 % so that notices refused together do not come back together."""
    minutes = BACKOFF[min(tries, len(BACKOFF)) - 1]
    return dt.timedelta(minutes=minutes) * random.uniform(0.8, 1.2)  # noqa: S311 - spread, not secrecy


def _move(notice: Notice, before: NoticeState, after: NoticeState, **changes: Any) -> bool:
    """Compare-and-set: False when the row is no longer in that state under this lease."""
    mine = Notice.objects.filter(pk=notice.pk, state=before, lease_token=notice.lease_token)
    return mine.update(state=after, **changes) == 1


def _add_attempt(
    notice: Notice,
    outcome: Outcome,
    phase: DeliveryPhase,
    watch: Watch,
    started: float,
    *,
    code: int | None = None,
    answer: str = "",
) -> None:
    relay = settings.MAIL_RELAY
    DeliveryAttempt.objects.create(
        notice_id=notice.pk,
        at=watch.now(),
        worker=watchdog.worker_name(),
        server=f"{relay.host}:{relay.port}",
        outcome=outcome,
        phase=phase,
        code=code if code and code > 0 else None,
        answer=answer[:500],
        elapsed_ms=int((watch.elapsed - started) * 1000),
    )


# ── what has stalled ────────────────────────────────────────────────────────────────────────────────────────────────


def release_stalled(now: dt.datetime) -> int:
    """Give back what a worker took and did not finish within its lease; returns how many.

    One that was only leased is simply due again. One that was being transmitted may have arrived.
    """
    released = 0
    for notice in Notice.objects.stalled(now).order_by("pk")[:1000]:
        if notice.state == NoticeState.LEASED:
            changes: dict[str, Any] = {"state": NoticeState.PENDING, "next_attempt_at": now}
        else:
            # Its lease was wait enough. Sent again, or shown to a person if that happened before.
            changes = _after_ambiguity(notice, now) | {"next_attempt_at": now}
        mine = Notice.objects.stalled(now).filter(pk=notice.pk, state=notice.state, lease_token=notice.lease_token)
        with transaction.atomic():
            is_released = mine.update(**changes, **FREE) == 1
            if is_released and notice.state == NoticeState.TRANSMITTING:
                answer = _("The worker was gone before it recorded the answer.")
                _add_attempt(notice, Outcome.AMBIGUOUS, DeliveryPhase.BODY, Watch(now), 0.0, answer=answer)
                if changes["state"] in STUCK_STATES:
                    notices.queue(notices.alarm_about(notice, answer, now=now))
        released += is_released
    return released


# ── the connection ──────────────────────────────────────────────────────────────────────────────────────────────────

_kept = threading.local()


def _transport() -> smtp.Transport:
    """This thread's connection to the relay, kept between passes."""
    if getattr(_kept, "pid", None) != os.getpid():  # a forked worker must not speak over its parent's connection
        _kept.pid = os.getpid()
        _kept.transport = smtp.Transport(settings.MAIL_RELAY, timeout=settings.SMTP_TIMEOUT)
    return _kept.transport  # type: ignore[no-any-return]


def hang_up() -> None:
    """Close this thread's connection to the relay; the next mail opens a new one."""
    if getattr(_kept, "pid", None) == os.getpid():
        _kept.transport.close()
    _kept.__dict__.clear()
