"""Open incidents that look like one that is about to be declared: the same trouble, perhaps, under another title."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from agreements.models import Service
from incidents.models import AffectedService, Incident
from incidents.models.incident import IncidentQuerySet

SHOWN = 5
COMPARED = 200  # titles: those of the newest open incidents
_ALIKE = 0.4  # share of the words of both titles that stand in both
_WORD = re.compile(r"\w{3,}")


@dataclass(frozen=True)
class Similar:
    """An open incident, and the affected services that it shares; none where only its title is like the new one."""

    incident: Incident
    services: tuple[str, ...]

    @property
    def shared(self) -> str:
        return ", ".join(self.services)


def similar_to(title: str, services: Collection[Service], among: IncidentQuerySet | None = None) -> list[Similar]:
    """The newest that share a service, then those whose titles are alike; at most three queries, no join in any.

    `among` are the open ones that its reader sees, if not all.
    """
    among = Incident.objects.open() if among is None else among
    sharing = _sharing(services, among)
    known = {similar.incident.pk for similar in sharing}
    alike = [incident for incident in _alike(title, among) if incident.pk not in known]
    return [*sharing, *(Similar(incident, ()) for incident in alike)][:SHOWN]


def _sharing(services: Collection[Service], among: IncidentQuerySet) -> list[Similar]:
    if not services:
        return []
    affected = AffectedService.objects.filter(service__in=services)
    found = list(among.filter(pk__in=affected.values("incident"))[:SHOWN])
    names = {service.pk: service.name for service in services}
    shared: dict[int, list[str]] = {incident.pk: [] for incident in found}
    for incident, service in affected.filter(incident__in=found).values_list("incident", "service"):
        shared[incident].append(names[service])
    return [Similar(incident, tuple(sorted(shared[incident.pk]))) for incident in found]


def _alike(title: str, among: IncidentQuerySet) -> Iterable[Incident]:
    words = _words(title)
    if not words:
        return []
    newest = among.only("reference", "title", "severity", "declared_at")[:COMPARED]
    return (incident for incident in newest if _likeness(words, _words(incident.title)) >= _ALIKE)


def _words(title: str) -> set[str]:
    return set(_WORD.findall(title.casefold()))


def _likeness(one: set[str], other: set[str]) -> float:
    return len(one & other) / len(one | other)
