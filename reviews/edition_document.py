"""An edition in words, in the client's language and zone: plain blocks, which page, PDF and mail lay out."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from django.utils import translation
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from agreements.explanation import length
from agreements.models import Client, Obligation, Severity
from config import times
from incidents.document import Block, Cell, Document, Fields, Heading, Paragraph, Prose, Table, cell
from incidents.notices import OWED_TO_CLIENT
from reviews.edition import Edition, EntryFacts, PhaseFacts, TitledText
from reviews.models import ActionKind
from reviews.phases import PhaseName

SECTIONS = {
    "summary": gettext_lazy("What happened"),
    "client_impact": gettext_lazy("Impact"),
    "root_cause": gettext_lazy("Root cause"),
    "what_will_change": gettext_lazy("What will change"),
}
SECOND = dt.timedelta(seconds=1)


def document_of(edition: Edition, client: Client, *, made_at: dt.datetime) -> Document:
    """The edition as a document; who made it is nobody's business outside."""
    with translation.override(client.language):
        about = f"{edition.reference} · {edition.client}"
        return Document(
            title=_("Post-incident report"),
            subtitle=about,
            running=about,
            language=client.language,
            blocks=tuple(_Words(edition).blocks()),
            made=_("Made %(at)s.") % {"at": times.in_zone(made_at, edition.time_zone)},
            digest=edition.digest(),
            digest_note=_("SHA-256 of the facts in this document, which its PDF carries as the attachment facts.json."),
        )


class _Words:
    def __init__(self, edition: Edition) -> None:
        self.edition = edition
        self.texts = dict(edition.texts)

    def blocks(self) -> Iterable[Block]:
        yield from self._incident()
        yield from self._text("summary")
        yield from self._text("client_impact")
        yield from self._times()
        yield from self._timeline(self.edition.timeline)
        yield from self._titled(_("What contributed"), self.edition.findings)
        yield from self._text("root_cause")
        yield from self._titled(_("What we asked ourselves"), self.edition.answers)
        yield from self._change()

    def _incident(self) -> Iterable[Block]:
        facts = self.edition
        yield Fields(
            (
                (_("Incident"), cell(facts.reference, facts.title)),
                (_("Severity"), cell(str(Severity(facts.severity).label))),
                (_("Affects"), cell(", ".join(facts.services))),
                *([(_("Happened"), self._at(facts.occurred_at))] if facts.occurred_at else []),
                (_("Detected"), self._at(facts.detected_at)),
                (_("Resolved"), self._at(facts.resolved_at)),
            )
        )
        zone = _("All times in this report are given in %(zone)s.") % {"zone": facts.time_zone}
        yield Paragraph(zone)

    def _text(self, name: str) -> Iterable[Block]:
        if name in self.texts:
            yield Heading(str(SECTIONS[name]), 2)
            yield Prose(self.texts[name])

    def _times(self) -> Iterable[Block]:
        yield Heading(_("Times"), 2)
        yield Table(
            caption=_("How long it took"),
            columns=(_("Phase"), _("From"), _("Until"), _("Took")),
            shares=(24, 30, 30, 16),
            rows=tuple(
                (
                    cell(str(PhaseName(phase.name).label)),
                    self._at(phase.begins_at),
                    self._at(phase.ends_at),
                    cell(_took(phase)),
                )
                for phase in self.edition.phases
                if phase.begins_at  # else nobody can say how long it took
            ),
        )
        if self.edition.deadlines:
            yield Table(
                caption=_("What our agreement says"),
                columns=(_("Owed"), _("Terms"), _("Due"), _("Done")),
                shares=(20, 28, 26, 26),
                rows=tuple(
                    (
                        cell(str(OWED_TO_CLIENT[Obligation(one.obligation)])),
                        cell(one.terms),
                        self._at(one.due_at, none=_("no fixed time agreed")),
                        self._done(one.obligation, one.met_at),
                    )
                    for one in self.edition.deadlines
                ),
            )

    def _done(self, obligation: str, met_at: dt.datetime | None) -> Cell:
        return self._at(met_at, none=_("this report") if obligation == Obligation.REPORT else _("not done"))

    def _timeline(self, entries: tuple[EntryFacts, ...]) -> Iterable[Block]:
        if entries:
            yield Heading(_("Timeline"), 2)
            yield Table(
                caption=_("What happened when"),
                columns=(_("When"), _("What happened")),
                shares=(26, 74),
                rows=tuple((self._at(entry.at), cell(entry.text, entry.remark)) for entry in entries),
            )

    def _titled(self, heading: str, parts: tuple[TitledText, ...]) -> Iterable[Block]:
        if parts:
            yield Heading(heading, 2)
        for part in parts:
            yield Heading(part.title, 3)
            if part.text.strip():
                yield Prose(part.text)

    def _change(self) -> Iterable[Block]:
        actions = self.edition.actions
        if actions or "what_will_change" in self.texts:
            yield Heading(str(SECTIONS["what_will_change"]), 2)
        if "what_will_change" in self.texts:
            yield Prose(self.texts["what_will_change"])
        if actions:
            yield Table(
                caption=_("What we do about it"),
                columns=(_("What"), _("Kind"), _("Due on"), _("Done on")),
                shares=(46, 22, 16, 16),
                rows=tuple(
                    (
                        cell(action.what),
                        cell(str(ActionKind(action.kind).label)),
                        cell(_day(action.due_on)),
                        cell(_day(action.done_on), none=_("not yet")),
                    )
                    for action in actions
                ),
            )

    def _at(self, instant: dt.datetime | None, none: str = "–") -> Cell:
        return cell(times.in_zone(instant, self.edition.time_zone)) if instant else Cell((none,))


def _day(day: dt.date | None) -> str:
    return date_format(day, "DATE_FORMAT") if day else ""


def _took(phase: PhaseFacts) -> str:
    if phase.begins_at is None or phase.ends_at is None:
        return ""
    return length((phase.ends_at - phase.begins_at) // SECOND * SECOND)
