"""Whom an incident concerns, for those who are limited to some clients."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.db.models import Exists, OuterRef, Q

from config import scope
from incidents.models.deadline import Deadline
from incidents.models.incident import AffectedAgreement, Incident


@scope.rule(Incident)
def of_clients(user: Any, clients: Collection[int]) -> Q:
    """Those that one of the clients is affected by, and those that concern no client at all: nothing there is secret,
    and whoever declares one that no agreement covers must find it again."""
    affected, owed = AffectedAgreement.objects.order_by(), Deadline.objects.order_by()
    theirs = affected.filter(agreement__client__in=clients).values("incident")
    owed_to_them = owed.filter(client__in=clients).values("incident")
    nobodys = Incident.objects.order_by().filter(
        ~Exists(affected.filter(incident=OuterRef("pk"))), ~Exists(owed.filter(incident=OuterRef("pk")))
    )
    return Q(pk__in=theirs) | Q(pk__in=owed_to_them) | Q(pk__in=nobodys.values("pk"))


def reaches_beyond(incident: Incident, by: Any) -> bool:
    """Whether the incident also concerns a client whom this person does not see; asked once of one that was read."""
    clients = scope.clients_of(by)
    if clients is None:
        return False
    known: dict[Any, bool] = incident.__dict__.setdefault("known_to_reach_beyond", {})
    if by.pk not in known:
        # Not by way of the incident, which may have been read with the parts that this person sees.
        affected = AffectedAgreement.objects.included().filter(incident=incident)
        owed = Deadline.objects.filter(incident=incident)
        known[by.pk] = (
            affected.exclude(agreement__client__in=clients).exists() or owed.exclude(client__in=clients).exists()
        )
    return known[by.pk]
