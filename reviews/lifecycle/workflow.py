"""Draft, in review, approved, closed; and back with a reason."""

from __future__ import annotations

import datetime as dt

from django.utils.translation import gettext as _

from config.models import User
from incidents.lifecycle import Refused
from reviews.lifecycle.verb import refuse_unless, refuse_unless_manager, refuse_unless_steering, refuse_without, verb
from reviews.models import PostIncidentReview, ReviewStatus


def what_is_missing(review: PostIncidentReview) -> list[str]:
    """What has to be there before it can be read by a manager, each in a sentence; empty if nothing is missing."""
    missing = []
    if not review.summary.strip():
        missing.append(_("Write what happened."))
    if not review.client_impact.strip():
        missing.append(_("Write who was affected, for how long, and what they could not do."))
    if not review.findings.exists():
        missing.append(_("Name at least one contributing factor."))
    missing += [_("Answer: %(question)s") % {"question": question} for question in _unanswered(review)]
    if not review.what_will_change.strip():
        missing.append(_("Write what will change."))
    if not review.actions.exists():
        missing.append(_("Add at least one corrective action with an owner and a due day."))
    return missing


def _unanswered(review: PostIncidentReview) -> list[str]:
    if review.question_set is None:
        return []
    answered = review.answers.exclude(text="").values("question")
    return [str(q) for q in review.question_set.questions.filter(is_required=True).exclude(pk__in=answered)]


def submit(review: PostIncidentReview, *, by: User, now: dt.datetime, reason: str = "") -> PostIncidentReview:
    """The facilitator hands it to a manager to read. Refused with everything that is missing."""
    with verb(review, by, reason) as review:
        refuse_unless(review, ReviewStatus.DRAFT)
        refuse_unless_steering(review, by)
        if missing := what_is_missing(review):
            raise Refused(missing)
        review.status, review.submitted_at, review.submitted_by = ReviewStatus.IN_REVIEW, now, by
        review.save()
    return review


def send_back(review: PostIncidentReview, *, by: User, now: dt.datetime, reason: str) -> PostIncidentReview:
    """Something has to be written otherwise; whoever steers it, or a manager, says what."""
    refuse_without(reason)
    with verb(review, by, reason) as review:
        refuse_unless(review, ReviewStatus.IN_REVIEW)
        refuse_unless_steering(review, by)
        review.status = ReviewStatus.DRAFT
        review.save()
    return review


def approve(review: PostIncidentReview, *, by: User, now: dt.datetime, reason: str = "") -> PostIncidentReview:
    """A manager who is neither its facilitator nor who submitted it has read it and agrees."""
    with verb(review, by, reason) as review:
        refuse_unless(review, ReviewStatus.IN_REVIEW)
        refuse_unless_manager(by)
        if by.pk in (review.facilitator_id, review.submitted_by_id):
            raise Refused(_("A review is approved by somebody else than who wrote it. Ask another manager."))
        review.status, review.approved_at, review.approved_by = ReviewStatus.APPROVED, now, by
        review.save()
    return review


def close(review: PostIncidentReview, *, by: User, now: dt.datetime, reason: str = "") -> PostIncidentReview:
    """Nothing more will be written. Its actions go on until each is done."""
    with verb(review, by, reason) as review:
        refuse_unless(review, ReviewStatus.APPROVED, ReviewStatus.SHARED)
        refuse_unless_steering(review, by)
        review.status, review.completed_at = ReviewStatus.CLOSED, now
        review.save()
    return review


def reopen(review: PostIncidentReview, *, by: User, now: dt.datetime, reason: str) -> PostIncidentReview:
    """Back to a draft, because something came to light; what was shared stays shared, and the trail keeps all."""
    refuse_without(reason)
    with verb(review, by, reason) as review:
        refuse_unless(review, ReviewStatus.APPROVED, ReviewStatus.SHARED, ReviewStatus.CLOSED, ReviewStatus.WAIVED)
        refuse_unless_manager(by)
        review.status = ReviewStatus.DRAFT
        review.approved_at = review.approved_by = review.completed_at = review.waived_at = None
        review.save()
    return review
