"""What becomes of a corrective action: started, handed over, done or dropped, taken up again, and whether it helped."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator

from django.db import transaction
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from config.history import acting
from config.models import User
from incidents.lifecycle import Refused
from incidents.lifecycle.verb import refuse_beyond_scope
from reviews import owed
from reviews.lifecycle.verb import refuse_without
from reviews.models import CorrectiveAction, Effect


def start(action: CorrectiveAction, *, by: User, now: dt.datetime, reason: str = "") -> CorrectiveAction:
    """Say that somebody works on it since today."""
    with _verb(action, by, reason) as action:
        _refuse_unless_open(action)
        if action.started_on is not None:
            raise Refused(_("It was started already."))
        action.started_on = timezone.localdate(now)
        action.save()
    return action


def hand_over(
    action: CorrectiveAction, *, by: User, reason: str, owner: User | None = None, due_on: dt.date | None = None
) -> CorrectiveAction:
    """Give an open action another owner or another due day, or both; what is left out stays."""
    refuse_without(reason)
    with _verb(action, by, reason) as action:
        _refuse_unless_open(action)
        before = (action.owner_id, action.due_on)
        action.owner = owner or action.owner
        action.due_on = due_on or action.due_on
        if (action.owner_id, action.due_on) == before:
            raise Refused(_("Nothing would change."))
        action.save()
    return action


def finish(
    action: CorrectiveAction, *, by: User, now: dt.datetime, done_on: dt.date, evidence: str, reason: str = ""
) -> CorrectiveAction:
    """Say that an open action is done, since when, and what shows it; its policy says when to ask whether it helped.

    One that had not helped is done anew, no earlier than that was seen: it begins with an open question again.
    """
    if not evidence.strip():
        raise Refused({"evidence": _("Say what shows that it is done.")})
    with _verb(action, by, reason or evidence[:1000]) as action:
        _refuse_unless_open(action)
        if done_on > timezone.localdate(now):
            raise Refused({"done_on": _("That day has not come yet.")})
        if action.checked_on is not None and done_on < action.checked_on:
            told = {"day": date_format(action.checked_on)}
            raise Refused(
                {"done_on": _("It was seen on %(day)s that it happened again; say what was done since.") % told}
            )
        action.done_on, action.evidence = done_on, evidence
        action.effect, action.checked_on = "", None
        action.check_on = done_on + dt.timedelta(days=owed.rules(action.review).effect_checked_after)
        action.full_clean()
        action.save()
    return action


def drop(action: CorrectiveAction, *, by: User, now: dt.datetime, reason: str) -> CorrectiveAction:
    """It will not be done, and why."""
    refuse_without(reason)
    with _verb(action, by, reason) as action:
        _refuse_unless_open(action)
        action.dropped_on, action.why_dropped = timezone.localdate(now), reason
        action.save()
    return action


def take_up_again(
    action: CorrectiveAction, *, by: User, now: dt.datetime, reason: str, due_on: dt.date | None = None
) -> CorrectiveAction:
    """One that was done or dropped is open again, due anew by its policy unless a day is named; the trail keeps all."""
    refuse_without(reason)
    with _verb(action, by, reason) as action:
        if action.is_open:
            raise Refused(_("It is open."))
        action.effect, action.checked_on = "", None
        _open_again(action, due_on, now)
    return action


def check(action: CorrectiveAction, *, by: User, now: dt.datetime, effect: str, reason: str) -> CorrectiveAction:
    """Say of a done action whether it helped. One that did not is open again, due anew by its policy."""
    refuse_without(reason)
    with _verb(action, by, reason) as action:
        if action.done_on is None:
            raise Refused(_("Whether it helped can be said once it is done."))
        if action.effect == effect:
            raise Refused(_("Nothing would change."))
        if effect == Effect.RECURRED:
            _has_recurred(action, now)
        else:
            action.effect, action.checked_on = Effect(effect), timezone.localdate(now)
            action.save()
    return action


def ask_again(action: CorrectiveAction, *, now: dt.datetime) -> CorrectiveAction | None:
    """What it was against contributed to an incident after it was done: it is open again. None if it is so already."""
    with transaction.atomic(), acting(task="ask again about actions", reason=recurrence(action)):
        locked = CorrectiveAction.objects.filter(pk=action.pk).has_recurred().locked().first()
        if locked is not None:
            _has_recurred(locked, now)
    return locked


def recurrence(action: CorrectiveAction) -> str:
    """That its factor was found again, and where; empty if it was not."""
    found = action.found_again().select_related("factor", "review__incident").first()
    if found is None:
        return ""
    told = {"factor": found.factor, "incident": found.review.incident.reference}
    return _("The same factor, “%(factor)s”, contributed to %(incident)s.") % told


def _has_recurred(action: CorrectiveAction, now: dt.datetime) -> None:
    action.effect, action.checked_on = Effect.RECURRED, timezone.localdate(now)
    _open_again(action, None, now)


def _open_again(action: CorrectiveAction, due_on: dt.date | None, now: dt.datetime) -> None:
    action.done_on = action.dropped_on = action.started_on = action.check_on = None
    action.evidence = action.why_dropped = ""
    action.due_on = due_on or owed.due_day(action.review, now)
    action.save()


@contextlib.contextmanager
def _verb(action: CorrectiveAction, by: User, reason: str) -> Iterator[CorrectiveAction]:
    """One transaction on the locked, freshly read action, told to the audit trail."""
    with transaction.atomic(), acting(by, reason=reason):
        locked = CorrectiveAction.objects.locked().get(pk=action.pk)
        refuse_beyond_scope(locked.review.incident, by)
        yield locked


def _refuse_unless_open(action: CorrectiveAction) -> None:
    if not action.is_open:
        raise Refused(_("It is done already.") if action.done_on else _("It was dropped already."))
