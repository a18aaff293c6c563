"""What is done again and again is one list, whoever rings for it: the loop, the beat or cron."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from celery.schedules import crontab
from django.conf import settings
from django.core.management import CommandError, call_command

from incidents import loop
from incidents.models import Tally
from tests.cast import at


def test_the_beat_rings_for_each_part_as_often_as_the_loop_and_for_nothing_else() -> None:
    hour, minute = loop.DAILY_AT
    schedule = {entry["task"]: entry["schedule"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}
    daily = crontab(hour=str(hour), minute=str(minute))
    assert schedule == {work.task: work.every if work.every < loop.DAY else daily for work in loop.WORK}


@pytest.mark.django_db
def test_cron_does_each_part_once_and_each_day_what_is_done_daily() -> None:
    names = [work.name for work in loop.WORK]
    assert {"planner", "sender", "auditor", "sealer", "keeper", "reviewer"} == set(names)
    assert [name for name, _did in loop.once(at("03:10"))] == names
    assert [name for name, _did in loop.once(at("03:11"))] == [name for name in names if name != "keeper"]
    call_command("outbox", "run")
    assert Tally.objects.get().counted_until is not None, "metrics are rolled up"


@pytest.mark.django_db
def test_what_one_part_runs_into_keeps_no_other_from_its_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_told: loop.Told) -> object:
        raise RuntimeError("out of order")

    done: list[str] = []
    after: Callable[[Any], object] = lambda _told: done.append("after")  # noqa: E731
    monkeypatch.setattr(
        loop, "WORK", [loop.Work("broken", "-", broken, 1), *loop.WORK, loop.Work("last", "-", after, 1)]
    )
    with pytest.raises(CommandError, match="Failed, and tried again the next time: broken"):
        call_command("outbox", "run")
    assert done == ["after"]
