"""What is owed, worked out a second time from the facts alone.

`derived` reads one duty and all that is known of an incident so far, and knows nothing of incidents/deadlines.py or of
what was stored. Who asks brings the terms: those of the product, or others that count by themselves.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, Protocol

from agreements.models import Obligation, Severity

Pauses = tuple[tuple[dt.datetime, dt.datetime], ...]


class What(Enum):
    """What became known of an incident."""

    CLASSIFIED = "declared or reclassified"
    OCCURRED = "when it happened"
    DETECTED = "the time of detection, perhaps corrected"
    AWARE = "when we knew of it"
    ACKNOWLEDGED = "acknowledged"
    MITIGATED = "the effect has ended"
    RESOLVED = "resolved"
    MERGED = "it is part of another, which owes the same"
    REOPENED = "reopened"
    TOLD = "a client was told"
    PAUSED = "the clock was stopped where a clause allows it"
    RESUMED = "the clock runs again"


@dataclass(frozen=True)
class Fact:
    what: What
    at: dt.datetime
    severity: Severity | None = None
    obligation: Obligation | None = None
    client_id: int | None = None
    asked_at: dt.datetime | None = None  # of a mail: when it was written, if that may be before what is owed began


class Due(Protocol):
    @property
    def due_at(self) -> dt.datetime | None: ...
    @property
    def at_risk_at(self) -> dt.datetime | None: ...


class Terms(Protocol):
    """How one duty is counted."""

    @property
    def is_pausable(self) -> bool: ...
    @property
    def is_recurring(self) -> bool: ...
    def plan(self, started_at: dt.datetime, *, pauses: Pauses = ()) -> Due: ...


class Reading(NamedTuple):
    """What a deadline says at the moment. Everything else about it follows from this."""

    started_at: dt.datetime | None
    due_at: dt.datetime | None
    at_risk_at: dt.datetime | None
    met_at: dt.datetime | None
    ended_at: dt.datetime | None
    paused_at: dt.datetime | None

    @property
    def is_open(self) -> bool:
        return self.met_at is None and self.ended_at is None


@dataclass
class Cycle:
    """One time that a commitment is owed."""

    begins_at: dt.datetime | None = None
    met_at: dt.datetime | None = None
    ended_at: dt.datetime | None = None

    @property
    def is_open(self) -> bool:
        return self.met_at is None and self.ended_at is None


#: What these steps fulfil by themselves.
FULFILS: Mapping[What, frozenset[str]] = {
    What.ACKNOWLEDGED: frozenset({Obligation.ACKNOWLEDGE}),
    What.MITIGATED: frozenset({Obligation.ACKNOWLEDGE, Obligation.MITIGATE}),
    What.RESOLVED: frozenset({Obligation.ACKNOWLEDGE, Obligation.MITIGATE, Obligation.RESOLVE}),
}
ENDS = frozenset({What.CLASSIFIED, What.MERGED})
OWED_AGAIN_AFTER_REOPENING = frozenset({Obligation.MITIGATE, Obligation.RESOLVE, Obligation.UPDATE})


@dataclass(frozen=True, eq=False)
class Duty:
    """One commitment of an agreement, read once: nothing of it changes meanwhile."""

    commitment_id: int
    client_id: int
    severity: str
    obligation: str
    start_event: str
    terms: Terms


def derived(duty: Duty, facts: Sequence[Fact]) -> dict[int, Reading]:
    """Every deadline that is owed by this duty after these facts, by cycle."""
    cycles: list[Cycle] = []
    for number, fact in enumerate(facts):
        _continue(cycles, duty, fact, facts[:number])
    return {number: _reading(cycle, duty, facts) for number, cycle in enumerate(cycles, start=1)}


def _continue(cycles: list[Cycle], duty: Duty, fact: Fact, before: Sequence[Fact]) -> None:
    last = cycles[-1] if cycles else None
    obligation = duty.obligation
    if fact.what is What.CLASSIFIED and fact.severity == duty.severity:
        if last is None or last.ended_at is not None:
            done_at = _acknowledged_at(before) if obligation == Obligation.ACKNOWLEDGE else None
            cycles.append(Cycle(begins_at=_begins_anew_at(duty, before), met_at=done_at))
    elif fact.what is What.REOPENED:
        _keep_what_is_settled(cycles, duty, fact, before)
        if last is None or last.is_open or not _is_owed_again(duty, before):
            return
        if duty.terms.is_pausable and last.met_at is not None:
            last.met_at = None  # it goes on; the time in between is a pause
        else:
            cycles.append(Cycle(begins_at=fact.at))
    elif last is None or not last.is_open:
        return
    elif fact.what in ENDS or (fact.what is What.RESOLVED and obligation == Obligation.UPDATE):
        last.ended_at = fact.at
    elif obligation in FULFILS.get(fact.what, ()):
        last.met_at = fact.at
    elif fact.what is What.TOLD and (fact.obligation, fact.client_id) == (obligation, duty.client_id):
        if fact.asked_at and last.begins_at and last.begins_at > fact.asked_at:
            return  # it was written for the one before
        last.met_at = fact.at
        if duty.terms.is_recurring:
            cycles.append(Cycle(begins_at=fact.at))


def _begins_anew_at(duty: Duty, facts: Sequence[Fact]) -> dt.datetime | None:
    """Owed because of a new severity: updates go on from the last one, work from the last reopening."""
    if duty.obligation not in OWED_AGAIN_AFTER_REOPENING or duty.terms.is_pausable:
        return None
    reopened = [fact.at for fact in facts if fact.what is What.REOPENED]
    updated = [fact.at for fact in facts if (fact.obligation, fact.client_id) == (Obligation.UPDATE, duty.client_id)]
    return max(reopened + (updated if duty.terms.is_recurring else []), default=None)


def _keep_what_is_settled(cycles: Sequence[Cycle], duty: Duty, reopened: Fact, before: Sequence[Fact]) -> None:
    """What was done after the resolution that is now withdrawn, or was overdue by then, keeps its start."""
    if duty.start_event != "resolved":
        return
    for cycle in cycles:
        was = _reading(cycle, duty, before)
        if not cycle.is_open or (was.due_at is not None and was.due_at < reopened.at):
            cycle.begins_at = was.started_at


def _is_owed_again(duty: Duty, before: Sequence[Fact]) -> bool:
    severity = next(fact.severity for fact in reversed(before) if fact.what is What.CLASSIFIED)
    return severity == duty.severity and duty.obligation in OWED_AGAIN_AFTER_REOPENING


def _acknowledged_at(facts: Sequence[Fact]) -> dt.datetime | None:
    return next((fact.at for fact in facts if Obligation.ACKNOWLEDGE in FULFILS.get(fact.what, ())), None)


#: Start events of which the latest word holds.
FIRST_KNOWN = {"occurred": What.OCCURRED, "detected": What.DETECTED, "aware": What.AWARE}


def _start_event_at(duty: Duty, facts: Sequence[Fact]) -> dt.datetime | None:
    """When the commitment's clock started, as far as is known."""
    if duty.start_event in FIRST_KNOWN:
        what = FIRST_KNOWN[duty.start_event]
        return next((fact.at for fact in reversed(facts) if fact.what is what), None)
    assert duty.start_event == "resolved"
    latest = next((fact for fact in reversed(facts) if fact.what in (What.RESOLVED, What.REOPENED)), None)
    return latest.at if latest and latest.what is What.RESOLVED else None


def _stops(facts: Sequence[Fact]) -> tuple[Pauses, dt.datetime | None]:
    """The times in which a clock that may stop stood still, and since when it does now: a resolution ends a pause."""
    done: list[tuple[dt.datetime, dt.datetime]] = []
    paused_at = resolved_at = None
    for fact in facts:
        if fact.what is What.PAUSED:
            paused_at = fact.at
        elif paused_at and fact.what in (What.RESUMED, What.RESOLVED):
            done.append((paused_at, fact.at))
            paused_at = None
        if fact.what is What.RESOLVED:
            resolved_at = fact.at
        elif fact.what is What.REOPENED:
            assert resolved_at is not None
            done.append((resolved_at, fact.at))
    return tuple(done), paused_at


def _reading(cycle: Cycle, duty: Duty, facts: Sequence[Fact]) -> Reading:
    started_at = cycle.begins_at or _start_event_at(duty, facts)
    stops, paused_at = _stops(facts) if duty.terms.is_pausable else ((), None)
    plan = _plan(duty, started_at, stops) if started_at else None
    stands_since = max(paused_at, started_at) if paused_at and started_at and cycle.is_open else None
    due_at, at_risk_at = (plan.due_at, plan.at_risk_at) if plan else (None, None)
    return Reading(started_at, due_at, at_risk_at, cycle.met_at, cycle.ended_at, stands_since)


@functools.cache
def _plan(duty: Duty, started_at: dt.datetime, stops: Pauses) -> Due:
    return duty.terms.plan(started_at, pauses=stops)
