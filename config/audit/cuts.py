"""Instants at which no writer of the trail is under way, so that a late commit is never taken for tampering.

Keys are given out before they are committed: on PostgreSQL row 7 can become visible after row 8. So every statement
that adds to the trail takes a lock that all writers share, before it is given a key, and holds it until its transaction
ends; the sealer takes it for itself for a moment. What is not there then never comes: later keys are higher. SQLite has
one writer at a time, and needs none of this.
"""

from __future__ import annotations

import datetime as dt
import random
import time
from dataclasses import dataclass
from typing import Any

from django.apps import AppConfig
from django.db import OperationalError, connection, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.signals import post_migrate

from config.audit import sources

LOCK = 7_311_042_116  # any number that no other program uses for an advisory lock in this database
#: Milliseconds for which the sealer queues, and with it whoever wants to write: less than the second after which
#: PostgreSQL looks for a deadlock.
LOCK_TIMEOUT = 200
TRIES = 10
PAUSE = 0.3  # seconds from one try to the next, so that the writers get on

LOCK_NOT_AVAILABLE = "55P03"

TRIGGER = "due_notice_sealing"
_FUNCTION = "due_notice_share_sealing"
_BEFORE_INSERT = 2 + 4  # bits of pg_trigger.tgtype, and none for "each row"
_BODY = f" BEGIN PERFORM pg_advisory_xact_lock_shared({LOCK}); RETURN NULL; END "


class WritersUnderWay(Exception):
    """No moment was found without one; a later try will."""


@dataclass(frozen=True)
class Cut:
    """`tips` has the highest key of each sealed table by label, None for an empty one; `at` is the database's clock."""

    at: dt.datetime
    tips: dict[str, int | None]


def cut() -> Cut:
    """Raises WritersUnderWay. Writers wait for at most LOCK_TIMEOUT at a time."""
    if connection.vendor != "postgresql":
        return _ask(f"SELECT STRFTIME('%Y-%m-%d %H:%M:%f+00:00', 'NOW'), {_tips()}")
    # One message to the server, which is one transaction there: whatever becomes of us, the lock is let go. In a
    # transaction of the caller's, what comes afterwards has the caller's own patience again.
    question = (
        f"SET LOCAL lock_timeout = {LOCK_TIMEOUT}; SELECT pg_advisory_xact_lock({LOCK}); "
        f"SET LOCAL lock_timeout TO DEFAULT; SELECT clock_timestamp(), {_tips()}"
    )
    for _try in range(TRIES):
        try:
            return _ask(question)
        except OperationalError as error:
            if getattr(error.__cause__, "sqlstate", "") != LOCK_NOT_AVAILABLE or connection.in_atomic_block:
                raise
            time.sleep(PAUSE * random.uniform(0.5, 1.5))  # noqa: S311 - spread, not secrecy
    raise WritersUnderWay


def _tips() -> str:
    """The highest key of each sealed table: a look at the end of an index each."""
    quote = connection.ops.quote_name
    return ", ".join(
        f"(SELECT MAX({quote(str(model._meta.pk.column))}) FROM {quote(model._meta.db_table)})"  # noqa: S608
        for model in sources.sealed()
    )


def _ask(question: str) -> Cut:
    with connection.cursor() as cursor:
        cursor.execute(question)
        while connection.vendor == "postgresql" and cursor.nextset():
            pass
        at, *tips = cursor.fetchone()
    labels = [model._meta.label_lower for model in sources.sealed()]
    instant = dt.datetime.fromisoformat(at) if isinstance(at, str) else at.astimezone(dt.UTC)
    return Cut(instant, dict(zip(labels, tips, strict=True)))


# ── the lock that writers share ─────────────────────────────────────────────────────────────────────────────────────


def listen(app: AppConfig) -> None:
    """To the framework's signal that migrations are done."""
    post_migrate.connect(shared_again, sender=app)


def shared_again(using: str, **signal: Any) -> None:
    install(connections[using])


def install(connection: BaseDatabaseWrapper) -> None:
    """Put in what is missing; nothing is locked where nothing is."""
    if connection.vendor != "postgresql":
        return
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        if _body_found(cursor) != _BODY:
            cursor.execute(
                f"CREATE OR REPLACE FUNCTION {_FUNCTION}() RETURNS trigger LANGUAGE plpgsql AS $body${_BODY}$body$"
            )
        for table in _bare_tables(cursor):
            cursor.execute(
                f'CREATE OR REPLACE TRIGGER {TRIGGER} BEFORE INSERT ON "{table}" '
                f"FOR EACH STATEMENT EXECUTE FUNCTION {_FUNCTION}()"
            )
            cursor.execute(f'ALTER TABLE "{table}" ENABLE TRIGGER {TRIGGER}')


def missing(connection: BaseDatabaseWrapper) -> list[str]:
    """The triggers that are not there, or switched off, without which a late commit could look like tampering."""
    if connection.vendor != "postgresql":
        return []
    with connection.cursor() as cursor:
        if _body_found(cursor) != _BODY:
            return [f"{_FUNCTION}()"]
        return [f"{TRIGGER} on {table}" for table in _bare_tables(cursor)]


def _bare_tables(cursor: Any) -> list[str]:
    """The sealed tables that are there and lack the trigger."""
    cursor.execute(
        "SELECT relname FROM pg_class AS c WHERE relname = ANY(%s) AND relkind = 'r' AND pg_table_is_visible(c.oid) "
        "AND NOT EXISTS (SELECT FROM pg_trigger AS t JOIN pg_proc AS p ON p.oid = t.tgfoid WHERE t.tgrelid = c.oid "
        "AND t.tgname = %s AND t.tgenabled IN ('O', 'A') AND t.tgtype = %s AND p.proname = %s) ORDER BY relname",
        [[model._meta.db_table for model in sources.sealed()], TRIGGER, _BEFORE_INSERT, _FUNCTION],
    )
    return [table for (table,) in cursor.fetchall()]


def _body_found(cursor: Any) -> str | None:
    cursor.execute("SELECT prosrc FROM pg_proc WHERE proname = %s AND pg_function_is_visible(oid)", [_FUNCTION])
    row = cursor.fetchone()
    return row[0] if row else None
