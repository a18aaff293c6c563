"""What is done about reviews and their actions each minute, by whatever worker is there."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable

from reviews import lifecycle, owed, reminders
from reviews.models import CorrectiveAction

logger = logging.getLogger(__name__)


def follow_up(now: dt.datetime) -> dict[str, int]:
    """One pass; says how much was done of what. Safe to run at the same time anywhere, and again."""
    done = {what: _tried(what, step, now) for what, step in STEPS.items()}
    return {what: count for what, count in done.items() if count}


def _tried(what: str, step: Callable[[dt.datetime], int], now: dt.datetime) -> int:
    """One step that fails stops no other."""
    try:
        return step(now)
    except Exception:
        logger.exception("This could not be followed up: %s; the next pass tries again.", what)
        return 0


def open_what_is_owed(now: dt.datetime) -> int:
    """Open every review that is owed and not there; one bad incident never stops the sweep."""
    opened = 0
    for incident in owed.without_their_review(now):
        try:
            opened += lifecycle.open_owed(incident, now=now) is not None
        except Exception:
            logger.exception("The review of %s could not be opened; the next pass tries again.", incident.reference)
    return opened


def ask_again(now: dt.datetime) -> int:
    """Open every done action again whose factor contributed to a later incident."""
    asked = 0
    for action in CorrectiveAction.objects.all().has_recurred():
        try:
            asked += lifecycle.ask_again(action, now=now) is not None
        except Exception:
            logger.exception("Action %s could not be asked about again; the next pass tries again.", action.pk)
    return asked


STEPS: dict[str, Callable[[dt.datetime], int]] = {
    "reviews opened": open_what_is_owed,
    "actions asked about again": ask_again,
    "owners told that it recurred": reminders.tell_of_recurrence,
    "owners reminded": reminders.remind_owners,
    "owners asked whether it helped": reminders.ask_whether_it_helped,
    "actions escalated": reminders.escalate,
    "violations told": reminders.tell_of_violations,
    "lists of what is outstanding": reminders.list_outstanding,
}
