"""One mail server, one Redis and one process of people for all fault tests; a database of its own for each world."""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Iterator

import pytest

from tests.faults.world import PATIENT, Stage, World
from tests.services.postgres import PostgresServer
from tests.services.redis import RedisServer
from tests.services.smtp import SmtpSink


@pytest.fixture(scope="session")
def stage(
    postgres: PostgresServer, migrated_postgres: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    logging.getLogger("mail.log").setLevel(logging.WARNING)  # thousands of mails, each told line by line
    with (
        RedisServer() as redis,
        SmtpSink() as sink,
        Stage(postgres, redis, sink, tmp_path_factory.mktemp("faults"), migrated_postgres) as stage,
    ):
        yield stage


@pytest.fixture
def world(stage: Stage) -> Iterator[World]:
    """A world of this test's own; nothing but its servers is running yet."""
    with stage.world() as world:
        yield world


@pytest.fixture
def patient(world: World) -> None:
    """Its processes wait as long as they do in earnest before they take anything for lost."""
    world.processes.env |= PATIENT


@pytest.fixture
def seed() -> int:
    """What decides about chance; that of a failed run is printed, and FAULT_SEED repeats it."""
    seed = int(os.environ.get("FAULT_SEED") or secrets.randbelow(1_000_000))
    print(f"FAULT_SEED={seed}")
    return seed
