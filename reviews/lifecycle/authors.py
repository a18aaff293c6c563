"""Who has written a review, and so does not approve it."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Q, QuerySet

from config.history import history_of
from config.models import User
from reviews.edition import TEXTS
from reviews.lifecycle.verb import APPROVE, is_of_it
from reviews.models import Answer, CorrectiveAction, Finding, PostIncidentReview, TimelinePick


def may_approve(review: PostIncidentReview, by: User) -> bool:
    """A manager other than its authors."""
    return by.has_perm(APPROVE) and not has_written(review, by)


def has_written(review: PostIncidentReview, by: User) -> bool:
    """Whether it is theirs to write, whether they handed it in, and whether any words in it ever were theirs.

    Words are its texts and answers, what was found or picked, and what will be done. Who only opens the review, says
    what clients may read, or does an action has written nothing.
    """
    return by.pk == review.submitted_by_id or is_of_it(review, by) or _words_of(review, by).exists()


def _words_of(review: PostIncidentReview, by: User) -> QuerySet[Any]:
    """Keys of the rows of history that tell of it."""
    part, added = Q(review=review.pk), Q(history_type="+")
    places: tuple[tuple[type[models.Model], Q, Q], ...] = (
        (PostIncidentReview, Q(id=review.pk), _changed(*TEXTS)),
        (Answer, part, _changed("text")),  # each is added, empty, by whoever opens the review
        (Finding, part, added | _changed("factor", "explanation")),
        (TimelinePick, part, added | _changed("remark")),
        (CorrectiveAction, part, added | _changed("what", "expected_effect")),
    )
    first, *others = (
        history_of(model).objects.filter(where, wrote, history_user=by).order_by().values("history_id")
        for model, where, wrote in places
    )
    found: QuerySet[Any] = first.union(*others, all=True)
    return found


def _changed(*names: str) -> Q:
    found = Q()
    for name in names:
        found |= Q(changed__contains=f",{name},")
    return found
