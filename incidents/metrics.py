"""What the delivery and the deadlines tell to Prometheus, and what the auditor writes down for that each minute.

What goes up for ever (accepted notices, how long they took) is counted by the auditor up to a few minutes ago and kept
in one row; a scrape counts only what was accepted since. Everything else is counted where a partial index has it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, TypedDict

from django.db.models import Count, DurationField, ExpressionWrapper, F, Min, Q, Sum
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric

from agreements.models import Severity
from config import counts, metrics
from config.health import Problem
from config.metrics import PREFIX, age, gauge
from incidents import watchdog
from incidents.models import Deadline, Heartbeat, Incident, Notice, Sending, Standing, Tally
from incidents.models.notice import SETTLED_STATES, NoticeKind, NoticeState, Outcome
from incidents.models.sending import Part

#: Nothing is counted further at a scrape: with more, what matters is that there are too many.
MOST = 100_000

#: An answer that could not be recorded at once is recorded within seconds, as of when it came.
SETTLED_AFTER = dt.timedelta(minutes=5)

#: (Whoever changes them has to empty the row's `accepted` and `counted_until`, so that all are counted anew.)
#: Seconds from when a notice was made, which is the instant at which its moment came, to the mail server's acceptance.
BUCKETS = (0.5, 1, 2, 5, 10, 30, 60, 120, 300, 900, 3600, 14_400)

UNSETTLED_STATES = [state for state in NoticeState if state not in SETTLED_STATES]
STANDINGS = (Standing.AT_RISK, Standing.MISSED)
FAULTS = (Outcome.TRANSPORT_DOWN, Outcome.CONFIGURATION)


class Accepted(TypedDict):
    """Of the notices of one kind."""

    count: int
    late: int  # that said they were late
    seconds: float  # in all
    within: list[int]  # each of BUCKETS, so the later ones hold the earlier ones


# ── the auditor's part ──────────────────────────────────────────────────────────────────────────────────────────────


def write_down(found: Iterable[Problem], now: dt.datetime) -> None:
    """Count what was accepted since the last time, and remember what was found. Two auditors count nothing twice."""
    tally, _is_new = Tally.objects.get_or_create(pk=Tally.THE_ONE)
    until = max(filter(None, (tally.counted_until, now - SETTLED_AFTER)))
    Tally.objects.filter(pk=tally.pk, counted_until=tally.counted_until).update(
        counted_until=until,
        accepted=_together(tally.accepted, _accepted(tally.counted_until, until)),
        found=tally.found | {problem.key: int(now.timestamp()) for problem in found},
    )


def _accepted(after: dt.datetime | None, until: dt.datetime | None = None) -> dict[str, Accepted]:
    """By kind, those that a mail server accepted in that time. One look at the index by acceptance."""
    rows = Notice.objects.filter(state=NoticeState.SENT)
    if after is not None:
        rows = rows.filter(accepted_at__gt=after)
    if until is not None:
        rows = rows.filter(accepted_at__lte=until)
    took = ExpressionWrapper(F("accepted_at") - F("made_at"), output_field=DurationField())
    within = {f"within_{n}": Count("pk", filter=Q(took__lte=_seconds(most))) for n, most in enumerate(BUCKETS)}
    counted = rows.order_by().annotate(took=took).values("kind")
    counted = counted.annotate(
        n=Count("pk"), late=Count("pk", filter=Q(is_marked_late=True)), all=Sum("took"), **within
    )
    return {row["kind"]: _as_accepted(row) for row in counted}


def _as_accepted(row: Mapping[str, Any]) -> Accepted:
    within = [row[f"within_{n}"] for n in range(len(BUCKETS))]
    return Accepted(count=row["n"], late=row["late"], seconds=row["all"].total_seconds(), within=within)


def _seconds(seconds: float) -> dt.timedelta:
    return dt.timedelta(seconds=seconds)


_NONE = Accepted(count=0, late=0, seconds=0.0, within=[0] * len(BUCKETS))


def _together(some: dict[str, Accepted], others: dict[str, Accepted]) -> dict[str, Accepted]:
    return {kind: _sum(some.get(kind, _NONE), others.get(kind, _NONE)) for kind in some.keys() | others.keys()}


def _sum(one: Accepted, other: Accepted) -> Accepted:
    return Accepted(
        count=one["count"] + other["count"],
        late=one["late"] + other["late"],
        seconds=one["seconds"] + other["seconds"],
        within=[a + b for a, b in zip(one["within"], other["within"], strict=True)],
    )


# ── what is told ────────────────────────────────────────────────────────────────────────────────────────────────────


@metrics.register
def tell(now: dt.datetime) -> Iterator[Metric]:
    """Everything of this floor, in ten queries."""
    tally = Tally.row()
    yield from _counted(now)
    yield from _oldest(now)
    yield from _delivered(_together(tally.accepted, _accepted(tally.counted_until)))
    yield from _heartbeats(now)
    yield from _sending(Sending.objects.filter(pk=Sending.THE_ONE).first(), now)
    yield from _problems(tally, watchdog.red_problems(now))


def _counted(now: dt.datetime) -> Iterator[Metric]:
    """Queue, deadlines and incidents: all counts in one query, each from an index of few rows."""
    by_state = [Notice.objects.filter(state=state) for state in UNSETTLED_STATES]
    by_standing = [Deadline.objects.open().standing(standing, now) for standing in STANDINGS]
    by_severity = [Incident.objects.open().filter(severity=severity) for severity in Severity]
    due, unraised = Notice.objects.waiting().filter(next_attempt_at__lte=now), Deadline.objects.due_for_action(now)
    found = iter(counts.how_many([*by_state, *by_standing, *by_severity, due, unraised], up_to=MOST))

    states = gauge("notices", "Notices that are not settled, by state.", labels=("state",))
    for state in UNSETTLED_STATES:
        states.add_metric([state.value], next(found))
    standings = gauge("deadlines", "Deadlines that are still owed and at risk or missed.", labels=("standing",))
    for standing in STANDINGS:
        standings.add_metric([standing.value], next(found))
    severities = gauge("incidents_open", "Incidents that are still being worked on.", labels=("severity",))
    for severity in Severity:
        severities.add_metric([severity.value], next(found))
    yield from (states, standings, severities)
    yield gauge("notices_due", "Notices that wait and are to be tried now.", next(found))
    yield gauge("deadlines_unraised", "Deadlines whose moment came and has made no notice yet.", next(found))


def _oldest(now: dt.datetime) -> Iterator[Metric]:
    waiting = Notice.objects.waiting().order_by().aggregate(due=Min("next_attempt_at"), made=Min("made_at"))
    unraised = Deadline.objects.due_for_action(now).values_list("next_action_at", flat=True).first()
    yield gauge("oldest_due_age_seconds", "For how long the first notice that is due waits.", age(waiting["due"], now))
    yield gauge(
        "oldest_waiting_age_seconds",
        "Since when the oldest notice that is not settled waits.",
        age(waiting["made"], now),
    )
    yield gauge(
        "oldest_unraised_age_seconds", "How long ago the first moment came that has made no notice.", age(unraised, now)
    )


def _delivered(accepted: dict[str, Accepted]) -> Iterator[Metric]:
    sent = CounterMetricFamily(PREFIX + "notices_sent", "Notices that a mail server has accepted.", labels=("kind",))
    late = CounterMetricFamily(
        PREFIX + "notices_late", "Those of them that came after they were due.", labels=("kind",)
    )
    took = HistogramMetricFamily(
        PREFIX + "delivery_seconds", "From when a notice came to be due to its acceptance.", labels=("kind",)
    )
    for kind in NoticeKind:
        of_it = accepted.get(kind, _NONE)
        sent.add_metric([kind.value], of_it["count"])
        late.add_metric([kind.value], of_it["late"])
        buckets = [(str(float(most)), float(n)) for most, n in zip(BUCKETS, of_it["within"], strict=True)]
        took.add_metric([kind.value], [*buckets, ("+Inf", of_it["count"])], sum_value=of_it["seconds"])
    yield from (sent, late, took)


def _heartbeats(now: dt.datetime) -> Iterator[Metric]:
    at = dict(Heartbeat.objects.values_list("part", "at"))
    ages = gauge("heartbeat_age_seconds", "When each part was last at work; +Inf if it never was.", labels=("part",))
    for part in Part:
        ages.add_metric([part.value], age(at.get(part.value), now, never=float("inf")))
    yield ages


def _sending(sending: Sending | None, now: dt.datetime) -> Iterator[Metric]:
    row = sending or Sending()
    yield gauge("sending_held", "1 while a person holds all sending.", int(row.is_held))
    faults = gauge("sending_fault", "1 while the breaker keeps all mail back for that.", labels=("fault",))
    for fault in FAULTS:
        faults.add_metric([fault.value], int(row.fault == fault))
    yield faults
    yield gauge("sending_fault_age_seconds", "For how long the breaker keeps mail back.", age(row.fault_since, now))


def _problems(tally: Tally, red: Collection[Problem]) -> Iterator[Metric]:
    problems = gauge("problem", "1 for each reason why /healthz/delivery answers 503.", labels=("key",))
    for key in sorted({problem.key for problem in red}):
        problems.add_metric([key], 1)
    found = gauge("finding_last_seen_timestamp_seconds", "When the auditor last found it, since 1970.", labels=("key",))
    for key, at in sorted(tally.found.items()):
        found.add_metric([key], at)
    yield from (problems, found)
