"""Doorbells of this floor."""

from __future__ import annotations

import logging

from config.audit import seals
from config.celery import app

logger = logging.getLogger(__name__)


@app.task
def seal() -> None:
    """Seal what was added to the audit trail."""
    if rows := seals.seal():
        logger.info("rows sealed: %s", rows)
