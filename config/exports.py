"""A list as a file: the rows that its filters leave, as CSV or XLSX, and a record of who took what out of the house.

The file is whole, and the record of it committed, before its first byte is sent: a download that breaks off is
recorded like any other, with the digest by which the file can be known again.
"""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import io
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any

from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.http import FileResponse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.text import capfirst, slugify
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell

from config.erased import shown
from config.models import Export, User

CAP = 100_000  # rows; half a list that looks whole would mislead, so more are refused
LONGEST_CELL = 32_767  # characters of a cell of XLSX; the library would cut off what is longer
CHUNK = 500  # rows read at a time
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
BYTE_ORDER_MARK = "\ufeff"  # or the best-known spreadsheet reads UTF-8 as something else


class TooMany(ValidationError):
    """More rows than a file may have."""


@dataclass(frozen=True)
class Column:
    label: str | Promise
    of: Callable[[Any], object]


def column(model: type[models.Model], entry: str | Callable[[Any], object]) -> Column:
    """Of a field (`client__name` goes over to another model), or of a function with `@admin.display`."""
    if callable(entry):
        return Column(getattr(entry, "short_description", ""), entry)
    *steps, name = entry.split("__")
    for step in steps:
        model = model._meta.get_field(step).related_model  # type: ignore[assignment]
    field: Any = model._meta.get_field(name)
    labels = dict(field.flatchoices)

    def of(row: Any) -> object:
        for step in (*steps, name):
            row = getattr(row, step) if row is not None else None
        return labels.get(row, row)

    return Column(field.verbose_name, of)


def plain(value: object) -> object:
    """As it stands in the file: instants in the reader's zone by ISO 8601, and nothing that a spreadsheet would run."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return _now("yes") if value else _now("no")
    if isinstance(value, dt.datetime):
        return timezone.localtime(value).isoformat(timespec="seconds")
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, int):
        return value
    if isinstance(value, dt.timedelta):  # as spreadsheets read one: 74:05:00
        minutes, seconds = divmod(round(value.total_seconds()), 60)
        return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
    text = str(shown(value))
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


class Digested:
    """Writes text into a file as UTF-8 and digests it on the way."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self.size = 0

    def write(self, text: str) -> None:
        self._add(text.encode())

    def copy(self, file: IO[bytes]) -> None:
        while part := file.read(2**20):
            self._add(part)

    def _add(self, data: bytes) -> None:
        self._digest.update(data)
        self._file.write(data)
        self.size += len(data)

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


def _lines(rows: models.QuerySet[Any], columns: Sequence[Column]) -> Iterator[list[object]]:
    yield [capfirst(str(column.label)) for column in columns]
    for row in rows.iterator(chunk_size=CHUNK):
        yield [column.of(row) for column in columns]


def export(
    rows: models.QuerySet[Any], columns: Sequence[Column], *, query: str, by: User, now: dt.datetime
) -> FileResponse:
    """The rows as a CSV file to download, recorded. Raises TooMany, and then nothing is written or recorded."""
    if rows.order_by()[: CAP + 1].count() > CAP:
        raise TooMany(
            _("This list has more than %(most)d rows, which is too many for a file. Narrow it by its filters.")
            % {"most": CAP}
        )
    called = str(rows.model._meta.verbose_name_plural)
    return table(_lines(rows, columns), of=rows.model, called=called, query=query, by=by, now=now)


Lines = Iterable[Sequence[object]]


@dataclass(frozen=True)
class Form:
    """What a table is written as; `write` says how many lines it wrote."""

    ending: str
    content_type: str
    write: Callable[[Lines, IO[bytes]], int]


def _write_csv(lines: Lines, file: IO[bytes]) -> int:
    text = io.TextIOWrapper(file, "utf-8-sig", newline="")
    writer = csv.writer(text)
    count = 0
    for line in lines:
        writer.writerow([plain(value) for value in line])
        count += 1
    text.detach()  # written, and not closed
    return count


def _write_xlsx(lines: Lines, file: IO[bytes]) -> int:
    """Every cell as text, so that no spreadsheet runs one, or makes another date or number of it."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet()
    count = 0
    for line in lines:
        sheet.append([_text_cell(sheet, str(value)) for value in line])
        count += 1
    book.save(file)
    return count


def _text_cell(sheet: Any, text: str) -> Any:
    if len(text) > LONGEST_CELL:
        raise TooMany(_("A text is too long for a cell of an XLSX file. Take the CSV."))
    cell = WriteOnlyCell(sheet, text)
    cell.data_type, cell.number_format = "s", "@"  # of text and shown as such, whatever it begins with
    return cell


CSV = Form("csv", "text/csv; charset=utf-8", _write_csv)
XLSX = Form("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", _write_xlsx)
FORMS = {form.ending: form for form in (CSV, XLSX)}


def table(
    lines: Lines, *, of: type[models.Model], called: str, query: str, by: User, now: dt.datetime, form: Form = CSV
) -> FileResponse:
    """These lines, the first of which is the head, as a file to download, recorded as one of that model."""
    file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - the response closes it
    rows = form.write(lines, file) - 1  # the head is none
    file.seek(0)
    digest = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]  # typeshed wants more of it
    record = Export(at=now, by=by, listed=of._meta.label_lower, query=query, rows=rows, sha256=digest)
    name = f"{slugify(called)}-{timezone.localtime(now):%Y-%m-%d-%H%M}.{form.ending}"
    return handed_out(file, record, name=name, content_type=form.content_type)


def handed_out(file: IO[bytes], record: Export, *, name: str, content_type: str) -> FileResponse:
    """The whole file as a download, the record of it committed before its first byte is sent."""
    with transaction.atomic():
        record.save(force_insert=True)
    file.seek(0)
    return FileResponse(file, as_attachment=True, filename=name, content_type=content_type)
