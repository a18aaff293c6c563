"""People save while the next release migrates tables of a million rows. `python -m tests.bench.upgrade`"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import psycopg
from django.db import OperationalError, connection
from django.utils import timezone

from config.concurrently import LOCK
from config.history import AuditedModel, acting
from config.models import User
from incidents import lifecycle
from incidents.models import Deadline, Incident, Notice
from tests.bench.idle_tick import declare_the_first
from tests.bench.stage import on_postgres, verdict
from tests.bench.world import copy_rows, tell
from tests.deploy.next_release import next_release
from tests.services.processes import Processes

AIM = LOCK + 1  # seconds that the longest save may wait; a page is given up after config.patience.LOCK
#: Of each big table, a field of text that changes with every save.
CHANGED: dict[type[AuditedModel], str] = {Incident: "description", Deadline: "end_reason", Notice: "state_reason"}
#: What migrations must not do, and how long that takes.
HURTFUL = {
    "an index, not concurrently": "CREATE INDEX planted ON incidents_incident (title, detected_at)",
    "a check, not concurrently": "ALTER TABLE incidents_notice ADD CONSTRAINT planted CHECK (kind <> '')",
    "a column that is computed": "ALTER TABLE incidents_deadline ADD COLUMN planted text DEFAULT random()",
}


def fill(rows: int) -> None:
    """So many incidents with a deadline and a notice each, and a row of the trail for each of the three."""
    first = declare_the_first(timezone.now())
    deadline = first.deadlines.earliest("pk")
    lifecycle.notify_client(first, by=User.objects.get(username="olga"), now=timezone.now())
    notice = Notice.objects.filter(incident=first).earliest("pk")
    last = {model: model._base_manager.latest("pk").pk for model in CHANGED}
    series = f"CROSS JOIN generate_series(1, {rows}) AS more(number)"
    copy_rows(first, series, {"reference": "'COPY-' || more.number"})
    copies = f"JOIN incidents_incident AS more ON more.id > {last[Incident]}"
    copy_rows(deadline, copies, {"incident_id": "more.id"})
    sent = {"incident_id": "more.id", "deadline_id": "NULL", "message_id": "row.message_id || more.id"}
    copy_rows(notice, copies, sent | {"state": "'sent'", "accepted_at": "now()", "html": "''"})
    for model in CHANGED:
        tell(model, f"now.id > {last[model]}", {})
    with connection.cursor() as cursor:
        cursor.execute("VACUUM (ANALYZE)")


class Saver(threading.Thread):
    """Saves rows of one table at a steady rate; `waits` are the seconds from when each was to begin to its commit."""

    def __init__(self, model: type[AuditedModel], every: float) -> None:
        super().__init__(daemon=True)
        self._row, self._every = model._base_manager.latest("pk"), every
        self.waits: list[float] = []
        self.refused = 0
        self.enough = threading.Event()

    def run(self) -> None:
        began = time.monotonic()
        with acting(reason="To see how long it takes."):
            for number in count():
                at = began + number * self._every
                if self.enough.wait(max(0.0, at - time.monotonic())):
                    break
                setattr(self._row, CHANGED[type(self._row)], f"Changed {number} times")
                try:
                    self._row.save()
                except OperationalError:
                    self.refused += 1
                self.waits.append(time.monotonic() - at)
        connection.close()


@contextlib.contextmanager
def people(every: float) -> Iterator[list[Saver]]:
    """One at each table, for as long as the block takes and a second before and after it."""
    savers = [Saver(model, every) for model in CHANGED]
    for saver in savers:
        saver.start()
    time.sleep(1)
    yield savers
    time.sleep(1)
    for saver in savers:
        saver.enough.set()
        saver.join()


def measure(name: str, step: Callable[[], None], every: float, aim: float | None = None) -> None:
    with people(every) as savers:
        began = time.monotonic()
        step()
        took = time.monotonic() - began
    waits = [wait for saver in savers for wait in saver.waits]
    middle, nearly_all = statistics.median(waits), statistics.quantiles(waits, n=100)[98]
    longest = max(waits)
    print(
        f"{name:34}{took:6.1f} s, {len(waits):5} saves: p50 {middle * 1000:5.0f} ms, p99 {nearly_all * 1000:6.0f} ms, "
        f"longest {longest:5.2f} s, refused {sum(saver.refused for saver in savers)}"
        f"{'' if aim is None else f' (aim ≤ {aim:g} s) {verdict(longest <= aim)}'}",
        flush=True,
    )


def executed(statement: str) -> Callable[[], None]:
    def execute() -> None:
        with connection.cursor() as cursor:
            cursor.execute(statement)

    return execute


def measure_upgrade(url: str, folder: Path, every: float) -> None:
    code = next_release(folder / "next")
    names = sorted(path.stem for path in (code / "incidents" / "migrations").glob("09*.py"))
    with Processes(folder / "processes", {"DATABASE_URL": url}, code=code) as new:

        def migrated(name: str, *, is_done: bool = True) -> Callable[[], None]:
            def migrate() -> None:
                ended = new.manage("migrate", "incidents", name, "-v0", check=is_done, timeout=600)
                assert is_done or "lock timeout" in ended.stderr, ended.stderr

            return migrate

        with psycopg.connect(url) as reader:
            reader.execute("SELECT 1 FROM incidents_incident LIMIT 1")  # as a dump does, for as long as it takes
            measure(f"{names[0]}, beside a dump", migrated(names[0], is_done=False), every, AIM)
        for name in names:
            measure(name, migrated(name), every, AIM)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--count", type=int, default=1_000_000, help="incidents, deadlines and notices each (a million)"
    )
    parser.add_argument("--per-second", type=float, default=20, help="saves in each of the three tables (20)")
    chosen = parser.parse_args()
    every = 1 / chosen.per_second
    with on_postgres() as url, tempfile.TemporaryDirectory(prefix="due-notice-bench-") as folder:
        fill(chosen.count)
        measure("nothing", lambda: time.sleep(15), every)
        measure_upgrade(url, Path(folder), every)
        print("What the rules refuse:")
        for name, statement in HURTFUL.items():
            measure(name, executed(statement), every)


if __name__ == "__main__":
    main()
