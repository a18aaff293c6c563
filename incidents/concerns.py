"""What may hide a missed deadline: the rules of this floor for the review queue (config/audit/concerns.py)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

from django.db.models import Exists, F, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce

from agreements.models import Severity
from config.audit import concerns, sources
from config.models.concern import ConcernKind
from incidents.models import Deadline, Incident

#: Between doing and writing it down; whoever says later than this that it had been done in time is asked about it.
LAG = dt.timedelta(minutes=1)

INSTANTS = (
    "occurred_at",
    "detected_at",
    "aware_at",
    "classified_at",
    "acknowledged_at",
    "mitigated_at",
    "resolved_at",
)
DEADLINES = sources.history_of(Deadline)
INCIDENTS = sources.history_of(Incident)
DONE = ("met_at", "ended_at", "paused_at")


@concerns.rule(ConcernKind.EXCUSED, of=DEADLINES)
def excused(rows: QuerySet[Any]) -> QuerySet[Any]:
    """It was missed when this was written, and by what was written it is not: due later, or met (ended) earlier."""
    before = rows.filter(history_type="~").annotate(
        **{f"before_{name}": before_it(DEADLINES, name) for name in ("due_at", *DONE)}
    )
    was_missed = Q(before_due_at__lt=Coalesce("before_met_at", "before_ended_at", "before_paused_at", "history_date"))
    is_missed = Q(due_at__isnull=False, due_at__lt=Coalesce(*DONE, "history_date"))
    is_prompt = Q(met_at__gte=F("history_date") - Value(LAG))
    found: QuerySet[Any] = before.filter(was_missed).exclude(is_missed).exclude(is_prompt, due_at=F("before_due_at"))
    return found


@concerns.rule(ConcernKind.TIME_MOVED, of=INCIDENTS)
def times_moved(rows: QuerySet[Any]) -> QuerySet[Any]:
    """One that had been entered reads otherwise now, or is gone without a verb that takes it away."""
    moved = Q()
    for name in INSTANTS:
        another = Q(**{"changed__contains": f",{name},", f"before_{name}__isnull": False})
        if name == "classified_at":  # anew with each severity, of which there is a rule
            another &= ~Q(changed__contains=",severity,")
        moved |= another & ~Q(**{f"{name}__isnull": True, "changed__contains": ",status,"})
    before = {f"before_{name}": before_it(INCIDENTS, name) for name in INSTANTS}
    found: QuerySet[Any] = rows.filter(history_type="~").annotate(**before).filter(moved)
    return found


@concerns.rule(ConcernKind.LOWERED, of=INCIDENTS)
def severity_lowered(rows: QuerySet[Any]) -> Iterator[Any]:
    """While something was owed that had not been done."""
    owed = Deadline.objects.filter(
        Q(met_at__isnull=True) | Q(met_at__gt=OuterRef("history_date")),
        incident=OuterRef("id"),
        started_at__lte=OuterRef("history_date"),
    )
    changed = rows.filter(Exists(owed), history_type="~", changed__contains=",severity,")
    for row in changed.annotate(before_severity=before_it(INCIDENTS, "severity")):
        if _rank(row.severity) > _rank(row.before_severity):
            yield row


def before_it(history: type[Any], name: str) -> Subquery:
    """What the row before a history row has in this field."""
    earlier = history.objects.filter(id=OuterRef("id"), history_id__lt=OuterRef("history_id"))
    return Subquery(earlier.order_by("-history_id").values(name)[:1])


def _rank(severity: str) -> int:
    return Severity.values.index(severity) if severity in Severity.values else 0
