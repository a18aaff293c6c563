"""The verbs of a post-incident review."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator

from django.db import transaction
from django.utils.translation import gettext as _

from config.history import acting
from config.models import User
from incidents.lifecycle import Refused
from incidents.models import Incident
from reviews.models import CorrectiveAction, PostIncidentReview


def open_review(
    incident: Incident, *, by: User, now: dt.datetime, facilitator: User | None = None, reason: str = ""
) -> PostIncidentReview:
    """Open the review of a resolved incident, facilitated by `by` unless somebody else is named; one per incident."""
    with transaction.atomic(), acting(by, reason=reason):
        incident = Incident.objects.locked().get(pk=incident.pk)
        if incident.is_open:
            raise Refused(
                _("%(ref)s is not resolved yet. Resolve it first, then look back at it.") % {"ref": incident.reference}
            )
        if PostIncidentReview.objects.filter(incident=incident).exists():
            raise Refused(_("%(ref)s already has a review.") % {"ref": incident.reference})
        return PostIncidentReview.objects.create(incident=incident, facilitator=facilitator or by, opened_at=now)


def complete(review: PostIncidentReview, *, by: User, now: dt.datetime, reason: str = "") -> PostIncidentReview:
    """Say that the review is done. It needs a root cause, what will change, and somebody who does it."""
    with transaction.atomic(), acting(by, reason=reason):
        review = PostIncidentReview.objects.select_for_update(no_key=True).get(pk=review.pk)
        if review.is_completed:
            raise Refused(_("This review is already completed."))
        if not review.root_cause.strip() or not review.what_will_change.strip():
            raise Refused(_("Write the root cause and what will change before completing the review."))
        if not review.actions.exists():
            raise Refused(_("Add at least one corrective action with an owner and a due day."))
        review.completed_at = now
        review.save()
    return review


# ── corrective actions ──────────────────────────────────────────────────────────────────────────────────────────────


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
        if found.done_on is not None:
            raise Refused(_("It is done already."))
        yield found
