"""What the twenty clients of the day were promised, as plain values, and when each of it is due, counted here alone."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple
from zoneinfo import ZoneInfo

from tests.journeys.owed import Pauses

Piece = tuple[dt.datetime, dt.datetime]


@dataclass(frozen=True)
class Clause:
    """One commitment of an agreement. Without an amount it is a duty without a number."""

    obligation: str
    amount: int | None
    unit: str = "hours"
    start: str = "detected"
    is_pausable: bool = False
    is_recurring: bool = False
    sends_holding_notice: bool = False


@dataclass(frozen=True)
class Contract:
    """Clauses by severity, and whether they are counted in office hours (nine to five, Monday to Friday)."""

    by_severity: dict[str, tuple[Clause, ...]]
    is_office: bool = False


_ROUND = (
    Clause("acknowledge", 30, "minutes"),
    Clause("notify", 4, sends_holding_notice=True),
    Clause("update", 60, "minutes", is_recurring=True),
    Clause("mitigate", 6),
    Clause("resolve", 12, is_pausable=True),
    Clause("report", 5, "business_days", start="resolved"),
)
_LESS = (Clause("acknowledge", 8), Clause("resolve", 72))

CONTRACTS = {
    "round the clock": Contract({"critical": _ROUND, "high": _ROUND[:2], "medium": _LESS}),
    "office": Contract(
        {
            "critical": (
                Clause("acknowledge", 60, "business_minutes"),
                Clause("notify", 4, "business_hours", sends_holding_notice=True),
                Clause("resolve", 16, "business_hours", is_pausable=True),
                Clause("report", 3, "business_days", start="resolved"),
            ),
            "high": (
                Clause("notify", 8, "business_hours"),
                Clause("resolve", 40, "business_hours", is_pausable=True),
            ),
            "medium": _LESS,
        },
        is_office=True,
    ),
    "quick": Contract(
        {
            "critical": (
                Clause("acknowledge", 15, "minutes", start="aware"),
                Clause("notify", 1, start="aware", sends_holding_notice=True),
                Clause("update", 2, "minutes", is_recurring=True),
                Clause("resolve", None),
            ),
            "high": (Clause("notify", 2, start="aware", sends_holding_notice=True), Clause("resolve", None)),
            "medium": _LESS,
        }
    ),
    "from the beginning": Contract(
        {
            "critical": (
                Clause("acknowledge", 2),
                Clause("notify", 24, start="occurred"),
                Clause("resolve", 8),
                Clause("report", 10, "business_days", start="resolved"),
            ),
            "high": (Clause("notify", 6, sends_holding_notice=True), Clause("resolve", 24, is_pausable=True)),
            "medium": _LESS,
        }
    ),
}
KINDS = tuple(CONTRACTS)
ZONES = ("Europe/Berlin", "America/New_York", "UTC", "Asia/Tokyo", "Australia/Sydney")


class Plan(NamedTuple):
    due_at: dt.datetime | None
    at_risk_at: None = None


@dataclass(frozen=True)
class Counted:
    """The terms of a clause as they are counted by hand: by a list of the times at which a calendar is open."""

    clause: Clause
    zone: str
    is_office: bool

    @property
    def is_pausable(self) -> bool:
        return self.clause.is_pausable

    @property
    def is_recurring(self) -> bool:
        return self.clause.is_recurring

    def plan(self, started_at: dt.datetime, *, pauses: Pauses = ()) -> Plan:
        clause = self.clause
        if clause.amount is None:
            return Plan(None)
        if clause.unit == "business_days":
            return Plan(self._close_of_day(started_at, clause.amount))
        unit = clause.unit.removeprefix("business_")
        left = dt.timedelta(**{unit: clause.amount})
        for begins_at, ends_at in _without(pauses, self._counting(started_at)):
            if ends_at - begins_at >= left:
                return Plan(begins_at + left)
            left -= ends_at - begins_at
        raise AssertionError("it is due some day")

    def _counting(self, since: dt.datetime) -> Iterator[Piece]:
        if not self.clause.unit.startswith("business"):
            yield since, since + dt.timedelta(days=400)
            return
        for _day, opens_at, closes_at in self._openings(since):
            if closes_at > since:
                yield max(opens_at, since), closes_at

    def _close_of_day(self, since: dt.datetime, count: int) -> dt.datetime:
        first = since.astimezone(self._calendar_zone).date()
        later = [closes_at for day, _opens_at, closes_at in self._openings(since) if day > first]
        return later[count - 1]

    def _openings(self, since: dt.datetime) -> Iterator[tuple[dt.date, dt.datetime, dt.datetime]]:
        first = since.astimezone(self._calendar_zone).date()
        for day in (first + dt.timedelta(days=number) for number in range(40)):
            if self.is_office and day.weekday() < 5:
                yield day, self._at(day, 9), self._at(day, 17)
            elif not self.is_office:
                yield day, self._at(day, 0), self._at(day + dt.timedelta(days=1), 0)

    def _at(self, day: dt.date, hour: int) -> dt.datetime:
        return dt.datetime.combine(day, dt.time(hour), self._calendar_zone).astimezone(dt.UTC)

    @cached_property
    def _calendar_zone(self) -> ZoneInfo:
        return ZoneInfo(self.zone if self.is_office else "UTC")


def _without(pauses: Pauses, counting: Iterator[Piece]) -> Iterator[Piece]:
    """What is left of the counting time if that of these pauses is cut out."""
    for begins_at, ends_at in counting:
        for pause_begins_at, pause_ends_at in sorted(pauses):
            if pause_ends_at <= begins_at or pause_begins_at >= ends_at:
                continue
            if pause_begins_at > begins_at:
                yield begins_at, pause_begins_at
            begins_at = max(begins_at, min(pause_ends_at, ends_at))
        if begins_at < ends_at:
            yield begins_at, ends_at
