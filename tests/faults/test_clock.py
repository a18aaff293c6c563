"""Workers whose machine has the wrong time: the clock of the database rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.world import World, nothing_is_lost_and_copies_are_bounded
from tests.services import children

#: Debian's package faketime, whatever the platform's folder is called.
LIBRARIES = "*/faketime/libfaketime.so.1"

TOLD = "SELECT reference FROM incidents_incident i JOIN incidents_notice n ON n.incident_id = i.id"
ACCEPTED_BY_ANOTHER_CLOCK = "SELECT id FROM incidents_notice WHERE abs(extract(epoch FROM accepted_at - now())) > 600"

#: `manage.py outbox run`, again and again, as cron would, and all of it in one thread: under the library threads that
#: wait for each other can hang. It breaks time.sleep, too, where it leaves the monotonic clock alone.
OUTBOX_RUN = """
import os, threading, time
import django
from django.core.management import call_command
time.sleep = lambda seconds: threading.Event().wait(seconds)
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()
while True:
    call_command("outbox", "run")
    time.sleep(0.2)
"""


def wrong_by(hours: int) -> dict[str, str]:
    """The environment of a process whose wall clock is wrong, while its other clocks go on as they are."""
    found = next(Path("/usr/lib").glob(LIBRARIES), None)
    if found is None:
        children.unavailable("There is no libfaketime: install Debian's faketime.")
    return {
        "LD_PRELOAD": str(found),
        "FAKETIME": f"{hours:+d}h",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "NOTICE_SENDERS": "1",
    }


@pytest.mark.parametrize("hours", [-1, 1], ids=["an hour behind", "an hour ahead"])
def test_a_worker_whose_clock_is_wrong_sends_what_is_due_and_nothing_else(world: World, hours: int) -> None:
    world.owe(mails=1)
    world.owe_holding_notices(mails=1)
    later = world.people.do("owe_holding_notices", mails=20, seconds=30 * 60)
    world.processes.start("wrong", "-c", OUTBOX_RUN, env=wrong_by(hours))
    world.wait_until_idle(20)
    world.owe(mails=1)
    world.wait_until_idle(20)
    nothing_is_lost_and_copies_are_bounded(world)
    told = {reference for (reference,) in world.ask(TOLD)}
    assert not told & {reference for reference, _address in later}, "half an hour too early"
    assert world.ask(ACCEPTED_BY_ANOTHER_CLOCK) == []
