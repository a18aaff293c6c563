"""The history of one thing: its own rows and those of its parts, told by act, the newest first."""

from __future__ import annotations

import datetime as dt
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from django.db import models
from django.db.models import Q

from config.audit import differences, paging
from config.audit.differences import Difference
from config.audit.paging import Position, Row
from config.audit.sources import Table, history_of, parts_of, table_of
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


@dataclass(frozen=True)
class Asked:
    """What of it is wanted; left out, all. `part` is a model, whose fields `field` means, else the thing's own."""

    field: str = ""
    part: type[models.Model] | None = None
    who: str = ""
    before: Position | None = None


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
    older: Position | None


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
    rows = _rows(model, pk, asked, may, see)
    shown = rows[:ROWS]
    if len(rows) > ROWS:
        last = shown[-1].act
        torn = sum(1 for _row in takewhile(lambda row: row.act == last, reversed(shown)))
        shown = shown[: len(shown) - torn] or shown
    told = _told(shown, beside)
    acts: dict[uuid.UUID, list[Row]] = defaultdict(list)
    for row in shown:
        acts[row.act].append(row)
    kinds: Sequence[type[models.Model]] = tables(model)
    found = [
        ToldAct(
            told[rows[0]].row,
            [told[row].only(asked.field) for row in sorted(rows, key=lambda row: kinds.index(row.table.model))],
        )
        for rows in acts.values()
    ]
    return Page(found, shown[-1].position if len(rows) > len(shown) else None)


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


def _rows(model: type[AuditedModel], pk: Any, asked: Asked, may: May, see: See) -> list[Row]:
    """Of one row more than a page shows; one query."""
    only = asked.part or (model if asked.field else None)
    wanted = {
        table_of(trail): _wanted(trail, asked)
        for kind, trail in trails(model, pk, see)
        if may(kind) and only in (None, kind)
    }
    return paging.newest(wanted, ROWS + 1, asked.before)


def _wanted(trail: Any, asked: Asked) -> Any:
    if asked.who:
        trail = trail.filter(actor_name=asked.who)
    if asked.field:
        trail = trail.filter(Q(changed__contains=f",{asked.field},") | ~Q(history_type="~"))
    return trail


def _told(rows: Sequence[Row], beside: str) -> dict[Row, Difference]:
    keys: dict[Table, list[int]] = defaultdict(list)
    for row in rows:
        keys[row.table].append(row.key)
    read = {table: table.rows_of._base_manager.in_bulk(wanted) for table, wanted in keys.items()}
    told = differences.of([read[row.table][row.key] for row in rows], beside=beside)
    return dict(zip(rows, told, strict=True))
