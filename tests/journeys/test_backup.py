"""A database is lost and comes back by the scripts in deploy/backup, as docs/backup.md walks it."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, LiteralString
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from tests.journeys.conftest import Product
from tests.journeys.seeded import copy_postgres
from tests.services.postgres import PostgresServer
from tests.services.processes import ROOT, Processes
from tests.services.smtp import SmtpSink

UNREACHED = "it@contoso.example"

#: What the hold, and the passes of a worker while sending is held, write into what was restored.
WRITTEN_SINCE = {
    "incidents_sending",
    "incidents_historicalsending",
    "incidents_heartbeat",
    "config_seal",
    "config_sealedrange",
    "config_concern",
    "config_examination",
    "incidents_tally",
}

BEATS = "SELECT 1 FROM incidents_heartbeat WHERE at > now() - interval '5 s'"
UNSETTLED = "SELECT 1 FROM incidents_notice WHERE state NOT IN ('sent', 'handled')"


def script(processes: Processes, name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run one of the scripts, from wherever its caller happens to be."""
    return subprocess.run(
        [ROOT / "deploy" / "backup" / f"{name}.sh", *arguments],
        cwd="/",
        env={**processes.env, "PYTHON": sys.executable},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def done(ended: subprocess.CompletedProcess[str]) -> str:
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def refused(ended: subprocess.CompletedProcess[str]) -> str:
    assert ended.returncode == 1, ended.stdout + ended.stderr
    return ended.stderr


@pytest.fixture
def lasting_url(postgres: PostgresServer, processes: Processes, seeded_postgres: str) -> Iterator[str]:
    """A copy of the seeded database that the test may drop and have again under its name."""
    url = postgres.create_database()
    copy_postgres(seeded_postgres, url, postgres)
    yield url
    postgres.drop_database(url)


def lose(postgres: PostgresServer, url: str) -> None:
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        name = sql.Identifier(urlsplit(url).path.lstrip("/"))
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


def content(url: str) -> dict[str, tuple[int, str]]:
    """Of each table how many rows it has, and the digest of them all; of each sequence where it stands."""
    with psycopg.connect(url) as database:
        tables = database.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        found = {}
        for (table,) in tables:
            question = "SELECT count(*), coalesce(md5(string_agg(t::text, '|' ORDER BY t::text)), '') FROM {} t"
            [row] = database.execute(sql.SQL(question).format(sql.Identifier(table)))
            found[table] = row
        for name, value in database.execute("SELECT sequencename, last_value FROM pg_sequences").fetchall():
            found[name] = (value or 0, "sequence")
    return found


def differing(before: dict[str, tuple[int, str]], after: dict[str, tuple[int, str]]) -> set[str]:
    """The tables that are not as they were, each with its sequence as one."""
    names = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    return {re.sub(r"_(history_)?id_seq$", "", name) for name in names}


def test_a_lost_database_comes_back_held_and_says_what_may_have_gone_out(
    processes: Processes, smtp_sink: SmtpSink, postgres: PostgresServer, lasting_url: str, tmp_path: Path
) -> None:
    product = Product(processes, smtp_sink, "PostgreSQL")
    processes.env |= {
        "DATABASE_URL": lasting_url,
        "EMAIL_URL": smtp_sink.url,
        "PATH": f"{postgres.programs}:{processes.env['PATH']}",
    }
    product.act("declare_and_notify(); acts.send(); acts.declare_and_notify()")
    settled = {mail.message_id for mail in smtp_sink.messages}
    assert len(settled) == 3

    backup = Path(done(script(processes, "backup", tmp_path)).strip())
    kept = content(lasting_url)

    smtp_sink.refuse(UNREACHED, 451, "4.3.0 later")
    product.act("send(); acts.declare_and_notify(); acts.send()")
    gone_out = {mail.message_id: mail for mail in smtp_sink.messages if mail.message_id not in settled}
    assert len(gone_out) == 4  # of the second incident, which the backup knows, and of a third, which it does not
    smtp_sink.behave()

    lose(postgres, lasting_url)
    processes.start_outbox("impatient")  # a worker that somebody forgot to stop
    processes.wait_for_log("impatient", "OperationalError", 40)
    told = done(script(processes, "restore", backup, "max"))
    processes.wait_until(lambda: answer(lasting_url, BEATS), 120, "the worker had found the database")
    assert len(smtp_sink.messages) == 7, "nothing was sent"
    assert differing(kept, content(lasting_url)) <= WRITTEN_SINCE

    [since] = re.findall(r"audit --since (\S+)", told)
    listed = processes.manage("outbox", "audit", "--since", since, check=False).stdout
    rows = [line.split("\t") for line in listed.splitlines() if line.count("\t") == 7][1:]
    second = set(product.facts()["notices"]) - settled
    assert {row[4] for row in rows} == second
    known = second & gone_out.keys()
    assert len(known) == 2
    [anchor] = re.findall(r"--anchor (\S+)", told)
    assert "Nothing was changed" in processes.manage("audit", "verify", "--anchor", anchor).stdout

    in_both = tmp_path / "in-the-log.txt"
    found, overlooked = sorted(known)
    in_both.write_text(f"{found} {gone_out[found].received_at:%Y-%m-%dT%H:%M:%SZ} 250 2.0.0 Ok: queued\n")
    decided = ("--by", "max", "--reason", "Compared with the mail server's log")
    assert "1 settled" in processes.manage("outbox", "arrived", "--log", str(in_both), *decided).stdout

    product.act("declare_and_notify()")  # what the backup did not know
    processes.manage("outbox", "release", *decided)
    processes.wait_until(lambda: not answer(lasting_url, UNSETTLED), 120, "all was sent")
    notices = product.facts()["notices"]
    assert {key for key, (state, *_) in notices.items() if state == "handled"} == {found}
    assert notices.keys() <= smtp_sink.by_message_id().keys(), "nothing is missing"
    copies = {key: mails for key, mails in smtp_sink.by_message_id().items() if len(mails) > 1}
    assert copies.keys() == {overlooked}, "nothing is sent twice but what nobody found in the log, and that once more"
    assert [mail.text for mail in copies[overlooked]] == [gone_out[overlooked].text] * 2
    product.act("send(); acts.examine()")
    assert "Nothing was changed" in processes.manage("audit", "verify", "--anchor", anchor).stdout


def answer(url: str, question: LiteralString) -> list[Any]:
    with psycopg.connect(url) as database:
        return database.execute(question).fetchall()


def test_sqlite_goes_the_same_way_and_nothing_is_overwritten(small_product: Product, tmp_path: Path) -> None:
    processes, folder = small_product.processes, tmp_path / "backups"
    folder.mkdir()
    processes.env["BACKUP_KEEP"] = "2"
    file = Path(processes.env["DATABASE_URL"].removeprefix("sqlite:///"))
    for day in ("1", "2"):  # backups of earlier days
        for ending in ("sqlite3", "sqlite3.sha256", "anchor"):
            (folder / f"due-notice-2026010{day}T020000Z.{ending}").touch()
    small_product.act("declare_and_notify()")
    with closing(sqlite3.connect(file)) as writer:  # it goes on while somebody is connected
        writer.execute("SELECT 1 FROM incidents_notice").fetchall()
        backup = Path(done(script(processes, "backup", folder)).strip())
    left = sorted(path.name.partition(".")[0] for path in folder.iterdir())
    assert left == ["due-notice-20260102T020000Z"] * 3 + [backup.name.partition(".")[0]] * 3, "the oldest went whole"
    assert backup.stat().st_mode & 0o077 == 0
    kept = list(sqlite3.connect(file).iterdump())

    assert "is there already" in refused(script(processes, "restore", backup, "max"))
    for path in file.parent.glob("db.sqlite3*"):
        path.unlink()
    assert "could not be held" in refused(script(processes, "restore", backup, "nobody"))
    assert list(file.parent.glob("db.sqlite3*")) == [], "nothing is left of a restore that failed"
    done(script(processes, "restore", backup, "max"))
    restored = list(sqlite3.connect(file).iterdump())
    written = {line.split('"')[1] for line in set(kept) ^ set(restored)}
    assert written <= WRITTEN_SINCE | {"sqlite_sequence"}
    held = "SELECT hold_reason FROM incidents_sending WHERE is_held"
    assert sqlite3.connect(file).execute(held).fetchall() == [(f"Backup {backup.name} restored",)]

    backup.write_bytes(backup.read_bytes()[:-1])
    file.unlink()
    assert "is not as it was made" in refused(script(processes, "restore", backup, "max"))
    assert not file.exists()
