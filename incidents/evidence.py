"""What one client was owed in one incident and what it was told: the facts, for whoever has to prove them.

Facts only: frozen values, read in a fixed number of queries, in no particular wording. What they look like is said
in incidents/evidence_document.py. Nothing in here may be about another client or internal: the document is handed out.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models import F, Prefetch, Q, QuerySet
from django.db.models.functions import Length
from django.utils import translation

from agreements.models import Client, Obligation, ServiceAgreement
from agreements.models.commitment import event_in_words
from incidents import acknowledgement_link, letter, retention
from incidents.document import Facts
from incidents.models import (
    AffectedAgreement,
    Deadline,
    DeliveryAttempt,
    Incident,
    Notice,
    Pause,
    Standing,
    TimelineEntry,
)
from incidents.models.deadline import read_terms
from incidents.models.notice import NoticeKind

#: What is written to clients. Every other kind is for colleagues and appears in no evidence.
CLIENT_KINDS = (
    NoticeKind.CLIENT_NOTICE,
    NoticeKind.HOLDING_NOTICE,
    NoticeKind.UPDATE,
    NoticeKind.REPORT,
    NoticeKind.WARNING,
)
#: What a client is told; a deadline of these that no notice met was met by other means.
TOLD = (Obligation.NOTIFY, Obligation.UPDATE, Obligation.REPORT)
#: The instants of an incident that bear on what is owed, in the order of its life.
INSTANTS = (
    "occurred_at",
    "detected_at",
    "aware_at",
    "classified_at",
    "acknowledged_at",
    "mitigated_at",
    "resolved_at",
    "reopened_at",
)


@dataclass(frozen=True)
class AgreementFacts:
    reference: str
    version: int
    effective_at: dt.datetime
    ends_at: dt.datetime | None
    clause: str


@dataclass(frozen=True)
class PauseFacts:
    begins_at: dt.datetime
    ends_at: dt.datetime | None
    why: str


@dataclass(frozen=True)
class ObligationFacts:
    """One deadline. `met_by` are the Message-IDs of the notices whose acceptance met it."""

    agreement: str
    severity: str
    obligation: str
    label: str
    clause_number: str
    terms: str
    counted_from: str
    cycle: int
    started_at: dt.datetime | None
    due_at: dt.datetime | None
    met_at: dt.datetime | None
    met_by: tuple[str, ...]
    ended_at: dt.datetime | None
    end_reason: str
    paused_at: dt.datetime | None
    pauses: tuple[PauseFacts, ...]
    standing: str


@dataclass(frozen=True)
class AttemptFacts:
    at: dt.datetime
    server: str
    phase: str
    code: int | None
    answer: str
    outcome: str
    elapsed_ms: int


@dataclass(frozen=True)
class AcknowledgementFacts:
    at: dt.datetime
    from_address: str
    user_agent: str


@dataclass(frozen=True)
class AttachmentFacts:
    """A file that goes with a notice: its size in bytes and the SHA-256 of its content."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class NoticeFacts:
    """One mail to one person at the client; `text` is its body as sent, the sentence that it is late included,
    and the secret part of the client's link left out: whoever reads this document must not be able to press its button.
    """

    incident: str
    kind: str
    recipient_name: str
    recipient_address: str
    subject: str
    message_id: str
    made_at: dt.datetime
    due_at: dt.datetime
    state: str
    state_reason: str
    sent_instead: str
    is_marked_late: bool
    is_fallback: bool
    accepted_at: dt.datetime | None
    server_answer: str
    attempts: tuple[AttemptFacts, ...]
    acknowledgement: AcknowledgementFacts | None
    text: str
    attachment: AttachmentFacts | None


@dataclass(frozen=True)
class ToldFacts:
    """That the client was told by other means at `at`. `words` only where our entry about it is open to clients."""

    obligation: str
    agreement: str
    at: dt.datetime
    recorded_at: dt.datetime
    words: str


@dataclass(frozen=True)
class Evidence(Facts):
    FORM = 2

    reference: str
    title: str
    severity: str
    status: str
    merged_into: str
    instants: tuple[tuple[str, dt.datetime | None], ...]
    client: str
    time_zone: str
    agreements: tuple[AgreementFacts, ...]
    obligations: tuple[ObligationFacts, ...]
    notices: tuple[NoticeFacts, ...]
    told: tuple[ToldFacts, ...]


# ── gathering ───────────────────────────────────────────────────────────────────────────────────────────────────────


def evidence_of(incident: Incident, client: Client, *, now: dt.datetime) -> Evidence:
    """All that bears on what this client is owed in this incident, as it stands at `now`.

    Notices of incidents that were merged into this one count: they meet its obligations.
    """
    with translation.override(settings.LANGUAGE_CODE):  # the same facts whoever reads them
        deadlines = _deadlines(incident, client)
        notices = _notices(incident, client)
        return Evidence(
            reference=incident.reference,
            title=incident.title,
            severity=incident.severity,
            status=incident.status,
            merged_into=incident.merged_into.reference if incident.merged_into else "",
            instants=tuple((name, getattr(incident, name)) for name in INSTANTS),
            client=client.name,
            time_zone=client.time_zone,
            agreements=_agreements(incident, client, deadlines),
            obligations=_obligations(incident, deadlines, notices, now),
            notices=_notice_facts(notices),
            told=_told(incident, deadlines, notices),
        )


def clients_of(deadlines: Iterable[Deadline]) -> list[Client]:
    """The clients that these deadlines are owed to, by name: those for whom there is something to prove."""
    clients = {deadline.client_id: deadline.client for deadline in deadlines}
    return sorted(clients.values(), key=lambda client: client.name)


def concerns(incident: Incident, client: Client) -> bool:
    """Whether anything was owed or sent to this client because of this incident."""
    if incident.deadlines.filter(client=client).exists():
        return True
    return incident.affected_agreements.filter(agreement__client=client).exists()


def _deadlines(incident: Incident, client: Client) -> list[Deadline]:
    found = incident.deadlines.filter(client=client).select_related("agreement", "commitment")
    deadlines = list(found.order_by(F("started_at").asc(nulls_last=True), F("due_at").asc(nulls_last=True), "pk"))
    read_terms(deadline.terms_copy_id for deadline in deadlines)
    return deadlines


def _notices(incident: Incident, client: Client) -> list[Notice]:
    here_and_merged = incident.with_merged()
    found = Notice.objects.filter(incident__in=here_and_merged, client=client, kind__in=CLIENT_KINDS, user__isnull=True)
    found = found.select_related("incident", "acknowledgement", "attachment").defer("html", "attachment__content")
    found = found.annotate(attachment_size=Length("attachment__content"))
    attempts = DeliveryAttempt.objects.order_by("at", "pk")
    return list(found.prefetch_related(Prefetch("attempts", attempts)).order_by("made_at", "pk"))


def _agreements(incident: Incident, client: Client, deadlines: Sequence[Deadline]) -> tuple[AgreementFacts, ...]:
    affected = AffectedAgreement.objects.filter(incident=incident).values("agreement")
    owing = {deadline.agreement_id for deadline in deadlines}
    found = ServiceAgreement.objects.filter(Q(pk__in=affected) | Q(pk__in=owing), client=client)
    return tuple(
        AgreementFacts(
            reference=agreement.reference,
            version=agreement.version,
            effective_at=agreement.effective_at,
            ends_at=agreement.ends_at,
            clause=agreement.clause,
        )
        for agreement in found.order_by("reference", "version")
    )


def _obligations(
    incident: Incident, deadlines: Sequence[Deadline], notices: Sequence[Notice], now: dt.datetime
) -> tuple[ObligationFacts, ...]:
    pauses = list(incident.pauses.all())
    return tuple(
        ObligationFacts(
            agreement=str(deadline.agreement),
            severity=deadline.severity,
            obligation=deadline.obligation,
            label=deadline.commitment.label,
            clause_number=deadline.commitment.clause_number,
            terms=deadline.terms_in_words,
            counted_from=event_in_words(deadline.start_event, deadline.terms.follows),
            cycle=deadline.cycle,
            started_at=deadline.started_at,
            due_at=deadline.due_at,
            met_at=deadline.met_at,
            met_by=_met_by(deadline, notices),
            ended_at=deadline.ended_at,
            end_reason=deadline.end_reason,
            paused_at=deadline.paused_at,
            pauses=_pauses(deadline, pauses),
            standing=_standing(deadline, now),
        )
        for deadline in deadlines
    )


def _standing(deadline: Deadline, now: dt.datetime) -> Standing:
    """From when it is at risk is our own measure and no part of what was agreed: until it is due it runs."""
    standing = deadline.standing(now)
    return Standing.RUNNING if standing == Standing.AT_RISK else standing


def _met_by(deadline: Deadline, notices: Sequence[Notice]) -> tuple[str, ...]:
    """A notice meets as of the very instant at which it was accepted."""
    if deadline.met_at is None or deadline.obligation not in TOLD:
        return ()
    return tuple(notice.message_id for notice in notices if notice.accepted_at == deadline.met_at)


def _pauses(deadline: Deadline, pauses: Iterable[Pause]) -> tuple[PauseFacts, ...]:
    """Those that stopped this clock: only where the clause allows it, only while it ran."""
    started_at, done_at = deadline.started_at, deadline.met_at or deadline.ended_at
    if started_at is None or not deadline.terms.is_pausable:
        return ()
    return tuple(
        PauseFacts(pause.begins_at, pause.ends_at, pause.why)
        for pause in pauses
        if (pause.ends_at is None or pause.ends_at > started_at) and (done_at is None or pause.begins_at < done_at)
    )


def _notice_facts(notices: Sequence[Notice]) -> tuple[NoticeFacts, ...]:
    message_ids = {notice.pk: notice.message_id for notice in notices}
    remains = retention.remains_of(notices)
    return tuple(
        NoticeFacts(
            incident=notice.incident.reference if notice.incident else "",
            kind=notice.kind,
            recipient_name=notice.recipient_name,
            recipient_address=notice.recipient_address,
            subject=notice.subject,
            message_id=notice.message_id,
            made_at=notice.made_at,
            due_at=notice.due_at,
            state=notice.state,
            state_reason=notice.state_reason,
            sent_instead=message_ids.get(notice.superseded_by_id or 0, ""),
            is_marked_late=notice.is_marked_late,
            is_fallback=notice.is_fallback,
            accepted_at=notice.accepted_at,
            server_answer=notice.server_answer,
            attempts=tuple(_attempt(attempt) for attempt in notice.attempts.all()),
            acknowledgement=_acknowledgement(notice),
            text=remains[notice.pk].sentence
            if notice.pk in remains
            else acknowledgement_link.masked(letter.text_of(notice)),
            attachment=_attachment(notice),
        )
        for notice in notices
    )


def _attempt(attempt: DeliveryAttempt) -> AttemptFacts:
    return AttemptFacts(
        at=attempt.at,
        server=attempt.server,
        phase=attempt.phase,
        code=attempt.code,
        answer=attempt.answer,
        outcome=attempt.outcome,
        elapsed_ms=attempt.elapsed_ms,
    )


def _attachment(notice: Any) -> AttachmentFacts | None:
    """Of a notice that comes with the size of its file."""
    file = notice.attachment
    return AttachmentFacts(file.name, notice.attachment_size, file.sha256) if file else None


def _acknowledgement(notice: Notice) -> AcknowledgementFacts | None:
    given = getattr(notice, "acknowledgement", None)
    if given is None:
        return None
    return AcknowledgementFacts(given.at, given.from_address or "", given.user_agent)


# ── told by other means ─────────────────────────────────────────────────────────────────────────────────────────────


def _told(incident: Incident, deadlines: Sequence[Deadline], notices: Sequence[Notice]) -> tuple[ToldFacts, ...]:
    """Deadlines of what a client is told that were met at no notice's acceptance."""
    otherwise = [
        deadline
        for deadline in deadlines
        if deadline.met_at and deadline.obligation in TOLD and not _met_by(deadline, notices)
    ]
    if not otherwise:
        return ()
    recorded = _recorded(otherwise)
    entries = _entries(incident, {deadline.met_at for deadline in otherwise if deadline.met_at})
    return tuple(
        ToldFacts(
            obligation=deadline.obligation,
            agreement=str(deadline.agreement),
            at=deadline.met_at,
            recorded_at=recorded[deadline.pk].at,
            words=recorded[deadline.pk].words_if_in(entries[deadline.met_at], deadline.client),
        )
        for deadline in otherwise
        if deadline.met_at and deadline.pk in recorded
    )


@dataclass(frozen=True)
class _Recorded:
    """When and with what evidence the trail says that a deadline was met."""

    at: dt.datetime
    evidence: str

    def words_if_in(self, entries: Iterable[str], client: Client) -> str:
        """The evidence, if one of these timeline entries tells that this client was told so; else it is no evidence."""
        is_told = self.evidence and any(str(client) in entry and entry.endswith(self.evidence) for entry in entries)
        return self.evidence if is_told else ""


def _recorded(deadlines: Sequence[Deadline]) -> Mapping[int, _Recorded]:
    """From the first history row that says what holds now."""
    met_at = {deadline.pk: deadline.met_at for deadline in deadlines}
    history: Any = Deadline.history
    rows: QuerySet[Any] = history.filter(id__in=met_at, met_at__isnull=False).order_by("history_date", "history_id")
    found: dict[int, _Recorded] = {}
    for pk, at, recorded_at, reason in rows.values_list("id", "met_at", "history_date", "history_change_reason"):
        if at == met_at[pk]:
            found.setdefault(pk, _Recorded(recorded_at, reason or ""))
    return found


def _entries(incident: Incident, instants: Iterable[dt.datetime]) -> Mapping[dt.datetime, list[str]]:
    found: dict[dt.datetime, list[str]] = defaultdict(list)
    entries = TimelineEntry.objects.filter(incident=incident, happened_at__in=list(instants))
    for happened_at, text in entries.values_list("happened_at", "text"):
        found[happened_at].append(text)
    return found
