"""A review begins, or a manager lets one go that was owed."""

from __future__ import annotations

import datetime as dt

from django.db import transaction
from django.utils.translation import gettext as _

from config import roles
from config.history import acting
from config.models import User
from incidents.lifecycle import Refused
from incidents.lifecycle.verb import refuse_beyond_scope
from incidents.models import Incident
from incidents.models.incident import ResponderRole
from reviews import owed, questions
from reviews.lifecycle.verb import refuse_unless, refuse_unless_manager, refuse_without, verb
from reviews.models import Answer, PostIncidentReview, ReviewStatus


class NobodyToFacilitate(Exception):
    """A review is owed, and nobody is there to steer it."""


def open_review(
    incident: Incident, *, by: User, now: dt.datetime, facilitator: User | None = None, reason: str = ""
) -> PostIncidentReview:
    """Open the review of a resolved incident, facilitated by `by` unless somebody else is named; one per incident.

    It asks the questions that are in force now, and goes on asking those; and says whether and why it was owed.
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
        return _begin(incident, owed.for_incident(incident, now), facilitator or by, now)


def open_owed(incident: Incident, *, now: dt.datetime) -> PostIncidentReview | None:
    """Open it by itself if it is still owed and nobody has opened it; None if not. Raises NobodyToFacilitate."""
    with transaction.atomic(), acting(task="open owed reviews"):
        incident = Incident.objects.locked().get(pk=incident.pk)
        found = owed.for_incident(incident, now)
        if found is None or incident.is_open or PostIncidentReview.objects.filter(incident=incident).exists():
            return None
        return _begin(incident, found, _facilitator(incident, found), now)


def _begin(incident: Incident, found: owed.Owed | None, facilitator: User, now: dt.datetime) -> PostIncidentReview:
    asked = questions.in_force(now)
    review = PostIncidentReview.objects.create(
        incident=incident,
        facilitator=facilitator,
        opened_at=now,
        question_set=asked,
        why_owed="\n".join(found.why) if found else "",
        policy=found.policy if found else None,
        due_at=found.due_at if found else None,
    )
    for question in asked.questions.all():
        Answer.objects.create(review=review, question=question)
    return review


def _facilitator(incident: Incident, found: owed.Owed) -> User:
    """The policy's, else who commanded the incident, else a manager."""
    named = found.policy.facilitator if found.policy else None
    if named is not None and named.is_active:
        return named
    active = User.objects.filter(is_active=True)
    commanders = incident.responders.filter(role=ResponderRole.COMMANDER).values("user")
    someone = active.filter(pk__in=commanders).order_by("pk").first()
    someone = someone or active.filter(groups__name=roles.MANAGER).order_by("pk").first()
    if someone is None:
        raise NobodyToFacilitate(_("There is no active manager who could facilitate it."))
    return someone


def waive(review: PostIncidentReview, *, by: User, now: dt.datetime, reason: str) -> PostIncidentReview:
    """Let a review go, owed or not: for managers, with a reason."""
    refuse_without(reason)
    refuse_unless_manager(by)
    with verb(review, by, reason) as review:
        refuse_unless(review, ReviewStatus.DRAFT, ReviewStatus.IN_REVIEW)
        review.status, review.waived_at = ReviewStatus.WAIVED, now
        review.save()
    return review
