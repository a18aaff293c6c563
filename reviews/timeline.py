"""The review's own timeline: which entries it can be made of, and in which order they stand."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from django.db.models import QuerySet

from incidents.models import Incident, TimelineEntry
from reviews.models import TimelinePick


def offered(incident: Incident) -> QuerySet[TimelineEntry]:
    """All entries of the incident and of those that were merged into it, also by way of others; the earliest first."""
    entries = TimelineEntry.objects.filter(incident__in=incident.with_merged())
    return entries.select_related("incident").order_by("happened_at", "pk")


def told(entry: TimelineEntry, incident: Incident) -> str:
    """What it says to colleagues, and in which incident if that is another than this one."""
    return entry.text if entry.incident_id == incident.pk else f"{entry.incident.reference}: {entry.text}"


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
