"""`manage.py retention reduce-bodies`: give up the texts of old notices, and keep their digests."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Count

from config import instants
from config.env import LONGEST_KEPT
from config.models import User
from incidents import retention


class Command(BaseCommand):
    help = (
        "reduce-bodies: blank the texts of notices that were settled, and whose incident and review were closed, "
        "longer ago than --days; their SHA-256 stays, and `manage.py audit verify` still holds. Without --days by "
        "NOTICE_BODY_DAYS, as the worker does once a day; for cron."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=["reduce-bodies"])
        parser.add_argument("--days", type=int, help=f"how many days ago, from 1 to {LONGEST_KEPT}")
        parser.add_argument("--dry-run", action="store_true", help="say what would be changed, and change nothing")
        parser.add_argument("--by", metavar="USERNAME", help="who decides that, with --days")
        parser.add_argument("--reason", default="", help="why; kept in the audit trail; with --days")

    def handle(self, *, days: int | None, dry_run: bool, by: str | None, reason: str, **options: Any) -> None:
        now = instants.now()
        wanted = settings.NOTICE_BODY_DAYS if days is None else days
        if days is None and not wanted:
            raise CommandError("NOTICE_BODY_DAYS says to keep the texts for ever. Say --days to give some up.")
        if not 1 <= wanted <= LONGEST_KEPT:
            raise CommandError(f"Say how many days ago: --days with a number from 1 to {LONGEST_KEPT}.")
        before = now - dt.timedelta(days=wanted)
        if dry_run:
            return self._tell(before)
        done = retention.reduce_as_set(now) if days is None else self._reduce(before, by, reason)
        self.stdout.write(f"The texts of {done:,} notices were reduced to their digests.")
        if left := retention.preview(before).notices:
            self.stdout.write(f"{left:,} are left: do it again.")

    def _reduce(self, before: dt.datetime, by: str | None, reason: str) -> int:
        decider = User.objects.filter(username=by, is_active=True).first()
        if decider is None:
            raise CommandError("Say who decides that: --by with the name that a colleague signs in with.")
        try:
            return retention.reduce_bodies(before, by=decider, reason=reason)
        except ValidationError as refusal:
            raise CommandError(" ".join(refusal.messages)) from refusal

    def _tell(self, before: dt.datetime) -> None:
        found = retention.reducible(before).order_by("incident__reference")
        total = 0
        for reference, count in found.values_list("incident__reference").annotate(count=Count("pk")):
            self.stdout.write(f"{reference}: {count:,} notices")
            total += count
        self.stdout.write(f"The texts of {total:,} notices would be reduced to their digests. Nothing was changed.")
