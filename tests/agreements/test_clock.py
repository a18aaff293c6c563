"""The contract clock, one promise a test. Times are wall times of the calendar's zone."""

from __future__ import annotations

import datetime as dt
import os
import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agreements import clock
from agreements.clock import Allowance, Calendar, ClockError, DayEnd, Opening, Roll, Terms, Unit, WarningPoint

ZONE = "Europe/Berlin"
OFFICE = Opening.parse("09:00", "17:00")
NIGHT = Opening.parse("22:00", "06:00")
WEEKDAYS = tuple((OFFICE,) if day < 5 else () for day in range(7))
OFFICE_HOURS = Calendar(ZONE, WEEKDAYS)


def at(text: str, zone: str = ZONE) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(dt.UTC)


def hours(n: float) -> dt.timedelta:
    return dt.timedelta(hours=n)


def on(text: str) -> dt.date:
    return dt.date.fromisoformat(text)


def week(**days: Opening) -> tuple[tuple[Opening, ...], ...]:
    """A week of one opening on each day that is named."""
    names = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    return tuple((days[name],) if name in days else () for name in names)


def due(agreed: Terms, started_at: str, pauses: clock.Pauses = ()) -> dt.datetime | None:
    """When it is due under office hours, without a cap."""
    return clock.due_at(agreed, OFFICE_HOURS, at(started_at), pauses=pauses)


def terms(amount: int, unit: Unit, **more: object) -> Terms:
    return Terms(Allowance(amount, unit), **more)  # type: ignore[arg-type]


def test_the_clock_needs_no_django() -> None:
    program = "import sys, agreements.clock; sys.exit('django' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


# ── adding and measuring ────────────────────────────────────────────────────────────────────────────────────


def test_time_that_ends_on_closing_time_stays_there_and_one_second_more_is_the_next_opening() -> None:
    start = at("2026-11-24 09:00")
    assert clock.add(OFFICE_HOURS, start, hours(8)) == at("2026-11-24 17:00")
    assert clock.add(OFFICE_HOURS, start, hours(8) + dt.timedelta(seconds=1)) == at("2026-11-25 09:00:01")


def test_no_time_at_all_ends_where_it_starts_even_when_closed() -> None:
    sunday = at("2026-11-22 12:00")
    assert clock.add(OFFICE_HOURS, sunday, hours(0)) == sunday
    assert clock.add(OFFICE_HOURS, sunday, hours(0), [(sunday - hours(1), sunday + hours(1))]) == sunday


def test_seconds_and_microseconds_are_kept() -> None:
    start = at("2026-11-20 16:59:58.123456")
    assert clock.add(OFFICE_HOURS, start, hours(1)) == at("2026-11-23 09:59:58.123456")


def test_nothing_has_elapsed_when_the_end_is_not_after_the_start() -> None:
    start = at("2026-11-24 12:00")
    assert clock.elapsed(OFFICE_HOURS, start, start) == hours(0)
    assert clock.elapsed(OFFICE_HOURS, start, start - hours(1)) == hours(0)


def test_an_opening_holds_its_first_instant_and_not_its_last() -> None:
    assert clock.is_open(OFFICE_HOURS, at("2026-11-24 09:00"))
    assert clock.is_open(OFFICE_HOURS, at("2026-11-24 16:59:59"))
    assert not clock.is_open(OFFICE_HOURS, at("2026-11-24 17:00"))
    assert not clock.is_open(OFFICE_HOURS, at("2026-11-24 08:59:59"))


def test_openings_that_overlap_on_one_day_are_counted_once() -> None:
    shifts = [("09:00", "13:00"), ("12:00", "17:00"), ("10:00", "11:00")]
    calendar = Calendar(ZONE, (tuple(Opening.parse(*shift) for shift in shifts), *WEEKDAYS[1:]))
    monday = at("2026-11-23 00:00")
    assert clock.openings(calendar, monday, monday + hours(24)) == [(monday + hours(9), monday + hours(17))]


@pytest.mark.parametrize("whole_day", [Opening(0, 0), Opening(0, 1440)])
def test_from_midnight_to_midnight_is_the_whole_day(whole_day: Opening) -> None:
    calendar = Calendar(ZONE, ((whole_day,),) * 7)
    assert clock.elapsed(calendar, at("2026-11-23 00:00"), at("2026-11-30 00:00")) == dt.timedelta(days=7)


def test_openings_are_listed_cut_to_the_span_and_at_midnight() -> None:
    calendar = Calendar(ZONE, week(mon=NIGHT))
    assert clock.openings(calendar, at("2026-11-23 23:00"), at("2026-11-30 22:30")) == [
        (at("2026-11-23 23:00"), at("2026-11-24 00:00")),
        (at("2026-11-24 00:00"), at("2026-11-24 06:00")),
        (at("2026-11-30 22:00"), at("2026-11-30 22:30")),
    ]
    assert clock.openings(calendar, at("2026-11-24 06:00"), at("2026-11-24 05:00")) == []


# ── closures and changed days ───────────────────────────────────────────────────────────────────────────────


def test_a_closure_closes_its_local_date_only() -> None:
    """A closed Friday takes Thursday night's early hours with it, and leaves its own on Saturday."""
    calendar = Calendar(ZONE, week(thu=NIGHT, fri=NIGHT), {on("2026-12-25"): ()})
    assert clock.openings(calendar, at("2026-12-24 00:00"), at("2026-12-28 00:00")) == [
        (at("2026-12-24 22:00"), at("2026-12-25 00:00")),
        (at("2026-12-26 00:00"), at("2026-12-26 06:00")),
    ]


def test_a_changed_day_replaces_the_weeks_hours_on_its_date() -> None:
    calendar = Calendar(ZONE, WEEKDAYS, {on("2026-12-24"): (Opening.parse("09:00", "12:00"),)})
    assert clock.add(calendar, at("2026-12-24 09:00"), hours(4)) == at("2026-12-25 10:00")


def test_a_changed_day_that_runs_over_midnight_goes_on_into_an_ordinary_date() -> None:
    calendar = Calendar(ZONE, WEEKDAYS, {on("2026-12-23"): (NIGHT,)})
    assert clock.is_open(calendar, at("2026-12-24 05:59"))
    assert not clock.is_open(calendar, at("2026-12-24 06:00"))
    assert clock.is_open(calendar, at("2026-12-24 09:00"))


def test_a_changed_day_that_runs_over_midnight_stops_before_a_closed_date() -> None:
    calendar = Calendar(ZONE, WEEKDAYS, {on("2026-12-23"): (NIGHT,), on("2026-12-24"): ()})
    assert not clock.is_open(calendar, at("2026-12-24 00:00"))


# ── when the clocks change ──────────────────────────────────────────────────────────────────────────────────


def test_an_opening_time_that_the_clocks_skip_is_the_instant_of_the_change() -> None:
    calendar = Calendar(ZONE, week(sun=Opening.parse("02:30", "05:00")))
    assert clock.openings(calendar, at("2026-03-29 00:00"), at("2026-03-30 00:00")) == [
        (dt.datetime(2026, 3, 29, 1, tzinfo=dt.UTC), dt.datetime(2026, 3, 29, 3, tzinfo=dt.UTC))
    ]


def test_an_opening_that_the_clocks_skip_altogether_is_none_and_makes_no_business_day() -> None:
    calendar = Calendar(ZONE, week(sun=Opening.parse("02:15", "02:45")))
    assert clock.openings(calendar, at("2026-03-29 00:00"), at("2026-03-30 00:00")) == []
    assert clock.business_days(calendar, at("2026-03-28 12:00"), 1) == at("2026-04-06 00:00")


def test_rolling_to_a_clock_time_that_the_clocks_skip_is_the_instant_of_the_change() -> None:
    calendar = Calendar(ZONE, week(sun=OFFICE))
    half_past_two = dt.time(2, 30, 0, 500)
    due_at = clock.months(calendar, at("2026-02-23 12:00"), 1, Roll.NEXT_BUSINESS_DAY_AT, half_past_two)
    assert due_at == dt.datetime(2026, 3, 29, 1, tzinfo=dt.UTC)


def test_a_closing_time_that_comes_twice_is_the_first_of_the_two() -> None:
    calendar = Calendar(ZONE, week(sun=Opening.parse("00:00", "02:30")))
    assert clock.elapsed(calendar, at("2026-10-25 00:00"), at("2026-10-26 00:00")) == hours(2.5)


def test_an_opening_over_a_doubled_hour_lasts_the_time_that_really_passes() -> None:
    calendar = Calendar(ZONE, week(sun=Opening.parse("00:00", "06:00")))
    assert clock.elapsed(calendar, at("2026-10-25 00:00"), at("2026-10-26 00:00")) == hours(7)


@pytest.mark.parametrize("zone", ["Africa/Cairo", "Pacific/Apia", "Australia/Lord_Howe", "America/Havana"])
def test_round_the_clock_has_no_holes_where_clocks_change(zone: str) -> None:
    calendar = Calendar.always_open(zone)
    start = dt.datetime(2009, 1, 1, tzinfo=dt.UTC)
    spans = clock.openings(calendar, start, start + dt.timedelta(days=3000))
    assert all(earlier[1] == later[0] for earlier, later in pairwise(spans))
    assert clock.add(calendar, start, hours(9999)) == start + hours(9999)


# ── pauses ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_deadline_that_falls_on_the_start_of_a_pause_does_not_wait_for_its_end() -> None:
    start = at("2026-11-24 10:00")
    pauses = [(start + hours(2), start + hours(5))]
    assert clock.add(OFFICE_HOURS, start, hours(2), pauses) == start + hours(2)


def test_pauses_that_are_empty_or_over_before_the_start_change_nothing() -> None:
    start = at("2026-11-24 10:00")
    pauses = [(start + hours(1), start + hours(1)), (start - hours(9), start)]
    assert clock.add(OFFICE_HOURS, start, hours(2), pauses) == start + hours(2)


def test_a_pause_within_a_pause_does_not_end_it() -> None:
    start = at("2026-11-24 10:00")
    pauses = [(start + hours(1), start + hours(4)), (start + hours(2), start + hours(3))]
    assert clock.add(OFFICE_HOURS, start, hours(2), pauses) == start + hours(5)
    assert clock.elapsed(OFFICE_HOURS, start, start + hours(5), pauses) == hours(2)


def test_a_pause_without_an_end_can_be_measured_but_leaves_no_deadline() -> None:
    start = at("2026-11-24 10:00")
    for_ever = [(start + hours(1), dt.datetime.max.replace(tzinfo=dt.UTC))]
    assert clock.elapsed(OFFICE_HOURS, start, start + hours(72), for_ever) == hours(1)
    with pytest.raises(ClockError, match="outside the years"):
        clock.add(OFFICE_HOURS, start, hours(2), for_ever)


# ── deadlines ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("amount", "unit", "expected"),
    [
        (90, Unit.MINUTES, "2026-11-20 18:20"),
        (24, Unit.HOURS, "2026-11-21 16:50"),
        (90, Unit.BUSINESS_MINUTES, "2026-11-23 10:20"),
        (8, Unit.BUSINESS_HOURS, "2026-11-23 16:50"),
        (2, Unit.CALENDAR_DAYS, "2026-11-23 00:00"),
        (2, Unit.BUSINESS_DAYS, "2026-11-25 00:00"),
        (1, Unit.MONTHS, "2026-12-21 00:00"),
    ],
)
def test_each_unit_is_counted_in_its_own_kind_of_time(amount: int, unit: Unit, expected: str) -> None:
    assert due(terms(amount, unit), "2026-11-20 16:50") == at(expected)


def test_without_undue_delay_has_no_due_time() -> None:
    assert due(Terms(None), "2026-11-20 16:50") is None


def test_hours_run_round_the_clock_across_a_clock_change() -> None:
    assert due(terms(24, Unit.HOURS), "2026-03-28 12:00") == at("2026-03-29 13:00")


def test_pauses_stop_hours_that_run_round_the_clock() -> None:
    pauses = [(at("2026-11-20 21:00"), at("2026-11-20 23:00"))]
    assert due(terms(4, Unit.HOURS), "2026-11-20 20:00", pauses) == at("2026-11-21 02:00")


def test_a_business_day_may_end_at_close_of_business() -> None:
    agreed = terms(2, Unit.BUSINESS_DAYS, day_end=DayEnd.CLOSE_OF_BUSINESS)
    assert due(agreed, "2026-11-20 12:00") == at("2026-11-24 17:00")


def test_close_of_business_on_a_closed_date_is_the_end_of_that_day() -> None:
    friday = at("2026-11-20 10:00")
    assert clock.calendar_days(OFFICE_HOURS, friday, 1, DayEnd.CLOSE_OF_BUSINESS) == at("2026-11-22 00:00")
    assert clock.calendar_days(OFFICE_HOURS, friday, 3, DayEnd.CLOSE_OF_BUSINESS) == at("2026-11-23 17:00")


def test_an_allowance_in_days_gives_back_exactly_the_counting_time_that_pauses_took() -> None:
    overnight = [(at("2026-11-23 16:00"), at("2026-11-24 10:00"))]  # two hours of opening, eighteen in all
    business = terms(3, Unit.BUSINESS_DAYS, day_end=DayEnd.CLOSE_OF_BUSINESS)
    assert due(business, "2026-11-20 12:00", overnight) == at("2026-11-26 11:00")
    assert due(terms(5, Unit.CALENDAR_DAYS), "2026-11-20 12:00", overnight) == at("2026-11-26 18:00")


def test_a_pause_outside_opening_hours_moves_no_business_day() -> None:
    weekend = [(at("2026-11-20 17:00"), at("2026-11-23 09:00"))]
    assert due(terms(3, Unit.BUSINESS_DAYS), "2026-11-20 12:00", weekend) == at("2026-11-26 00:00")


# ── rolling and caps ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("roll", "roll_at", "expected"),
    [
        (Roll.NONE, None, "2026-11-21 20:00"),
        (Roll.NEXT_BUSINESS_DAY, None, "2026-11-24 00:00"),
        (Roll.NEXT_BUSINESS_DAY_AT, dt.time(12), "2026-11-23 12:00"),
    ],
)
def test_a_deadline_on_a_saturday_rolls_as_agreed(roll: Roll, roll_at: dt.time | None, expected: str) -> None:
    agreed = terms(4, Unit.HOURS, roll=roll, roll_at=roll_at)
    assert due(agreed, "2026-11-21 16:00") == at(expected)


def test_a_rolled_deadline_keeps_the_agreed_kind_of_day_end() -> None:
    agreed = terms(1, Unit.MONTHS, roll=Roll.NEXT_BUSINESS_DAY, day_end=DayEnd.CLOSE_OF_BUSINESS)
    assert due(agreed, "2026-10-21 12:00") == at("2026-11-23 17:00")


def test_a_deadline_on_a_date_that_opens_never_rolls_even_after_hours() -> None:
    agreed = terms(4, Unit.HOURS, roll=Roll.NEXT_BUSINESS_DAY)
    assert due(agreed, "2026-11-20 16:00") == at("2026-11-20 20:00")


def test_a_deadline_at_midnight_belongs_to_the_date_that_ends() -> None:
    agreed = terms(4, Unit.HOURS, roll=Roll.NEXT_BUSINESS_DAY)
    assert due(agreed, "2026-11-20 20:00") == at("2026-11-21 00:00")


def test_a_closure_rolls_a_deadline_over_it() -> None:
    calendar = Calendar(ZONE, WEEKDAYS, {on("2026-12-25"): ()})
    noon = clock.months(calendar, at("2026-11-25 12:00"), 1, Roll.NEXT_BUSINESS_DAY_AT, dt.time(12))
    assert noon == at("2026-12-28 12:00")


def test_a_cap_makes_the_deadline_earlier_and_never_later() -> None:
    agreed = terms(4, Unit.HOURS, cap=Allowance(24, Unit.HOURS))
    classified = at("2026-11-24 10:00")
    early, late = at("2026-11-23 12:00"), at("2026-11-24 09:00")
    assert clock.due_at(agreed, OFFICE_HOURS, classified, cap_started_at=early) == at("2026-11-24 12:00")
    assert clock.due_at(agreed, OFFICE_HOURS, classified, cap_started_at=late) == at("2026-11-24 14:00")


def test_a_cap_that_had_passed_before_the_first_clock_started_is_dropped() -> None:
    agreed = terms(4, Unit.HOURS, cap=Allowance(24, Unit.HOURS))
    aware = at("2026-11-23 10:00")
    just_in_time, too_late = aware + hours(24), aware + hours(24) + dt.timedelta(seconds=1)
    assert clock.due_at(agreed, OFFICE_HOURS, just_in_time, cap_started_at=aware) == just_in_time
    assert clock.due_at(agreed, OFFICE_HOURS, too_late, cap_started_at=aware) == too_late + hours(4)


def test_a_pause_does_not_bring_back_a_cap_that_was_dropped() -> None:
    agreed = terms(4, Unit.HOURS, cap=Allowance(24, Unit.HOURS))
    aware, classified = at("2026-11-23 10:00"), at("2026-11-24 11:00")
    pauses = [(at("2026-11-23 12:00"), at("2026-11-23 14:00"))]
    due_at = clock.due_at(agreed, OFFICE_HOURS, classified, cap_started_at=aware, pauses=pauses)
    assert due_at == classified + hours(4)


def test_a_pause_into_the_next_business_day_does_not_end_before_the_rolled_deadline() -> None:
    agreed = terms(4, Unit.HOURS, roll=Roll.NEXT_BUSINESS_DAY)
    pauses = [(at("2026-11-22 11:00"), at("2026-11-23 08:00"))]
    assert due(agreed, "2026-11-22 10:00") == at("2026-11-24 00:00")
    assert due(agreed, "2026-11-22 10:00", pauses) == at("2026-11-24 00:00")


def test_a_cap_waits_for_its_own_start_event() -> None:
    agreed = terms(4, Unit.HOURS, cap=Allowance(24, Unit.HOURS))
    assert due(agreed, "2026-11-24 10:00") == at("2026-11-24 14:00")


# ── warnings ────────────────────────────────────────────────────────────────────────────────────────────────


def warned(agreed: Terms, started_at: str, point: WarningPoint, pauses: clock.Pauses = ()) -> dt.datetime:
    due_at = due(agreed, started_at, pauses)
    assert due_at is not None
    return clock.warn_at(agreed, OFFICE_HOURS, at(started_at), due_at, point, pauses)


FOUR_HOURS, DAY = terms(4, Unit.HOURS), terms(8, Unit.BUSINESS_HOURS)


@pytest.mark.parametrize(
    ("agreed", "started_at", "point", "expected"),
    [
        (FOUR_HOURS, "2026-11-24 10:00", WarningPoint(50), "2026-11-24 12:00"),
        (FOUR_HOURS, "2026-11-24 10:00", WarningPoint(80), "2026-11-24 13:12"),
        (FOUR_HOURS, "2026-11-24 10:00", WarningPoint(100), "2026-11-24 14:00"),
        (FOUR_HOURS, "2026-11-24 10:00", WarningPoint(before=hours(1)), "2026-11-24 13:00"),
        (FOUR_HOURS, "2026-11-24 10:00", WarningPoint(before=hours(9)), "2026-11-24 10:00"),
        (DAY, "2026-11-24 16:00", WarningPoint(80), "2026-11-25 14:24"),
        (DAY, "2026-11-24 16:00", WarningPoint(before=hours(7)), "2026-11-24 17:00"),
        (terms(1, Unit.MINUTES), "2026-11-24 10:00", WarningPoint(99), "2026-11-24 10:00:59"),
        (terms(2, Unit.CALENDAR_DAYS), "2026-11-24 00:00", WarningPoint(50), "2026-11-25 12:00"),
        (terms(1, Unit.BUSINESS_DAYS), "2026-11-24 17:00", WarningPoint(50), "2026-11-25 13:00"),
    ],
)
def test_a_warning_is_counted_in_the_time_of_its_allowance(
    agreed: Terms,
    started_at: str,
    point: WarningPoint,
    expected: str,
) -> None:
    assert warned(agreed, started_at, point) == at(expected)


def test_a_warning_waits_with_its_deadline_while_paused() -> None:
    pauses = [(at("2026-11-24 11:00"), at("2026-11-24 13:00"))]
    assert warned(FOUR_HOURS, "2026-11-24 10:00", WarningPoint(50), pauses) == at("2026-11-24 14:00")


def test_a_warning_comes_before_a_cap_that_ends_while_closed() -> None:
    agreed = terms(8, Unit.BUSINESS_HOURS, cap=Allowance(10, Unit.HOURS))
    evening = at("2026-11-20 18:00")
    capped = clock.due_at(agreed, OFFICE_HOURS, evening, cap_started_at=evening)
    assert capped == evening + hours(10)
    assert clock.warn_at(agreed, OFFICE_HOURS, evening, capped, WarningPoint(50)) == evening + hours(5)


def test_a_deadline_that_was_over_when_it_started_warns_at_its_start() -> None:
    start = at("2026-11-24 10:00")
    assert clock.warn_at(FOUR_HOURS, OFFICE_HOURS, start, start - hours(1), WarningPoint(80)) == start


# ── refusals ────────────────────────────────────────────────────────────────────────────────────────────────

NOON = at("2026-11-24 12:00")
NAIVE = dt.datetime(2026, 11, 24, 12)  # noqa: DTZ001
CLOSED_FOR_LONG = {on("2026-01-01") + dt.timedelta(days=n): () for n in range(500)}
ONE_MINUTE_A_WEEK = Calendar(ZONE, week(wed=Opening.parse("12:00", "12:01")))

REFUSALS: dict[str, Callable[[], object]] = {
    "an allowance of nothing": lambda: Allowance(0, Unit.HOURS),
    "an allowance below nothing": lambda: Allowance(-4, Unit.HOURS),
    "half an hour as a fraction": lambda: Allowance(0.5, Unit.HOURS),  # type: ignore[arg-type]
    "yes as an amount": lambda: Allowance(True, Unit.HOURS),
    "an unknown unit": lambda: Allowance(4, "fortnights"),  # type: ignore[arg-type]
    "more than ten years of hours": lambda: Allowance(10 * 366 * 24 + 1, Unit.HOURS),
    "more than ten years of months": lambda: Allowance(121, Unit.MONTHS),
    "an unknown zone": lambda: Calendar("Middle/Earth", WEEKDAYS),
    "a path for a zone": lambda: Calendar("../../etc/passwd", WEEKDAYS),
    "a week that never opens": lambda: Calendar(ZONE, ((),) * 7, {on("2026-11-24"): (OFFICE,)}),
    "a week of six days": lambda: Calendar(ZONE, WEEKDAYS[:6]),
    "closures without an end": lambda: Calendar(ZONE, WEEKDAYS, CLOSED_FOR_LONG),
    "a closure in the year 1": lambda: Calendar(ZONE, WEEKDAYS, {dt.date.min: ()}),
    "a closure with a time": lambda: Calendar(ZONE, WEEKDAYS, {NOON: ()}),
    "opening at 24:00": lambda: Opening(1440, 60),
    "closing at 24:01": lambda: Opening(0, 1441),
    "half minutes": lambda: Opening(0.5, 60),  # type: ignore[arg-type]
    "nine o'clock": lambda: Opening.parse("9:00", "17:00"),
    "sixty minutes": lambda: Opening.parse("09:60", "17:00"),
    "rolling to a time without the time": lambda: terms(4, Unit.HOURS, roll=Roll.NEXT_BUSINESS_DAY_AT),
    "a time without rolling to it": lambda: terms(4, Unit.HOURS, roll_at=dt.time(12)),
    "a time in another zone": lambda: terms(
        4, Unit.HOURS, roll=Roll.NEXT_BUSINESS_DAY_AT, roll_at=dt.time(12, tzinfo=dt.UTC)
    ),
    "a cap of no number": lambda: Terms(None, cap=Allowance(1, Unit.HOURS)),
    "a warning at no point": lambda: WarningPoint(),
    "a warning at two points": lambda: WarningPoint(50, hours(1)),
    "a warning at 0 percent": lambda: WarningPoint(0),
    "a warning at 101 percent": lambda: WarningPoint(101),
    "a warning after the end": lambda: WarningPoint(before=hours(-1)),
    "a time without a zone": lambda: clock.add(OFFICE_HOURS, NAIVE, hours(1)),
    "an end without a zone": lambda: clock.elapsed(OFFICE_HOURS, NOON, NAIVE),
    "a pause without a zone": lambda: clock.add(OFFICE_HOURS, NOON, hours(1), [(NAIVE, NAIVE)]),
    "a pause that runs backwards": lambda: clock.add(OFFICE_HOURS, NOON, hours(1), [(NOON, NOON - hours(1))]),
    "going backwards": lambda: clock.add(OFFICE_HOURS, NOON, hours(-1)),
    "no business day at all": lambda: clock.business_days(OFFICE_HOURS, NOON, 0),
    "days in the past": lambda: clock.calendar_days(OFFICE_HOURS, NOON, -1),
    "months without end": lambda: clock.months(OFFICE_HOURS, NOON, 10**9),
    "a span of centuries": lambda: clock.elapsed(OFFICE_HOURS, NOON, NOON.replace(year=2999)),
    "a list of centuries": lambda: clock.openings(OFFICE_HOURS, NOON, NOON.replace(year=2999)),
    "an end that no calendar reaches": lambda: clock.add(OFFICE_HOURS, NOON, dt.timedelta.max),
    "a minute a week for a week of work": lambda: clock.add(ONE_MINUTE_A_WEEK, NOON, hours(168)),
    "a stored calendar with a hole": lambda: Calendar.from_json({"time_zone": ZONE}),
    "stored terms in an unknown unit": lambda: Terms.from_json(
        terms(4, Unit.HOURS).to_json() | {"allowance": {"amount": 4, "unit": "fortnights"}}
    ),
    "stored hours that are no list": lambda: Calendar.from_json(OFFICE_HOURS.to_json() | {"weekly": 7}),
}


@pytest.mark.parametrize("refused", REFUSALS.values(), ids=REFUSALS.keys())
def test_nonsense_is_refused_in_a_sentence(refused: Callable[[], object]) -> None:
    with pytest.raises(ClockError) as refusal:
        refused()
    sentence = str(refusal.value)
    assert sentence.endswith(".")
    assert len(sentence.split()) > 4


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Etc/GMT+12"])
@pytest.mark.parametrize("edge", [dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31, 23, 59)])  # noqa: DTZ001
def test_the_ends_of_the_calendar_are_refused_and_never_overflow(edge: dt.datetime, zone: str) -> None:
    start, calendar = edge.replace(tzinfo=ZoneInfo(zone)), Calendar(zone, WEEKDAYS)
    for operation in (
        lambda: clock.add(calendar, start, hours(1)),
        lambda: clock.elapsed(calendar, start, start),
        lambda: clock.business_days(calendar, start, 1),
        lambda: clock.calendar_days(calendar, start, 1),
        lambda: clock.months(calendar, start, 1),
        lambda: clock.is_open(calendar, start),
        lambda: clock.due_at(terms(4, Unit.HOURS), calendar, start),
    ):
        with pytest.raises(ClockError, match="outside the years"):
            operation()


def test_the_first_and_last_years_that_count_do_count() -> None:
    ten_years = terms(120, Unit.MONTHS, roll=Roll.NEXT_BUSINESS_DAY)
    for year in (1901, 8999):
        assert clock.due_at(ten_years, OFFICE_HOURS, dt.datetime(year, 6, 1, tzinfo=dt.UTC)) is not None


# ── stored as JSON ──────────────────────────────────────────────────────────────────────────────────────────


def test_terms_come_back_from_json_as_they_were() -> None:
    for agreed in (
        Terms(None),
        terms(4, Unit.HOURS),
        terms(1, Unit.MONTHS, day_end=DayEnd.CLOSE_OF_BUSINESS, roll=Roll.NEXT_BUSINESS_DAY),
        terms(
            4,
            Unit.HOURS,
            roll=Roll.NEXT_BUSINESS_DAY_AT,
            roll_at=dt.time(12, 30),
            cap=Allowance(24, Unit.BUSINESS_HOURS),
        ),
    ):
        assert Terms.from_json(agreed.to_json()) == agreed


def test_a_calendar_reads_as_people_write_it_and_does_not_depend_on_the_order_of_its_days() -> None:
    christmas: dict[dt.date, tuple[Opening, ...]] = {on("2026-12-25"): ()}
    half_day: dict[dt.date, tuple[Opening, ...]] = {on("2026-12-24"): (OFFICE,)}
    calendar = Calendar(ZONE, WEEKDAYS, christmas | half_day)
    assert calendar == Calendar(ZONE, WEEKDAYS, half_day | christmas)
    assert hash(calendar) == hash(Calendar(ZONE, WEEKDAYS, half_day | christmas))
    special_days = calendar.to_json()["special_days"]
    assert list(special_days.items()) == [("2026-12-24", [["09:00", "17:00"]]), ("2026-12-25", [])]


def test_a_calendar_cannot_be_changed_from_outside() -> None:
    closures: dict[dt.date, tuple[Opening, ...]] = {}
    calendar = Calendar(ZONE, WEEKDAYS, closures)
    closures[on("2026-12-25")] = ()
    assert not calendar.special_days
    with pytest.raises(TypeError):
        calendar.special_days[on("2026-12-25")] = ()  # type: ignore[index]


# ── what holds for every calendar ───────────────────────────────────────────────────────────────────────────

every_case = settings(max_examples=60, deadline=None, derandomize="CI" in os.environ)

ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Havana",
    "Africa/Cairo",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
)
one_opening = st.builds(Opening, st.integers(0, 1439), st.integers(0, 1440))
some_openings = st.lists(one_opening, max_size=3).map(tuple)
calendars = st.builds(
    Calendar,
    st.sampled_from(ZONES),
    st.tuples(st.lists(one_opening, min_size=1, max_size=2).map(tuple), *[some_openings] * 6),
    st.dictionaries(st.dates(on("2026-01-01"), on("2027-12-31")), some_openings, max_size=8),
)
starts = st.datetimes(dt.datetime(2026, 1, 1), dt.datetime(2027, 12, 31), timezones=st.just(dt.UTC))  # noqa: DTZ001
amounts = st.integers(1, 20 * 86_400).map(lambda seconds: dt.timedelta(seconds=seconds))
pause_lengths = st.integers(0, 40 * 3600).map(lambda seconds: dt.timedelta(seconds=seconds))
one_pause = st.tuples(starts, pause_lengths).map(lambda pause: (pause[0], pause[0] + pause[1]))
pause_lists = st.lists(one_pause, max_size=6)
allowances = st.builds(Allowance, st.integers(1, 30), st.sampled_from(Unit))
any_terms = st.builds(Terms, allowances, st.sampled_from(DayEnd), cap=st.none() | allowances).flatmap(
    lambda agreed: st.sampled_from(
        [
            agreed,
            replace(agreed, roll=Roll.NEXT_BUSINESS_DAY),
            replace(agreed, roll=Roll.NEXT_BUSINESS_DAY_AT, roll_at=dt.time(12)),
        ]
    )
)


@every_case
@given(calendars, starts, amounts, pause_lists)
def test_adding_then_measuring_gives_back_the_amount(
    calendar: Calendar,
    start: dt.datetime,
    amount: dt.timedelta,
    pauses: clock.Pauses,
) -> None:
    end = clock.add(calendar, start, amount, pauses)
    assert clock.elapsed(calendar, start, end, pauses) == amount
    assert clock.elapsed(calendar, start, end - dt.timedelta(microseconds=1), pauses) < amount


@every_case
@given(calendars, starts, starts, amounts, amounts)
def test_a_later_start_or_a_longer_amount_is_never_due_earlier(
    calendar: Calendar,
    one: dt.datetime,
    other: dt.datetime,
    less: dt.timedelta,
    more: dt.timedelta,
) -> None:
    (one, other), (less, more) = sorted((one, other)), sorted((less, more))
    assert clock.add(calendar, one, less) <= clock.add(calendar, other, less)
    assert clock.add(calendar, one, less) <= clock.add(calendar, one, more)


@every_case
@given(calendars, any_terms, starts, starts, pause_lists)
def test_a_deadline_is_never_before_its_start_and_pauses_never_make_it_earlier(
    calendar: Calendar,
    agreed: Terms,
    start: dt.datetime,
    cap_start: dt.datetime,
    pauses: clock.Pauses,
) -> None:
    unpaused = clock.due_at(agreed, calendar, start, cap_started_at=cap_start)
    paused = clock.due_at(agreed, calendar, start, cap_started_at=cap_start, pauses=pauses)
    assert unpaused is not None
    assert paused is not None
    assert start <= unpaused <= paused


@every_case
@given(calendars, any_terms, starts, pause_lists, st.randoms(use_true_random=False))
def test_neither_the_order_nor_the_overlap_of_pauses_matters(
    calendar: Calendar,
    agreed: Terms,
    start: dt.datetime,
    pauses: clock.Pauses,
    chance: random.Random,
) -> None:
    pieces = list(pauses)
    for begin, end in pauses:
        middle = begin + (end - begin) / 2
        pieces += [(begin, middle), (middle, end)]
    chance.shuffle(pieces)
    expected = clock.due_at(agreed, calendar, start, pauses=pauses)
    assert clock.due_at(agreed, calendar, start, pauses=pieces) == expected


@every_case
@given(calendars, any_terms, starts, pause_lists, st.integers(1, 100), st.integers(1, 10**6))
def test_every_warning_lies_between_start_and_deadline(
    calendar: Calendar,
    agreed: Terms,
    start: dt.datetime,
    pauses: clock.Pauses,
    percent: int,
    seconds: int,
) -> None:
    due_at = clock.due_at(agreed, calendar, start, pauses=pauses)
    assert due_at is not None
    for point in (WarningPoint(percent), WarningPoint(before=dt.timedelta(seconds=seconds))):
        assert start <= clock.warn_at(agreed, calendar, start, due_at, point, pauses) <= due_at


@every_case
@given(calendars, starts, amounts)
def test_the_listed_openings_are_in_order_apart_and_as_long_as_the_time_that_elapsed(
    calendar: Calendar,
    start: dt.datetime,
    amount: dt.timedelta,
) -> None:
    end = start + amount
    spans = clock.openings(calendar, start, end)
    assert all(earlier[1] <= later[0] for earlier, later in pairwise(spans))
    assert sum((closes - opens for opens, closes in spans), hours(0)) == clock.elapsed(calendar, start, end)
    assert all(clock.is_open(calendar, opens) for opens, _closes in spans)


@every_case
@given(calendars)
def test_a_calendar_comes_back_from_json_as_it_was(calendar: Calendar) -> None:
    copy = Calendar.from_json(calendar.to_json())
    assert copy == calendar
    assert hash(copy) == hash(calendar)
    assert copy.to_json() == calendar.to_json()
