"""A thing as it was at an instant, whole: its fields and its parts, from the rows that the trail had by then.

It is what the product knew then: a time that was corrected later stands as it stood before.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import models
from django.db.models import F, Window
from django.db.models.functions import RowNumber
from django.utils.text import capfirst

from config.audit import differences
from config.audit.differences import Difference
from config.audit.histories import May, See, all_of, trails
from config.audit.names import kept
from config.audit.paging import instant
from config.history import AuditedModel

#: Parts of one kind that are shown.
SHOWN = 200
#: Parts of one kind that are read for it, those among them that were removed by then.
READ = 1_000


@dataclass(frozen=True)
class Stood:
    """One thing: what it was called and held, and how it stood by the clock."""

    name: str
    standing: str
    facts: list[tuple[str, str]]


@dataclass(frozen=True)
class Kind:
    """The parts of one kind."""

    title: str
    rows: list[Stood]
    is_cut: bool


@dataclass(frozen=True)
class Whole:
    itself: Stood
    parts: list[Kind]


#: Given the number of the whole, the instant, and what leaves of rows those that the reader sees: the parts of a
#: kind of which the trail keeps no first row.
Maker = Callable[[Any, dt.datetime, See], list[Stood]]
_MAKERS: dict[type[models.Model], Maker] = {}


def tells(part: type[models.Model]) -> Callable[[Maker], Maker]:
    """Registers who tells of these parts, whose first values are in no history row."""

    def register(maker: Maker) -> Maker:
        _MAKERS[part] = maker
        return maker

    return register


def whole(
    model: type[AuditedModel], pk: Any, at: dt.datetime, *, may: May, see: See = all_of, beside: str = "UTC"
) -> Whole | None:
    """None where it did not exist then. As many queries however many parts it had."""
    (_model, own), *parts = trails(model, pk, see)
    row = own.filter(instant("history_date", "lte", at)).order_by("-history_date", "-history_id").first()
    if row is None or row.history_type == "-":
        return None
    found = {part: _then(part, trail, at) for part, trail in parts if may(part) and part not in _MAKERS}
    told = iter(
        differences.held([row, *(row for rows in found.values() for row in rows[:SHOWN])], beside=beside, below=model)
    )
    itself = _stood(next(told), at)
    kinds = []
    for part, rows in found.items():
        shown = [_stood(next(told), at) for _row in rows[:SHOWN]]
        kinds.append(Kind(_title(part), shown, len(rows) > SHOWN))
    made = [(part, _MAKERS[part](pk, at, see)) for part, _trail in parts if part in _MAKERS and may(part)]
    kinds += [Kind(_title(part), rows[:SHOWN], len(rows) > SHOWN) for part, rows in made]
    return Whole(itself, [kind for kind in kinds if kind.rows])


def lifetime(model: type[AuditedModel], pk: Any) -> tuple[dt.datetime | None, dt.datetime | None]:
    """When the trail first tells of it, and when it was removed."""
    (_model, own) = next(trails(model, pk))
    first = own.order_by("history_date", "history_id").first()
    removed = own.filter(history_type="-").order_by("-history_id").first()
    return first and first.history_date, removed and removed.history_date


def _then(part: type[AuditedModel], trail: Any, at: dt.datetime) -> list[Any]:
    """The newest row by then of each part that was there."""
    newest_first = [F("history_date").desc(), F("history_id").desc()]
    order = Window(RowNumber(), partition_by=F(part._meta.pk.attname), order_by=newest_first)
    rows = trail.filter(instant("history_date", "lte", at)).order_by().annotate(age=order).filter(age=1)
    rows = rows.order_by(part._meta.pk.attname)
    return [row for row in rows[:READ] if row.history_type != "-"]


def _title(part: type[models.Model]) -> str:
    return capfirst(str(part._meta.verbose_name_plural))


def _stood(told: Difference, at: dt.datetime) -> Stood:
    instance: Any = kept(told.model, told.row)
    return Stood(told.subject, instance.standing_in_words(at), [(fact.label, fact.new) for fact in told.changes])
