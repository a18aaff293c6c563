"""The outbox: takes notices that are due, sends each once, and records what became of it.

Every change of state is a compare-and-set on the state and the lease token: zero rows changed means that somebody
else has the row, and that this worker must leave it alone. No transaction is open while the mail server is spoken to.
"""

from __future__ import annotations

import datetime as dt
import email.policy
import functools
import logging
import os
import random
import socket
import threading
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from email.charset import QP, Charset
from email.header import Header
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.utils import format_datetime, formataddr, parseaddr

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _

from agreements.models import Obligation
from config.fields import validate_single_line
from config.history import acting
from config.models import User
from incidents import deadlines, smtp
from incidents.models import DeliveryAttempt, Incident, Notice
from incidents.models.notice import (
    HELD_STATES,
    PLANNED_KINDS,
    STUCK_STATES,
    DeliveryPhase,
    NoticeKind,
    NoticeState,
    Outcome,
)

logger = logging.getLogger(__name__)

BATCH = 20  # notices leased at once
LEASE = dt.timedelta(seconds=settings.NOTICE_LEASE)
PASS_LIMIT = 60.0  # seconds after which a pass hands over to the next
BACKOFF = (1, 2, 4, 8, 15)  # minutes before the next try; the last one repeats
MAX_TRIES = 30  # refusals for now, about seven hours; then a person decides
PROBLEM_WAIT = dt.timedelta(seconds=15)  # when the server or our configuration is at fault, which uses up no try

#: The obligation that an accepted notice of this kind meets.
MEETS = {
    NoticeKind.CLIENT_NOTICE: Obligation.NOTIFY,
    NoticeKind.HOLDING_NOTICE: Obligation.NOTIFY,
    NoticeKind.UPDATE: Obligation.UPDATE,
}

#: Made once in a deadline's life, however often it moves.
MADE_ONCE = (NoticeKind.HOLDING_NOTICE, NoticeKind.OVERDUE)


class Watch:
    """The present instant during a pass: the edge's `now` moved on by a clock that cannot jump."""

    def __init__(self, now: dt.datetime) -> None:
        self._now = now
        self._started = time.monotonic()

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self._started

    def now(self) -> dt.datetime:
        return self._now + dt.timedelta(seconds=self.elapsed)


# ── one pass ────────────────────────────────────────────────────────────────────────────────────────────────────────


def deliver(now: dt.datetime) -> Counter[str]:
    """Send what is due, nearest contractual due time first; returns how many notices had which outcome."""
    watch = Watch(now)
    tally: Counter[str] = Counter()
    if not Notice.objects.ready(now).exists():
        return tally  # the usual second, answered without a transaction
    while watch.elapsed < PASS_LIMIT and (leased := lease(watch.now())):
        for number, notice in enumerate(leased):
            outcome = _deliver_one(notice, watch)
            tally[outcome] += 1
            if outcome in (Outcome.TRANSPORT_DOWN, Outcome.CONFIGURATION):
                # Not this notice's fault: the others would meet the same, so they wait without being tried.
                _put_back(leased[number + 1 :], watch)
                return tally
    return tally


def lease(now: dt.datetime) -> list[Notice]:
    """Take up to BATCH ready notices for this worker. What is no longer owed is cancelled instead of being sent."""
    token, until = uuid.uuid4(), now + LEASE
    with transaction.atomic():
        ready = Notice.objects.ready(now).select_related("deadline", "client")
        taken = list(ready.select_for_update(skip_locked=True, of=("self",))[:BATCH])
        Notice.objects.filter(pk__in=[notice.pk for notice in taken]).update(
            state=NoticeState.LEASED, lease_token=token, leased_until=until
        )
    for notice in taken:
        notice.state, notice.lease_token, notice.leased_until = NoticeState.LEASED, token, until
    return [notice for notice in taken if _is_still_owed(notice)]


def _is_still_owed(notice: Notice) -> bool:
    """Truth is checked when the row is leased: a planned notice about what has been done meanwhile is not sent."""
    deadline = notice.deadline
    if deadline is None or notice.kind not in PLANNED_KINDS:
        return True
    is_wanted = deadline.is_open or (notice.kind in MEETS and _was_accepted_for_another(notice))
    # A holding or overdue notice that was in a worker's hands while its deadline moved has not been made anew.
    is_current = notice.revision == deadline.revision or notice.kind in MADE_ONCE
    if is_current and is_wanted:
        return True
    reason = _("Done before this was sent.") if deadline.met_at else _("No longer owed.")
    _move(notice, NoticeState.LEASED, NoticeState.CANCELLED, state_reason=reason)
    return False


def _was_accepted_for_another(notice: Notice) -> bool:
    """The same message has reached another contact of that client and met what it meets; this one is sent it too."""
    same = Notice.objects.filter(incident=notice.incident_id, client=notice.client_id, moment=notice.moment)
    return same.filter(deadline=notice.deadline_id, revision=notice.revision, state=NoticeState.SENT).exists()


def _deliver_one(notice: Notice, watch: Watch) -> Outcome:
    started = watch.elapsed
    try:
        content = _as_mail(notice, watch.now())
    except Exception as error:  # a row that cannot even be built: it fails alone, the pass goes on
        logger.exception("Notice %s cannot be sent as it is.", notice.pk)
        poison = smtp.DeliveryError(Outcome.POISON, DeliveryPhase.CONNECT, f"{type(error).__name__}: {error}"[:500])
        _record_failure(notice, poison, watch, started)
        return Outcome.POISON
    try:
        answer = _transport().send(
            content,
            sender=parseaddr(settings.NOTICE_FROM)[1],
            recipient=_on_the_wire(notice.recipient_address),
            before_data=lambda: _fence(notice, watch.now()),
        )
    except smtp.DeliveryError as error:
        _record_failure(notice, error, watch, started)
        return error.outcome
    if not answer:
        logger.warning("Notice %s was taken over by another worker before it was transmitted.", notice.pk)
        return Outcome.REFUSED_FOR_NOW
    _record_acceptance(notice, answer, watch, started)
    return Outcome.ACCEPTED


def _fence(notice: Notice, now: dt.datetime) -> bool:
    """Just before DATA: from here on a copy may exist. False if the lease was lost meanwhile."""
    return _move(notice, NoticeState.LEASED, NoticeState.TRANSMITTING, leased_until=now + LEASE)


def _record_acceptance(notice: Notice, answer: str, watch: Watch, started: float) -> None:
    """The server has the mail: the notice is sent, and what it owed is met, in one transaction."""
    now = watch.now()
    with transaction.atomic(), acting(task="outbox.deliver", reason=_("Accepted by the mail server: %s") % answer):
        incident = _lock_incident_it_meets(notice)  # before the notice, in the order in which verbs lock
        is_first = incident is not None and not _was_accepted_for_another(notice)
        _move(
            notice,
            NoticeState.TRANSMITTING,
            NoticeState.SENT,
            accepted_at=now,
            server_answer=answer,
            tries=notice.tries + 1,
        )
        # Whoever owns the row by now: the server did accept it, and that is the truth to record.
        _add_attempt(notice, Outcome.ACCEPTED, DeliveryPhase.DONE, watch, started, code=250, answer=answer)
        if incident is not None and notice.client is not None and is_first:
            obligation = MEETS[NoticeKind(notice.kind)]
            deadlines.meet(
                incident,
                obligation,
                at=now,
                now=now,
                client=notice.client,
                asked_by=notice.made_at,
                by_moment=notice.moment,
            )


def _lock_incident_it_meets(notice: Notice) -> Incident | None:
    if notice.kind not in MEETS or notice.incident_id is None:
        return None
    return Incident.objects.locked().get(pk=notice.incident_id)


def _record_failure(notice: Notice, error: smtp.DeliveryError, watch: Watch, started: float) -> None:
    now = watch.now()
    changes = _after(notice, error.outcome, now)
    with transaction.atomic():
        Notice.objects.filter(pk=notice.pk, lease_token=notice.lease_token, state__in=HELD_STATES).update(
            **changes, lease_token=None, leased_until=None, server_answer=f"{error.code or ''} {error.answer}".strip()
        )
        _add_attempt(notice, error.outcome, error.phase, watch, started, code=error.code, answer=error.answer)
    logger.warning("Notice %s: %s while %s (%s).", notice.pk, error.outcome.label, error.phase.label, error.code)


def _after(notice: Notice, outcome: Outcome, now: dt.datetime) -> dict[str, object]:
    """Where a notice goes after this outcome."""
    if outcome in (Outcome.TRANSPORT_DOWN, Outcome.CONFIGURATION):
        return {"state": NoticeState.RETRY_WAIT, "next_attempt_at": now + PROBLEM_WAIT}
    tries = notice.tries + 1
    if outcome == Outcome.REFUSED_FOR_NOW and tries < MAX_TRIES:
        return {"state": NoticeState.RETRY_WAIT, "tries": tries, "next_attempt_at": now + _backoff(tries)}
    if outcome == Outcome.AMBIGUOUS:
        return _after_ambiguity(notice, now) | {"tries": tries}
    return {"state": NoticeState.FAILED, "tries": tries, "state_reason": _("The mail server refused it.")}


def _after_ambiguity(notice: Notice, now: dt.datetime) -> dict[str, object]:
    """It may have arrived. Sent once more (same Message-ID, same body); after the second time a person decides."""
    ambiguous_tries = notice.ambiguous_tries + 1
    if ambiguous_tries >= 2:
        reason = _("Twice it is unknown whether it arrived. Ask the recipient, then send again or mark it handled.")
        return {"state": NoticeState.REVIEW, "ambiguous_tries": ambiguous_tries, "state_reason": reason}
    return {"state": NoticeState.RETRY_WAIT, "ambiguous_tries": ambiguous_tries, "next_attempt_at": now + _backoff(1)}


def _backoff(tries: int) -> dt.timedelta:
    """The wait before the next try, ± 20 % so that notices refused together do not come back together."""
    minutes = BACKOFF[min(tries, len(BACKOFF)) - 1]
    return dt.timedelta(minutes=minutes) * random.uniform(0.8, 1.2)  # noqa: S311 - spread, not secrecy


def _put_back(leased: Sequence[Notice], watch: Watch) -> None:
    ids = [notice.pk for notice in leased]
    tokens = {notice.lease_token for notice in leased}
    Notice.objects.filter(pk__in=ids, lease_token__in=tokens, state=NoticeState.LEASED).update(
        state=NoticeState.RETRY_WAIT, lease_token=None, leased_until=None, next_attempt_at=watch.now() + PROBLEM_WAIT
    )


def _move(notice: Notice, before: NoticeState, after: NoticeState, **changes: object) -> bool:
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
    DeliveryAttempt.objects.create(
        notice_id=notice.pk,
        at=watch.now(),
        worker=_worker_name(),
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
            changes: dict[str, object] = {"state": NoticeState.PENDING, "next_attempt_at": now}
        else:
            # Its lease was wait enough. Sent again, or shown to a person if that happened before.
            changes = _after_ambiguity(notice, now) | {"next_attempt_at": now}
        mine = Notice.objects.stalled(now).filter(pk=notice.pk, state=notice.state, lease_token=notice.lease_token)
        with transaction.atomic():
            is_released = mine.update(**changes, lease_token=None, leased_until=None) == 1
            if is_released and notice.state == NoticeState.TRANSMITTING:
                answer = _("The worker was gone before it recorded the answer.")
                _add_attempt(notice, Outcome.AMBIGUOUS, DeliveryPhase.DATA, Watch(now), 0.0, answer=answer)
        released += is_released
    return released


# ── what people decide ──────────────────────────────────────────────────────────────────────────────────────────────


def send_again(notice: Notice, *, by: User, now: dt.datetime, reason: str = "") -> bool:
    """Put a failed or doubtful notice back into the queue; False if it was not one any more."""
    with transaction.atomic(), acting(by, reason=reason):
        locked = Notice.objects.select_for_update(no_key=True).get(pk=notice.pk)
        if locked.state not in STUCK_STATES:
            return False
        locked.state = NoticeState.PENDING
        locked.state_reason = _("Sent again by %(who)s.") % {"who": by.audit_name}
        locked.next_attempt_at = now
        locked.tries = locked.ambiguous_tries = 0
        locked.save()
        return True


# ── the message ─────────────────────────────────────────────────────────────────────────────────────────────────────


#: Lines as long as RFC 5322 allows instead of folded at 78: some filters dislike a subject that is folded at once.
_WIRE = email.policy.compat32.clone(linesep="\r\n", max_line_length=900)
_QUOTED = Charset("utf-8")
_QUOTED.body_encoding = QP  # readable in a log, unlike base64


def _as_mail(notice: Notice, now: dt.datetime) -> bytes:
    """The frozen notice as a mail to one recipient, in the thread of its incident (RFC 5322, RFC 3834).

    Built from the standard library's MIME parts, which take a third of the time of its EmailMessage.
    """
    headers = {
        "From": formataddr(parseaddr(settings.NOTICE_FROM)),
        "To": formataddr((notice.recipient_name, _on_the_wire(notice.recipient_address))),
        "Reply-To": formataddr(parseaddr(settings.NOTICE_REPLY_TO)),
        "Subject": notice.subject,
        "Date": format_datetime(now),
        "Message-ID": notice.message_id,
        "In-Reply-To": notice.thread_id,
        "References": notice.thread_id,
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "All",
    }
    mail = MIMEMultipart("alternative")
    for name, value in headers.items():
        validate_single_line(value)  # nothing lets a line break in; if something does, it does not get out
        mail[name] = Header(value, None if value.isascii() else "utf-8", maxlinelen=900)  # type: ignore[assignment]
    for body, kind in ((notice.text, "plain"), (notice.html, "html")):
        mail.attach(MIMEText(body, kind, _QUOTED))  # type: ignore[arg-type]  # the stubs know names of charsets only
    return mail.as_bytes(policy=_WIRE)


def _on_the_wire(address: str) -> str:
    """The address with its domain in ASCII (RFC 5891), which every server understands."""
    local, _at, domain = address.rpartition("@")
    return f"{local}@{domain.encode('idna').decode()}"


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


@functools.cache
def _host() -> str:
    return socket.gethostname()


def _worker_name() -> str:
    return f"{_host()}:{os.getpid()}"
