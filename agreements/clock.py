"""The contract clock: when something is due, how much time has been used, when to warn.

All deadline arithmetic is here. Pure: no database, no settings, and no reading of the present time. Instants
go in and come out as aware UTC datetimes.

The conventions, which every operation keeps:

* An opening is half-open, [opens, closes), in the calendar's zone, and is cut at local midnight.
* A closure or changed day replaces everything on that local date, and nothing on any other: closing a Friday
  closes the early hours of Thursday's night shift, and leaves those of Saturday open.
* A wall time that does not exist (clocks go forward) is the instant at which they change; one that exists
  twice (clocks go back) is the first of the two. The length of an opening is the time that really passes.
* A deadline is the earliest instant by which the allowance is used up: on closing time it stays there.
* Days: the local date of the start event is day 0. Months: the same day, clipped to the end of the month.
* Pauses are united, and only their overlap with counting time moves a deadline.

Inside, instants and lengths are whole microseconds, so nothing is ever rounded by accident.
"""

from __future__ import annotations

import datetime as dt
import re
from bisect import bisect_left, bisect_right
from calendar import monthrange
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from config import zones

Pauses = Sequence[tuple[dt.datetime, dt.datetime]]

UTC = dt.UTC
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = dt.timedelta(microseconds=1)
_DAY = dt.timedelta(days=1)
_NOTHING = dt.timedelta(0)
_SECOND_MICROS = 1_000_000
_DAY_MICROS = 86_400 * _SECOND_MICROS
_MIDNIGHT = 24 * 60  # closing time at the end of a day, in minutes

# Far inside what datetime can hold, so that no zone and no allowance ever overflows.
_FIRST_YEAR, _LAST_YEAR = 1900, 8999
_LONGEST_YEARS = 100
_LONGEST_MICROS = _LONGEST_YEARS * 366 * _DAY_MICROS
_LONGEST_CLOSURE_DAYS = 400


class ClockError(ValueError):
    """What was asked has no sensible answer; the message says why in a sentence that people understand.

    `sentence` is the same with its `values` not yet filled in, for whoever shows it in another language.
    """

    def __init__(self, sentence: str, **values: object) -> None:
        super().__init__(sentence % values if values else sentence)
        self.sentence, self.values = sentence, values


def _(sentence: str) -> str:
    """Marks what people can come to read; it is translated where it is shown, since this module knows no language."""
    return sentence


# ── what an agreement can say ───────────────────────────────────────────────────────────────────────────────


class Unit(StrEnum):
    """How an allowance is counted: business units by the calendar's openings, the others round the clock."""

    MINUTES = "minutes"
    HOURS = "hours"
    BUSINESS_MINUTES = "business_minutes"
    BUSINESS_HOURS = "business_hours"
    CALENDAR_DAYS = "calendar_days"
    BUSINESS_DAYS = "business_days"
    MONTHS = "months"

    @property
    def is_business(self) -> bool:
        return self in {Unit.BUSINESS_MINUTES, Unit.BUSINESS_HOURS, Unit.BUSINESS_DAYS}

    @property
    def is_exact(self) -> bool:
        """Whether it is counted to the minute; the other units end where a day ends."""
        return self in _MINUTES_IN


_MINUTES_IN = {Unit.MINUTES: 1, Unit.HOURS: 60, Unit.BUSINESS_MINUTES: 1, Unit.BUSINESS_HOURS: 60}

_TEN_YEARS_DAYS = 3_653
_TEN_YEARS = {
    Unit.MINUTES: _TEN_YEARS_DAYS * 24 * 60,
    Unit.HOURS: _TEN_YEARS_DAYS * 24,
    Unit.BUSINESS_MINUTES: _TEN_YEARS_DAYS * 24 * 60,
    Unit.BUSINESS_HOURS: _TEN_YEARS_DAYS * 24,
    Unit.CALENDAR_DAYS: _TEN_YEARS_DAYS,
    Unit.BUSINESS_DAYS: _TEN_YEARS_DAYS,
    Unit.MONTHS: 120,
}


class DayEnd(StrEnum):
    """When the last day of an allowance in days or months is over."""

    CLOSE_OF_BUSINESS = "close_of_business"
    """At the end of the last opening on that date; on a date without an opening, at midnight."""
    END_OF_DAY = "end_of_day"
    """At the midnight that ends that date."""


class Roll(StrEnum):
    """What happens to a deadline that falls on a local date without an opening.

    Sources: Reg. (EEC, Euratom) 1182/71 art. 3(4); Delegated Reg. (EU) 2025/301 (DORA) art. 5.
    """

    NONE = "none"
    NEXT_BUSINESS_DAY = "next_business_day"
    """It moves to the end of the next date with an opening, the same kind of day end."""
    NEXT_BUSINESS_DAY_AT = "next_business_day_at"
    """It moves to a clock time on the next date with an opening, for example noon."""


@dataclass(frozen=True)
class Opening:
    """From `opens` to `closes`, in minutes of the local day.

    Closing at or before the opening time means on the next day, so (0, 0) is the whole day, as is (0, 1440).
    """

    opens: int
    closes: int

    def __post_init__(self) -> None:
        if not (_is_whole(self.opens) and _is_whole(self.closes)):
            raise ClockError("Opening hours are counted in whole minutes.")
        if not 0 <= self.opens < _MIDNIGHT:
            raise ClockError("An opening time lies between 00:00 and 23:59.")
        if not 0 <= self.closes <= _MIDNIGHT:
            raise ClockError("A closing time lies between 00:00 and 24:00.")

    @classmethod
    def parse(cls, opens: str, closes: str) -> Opening:
        """From clock times as people write them: `Opening.parse("09:00", "24:00")`."""
        return cls(_minutes(opens), _minutes(closes))

    @property
    def _today(self) -> tuple[int, int]:
        return self.opens, self.closes if self.closes > self.opens else _MIDNIGHT

    @property
    def _tomorrow(self) -> tuple[int, int]:
        return 0, 0 if self.closes > self.opens else self.closes


@dataclass(frozen=True)
class Calendar:
    """When business time runs: the week's openings (Monday first) and the dates that do not follow the week.

    A special day without openings is closed. Openings of one day that overlap are united. ClockError for an
    unknown zone, a week that never opens, and closures that leave no opening for more than 400 days.
    """

    time_zone: str
    weekly: tuple[tuple[Opening, ...], ...]
    special_days: Mapping[dt.date, tuple[Opening, ...]] = field(default_factory=dict)
    _timeline: _Timeline = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        special_days = {day: tuple(self.special_days[day]) for day in sorted(self.special_days)}
        object.__setattr__(self, "weekly", tuple(tuple(day) for day in self.weekly))
        object.__setattr__(self, "special_days", MappingProxyType(special_days))
        if len(self.weekly) != 7:
            raise ClockError("A calendar needs the opening hours of seven days, Monday first.")
        if not any(self.weekly):
            raise ClockError(_("This calendar never opens. Give at least one day of the week opening hours."))
        for day in special_days:
            _check_special_day(day)
        object.__setattr__(self, "_timeline", _compiled(self))

    def __hash__(self) -> int:
        return hash((self.time_zone, self.weekly, frozenset(self.special_days)))

    @classmethod
    def always_open(cls, time_zone: str) -> Calendar:
        """Round the clock, every day."""
        return cls(time_zone, ((Opening(0, _MIDNIGHT),),) * 7)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values in a stable order; `from_json` gives back an equal calendar."""
        return {
            "time_zone": self.time_zone,
            "weekly": [_openings_to_json(day) for day in self.weekly],
            "special_days": {on.isoformat(): _openings_to_json(day) for on, day in self.special_days.items()},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Calendar:
        with _readable("calendar"):
            special_days = data["special_days"].items()
            return cls(
                data["time_zone"],
                tuple(_openings_from_json(day) for day in data["weekly"]),
                {dt.date.fromisoformat(on): _openings_from_json(day) for on, day in special_days},
            )


@dataclass(frozen=True)
class Allowance:
    """The contract's "[X] hours": at least 1, at most ten years."""

    amount: int
    unit: Unit

    def __post_init__(self) -> None:
        if not isinstance(self.unit, Unit):
            raise ClockError(f"“{self.unit}” is not a unit in which an allowance can be counted.")
        _check_amount(self.amount, self.unit, least=1)

    def to_json(self) -> dict[str, Any]:
        return {"amount": self.amount, "unit": self.unit.value}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Allowance:
        with _readable("allowance"):
            return cls(data["amount"], Unit(data["unit"]))


@dataclass(frozen=True)
class Terms:
    """What one commitment says about time. No allowance means no number: "without undue delay".

    `day_end` is for allowances in days or months and for deadlines that roll. `cap` is an overall limit,
    counted from a second start event and by the same rules.
    """

    allowance: Allowance | None
    day_end: DayEnd = DayEnd.END_OF_DAY
    roll: Roll = Roll.NONE
    roll_at: dt.time | None = None
    cap: Allowance | None = None

    def __post_init__(self) -> None:
        if (self.roll is Roll.NEXT_BUSINESS_DAY_AT) != (self.roll_at is not None):
            raise ClockError(
                _("To move to a clock time on the next business day, give that time; otherwise leave it out.")
            )
        if self.roll_at is not None and self.roll_at.tzinfo is not None:
            raise ClockError("The clock time on the next business day is in the calendar's zone: name none.")
        if self.cap is not None and self.allowance is None:
            raise ClockError(_("An overall cap needs an allowance that it can cut short."))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; `from_json` gives back equal terms."""
        return {
            "allowance": self.allowance and self.allowance.to_json(),
            "day_end": self.day_end.value,
            "roll": self.roll.value,
            "roll_at": self.roll_at and self.roll_at.isoformat(),
            "cap": self.cap and self.cap.to_json(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Terms:
        with _readable("set of terms"):
            return cls(
                allowance=data["allowance"] and Allowance.from_json(data["allowance"]),
                day_end=DayEnd(data["day_end"]),
                roll=Roll(data["roll"]),
                roll_at=data["roll_at"] and dt.time.fromisoformat(data["roll_at"]),
                cap=data["cap"] and Allowance.from_json(data["cap"]),
            )


@dataclass(frozen=True)
class WarningPoint:
    """When to warn: once a share of the allowance is used (1 to 100 percent), or some time before its end."""

    percent: int | None = None
    before: dt.timedelta | None = None

    def __post_init__(self) -> None:
        if (self.percent is None) == (self.before is None):
            raise ClockError("A warning point is either a share of the allowance or a time before its end.")
        if self.percent is not None and not (_is_whole(self.percent) and 1 <= self.percent <= 100):
            raise ClockError("The share of the allowance is a whole number from 1 to 100 percent.")
        if self.before is not None and self.before <= _NOTHING:
            raise ClockError("The time before the end must be longer than nothing.")


# ── the operations ──────────────────────────────────────────────────────────────────────────────────────────


def add(calendar: Calendar, start: dt.datetime, amount: dt.timedelta, pauses: Pauses = ()) -> dt.datetime:
    """The earliest instant t ≥ start with this much open time in [start, t), so `start` for no time at all.

    Time inside a pause, a half-open [from, until), does not count. ClockError if the calendar does not open
    for 400 days on the way, or the answer lies more than 100 years away.
    """
    if amount < _NOTHING:
        raise ClockError("Time can only be added forwards: the amount is less than nothing.")
    return _instant(_advance(calendar._timeline, _count(start), amount // _MICROSECOND, _united(pauses)))


def elapsed(calendar: Calendar, start: dt.datetime, end: dt.datetime, pauses: Pauses = ()) -> dt.timedelta:
    """The open time in [start, end) outside all pauses; nothing if the end is not after the start."""
    return _measure(calendar._timeline, _count(start), _count(end), _united(pauses)) * _MICROSECOND


def business_days(
    calendar: Calendar,
    start: dt.datetime,
    n: int,
    day_end: DayEnd = DayEnd.END_OF_DAY,
) -> dt.datetime:
    """The end of the n-th (n ≥ 1) local date with an opening after the local date of `start`."""
    return _after_days(calendar, Unit.BUSINESS_DAYS, start, n, Terms(None, day_end))


def calendar_days(
    calendar: Calendar,
    start: dt.datetime,
    n: int,
    day_end: DayEnd = DayEnd.END_OF_DAY,
) -> dt.datetime:
    """The end of the date that lies n ≥ 0 days after the local date of `start`."""
    return _after_days(calendar, Unit.CALENDAR_DAYS, start, n, Terms(None, day_end))


def months(
    calendar: Calendar, start: dt.datetime, n: int, roll: Roll = Roll.NONE, roll_at: dt.time | None = None
) -> dt.datetime:
    """The end of the same day n ≥ 0 months later, clipped to the end of the month, then rolled."""
    return _after_days(calendar, Unit.MONTHS, start, n, Terms(None, roll=roll, roll_at=roll_at))


def is_open(calendar: Calendar, at: dt.datetime) -> bool:
    """Whether business time runs at this instant: at the opening time yes, at the closing time no."""
    return calendar._timeline.is_open(_count(at))


def openings(
    calendar: Calendar,
    start: dt.datetime,
    end: dt.datetime,
) -> list[tuple[dt.datetime, dt.datetime]]:
    """The openings in [start, end) in order, cut to it and at each local midnight, as instants in UTC."""
    spans = calendar._timeline.openings(_count(start), _count(end))
    return [(_instant(opens), _instant(closes)) for opens, closes in spans]


# ── deadlines ───────────────────────────────────────────────────────────────────────────────────────────────


def due_at(
    terms: Terms,
    calendar: Calendar,
    started_at: dt.datetime,
    *,
    cap_started_at: dt.datetime | None = None,
    pauses: Pauses = (),
) -> dt.datetime | None:
    """When it is due; None for terms without a number.

    A cap counts once its own start event is known. The earlier limit holds, each rolled by itself; a cap that
    had passed before the first clock started is dropped (Delegated Reg. (EU) 2025/301 art. 5). Pauses stop
    both clocks and never bring a deadline forward.
    """
    if terms.allowance is None:
        return None
    timeline, start, paused = calendar._timeline, _count(started_at), _united(pauses)
    due = _limit(terms, terms.allowance, timeline, start, paused)
    if terms.cap is not None and cap_started_at is not None:
        cap_start = _count(cap_started_at)
        # Whether it had passed is asked as if nothing had paused: no pause brings a dropped cap back.
        if start <= _limit(terms, terms.cap, timeline, cap_start, []):
            due = min(due, _limit(terms, terms.cap, timeline, cap_start, paused))
    return _instant(due)


def warn_at(
    terms: Terms,
    calendar: Calendar,
    started_at: dt.datetime,
    due_at: dt.datetime,
    point: WarningPoint,
    pauses: Pauses = (),
) -> dt.datetime:
    """When to warn of a deadline, never before it started.

    A share is one of the time between start and deadline, counted as the allowance is: open time for business
    units, time that passes for the others. It is rounded down to whole seconds. If no open time lies between
    them, as with a cap that ends at night, the time that passes is taken instead.
    """
    start, due, paused = _count(started_at), _count(due_at), _united(pauses)
    clock = _clock(terms.allowance.unit if terms.allowance else Unit.HOURS, calendar._timeline)
    whole = _measure(clock, start, due, paused)
    if not whole:
        clock = _ROUND_THE_CLOCK
        whole = _measure(clock, start, due, paused)
    return _instant(_advance(clock, start, _used_by_then(point, whole), paused))


def _used_by_then(point: WarningPoint, whole: int) -> int:
    """How much of the whole is used when the warning point comes."""
    if point.percent is not None:
        share = whole * point.percent // 100
        return share - share % _SECOND_MICROS
    return max(whole - (point.before or _NOTHING) // _MICROSECOND, 0)


def _limit(terms: Terms, allowance: Allowance, timeline: _Timeline, start: int, pauses: list[_Span]) -> int:
    """When one allowance is over, rolled."""
    # A Sunday's deadline may roll to Monday's end; a pause that carries it into Monday keeps it there.
    unpaused = _rolled(terms, timeline, _used_up(terms, allowance, timeline, start, []))
    return max(unpaused, _rolled(terms, timeline, _used_up(terms, allowance, timeline, start, pauses)))


def _used_up(
    terms: Terms,
    allowance: Allowance,
    timeline: _Timeline,
    start: int,
    pauses: list[_Span],
) -> int:
    """When one allowance is over, before it rolls."""
    clock = _clock(allowance.unit, timeline)
    if allowance.unit in _MINUTES_IN:
        amount = allowance.amount * _MINUTES_IN[allowance.unit] * 60 * _SECOND_MICROS
        return _advance(clock, start, amount, pauses)
    end = timeline.day_end(_last_day(timeline, allowance.unit, start, allowance.amount), terms.day_end)
    # Days are counted as if nothing had paused; the counting time that was lost is added after their end.
    return _advance(clock, end, _lost(clock, start, end, pauses), pauses)


def _after_days(calendar: Calendar, unit: Unit, start: dt.datetime, n: int, ending: Terms) -> dt.datetime:
    _check_amount(n, unit, least=1 if unit is Unit.BUSINESS_DAYS else 0)
    timeline = calendar._timeline
    day = _last_day(timeline, unit, _count(start), n)
    return _instant(_rolled(ending, timeline, timeline.day_end(day, ending.day_end)))


def _last_day(timeline: _Timeline, unit: Unit, start: int, n: int) -> dt.date:
    day = timeline.date(start)
    if unit is Unit.BUSINESS_DAYS:
        return timeline.business_day(day, n)
    if unit is Unit.CALENDAR_DAYS:
        return day + n * _DAY
    year, month = divmod(day.year * 12 + day.month - 1 + n, 12)
    return dt.date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def _rolled(terms: Terms, timeline: _Timeline, due: int) -> int:
    if terms.roll is Roll.NONE:
        return due
    day = timeline.date(due - 1)  # a deadline at midnight belongs to the date that ends
    if timeline.is_business_day(day):
        return due
    day = timeline.business_day(day, 1)
    if terms.roll_at is not None:
        return timeline.instant(dt.datetime.combine(day, terms.roll_at))
    return timeline.day_end(day, terms.day_end)


# ── counting, with pauses ───────────────────────────────────────────────────────────────────────────────────

_Span = tuple[int, int]  # [from, until) in microseconds


class _Clock(Protocol):
    """A kind of time: which instants count."""

    def measure(self, start: int, end: int) -> int:
        """How much of [start, end) counts; 0 if the end is not after the start."""

    def advance(self, start: int, amount: int) -> int:
        """The earliest t ≥ start with `amount` counted in [start, t)."""


class _RoundTheClock:
    """Every instant counts."""

    def measure(self, start: int, end: int) -> int:
        return max(end - start, 0)

    def advance(self, start: int, amount: int) -> int:
        if amount > _LONGEST_MICROS:
            raise _too_far()
        return start + amount


_ROUND_THE_CLOCK = _RoundTheClock()


def _clock(unit: Unit, timeline: _Timeline) -> _Clock:
    return timeline if unit.is_business else _ROUND_THE_CLOCK


def _advance(clock: _Clock, start: int, amount: int, pauses: list[_Span]) -> int:
    """`clock.advance`, with nothing counted inside the pauses, which are sorted and apart."""
    finish = clock.advance(start, amount)
    for begin, end in _from(start, pauses):
        if begin >= finish:
            break
        _check_range(end)  # a pause without an end in sight leaves no deadline
        finish = clock.advance(end, clock.measure(begin, finish))  # what the pause cut off runs after it
    return finish


def _measure(clock: _Clock, start: int, end: int, pauses: list[_Span]) -> int:
    return clock.measure(start, end) - _lost(clock, start, end, pauses)


def _lost(clock: _Clock, start: int, end: int, pauses: list[_Span]) -> int:
    """How much counting time of [start, end) lies inside pauses."""
    return sum(clock.measure(begin, min(until, end)) for begin, until in _from(start, pauses) if begin < end)


def _from(start: int, pauses: list[_Span]) -> Iterator[_Span]:
    return ((max(begin, start), end) for begin, end in pauses if end > start)


def _united(pauses: Pauses) -> list[_Span]:
    """The pauses as spans that are sorted, not empty and apart."""
    for begin, end in pauses:
        _check_aware(begin)
        _check_aware(end)
        if end < begin:
            raise ClockError("A pause cannot end before it begins.")
    return _union((_micros(begin), _micros(end)) for begin, end in pauses)


def _union(spans: Iterable[_Span]) -> list[_Span]:
    united: list[_Span] = []
    for begin, end in sorted(spans):
        if end <= begin:
            continue
        if united and begin <= united[-1][1]:
            united[-1] = (united[-1][0], max(end, united[-1][1]))
        else:
            united.append((begin, end))
    return united


# ── the calendar as a line of openings ──────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Year:
    """The openings on the local dates of one year, laid out for binary search."""

    opens: list[int]
    closes: list[int]
    before: list[int]  # before[i]: the open time of this year ahead of opening i
    total: int
    closing: dict[dt.date, int]  # the last closing of each date that opens, in order
    days: list[dt.date]  # the same dates
    end: int

    def used(self, at: int) -> int:
        """The open time of this year before `at`."""
        i = bisect_right(self.opens, at) - 1
        return self.before[i] + min(at, self.closes[i]) - self.opens[i] if i >= 0 else 0

    def when_used(self, amount: int) -> int:
        """The earliest instant before which `amount` of this year's open time lies, 0 < amount ≤ total."""
        i = bisect_left(self.before, amount) - 1
        return self.opens[i] + amount - self.before[i]

    def next_open(self, at: int) -> int:
        """When the first opening begins that is not over at `at`; without one, the end of the year."""
        i = bisect_right(self.closes, at)
        return self.opens[i] if i < len(self.opens) else self.end


class _Timeline:
    """A calendar's openings as instants, worked out year by year when first needed and then kept.

    Two threads may work out the same year at the same time: both get the same, and either may be kept.
    """

    def __init__(self, calendar: Calendar) -> None:
        self._zone = _zone(calendar.time_zone)
        self._week = [
            _union([o._today for o in calendar.weekly[day]] + [o._tomorrow for o in calendar.weekly[day - 1]])
            for day in range(7)
        ]
        special_days = calendar.special_days
        self._special = {day: _union(o._today for o in openings) for day, openings in special_days.items()}
        for day, openings in special_days.items():
            tails = _union(o._tomorrow for o in openings)
            if tails and day + _DAY not in special_days:
                self._special[day + _DAY] = _union(self.openings_on(day + _DAY) + tails)
        self._years: dict[int, _Year] = {}
        self._refuse_long_closures(special_days)

    def openings_on(self, day: dt.date) -> list[_Span]:
        """The openings of one local date in minutes, cut at its midnights and apart."""
        return self._special.get(day, self._week[day.weekday()])

    def date(self, at: int) -> dt.date:
        """The local date at an instant."""
        return _instant(at).astimezone(self._zone).date()

    def instant(self, wall: dt.datetime) -> int:
        """The instant at which the zone's clocks first show this wall time, or jump past it."""
        first = wall.replace(tzinfo=self._zone)
        offset, later_offset = _offset(first), _offset(first.replace(fold=1))
        # Only for a wall time that the clocks skip is the later reading the one further ahead (PEP 495).
        if later_offset > offset:
            return self._clock_change(wall, offset, later_offset)
        return _micros(wall.replace(tzinfo=UTC)) - offset

    def day_end(self, day: dt.date, kind: DayEnd) -> int:
        if kind is DayEnd.CLOSE_OF_BUSINESS and self.is_business_day(day):
            return self._year(day.year).closing[day]
        return self._midnight(day + _DAY)

    def is_business_day(self, day: dt.date) -> bool:
        return day in self._year(day.year).closing

    def business_day(self, after: dt.date, n: int) -> dt.date:
        """The n-th (n ≥ 1) date with an opening after this date."""
        for year in self._years_from(after.year, self._midnight(after + _DAY)):
            skipped = bisect_right(year.days, after)
            if skipped + n <= len(year.days):
                return year.days[skipped + n - 1]
            n -= len(year.days) - skipped
        raise _too_far()

    def measure(self, start: int, end: int) -> int:
        if end <= start:
            return 0
        if end - start > _LONGEST_MICROS:
            raise ClockError(_("These two instants lie more than %(years)s years apart."), years=_LONGEST_YEARS)
        first, last = self.date(start).year, self.date(end).year
        whole_years = sum(self._year(number).total for number in range(first, last))
        return whole_years + self._year(last).used(end) - self._year(first).used(start)

    def advance(self, start: int, amount: int) -> int:
        if not amount:
            return start
        if amount > _LONGEST_MICROS:
            raise _too_far()
        first = self.date(start).year
        amount += self._year(first).used(start)
        for year in self._years_from(first, start):
            if amount <= year.total:
                return year.when_used(amount)
            amount -= year.total
        raise _too_far()

    def is_open(self, at: int) -> bool:
        return self._year(self.date(at).year).next_open(at) <= at

    def openings(self, start: int, end: int) -> Iterator[_Span]:
        """The openings in [start, end), cut to it."""
        if end - start > _LONGEST_MICROS:
            raise ClockError(_("These two instants lie more than %(years)s years apart."), years=_LONGEST_YEARS)
        for number in range(self.date(start).year, self.date(end).year + 1):
            year = self._year(number)
            for opens, closes in zip(year.opens, year.closes, strict=True):
                if opens < end and closes > start:
                    yield max(opens, start), min(closes, end)

    def _years_from(self, first: int, closed_since: int) -> Iterator[_Year]:
        """The years in order, ending after 100; ClockError once nothing has opened for 400 days."""
        for number in range(first, first + _LONGEST_YEARS + 1):
            year = self._year(number)
            if year.next_open(closed_since) - closed_since > _LONGEST_CLOSURE_DAYS * _DAY_MICROS:
                raise _never_opens(_instant(closed_since).astimezone(self._zone).date())
            yield year
            if year.closes:
                closed_since = max(closed_since, year.closes[-1])

    def _year(self, number: int) -> _Year:
        if number not in self._years:
            self._years[number] = self._work_out(number)
        return self._years[number]

    def _work_out(self, number: int) -> _Year:
        opens: list[int] = []
        closes: list[int] = []
        before: list[int] = []
        total = 0
        closing: dict[dt.date, int] = {}
        day, end = dt.date(number, 1, 1), dt.date(number + 1, 1, 1)
        while day < end:
            midnight = dt.datetime.combine(day, dt.time())
            for first, last in self.openings_on(day):
                begin = self.instant(midnight + dt.timedelta(minutes=first))
                until = self.instant(midnight + dt.timedelta(minutes=last))
                if begin < until:  # else the clocks jumped over all of it
                    opens.append(begin)
                    closes.append(until)
                    before.append(total)
                    total += until - begin
                    closing[day] = until
            day += _DAY
        return _Year(opens, closes, before, total, closing, list(closing), self._midnight(end))

    def _midnight(self, day: dt.date) -> int:
        """The instant at which this local date begins."""
        return self.instant(dt.datetime.combine(day, dt.time()))

    def _clock_change(self, wall: dt.datetime, offset: int, later_offset: int) -> int:
        """The instant at which the clocks jump over this wall time, found by halving: no zone tells it."""
        shown = _micros(wall.replace(microsecond=0, tzinfo=UTC))  # clocks change on whole seconds
        before, since = shown - later_offset, shown - offset
        while since - before > _SECOND_MICROS:
            middle = (before + since) // 2
            middle -= middle % _SECOND_MICROS
            if _offset(_instant(middle).astimezone(self._zone)) == offset:
                before = middle
            else:
                since = middle
        return since

    def _refuse_long_closures(self, special_days: Iterable[dt.date]) -> None:
        opens_again = dt.date.min
        for closed in special_days:
            if closed < opens_again or self.openings_on(closed):
                continue
            opens_again = closed
            while not self.openings_on(opens_again):
                opens_again += _DAY
                if (opens_again - closed).days > _LONGEST_CLOSURE_DAYS:
                    raise _never_opens(closed)


@lru_cache(maxsize=256)
def _compiled(calendar: Calendar) -> _Timeline:
    """Equal calendars share one timeline, as the many copies that are stored with deadlines do."""
    return _Timeline(calendar)


# ── instants, checks and sentences ──────────────────────────────────────────────────────────────────────────


def _too_far() -> ClockError:
    sentence = _("This would end more than %(years)s years after its start. Give it less time.")
    return ClockError(sentence, years=_LONGEST_YEARS)


def _never_opens(day: dt.date) -> ClockError:
    sentence = _("This calendar does not open for more than %(days)s days from %(day)s on.")
    return ClockError(sentence, days=_LONGEST_CLOSURE_DAYS, day=day)


def _out_of_range() -> ClockError:
    sentence = _("This date lies outside the years %(first)s to %(last)s in which time is counted.")
    return ClockError(sentence, first=_FIRST_YEAR, last=_LAST_YEAR)


def _count(at: dt.datetime) -> int:
    """An instant as microseconds since 1970; ClockError if it has no zone or is out of range."""
    _check_aware(at)
    count = _micros(at)
    _check_range(count)
    return count


def _micros(at: dt.datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND


def _instant(count: int) -> dt.datetime:
    return _EPOCH + count * _MICROSECOND


def _offset(at: dt.datetime) -> int:
    """How far the zone's clocks are ahead of UTC, in microseconds."""
    return (at.utcoffset() or _NOTHING) // _MICROSECOND


def _check_aware(at: dt.datetime) -> None:
    if at.utcoffset() is None:
        raise ClockError(f"The time {at} has no time zone, so nobody can tell which instant it means.")


_FIRST_COUNT = _micros(dt.datetime(_FIRST_YEAR, 1, 2, tzinfo=UTC))  # a day's slack: zones differ
_LAST_COUNT = _micros(dt.datetime(_LAST_YEAR, 12, 31, tzinfo=UTC))


def _check_range(count: int) -> None:
    if not _FIRST_COUNT <= count < _LAST_COUNT:
        raise _out_of_range()


def _check_special_day(day: dt.date) -> None:
    if isinstance(day, dt.datetime):
        raise ClockError("A closure or changed day is a date without a time.")
    if not _FIRST_YEAR <= day.year <= _LAST_YEAR:
        raise _out_of_range()


def _check_amount(amount: int, unit: Unit, *, least: int) -> None:
    if not _is_whole(amount):
        raise ClockError("An amount of time is a whole number of its unit.")
    if amount < least:
        raise ClockError(_("An amount of time must be at least %(least)s."), least=least)
    if amount > _TEN_YEARS[unit]:
        raise ClockError(_("That is more than ten years. The most in this unit is %(most)s."), most=_TEN_YEARS[unit])


def _is_whole(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool)


def _zone(name: str) -> ZoneInfo:
    try:
        return zones.zone(name)
    except zones.UnknownZone as error:
        raise ClockError(str(error)) from error


_CLOCK_TIME = re.compile(r"([0-9]{2}):([0-5][0-9])")


def _minutes(clock_time: str) -> int:
    match = _CLOCK_TIME.fullmatch(clock_time)
    if not match:
        raise ClockError(f"“{clock_time}” is not a clock time. Write it as 09:00 or 24:00.")
    return int(match[1]) * 60 + int(match[2])


def _clock_time(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _openings_to_json(openings: tuple[Opening, ...]) -> list[list[str]]:
    return [[_clock_time(opening.opens), _clock_time(opening.closes)] for opening in openings]


def _openings_from_json(data: list[list[str]]) -> tuple[Opening, ...]:
    return tuple(Opening.parse(opens, closes) for opens, closes in data)


@contextmanager
def _readable(what: str) -> Iterator[None]:
    """Turns whatever goes wrong with stored data into a sentence."""
    try:
        yield
    except ClockError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ClockError(f"The stored {what} cannot be read ({type(error).__name__}: {error}).") from error
