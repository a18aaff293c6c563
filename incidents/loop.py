"""All that the workers do in one process, each part in a thread of its own, without any broker.

What the Celery tasks do, too, calls these passes. A mail server that takes its time holds up nobody but the sender.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable

from django.db import close_old_connections, connection

from config import instants, stopping
from config.audit import keeping
from incidents import metrics, notices, outbox, retention, watchdog
from incidents.models.sending import Part

logger = logging.getLogger(__name__)

TICK = 1.0  # seconds from one pass of the planner or the sender to the next, unless somebody nudges
WATCH_EVERY = 60.0  # seconds from one audit to the next
SEAL_EVERY = 60.0  # seconds from one seal of the trail to the next
GIVE_UP_EVERY = 86_400.0  # seconds from one look for texts that are kept no longer to the next
CALM_AFTER_ERROR = 1.0  # seconds

#: (name, step, seconds from one pass to the next) of what floors above do besides.
_others: list[tuple[str, Callable[[], object], float]] = []


# ── one pass each ───────────────────────────────────────────────────────────────────────────────────────────────────


def plan(then: Callable[[], object]) -> int:
    """One second of planning: makes what is due, and what falls due meanwhile at its very instant."""
    raised = notices.raise_as_they_come(instants.now(), then=then)
    watchdog.beat(Part.PLANNER, instants.now())
    return raised


def send(should_stop: Callable[[], bool] = stopping.never) -> Counter[str]:
    """Send what is due."""
    watchdog.beat(Part.SENDER, instants.now())
    return outbox.deliver(instants.now(), should_stop=should_stop)


def watch() -> int:
    """Give back what a lost worker held, then audit the queue; returns how many were given back."""
    released = outbox.release_stalled(instants.now())
    metrics.write_down(watchdog.keep_watch(instants.now()), instants.now())
    return released


def also(name: str, step: Callable[[], object], every: float) -> None:
    """For a floor above: do this as well, in a thread of its own."""
    _others.append((name, step, every))


def give_up(should_stop: Callable[[], bool] = stopping.never) -> int:
    """Reduce the texts that are older than they are to be kept; returns of how many notices."""
    return retention.reduce_as_set(instants.now(), should_stop)


# ── all together, until told to stop ────────────────────────────────────────────────────────────────────────────────


def run(stop: threading.Event) -> None:
    """Until `stop` is set; then the mail in hand is finished and the rest handed back."""
    nudge = threading.Event()  # rows were made: the sender need not wait for its tick
    never = threading.Event()
    parts = (
        threading.Thread(target=_repeat, args=("planner", lambda: plan(nudge.set), TICK, never, stop)),
        threading.Thread(target=_repeat, args=("sender", lambda: send(stop.is_set), TICK, nudge, stop)),
        threading.Thread(target=_repeat, args=("auditor", watch, WATCH_EVERY, never, stop)),
        threading.Thread(target=_repeat, args=("sealer", keeping.keep, SEAL_EVERY, never, stop)),
        threading.Thread(target=_repeat, args=("keeper", lambda: give_up(stop.is_set), GIVE_UP_EVERY, never, stop)),
        *(threading.Thread(target=_repeat, args=(*other, never, stop)) for other in _others),
    )
    for thread in parts:
        thread.start()
    stop.wait()
    for event in (nudge, never):
        event.set()  # nobody sleeps on
    for thread in parts:
        thread.join()


def _repeat(name: str, step: Callable[[], object], every: float, nudge: threading.Event, stop: threading.Event) -> None:
    try:
        while not stop.is_set():
            close_old_connections()
            began = time.monotonic()
            nudge.clear()
            try:
                if done := step():
                    logger.info("%s: %s", name, done)
                wait = every - (time.monotonic() - began)  # from start to start: a pass of the planner takes that long
            except Exception:  # the loop must outlive whatever one pass runs into
                logger.exception("The %s's pass failed; the next one tries again.", name)
                connection.close()
                wait = CALM_AFTER_ERROR
            if not stop.is_set():
                nudge.wait(max(0.0, wait))
    finally:
        outbox.hang_up()
        connection.close()
