"""The life of deadlines: start, recompute, meet, end. Called by the verbs and, for accepted notices, by the outbox.

Every function expects the caller's transaction, with the incident locked, and takes `now` from it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from django.db.models import Prefetch, QuerySet
from django.utils.translation import gettext as _

from agreements.models import Client, Commitment, Obligation, ServiceAgreement, WarningPoint
from agreements.terms import Moment, MomentKind, Plan, agreed_terms
from config import zones
from incidents.models import Deadline, Incident, Notice, TermsCopy
from incidents.models.notice import PLANNED_KINDS, NoticeState


def start(incident: Incident, *, now: dt.datetime) -> list[Deadline]:
    """Start what every affected agreement owes at the incident's severity and that has not started before.

    An obligation that was met at this severity stays met; one that ended is owed again, as a new cycle.
    """
    started = []
    for commitment in _commitments(incident):
        latest = incident.deadlines.filter(commitment=commitment).order_by("-cycle").first()
        if latest is None:
            started.append(_begin(incident, commitment, cycle=1, now=now))
        elif latest.ended_at is not None:
            started.append(_begin(incident, commitment, cycle=latest.cycle + 1, now=now))
    return started


def _commitments(incident: Incident) -> Iterable[Commitment]:
    agreements = ServiceAgreement.objects.filter(pk__in=incident.affected_agreements.values("agreement"))
    agreements = agreements.select_related("client", "calendar").prefetch_related(
        "calendar__hours",
        "calendar__special_days",
        Prefetch("commitments", Commitment.objects.filter(severity=incident.severity)),
        Prefetch("commitments__warning_points", WarningPoint.objects.all()),
    )
    for agreement in agreements:
        for commitment in agreement.commitments.all():
            commitment.agreement = agreement  # with its calendar, so that no commitment asks for it again
            yield commitment


def _begin(
    incident: Incident, commitment: Commitment, *, cycle: int, now: dt.datetime, begins_at: dt.datetime | None = None
) -> Deadline:
    deadline = Deadline(
        incident=incident,
        commitment=commitment,
        agreement=commitment.agreement,
        client=commitment.agreement.client,
        obligation=commitment.obligation,
        severity=commitment.severity,
        start_event=commitment.start_event,
        cycle=cycle,
        begins_at=begins_at,
        terms_copy=TermsCopy.of(agreed_terms(commitment)),
        iana_version=zones.IANA_VERSION,
    )
    return _settle(deadline, incident, now)


def _begin_next_cycle(deadline: Deadline, incident: Incident, *, begins_at: dt.datetime, now: dt.datetime) -> Deadline:
    """The same terms again, counted from `begins_at`."""
    following = Deadline(
        incident=incident,
        commitment_id=deadline.commitment_id,
        agreement_id=deadline.agreement_id,
        client_id=deadline.client_id,
        obligation=deadline.obligation,
        severity=deadline.severity,
        start_event=deadline.start_event,
        cycle=deadline.cycle + 1,
        begins_at=begins_at,
        terms_copy_id=deadline.terms_copy_id,
        iana_version=zones.IANA_VERSION,
    )
    return _settle(following, incident, now)


def _settle(deadline: Deadline, incident: Incident, now: dt.datetime) -> Deadline:
    """First computation of a new deadline; what has already been done meets it at once."""
    _apply(deadline, _plan(deadline, incident), now)
    if done_at := _done_at(deadline, incident):
        deadline.met_at = done_at
        deadline.next_action_at = None
    deadline.save()
    return deadline


def _done_at(deadline: Deadline, incident: Incident) -> dt.datetime | None:
    if deadline.obligation == Obligation.NOTIFY:
        return _notified_at(deadline, incident)
    return {
        Obligation.ACKNOWLEDGE: incident.acknowledged_at,
        Obligation.MITIGATE: incident.mitigated_at or incident.resolved_at,
        Obligation.RESOLVE: incident.resolved_at,
    }.get(Obligation(deadline.obligation))


def _notified_at(deadline: Deadline, incident: Incident) -> dt.datetime | None:
    """When this client was notified of the incident at this severity, under whichever agreement."""
    told = incident.deadlines.filter(
        client_id=deadline.client_id, severity=deadline.severity, obligation=Obligation.NOTIFY, met_at__isnull=False
    )
    return told.order_by("met_at").values_list("met_at", flat=True).first()


def _plan(deadline: Deadline, incident: Incident) -> tuple[dt.datetime | None, Plan]:
    started_at = deadline.begins_at or incident.instant_of(deadline.start_event)
    if started_at is None:
        return None, Plan(None, None, ())
    return started_at, deadline.terms.plan(started_at)


def _apply(deadline: Deadline, planned: tuple[dt.datetime | None, Plan], now: dt.datetime) -> None:
    deadline.started_at, plan = planned
    deadline.due_at, deadline.at_risk_at = plan.due_at, plan.at_risk_at
    ahead = [moment for moment in plan.moments if _is_still_of_use(deadline, moment, now)]
    deadline.moments = [moment.to_json() for moment in ahead]
    deadline.raised_until = None
    deadline.next_action_at = ahead[0].at if ahead and deadline.is_open else None


def _is_still_of_use(deadline: Deadline, moment: Moment, now: dt.datetime) -> bool:
    """A warning point already past is never sent; the holding and overdue notices are, but only once."""
    if moment.at > now:
        return True
    if moment.kind == MomentKind.WARNING:
        return False
    return deadline.pk is None or not deadline.notices.filter(moment=moment.key).exists()


def recompute(incident: Incident, *, now: dt.datetime) -> list[Deadline]:
    """Recompute every deadline from its copied terms and the incident's instants; returns those that moved.

    What was met stays met: whether in time is judged against the new due time.
    """
    moved = []
    for deadline in incident.deadlines.select_for_update(no_key=True):
        planned = _plan(deadline, incident)
        if (deadline.started_at, deadline.due_at) == (planned[0], planned[1].due_at):
            continue
        if deadline.due_at is not None:
            deadline.revision += 1
            cancel_unsent(deadline, reason=_("The deadline moved."), state=NoticeState.SUPERSEDED)
        _apply(deadline, planned, now)
        deadline.save()
        moved.append(deadline)
    return moved


def meet(
    incident: Incident,
    *obligations: Obligation,
    at: dt.datetime,
    now: dt.datetime,
    client: Client | None = None,
    asked_by: dt.datetime | None = None,
    by_moment: str = "",
) -> list[Deadline]:
    """Meet the open deadlines of these obligations as of `at`, for one client or for all; returns them.

    `asked_by` leaves out those that began later: an update meets the cycle it was written for, not the one it opens.
    `by_moment` names the moment whose notice met it: the client's other contacts are still sent theirs.
    A repeating one begins its next cycle at `at` for as long as the incident is open.
    """
    wanted = incident.deadlines.open().filter(obligation__in=obligations)
    if client is not None:
        wanted = wanted.filter(client=client)
    if asked_by is not None:
        wanted = wanted.exclude(started_at__gt=asked_by)
    met = []
    for deadline in _locked(wanted):
        deadline.met_at = at
        deadline.next_action_at = None
        deadline.save()
        cancel_unsent(deadline, reason=_("Done before this was sent."), spare=by_moment)
        met.append(deadline)
        if deadline.terms.is_recurring and incident.is_open:
            _begin_next_cycle(deadline, incident, begins_at=at, now=now)
    return met


def end(deadlines: QuerySet[Deadline], *, reason: str, now: dt.datetime) -> None:
    """End open deadlines that are no longer owed. One that is overdue by then stays missed."""
    for deadline in _locked(deadlines):
        deadline.ended_at = now
        deadline.end_reason = reason
        deadline.next_action_at = None
        deadline.save()
        cancel_unsent(deadline, reason=reason, state=NoticeState.SUPERSEDED)


def begin_again(incident: Incident, *, at: dt.datetime, now: dt.datetime) -> list[Deadline]:
    """After reopening: mitigation, resolution and updates are owed anew from `at`; what else was met stays met."""
    owed_again = (Obligation.MITIGATE, Obligation.RESOLVE, Obligation.UPDATE)
    latest: dict[int, Deadline] = {}
    for deadline in incident.deadlines.filter(severity=incident.severity, obligation__in=owed_again).order_by("cycle"):
        latest[deadline.commitment_id] = deadline
    return [
        _begin_next_cycle(deadline, incident, begins_at=at, now=now)
        for deadline in latest.values()
        if not deadline.is_open
    ]


def _locked(deadlines: QuerySet[Deadline]) -> list[Deadline]:
    return list(deadlines.select_for_update(no_key=True, of=("self",)).order_by("pk"))


def cancel_unsent(
    deadline: Deadline, *, reason: str, state: NoticeState = NoticeState.CANCELLED, spare: str = ""
) -> int:
    """Take what was planned for the deadline out of the queue, saying why; `spare` names a moment to leave alone.

    What a person sent stays: every contact gets it. So does what is already in a worker's hands.
    """
    unsent = Notice.objects.waiting().filter(deadline=deadline, kind__in=PLANNED_KINDS).exclude(moment=spare)
    return unsent.update(state=state, state_reason=reason)
