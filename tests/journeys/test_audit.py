"""The audit as cron runs it, while nothing else of the product is alive."""

from __future__ import annotations

import datetime as dt
import sqlite3
from pathlib import Path

from incidents.models.sending import Part
from tests.journeys.seeded import copy_sqlite
from tests.services.processes import Processes


def test_the_audit_works_with_celery_and_redis_dead(processes: Processes, migrated_sqlite: Path) -> None:
    processes.env["REDIS_URL"] = "redis://127.0.0.1:1/0"
    copy_sqlite(migrated_sqlite, processes)
    silent = processes.manage("outbox", "audit", check=False)
    assert silent.returncode == 1
    assert [line.split(":")[0] for line in silent.stdout.splitlines()] == [f"{part}-silent" for part in Part]

    now = dt.datetime.now(dt.UTC).replace(tzinfo=None).isoformat(" ")
    with sqlite3.connect(Path(processes.env["VAR_DIR"]) / "db.sqlite3") as database:
        database.executemany(
            "INSERT INTO incidents_heartbeat (part, at, worker) VALUES (?, ?, 'test')", [(part, now) for part in Part]
        )
    clean = processes.manage("outbox", "audit", check=False)
    assert (clean.returncode, clean.stdout.split(":")[0]) == (0, "Clean")
