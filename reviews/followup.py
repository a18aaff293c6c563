"""What is done about reviews and their actions each minute, by whatever worker is there."""

from __future__ import annotations

import datetime as dt
import logging

from reviews import lifecycle, owed

logger = logging.getLogger(__name__)


def follow_up(now: dt.datetime) -> dict[str, int]:
    """One pass; says how much was done of what. Safe to run at the same time anywhere, and again."""
    return {what: count for what, count in {"reviews opened": open_what_is_owed(now)}.items() if count}


def open_what_is_owed(now: dt.datetime) -> int:
    """Open every review that is owed and not there; one bad incident never stops the sweep."""
    opened = 0
    for incident in owed.without_their_review(now):
        try:
            opened += lifecycle.open_owed(incident, now=now) is not None
        except Exception:
            logger.exception("The review of %s could not be opened; the next pass tries again.", incident.reference)
    return opened
