"""A value is given up and its digest kept, so that the seal of its row still holds.

A personal value gives way to the mark (config/erased.py), a long text to nothing.

What is kept is signed with the seals' key: who has only the database can blank a value, and is found.
"""

from __future__ import annotations

import hmac
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from django.apps import apps
from django.db import models

from config.audit import canonical, sources, verification
from config.erased import ERASED
from config.history import AuditedModel
from config.models.given_up import GivenUp

#: What tells of nobody.
NOTHING = (None, "", ERASED)
CHUNK = 500  # rows that are looked at together


def give_up(row: models.Model, *names: str) -> None:
    """Give these values of it up, in the transaction and for the reason of the act that is going on.

    An audited row is saved with whatever else was changed in it, and leaves its row of history.
    """
    gone = {name: _instead(row, name) for name in names if has(row, name)}
    if type(row) in sources.sealed():
        GivenUp.objects.bulk_create(_digests(row, gone))
    for name, instead in gone.items():
        setattr(row, name, instead)
    if isinstance(row, AuditedModel):
        row.save(update_fields=row.changed_fields())
    elif gone:
        type(row)._base_manager.filter(pk=row.pk).update(**gone)


def has(row: models.Model, name: str) -> bool:
    """Whether there is anything in this column to give up."""
    return getattr(row, name) not in NOTHING


def _instead(row: models.Model, name: str) -> str | None:
    if name in getattr(row, "BODIES", ()):
        return ""
    is_text = isinstance(row._meta.get_field(name), models.CharField | models.TextField)
    return ERASED if is_text else None


def _digests(row: models.Model, names: Iterable[str]) -> Iterator[GivenUp]:
    for name in names:
        if digests := canonical.stand_in(type(row), name, getattr(row, name)):
            kept = GivenUp(table=row._meta.label_lower, row=row.pk, name=name, digests=digests)
            kept.by = next(iter(canonical.keys()))
            kept.mac = _signature(kept)
            yield kept


def kept_of(rows: Sequence[models.Model]) -> dict[tuple[int, str], GivenUp]:
    """What stays of any column of these rows of one model, by key and column; whether it is ours, `is_ours` says."""
    found = GivenUp.objects.filter(table=rows[0]._meta.label_lower, row__in=[row.pk for row in rows]) if rows else ()
    return {(one.row, one.name): one for one in found}


def stand_ins(model: type[models.Model], after: int | None, upto: int) -> Mapping[tuple[int, str], Mapping[str, str]]:
    """For the seals: only what our key has signed stands for anything."""
    found = GivenUp.objects.filter(table=model._meta.label_lower, row__lte=upto)
    if after is not None:
        found = found.filter(row__gt=after)
    return {(one.row, one.name): one.digests for one in found.iterator() if is_ours(one)}


def check() -> Iterator[verification.Finding]:
    """What is kept is by our key, and the value that it stands for is gone."""
    every = GivenUp.objects.order_by("table", "name", "row").iterator(chunk_size=CHUNK)
    for (table, name), column in itertools.groupby(every, key=lambda one: (one.table, one.name)):
        while some := list(itertools.islice(column, CHUNK)):
            there = dict(_values(table, name, [one.row for one in some]))
            for one in some:
                where = f"{table} {one.row}, {name}"
                if not is_ours(one):
                    yield verification.Finding(None, where, "the digest that is kept of it is not signed by our key")
                elif there.get(one.row) not in NOTHING:
                    yield verification.Finding(None, where, "given up, and a value stands there again")


def _values(table: str, name: str, rows: list[int]) -> Any:
    """(key, what stands in this column) of these rows."""
    return apps.get_model(table)._base_manager.filter(pk__in=rows).values_list("pk", name)


def listen() -> None:
    """To the seals and to verify."""
    canonical.register_stand_ins(stand_ins)
    verification.register(check)


def _signature(kept: GivenUp) -> str:
    content = {name: getattr(kept, name) for name in ("table", "row", "name", "digests")}
    return canonical.signature(canonical.keys()[kept.by], "given up", canonical.encoded(content))


def is_ours(kept: GivenUp) -> bool:
    known = canonical.keys()
    return kept.by in known and hmac.compare_digest(kept.mac, _signature(kept))
