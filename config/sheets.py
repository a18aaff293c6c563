"""A table that somebody has as a file, CSV or XLSX, as lines of text by the names of its columns.

What is in the file is never run and never trusted: it is refused before it is parsed if it is too big, formulas are
read as the values that were last computed, and macros, links and pictures are not read at all.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import openpyxl
from defusedxml.common import DefusedXmlException
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

MOST_BYTES = 1_500_000  # of the file, and of the text in it
MOST_UNPACKED = 40_000_000  # bytes of an XLSX, which is a ZIP
MOST_ROWS = 2_000  # one import is one transaction, which everybody who writes waits for
MOST_COLUMNS = 60
MOST_EMPTY = 20_000  # rows of an XLSX that were once formatted
LONGEST_CELL = 25_000  # characters
DELIMITERS = ",;\t"


class Unreadable(ValidationError):
    """The file as a whole cannot be taken; the sentence says why and what to do."""


@dataclass(frozen=True)
class Line:
    """One line below the head, with its number in the file, as a spreadsheet counts. Empty cells are ''."""

    number: int
    cells: dict[str, str]


@dataclass(frozen=True)
class Sheet:
    columns: tuple[str, ...]
    lines: tuple[Line, ...]


def read(content: bytes, known: Iterable[str]) -> Sheet:
    """The table in a file whose first line names `known` columns, in any order. Raises Unreadable."""
    if len(content) > MOST_BYTES:
        raise too_big()
    rows = _xlsx_rows(content) if content.startswith(b"PK") else _csv_rows(content)
    return _sheet(rows, list(known))


def too_big() -> Unreadable:
    return Unreadable(
        _("The file has more than %(most)s bytes. Split it, and import one part after the other."),
        params={"most": MOST_BYTES},
    )


Rows = Iterator[tuple[int, Sequence[str]]]


def _sheet(rows: Rows, known: Sequence[str]) -> Sheet:
    _number, head = next(rows, (1, ()))
    names = [name.strip().casefold() for name in head]
    while names and not names[-1]:
        names.pop()
    _refuse_columns(names, known)
    lines: list[Line] = []
    size = 0
    for number, row in rows:
        cells = [cell.strip() for cell in row]
        if not any(cells):
            continue
        if any(cells[len(names) :]):
            raise Unreadable(
                _("Line %(line)s has more cells than the first line has names. Name the column, or empty the cell."),
                params={"line": number},
            )
        if any(len(cell) > LONGEST_CELL for cell in cells):
            raise Unreadable(
                _("Line %(line)s has a cell of more than %(most)s characters. Shorten it."),
                params={"line": number, "most": LONGEST_CELL},
            )
        size += sum(map(len, cells))
        if len(lines) >= MOST_ROWS:
            raise Unreadable(
                _("The file has more than %(most)s lines. Split it, and import one part after the other."),
                params={"most": MOST_ROWS},
            )
        if size > MOST_BYTES:
            raise too_big()
        padded = [*cells, *[""] * (len(names) - len(cells))]
        lines.append(Line(number, dict(zip(names, padded, strict=False))))
    if not lines:
        raise Unreadable(_("There is nothing below the first line of the file."))
    return Sheet(tuple(names), tuple(lines))


def _refuse_columns(names: Sequence[str], known: Sequence[str]) -> None:
    if not set(names) & set(known):
        raise Unreadable(
            _("The first line must name the columns, for example: %(names)s. The template has all of them."),
            params={"names": ", ".join(known[:4])},
        )
    if unknown := [name or "–" for name in names if name not in known]:
        raise Unreadable(
            _("There is no column “%(name)s” here. Take it out, or name it as the template does: %(names)s."),
            params={"name": unknown[0][:60], "names": ", ".join(known)},
        )
    if twice := [name for name in names if names.count(name) > 1]:
        raise Unreadable(_("The column “%(name)s” is there twice. Keep one of them."), params={"name": twice[0]})


# ── CSV ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _csv_rows(content: bytes) -> Rows:
    """With comma, semicolon or tab between cells, whichever parts the first line more often."""
    text = _decoded(content)
    first = text.partition("\n")[0]
    delimiter = max(DELIMITERS, key=first.count)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    begins = 1  # a quoted cell may go over several lines
    try:
        for row in lines:
            yield begins, row
            begins = lines.line_num + 1
    except csv.Error as error:
        raise Unreadable(
            _("Line %(line)s is no CSV: %(why)s. Perhaps a quotation mark is missing."),
            params={"line": begins, "why": error},
        ) from error


def _decoded(content: bytes) -> str:
    encoding = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise Unreadable(
            _("The file is neither UTF-8 text nor an XLSX. In a spreadsheet, save it as “CSV UTF-8” or as XLSX.")
        ) from error


# ── XLSX ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _xlsx_rows(content: bytes) -> Rows:
    """Of the first sheet. Its XML is read without entities, which defusedxml refuses (openpyxl takes it if there)."""
    _refuse_bomb(content)
    try:
        book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True, keep_links=False)
        sheet = book.worksheets[0]
        sheet.reset_dimensions()  # the file may claim a million rows
        for number, row in enumerate(sheet.iter_rows(values_only=True, max_col=MOST_COLUMNS), start=1):
            if number > MOST_EMPTY:
                raise Unreadable(_("The sheet has too many empty rows. Copy what is filled in into a new sheet."))
            yield number, [_text(value) for value in row]
    except Unreadable:
        raise
    except DefusedXmlException as error:
        raise _no_xlsx() from error
    except Exception as error:
        raise _no_xlsx() from error


def _refuse_bomb(content: bytes) -> None:
    """By the sizes that the ZIP itself declares; its reader gives out no more than these."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            size = sum(part.file_size for part in packed.infolist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise _no_xlsx() from error
    if size > MOST_UNPACKED:
        raise too_big()


def _no_xlsx() -> Unreadable:
    return Unreadable(_("The file cannot be read as XLSX. Save it anew in a spreadsheet, or as “CSV UTF-8”."))


def _text(value: object) -> str:
    """A cell as it would be typed: `4`, `2026-01-01`, `09:00`."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case float() if value.is_integer():
            return str(int(value))
        case dt.datetime() if value.time() == dt.time():
            return value.date().isoformat()
        case dt.datetime() | dt.date():
            return value.isoformat()
        case dt.time():
            return value.isoformat(timespec="minutes" if not value.second else "seconds")
        case _:
            return str(value)
