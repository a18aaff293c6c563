"""`manage.py audit verify | anchor | seal | grants | verify-files`: the audit trail from the command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from config import times
from config.audit import anchors, database_role, events, file_check, seals, verification
from config.models import EventKind, Seal


class Command(BaseCommand):
    help = (
        "verify: read the whole trail and name what was changed, removed or slipped in since it was sealed; exits 1 if "
        "there is anything. anchor: print the head of the chain, to be kept elsewhere. seal: seal now what was added. "
        "grants: what a PostgreSQL role needs that runs the product and owns nothing of it. "
        "verify-files: whether an export of the trail or of one incident is as it was made; reads no database."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        verify = actions.add_parser("verify", help="read it all and name what is not as it was sealed")
        verify.add_argument(
            *("--anchor", "-a"),
            type=argparse.FileType(encoding="utf-8", errors="replace"),
            action="append",
            default=[],
            metavar="FILE",
            help="a file with one or more printed anchors, or mails with them; - for standard input",
        )
        actions.add_parser("anchor", help="print the head of the chain, to be kept elsewhere")
        actions.add_parser("seal", help="seal now what was added since the last seal")
        grants = actions.add_parser("grants", help="what a PostgreSQL role needs that owns none of the tables")
        grants.add_argument("--role", required=True, help="a role that exists and may sign in")
        grants.add_argument("--apply", action="store_true", help="run the statements instead of printing them")
        files = actions.add_parser("verify-files", help="check exported files by themselves")
        files.add_argument(
            "path", type=Path, help="the ZIP as it was downloaded, or the folder that it was unpacked to"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        does: dict[str, Callable[..., None]] = {
            "verify": self._verify,
            "anchor": self._anchor,
            "seal": self._seal,
            "grants": self._grants,
            "verify-files": self._verify_files,
        }
        does[options["action"]](**options)

    def _seal(self, **options: Any) -> None:
        self.stdout.write(f"{seals.seal():,} rows sealed.")

    def _anchor(self, **options: Any) -> None:
        newest = Seal.objects.first()
        if newest is None:
            raise CommandError("There is no seal yet. Start the worker and the beat, or run `manage.py audit seal`.")
        self.stdout.write(str(anchors.of(newest)))
        events.record(EventKind.ANCHOR_TAKEN, number=newest.number)

    def _verify(self, *, anchor: list[Any], **options: Any) -> None:
        kept = [found for file in anchor for found in self._anchors_in(file)]
        report = verification.verify(self._progress)
        found = [*(finding for one in kept for finding in anchors.check(one)), *report.findings]
        self._tell(report, len(kept))
        for finding in found:
            self.stdout.write(str(finding))
        for table, count in report.more.items():
            self.stdout.write(f"{table}: {count:,} more")
        if found:
            events.record(EventKind.VERIFY_FAILED, first=found[0])
            total = len(found) + sum(report.more.values())
            raise CommandError(
                f"Not as it was sealed: {total:,} found. Change nothing: keep a copy of this database as it is, and of "
                "the server's log, then compare with the newest backup for which this command finds nothing. "
                "docs/audit.md says what each finding means.",
                returncode=1,
            )
        self.stdout.write("Nothing was changed, removed or slipped in since it was sealed.")

    def _anchors_in(self, file: Any) -> list[anchors.Anchor]:
        with file:
            found = anchors.read(file.read())
        if not found:
            raise CommandError(f"{Path(file.name).name} holds no anchor as `manage.py audit anchor` prints it.")
        return found

    def _tell(self, report: verification.Report, anchors: int) -> None:
        newest = report.newest
        last = f", the last of {times.in_zone(newest.cut_at, 'UTC')}" if newest else ""
        self.stdout.write(
            f"{report.seals:,} seals{last}; {report.rows:,} sealed rows and {report.compared:,} live rows read, "
            f"{report.waiting:,} wait for the next seal; {anchors} anchors."
        )
        if report.gaps:
            start, end = max(report.gaps, key=lambda gap: gap[1] - gap[0])
            self.stdout.write(
                f"Nothing was sealed for longer than usual {len(report.gaps):,} times, longest from "
                f"{times.in_zone(start, 'UTC')} to {times.in_zone(end, 'UTC')}: "
                "no seal shows what happened to rows before they were sealed."
            )

    def _grants(self, *, role: str, apply: bool, **options: Any) -> None:
        try:
            if apply:
                database_role.apply(connection, role)
                self.stdout.write(f"{role} may run the product, and only add to the audit trail.")
            else:
                self.stdout.write("".join(f"{line};\n" for line in database_role.grants(connection, role)))
        except database_role.NoSuchRole as refusal:
            raise CommandError(refusal.message) from refusal

    def _progress(self, done: int, total: int) -> None:
        """A line that renews itself for a person; nothing in a log."""
        if sys.stderr.isatty():
            self.stderr.write(f"\r{done:,} of {total:,} rows …", ending="\n" if done >= total else "")

    def _verify_files(self, *, path: Path, **options: Any) -> None:
        try:
            report = file_check.check(path)
        except OSError as error:
            raise CommandError(f"{path} cannot be read: {error.strerror}.") from error
        for line in report.said:
            self.stdout.write(line)
        for finding in report.findings:
            self.stdout.write(finding)
        if report.findings:
            raise CommandError(f"Not as it was exported: {len(report.findings):,} found.", returncode=1)
        self.stdout.write(f"{report.files} files with {report.rows:,} rows: all as they were exported.")
