"""Who writes a review, and of which entries its timeline is made."""

from __future__ import annotations

from collections.abc import Collection

from django.utils.translation import gettext as _

from config.models import User
from incidents.lifecycle import Refused
from incidents.models import TimelineEntry
from reviews import timeline
from reviews.lifecycle.verb import is_of_it, may_write, refuse_unless, verb
from reviews.models import Contributor, PostIncidentReview, ReviewStatus, TimelinePick


def join(review: PostIncidentReview, *, by: User) -> Contributor:
    """A colleague becomes one of those who write it."""
    with verb(review, by, "") as review:
        refuse_unless(review, ReviewStatus.DRAFT)
        if is_of_it(review, by):
            raise Refused(_("You write in it already."))
        return Contributor.objects.create(review=review, user=by)


def pick(
    review: PostIncidentReview, *, by: User, entries: Collection[TimelineEntry], of: Collection[int] | None = None
) -> PostIncidentReview:
    """Let the review's timeline have these entries: new ones come in by time, those that are left out go.

    Of the keys in `of` only, where somebody does not see all entries; the others stay as they are.
    """
    with verb(review, by, "") as review:
        _refuse_unless_writing(review, by)
        wanted = {entry.pk for entry in entries}
        picks = list(review.picks.select_related("entry"))
        for gone in [p for p in picks if p.entry_id not in wanted and (of is None or p.entry_id in of)]:
            gone.delete()
            picks.remove(gone)
        have = {p.entry_id for p in picks}
        _number(review, timeline.placed(picks, [entry for entry in entries if entry.pk not in have]))
    return review


def move(pick: TimelinePick, *, by: User, step: int) -> PostIncidentReview:
    """One place up (-1) or down (1); at either end nothing changes."""
    with verb(pick.review, by, "") as review:
        _refuse_unless_writing(review, by)
        order = list(review.picks.select_related("entry"))
        place = next((place for place, other in enumerate(order) if other.pk == pick.pk), None)
        if place is not None and 0 <= place + step < len(order):
            order[place], order[place + step] = order[place + step], order[place]
            _number(review, order)
    return review


def _refuse_unless_writing(review: PostIncidentReview, by: User) -> None:
    refuse_unless(review, ReviewStatus.DRAFT)
    if not may_write(review, by):
        raise Refused(_("That is for those who write it. Join it first."))


def _number(review: PostIncidentReview, order: Collection[TimelinePick | TimelineEntry]) -> None:
    for position, row in enumerate(order, start=1):
        made = row if isinstance(row, TimelinePick) else TimelinePick(review=review, entry=row)
        made.position = position
        if made._state.adding:
            made.full_clean()
        made.save()
