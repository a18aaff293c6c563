"""Fixtures that hand real services to tests. Loaded by `pytest_plugins = ["tests.services.fixtures"]`.

Nothing is started for a test that does not ask for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.postgres import PostgresServer
from tests.services.processes import Processes
from tests.services.redis import RedisServer
from tests.services.smtp import SmtpSink


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One PostgreSQL server for the whole run. Who stops it starts it again: `with postgres.stopped(): …`."""
    with PostgresServer() as server:
        yield server


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """The URL of a fresh, empty database for this test."""
    url = postgres.create_database()
    yield url
    postgres.drop_database(url)


@pytest.fixture(scope="module")
def redis_module() -> Iterator[RedisServer]:
    """One Redis server for the tests of a module, for fixtures that live as long."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def redis_server(redis_module: RedisServer) -> RedisServer:
    """The module's Redis server, running and empty whatever the last test did to it."""
    if not redis_module.is_running:
        redis_module.start()
    redis_module.empty()
    return redis_module


@pytest.fixture
def smtp_sink() -> Iterator[SmtpSink]:
    """A mail server of this test's own, which keeps what it accepts."""
    with SmtpSink() as sink:
        yield sink


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    """The product's processes; none outlives the test. Their logs' ends are shown if the test failed."""
    with Processes(tmp_path / "processes") as running:
        yield running
        print(running.logs())  # captured, and shown for a failed test only
