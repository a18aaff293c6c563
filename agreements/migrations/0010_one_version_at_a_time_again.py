"""Puts back what SQLite lost: a table that gets a new column is made anew there, without its triggers.

PostgreSQL keeps them. A later migration that changes this table has to do the same.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from django.db import migrations

_first = import_module("agreements.migrations.0004_one_version_at_a_time")


def put_back(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor != "sqlite":
        return
    for event in ("insert", "update"):
        schema_editor.execute(f"DROP TRIGGER IF EXISTS {_first.NAME}_{event}")
    _first.add(apps, schema_editor)


class Migration(migrations.Migration):
    dependencies = [("agreements", "0009_words_filled")]

    operations = [migrations.RunPython(put_back, migrations.RunPython.noop)]
