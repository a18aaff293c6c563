"""What was changed under an agreement in force: the rule of this floor for the review queue."""

from __future__ import annotations

from typing import Any

from django.db.models import Exists, F, OuterRef, Q, QuerySet

from agreements.models import Commitment, ServiceAgreement
from config.audit import concerns, sources
from config.models.concern import ConcernKind


@concerns.rule(ConcernKind.TERMS_CHANGED, of=sources.history_of(Commitment))
def terms_changed(rows: QuerySet[Any]) -> QuerySet[Any]:
    """A contract is changed by a new version; what is edited in force may be a correction, or may move what is owed."""
    in_force = ServiceAgreement.objects.filter(pk=OuterRef("agreement_id"), effective_at__lte=OuterRef("history_date"))
    in_force = in_force.filter(Q(ends_at__isnull=True) | Q(ends_at__gt=OuterRef("history_date")))
    return rows.exclude(history_type="+").filter(Exists(in_force))


@concerns.rule(ConcernKind.TERMS_CHANGED, of=sources.history_of(ServiceAgreement))
def validity_moved(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Its beginning or end was moved into the past, as seen when it was done."""
    moved = Q(changed__contains=",effective_at,", effective_at__lt=F("history_date")) | Q(
        changed__contains=",ends_at,", ends_at__lt=F("history_date")
    )
    return rows.filter(history_type="~").filter(moved)
