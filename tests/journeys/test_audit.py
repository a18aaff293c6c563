"""The audit as cron runs it, while nothing else of the product is alive; and the trail, as it is kept and put back."""

from __future__ import annotations

import datetime as dt
import sqlite3
from contextlib import closing
from pathlib import Path

from incidents.models.sending import Part
from tests.journeys.seeded import copy_postgres, copy_sqlite
from tests.services.postgres import PostgresServer
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


def test_the_loop_without_a_broker_seals_and_examines_and_goes_on_after_a_pass_that_fails(
    processes: Processes, seeded_sqlite: Path
) -> None:
    copy_sqlite(seeded_sqlite, processes)
    file = Path(processes.env["VAR_DIR"]) / "db.sqlite3"

    def sql(statement: str) -> list[tuple[int]]:
        with closing(sqlite3.connect(file, timeout=30)) as database, database:
            return database.execute(statement).fetchall()

    sql("ALTER TABLE config_examination RENAME TO out_of_the_way")
    processes.start_outbox()
    processes.wait_until(lambda: "The sealer's pass failed" in processes.log("outbox"), 30, "the sealer had failed")
    sql("ALTER TABLE out_of_the_way RENAME TO config_examination")
    processes.wait_until(lambda: sql("SELECT 1 FROM config_examination"), 30, "the sealer had examined")
    assert sql("SELECT count(*) FROM config_examination") == sql("SELECT count(*) FROM config_seal")


def test_an_old_copy_that_is_put_back_is_found_by_a_newer_anchor_and_by_nothing_else(
    processes: Processes, postgres: PostgresServer, postgres_url: str, seeded_postgres: str, tmp_path: Path
) -> None:
    """Whoever has the owner's password dumps before the miss, and restores after it."""
    copy_postgres(seeded_postgres, postgres_url, postgres)
    processes.env["DATABASE_URL"] = postgres_url
    processes.manage("audit", "seal")
    postgres.run("pg_dump", "--format=custom", "--file", tmp_path / "old", postgres_url)
    add = "from agreements.models import Service; Service.objects.create(name='Later')"
    processes.manage("shell", "-v0", "-c", add)
    processes.manage("audit", "seal")
    anchor = tmp_path / "anchor"
    anchor.write_text(processes.manage("audit", "anchor").stdout)
    processes.manage("audit", "verify", "--anchor", str(anchor))

    postgres.run("pg_restore", "--clean", "--if-exists", "--dbname", postgres_url, tmp_path / "old")
    processes.manage("audit", "verify")  # finds nothing, as the docs say
    found = processes.manage("audit", "verify", "--anchor", str(anchor), check=False)
    assert found.returncode == 1
    assert "newest seal here is" in found.stdout + found.stderr
