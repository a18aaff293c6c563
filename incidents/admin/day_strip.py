"""When deadlines fall within a day, as a picture that needs no script: marks on a line with the reader's hours."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.utils import timezone
from django.utils.translation import gettext as _now

from config import counts, times

SPAN = dt.timedelta(hours=24)
LEVELS = 4  # marks that can stand above each other
APART = dt.timedelta(minutes=30)  # marks on one level do not touch, on a screen of some width
EVERY = 4  # hours between two labels
NEAR = dt.timedelta(hours=3)  # where a label would be written over that of the present
_STEP = dt.timedelta(minutes=15)  # all zones of today are whole steps from UTC


@dataclass
class Mark:
    """One deadline, coloured and shaped by its standing; `more` fall so near it that they are not drawn."""

    instant: dt.datetime
    standing: str
    x: str
    y: int
    more: int = 0

    @property
    def words(self) -> str:
        return times.for_reader(self.instant)


@dataclass(frozen=True)
class Strip:
    marks: Sequence[Mark]
    hours: Sequence[tuple[str, str]]  # (place, label)
    words: str


def draw(falling: Sequence[tuple[dt.datetime, str]], now: dt.datetime) -> Strip:
    """From (due time, standing) of what falls due within SPAN, by due time."""
    return Strip(_placed(falling, now), list(_hours(now)), _in_words(falling, now))


def _place(instant: dt.datetime, now: dt.datetime) -> str:
    return f"{1 + 97 * ((instant - now) / SPAN):.2f}%"


def _placed(falling: Sequence[tuple[dt.datetime, str]], now: dt.datetime) -> list[Mark]:
    """Each on the lowest level where there is room, so that a crowd grows upwards."""
    marks: list[Mark] = []
    last: list[Mark | None] = [None] * LEVELS
    for instant, standing in falling:
        free = (level for level, mark in enumerate(last) if mark is None or instant - mark.instant >= APART)
        level = next(free, None)
        if level is None:
            crowded = last[-1]
            if crowded is not None:
                crowded.more += 1
            continue
        last[level] = Mark(instant, standing, _place(instant, now), 64 - 15 * level)
        marks.append(last[level])  # type: ignore[arg-type]  # set just above
    return marks


def _hours(now: dt.datetime) -> Iterator[tuple[str, str]]:
    """Every fourth hour of the reader's clock, as it is on days when the clocks change too."""
    epoch = int(now.timestamp()) // int(_STEP.total_seconds()) + 1
    for step in range(epoch, epoch + int(SPAN / _STEP)):
        instant = dt.datetime.fromtimestamp(step * _STEP.total_seconds(), dt.UTC)
        local = timezone.localtime(instant)
        if local.minute == 0 and local.hour % EVERY == 0 and instant - now < SPAN - _STEP:
            yield _place(instant, now), f"{local:%H:%M}" if instant - now >= NEAR else ""


def _in_words(falling: Sequence[tuple[dt.datetime, str]], now: dt.datetime) -> str:
    if not falling:
        return _now("No deadline falls within the next 24 hours.")
    hour, at_risk = now + dt.timedelta(hours=1), sum(standing == "at_risk" for _instant, standing in falling)
    told = {
        "count": counts.in_words(len(falling)),
        "soon": sum(instant <= hour for instant, _standing in falling),
        "at_risk": at_risk,
    }
    return _now("Due within 24 hours: %(count)s. Within the next hour: %(soon)d. At risk: %(at_risk)d.") % told
