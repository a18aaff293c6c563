"""Doorbells of this floor."""

from __future__ import annotations

import logging

from config.audit import keeping
from config.celery import app

logger = logging.getLogger(__name__)


@app.task
def keep_trail() -> None:
    """Seal what was added to the audit trail, and look what of it somebody should see."""
    if done := keeping.keep():
        logger.info("trail: %s", dict(done))
