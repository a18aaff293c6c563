"""Past incidents that were like this one: the same services, or the same contributing factors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Exists, OuterRef, Q

from config import scope
from incidents.models import AffectedService
from reviews.models import Finding, PostIncidentReview, ReviewStatus

MOST = 5


@dataclass(frozen=True)
class Similar:
    """A review of another incident, with what it shares with this one."""

    review: PostIncidentReview
    factors: Sequence[str]
    services: Sequence[str]


def to(review: PostIncidentReview, reader: Any) -> list[Similar]:
    """The newest, as far as the reader sees them; always the same number of queries."""
    services = dict(AffectedService.objects.filter(incident=review.incident_id).values_list("service", "service__name"))
    factors = dict(Finding.objects.filter(review=review).values_list("factor", "factor__name"))
    same_service = AffectedService.objects.filter(incident=OuterRef("incident"), service__in=services)
    same_factor = Finding.objects.filter(review=OuterRef("pk"), factor__in=factors)
    found = (
        scope.visible(PostIncidentReview.objects.all(), reader)
        .exclude(pk=review.pk)
        .exclude(status=ReviewStatus.WAIVED)
        .filter(Q(Exists(same_service)) | Q(Exists(same_factor)))
        .select_related("incident")
        .order_by("-opened_at", "-pk")[:MOST]
    )
    rows = list(found)
    shared = Finding.objects.filter(review__in=[row.pk for row in rows], factor__in=factors)
    theirs = AffectedService.objects.filter(incident__in=[row.incident_id for row in rows], service__in=services)
    by_review = list(shared.order_by().values_list("review", "factor"))
    by_incident = list(theirs.order_by().values_list("incident", "service"))
    return [
        Similar(
            row,
            sorted(factors[factor] for pk, factor in by_review if pk == row.pk),
            sorted(services[service] for pk, service in by_incident if pk == row.incident_id),
        )
        for row in rows
    ]
