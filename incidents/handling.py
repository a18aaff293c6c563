"""What people decide: about a notice that no worker can bring further, and about sending as a whole.

A worker touches a notice only while it waits or while it holds its lease; a person only while it is stuck (failed, or
in doubt). Every verb here takes who (`by`), the present instant (`now`) and why (`reason`), is one transaction, and
raises Refused with a sentence, nothing half done, if the notice is not stuck any more.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import models, transaction
from django.db.models import F, Max
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from agreements.models import Client, Contact, Obligation
from config.history import acting
from config.models import User
from incidents import lifecycle, outbox, tasks
from incidents.lifecycle import Refused
from incidents.models import Deadline, DeliveryAttempt, Incident, Notice, Sending
from incidents.models.deadline import DeadlineQuerySet
from incidents.models.notice import (
    PLANNED_KINDS,
    SETTLED_STATES,
    STUCK_STATES,
    NoticeKind,
    NoticeQuerySet,
    NoticeState,
    Outcome,
)
from incidents.outbox import MEETS

#: What `cases` reads beside the notices themselves.
READ_WITH = ("incident", "client", "contact", "deadline", "acknowledgement")

OFF = dt.timedelta(minutes=1)  # how far the mail server's clock may be from the database's


class Channel(models.TextChoices):
    """By what else than our mail a client was told."""

    PHONE = "phone", gettext_lazy("Phone")
    PORTAL = "portal", gettext_lazy("Portal or ticket")
    CHAT = "chat", gettext_lazy("Chat or text message")
    IN_PERSON = "in_person", gettext_lazy("In person")
    OTHER_MAIL = "other_mail", gettext_lazy("Mail from another account")
    OTHER = "other", gettext_lazy("Something else")


# ── what there is to decide ─────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Case:
    """A notice with what a person has to know to decide about it."""

    notice: Notice
    #: Open deadlines that its acceptance would meet, the nearest due first; empty once another contact's copy counted.
    owed: Sequence[Deadline]
    #: Its message has reached another contact of that client, or this one without the row knowing.
    is_told: bool
    #: When its outcome was last unknown; None if every try was refused before anything was transmitted.
    doubtful_at: dt.datetime | None

    @property
    def is_stuck(self) -> bool:
        return self.notice.state in STUCK_STATES

    @property
    def may_have_arrived(self) -> bool:
        return self.is_stuck and self.doubtful_at is not None

    @property
    def can_be_told_otherwise(self) -> bool:
        return self.is_stuck and bool(self.owed)

    @property
    def can_be_set_aside(self) -> bool:
        """Nothing is owed by it, or what it was made for is done; a further step has a deadline of its own."""
        deadline = self.notice.deadline
        return self.is_stuck and (not self.owed or (deadline is not None and not deadline.is_open))

    @property
    def is_pointless(self) -> bool:
        """A worker that takes it would cancel it: it was planned for a deadline that is done."""
        deadline = self.notice.deadline
        is_done = deadline is not None and not deadline.is_open
        return is_done and self.notice.kind in PLANNED_KINDS and not self.is_told

    @property
    def acknowledged_at(self) -> dt.datetime | None:
        """When the client pressed the button that its mail leads to: proof that it arrived."""
        return self.notice.acknowledgement.at if hasattr(self.notice, "acknowledgement") else None

    @property
    def is_unreachable(self) -> bool:
        """A worker that takes it would cancel it: its contact is not mailed any more."""
        return not outbox.is_reachable(self.notice)

    @property
    def new_address(self) -> str:
        """Where the contact is mailed by now, if that is not where this notice goes."""
        contact = self.notice.contact
        if contact is None or contact.address.lower() == self.notice.recipient_address.lower():
            return ""
        return contact.address


def case_of(notice: Notice) -> Case:
    return cases([notice])[0]


def cases(notices: Sequence[Notice]) -> list[Case]:
    """The cases of these notices, in their order and in a fixed number of queries if READ_WITH came with them."""
    owed, reached, tries = _owed(notices), _reached(notices), _tries(notices)
    found = []
    for notice in notices:
        is_told = _copy(notice) in reached or (notice.pk, Outcome.ACCEPTED) in tries
        doubtful_at = tries.get((notice.pk, Outcome.AMBIGUOUS))
        found.append(Case(notice, [] if is_told else _asked_by(notice, owed), is_told, doubtful_at))
    return found


def owed_first(notices: NoticeQuerySet) -> NoticeQuerySet:
    """Those that a client still waits for before the others, the nearest contractual due time first."""
    obligation = models.Case(
        *(models.When(kind=kind, then=models.Value(obligation)) for kind, obligation in MEETS.items()),
        default=models.Value(""),
        output_field=models.CharField(),
    )
    owed = Deadline.objects.open().filter(
        incident=models.OuterRef("incident"),
        client=models.OuterRef("client"),
        obligation=models.OuterRef("meets"),
        started_at__lte=models.OuterRef("made_at"),
    )
    found: Any = notices.annotate(meets=obligation).annotate(is_owed=models.Exists(owed))
    return found.order_by("-is_owed", "due_at", "pk")  # type: ignore[no-any-return]


def owed_to_the_unreachable() -> DeadlineQuerySet:
    """Open notices and updates, begun, of clients who have no contact that can be mailed."""
    mailable = Contact.objects.usable().filter(client=models.OuterRef("pk"))
    nobody = Client.objects.filter(~models.Exists(mailable))
    owed = Deadline.objects.open().filter(obligation__in=set(MEETS.values()), started_at__isnull=False)
    return owed.filter(client__in=nobody)


#: incident, client, obligation
Duty = tuple[int | None, int | None, str]


def _owed(notices: Sequence[Notice]) -> Mapping[Duty, list[Deadline]]:
    found: dict[Duty, list[Deadline]] = defaultdict(list)
    begun = Deadline.objects.open().filter(
        incident__in={notice.incident_id for notice in notices},
        client__in={notice.client_id for notice in notices},
        obligation__in=set(MEETS.values()),
        started_at__isnull=False,
    )
    begun = begun.select_related("incident", "client", "agreement", "commitment")
    for deadline in begun.order_by(F("due_at").asc(nulls_last=True), "pk"):
        found[deadline.incident_id, deadline.client_id, deadline.obligation].append(deadline)
    return found


def _asked_by(notice: Notice, owed: Mapping[Duty, list[Deadline]]) -> list[Deadline]:
    obligation = _obligation(notice)
    if obligation is None:
        return []
    found = owed.get((notice.incident_id, notice.client_id, obligation), [])
    # As deadlines.meet has it: a notice does not meet what began after it was written.
    return [deadline for deadline in found if deadline.started_at and deadline.started_at <= notice.made_at]


def _obligation(notice: Notice) -> Obligation | None:
    """What its acceptance meets; None for a warning, an alarm, a canary."""
    if notice.client_id is None or notice.incident_id is None or notice.kind not in MEETS:
        return None
    return MEETS[NoticeKind(notice.kind)]


def _copy(notice: Notice) -> tuple[object, ...]:
    """What the copies of one message to the contacts of one client have in common."""
    return (notice.incident_id, notice.client_id, notice.moment, notice.deadline_id, notice.revision)


def _reached(notices: Sequence[Notice]) -> set[tuple[object, ...]]:
    accepted = Notice.objects.filter(
        incident__in={notice.incident_id for notice in notices},
        client__in={notice.client_id for notice in notices},
        kind__in=MEETS,
        accepted_at__isnull=False,
    )
    return set(accepted.order_by().values_list("incident", "client", "moment", "deadline", "revision").distinct())


def _tries(notices: Sequence[Notice]) -> Mapping[tuple[int, str], dt.datetime]:
    """(notice, outcome) → when it last had that outcome, of those outcomes after which a copy may exist."""
    tried = DeliveryAttempt.objects.filter(notice__in=notices, outcome__in=(Outcome.AMBIGUOUS, Outcome.ACCEPTED))
    last = tried.order_by().values("notice", "outcome").annotate(last_at=Max("at"))
    return {(notice, outcome): at for notice, outcome, at in last.values_list("notice", "outcome", "last_at")}


# ── what is done about a notice ─────────────────────────────────────────────────────────────────────────────────────


def send_again(notice: Notice, *, by: User, now: dt.datetime, reason: str) -> Notice:
    """Put a stuck notice back into the queue, with its tries counted anew and the same Message-ID, body and address."""
    with _deciding(notice, by, reason) as case:
        back = case.notice
        back.state = NoticeState.PENDING
        back.state_reason = _("Sent again by %(who)s.") % {"who": by.audit_name}
        back.next_attempt_at = now
        back.tries = back.ambiguous_tries = 0
        back.save()
        tasks.deliver.ring_on_commit()
    return back


def it_arrived(notice: Notice, *, by: User, now: dt.datetime, reason: str, evidence: str) -> Notice:
    """A person knows that a notice in doubt did arrive: it meets what its acceptance would have met.

    It counts as of its last try with an unknown outcome, the latest instant at which the server may have taken it
    (where a worker was lost, that try is dated by when the loss was noticed, which is later still: never in our
    favour). Nothing is met twice if another contact's copy was accepted before. Refused where no try is in doubt.
    """
    _require_evidence(evidence, _("Say how you know, for example who at the client has it before them."))
    with _deciding(notice, by, reason) as case:
        if case.doubtful_at is None:
            raise Refused(
                _("Every try was refused before the message was transmitted, so it cannot have arrived. ")
                + _("Send it again, or tell them by other means.")
            )
        arrived = case.notice
        why = _("It arrived, says %(who)s: %(evidence)s") % {"who": by.audit_name, "evidence": evidence}
        outbox.arrived(arrived, at=case.doubtful_at, why=why, now=now)
        if arrived.incident is not None:
            told = {"what": arrived.get_kind_display(), "evidence": evidence}
            text = _("%(what)s: it arrived although the mail server's answer was lost. %(evidence)s") % told
            at = max(case.doubtful_at, arrived.incident.detected_at)
            lifecycle.note(arrived.incident, text, by=by, now=now, at=at)
        tasks.raise_due.ring_on_commit()
    return arrived


def told_otherwise(
    notice: Notice,
    *,
    by: User,
    now: dt.datetime,
    reason: str,
    channel: Channel | str,
    evidence: str,
    at: dt.datetime | None = None,
) -> list[Notice]:
    """The client was told by another channel at `at` (default now): meets what is owed; returns the notices handled.

    Those are this one and the stuck ones of the same message to the client's other contacts: one telling serves all.
    Refused if the client waits for nothing that this notice would give, or if `at` cannot be.
    """
    _require_evidence(evidence, _("Say how they were told and who took it, for example a call and a name."))
    with _deciding(notice, by, reason) as case:
        client, obligation = case.notice.client, _obligation(case.notice)
        if client is None or case.notice.incident is None or obligation is None:
            raise Refused(_("This notice is owed to no client, so there is nobody to be told. Set it aside."))
        if not case.owed:
            raise Refused(_("%(client)s waits for nothing more of this. Set it aside.") % {"client": client})
        how = f"{Channel(channel).label}: {evidence}"
        lifecycle.record_told(case.notice.incident, client, obligation, by=by, now=now, at=at, evidence=how)
        handled = [case.notice, *siblings(case.notice).select_for_update(no_key=True).order_by("pk")]
        for row in handled:
            _handle(row, _("Told by other means, says %(who)s: %(how)s") % {"who": by.audit_name, "how": how})
        tasks.raise_due.ring_on_commit()
    return handled


def siblings(notice: Notice) -> models.QuerySet[Notice]:
    """The other stuck notices of the same moment to the same client about the same incident."""
    same = Notice.objects.needing_a_person().filter(client=notice.client_id, incident=notice.incident_id)
    return same.filter(moment=notice.moment, client__isnull=False, kind=notice.kind).exclude(pk=notice.pk)


def set_aside(notice: Notice, *, by: User, now: dt.datetime, reason: str) -> Notice:
    """Leave a stuck notice unsent for good: nothing is owed by it, or what it was made for is done.

    For a warning to a mailbox that is gone, or a copy whose message the client has by another way. Refused while a
    client waits for what it would give.
    """
    with _deciding(notice, by, reason) as case:
        if not case.can_be_set_aside:
            waiting = {"client": case.notice.client, "what": case.owed[0].get_obligation_display()}
            raise Refused(
                _("%(client)s still waits for this (%(what)s). Send it again, or tell them by other means.") % waiting
            )
        _handle(case.notice, _("Set aside by %(who)s: %(reason)s") % {"who": by.audit_name, "reason": reason})
    return case.notice


@contextlib.contextmanager
def _deciding(notice: Notice, by: User, reason: str) -> Iterator[Case]:
    """One transaction on the stuck notice, locked and freshly read with its case, told to the audit trail."""
    _require_reason(reason)
    with transaction.atomic(), acting(by, reason=reason):
        if notice.incident_id is not None:
            Incident.objects.locked().get(pk=notice.incident_id)  # before the notice, in the order in which verbs lock
        rows = Notice.objects.select_for_update(no_key=True, of=("self",)).select_related(*READ_WITH)
        case = case_of(rows.get(pk=notice.pk))
        if not case.is_stuck:
            is_now = {"state": case.notice.get_state_display()}
            raise Refused(_("Nothing was done: it needs nobody any more, it is “%(state)s” now.") % is_now)
        yield case


def mail_log_has(notice: Notice, *, by: User, now: dt.datetime, at: dt.datetime, reason: str, evidence: str) -> Notice:
    """After a backup was restored: by its log the mail server took this notice at `at`, so no copy of it goes any more.

    It meets what its acceptance would have met, as of then. Only while sending is held, so that no worker has it;
    refused for one that is settled here as well, and for an instant at which it cannot have been, even if the mail
    server's clock, which may leave fractions out, is a little off.
    """
    _require_reason(reason)
    _require_evidence(evidence, _("Say what the log says of it."))
    with transaction.atomic(), acting(by, reason=reason):
        if not Sending.objects.select_for_update(no_key=True).filter(is_held=True).exists():
            raise Refused(_("Hold sending first, so that no worker sends it meanwhile."))
        incident = Incident.objects.locked().get(pk=notice.incident_id) if notice.incident_id else None
        row = Notice.objects.select_for_update(no_key=True, of=("self",)).select_related(*READ_WITH).get(pk=notice.pk)
        if row.state in SETTLED_STATES:
            raise Refused(_("Nothing was done: it is “%(state)s” here.") % {"state": row.get_state_display()})
        if not row.made_at - OFF <= at <= now + OFF:
            raise Refused({"at": _("It was not there yet, or that lies in the future. Look at the zone.")})
        at = min(max(at, row.made_at), now)
        why = _("The mail server's log has it, says %(who)s: %(evidence)s")
        outbox.arrived(row, at=at, why=why % {"who": by.audit_name, "evidence": evidence}, now=now)
        if incident is not None:
            told = {"what": row.get_kind_display(), "evidence": evidence}
            text = _("%(what)s: the mail server's log has it. %(evidence)s") % told
            lifecycle.note(incident, text, by=by, now=now, at=max(at, incident.detected_at))
    return row


def _handle(notice: Notice, why: str) -> None:
    notice.state = NoticeState.HANDLED
    notice.state_reason = why[:500]
    notice.save()


def _require_reason(reason: str) -> None:
    if not reason.strip():
        raise Refused({"reason": _("Say why; it is kept in the audit trail.")})


def _require_evidence(evidence: str, sentence: str) -> None:
    if not evidence.strip():
        raise Refused({"evidence": sentence})


# ── sending as a whole ──────────────────────────────────────────────────────────────────────────────────────────────


def hold(*, by: User, now: dt.datetime, reason: str) -> Sending:
    """Stop all sending until it is released, as after restoring a backup. Notices are still made and deadlines run."""
    with _switching(by, reason) as sending:
        if sending.is_held:
            raise Refused(_("Sending is held already: %(why)s") % {"why": sending.hold_reason})
        sending.is_held, sending.held_at, sending.hold_reason = True, now, reason
        sending.full_clean()
        sending.save()
    return sending


def release(*, by: User, now: dt.datetime, reason: str) -> Sending:
    """Let mail go out again: what is due goes at once, what is owed first."""
    with _switching(by, reason) as sending:
        if not sending.is_held:
            raise Refused(_("Sending is not held, so there is nothing to release."))
        sending.is_held, sending.held_at, sending.hold_reason = False, None, ""
        sending.save()
        tasks.deliver.ring_on_commit()
    return sending


@contextlib.contextmanager
def _switching(by: User, reason: str) -> Iterator[Sending]:
    _require_reason(reason)
    with transaction.atomic(), acting(by, reason=reason):
        yield Sending.objects.select_for_update(no_key=True).get(pk=Sending.row().pk)


def held_back() -> tuple[int, dt.datetime | None]:
    """How many notices wait to be sent, and the nearest due time of those that are owed to a client."""
    waiting = Notice.objects.waiting()
    owed = waiting.filter(kind__in=MEETS).order_by("due_at").values_list("due_at", flat=True)
    return waiting.count(), owed.first()
