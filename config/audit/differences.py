"""What history rows changed, as people read it: labels not codes, names not numbers, instants with their zones.

Of many rows at once, of any models: what was before them takes one query for each model, and so do the names of what
they refer to.
"""

from __future__ import annotations

import datetime as dt
import functools
import json
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.db import models
from django.db.models import OuterRef, Subquery
from django.utils.formats import date_format, time_format
from django.utils.text import Truncator, capfirst
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from config import times
from config.audit import sources, words
from config.audit.names import Names, attname_of, related_model, relations_named
from config.audit.words import Piece
from config.erased import ERASED, shown

NOTHING = "–"
#: A text longer than this, or of more than one line, is compared word by word.
LONG = 80
#: Characters of a value in a sentence.
IN_A_SENTENCE = 60

_DONE = {"+": _("Added"), "~": _("Changed"), "-": _("Removed")}


@dataclass(frozen=True)
class FieldChange:
    """What a field held before and after; of a long text, `pieces` tell the two word by word."""

    name: str
    label: str
    old: str
    new: str
    pieces: tuple[Piece, ...] = ()


@dataclass(frozen=True)
class Difference:
    """What one row of the trail tells: of what was added its first values, of what was removed its last ones."""

    row: Any
    model: type[models.Model]
    subject: str
    changes: list[FieldChange]

    @property
    def kind(self) -> str:
        """`+`, `~` or `-`; a row of a table to which rows are only added tells that it was added."""
        return getattr(self.row, "history_type", "+")

    @property
    def done(self) -> str:
        return str(_DONE[self.kind])

    @property
    def thing(self) -> str:
        return capfirst(str(self.model._meta.verbose_name))

    def only(self, field: str) -> Difference:
        """What it tells of this field; of all, if none is named."""
        return replace(self, changes=[change for change in self.changes if change.name == field]) if field else self

    def in_words(self) -> str:
        """In one line: "Severity: Major → Critical. Title: …"."""
        return " ".join(
            _now("%(field)s: %(old)s → %(new)s.")
            % {
                "field": change.label,
                "old": Truncator(change.old).chars(IN_A_SENTENCE),
                "new": Truncator(change.new).chars(IN_A_SENTENCE),
            }
            for change in self.changes
        )


def model_of(row: Any) -> type[models.Model]:
    """What this row tells of."""
    return getattr(row, "instance_type", type(row))


def of(rows: Sequence[Any], *, beside: str = "UTC") -> list[Difference]:
    """One for each row, in their order. Instants are in the reader's zone and, where that differs, in the one beside.

    Rows may be of the history of any models, and of tables to which rows are only added.
    """
    before = _before(rows)
    pairs = [(row, before.get(_key(row))) for row in rows]
    related = _related([*rows, *before.values()])
    teller = _Teller(Names(_wanted(pairs, related, _told)), related, beside)
    return [teller.tell(row, earlier) for row, earlier in pairs]


def held(rows: Sequence[Any], *, below: type[models.Model], beside: str = "UTC") -> list[Difference]:
    """As `of`, but each row tells all that it keeps: how the thing stood after it. They are shown below a `below`."""
    fields = functools.partial(_kept, below=below)
    related = _related(rows)
    teller = _Teller(Names(_wanted([(row, None) for row in rows], related, fields)), related, beside)
    return [teller.held(row, fields(row)) for row in rows]


Key = tuple[type[models.Model], Any]


def _key(row: Any) -> Key:
    return type(row), row.pk


def _before(rows: Sequence[Any]) -> dict[Key, Any]:
    """The row before each that tells of a change, where there is one; one query for each model."""
    changed: dict[Any, list[Any]] = defaultdict(list)
    for row in rows:
        if getattr(row, "history_type", "+") == "~":
            changed[type(row)].append(row)
    found = {}
    for history, later in changed.items():
        key = model_of(later[0])._meta.pk.attname
        earlier = defaultdict(list)
        for row in _newest_before(history, key, [row.pk for row in later]):
            earlier[getattr(row, key)].append(row)
        for row in later:
            candidates = [one for one in earlier[getattr(row, key)] if one.pk < row.pk]
            if candidates:
                found[_key(row)] = max(candidates, key=lambda one: one.pk)
    return found


def _newest_before(history: Any, key: str, pks: Collection[int]) -> Any:
    earlier = history.objects.filter(**{key: OuterRef(key)}, history_id__lt=OuterRef("history_id"))
    newest = earlier.order_by("-history_id").values("history_id")[:1]
    asked = history.objects.filter(pk__in=pks).order_by()
    return history.objects.filter(pk__in=asked.annotate(before=Subquery(newest)).values("before"))


#: The numbers of what each row is related to, by the name of the many-to-many field.
Related = Mapping[Key, Mapping[str, Sequence[Any]]]


def _many(row: Any) -> Sequence[Any]:
    return getattr(row, "_history_m2m_fields", ())


def _related(rows: Sequence[Any]) -> Related:
    """One query for each many-to-many field that a history keeps."""
    pks: dict[Any, list[Any]] = defaultdict(list)
    for row in rows:
        if _many(row):
            pks[type(row)].append(row.pk)
    found: dict[Key, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for history, wanted in pks.items():
        for field in _many(history):
            through = getattr(history, field.name).model
            column = f"{field.m2m_reverse_field_name()}_id"
            for pk, related in through.objects.filter(history__in=wanted).values_list("history_id", column):
                found[history, pk][field.name].append(related)
    return found


def _wanted(
    pairs: Sequence[tuple[Any, Any]], related: Related, fields: Callable[[Any, Any], list[Any]]
) -> dict[type[models.Model], set[Any]]:
    """Whose names are needed: what the told foreign keys refer to, and what the names of the rows are made of."""
    found: dict[type[models.Model], set[Any]] = defaultdict(set)
    for row, before in pairs:
        model = model_of(row)
        for name in relations_named(model):
            found[related_model(model, name)].add(getattr(row, attname_of(model, name)))
        for field in fields(row, before):
            if field.is_relation:
                for side in (row, before):
                    found[field.related_model] |= set(_pks(field, side, related))
    return found


def _pks(field: Any, side: Any, related: Related) -> Sequence[Any]:
    if side is None:
        return ()
    if field.many_to_many:
        return related.get(_key(side), {}).get(field.name, ())
    pk = getattr(side, field.attname)
    return () if pk is None else (pk,)


def _told(row: Any, before: Any) -> list[Any]:
    """The fields that the row tells of: those that it names as changed; of what was added or removed, all it keeps."""
    kept = [field for field in model_of(row)._meta.concrete_fields if hasattr(row, field.attname)]
    if names := getattr(row, "changed_names", ()):
        return [field for field in [*kept, *_many(row)] if field.name in names]
    if before is not None:
        return [field for field in kept if getattr(row, field.attname) != getattr(before, field.attname)]
    return _kept(row)


def _kept(row: Any, _before: Any = None, *, below: type[models.Model] | None = None) -> list[Any]:
    """Its fields, without its number and its whole, which stand above it, and tokens, which say nothing to anybody."""
    model = model_of(row)
    part_of = "" if below not in (None, sources.whole_of(model)) else getattr(model, "PART_OF", "")
    plain = [
        field
        for field in model._meta.concrete_fields
        if hasattr(row, field.attname)
        and not (field.primary_key or field.name == part_of or isinstance(field, models.UUIDField))
    ]
    return [*plain, *_many(row)]


@functools.cache
def _fields_of(model: type[models.Model]) -> list[Any]:
    return _kept(sources.history_of(model)())


def fields_of(model: type[models.Model]) -> dict[str, str]:
    """The label of each field whose changes the history of this model tells, by its name."""
    return {field.name: label_of(field) for field in _fields_of(model)}


def label_of(field: Any) -> str:
    return capfirst(str(field.verbose_name))


class _Teller:
    """Says in words what rows hold, with all names at hand."""

    def __init__(self, names: Names, related: Related, beside: str) -> None:
        self._names = names
        self._related = related
        self._beside = beside

    def held(self, row: Any, fields: Sequence[Any]) -> Difference:
        """What these fields of the row hold, whatever it changed."""
        model = model_of(row)
        told = [self._held(row, field) for field in fields]
        return Difference(
            row, model, self._names.then(model, row), [change for change in told if change.new != NOTHING]
        )

    def _held(self, row: Any, field: Any) -> FieldChange:
        return FieldChange(field.name, label_of(field), NOTHING, self._said(field, row))

    def tell(self, row: Any, before: Any) -> Difference:
        model = model_of(row)
        changes = (self._change(row, before, field) for field in _told(row, before))
        told = [change for change in changes if (change.old, change.new) != (NOTHING, NOTHING)]
        return Difference(row, model, self._names.then(model, row), told)

    def _change(self, row: Any, before: Any, field: Any) -> FieldChange:
        kind = getattr(row, "history_type", "+")
        new = NOTHING if kind == "-" else self._said(field, row)
        old = self._said(field, row) if kind == "-" else NOTHING
        if kind == "~":
            old = _now("(not kept)") if before is None else self._said(field, before)
        if old == new and before is not None and not field.many_to_many:  # a blink apart, or given up since
            values = [getattr(side, field.attname) for side in (before, row)]
            if values != [ERASED, ERASED]:
                old, new = (f"{old} ({values[0]})", f"{new} ({values[1]})")
        return FieldChange(field.name, label_of(field), old, new, _pieces(old, new))

    def _said(self, field: Any, side: Any) -> str:
        if field.is_relation:
            found = (self._names.of(field.related_model, pk) for pk in _pks(field, side, self._related))
            return ", ".join(sorted(found)) or NOTHING
        value = getattr(side, field.attname)
        if value is None or value in ("", [], {}):
            return NOTHING
        if in_words := getattr(model_of(side), f"{field.name}_in_words", None):
            return str(in_words(value))
        return self._plain(field, value)

    def _plain(self, field: Any, value: Any) -> str:
        labels = dict(getattr(field, "flatchoices", ()))
        if labels and value in labels:
            return str(labels[value])
        if isinstance(value, bool):
            return _now("yes") if value else _now("no")
        if isinstance(value, dt.datetime):
            return times.in_both(value, self._beside)
        if isinstance(value, dt.date):
            return date_format(value)
        if isinstance(value, dt.time):
            return time_format(value)
        if isinstance(value, dict | list):
            return json.dumps(value, ensure_ascii=False, sort_keys=True)
        return str(shown(value))


def _pieces(old: str, new: str) -> tuple[Piece, ...]:
    if not any(len(text) > LONG or "\n" in text for text in (old, new)):
        return ()
    return words.difference("" if old == NOTHING else old, "" if new == NOTHING else new)
