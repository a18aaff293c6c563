"""The product as a whole, on the parts that a journey names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.services.processes import Processes
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


def _product(processes: Processes, inbox: SmtpSink, parts: str, **env: str) -> Product:
    processes.env |= {"EMAIL_URL": inbox.url, **env}
    processes.manage("migrate", "-v0")
    product = Product(processes, inbox, parts)
    product.act("seed()")
    return product


SMALL, REAL = "SQLite and files", "PostgreSQL and Redis"


@pytest.fixture(params=[SMALL, REAL])
def product(request: pytest.FixtureRequest, processes: Processes, smtp_sink: SmtpSink) -> Iterator[Product]:
    """The product with its cast, on either set of parts; nothing but the database is running yet."""
    if request.param == SMALL:
        yield _product(processes, smtp_sink, SMALL)
        return
    redis = request.getfixturevalue("redis_server")
    yield _product(
        processes, smtp_sink, REAL, DATABASE_URL=request.getfixturevalue("postgres_url"), REDIS_URL=redis.url
    )


@pytest.fixture
def small_product(processes: Processes, smtp_sink: SmtpSink) -> Product:
    """The product on SQLite and files; on the real parts tests/faults holds it to the same and more."""
    return _product(processes, smtp_sink, SMALL)
