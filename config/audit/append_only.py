"""The database itself refuses to change or delete what the trail consists of, and to delete what is kept.

Triggers, installed after every migration (`listen`), so that a new model is covered without remembering. They
stop a slip and whoever has only the rights of the application; an owner of the tables can take them away, which
`missing` finds. Rows that a database forbids to touch raise IntegrityError on PostgreSQL and on SQLite.

A test empties its database, or makes a loss to be found, inside `lifted`; nothing else may.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import connections, models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.signals import post_migrate, pre_delete, pre_migrate
from django.utils.translation import gettext_lazy as _

from config.audit import sources
from config.erased import ERASED

_FUNCTION = "due_notice_append_only"
_SUFFIXES = ("_unchanged", "_undeleted", "_unreplaced")

#: Refuses, with the sentence of its first argument. A second one names the columns that may be erased, to the mark or
#: to NULL.
_BODY = f"""
DECLARE
    personal text[] := string_to_array(TG_ARGV[1], ',');
BEGIN
    IF TG_LEVEL = 'ROW' AND to_jsonb(NEW) - personal = to_jsonb(OLD) - personal AND NOT EXISTS (
        SELECT FROM unnest(personal) AS name
        WHERE to_jsonb(NEW)->name <> to_jsonb(OLD)->name AND coalesce(to_jsonb(NEW)->>name, '{ERASED}') <> '{ERASED}'
    ) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = TG_NAME;
END
"""


class NeverDeleted(ValidationError):
    """A row was to be deleted of a kind of which none ever is."""

    def __init__(self, model: type[models.Model]) -> None:
        super().__init__(
            _("Nothing is deleted here: %(what)s stay for the audit trail."),
            code="never_deleted",
            params={"what": model._meta.verbose_name_plural},
        )


class NotDisposable(Exception):
    """What may be done to the database of a test or of the demo was asked of another."""


def install(connection: BaseDatabaseWrapper) -> None:
    """Put in what is missing; nothing is locked, nor even touched, where nothing is."""
    wanted, found = _wanted(connection), _found(connection)
    statements = [_drop(connection, *key) for key in found if found[key] != wanted.get(key)]
    if connection.vendor == "postgresql" and _body_found(connection) != _BODY:
        statements.append(
            f"CREATE OR REPLACE FUNCTION {_FUNCTION}() RETURNS trigger LANGUAGE plpgsql AS $body${_BODY}$body$"
        )
    statements += [wanted[key] for key in wanted if found.get(key) != wanted[key]]
    _execute(connection, statements)


def remove(connection: BaseDatabaseWrapper) -> None:
    """Take all of it away: for a migration, which may have to fill a new column, and for `lifted`."""
    _execute(connection, [_drop(connection, *key) for key in _found(connection)])


def missing(connection: BaseDatabaseWrapper) -> list[str]:
    """The names of the triggers that are not there, not as they were installed, or switched off."""
    if connection.vendor == "postgresql" and _body_found(connection) != _BODY:
        return [f"{_FUNCTION}()"]
    found = _found(connection)
    return sorted(name for (table, name), wanted in _wanted(connection).items() if found.get((table, name)) != wanted)


_is_lifted: ContextVar[bool] = ContextVar("append_only_is_lifted", default=False)


@contextlib.contextmanager
def lifted(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Inside the block rows can be changed and deleted; in the database of a test or of the demo only."""
    if not is_disposable(connection):
        raise NotDisposable(
            f"“{connection.settings_dict['NAME']}” is neither the database of a test nor of the demo: "
            "its audit trail is never emptied. A database that is not needed any more is dropped as a whole."
        )
    token = _is_lifted.set(True)
    try:
        with transaction.atomic(using=connection.alias):  # after an error the triggers are back as well
            connection.check_constraints()  # PostgreSQL alters no table of which it still has to check a row
            remove(connection)
            yield
            connection.check_constraints()
            install(connection)
    finally:
        _is_lifted.reset(token)


def is_disposable(connection: BaseDatabaseWrapper) -> bool:
    """Whether it holds nothing but what a test or the demo has invented."""
    name = str(connection.settings_dict["NAME"])
    in_memory = getattr(connection, "is_in_memory_db", bool)()
    is_demo = settings.DEMO and connection.vendor == "sqlite"
    return is_demo or in_memory or Path(name).name.startswith("test_")


def listen(app: AppConfig) -> None:
    """To the framework's signals, once the models are there: shut the tables after migrations, refuse deletions."""
    pre_migrate.connect(open_for_steps, sender=app)
    post_migrate.connect(shut_again, sender=app)
    for model in kept():
        pre_delete.connect(refuse_deletion, sender=model)


def open_for_steps(using: str, plan: Sequence[Any], **signal: Any) -> None:
    """A migration that has something to do may have to fill a new column of rows that nobody else may change."""
    if plan:
        remove(connections[using])


def shut_again(using: str, **signal: Any) -> None:
    install(connections[using])


def refuse_deletion(sender: type[models.Model], **signal: Any) -> None:
    """Says in words what the database would refuse in its own."""
    if not _is_lifted.get():
        raise NeverDeleted(sender)


def kept() -> Iterator[type[models.Model]]:
    """Every model of which no row is ever deleted."""
    yield from sources.added_only()
    yield from (model for model in sources.audited() if model.IS_KEPT)


def personal_columns(model: type[models.Model]) -> list[str]:
    """The columns that may be erased in a row which is otherwise never changed."""
    names = getattr(getattr(model, "instance_type", model), "PERSONAL", ())
    return [str(field.column) for field in model._meta.concrete_fields if field.name in names]


# ── triggers ────────────────────────────────────────────────────────────────────────────────────────────────────────

_Key = tuple[str, str]  # table and trigger


def _wanted(connection: BaseDatabaseWrapper) -> dict[_Key, str]:
    """The statement that makes each trigger, word for word as the database will tell it."""
    trigger = _on_postgresql if connection.vendor == "postgresql" else _on_sqlite
    # SQLite's REPLACE deletes without telling the trigger of a deletion.
    of_the_trail = ["unchanged", "unreplaced"] if connection.vendor == "sqlite" else ["unchanged"]
    wanted = [(model, "undeleted") for model in kept()]
    wanted += [(model, kind) for model in sources.added_only() for kind in of_the_trail]
    tables = connection.introspection.table_names()  # all, except after a migration to an older state
    return {
        (model._meta.db_table, f"{model._meta.db_table}_{kind}"): trigger(model, kind)
        for model, kind in wanted
        if model._meta.db_table in tables
    }


def _sentence(model: type[models.Model], kind: str) -> str:
    done = {"undeleted": "deleted", "unchanged": "changed", "unreplaced": "replaced"}[kind]
    return f"rows of {model._meta.db_table} are never {done}: they belong to the audit trail"


def _on_postgresql(model: type[models.Model], kind: str) -> str:
    table, columns = model._meta.db_table, personal_columns(model)
    event = {"undeleted": "DELETE OR TRUNCATE", "unchanged": "UPDATE"}[kind]
    level, arguments = "STATEMENT", f"'{_sentence(model, kind)}'"
    if kind == "unchanged" and columns:
        level, arguments = "ROW", f"{arguments}, '{','.join(columns)}'"
    act = f"FOR EACH {level} EXECUTE FUNCTION {_FUNCTION}({arguments})"
    return f"CREATE TRIGGER {table}_{kind} BEFORE {event} ON {table} {act}"


def _on_sqlite(model: type[models.Model], kind: str) -> str:
    table, key = model._meta.db_table, model._meta.pk.column
    event, when = {
        "undeleted": ("DELETE", ""),
        "unchanged": ("UPDATE", _more_than_erased(model)),
        "unreplaced": ("INSERT", f'WHEN EXISTS (SELECT 1 FROM "{table}" WHERE "{key}" = NEW."{key}") '),  # noqa: S608
    }[kind]
    act = f"BEGIN SELECT RAISE(ABORT, '{_sentence(model, kind)}'); END"
    return f'CREATE TRIGGER "{table}_{kind}" BEFORE {event} ON "{table}" {when}{act}'


def _more_than_erased(model: type[models.Model]) -> str:
    personal = personal_columns(model)
    if not personal:
        return ""
    columns = [field.column for field in model._meta.concrete_fields]
    same = {name: f'NEW."{name}" IS OLD."{name}"' for name in columns}
    erased = {name: f"coalesce(NEW.\"{name}\", '{ERASED}') = '{ERASED}'" for name in personal}
    allowed = [f"({same[name]} OR {erased[name]})" if name in personal else same[name] for name in columns]
    return f"WHEN NOT ({' AND '.join(allowed)}) "


def _found(connection: BaseDatabaseWrapper) -> dict[_Key, str]:
    """Our triggers as the database has them; one that is switched off says so instead of its statement."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "SELECT c.relname, t.tgname,"
                " CASE t.tgenabled WHEN 'O' THEN pg_get_triggerdef(t.oid, true) ELSE 'off' END"
                " FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid"
                " WHERE NOT t.tgisinternal AND pg_table_is_visible(c.oid)"
            )
        else:
            cursor.execute("SELECT tbl_name, name, sql FROM sqlite_master WHERE type = 'trigger'")
        rows = cursor.fetchall()
    return {(table, name): made for table, name, made in rows if name in {f"{table}{suffix}" for suffix in _SUFFIXES}}


def _body_found(connection: BaseDatabaseWrapper) -> str | None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT prosrc FROM pg_proc WHERE proname = %s AND pg_function_is_visible(oid)", [_FUNCTION])
        row = cursor.fetchone()
    return row[0] if row else None


def _drop(connection: BaseDatabaseWrapper, table: str, name: str) -> str:
    return f'DROP TRIGGER "{name}"' + (f' ON "{table}"' if connection.vendor == "postgresql" else "")


def _execute(connection: BaseDatabaseWrapper, statements: list[str]) -> None:
    """On PostgreSQL one by one, so that no two tables are locked at once while people work."""
    together = transaction.atomic(using=connection.alias) if connection.vendor == "sqlite" else contextlib.nullcontext()
    with together, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
