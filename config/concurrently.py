"""Migrations that leave the product in use while they work, and the release before them for as long as it is there.

On PostgreSQL. SQLite has one writer at a time, and one machine: there the product is stopped first.
"""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.contrib.postgres import operations
from django.db import connections, transaction
from django.db.migrations import AddConstraint, AddIndex
from django.db.migrations.operations.base import Operation
from django.db.models.signals import post_migrate, pre_migrate

#: Seconds for which a step waits for others to leave a table. Whoever comes meanwhile waits behind it, and pages are
#: given up after config.patience.LOCK.
LOCK = 3


def listen(app: AppConfig) -> None:
    """To the framework's signals around migrations. What shuts the tables after them is patient again."""
    pre_migrate.connect(_be_brief, sender=app)
    post_migrate.connect(_be_patient_again, sender=app)


def _be_brief(using: str, **signal: Any) -> None:
    _say(connections[using], f"SET lock_timeout = '{LOCK}s'")


def _be_patient_again(using: str, **signal: Any) -> None:
    _say(connections[using], "RESET lock_timeout")


def _say(connection: Any, statement: str) -> None:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(statement)


class AddIndexConcurrently(operations.AddIndexConcurrently):
    """PostgreSQL goes on writing while it is made, outside a transaction (`atomic = False`). SQLite has no such way.

    It waits for every transaction that was there before it, however long that takes, and nobody waits behind it.
    """

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        how = operations.AddIndexConcurrently if schema_editor.connection.vendor == "postgresql" else AddIndex
        _say(schema_editor.connection, "SET lock_timeout = 0")
        how.database_forwards(self, app_label, schema_editor, from_state, to_state)
        _be_brief(schema_editor.connection.alias)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        how = operations.AddIndexConcurrently if schema_editor.connection.vendor == "postgresql" else AddIndex
        _say(schema_editor.connection, "SET lock_timeout = 0")
        how.database_backwards(self, app_label, schema_editor, from_state, to_state)
        _be_brief(schema_editor.connection.alias)


class AddCheckConcurrently(AddConstraint):
    """PostgreSQL goes on writing while it looks at the rows there are, outside a transaction (`atomic = False`).

    It takes the place of one of the same name, and can be run again where it was broken off. What is written meanwhile
    has to obey it already: what the old release writes, too.
    """

    def state_forwards(self, app_label: str, state: Any) -> None:
        there = state.models[app_label, self.model_name_lower].options["constraints"]
        if self.constraint.name in (constraint.name for constraint in there):
            state.remove_constraint(app_label, self.model_name_lower, self.constraint.name)
        super().state_forwards(app_label, state)

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        using = schema_editor.connection.alias
        if schema_editor.connection.vendor != "postgresql":
            with transaction.atomic(using):  # the table is made anew, with the constraints of `to_state`
                super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        model = to_state.apps.get_model(app_label, self.model_name)
        table, name = (schema_editor.quote_name(each) for each in (model._meta.db_table, self.constraint.name))
        added = self.constraint.create_sql(model, schema_editor)
        with transaction.atomic(using):
            schema_editor.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}")
            schema_editor.execute(f"{added} NOT VALID", params=None)
        schema_editor.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}")

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        there = to_state.models[app_label, self.model_name_lower].options["constraints"]
        before = [constraint for constraint in there if constraint.name == self.constraint.name]
        for constraint in before:
            again = AddCheckConcurrently(self.model_name, constraint)
            again.database_forwards(app_label, schema_editor, from_state, to_state)
        if not before:
            super().database_backwards(app_label, schema_editor, from_state, to_state)


class FillHistory(Operation):
    """A new column in the history of a model has what the model has, also in rows that the old release adds.

    The old release copies only the columns that it knows. Its rows would say that what the new one had entered is gone,
    which `audit verify` takes for a change past the trail. `StopFillingHistory` ends it, a release later.
    """

    reversible = True
    reduces_to_sql = True

    def __init__(self, model_name: str, name: str) -> None:
        self.model_name, self.name = model_name, name

    def describe(self) -> str:
        return f"Fill {self.name} in the history of {self.model_name}, whoever writes it"

    def state_forwards(self, app_label: str, state: Any) -> None:
        """The tables are the same."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.execute(_FILL.format(**self._names(app_label, to_state)), params=None)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.execute(_STOP_FILLING.format(**self._names(app_label, from_state)), params=None)

    def _names(self, app_label: str, state: Any) -> dict[str, str]:
        model = state.apps.get_model(app_label, self.model_name)
        history = state.apps.get_model(app_label, f"historical{self.model_name}")
        column, key = model._meta.get_field(self.name).column, model._meta.pk.column
        return {"live": model._meta.db_table, "history": history._meta.db_table, "column": column, "key": key}


class StopFillingHistory(FillHistory):
    """Nobody is left who does not know the column."""

    def describe(self) -> str:
        return f"Stop filling {self.name} in the history of {self.model_name}"

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        super().database_backwards(app_label, schema_editor, to_state, from_state)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        super().database_forwards(app_label, schema_editor, to_state, from_state)


#: A row of history is written after the row that it is of, in the same transaction; of what is deleted nothing is left.
_FILL = """
    CREATE FUNCTION "{history}_{column}_filled"() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NEW.history_type <> '-' THEN
            SELECT live."{column}" INTO NEW."{column}" FROM "{live}" AS live WHERE live."{key}" = NEW."{key}";
        END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER "{column}_filled" BEFORE INSERT ON "{history}"
        FOR EACH ROW EXECUTE FUNCTION "{history}_{column}_filled"();
"""
_STOP_FILLING = """
    DROP TRIGGER "{column}_filled" ON "{history}";
    DROP FUNCTION "{history}_{column}_filled"();
"""
