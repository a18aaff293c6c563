"""Why a deadline is due then: what is told equals what is computed, to the microsecond."""

from __future__ import annotations

import datetime as dt
import itertools
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agreements import clock
from agreements.clock import Allowance, Calendar, DayEnd, Opening, Roll, Terms, Unit
from agreements.explanation import Explanation, explain, length
from agreements.models import StartEvent
from agreements.terms import AgreedTerms, AgreedWarning, Audience
from config import zones
from tests.agreements.oracle_engine import engine

_DATA = json.loads((Path(__file__).parent / "data" / "calendars.json").read_text())
CALENDARS = {name: engine(_DATA[name]).calendar for name in sorted(_DATA)}
MINUTE, HOUR = dt.timedelta(minutes=1), dt.timedelta(hours=1)
BERLIN = Calendar("Europe/Berlin", ((Opening.parse("09:00", "17:00"),),) * 5 + ((), ()))
LENGTHS = {Unit.MINUTES: MINUTE, Unit.BUSINESS_MINUTES: MINUTE, Unit.HOURS: HOUR, Unit.BUSINESS_HOURS: HOUR}


def berlin(text: str) -> dt.datetime:
    """An instant in November 2026, by Berlin's winter clock: berlin("27 17:55") is a Friday."""
    day, time = text.split()
    wall = dt.datetime.combine(dt.date(2026, 11, int(day)), dt.time.fromisoformat(time))
    return wall.replace(tzinfo=dt.timezone(HOUR)).astimezone(dt.UTC)


def agreed(amount: int | None, unit: Unit = Unit.HOURS, **terms: object) -> AgreedTerms:
    allowance = None if amount is None else Allowance(amount, unit)
    extra = {name: terms.pop(name) for name in list(terms) if name in AgreedTerms.__dataclass_fields__}
    return AgreedTerms(Terms(allowance, **terms), BERLIN, **extra)  # type: ignore[arg-type]


def told(terms: AgreedTerms, started_at: dt.datetime, **options: object) -> Explanation:
    return explain(terms, started_at, start_event=StartEvent.DETECTED, **options)  # type: ignore[arg-type]


def text(explanation: Explanation) -> str:
    return "\n".join(explanation.sentences)


# ── the rows, over every calendar ───────────────────────────────────────────────────────────────────────────────────

FIRST = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
starts = st.timedeltas(dt.timedelta(0), dt.timedelta(days=3 * 365)).map(lambda span: FIRST + span)
pauses = st.lists(st.tuples(starts, st.timedeltas(dt.timedelta(0), dt.timedelta(days=4))), max_size=3)


@given(
    st.sampled_from(sorted(CALENDARS)),
    starts,
    st.integers(1, 90),
    st.sampled_from(sorted(LENGTHS)),
    pauses,
    st.sampled_from(sorted(Roll)),
)
def test_the_counted_rows_add_up_to_the_allowance_and_end_when_it_is_used_up(
    name: str, start: dt.datetime, amount: int, unit: Unit, gaps: list[tuple[dt.datetime, dt.timedelta]], roll: Roll
) -> None:
    roll_at = dt.time(12) if roll is Roll.NEXT_BUSINESS_DAY_AT else None
    terms = AgreedTerms(Terms(Allowance(amount, unit), roll=roll, roll_at=roll_at), CALENDARS[name], is_pausable=True)
    stops = [(begin, begin + span) for begin, span in gaps]
    explanation = told(terms, start, pauses=stops)
    assert explanation.total == amount * LENGTHS[unit]
    assert sum((row.length for row in explanation.rows), dt.timedelta(0)) == explanation.total
    assert explanation.rows[-1].ends_at == explanation.used_up_at
    assert explanation.due_at == terms.plan(start, pauses=stops).due_at
    assert all(before.ends_at <= after.begins_at for before, after in itertools.pairwise(explanation.rows))
    if unit.is_business:
        assert all(clock.is_open(CALENDARS[name], row.begins_at) for row in explanation.rows)
    assert all(row.span and row.minutes_in_words for row in explanation.rows)


@given(st.sampled_from(sorted(CALENDARS)), starts, st.integers(1, 40), st.sampled_from(sorted(DayEnd)))
def test_the_counted_days_end_with_the_date_that_the_deadline_belongs_to(
    name: str, start: dt.datetime, amount: int, day_end: DayEnd
) -> None:
    calendar = CALENDARS[name]
    for unit in (Unit.BUSINESS_DAYS, Unit.CALENDAR_DAYS):
        terms = AgreedTerms(Terms(Allowance(amount, unit), day_end), calendar)
        explanation = told(terms, start)
        zone = start.astimezone(zones.zone(calendar.time_zone)).tzinfo
        due = explanation.due_at
        assert due is not None
        assert [day.number for day in explanation.days] == list(range(amount + 1))
        assert explanation.days[0].on == start.astimezone(zone).date()
        assert explanation.days[-1].on == (due - dt.timedelta(microseconds=1)).astimezone(zone).date()


def test_months_name_day_0_and_the_last_date() -> None:
    explanation = told(agreed(3, Unit.MONTHS), berlin("30 10:00"))
    assert [(str(day.on), day.number) for day in explanation.days] == [("2026-11-30", 0), ("2027-02-28", 3)]
    assert "3 months: from Mon 30 Nov 2026 to Sun 28 Feb 2027, which ends at Mon 1 Mar 2027, 00:00 CET." in text(
        explanation
    )


# ── the sentences ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_business_hours_over_a_weekend_are_told_opening_by_opening() -> None:
    explanation = told(agreed(9, Unit.BUSINESS_HOURS), berlin("27 16:00"))
    rows = [(str(row.on), row.span, row.minutes_in_words, row.total_in_words) for row in explanation.rows]
    assert rows == [
        ("2026-11-27", "16:00–17:00 CET", "60 min", "1 h"),
        ("2026-11-30", "09:00–17:00 CET", "480 min", "9 h"),
    ]
    assert explanation.sentences == (
        "The clause asks for it within 9 business hours of detection.",
        "Only the time in which the calendar is open counts.",
        "The clock starts with detection: Fri 27 Nov 2026, 16:00 CET.",
        "9 business hours: 540 minutes, used up at Mon 30 Nov 2026, 17:00 CET.",
        "So it is due at Mon 30 Nov 2026, 17:00 CET.",
        "“Overdue” at Mon 30 Nov 2026, 17:00 CET, to the responders, the agreement's owner, the managers.",
    )


def test_a_start_while_closed_says_when_the_counting_begins() -> None:
    explanation = told(agreed(1, Unit.BUSINESS_HOURS), berlin("27 17:55"))
    assert "the counting begins when it opens: Mon 30 Nov 2026, 09:00 CET" in text(explanation)


def test_round_the_clock_is_one_row() -> None:
    (row,) = told(agreed(4), berlin("27 22:00")).rows
    assert row.span == "Fri 27 Nov 2026, 22:00 CET – Sat 28 Nov 2026, 02:00 CET"
    assert row.total_in_words == "4 h"


def test_seconds_are_told_where_there_are_any() -> None:
    explanation = told(agreed(1, Unit.BUSINESS_HOURS), berlin("27 16:13:20"))
    assert [row.minutes_in_words for row in explanation.rows] == ["46 min 40 s", "13 min 20 s"]
    assert "due at Mon 30 Nov 2026, 09:13:20 CET" in text(explanation)
    assert length(dt.timedelta(hours=8)) == "8 h"


def test_an_opening_over_the_change_of_clocks_prints_both_zones() -> None:
    always = Calendar.always_open("Europe/Berlin")
    start = dt.datetime(2026, 10, 24, 22, tzinfo=dt.UTC)
    explanation = told(AgreedTerms(Terms(Allowance(26, Unit.BUSINESS_HOURS)), always), start)
    assert [row.span for row in explanation.rows] == ["00:00 CEST–24:00 CET", "00:00–01:00 CET"]
    assert explanation.rows[0].minutes_in_words == "1500 min"


def test_many_rows_show_the_first_and_the_last_and_how_many_days_lie_between() -> None:
    explanation = told(agreed(40 * 8, Unit.BUSINESS_HOURS), berlin("02 09:00"))
    assert len(explanation.rows) == 40
    assert (len(explanation.first_rows), explanation.days_between, len(explanation.last_rows)) == (10, 25, 5)
    short = told(agreed(20 * 8, Unit.BUSINESS_HOURS), berlin("02 09:00"))
    assert (len(short.first_rows), short.days_between, len(short.last_rows)) == (20, 0, 0)


@pytest.mark.parametrize(
    ("cap_started_at", "sentence"),
    [
        (None, "does not apply: that is not known yet"),
        (berlin("27 09:00"), "holds, because it ends first: at Fri 27 Nov 2026, 15:00 CET instead of"),
        (berlin("27 11:30"), "changes nothing: it ends no earlier, at Fri 27 Nov 2026, 17:30 CET"),
        (berlin("26 09:00"), "is dropped: it had passed at Thu 26 Nov 2026, 15:00 CET, before the first clock started"),
    ],
)
def test_the_cap_says_whether_it_holds_and_why(cap_started_at: dt.datetime | None, sentence: str) -> None:
    terms = agreed(4, cap=Allowance(6, Unit.HOURS), cap_event=StartEvent.OCCURRED)
    explanation = told(terms, berlin("27 13:00"), cap_started_at=cap_started_at)
    assert sentence in text(explanation)
    assert explanation.due_at == terms.plan(berlin("27 13:00"), cap_started_at=cap_started_at).due_at


def test_the_rows_are_those_of_the_limit_that_holds() -> None:
    terms = agreed(4, cap=Allowance(6, Unit.HOURS), cap_event=StartEvent.OCCURRED)
    explanation = told(terms, berlin("27 13:00"), cap_started_at=berlin("27 09:00"))
    assert explanation.counted == Allowance(6, Unit.HOURS)
    assert explanation.total == 6 * HOUR


def test_a_deadline_on_a_weekend_says_whether_it_is_moved() -> None:
    rolling = agreed(1, Unit.CALENDAR_DAYS, roll=Roll.NEXT_BUSINESS_DAY_AT, roll_at=dt.time(12))
    moved = told(rolling, berlin("27 10:00"))
    assert "no opening, so it is moved to the next business day: Mon 30 Nov 2026, 12:00 CET" in text(moved)
    assert "not moved" in text(told(rolling, berlin("25 10:00")))
    assert "moved" not in text(told(agreed(1, Unit.CALENDAR_DAYS), berlin("27 10:00")))


def test_pauses_are_taken_off_where_the_clause_stops_the_clock() -> None:
    pauses = [(berlin("27 10:00"), berlin("27 11:30"))]
    stopping = told(agreed(4, Unit.BUSINESS_HOURS, is_pausable=True), berlin("27 09:00"), pauses=pauses)
    assert "1 h 30 min of that time were paused and do not count." in stopping.sentences
    assert [row.span for row in stopping.rows] == ["09:00–10:00 CET", "11:30–14:30 CET"]
    running = told(agreed(4, Unit.BUSINESS_HOURS), berlin("27 09:00"), pauses=pauses)
    assert "does not stop the clock" in text(running)
    weekend = [(berlin("28 10:00"), berlin("28 11:30"))]
    assert "fell in no time that counts" in text(
        told(agreed(9, Unit.BUSINESS_HOURS, is_pausable=True), berlin("27 09:00"), pauses=weekend)
    )


def test_paused_days_are_added_after_the_last_day() -> None:
    terms = agreed(1, Unit.BUSINESS_DAYS, day_end=DayEnd.CLOSE_OF_BUSINESS, is_pausable=True)
    explanation = told(terms, berlin("26 10:00"), pauses=[(berlin("27 10:00"), berlin("27 12:00"))])
    assert "2 h of counting time were paused and are added after the last day: until Mon 30 Nov 2026, 11:00 CET." in (
        explanation.sentences
    )
    assert explanation.due_at == berlin("30 11:00")


def test_a_duty_without_a_number_has_only_its_target() -> None:
    explanation = told(agreed(None, target=Terms(Allowance(8, Unit.HOURS))), berlin("27 10:00"))
    assert explanation.due_at is None
    assert (explanation.rows, explanation.days) == ((), ())
    assert "no part of the contract, is 8 hours: Fri 27 Nov 2026, 18:00 CET" in text(explanation)


def test_warning_points_are_told_with_their_share_or_their_minutes() -> None:
    warnings = (AgreedWarning(50, None, (Audience.CONTACTS,)), AgreedWarning(None, 30, (Audience.MANAGERS,)))
    said = text(told(agreed(4, warnings=warnings, holding_percent=90), berlin("27 10:00")))
    assert "Warning (50 % of the allowance) at Fri 27 Nov 2026, 12:00 CET, to the client's contacts." in said
    assert "Warning (30 minutes before its end) at Fri 27 Nov 2026, 13:30 CET, to the managers." in said
    assert "Holding notice (90 % of the allowance) at Fri 27 Nov 2026, 13:36 CET, to the client's contacts." in said


def test_a_new_cycle_does_not_claim_that_the_event_happened_then() -> None:
    said = text(told(agreed(1, is_recurring=True), berlin("27 10:00"), is_new_cycle=True))
    assert "The clock of this cycle starts at Fri 27 Nov 2026, 10:00 CET." in said
    assert "every 1 hour until resolved" in said
