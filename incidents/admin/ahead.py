"""What lies ahead if an incident is declared as it is typed so far, as its form shows it. Only reads."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _now
from django.utils.translation import ngettext

from agreements.explanation import MOMENTS
from agreements.models import Obligation, Service, ServiceAgreement, Severity
from agreements.models.commitment import event_in_words
from agreements.severity_guide import Meaning, guide
from agreements.terms import Audience, Moment, MomentKind
from config import scope, times
from config.models import User
from incidents import lifecycle
from incidents.admin.verbs import usable_contacts
from incidents.deadlines import Foreseen
from incidents.models import Incident
from incidents.similarity import Similar, similar_to

SHOWN = 12  # agreements in full; the others by a line each
SHOWN_MAILS = 3  # to one client


@dataclass(frozen=True)
class Row:
    """One deadline that would start."""

    foreseen: Foreseen
    now: dt.datetime

    @property
    def what(self) -> str:
        return self.foreseen.deadline.commitment.name_in_words()

    @property
    def asks(self) -> str:
        return self.foreseen.terms.in_words(self.foreseen.deadline.start_event)

    @property
    def due_at(self) -> dt.datetime | None:
        return self.foreseen.deadline.due_at

    @property
    def is_overdue(self) -> bool:
        return self.due_at is not None and self.due_at < self.now

    @property
    def left(self) -> SafeString | str:
        """`in 3 h 48 min`, which countdown.js keeps right."""
        if self.due_at is None:
            return ""
        left, over = _now("in %(span)s"), _now("overdue by %(span)s")
        words = (over if self.is_overdue else left) % {"span": times.duration(abs(self.due_at - self.now))}
        return format_html(
            '<time data-countdown datetime="{}" data-left="{}" data-over="{}">{}</time>',
            self.due_at.isoformat(),
            left,
            over,
            words,
        )

    @property
    def undated(self) -> str:
        """Why it has no due time; empty where it has one."""
        deadline = self.foreseen.deadline
        if deadline.due_at is not None:
            return ""
        if deadline.started_at is not None:
            return self.asks
        return _now("waits for %(event)s") % {
            "event": event_in_words(deadline.start_event, self.foreseen.terms.follows)
        }


@dataclass(frozen=True)
class Mail:
    """What the client's contacts are sent by itself if nobody acts before."""

    kind: str
    at: dt.datetime
    is_at_once: bool


@dataclass(frozen=True)
class AgreementAhead:
    """What one agreement would ask, and whom of the client it would reach."""

    agreement: ServiceAgreement
    contacts: int
    rows: Sequence[Row]
    mails: Sequence[Mail]

    @property
    def first(self) -> Row | None:
        """The deadline that is due before all others."""
        return next((row for row in self.rows if row.due_at is not None), None)

    @property
    def notify(self) -> Row | None:
        """The first notice that is owed."""
        return next((row for row in self.rows if row.foreseen.deadline.obligation == Obligation.NOTIFY), None)

    @property
    def reached(self) -> str:
        return ngettext("%d contact", "%d contacts", self.contacts) % self.contacts

    @property
    def client_zone(self) -> str:
        return self.agreement.client.time_zone


@dataclass(frozen=True)
class Ahead:
    """All that the form shows beside what is typed. `refusals` say why nothing can be foreseen yet."""

    now: dt.datetime
    title: str = ""
    services: Sequence[Service] = ()
    severity: Severity | None = None
    detected_at: dt.datetime | None = None
    is_assumed: bool = False
    """Whether detection is taken to be now, because nobody has said when."""
    agreements: Sequence[AgreementAhead] = ()
    meanings: dict[Severity, list[Meaning]] = field(default_factory=dict)
    similar: Sequence[Similar] = ()
    refusals: Sequence[str] = ()

    @property
    def age(self) -> str:
        return times.duration(self.now - (self.detected_at or self.now))

    @property
    def owing(self) -> list[AgreementAhead]:
        return [ahead for ahead in self.agreements if ahead.rows]

    @property
    def in_full(self) -> list[AgreementAhead]:
        return self.owing[:SHOWN]

    @property
    def in_short(self) -> list[AgreementAhead]:
        return self.owing[SHOWN:]

    @property
    def owing_nothing(self) -> list[AgreementAhead]:
        return [ahead for ahead in self.agreements if not ahead.rows] if self.severity else []

    @property
    def silent(self) -> list[AgreementAhead]:
        """Those whose client has nobody who can be mailed."""
        return [ahead for ahead in self.agreements if not ahead.contacts]

    @property
    def choices(self) -> list[tuple[Severity, list[Meaning]]]:
        return [(severity, self.meanings.get(severity, [])) for severity in Severity]

    @property
    def summary(self) -> str:
        """In one sentence, for whoever hears the page instead of seeing it."""
        if self.refusals or not self.services:
            return ""
        if not self.agreements:
            return _now("No agreement covers these services.")
        count = len(self.agreements)
        applying = ngettext("%d agreement applies.", "%d agreements apply.", count) % count
        first = self.owing[0].first if self.owing else None
        if first is None or first.due_at is None:
            return applying
        said = {"what": first.what, "client": self.owing[0].agreement.client, "at": times.for_reader(first.due_at)}
        return f"{applying} {_now('Due first: %(what)s, %(client)s, %(at)s.') % said}"


def look_ahead(typed: dict[str, Any], errors: dict[str, Any], *, now: dt.datetime, reader: User) -> Ahead:
    """What follows from the values that are typed and right so far; `errors` name the fields that are wrong."""
    services = list(typed.get("services") or ())
    title = typed.get("title") or ""
    similar = similar_to(title, services, scope.visible(Incident.objects.open(), reader))
    wrong = [name for name in ("detected_at", "minutes_ago", "aware_at", "occurred_at") if name in errors]
    if wrong:
        refusals = [message for name in wrong for message in errors[name]]
        return Ahead(now, title, services, similar=similar, refusals=refusals)
    if not services:
        return Ahead(now, title, similar=similar)
    detected_at: dt.datetime | None = typed.get("detected_at")
    found = scope.visible(lifecycle.agreements_for(services, detected_at or now), reader).select_related("client")
    agreements = list(found.order_by("client", "reference"))
    severity = Severity(typed["severity"]) if typed.get("severity") else None
    foreseen: list[Foreseen] = []
    refusals = []
    if severity:
        try:
            foreseen = lifecycle.foresee(
                now=now,
                severity=severity,
                services=services,
                detected_at=detected_at or now,
                occurred_at=typed.get("occurred_at"),
                aware_at=typed.get("aware_at"),
            )
            seen = {agreement.pk for agreement in agreements}
            foreseen = [each for each in foreseen if each.deadline.agreement_id in seen]
        except ValidationError as refusal:
            refusals = refusal.messages
    return Ahead(
        now,
        title,
        services,
        severity,
        detected_at or now,
        is_assumed=detected_at is None,
        agreements=_by_agreement(agreements, foreseen, now),
        meanings=guide(agreements),
        similar=similar,
        refusals=refusals,
    )


def _by_agreement(
    agreements: Sequence[ServiceAgreement], foreseen: Iterable[Foreseen], now: dt.datetime
) -> list[AgreementAhead]:
    """Those where something is due first come first."""
    rows: dict[int, list[Row]] = defaultdict(list)
    for found in foreseen:
        rows[found.deadline.agreement_id].append(Row(found, now))
    contacts = usable_contacts([agreement.client for agreement in agreements])
    made = [
        AgreementAhead(
            agreement,
            contacts.get(agreement.client_id, 0),
            sorted(rows[agreement.pk], key=_by_due_time),
            _mails(rows[agreement.pk], now),
        )
        for agreement in agreements
    ]
    return sorted(made, key=lambda ahead: _by_due_time(ahead.first) if ahead.first else _LAST)


_FAR = dt.datetime.max.replace(tzinfo=dt.UTC)
_LAST = (True, _FAR)


def _by_due_time(row: Row) -> tuple[bool, dt.datetime]:
    return row.due_at is None, row.due_at or _FAR


def _mails(rows: Collection[Row], now: dt.datetime) -> list[Mail]:
    """To the client's contacts, in the order in which they go out."""
    moments: list[Moment] = [
        moment
        for row in rows
        for moment in row.foreseen.deadline.planned_moments()
        if Audience.CONTACTS in moment.audience
    ]
    return [
        Mail(str(MOMENTS[MomentKind(moment.kind)]), moment.at, moment.at <= now)
        for moment in sorted(moments, key=lambda moment: moment.at)[:SHOWN_MAILS]
    ]
