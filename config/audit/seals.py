"""Sealing: each minute the rows that were added to the trail since the last seal are closed by another.

A seal's digest is the SHA-256 of canonical JSON (config/audit/canonical.py) that holds the seal's own columns, the
digest of the seal before it, and for each table the range of keys, the columns, and the SHA-256 of the rows' keys and
digests. Its signature is an HMAC of that digest under SEAL_KEY, which the database does not hold.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
import struct
import time
from collections.abc import Iterable

from django.db import IntegrityError, connection, transaction
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import Subquery
from django.utils.translation import gettext as _

from config import times
from config.audit import canonical, cuts, sources
from config.health import Problem
from config.models.seal import Seal, SealedRange

logger = logging.getLogger(__name__)

ROWS = 50_000  # of one seal: what waits after a long silence, or was there before the first, is sealed in parts
PASS_LIMIT = 30.0  # seconds after which a pass leaves the rest to the next
QUIET = dt.timedelta(seconds=50)  # a second sealer in the same minute adds no seal of nothing
PATIENCE = dt.timedelta(minutes=10)  # after this, rows that wait are a problem

ROW = struct.Struct(f">q{canonical.DIGEST_SIZE}s")  # a row in a range: its key and its digest


# ── making seals ────────────────────────────────────────────────────────────────────────────────────────────────────


def seal() -> int:
    """Seal what was added since the last seal; returns how many rows that were. Any number may do so at once.

    Its instants are those of the database's clock, as in the rows that it seals.
    """
    try:
        cut = cuts.cut()
    except cuts.WritersUnderWay:
        logger.warning("Nothing was sealed: a writer was under way at every moment. The next pass tries again.")
        return 0
    began, sealed = time.monotonic(), 0
    while time.monotonic() - began < PASS_LIMIT:
        try:
            made = _seal_next(cut)
        except IntegrityError:  # another sealer was quicker, and has sealed it
            break
        if made is None:
            break
        sealed += made.rows
        if made.is_whole:
            break
    return sealed


def _seal_next(cut: cuts.Cut) -> Seal | None:
    """The next seal, of as much as one may hold; None if there is no need for any."""
    last = Seal.objects.first()
    ranges, is_whole = _ranges(cut)
    if not ranges and last is not None and last.is_whole and cut.at - last.cut_at < QUIET:
        return None
    made = Seal(
        number=last.number + 1 if last else 1,
        since_at=(last.cut_at if last.is_whole else last.since_at) if last else None,
        cut_at=cut.at,
        is_whole=is_whole,
        rows=sum(part.rows for part in ranges),
        key=next(iter(canonical.keys())),
        previous=last.digest if last else "",
    )
    made.total = (last.total if last else 0) + made.rows
    made.digest = digest(made, ranges)
    made.mac = signature(made)
    for part in ranges:
        part.seal = made
    with transaction.atomic():
        made.save(force_insert=True)
        SealedRange.objects.bulk_create(ranges)
    return made


def _ranges(cut: cuts.Cut) -> tuple[list[SealedRange], bool]:
    """What the next seal is of, and whether that is all that was there at the cut."""
    by, room = next(iter(canonical.keys())), ROWS
    found: list[SealedRange] = []
    upto_now = sealed_up_to()
    for model in sources.sealed():
        label = model._meta.label_lower
        after, tip = upto_now[label], cut.tips[label]
        if tip is None or (after is not None and tip <= after):
            continue
        if room <= 0:
            return found, False
        columns = canonical.columns(model)
        rows = [(pk, row) for pk, row, _at in canonical.Form(model, columns, by).digests(after, tip, room)]
        is_all = len(rows) < room or rows[-1][0] == tip
        room -= len(rows)
        found.append(
            SealedRange(
                table=label,
                after=after,
                upto=tip if is_all else rows[-1][0],
                rows=len(rows),
                columns=columns,
                digests=b"".join(ROW.pack(*row) for row in rows),
            )
        )
        if not is_all:
            return found, False
    return found, True


def sealed_up_to() -> dict[str, int | None]:
    """The highest sealed key of each table by label: a look at the end of an index each."""
    labels = [model._meta.label_lower for model in sources.sealed()]
    table, name = SealedRange._meta.db_table, connection.ops.quote_name("table")
    peeks = ", ".join(f"(SELECT MAX(upto) FROM {table} WHERE {name} = %s)" for _label in labels)  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {peeks}", labels)
        return dict(zip(labels, cursor.fetchone(), strict=True))


# ── what a seal says ────────────────────────────────────────────────────────────────────────────────────────────────


def digest(seal: Seal, ranges: Iterable[SealedRange]) -> str:
    content = {
        name: getattr(seal, name)
        for name in ("number", "since_at", "cut_at", "is_whole", "rows", "total", "key", "previous")
    }
    parts = [
        {
            **{name: getattr(part, name) for name in ("table", "after", "upto", "rows", "columns")},
            "digests": hashlib.sha256(part.digests).hexdigest(),
        }
        for part in sorted(ranges, key=lambda part: part.table)
    ]
    return hashlib.sha256(canonical.encoded({**content, "ranges": parts})).hexdigest()


def signature(seal: Seal) -> str:
    """Raises KeyError if this installation does not know the seal's key."""
    return canonical.signature(canonical.keys()[seal.key], "seal", seal.digest.encode())


# ── whether it is done ──────────────────────────────────────────────────────────────────────────────────────────────


def problems(now: dt.datetime) -> list[Problem]:
    """Rows that wait to be sealed for longer than they should. Not red: the mails go out."""
    last = Seal.objects.filter(is_whole=True).only("cut_at").first()
    if last is not None and now - last.cut_at <= PATIENCE:
        return []
    oldest = _oldest_waiting()
    if oldest is None or now - oldest <= PATIENCE:
        return []
    if last is None:  # as after the upgrade that brought the seals, with a trail of years
        oldest = max(oldest, MigrationRecorder.Migration.objects.latest("applied").applied)
        if now - oldest <= PATIENCE:
            return []
    sentence = _(
        "Rows of the audit trail wait for %(age)s to be sealed. Look for “sealed” in the worker's log, or run "
        "`manage.py audit seal`."
    )
    return [Problem("trail-unsealed", sentence % {"age": times.duration(now - oldest)})]


def _oldest_waiting() -> dt.datetime | None:
    """When the first of the rows that no seal holds was written, as far as rows bear the instant of the database."""
    upto = sealed_up_to()
    first = []
    for model in sources.sealed():
        if canonical.instant_of(model) == "history_date":
            waiting = model._base_manager.filter(pk__gt=upto[model._meta.label_lower] or 0).order_by("pk")
            oldest = model._base_manager.filter(pk=Subquery(waiting.values("pk")[:1])).order_by()
            first.append(oldest.values_list("history_date"))
    return min((at for (at,) in first[0].union(*first[1:], all=True)), default=None)
