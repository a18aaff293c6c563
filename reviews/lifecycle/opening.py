"""A review begins, or a manager lets one go that was owed."""

from __future__ import annotations

import datetime as dt

from django.db import transaction
from django.utils.translation import gettext as _

from config.history import acting
from config.models import User
from incidents.lifecycle import Refused
from incidents.lifecycle.verb import refuse_beyond_scope
from incidents.models import Incident
from reviews import questions
from reviews.lifecycle.verb import refuse_unless, refuse_unless_manager, refuse_without, verb
from reviews.models import Answer, PostIncidentReview, ReviewStatus


def open_review(
    incident: Incident, *, by: User, now: dt.datetime, facilitator: User | None = None, reason: str = ""
) -> PostIncidentReview:
    """Open the review of a resolved incident, facilitated by `by` unless somebody else is named; one per incident.

    It asks the questions that are in force now, and goes on asking those.
    """
    with transaction.atomic(), acting(by, reason=reason):
        incident = Incident.objects.locked().get(pk=incident.pk)
        refuse_beyond_scope(incident, by)
        if incident.is_open:
            raise Refused(
                _("%(ref)s is not resolved yet. Resolve it first, then look back at it.") % {"ref": incident.reference}
            )
        if PostIncidentReview.objects.filter(incident=incident).exists():
            raise Refused(_("%(ref)s already has a review.") % {"ref": incident.reference})
        asked = questions.in_force(now)
        review = PostIncidentReview.objects.create(
            incident=incident, facilitator=facilitator or by, opened_at=now, question_set=asked
        )
        for question in asked.questions.all():
            Answer.objects.create(review=review, question=question)
        return review


def waive(review: PostIncidentReview, *, by: User, now: dt.datetime, reason: str) -> PostIncidentReview:
    """Let a review go, owed or not: for managers, with a reason."""
    refuse_without(reason)
    refuse_unless_manager(by)
    with verb(review, by, reason) as review:
        refuse_unless(review, ReviewStatus.DRAFT, ReviewStatus.IN_REVIEW)
        review.status, review.waived_at = ReviewStatus.WAIVED, now
        review.save()
    return review
