"""Whether the trail is what was sealed, and the live rows are what the trail says: read whole, changing nothing.

What it finds names the row. It tells what was changed, removed or slipped in after it was sealed, what bears an instant
from before its seal, seals that were altered, removed or made with a key that is not ours, and live rows that differ
from their newest history row, as raw SQL and `.update()` leave them.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.db import connection, models
from django.db.models import Exists, Max, OuterRef

from config import times
from config.audit import append_only, canonical, cuts, seals, sources
from config.history import AuditedModel
from config.models.seal import Seal, SealedRange

#: How much earlier than the cut before it the instant of a row may be: a statement waits for the sealer, clocks step.
BACKWARDS = dt.timedelta(seconds=5)
#: The same for instants that the program writes, of what took its time before it was recorded.
BACKWARDS_BY_PROGRAM = dt.timedelta(minutes=15)
NAMED = 100  # findings of one kind in one table; the rest is counted
TOGETHER = 20_000  # rows of one table, or ranges, that are read at once
GAP = seals.PATIENCE  # without a seal: told, for nothing shows what the rows looked like meanwhile


@dataclass(frozen=True)
class Finding:
    """Something that is not as it was. Those without a seal come last; `where` names model, key and object."""

    seal: int | None
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" + (f" (seal {self.seal})" if self.seal is not None else "")


@dataclass
class Report:
    """What was read and found. `findings` begin with the first row that is wrong, in the order of the seals."""

    newest: Seal | None = None
    seals: int = 0
    rows: int = 0
    waiting: int = 0  # rows that no seal holds yet
    compared: int = 0  # live rows
    gaps: list[tuple[dt.datetime, dt.datetime]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    more: Counter[str] = field(default_factory=Counter)  # not listed, by table


#: Told the rows read so far, and how many there are.
Progress = Callable[[int, int], None]
#: A look at the records of a floor above, for what is not sealed by its key: yields findings.
Check = Callable[[], Iterator[Finding]]

_checks: list[Check] = []


def register(check: Check) -> Check:
    _checks.append(check)
    return check


def verify(progress: Progress = lambda done, total: None) -> Report:
    """Read all of it, in bounded memory. Writers may go on meanwhile."""
    report = Report(newest=Seal.objects.first())
    _walk(report, _triggers())
    if report.newest is not None:
        _walk(report, _chain(report, report.newest.number))
        for table, known in _tables():
            _walk(report, _rows(report, table, known, report.newest, progress))
    for model in sources.audited():
        _walk(report, _live(report, model))
    for check in _checks:
        _walk(report, check())
    report.waiting = _waiting()
    report.findings.sort(key=lambda found: (found.seal is None, found.seal or 0))
    return report


def _walk(report: Report, findings: Iterable[Finding]) -> None:
    """Lists the first of them and counts the others."""
    for number, found in enumerate(findings):
        if number < NAMED:
            report.findings.append(found)
        else:
            report.more[found.where.partition(" ")[0]] += 1


def _triggers() -> Iterator[Finding]:
    for name in (*append_only.missing(connection), *cuts.missing(connection)):
        yield Finding(None, name, "this trigger is not there, or is switched off. `manage.py migrate` puts it back.")


# ── the chain ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _chain(report: Report, newest: int) -> Iterator[Finding]:
    """Each seal is signed, names the one before it, and goes on where that one ended."""
    known, unknown_keys = canonical.keys(), set()
    before: Seal | None = None
    whole_at: dt.datetime | None = None
    total, upto = 0, dict[str, int]()
    for seal, ranges in _seals_with_ranges(newest):
        report.seals += 1
        where = f"Seal {seal.number} of {_shown(seal.cut_at)}"
        expected = before.number + 1 if before else 1
        if seal.number != expected:
            missing = f"Seal {expected}" + (f" to {seal.number - 1}" if seal.number - 1 > expected else "")
            yield Finding(expected, missing, "removed")
            total, whole_at, upto = seal.total - seal.rows, seal.since_at, {}
        elif seal.previous != (before.digest if before else ""):
            yield Finding(seal.number, where, "it does not name the seal before it: one of the two is not the original")
        if seal.key not in known:
            if seal.key not in unknown_keys:
                unknown_keys.add(seal.key)
                yield Finding(
                    seal.number,
                    where,
                    f"made with the key {seal.key}, which is neither SEAL_KEY nor one of SEAL_KEY_FALLBACKS; nothing "
                    "that was sealed with it can be checked",
                )
        elif seal.digest != seals.digest(seal, ranges):
            yield Finding(seal.number, where, "altered: it, or the list of rows that belongs to it")
        elif seal.mac != seals.signature(seal):
            yield Finding(seal.number, where, "forged: its signature is not by the key that it names")
        elif problem := _out_of_step(seal, ranges, total, whole_at, upto):
            yield Finding(seal.number, where, problem)
        upto |= {part.table: part.upto for part in ranges}
        if before is not None and seal.cut_at - before.cut_at > GAP:
            report.gaps.append((before.cut_at, seal.cut_at))
        total, whole_at = seal.total, seal.cut_at if seal.is_whole else whole_at
        before = seal
    strays = SealedRange.objects.filter(~Exists(Seal.objects.filter(pk=OuterRef("seal_id"))))
    for part in strays.order_by("pk")[:NAMED]:
        yield Finding(part.seal_id, f"The range {part}", "it says that rows are sealed, and there is no such seal")


def _out_of_step(
    seal: Seal, ranges: list[SealedRange], total: int, whole_at: dt.datetime | None, upto: dict[str, int]
) -> str:
    """What a seal says that is rightly signed, and does not go with those before it."""
    if seal.since_at != whole_at or seal.total != total + seal.rows:
        return "its counts or instants do not go with the seals before it"
    if whole_at is not None and seal.cut_at < whole_at - BACKWARDS:
        return "cut before the seal before it: the clock of the database was set back"
    for part in ranges:
        if part.table in upto and part.after != upto[part.table]:
            return f"it does not go on where {part.table} was sealed before"
    return ""


def _seals_with_ranges(newest: int) -> Iterator[tuple[Seal, list[SealedRange]]]:
    """By number."""
    parts = SealedRange.objects.filter(seal__lte=newest).order_by("seal_id", "table").iterator(chunk_size=500)
    by_seal = itertools.groupby(parts, key=lambda part: part.seal_id)
    number, ranges = next(by_seal, (None, iter(())))
    for seal in Seal.objects.filter(number__lte=newest).order_by("number").iterator(chunk_size=2000):
        while number is not None and number < seal.number:
            number, ranges = next(by_seal, (None, iter(())))
        if number == seal.number:
            yield seal, list(ranges)
        else:
            yield seal, []


# ── the rows ────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _Sealed:
    """A range with what of its seal its rows have to go with."""

    seal: int
    by: str
    after: int | None
    upto: int
    rows: int
    columns: str
    digests: bytes
    since_at: dt.datetime | None
    cut_at: dt.datetime


def _tables() -> Iterator[tuple[str, type[models.Model] | None]]:
    """Every table that anything was sealed of."""
    known = {model._meta.label_lower: model for model in sources.sealed()}
    found: str | None = ""
    while found := SealedRange.objects.filter(table__gt=found).aggregate(next=models.Min("table"))["next"]:
        yield found, known.get(found)


def _rows(
    report: Report, table: str, model: type[models.Model] | None, newest: Seal, progress: Progress
) -> Iterator[Finding]:
    if model is None:
        yield Finding(None, table, "rows were sealed of it, and it is not there any more")
        return
    told: set[str] = set()
    known = canonical.keys()
    for group in _together(_ranges_of(table, newest.number)):
        first = group[0]
        if first.by in known:
            try:
                form = canonical.Form(model, first.columns, first.by)
            except canonical.ColumnGone as gone:
                if str(gone) not in told:
                    told.add(str(gone))
                    yield Finding(first.seal, table, f"sealed with {gone}, which this version has no more")
            else:
                yield from _compared(model, form, group)
        report.rows += sum(part.rows for part in group)
        progress(report.rows, newest.total)


def _ranges_of(table: str, newest: int) -> Iterator[_Sealed]:
    rows = SealedRange.objects.filter(table=table, seal__lte=newest).order_by("upto", "seal_id")
    columns = ("seal", "seal__key", "after", "upto", "rows", "columns", "digests", "seal__since_at", "seal__cut_at")
    for row in rows.values_list(*columns).iterator(chunk_size=500):
        yield _Sealed(*row)


def _together(ranges: Iterator[_Sealed]) -> Iterator[list[_Sealed]]:
    """Ranges that follow each other and are of the same form, so that many a small one is read in one query."""
    group: list[_Sealed] = []
    size = 0
    for part in ranges:
        if group and (
            size >= TOGETHER
            or len(group) >= TOGETHER
            or (part.columns, part.by, part.after) != (group[0].columns, group[0].by, group[-1].upto)
        ):
            yield group
            group, size = [], 0
        group.append(part)
        size += part.rows
    if group:
        yield group


def _compared(model: type[models.Model], form: canonical.Form, group: list[_Sealed]) -> Iterator[Finding]:
    """Both lists are by key: what was sealed, and what is there."""
    is_dated_by_database = canonical.instant_of(model) == "history_date"
    backwards = BACKWARDS if is_dated_by_database else BACKWARDS_BY_PROGRAM
    is_dated = not settings.DEMO  # whose world is made with a past
    there = form.digests(group[0].after, group[-1].upto)
    row = next(there, None)
    for part in group:
        since = canonical.instant(part.since_at and part.since_at - backwards)
        until = canonical.instant(part.cut_at + backwards)
        for key, digest in _listed(part.digests):
            while row is not None and row[0] < key:
                yield _found(model, row[0], part, "slipped in after this range of keys was sealed")
                row = next(there, None)
            if row is None or row[0] != key:
                yield _found(model, key, part, "removed after it was sealed")
                continue
            if row[1] != digest:
                yield _found(model, key, part, "changed after it was sealed")
            elif is_dated and row[2]:
                if row[2] < since:
                    said = f"says that it is of {row[2]}, and was not there at {_shown(part.since_at)}"
                    yield _found(model, key, part, f"slipped into the past: it {said}")
                elif row[2] > until:
                    yield _found(model, key, part, f"dated after its seal: it says that it is of {row[2]}")
            row = next(there, None)
    while row is not None:
        yield _found(model, row[0], group[-1], "slipped in after this range of keys was sealed")
        row = next(there, None)


def _listed(digests: bytes) -> Iterator[tuple[int, bytes]]:
    """As far as it can be read: that it was altered, its seal tells."""
    return seals.ROW.iter_unpack(digests[: len(digests) // seals.ROW.size * seals.ROW.size])


def _found(model: type[models.Model], key: int, part: _Sealed, what: str) -> Finding:
    return Finding(part.seal, _named(model, key), f"{what}, at {_shown(part.cut_at)}" if "sealed" in what else what)


def _named(model: type[models.Model], key: int) -> str:
    """incidents.HistoricalIncident 17, of “INC-2026-0007 …”."""
    name = f"{model._meta.label} {key}"
    row = model._base_manager.filter(pk=key).first()
    origin: Any = getattr(model, "instance_type", None)
    if row is not None and origin is not None and hasattr(row, origin._meta.pk.attname):
        of = getattr(row, origin._meta.pk.attname)
        row = origin._base_manager.filter(pk=of).first()
        name = f"{name}, of {origin._meta.verbose_name} {of}"
    return f"{name}, “{row}”" if row is not None else name


def _waiting() -> int:
    """How many rows no seal holds, counted up to a limit."""
    upto, waiting = seals.sealed_up_to(), 0
    for model in sources.sealed():
        rows = model._base_manager.filter(pk__gt=upto[model._meta.label_lower] or 0)
        waiting += rows.order_by("pk")[: seals.ROWS].count()
    return waiting


# ── the live rows ───────────────────────────────────────────────────────────────────────────────────────────────────


def _live(report: Report, model: type[AuditedModel]) -> Iterator[Finding]:
    """Each live row is what its newest history row says, and each history row that is no end has its live row.

    Where rows are made without a history, only what is frozen is compared.
    """
    history = sources.history_of(model)
    fields = [
        field
        for field in model._meta.concrete_fields
        if field.name in {copied.name for copied in history._meta.concrete_fields}
        and not field.primary_key
        and field.name not in model.SILENT_FIELDS
        and (not model.FROZEN or field.name in model.FROZEN)
    ]
    report.compared += model._base_manager.count()
    for key, kind, *differs in _differing(model, history, fields):
        if kind is None:
            if not model.FROZEN:
                yield Finding(None, _live_name(model, key), "there is no history of it: written past the trail")
        elif kind == "-":
            yield Finding(None, _live_name(model, key), "its history says that it was removed: put back past the trail")
        else:
            names = ", ".join(field.name for field, is_other in zip(fields, differs, strict=True) if is_other)
            yield Finding(None, _live_name(model, key), f"differs from its newest history row: {names}")
    for key, row in _vanished(model, history):
        yield Finding(None, f"{model._meta.label} {key}", f"removed past the trail; its newest history row is {row}")
    yield from _relations(model, history)


_NEWEST = "(SELECT {pk} AS pk, MAX(history_id) AS history_id FROM {history} GROUP BY {pk})"
_DIFFERING = (
    "SELECT l.{pk}, h.history_type, {tests} FROM {live} AS l "
    "LEFT JOIN {newest} AS n ON n.pk = l.{pk} LEFT JOIN {history} AS h ON h.history_id = n.history_id "
    "WHERE h.history_type IS NULL OR h.history_type = '-' OR {any} ORDER BY l.{pk}"
)
_VANISHED = (
    "SELECT n.pk, n.history_id FROM {newest} AS n JOIN {history} AS h ON h.history_id = n.history_id "
    "LEFT JOIN {live} AS l ON l.{pk} = n.pk WHERE l.{pk} IS NULL AND h.history_type <> '-' ORDER BY n.pk"
)


def _names(model: type[models.Model], history: type[models.Model]) -> dict[str, str]:
    quote = connection.ops.quote_name
    names = {"live": model._meta.db_table, "history": history._meta.db_table, "pk": str(model._meta.pk.column)}
    quoted = {name: quote(value) for name, value in names.items()}
    return {**quoted, "newest": _NEWEST.format(**quoted)}


def _differing(
    model: type[models.Model], history: type[models.Model], fields: list[models.Field[Any, Any]]
) -> Iterator[tuple[Any, ...]]:
    """(key, kind of the newest history row, for each field whether it differs), where anything does."""
    quote = connection.ops.quote_name
    other = "IS DISTINCT FROM" if connection.vendor == "postgresql" else "IS NOT"
    tests = [f"(l.{column} {other} h.{column})" for column in (quote(str(field.column)) for field in fields)]
    names = {**_names(model, history), "tests": ", ".join(tests), "any": " OR ".join(tests)}
    yield from _asked(_DIFFERING.format(**names))


def _vanished(model: type[models.Model], history: type[models.Model]) -> Iterator[tuple[Any, ...]]:
    """(key, newest history row) of what its history says is there and is not."""
    yield from _asked(_VANISHED.format(**_names(model, history)))


def _relations(model: type[models.Model], history: type[Any]) -> Iterator[Finding]:
    """Who has which role, too, is as the newest history row says."""
    kept = {link.related_model.instance_type: link.related_model for link in history._meta.related_objects}
    for relation in history._history_m2m_fields:
        through: Any = relation.remote_field.through
        pair = [f"{name}_id" for name in (relation.m2m_field_name(), relation.m2m_reverse_field_name())]
        newest = history._base_manager.values(model._meta.pk.attname).annotate(newest=Max("history_id"))
        said = set(kept[through]._base_manager.filter(history__in=newest.values("newest")).values_list(*pair))
        there = set(through._base_manager.values_list(*pair))
        what = relation.remote_field.model._meta.verbose_name
        for key, other in sorted(there ^ said):
            told = "given" if (key, other) in there else "taken away"
            yield Finding(None, _live_name(model, key), f"{what} {other} was {told} past the trail")


def _live_name(model: type[models.Model], key: int) -> str:
    row = model._base_manager.filter(pk=key).first()
    return f"{model._meta.label} {key}, “{row}”" if row is not None else f"{model._meta.label} {key}"


def _asked(question: str) -> Iterator[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(question)
        while rows := cursor.fetchmany(500):
            yield from rows


def _shown(instant: Any) -> str:
    return times.in_zone(instant, "UTC")
