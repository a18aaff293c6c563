"""The questions that a review asks until a manager words them otherwise, and which are in force."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from reviews.models import Question, QuestionSet


@dataclass(frozen=True)
class Asked:
    """One question as it is to be asked."""

    text: str | Promise
    guidance: str | Promise = ""
    is_required: bool = False


#: Blameless: they ask for what people saw and had at hand, not for who did it.
PRESETS = (
    Asked(
        _("What made sense at the time?"),
        _("What did people see, know and want when they decided as they did? Why was it reasonable then?"),
        is_required=True,
    ),
    Asked(_("What went well?"), _("What kept it from getting worse; what should stay as it is.")),
    Asked(_("Where were we lucky?"), _("What helped that we cannot count on next time.")),
    Asked(_("What was hard?"), _("Where people had to guess, wait, search or improvise.")),
    Asked(
        _("What did we learn?"),
        _("About the system, its users, our process: what a colleague should know who was not there."),
        is_required=True,
    ),
)


def in_force(now: dt.datetime) -> QuestionSet:
    """The newest version; where there is none yet, the first one is made of the presets."""
    return QuestionSet.objects.all().in_force() or _make(1, PRESETS, now)


def number(version: QuestionSet, now: dt.datetime) -> None:
    """Make this unsaved version the next one. Whoever does the same meanwhile waits for our transaction."""
    QuestionSet.objects.select_for_update(no_key=True).order_by("version").first()
    newest = QuestionSet.objects.all().in_force()
    version.version, version.made_at = (newest.version + 1 if newest else 1), now


def _make(version: int, asked: Sequence[Asked], now: dt.datetime) -> QuestionSet:
    """One that somebody else has made at the same moment is taken as it is."""
    made, is_new = QuestionSet.objects.get_or_create(version=version, defaults={"made_at": now})
    for position, question in enumerate(asked if is_new else (), start=1):
        Question.objects.create(
            question_set=made,
            position=position,
            text=str(question.text),
            guidance=str(question.guidance),
            is_required=question.is_required,
        )
    return made
