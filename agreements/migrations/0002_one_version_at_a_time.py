"""The database itself refuses two versions of one agreement that are in force at the same instant.

By a trigger on both databases: PostgreSQL's exclusion constraint would need an extension that not every server has.
SQLite loses it whenever the table is made anew there, so a later migration that does so calls `add` again.
"""

from __future__ import annotations

from typing import Any

from django.db import migrations

NAME = "agreement_one_version_at_a_time"
TABLE = "agreements_serviceagreement"

_OVERLAPPING = f"""
    SELECT 1 FROM {TABLE} AS other
    WHERE other.reference = NEW.reference AND other.id <> NEW.id
      AND (other.ends_at IS NULL OR other.ends_at > NEW.effective_at)
      AND (NEW.ends_at IS NULL OR other.effective_at < NEW.ends_at)
"""  # noqa: S608 - our own names, nothing typed by anybody

# The lock makes a second writer of the same reference wait until the first has committed, and then see its row.
_POSTGRESQL = f"""
    CREATE FUNCTION {NAME}() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_advisory_xact_lock(hashtext('{NAME}'), hashtext(NEW.reference));
        IF EXISTS ({_OVERLAPPING}) THEN
            RAISE EXCEPTION 'two versions of % would be in force at once', NEW.reference
                USING ERRCODE = 'exclusion_violation', CONSTRAINT = '{NAME}';
        END IF;
        RETURN NULL;
    END $$;
    CREATE TRIGGER {NAME} AFTER INSERT OR UPDATE ON {TABLE} FOR EACH ROW EXECUTE FUNCTION {NAME}();
"""


def add(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(_POSTGRESQL, params=None)
        return
    for event in ("INSERT", "UPDATE"):
        schema_editor.execute(
            f"CREATE TRIGGER {NAME}_{event.lower()} AFTER {event} ON {TABLE} "
            f"BEGIN SELECT RAISE(ABORT, 'CHECK constraint failed: {NAME}') WHERE EXISTS ({_OVERLAPPING}); END"
        )


def remove(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"DROP TRIGGER {NAME} ON {TABLE}; DROP FUNCTION {NAME}()")
        return
    for event in ("insert", "update"):
        schema_editor.execute(f"DROP TRIGGER {NAME}_{event}")


class Migration(migrations.Migration):
    replaces = [("agreements", "0004_one_version_at_a_time"), ("agreements", "0010_one_version_at_a_time_again")]
    dependencies = [("agreements", "0015_erased")]

    operations = [migrations.RunPython(add, remove)]
