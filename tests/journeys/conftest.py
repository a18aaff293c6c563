"""The product as a whole, on the parts that a journey names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.seeded import copy_postgres, copy_sqlite
from tests.services.postgres import PostgresServer
from tests.services.processes import Processes
from tests.services.redis import RedisServer
from tests.services.smtp import SmtpSink


class Product:
    """The product's processes on one database and one broker, with a mail server that keeps what it accepts."""

    def __init__(self, processes: Processes, inbox: SmtpSink, parts: str) -> None:
        self.processes = processes
        self.inbox = inbox
        self.parts = parts

    def act(self, call: str) -> str:
        """Run one of tests/journeys/acts.py inside the product; what it printed."""
        return self.processes.manage("shell", "-v0", "-c", f"from tests.journeys import acts; acts.{call}").stdout

    def start_acting(self, name: str, call: str) -> None:
        """The same beside this process."""
        script = f"from tests.journeys import acts; acts.{call}"
        self.processes.start(name, "manage.py", "shell", "-v0", "-c", script, may_end=True)

    def facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = json.loads(self.act("tell()"))
        return facts

    def start_workers(self, *names: str) -> None:
        """Workers with as many beats."""
        for name in names:
            self.processes.start_worker(name)
            self.processes.start_beat(f"{name}-beat")


#: On PostgreSQL as a role that owns none of the tables.
SMALL, REAL = "SQLite and files", "PostgreSQL and Redis"


def _small_product(processes: Processes, inbox: SmtpSink, seeded: Path) -> Product:
    copy_sqlite(seeded, processes)
    processes.env["EMAIL_URL"] = inbox.url
    return Product(processes, inbox, SMALL)


@pytest.fixture(params=[SMALL, REAL])
def product(request: pytest.FixtureRequest, processes: Processes, smtp_sink: SmtpSink) -> Product:
    """The product with its cast, on either set of parts; nothing but the database is running yet."""
    started = request.getfixturevalue
    if request.param == SMALL:
        return _small_product(processes, smtp_sink, started("seeded_sqlite"))
    return started("real_product")  # type: ignore[no-any-return]


@pytest.fixture
def real_product(
    processes: Processes,
    smtp_sink: SmtpSink,
    redis_server: RedisServer,
    postgres: PostgresServer,
    postgres_url: str,
    seeded_postgres: str,
    postgres_role: str,
) -> Product:
    """The product on PostgreSQL and Redis, as a role that owns none of the tables."""
    copy_postgres(seeded_postgres, postgres_url, postgres)
    processes.env |= {
        "EMAIL_URL": smtp_sink.url,
        "DATABASE_URL": postgres.as_role(postgres_url, postgres_role),
        "REDIS_URL": redis_server.url,
    }
    return Product(processes, smtp_sink, REAL)


@pytest.fixture
def small_product(processes: Processes, smtp_sink: SmtpSink, seeded_sqlite: Path) -> Product:
    """The product on SQLite and files; on the real parts tests/faults holds it to the same and more."""
    return _small_product(processes, smtp_sink, seeded_sqlite)
