"""The verbs in any order, at any instant: what must hold of the deadlines after each of them.

A machine plays operators who declare, mistype, correct, pause, merge and reopen as they please, on two agreements
that say everything a clause can say. It finds the lives that nobody thought of writing down.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import transaction
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from agreements.models import Client, Obligation, ServiceAgreement, Severity, StartEvent
from config.models import User
from incidents import deadlines, lifecycle, notices, outbox
from incidents.deadlines import TAKEN_BACK
from incidents.models import AffectedAgreement, Deadline, Incident, Notice, Pause, Standing, TimelineEntry
from incidents.models.incident import OPEN_STATUSES, Status
from incidents.models.notice import NoticeKind, NoticeState
from tests import cast
from tests.cast import at

EXAMPLES = int(os.environ.get("ANY_ORDER_EXAMPLES", "8"))
BEGINNING = at("10:00")

#: Verbs by which a due time that has passed may move: each takes a reason that stays visible.
MAY_EXCUSE = frozenset({"correct_times", "merge", "pause", "resume", "resolve", "reopen"})

minutes = st.integers(0, 180)
which = st.integers(0, 2)
ago = st.sampled_from([0, 0, 0, 1, 20, 90, 300])


def round_the_clock() -> ServiceAgreement:
    """Acme: every obligation, two steps of notice, a chain, resolution that can be paused."""
    made = cast.agreement(
        "AC-1", cast.client("Acme", "UTC", "desk@acme.example"), cast.always_open(), cast.service("Object storage")
    )
    cast.commit(made, Obligation.ACKNOWLEDGE, 15, "minutes")
    cast.warn(cast.commit(made, Obligation.NOTIFY, 4, label="first", sends_holding_notice=True), 50)
    full = cast.commit(made, Obligation.NOTIFY, 12, label="full")
    cast.commit(made, Obligation.UPDATE, 60, "minutes", is_recurring=True)
    cast.commit(made, Obligation.MITIGATE, 2, start_event=StartEvent.ACKNOWLEDGED)
    resolve = cast.commit(made, Obligation.RESOLVE, 4, is_pausable=True)
    cast.warn(resolve, 50)
    cast.warn(resolve, 80)
    cast.commit(made, Obligation.REPORT, 3, start_event=StartEvent.RESOLVED, label="on the resolution")
    cast.commit(
        made, Obligation.REPORT, 1, "months", start_event=StartEvent.COMMITMENT, follows=full, label="on the notice"
    )
    high: dict[str, Any] = {"severity": Severity.HIGH}
    cast.warn(cast.commit(made, Obligation.NOTIFY, 1, start_event=StartEvent.CLASSIFIED, **high), 50)
    cast.commit(made, Obligation.UPDATE, 2, is_recurring=True, is_pausable=True, **high)
    cast.commit(made, Obligation.RESOLVE, 8, **high)
    return made


def office() -> ServiceAgreement:
    """Hooli: business hours, a cap, no number for resolution, a report that follows it. In force from 9:30 on."""
    made = cast.agreement(
        "HO-1",
        cast.client("Hooli", "Europe/Berlin", "it@hooli.example", "duty@hooli.example"),
        cast.office_hours(),
        cast.service("Object storage"),
        cast.service("Payments"),
    )
    made.effective_at = at("09:30")
    cast.save(made)
    cap: dict[str, Any] = {"cap_amount": 6, "cap_unit": "hours", "cap_event": StartEvent.AWARE}
    cast.commit(made, Obligation.NOTIFY, 4, start_event=StartEvent.CLASSIFIED, sends_holding_notice=True, **cap)
    cast.commit(made, Obligation.UPDATE, 2, "business_hours", start_event=StartEvent.AWARE)
    cast.commit(made, Obligation.MITIGATE, 3, "business_hours", is_pausable=True, start_event=StartEvent.OCCURRED)
    resolve = cast.commit(made, Obligation.RESOLVE, None, target_amount=8, target_unit="hours")
    cast.commit(made, Obligation.REPORT, 2, "business_days", start_event=StartEvent.COMMITMENT, follows=resolve)
    cast.commit(made, Obligation.NOTIFY, 1, "business_days", severity=Severity.HIGH)
    cast.commit(made, Obligation.MITIGATE, 1, "business_days", severity=Severity.HIGH, is_pausable=True)
    return made


class Operators(RuleBasedStateMachine):
    """One run is one transaction, rolled back at its end."""

    by: User
    clients: tuple[Client, ...]
    agreements: tuple[ServiceAgreement, ...]

    def __init__(self) -> None:
        super().__init__()
        self.now = BEGINNING
        self.verb = ""
        self.missed: dict[int, Deadline] = {}
        self._run = transaction.atomic()
        self._run.__enter__()

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self._run.__exit__(None, None, None)

    # ── what operators do ───────────────────────────────────────────────────────────────────────────────────────────

    @initialize(detected=ago)
    def begin(self, detected: int) -> None:
        self.declare_one(0, detected, Severity.CRITICAL, "Object storage", 30)

    @precondition(lambda self: Incident.objects.count() < 3)
    @rule(
        wait=minutes,
        detected=ago,
        severity=st.sampled_from([Severity.CRITICAL, Severity.CRITICAL, Severity.HIGH, Severity.LOW]),
        service=st.sampled_from(["Object storage", "Object storage", "Payments"]),
        occurred=st.sampled_from([None, 0, 30]),
    )
    def declare(self, wait: int, detected: int, severity: Severity, service: str, occurred: int | None) -> None:
        self.declare_one(wait, detected, severity, service, occurred)

    def declare_one(self, wait: int, detected: int, severity: Severity, service: str, occurred: int | None) -> None:
        self._wait(wait)
        detected_at = self._ago(detected)
        self._try(
            "declare",
            lifecycle.declare,
            title="Something is down",
            severity=severity,
            services=[cast.service(service)],
            detected_at=detected_at,
            occurred_at=None if occurred is None else detected_at - dt.timedelta(minutes=occurred),
        )

    @rule(wait=minutes, number=which, back=ago, verb=st.sampled_from(["acknowledge", "mitigate", "resolve", "resolve"]))
    def work(self, wait: int, number: int, back: int, verb: str) -> None:
        self._on(number, wait, verb, at=self._ago(back - wait))

    @rule(wait=minutes, number=which, back=ago, verb=st.sampled_from(["", "", "", "pause", "resume", "reopen"]))
    def stop_or_go_on(self, wait: int, number: int, back: int, verb: str) -> None:
        """Mostly the one of the three that is lawful."""
        if (incident := self._incident(number)) is not None:
            is_paused = incident.pauses.filter(ends_at=None).exists()
            lawful = "reopen" if incident.status not in OPEN_STATUSES else "resume" if is_paused else "pause"
            self._on(number, wait, verb or lawful, at=self._ago(back - wait), reason="They asked.")

    @rule(wait=minutes, number=which)
    def close(self, wait: int, number: int) -> None:
        self._on(number, wait, "close")

    @rule(wait=minutes, number=which, severity=st.sampled_from([Severity.CRITICAL, Severity.HIGH, Severity.LOW]))
    def reclassify(self, wait: int, number: int, severity: Severity) -> None:
        self._on(number, wait, "reclassify", severity, reason="Looked again.")

    @rule(
        wait=minutes,
        number=which,
        field=st.sampled_from(["detected_at", "occurred_at", "aware_at"]),
        offset=st.integers(-120, 120),
    )
    def correct_times(self, wait: int, number: int, field: str, offset: int) -> None:
        moved = {field: BEGINNING + dt.timedelta(minutes=offset)}
        self._on(number, wait, "correct_times", reason="The log says so.", **moved)

    @rule(
        wait=minutes,
        number=which,
        client=st.integers(0, 1),
        back=ago,
        obligation=st.sampled_from(
            [Obligation.NOTIFY, Obligation.NOTIFY, Obligation.UPDATE, Obligation.UPDATE, Obligation.REPORT]
        ),
    )
    def tell(self, wait: int, number: int, client: int, back: int, obligation: Obligation) -> None:
        told = {"evidence": "By phone.", "at": self._ago(back - wait)}
        self._on(number, wait, "record_told", self.clients[client], obligation, **told)

    @precondition(lambda self: Incident.objects.count() > 1)
    @rule(wait=minutes, number=which, into=which)
    def merge(self, wait: int, number: int, into: int) -> None:
        if (master := self._incident(into)) is not None:
            self._on(number, wait, "merge", master, reason="One cause.")

    @rule(wait=minutes, number=which, agreement=st.integers(0, 1), is_back=st.booleans())
    def exclude(self, wait: int, number: int, agreement: int, is_back: bool) -> None:
        verb = "include_agreement" if is_back else "exclude_agreement"
        self._on(number, wait, verb, self.agreements[agreement], reason="Looked again.")

    @invariant()
    def what_is_excluded_owes_nothing(self) -> None:
        for affected in AffectedAgreement.objects.filter(excluded_at__isnull=False):
            owed = affected.incident.deadlines.open().filter(agreement=affected.agreement)
            assert not owed.exists(), f"after {self.verb}: {owed} of {affected}"

    @rule(wait=minutes)
    def sweep(self, wait: int) -> None:
        self._wait(wait)
        self.verb = "sweep"
        notices.raise_due(self.now)
        assert not Deadline.objects.due_for_action(self.now).exists()
        for deadline in Deadline.objects.open().filter(due_at__lt=self.now, paused_at=None):
            made = deadline.notices.filter(kind=NoticeKind.OVERDUE).exclude(state__in=TAKEN_BACK)
            assert made.exists(), f"nobody was told that {deadline} is overdue"

    @rule()
    def deliver(self) -> None:
        """The mail server accepts everything that is due, as outbox.deliver records it."""
        self.verb = "deliver"
        for notice in Notice.objects.waiting().order_by("pk"):
            mine = Notice.objects.waiting().filter(pk=notice.pk)
            if not cast.past_the_trail(mine, state=NoticeState.SENT, accepted_at=self.now) or notice.client is None:
                continue
            if notice.kind in outbox.MEETS:
                deadlines.meet(
                    Incident.objects.get(pk=notice.incident_id or 0),
                    outbox.MEETS[NoticeKind(notice.kind)],
                    at=self.now,
                    now=self.now,
                    client=notice.client,
                    asked_by=notice.made_at,
                    by_moment=notice.moment,
                )

    def _wait(self, wait: int) -> None:
        self.now += dt.timedelta(minutes=wait)

    def _ago(self, back: int) -> dt.datetime:
        return self.now - dt.timedelta(minutes=back)

    def _incident(self, number: int) -> Incident | None:
        known = list(Incident.objects.order_by("pk"))
        return known[number % len(known)] if known else None

    def _on(self, number: int, wait: int, verb: str, *args: Any, **said: Any) -> None:
        self._wait(wait)
        if (incident := self._incident(number)) is not None:
            self._try(verb, getattr(lifecycle, verb), incident, *args, **said)

    def _try(self, verb: str, act: Callable[..., Any], *args: Any, **said: Any) -> None:
        """Do it; what is refused has changed nothing. Anything but a refusal ends the run as a fault."""
        self.verb = verb
        before = everything()
        try:
            act(*args, by=self.by, now=self.now, **said)
        except ValidationError:
            assert everything() == before, f"{verb} was refused and yet changed something"

    # ── what must hold ──────────────────────────────────────────────────────────────────────────────────────────────

    @invariant()
    def computing_from_scratch_gives_what_is_stored(self) -> None:
        for deadline, course in deadlines.wrong_ones(Deadline.objects.all()):
            pytest.fail(f"after {self.verb}: {deadline} (cycle {deadline.cycle}) should be {course}")

    @invariant()
    def what_is_open_acts_at_its_next_moment(self) -> None:
        for deadline in Deadline.objects.open().select_related("incident", "follows"):
            planned = deadline.planned_moments()
            awaited = [moment.at for moment in planned if not deadline.was_raised(moment)]
            expected = None if deadline.paused_at else min(awaited, default=None)
            assert deadline.next_action_at == expected, f"after {self.verb}: {deadline}"
            ahead = {m for m in deadlines.course_of(deadline, deadline.incident).plan.moments if m.at > self.now}
            assert ahead <= set(planned), f"after {self.verb}: {deadline}"

    @invariant()
    def each_is_in_one_state_and_what_must_be_owed_is_owed_once(self) -> None:
        assert not Deadline.objects.exclude(met_at=None).exclude(ended_at=None).exists()
        for incident in Incident.objects.all():
            owed = list(incident.deadlines.open())
            assert len({deadline.commitment_id for deadline in owed}) == len(owed), "twice owed"
            if incident.status == Status.MERGED:
                assert not owed
            elif incident.status in OPEN_STATUSES:
                self._owes_all_that_applies(incident)
            else:
                kinds = {deadline.obligation for deadline in owed}
                assert kinds <= {Obligation.NOTIFY, Obligation.REPORT}, f"after {self.verb}: {kinds}"

    def _owes_all_that_applies(self, incident: Incident) -> None:
        for affected in incident.affected_agreements.included().select_related("agreement"):
            for commitment in affected.agreement.commitments.filter(severity=incident.severity):
                latest = incident.deadlines.filter(commitment=commitment).order_by("cycle").last()
                assert latest is not None, f"after {self.verb}: {commitment} has not begun"
                assert latest.ended_at is None, f"after {self.verb}: {commitment} has ended"
                if commitment.is_recurring or commitment.obligation == Obligation.RESOLVE:
                    assert latest.is_open, f"after {self.verb}: {commitment} is no longer owed"

    @invariant()
    def standing_is_the_same_in_the_database_and_in_python(self) -> None:
        for now in (self.now, self.now + dt.timedelta(hours=2), self.now + dt.timedelta(days=40)):
            for deadline in Deadline.objects.with_standing(now):
                assert deadline.standing_now == deadline.standing(now), f"{deadline} at {now}"

    @invariant()
    def what_was_missed_stays_missed(self) -> None:
        """But for a correction that moved its due time, or evidence that it had been done in time."""
        for deadline in Deadline.objects.filter(pk__in=self.missed):
            before = self.missed[deadline.pk]
            if deadline.standing(self.now) == Standing.MISSED:
                continue
            if self.verb == "pause" and deadline.paused_at is not None:
                continue  # it had been stopped in time, as is written down now; its due time moves when it goes on
            if self.verb == "resolve" and deadline.ended_at is not None and deadline.due_at is not None:
                assert deadline.ended_at <= deadline.due_at, "an update that was overdue when it was resolved"
                continue  # it had been resolved before the update was due, as is written down now
            if deadline.due_at == before.due_at:
                assert before.is_open, f"{self.verb} excused {deadline}"
                assert deadline.met_at is not None, f"{self.verb} excused {deadline}"
                assert self.verb not in ("sweep", "deliver", "reclassify", "close"), f"{self.verb} excused {deadline}"
            else:
                assert self.verb in MAY_EXCUSE, f"{self.verb} moved {deadline} from {before.due_at}"
        self.missed = {d.pk: d for d in Deadline.objects.all() if d.standing(self.now) == Standing.MISSED}


def everything() -> list[Any]:
    """All that a verb can write."""
    tables = (Incident, Deadline, Pause, Notice, AffectedAgreement, TimelineEntry)
    rows: list[Any] = [list(table.objects.order_by("pk").values()) for table in tables]
    return [*rows, Deadline.history.count(), Incident.history.count()]


@pytest.mark.django_db
def test_in_any_order_the_deadlines_stay_right(olga: User) -> None:
    agreements = round_the_clock(), office()
    Operators.by, Operators.agreements = olga, agreements
    Operators.clients = tuple(agreement.client for agreement in agreements)
    run_state_machine_as_test(
        Operators,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=25,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            derandomize="CI" in os.environ,
            suppress_health_check=list(HealthCheck),
        ),
    )
