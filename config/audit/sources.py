"""Of what the trail consists: the history of every audited model, and the tables to which rows are only added.

This floor names no model of those above: it finds them by their base.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from django.apps import apps
from django.db import models
from django.db.models import QuerySet

from config.history import AddedOnly, AuditedModel
from config.history import history_of as history_of  # as everything else about the models, it is asked here


@functools.cache
def audited() -> tuple[type[AuditedModel], ...]:
    """Every model with a history of its own, by label."""
    found = [model for model in apps.get_models() if issubclass(model, AuditedModel)]
    return tuple(sorted(found, key=lambda model: model._meta.label_lower))


@functools.cache
def added_only() -> tuple[type[models.Model], ...]:
    """Every model whose rows are only ever added: all histories, and what is its own record."""
    histories = [history_of(model) for model in audited()]
    relations = [
        link.related_model for history in histories for link in history._meta.related_objects
    ]  # who had a role
    records = [model for model in apps.get_models() if issubclass(model, AddedOnly)]
    return tuple(sorted({*histories, *relations, *records}, key=lambda model: model._meta.label_lower))


@functools.cache
def sealed() -> tuple[type[models.Model], ...]:
    """Every model whose rows are sealed: what is only added, by its rising key, and what is frozen when it is made."""
    frozen = [model for model in audited() if model.FROZEN]
    found = [model for model in added_only() if getattr(model, "IS_SEALED", True)]
    return tuple(sorted([*found, *frozen], key=lambda model: model._meta.label_lower))


def whole_of(model: type[models.Model]) -> type[models.Model] | None:
    """What its rows are a part of and are shown with: the client of a contact. None for what stands by itself."""
    name = getattr(model, "PART_OF", "")
    return cast("type[models.Model]", model._meta.get_field(name).related_model) if name else None


@functools.cache
def parts_of(model: type[models.Model]) -> tuple[type[models.Model], ...]:
    """The models whose rows are direct parts of its rows, by label."""
    found = [part for part in apps.get_models() if getattr(part, "PART_OF", "") and whole_of(part) is model]
    return tuple(sorted(found, key=lambda part: part._meta.label_lower))


def all_parts_of(model: type[models.Model]) -> Iterator[tuple[type[models.Model], str]]:
    """Its parts, theirs and so on, each with the lookup from it to the whole: (DeliveryAttempt, "notice__incident")."""
    for part in parts_of(model):
        name = str(getattr(part, "PART_OF", ""))
        yield part, name
        for deeper, lookup in all_parts_of(part):
            yield deeper, f"{lookup}__{name}"


def top_of(model: type[models.Model]) -> tuple[type[models.Model], str]:
    """What its rows are shown with in the end, and the lookup to its key: (Incident, "review__incident")."""
    whole = whole_of(model)
    if whole is None:
        return model, ""
    top, lookup = top_of(whole)
    name = str(getattr(model, "PART_OF", ""))
    return top, f"{name}__{lookup}" if lookup else name


def client_path(model: type[models.Model]) -> str:
    """The lookup from its rows to the client whose matter they are, its own or that of its whole; "" without any."""
    own, whole = str(getattr(model, "CLIENT_PATH", "")), whole_of(model)
    if own or whole is None:
        return own
    above = client_path(whole)
    name = str(getattr(model, "PART_OF", ""))
    return above and (name if above == "pk" else f"{name}__{above}")


@functools.cache
def client() -> type[models.Model]:
    """The model of the clients themselves."""
    return next(model for model in audited() if model.CLIENT_PATH == "pk")


Rows = QuerySet[Any, Any]


@dataclass(frozen=True)
class Table:
    """One table of the trail whose rows belong to acts: of which model they tell, and how it names what all have."""

    model: type[models.Model]
    rows_of: type[models.Model]
    at: str
    key: str
    actor: str
    #: Leaves of its rows those that the reader sees (config/scope.py).
    see: Callable[[Rows], Rows] = lambda rows: rows

    @property
    def label(self) -> str:
        return self.model._meta.label_lower

    @property
    def is_history(self) -> bool:
        return self.model is not self.rows_of

    def rows(self) -> Rows:
        """In no order."""
        return self.see(self.rows_of._default_manager.order_by())

    def newest_first(self, rows: Rows) -> Rows:
        return rows.order_by(f"-{self.at}", f"-{self.key}")


@functools.cache
def tables() -> tuple[Table, ...]:
    """All whose rows belong to an act, by label: all histories, and what is its own record of an act."""
    histories = [Table(model, history_of(model), "history_date", "history_id", "history_user") for model in audited()]
    records = [
        Table(model, model, "at", "id", "actor")
        for model in apps.get_models()
        if issubclass(model, AddedOnly) and "request_id" in {own.name for own in model._meta.fields}
    ]
    return tuple(sorted([*histories, *records], key=lambda table: table.label))


def table_of(rows: Rows) -> Table:
    """The table of which these are rows."""
    return next(table for table in tables() if table.rows_of is rows.model)


def union(branches: Sequence[Rows], *order: str) -> Rows:
    """All rows of these in one query, whose columns have the same names; those that are empty anyway are left out."""
    found = [branch for branch in branches if not branch.query.is_empty()] or list(branches[:1])
    if len(found) == 1 and found[0].query.is_sliced:
        return found[0]  # in its own order
    merged = found[0].union(*found[1:], all=True)
    return merged.order_by(*order) if order else merged
