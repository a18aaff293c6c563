"""The contract clock behind the interface that the business-time vectors are run through."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from agreements import clock

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Engine:
    """The eight operations over one calendar; all instants are aware UTC datetimes."""

    def __init__(self, calendar: clock.Calendar) -> None:
        self.calendar = calendar

    def add(self, start: dt.datetime, seconds: int, pauses: clock.Pauses = ()) -> dt.datetime:
        return clock.add(self.calendar, start, dt.timedelta(seconds=seconds), pauses)

    def elapsed(self, start: dt.datetime, end: dt.datetime) -> int:
        return clock.elapsed(self.calendar, start, end) // dt.timedelta(seconds=1)

    def business_days_close(self, start: dt.datetime, n: int) -> dt.datetime:
        return clock.business_days(self.calendar, start, n, clock.DayEnd.CLOSE_OF_BUSINESS)

    def business_days_eod(self, start: dt.datetime, n: int) -> dt.datetime:
        return clock.business_days(self.calendar, start, n, clock.DayEnd.END_OF_DAY)

    def calendar_days_eod(self, start: dt.datetime, n: int) -> dt.datetime:
        return clock.calendar_days(self.calendar, start, n)

    def months_eod(self, start: dt.datetime, n: int) -> dt.datetime:
        return clock.months(self.calendar, start, n)

    def months_eod_next_business(self, start: dt.datetime, n: int) -> dt.datetime:
        return clock.months(self.calendar, start, n, clock.Roll.NEXT_BUSINESS_DAY)


def engine(calendar: Mapping[str, Any]) -> Engine:
    """An engine over a calendar as the vectors write it: tz, weekly, holidays, overrides."""
    special = {dt.date.fromisoformat(on): _openings(hours) for on, hours in calendar["overrides"].items()}
    special |= {dt.date.fromisoformat(on): () for on in calendar["holidays"]}
    weekly = tuple(_openings(calendar["weekly"].get(day, [])) for day in _DAYS)
    return Engine(clock.Calendar(calendar["tz"], weekly, special))


def _openings(hours: Sequence[Sequence[str]]) -> tuple[clock.Opening, ...]:
    return tuple(clock.Opening.parse(opens, closes) for opens, closes in hours)
