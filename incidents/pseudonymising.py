"""A contact is pseudonymised: what names them gives way to the mark in every table, and the trail proves the rest.

What people typed (titles, notes, reasons, searches) is not ours to bend, and stays: docs/audit.md says so.
"""

from __future__ import annotations

import datetime as dt
import functools
import html
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import models, transaction
from django.db.models import Exists, OuterRef, Q
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from agreements.models import Contact, ServiceAgreement
from config.audit import events, giving_up
from config.audit.sources import history_of
from config.history import AuditedModel, HistoryRow, acting
from config.models import Concern, Event, EventKind, User
from incidents.lifecycle import Refused
from incidents.models import Acknowledgement, DeliveryAttempt, Incident, Notice, Sending, TimelineEntry
from incidents.models.incident import Status
from incidents.models.notice import SETTLED_STATES, NoticeKind

#: Columns of a notice that tell to whom it went, and those that may quote who that is.
NAMES = ("recipient_name", "recipient_address", "thread_id")
QUOTING = ("subject", "state_reason", "server_answer")

#: A row, with its columns that name somebody.
Found = tuple[models.Model, list[str]]
#: How many rows of each table.
Tally = Counter[type[models.Model]]


# ── the verb ────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Foreseen:
    """In how many rows something would be given up, and what has to be done before it can be; "" if nothing."""

    tally: Tally
    obstacle: str


def foresee(contact: Contact, *, now: dt.datetime) -> Foreseen:
    found = list(_found(contact))
    try:
        _refuse_while_owed(contact, found, now)
    except Refused as refusal:
        return Foreseen(_tally(found), " ".join(refusal.messages))
    return Foreseen(_tally(found), "")


@transaction.atomic
def pseudonymise(contact: Contact, *, by: User, reason: str, now: dt.datetime) -> Tally:
    """Give up what names this contact, for good; returns in how many rows of each table. Nobody is mailed by it again.

    Raises Refused, and nothing has changed, while something is owed to them, or with nothing left to give up.
    """
    contact = Contact.objects.select_for_update(of=("self",)).select_related("client").get(pk=contact.pk)
    person = Person.of(contact)
    if not reason.strip():
        raise Refused({"reason": _("Say why, for example who asked for it. The reason is kept in the audit trail.")})
    if person.is_named_in(reason):
        raise Refused({"reason": _("The reason names the person, and it stays. Say it without the name.")})
    found = list(_found(contact, for_good=True))
    _refuse_while_owed(contact, found, now)
    with acting(by, reason=reason):
        for row, names in found:
            if isinstance(row, Contact):
                row.is_active = False
            giving_up.give_up(row, *names)
        for sending in Sending.objects.all():
            if person.is_hinted_at_in(sending.fault_answer):
                sending.fault_answer = ""
                sending.save(update_fields=["fault_answer"])
        events.record(EventKind.PSEUDONYMISED, about=contact.client, client=contact.client, number=contact.pk)
    return _tally(found)


def _refuse_while_owed(contact: Contact, found: Sequence[Found], now: dt.datetime) -> None:
    if not found:
        raise Refused(_("Nothing of this contact is left to be given up."))
    waiting = [row for row, _names in found if isinstance(row, Notice) and row.state not in SETTLED_STATES]
    if waiting:
        raise Refused(
            ngettext(
                "%(count)d notice to this contact, or to colleagues about them, is not settled (%(first)s). Wait until "
                "it is sent, or decide about it on its page.",
                "%(count)d notices to this contact, or to colleagues about them, are not settled (the first: "
                "%(first)s). Wait until they are sent, or decide about them on their pages.",
                len(waiting),
            )
            % {"count": len(waiting), "first": _said(waiting[0])}
        )
    usable = Contact.objects.usable().filter(client=contact.client_id)
    if set(usable) == {contact} and (because := _what_may_be_owed(contact.client_id, now)):
        raise Refused(
            _(
                "Nobody else at %(client)s gets mail, and they may have to be told of %(what)s. "
                "Add another contact first."
            )
            % {"client": contact.client, "what": because}
        )


def _what_may_be_owed(client: int, now: dt.datetime) -> ServiceAgreement | Incident | None:
    """An agreement in force, or else an incident that is not closed."""
    agreement = ServiceAgreement.objects.in_force(now).filter(client=client).order_by("pk").first()
    incidents = Incident.objects.of_clients([client]).exclude(status__in=(Status.CLOSED, Status.MERGED))
    return agreement or incidents.order_by("pk").first()


def _said(notice: Notice) -> str:
    """Without the name of whom it goes to."""
    kind = notice.get_kind_display()
    return f"{kind}, {notice.incident.reference}" if notice.incident else str(kind)


def _tally(found: Sequence[Found]) -> Tally:
    return Counter(type(row) for row, _names in found)


# ── what names them ─────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Person:
    """What the contact is and was called: names, addresses and telephone numbers."""

    called: frozenset[str]

    @classmethod
    def of(cls, contact: Contact) -> Person:
        rows = [contact, *history_of(Contact).objects.filter(id=contact.pk)]
        called = {getattr(row, name) for row in rows for name in Contact.PERSONAL}
        written_to = Notice.objects.filter(contact=contact).order_by().distinct()
        called |= {value for row in written_to.values_list("recipient_name", "recipient_address") for value in row}
        return cls(frozenset(value for value in called if value not in giving_up.NOTHING))

    def is_named_in(self, text: str) -> bool:
        return bool(self._named and self._named.search(html.unescape(text)))

    def is_hinted_at_in(self, text: str) -> bool:
        """Also by what stands before the @, as a mail server says it."""
        return bool(self._hinted and self._hinted.search(html.unescape(text)))

    @functools.cached_property
    def _named(self) -> re.Pattern[str] | None:
        return _any_of(self.called)

    @functools.cached_property
    def _hinted(self) -> re.Pattern[str] | None:
        return _any_of(self.called | {value.rpartition("@")[0] for value in self.called if "@" in value})


def _any_of(values: frozenset[str]) -> re.Pattern[str] | None:
    """Each as a word of its own."""
    if not values:
        return None
    words = "|".join(re.escape(value) for value in sorted(values, key=len, reverse=True))
    return re.compile(rf"(?<!\w)(?:{words})(?!\w)", re.IGNORECASE)


# ── where they are named ────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Place:
    """Rows of one table: columns that are theirs, columns in which they may be quoted, and by what they were called."""

    rows: models.QuerySet[Any]
    own: tuple[str, ...] = ()
    hinting: tuple[str, ...] = ()
    naming: tuple[str, ...] = ()


def _places(contact: Contact) -> Iterator[Place]:
    notices = Notice.objects.filter(contact=contact)
    keys = notices.order_by().values("pk")
    yield Place(history_of(Contact).objects.filter(id=contact.pk), own=Contact.PERSONAL)
    yield Place(Contact.objects.filter(pk=contact.pk), own=Contact.PERSONAL)
    # before the notices lose the names by which the timeline calls their readers
    entries = TimelineEntry.objects.filter(Exists(_acknowledging(contact)))
    yield Place(entries, own=("author_name",))
    yield Place(history_of(TimelineEntry).objects.filter(id__in=entries.order_by().values("pk")), own=("author_name",))
    yield Place(notices, own=(*NAMES, *Notice.BODIES), hinting=QUOTING)
    yield Place(history_of(Notice).objects.filter(id__in=keys), own=NAMES, hinting=QUOTING)
    yield Place(DeliveryAttempt.objects.filter(notice__in=keys), hinting=("answer",))
    acknowledgements = Acknowledgement.objects.filter(notice__in=keys)
    yield Place(acknowledgements, own=Acknowledgement.PERSONAL)
    of_links = Event.objects.filter(about=Notice._meta.label_lower, about_pk__in=keys, actor=None)
    yield Place(of_links, own=("address",))
    # what colleagues were told about them: that a mail did not arrive, how one would look
    incidents = Incident.objects.of_clients([contact.client_id]).order_by()
    told = Notice.objects.filter(
        Q(kind=NoticeKind.ALARM, client=contact.client_id)
        | Q(kind=NoticeKind.TEST, incident__in=incidents.values("pk"))
    )
    yield Place(told, naming=(*Notice.BODIES, *QUOTING))
    yield Place(history_of(Notice).objects.filter(id__in=told.order_by().values("pk")), naming=QUOTING)
    named = Q(about=Contact._meta.label_lower, about_pk=contact.pk)
    named |= Q(about=Notice._meta.label_lower, about_pk__in=keys)
    named |= Q(about=Acknowledgement._meta.label_lower, about_pk__in=acknowledgements.order_by().values("pk"))
    yield Place(Concern.objects.filter(named), own=("name",))


def _acknowledging(contact: Contact) -> models.QuerySet[Acknowledgement]:
    """What the outer timeline entry tells of."""
    return Acknowledgement.objects.filter(
        notice__contact=contact,
        notice__incident=OuterRef("incident"),
        notice__recipient_name=OuterRef("author_name"),
        at=OuterRef("typed_at"),
    )


def _found(contact: Contact, *, for_good: bool = False) -> Iterator[Found]:
    """Every row that names them; `for_good`, nobody else changes those meanwhile that can change."""
    person = Person.of(contact)
    for place in _places(contact):
        rows = place.rows.order_by("pk")
        if for_good and issubclass(rows.model, AuditedModel):
            rows = rows.select_for_update(no_key=True)
        for row in rows:
            names = [name for name in place.own if giving_up.has(row, name)]
            names += [name for name in place.hinting if person.is_hinted_at_in(getattr(row, name))]
            names += [name for name in place.naming if person.is_named_in(getattr(row, name))]
            if names:
                yield row, names


def label(model: type[models.Model]) -> str:
    """What rows of a table are called: Notices; Notices (earlier versions)."""
    if issubclass(model, HistoryRow):
        of = capfirst(str(model.instance_type._meta.verbose_name_plural))  # type: ignore[attr-defined]
        return _("%(what)s (earlier versions)") % {"what": of}
    return capfirst(str(model._meta.verbose_name_plural))
