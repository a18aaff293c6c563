"""What every bench needs: a real database, and meters for queries, time and the machine's cores."""

from __future__ import annotations

import contextlib
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection, connections
from psycopg import sql
from psycopg.errors import DuplicateDatabase

from config import env
from tests.services.postgres import PostgresServer

#: What decides how much a commit costs and how much of the tables is in memory.
SERVER_SETTINGS = ("server_version", "fsync", "synchronous_commit", "full_page_writes", "shared_buffers")


@contextmanager
def on_postgres(kept: str = "") -> Iterator[str]:
    """A fresh, migrated database of a PostgreSQL that keeps what it commits. Prints its settings, gives its URL.

    With `kept`, that of this name on the server of DATABASE_URL, made if it is not there, and not dropped.
    """
    try:
        server = PostgresServer(fsync=True).__enter__()
    except pytest.skip.Exception as without:  # the same sentence that a test would be skipped with
        sys.exit(str(without))
    try:
        with _migrated(_kept(server, kept) if kept else server.create_database()) as url:
            print("PostgreSQL:", ", ".join(f"{name} {_ask(f'SHOW {name}')}" for name in SERVER_SETTINGS), flush=True)
            yield url
    finally:
        server.__exit__(None, None, None)


def _kept(server: PostgresServer, name: str) -> str:
    if server.is_ours:
        sys.exit("Only on the server of DATABASE_URL anything is kept.")
    with psycopg.connect(server.url, autocommit=True) as maintenance, contextlib.suppress(DuplicateDatabase):
        maintenance.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return urlunsplit(urlsplit(server.url)._replace(path=f"/{name}"))


@contextmanager
def on_sqlite() -> Iterator[str]:
    """A fresh, migrated SQLite file, as the product uses one without DATABASE_URL. Gives its URL."""
    with (
        tempfile.TemporaryDirectory(prefix="due-notice-bench-") as folder,
        _migrated(f"sqlite:///{folder}/db.sqlite3") as url,
    ):
        print(f"SQLite: version {_ask('SELECT sqlite_version()')}, {_ask('PRAGMA journal_mode')}", flush=True)
        yield url


DATABASES = {"postgresql": on_postgres, "sqlite": on_sqlite}


@contextmanager
def _migrated(url: str) -> Iterator[str]:
    try:
        _use(url)
        call_command("migrate", verbosity=0)
        # Setting the scene rings doorbells for which nobody is at home.
        with mock.patch("config.celery.ring"):
            yield url
    finally:
        connections.close_all()


def _use(url: str) -> None:
    """Django read DATABASE_URL when it started; from here on it uses this one."""
    os.environ["DATABASE_URL"] = url
    connections.close_all()
    connections.settings = connections.configure_settings({"default": env.database("DATABASE_URL", url)})
    with contextlib.suppress(AttributeError):
        del connections["default"]


def _ask(question: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(question)
        return cursor.fetchone()[0]


@dataclass
class Spent:
    """What a block cost. Times in seconds; `database` is the backend's own CPU, None where it runs elsewhere.

    SQLite has no backend: what it costs is in `program`.
    """

    queries: int = 0
    wall: float = 0.0
    program: float = 0.0
    database: float | None = None

    @property
    def cpu(self) -> float:
        return self.program + (self.database or 0.0)

    def __add__(self, other: Spent) -> Spent:
        database = None if self.database is None or other.database is None else self.database + other.database
        return Spent(self.queries + other.queries, self.wall + other.wall, self.program + other.program, database)


@contextmanager
def metered() -> Iterator[Spent]:
    """Counts the statements that the ORM sends (BEGIN and COMMIT are not among them) and the time they take."""
    spent = Spent()

    def count(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        spent.queries += 1
        return execute(sql, params, many, context)

    backend = _ask("SELECT pg_backend_pid()") if connection.vendor == "postgresql" else None
    program, database, wall = _program_time(), _process_time(backend), time.perf_counter()
    with connection.execute_wrapper(count):
        yield spent
    spent.wall = time.perf_counter() - wall
    spent.program = _program_time() - program
    if database is not None and (now := _process_time(backend)) is not None:
        spent.database = now - database


def _program_time() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _process_time(pid: int | None) -> float | None:
    """User and system time of a process of this machine, in clock ticks of usually 10 ms."""
    if pid is None:
        return 0.0
    try:
        stat = Path("/proc", str(pid), "stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()  # from the state on: user and system time are the 12th and 13th
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass
class Cores:
    """How busy the machine was in a block, all programs together: 1.5 is one core and a half. Zero where unknown."""

    busy: float = 0.0
    there: int = os.cpu_count() or 1


@contextmanager
def watched_cores() -> Iterator[Cores]:
    cores = Cores()
    before, began = _busy_time(), time.monotonic()
    yield cores
    cores.busy = (_busy_time() - before) / (time.monotonic() - began)


def _busy_time() -> float:
    try:
        fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    except OSError:
        return 0.0
    user, nice, system, _idle, _waiting, irq, softirq, *_rest = map(int, fields)
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def verdict(is_met: bool) -> str:
    return "aim met" if is_met else "AIM MISSED"
