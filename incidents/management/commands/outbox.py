"""`manage.py outbox run | audit | hold | release | arrived`: the delivery from the command line, without any broker."""

from __future__ import annotations

import argparse
import datetime as dt
import signal
import threading
from types import FrameType
from typing import Any, TextIO

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error, transaction

from config import instants
from config.models import User
from incidents import handling, loop, outbox, watchdog
from incidents.models import Notice


class Command(BaseCommand):
    help = (
        "run: raise and deliver due notices without Celery; for cron, or with --loop as a service. audit: look whether "
        "any notice is late, lost or waiting for a person; exits 1 and says what if so, else tells HEARTBEAT_URL. "
        "hold, release: stop all sending and let it go again, for example around a restored backup. "
        "arrived: settle, while sending is held, what the mail server's log has as accepted."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=["run", "audit", "hold", "release", "arrived"])
        parser.add_argument("--loop", action="store_true", help="go on every second until stopped (Ctrl-C, SIGTERM)")
        parser.add_argument(
            "--since",
            metavar="INSTANT",
            help="with audit, after a backup was restored: list what may have been sent already since this instant, "
            "which has to name its zone (2026-11-24T10:00Z, 2026-11-24T11:00+01:00)",
        )

        parser.add_argument(
            "--log",
            type=argparse.FileType(encoding="utf-8"),
            metavar="FILE",
            help="with arrived: a line for each mail, with its Message-ID, the instant at which the mail server took "
            "it, and what the log says; - for standard input",
        )
        parser.add_argument("--by", metavar="USERNAME", help="with hold, release and arrived: who decides that")
        parser.add_argument("--reason", default="", help="with hold, release and arrived: why; kept in the audit trail")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["action"] == "audit":
            self._audit(options["since"])
        elif options["action"] == "run":
            self._run(**options)
        elif options["action"] == "arrived":
            self._settle(options["log"], _decider(options["by"]), options["reason"])
        else:
            self._switch(**options)

    def _settle(self, log: TextIO | None, by: User, reason: str) -> None:
        """All of them, or, if a line cannot be taken, none."""
        if log is None:
            raise CommandError("Name the file: --log FILE.")
        now, settled = instants.now(), 0
        with transaction.atomic():
            for number, line in enumerate(log, start=1):
                if not (parts := line.strip().split(maxsplit=2)):
                    continue
                try:
                    message_id, written, evidence = parts
                    at = dt.datetime.fromisoformat(written)
                    notice = Notice.objects.get(message_id=message_id)
                    handling.mail_log_has(notice, by=by, now=now, at=at, reason=reason, evidence=evidence)
                except (ValueError, TypeError) as error:
                    needed = "a Message-ID, an instant with its zone (2026-11-24T10:00:05Z) and what the log says"
                    raise CommandError(f"Line {number} needs {needed}. Nothing was done.") from error
                except Notice.DoesNotExist as error:
                    unknown = f"{message_id} is not in this database"
                    raise CommandError(f"Line {number}: {unknown}. Nothing was done.") from error
                except ValidationError as refusal:
                    raise CommandError(f"Line {number}: {' '.join(refusal.messages)} Nothing was done.") from refusal
                settled += 1
        self.stdout.write(f"{settled} settled: no copy of them goes any more.")

    def _switch(self, **options: Any) -> None:
        by = _decider(options["by"])
        verb = handling.hold if options["action"] == "hold" else handling.release
        try:
            verb(by=by, now=instants.now(), reason=options["reason"])
        except ValidationError as refusal:
            raise CommandError(" ".join(refusal.messages)) from refusal
        self.stdout.write("Sending is held." if verb is handling.hold else "Sending goes on.")

    def _run(self, **options: Any) -> None:
        if not options["loop"]:
            self._run_once()
            return
        stop = threading.Event()

        def stop_now(signum: int, frame: FrameType | None) -> None:
            stop.set()

        for signum in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signum, stop_now)
        self.stdout.write("Raising and delivering notices as they come. Ctrl-C stops.")
        loop.run(stop)

    def _run_once(self) -> None:
        """One pass of everything: what cron calls each minute."""
        released = outbox.release_stalled(instants.now())  # before the sender, which in a minute comes only once
        did: dict[str, Any] = dict(loop.once(instants.now()))
        raised, tried = did["planner"], did["sender"]
        if failed := [name for name, outcome in did.items() if isinstance(outcome, Exception)]:
            raise CommandError(f"Failed, and tried again the next time: {', '.join(failed)}. The log says why.")
        if released or raised or tried:
            told = ", ".join(f"{count} {outcome}" for outcome, count in tried.items()) or "none"
            self.stdout.write(f"Stalled released: {released}. Deadlines raised: {raised}. Notices tried: {told}.")

    # ── audit ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _audit(self, since: str | None) -> None:
        try:
            now = instants.now()
            if since is not None:
                self._list_what_may_have_been_sent(_instant(since, now))
            found = watchdog.audit(now, whole=True)
        except Error as error:
            raise CommandError(f"The database does not answer as it should: {error}", returncode=1) from error
        for problem in found:
            self.stdout.write(f"{problem}{f' ({problem.detail})' if problem.detail else ''}")
        if found:
            raise CommandError(f"Not clean: {len(found)} listed above.", returncode=1)
        self.stdout.write("Clean: no notice is late, lost or waiting for a person.")
        if not watchdog.ping():
            self.stderr.write("HEARTBEAT_URL could not be reached, so nobody outside knows that it is clean.")

    def _list_what_may_have_been_sent(self, since: dt.datetime) -> None:
        """One line each, columns parted by tabs."""
        self.stdout.write("incident\tclient\tkind\trecipient\tMessage-ID\tstate\tmade at\tlast tried at")
        listed = 0
        for notice in watchdog.may_have_been_sent(since):
            self.stdout.write("\t".join(" ".join(column.split()) for column in _columns(notice)))
            listed += 1
        self.stdout.write(f"{listed} listed. Look for their Message-ID in the mail server's log before they go out.")


def _decider(username: str | None) -> User:
    by = User.objects.filter(username=username, is_active=True).first()
    if by is None:
        raise CommandError("Say who decides that: --by with the name that a colleague signs in with.")
    return by


def _instant(written: str, now: dt.datetime) -> dt.datetime:
    try:
        instant = dt.datetime.fromisoformat(written.strip())
    except ValueError as error:
        raise CommandError(f"--since {written!r} is no instant. Write it like 2026-11-24T10:00Z.") from error
    if instant.tzinfo is None:
        raise CommandError(
            f"--since {written!r} does not name its zone. Write {written.strip()}Z for UTC, or an offset like +01:00."
        )
    if instant > now:
        raise CommandError(f"--since {written!r} lies in the future (it is {_shown(now)} now).")
    return instant


def _columns(notice: Notice) -> list[str]:
    tried_at: dt.datetime | None = notice.tried_at  # type: ignore[attr-defined]  # annotated
    return [
        notice.incident.reference if notice.incident else "–",
        notice.client.name if notice.client else "–",
        notice.kind,
        f"{notice.recipient_name} <{notice.recipient_address}>",
        notice.message_id,
        notice.state,
        _shown(notice.made_at),
        _shown(tried_at) if tried_at else "–",
    ]


def _shown(instant: dt.datetime) -> str:
    return instant.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
