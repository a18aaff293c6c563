"""Django's `flush` would empty the audit trail: it does so in the database of a test or of the demo only."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError
from django.core.management.commands import flush
from django.db import connections

from config.audit import append_only


class Command(flush.Command):
    help = "Empties the database of a test or of the demo, and refuses any other."

    def handle(self, **options: Any) -> None:
        try:
            with append_only.lifted(connections[options["database"]]):
                super().handle(**options)
        except append_only.NotDisposable as refusal:
            raise CommandError(str(refusal)) from refusal
