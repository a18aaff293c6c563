"""Many small questions of one page in one query, so that a page of many numbers asks as often as a page of one."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from django.db.models import CharField, Count, DateTimeField, QuerySet, Value
from django.db.models.functions import Cast

#: Nothing is counted further, so that a count costs the same however much there is.
CAP = 999


class Answer(NamedTuple):
    number: int
    instant: dt.datetime | None


if TYPE_CHECKING:
    #: Rows of (what was asked, a number, an instant or nothing).
    Question = QuerySet[Any, tuple[str, int, dt.datetime | None]]
else:
    Question = QuerySet


def how_many(asked: str, rows: QuerySet[Any]) -> Question:
    """How many there are; CAP + 1 stands for any more. No answer stands for none."""
    first = rows.order_by().values("pk")[: CAP + 1]
    found = rows.model._default_manager.filter(pk__in=first).order_by()
    counted = found.annotate(asked=Value(asked, CharField())).values("asked")
    nothing: Any = Cast(Value(None), DateTimeField())
    answer = counted.annotate(number=Count("pk"), instant=nothing).values_list("asked", "number", "instant")
    return cast(Question, answer)


def ask(questions: Sequence[Question]) -> dict[str, list[Answer]]:
    """The answers to all, by what was asked, in one query; those of one question in the order of their instants."""
    if not questions:
        return {}
    answers: dict[str, list[Answer]] = defaultdict(list)
    for asked, number, instant in questions[0].union(*questions[1:], all=True).order_by("instant", "number"):
        answers[asked].append(Answer(number, instant))
    return answers


def in_words(count: int) -> str:
    """`12`, and `999+` above the cap."""
    return str(count) if count <= CAP else f"{CAP}+"
