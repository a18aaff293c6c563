"""When a review has to be ready: by our policy, or by what a contract says of its report, whichever comes first."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from agreements.models import Obligation
from config import scope
from incidents.models import Deadline
from reviews.models import PostIncidentReview, ReviewStatus


@dataclass(frozen=True)
class Due:
    """`deadline` is the contract's; None where our own policy asks for it."""

    at: dt.datetime
    deadline: Deadline | None
    is_over: bool


def of(review: PostIncidentReview, reader: Any, now: dt.datetime) -> Due | None:
    """None when nobody waits for it: it was approved, and each report that is owed has its own deadline met."""
    reports = Deadline.objects.filter(incident=review.incident_id, obligation=Obligation.REPORT, due_at__isnull=False)
    owed = scope.visible(reports.open(), reader).select_related("client").order_by("due_at", "pk").first()
    found = [] if owed is None or owed.due_at is None else [Due(owed.due_at, owed, owed.due_at < now)]
    if review.due_at and review.status in (ReviewStatus.DRAFT, ReviewStatus.IN_REVIEW):
        found.append(Due(review.due_at, None, review.due_at < now))
    return min(found, key=lambda due: due.at, default=None)
