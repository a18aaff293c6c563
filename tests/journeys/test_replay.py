"""890 real incidents of 2016, replayed through the verbs: after every event the stored deadlines must be right.

What is right is worked out a second time, from the facts alone (tests/journeys/owed.py).
"""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from agreements import presets
from agreements.models import Client, Commitment, Obligation, ServiceAgreement, Severity, SpecialDay
from agreements.terms import agreed_terms
from config.models import User
from incidents import lifecycle
from incidents.lifecycle import Refused
from incidents.models import Deadline, Incident, Pause, ReferenceCounter, Standing
from incidents.models.incident import Status
from tests import cast
from tests.journeys.owed import Duty, Fact, Reading, What, derived

RECORDED = Path(__file__).resolve().parents[3] / "shared" / "data" / "servicenow_incidents_2016.jsonl"

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(
        not RECORDED.exists(),
        reason=f"The recorded incidents are not on this machine, so none is replayed: {RECORDED} is missing.",
    ),
]

BEFORE_ALL = dt.datetime(2016, 1, 1, tzinfo=dt.UTC)
AFTER_ALL = dt.datetime(2017, 3, 1, tzinfo=dt.UTC)
SOON = dt.timedelta(minutes=10)

AS_RECORDED = {"1": Severity.CRITICAL, "2": Severity.HIGH, "3": Severity.MEDIUM, "4": Severity.LOW}
#: Nine of ten are of priority 3. Read as critical, they start the duties that a quiet year leaves untouched.
AS_IF_URGENT = {"3": Severity.CRITICAL, "4": Severity.HIGH, "2": Severity.MEDIUM, "1": Severity.LOW}


# ── the replay ──────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Step:
    """What was recorded of an incident at one moment."""

    at: dt.datetime
    state: str
    severity: Severity


@dataclass
class Replayed:
    """One recorded incident on its way through the verbs, and the facts that it has left behind.

    A few habits of operators, spread over the incidents by their number, fill in what was not recorded: some tell
    the client early and some late, some type things in afterwards, some correct the time of detection.
    """

    number: int
    opened_at: dt.datetime
    declared_at: dt.datetime
    steps: list[Step]
    by: User
    incident: Incident = field(init=False)
    facts: list[Fact] = field(default_factory=list)
    is_paused: bool = False
    now: dt.datetime = BEFORE_ALL

    # ── what happens ────────────────────────────────────────────────────────────────────────────────────────────────

    def declare(self) -> None:
        self.now = self.declared_at
        detected_at = self.declared_at if self.corrects_detection else self.opened_at
        self.incident = lifecycle.declare(
            by=self.by,
            now=self.now,
            title=f"Recorded incident {self.number}",
            severity=self.steps[0].severity,
            services=[cast.service("Payments" if self.number % 4 == 0 else "Object storage")],
            detected_at=detected_at,
        )
        self._learn(What.DETECTED, detected_at)
        self._learn(What.CLASSIFIED, self.now, severity=self.steps[0].severity)

    def take(self, step: Step) -> None:
        """Bring the incident to what was recorded next."""
        self._correct_detection(step.at)
        before, self.now = self.now, step.at
        status = self.incident.status
        if status in (Status.RESOLVED, Status.CLOSED) and step.state not in ("Resolved", "Closed"):
            self._reopen()
        if step.severity != self.incident.severity:
            self._reclassify(step.severity)
        self._stop_or_go_on(step.state)
        if step.state == "Active":
            self._work(since=before)
        elif step.state == "Resolved" and self.incident.is_open:
            self._resolve(since=before)
        elif step.state == "Closed" and status != Status.CLOSED:
            self._close()

    # ── the verbs, with what becomes known by each ──────────────────────────────────────────────────────────────────

    @property
    def corrects_detection(self) -> bool:
        return self.number % 7 == 0 and self.opened_at < self.declared_at < self.steps[-1].at

    def _correct_detection(self, now: dt.datetime) -> None:
        if not (self.corrects_detection and self.now == self.declared_at < now):
            return
        reason = "The monitoring had seen it earlier."
        self.incident = lifecycle.correct_times(
            self.incident, by=self.by, now=now, detected_at=self.opened_at, reason=reason
        )
        self._learn(What.DETECTED, self.opened_at)

    def _work(self, since: dt.datetime) -> None:
        """Somebody works on it: it is acknowledged, and the more talkative half keeps the clients informed."""
        if self.incident.status == Status.DECLARED:
            at = self._typed_in_later(since)
            self.incident = lifecycle.acknowledge(self.incident, by=self.by, now=self.now, at=at)
            self._learn(What.ACKNOWLEDGED, at)
        if self.number % 3 == 0:
            self._tell(Obligation.NOTIFY)
        if self.number % 2 == 0:
            self._tell(Obligation.UPDATE)

    def _reclassify(self, severity: Severity) -> None:
        self.incident = lifecycle.reclassify(
            self.incident, severity, by=self.by, now=self.now, reason="Looked at it again."
        )
        self._learn(What.CLASSIFIED, self.now, severity=severity)

    def _stop_or_go_on(self, state: str) -> None:
        """While the record says that something is awaited, the clock stands still where a clause allows it."""
        awaits = state.startswith("Awaiting")
        if awaits and not self.is_paused and self.incident.is_open:
            lifecycle.pause(self.incident, by=self.by, now=self.now, reason=state)
            self._learn(What.PAUSED, self.now)
        elif self.is_paused and not awaits and state != "Resolved":  # resolving ends the pause by itself
            lifecycle.resume(self.incident, by=self.by, now=self.now, reason="It is here.")
            self._learn(What.RESUMED, self.now)
        self.is_paused = awaits and self.incident.is_open

    def _resolve(self, since: dt.datetime) -> None:
        if self.number % 3 == 1:
            self._tell(Obligation.NOTIFY)
        at = self._typed_in_later(since)
        self.incident = lifecycle.resolve(self.incident, by=self.by, now=self.now, at=at)
        self._learn(What.RESOLVED, at)

    def _reopen(self) -> None:
        self.incident = lifecycle.reopen(
            self.incident, by=self.by, now=self.now, reason="The client says that it is back."
        )
        self._learn(What.REOPENED, self.now)

    def _close(self) -> None:
        """Closing is refused while a client waits for its notice: then it is told, at the last moment."""
        if self._waiting(Obligation.NOTIFY):
            with pytest.raises(Refused, match="Not yet notified"):
                lifecycle.close(self.incident, by=self.by, now=self.now)
            assert Incident.objects.get(pk=self.incident.pk).status == Status.RESOLVED
            self._tell(Obligation.NOTIFY)
        self.incident = lifecycle.close(self.incident, by=self.by, now=self.now)
        if self.number % 5 < 3:
            self._tell(Obligation.REPORT)

    def _tell(self, obligation: Obligation) -> None:
        for client in self._waiting(obligation):
            lifecycle.record_told(
                self.incident, client, obligation, by=self.by, now=self.now, evidence="Called the duty desk."
            )
            self._learn(What.TOLD, self.now, obligation=obligation, client_id=client.pk)

    def _waiting(self, obligation: Obligation) -> list[Client]:
        """The clients that are owed this now and whose clock for it has started."""
        owed = self.incident.deadlines.open().filter(obligation=obligation, started_at__lte=self.now)
        return list(Client.objects.filter(deadlines__in=owed).distinct().order_by("pk"))

    def _typed_in_later(self, since: dt.datetime) -> dt.datetime:
        """When the step happened: for some some minutes before it was typed, never before what came first."""
        return max(since, self.now - SOON) if self.number % 5 == 0 else self.now

    def _learn(self, what: What, at: dt.datetime, **more: Any) -> None:
        self.facts.append(Fact(what, at, **more))


def recorded(severity_of: Mapping[str, Severity], by: User) -> Iterator[Replayed]:
    for line in RECORDED.read_text().splitlines():
        row = json.loads(line)
        opened_at = _instant(row["opened_at"])
        steps = [Step(_instant(at), state, severity_of[priority]) for at, state, priority, *_rest in row["events"]]
        # Some were opened after the first thing that was recorded of them; nothing is declared before it was opened.
        declared_at = max(opened_at, _instant(row["created_at"]) if row["created_at"] else steps[0].at)
        yield Replayed(int(row["number"][3:]), opened_at, declared_at, steps, by)


def _instant(local: str) -> dt.datetime:
    return dt.datetime.fromisoformat(local).replace(tzinfo=dt.UTC)


def in_order_of_time(incidents: Sequence[Replayed]) -> list[tuple[Replayed, Step | None]]:
    """All steps of all incidents as they happened; None is the declaration. Ties keep the order of the record."""
    moments: list[tuple[dt.datetime, int, int, Replayed, Step | None]] = []
    for place, incident in enumerate(incidents):
        at = incident.declared_at
        moments.append((at, place, 0, incident, None))
        for number, step in enumerate(incident.steps, start=1):
            at = max(at, step.at)
            moments.append((at, place, number, incident, Step(at, step.state, step.severity)))
    moments.sort(key=lambda moment: moment[:3])
    return [(incident, step) for *_key, incident, step in moments]


# ── the agreements ──────────────────────────────────────────────────────────────────────────────────────────────────


def agreements() -> list[ServiceAgreement]:
    """One counted round the clock, one in New York's office hours with two closures of that year.

    The second lets the clock of resolution stop.
    """
    office = cast.office_hours("New York office", "America/New_York")
    for month, day in ((5, 30), (7, 4)):
        SpecialDay.objects.create(calendar=office, on=dt.date(2016, month, day), name="Holiday")
    critical = cast.agreement(
        "NW-2016-01",
        cast.client("Northwind", "Europe/Berlin", "ops@northwind.example"),
        cast.always_open(time_zone="Europe/Berlin"),
        cast.service("Object storage"),
    )
    hours = cast.agreement(
        "CT-2016-01",
        cast.client("Contoso", "America/New_York", "it@contoso.example"),
        office,
        cast.service("Object storage"),
        cast.service("Payments"),
    )
    for agreement, preset in ((critical, "critical_support_24x7"), (hours, "office_hours_support")):
        agreement.effective_at = BEFORE_ALL
        cast.save(agreement)
        presets.apply_preset(agreement, preset)
    for resolve in hours.commitments.filter(obligation=Obligation.RESOLVE):
        resolve.is_pausable = True
        cast.save(resolve)
    return [critical, hours]


def duties(made: Sequence[ServiceAgreement]) -> dict[bool, list[Duty]]:
    """What can be owed, by whether only the second agreement covers the affected service."""
    found = Commitment.objects.select_related("agreement__calendar").prefetch_related("warning_points")
    everything, second = found.filter(agreement__in=made), found.filter(agreement=made[1])
    return {False: [_read(c) for c in everything], True: [_read(c) for c in second]}


def _read(commitment: Commitment) -> Duty:
    return Duty(
        commitment.pk,
        commitment.agreement.client_id,
        commitment.severity,
        commitment.obligation,
        commitment.start_event,
        agreed_terms(commitment),
    )


# ── the test ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("severity_of", "one_in"),
    [pytest.param(AS_RECORDED, 1, id="as-recorded"), pytest.param(AS_IF_URGENT, 12, id="as-if-urgent")],
)
def test_after_every_event_of_a_real_year_the_stored_deadlines_equal_those_derived_from_the_facts(
    olga: User, severity_of: Mapping[str, Severity], one_in: int
) -> None:
    owed = duties(agreements())
    incidents = list(recorded(severity_of, olga))[::one_in]
    for replayed, step in in_order_of_time(incidents):
        if step is None:
            replayed.declare()
        else:
            replayed.take(step)
        check(replayed, owed[replayed.number % 4 == 0])
    check_references(incidents)
    check_outcomes(incidents)
    check_standing()


def check(replayed: Replayed, owed: Sequence[Duty]) -> None:
    rows = list(replayed.incident.deadlines.values_list("commitment", "cycle", "next_action_at", *Reading._fields))
    stored = {(commitment, cycle): Reading(*read) for commitment, cycle, _next, *read in rows}
    right = {(d.commitment_id, cycle): reading for d in owed for cycle, reading in derived(d, replayed.facts).items()}
    assert stored == right, f"recorded incident {replayed.number} at {replayed.now} after {replayed.facts[-1]}"
    # No planner runs here, so all that is open and has an end must be about to wake somebody, at its end at the latest.
    # What stands still wakes nobody.
    for commitment, cycle, wakes_at, *_read in rows:
        reading = stored[commitment, cycle]
        due_at = reading.due_at if reading.is_open and reading.paused_at is None else None
        assert wakes_at == due_at is None or (wakes_at and due_at and wakes_at <= due_at)


def check_references(incidents: Sequence[Replayed]) -> None:
    """Numbered through without a gap, year by year, in the order of declaration."""
    given: defaultdict[int, list[str]] = defaultdict(list)
    for incident in Incident.objects.order_by("declared_at", "pk"):
        given[incident.declared_at.year].append(incident.reference)
    for year, references in given.items():
        assert references == [f"INC-{year}-{number:04d}" for number in range(1, len(references) + 1)]
        assert ReferenceCounter.objects.get(year=year).last == len(references)
    assert sum(map(len, given.values())) == len(incidents)


def check_outcomes(incidents: Sequence[Replayed]) -> None:
    """All are closed, so nothing is left but a report that nobody has handed over, and no miss is explained away."""
    assert set(Incident.objects.values_list("status", flat=True)) == {Status.CLOSED}
    assert Pause.objects.filter(why__startswith="Awaiting").exists()
    assert not Pause.objects.filter(ends_at=None).exists()
    for row in Deadline.objects.select_related("incident"):
        if row.is_open:
            assert row.obligation == Obligation.REPORT
        elif row.met_at is not None:
            assert (row.ended_at, row.end_reason) == (None, "")
            assert row.started_at is not None
            assert row.started_at <= row.met_at
        else:
            assert row.end_reason == "Resolved." or row.end_reason.startswith("Reclassified from ")
        if row.due_at is not None:
            assert row.started_at is not None
            assert row.at_risk_at is not None
            assert row.started_at <= row.at_risk_at <= row.due_at


def check_standing() -> None:
    """Python and the database agree on every deadline, at any instant and at the edges of some."""
    edges = Deadline.objects.filter(due_at__isnull=False).order_by("pk")[:: max(Deadline.objects.count() // 3, 1)]
    instants = [BEFORE_ALL, AFTER_ALL, dt.datetime(2016, 3, 14, 15, tzinfo=dt.UTC)]
    for edge in edges:
        assert edge.due_at is not None
        assert edge.at_risk_at is not None
        instants += [edge.due_at, edge.due_at + dt.timedelta(seconds=1), edge.at_risk_at]
    seen: Counter[str] = Counter()
    for now in instants:
        for row in Deadline.objects.with_standing(now):
            in_sql = row.standing_now
            assert in_sql == row.standing(now), f"deadline {row.pk} at {now}"
            seen[in_sql] += 1
    assert {Standing.MET, Standing.MISSED, Standing.ENDED, Standing.RUNNING} <= set(seen)
