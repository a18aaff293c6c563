"""The history of one thing: its own rows and those of its parts, told by act, the newest first.

Pages go on by key, so that none is counted and none shows a row twice or not at all while others write.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, NamedTuple

from django.db import models
from django.db.models import Q, Subquery, Value

from config.audit import differences
from config.audit.differences import Difference
from config.audit.sources import history_of, parts_of
from config.history import AuditedModel

#: Rows on a page; an act is not torn by its end unless it alone has more.
ROWS = 100
#: People who can be chosen from.
PEOPLE = 100

May = Callable[[type[models.Model]], bool]
#: Leaves of some rows those that the reader sees (config/scope.py).
See = Callable[[Any], Any]


def all_of(rows: Any) -> Any:
    return rows


class Head(NamedTuple):
    """A row of the history: which of its tables, and its number there.

    When that was says the row itself: an instant that has left the database is not always equal to itself (SQLite).
    """

    table: int
    number: int

    @classmethod
    def parse(cls, text: str) -> Head | None:
        """As an address has it; None for what we did not make."""
        table, dot, number = text.partition(".")
        if not dot or not all(part.isdecimal() and len(part) < 19 for part in (table, number)):
            return None
        return cls(int(table), int(number))

    def __str__(self) -> str:
        return f"{self.table}.{self.number}"


@dataclass(frozen=True)
class Asked:
    """What of it is wanted; left out, all. `part` is a model, whose fields `field` means, else the thing's own."""

    field: str = ""
    part: type[models.Model] | None = None
    who: str = ""
    before: Head | None = None


@dataclass(frozen=True)
class ToldAct:
    """What one act did: to the thing itself first, then to its parts."""

    newest: Any  # of its rows
    told: list[Difference]

    @property
    def at(self) -> dt.datetime:
        return self.newest.history_date  # type: ignore[no-any-return]

    @property
    def moment(self) -> str:
        """As an address has it."""
        return self.at.isoformat()

    @property
    def reason(self) -> str:
        return next((told.row.history_change_reason for told in self.told if told.row.history_change_reason), "")


@dataclass(frozen=True)
class Page:
    acts: list[ToldAct]
    older: Head | None


def trails(model: type[AuditedModel], pk: Any, see: See = all_of) -> Iterator[tuple[type[AuditedModel], Any]]:
    """The history rows of this thing, then those of each kind of its parts, theirs and so on."""
    yield model, see(history_of(model).objects.filter(**{_key(model): pk}))
    yield from ((part, see(trail)) for part, trail in _of_parts(model, [pk]))


def tables(model: type[models.Model]) -> list[type[AuditedModel]]:
    """Itself and all kinds of its parts that have a history."""
    found = [model] if issubclass(model, AuditedModel) else []
    return [*found, *(deeper for part in parts_of(model) for deeper in tables(part))]


def page(model: type[AuditedModel], pk: Any, *, asked: Asked, may: May, see: See = all_of, beside: str = "UTC") -> Page:
    """Of the parts that the reader `may` view."""
    heads = _heads(model, pk, asked, may, see)
    shown = heads[:ROWS]
    if len(heads) > ROWS:
        last = shown[-1][1]
        torn = sum(1 for _row in takewhile(lambda row: row[1] == last, reversed(shown)))
        shown = shown[: len(shown) - torn] or shown
    told = _told([head for head, _act in shown], tables(model), beside)
    acts: dict[uuid.UUID, list[Head]] = defaultdict(list)
    for head, act in shown:
        acts[act].append(head)
    found = [
        ToldAct(
            told[heads[0]].row, [told[head].only(asked.field) for head in sorted(heads, key=lambda head: head.table)]
        )
        for heads in acts.values()
    ]
    return Page(found, shown[-1][0] if len(heads) > len(shown) else None)


def people(model: type[AuditedModel], pk: Any, *, may: May, see: See = all_of) -> list[str]:
    """Who has changed it, by the names that the trail keeps."""
    first, *others = (
        trail.order_by().values_list("actor_name").distinct() for kind, trail in trails(model, pk, see) if may(kind)
    )
    return sorted(name for (name,) in (first.union(*others) if others else first)[:PEOPLE])


def last_change(
    model: type[AuditedModel], pk: Any, field: str, *, see: See = all_of, beside: str = "UTC"
) -> Difference | None:
    """Who last gave this field another value; of one that never changed, who added the thing."""
    own = see(history_of(model).objects.filter(**{_key(model): pk}))
    row = own.filter(Q(changed__contains=f",{field},") | Q(history_type="+")).order_by("-history_id").first()
    return differences.of([row], beside=beside)[0].only(field) if row else None


def _key(model: type[models.Model]) -> str:
    return model._meta.pk.attname


def _of_parts(model: type[models.Model], wholes: Any) -> Iterator[tuple[type[AuditedModel], Any]]:
    for part in parts_of(model):
        if not issubclass(part, AuditedModel):
            continue
        of_these = {f"{part.PART_OF}__in": wholes}
        trail = history_of(part).objects.filter(**of_these)
        yield part, trail
        kept = part._base_manager.filter(**of_these) if part.IS_KEPT else trail
        yield from _of_parts(part, kept.order_by().values(_key(part)))


def _heads(model: type[AuditedModel], pk: Any, asked: Asked, may: May, see: See) -> list[tuple[Head, uuid.UUID]]:
    """Of one row more than a page shows; one query."""
    only = asked.part or (model if asked.field else None)
    kinds = tables(model)
    before = asked.before if asked.before and asked.before.table < len(kinds) else None
    then = before and history_of(kinds[before.table]).objects.filter(pk=before.number).values("history_date")
    branches = [
        _branch(trail, number, asked, before, then)
        for number, (kind, trail) in enumerate(trails(model, pk, see))
        if may(kind) and only in (None, kind)
    ]
    if not branches:
        return []
    first, *others = branches
    every = first.union(*others, all=True) if others else first
    ordered = every.order_by("-history_date", "table", "-history_id")[: ROWS + 1]
    return [(Head(table, number), act) for _at, table, number, act in ordered]


def _branch(trail: Any, number: int, asked: Asked, before: Head | None, then: Any) -> Any:
    if asked.who:
        trail = trail.filter(actor_name=asked.who)
    if asked.field:
        trail = trail.filter(Q(changed__contains=f",{asked.field},") | ~Q(history_type="~"))
    if before is not None:
        older = Q(history_date__lt=Subquery(then))
        if number == before.table:
            older |= Q(history_date=Subquery(then), history_id__lt=before.number)
        elif number > before.table:
            older |= Q(history_date=Subquery(then))
        trail = trail.filter(older)
    columns = ("history_date", "table", "history_id", "request_id")
    return trail.order_by().annotate(table=Value(number)).values_list(*columns)


def _told(heads: Sequence[Head], kinds: Sequence[type[AuditedModel]], beside: str) -> dict[Head, Difference]:
    numbers: dict[int, list[int]] = defaultdict(list)
    for head in heads:
        numbers[head.table].append(head.number)
    rows = {
        (table, row.pk): row
        for table, wanted in numbers.items()
        for row in history_of(kinds[table]).objects.filter(pk__in=wanted)
    }
    found = [head for head in heads if (head.table, head.number) in rows]
    told = differences.of([rows[head.table, head.number] for head in found], beside=beside)
    return dict(zip(found, told, strict=True))
