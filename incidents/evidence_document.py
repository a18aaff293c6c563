"""Evidence in words: one document of plain blocks, which the web page and the PDF both lay out and neither adds to.

Every value is a text of its own in a cell of its own, so that nothing in it can run into its neighbours, whatever
its direction or length. The document is in English.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

from django.conf import settings
from django.utils import translation
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from agreements.explanation import length
from agreements.models import Obligation, Severity
from config import zones
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
NOTHING = "–"
SECOND = dt.timedelta(seconds=1)

# ── what a document is made of ──────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Cell:
    """One value: its lines, each shown by itself.

    `form` is "time" for instants, which are not broken, "code" for what a machine wrote and is compared by letter.
    """

    lines: tuple[str, ...]
    form: Literal["", "time", "code"] = ""


@dataclass(frozen=True)
class Heading:
    kind: ClassVar[str] = "heading"
    text: str
    level: int  # 2 for a part, 3 for one thing in it


@dataclass(frozen=True)
class Paragraph:
    kind: ClassVar[str] = "paragraph"
    text: str


@dataclass(frozen=True)
class Fields:
    """Pairs of a label and its value."""

    kind: ClassVar[str] = "fields"
    rows: tuple[tuple[str, Cell], ...]


@dataclass(frozen=True)
class Table:
    """`shares` says how the width is divided among the columns."""

    kind: ClassVar[str] = "table"
    caption: str
    columns: tuple[str, ...]
    shares: tuple[int, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True)
class Verbatim:
    """A text exactly as it is elsewhere: its spaces and line breaks count."""

    kind: ClassVar[str] = "verbatim"
    label: str
    text: str
    is_mail: bool = False


Block = Heading | Paragraph | Fields | Table | Verbatim


@dataclass(frozen=True)
class Document:
    """`running` stands at the foot of every page, `made` and `digest` at the end."""

    title: str
    subtitle: str
    running: str
    language: str
    blocks: tuple[Block, ...]
    made: str
    digest: str
    digest_note: str

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "blocks": [{"kind": block.kind, **asdict(block)} for block in self.blocks]}


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


def exactly(instant: dt.datetime, zone_name: str) -> str:
    """`Tue 24 Nov 2026, 05:10:00 EST`: to the second, with the zone."""
    local = instant.astimezone(zones.zone(zone_name))
    name = local.tzname() or ""
    label = f"UTC{name}" if name.startswith(("+", "-")) else name
    return f"{date_format(local, 'D j M Y')}, {local:%H:%M:%S} {label}"


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
            (_("Incident"), _cell(facts.reference, facts.title)),
            (_("Client"), _cell(facts.client)),
            (_("Client's time zone"), _cell(facts.time_zone)),
            (_("Severity"), _cell(str(Severity(facts.severity).label))),
            (_("Status"), _cell(self._status())),
        ]
        yield Heading(_("The incident"), 2)
        known = ((name, at) for name, at in facts.instants if self._is_said(name, at))
        yield Fields(
            (*rows, *((str(INSTANTS[name]), _cell(self._line(at), none=_("not recorded"))) for name, at in known))
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
                    (_("Version"), _cell(str(agreement.version))),
                    (_("In force from"), _cell(self._line(agreement.effective_at))),
                    (_("In force until"), _cell(self._line(agreement.ends_at), none=_("further notice"))),
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
                    _cell(f"O{number}"),
                    _cell(_what(one), one.terms),
                    self._at(one.due_at, _no_due_time(one)),
                    self._at(one.met_at),
                    _cell(str(Standing(one.standing).label)),
                )
                for number, one in enumerate(owed, start=1)
            ),
        )
        for number, one in enumerate(owed, start=1):
            yield Heading(f"O{number} · {_what(one)}", 3)
            yield Fields(tuple(self._obligation(one)))

    def _obligation(self, one: ObligationFacts) -> Iterable[tuple[str, Cell]]:
        clause = _("clause %(number)s") % {"number": one.clause_number} if one.clause_number else ""
        yield _("Agreement"), _cell(one.agreement, clause)
        yield _("Severity"), _cell(str(Severity(one.severity).label))
        yield _("Terms"), _cell(one.terms)
        yield _("Counted from"), _cell(one.counted_from)
        if one.cycle > 1:
            yield _("Cycle"), _cell(str(one.cycle))
        yield _("Started"), _cell(self._line(one.started_at), none=_("not yet: that has not happened"))
        yield _("Due"), _cell(self._line(one.due_at), none=_no_due_time(one))
        for pause in one.pauses:
            ends = self._line(pause.ends_at) if pause.ends_at else _("not yet")
            yield _("Clock stopped"), _cell(self._line(pause.begins_at), pause.why)
            yield _("Clock went on"), _cell(ends)
        if one.ended_at:
            yield _("Ended, no longer owed"), _cell(self._line(one.ended_at), one.end_reason)
        else:
            yield _("Met"), _cell(self._line(one.met_at), _margin(one), none=_("not met"))
        if one.met_by:
            yield _("Met by notice"), _cell(", ".join(self.numbers[message_id] for message_id in one.met_by))
        yield _("Standing"), _cell(str(Standing(one.standing).label))

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
                    _cell(self.numbers[notice.message_id]),
                    _cell(_kind(notice), notice.recipient_address),
                    self._at(notice.accepted_at),
                    self._at(notice.acknowledgement.at if notice.acknowledgement else None),
                    _cell(str(NoticeState(notice.state).label)),
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
            yield _("Sent in"), _cell(notice.incident, _("which was merged into this incident"))
        yield _("To"), _cell(notice.recipient_name, notice.recipient_address)
        yield _("Subject"), _cell(notice.subject)
        yield _("Message-ID"), _code(notice.message_id)
        yield _("Made"), _cell(self._line(notice.made_at))
        yield _("To be sent by"), _cell(self._line(notice.due_at))
        if notice.is_marked_late:
            yield _("Late"), _cell(_("It went out late and says so in its first lines."))
        if notice.is_fallback:
            yield _("Form"), _cell(_("The bare facts, because its usual form could not be made."))
        yield _("State"), _cell(str(NoticeState(notice.state).label), notice.state_reason)
        if notice.sent_instead:
            yield _("Sent instead"), _cell(self.numbers[notice.sent_instead])
        yield from self._acceptance(notice)
        yield _("Acknowledged"), self._acknowledged(notice)

    def _acceptance(self, notice: NoticeFacts) -> Iterable[tuple[str, Cell]]:
        is_said_by_us = notice.state == NoticeState.HANDLED  # a person found out that it arrived, no server said so
        label = _("Counted as arrived") if notice.accepted_at and is_said_by_us else _("Accepted")
        yield label, _cell(self._line(notice.accepted_at), none=_("by no mail server"))
        if server := _accepted_by(notice):
            yield _("Accepted by"), _code(server, notice.server_answer)
        elif notice.server_answer:
            yield _("Server's last answer"), _code(notice.server_answer)

    def _acknowledged(self, notice: NoticeFacts) -> Cell:
        given = notice.acknowledgement
        if given is None:
            return _cell(_("no acknowledgement was given"))
        where = _("from the network address %(address)s") % {"address": given.from_address}
        program = _("with the program %(program)s") % {"program": given.user_agent}
        return _cell(self._line(given.at), where if given.from_address else "", program if given.user_agent else "")

    def _attempts(self, attempts: Sequence[AttemptFacts]) -> Table:
        return Table(
            caption=_("Every try at the mail server"),
            columns=(_("When"), _("Mail server"), _("Outcome"), _("Server's code and answer"), _("Took")),
            shares=(37, 28, 25, 35, 12),
            rows=tuple(
                (
                    self._at(attempt.at),
                    _code(attempt.server),
                    _cell(str(Outcome(attempt.outcome).label), _while(attempt)),
                    _code(_answer(attempt)),
                    _cell(_("%(ms)d ms") % {"ms": attempt.elapsed_ms}),
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
            _cell(str(Obligation(told.obligation).label), told.agreement),
            self._at(told.at),
            self._at(told.recorded_at),
            _cell(told.words or _("kept in our internal records")),
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


def _cell(*lines: str, none: str = NOTHING) -> Cell:
    """The lines that say something, each on one line of its own."""
    said = tuple(line for text in lines for line in text.splitlines() if line.strip())
    return Cell(said or (none,))


def _code(*lines: str) -> Cell:
    return Cell(_cell(*lines).lines, form="code" if any(lines) else "")


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
