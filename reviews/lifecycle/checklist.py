"""What a review needs before a manager can read it."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Exists, OuterRef
from django.utils.translation import gettext as _

from reviews.models import PostIncidentReview


@dataclass(frozen=True)
class Check:
    """One thing that has to be there, as the sentence that asks for it, and the part of the review that has it."""

    what: str
    is_there: bool
    part: str


def checklist(review: PostIncidentReview) -> list[Check]:
    """All of it, in the order of the document."""
    return [
        Check(_("Write what happened."), bool(review.summary.strip()), "summary"),
        Check(
            _("Write who was affected, for how long, and what they could not do."),
            bool(review.client_impact.strip()),
            "client_impact",
        ),
        Check(_("Name at least one contributing factor."), review.findings.exists(), "findings"),
        *_answers(review),
        Check(_("Write what will change."), bool(review.what_will_change.strip()), "what_will_change"),
        Check(_("Add at least one corrective action with an owner and a due day."), review.actions.exists(), "actions"),
    ]


def what_is_missing(review: PostIncidentReview) -> list[str]:
    """Each in a sentence; empty if nothing is missing."""
    return [check.what for check in checklist(review) if not check.is_there]


def _answers(review: PostIncidentReview) -> list[Check]:
    if review.question_set is None:
        return []
    answers = review.answers.filter(question=OuterRef("pk")).exclude(text="")
    required = review.question_set.questions.filter(is_required=True).annotate(is_answered=Exists(answers.order_by()))
    return [
        Check(_("Answer: %(question)s") % {"question": asked}, asked.is_answered, f"question-{asked.pk}")
        for asked in required
    ]
