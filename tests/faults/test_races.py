"""Many planners and senders at once, two beats, and none at all."""

from __future__ import annotations

import os
import time

import pytest

from tests.faults.world import World, nothing_is_lost_and_copies_are_bounded

pytestmark = pytest.mark.usefixtures("patient")


def every_mail_once(world: World) -> None:
    assert {len(mails) for mails in world.sink.by_message_id().values()} == {1}
    assert world.ambiguous() == 0
    nothing_is_lost_and_copies_are_bounded(world)


@pytest.mark.slow_fault
def test_ten_planners_and_ten_senders_at_once_make_and_send_each_notice_once(world: World) -> None:
    world.owe(mails=60)
    world.owe_holding_notices(mails=60)
    world.sink.delay(0.02)  # a distant relay, so that the last to start meet mails in the hands of the first
    names = [f"cron-{number}" for number in range(10)]
    for name in names:
        world.processes.start(name, "manage.py", "outbox", "run", may_end=True)
    for name in names:
        assert world.processes.wait_for_exit(name, 60) == 0, world.processes.log(name)
    world.settle()
    every_mail_once(world)


def test_with_the_beat_dead_cron_raises_and_delivers_what_falls_due(world: World) -> None:
    world.owe_holding_notices(mails=21)
    world.processes.manage("outbox", "run")
    every_mail_once(world)


@pytest.mark.slow_fault
def test_two_beats_and_two_workers_make_and_send_each_notice_once(world: World) -> None:
    """For FAULT_MINUTES, or for a few seconds where that is not set."""
    until = time.monotonic() + 60 * float(os.environ.get("FAULT_MINUTES") or 0.2)
    world.sink.delay(0.005)
    for name in ("first", "second"):
        world.processes.start_worker(name)
        world.processes.start_beat(f"{name}-beat")
    while time.monotonic() < until:
        world.owe(mails=21)
        world.owe_holding_notices(mails=21, seconds=1)
    world.wait_until_idle()
    every_mail_once(world)
