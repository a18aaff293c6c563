"""Who must be told what, and when: makes the rows of the outbox.

A notice is rendered here, once, and frozen: delivery only transports it.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from email.utils import parseaddr
from typing import Any

from django.conf import settings
from django.db import models, transaction
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import translation
from django.utils.html import linebreaks
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from agreements.models import Client, Contact, Obligation
from agreements.terms import Audience, Moment, MomentKind
from config import roles, times
from config.history import current_request_id_if_any
from config.instants import Watch
from config.models import User
from incidents import acknowledgement_link, deadlines, letter, placeholders
from incidents.models import AffectedService, Attachment, Deadline, Incident, Notice, Responder
from incidents.models.deadline import read_terms
from incidents.models.notice import FOLLOW_UPS, WARNINGS, NoticeKind, NoticeState, Rank

logger = logging.getLogger(__name__)

BATCH = 200  # deadlines raised in one transaction
FIRST_BATCH = 20  # the first of a burst is small, so that its first mail goes at once


@dataclass(frozen=True)
class Recipient:
    """One address, and how its reader wants times and words."""

    name: str
    address: str
    time_zone: str
    language: str
    contact_id: int | None = None
    user_id: int | None = None

    @classmethod
    def contact(cls, contact: Contact, client: Client) -> Recipient:
        return cls(contact.name, contact.address, client.time_zone, client.language, contact_id=contact.pk)

    @classmethod
    def colleague(cls, user: User) -> Recipient:
        name = user.get_full_name() or user.username
        return cls(name[:200], user.email, user.time_zone, user.language, user_id=user.pk)


def reachable_staff() -> models.QuerySet[User]:
    """Colleagues whose account is open and who can be mailed."""
    return User.objects.filter(is_active=True).exclude(email="")


@dataclass
class Directory:
    """Everybody and everything that the notices of these incidents need, read in a fixed number of queries."""

    incidents: Sequence[Incident]
    clients: Collection[int] | None = None  # only these; one incident may fall under a thousand agreements
    known: Iterable[Deadline] | None = None  # all of them, where they have been read already, with what is named below
    contacts: dict[int, list[Contact]] = field(default_factory=lambda: defaultdict(list))
    responders: dict[int, list[User]] = field(default_factory=lambda: defaultdict(list))
    services: dict[int, list[str]] = field(default_factory=lambda: defaultdict(list))
    deadlines: dict[tuple[int, int], list[Deadline]] = field(default_factory=lambda: defaultdict(list))
    managers: list[User] = field(default_factory=list)
    operators: list[User] = field(default_factory=list)

    def __post_init__(self) -> None:
        ids = {incident.pk for incident in self.incidents}
        for deadline in self._deadlines(ids) if self.known is None else self.known:
            self.deadlines[deadline.incident_id, deadline.client_id].append(deadline)
        read_terms(deadline.terms_copy_id for rows in self.deadlines.values() for deadline in rows)
        client_ids = {*(client_id for _incident, client_id in self.deadlines), *(self.clients or ())}
        for contact in Contact.objects.usable().filter(client__in=client_ids):
            self.contacts[contact.client_id].append(contact)
        reachable = reachable_staff().in_bulk()
        for responder in Responder.objects.filter(incident__in=ids):
            if responder.user_id in reachable:
                self.responders[responder.incident_id].append(reachable[responder.user_id])
        for affected in AffectedService.objects.filter(incident__in=ids).select_related("service"):
            self.services[affected.incident_id].append(affected.service.name)
        staff = {roles.MANAGER: self.managers, roles.OPERATOR: self.operators}
        memberships: Any = User.groups.through
        members = memberships.objects.filter(group__name__in=staff, user__in=list(reachable))
        for user_id, role in members.order_by("user").values_list("user", "group__name"):
            staff[role].append(reachable[user_id])

    def _deadlines(self, incidents: Collection[int]) -> models.QuerySet[Deadline]:
        found = Deadline.objects.filter(incident__in=incidents).select_related("commitment", "agreement", "client")
        if self.clients is not None:
            found = found.filter(client__in=self.clients)
        return found.order_by(models.F("due_at").asc(nulls_last=True), "pk")

    def recipients(self, audience: Iterable[Audience], deadline: Deadline) -> list[Recipient]:
        """Each address once, clients before colleagues."""
        found: dict[str, Recipient] = {}
        for name in audience:
            for recipient in self._members(name, deadline):
                found.setdefault(recipient.address.lower(), recipient)
        return list(found.values())

    def _members(self, audience: Audience, deadline: Deadline) -> list[Recipient]:
        if audience == Audience.CONTACTS:
            return self.client_recipients(deadline.client)
        if audience == Audience.RESPONDERS:
            people = self.responders[deadline.incident_id] or self.operators
        elif audience == Audience.MANAGERS:
            people = self.managers
        else:
            owner = deadline.agreement.owner
            people = [owner] if owner and owner.is_active and owner.email else []
        return [Recipient.colleague(user) for user in people]

    def client_recipients(self, client: Client) -> list[Recipient]:
        return [Recipient.contact(contact, client) for contact in self.contacts[client.pk]]


# ── the sweep ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _nothing() -> None:
    pass


def raise_due(now: dt.datetime, *, then: Callable[[], object] = _nothing) -> int:
    """Make the notices of every deadline whose next moment has come; returns how many deadlines were raised.

    Safe to run at the same time anywhere: deadlines in other hands are skipped, and a row can only exist once.
    `then` is called after each batch, once its rows can be sent.
    """
    raised = 0
    while ids := _due_ids(now, BATCH if raised else FIRST_BATCH):
        count = _raise(ids, now)
        if count == 0:
            break  # all that is due is in other hands
        raised += count
        then()
    return raised


def raise_as_they_come(now: dt.datetime, *, then: Callable[[], object] = _nothing, within: float = 1.0) -> int:
    """The same, and what falls due within the next seconds is made at its very instant instead of at the next pass.

    When nothing does, that is one query.
    """
    watch = Watch(now)
    until = now + dt.timedelta(seconds=within)
    raised = 0
    while (next_at := Deadline.objects.next_action_by(until)) is not None:
        time.sleep(max(0.0, (next_at - watch.now()).total_seconds()))
        count = raise_due(watch.now(), then=then)
        if count == 0:
            break  # all that is due is in other hands
        raised += count
    return raised


def _due_ids(now: dt.datetime, limit: int) -> list[int]:
    return list(Deadline.objects.due_for_action(now).values_list("pk", flat=True)[:limit])


def _raise(ids: Sequence[int], now: dt.datetime) -> int:
    """All together, as that is cheap; one by one if that fails, so that one bad row never stops a sweep."""
    try:
        with transaction.atomic():
            return _raise_together(ids, now)
    except Exception:
        if len(ids) == 1:
            return _set_aside(ids[0], now)
        logger.exception("These deadlines could not be raised together; each is tried by itself.")
        return sum(_raise([pk], now) for pk in ids)


def _raise_together(ids: Sequence[int], now: dt.datetime) -> int:
    due = Deadline.objects.due_for_action(now).filter(pk__in=ids)
    due = due.select_related("incident", "client", "agreement__owner", "commitment")
    deadlines = list(due.select_for_update(skip_locked=True, of=("self",), no_key=True))
    directory = Directory([deadline.incident for deadline in deadlines], {deadline.client_id for deadline in deadlines})
    rows: list[Notice] = []
    for deadline in deadlines:
        rows += _rows_due(deadline, directory, now)
        deadline.raised_until = now
        deadline.next_action_at = next((m.at for m in deadline.planned_moments() if m.at > now), None)
    queue(rows)
    _supersede_overtaken(deadlines)
    Deadline.objects.bulk_update(deadlines, ["raised_until", "next_action_at"])
    return len(deadlines)


def _set_aside(pk: int, now: dt.datetime) -> int:
    logger.exception("Deadline %s could not be raised; it is tried again in a minute.", pk)
    # One that was met meanwhile asks for nothing any more, and the database would refuse to let it.
    return Deadline.objects.open().filter(pk=pk).update(next_action_at=now + dt.timedelta(minutes=1))


def _rows_due(deadline: Deadline, directory: Directory, now: dt.datetime) -> list[Notice]:
    """The rows of all moments that have come and were not raised yet."""
    passed = [m for m in deadline.planned_moments() if m.at <= now and not deadline.was_raised(m)]
    return [row for moment in passed for row in _rows_of(moment, deadline, directory, now)]


def _supersede_overtaken(deadlines: Sequence[Deadline]) -> None:
    """Of the warnings that still wait for one recipient only the latest is sent, and none once it is overdue.

    Whether they wait because nobody raised them in time or because the mail server was away makes no difference.
    """
    overdue = {deadline.pk for deadline in deadlines if _is_raised_as_overdue(deadline)}
    latest: dict[tuple[int | None, int, str], Notice] = {}
    overtaken: list[tuple[Notice, Notice | None]] = []  # the row, and what is sent instead
    waiting = Notice.objects.waiting().filter(deadline__in=deadlines, kind__in=WARNINGS)
    for notice in waiting.order_by("made_at", "pk").select_for_update(skip_locked=True, no_key=True):
        key = (notice.deadline_id, notice.revision, notice.recipient_address)
        if key in latest:
            overtaken.append((latest[key], notice))
        latest[key] = notice
    overtaken += [(notice, None) for (deadline, *_), notice in latest.items() if deadline in overdue]
    for notice, later in overtaken:
        reason = _("A later moment had come before this was sent.")
        Notice.objects.waiting().filter(pk=notice.pk).update(
            state=NoticeState.SUPERSEDED, state_reason=reason, superseded_by=later
        )


def _is_raised_as_overdue(deadline: Deadline) -> bool:
    return any(m.kind == MomentKind.OVERDUE and deadline.was_raised(m) for m in deadline.planned_moments())


def _rows_of(moment: Moment, deadline: Deadline, directory: Directory, now: dt.datetime) -> list[Notice]:
    recipients = directory.recipients(moment.audience, deadline)
    rows = [
        compose(
            _kind(moment, recipient),
            recipient,
            deadline.incident,
            directory,
            now=now,
            deadline=deadline,
            moment=moment.key,
        )
        for recipient in recipients
    ]
    if Audience.CONTACTS in moment.audience and not directory.contacts[deadline.client_id]:
        rows += no_contact_alarm(
            deadline.incident, deadline.client, directory, now=now, deadline=deadline, moment=moment.key
        )
    return rows


def _kind(moment: Moment, recipient: Recipient) -> NoticeKind:
    if moment.kind == MomentKind.HOLDING:
        return NoticeKind.HOLDING_NOTICE
    if moment.kind == MomentKind.OVERDUE:
        return NoticeKind.OVERDUE
    return NoticeKind.WARNING if recipient.contact_id else NoticeKind.STAFF_WARNING


def foretell(deadline: Deadline, moment: Moment) -> list[Notice]:
    """What would go to the client's contacts at this moment if nobody acts, one for each: rendered, never saved."""
    directory = Directory([deadline.incident], {deadline.client_id})
    return [
        compose(
            _kind(moment, recipient),
            recipient,
            deadline.incident,
            directory,
            now=moment.at,
            deadline=deadline,
            moment=moment.key,
        )
        for recipient in directory.client_recipients(deadline.client)
    ]


# ── what people send ────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Draft:
    """What one client is told: the words as its first contact reads them, without a name, and a row per contact.

    A client without a contact has the alarms about that instead, to colleagues.
    """

    client: Client
    words: str
    rows: list[Notice]

    @property
    def mails(self) -> list[Notice]:
        """Those to the client itself."""
        return [row for row in self.rows if row.contact_id is not None]


def draft(
    kind: NoticeKind,
    incident: Incident,
    client: Client,
    directory: Directory,
    *,
    now: dt.datetime,
    deadline: Deadline | None,
    message: str,
) -> Draft:
    """A notice or update that a person sends to all of a client's contacts, rendered and unsaved.

    Raises placeholders.Wrong for a brace that is no placeholder's, or a placeholder that has no value for this client.
    """
    number = incident.notices.filter(kind=kind, client=client).values("moment").distinct().count() + 1
    moment = f"{kind}-{number}"
    placeholders.used_in(message)  # refused whether or not anybody there can be mailed
    recipients = directory.client_recipients(client)
    if not recipients:
        alarms = no_contact_alarm(incident, client, directory, now=now, deadline=deadline, moment=moment)
        return Draft(client, message, alarms)
    said = [
        _in_words(message, kind, recipient, incident, client, directory, now=now, deadline=deadline)
        for recipient in recipients
    ]
    rows = [
        compose(
            kind,
            recipient,
            incident,
            directory,
            now=now,
            client=client,
            deadline=deadline,
            moment=moment,
            message=words,
        )
        for recipient, words in zip(recipients, said, strict=True)
    ]
    words = said[0]
    if "contact" in placeholders.used_in(message):  # the story tells of the client: a person's name is theirs alone
        reader = replace(recipients[0], name=client.name)
        words = _in_words(message, kind, reader, incident, client, directory, now=now, deadline=deadline)
    return Draft(client, words, rows)


@dataclass(frozen=True)
class Report:
    """A document that a client is sent: in the mail as text and as HTML that is safe, and as a file."""

    text: str
    html: SafeString
    attachment: Attachment


def draft_report(
    incident: Incident, client: Client, directory: Directory, *, now: dt.datetime, report: Report, number: int
) -> Draft:
    """A report to all of a client's contacts, rendered and unsaved; it is for the REPORT deadline that is due next."""
    moment = f"{NoticeKind.REPORT}-{number}"
    waiting = [d for d in directory.deadlines[incident.pk, client.pk] if d.obligation == Obligation.REPORT]
    deadline = next((d for d in waiting if d.is_open and d.started_at), None)
    recipients = directory.client_recipients(client)
    if not recipients:
        alarms = no_contact_alarm(incident, client, directory, now=now, deadline=deadline, moment=moment)
        return Draft(client, report.text, alarms)
    rows = [
        compose(
            NoticeKind.REPORT,
            recipient,
            incident,
            directory,
            now=now,
            client=client,
            deadline=deadline,
            moment=moment,
            message=report.text,
            report=report,
        )
        for recipient in recipients
    ]
    return Draft(client, report.text, rows)


def _in_words(
    message: str,
    kind: NoticeKind,
    recipient: Recipient,
    incident: Incident,
    client: Client,
    directory: Directory,
    *,
    now: dt.datetime,
    deadline: Deadline | None,
) -> str:
    """The message with its placeholders filled in for this reader, in their zone and language."""
    if not placeholders.used_in(message):
        return placeholders.fill(message, {})

    def when(instant: dt.datetime | None) -> str:
        return times.in_zone(instant, recipient.time_zone) if instant else ""

    with translation.override(recipient.language):
        values = {
            "contact": recipient.name,
            "client": client.name,
            "reference": incident.reference,
            "title": incident.title,
            "severity": str(incident.get_severity_display()),
            "status": str(incident.get_status_display()),
            "services": ", ".join(directory.services[incident.pk]),
            "summary": incident.client_summary,
            "detected_at": when(incident.detected_at),
            "mitigated_at": when(incident.mitigated_at),
            "resolved_at": when(incident.resolved_at),
            "due_at": when(deadline.due_at if deadline else None),
            "next_update_at": when(_next_update_at(kind, incident, client, directory, now)),
        }
    return placeholders.fill(message, values)


def _next_update_at(
    kind: NoticeKind, incident: Incident, client: Client, directory: Directory, now: dt.datetime
) -> dt.datetime | None:
    """By when the client is owed the update after this message. An update meets the one that is owed now.

    Counted as if it were accepted at once: what is promised is never later than what will be owed.
    """
    owed = [d for d in directory.deadlines[incident.pk, client.pk] if d.obligation == Obligation.UPDATE and d.is_open]
    if kind == NoticeKind.UPDATE:
        instants = [deadlines.due_after(deadline, incident, at=now) for deadline in owed]
    else:
        instants = [deadline.due_at for deadline in owed]
    return min(filter(None, instants), default=None)


def as_test(notice: Notice, reader: Recipient, *, now: dt.datetime) -> Notice:
    """An unsaved copy for the colleague who wrote it: marked as a test, owed to nobody, its link made useless."""
    key = uuid.uuid4()
    mark = _("Test, sent to you alone. This is what %(name)s of %(client)s would read:") % {
        "name": notice.recipient_name,
        "client": notice.client,
    }
    copy = letter.marked(notice, mark)
    return Notice(
        incident=notice.incident,
        moment=f"test-{key.hex}",
        kind=NoticeKind.TEST,
        user_id=reader.user_id,
        recipient_name=reader.name,
        recipient_address=reader.address,
        subject=(_("[Test] %(subject)s") % {"subject": notice.subject})[:300],
        text=acknowledgement_link.masked(copy.text),
        html=acknowledgement_link.masked(copy.html),
        is_fallback=notice.is_fallback,
        attachment=notice.attachment,
        message_id=f"<{key}@{_mail_domain()}>",
        thread_id=f"<{key}.test@{_mail_domain()}>",
        made_at=now,
        due_at=now,
        rank=Rank.of(NoticeKind.TEST),
        next_attempt_at=now,
    )


def no_contact_alarm(
    incident: Incident,
    client: Client,
    directory: Directory,
    *,
    now: dt.datetime,
    deadline: Deadline | None,
    moment: str,
) -> list[Notice]:
    """A client that nobody can be mailed at: its obligation still runs, so operators and managers are told."""
    return _alarms(
        lambda: (
            _("%(client)s has no contact that can be mailed. Tell them by other means and record it.")
            % {"client": client}
        ),
        directory,
        incident,
        now=now,
        client=client,
        deadline=deadline,
        moment=f"no-contact-{moment}",
    )


def alarm_about(notice: Notice, answer: str, *, now: dt.datetime) -> list[Notice]:
    """A client's notice will not arrive by itself: operators and managers are told. Nobody is, about their own mail."""
    if notice.contact_id is None or notice.client is None:
        return []
    told = {"kind": NoticeKind(notice.kind).label, "address": notice.recipient_address, "answer": answer[:300]}

    def say() -> str:
        said = _("“%(kind)s” did not go to %(address)s: %(answer)s. Decide on its page, or tell them by other means.")
        return said % told

    moment = f"undelivered-{notice.pk}-{notice.attempts.count()}"
    if notice.incident is not None:
        directory = Directory([notice.incident], [notice.client.pk])
        about: dict[str, Any] = {"now": now, "client": notice.client, "deadline": notice.deadline, "moment": moment}
        return _alarms(say, directory, notice.incident, **about)
    page = reverse("admin:incidents_notice_change", args=[notice.pk])
    rows = []
    for user in _operators_and_managers(Directory([])):
        with translation.override(user.language):
            headline = say()
        told_to: dict[str, Any] = {"now": now, "client": notice.client, "incident": None, "moment": moment}
        rows.append(to_colleague(NoticeKind.ALARM, user, link=page, headline=headline, message="", **told_to))
    return rows


def _alarms(say: Callable[[], str], directory: Directory, incident: Incident, **about: Any) -> list[Notice]:
    """One alarm for each operator and manager; what it says is said in their own language."""
    rows = []
    for recipient in map(Recipient.colleague, _operators_and_managers(directory)):
        with translation.override(recipient.language):
            message = say()
        rows.append(compose(NoticeKind.ALARM, recipient, incident, directory, message=message, **about))
    return rows


def _operators_and_managers(directory: Directory) -> list[User]:
    return list({user.pk: user for user in (*directory.operators, *directory.managers)}.values())


def attach(attachment: Attachment, rows: Iterable[Notice]) -> None:
    """Save the file, which these unsaved mails bear."""
    attachment.full_clean()
    attachment.save()
    for row in rows:
        row.attachment = attachment  # has its key now


def queue(rows: Sequence[Notice]) -> None:
    """Put the rows in the outbox; one that is already there (another planner was quicker) is left as it is."""
    for row in rows:
        row.cause = current_request_id_if_any()
    Notice.objects.bulk_create(rows, ignore_conflicts=True)


# ── one letter ──────────────────────────────────────────────────────────────────────────────────────────────────────


#: What is owed, as the client reads it.
OWED_TO_CLIENT = {
    Obligation.ACKNOWLEDGE: gettext_lazy("Acknowledgement"),
    Obligation.NOTIFY: gettext_lazy("Notice to you"),
    Obligation.UPDATE: gettext_lazy("Update to you"),
    Obligation.MITIGATE: gettext_lazy("Mitigation"),
    Obligation.RESOLVE: gettext_lazy("Resolution"),
    Obligation.REPORT: gettext_lazy("Report to you"),
}


#: Those that are the very message which is owed.
MESSAGES = (NoticeKind.CLIENT_NOTICE, NoticeKind.HOLDING_NOTICE, NoticeKind.UPDATE, NoticeKind.REPORT)


@dataclass(frozen=True)
class AgreedLine:
    """One line of “what our agreement says, and where we stand”."""

    what: str
    terms: str
    deadline: Deadline

    @classmethod
    def of(cls, deadline: Deadline) -> AgreedLine:
        return cls(str(OWED_TO_CLIENT[Obligation(deadline.obligation)]), deadline.terms_in_words, deadline)


def compose(
    kind: NoticeKind,
    recipient: Recipient,
    incident: Incident,
    directory: Directory,
    *,
    now: dt.datetime,
    moment: str,
    client: Client | None = None,
    deadline: Deadline | None = None,
    message: str = "",
    report: Report | None = None,
) -> Notice:
    """One rendered, unsaved notice. `due_at` is the contractual due time, which also orders the queue."""
    client = client or (deadline.client if deadline else None)
    due_at = deadline.due_at if deadline and deadline.due_at else now
    key = uuid.uuid4()
    context: dict[str, Any] = {
        "recipient": recipient,
        "zone": recipient.time_zone,
        "incident": incident,
        "client": client,
        "deadline": deadline,
        "services": directory.services[incident.pk],
        "message": message,
        "report": report,
        "now": now,
        "late_note_place": letter.LATE_NOTE_PLACE,
        "is_this_message": kind in MESSAGES,
        "staff_url": settings.PUBLIC_URL + reverse("admin:incidents_incident_change", args=[incident.pk]),
        "acknowledge_url": acknowledgement_link.link(key) if recipient.contact_id else "",
    }
    with translation.override(recipient.language):
        context["owed"] = AgreedLine.of(deadline) if deadline else None
        context["agreed"] = _agreed_lines(incident, client, directory)
        page = _render(kind, context)
        late_note = _late_note(deadline, recipient)
    return Notice(
        incident=incident,
        client=client,
        deadline=deadline,
        revision=deadline.revision if deadline else 1,
        moment=moment,
        kind=kind,
        contact_id=recipient.contact_id,
        user_id=recipient.user_id,
        recipient_name=recipient.name,
        recipient_address=recipient.address,
        subject=" ".join(page.subject.split())[:300],
        text=page.text.replace("\r\n", "\n"),  # as a mail has it, so that it can be told from the mail again
        html=page.html.replace("\r\n", "\n"),
        is_fallback=page.is_fallback,
        late_note=late_note,
        attachment=report.attachment if report else None,
        is_marked_late=bool(late_note) and due_at < now,
        message_id=f"<{key}@{_mail_domain()}>",
        thread_id=_thread_id(incident, recipient),
        made_at=now,
        due_at=due_at,
        rank=Rank.of(kind),
        next_attempt_at=now,
    )


def to_colleague(
    kind: NoticeKind,
    user: User,
    *,
    now: dt.datetime,
    moment: str,
    incident: Incident | None,
    client: Client | None = None,
    link: str,
    headline: str,
    message: str,
    **facts: Any,
) -> Notice:
    """One rendered, unsaved notice that no deadline asks for, about an incident or, without one, about many.

    `link` leads from the site's root to where something can be done; headline and message are in the user's language.
    """
    said = {"headline": headline, "message": message, "staff_url": settings.PUBLIC_URL + link, **facts}
    to = Recipient.colleague(user)
    return _undue(kind, to, now=now, moment=moment, incident=incident, client=client, said=said)


def to_contacts(
    kind: NoticeKind, client: Client, *, now: dt.datetime, moment: str, headline: str, report: Report
) -> list[Notice]:
    """A report about many incidents to each of a client's contacts, rendered and unsaved; none if nobody gets mail.

    `headline` is in the client's language, and stands in the subject.
    """
    said = {"headline": headline, "message": report.text, "staff_url": "", "report": report}
    contacts = Contact.objects.usable().filter(client=client)
    return [
        _undue(kind, Recipient.contact(one, client), now=now, moment=moment, client=client, said=said)
        for one in contacts
    ]


def _undue(
    kind: NoticeKind,
    recipient: Recipient,
    *,
    now: dt.datetime,
    moment: str,
    said: dict[str, Any],
    incident: Incident | None = None,
    client: Client | None = None,
) -> Notice:
    """One rendered, unsaved notice that no deadline asks for; `said` is what its template says besides."""
    key = uuid.uuid4()
    context: dict[str, Any] = {
        "recipient": recipient,
        "zone": recipient.time_zone,
        "incident": incident,
        "client": client,
        "deadline": None,
        "services": (),
        "now": now,
        "late_note_place": letter.LATE_NOTE_PLACE,
        "acknowledge_url": "",
        **said,
    }
    with translation.override(recipient.language):
        page = _render(kind, context)
    return Notice(
        incident=incident,
        client=client,
        moment=moment,
        kind=kind,
        contact_id=recipient.contact_id,
        user_id=recipient.user_id,
        recipient_name=recipient.name,
        recipient_address=recipient.address,
        subject=" ".join(page.subject.split())[:300],
        text=page.text.replace("\r\n", "\n"),
        html=page.html.replace("\r\n", "\n"),
        is_fallback=page.is_fallback,
        attachment=said["report"].attachment if "report" in said else None,
        message_id=f"<{key}@{_mail_domain()}>",
        thread_id=_thread_id(incident, recipient) if incident else f"<{key}.{kind}@{_mail_domain()}>",
        made_at=now,
        due_at=now,
        rank=Rank.of(kind),
        next_attempt_at=now,
    )


PARTS = ("subject.txt", "txt", "html")


@dataclass(frozen=True)
class Page:
    """A rendered notice."""

    subject: str
    text: str
    html: str
    is_fallback: bool = False


def _render(kind: NoticeKind, context: dict[str, Any]) -> Page:
    """From its templates; should one of them be broken, the bare facts, since a plain notice is better than none."""
    try:
        subject, text, html = (render_to_string(f"notices/{kind}.{part}", context) for part in PARTS)
        return Page(subject, text, html)
    except Exception:  # whatever an edited template runs into
        logger.exception("The template of %s cannot be rendered; the plain facts are sent.", kind)
        return _plain_facts(kind, context)


def _plain_facts(kind: NoticeKind, context: dict[str, Any]) -> Page:
    incident, deadline, zone = context["incident"], context["deadline"], context["zone"]
    if kind in FOLLOW_UPS or incident is None:
        return _plain_follow_up(context)
    lines = [
        _("%(kind)s about an incident of severity “%(severity)s”: %(title)s.")
        % {"kind": kind.label, "severity": incident.get_severity_display(), "title": incident.title},
        _("Detected %(at)s.") % {"at": times.in_zone(incident.detected_at, zone)},
        _("Affects %(services)s.") % {"services": ", ".join(context["services"])},
        _("Due by %(due)s.") % {"due": times.in_zone(deadline.due_at, zone)} if deadline and deadline.due_at else "",
        context["message"],
        _("Please confirm that you have read this: %(link)s") % {"link": context["acknowledge_url"]}
        if context["acknowledge_url"]
        else "",
    ]
    text = "\n\n".join(line for line in lines if line) + "\n"
    html = f"<!doctype html><body>{letter.LATE_NOTE_PLACE}{linebreaks(text, autoescape=True)}</body>"
    title = _("%(kind)s: %(title)s") % {"kind": kind.label, "title": incident.title}
    return Page(f"[{incident.reference}] {title}", text, html, is_fallback=True)


def _plain_follow_up(context: dict[str, Any]) -> Page:
    """What is to be done stands in the link, and in the message."""
    text = "\n\n".join(filter(None, (context["headline"], context["message"], context["staff_url"]))) + "\n"
    html = f"<!doctype html><body>{linebreaks(text, autoescape=True)}</body>"
    return Page(context["headline"], text, html, is_fallback=True)


def _late_note(deadline: Deadline | None, recipient: Recipient) -> str:
    """What a client is told first if the message goes out after it was due; colleagues are told otherwise."""
    if deadline is None or deadline.due_at is None or recipient.contact_id is None:
        return ""
    due = times.in_zone(deadline.due_at, recipient.time_zone)
    return _("This message is late: it was due by %(due)s.") % {"due": due}


def _agreed_lines(incident: Incident, client: Client | None, directory: Directory) -> list[AgreedLine]:
    if client is None:
        return []
    return [
        AgreedLine.of(deadline)
        for deadline in directory.deadlines[incident.pk, client.pk]
        if deadline.severity == incident.severity and deadline.ended_at is None
    ]


def _mail_domain() -> str:
    return parseaddr(settings.NOTICE_FROM)[1].rpartition("@")[2]


def _thread_id(incident: Incident, recipient: Recipient) -> str:
    """The same for all mails about one incident to one address, so that a mail reader shows them as one thread."""
    who = hashlib.sha256(recipient.address.lower().encode()).hexdigest()[:16]
    return f"<{incident.reference}.{who}@{_mail_domain()}>"
