"""Markdown as plain parts and runs, for a layout that is not HTML: data, in which nothing is markup any more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from markdown_it.token import Token

from config import markdown

#: Columns that a sheet of paper holds; a table of more is written line by line.
COLUMNS = 8


@dataclass(frozen=True)
class Run:
    """Some words that look alike; a line break is a run of its own."""

    text: str
    is_strong: bool = False
    is_emphasised: bool = False
    is_code: bool = False


@dataclass(frozen=True)
class Part:
    """A paragraph or the like: in so many lists and quotes, with the sign of its item before it."""

    form: Literal["paragraph", "heading", "code", "rule", "table"]
    depth: int = 0
    marker: str = ""
    runs: tuple[Run, ...] = ()
    rows: tuple[tuple[tuple[Run, ...], ...], ...] = ()


@dataclass
class _Place:
    """Where the reading is."""

    lists: list[int | None] = field(default_factory=list)  # the number of the next item; None where they have none
    quotes: int = 0
    marker: str = ""
    is_heading: bool = False
    rows: list[list[tuple[Run, ...]]] | None = None

    def part(self, form: Literal["paragraph", "heading", "code", "rule"], runs: tuple[Run, ...] = ()) -> Part:
        marker, self.marker = self.marker, ""
        return Part(form, len(self.lists) + self.quotes, marker, runs)


def parts_of(text: str) -> list[Part]:
    """In the order in which they stand there."""
    return list(_parts(markdown.parsed(text)))


def _parts(tokens: Sequence[Token]) -> Iterator[Part]:
    at = _Place()
    for token in tokens:
        if token.type == "inline":
            runs = tuple(_runs(token.children or []))
            if at.rows is not None:
                at.rows[-1].append(runs)
            else:
                yield at.part("heading" if at.is_heading else "paragraph", runs)
        elif token.type in ("fence", "code_block"):
            yield at.part("code", tuple(_lines_of(token.content.rstrip("\n"))))
        elif token.type == "hr":
            yield at.part("rule")
        elif token.type == "table_close":
            yield from _table(at)
        else:
            _move(at, token)


def _move(at: _Place, token: Token) -> None:
    if token.type == "bullet_list_open":
        at.lists.append(None)
    elif token.type == "ordered_list_open":
        at.lists.append(int(token.attrs.get("start", 1)))
    elif token.type in ("bullet_list_close", "ordered_list_close"):
        at.lists.pop()
    elif token.type == "list_item_open":
        number = at.lists[-1]
        at.marker = "•" if number is None else f"{number}."
        at.lists[-1] = None if number is None else number + 1
    elif token.type in ("blockquote_open", "blockquote_close"):
        at.quotes += token.nesting
    elif token.type in ("heading_open", "heading_close"):
        at.is_heading = token.type == "heading_open"
    elif token.type == "table_open":
        at.rows = []
    elif token.type == "tr_open" and at.rows is not None:
        at.rows.append([])


def _table(at: _Place) -> Iterator[Part]:
    rows, at.rows = at.rows or [], None
    if rows and len(rows[0]) <= COLUMNS:
        yield replace(at.part("paragraph"), form="table", rows=tuple(map(tuple, rows)))
        return
    for row in rows:
        yield at.part("paragraph", tuple(run for cell in row for run in (*cell, Run(" · "))))


def _runs(tokens: Sequence[Token]) -> Iterator[Run]:
    strong = emphasised = 0
    links: list[tuple[str, int]] = []
    said = ""
    for token in tokens:
        if token.type in ("strong_open", "strong_close"):
            strong += token.nesting
        elif token.type in ("em_open", "em_close"):
            emphasised += token.nesting
        elif token.type == "link_open":
            links.append((str(token.attrs.get("href", "")), len(said)))
        elif token.type == "link_close":
            address, begins = links.pop()
            if said[begins:] != address:  # on paper nobody can see where it leads
                yield Run(f" ({address})")
        elif token.type == "hardbreak":
            yield Run("\n")
        else:
            words = " " if token.type == "softbreak" else token.content
            said += words
            yield Run(words, strong > 0, emphasised > 0, token.type == "code_inline")


def _lines_of(text: str) -> Iterator[Run]:
    for number, line in enumerate(text.split("\n")):
        if number:
            yield Run("\n")
        yield Run(line, is_code=True)
