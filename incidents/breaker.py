"""The gate before all sending: a person's hold, and the breaker.

When the mail server or our configuration is at fault, every mail would meet the same. So after the first, nothing is
tried but one mail now and then, as a probe; the others stay due and use up no try.
"""

from __future__ import annotations

import datetime as dt
import enum
import logging

from config.history import acting
from incidents import smtp
from incidents.models import Sending

logger = logging.getLogger(__name__)

PROBE_WAITS = (5, 10, 20, 40, 60)  # seconds before the next probe; the last one repeats
PROBE_LIMIT = dt.timedelta(minutes=2)  # after which a probe whose worker was lost is made anew


class Gate(enum.Enum):
    OPEN = enum.auto()
    PROBE = enum.auto()  # one mail may go, to see whether the fault is over; nobody else is told so
    SHUT = enum.auto()


def gate(now: dt.datetime) -> Gate:
    """Whether mail may go out now."""
    row = Sending.objects.filter(pk=Sending.THE_ONE).first()
    if row is None or not (row.is_held or row.fault):
        return Gate.OPEN
    if not row.may_go(now):
        return Gate.SHUT
    mine = Sending.objects.filter(pk=row.pk, retry_at=row.retry_at).update(retry_at=now + PROBE_LIMIT)
    return Gate.PROBE if mine else Gate.SHUT


def trip(error: smtp.DeliveryError, now: dt.datetime) -> None:
    """Every mail would meet this fault: try no more before the next probe. Several senders trip it once together."""
    with acting(task="outbox.deliver"):
        row = Sending.row()
    failures = row.failures + 1
    wait = PROBE_WAITS[min(failures, len(PROBE_WAITS)) - 1]
    seen = Sending.objects.filter(pk=row.pk, failures=row.failures)
    is_mine = seen.update(
        fault=error.outcome,
        fault_answer=f"{error.code or ''} {error.answer}".strip()[:500],
        fault_since=row.fault_since or now,
        failures=failures,
        retry_at=now + dt.timedelta(seconds=wait),
    )
    if is_mine:
        # What the server said may quote an address; the row has it, and the admin shows it.
        logger.error(
            "Sending stops for %d s: %s while %s (%s).", wait, error.outcome.label, error.phase.label, error.code
        )


def probe_anew(now: dt.datetime) -> None:
    """The probe told nothing, as no server was spoken to: another mail is the probe, now."""
    Sending.objects.exclude(fault="").update(retry_at=now)


def close() -> None:
    """The server has spoken to us as it should: everything may go."""
    at_fault = Sending.objects.exclude(fault="")
    if at_fault.update(fault="", fault_answer="", fault_since=None, retry_at=None, failures=0):
        logger.info("The mail server takes mail again.")
