"""What a PostgreSQL role may do that runs the product and owns nothing of it.

Whoever owns a table can take its triggers away. So the owner migrates, and the web server and the workers sign in as
another role, which reads and adds rows of the audit trail and can do no more to them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.recorder import MigrationRecorder

from config.audit import append_only, sources

#: Apps whose rows only migrations write: who may do what, and the names of the models.
WRITTEN_BY_MIGRATIONS = ("auth", "contenttypes")

READ, ADD, CHANGE, DELETE = "SELECT", "INSERT", "UPDATE", "DELETE"


class NoSuchRole(ValidationError):
    """A role that cannot be given grants."""


def grants(connection: BaseDatabaseWrapper, role: str) -> list[str]:
    """The statements by which the owner gives a role what it needs and takes from it whatever else it had.

    After a migration that made a table they are run again.
    """
    if connection.vendor != "postgresql":
        raise NoSuchRole("Only PostgreSQL has roles; whoever can write the file of a SQLite database owns it.")
    if not re.fullmatch(r"[a-z_][a-z0-9_]*", role):
        raise NoSuchRole("The name of a role is written in small letters, digits and underscores here.")
    return [
        f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {role}",
        f"REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM {role}",
        f"GRANT USAGE ON SCHEMA public TO {role}",
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role}",
        f"GRANT {READ} ON {MigrationRecorder.Migration._meta.db_table} TO {role}",
        *(f"GRANT {', '.join(rights)} ON {table} TO {role}" for table, rights in sorted(_rights().items())),
    ]


def apply(connection: BaseDatabaseWrapper, role: str) -> None:
    """All of the grants or none."""
    statements = grants(connection, role)
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        cursor.execute("SELECT rolsuper FROM pg_roles WHERE rolname = %s", [role])
        found = cursor.fetchone()
        if found is None:
            raise NoSuchRole(f"There is no role {role}. Make it first: CREATE ROLE {role} LOGIN PASSWORD '…'")
        if found[0]:
            raise NoSuchRole(f"{role} is a superuser, whom no grant holds back. Choose another role.")
        for statement in statements:
            cursor.execute(statement)


def _rights() -> dict[str, list[str]]:
    """By table."""
    added_only, kept = set(sources.added_only()), set(append_only.kept())
    rights = {}
    for model in apps.get_models(include_auto_created=True):
        if model._meta.app_label in WRITTEN_BY_MIGRATIONS:
            found = [READ]
        elif model in added_only:
            found = [READ, ADD, *_erasing(model)]
        else:
            found = [READ, ADD, CHANGE] if model in kept else [READ, ADD, CHANGE, DELETE]
        rights[model._meta.db_table] = found
    return rights


def _erasing(model: type[models.Model]) -> Iterator[str]:
    """The triggers see to it that a personal value only gives way to the mark."""
    if columns := append_only.personal_columns(model):
        yield f"{CHANGE} ({', '.join(columns)})"
