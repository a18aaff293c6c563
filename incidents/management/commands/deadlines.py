"""`manage.py deadlines verify | recheck`: are the stored deadlines right, and what would move them?"""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from config import times, zones
from incidents import deadlines
from incidents.models import Deadline

STEP = 10_000  # deadlines between two lines of progress


class Command(BaseCommand):
    help = (
        "verify: recompute every deadline from its own copied terms and compare. recheck: list the open deadlines that "
        "the present agreements, calendars or time zone rules would change. Neither changes anything; both exit 1 if "
        "there is something to list."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=["verify", "recheck"])

    def handle(self, *args: Any, **options: Any) -> None:
        found = self._verify() if options["action"] == "verify" else self._recheck()
        if found:
            raise CommandError(f"{found} listed above.", returncode=1)

    def _verify(self) -> int:
        total, wrong, done = Deadline.objects.count(), 0, 0
        first = 0
        while batch := list(Deadline.objects.filter(pk__gt=first).order_by("pk").values_list("pk", flat=True)[:STEP]):
            for deadline, course in deadlines.wrong_ones(Deadline.objects.filter(pk__gt=first, pk__lte=batch[-1])):
                wrong += 1
                self.stdout.write(
                    f"{deadline.pk} {deadline.incident.reference} {deadline.obligation}: stored "
                    f"{_show(deadline.due_at)}, its terms give {_show(course.plan.due_at)}."
                )
            first, done = batch[-1], done + len(batch)
            self._progress(done, total)
        self.stdout.write(f"{done} deadlines recomputed, {wrong} of them differ.")
        return wrong

    def _recheck(self) -> int:
        changed = 0
        for change in deadlines.changes_by(Deadline.objects.all()):
            changed += 1
            deadline = change.deadline
            self.stdout.write(
                f"{deadline.pk} {deadline.incident.reference} {deadline.client}: {deadline.obligation}, due "
                f"{_show(deadline.due_at)}, would be due {_show(change.course.plan.due_at)} "
                f"(time zone rules {deadline.iana_version} → {zones.IANA_VERSION})."
            )
        self.stdout.write(f"{changed} open deadlines would change. Nothing was changed.")
        return changed

    def _progress(self, done: int, total: int) -> None:
        """A line that renews itself for a person; nothing in a log."""
        if sys.stderr.isatty():
            self.stderr.write(f"\r{done:,} of {total:,} …", ending="\n" if done >= total else "")


def _show(instant: Any) -> str:
    return times.in_zone(instant, "UTC") if instant else "never"
