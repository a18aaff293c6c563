"""Databases with the schema and the cast, made once in a run by the product's own commands; each journey has a copy."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from tests.services.postgres import PostgresServer
from tests.services.processes import Processes


@pytest.fixture(scope="session")
def migrated_sqlite(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite database with the schema and nothing else. It is for copying; the suite's processes share it."""
    folder = tmp_path_factory.getbasetemp()
    if hasattr(request.config, "workerinput"):
        folder = folder.parent  # that of all processes of this run
    with (folder / "migrated.lock").open("w") as lock, Processes(folder / "migrated") as processes:
        fcntl.flock(lock, fcntl.LOCK_EX)
        file = _sqlite_file(processes)
        if not file.exists():
            processes.manage("migrate", "-v0")
        return file


@pytest.fixture(scope="session")
def migrated_postgres(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a PostgreSQL database with the schema and nothing else. It is for copying."""
    if url := os.environ.get("MIGRATED_DATABASE_URL"):
        return url
    url = postgres.create_database()
    with Processes(tmp_path_factory.mktemp("migrated"), {"DATABASE_URL": url}) as processes:
        processes.manage("migrate", "-v0")
    return url


@pytest.fixture(scope="session")
def seeded_sqlite(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite database with the schema and the cast. It is for copying."""
    with Processes(tmp_path_factory.mktemp("seeded")) as processes:
        copy_sqlite(migrated_sqlite, processes)
        _seed(processes)
        return _sqlite_file(processes)


@pytest.fixture(scope="session")
def seeded_postgres(postgres: PostgresServer, migrated_postgres: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a PostgreSQL database with the schema and the cast. It is for copying."""
    url = postgres.create_database(template=migrated_postgres)
    with Processes(tmp_path_factory.mktemp("seeded"), {"DATABASE_URL": url}) as processes:
        _seed(processes)
    return url


@pytest.fixture(scope="session")
def postgres_role(postgres: PostgresServer, seeded_postgres: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The role that the product works as on copies of the seeded database; the owner has made it what the docs say."""
    role = postgres.create_role()
    with Processes(tmp_path_factory.mktemp("role"), {"DATABASE_URL": seeded_postgres}) as processes:
        processes.manage("audit", "grants", "--role", role, "--apply")
    return role


def copy_sqlite(source: Path, processes: Processes) -> None:
    """Give these processes a copy of the database as theirs."""
    target = _sqlite_file(processes)
    target.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(source)) as here, closing(sqlite3.connect(target)) as there:
        here.backup(there)


def copy_postgres(source: str, target: str, postgres: PostgresServer) -> None:
    """Make the database `target` anew, as a copy of `source`."""
    new, old = (sql.Identifier(urlsplit(url).path.lstrip("/")) for url in (target, source))
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {}").format(new))
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(new, old))


def _seed(processes: Processes) -> None:
    processes.manage("shell", "-v0", "-c", "from tests.journeys import acts; acts.seed()")


def _sqlite_file(processes: Processes) -> Path:
    return Path(processes.env["DATABASE_URL"].removeprefix("sqlite:///"))
