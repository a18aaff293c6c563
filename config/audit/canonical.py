"""The one way to write a row as bytes, the same from SQLite and PostgreSQL, so that a move keeps its seal.

JSON in ASCII with sorted keys and no spaces; instants in UTC with microseconds; numbers with decimals, UUIDs, days and
times of day as text. What names a person enters as an HMAC under the seal's key, a long body as its SHA-256: one day
the value can be given up and its digest kept (`register_stand_ins`).
"""

from __future__ import annotations

import datetime as dt
import decimal
import functools
import hashlib
import hmac
import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from django.conf import settings
from django.db import connection, models
from django.db.models.expressions import RawSQL

DIGEST_SIZE = 16  # bytes of a row's SHA-256 that a seal keeps


# ── bytes ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _plain(value: object) -> str:
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).isoformat(timespec="microseconds")
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, dt.time):
        return value.isoformat(timespec="microseconds")
    if isinstance(value, dt.timedelta):
        return str(value // dt.timedelta(microseconds=1))
    if isinstance(value, (uuid.UUID, decimal.Decimal)):
        return str(value)
    if isinstance(value, (bytes, memoryview)):
        return bytes(value).hex()
    raise TypeError(f"A {type(value).__name__} has no canonical form.")


_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False, default=_plain).encode


def encoded(content: Mapping[str, Any]) -> bytes:
    return _encode(content).encode("ascii")


# ── keys ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def keys() -> dict[str, bytes]:
    """Every key that this installation knows, by fingerprint; the first is the one that seals."""
    return {fingerprint(key): key.encode() for key in (settings.SEAL_KEY, *settings.SEAL_KEY_FALLBACKS)}


@functools.cache
def fingerprint(key: str) -> str:
    """Names a key and says nothing about it."""
    return hashlib.sha256(b"due-notice seal key\0" + key.encode()).hexdigest()[:16]


def signature(key: bytes, purpose: str, content: bytes) -> str:
    return hmac.digest(key, purpose.encode() + b"\0" + content, "sha256").hex()


# ── the columns of a table ──────────────────────────────────────────────────────────────────────────────────────────


@functools.cache
def columns(model: type[models.Model]) -> str:
    """What of a row is sealed, by this version of the product: attribute names, sorted, with commas.

    A seal keeps this list, so that a column that is added later does not change what was sealed before.
    """
    origin = getattr(model, "instance_type", model)  # of a history
    frozen = getattr(model, "FROZEN", ())
    found = []
    for field in model._meta.concrete_fields:
        if frozen and field.name not in frozen and not field.primary_key:
            continue
        is_personal, is_body = (field.name in getattr(origin, names, ()) for names in ("PERSONAL", "BODIES"))
        found.append(field.attname + ("#hmac" if is_personal else "#sha256" if is_body else ""))
    return ",".join(sorted(found))


class ColumnGone(Exception):
    """A column that rows were sealed with is not there, or not yet known to this version on SQLite."""


class _Instant(models.Func):
    """An instant as canonical text, made by PostgreSQL: to read it as an object and write it takes half of the time."""

    arity = 1
    template = """to_char(%(expressions)s AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"')"""
    output_field = models.TextField()


class Form:
    """How the rows of one table enter a seal: their columns as that seal names them, under the key that it names."""

    def __init__(self, model: type[models.Model], columns: str, by: str) -> None:
        self.model, self.by, self.key = model, by, keys()[by]
        parts = [column.partition("#") for column in columns.split(",")]
        self.names = [name for name, _hash, _kind in parts]
        there = {field.attname for field in model._meta.concrete_fields}
        self._newer = _newer_columns(model) if {*self.names} - there else {}
        there |= {*self._newer}
        if gone := {*self.names, model._meta.pk.attname} ^ (there & {*self.names}):
            raise ColumnGone(", ".join(sorted(gone)))
        self._digested = [(name, kind) for name, _hash, kind in parts if kind]
        self._key = model._meta.pk.attname
        self._at = instant_of(model)

    def digests(self, after: int | None, upto: int, limit: int | None = None) -> Iterator[tuple[int, bytes, str]]:
        """(key, digest, instant or "") of the rows with a key in (after, upto], by key."""
        rows = self.model._base_manager.order_by("pk").filter(pk__lte=upto)
        if after is not None:
            rows = rows.filter(pk__gt=after)
        stand_ins = _stand_ins(self.model, after, upto) if self._digested else {}
        names, key, at = self.names, self._key, self._at
        for row in rows.values_list(*self._expressions())[:limit].iterator(chunk_size=2000):
            content = dict(zip(names, row, strict=True))
            pk = content[key]
            for name, kind in self._digested:
                kept = stand_ins[pk, name].get(self.by) if (pk, name) in stand_ins else None
                content[name] = kept or digest_of(content[name], kind, self.key)
            digest = hashlib.sha256(_encode(content).encode("ascii")).digest()[:DIGEST_SIZE]
            yield pk, digest, instant(content.get(at))

    def _expressions(self) -> Iterator[str | models.Expression]:
        for name in self.names:
            newer = self._newer.get(name)
            field = newer.output_field if newer else self.model._meta.get_field(name)
            if isinstance(field, models.DateTimeField) and connection.vendor == "postgresql":
                yield _Instant(newer or name)
            else:
                yield newer or name


def _newer_columns(model: type[models.Model]) -> dict[str, RawSQL]:
    """What a newer release has added to the table, as PostgreSQL describes it: so this one can check what that sealed.

    SQLite knows too little of its columns' types.
    """
    if connection.vendor != "postgresql":
        return {}
    table, told = model._meta.db_table, connection.introspection
    known = {field.column for field in model._meta.concrete_fields}
    with connection.cursor() as cursor:
        columns = told.get_table_description(cursor, table)
    return {
        column.name: RawSQL(  # noqa: S611 - names that the database tells
            ".".join(map(connection.ops.quote_name, (table, column.name))),
            (),
            output_field=getattr(models, str(told.get_field_type(column.type_code, column)))(),
        )
        for column in columns
        if column.name not in known
    }


def instant(at: dt.datetime | str | None) -> str:
    """As it stands in the canonical form, in which the earlier one sorts first."""
    return at if isinstance(at, str) else _plain(at) if at else ""


def instant_of(model: type[models.Model]) -> str:
    """The attribute that says when a row was written, or "": by the database's clock for a history."""
    names = {field.attname for field in model._meta.concrete_fields}
    return next((name for name in ("history_date", "at", "made_at") if name in names), "")


# ── what stands for a value that was given up ───────────────────────────────────────────────────────────────────────

#: Given a table and the keys of a range of it, what stands for values there that were given up: for each key of a row
#: and attribute, the result of `stand_in` for the value that was.
StandIns = Callable[[type[models.Model], int | None, int], Mapping[tuple[int, str], Mapping[str, str]]]

_registered: list[StandIns] = []


def register_stand_ins(find: StandIns) -> StandIns:
    _registered.append(find)
    return find


def stand_in(model: type[models.Model], name: str, value: object) -> dict[str, str]:
    """What has to be kept of a value that is given up: its digest under each key, by the key's fingerprint.

    Nothing of a column that is not sealed.
    """
    kinds = {column: kind for column, _, kind in (one.partition("#") for one in columns(model).split(","))}
    if not (kind := kinds.get(name)):
        return {}
    digests = {by: digest_of(value, kind, key) for by, key in keys().items()}
    return {by: digest for by, digest in digests.items() if digest}


def digest_of(value: object, kind: str, key: bytes) -> str | None:
    """Nothing stays nothing, for it tells nothing about anybody."""
    if value is None or value == "":
        return value
    plain = str(value).encode()
    return signature(key, "personal", plain) if kind == "hmac" else hashlib.sha256(plain).hexdigest()


def _stand_ins(model: type[models.Model], after: int | None, upto: int) -> dict[tuple[int, str], Mapping[str, str]]:
    return {place: kept for find in _registered for place, kept in find(model, after, upto).items()}
