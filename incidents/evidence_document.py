"""Evidence in words: one document of plain blocks, which the web page and the PDF both lay out and neither adds to.

The document is in English.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence

from django.conf import settings
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from agreements.explanation import length
from agreements.models import Obligation, Severity
from incidents.document import (
    NOTHING,
    Block,
    Cell,
    Document,
    Fields,
    Heading,
    Paragraph,
    Table,
    Verbatim,
    cell,
    exactly,
)
from incidents.evidence import AttemptFacts, Evidence, NoticeFacts, ObligationFacts, ToldFacts
from incidents.models import Standing
from incidents.models.incident import Status
from incidents.models.notice import (
    HELD_STATES,
    WAITING_STATES,
    DeliveryPhase,
    NoticeKind,
    NoticeState,
    Outcome,
)

#: The instants of an incident as they read from outside; “acknowledged” is kept for what the client does.
INSTANTS = {
    "occurred_at": gettext_lazy("Happened"),
    "detected_at": gettext_lazy("Detected"),
    "aware_at": gettext_lazy("We became aware"),
    "classified_at": gettext_lazy("Classified"),
    "acknowledged_at": gettext_lazy("Acknowledged by us"),
    "mitigated_at": gettext_lazy("Mitigated"),
    "resolved_at": gettext_lazy("Resolved"),
    "reopened_at": gettext_lazy("Reopened"),
}
SECOND = dt.timedelta(seconds=1)


def document_of(evidence: Evidence, *, made_at: dt.datetime, made_by: str) -> Document:
    """The evidence as a document that `made_by` made at `made_at`."""
    with translation.override(settings.LANGUAGE_CODE):
        words = _Words(evidence)
        made = _("Made %(at)s (%(utc)s) by %(who)s.")
        return Document(
            title=_("Evidence of obligations and notices"),
            subtitle=f"{evidence.reference} · {evidence.client}",
            running=f"{evidence.reference} · {evidence.client}",
            language=settings.LANGUAGE_CODE,
            blocks=tuple(words.blocks()),
            made=made
            % {
                "at": exactly(made_at, evidence.time_zone),
                "utc": exactly(made_at, "UTC"),
                "who": made_by,
            },
            digest=evidence.digest(),
            digest_note=_(
                "SHA-256 of the facts in this document. The PDF carries them as the attachment facts.json, whose "
                "SHA-256 this is; it stays the same for as long as no fact changes, whoever makes the document."
            ),
        )


# ── the words ───────────────────────────────────────────────────────────────────────────────────────────────────────


class _Words:
    """The facts of one evidence as blocks; obligations and notices are numbered so that one can name the other."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self.numbers = {notice.message_id: f"N{n}" for n, notice in enumerate(evidence.notices, start=1)}

    def blocks(self) -> Iterable[Block]:
        yield from self._incident()
        yield from self._agreements()
        yield from self._obligations()
        yield from self._notices()
        yield from self._told()

    # the incident

    def _incident(self) -> Iterable[Block]:
        facts = self.evidence
        yield Paragraph(
            _(
                "What the client named here was owed because of this incident, when each obligation was due and "
                "when it was met, and every notice that was made for the client. All times are given to the second, "
                "in the client's time zone and in UTC."
            )
        )
        rows = [
            (_("Incident"), cell(facts.reference, facts.title)),
            (_("Client"), cell(facts.client)),
            (_("Client's time zone"), cell(facts.time_zone)),
            (_("Severity"), cell(str(Severity(facts.severity).label))),
            (_("Status"), cell(self._status())),
        ]
        yield Heading(_("The incident"), 2)
        known = ((name, at) for name, at in facts.instants if self._is_said(name, at))
        yield Fields(
            (*rows, *((str(INSTANTS[name]), cell(self._line(at), none=_("not recorded"))) for name, at in known))
        )

    def _status(self) -> str:
        label = str(Status(self.evidence.status).label)
        return f"{label}: {self.evidence.merged_into}" if self.evidence.merged_into else label

    @staticmethod
    def _is_said(name: str, at: dt.datetime | None) -> bool:
        """What is not known is said too, but most incidents are never reopened."""
        return at is not None or name != "reopened_at"

    # the agreements

    def _agreements(self) -> Iterable[Block]:
        yield Heading(_("What was agreed"), 2)
        for agreement in self.evidence.agreements:
            yield Heading(agreement.reference, 3)
            yield Fields(
                (
                    (_("Version"), cell(str(agreement.version))),
                    (_("In force from"), cell(self._line(agreement.effective_at))),
                    (_("In force until"), cell(self._line(agreement.ends_at), none=_("further notice"))),
                )
            )
            yield Verbatim(_("The clause"), agreement.clause)
        if not self.evidence.agreements:
            yield Paragraph(_("No agreement with this client applies."))

    # the obligations

    def _obligations(self) -> Iterable[Block]:
        owed = self.evidence.obligations
        yield Heading(_("What was owed"), 2)
        if not owed:
            yield Paragraph(_("Nothing with a term was owed to this client."))
            return
        yield Table(
            caption=_("Every obligation"),
            columns=(_("No."), _("Obligation"), _("Due"), _("Met"), _("Standing")),
            shares=(7, 38, 37, 37, 18),
            rows=tuple(
                (
                    cell(f"O{number}"),
                    cell(_what(one), one.terms),
                    self._at(one.due_at, _no_due_time(one)),
                    self._at(one.met_at),
                    cell(str(Standing(one.standing).label)),
                )
                for number, one in enumerate(owed, start=1)
            ),
        )
        for number, one in enumerate(owed, start=1):
            yield Heading(f"O{number} · {_what(one)}", 3)
            yield Fields(tuple(self._obligation(one)))

    def _obligation(self, one: ObligationFacts) -> Iterable[tuple[str, Cell]]:
        clause = _("clause %(number)s") % {"number": one.clause_number} if one.clause_number else ""
        yield _("Agreement"), cell(one.agreement, clause)
        yield _("Severity"), cell(str(Severity(one.severity).label))
        yield _("Terms"), cell(one.terms)
        yield _("Counted from"), cell(one.counted_from)
        if one.cycle > 1:
            yield _("Cycle"), cell(str(one.cycle))
        yield _("Started"), cell(self._line(one.started_at), none=_("not yet: that has not happened"))
        yield _("Due"), cell(self._line(one.due_at), none=_no_due_time(one))
        for pause in one.pauses:
            ends = self._line(pause.ends_at) if pause.ends_at else _("not yet")
            yield _("Clock stopped"), cell(self._line(pause.begins_at), pause.why)
            yield _("Clock went on"), cell(ends)
        if one.ended_at:
            yield _("Ended, no longer owed"), cell(self._line(one.ended_at), one.end_reason)
        else:
            yield _("Met"), cell(self._line(one.met_at), _margin(one), none=_("not met"))
        if one.met_by:
            yield _("Met by notice"), cell(", ".join(self.numbers[message_id] for message_id in one.met_by))
        yield _("Standing"), cell(str(Standing(one.standing).label))

    # the notices

    def _notices(self) -> Iterable[Block]:
        yield Heading(_("What was sent"), 2)
        yield Paragraph(
            _(
                "“Accepted” means that the mail server named took the message over for delivery and answered so; "
                "it does not mean that anybody has read it, which only the recipient's own acknowledgement shows."
            )
        )
        sent = self.evidence.notices
        if not sent:
            yield Paragraph(_("No notice was made for this client."))
            return
        yield Table(
            caption=_("Every notice"),
            columns=(_("No."), _("Notice, to"), _("Accepted"), _("Acknowledged"), _("State")),
            shares=(7, 38, 37, 37, 18),
            rows=tuple(
                (
                    cell(self.numbers[notice.message_id]),
                    cell(_kind(notice), notice.recipient_address),
                    self._at(notice.accepted_at),
                    self._at(notice.acknowledgement.at if notice.acknowledgement else None),
                    cell(str(NoticeState(notice.state).label)),
                )
                for notice in sent
            ),
        )
        for notice in sent:
            title = {"kind": _kind(notice), "who": notice.recipient_name}
            yield Heading(f"{self.numbers[notice.message_id]} · " + _("%(kind)s to %(who)s") % title, 3)
            yield Fields(tuple(self._notice(notice)))
            if notice.attempts:
                yield self._attempts(notice.attempts)
            yield Verbatim(_body_label(notice), notice.text, is_mail=True)

    def _notice(self, notice: NoticeFacts) -> Iterable[tuple[str, Cell]]:
        if notice.incident != self.evidence.reference:
            yield _("Sent in"), cell(notice.incident, _("which was merged into this incident"))
        yield _("To"), cell(notice.recipient_name, notice.recipient_address)
        yield _("Subject"), cell(notice.subject)
        yield _("Message-ID"), _code(notice.message_id)
        if file := notice.attachment:
            yield _("Attached file"), _code(file.name)
            yield _("Its size"), cell(_("%(size)d bytes") % {"size": file.size})
            yield _("Its SHA-256"), _code(file.sha256)
        yield _("Made"), cell(self._line(notice.made_at))
        yield _("To be sent by"), cell(self._line(notice.due_at))
        if notice.is_marked_late:
            yield _("Late"), cell(_("It went out late and says so in its first lines."))
        if notice.is_fallback:
            yield _("Form"), cell(_("The bare facts, because its usual form could not be made."))
        yield _("State"), cell(str(NoticeState(notice.state).label), notice.state_reason)
        if notice.sent_instead:
            yield _("Sent instead"), cell(self.numbers[notice.sent_instead])
        yield from self._acceptance(notice)
        yield _("Acknowledged"), self._acknowledged(notice)

    def _acceptance(self, notice: NoticeFacts) -> Iterable[tuple[str, Cell]]:
        is_said_by_us = notice.state == NoticeState.HANDLED  # a person found out that it arrived, no server said so
        label = _("Counted as arrived") if notice.accepted_at and is_said_by_us else _("Accepted")
        yield label, cell(self._line(notice.accepted_at), none=_("by no mail server"))
        if server := _accepted_by(notice):
            yield _("Accepted by"), _code(server, notice.server_answer)
        elif notice.server_answer:
            yield _("Server's last answer"), _code(notice.server_answer)

    def _acknowledged(self, notice: NoticeFacts) -> Cell:
        given = notice.acknowledgement
        if given is None:
            return cell(_("no acknowledgement was given"))
        where = _("from the network address %(address)s") % {"address": given.from_address}
        program = _("with the program %(program)s") % {"program": given.user_agent}
        return cell(self._line(given.at), where if given.from_address else "", program if given.user_agent else "")

    def _attempts(self, attempts: Sequence[AttemptFacts]) -> Table:
        return Table(
            caption=_("Every try at the mail server"),
            columns=(_("When"), _("Mail server"), _("Outcome"), _("Server's code and answer"), _("Took")),
            shares=(37, 28, 25, 35, 12),
            rows=tuple(
                (
                    self._at(attempt.at),
                    _code(attempt.server),
                    cell(str(Outcome(attempt.outcome).label), _while(attempt)),
                    _code(_answer(attempt)),
                    cell(_("%(ms)d ms") % {"ms": attempt.elapsed_ms}),
                )
                for attempt in attempts
            ),
        )

    # told by other means

    def _told(self) -> Iterable[Block]:
        if not self.evidence.told:
            return
        yield Heading(_("What was told by other means"), 2)
        yield Table(
            caption=_("Met without a mail of ours being accepted for it, as our staff recorded"),
            columns=(_("Obligation"), _("Told"), _("Recorded"), _("What was recorded")),
            shares=(30, 37, 37, 33),
            rows=tuple(self._told_row(told) for told in self.evidence.told),
        )

    def _told_row(self, told: ToldFacts) -> tuple[Cell, ...]:
        return (
            cell(str(Obligation(told.obligation).label), told.agreement),
            self._at(told.at),
            self._at(told.recorded_at),
            cell(told.words or _("kept in our internal records")),
        )

    # instants

    def _in_both_zones(self, instant: dt.datetime) -> tuple[str, ...]:
        """In the client's zone, then in UTC; once where they are the same."""
        return tuple(dict.fromkeys((exactly(instant, self.evidence.time_zone), exactly(instant, "UTC"))))

    def _line(self, instant: dt.datetime | None) -> str:
        """Both on one line, for a field."""
        return " · ".join(self._in_both_zones(instant)) if instant else ""

    def _at(self, instant: dt.datetime | None, none: str = NOTHING) -> Cell:
        """Each on a line of its own, for a column."""
        return Cell(self._in_both_zones(instant), form="time") if instant else Cell((none,))


def _code(*lines: str) -> Cell:
    return Cell(cell(*lines).lines, form="code" if any(lines) else "")


def _what(one: ObligationFacts) -> str:
    what = str(Obligation(one.obligation).label)
    return f"{what} ({one.label})" if one.label else what


def _kind(notice: NoticeFacts) -> str:
    return str(NoticeKind(notice.kind).label)


def _no_due_time(one: ObligationFacts) -> str:
    return _("not before it has started") if one.started_at is None else _("no fixed time agreed")


def _margin(one: ObligationFacts) -> str:
    """`3 h 49 min before it was due`; also what the second hides: a moment too late is late."""
    if one.met_at is None or one.due_at is None:
        return ""
    span = abs(one.due_at - one.met_at)
    said = length(span // SECOND * SECOND) if span >= SECOND else _("less than a second")
    if one.met_at == one.due_at:
        return _("at the very instant at which it was due")
    early, late = _("%(span)s before it was due"), _("%(span)s after it was due")
    return (early if one.met_at < one.due_at else late) % {"span": said}


def _accepted_by(notice: NoticeFacts) -> str:
    servers = (attempt.server for attempt in notice.attempts if attempt.outcome == Outcome.ACCEPTED)
    return next(filter(None, servers), "")


def _answer(attempt: AttemptFacts) -> str:
    """With its code once: most answers begin with it."""
    code = str(attempt.code or "")
    return attempt.answer if attempt.answer.startswith(code) else f"{code} {attempt.answer}".strip()


def _while(attempt: AttemptFacts) -> str:
    if attempt.outcome == Outcome.ACCEPTED:
        return ""
    return _("while %(phase)s") % {"phase": DeliveryPhase(attempt.phase).label}


def _body_label(notice: NoticeFacts) -> str:
    if notice.accepted_at:
        return _("The body as sent (“…” stands for the secret part of the client’s link)")
    if notice.state in (*WAITING_STATES, *HELD_STATES):
        return _("The body as it will be sent")
    return _("The body as it was made; no mail server accepted it")
