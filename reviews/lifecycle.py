"""The verbs of a post-incident review."""

from __future__ import annotations

import datetime as dt

from django.db import transaction
from django.utils.translation import gettext as _

from config.history import acting
from config.models import User
from incidents.lifecycle import Refused
from incidents.models import Incident
from reviews.models import PostIncidentReview


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
