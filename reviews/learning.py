"""What the reviews of a period have in common: counted anew whenever somebody looks, in a fixed number of queries.

Everything is limited to what the reader sees. Months are those of the reader's zone, by our own copy of its rules; what
a database would answer by its own is counted here, so that both give one answer.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

from django.db.models import QuerySet
from django.utils import timezone

from agreements.models import Severity
from config import scope
from config.periods import Month, Period
from incidents.models import AffectedService, Incident
from incidents.models.incident import IncidentQuerySet, Status
from reviews import phases
from reviews.models import CorrectiveAction, FactorKind, Finding, PostIncidentReview, ReviewStatus
from reviews.phases import PhaseName

#: A service that is affected again within this time has not been mended.
SOON = dt.timedelta(days=90)
BATCH = 2000  # rows read at a time


def month_of(instant: dt.datetime) -> Month:
    return timezone.localdate(instant).replace(day=1)


@dataclass(frozen=True)
class Question:
    """What is looked at: incidents that the reader sees, whenever they were; of them those that were detected in the
    period, and the actions that fell due in it. With a kind, of the factors those of that kind."""

    incidents: QuerySet[Incident]
    period: Period
    reader: Any
    kind: str = ""

    @property
    def detected(self) -> QuerySet[Incident]:
        within = self.incidents.filter(detected_at__gte=self.period.begins_at, detected_at__lt=self.period.ends_at)
        return within.order_by()

    @property
    def reviews(self) -> QuerySet[PostIncidentReview]:
        return _reviews(self.detected, self.reader)

    @property
    def findings(self) -> QuerySet[Finding]:
        rows = scope.visible(Finding.objects.filter(review__in=self.reviews.values("pk")), self.reader)
        return rows.filter(factor__kind=self.kind) if self.kind else rows

    @property
    def actions(self) -> QuerySet[CorrectiveAction]:
        reviews = _reviews(self.incidents.order_by(), self.reader)
        rows = CorrectiveAction.objects.filter(review__in=reviews.values("pk"), due_on__range=self.period)
        return scope.visible(rows, self.reader)


def _reviews(of: QuerySet[Incident], reader: Any) -> QuerySet[PostIncidentReview]:
    rows = PostIncidentReview.objects.filter(incident__in=of.values("pk")).order_by()
    return scope.visible(rows, reader)


def incidents(reader: Any) -> IncidentQuerySet:
    """Those that the reader sees, each once: what was merged counts with the one it was merged into."""
    return scope.visible(Incident.objects.exclude(status=Status.MERGED), reader)


def with_kind(rows: IncidentQuerySet, kind: str, reader: Any) -> IncidentQuerySet:
    """Those in whose review the reader sees a factor of this kind."""
    findings = scope.visible(Finding.objects.filter(factor__kind=kind), reader)
    return rows.filter(pk__in=findings.order_by().values("review__incident"))


# ── contributing factors ────────────────────────────────────────────────────────────────────────────────────────────


class Recurring(NamedTuple):
    """A factor that was found in several reviews."""

    name: str
    kind: FactorKind
    reviews: int


@dataclass
class Factors:
    """How often which was found. By service one counts for each service of its incident, otherwise once."""

    reviews: int = 0  # that the factors were counted in, waived ones aside
    without: int = 0  # of those, the ones in which none was found
    by_kind: dict[FactorKind, Counter[Month]] = field(default_factory=lambda: {kind: Counter() for kind in FactorKind})
    by_service: dict[str, Counter[Month]] = field(default_factory=dict)
    recurring: list[Recurring] = field(default_factory=list)

    @property
    def total(self) -> int:
        return sum(counted.total() for counted in self.by_kind.values())


def factors(question: Question) -> Factors:
    """Of reviews that were not waived, by the month in which their incident was detected. Four queries."""
    counted = Factors()
    kept = question.reviews.exclude(status=ReviewStatus.WAIVED).values("pk")
    rows = question.findings.filter(review__in=kept).order_by()
    services = _services(rows.values("review__incident"))
    reviews_of: dict[tuple[str, str], set[int]] = defaultdict(set)
    by_service: dict[str, Counter[Month]] = defaultdict(Counter)
    having = set()
    names = ("review", "review__incident", "review__incident__detected_at", "factor__name", "factor__kind")
    for review, incident, detected_at, name, kind in rows.values_list(*names).iterator(chunk_size=BATCH):
        month = month_of(detected_at)
        counted.by_kind[FactorKind(kind)][month] += 1
        for service in services[incident]:
            by_service[service][month] += 1
        reviews_of[name, kind].add(review)
        having.add(review)
    counted.by_service = dict(sorted(by_service.items(), key=lambda found: (-found[1].total(), found[0])))
    recurring = [Recurring(name, FactorKind(kind), len(found)) for (name, kind), found in reviews_of.items()]
    counted.recurring = sorted((one for one in recurring if one.reviews > 1), key=lambda one: (-one.reviews, one.name))
    counted.reviews = kept.count()
    counted.without = counted.reviews - len(having)
    return counted


def _services(of: QuerySet[Any, Any]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = defaultdict(list)
    rows = AffectedService.objects.filter(incident__in=of).order_by("service__name")
    for incident, name in rows.values_list("incident", "service__name").iterator(chunk_size=BATCH):
        found[incident].append(name)
    return found


# ── the same service again ──────────────────────────────────────────────────────────────────────────────────────────


class Again(NamedTuple):
    """A service, its incidents in the period, and how many of them followed another one within SOON."""

    service: str
    incidents: int
    soon: int


def again(question: Question) -> list[Again]:
    """Services with more than one incident in the period, those first that were affected again soonest and most."""
    detected: dict[str, list[dt.datetime]] = defaultdict(list)
    rows = AffectedService.objects.filter(incident__in=question.detected.values("pk")).order_by()
    for name, at in rows.values_list("service__name", "incident__detected_at").iterator(chunk_size=BATCH):
        detected[name].append(at)
    counted = [Again(name, len(times), _soon(sorted(times))) for name, times in detected.items() if len(times) > 1]
    return sorted(counted, key=lambda one: (-one.soon, -one.incidents, one.service))


def _soon(times: Sequence[dt.datetime]) -> int:
    return sum(later - earlier <= SOON for earlier, later in pairwise(times))


# ── corrective actions ──────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Done:
    """What became of the actions that fell due in one month, or in all of them."""

    on_time: int = 0
    late: int = 0
    overdue: int = 0  # open, and its day has passed
    open: int = 0
    dropped: int = 0

    @property
    def total(self) -> int:
        return self.on_time + self.late + self.overdue + self.open + self.dropped

    @property
    def decided(self) -> int:
        """Of which can be said whether they were in time."""
        return self.on_time + self.late + self.overdue

    @property
    def share(self) -> int | None:
        """Done on time, in percent of those of which it can be said; None if there is none."""
        return round(100 * self.on_time / self.decided) if self.decided else None

    def __add__(self, other: Done) -> Done:
        return Done(
            self.on_time + other.on_time,
            self.late + other.late,
            self.overdue + other.overdue,
            self.open + other.open,
            self.dropped + other.dropped,
        )


def actions(question: Question, today: dt.date) -> dict[Month, Done]:
    """By the month of the day they fell due. One query."""
    found = {month: Counter[str]() for month in question.period.months}
    rows = question.actions.order_by().values_list("due_on", "done_on", "dropped_on")
    for due_on, done_on, dropped_on in rows.iterator(chunk_size=BATCH):
        found[due_on.replace(day=1)][_became(due_on, done_on, dropped_on, today)] += 1
    return {month: Done(**counted) for month, counted in found.items()}


def _became(due_on: dt.date, done_on: dt.date | None, dropped_on: dt.date | None, today: dt.date) -> str:
    if dropped_on:
        return "dropped"
    if done_on:
        return "on_time" if done_on <= due_on else "late"
    return "overdue" if due_on < today else "open"


# ── time per phase ──────────────────────────────────────────────────────────────────────────────────────────────────


class Took(NamedTuple):
    """Of so many incidents of which it is known: half took at most `median`, nine in ten at most `ninetieth`."""

    incidents: int
    median: dt.timedelta
    ninetieth: dt.timedelta


def took(question: Question) -> dict[Severity, dict[PhaseName, Took]]:
    """How long each phase took, of the incidents that came to its end. Three queries."""
    detected = question.detected
    notified = phases.first_notified(detected.values("pk"), question.reader)
    spans: dict[tuple[str, PhaseName], list[dt.timedelta]] = defaultdict(list)
    names = ("pk", "severity", "occurred_at", "detected_at", "acknowledged_at", "mitigated_at", "resolved_at")
    for incident in detected.only(*names).iterator(chunk_size=BATCH):
        for phase in phases.of(incident, notified.get(incident.pk)):
            if phase.took is not None:
                spans[incident.severity, phase.name].append(phase.took)
    return {
        severity: {
            name: Took(len(found), percentile(found, 50), percentile(found, 90))
            for name in PhaseName
            if (found := sorted(spans[severity.value, name]))
        }
        for severity in Severity
    }


def percentile(ordered: Sequence[dt.timedelta], percent: int) -> dt.timedelta:
    """Between the two nearest, in proportion: what PostgreSQL calls percentile_cont."""
    whole, part = divmod((len(ordered) - 1) * percent, 100)
    if not part:
        return ordered[whole]
    return ordered[whole] + (ordered[whole + 1] - ordered[whole]) * part / 100


# ── the reviews themselves ──────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Owed:
    """What became of the reviews that were owed."""

    in_time: int = 0  # approved by the day they were due
    late: int = 0  # approved after it, or not approved although it has passed
    running: int = 0  # it has not come yet
    undated: int = 0  # no policy gave them a day
    waived: int = 0
    wanted: int = 0  # besides: opened although none was owed

    @property
    def total(self) -> int:
        return self.in_time + self.late + self.running + self.undated + self.waived


def owed(question: Question, now: dt.datetime) -> Owed:
    """Of the incidents that were detected in the period. One query."""
    counted = Counter[str]()
    rows = question.reviews.values_list("why_owed", "due_at", "approved_at", "waived_at")
    for why, due_at, approved_at, waived_at in rows.iterator(chunk_size=BATCH):
        counted[_came(due_at, approved_at, waived_at, now) if why else "wanted"] += 1
    return Owed(**counted)


def _came(
    due_at: dt.datetime | None, approved_at: dt.datetime | None, waived_at: dt.datetime | None, now: dt.datetime
) -> str:
    if waived_at:
        return "waived"
    if due_at is None:
        return "undated"
    if (approved_at or now) > due_at:
        return "late"
    return "in_time" if approved_at else "running"
