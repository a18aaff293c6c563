"""The picture of an incident's phases: places within its width, deadlines on the phase that they ask for."""

from __future__ import annotations

import datetime as dt

from agreements.models import Obligation
from incidents.models import Standing
from reviews.phases import Phase, PhaseName
from reviews.picture import BEYOND, LEFT, RIGHT, Due, draw
from tests.cast import at

HOUR = dt.timedelta(hours=1)
ELEVEN, TWO = at("11:00"), at("14:00")


def share(place: str) -> float:
    return float(place.removesuffix("%"))


def phases(*, resolved: dt.datetime | None = TWO, occurred: dt.datetime | None = ELEVEN) -> list[Phase]:
    since = at("12:00")
    return [
        Phase(PhaseName.DETECTION, occurred, since),
        Phase(PhaseName.NOTICE, since, at("13:00")),
        Phase(PhaseName.RESOLUTION, since, resolved),
    ]


def test_bars_run_from_the_first_instant_and_leave_room_after_the_last() -> None:
    picture = draw(phases(), [])
    assert picture is not None
    detection, notice, resolution = (row.bar for row in picture.rows)
    assert detection is not None
    assert notice is not None
    assert resolution is not None
    assert share(detection.x) == LEFT
    assert share(detection.x) + share(detection.width) == share(notice.x) == share(resolution.x)
    assert round(share(resolution.width) / share(notice.width)) == 2
    assert share(resolution.x) + share(resolution.width) < RIGHT


def test_what_nobody_knows_has_no_bar_and_says_so() -> None:
    picture = draw(phases(resolved=None, occurred=None), [])
    assert picture is not None
    assert [row.bar is None for row in picture.rows] == [True, False, True]
    assert [row.took for row in picture.rows] == ["not known", "1 h 0 min", "not known"]
    assert draw([Phase(PhaseName.DETECTION, None, None)], []) is None


def test_what_took_no_time_at_all_can_be_seen() -> None:
    noon = at("12:00")
    picture = draw([Phase(PhaseName.DETECTION, noon, noon)], [])
    assert picture is not None
    bar = picture.rows[0].bar
    assert bar is not None
    assert share(bar.width) > 0


def test_deadlines_stand_on_the_phase_that_meets_them_and_much_later_ones_at_the_edge() -> None:
    dues = [
        Due(Obligation.NOTIFY, at("13:30"), Standing.MET),
        Due(Obligation.RESOLVE, at("13:00"), Standing.MISSED),
        Due(Obligation.REPORT, at("12:00") + 100 * HOUR, Standing.RUNNING),
    ]
    picture = draw(phases(), dues)
    assert picture is not None
    detection, notice, resolution, others = picture.rows
    assert detection.marks == []
    assert [mark.look for mark in notice.marks] == ["met"]
    assert [mark.look for mark in resolution.marks] == ["missed"]
    assert [(mark.look, share(mark.x), mark.is_beyond) for mark in others.marks] == [("due", BEYOND, True)]
    assert "UTC" in others.marks[0].words
    assert picture.words.endswith("Deadlines met: 1, missed: 1, still due: 1.")


def test_deadlines_of_one_place_are_one_mark_unless_they_stand_otherwise() -> None:
    dues = [Due(Obligation.NOTIFY, at("13:30"), Standing.MET) for _client in range(50)]
    picture = draw(phases(), [*dues, Due(Obligation.NOTIFY, at("13:30"), Standing.MISSED)])
    assert picture is not None
    assert sorted(mark.look for mark in picture.rows[1].marks) == ["met", "missed"]
