"""Data in and out: each kind of rows as a table with fixed columns, exported and imported in the same ones.

An import is one transaction and one act: every row through its model's own checks and its own save, or none at all. It
adds and changes; it removes nothing. A row that says what is there already is left alone, so that the same file
imported twice changes nothing. The dry run is the import itself, undone.
"""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import IntegrityError, connection, models, transaction
from django.http import FileResponse
from django.utils.functional import Promise
from django.utils.text import capfirst
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from config import exports, scope
from config.audit import events
from config.fields import validate_prose
from config.forms import EARLIEST, LATEST
from config.history import acting
from config.models import EventKind, User
from config.sheets import Line, Sheet

MOST_PROBLEMS = 100  # told at once; whoever has more mends the cause first
YES, NO = "yes", "no"
_YES, _NO = {YES, "y", "true", "1", "x"}, {NO, "n", "false", "0"}
LOCK = 7_311_042_117  # beside that of config/audit/cuts.py
REHEARSAL = "Dry run of an import."  # kept nowhere

# ── columns ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of a file. `field` is that of the row that it fills; without one, its kind reads the cell itself."""

    name: str
    help: str | Promise
    example: str = ""
    field: str = ""
    is_needed: bool = False  # for a new row
    read: Callable[[str], Any] = str
    write: Callable[[Any], str] = str  # of the field's value; without a field, of the row


def of(model: type[models.Model], field: str, *, example: str = "", name: str = "", **options: Any) -> Column:
    """The column of a plain field, with its own words as the description."""
    found: Any = model._meta.get_field(field)
    is_needed = not found.blank and not found.null and not found.has_default() and found.editable
    return Column(
        name=name or field,
        field=field,
        example=example,
        read=lambda text: _read(found, text),
        write=_written,
        **{"help": _described(found), "is_needed": is_needed, **options},
    )


def _described(found: Any) -> str:
    words = [f"{capfirst(found.verbose_name)}."]
    if found.help_text:
        words.append(str(found.help_text))
    if found.choices:
        words.append(_now("One of: %(values)s.") % {"values": _values(found)})
    elif isinstance(found, models.DateTimeField):
        words.append(str(WITH_ITS_ZONE))
    elif isinstance(found, models.BooleanField):
        words.append(_now("Yes or no."))
    return " ".join(words)


WITH_ITS_ZONE = _("Date and time with their offset from UTC, for example 2026-03-31T14:05:00+02:00.")


def _values(found: Any) -> str:
    return ", ".join(str(value) for value, _label in found.flatchoices)


def _read(found: Any, text: str) -> Any:
    """The field's value for what stands in the cell. Raises ValidationError."""
    if not text:
        return found.get_default()
    if found.choices:
        for value, _label in found.flatchoices:
            if str(value).casefold() == text.casefold():
                return value
        raise ValidationError(_("“%(text)s” is none of: %(values)s."), params={"text": text, "values": _values(found)})
    match found:
        case models.BooleanField():
            return yes_or_no(text)
        case models.DateTimeField():
            return instant(text)
        case _:
            return found.to_python(text)


def yes_or_no(text: str) -> bool:
    if text.casefold() in _YES | _NO:
        return text.casefold() in _YES
    raise ValidationError(_("Write yes or no."))


def instant(text: str) -> dt.datetime:
    try:
        found = dt.datetime.fromisoformat(text)
        if found.tzinfo is not None and EARLIEST <= found <= LATEST:
            return found.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        pass
    raise ValidationError(_("“%(text)s” is no instant. %(form)s"), params={"text": text, "form": WITH_ITS_ZONE})


def _written(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return YES if value else NO
        case dt.datetime():
            return value.astimezone(dt.UTC).isoformat()
        case dt.time() if not value.second and not value.microsecond:
            return value.isoformat(timespec="minutes")
        case dt.date() | dt.time():
            return value.isoformat()
        case _:
            return str(value)


# several names in one cell: with semicolons, and quotation marks around a name that has one itself


def names_in(text: str) -> list[str]:
    try:
        found = next(csv.reader([text], delimiter=";", skipinitialspace=True, strict=True), [])
    except csv.Error as error:
        raise ValidationError(_("Part the names with semicolons.")) from error
    return [name.strip() for name in found if name.strip()]


def names_out(names: Iterable[str]) -> str:
    out = io.StringIO()
    csv.writer(out, delimiter=";", lineterminator="").writerow(list(names))
    return out.getvalue()


# what a spreadsheet would run stands behind an apostrophe (config/exports.py), and so does what looks as if it did


def _hides_a_formula(text: str) -> bool:
    return text.startswith("'") and text.lstrip("'").startswith(exports.FORMULA_STARTS)


def escaped(text: str) -> str:
    return f"'{text}" if _hides_a_formula(text) else text


def unescaped(text: str) -> str:
    return text[1:] if _hides_a_formula(text) else text


# ── what became of a file ───────────────────────────────────────────────────────────────────────────────────────────


class Verdict(models.TextChoices):
    ADDED = "added", _("Added")
    CHANGED = "changed", _("Changed")
    SAME = "same", _("As it is already")


@dataclass(frozen=True)
class Taken:
    """What one line does."""

    line: int
    verdict: Verdict
    what: str
    changed: tuple[str, ...] = ()  # columns


@dataclass(frozen=True)
class Problem:
    """Why one line cannot be taken; `column` is empty where it is about the whole line."""

    line: int
    column: str
    sentence: str


@dataclass
class Report:
    taken: list[Taken] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    @property
    def counts(self) -> Counter[Verdict]:
        return Counter(one.verdict for one in self.taken)

    @property
    def added(self) -> int:
        return self.counts[Verdict.ADDED]

    @property
    def changed(self) -> int:
        return self.counts[Verdict.CHANGED]

    @property
    def same(self) -> int:
        return self.counts[Verdict.SAME]

    @property
    def does(self) -> list[Taken]:
        """The lines that do something."""
        return [one for one in self.taken if one.verdict != Verdict.SAME]

    @property
    def is_cut_off(self) -> bool:
        return len(self.problems) >= MOST_PROBLEMS

    @property
    def digest(self) -> str:
        """Of what it does: two that are equal do the same."""
        return hashlib.sha256(
            repr([(one.line, one.verdict.value, one.changed) for one in self.taken]).encode()
        ).hexdigest()


class NotDone(ValidationError):
    """Nothing was imported: the report says why, or that it would do something else than was shown."""

    def __init__(self, report: Report) -> None:
        self.report = report
        super().__init__(
            _("Something in the file cannot be imported. Nothing was changed.")
            if report.problems
            else _("What the import would do has changed since it was shown. Read it, and press the button again.")
        )


# ── a kind of rows ──────────────────────────────────────────────────────────────────────────────────────────────────


class Kind:
    """Rows of one model as a table. One object takes one file, and knows what came before each line."""

    do_not_call_in_templates = True
    slug: ClassVar[str]
    label: ClassVar[str | Promise]
    model: ClassVar[type[models.Model]]
    #: What tells one row from another, in a sentence; and what else a reader of the page should know.
    identity: ClassVar[str | Promise]
    remarks: ClassVar[Sequence[str | Promise]] = ()
    to_import: ClassVar[Sequence[str]]  # permissions
    to_export: ClassVar[str]
    #: Fields whose errors are told in the column of another name.
    told_in: ClassVar[Mapping[str, str]] = {}

    def __init__(self, by: User, now: dt.datetime) -> None:
        self.by = by
        self.now = now
        self._lines: dict[object, int] = {}

    # what each kind says

    @classmethod
    def columns(cls) -> Sequence[Column]:
        """In their order; made anew, as they are described in the reader's language."""
        raise NotImplementedError

    def rows(self) -> Iterable[Any]:
        """What is exported, in an order in which it can be imported."""
        raise NotImplementedError

    def find(self, values: Mapping[str, Any]) -> Any:
        """The row that is there already, locked; or None. By its name, where its kind says nothing else."""
        return found(self.model._default_manager.all(), name=values.get("name"))

    def key(self, values: Mapping[str, Any]) -> object:
        """What no two lines of a file may have in common: the name, where its kind says nothing else."""
        return values.get("name")

    def parts(self, row: Any, cells: Mapping[str, str], *, is_new: bool) -> Iterator[str]:
        """Saves what hangs on the row; the columns that changed something."""
        return iter(())

    def finish(self) -> Iterator[Problem]:
        """What only the whole file shows."""
        return iter(())

    # what all do

    @classmethod
    def may_import(cls, user: Any) -> bool:
        """Whoever is limited to some clients may not: a file can touch any."""
        return scope.clients_of(user) is None and all(user.has_perm(name) for name in cls.to_import)

    @classmethod
    def may_export(cls, user: Any) -> bool:
        return bool(user.has_perm(cls.to_export))

    @classmethod
    def names(cls) -> list[str]:
        return [column.name for column in cls.columns()]

    def values(self, cells: Mapping[str, str]) -> dict[str, Any]:
        """By field, of the cells that the file has. Raises ValidationError with all that is wrong with them."""
        found, wrong = {}, {}
        for column in self.columns():
            if column.name in cells:
                try:
                    validate_prose(cells[column.name])  # before the database is asked about what it could not keep
                    if column.field:
                        found[column.field] = column.read(cells[column.name])
                except ValidationError as error:
                    wrong[column.field or column.name] = error
        if wrong:
            raise ValidationError(wrong)
        return found

    def take(self, line: Line) -> Taken:
        """Save what the line says, if that is not so already. Raises ValidationError by field."""
        cells = {name: unescaped(text) for name, text in line.cells.items()}
        values = self.values(cells)
        self.refuse_twice(self.key(values), line)
        row = self.find(values)
        is_new = row is None
        if is_new:
            self._refuse_gaps(cells)
            row = self.model()
        changed = set_values(row, values)
        if is_new or changed:
            self.check(row, is_new=is_new)
            save(row)
        changed += self.parts(row, cells, is_new=is_new)
        verdict = Verdict.ADDED if is_new else Verdict.CHANGED if changed else Verdict.SAME
        told = () if is_new else tuple(dict.fromkeys(self._column(name) for name in changed))
        return Taken(line.number, verdict, str(row), told)

    def check(self, row: Any, *, is_new: bool) -> None:
        """Refuses by ValidationError what the model itself would allow."""

    def refuse_twice(self, key: object, line: Line) -> None:
        first = self._lines.setdefault(key, line.number)
        if first != line.number:
            raise ValidationError(_("Line %(line)s is about the same. Keep one of the two."), params={"line": first})

    def _refuse_gaps(self, cells: Mapping[str, str]) -> None:
        gaps = [column for column in self.columns() if column.is_needed and not cells.get(column.name)]
        if gaps:
            raise ValidationError({column.field or column.name: _("A new row needs this.") for column in gaps})

    def _column(self, name: str) -> str:
        if name in self.told_in:
            return self.told_in[name]
        return next((column.name for column in self.columns() if column.field == name), name)

    def problems(self, line: int, error: ValidationError) -> Iterator[Problem]:
        if not hasattr(error, "error_dict"):
            error = ValidationError({NON_FIELD_ERRORS: error})
        for name, sentences in error.message_dict.items():
            column = "" if name == NON_FIELD_ERRORS else self._column(name)
            yield from (Problem(line, column, sentence) for sentence in sentences)

    def written(self, row: Any) -> list[str]:
        """Its cells."""
        return [escaped(column.write(getattr(row, column.field) if column.field else row)) for column in self.columns()]


def save(row: models.Model) -> None:
    """Save what passes its model's own checks; those that the database makes are asked only where it refuses.

    Each of them is a question of its own, and together they took longer than all the rest of an import.
    """
    row.full_clean(validate_constraints=False)
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError:
        row.full_clean()  # says which it was
        raise


def set_values(row: Any, values: Mapping[str, Any]) -> list[str]:
    """Set what differs; the names of those. Line breaks of another machine are no difference."""
    changed = [name for name, value in values.items() if not _is_same(getattr(row, name, None), value)]
    for name in changed:
        setattr(row, name, values[name])
    return changed


def _is_same(old: object, new: object) -> bool:
    if isinstance(old, str) and isinstance(new, str):
        return "\n".join(old.splitlines()) == "\n".join(new.splitlines())
    return old == new


def found(rows: models.QuerySet[Any], **values: Any) -> Any:
    """The one row with these values, locked so that nobody changes it meanwhile; or None."""
    return rows.select_for_update(of=("self",), no_key=True).filter(**values).order_by("pk").first()


KINDS: dict[str, type[Kind]] = {}


def register(kind: type[Kind]) -> type[Kind]:
    """Decorator: the page offers it, in the order in which they are registered."""
    KINDS[kind.slug] = kind
    return kind


# ── in ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def rehearse(kind: type[Kind], sheet: Sheet, *, by: User, now: dt.datetime) -> Report:
    """What importing it would do: done, told, and undone."""
    with transaction.atomic(), acting(by, reason=REHEARSAL):
        report = _take(kind(by, now), sheet)
        transaction.set_rollback(True)
    return report


def carry_out(
    kind: type[Kind], sheet: Sheet, *, by: User, reason: str, seen: str, name: str, now: dt.datetime
) -> Report:
    """Import it as one act, if it does what was seen (the digest of its dry run). Raises NotDone, or why it may not."""
    if not reason.strip():
        raise ValidationError({"reason": _("Say why this is imported; the reason is kept in the audit trail.")})
    with transaction.atomic(), acting(by, reason=reason):
        report = _take(kind(by, now), sheet)
        if report.problems or report.digest != seen:
            raise NotDone(report)
        if report.does:
            events.record(
                EventKind.IMPORTED,
                what=kind.slug,
                file=name,
                added=report.added,
                changed=report.changed,
                same=report.same,
            )
    return report


def _wait_for_other_imports() -> None:
    """Until this transaction ends there is no other: two with the same rows in another order would wait for each other.

    SQLite has one writer anyway.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])


def _take(kind: Kind, sheet: Sheet) -> Report:
    """One line after the other, each in a savepoint of its own, so that all that is wrong is found at once."""
    _wait_for_other_imports()
    report = Report()
    for line in sheet.lines:
        try:
            with transaction.atomic():
                report.taken.append(kind.take(line))
        except ValidationError as error:
            report.problems += kind.problems(line.number, error)
        except IntegrityError:
            report.problems.append(Problem(line.number, "", _now("The database refuses this line as it stands.")))
        if report.is_cut_off:
            return report
    if not report.problems:
        report.problems += kind.finish()
    return report


# ── out ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def export(kind: type[Kind], form: exports.Form = exports.CSV, *, by: User, now: dt.datetime) -> FileResponse:
    """What this person sees of it as a file to download, recorded as an export. Raises TooMany."""
    told = lines(kind, by=by, now=now)
    query = f"data={kind.slug}"
    return exports.table(told, of=kind.model, called=kind.slug, query=query, by=by, now=now, form=form)


def lines(kind: type[Kind], *, by: User, now: dt.datetime) -> Iterator[list[str]]:
    yield kind.names()
    one = kind(by, now)
    for number, row in enumerate(one.rows()):
        if number >= exports.CAP:
            raise exports.TooMany(_("There are more than %(most)d rows, too many for a file.") % {"most": exports.CAP})
        yield one.written(row)


def template(kind: type[Kind]) -> str:
    """An empty file with one example, as CSV."""
    out = io.StringIO()
    out.write(exports.BYTE_ORDER_MARK)
    csv.writer(out).writerows([kind.names(), [column.example for column in kind.columns()]])
    return out.getvalue()
