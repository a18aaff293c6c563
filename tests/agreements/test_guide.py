"""The manager's guide: its ten clauses are entered from its own tables, as a manager would, and due when it says."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
from django.test import Client as Browser
from django.urls import reverse

from agreements import presets
from agreements.explanation import exactly
from agreements.models import Commitment, OpeningHours, ServiceAgreement, ServiceCalendar, SpecialDay, WarningPoint
from agreements.simulation import SimulatedDeadline, simulate
from agreements.terms import MomentKind, Plan, agreed_terms
from config import zones
from config.models import User
from tests import cast

GUIDE = (Path(__file__).resolve().parents[2] / "docs" / "clauses.md").read_text()
NOTHING = "–"


# ── reading the guide ───────────────────────────────────────────────────────────────────────────────────────────────


def rows_of(table: list[str]) -> list[list[str]]:
    """The cells of a table in Markdown, without the line below its head."""
    cells = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in table]
    return [row for number, row in enumerate(cells) if number != 1]


def table_after(text: str, head: str) -> list[list[str]]:
    lines = text[text.index(f"\n| {head} |") + 1 :].splitlines()
    return rows_of(list(takewhile(lambda line: line.startswith("|"), lines)))


@dataclass(frozen=True)
class Example:
    """One worked clause as the guide has it."""

    name: str
    calendar: str
    preset: str
    commitments: list[dict[str, str]]  # each by the labels of the page
    given: Mapping[str, str]  # what happened → when, as it is written
    due: list[list[str]]

    @classmethod
    def read(cls, text: str) -> Example:
        name = text.splitlines()[0]
        told = re.search(r"^Calendar: ([^.]+)\.(?: Preset: (.+)\.)?$", text, re.MULTILINE)
        assert told, name
        labels, *columns = zip(*table_after(text, "Field")[1:], strict=True)
        given = re.search(r"^\*\*If\*\* (.+):$", text, re.MULTILINE)
        assert given, name
        return cls(
            name=name,
            calendar=told[1],
            preset=told[2] or "",
            commitments=[dict(zip(labels, column, strict=True)) for column in columns],
            given=dict(re.findall(r"([^,` ][^,`]*) at `([^`]+)`", given[1])),
            due=table_after(text, "What is owed")[1:],
        )


EXAMPLES = [
    Example.read(text) for text in re.split(r"^### \d+\. ", GUIDE.split("\n## What cannot be said")[0], flags=re.M)[1:]
]


def instant(written: str, zone_name: str) -> dt.datetime:
    """`Sun 25 Oct 2026, 02:15 CET`; where clocks show a time twice, the one that is so called."""
    wall, _space, _name = written.rpartition(" ")
    read = dt.datetime.strptime(wall, "%a %d %b %Y, %H:%M").replace(tzinfo=zones.zone(zone_name))
    for fold in (0, 1):
        if exactly(found := read.replace(fold=fold).astimezone(dt.UTC), zone_name) == written:
            return found
    raise AssertionError(f"There is no {written} in {zone_name}.")


# ── what a manager does with it ─────────────────────────────────────────────────────────────────────────────────────

FIELDS = {str(field.verbose_name).capitalize(): field for field in Commitment._meta.concrete_fields}
AUDIENCES = {str(f.verbose_name): f.name for f in WarningPoint._meta.concrete_fields if f.name.startswith("has_")}
DAYS = {"every day": range(7), "Monday to Friday": range(5)}


def calendars() -> dict[str, list[str]]:
    return {name: rest for name, *rest in table_after(GUIDE, "Calendar")[1:]}


def make_calendar(name: str) -> ServiceCalendar:
    zone_name, opening, closed = calendars()[name]
    days, hours = opening.rsplit(" ", 1)
    opens, closes = (dt.time(int(hour) % 24, int(minute)) for hour, minute in (h.split(":") for h in hours.split("–")))
    calendar = ServiceCalendar.objects.create(name=name, time_zone=zone_name)
    for weekday in DAYS[days]:
        OpeningHours.objects.create(calendar=calendar, weekday=weekday, opens=opens, closes=closes)
    for day in re.findall(r"\d{4}-\d\d-\d\d", closed):
        SpecialDay.objects.create(calendar=calendar, on=dt.date.fromisoformat(day))
    return calendar


def typed(column: Mapping[str, str], agreement: ServiceAgreement) -> dict[str, Any]:
    """What the page sends when somebody fills in what the guide says and leaves the rest as it is."""
    sent: dict[str, Any] = {"agreement": agreement.pk, "follows": ""}
    sent |= {asked.name: asked.get_default() for asked in FIELDS.values() if asked.has_default() and asked.choices}
    sent["holding_percent"] = 90
    for label, said in column.items():
        if label == "Warning points" or said == NOTHING:
            continue
        asked = FIELDS[label]
        by_label = {str(shown): value for value, shown in asked.flatchoices}
        if asked.name == "follows":
            sent["follows"] = agreement.commitments.get(label=said).pk
        elif asked.get_internal_type() == "BooleanField":
            assert said == "yes", label
            sent[asked.name] = "on"
        else:
            sent[asked.name] = by_label[said] if by_label else said
    return sent | warning_points(column.get("Warning points", NOTHING))


def warning_points(said: str) -> dict[str, Any]:
    """`50 %: responders; 480 minutes: managers` as the rows of the page's table."""
    points = [] if said in ("usual", NOTHING) else said.split("; ")
    sent: dict[str, Any] = {"warning_points-TOTAL_FORMS": len(points), "warning_points-INITIAL_FORMS": 0}
    for number, point in enumerate(points):
        when, audience = point.split(": ")
        amount, unit = when.split(" ")
        sent[f"warning_points-{number}-{'percent' if unit == '%' else 'minutes_before'}"] = amount
        sent |= {f"warning_points-{number}-{AUDIENCES[who]}": "on" for who in audience.split(", ")}
    return sent


def entered(example: Example, by: User) -> ServiceAgreement:
    """The agreement, with the example's commitments entered on their page."""
    agreement = cast.agreement("X-1", cast.client("X", "UTC", "ops@x.example"), make_calendar(example.calendar))
    browser: Browser = cast.browser_of(by)
    for column in example.commitments:
        answer = browser.post(reverse("admin:agreements_commitment_add"), typed(column, agreement))
        assert answer.status_code == 302, answer.context["adminform"].form.errors
        assert answer["Location"] == reverse("admin:agreements_serviceagreement_change", args=[agreement.pk])
    return agreement


# ── what is due, as the guide would write it ────────────────────────────────────────────────────────────────────────


def lines(example: Example, agreement: ServiceAgreement) -> Iterator[list[str]]:
    """One row for each commitment in the order of the example, and for an update the next one."""
    zone_name = agreement.calendar.time_zone
    happened = {what: instant(written, zone_name) for what, written in example.given.items()}
    met = {
        agreement.commitments.get(label=what.partition("“")[2].partition("”")[0]).pk: at
        for what, at in happened.items()
        if what.endswith(" met")
    }
    events = {what: at for what, at in happened.items() if what in ("occurred", "aware", "classified", "resolved")}
    pauses = [(happened["paused"], happened["resumed"])] if "paused" in happened else []
    first_severity = ""
    for commitment in agreement.commitments.order_by("pk"):
        first_severity = first_severity or commitment.severity
        found = simulate(
            agreement, severity=commitment.severity, detected_at=happened["detected"], events=events, met=met
        )
        [deadline] = (deadline for deadline in found.deadlines if deadline.commitment == commitment)
        assert deadline.started_at is not None
        plan = deadline.terms.plan(deadline.started_at, pauses=pauses) if pauses else deadline.plan
        is_first = commitment.severity == first_severity
        name = deadline.name if is_first else f"{commitment.get_severity_display()}: {deadline.name}"
        yield [name, *line(deadline, deadline.started_at, plan, zone_name)]
        if commitment.is_recurring and is_first and "updated" in happened:
            plan = deadline.terms.plan(happened["updated"])
            yield [f"{name}, the next", *line(deadline, happened["updated"], plan, zone_name)]


def line(deadline: SimulatedDeadline, started_at: dt.datetime, plan: Plan, zone_name: str) -> Iterator[str]:
    def at(moment: dt.datetime) -> str:
        return exactly(moment, zone_name)

    measures = {
        warning.key: f"{warning.percent} %" if warning.percent else f"{warning.minutes_before} minutes"
        for warning in deadline.terms.warnings
    }
    yield at(started_at)
    warnings = [moment for moment in plan.moments if moment.kind == MomentKind.WARNING]
    yield "<br>".join(f"{measures[moment.key]}: {at(moment.at)}" for moment in warnings) or NOTHING
    holding = [moment for moment in plan.moments if moment.kind == MomentKind.HOLDING]
    yield at(holding[0].at) if holding else NOTHING
    if plan.due_at is not None:
        yield at(plan.due_at)
    else:
        yield "no due time" + (f"; our target {at(plan.target_at)}" if plan.target_at else "")


# ── the tests ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_there_are_ten() -> None:
    assert len(EXAMPLES) == 10


@pytest.mark.django_db
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name.split(":")[0])
def test_a_clause_is_entered_as_the_guide_says_and_is_due_when_it_says(example: Example, max_: User) -> None:
    agreement = entered(example, max_)
    assert list(lines(example, agreement)) == example.due
    if example.preset:
        assert_it_is_the_preset(example, agreement)


def assert_it_is_the_preset(example: Example, by_hand: ServiceAgreement) -> None:
    """Each of the example's commitments is one that the preset makes; a law's preset makes no other."""
    [preset] = (preset for preset in presets.PRESETS.values() if str(preset.name) == example.preset)
    ready = cast.agreement("X-2", by_hand.client, by_hand.calendar)
    hours = int(example.commitments[0]["Allowance"]) if preset.asks_hours else None
    made = [said(commitment) for commitment in presets.apply_preset(ready, preset.key, hours=hours)]
    for commitment in by_hand.commitments.all():
        assert said(commitment) in made
    if preset.basis == presets.Basis.LAW:
        assert by_hand.commitments.count() == len(made)


def said(commitment: Commitment) -> tuple[str, ...]:
    """All that a commitment says, in what it is counted by and in what people read."""
    words = (commitment.severity, commitment.obligation, commitment.label, commitment.clause_number)
    return (*words, commitment.start_event, agreed_terms(commitment).digest())
