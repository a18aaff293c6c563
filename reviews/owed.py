"""Which incidents owe a review, why, and by when.

A review is owed by a manager's policy, to an agreement that wants a report, and for every deadline that was missed.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone
from django.utils.translation import gettext as _

from agreements import clock
from agreements.models import Obligation
from incidents.models import AffectedAgreement, AffectedService, Deadline, Incident
from incidents.models.deadline import Standing
from incidents.models.incident import IncidentQuerySet, Status
from reviews.models import PostIncidentReview, ReviewPolicy

#: How far back the sweep looks: for longer than any outage of ours.
WINDOW = dt.timedelta(days=35)
BATCH = 100
OVER = (Status.RESOLVED, Status.CLOSED)


@dataclass(frozen=True)
class Owed:
    """Why an incident owes a review, in sentences; by which policy and when, if one asks for it."""

    why: tuple[str, ...]
    policy: ReviewPolicy | None = None
    due_at: dt.datetime | None = None


def for_incident(incident: Incident, now: dt.datetime) -> Owed | None:
    """Why a review of this resolved incident is owed; None if nothing asks for one."""
    policies = [(policy, due(policy, incident)) for policy in _policies(incident)]
    policy, due_at = min(policies, key=lambda found: found[1], default=(None, None))
    why = [_("Policy: %(name)s.") % {"name": found.name} for found, _due_at in policies]
    owed = incident.deadlines.select_related("agreement", "client").order_by("pk")
    wants = {deadline.agreement for deadline in owed.filter(obligation=Obligation.REPORT, ended_at__isnull=True)}
    why += [_("%(agreement)s wants a report.") % {"agreement": name} for name in sorted(map(str, wants))]
    why += [
        _("Missed: %(obligation)s for %(client)s.")
        % {"obligation": deadline.get_obligation_display(), "client": deadline.client}
        for deadline in owed
        if deadline.standing(now) == Standing.MISSED
    ]
    return Owed(tuple(dict.fromkeys(why)), policy, due_at) if why else None


def due(policy: ReviewPolicy, incident: Incident) -> dt.datetime:
    """The end of the policy's last day for an approved review, counted from the day of resolution."""
    return after_days(policy, incident.resolved_at or incident.detected_at, policy.review_within)


def after_days(policy: ReviewPolicy | None, start: dt.datetime, days: int) -> dt.datetime:
    """The end of the last of so many days after that of `start`: working days where the policy has a calendar."""
    if policy is None or policy.calendar is None:
        return clock.calendar_days(clock.Calendar.always_open(settings.TIME_ZONE), start, days)
    return clock.business_days(policy.calendar.as_clock_calendar(), start, days)


#: What holds for the actions of a review without a policy; the rest is the fields' own defaults.
WITHOUT_POLICY = ReviewPolicy(actions_done_within=30, outstanding_on=1)


def rules(review: PostIncidentReview) -> ReviewPolicy:
    """By which its actions are followed up."""
    return review.policy or WITHOUT_POLICY


def due_day(review: PostIncidentReview, now: dt.datetime) -> dt.date:
    """The due day that its policy proposes for a new action: counted from resolution, or from now if that is past."""
    policy = rules(review)
    proposed = _day_after(policy, review.incident.resolved_at or now)
    return proposed if proposed >= timezone.localdate(now) else _day_after(policy, now)


def _day_after(policy: ReviewPolicy, start: dt.datetime) -> dt.date:
    end = after_days(policy, start, policy.actions_done_within)
    zone = policy.calendar.time_zone if policy.calendar else settings.TIME_ZONE
    return (end - dt.timedelta(microseconds=1)).astimezone(ZoneInfo(zone)).date()


def _policies(incident: Incident) -> list[ReviewPolicy]:
    services = AffectedService.objects.filter(incident=incident).values("service")
    clients = AffectedAgreement.objects.included().filter(incident=incident).values("agreement__client")
    rows = ReviewPolicy.objects.all().in_use().select_related("calendar", "facilitator")
    return list(
        rows.filter(
            Q(severity="") | Q(severity=incident.severity),
            Q(service__isnull=True) | Q(service__in=services),
            Q(client__isnull=True) | Q(client__in=clients),
            Q(includes_open_incidents=True) | Q(made_at__lte=incident.declared_at),
        )
    )


def without_their_review(now: dt.datetime) -> list[Incident]:
    """Some that owe a review and have none, resolved or with a deadline due within WINDOW; found by index.

    At most twice BATCH; whoever opens those asks again.
    """
    since = now - WINDOW
    missed = Deadline.objects.standing(Standing.MISSED, now).filter(due_at__gte=since)
    recent = Incident.objects.filter(status__in=OVER, resolved_at__gte=since)
    late = Incident.objects.filter(status__in=OVER, pk__in=missed.order_by().values("incident"))
    found = {incident.pk: incident for rows in (_owing(recent), late) for incident in _unreviewed(rows)}
    return list(found.values())


def _unreviewed(rows: IncidentQuerySet) -> Iterable[Incident]:
    reviewed = PostIncidentReview.objects.filter(incident=OuterRef("pk"))
    return rows.filter(~Exists(reviewed), imported_at__isnull=True).order_by("resolved_at")[:BATCH]


def _owing(rows: IncidentQuerySet) -> IncidentQuerySet:
    """Those that some policy in use or a report asks for."""
    services = AffectedService.objects.filter(incident=OuterRef("pk"))
    clients = AffectedAgreement.objects.included().filter(incident=OuterRef("pk"))
    reports = Deadline.objects.filter(incident=OuterRef("pk"), obligation=Obligation.REPORT, ended_at__isnull=True)
    asked = Q(Exists(reports))
    for policy in ReviewPolicy.objects.all().in_use():
        wanted = Q(severity=policy.severity) if policy.severity else Q()
        if policy.service_id:
            wanted &= Q(Exists(services.filter(service=policy.service_id)))
        if policy.client_id:
            wanted &= Q(Exists(clients.filter(agreement__client=policy.client_id)))
        if not policy.includes_open_incidents:
            wanted &= Q(declared_at__gte=policy.made_at)
        asked |= wanted if wanted else Q(pk__isnull=False)
    return rows.filter(asked)
