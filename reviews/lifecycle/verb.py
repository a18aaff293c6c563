"""What every verb of a review does: one transaction on the locked review, told to its trail; or a refusal."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from django.db import transaction
from django.utils.translation import gettext as _

from config.history import acting
from config.models import User
from incidents.lifecycle import Refused
from incidents.lifecycle.verb import refuse_beyond_scope
from reviews.models import PostIncidentReview, ReviewStatus

APPROVE = "reviews.approve_postincidentreview"


@contextlib.contextmanager
def verb(review: PostIncidentReview, by: User, reason: str) -> Iterator[PostIncidentReview]:
    """One transaction on the locked, freshly read review."""
    with transaction.atomic(), acting(by, reason=reason):
        locked = PostIncidentReview.objects.select_for_update(no_key=True).get(pk=review.pk)
        refuse_beyond_scope(locked.incident, by)
        yield locked


def is_of_it(review: PostIncidentReview, by: User) -> bool:
    """Whether it is theirs to write, as facilitator or contributor."""
    return review.facilitator_id == by.pk or by.pk in {row.user_id for row in review.contributors.all()}


def may_write(review: PostIncidentReview, by: User) -> bool:
    """Contributors write, the facilitator steers, managers may do both."""
    return by.has_perm(APPROVE) or is_of_it(review, by)


def may_steer(review: PostIncidentReview, by: User) -> bool:
    return review.facilitator_id == by.pk or by.has_perm(APPROVE)


def refuse_unless_steering(review: PostIncidentReview, by: User) -> None:
    if not may_steer(review, by):
        raise Refused(
            _("That is for its facilitator, %(who)s, or for a manager.") % {"who": review.facilitator.audit_name}
        )


def refuse_unless_manager(by: User) -> None:
    if not by.has_perm(APPROVE):
        raise Refused(_("That is for a manager."))


def refuse_unless(review: PostIncidentReview, *lawful: ReviewStatus) -> None:
    if review.status not in lawful:
        raise Refused(_("Not possible now: the review is “%(status)s”.") % {"status": review.get_status_display()})


def refuse_without(reason: str) -> None:
    if not reason.strip():
        raise Refused({"reason": _("Say why; it is kept in the audit trail.")})
