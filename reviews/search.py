"""Search over all that reviews say, and where each was found.

Somebody who is limited to some clients finds nothing by a text that they do not see: each part is asked as they see it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any, cast

from django.db.models import Model, Q, QuerySet
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from agreements.models import Client
from config import scope
from config.search import SHORTEST_WORD, either, fold, holding, words
from incidents.models import Incident
from reviews.models import Answer, CorrectiveAction, Factor, Finding, PostIncidentReview, TimelinePick

MOST_PLACES = 3  # that are shown of one review
BEFORE, AFTER = 60, 120  # characters of an excerpt around what was found


@dataclass(frozen=True)
class Place:
    """Where words were found: under which heading, and what stands around the first of them."""

    heading: str | Promise
    before: str
    found: str
    after: str


@dataclass(frozen=True)
class Source:
    """Rows of one model that belong to a review, how a folded word is found in them, and what they say."""

    model: type[Model]
    holding: Callable[[str], Q]
    says: Callable[[Any], Iterable[tuple[str | Promise, str]]]
    related: tuple[str, ...] = ()

    def rows(self, reader: Any) -> QuerySet[Any]:
        return cast("QuerySet[Any]", scope.visible(self.model._default_manager.all(), reader))


def _own_texts(review: PostIncidentReview) -> Iterator[tuple[str, str]]:
    for name in ("summary", "client_impact", "root_cause", "what_will_change"):
        yield str(review._meta.get_field(name).verbose_name), getattr(review, name)  # type: ignore[union-attr]


def _in_words(word: str) -> Q:
    return holding("words", word)


def _of_factor(word: str) -> Q:
    return Q(factor__in=Factor.objects.filter(holding("words", word)).order_by())


#: What belongs to a review besides its own four texts.
PARTS = (
    Source(Finding, _of_factor, lambda row: [(_("Contributing factor"), row.factor.name)], ("factor",)),
    Source(Finding, _in_words, lambda row: [(row.factor.name, row.explanation)], ("factor",)),
    Source(Answer, _in_words, lambda row: [(row.question.text, row.text)], ("question",)),
    Source(TimelinePick, _in_words, lambda row: [(_("Timeline"), row.remark)]),
    Source(CorrectiveAction, _in_words, lambda row: [(_("Corrective action"), row.what)]),
)


def reviews(rows: QuerySet[PostIncidentReview], text: str, reader: Any) -> QuerySet[PostIncidentReview]:
    """Those of these rows in which every word is found: in a text of theirs, or by incident and client.

    `rows` are such as the reader sees.
    """
    for word in words(text):
        rows = rows.filter(_found_by(word, reader))
    return rows


def _found_by(word: str, reader: Any) -> Q:
    every = PostIncidentReview.objects.order_by()
    parts = (source.rows(reader).filter(source.holding(word)).order_by().values("review") for source in PARTS)
    clients = Client.objects.all().pks_by(word, reader)
    return either(
        every.filter(incident__in=Incident.objects.filter(Incident.objects.all().worded(word)).order_by()),
        every.filter(incident__in=Incident.objects.of_clients(clients).order_by()),
        every.filter(_in_words(word)),
        *(every.filter(pk__in=part) for part in parts),
    )


def places(found: Sequence[PostIncidentReview], text: str, reader: Any) -> dict[int, list[Place]]:
    """Where the words stand in each of these reviews, which the reader sees; a query for each kind of part."""
    asked = words(text)
    if not asked:
        return {}
    said: dict[int, list[tuple[str | Promise, str]]] = defaultdict(list)
    for review in found:
        said[review.pk] += _own_texts(review)
    for source in PARTS:
        rows = source.rows(reader).filter(review__in=[review.pk for review in found])
        for row in rows.filter(reduce(or_, map(source.holding, asked))).select_related(*source.related):
            said[row.review_id] += source.says(row)
    return {pk: list(_places(texts, asked)) for pk, texts in said.items()}


def _places(texts: Iterable[tuple[str | Promise, str]], asked: Collection[str]) -> Iterator[Place]:
    """A few of them; none that has only words that were shown already."""
    left, shown = set(asked), 0
    for heading, text in texts:
        new = {word for word in left if _is_in(word, fold(text))}
        if new and shown < MOST_PLACES:
            place = excerpt(heading, text, new)
            if place is not None:
                left, shown = left - new, shown + 1
                yield place


def _is_in(word: str, folded: str) -> bool:
    """As `holding` finds it."""
    return (word if len(word) >= SHORTEST_WORD else f" {word}") in f" {folded}"


def excerpt(heading: str | Promise, text: str, asked: Collection[str]) -> Place | None:
    """What stands around the first of these folded words, on one line."""
    plain = text.split()
    for number, part in enumerate(plain):
        if any(_is_in(word, fold(part)) for word in asked):
            before, after = " ".join(plain[:number]), " ".join(plain[number + 1 :])
            return Place(heading, _end(before), _start(part), _start(after))
    return None


def _start(text: str) -> str:
    return text if len(text) <= AFTER else f"{text[:AFTER].rstrip()}…"


def _end(text: str) -> str:
    return text if len(text) <= BEFORE else f"…{text[-BEFORE:].lstrip()}"
