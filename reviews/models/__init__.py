"""Post-incident reviews: the document, what was found, what will be done about it, and when one is owed."""

from __future__ import annotations

from reviews.models.action import ActionKind, CorrectiveAction, CorrectiveActionQuerySet, Effect, Priority
from reviews.models.edition import ClientEdition
from reviews.models.finding import Factor, FactorKind, Finding
from reviews.models.policy import ReviewPolicy
from reviews.models.questions import Answer, Question, QuestionSet
from reviews.models.review import (
    Contributor,
    PostIncidentReview,
    PostIncidentReviewQuerySet,
    ReviewLink,
    ReviewStatus,
    TimelinePick,
)
from reviews.models.statement import ClientStatement

__all__ = [
    "ActionKind",
    "Answer",
    "ClientEdition",
    "ClientStatement",
    "Contributor",
    "CorrectiveAction",
    "CorrectiveActionQuerySet",
    "Effect",
    "Factor",
    "FactorKind",
    "Finding",
    "PostIncidentReview",
    "PostIncidentReviewQuerySet",
    "Priority",
    "Question",
    "QuestionSet",
    "ReviewLink",
    "ReviewPolicy",
    "ReviewStatus",
    "TimelinePick",
]
