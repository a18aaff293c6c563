"""The review's own timeline: which entries it can be made of, and in which order they stand."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from django.db.models import Q, QuerySet

from incidents.models import Incident, TimelineEntry
from reviews.models import TimelinePick


def offered(incident: Incident) -> QuerySet[TimelineEntry]:
    """All entries of the incident and of those that were merged into it, the earliest first."""
    own = Q(incident=incident) | Q(incident__merged_into=incident)
    return TimelineEntry.objects.filter(own).select_related("incident").order_by("happened_at", "pk")


def placed(picks: Sequence[TimelinePick], entries: Sequence[TimelineEntry]) -> list[TimelinePick | TimelineEntry]:
    """The picks as they stand, and each new entry before the first of them that happened later."""
    order: list[TimelinePick | TimelineEntry] = list(picks)
    for entry in entries:
        later = (place for place, other in enumerate(order) if _happened(other) > _happened(entry))
        order.insert(next(later, len(order)), entry)
    return order


def _happened(row: TimelinePick | TimelineEntry) -> tuple[dt.datetime, int]:
    entry = row.entry if isinstance(row, TimelinePick) else row
    return (entry.happened_at, entry.pk)
