"""Who is told what about reviews and their actions, and when. Colleagues only; no client ever reads any of it.

A day is the reader's own, and begins for these mails at MORNING. A notice is made once for each moment, review or
action, and address, which the database decides; so each step is safe to repeat, anywhere, at the same time.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import Exists, OuterRef, Q
from django.urls import reverse
from django.utils import formats, translation
from django.utils.translation import gettext as _

from config import roles, scope, times
from config.history import history_of
from config.models import User
from incidents import notices
from incidents.models import Incident, Notice
from incidents.models.notice import NoticeKind, NoticeState
from reviews import lifecycle, owed
from reviews.models import CorrectiveAction, Effect, PostIncidentReview, ReviewPolicy, ReviewStatus

#: Nobody is written to at night.
MORNING = dt.timedelta(hours=7)
#: Days after its due day on which an action that is not done becomes a matter for who hears of violations.
ESCALATED_AFTER = 7
#: Earlier than every reader's day, and later than that.
_ANY_ZONE = dt.timedelta(days=2)

#: What a notice is unique by: incident, moment, address.
Key = tuple[int | None, str, str]


def day_of(reader: User, now: dt.datetime) -> dt.date:
    """The reader's day: until MORNING it is still the one before."""
    return (now.astimezone(ZoneInfo(reader.time_zone)) - MORNING).date()


@dataclass(frozen=True)
class Telling:
    """One mail that should go out by now: to whom, for which moment, and what it says in the reader's language."""

    kind: NoticeKind
    to: User
    moment: str
    incident: Incident | None
    about: CorrectiveAction | PostIncidentReview | None
    headline: str
    message: str
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> Key:
        return (self.incident.pk if self.incident else None, self.moment, self.to.email)

    def composed(self, now: dt.datetime) -> Notice:
        action: dict[str, Any] = {"action": self.about} if isinstance(self.about, CorrectiveAction) else {}
        return notices.to_colleague(
            self.kind,
            self.to,
            now=now,
            moment=self.moment,
            incident=self.incident,
            link=_link(self.about),
            headline=self.headline,
            message=self.message,
            **action,
            **self.facts,
        )


def _link(about: CorrectiveAction | PostIncidentReview | None) -> str:
    if about is None:
        return f"{reverse('admin:reviews_correctiveaction_changelist')}?progress=open"
    return reverse(f"admin:reviews_{about._meta.model_name}_change", args=[about.pk])


def _send(wanted: Iterable[Telling], now: dt.datetime) -> int:
    """Queue those that were not made before; how many."""
    tellings = list(wanted)
    known = _known(tellings)
    rows = [telling.composed(now) for telling in tellings if telling.key not in known]
    if rows:
        notices.queue(rows)
    return len(rows)


def _known(tellings: Collection[Telling]) -> set[Key]:
    """The keys of those that were made before."""
    if not tellings:
        return set()
    made = Notice.objects.filter(deadline__isnull=True, moment__in={telling.moment for telling in tellings}).order_by()
    incidents = {telling.incident.pk for telling in tellings if telling.incident}
    of_incidents = made.filter(incident__in=incidents)
    of_none = made.filter(incident__isnull=True, kind=NoticeKind.OUTSTANDING)
    keys = ("incident", "moment", "recipient_address")
    return {*of_incidents.values_list(*keys), *of_none.values_list(*keys)}


# ── owners ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def remind_owners(now: dt.datetime) -> int:
    """Before the due day and on the first day after it: the latest of the two alone, to whoever owns it now."""
    wanted = list(_reminders(now))
    _set_aside({telling.key for telling in wanted})
    return _send(wanted, now)


def _actions(rows: Any) -> Iterator[CorrectiveAction]:
    """Of owners who can be mailed, with all that a mail says."""
    mailed = rows.filter(owner__in=notices.reachable_staff())
    return iter(mailed.select_related("owner", "review__incident", "review__policy").order_by("due_on", "pk"))


def _reminders(now: dt.datetime) -> Iterator[Telling]:
    longest = max(ReviewPolicy.objects.values_list("reminded_before", flat=True), default=0)
    until = now.date() + _ANY_ZONE + dt.timedelta(days=max(longest, owed.WITHOUT_POLICY.reminded_before))
    for action in _actions(CorrectiveAction.objects.all().open().filter(due_on__lte=until)):
        left = (action.due_on - day_of(action.owner, now)).days
        if left > owed.rules(action.review).reminded_before:
            continue
        with translation.override(action.owner.language):
            due = formats.date_format(action.due_on)
            if left < 0:
                headline = _("Overdue: “%(what)s” was due on %(day)s") % {"what": action.what, "day": due}
                message = _("Finish it and say what shows it, agree on another day, or drop it and say why.")
            else:
                headline = _("“%(what)s” is due on %(day)s") % {"what": action.what, "day": due}
                message = _("You own this corrective action. Finish it and say what shows that it is done.")
        moment = f"action-{action.pk}-{'overdue' if left < 0 else 'due'}-{action.due_on}"
        incident = action.review.incident
        yield Telling(NoticeKind.ACTION_REMINDER, action.owner, moment, incident, action, headline, message)


def _set_aside(wanted: Collection[Key]) -> None:
    """What still waits for the mail server and is not so any more: it was done, handed over, or said by a later one."""
    for notice in Notice.objects.waiting().filter(kind=NoticeKind.ACTION_REMINDER).defer("text", "html"):
        if (notice.incident_id, notice.moment, notice.recipient_address) not in wanted:
            reason = _("It was no longer so before this was sent.")
            waiting = Notice.objects.waiting().filter(pk=notice.pk)
            waiting.update(state=NoticeState.SUPERSEDED, state_reason=reason)


def ask_whether_it_helped(now: dt.datetime) -> int:
    """The owner of a done action, once its day has come."""
    return _send(_checks(now), now)


def _checks(now: dt.datetime) -> Iterator[Telling]:
    for action in _actions(CorrectiveAction.objects.all().to_be_checked(now.date() + _ANY_ZONE)):
        assert action.check_on is not None  # noqa: S101 - so they were asked for
        if action.check_on > day_of(action.owner, now):
            continue
        with translation.override(action.owner.language):
            headline = _("Did it help: “%(what)s”?") % {"what": action.what}
            message = _("It has been done for a while. Say whether what it was meant for has happened again.")
        moment = f"action-{action.pk}-check-{action.check_on}"
        incident = action.review.incident
        yield Telling(NoticeKind.ACTION_EFFECT, action.owner, moment, incident, action, headline, message)


def tell_of_recurrence(now: dt.datetime) -> int:
    """The owner of an action that did not help and is open again."""
    return _send(_recurrences(), now)


def _recurrences() -> Iterator[Telling]:
    for action in _actions(CorrectiveAction.objects.all().open().filter(effect=Effect.RECURRED)):
        with translation.override(action.owner.language):
            headline = _("It happened again: “%(what)s” is open once more") % {"what": action.what}
            due = {"day": formats.date_format(action.due_on)}
            message = f"{lifecycle.recurrence(action)}\n\n{_('Say what will be done now. It is due on %(day)s.') % due}"
        moment = f"action-{action.pk}-recurred-{action.checked_on}"
        incident = action.review.incident
        yield Telling(NoticeKind.ACTION_EFFECT, action.owner, moment, incident, action, headline, message.strip())


# ── who hears of violations ─────────────────────────────────────────────────────────────────────────────────────────


class Told:
    """Whom a policy names, else every manager, as far as they can be mailed and see what it is about."""

    def __init__(self) -> None:
        self.reachable = notices.reachable_staff().in_bulk()
        managers = User.groups.through.objects.filter(group__name=roles.MANAGER)
        self.managers = [
            self.reachable[key]
            for key in managers.order_by("user").values_list("user", flat=True)
            if key in self.reachable
        ]
        self._seen: dict[int, set[int]] = {}

    def of(self, policy: ReviewPolicy | None) -> list[User]:
        """A named one whose account is closed is no longer there to hear of it: then the managers do."""
        named = self.reachable.get(policy.told_of_violations_id or 0) if policy else None
        return [named] if named else self.managers

    def about(self, review: PostIncidentReview) -> list[User]:
        return [
            user
            for user in self.of(review.policy)
            if scope.clients_of(user) is None
            or scope.visible(PostIncidentReview.objects.filter(pk=review.pk), user).exists()
        ]


def escalate(now: dt.datetime) -> int:
    """What is overdue for ESCALATED_AFTER days."""
    return _send(_escalations(now), now)


def _escalations(now: dt.datetime) -> Iterator[Telling]:
    told = Told()
    until = now.date() + _ANY_ZONE - dt.timedelta(days=ESCALATED_AFTER)
    rows = CorrectiveAction.objects.all().open().filter(due_on__lte=until)
    for action in rows.select_related("owner", "review__incident", "review__policy"):
        for reader in told.about(action.review):
            if (day_of(reader, now) - action.due_on).days < ESCALATED_AFTER:
                continue
            with translation.override(reader.language):
                headline = _("Not done: “%(what)s”") % {"what": action.what}
                due = {"who": action.owner.audit_name, "day": formats.date_format(action.due_on)}
                message = _("It was due on %(day)s. Its owner is %(who)s: talk to them, or hand it over.") % due
            moment = f"action-{action.pk}-escalated-{action.due_on}"
            yield Telling(
                NoticeKind.REVIEW_VIOLATION, reader, moment, action.review.incident, action, headline, message
            )


def tell_of_violations(now: dt.datetime) -> int:
    """A review that is not approved in time, and one without an action in time; of an earlier approval it is kept."""
    return _send([*_unapproved(now), *_unassigned(now)], now)


def _begun() -> Any:
    rows = PostIncidentReview.objects.filter(status__in=(ReviewStatus.DRAFT, ReviewStatus.IN_REVIEW))
    return rows.select_related("incident", "facilitator", "policy__calendar").order_by("pk")


def _unapproved(now: dt.datetime) -> Iterator[Telling]:
    told = Told()
    in_time = history_of(PostIncidentReview).objects.filter(id=OuterRef("pk"), approved_at__lte=OuterRef("due_at"))
    for review in _begun().filter(~Exists(in_time), due_at__lt=now):
        for reader in told.about(review):
            with translation.override(reader.language):
                due = {"due": times.in_zone(review.due_at, reader.time_zone), "who": review.facilitator.audit_name}
                headline = _("Review of %(ref)s is not approved in time") % {"ref": review.incident.reference}
                message = _("It was due by %(due)s. Its facilitator is %(who)s.") % due
            moment = f"review-{review.pk}-unapproved-{review.due_at:%Y-%m-%d}"
            yield Telling(NoticeKind.REVIEW_VIOLATION, reader, moment, review.incident, review, headline, message)


def _unassigned(now: dt.datetime) -> Iterator[Telling]:
    told = Told()
    none_yet = _begun().filter(~Exists(CorrectiveAction.objects.filter(review=OuterRef("pk"))), policy__isnull=False)
    for review in none_yet.filter(incident__resolved_at__lt=now):
        within = review.policy.actions_assigned_within
        due = owed.after_days(review.policy, review.incident.resolved_at, within)
        if due >= now:
            continue
        for reader in told.about(review):
            with translation.override(reader.language):
                facts = {"due": times.in_zone(due, reader.time_zone), "who": review.facilitator.audit_name}
                headline = _("Review of %(ref)s has no corrective action yet") % {"ref": review.incident.reference}
                message = _("One was to be assigned by %(due)s. Its facilitator is %(who)s.") % facts
            moment = f"review-{review.pk}-unassigned-{due:%Y-%m-%d}"
            yield Telling(NoticeKind.REVIEW_VIOLATION, reader, moment, review.incident, review, headline, message)


# ── the weekly list ─────────────────────────────────────────────────────────────────────────────────────────────────


def list_outstanding(now: dt.datetime) -> int:
    """On its policy's weekday what is open of the reviews under it; on Monday, to managers, of those under none.

    One mail for each reader and day, never later. A policy that is out of use goes on for the reviews that began
    under it, as its reminders do.
    """
    return _send(_lists(now), now)


def _lists(now: dt.datetime) -> Iterator[Telling]:
    told = Told()
    readers: dict[int, Q] = defaultdict(Q)
    for policy in (owed.WITHOUT_POLICY, *ReviewPolicy.objects.filter(outstanding_on__isnull=False)):
        for reader in told.of(policy):
            local = now.astimezone(ZoneInfo(reader.time_zone))
            if local.isoweekday() == policy.outstanding_on and local.date() == day_of(reader, now):
                readers[reader.pk] |= Q(review__policy=policy.pk) if policy.pk else Q(review__policy__isnull=True)
    for key, theirs in readers.items():
        reader = told.reachable[key]
        today = day_of(reader, now)
        rows = CorrectiveAction.objects.all().open().filter(theirs)
        actions = list(scope.visible(rows, reader).select_related("owner", "review__incident").order_by("due_on", "pk"))
        for action in actions:
            action.is_overdue = action.due_on < today  # type: ignore[attr-defined]  # for the template
        if not actions:
            continue
        late = sum(action.due_on < today for action in actions)
        with translation.override(reader.language):
            counts = {"open": len(actions), "late": late}
            headline = _("Outstanding corrective actions: %(open)d, overdue: %(late)d") % counts
            message = _("Open on %(day)s, the earliest due first:") % {"day": formats.date_format(today)}
        moment, facts = f"outstanding-{today}", {"actions": actions}
        yield Telling(NoticeKind.OUTSTANDING, reader, moment, None, None, headline, message, facts)
