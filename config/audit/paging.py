"""Pages over many tables of the trail, newest first: each goes on at a place in it, so that none is counted and none
shows a row twice or not at all while others write.

Of one instant the last label comes first, and its highest key.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from django.db import connection
from django.db.models import CharField, F, Q, Value

from config.audit.sources import Rows, Table, union


def instant(name: str, lookup: str, at: dt.datetime) -> Q:
    """Rows of which the instant called `name` compares so with `at`.

    SQLite compares instants as text, and its own clock writes fewer digits of one than Python does.
    """
    if connection.vendor != "sqlite":
        return Q(**{f"{name}__{lookup}": at})
    text = f"{at.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S.%f}"
    if lookup in ("lt", "gte"):
        text = text.removesuffix("000").removesuffix(".000")
    return Q(**{f"{name}__{lookup}": Value(text, CharField())})


@dataclass(frozen=True)
class Position:
    """A place in the trail: everything newer has been read. Its text goes into addresses."""

    at: dt.datetime
    label: str = ""
    key: int = 0

    def __str__(self) -> str:
        return f"{self.at.astimezone(dt.UTC).isoformat()}~{self.label}~{self.key}"

    @classmethod
    def parse(cls, text: str) -> Position | None:
        """None for anything that is none."""
        at, _, rest = text.partition("~")
        label, _, key = rest.partition("~")
        try:
            position = cls(dt.datetime.fromisoformat(at), label, int(key))
            is_one = position.at.tzinfo is not None and 0 <= position.key < 2**63 and bool(str(position))
        except (ValueError, OverflowError):  # no number, no instant, or one before the first that there is
            return None
        return position if is_one else None

    def older(self, table: Table, rows: Rows) -> Rows:
        """Those after it."""
        if table.label != self.label:
            return rows.filter(instant(table.at, "lte" if table.label < self.label else "lt", self.at))
        at_once = instant(table.at, "lt", self.at) | Q(**{f"{table.key}__lt": self.key})
        return rows.filter(instant(table.at, "lte", self.at), at_once)

    def newer(self, table: Table, rows: Rows) -> Rows:
        """Those before it and itself."""
        if table.label != self.label:
            return rows.filter(instant(table.at, "gt" if table.label < self.label else "gte", self.at))
        at_once = instant(table.at, "gt", self.at) | Q(**{f"{table.key}__gte": self.key})
        return rows.filter(instant(table.at, "gte", self.at), at_once)


class Row(NamedTuple):
    """Where a row is found, and the act to which it belongs."""

    at: dt.datetime
    table: Table
    key: int
    act: uuid.UUID

    @property
    def position(self) -> Position:
        return Position(self.at, self.table.label, self.key)


def newest(asked: Mapping[Table, Rows], most: int, before: Position | None = None) -> list[Row]:
    """So many of these rows of these tables, after that place; one query."""
    tables = sorted(asked, key=lambda table: table.label)
    branches = []
    for number, table in enumerate(tables):
        rows = before.older(table, asked[table]) if before is not None else asked[table]
        rows = _limited(table.newest_first(rows), most)
        columns = {"row_at": F(table.at), "row_table": Value(number), "row_key": F(table.key)}
        branches.append(rows.annotate(**columns).values_list(*columns, "request_id"))
    if not branches:
        return []
    found = union(branches, "-row_at", "-row_table", "-row_key")[:most]
    return [Row(at, tables[number], key, act) for at, number, key, act in found]


def _limited(rows: Rows, most: int) -> Rows:
    """Each table by itself, so that its own index says which are its newest. SQLite merges them by their order."""
    return rows[:most] if connection.features.supports_slicing_ordering_in_compound else rows.order_by()
