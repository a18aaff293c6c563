"""Doorbells: each calls one pass of incidents/loop.py and logs what came of it."""

from __future__ import annotations

import functools
import logging

from config import stopping
from config.celery import app, ring
from incidents import loop

logger = logging.getLogger(__name__)


@app.task
def raise_due() -> None:
    """Make the notices whose moment comes within this second."""
    _log("deadlines raised", loop.plan(then=functools.partial(ring, deliver)))


@app.task
def deliver() -> None:
    """Send the notices that are waiting."""
    _log("notices tried", dict(loop.send(stopping.is_asked_for)))


@app.task
def keep_watch() -> None:
    """Give back the notices whose worker was lost, and audit the queue."""
    _log("stalled notices released", loop.watch())


@app.task
def give_up_old_texts() -> None:
    """Reduce the texts that are older than they are to be kept, once a day."""
    _log("notices whose texts were given up", loop.give_up(stopping.is_asked_for))


def _log(what: str, tally: object) -> None:
    logger.log(logging.INFO if tally else logging.DEBUG, "%s: %s", what, tally)
