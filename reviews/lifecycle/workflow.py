"""Draft, in review, approved, closed; and back with a reason."""

from __future__ import annotations

import datetime as dt

from django.utils.translation import gettext as _

from config.models import User
from incidents.lifecycle import Refused
from reviews.lifecycle.authors import has_written
from reviews.lifecycle.checklist import what_is_missing
from reviews.lifecycle.verb import refuse_unless, refuse_unless_manager, refuse_unless_steering, refuse_without, verb
from reviews.models import PostIncidentReview, ReviewStatus


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
    """A manager who has not written in it has read it and agrees."""
    with verb(review, by, reason) as review:
        refuse_unless(review, ReviewStatus.IN_REVIEW)
        refuse_unless_manager(by)
        if has_written(review, by):
            raise Refused(_("You wrote in this review. Ask a manager who did not to read and approve it."))
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
