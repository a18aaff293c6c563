"""All that the workers do in one process, each part in a thread of its own, without any broker.

What the Celery tasks do, too, calls these passes. A mail server that takes its time holds up nobody but the sender.
"""

from __future__ import annotations

import datetime as dt
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from django.db import close_old_connections, connection

from config import instants, stopping
from config.audit import keeping
from incidents import metrics, notices, outbox, retention, watchdog
from incidents.models.sending import Part

logger = logging.getLogger(__name__)

TICK = 1.0  # seconds from one pass of the planner or the sender to the next, unless somebody nudges
WATCH_EVERY = 60.0  # seconds from one audit to the next
SEAL_EVERY = 60.0  # seconds from one seal of the trail to the next
GIVE_UP_EVERY = DAY = 86_400.0  # seconds from one look for texts that are kept no longer to the next
DAILY_AT = (3, 10)  # hour and minute in UTC, where what comes once a day is rung for by others
CALM_AFTER_ERROR = 1.0  # seconds


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


def give_up(should_stop: Callable[[], bool] = stopping.never) -> int:
    """Reduce the texts that are older than they are to be kept; returns of how many notices."""
    return retention.reduce_as_set(instants.now(), should_stop)


# ── all that is done again and again ────────────────────────────────────────────────────────────────────────────────


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Told:
    """What a pass is told: whom to call once there are rows to send, and what says that it is to stop."""

    then: Callable[[], object] = _nothing
    should_stop: Callable[[], bool] = stopping.never


@dataclass(frozen=True)
class Work:
    """One of the parts, whoever rings for it: the loop in its thread, the beat by its task, or cron each minute."""

    name: str
    task: str
    step: Callable[[Told], object]
    every: float  # seconds from one pass to the next


WORK = [
    Work("planner", "incidents.tasks.raise_due", lambda told: plan(told.then), TICK),
    Work("sender", "incidents.tasks.deliver", lambda told: send(told.should_stop), TICK),
    Work("auditor", "incidents.tasks.keep_watch", lambda _told: watch(), WATCH_EVERY),
    Work("sealer", "config.tasks.keep_trail", lambda _told: keeping.keep(), SEAL_EVERY),
    Work("keeper", "incidents.tasks.give_up_old_texts", lambda told: give_up(told.should_stop), GIVE_UP_EVERY),
]


def also(name: str, task: str, step: Callable[[], object], every: float) -> None:
    """For a floor above: do this as well, in a thread of its own."""
    WORK.append(Work(name, task, lambda _told: step(), every))


def once(now: dt.datetime) -> Iterator[tuple[str, object]]:
    """One pass of all that is due in this minute, for cron: gives each part's name with what it did, or its error.

    What one of them runs into keeps no other from its pass.
    """
    for work in WORK:
        if work.every < DAY or (now.hour, now.minute) == DAILY_AT:
            try:
                yield work.name, work.step(Told())
            except Exception as error:
                logger.exception("The %s's pass failed; the next one tries again.", work.name)
                yield work.name, error


# ── all together, until told to stop ────────────────────────────────────────────────────────────────────────────────


def run(stop: threading.Event) -> None:
    """Until `stop` is set; then the mail in hand is finished and the rest handed back."""
    nudge = threading.Event()  # rows were made: the sender need not wait for its tick
    never = threading.Event()
    told = Told(nudge.set, stop.is_set)
    parts = [
        threading.Thread(target=_repeat, args=(work, told, nudge if work.name == "sender" else never, stop))
        for work in WORK
    ]
    for thread in parts:
        thread.start()
    stop.wait()
    for event in (nudge, never):
        event.set()  # nobody sleeps on
    for thread in parts:
        thread.join()


def _repeat(work: Work, told: Told, nudge: threading.Event, stop: threading.Event) -> None:
    try:
        while not stop.is_set():
            close_old_connections()
            began = time.monotonic()
            nudge.clear()
            try:
                if done := work.step(told):
                    logger.info("%s: %s", work.name, done)
                wait = work.every - (time.monotonic() - began)  # from start to start, as the planner's takes that long
            except Exception:  # the loop must outlive whatever one pass runs into
                logger.exception("The %s's pass failed; the next one tries again.", work.name)
                connection.close()
                wait = CALM_AFTER_ERROR
            if not stop.is_set():
                nudge.wait(max(0.0, wait))
    finally:
        outbox.hang_up()
        connection.close()
