"""The strip of a day: marks where deadlines fall, the reader's hours, and the same in words."""

from __future__ import annotations

import datetime as dt

from django.utils import timezone

from config import zones
from incidents.admin import day_strip
from tests.cast import NOON, at

MINUTE, HOUR = dt.timedelta(minutes=1), dt.timedelta(hours=1)


def test_each_deadline_stands_at_its_time_and_a_crowd_grows_upwards() -> None:
    falling = [(NOON + minutes * MINUTE, "running") for minutes in (0, 5, 10, 720, 1439)]
    marks = day_strip.draw(falling, NOON).marks
    assert [mark.x for mark in marks] == ["1.00%", "1.34%", "1.67%", "49.50%", "97.93%"]
    ground = marks[0].y
    assert [mark.y for mark in marks] == [ground, ground - 15, ground - 30, ground, ground]


def test_what_is_too_crowded_to_draw_is_counted() -> None:
    marks = day_strip.draw([(NOON, "at_risk")] * 9, NOON).marks
    assert len(marks) == day_strip.LEVELS
    assert sum(1 + mark.more for mark in marks) == 9


def test_the_hours_are_the_readers_also_in_zones_of_half_hours_and_when_the_clocks_change() -> None:
    def hours(zone: str, now: dt.datetime) -> list[str]:
        with timezone.override(zones.zone(zone)):
            return [label for _place, label in day_strip.draw([], now).hours if label]

    assert hours("UTC", NOON) == ["16:00", "20:00", "00:00", "04:00", "08:00"]
    assert hours("Asia/Kolkata", NOON) == ["00:00", "04:00", "08:00", "12:00", "16:00"]
    spring = dt.datetime(2026, 3, 28, 22, 0, tzinfo=dt.UTC)  # at 02:00 the clocks of Berlin go to 03:00
    assert hours("Europe/Berlin", spring) == ["04:00", "08:00", "12:00", "16:00", "20:00"]


def test_the_words_say_what_the_picture_shows() -> None:
    falling = [(at("12:30"), "at_risk"), (at("13:00"), "running"), (at("20:00"), "running")]
    said = day_strip.draw(falling, NOON).words
    assert said == "Due within 24 hours: 3. Within the next hour: 2. At risk: 1."
    assert day_strip.draw([], NOON).words == "No deadline falls within the next 24 hours."
