"""The present instant, by the one clock that all processes share: the database's.

A machine whose clock is an hour off must neither warn an hour early nor send an hour late. It enters at the edges
(pages, tasks, commands) and is passed down as `now`.
"""

from __future__ import annotations

import datetime as dt
import time

from django.db import connection
from django.utils import timezone

RESYNC_AFTER = 30.0  # seconds for which the database's answer is carried on by a clock of our own that cannot jump

#: Counts also while the machine sleeps, where the system has such a clock.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_synced: tuple[float, dt.datetime] | None = None  # (our clock, the database's) when it was last asked


def now() -> dt.datetime:
    """The present instant by the database's clock; asks it at most every half minute."""
    global _synced
    if _synced is None or not 0 <= _ticks() - _synced[0] <= RESYNC_AFTER:
        _synced = (_ticks(), _ask())
    asked, answered = _synced
    return answered + dt.timedelta(seconds=_ticks() - asked)


def _ticks() -> float:
    return time.clock_gettime(_CLOCK)


def _ask() -> dt.datetime:
    if connection.vendor != "postgresql":
        return timezone.now()  # SQLite lives in this process: its clock is ours
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        answer: dt.datetime = cursor.fetchone()[0]
    return answer.astimezone(dt.UTC)


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
