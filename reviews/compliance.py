"""What one client was owed in a period, and what became of it: counted anew whenever somebody looks.

How it is counted (docs/compliance.md, the page and the statement say the same in other words):

* A period is whole days of the client's zone. A deadline counts in the period in which it **falls due**, once, whenever
  its incident began and whenever it was met; if its due time was moved, where it is due now. So every deadline of a
  period is decided soon after the period is over, and counts in no other.
* A duty without a fixed time can be neither met nor missed; it counts, apart, in the period in which it began. What
  has not begun counts nowhere.
* How a deadline stands is what `Deadline.standing` says, and nothing else. Owed are those that were met, were missed or
  still run. One that ended before it was due is no longer owed: it is told beside, with why.
* A missed one is late by the time from its due time until it was done, or ended, or until now if neither has happened.
* Every update that was owed is a deadline of its own. After a reclassification those of each severity count under it.
* An incident that was merged counts with the one it was merged into, which owes the same from the earlier start. What
  was missed before the merge stays missed here, unless that one missed the same by a due time no later: one miss counts
  once, and none is lost. Updates owed before the merge were owed for both and count for both.
* Excluding an agreement, like every act, unmakes no miss. A moved due time may: such a deadline is named, with the due
  time by which it would have been missed.
* Targets of our own are no part of the contract; they are counted apart, by the period in which their duty began.
* Times run from detection, of incidents that were detected in the period, merged ones aside.
"""

from __future__ import annotations

import copy
import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.db.models import F, Q, QuerySet, TextChoices
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from agreements.models import Client, Obligation, Severity
from config import scope, zones
from config.history import history_of
from config.periods import Period
from incidents.document import Facts
from incidents.models import AffectedAgreement, Deadline, Incident, Standing
from incidents.models.deadline import read_terms
from incidents.models.incident import Status
from reviews import phases
from reviews.learning import BATCH, percentile
from reviews.models import PostIncidentReview
from reviews.phases import PhaseName

#: Those that run from detection.
TIMED = (PhaseName.ACKNOWLEDGEMENT, PhaseName.NOTICE, PhaseName.MITIGATION, PhaseName.RESOLUTION)


class Became(TextChoices):
    MET = "met", _("Met")
    MISSED = "missed", _("Missed")
    RUNNING = "running", _("Still running")
    ENDED = "ended", _("No longer owed")


#: Every other standing is one of a deadline that still runs.
_BECAME = {Standing.MET: Became.MET, Standing.MISSED: Became.MISSED, Standing.ENDED: Became.ENDED}


class Why(TextChoices):
    """Why a deadline is no longer owed, from facts alone: what people wrote about it is internal."""

    MERGED = "merged", _("Counts with the incident that it was merged into")
    EXCLUDED = "excluded", _("The agreement does not apply to the incident")
    RECLASSIFIED = "reclassified", _("The severity was changed")
    RESOLVED = "resolved", _("The incident was resolved before")
    OTHER = "other", _("It is not owed any more")


# ── what is told ────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Row:
    """One deadline. `moved_from` is the due time by which it would have been missed, had it not been moved since."""

    incident: str
    obligation: str
    severity: str
    terms: str
    cycle: int
    started_at: dt.datetime | None
    due_at: dt.datetime | None
    done_at: dt.datetime | None
    became: str
    late: dt.timedelta | None
    is_done: bool  # or ended: if it is late, it gets no later
    why: str
    counts_with: str
    moved_from: dt.datetime | None


@dataclass(frozen=True)
class IncidentFacts:
    """`title` only where the incident concerns the client now."""

    reference: str
    title: str
    severity: str
    status: str
    detected_at: dt.datetime
    resolved_at: dt.datetime | None


@dataclass(frozen=True)
class TookFacts:
    """Of so many incidents of a severity ("" of all): half took at most `median`, nine in ten at most `ninetieth`."""

    phase: str
    severity: str
    incidents: int
    median: dt.timedelta
    ninetieth: dt.timedelta


@dataclass(frozen=True)
class Told(Facts):
    """What the client may read too: nothing in it is internal or about another client."""

    client: str
    time_zone: str
    first: dt.date
    last: dt.date
    as_of: dt.datetime
    rows: tuple[Row, ...]
    took: tuple[TookFacts, ...]
    incidents: tuple[IncidentFacts, ...]
    message: str = ""


@dataclass(frozen=True)
class Exclusion:
    incident: str
    agreement: str
    at: dt.datetime
    reason: str


@dataclass(frozen=True)
class WaivedReview:
    incident: str
    at: dt.datetime
    reason: str


@dataclass(frozen=True)
class Remark:
    """What is internal about one row: why it ended or was moved, as people wrote it, and our own target."""

    end_reason: str
    move_reason: str
    target_at: dt.datetime | None
    target_became: str


@dataclass(frozen=True)
class Compliance(Facts):
    """The whole, for colleagues: what is told, a remark on each of its rows, and the waivers."""

    told: Told
    remarks: tuple[Remark, ...]
    exclusions: tuple[Exclusion, ...]
    reviews: tuple[WaivedReview, ...]


# ── what is counted ─────────────────────────────────────────────────────────────────────────────────────────────────


class Line(NamedTuple):
    """The deadlines of one obligation and severity that fell due; either is "" where all are meant."""

    obligation: str
    severity: str
    met: int
    missed: int
    running: int
    ended: int
    median: dt.timedelta | None  # by which the missed ones are late
    worst: dt.timedelta | None

    @property
    def owed(self) -> int:
        return self.met + self.missed + self.running

    @property
    def share(self) -> int | None:
        """Met, in whole percent of those that are decided, never rounded up to all; None where none is."""
        decided = self.met + self.missed
        return self.met * 100 // decided if decided else None


def lines(rows: Iterable[Row]) -> list[Line]:
    """The sum first, then each obligation and severity of which there is any; nothing where nothing fell due."""
    dated = [row for row in rows if row.due_at is not None]
    by_kind = _by_kind(dated)
    counted = [_line(obligation, severity, found) for (obligation, severity), found in by_kind.items()]
    return [_line("", "", dated), *counted] if dated else []


def _line(obligation: str, severity: str, rows: Sequence[Row]) -> Line:
    became = Counter(row.became for row in rows)
    late = sorted(row.late for row in rows if row.late is not None)
    return Line(
        obligation,
        severity,
        met=became[Became.MET],
        missed=became[Became.MISSED],
        running=became[Became.RUNNING],
        ended=became[Became.ENDED],
        median=percentile(late, 50) if late else None,
        worst=late[-1] if late else None,
    )


class Undated(NamedTuple):
    """The duties of one obligation and severity without a fixed time, which began in the period."""

    obligation: str
    severity: str
    done: int
    running: int
    ended: int
    median: dt.timedelta | None  # which those that are done took
    worst: dt.timedelta | None


def undated(rows: Iterable[Row]) -> list[Undated]:
    found = _by_kind([row for row in rows if row.due_at is None])
    return [_undated(obligation, severity, of_kind) for (obligation, severity), of_kind in found.items()]


def _undated(obligation: str, severity: str, rows: Sequence[Row]) -> Undated:
    became = Counter(row.became for row in rows)
    done = [row for row in rows if row.became == Became.MET]
    took = sorted(row.done_at - row.started_at for row in done if row.done_at and row.started_at)
    return Undated(
        obligation,
        severity,
        done=became[Became.MET],
        running=became[Became.RUNNING],
        ended=became[Became.ENDED],
        median=percentile(took, 50) if took else None,
        worst=took[-1] if took else None,
    )


def _by_kind(rows: Sequence[Row]) -> dict[tuple[str, str], list[Row]]:
    """In the order of obligations, then severities."""
    found: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        found[row.obligation, row.severity].append(row)
    kinds = ((o.value, s.value) for o in Obligation for s in Severity)
    return {kind: found[kind] for kind in kinds if kind in found}


# ── gathering ───────────────────────────────────────────────────────────────────────────────────────────────────────

MOST = 10_000  # deadlines that a page counts in a few seconds


def is_too_much(client: Client, period: Period) -> bool:
    """Whether there are more than MOST deadlines to be counted. A month is never too much for a statement."""
    return _Span.of(client, period).counted()[: MOST + 1].count() > MOST


def of(client: Client, period: Period, now: dt.datetime, reader: Any = None) -> Compliance:
    """The figures as they stand at `now`, in a fixed number of queries; terms in the active language.

    A reason that names a client whom the reader does not see is left out.
    """
    span = _Span.of(client, period)
    deadlines = span.deadlines()
    incidents = {d.incident_id: d.incident for d in deadlines} | {i.pk: i for i in span.detected()}
    merged = _Merged(client, deadlines, now)
    excluded = _excluded(client, incidents)
    moved = _moved(deadlines, now)
    rows = [
        _row(d, now, merged.counts_with(d), moved.get(d.pk), d.agreement_id in excluded[d.incident_id])
        for d in deadlines
    ]
    silent = _silence(reader)
    return Compliance(
        told=Told(
            client=client.name,
            time_zone=client.time_zone,
            first=period.first,
            last=period.last,
            as_of=now,
            rows=tuple(rows),
            took=tuple(_took(span, client)),
            incidents=_incidents(incidents, _concerned(client, incidents)),
        ),
        remarks=tuple(_remark(d, row, moved.get(d.pk), silent, now) for d, row in zip(deadlines, rows, strict=True)),
        exclusions=tuple(span.exclusions(silent)),
        reviews=tuple(span.waived(silent)),
    )


class _Silence:
    """Leaves out what names a client whom the reader does not see (config/scope.py)."""

    def __init__(self, names: Collection[str]) -> None:
        self._names = [name.casefold() for name in names]

    def of(self, reason: str | None) -> str:
        said = reason or ""
        is_theirs = not any(name in said.casefold() for name in self._names)
        return said if is_theirs else _now("It names a client whom you do not see.")


def _silence(reader: Any) -> _Silence:
    seen = None if reader is None else scope.clients_of(reader)
    hidden = Client.objects.none() if seen is None else Client.objects.exclude(pk__in=seen)
    return _Silence(list(hidden.values_list("name", flat=True)))


@dataclass(frozen=True)
class _Span:
    """What belongs to one client in one span of time."""

    client: Client
    begins_at: dt.datetime
    ends_at: dt.datetime

    @classmethod
    def of(cls, client: Client, period: Period) -> _Span:
        zone = zones.zone(client.time_zone)
        return cls(client, period.begins_in(zone), period.ends_in(zone))

    def within(self, name: str) -> Q:
        return Q(**{f"{name}__gte": self.begins_at, f"{name}__lt": self.ends_at})

    def counted(self) -> QuerySet[Deadline]:
        fell_due = self.within("due_at") | Q(due_at__isnull=True) & self.within("started_at")
        return Deadline.objects.filter(fell_due, client=self.client)

    def deadlines(self) -> list[Deadline]:
        """In the order of their incidents, then of their due times."""
        rows = self.counted().select_related("incident")
        rows = rows.defer("moments", "incident__description", "incident__client_summary")
        found = list(rows.order_by("incident__reference", F("due_at").asc(nulls_last=True), "pk"))
        read_terms(deadline.terms_copy_id for deadline in found)
        return found

    def detected(self) -> QuerySet[Incident]:
        """Each once: what was merged is told of with the one that it was merged into."""
        incidents = Incident.objects.of_clients([self.client.pk]).exclude(status=Status.MERGED)
        return incidents.filter(self.within("detected_at")).defer("description", "client_summary").order_by()

    def exclusions(self, silent: _Silence) -> Iterable[Exclusion]:
        rows = AffectedAgreement.objects.filter(self.within("excluded_at"), agreement__client=self.client)
        for row in rows.select_related("incident", "agreement").order_by("excluded_at", "pk"):
            if row.excluded_at:
                reason = silent.of(row.exclusion_reason)
                yield Exclusion(row.incident.reference, str(row.agreement), row.excluded_at, reason)

    def waived(self, silent: _Silence) -> Iterable[WaivedReview]:
        """Reviews of incidents that concern the client, with the reason that the trail has."""
        rows = PostIncidentReview.objects.filter(
            self.within("waived_at"), incident__in=Incident.objects.of_clients([self.client.pk]).values("pk")
        )
        found = list(rows.select_related("incident").order_by("waived_at", "pk"))
        told = history_of(PostIncidentReview).objects.filter(
            id__in=[review.pk for review in found], changed__contains=",waived_at,"
        )
        reasons = dict(told.order_by("history_id").values_list("id", "history_change_reason"))
        for review in found:
            if review.waived_at:
                yield WaivedReview(review.incident.reference, review.waived_at, silent.of(reasons.get(review.pk)))


def _row(deadline: Deadline, now: dt.datetime, counts_with: str, moved: _Move | None, is_excluded: bool) -> Row:
    became = Became.ENDED if counts_with else _BECAME.get(deadline.standing(now), Became.RUNNING)
    is_late = became == Became.MISSED and deadline.due_at is not None
    done_at = deadline.met_at or deadline.ended_at
    return Row(
        incident=deadline.incident.reference,
        obligation=deadline.obligation,
        severity=deadline.severity,
        terms=deadline.terms_in_words,
        cycle=deadline.cycle,
        started_at=deadline.started_at,
        due_at=deadline.due_at,
        done_at=deadline.met_at,
        became=became.value,
        late=(done_at or now) - deadline.due_at if is_late and deadline.due_at else None,
        is_done=done_at is not None,
        why=_why(deadline, counts_with, is_excluded).value if became == Became.ENDED else "",
        counts_with=counts_with,
        moved_from=moved.due_at if moved and not counts_with else None,
    )


def _why(deadline: Deadline, counts_with: str, is_excluded: bool) -> Why:
    incident = deadline.incident
    if counts_with or incident.status == Status.MERGED:
        return Why.MERGED
    if is_excluded:
        return Why.EXCLUDED
    if deadline.severity != incident.severity:
        return Why.RECLASSIFIED
    if deadline.obligation == Obligation.UPDATE and not incident.is_open:
        return Why.RESOLVED
    return Why.OTHER


def _remark(deadline: Deadline, row: Row, moved: _Move | None, silent: _Silence, now: dt.datetime) -> Remark:
    is_ours = deadline.target_at is not None and row.due_at is None and not row.counts_with
    return Remark(
        end_reason=silent.of(deadline.end_reason),
        move_reason=silent.of(moved.reason) if moved and not row.counts_with else "",
        target_at=deadline.target_at if is_ours else None,
        target_became=_by_target(deadline, now).value if is_ours else "",
    )


def _by_target(deadline: Deadline, now: dt.datetime) -> Became:
    """As the deadline would stand, were our own target what is owed."""
    return _BECAME.get(_if_due(deadline, deadline.target_at).standing(now), Became.RUNNING)


def _if_due(deadline: Deadline, due_at: dt.datetime | None) -> Deadline:
    """A copy that is never saved."""
    other = copy.copy(deadline)
    other.due_at = due_at
    return other


# ── merged incidents ────────────────────────────────────────────────────────────────────────────────────────────────


class _Merged:
    """Which deadlines of merged incidents count with the incident that these were merged into in the end."""

    def __init__(self, client: Client, deadlines: Sequence[Deadline], now: dt.datetime) -> None:
        self._now = now
        self._into = {d.incident_id: into for d in deadlines if (into := d.incident.merged_into_id)}
        ahead = set(self._into.values())
        while ahead:
            further = Incident.objects.filter(pk__in=ahead, merged_into__isnull=False)
            found = {pk: into for pk, into in further.values_list("pk", "merged_into") if into}
            self._into |= found
            ahead = set(found.values())
        self._twins: dict[tuple[int, int, str], list[Deadline]] = defaultdict(list)
        owed = Deadline.objects.filter(client=client, incident__in=set(self._into.values()) - self._into.keys())
        for twin in owed.select_related("incident").defer("moments") if self._into else ():
            self._twins[twin.incident_id, twin.agreement_id, twin.obligation].append(twin)

    def counts_with(self, deadline: Deadline) -> str:
        """The reference of the incident that owes the same; empty where it counts by itself."""
        top = deadline.incident_id
        while top in self._into:
            top = self._into[top]
        if top == deadline.incident_id or deadline.obligation == Obligation.UPDATE:
            return ""
        twins = [
            twin
            for twin in self._twins[top, deadline.agreement_id, deadline.obligation]
            if (standing := twin.standing(self._now)) != Standing.ENDED
            and (deadline.standing(self._now) != Standing.MISSED or _is_same_miss(twin, standing, deadline))
        ]
        return twins[0].incident.reference if twins else ""


def _is_same_miss(twin: Deadline, standing: Standing, missed: Deadline) -> bool:
    has_due = twin.due_at is not None and missed.due_at is not None
    return standing == Standing.MISSED and has_due and twin.due_at <= missed.due_at  # type: ignore[operator]


# ── due times that were moved ───────────────────────────────────────────────────────────────────────────────────────


class _Move(NamedTuple):
    due_at: dt.datetime
    reason: str


def _moved(deadlines: Sequence[Deadline], now: dt.datetime) -> Mapping[int, _Move]:
    """Those that would count as missed by a due time that they had before, and do not: the latest such due time.

    The trail has each of them; a revision says where there is any.
    """
    asked = {d.pk: d for d in deadlines if d.revision > 1 and d.standing(now) != Standing.MISSED}
    rows = history_of(Deadline).objects.filter(id__in=asked).order_by("id", "history_id")
    found: dict[int, _Move] = {}
    had: dict[int, dt.datetime | None] = {}
    for pk, due_at, reason in rows.values_list("id", "due_at", "history_change_reason") if asked else ():
        before, had[pk] = had.get(pk), due_at
        if before and before != due_at and _if_due(asked[pk], before).standing(now) == Standing.MISSED:
            found[pk] = _Move(before, reason or "")
    return found


# ── incidents ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _excluded(client: Client, incidents: Collection[int]) -> Mapping[int, set[int]]:
    """By incident, the client's agreements that owe nothing in it: excluded."""
    found: dict[int, set[int]] = defaultdict(set)
    rows = AffectedAgreement.objects.filter(incident__in=list(incidents), agreement__client=client)
    for incident, agreement in rows.filter(excluded_at__isnull=False).values_list("incident", "agreement"):
        found[incident].add(agreement)
    return found


def _concerned(client: Client, incidents: Collection[int]) -> set[int]:
    rows = AffectedAgreement.objects.included().filter(incident__in=list(incidents), agreement__client=client)
    return set(rows.values_list("incident", flat=True))


def _incidents(incidents: Mapping[int, Incident], concerned: Collection[int]) -> tuple[IncidentFacts, ...]:
    return tuple(
        IncidentFacts(
            reference=incident.reference,
            title=incident.title if incident.pk in concerned else "",
            severity=incident.severity,
            status=incident.status,
            detected_at=incident.detected_at,
            resolved_at=incident.resolved_at,
        )
        for incident in sorted(incidents.values(), key=lambda one: one.reference)
    )


def _took(span: _Span, client: Client) -> Iterable[TookFacts]:
    """Of the incidents that came to the end of the phase; of all, then by severity."""
    detected = span.detected()
    notified = phases.first_notified(detected.values("pk"), client=client)
    spans: dict[tuple[PhaseName, str], list[dt.timedelta]] = defaultdict(list)
    for incident in detected.iterator(chunk_size=BATCH):
        for phase in phases.of(incident, notified.get(incident.pk)):
            if phase.took is not None:
                for severity in ("", incident.severity):
                    spans[phase.name, severity].append(phase.took)
    for name in TIMED:
        for severity in ("", *Severity.values):
            if found := sorted(spans[name, severity]):
                yield TookFacts(name.value, severity, len(found), percentile(found, 50), percentile(found, 90))
