"""What is counted, as a table: the page shows it, its file has all of it, and a document takes it over."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Model
from django.utils.safestring import SafeString

from config import times
from incidents import document
from incidents.document import Cell, cell

MOST_ROWS = 20  # of a table on the page


@dataclass(frozen=True)
class Table:
    """What is counted, as the page and its file have it; the first cell of each row names the row."""

    slug: str
    title: str
    of: type[Model]
    said: str  # what it counts, and over how many
    head: Sequence[str]
    rows: Sequence[Sequence[Any]]
    pictures: Sequence[tuple[str, SafeString]] = field(default=())  # each under its heading, if it has one
    when_empty: str = ""
    most: int = MOST_ROWS
    is_list: bool = False  # of words, not of numbers
    shares: Sequence[int] = ()  # how a document divides its width among the columns; evenly without any

    @property
    def shown(self) -> list[list[str]]:
        return [[in_words(value) for value in row] for row in self.rows[: self.most]]

    @property
    def more(self) -> int:
        return max(len(self.rows) - self.most, 0)

    @property
    def lines(self) -> Iterator[Sequence[Any]]:
        yield self.head
        yield from self.rows

    @property
    def block(self) -> document.Table:
        """All of it as it stands in a document."""
        shares = tuple(self.shares) or (1,) * len(self.head)
        return document.Table(self.title, tuple(self.head), shares, tuple(tuple(map(_cell, row)) for row in self.rows))


def in_words(value: Any) -> str:
    """An instant in the zone that it is given in."""
    if isinstance(value, dt.timedelta):
        return times.duration(value)
    if isinstance(value, dt.datetime):
        return times.as_given(value)
    return "–" if value is None or value == "" else str(value)


def _cell(value: Any) -> Cell:
    return cell(in_words(value))
