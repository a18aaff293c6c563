"""What becomes of a corrective action: handed over, or done."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator

from django.db import transaction
from django.utils.translation import gettext as _

from config.history import acting
from config.models import User
from incidents.lifecycle import Refused
from reviews.models import CorrectiveAction


def hand_over(
    action: CorrectiveAction, *, by: User, reason: str, owner: User | None = None, due_on: dt.date | None = None
) -> CorrectiveAction:
    """Give an open action another owner or another due day, or both; what is left out stays."""
    with _changing(action, by, reason) as action:
        before = (action.owner_id, action.due_on)
        action.owner = owner or action.owner
        action.due_on = due_on or action.due_on
        if (action.owner_id, action.due_on) == before:
            raise Refused(_("Nothing would change."))
        action.save()
    return action


def finish(action: CorrectiveAction, *, by: User, reason: str, done_on: dt.date, evidence: str) -> CorrectiveAction:
    """Say that an open action is done, since when, and what shows it."""
    with _changing(action, by, reason) as action:
        action.done_on, action.evidence = done_on, evidence
        action.full_clean()
        action.save()
    return action


@contextlib.contextmanager
def _changing(action: CorrectiveAction, by: User, reason: str) -> Iterator[CorrectiveAction]:
    """One transaction on the locked, freshly read action, for a reason, told to the audit trail."""
    if not reason.strip():
        raise Refused({"reason": _("Say why; it is kept in the audit trail.")})
    with transaction.atomic(), acting(by, reason=reason):
        found = CorrectiveAction.objects.select_for_update(no_key=True).get(pk=action.pk)
        if not found.is_open:
            raise Refused(_("It is done already.") if found.done_on else _("It was dropped already."))
        yield found
