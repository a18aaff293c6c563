"""How an incident begins, and what would begin with it."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Collection

from django.db import transaction
from django.utils.translation import gettext as _

from agreements.models import Service, Severity
from config.history import acting
from config.models import User
from incidents import deadlines, tasks
from incidents.lifecycle.scope import agreements_for, find_agreements
from incidents.lifecycle.verb import Refused, check_instant, log
from incidents.models import AffectedService, Incident, ReferenceCounter, Responder
from incidents.models.incident import Category, ResponderRole


class AlreadyDeclared(Refused):
    """The same form was sent before; `incident` is what it declared then."""

    def __init__(self, incident: Incident) -> None:
        super().__init__(_("This form has already declared %(ref)s.") % {"ref": incident.reference})
        self.incident = incident


def declare(
    *,
    by: User | None,
    now: dt.datetime,
    title: str,
    severity: Severity | str,
    services: Collection[Service],
    detected_at: dt.datetime,
    occurred_at: dt.datetime | None = None,
    aware_at: dt.datetime | None = None,
    category: Category | str = Category.OUTAGE,
    client_summary: str = "",
    description: str = "",
    reason: str = "",
    token: uuid.UUID | None = None,
) -> Incident:
    """Declare an incident: give it its reference, find the agreements it falls under and start their deadlines.

    `aware_at` left out is taken to be `detected_at`, the earliest it can have been for us. A `token` declares once:
    AlreadyDeclared the next time, however close. `by` nobody is by the system, in whose act it is; then nobody is its
    commander, and operators are warned. Raises ValidationError.
    """
    incident = _taken_down(services, severity, detected_at, occurred_at, aware_at, now=now)
    incident.title, incident.category = title, category
    incident.client_summary, incident.description = client_summary, description
    incident.declaration_token = token
    with transaction.atomic(), acting(by, reason=reason):
        incident.full_clean(exclude=["reference", "declaration_token"])
        incident.reference = _next_reference(now.year)
        _refuse_the_same_again(token)
        incident.save()
        for service in services:
            AffectedService.objects.create(incident=incident, service=service)
        if by is not None:
            Responder.objects.create(incident=incident, user=by, role=ResponderRole.COMMANDER)
        log(
            incident,
            _("Declared as %(severity)s.") % {"severity": incident.get_severity_display()},
            by,
            at=now,
            now=now,
        )
        find_agreements(incident)
        deadlines.start(incident, now=now)
        tasks.raise_due.ring_on_commit()
    return incident


def foresee(
    *,
    now: dt.datetime,
    severity: Severity | str,
    services: Collection[Service],
    detected_at: dt.datetime,
    occurred_at: dt.datetime | None = None,
    aware_at: dt.datetime | None = None,
) -> list[deadlines.Foreseen]:
    """The deadlines that `declare` would start, by the rules that it goes by; nothing is written. Raises Refused."""
    incident = _taken_down(services, severity, detected_at, occurred_at, aware_at, now=now)
    return deadlines.foresee(incident, agreements_for(services, detected_at), now=now)


def _taken_down(
    services: Collection[Service],
    severity: Severity | str,
    detected_at: dt.datetime,
    occurred_at: dt.datetime | None,
    aware_at: dt.datetime | None,
    *,
    now: dt.datetime,
) -> Incident:
    """The incident, not saved, as far as its deadlines depend on it."""
    if not services:
        raise Refused({"services": _("Choose at least one affected service, so that its agreements can be found.")})
    check_instant("detected_at", detected_at, now)
    check_instant("occurred_at", occurred_at, now, not_after=detected_at)
    check_instant("aware_at", aware_at, now)
    return Incident(
        severity=severity,
        occurred_at=occurred_at,
        detected_at=detected_at,
        aware_at=aware_at or detected_at,
        classified_at=now,
        declared_at=now,
    )


def _refuse_the_same_again(token: uuid.UUID | None) -> None:
    """Asked with the counter locked: whoever came first has committed by then."""
    if token is not None and (first := Incident.objects.filter(declaration_token=token).first()):
        raise AlreadyDeclared(first)


def _next_reference(year: int) -> str:
    """INC-2026-0001, …: the counter row stays locked until the incident is committed, so no number is lost."""
    ReferenceCounter.objects.get_or_create(year=year)
    counter = ReferenceCounter.objects.select_for_update().get(year=year)
    counter.last += 1
    counter.save()
    return f"INC-{year}-{counter.last:04d}"
