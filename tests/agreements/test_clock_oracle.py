"""The contract clock against answers that two independent implementations, and other projects, agree on."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from agreements import clock
from tests.agreements.oracle_engine import Engine, engine

Case = dict[str, Any]
Answer = Callable[[Case], object]

DATA = Path(__file__).parent / "data"
CALENDARS = json.loads((DATA / "calendars.json").read_text())
VECTOR_OPERATIONS = (
    "add",
    "add_paused",
    "elapsed",
    "business_days_close",
    "business_days_eod",
    "calendar_days_eod",
    "months_eod",
    "months_eod_next_business",
)


def lines(name: str) -> list[Case]:
    return [json.loads(line) for line in (DATA / name).read_text().splitlines()]


VECTORS = {name: lines(name) for name in ("vectors.jsonl", "vectors_tzdata.jsonl")}
PEER_CASES = [case for case in lines("peer_cases.jsonl") if case["same_as_our_convention"]]
SCENARIOS = json.loads((DATA / "scenarios.json").read_text())


def instant(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).astimezone(dt.UTC)


def wall(text: str, zone: str) -> dt.datetime:
    """A wall time of the zone as an instant; one that says Z is an instant already."""
    at = dt.datetime.fromisoformat(text)
    return (at if at.tzinfo else at.replace(tzinfo=ZoneInfo(zone))).astimezone(dt.UTC)


def pauses(case: Case, zone: str) -> clock.Pauses:
    spans = case["pauses"] if "pauses" in case else case["pauses_local"]
    return [(wall(begin, zone), wall(end, zone)) for begin, end in spans]


def mismatches(cases: list[Case], answer: Answer, expected: Answer) -> str:
    """The first few wrong answers, as lines; empty if all are right."""
    wrong = [(case, got) for case in cases if (got := answer(case)) != expected(case)]
    shown = [f"{case['id']}: expected {expected(case)}, got {got}" for case, got in wrong[:5]]
    return "\n".join([f"{len(wrong)} of {len(cases)} differ:", *shown]) if wrong else ""


def vector_answer(case: Case) -> object:
    subject, start = engine(CALENDARS[case["cal"]]), instant(case["start"])
    match case["op"]:
        case "add":
            return subject.add(start, case["minutes"] * 60)
        case "add_paused":
            return subject.add(start, case["minutes"] * 60, pauses(case, "UTC"))
        case "elapsed":
            return subject.elapsed(start, instant(case["end"]))
        case operation:
            return getattr(subject, operation)(start, case["n"])


def vector_expected(case: Case) -> object:
    return case["expected"] if case["op"] == "elapsed" else instant(case["expected"])


@pytest.mark.parametrize("operation", VECTOR_OPERATIONS)
def test_every_vector_of_an_operation_is_answered_as_the_oracle_does(operation: str) -> None:
    cases = [case for case in VECTORS["vectors.jsonl"] if case["op"] == operation]
    assert len(cases) > 100
    assert not mismatches(cases, vector_answer, vector_expected)


@pytest.mark.parametrize("operation", sorted({case["op"] for case in VECTORS["vectors_tzdata.jsonl"]}))
def test_zones_whose_rules_have_changed_are_counted_by_the_shipped_rules(operation: str) -> None:
    cases = [case for case in VECTORS["vectors_tzdata.jsonl"] if case["op"] == operation]
    assert cases
    assert not mismatches(cases, vector_answer, vector_expected)


def scenario_answer(case: Case) -> object:
    subject, start = engine(case["cal"]), instant(case["start"])
    if case["op"] in {"add", "add_paused"}:
        return subject.add(start, case["arg"] * 60, pauses(case, case["cal"]["tz"]))
    return getattr(subject, case["op"])(start, case["arg"])


@pytest.mark.parametrize("case", [pytest.param(case, id=case["title"]) for case in SCENARIOS])
def test_the_scenario_ends_when_its_contract_says(case: Case) -> None:
    assert scenario_answer(case) == instant(case["expected"]), case["why"]


def peer_answer(case: Case) -> object:
    """The answer of one fact from another project's tests, in the shape in which `peer_expected` gives it."""
    subject, zone = engine(case["cal"]), case["cal"]["tz"]
    if case["op"] == "resolve":
        return resolved(subject, case)
    start = wall(case["start_local"], zone)
    soon = start + dt.timedelta(days=400)
    match case["op"]:
        case "add":
            return subject.add(start, case["seconds"])
        case "add_paused":
            return subject.add(start, case["seconds"], pauses(case, zone))
        case "elapsed":
            return subject.elapsed(start, wall(case["end_local"], zone))
        case "business_days_close":
            return subject.business_days_close(start, case["n"])
        case "business_day_date":
            end = subject.business_days_eod(start, case["n"]) - dt.timedelta(seconds=1)
            return end.astimezone(ZoneInfo(zone)).date()
        case "is_open":
            return clock.is_open(subject.calendar, start)
        case "next_open":
            return clock.openings(subject.calendar, start, soon)[0][0]
        case "periods":
            return clock.openings(subject.calendar, start, soon)[: len(case["expected"])]
        case operation:
            raise AssertionError(operation)


def resolved(subject: Engine, case: Case) -> dt.datetime:
    """The instant of a wall time at which one of the calendar's openings begins or ends."""
    zone = ZoneInfo(case["cal"]["tz"])
    day = dt.date.fromisoformat(case["start_local"].split()[0])
    noon = dt.datetime.combine(day, dt.time(12), zone)
    spans = clock.openings(subject.calendar, noon - dt.timedelta(hours=14), noon + dt.timedelta(hours=14))
    opens, closes = next(span for span in spans if span[0].astimezone(zone).date() == day)
    return closes if case["start_local"].endswith("24:00") else opens


def peer_expected(case: Case) -> object:
    zone = case["cal"]["tz"]
    match case["op"]:
        case "elapsed":
            return case["expected_seconds"]
        case "is_open":
            return case["expected"]
        case "business_day_date":
            return dt.date.fromisoformat(case["expected"])
        case "periods":
            return [(wall(a, zone), wall(b, zone)) for a, b in case["expected"]]
        case _:
            return wall(case["expected"], zone)


@pytest.mark.parametrize("operation", sorted({case["op"] for case in PEER_CASES}))
def test_facts_that_other_projects_agree_on_hold_here_too(operation: str) -> None:
    cases = [case for case in PEER_CASES if case["op"] == operation]
    assert cases
    assert not mismatches(cases, peer_answer, peer_expected)
