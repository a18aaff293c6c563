"""Senders that are killed, frozen and restarted at the worst moments."""

from __future__ import annotations

import pytest

from tests.faults.world import HELD, World, nothing_is_lost_and_copies_are_bounded
from tests.services.smtp import Phase

STOP_LIMIT = 15  # seconds


def copies(world: World) -> list[int]:
    return sorted(len(mails) for mails in world.sink.by_message_id().values())


@pytest.mark.parametrize(
    ("phase", "in_the_dark", "expected"),
    [
        pytest.param(Phase.RCPT, 0, [1, 1, 1], id="before the fence"),
        pytest.param(Phase.BODY, 1, [1, 1, 1], id="in mid-message"),
        pytest.param(Phase.ANSWER, 1, [1, 1, 2], id="between the server's answer and our commit"),
    ],
)
def test_a_sender_killed_loses_nothing_and_adds_one_copy_only_where_nobody_can_know(
    world: World, phase: Phase, in_the_dark: int, expected: list[int]
) -> None:
    stall = world.sink.stall(phase)
    world.owe(mails=3)
    world.processes.start_outbox("sender")
    stall.wait_reached()
    world.processes.kill9("sender")
    world.sink.stop()  # what is still in the wires is lost with it
    world.sink.behave()
    world.sink.start()
    world.settle()
    assert world.ambiguous() == in_the_dark
    assert copies(world) == expected
    nothing_is_lost_and_copies_are_bounded(world)


def test_a_worker_frozen_before_the_fence_does_not_transmit_when_it_goes_on(world: World) -> None:
    stall = world.sink.stall(Phase.RCPT)
    world.owe(mails=3)
    world.processes.start_outbox("sleeper")
    stall.wait_reached()
    with world.processes.frozen("sleeper"):
        world.settle()  # its leases are over, so another sends what it held
        assert copies(world) == [1, 1, 1]
        world.sink.behave()
    _goes_on_working(world)
    assert world.ambiguous() == 0
    assert set(copies(world)) == {1}
    nothing_is_lost_and_copies_are_bounded(world)


def test_a_worker_frozen_in_mid_message_adds_one_copy_at_most_when_it_goes_on(world: World) -> None:
    stall = world.sink.stall(Phase.ANSWER)
    world.owe(mails=3)
    world.processes.start_outbox("sleeper")
    stall.wait_reached()
    with world.processes.frozen("sleeper"):
        world.settle()
        world.sink.behave()
    _goes_on_working(world)
    assert world.ambiguous() >= 1
    assert copies(world)[-2:] == [1, 2]
    nothing_is_lost_and_copies_are_bounded(world)


def _goes_on_working(world: World) -> None:
    """The one that was frozen is alive and sends what is owed since."""
    world.owe(mails=1)
    world.wait_until_idle()


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("kind", ["celery", "loop"])
def test_a_rolling_restart_loses_nothing_and_doubles_nothing(world: World, kind: str) -> None:
    world.owe(mails=100)
    world.sink.delay(0.02)  # a distant relay, so that the signal meets mails in mid-air
    if kind == "celery":
        world.processes.start_beat()
    _start(world, kind, "old")
    world.wait_for_sending(20)
    world.processes.stop("old", timeout=STOP_LIMIT)
    assert len(world.sink.messages) < 100, "it did not stay until all was done"
    assert not HELD & set(world.states()), "it finished what was in its hands, and handed back the rest"
    world.sink.behave()
    _start(world, kind, "new")
    world.wait_until_idle()
    assert world.ambiguous() == 0
    assert set(copies(world)) == {1}
    nothing_is_lost_and_copies_are_bounded(world)


def _start(world: World, kind: str, name: str) -> None:
    if kind == "celery":
        world.processes.start_worker(name)
    else:
        world.processes.start_outbox(name)
