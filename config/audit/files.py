"""The trail, or one thing with all that belongs to it, as files to take away, and checked without the product.

A ZIP with each table twice, as CSV for people and as JSON Lines for programs, and by what to check that none of it was
changed since (config/audit/file_check.py). All tables are read as they were at one instant. The files are in English
and their instants in UTC, whoever takes them.
"""

from __future__ import annotations

import contextlib
import csv
import datetime as dt
import hashlib
import heapq
import itertools
import json
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any, ClassVar

from django.db import connection, models, transaction
from django.http import FileResponse
from django.utils import timezone, translation
from django.utils.functional import Promise
from django.utils.http import urlencode
from django.utils.text import capfirst, slugify
from django.utils.translation import gettext_lazy as _

from config import __version__, exports, scope
from config.audit import canonical, differences, file_check, giving_up, sources, trail
from config.audit.names import Names, related_model
from config.audit.sources import Rows, Table
from config.history import AddedOnly, Caller
from config.models import Export, GivenUp, Seal, User
from config.search import FoldedField

#: Bytes of all tables together; with what is said of them, no more than whoever checks them reads.
LARGEST = file_check.LARGEST - 3 * file_check.LARGEST_MANIFEST
#: Rows of all tables together: each is told in words, and more would take longer than a web server lets a page take.
CAP = 50_000
PATIENCE = 25  # seconds, on PostgreSQL; a web server gives up a page after thirty
BATCH = 200  # rows whose names are looked up together
ACTIONS = {"+": "added", "~": "changed", "-": "removed"}

#: What a long text must not show to its reader, given by the floors above: a link that is somebody else's to open.
_masks: list[Callable[[str], str]] = []


def register_mask(mask: Callable[[str], str]) -> Callable[[str], str]:
    _masks.append(mask)
    return mask


@dataclass(frozen=True)
class Ticket:
    """Who takes what, and when: what the manifest and the record of the export say."""

    called: str
    by: User
    now: dt.datetime
    left_out: Sequence[str] = ()  # models that this person may not view


# ── what can be taken ───────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Asked:
    """What somebody filtered the trail by: as the address of its page has it, and as they read it there."""

    typed: Mapping[str, str]
    in_words: str


def of_trail(found: Sequence[tuple[Table, Rows]], asked: Asked, ticket: Ticket) -> tuple[FileResponse, bool]:
    """These rows of the trail, newest first, and whether there are more than a file may have."""
    sheet = _Trail("trail", found, is_newest_first=True, most=CAP)
    what = {"what": "audit trail", "name": asked.in_words or "All of the audit trail", "filters": dict(asked.typed)}
    record = Export(listed=Export.TRAIL, query=urlencode(asked.typed), in_words=asked.in_words)
    return _handed_out(what, [sheet], record, ticket), sheet.is_cut


def of_whole(row: models.Model, may_view: Callable[[type[models.Model]], bool], ticket: Ticket) -> FileResponse:
    """A row, its history with that of its parts, and every part of it. Raises exports.TooMany."""
    model, opts = type(row), row._meta
    parts = {model: model._base_manager.filter(pk=row.pk)}
    for part, lookup in sources.all_parts_of(model):
        if may_view(part):
            parts[part] = scope.visible(part._base_manager.filter(**{lookup: row.pk}), ticket.by)
    found, copies = _history(row, may_view, ticket.by), _copies(parts)
    _refuse_more_than_the_cap([*(rows for _table, rows in found), *parts.values(), *copies.values()])
    with translation.override("en"):
        named = {str(own._meta.verbose_name_plural): rows for own, rows in parts.items() if own is not model}
        named = {str(opts.verbose_name): parts[model], **named, **{str(name): rows for name, rows in copies.items()}}
    sheets: list[_Sheet] = [_Trail("history", found), *(_Rows(slugify(name), rows) for name, rows in named.items())]
    record = Export(listed=opts.label_lower, query=f"whole={ticket.called}")
    return _handed_out({"what": opts.label_lower, "id": row.pk, "name": str(row)}, sheets, record, ticket)


def _history(
    row: models.Model, may_view: Callable[[type[models.Model]], bool], reader: User
) -> list[tuple[Table, Rows]]:
    """What the trail tells of it and of its parts, those included that are no longer there."""
    lookups = {type(row): "id", **dict(sources.all_parts_of(type(row)))}
    about = models.Q()
    for model, lookup in lookups.items():
        about |= models.Q(
            about=model._meta.label_lower, about_pk__in=model._base_manager.filter(**{lookup: row.pk}).values("pk")
        )
    wanted = [table for table in scope.tables(reader) if may_view(table.model)]
    return [
        (
            table,
            table.rows().filter(**{lookups[table.model]: row.pk}) if table.is_history else table.rows().filter(about),
        )
        for table in wanted
        if table.model in lookups or not table.is_history
    ]


def _copies(parts: Mapping[type[models.Model], Rows]) -> dict[str | Promise, Rows]:
    """Rows of tables that only grow to which these refer, by what they call them: the terms of a deadline."""
    found: dict[str | Promise, Rows] = {}
    for model, rows in parts.items():
        for own in model._meta.concrete_fields:
            to: Any = own.related_model
            if own.is_relation and issubclass(to, AddedOnly) and to not in parts:
                found[own.verbose_name] = to._base_manager.filter(pk__in=rows.order_by().values(own.attname))
    return found


def _refuse_more_than_the_cap(found: Iterable[Rows]) -> None:
    left = CAP
    for rows in found:
        left -= rows.order_by()[: left + 1].count()
        if left < 0:
            raise exports.TooMany(
                _("This has more than %(most)d rows, which is too many for a file. Take its parts from their lists.")
                % {"most": CAP}
            )


# ── the tables of the files ─────────────────────────────────────────────────────────────────────────────────────────

#: A row as JSON, and as cells of CSV.
Line = tuple[Mapping[str, Any], Sequence[object]]


@dataclass
class _Trail:
    """Rows of many tables of the trail, as they followed each other; of so many more, the first."""

    name: str
    found: Sequence[tuple[Table, Rows]]
    is_newest_first: bool = False
    most: int | None = None
    is_cut: bool = False  # known when all is read

    head = ("At", "Kind of record", "Number", "Name", "Action", "What", "By", "By way of", "Why", "Request")

    def lines(self) -> Iterator[Line]:
        for batch in _batches(self._rows()):
            told = iter(differences.of([row for _place, table, row in batch if table.is_history]))
            for _place, table, row in batch:
                yield self._of_history(table, row, next(told)) if table.is_history else self._of_record(table, row)

    def _rows(self) -> Iterator[_Placed]:
        branches = [_placed(table, rows, self.is_newest_first) for table, rows in self.found]
        rows = heapq.merge(*branches, key=lambda one: one[0], reverse=self.is_newest_first)
        yield from itertools.islice(rows, self.most)
        self.is_cut = next(rows, None) is not None

    def _of_history(self, table: Table, row: Any, told: differences.Difference) -> Line:
        pk = getattr(row, table.model._meta.pk.attname)
        line = {
            "name": told.subject,
            "action": ACTIONS[row.history_type],
            "reason": row.history_change_reason or "",
            "changed": row.changed_names,
            "changes": [{"field": one.name, "old": one.old, "new": one.new} for one in told.changes],
        }
        what = "\n".join(f"{one.label}: {one.old} → {one.new}" for one in told.changes)
        return self._line(table, row, pk, line), self._cells(table, row, pk, told.subject, told.done, what)

    def _of_record(self, table: Table, row: Any) -> Line:
        line = {"name": str(row), "action": row.kind, "reason": "", "changed": [], "changes": []}
        cells = self._cells(table, row, row.pk, str(row), row.get_kind_display(), row.sentence)
        return self._line(table, row, row.pk, line), cells

    def _line(self, table: Table, row: Any, pk: Any, said: Mapping[str, Any]) -> Mapping[str, Any]:
        kept = (own.attname for own in table.model._meta.concrete_fields if hasattr(row, own.attname))
        return {
            "model": table.label,
            "id": pk,
            "row": row.pk,
            "at": getattr(row, table.at),
            "actor": row.actor_name,
            "actor_id": getattr(row, f"{table.actor}_id"),
            "caller": row.caller,
            "request_id": row.request_id,
            "values": {name: getattr(row, name) for name in kept},
            **said,
        }

    def _cells(self, table: Table, row: Any, pk: Any, name: str, done: str, what: str) -> Sequence[object]:
        at, kind = getattr(row, table.at), capfirst(str(table.model._meta.verbose_name))
        way = dict(Caller.choices).get(row.caller, row.caller)
        why = getattr(row, "history_change_reason", "")
        return at, kind, pk, name, done, what, row.actor_name, way, why, row.request_id


#: A row after what says its place among those of all tables.
_Placed = tuple[tuple[dt.datetime, str, int], Table, Any]


def _placed(table: Table, rows: Rows, is_newest_first: bool) -> Iterator[_Placed]:
    rows = table.newest_first(rows)
    for row in (rows if is_newest_first else rows.reverse()).iterator(chunk_size=BATCH):
        yield (getattr(row, table.at), table.label, row.pk), table, row


@dataclass(frozen=True)
class _Rows:
    """The rows of one table, as they stand."""

    name: str
    rows: Rows
    is_cut: ClassVar[bool] = False

    @property
    def head(self) -> Sequence[str]:
        return [capfirst(str(getattr(own, "verbose_name", own.name))) for own in self._fields]

    @property
    def _fields(self) -> list[Any]:
        return [own for own in self.rows.model._meta.concrete_fields if not isinstance(own, FoldedField)]

    def lines(self) -> Iterator[Line]:
        links = [own for own in self._fields if own.is_relation]
        for batch in _batches(self.rows.order_by("pk").iterator(chunk_size=BATCH)):
            wanted: dict[type[models.Model], set[Any]] = {}
            for own in links:
                to = related_model(self.rows.model, own.name)
                wanted[to] = wanted.get(to, set()) | {getattr(row, own.attname) for row in batch} - {None}
            names, kept = Names(wanted), giving_up.kept_of(batch) if self._bodies else {}
            kept = {place: one for place, one in kept.items() if giving_up.is_ours(one)}
            for row in batch:
                yield self._line(row, names, kept)

    @property
    def _bodies(self) -> Sequence[str]:
        return getattr(self.rows.model, "BODIES", ())

    def _line(self, row: Any, names: Names, kept: Mapping[tuple[int, str], GivenUp]) -> Line:
        values = {own.attname: getattr(row, own.attname) for own in self._fields}
        named = {
            own.attname: names.of(own.related_model, values[own.attname])
            for own in self._fields
            if own.is_relation and values[own.attname] is not None
        }
        digests, given_up = {}, {}
        for name in self._bodies:
            left = kept.get((row.pk, name))
            digests[name] = canonical.digest_of(values[name], "sha256", b"") if left is None else left.digest
            values[name] = _masked(values[name])
            if left is not None:
                given_up[name] = left
        line = {"model": self.rows.model._meta.label_lower, "id": row.pk, "values": values, "names": named}
        if digests:
            line |= {"digests": digests, "given_up": {name: left.at for name, left in given_up.items()}}
        shown = {**values, **{name: f"({left})" for name, left in given_up.items()}}
        cells = [
            named.get(own.attname) if own.is_relation else _in_words(own, shown[own.attname]) for own in self._fields
        ]
        return line, cells


def _in_words(own: Any, value: object) -> object:
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, sort_keys=True)
    return dict(getattr(own, "flatchoices", ())).get(value, value) if not isinstance(value, bytes) else value.hex()


def _masked(text: str) -> str:
    for mask in _masks:
        text = mask(text)
    return text


def _batches(rows: Iterable[Any]) -> Iterator[list[Any]]:
    rows = iter(rows)
    while batch := list(itertools.islice(rows, BATCH)):
        yield batch


_Sheet = _Trail | _Rows


# ── the archive ─────────────────────────────────────────────────────────────────────────────────────────────────────


class _Archive:
    """A ZIP that is written from its beginning to its end, and knows of each file its rows, size and digest."""

    def __init__(self, to: IO[bytes], now: dt.datetime) -> None:
        self._zip = zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED)
        self._date = now.astimezone(dt.UTC).timetuple()[:6]
        self._size = 0
        self.listed: dict[str, dict[str, Any]] = {}

    @contextlib.contextmanager
    def _file(self, name: str) -> Iterator[exports.Digested]:
        info = zipfile.ZipInfo(name, self._date)
        info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o100644 << 16
        with self._zip.open(info, "w", force_zip64=True) as file:
            to = exports.Digested(file)
            yield to
        self.listed[name] = {"bytes": to.size, "sha256": to.sha256}
        self._size += to.size

    def table(self, sheet: _Sheet) -> int:
        """Both files of it; returns how many rows it has."""
        count = 0
        with tempfile.TemporaryFile() as aside:  # of two files only one can be written at a time
            people = exports.Digested(aside)
            people.write(exports.BYTE_ORDER_MARK)
            writer = csv.writer(people)
            writer.writerow(sheet.head)
            with self._file(f"{sheet.name}.jsonl") as to:
                for line, cells in sheet.lines():
                    to.write(f"{canonical.encoded(line).decode()}\n")
                    writer.writerow([exports.plain(cell) for cell in cells])
                    count += 1
                    if self._size + to.size + people.size > LARGEST:
                        raise exports.TooMany(_("This is too large for a file. Take its parts from their lists."))
            aside.seek(0)
            with self._file(f"{sheet.name}.csv") as to:
                to.copy(aside)
        for kind in ("jsonl", "csv"):
            self.listed[f"{sheet.name}.{kind}"]["rows"] = count
        return count

    def told(self, what: Mapping[str, Any], ticket: Ticket, seal: Seal | None, *, is_cut: bool) -> None:
        """What says of what, by whom and when they are, and the digests of all; after the last table."""
        newest = {"number": seal.number, "digest": seal.digest, "cut_at": seal.cut_at.isoformat()} if seal else None
        manifest = {
            "format": file_check.FORMAT,
            **what,
            "by": ticket.by.audit_name,
            "at": ticket.now.astimezone(dt.UTC).isoformat(timespec="seconds"),
            "version": __version__,
            "left_out": list(ticket.left_out),
            "cut": f"These are the newest {CAP:,} rows, the most that a file may have; more fit." if is_cut else "",
            "read": _READ,
            "newest_seal": newest,
            "files": dict(self.listed),
        }
        self._text(file_check.README, _README.format(**manifest))
        self._text(file_check.MANIFEST, json.dumps(manifest, indent=1))
        self._text(file_check.SUMS, "".join(f"{said['sha256']}  {name}\n" for name, said in self.listed.items()))

    def _text(self, name: str, content: str) -> None:
        with self._file(name) as to:
            to.write(content)

    def close(self) -> None:
        self._zip.close()


def _handed_out(what: Mapping[str, Any], sheets: Sequence[_Sheet], record: Export, ticket: Ticket) -> FileResponse:
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the response closes it
    with contextlib.closing(_Archive(file, ticket.now)) as archive:
        with _one_instant(), trail.patience(PATIENCE), translation.override("en"), timezone.override(dt.UTC):
            seal = Seal.objects.first()
            record.rows = sum(archive.table(sheet) for sheet in sheets)
        archive.told(what, ticket, seal, is_cut=any(sheet.is_cut for sheet in sheets))
    file.seek(0)
    record.at, record.by = ticket.now, ticket.by
    record.sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    named = f"{slugify(ticket.called)}-{timezone.localtime(ticket.now):%Y-%m-%d-%H%M}.zip"
    return exports.handed_out(file, record, name=named, content_type="application/zip")


@contextlib.contextmanager
def _one_instant() -> Iterator[None]:
    """Inside the block every table is read as it was at the same instant, and nobody who writes has to wait."""
    is_outermost = not connection.in_atomic_block
    with _without_the_write_lock(), transaction.atomic():
        if is_outermost and connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield


@contextlib.contextmanager
def _without_the_write_lock() -> Iterator[None]:
    """Transactions that begin inside the block only read; SQLite's would keep all others from writing."""
    if connection.vendor != "sqlite":
        yield
        return
    sqlite: Any = connection
    usual, sqlite.transaction_mode = sqlite.transaction_mode, "DEFERRED"
    try:
        yield
    finally:
        sqlite.transaction_mode = usual


_READ = "All tables were read as they were at one instant, not before that of the export; later rows are in none."
_README = """\
Exported from Due Notice {version} by {by} at {at}.
All instants are in UTC. MANIFEST.json says what was asked for, and of what it is.
{read}
{cut}

TO CHECK that no file was changed, removed or added since:

    sha256sum -c SHA256SUMS
    manage.py audit verify-files <this folder or its ZIP>      (of Due Notice, with any settings; it reads no database)

That shows that these files belong together. Who made them shows the list of exports in Due Notice: the SHA-256 of the
ZIP as it was downloaded stands there, in a record that is sealed with the audit trail. MANIFEST.json names the newest
seal of the trail when they were made.

EACH TABLE is there twice: as .csv for reading, with labels and names, and as .jsonl for programs, one JSON object a
line, with every value as it is stored. In a .csv a text that begins like a formula has an apostrophe before it.
The bodies of notices stand without the link by which a client confirms; "digests" holds their SHA-256 as they are
sealed. A body that was given up is empty: "given_up" says since when, and its digest is the one that was kept.
"""
