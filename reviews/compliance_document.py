"""What a client was owed in a period in words: tables for the page and its files, documents for PDF and mail.

Everything is in the client's zone. The client's statement is made from what may be told alone (`Told`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence

from django.utils import translation
from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from agreements.models import Client, Obligation, Severity
from config import charts, times, zones
from config.periods import Period
from incidents.document import Block, Document, Facts, Heading, Paragraph, Prose
from incidents.models import AffectedAgreement, Deadline, Incident
from incidents.models.incident import Status
from incidents.notices import OWED_TO_CLIENT
from reviews import compliance
from reviews.compliance import Became, Compliance, Line, Remark, Row, Told, Why
from reviews.models import PostIncidentReview
from reviews.phases import PhaseName
from reviews.tables import Table

MOST_ROWS = 200  # of a list of deadlines or incidents on the page

#: As colleagues call it.
OWED: Mapping[Obligation, str | Promise] = {obligation: obligation.label for obligation in Obligation}
#: Short enough to stand under a column.
SHORT: Mapping[Obligation, str | Promise] = {
    Obligation.ACKNOWLEDGE: _("Acknowledge"),
    Obligation.NOTIFY: _("Notify"),
    Obligation.UPDATE: _("Update"),
    Obligation.MITIGATE: _("Mitigate"),
    Obligation.RESOLVE: _("Resolve"),
    Obligation.REPORT: _("Report"),
}
TONES: Mapping[Became, charts.Tone] = {Became.MET: "ok", Became.MISSED: "crit", Became.RUNNING: "run"}
WIDE = 84  # pixels for a column and the name under it
LONG = 124  # pixels for the name of a phase

#: How it is counted (reviews/compliance.py), for whoever reads the figures.
DEFINITIONS: tuple[str | Promise, ...] = (
    _("A deadline counts in the period in which it falls due, once. If its due time was moved, where it is due now."),
    _(
        "It is met if it was done by its due time, and missed if not. Owed are those that were met, were missed or "
        "still run. One that ended before it was due is not owed any more and is named apart."
    ),
    _("A missed one is late by the time until it was done or ended; if it is neither, until this was made."),
    _("What has no fixed time can be neither met nor missed. It counts apart, in the period in which it began."),
    _(
        "Every update that was owed counts by itself. After a change of severity, what each severity asks for "
        "counts there."
    ),
    _(
        "An incident that was merged into another counts with that one. What was missed before stays missed, and the "
        "same miss counts once."
    ),
    _("Times run from detection, for the incidents that were detected in the period."),
)
INTERNAL_DEFINITIONS: tuple[str | Promise, ...] = (
    _(
        "Excluding an agreement unmakes no miss. A deadline whose moved due time excused a miss is named with the "
        "reason."
    ),
    _(
        "Targets of our own are no part of the contract and are named apart, where their duty began. Clients never "
        "see them."
    ),
)


def period_in_words(period: Period) -> str:
    """`November 2026`, or its two days."""
    if period.month:
        return date_format(period.first, "F Y")
    if period == Period.of_months(period.first.replace(day=1), 3) and period.first.month % 3 == 1:
        quarter = {"number": period.first.month // 3 + 1, "year": period.first.year}
        return _now("quarter %(number)d of %(year)d") % quarter
    days = {"first": date_format(period.first, "DATE_FORMAT"), "last": date_format(period.last, "DATE_FORMAT")}
    return _now("%(first)s to %(last)s") % days


# ── tables ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class Tables:
    """What is told in tables, in the words for one reader."""

    def __init__(self, told: Told, owed: Mapping[Obligation, str | Promise] = OWED) -> None:
        self.told = told
        self._owed = owed
        self._zone = zones.zone(told.time_zone)

    def figures(self) -> Table:
        found = compliance.lines(self.told.rows)
        title = _now("What fell due")
        return Table(
            "figures",
            title,
            Deadline,
            _now("Deadlines with a fixed time that fell due in the period, by what became of them."),
            [
                *(_now("Obligation"), _now("Severity"), _now("Owed"), _now("Met"), _now("Missed"), _now("Met, %")),
                *(_now("Late by, median"), _now("Late by, at most"), _now("Still running"), _now("No longer owed")),
            ],
            [
                [
                    *(self._what(one.obligation), _severity(one.severity), one.owed, one.met, one.missed, one.share),
                    *(one.median, one.worst, one.running, one.ended),
                ]
                for one in found
            ],
            [("", _columns(title, found))] if found and found[0].owed else (),
            _now("Nothing with a fixed time fell due."),
            most=MOST_ROWS,
            shares=(26, 16, 10, 10, 12, 10, 16, 16, 12, 14),
        )

    def undated(self) -> Table:
        return Table(
            "undated",
            _now("Without a fixed time"),
            Deadline,
            _now("Duties without a fixed time that began in the period, and what those that are done took."),
            [
                *(_now("Obligation"), _now("Severity"), _now("Done"), _now("Still running"), _now("No longer owed")),
                *(_now("Took, median"), _now("Took, at most")),
            ],
            [
                [
                    self._what(one.obligation),
                    _severity(one.severity),
                    one.done,
                    one.running,
                    one.ended,
                    one.median,
                    one.worst,
                ]
                for one in compliance.undated(self.told.rows)
            ],
            when_empty=_now("No duty without a fixed time began."),
            most=MOST_ROWS,
        )

    def took(self) -> Table:
        found = self.told.took
        rows = [
            [str(PhaseName(one.phase).label), _severity(one.severity), one.incidents, one.median, one.ninetieth]
            for one in found
        ]
        title = _now("Times from detection")
        bars = [
            charts.Bar(
                PhaseName(one.phase).label,
                one.median.total_seconds(),
                one.ninetieth.total_seconds(),
                times.duration(one.median),
            )
            for one in found
            if not one.severity
        ]
        return Table(
            "times",
            title,
            Incident,
            _now(
                "Of the incidents that were detected in the period and came so far: half of them took at most the "
                "median, nine in ten at most the last column."
            ),
            [_now("Until"), _now("Severity"), _now("Incidents"), _now("Median"), _now("Nine in ten")],
            rows,
            [("", charts.bars(title, bars, left=LONG))] if bars else (),
            _now("No incident that was detected in the period came so far."),
            most=MOST_ROWS,
        )

    def ended(self) -> Table:
        rows = [(row, remark) for row, remark in self._remarked() if row.became == Became.ENDED]
        return Table(
            "ended",
            _now("No longer owed"),
            Deadline,
            _now("Deadlines that ended before they were due, or count with another incident."),
            [_now("Incident"), _now("Obligation"), _now("Severity"), _now("Due"), _now("Why"), *self._reason_head()],
            [
                [
                    *(row.incident, self._what(row.obligation), _severity(row.severity), self._at(row.due_at)),
                    *(_why(row), *self._reason(remark.end_reason if remark else "")),
                ]
                for row, remark in rows
            ],
            when_empty=_now("None ended before it was due."),
            is_list=True,
            most=MOST_ROWS,
        )

    def moved(self) -> Table:
        rows = [(row, remark) for row, remark in self._remarked() if row.moved_from]
        return Table(
            "moved",
            _now("Due times that were moved"),
            Deadline,
            _now(
                "Deadlines that would count as missed by a due time that they had before, and do not by the present "
                "one."
            ),
            [
                _now("Incident"),
                _now("Obligation"),
                _now("Due before"),
                _now("Due now"),
                _now("Done"),
                *self._reason_head(),
            ],
            [
                [
                    *(row.incident, self._what(row.obligation), self._at(row.moved_from), self._at(row.due_at)),
                    *(self._at(row.done_at), *self._reason(remark.move_reason if remark else "")),
                ]
                for row, remark in rows
            ],
            when_empty=_now("No moved due time excused a miss."),
            is_list=True,
            most=MOST_ROWS,
        )

    def incidents(self) -> Table:
        return Table(
            "incidents",
            _now("Incidents"),
            Incident,
            _now("Those that were detected in the period, and those of the deadlines below."),
            [_now("Incident"), _now("Title"), _now("Severity"), _now("Detected"), _now("Resolved"), _now("Status")],
            [
                [
                    *(one.reference, one.title, _severity(one.severity), self._at(one.detected_at)),
                    *(self._at(one.resolved_at), str(Status(one.status).label)),
                ]
                for one in self.told.incidents
            ],
            when_empty=_now("There was no incident."),
            is_list=True,
            most=MOST_ROWS,
            shares=(18, 35, 14, 25, 22, 21),
        )

    def deadlines(self) -> Table:
        return Table(
            "deadlines",
            _now("Every deadline"),
            Deadline,
            _now("Those that fell due in the period, and those without a fixed time that began in it."),
            [
                *(_now("Incident"), _now("Obligation"), _now("Severity"), _now("Terms"), _now("Due"), _now("Done")),
                *(_now("Became"), _now("Late by")),
            ],
            [
                [
                    *(row.incident, self._what(row.obligation), _severity(row.severity), row.terms),
                    *(self._at(row.due_at), self._at(row.done_at), _became(row), row.late),
                ]
                for row in self.told.rows
            ],
            when_empty=_now("No deadline fell due."),
            is_list=True,
            most=MOST_ROWS,
            shares=(17, 18, 13, 26, 20, 20, 14, 12),
        )

    def all(self) -> list[Table]:
        return [
            *(self.figures(), self.undated(), self.took(), self.ended()),
            *(self.moved(), self.incidents(), self.deadlines()),
        ]

    # what colleagues read besides

    def _remarked(self) -> Iterator[tuple[Row, Remark | None]]:
        yield from ((row, None) for row in self.told.rows)

    def _reason_head(self) -> Sequence[str]:
        return ()

    def _reason(self, reason: str) -> Sequence[str]:
        return ()

    # words

    def _what(self, obligation: str) -> str:
        return str(self._owed[Obligation(obligation)]) if obligation else _now("All")

    def _at(self, instant: dt.datetime | None) -> dt.datetime | None:
        return instant.astimezone(self._zone) if instant else None


class InternalTables(Tables):
    """With the reasons that people gave, the waivers, and our own targets."""

    def __init__(self, found: Compliance) -> None:
        super().__init__(found.told)
        self.found = found

    def _remarked(self) -> Iterator[tuple[Row, Remark | None]]:
        yield from zip(self.told.rows, self.found.remarks, strict=True)

    def _reason_head(self) -> Sequence[str]:
        return (_now("Reason"),)

    def _reason(self, reason: str) -> Sequence[str]:
        return (reason,)

    def exclusions(self) -> Table:
        return Table(
            "exclusions",
            _now("Agreements that were excluded"),
            AffectedAgreement,
            _now("By when somebody said that an agreement owes nothing in an incident."),
            [_now("Incident"), _now("Agreement"), _now("Excluded"), _now("Reason")],
            [[one.incident, one.agreement, self._at(one.at), one.reason] for one in self.found.exclusions],
            when_empty=_now("No agreement was excluded."),
            is_list=True,
            most=MOST_ROWS,
        )

    def reviews(self) -> Table:
        return Table(
            "reviews",
            _now("Reviews that were waived"),
            PostIncidentReview,
            _now("By when they were waived."),
            [_now("Incident"), _now("Waived"), _now("Reason")],
            [[one.incident, self._at(one.at), one.reason] for one in self.found.reviews],
            when_empty=_now("No review was waived."),
            is_list=True,
            most=MOST_ROWS,
        )

    def targets(self) -> Table:
        """One row for each duty that has one."""
        rows = [(row, remark) for row, remark in self._remarked() if remark and remark.target_at]
        return Table(
            "targets",
            _now("Targets of our own"),
            Deadline,
            _now(
                "No part of the contract: duties without a fixed time that began in the period and have a target "
                "of ours."
            ),
            [_now("Incident"), _now("Obligation"), _now("Severity"), _now("Our target"), _now("Done"), _now("Target")],
            [
                [
                    *(row.incident, self._what(row.obligation), _severity(row.severity)),
                    *(self._at(remark.target_at), self._at(row.done_at), str(Became(remark.target_became).label)),
                ]
                for row, remark in rows
                if remark
            ],
            when_empty=_now("No duty that began in the period has a target of ours."),
            is_list=True,
            most=MOST_ROWS,
        )

    def all(self) -> list[Table]:
        figures, undated, took, ended, moved, incidents, deadlines = super().all()
        waivers = [moved, self.exclusions(), self.reviews()]
        return [figures, undated, took, *waivers, ended, self.targets(), incidents, deadlines]


def _columns(title: str, found: Sequence[Line]) -> SafeString:
    obligations = [o for o in Obligation if any(one.obligation == o for one in found)]
    series = [
        charts.Series(
            became.label,
            tone,
            [sum(getattr(one, became.value) for one in found if one.obligation == o) for o in obligations],
        )
        for became, tone in TONES.items()
    ]
    return charts.columns("figures", title, [str(SHORT[o]) for o in obligations], series, step=WIDE)


def _severity(severity: str) -> str:
    return str(Severity(severity).label) if severity else _now("All")


def _why(row: Row) -> str:
    said = str(Why(row.why).label)
    return f"{said} ({row.counts_with})" if row.counts_with else said


def _became(row: Row) -> str:
    if row.due_at is None and row.became == Became.MET:
        return _now("Done")
    said = str(Became(row.became).label)
    return _now("%(missed)s, not done yet") % {"missed": said} if row.late and not row.is_done else said


# ── documents ───────────────────────────────────────────────────────────────────────────────────────────────────────


def document_of(found: Compliance, language: str, *, made_at: dt.datetime, made_by: str) -> Document:
    """The whole, for colleagues."""
    tables = InternalTables(found)
    made = {"at": times.in_zone(made_at, found.told.time_zone), "who": made_by}
    blocks = [*_parts(tables.all()), *_definitions((*DEFINITIONS, *INTERNAL_DEFINITIONS))]
    made_so = _now("Made %(at)s by %(who)s. For internal use.") % made
    return _document(_now("Compliance report"), found.told, found, language, blocks, made_so)


def statement_of(told: Told, client: Client, *, made_at: dt.datetime) -> Document:
    """What the client is sent, in its language; who made it is nobody's business outside."""
    with translation.override(client.language):
        made = _now("Made %(at)s.") % {"at": times.in_zone(made_at, told.time_zone)}
        message = [Prose(told.message)] if told.message.strip() else []
        blocks = [*message, *_parts(Tables(told, OWED_TO_CLIENT).all()), *_definitions(DEFINITIONS)]
        return _document(_now("Monthly statement"), told, told, client.language, blocks, made)


def _document(title: str, told: Told, facts: Facts, language: str, blocks: Sequence[Block], made: str) -> Document:
    about = f"{told.client} · {period_in_words(Period(told.first, told.last))}"
    zone = Paragraph(_now("All times in this report are given in %(zone)s.") % {"zone": told.time_zone})
    return Document(
        title=title,
        subtitle=about,
        running=about,
        language=language,
        blocks=(zone, *blocks),
        made=made,
        digest=facts.digest(),
        digest_note=_now("SHA-256 of the facts in this document, which its PDF carries as the attachment facts.json."),
    )


def _parts(tables: Iterable[Table]) -> Iterator[Block]:
    """The figures and the incidents even if there are none; what else is empty is left out."""
    for table in tables:
        if table.rows:
            yield from (Heading(table.title, 2), Paragraph(table.said), table.block)
        elif table.slug in ("figures", "incidents"):
            yield from (Heading(table.title, 2), Paragraph(table.when_empty))


def _definitions(said: Iterable[str | Promise]) -> Iterator[Block]:
    yield Heading(_now("How this is counted"), 2)
    yield from (Paragraph(str(sentence)) for sentence in said)
