"""A sealed value is blanked and its digest kept, so that the seal of its row still holds.

What is kept is signed with the seals' key: who has only the database can blank a value, and is found.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Mapping, Sequence

from django.apps import apps
from django.db import models

from config.audit import canonical, verification
from config.models.given_up import GivenUp


def give_up(row: models.Model, *names: str) -> None:
    """Blank these text columns of it and save it, in the transaction and for the reason of the act that is going on."""
    for name in names:
        if digests := canonical.stand_in(type(row), name, getattr(row, name)):
            kept = GivenUp(table=row._meta.label_lower, row=row.pk, name=name, digests=digests)
            kept.by = next(iter(canonical.keys()))
            kept.mac = _signature(kept)
            kept.save(force_insert=True)
            setattr(row, name, "")
    row.save(update_fields=names)


def kept(row: models.Model, name: str) -> GivenUp | None:
    """What stays of this column of it; None if it was not given up."""
    return GivenUp.objects.filter(table=row._meta.label_lower, row=row.pk, name=name).first()


def kept_of(rows: Sequence[models.Model]) -> dict[tuple[int, str], GivenUp]:
    """What stays of any column of these rows of one model, by key and column: only what our key has signed."""
    found = GivenUp.objects.filter(table=rows[0]._meta.label_lower, row__in=[row.pk for row in rows]) if rows else ()
    return {(one.row, one.name): one for one in found if _is_ours(one)}


def stand_ins(model: type[models.Model], after: int | None, upto: int) -> Mapping[tuple[int, str], Mapping[str, str]]:
    """For the seals: only what our key has signed stands for anything."""
    found = GivenUp.objects.filter(table=model._meta.label_lower, row__lte=upto)
    if after is not None:
        found = found.filter(row__gt=after)
    return {(one.row, one.name): one.digests for one in found.iterator() if _is_ours(one)}


def check() -> Iterator[verification.Finding]:
    """What is kept is by our key, and the value that it stands for is gone."""
    for one in GivenUp.objects.iterator(chunk_size=2000):
        where = f"{one.table} {one.row}, {one.name}"
        if not _is_ours(one):
            yield verification.Finding(None, where, "the digest that is kept of it is not signed by our key")
        elif apps.get_model(one.table)._base_manager.filter(pk=one.row).exclude(**{one.name: ""}).exists():
            yield verification.Finding(None, where, "given up, and a value stands there again")


def listen() -> None:
    """To the seals and to verify."""
    canonical.register_stand_ins(stand_ins)
    verification.register(check)


def _signature(kept: GivenUp) -> str:
    content = {name: getattr(kept, name) for name in ("table", "row", "name", "digests")}
    return canonical.signature(canonical.keys()[kept.by], "given up", canonical.encoded(content))


def _is_ours(kept: GivenUp) -> bool:
    known = canonical.keys()
    return kept.by in known and hmac.compare_digest(kept.mac, _signature(kept))
