"""The life of deadlines: start, recompute, meet, end. Called by the verbs and, for accepted notices, by the outbox.

Every function expects the caller's transaction, with the incident locked, and takes `now` from it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from django.db.models import Prefetch, Q, QuerySet
from django.utils.translation import gettext as _

from agreements.models import Client, Commitment, Obligation, ServiceAgreement, StartEvent
from agreements.terms import AgreedTerms, Moment, MomentKind, Plan, agreed_terms
from config import zones
from config.history import following
from incidents.models import Deadline, Incident, Notice, TermsCopy
from incidents.models.deadline import DeadlineQuerySet
from incidents.models.notice import PLANNED_KINDS, NoticeState

#: States of a notice that was made and will not be sent.
TAKEN_BACK = (NoticeState.CANCELLED, NoticeState.SUPERSEDED)
#: What a reopened incident owes anew.
OWED_AGAIN = (Obligation.MITIGATE, Obligation.RESOLVE, Obligation.UPDATE)
#: Where a duty without a number sorts among due times.
NEVER = dt.datetime.max.replace(tzinfo=dt.UTC)


def start(incident: Incident, *, now: dt.datetime) -> list[Deadline]:
    """Start what every affected agreement owes at the incident's severity and that has not started before.

    An obligation that was met at this severity stays met; one that ended is owed again, as a new cycle.
    """
    started: dict[int, Deadline] = {}
    affected = incident.affected_agreements.included().values("agreement")
    for commitment in _commitments(ServiceAgreement.objects.filter(pk__in=affected), incident.severity):
        if commitment.obligation == Obligation.UPDATE and not incident.is_open:
            continue  # updates are owed until it is resolved
        latest = _latest(incident, commitment.pk)
        if latest is None or latest.ended_at is not None:
            cycle = latest.cycle + 1 if latest else 1
            started[commitment.pk] = _begin(incident, commitment, cycle=cycle, now=now)
    _count_notices_given(incident, [deadline.pk for deadline in started.values()], now=now)
    return list(started.values())


def _commitments(agreements: QuerySet[ServiceAgreement], severity: str) -> list[Commitment]:
    """What the agreements say for this severity; a commitment after the one that it follows."""
    agreements = agreements.select_related("client", "calendar").prefetch_related(
        "calendar__hours",
        "calendar__special_days",
        Prefetch("commitments", Commitment.objects.filter(severity=severity).select_related("follows")),
        "commitments__warning_points",
    )
    found = []
    for agreement in agreements:
        for commitment in agreement.commitments.all():
            commitment.agreement = agreement  # with its calendar, so that no commitment asks for it again
            found.append(commitment)
    by_pk = {commitment.pk: commitment for commitment in found}

    def steps_from_the_first(commitment: Commitment | None) -> int:
        return 0 if commitment is None else 1 + steps_from_the_first(by_pk.get(commitment.follows_id or 0))

    return sorted(found, key=lambda commitment: (steps_from_the_first(commitment), commitment.pk))


def _latest(incident: Incident, commitment_id: int | None) -> Deadline | None:
    return incident.deadlines.filter(commitment=commitment_id).order_by("-cycle").first()


def _begins_anew_at(deadline: Deadline, incident: Incident) -> dt.datetime | None:
    """Where a deadline does not begin with its start event: updates at the last one, work at the last reopening."""
    if deadline.obligation == Obligation.UPDATE and deadline.terms.is_recurring:
        updates = Deadline.objects.filter(incident__in=[incident, *incident.merged.all()])
        updates = updates.filter(client_id=deadline.client_id, obligation=Obligation.UPDATE)
        last = updates.order_by("met_at").values_list("met_at", flat=True).exclude(met_at=None).last()
        return max(filter(None, (last, incident.reopened_at)), default=None)
    if deadline.obligation in OWED_AGAIN and not deadline.terms.is_pausable:
        return incident.reopened_at
    return None


def _begin(incident: Incident, commitment: Commitment, *, cycle: int, now: dt.datetime) -> Deadline:
    follows = _latest(incident, commitment.follows_id) if commitment.follows_id else None
    deadline = _draw_up(incident, commitment, cycle=cycle, follows=follows)
    deadline.terms_copy = TermsCopy.of(agreed_terms(commitment))
    deadline.begins_at = _begins_anew_at(deadline, incident)
    return _settle(deadline, incident, now)


def _draw_up(incident: Incident, commitment: Commitment, *, cycle: int, follows: Deadline | None) -> Deadline:
    """Everything about a deadline but its terms and what follows from them."""
    return Deadline(
        incident=incident,
        commitment=commitment,
        agreement=commitment.agreement,
        client=commitment.agreement.client,
        obligation=commitment.obligation,
        severity=commitment.severity,
        start_event=commitment.start_event,
        cycle=cycle,
        follows=follows,
        iana_version=zones.IANA_VERSION,
    )


def _begin_next_cycle(deadline: Deadline, incident: Incident, *, begins_at: dt.datetime, now: dt.datetime) -> Deadline:
    return _settle(_next_cycle(deadline, incident, begins_at=begins_at), incident, now)


def _next_cycle(deadline: Deadline, incident: Incident, *, begins_at: dt.datetime) -> Deadline:
    """The same terms again, counted from `begins_at`; unsaved and not computed yet."""
    return Deadline(
        incident=incident,
        commitment_id=deadline.commitment_id,
        agreement_id=deadline.agreement_id,
        client_id=deadline.client_id,
        obligation=deadline.obligation,
        severity=deadline.severity,
        start_event=deadline.start_event,
        cycle=deadline.cycle + 1,
        begins_at=begins_at,
        follows_id=deadline.follows_id,
        terms_copy_id=deadline.terms_copy_id,
        iana_version=zones.IANA_VERSION,
    )


def due_after(deadline: Deadline, incident: Incident, *, at: dt.datetime) -> dt.datetime | None:
    """By when it is owed again if it is met `at`; None if it is not repeated. Writes nothing."""
    if not (deadline.terms.is_recurring and incident.is_open):
        return None
    return course_of(_next_cycle(deadline, incident, begins_at=at), incident).plan.due_at


def _settle(deadline: Deadline, incident: Incident, now: dt.datetime) -> Deadline:
    """First computation of a new deadline; what has already been done meets it at once."""
    _apply(deadline, course_of(deadline, incident), now)
    if done_at := _done_at(deadline, incident):
        deadline.met_at = done_at
        deadline.paused_at = deadline.next_action_at = None
    deadline.save()
    return deadline


def _done_at(deadline: Deadline, incident: Incident) -> dt.datetime | None:
    return {
        Obligation.ACKNOWLEDGE: incident.acknowledged_at,
        Obligation.MITIGATE: incident.mitigated_at or incident.resolved_at,
        Obligation.RESOLVE: incident.resolved_at,
    }.get(Obligation(deadline.obligation))


def _count_notices_given(incident: Incident, started: Collection[int], *, now: dt.datetime) -> None:
    """A client that was notified of this at this severity is not owed that again under another agreement.

    Each notice counts for one step of each agreement: those given here for what has just `started`, those given for
    an incident that was merged into this one for all that is open.
    """
    given = Deadline.objects.filter(obligation=Obligation.NOTIFY, severity=incident.severity, met_at__isnull=False)
    here_and_merged = given.filter(incident__in=[incident, *incident.merged.all()]).order_by("met_at", "pk")
    for given_for, client, at in list(here_and_merged.values_list("incident", "client", "met_at")):
        has_counted = given.filter(incident=incident, met_at=at).values("agreement")
        owed = incident.deadlines.open().filter(obligation=Obligation.NOTIFY, client=client)
        owed = owed.exclude(agreement__in=has_counted)
        if given_for == incident.pk:
            owed = owed.filter(pk__in=started)
        if at is not None and (steps := _next_steps(_locked(owed))):
            for deadline in steps:
                _mark_met(deadline, at)
            recompute(incident, now=now)  # a step that follows begins


@dataclass(frozen=True)
class Foreseen:
    """A deadline that is not stored, with the terms that it would be given."""

    deadline: Deadline
    terms: AgreedTerms


def foresee(incident: Incident, agreements: QuerySet[ServiceAgreement], *, now: dt.datetime) -> list[Foreseen]:
    """What `start` would store under these agreements for an incident that is not saved yet; writes nothing."""
    foreseen: dict[int, Foreseen] = {}
    for commitment in _commitments(agreements, incident.severity):
        earlier = foreseen.get(commitment.follows_id or 0)
        deadline = _draw_up(incident, commitment, cycle=1, follows=earlier.deadline if earlier else None)
        terms = agreed_terms(commitment)
        _apply(deadline, course_of(deadline, incident, terms), now)
        foreseen[commitment.pk] = Foreseen(deadline, terms)
    return list(foreseen.values())


# ── computing ───────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Course:
    """How a deadline runs, from its copied terms and the incident's instants alone."""

    started_at: dt.datetime | None
    paused_at: dt.datetime | None
    plan: Plan

    def is_that_of(self, deadline: Deadline) -> bool:
        """Whether this is what is stored."""
        return (self.started_at, self.paused_at, self.plan.due_at, self.plan.at_risk_at, self.plan.target_at) == (
            deadline.started_at,
            deadline.paused_at,
            deadline.due_at,
            deadline.at_risk_at,
            deadline.target_at,
        )


def course_of(deadline: Deadline, incident: Incident, terms: AgreedTerms | None = None) -> Course:
    """Compute a deadline from scratch, by its own copied terms or, to see what would change, by others."""
    terms = terms or deadline.terms
    started_at = _started_at(deadline, incident)
    if started_at is None:
        return Course(None, None, Plan(None, None, ()))
    cap_started_at = incident.instant_of(terms.cap_event) if terms.cap_event else None
    pauses = list(incident.pauses.all()) if terms.is_pausable and incident.pk else []
    ended = [(pause.begins_at, pause.ends_at) for pause in pauses if pause.ends_at is not None]
    plan = terms.plan(started_at, cap_started_at=cap_started_at, pauses=ended)
    open_pause = next((pause for pause in pauses if pause.ends_at is None and deadline.is_open), None)
    return Course(started_at, max(open_pause.begins_at, started_at) if open_pause else None, plan)


def _started_at(deadline: Deadline, incident: Incident) -> dt.datetime | None:
    if deadline.begins_at is not None:
        return deadline.begins_at
    if deadline.follows is not None:
        return deadline.follows.met_at
    return incident.instant_of(deadline.start_event)


def _apply(deadline: Deadline, course: Course, now: dt.datetime) -> None:
    deadline.started_at, deadline.paused_at, plan = course.started_at, course.paused_at, course.plan
    deadline.due_at, deadline.at_risk_at, deadline.target_at = plan.due_at, plan.at_risk_at, plan.target_at
    ahead = [moment for moment in plan.moments if _is_still_of_use(deadline, moment, now)]
    deadline.moments = [moment.to_json() for moment in ahead]
    deadline.raised_until = None
    may_act = deadline.is_open and deadline.paused_at is None
    deadline.next_action_at = ahead[0].at if ahead and may_act else None


def _is_still_of_use(deadline: Deadline, moment: Moment, now: dt.datetime) -> bool:
    """A warning point already past is never sent; the holding and overdue notices are, but only once."""
    if moment.at > now:
        return True
    if moment.kind == MomentKind.WARNING:
        return False
    made = Notice.objects.filter(deadline=deadline.pk, moment=moment.key).exclude(state__in=TAKEN_BACK)
    return deadline.pk is None or not made.exists()


def recompute(incident: Incident, *, now: dt.datetime) -> list[Deadline]:
    """Recompute every deadline from its copied terms and the incident's instants; returns those that moved.

    What was met stays met: whether in time is judged against the new due time.
    """
    moved = []
    # A chain's earlier steps first: they were made first.
    for deadline in incident.deadlines.select_for_update(no_key=True).order_by("pk"):
        course = course_of(deadline, incident)
        if not course.is_that_of(deadline):
            _move(deadline, course, now)
            moved.append(deadline)
    return moved


def _move(deadline: Deadline, course: Course, now: dt.datetime) -> None:
    cancel_unsent(deadline, reason=_("The deadline moved."), state=NoticeState.SUPERSEDED)
    taken_back = deadline.notices.filter(revision=deadline.revision, state__in=TAKEN_BACK)
    if (deadline.due_at is not None and deadline.due_at != course.plan.due_at) or taken_back.exists():
        deadline.revision += 1  # one notice per revision and moment: what was taken back may be owed anew
    _apply(deadline, course, now)
    with following(_("It was computed anew, as something that it depends on has changed.")):
        deadline.save()


# ── done, or no longer owed ─────────────────────────────────────────────────────────────────────────────────────────


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
    # Read once, in the order in which they were made, and locked: the planner works on them too.
    known = _locked(incident.deadlines.all() if client is None else incident.deadlines.filter(client=client))
    wanted = [deadline for deadline in known if deadline.is_open and deadline.obligation in obligations]
    if Obligation.NOTIFY in obligations:
        wanted = _next_steps(wanted)
    if Obligation.REPORT in obligations:
        wanted = [deadline for deadline in wanted if deadline.started_at]  # a report on what has not happened is none
    if asked_by is not None:
        wanted = [deadline for deadline in wanted if deadline.started_at is None or deadline.started_at <= asked_by]
    for deadline in wanted:
        _mark_met(deadline, at, by_moment=by_moment)
        if deadline.terms.is_recurring and incident.is_open:
            _begin_next_cycle(deadline, incident, begins_at=at, now=now)
    if {deadline.pk for deadline in wanted} & {deadline.follows_id for deadline in known}:
        recompute(incident, now=now)  # their clocks begin
    return wanted


def _mark_met(deadline: Deadline, at: dt.datetime, *, by_moment: str = "") -> None:
    deadline.met_at = at
    deadline.paused_at = deadline.next_action_at = None
    deadline.save()
    cancel_unsent(deadline, reason=_("Done before this was sent."), spare=by_moment)


def _next_steps(open_notices: Collection[Deadline]) -> list[Deadline]:
    """One notice is one step: of each agreement the one that is due first, if it has begun; the others stay owed."""
    first: dict[int, Deadline] = {}
    for deadline in sorted((d for d in open_notices if d.started_at), key=lambda d: (d.due_at or NEVER, d.pk)):
        first.setdefault(deadline.agreement_id, deadline)
    return sorted(first.values(), key=lambda d: d.pk)


def end(deadlines: QuerySet[Deadline], *, reason: str, now: dt.datetime) -> None:
    """End open deadlines that are no longer owed. One that is overdue by then stays missed."""
    for deadline in _locked(deadlines):
        deadline.ended_at = now
        deadline.end_reason = reason
        deadline.paused_at = deadline.next_action_at = None
        with following(reason):
            deadline.save()
        cancel_unsent(deadline, reason=reason, state=NoticeState.SUPERSEDED)


def begin_again(
    incident: Incident, *, at: dt.datetime, now: dt.datetime, agreement: ServiceAgreement | None = None
) -> list[Deadline]:
    """After reopening: mitigation, resolution and updates are owed again; what else was met stays met.

    By every affected agreement, or by one alone that had no part in the reopening.

    Where the clause lets the clock stop, the same deadline goes on (the time in between is a pause); else a new cycle
    begins at `at`. What was done or missed after the resolution that is now withdrawn keeps the start that it had.
    """
    withdrawn = incident.deadlines.filter(start_event=StartEvent.RESOLVED)
    keep_starts(withdrawn, overdue_at=at)
    latest: dict[int, Deadline] = {}
    owed = incident.deadlines.filter(severity=incident.severity, obligation__in=OWED_AGAIN)
    owed = owed.filter(agreement__in=incident.affected_agreements.included().values("agreement"))
    if agreement is not None:
        owed = owed.filter(agreement=agreement)
    for deadline in owed.order_by("cycle"):
        latest[deadline.commitment_id] = deadline
    again = []
    for deadline in latest.values():
        if deadline.is_open or (deadline.met_at is not None and deadline.met_at > at):
            continue
        keep_starts(deadline.followers.all(), overdue_at=at)
        if deadline.met_at and deadline.terms.is_pausable and deadline.obligation != Obligation.UPDATE:
            again.append(_go_on(deadline, incident, now))
            continue
        following = _begin_next_cycle(deadline, incident, begins_at=at, now=now)
        for follower in deadline.followers.open().filter(begins_at__isnull=True):
            follower.follows = following
            follower.save()
        again.append(following)
    return again


def keep_starts(deadlines: QuerySet[Deadline], *, overdue_at: dt.datetime) -> None:
    """What is done, or was overdue by then, keeps the start that it had, whatever becomes of its start event."""
    is_settled = Q(met_at__isnull=False) | Q(ended_at__isnull=False) | Q(due_at__lt=overdue_at)
    for deadline in deadlines.filter(is_settled, begins_at__isnull=True, started_at__isnull=False):
        deadline.begins_at = deadline.started_at
        deadline.save()


def _go_on(deadline: Deadline, incident: Incident, now: dt.datetime) -> Deadline:
    deadline.met_at = None
    _move(deadline, course_of(deadline, incident), now)
    return deadline


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


def cancel_unsent_to(client: Client, incident: Incident, *, reason: str) -> int:
    """Take whatever waits to be sent about this incident to or because of this client out of the queue, saying why."""
    unsent = Notice.objects.waiting().filter(incident=incident, client=client)
    return unsent.update(state=NoticeState.CANCELLED, state_reason=reason)


# ── changing the terms on purpose ───────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Change:
    """What a deadline would become by the agreement, calendar and time zone rules as they read now."""

    deadline: Deadline
    terms: AgreedTerms
    course: Course

    @property
    def moves(self) -> bool:
        """Whether its due time would be another."""
        return self.course.plan.due_at != self.deadline.due_at


def changes_by(deadlines: DeadlineQuerySet) -> Iterator[Change]:
    """Those of the open deadlines that would change, with what they would become; nothing is written.

    An edited agreement, an edited calendar and new time zone rules move nothing until somebody applies them.
    """
    present: dict[int, AgreedTerms] = {}
    rows = deadlines.open().select_related("incident", "client", "follows", "commitment__agreement__calendar")
    for deadline in rows.order_by("pk").prefetch_related("incident__pauses").iterator(chunk_size=500):
        if deadline.commitment_id not in present:
            present[deadline.commitment_id] = agreed_terms(deadline.commitment)
        terms = present[deadline.commitment_id]
        course = course_of(deadline, deadline.incident, terms)
        if terms.digest() != deadline.terms_copy_id or not course.is_that_of(deadline):
            yield Change(deadline, terms, course)


def apply_change(change: Change, *, now: dt.datetime) -> None:
    """Give the deadline its present terms; expects the caller's transaction with the incident locked."""
    deadline = change.deadline
    deadline.terms_copy = TermsCopy.of(change.terms)
    deadline.iana_version = zones.IANA_VERSION
    _move(deadline, change.course, now)


def wrong_ones(deadlines: QuerySet[Deadline]) -> Iterator[tuple[Deadline, Course]]:
    """Those whose stored values are not what their own copied terms give, with what these give."""
    rows = deadlines.select_related("incident", "follows").prefetch_related("incident__pauses").order_by("pk")
    rows = rows.defer("moments", "follows__moments", "incident__description", "incident__client_summary")
    for deadline in rows.iterator(chunk_size=2000):
        course = course_of(deadline, deadline.incident)
        if not course.is_that_of(deadline):
            yield deadline, course
