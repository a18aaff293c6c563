"""Steps of migrations that leave a big table in use while they work on it."""

from __future__ import annotations

from typing import Any

from django.contrib.postgres import operations
from django.db.migrations import AddIndex


class AddIndexConcurrently(operations.AddIndexConcurrently):
    """PostgreSQL goes on writing while it is made, outside a transaction (`atomic = False`). SQLite has no such way."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        how = operations.AddIndexConcurrently if schema_editor.connection.vendor == "postgresql" else AddIndex
        how.database_forwards(self, app_label, schema_editor, from_state, to_state)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        how = operations.AddIndexConcurrently if schema_editor.connection.vendor == "postgresql" else AddIndex
        how.database_backwards(self, app_label, schema_editor, from_state, to_state)
