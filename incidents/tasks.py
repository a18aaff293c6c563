"""Doorbells: each takes the present instant, calls one function and logs what came of it."""

from __future__ import annotations

import logging

from django.utils import timezone

from config.celery import app
from incidents import notices, outbox

logger = logging.getLogger(__name__)


@app.task
def raise_due() -> None:
    """Make the notices whose moment has come."""
    _log("deadlines raised", notices.raise_due(timezone.now()))


@app.task
def deliver() -> None:
    """Send the notices that are waiting."""
    _log("notices tried", dict(outbox.deliver(timezone.now())))


@app.task
def release_stalled() -> None:
    """Give back the notices whose worker was lost."""
    _log("stalled notices released", outbox.release_stalled(timezone.now()))


def _log(what: str, tally: object) -> None:
    logger.log(logging.INFO if tally else logging.DEBUG, "%s: %s", what, tally)
