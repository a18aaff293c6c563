"""What was done, act by act: one click, one pass of a worker, one command, told as one.

All rows of an act bear its request id. It is told from what they say together, whichever of them were asked for.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.db.models import Count, F, Max, Min, Value
from django.utils.translation import gettext as _now

from config.audit import sources
from config.audit.names import Names
from config.audit.sources import Rows, Table, union

MOST = 200  # rows of a table that the page of one act shows


class Ref(NamedTuple):
    """A row of a model, by its label: what a change is about."""

    label: str
    pk: int

    @property
    def model(self) -> type[models.Model] | None:
        """None for one that is gone by now."""
        try:
            return apps.get_model(self.label)
        except LookupError:
            return None


@dataclass(frozen=True)
class Fact:
    """Rows of one act that say the same: so many deadlines, of so many incidents, got another state."""

    table: Table
    action: str  # + added, ~ changed, - removed; or the kind of a record
    changed: tuple[str, ...]
    about: Ref | None  # the whole, the first of them
    wholes: int
    count: int
    first: int  # the key of the first of these rows

    @property
    def model(self) -> type[models.Model]:
        return self.table.model

    @property
    def is_part(self) -> bool:
        return sources.whole_of(self.model) is not None


@dataclass
class Act:
    """One thing that somebody did."""

    request_id: uuid.UUID
    at: dt.datetime
    actor_id: int | None
    actor_name: str
    caller: str
    reason: str
    facts: list[Fact] = field(default_factory=list)
    told: list[str] = field(default_factory=list)  # in words, where it has told itself

    @property
    def about(self) -> list[Ref]:
        """What it was done to, the whole of each part."""
        return list(dict.fromkeys(fact.about for fact in self.facts if fact.about is not None))


_SAME = (
    "request_id",
    "row_table",
    "row_action",
    "row_changed",
    "row_about",
    "row_actor",
    "actor_name",
    "caller",
    "row_reason",
)


def told(acts: Collection[uuid.UUID], tables: Sequence[Table]) -> list[Act]:
    """Each whole, as these tables tell it, by what its rows say together, in the order of `acts`.

    One query, and one for each table that has words.
    """
    if not acts or not tables:
        return []
    found: dict[uuid.UUID, Act] = {}
    rows = union([_summed(number, table, acts) for number, table in enumerate(tables)])
    for row in sorted(rows, key=lambda row: (row["row_last_at"], row["row_first"])):
        act = found.setdefault(
            row["request_id"],
            Act(row["request_id"], row["row_last_at"], row["row_actor"], row["actor_name"], row["caller"], ""),
        )
        act.at = row["row_last_at"]
        act.reason = act.reason or row["row_reason"] or ""
        act.facts.append(_fact(tables[row["row_table"]], row))
    _put_in_words(found.values())
    return [found[request_id] for request_id in acts if request_id in found]


def _summed(number: int, table: Table, acts: Collection[uuid.UUID]) -> Rows:
    """One row for all rows of an act that say the same."""
    nothing = Value("", models.TextField())
    if table.is_history:
        _top, lookup = sources.top_of(table.model)
        whole = F(f"{lookup}_id" if lookup else "id")
        named = {"row_action": F("history_type"), "row_changed": F("changed"), "row_about": nothing}
        named |= {"row_reason": F("history_change_reason")}
    else:
        whole = F("about_pk")
        named = {"row_action": F("kind"), "row_changed": nothing, "row_about": F("about"), "row_reason": nothing}
    rows = table.rows().filter(request_id__in=acts)
    rows = rows.annotate(**named, row_table=Value(number), row_actor=F(f"{table.actor}_id"), row_whole=whole)
    summed = {
        "row_last_at": Max(table.at),
        "row_first": Min(table.key),
        "row_count": Count(table.key),
        "row_whole_first": Min("row_whole"),
        "row_wholes": Count("row_whole", distinct=True),
    }
    found: Rows = rows.values(*_SAME).annotate(**summed).values(*_SAME, *summed)
    return found


def _fact(table: Table, row: Mapping[str, Any]) -> Fact:
    label = sources.top_of(table.model)[0]._meta.label_lower if table.is_history else row["row_about"]
    whole = row["row_whole_first"]
    return Fact(
        table=table,
        action=row["row_action"],
        changed=tuple(name for name in row["row_changed"].split(",") if name),
        about=Ref(label, whole) if label and whole is not None else None,
        wholes=row["row_wholes"],
        count=row["row_count"],
        first=row["row_first"],
    )


def _put_in_words(acts: Collection[Act]) -> None:
    """What its own parts (an entry of a timeline) and records say that it did."""
    facts = [(act, fact) for act in acts for fact in act.facts if _has_words(fact)]
    for table in dict.fromkeys(fact.table for _act, fact in facts):
        of_this = [(act, fact) for act, fact in facts if fact.table is table]
        rows = table.rows().in_bulk([fact.first for _act, fact in of_this], field_name=table.key)
        for act, fact in of_this:
            row: Any = rows.get(fact.first)
            if row is not None:
                text = getattr(row, getattr(table.model, "TELLS", "")) if table.is_history else row.sentence
                act.told.append(text)


def _has_words(fact: Fact) -> bool:
    if fact.table.is_history:
        return fact.action == "+" and bool(getattr(fact.model, "TELLS", ""))
    return hasattr(fact.model, "sentence")


def names(acts: Collection[Act]) -> Names:
    """What that is called which they are about: one query for each model."""
    wanted: dict[type[models.Model], set[int]] = {}
    for ref in (ref for act in acts for ref in act.about):
        if ref.model is not None:
            wanted.setdefault(ref.model, set()).add(ref.pk)
    return Names(wanted)


def rows(act: Act) -> tuple[list[Any], bool]:
    """(its rows as they were written, whether there are more than MOST of some table)"""
    found, is_cut = [], False
    for table in dict.fromkeys(fact.table for fact in act.facts):
        some = list(table.rows().filter(request_id=act.request_id).order_by(table.key)[: MOST + 1])
        is_cut = is_cut or len(some) > MOST
        found += [(getattr(row, table.at), row) for row in some[:MOST]]
    return [row for _at, row in sorted(found, key=lambda pair: pair[0])], is_cut


# ── in words ────────────────────────────────────────────────────────────────────────────────────────────────────────


def sentences(act: Act) -> list[str]:
    """What was done, the most telling first: what it says itself, what happened to the whole, then to its parts."""
    facts = [fact for fact in act.facts if not _has_words(fact)]
    return [*act.told, *_of_wholes(facts), *_of_parts(facts)]


def _of_wholes(facts: Sequence[Fact]) -> Iterator[str]:
    for fact in facts:
        if fact.is_part:
            continue
        if fact.count > 1:
            yield _many(fact.model, fact.action, fact.count, fact.changed)
        elif fact.action == "+":
            yield _now("Added.")
        elif fact.action == "-":
            yield _now("Removed.")
        else:
            yield _now("Changed: %(fields)s.") % {"fields": labels(fact.model, fact.changed)}


def _of_parts(facts: Sequence[Fact]) -> Iterator[str]:
    """One sentence for all parts of a kind to which the same was done."""
    alike: dict[tuple[type[models.Model], str], list[Fact]] = {}
    for fact in facts:
        if fact.is_part:
            alike.setdefault((fact.model, fact.action), []).append(fact)
    for (model, action), same in alike.items():
        changed = dict.fromkeys(name for fact in same for name in fact.changed)
        yield _many(model, action, sum(fact.count for fact in same), tuple(changed))


def _many(model: type[models.Model], action: str, count: int, changed: Sequence[str]) -> str:
    """`4 deadlines changed: due at, state.`"""
    opts = model._meta
    said = {
        "count": count,
        "things": opts.verbose_name if count == 1 else opts.verbose_name_plural,
        "fields": labels(model, changed),
    }
    if action == "+":
        return _now("%(count)d %(things)s added.") % said
    if action == "-":
        return _now("%(count)d %(things)s removed.") % said
    return _now("%(count)d %(things)s changed: %(fields)s.") % said


def labels(model: type[models.Model], names: Sequence[str]) -> str:
    """The fields as their forms call them."""
    return ", ".join(str(_label(model, name)) for name in names)


def _label(model: type[models.Model], name: str) -> str:
    try:
        return str(getattr(model._meta.get_field(name), "verbose_name", name))
    except FieldDoesNotExist:  # gone by now
        return name
