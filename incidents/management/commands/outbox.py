"""`manage.py outbox run [--loop]`: what the workers do, without any broker."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import close_old_connections
from django.utils import timezone

from incidents import notices, outbox

TICK = 1.0  # seconds
STALLED_EVERY = 60  # ticks


class Command(BaseCommand):
    help = "Raise and deliver due notices without Celery; for cron, or with --loop as a service."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=["run"])
        parser.add_argument("--loop", action="store_true", help="go on every second until stopped (Ctrl-C, SIGTERM)")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["loop"]:
            self._tick(with_stalled=True)
            return
        stopped = threading.Event()

        def stop(signum: int, frame: FrameType | None) -> None:
            stopped.set()

        for signum in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signum, stop)
        self.stdout.write("Raising and delivering notices every second. Ctrl-C stops.")
        tick = 0
        while not stopped.is_set():
            try:
                self._tick(with_stalled=tick % STALLED_EVERY == 0)
            except Exception as error:  # noqa: BLE001 - the loop must outlive whatever one pass runs into
                self.stderr.write(f"This pass failed; the next one tries again: {type(error).__name__}: {error}")
            tick += 1
            stopped.wait(TICK)

    def _tick(self, *, with_stalled: bool) -> None:
        close_old_connections()
        released = outbox.release_stalled(timezone.now()) if with_stalled else 0
        raised = notices.raise_due(timezone.now())
        tried = outbox.deliver(timezone.now())
        if released or raised or tried:
            told = ", ".join(f"{count} {outcome}" for outcome, count in tried.items()) or "none"
            self.stdout.write(f"Stalled released: {released}. Deadlines raised: {raised}. Notices tried: {told}.")
