"""Doorbells of this floor."""

from __future__ import annotations

import logging

from config import instants
from config.celery import app
from reviews import followup

logger = logging.getLogger(__name__)


@app.task
def follow_up() -> None:
    """Open the reviews that are owed, and remind people of what they said they would do."""
    if done := followup.follow_up(instants.now()):
        logger.info("reviews: %s", done)
