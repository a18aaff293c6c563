"""The trail read as one: what happened in all tables, newest first, told act by act.

An act is all that one click, one pass of a worker or one command did; its rows bear one request id. A page has the acts
of the newest rows that its reader asks for, and tells each whole, whichever of its rows were asked for.

Each table is read by its own index no further than the page needs, and what all gave is merged: one query, that costs
the same beside a thousand rows and beside millions. Nothing is counted but what the acts of a page wrote. Where no
index serves what is asked for, the page looks through so many rows and says how far it has looked.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import OperationalError, connection, models, transaction
from django.db.models import F

from config.audit import acts, paging
from config.audit.acts import Act
from config.audit.names import Names
from config.audit.paging import Position, Row
from config.audit.sources import Rows, Table, union

ACTS = 30  # on a page
ROWS = 300  # read at a time
READS = 4  # at most for one page; acts of thousands of rows fill some
#: Rows of one table that a page looks through where no index serves what is asked for.
LOOKED_THROUGH = 100_000


class TooSlow(Exception):
    """The database could not find what was asked for in the time that a reader waits."""


@dataclass(frozen=True)
class Question:
    """What a reader asks for: of these tables the rows that `narrow` leaves.

    `coarse` is as much of that as an index serves; it bounds what is looked through for the rest, `is_fine`.
    """

    tables: Sequence[Table]
    narrow: Callable[[Table, Rows], Rows] = lambda _table, rows: rows
    coarse: Callable[[Table, Rows], Rows] = lambda _table, rows: rows
    is_fine: bool = False


def ref(obj: models.Model) -> str:
    """What finds it in the trail: what it is called, or else its number."""
    called = str(getattr(obj, "CALLED", ""))
    return str(getattr(obj, called)) if called else f"{obj._meta.label_lower}:{obj.pk}"


# ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Page:
    acts: list[Act]
    names: Names
    next: Position | None
    looked_back_to: dt.datetime | None = None  # where it did not look through all


def page(question: Question, before: Position | None = None) -> Page:
    """The newest acts that have a row that is asked for, of those that are older than `before`. May raise TooSlow."""
    with patience():
        floor = _floor(question, before) if question.is_fine else None
        found, after = _newest(question, before, floor)
        told = acts.told(found, question.tables)
        if after is None and floor is not None:
            return Page(told, acts.names(told), Position(floor), floor)
        return Page(told, acts.names(told), after)


def _newest(
    question: Question, before: Position | None, floor: dt.datetime | None
) -> tuple[list[uuid.UUID], Position | None]:
    """(acts, where the next page begins)"""
    found: list[uuid.UUID] = []
    told: set[uuid.UUID] = set()
    reached = before
    for _ in range(READS):
        rows = _rows(question, reached, floor, without=[*found, *told])
        if before is not None:
            told |= _told_before(question, before, {row.act for row in rows})
        for row in rows:
            if row.act not in told and row.act not in found:
                if len(found) == ACTS:
                    return found, reached
                found.append(row.act)
            reached = row.position
        if len(rows) < ROWS:
            return found, None
    return found, reached


def _rows(
    question: Question, before: Position | None, floor: dt.datetime | None, without: Collection[uuid.UUID]
) -> list[Row]:
    asked = {}
    for table in question.tables:
        rows = question.narrow(table, table.rows())
        if floor is not None:
            rows = rows.filter(paging.instant(table.at, "gte", floor))
        asked[table] = rows.exclude(request_id__in=without) if without else rows
    return paging.newest(asked, ROWS, before)


def _told_before(question: Question, before: Position, found: set[uuid.UUID]) -> set[uuid.UUID]:
    """Those that an earlier page has told, as they also have newer rows that are asked for."""
    branches = [
        before.newer(table, question.narrow(table, table.rows().filter(request_id__in=found))).values_list(
            "request_id", flat=True
        )
        for table in question.tables
    ]
    return set(union([branch.distinct() for branch in branches]))


def _floor(question: Question, before: Position | None) -> dt.datetime | None:
    """The instant back to which a page looks; None for the beginning of the trail."""
    branches = []
    for table in question.tables:
        rows = question.coarse(table, table.rows())
        if before is not None:
            rows = before.older(table, rows)
        instants = rows.order_by(f"-{table.at}").annotate(row_at=F(table.at)).values_list("row_at", flat=True)
        if connection.features.supports_slicing_ordering_in_compound:
            branches.append(instants[LOOKED_THROUGH : LOOKED_THROUGH + 1])
        else:
            key = instants.values("pk")[LOOKED_THROUGH : LOOKED_THROUGH + 1]
            branches.append(table.rows().filter(pk__in=key).values_list(table.at, flat=True))
    return max(union(branches), default=None)


@contextlib.contextmanager
def patience(seconds: float | None = None) -> Iterator[None]:
    """No reader waits longer than so many, or TRAIL_PATIENCE, for all statements together; raises TooSlow.

    Nor does the planner compile what is done sooner than compiled, or read a table in its order because it takes the
    pages that an index leads to for far apart: what is asked for here is the newest of something, and few.
    """
    if connection.vendor != "postgresql":
        yield
        return
    until = time.monotonic() + (seconds or settings.TRAIL_PATIENCE)
    is_inside = connection.in_atomic_block

    def in_time(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        left = int((until - time.monotonic()) * 1000)
        if left <= 0:
            raise TooSlow
        _set(f"statement_timeout = {left}")
        return execute(sql, params, many, context)

    try:
        with transaction.atomic():
            _set("jit = off", "random_page_cost = 1.1")
            with connection.execute_wrapper(in_time):
                yield
            if is_inside:  # a transaction of the caller's gets its own back
                _set("jit TO DEFAULT", "random_page_cost TO DEFAULT", "statement_timeout TO DEFAULT")
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", "") != "57014":  # query_canceled
            raise
        raise TooSlow from error


def _set(*settings: str) -> None:
    """For this transaction: no question of ours, and told to the server as none, past what counts and times these."""
    connection.connection.execute("; ".join(f"SET LOCAL {setting}" for setting in settings))
