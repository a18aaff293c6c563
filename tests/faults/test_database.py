"""PostgreSQL that restarts, hangs up, stalls and is full while a sender is at work: it recovers by itself."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit, urlunsplit

import pytest

from tests.faults.world import Stage, World, nothing_is_lost_and_copies_are_bounded
from tests.services.postgres import PostgresServer, StopMode
from tests.services.proxy import TcpProxy


@pytest.fixture(scope="module")
def proxy(postgres: PostgresServer) -> Iterator[TcpProxy]:
    """Between the sender and the database."""
    server = urlsplit(postgres.url)
    folder = parse_qs(server.query).get("host")
    target = Path(folder[0], ".s.PGSQL.5432") if folder else (str(server.hostname), server.port or 5432)
    with TcpProxy(target) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def at_work(stage: Stage, proxy: TcpProxy) -> Iterator[World]:
    """One sender for the whole module."""
    with stage.world() as world:
        start_sender(world, proxy)
        yield world


def start_sender(world: World, proxy: TcpProxy) -> None:
    direct = urlsplit(world.database)
    host = f"{direct.username or 'postgres'}@127.0.0.1:{proxy.port}"
    url = urlunsplit(direct._replace(netloc=host, query=direct.query.partition("&")[2]))
    world.processes.start("sender", "manage.py", "outbox", "run", "--loop", env={"DATABASE_URL": url})


@pytest.fixture
def world(at_work: World) -> World:
    """The same, with forty mails owed and the sender in the midst of them."""
    at_work.sink.behave()
    at_work.sink.delay(0.01)
    at_work.owe(mails=40)
    at_work.wait_for_sending(3)
    return at_work


def recovers_by_itself(world: World) -> None:
    """The same process sends what is owed since; cron only gives back what it held."""
    world.sink.behave()
    world.owe(mails=1)
    world.wait_for_sending(1)
    world.settle()
    assert world.processes.is_running("sender")
    nothing_is_lost_and_copies_are_bounded(world)


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_sender_recovers_by_itself_from_a_restart_of_the_database(
    world: World, postgres: PostgresServer, mode: StopMode
) -> None:
    postgres.restart(mode)
    recovers_by_itself(world)


def test_a_sender_recovers_by_itself_when_its_connections_are_terminated(world: World, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - not a secret
    for _blow in range(5):
        world.owe(mails=chance.randint(1, 8))
        world.wait_for_sending(1)
        world.hang_up()
    recovers_by_itself(world)


def test_a_sender_goes_on_after_its_connection_to_the_database_stalled(world: World, proxy: TcpProxy) -> None:
    with proxy.stalled():
        world.settle()  # its leases end, and another sends what it holds
    recovers_by_itself(world)


def test_a_sender_whose_connection_is_cut_takes_a_new_one(world: World, proxy: TcpProxy) -> None:
    for _blow in range(3):
        world.owe(mails=2)
        world.wait_for_sending(1)
        proxy.cut()
    recovers_by_itself(world)


@pytest.mark.parametrize("is_after", [False, True], ids=["before it was done", "before that was known"])
def test_a_commit_that_is_cut_off_after_the_mail_was_accepted_adds_one_copy_at_most(
    world: World, proxy: TcpProxy, is_after: bool
) -> None:
    proxy.cut_at(b"accepted", b"COMMIT", is_after=is_after).wait_tripped()
    recovers_by_itself(world)


def test_on_a_full_disk_nothing_is_lost_and_the_sender_goes_on_when_there_is_room(
    stage: Stage, postgres: PostgresServer
) -> None:
    with postgres.small_disk(megabytes=40) as disk, stage.world(on=disk) as world:
        world.owe(mails=40)
        world.may_need_review = True
        with disk.full():
            while "error" not in (answer := world.people.try_to("owe", mails=100)):
                world.remember(answer["result"])  # there was room left in the tables
            assert "No space left" in answer["error"]
            world.processes.start_outbox("sender")
            world.processes.wait_for_log("sender", "DiskFull")
        recovers_by_itself(world)
