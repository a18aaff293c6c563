"""The database itself refuses two versions of one agreement that are in force at the same instant."""

from __future__ import annotations

from typing import Any

from django.db import migrations

NAME = "agreement_one_version_at_a_time"

_OVERLAP = """
    SELECT RAISE(ABORT, 'CHECK constraint failed: {name}')
    WHERE EXISTS (
        SELECT 1 FROM agreements_serviceagreement AS other
        WHERE other.reference = NEW.reference AND other.id <> NEW.id
          AND (other.ends_at IS NULL OR other.ends_at > NEW.effective_at)
          AND (NEW.ends_at IS NULL OR other.effective_at < NEW.ends_at)
    );
"""


def add(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("CREATE EXTENSION IF NOT EXISTS btree_gist")
        schema_editor.execute(
            f"ALTER TABLE agreements_serviceagreement ADD CONSTRAINT {NAME} "
            "EXCLUDE USING gist (reference WITH =, tstzrange(effective_at, ends_at) WITH &&)"
        )
        return
    for event in ("INSERT", "UPDATE"):
        schema_editor.execute(
            f"CREATE TRIGGER {NAME}_{event.lower()} AFTER {event} ON agreements_serviceagreement "
            f"BEGIN {_OVERLAP.format(name=NAME)} END"
        )


def remove(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"ALTER TABLE agreements_serviceagreement DROP CONSTRAINT {NAME}")
        return
    for event in ("insert", "update"):
        schema_editor.execute(f"DROP TRIGGER {NAME}_{event}")


class Migration(migrations.Migration):
    dependencies = [("agreements", "0003_roles")]

    operations = [migrations.RunPython(add, remove)]
