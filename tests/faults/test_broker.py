"""Redis that dies, forgets and stalls while a worker and a beat are at work: people notice nothing, mails go later."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from tests.faults.world import Stage, World, nothing_is_lost_and_copies_are_bounded

PATIENCE = 1.5  # seconds that a person waits for a page, whatever the broker does


@pytest.fixture(scope="module")
def at_work(stage: Stage) -> Iterator[World]:
    """One worker and one beat for the whole module."""
    with stage.world() as world:
        world.processes.start_worker()
        world.processes.start_beat()
        world.people.do("declare_on_the_page")  # the first page of a process takes longer than others
        world.owe(mails=1)
        world.wait_until_idle()
        yield world


@pytest.fixture
def world(at_work: World) -> World:
    """The same, with Redis running whatever the last test did to it."""
    at_work.sink.behave()
    at_work.redis.start()
    return at_work


def declare_without_waiting(world: World, times: int = 2) -> None:
    """People go on declaring incidents as if nothing had happened."""
    for _time in range(times):
        status, seconds = world.people.do("declare_on_the_page")
        assert status == 302, "it was saved"
        assert seconds < PATIENCE


def test_with_redis_killed_under_load_people_go_on_and_mails_go_by_cron_or_when_it_is_back(world: World) -> None:
    world.sink.delay(0.01)
    world.owe(mails=40)
    world.sink.wait_for(5)
    world.redis.kill()
    world.sink.behave()
    declare_without_waiting(world)
    world.owe(mails=20)
    world.processes.manage("outbox", "run")
    nothing_in_the_queue(world, "cron alone delivered what the worker did not hold")
    world.owe(mails=20)
    world.redis.start()
    world.wait_until_idle()
    nothing_is_lost_and_copies_are_bounded(world)


def nothing_in_the_queue(world: World, why: str) -> None:
    world.wait_until(lambda: not {"pending", "leased", "transmitting"} & set(world.states()), 20, why)


def test_everything_in_redis_may_be_forgotten_at_any_moment(world: World) -> None:
    world.sink.delay(0.01)
    world.owe(mails=40)
    with redis.Redis.from_url(world.redis.url) as client:
        for count in (2, 4, 6):
            world.wait_for_sending(count)
            client.flushall()
    world.sink.behave()
    world.owe(mails=20)
    world.wait_until_idle()
    nothing_is_lost_and_copies_are_bounded(world)


def test_a_stalled_redis_holds_nobody_up(world: World) -> None:
    with redis.Redis.from_url(world.redis.url) as client:
        client.client_pause(4_000)
        declare_without_waiting(world)
        client.client_unpause()
    world.owe(mails=20)
    world.wait_until_idle()
    nothing_is_lost_and_copies_are_bounded(world)
