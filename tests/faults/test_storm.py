"""Much at once: a storm of kills, and a thousand mails that are due at the same instant."""

from __future__ import annotations

import random

import pytest

from tests.faults.soak import Storm, burst
from tests.faults.world import World, nothing_is_lost_and_copies_are_bounded

pytestmark = pytest.mark.slow_fault

KILLS = 24


def test_a_storm_of_kills_loses_nothing_and_bounds_copies(world: World, seed: int) -> None:
    storm = Storm(world, random.Random(seed))  # noqa: S311 - not a secret
    world.may_need_review = True
    world.sink.delay(0.02)  # a distant relay, so that most blows meet mails in mid-air
    world.owe(mails=400)
    storm.begin()
    for _kill in range(KILLS):
        storm.strike(storm.kill_a_sender, storm.kill_a_child_of_the_worker)
    world.sink.behave()
    world.settle()
    print(f"{storm.blows}, {world.ambiguous()} in the dark, {world.states()}")
    nothing_is_lost_and_copies_are_bounded(world)


def test_a_thousand_due_at_once_go_out_in_flat_memory_while_people_read_their_lists(world: World) -> None:
    seen = burst(world, 1_000)
    print(seen)
    assert len(world.sink.messages) >= 1_000
    # Threads, templates and connections are made in these few seconds; ten times as many mails may add no more.
    assert seen.memory_growth < 1.5
    assert seen.slowest_page < 5
    nothing_is_lost_and_copies_are_bounded(world)
