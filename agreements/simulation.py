"""What would happen if an incident were detected then: every due time, every mail, and the traps on the way.

Reads the agreement and computes with the plan of production; saves nothing.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from agreements import clock
from agreements.explanation import AUDIENCES, Explanation, exactly, explain, length, moment_in_words
from agreements.models import Client, Commitment, Contact, Obligation, ServiceAgreement, StartEvent
from agreements.models.commitment import event_in_words
from agreements.terms import AgreedTerms, Audience, Moment, MomentKind, Plan, agreed_terms
from config import roles, zones
from config.models import User

#: A holding notice that goes out later than this before its deadline leaves nobody the time to act on it.
SHORTEST_HOLD = dt.timedelta(minutes=15)

_INSTANT = dt.timedelta(microseconds=1)
_NOTHING: Mapping[str, dt.datetime] = MappingProxyType({})
_NONE_MET: Mapping[int, dt.datetime] = MappingProxyType({})


@dataclass(frozen=True)
class Mail:
    """What goes out by itself at a moment if nobody has acted by then, and to whom by name."""

    moment: Moment
    what: str
    to: tuple[str, ...]

    @property
    def at(self) -> dt.datetime:
        return self.moment.at


@dataclass(frozen=True)
class SimulatedDeadline:
    """One commitment as it would run. Without `started_at` it waits, and `waits_for` says what for."""

    commitment: Commitment
    terms: AgreedTerms
    started_at: dt.datetime | None
    plan: Plan
    waits_for: str = ""
    done_at: dt.datetime | None = None  # where the question says so
    assumption: str = ""
    explanation: Explanation | None = None
    mails: tuple[Mail, ...] = ()

    @property
    def due_at(self) -> dt.datetime | None:
        return self.plan.due_at

    @property
    def name(self) -> str:
        return self.commitment.name_in_words()

    @property
    def asks(self) -> str:
        return self.terms.in_words(self.commitment.start_event)


@dataclass(frozen=True)
class Simulation:
    """The deadlines by due time, then those without a number, then those that wait; and the traps, as sentences."""

    agreement: ServiceAgreement
    severity: str
    detected_at: dt.datetime
    deadlines: tuple[SimulatedDeadline, ...]
    traps: tuple[str, ...]

    @property
    def mails(self) -> list[tuple[SimulatedDeadline, Mail]]:
        """Every mail of all deadlines in the order in which they go out."""
        found = [(deadline, mail) for deadline in self.deadlines for mail in deadline.mails]
        return sorted(found, key=lambda pair: pair[1].at)


def simulate(
    agreement: ServiceAgreement,
    *,
    severity: str,
    detected_at: dt.datetime,
    events: Mapping[str, dt.datetime] = _NOTHING,
    met: Mapping[int, dt.datetime] = _NONE_MET,
) -> Simulation:
    """What an incident of this severity would set in motion; a fixed number of queries, and nothing is saved.

    `events` gives the instants of other start events by their name; awareness that is left out comes with detection.
    `met` says when a commitment (by its key) is met; one that another follows is else taken to be met when it is due.
    Raises ClockError where the agreement's terms cannot be counted.
    """
    instants = {
        StartEvent.AWARE: detected_at,
        **{StartEvent(name): at for name, at in events.items()},
        StartEvent.DETECTED: detected_at,
    }
    directory = _Directory.of(agreement)
    run = _Run(instants, met, directory, {c.pk: c for c in _commitments(agreement, severity)})
    deadlines = sorted((run.deadline(pk) for pk in run.commitments), key=_by_due_time)
    traps = _Traps(agreement, detected_at, directory, deadlines).sentences()
    return Simulation(agreement, severity, detected_at, tuple(deadlines), tuple(dict.fromkeys(traps)))


def _commitments(agreement: ServiceAgreement, severity: str) -> list[Commitment]:
    found = agreement.commitments.filter(severity=severity).select_related("follows")
    commitments = list(found.prefetch_related("warning_points"))
    calendar = agreement.calendar
    [with_hours] = type(calendar).objects.filter(pk=calendar.pk).prefetch_related("hours", "special_days")
    agreement.calendar = with_hours  # read once, for every commitment
    for commitment in commitments:
        commitment.agreement = agreement
    return commitments


def _by_due_time(deadline: SimulatedDeadline) -> tuple[bool, bool, dt.datetime, int]:
    far = dt.datetime.max.replace(tzinfo=dt.UTC)
    return deadline.started_at is None, deadline.due_at is None, deadline.due_at or far, deadline.commitment.pk


# ── who would be mailed ─────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _Directory:
    """The people whom the mails of one agreement would reach, as the outbox finds them."""

    client: Client
    contacts: tuple[Contact, ...]
    owner: User | None
    managers: int
    operators: int

    @classmethod
    def of(cls, agreement: ServiceAgreement) -> _Directory:
        owner = agreement.owner
        groups = User.objects.filter(is_active=True, groups__name__in=(roles.MANAGER, roles.OPERATOR)).exclude(email="")
        names = list(groups.values_list("groups__name", flat=True))
        return cls(
            client=agreement.client,
            contacts=tuple(Contact.objects.usable().filter(client=agreement.client_id)),
            owner=owner if owner and owner.is_active and owner.email else None,
            managers=names.count(roles.MANAGER),
            operators=names.count(roles.OPERATOR),
        )

    def is_empty(self, audience: Audience) -> bool:
        """Responders never are: whoever declares an incident is one of them."""
        return {
            Audience.CONTACTS: not self.contacts,
            Audience.OWNER: self.owner is None,
            Audience.MANAGERS: not self.managers,
        }.get(audience, False)

    def names(self, audience: Audience) -> Iterator[str]:
        """The contacts by name, colleagues by what they are; an audience without anybody says so."""
        label = str(AUDIENCES[audience])
        if audience is Audience.CONTACTS:
            yield from (str(contact) for contact in self.contacts)
            if not self.contacts:
                yield _("the operators and the managers, because nobody at %(client)s gets mail") % {
                    "client": self.client
                }
        elif self.is_empty(audience):
            yield _("%(audience)s (nobody)") % {"audience": label}
        elif audience is Audience.OWNER and self.owner:
            yield f"{label} ({self.owner.get_full_name() or self.owner.username})"
        else:
            yield label

    def mail(self, moment: Moment, terms: AgreedTerms) -> Mail:
        to = tuple(name for audience in moment.audience for name in self.names(audience))
        return Mail(moment, moment_in_words(moment, terms), to)


# ── how the deadlines would run ─────────────────────────────────────────────────────────────────────────────────────

_DONE_BY: Mapping[str, StartEvent] = {
    Obligation.ACKNOWLEDGE: StartEvent.ACKNOWLEDGED,
    Obligation.UPDATE: StartEvent.RESOLVED,  # no longer owed from then on
    Obligation.MITIGATE: StartEvent.RESOLVED,
    Obligation.RESOLVE: StartEvent.RESOLVED,
}


class _Run:
    """The commitments of one severity, each worked out once and after the one that it follows."""

    def __init__(
        self,
        instants: Mapping[StartEvent, dt.datetime],
        met: Mapping[int, dt.datetime],
        directory: _Directory,
        commitments: Mapping[int, Commitment],
    ) -> None:
        self.instants = instants
        self.met = met
        self.directory = directory
        self.commitments = commitments
        self._known: dict[int, SimulatedDeadline] = {}

    def deadline(self, pk: int) -> SimulatedDeadline:
        if pk not in self._known:
            self._known[pk] = self._work_out(self.commitments[pk])
        return self._known[pk]

    def _work_out(self, commitment: Commitment) -> SimulatedDeadline:
        terms = agreed_terms(commitment)
        started_at, assumption = self._start(commitment)
        if started_at is None:
            waits_for = event_in_words(commitment.start_event, terms.follows)
            return SimulatedDeadline(commitment, terms, None, Plan(None, None, ()), waits_for=waits_for)
        cap_started_at = self.instants.get(StartEvent(terms.cap_event)) if terms.cap_event else None
        told = explain(terms, started_at, start_event=commitment.start_event, cap_started_at=cap_started_at)
        done_at = self._done_at(commitment)
        moments = [moment for moment in told.plan.moments if self._goes_out(moment, started_at, done_at)]
        return SimulatedDeadline(
            commitment,
            terms,
            started_at,
            told.plan,
            done_at=done_at,
            assumption=assumption,
            explanation=told,
            mails=tuple(self.directory.mail(moment, terms) for moment in moments),
        )

    def _start(self, commitment: Commitment) -> tuple[dt.datetime | None, str]:
        """When its clock starts, and what had to be assumed for that."""
        if commitment.follows_id is None:
            return self.instants.get(StartEvent(commitment.start_event)), ""
        earlier = self.deadline(commitment.follows_id)
        if earlier.done_at is not None:
            return earlier.done_at, ""
        if earlier.due_at is None:
            return None, ""
        return earlier.due_at, _("if “%(name)s” is met exactly when it is due") % {"name": earlier.name}

    def _done_at(self, commitment: Commitment) -> dt.datetime | None:
        if commitment.pk in self.met:
            return self.met[commitment.pk]
        event = _DONE_BY.get(commitment.obligation)
        return self.instants.get(event) if event else None

    def _goes_out(self, moment: Moment, started_at: dt.datetime, done_at: dt.datetime | None) -> bool:
        """Not once it is done, and no warning of a moment that had passed before anybody could send it."""
        if done_at is not None and moment.at >= done_at:
            return False
        return moment.kind != MomentKind.WARNING or moment.at > max(started_at, self.instants[StartEvent.DETECTED])


# ── traps ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class _Traps:
    """What would surprise people, each in one sentence that says what to look at."""

    def __init__(
        self,
        agreement: ServiceAgreement,
        detected_at: dt.datetime,
        directory: _Directory,
        deadlines: Iterable[SimulatedDeadline],
    ) -> None:
        self.agreement = agreement
        self.detected_at = detected_at
        self.directory = directory
        self.deadlines = list(deadlines)
        self.zone_name = agreement.calendar.time_zone

    def sentences(self) -> Iterator[str]:
        yield from self._not_in_force()
        yield from self._nobody()
        yield from self._special_days_end()
        yield from self._closed()
        for deadline in self.deadlines:
            if deadline.due_at is not None:
                yield from self._overdue_at_once(deadline, deadline.due_at)
                yield from self._warnings_that_never_come(deadline)
                yield from self._short_hold(deadline, deadline.due_at)

    def _at(self, instant: dt.datetime) -> str:
        return exactly(instant, self.zone_name)

    def _not_in_force(self) -> Iterator[str]:
        begins_at, ends_at = self.agreement.effective_at, self.agreement.ends_at
        if self.detected_at < begins_at or (ends_at is not None and self.detected_at >= ends_at):
            yield _("%(agreement)s is not in force at that moment, so none of this would be owed under it.") % {
                "agreement": self.agreement
            }

    def _nobody(self) -> Iterator[str]:
        addressed = {a for deadline in self.deadlines for moment in deadline.plan.moments for a in moment.audience}
        is_owed_to_client = any(deadline.commitment.obligation == Obligation.NOTIFY for deadline in self.deadlines)
        if not self.directory.contacts and (is_owed_to_client or Audience.CONTACTS in addressed):
            yield _("Nobody at %(client)s gets mail: give the client a contact, or no notice can reach it.") % {
                "client": self.agreement.client
            }
        if Audience.OWNER in addressed and self.directory.is_empty(Audience.OWNER):
            yield _("Mails to the agreement's owner reach nobody: no owner who can be mailed is set.")
        if Audience.MANAGERS in addressed and self.directory.is_empty(Audience.MANAGERS):
            yield _("Mails to the managers reach nobody: no colleague who can be mailed has that role.")

    def _special_days_end(self) -> Iterator[str]:
        """Asked once, of the latest due time that the calendar moves."""
        counted = [deadline for deadline in self.deadlines if deadline.due_at and _heeds_calendar(deadline.terms.terms)]
        if not counted:
            return
        latest = max(counted, key=lambda deadline: deadline.due_at or self.detected_at)
        special_days = latest.terms.calendar.special_days
        if not special_days or latest.due_at is None:
            return
        last = max(special_days)
        if last < (latest.due_at - _INSTANT).astimezone(zones.zone(self.zone_name)).date():
            yield _(
                "The calendar “%(calendar)s” knows closures and changed days until %(last)s only, but “%(name)s” is "
                "due at %(at)s: enter those in between."
            ) % {
                "calendar": self.agreement.calendar.name,
                "last": last.isoformat(),
                "name": latest.name,
                "at": self._at(latest.due_at),
            }

    def _closed(self) -> Iterator[str]:
        """One sentence for each time in which the calendar is closed, with all that is due in it."""
        found: dict[dt.datetime, list[str]] = defaultdict(list)
        for deadline in self.deadlines:
            if deadline.due_at is not None and (opens_at := _closed_until(deadline, deadline.due_at)):
                said = {"name": deadline.name, "at": self._at(deadline.due_at)}
                found[opens_at].append(_("“%(name)s” is due at %(at)s") % said)
        for opens_at, due in found.items():
            yield _("%(due)s, when the calendar is closed; it opens again at %(opens)s.") % {
                "due": "; ".join(due),
                "opens": self._at(opens_at),
            }

    def _overdue_at_once(self, deadline: SimulatedDeadline, due_at: dt.datetime) -> Iterator[str]:
        if due_at <= self.detected_at:
            yield _("“%(name)s” is overdue as soon as the incident is detected: it was due at %(at)s.") % {
                "name": deadline.name,
                "at": self._at(due_at),
            }

    def _warnings_that_never_come(self, deadline: SimulatedDeadline) -> Iterator[str]:
        for moment in deadline.plan.moments:
            if moment.kind != MomentKind.WARNING or deadline.started_at is None:
                continue
            said = {"what": moment_in_words(moment, deadline.terms), "name": deadline.name, "at": self._at(moment.at)}
            if moment.at <= deadline.started_at:
                yield _("%(what)s of “%(name)s” would come before the clock starts, so it is never sent.") % said
            elif moment.at <= self.detected_at:
                yield _("%(what)s of “%(name)s” was to come at %(at)s, before detection, so it is never sent.") % said

    def _short_hold(self, deadline: SimulatedDeadline, due_at: dt.datetime) -> Iterator[str]:
        for moment in deadline.plan.moments:
            if moment.kind == MomentKind.HOLDING and due_at - moment.at < SHORTEST_HOLD:
                left = length(_whole_seconds(due_at - moment.at))
                minutes = SHORTEST_HOLD // dt.timedelta(minutes=1)
                yield ngettext(
                    "The holding notice of “%(name)s” goes out only %(left)s before it is due, less than "
                    "%(minutes)d minute.",
                    "The holding notice of “%(name)s” goes out only %(left)s before it is due, less than "
                    "%(minutes)d minutes.",
                    minutes,
                ) % {"name": deadline.name, "left": left, "minutes": minutes}


def _heeds_calendar(terms: clock.Terms) -> bool:
    """Whether a closure can move what these terms ask."""
    limits = [limit for limit in (terms.allowance, terms.cap) if limit is not None]
    return terms.roll is not clock.Roll.NONE or any(
        limit.unit.is_business or (not limit.unit.is_exact and terms.day_end is clock.DayEnd.CLOSE_OF_BUSINESS)
        for limit in limits
    )


def _closed_until(deadline: SimulatedDeadline, due_at: dt.datetime) -> dt.datetime | None:
    """When the calendar opens again that is closed when it is due; None where that is as agreed.

    A due time on closing time is, and so is the midnight that ends a business day.
    """
    calendar, last = deadline.terms.calendar, due_at - _INSTANT
    if clock.is_open(calendar, last) or (_ends_with_a_day(deadline) and _has_opening_on_the_day_of(calendar, last)):
        return None
    try:
        return clock.add(calendar, due_at, _INSTANT) - _INSTANT
    except clock.ClockError:
        return None  # nothing opens for more than a year: the calendar's own page says so


def _ends_with_a_day(deadline: SimulatedDeadline) -> bool:
    counted = deadline.explanation.counted if deadline.explanation else None
    return counted is not None and not counted.unit.is_exact


def _has_opening_on_the_day_of(calendar: clock.Calendar, at: dt.datetime) -> bool:
    zone = zones.zone(calendar.time_zone)
    midnight = at.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    tomorrow = (midnight + dt.timedelta(days=1)).astimezone(dt.UTC)
    return bool(clock.openings(calendar, midnight.astimezone(dt.UTC), tomorrow))


def _whole_seconds(span: dt.timedelta) -> dt.timedelta:
    return dt.timedelta(seconds=round(span.total_seconds()))
