"""`manage.py retention reduce-bodies`: give up the texts of old notices, and keep their digests."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Count

from config import instants
from config.models import User
from incidents import retention
from incidents.models import Notice


class Command(BaseCommand):
    help = (
        "reduce-bodies: blank the texts of notices that were settled, and whose incident was closed, longer ago than "
        "--days; their SHA-256 stays, and `manage.py audit verify` still holds."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=["reduce-bodies"])
        parser.add_argument("--days", type=int, required=True, help="how many days ago; at least 1")
        parser.add_argument("--dry-run", action="store_true", help="say what would be changed, and change nothing")
        parser.add_argument("--by", metavar="USERNAME", help="who decides that")
        parser.add_argument("--reason", default="", help="why; kept in the audit trail")

    def handle(self, *, days: int, dry_run: bool, by: str | None, reason: str, **options: Any) -> None:
        if days < 1:
            raise CommandError("Say how many days ago: --days with a number from 1 on.")
        before = instants.now() - dt.timedelta(days=days)
        if dry_run:
            return self._tell(before)
        decider = User.objects.filter(username=by, is_active=True).first()
        if decider is None:
            raise CommandError("Say who decides that: --by with the name that a colleague signs in with.")
        try:
            done = retention.reduce_bodies(before, by=decider, reason=reason)
        except ValidationError as refusal:
            raise CommandError(" ".join(refusal.messages)) from refusal
        self.stdout.write(f"The texts of {done:,} notices were reduced to their digests.")

    def _tell(self, before: dt.datetime) -> None:
        found = Notice.objects.reducible(before).order_by("incident__reference")
        total = 0
        for reference, count in found.values_list("incident__reference").annotate(count=Count("pk")):
            self.stdout.write(f"{reference}: {count:,} notices")
            total += count
        self.stdout.write(f"The texts of {total:,} notices would be reduced to their digests. Nothing was changed.")
