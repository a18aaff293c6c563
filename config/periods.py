"""Spans of days: a month, a quarter, or any days from one to another."""

from __future__ import annotations

import datetime as dt
from typing import NamedTuple

from django.utils import timezone

Month = dt.date  # its first day


class Period(NamedTuple):
    """Days of some zone, both of them included."""

    first: dt.date
    last: dt.date

    @classmethod
    def of_months(cls, month: Month, count: int = 1) -> Period:
        """So many whole months from this one on."""
        return cls(month, month_after(month, count) - dt.timedelta(days=1))

    @property
    def month(self) -> Month | None:
        """The month that it is, if it is a whole one."""
        first = self.first.replace(day=1)
        return first if self == Period.of_months(first) else None

    @property
    def months(self) -> list[Month]:
        count = (self.last.year - self.first.year) * 12 + self.last.month - self.first.month
        return [month_after(self.first.replace(day=1), number) for number in range(count + 1)]

    @property
    def begins_at(self) -> dt.datetime:
        """Where the reader lives."""
        return self.begins_in(timezone.get_current_timezone())

    @property
    def ends_at(self) -> dt.datetime:
        return self.ends_in(timezone.get_current_timezone())

    def begins_in(self, zone: dt.tzinfo) -> dt.datetime:
        return _first_instant(self.first, zone)

    def ends_in(self, zone: dt.tzinfo) -> dt.datetime:
        """The first instant that is no longer in it."""
        return _first_instant(self.last + dt.timedelta(days=1), zone)


def month_after(month: Month, number: int) -> Month:
    years, index = divmod(month.month - 1 + number, 12)
    return dt.date(month.year + years, index + 1, 1)


def _first_instant(day: dt.date, zone: dt.tzinfo) -> dt.datetime:
    """Of that day there; where the clocks change at midnight, the instant at which they do."""
    return dt.datetime.combine(day, dt.time.min, zone).astimezone(dt.UTC)
