"""What the page of one incident shows, read in a fixed number of queries."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import F, Prefetch, QuerySet, prefetch_related_objects
from django.urls import reverse
from django.utils.functional import Promise, cached_property
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from agreements.models import Client, Obligation, ServiceAgreement
from agreements.terms import Audience, Moment, MomentKind
from config import scope, times
from config.admin import Button, list_of, page_of
from config.models import User
from incidents import evidence, notices
from incidents.admin import evidence as evidence_pages
from incidents.admin import story
from incidents.admin.badges import OfIncident, OfNotice
from incidents.admin.deadline import MOMENTS, DeadlineRow, rows
from incidents.admin.verbs import VERBS
from incidents.models import AffectedAgreement, Deadline, Incident, Notice, Responder, Standing
from incidents.models.incident import ResponderRole

SHOWN_NOTICES = 200
SHOWN_PER_CLIENT = 4
SHOWN_CLIENTS = 20
SHOWN_PLANNED = 6
SHOWN_LATER = 50
SHOWN_DONE = 100
SHOWN_RELATED = 6
SHOWN_NAMES = 4

GOES_OUT = "incidents_incident_goes_out"

#: Floors above say what else belongs to an incident, such as its review.
FollowUp = Callable[[Incident], tuple[str | Promise, str] | None]
FOLLOW_UPS: list[FollowUp] = []


def follow_up(make: FollowUp) -> FollowUp:
    """Decorator: a link (words, address) for the incident's page, or None where there is none."""
    FOLLOW_UPS.append(make)
    return make


#: The next contractual act, as one says it to a colleague.
MUST = {
    Obligation.ACKNOWLEDGE: _("To be acknowledged for %(client)s"),
    Obligation.NOTIFY: _("%(client)s must be notified"),
    Obligation.UPDATE: _("%(client)s must get an update"),
    Obligation.MITIGATE: _("To be mitigated for %(client)s"),
    Obligation.RESOLVE: _("To be resolved for %(client)s"),
    Obligation.REPORT: _("%(client)s must get the report"),
}
#: What happens by itself if it is not done.
ELSE = {
    MomentKind.HOLDING: _("If nobody does, the holding notice goes out by itself at %(at)s."),
    MomentKind.WARNING: _("If nobody does, a warning goes out by itself at %(at)s."),
    MomentKind.OVERDUE: _("If nobody does, it is overdue and those responsible are told at %(at)s."),
}


# ── what it is made of ──────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Planned:
    """A message that goes out at its moment if nobody acts. `preview_url` where a client gets it."""

    deadline: Deadline
    moment: Moment
    to: str
    preview_url: str = ""

    @property
    def at(self) -> dt.datetime:
        return self.moment.at

    @property
    def kind(self) -> str | Promise:
        return MOMENTS[MomentKind(self.moment.kind)]

    @property
    def about(self) -> str:
        return f"{self.deadline.get_obligation_display()} · {self.deadline.client}"


@dataclass(frozen=True)
class WorkRow(DeadlineRow):
    """One deadline in the workspace: with how much of its time is used, and as the next act."""

    planned: Sequence[Planned] = ()

    @property
    def used(self) -> int | None:
        """Percent of the time from its start to its due time; None where nothing is counted."""
        started_at, due_at = self.deadline.started_at, self.deadline.due_at
        if not self.is_counting or started_at is None or due_at is None or due_at <= started_at:
            return None
        return max(0, min(100, int((self.now - started_at) / (due_at - started_at) * 100)))

    @property
    def is_other_severity(self) -> bool:
        return self.deadline.severity != self.deadline.incident.severity

    @property
    def must(self) -> str:
        return str(MUST[Obligation(self.deadline.obligation)] % {"client": self.deadline.client})

    @property
    def otherwise(self) -> str:
        """What happens by itself: what a client gets before what colleagues are told."""
        ahead = sorted(self.planned, key=lambda item: (item.moment.kind != MomentKind.HOLDING, item.at))
        if not ahead:
            return ""
        return str(ELSE[MomentKind(ahead[0].moment.kind)] % {"at": times.for_reader(ahead[0].at)})


@dataclass(frozen=True)
class ToldClient:
    """What one client has been told so far: the latest notices, and whether there is any at all."""

    client: Client
    has_any: bool
    evidence_url: str = ""
    notices: list[OfNotice] = field(default_factory=list)

    @property
    def is_stuck(self) -> bool:
        return any(row.needs_a_person for row in self.notices)

    @property
    def latest(self) -> list[OfNotice]:
        return self._stuck_first[:SHOWN_PER_CLIENT]

    @property
    def earlier(self) -> list[OfNotice]:
        return self._stuck_first[SHOWN_PER_CLIENT:]

    @property
    def _stuck_first(self) -> list[OfNotice]:
        """What did not reach the client is in sight, however much was sent since."""
        return sorted(self.notices, key=lambda row: not row.needs_a_person)


@dataclass(frozen=True)
class AgreementRow:
    """An agreement that was found, with the link that excludes it or takes that back, for whoever may."""

    affected: AffectedAgreement
    url: str = ""

    @property
    def agreement(self) -> ServiceAgreement:
        return self.affected.agreement


@dataclass(frozen=True)
class Related(OfIncident):
    """Another incident that has to do with this one, and how."""

    how: str

    @property
    def url(self) -> str:
        return page_of(self.incident)


@dataclass(frozen=True)
class Workspace(OfIncident):
    """Everything that the page of one incident shows."""

    now: dt.datetime
    buttons: list[Button]
    deadlines: list[WorkRow]
    agreements: list[AgreementRow]
    told: list[ToldClient]
    to_staff: list[OfNotice]
    planned: list[Planned]
    responders: list[Responder]
    story: story.Story
    services: list[str]
    related: list[Related]
    follow_ups: list[tuple[str | Promise, str]]

    # the head

    @property
    def age(self) -> str:
        """Since detection; for one that works again, how long it took."""
        span = times.duration((self.incident.resolved_at or self.now) - self.incident.detected_at)
        if self.incident.resolved_at:
            return _now("resolved %(span)s after detection") % {"span": span}
        return _now("detected %(span)s ago") % {"span": span}

    @property
    def commanders(self) -> str:
        leading = [r.user for r in self.responders if r.role == ResponderRole.COMMANDER]
        return ", ".join(user.get_full_name() or user.username for user in leading)

    # the next act and the others

    @cached_property
    def next_act(self) -> WorkRow | None:
        """The open deadline that is due first; without any, what runs without a due time."""
        counting = [row for row in self.deadlines if row.is_counting]
        return next((row for row in counting if row.deadline.due_at), counting[0] if counting else None)

    @cached_property
    def main(self) -> Button | None:
        """The verb that is most likely the next: what the next act asks for, else the next step of its life."""
        by_slug = {button.slug: button for button in self.buttons}
        wanted = [self.next_act.action.slug] if self.next_act and self.next_act.action else []
        found = (by_slug.get(slug) for slug in (*wanted, "acknowledge", "resolve", "close", "open-review"))
        return next((button for button in found if button), None)

    @property
    def usual(self) -> list[Button]:
        return [button for button in self.buttons if button != self.main and button.slug not in self._rare]

    @property
    def rare(self) -> list[Button]:
        return [button for button in self.buttons if button != self.main and button.slug in self._rare]

    @cached_property
    def _rare(self) -> set[str]:
        return {verb.slug for verb in VERBS if verb.is_rare}

    @property
    def assign_url(self) -> str:
        return next((button.url for button in self.buttons if button.slug == "assign"), "")

    # the deadlines

    @property
    def open_deadlines(self) -> list[WorkRow]:
        return [row for row in self.deadlines if row.deadline.is_open]

    @property
    def done_deadlines(self) -> list[WorkRow]:
        return [row for row in self.deadlines if not row.deadline.is_open][:SHOWN_DONE]

    @property
    def deadlines_url(self) -> str:
        return f"{list_of(Deadline)}?q={self.incident.reference}"

    @property
    def counts(self) -> str:
        owed = self.open_deadlines
        clients = len({row.deadline.client_id for row in owed})
        of_clients = ngettext("to %d client", "to %d clients", clients) % clients
        missed = sum(row.standing == Standing.MISSED for row in owed)
        said = ngettext("%(count)d owed %(of_clients)s", "%(count)d owed %(of_clients)s", len(owed)) % {
            "count": len(owed),
            "of_clients": of_clients,
        }
        return f"{said}, {ngettext('%d overdue', '%d overdue', missed) % missed}" if missed else said

    # what clients were told

    @property
    def told_first(self) -> list[ToldClient]:
        return self.told[:SHOWN_CLIENTS]

    @property
    def told_besides(self) -> list[ToldClient]:
        return self.told[SHOWN_CLIENTS:]

    # the rest

    @property
    def planned_soon(self) -> list[Planned]:
        return self.planned[:SHOWN_PLANNED]

    @property
    def planned_later(self) -> list[Planned]:
        return self.planned[SHOWN_PLANNED : SHOWN_PLANNED + SHOWN_LATER]

    @property
    def instants(self) -> list[tuple[str, str, str]]:
        """Name, label and time with its zone of each known instant of the incident, in the order of its life."""
        names = (
            "occurred_at",
            "detected_at",
            "aware_at",
            "declared_at",
            "classified_at",
            "acknowledged_at",
            "mitigated_at",
            "resolved_at",
            "reopened_at",
            "closed_at",
        )
        known = [name for name in names if getattr(self.incident, name) is not None]
        labels = {name: str(Incident._meta.get_field(name).verbose_name) for name in known}  # type: ignore[union-attr]
        return [(name, labels[name], times.for_reader(getattr(self.incident, name))) for name in known]

    @property
    def notices_url(self) -> str:
        return f"{list_of(Notice)}?incident={self.incident.reference}"


# ── reading it ──────────────────────────────────────────────────────────────────────────────────────────────────────


def with_parts(incident: Incident, reader: User) -> Incident:
    """The same, with what its verbs ask to know whether they are lawful, as far as the reader sees it."""
    affected = scope.visible(AffectedAgreement.objects.all(), reader).select_related(
        "agreement__client", "agreement__owner"
    )
    deadlines = scope.visible(Deadline.objects.all(), reader).select_related("commitment", "agreement", "client")
    deadlines = deadlines.order_by(F("due_at").asc(nulls_last=True), "pk")
    parts = Prefetch("deadlines", deadlines), Prefetch("affected_agreements", affected)
    prefetch_related_objects([incident], "pauses", *parts)
    return incident


def workspace_of(incident: Incident, *, now: dt.datetime, by: User, buttons: list[Button], view: str) -> Workspace:
    """Of an incident with its parts; `view` names the part of its story that is wanted."""
    deadlines = list(incident.deadlines.all())
    directory = notices.Directory([incident], known=deadlines)
    affected = sorted(
        incident.affected_agreements.all(),
        key=lambda found: (found.is_excluded, found.agreement.client.name, str(found.agreement)),
    )
    owners = {found.agreement_id: found.agreement for found in affected}
    for deadline in deadlines:
        deadline.incident = incident
        deadline.agreement = owners.get(deadline.agreement_id, deadline.agreement)
    planned = _planned(deadlines, directory)
    written = scope.visible(incident.notices.all(), by).select_related("client", "acknowledgement").without_bodies()
    to_clients = list(written.filter(contact__isnull=False)[:SHOWN_NOTICES])
    return Workspace(
        incident=incident,
        now=now,
        buttons=buttons,
        deadlines=_rows(deadlines, planned, now, by),
        agreements=[AgreementRow(found, _decide_url(found, buttons)) for found in affected],
        told=_told(incident, affected, deadlines, written, to_clients, by),
        to_staff=[OfNotice(notice) for notice in written.filter(contact__isnull=True)[:SHOWN_NOTICES]],
        planned=planned,
        responders=list(incident.responders.select_related("user").order_by("role", "pk")),
        story=story.of(incident, to_clients, view, by),
        services=directory.services[incident.pk],
        related=_related(incident, by),
        follow_ups=[found for make in FOLLOW_UPS if (found := make(incident))],
    )


def _rows(deadlines: Sequence[Deadline], planned: Sequence[Planned], now: dt.datetime, by: User) -> list[WorkRow]:
    """What is open first, nearest due time first, then what has no due time, then what waits."""
    last = dt.datetime.max.replace(tzinfo=dt.UTC)
    ahead: dict[int, list[Planned]] = {}
    for item in planned:
        ahead.setdefault(item.deadline.pk, []).append(item)
    found = [
        WorkRow(row.deadline, now, row.action, ahead.get(row.deadline.pk, ()))
        for row in rows(deadlines, now=now, by=by)
    ]
    return sorted(
        found,
        key=lambda row: (
            not row.deadline.is_open,
            row.deadline.due_at or last,
            row.deadline.started_at or last,
            row.deadline.pk,
        ),
    )


def _decide_url(found: AffectedAgreement, buttons: Iterable[Button]) -> str:
    slug = "include-agreement" if found.is_excluded else "exclude-agreement"
    url = next((button.url for button in buttons if button.slug == slug), "")
    return url and f"{url}?agreement={found.agreement_id}"


def _told(
    incident: Incident,
    affected: Sequence[AffectedAgreement],
    deadlines: Sequence[Deadline],
    written: QuerySet[Notice],
    to_clients: Sequence[Notice],
    by: User,
) -> list[ToldClient]:
    """One entry per affected client: first whom something did not reach, then those who have been told nothing yet."""
    # Asked by itself: "nothing yet" must be true however many newer notices there are to others.
    reached = set(written.filter(contact__isnull=False).order_by().values_list("client", flat=True).distinct())
    clients = {found.agreement.client_id: found.agreement.client for found in affected if not found.is_excluded}
    clients |= {deadline.client_id: deadline.client for deadline in deadlines if deadline.client_id in reached}
    may_prove = by.has_perms(evidence_pages.PERMISSIONS)
    provable = {client.pk for client in evidence.clients_of(deadlines)} if may_prove else set()
    told = {
        pk: ToldClient(client, pk in reached, _evidence(incident, client) if pk in provable else "")
        for pk, client in clients.items()
    }
    for notice in to_clients:
        if notice.client is not None:
            told.setdefault(notice.client.pk, ToldClient(notice.client, True)).notices.append(OfNotice(notice))
    return sorted(told.values(), key=lambda one: (not one.is_stuck, one.has_any, one.client.name))


def _evidence(incident: Incident, client: Client) -> str:
    return reverse(f"admin:{evidence_pages.PAGE}", args=[incident.pk, client.pk])


def _planned(deadlines: Sequence[Deadline], directory: notices.Directory) -> list[Planned]:
    """Moments of open deadlines that have not made their notices yet, the next first."""
    planned = [
        Planned(deadline, moment, _names(moment, deadline, directory), _preview_url(moment, deadline, directory))
        for deadline in deadlines
        if deadline.is_open and deadline.paused_at is None
        for moment in deadline.planned_moments()
        if not deadline.was_raised(moment)
    ]
    return sorted(planned, key=lambda item: item.at)


def _names(moment: Moment, deadline: Deadline, directory: notices.Directory) -> str:
    """Who gets it, by name; says so where the client has nobody who can be mailed."""
    people = [who.name for who in directory.recipients(moment.audience, deadline)]
    if Audience.CONTACTS in moment.audience and not directory.contacts[deadline.client_id]:
        nobody = _now("operators, because nobody at %(client)s can be mailed") % {"client": deadline.client}
        people.insert(0, nobody)
    shown, more = people[:SHOWN_NAMES], len(people) - SHOWN_NAMES
    if more > 0:
        shown.append(ngettext("%d more", "%d more", more) % more)
    return ", ".join(shown) or _now("nobody: no one in its audience can be mailed")


def _preview_url(moment: Moment, deadline: Deadline, directory: notices.Directory) -> str:
    if Audience.CONTACTS not in moment.audience or not directory.contacts[deadline.client_id]:
        return ""
    return reverse(f"admin:{GOES_OUT}", args=[deadline.incident_id, deadline.pk, moment.key])


def _related(incident: Incident, by: User) -> list[Related]:
    into = incident.merged_into
    if into and (scope.clients_of(by) is None or scope.visible(Incident.objects.filter(pk=into.pk), by).exists()):
        found = [Related(into, _now("this was merged into it"))]
    else:
        found = []
    merged = scope.visible(incident.merged.all(), by).order_by("pk")
    found += [Related(child, _now("merged into this")) for child in merged[:SHOWN_RELATED]]
    similar: Any = scope.visible(Incident.objects.open(), by).sharing_a_service_with(incident)
    found += [Related(other, _now("open, affects the same service")) for other in similar[:SHOWN_RELATED]]
    return found
