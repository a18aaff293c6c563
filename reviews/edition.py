"""What of a review one client may read: only what is marked for clients, and only what is theirs.

Facts only: frozen values in no particular wording; reviews/edition_document.py says what they look like. Nothing in
here may be about another client or internal: the edition is mailed.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from django.utils import translation
from django.utils.translation import gettext as _

from agreements.models import Client
from incidents.document import Facts
from incidents.models import Incident, TimelineEntry
from incidents.models.deadline import read_terms
from reviews import phases
from reviews.models import PostIncidentReview, TimelinePick

#: The fixed texts of a review, in the order of the edition.
TEXTS = ("summary", "client_impact", "root_cause", "what_will_change")


@dataclass(frozen=True)
class PhaseFacts:
    name: str
    begins_at: dt.datetime | None
    ends_at: dt.datetime | None


@dataclass(frozen=True)
class DeadlineFacts:
    obligation: str
    terms: str
    due_at: dt.datetime | None
    met_at: dt.datetime | None


@dataclass(frozen=True)
class EntryFacts:
    at: dt.datetime
    text: str
    remark: str


@dataclass(frozen=True)
class TitledText:
    """A question with its answer, or a factor with how it contributed."""

    title: str
    text: str


@dataclass(frozen=True)
class ActionFacts:
    what: str
    kind: str
    due_on: dt.date
    done_on: dt.date | None


@dataclass(frozen=True)
class Edition(Facts):
    reference: str
    title: str
    severity: str
    services: tuple[str, ...]
    client: str
    time_zone: str
    occurred_at: dt.datetime | None
    detected_at: dt.datetime
    resolved_at: dt.datetime | None
    phases: tuple[PhaseFacts, ...]
    deadlines: tuple[DeadlineFacts, ...]
    texts: tuple[tuple[str, str], ...]
    answers: tuple[TitledText, ...]
    timeline: tuple[EntryFacts, ...]
    findings: tuple[TitledText, ...]
    actions: tuple[ActionFacts, ...]


def facts(review: PostIncidentReview, client: Client, marked: Marked | None = None) -> Edition:
    """The edition for this client as the review stands, in its language; read in a fixed number of queries."""
    with translation.override(client.language):
        return _facts(review, client, marked or Marked.of(review))


def _facts(review: PostIncidentReview, client: Client, marked: Marked) -> Edition:
    incident = review.incident
    services = incident.affected_services.order_by("service__name").values_list("service__name", flat=True)
    told = phases.first_notified([incident.pk], client=client).get(incident.pk)
    return Edition(
        reference=incident.reference,
        title=incident.title,
        severity=incident.severity,
        services=tuple(services),
        client=client.name,
        time_zone=client.time_zone,
        occurred_at=incident.occurred_at,
        detected_at=incident.detected_at,
        resolved_at=incident.resolved_at,
        phases=tuple(PhaseFacts(one.name, one.begins_at, one.ends_at) for one in phases.of(incident, told)),
        deadlines=tuple(_deadlines(incident, client)),
        texts=marked.texts,
        answers=marked.answers,
        timeline=marked.timeline(client),
        findings=marked.findings,
        actions=marked.actions,
    )


# ── what is marked for clients ──────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Marked:
    """What of a review is marked for clients, whoever they are, and what of it one of them may read."""

    texts: tuple[tuple[str, str], ...]
    answers: tuple[TitledText, ...]
    findings: tuple[TitledText, ...]
    actions: tuple[ActionFacts, ...]
    picks: tuple[TimelinePick, ...]
    clients: tuple[str, ...]  # the names of all that there are

    @classmethod
    def of(cls, review: PostIncidentReview) -> Marked:
        """Read in a fixed number of queries."""
        answers = review.answers.filter(is_for_client=True).exclude(text="").select_related("question")
        findings = review.findings.filter(is_for_client=True).select_related("factor")
        actions = review.actions.filter(is_for_client=True, dropped_on__isnull=True)
        return cls(
            texts=tuple(_texts(review)),
            answers=tuple(TitledText(answer.question.text, answer.text) for answer in answers),
            findings=tuple(TitledText(finding.factor.name, finding.explanation) for finding in findings),
            actions=tuple(ActionFacts(a.what, a.kind, a.due_on, a.done_on) for a in actions),
            picks=tuple(review.picks.filter(is_for_client=True).select_related("entry")),
            clients=tuple(Client.objects.order_by("name").values_list("name", flat=True)),
        )

    def timeline(self, client: Client) -> tuple[EntryFacts, ...]:
        told = (pick for pick in self.picks if not self._why_left_out(pick, client))
        return tuple(EntryFacts(pick.entry.happened_at, _open_text(pick.entry), pick.remark) for pick in told)

    def left_out(self, client: Client) -> list[str]:
        """What is marked and yet stays here, each in a sentence that says why."""
        why = ((pick, self._why_left_out(pick, client)) for pick in self.picks)
        return [_("“%(entry)s”: %(why)s") % {"entry": pick.entry, "why": reason} for pick, reason in why if reason]

    def why_not(self, client: Client) -> str:
        """Why no edition can be sent to this client, in a sentence; empty if one can."""
        if not (self.texts or self.answers or self.findings or self.actions or self.timeline(client)):
            return _("Nothing in this review is marked for clients. Reopen it and mark what they may read.")
        names = {"client": client, "names": ", ".join(self._strangers(client))}
        if not names["names"]:
            return ""
        return _("What %(client)s would read names %(names)s. Reopen the review and write it otherwise.") % names

    def _why_left_out(self, pick: TimelinePick, client: Client) -> str:
        said = _open_text(pick.entry), pick.remark
        if not any(text.strip() for text in said):
            return _("it is internal and has no remark that could stand for it.")
        names = client.strangers_in(said, self.clients)
        return _("it names %(names)s.") % {"names": ", ".join(names)} if names else ""

    def _strangers(self, client: Client) -> list[str]:
        """Other clients that people wrote of in what is for this one. The title was told to all of them long ago."""
        said = [text for _name, text in self.texts]
        said += [part for one in (*self.answers, *self.findings) for part in (one.title, one.text)]
        said += [action.what for action in self.actions]
        return client.strangers_in(said, self.clients)


def _open_text(entry: TimelineEntry) -> str:
    """An internal entry never leaves the house, whatever is said of it: its remark can stand for it."""
    return entry.text if entry.is_client_visible else ""


# ── the parts ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _texts(review: PostIncidentReview) -> Iterator[tuple[str, str]]:
    for name in TEXTS:
        text = getattr(review, name)
        if getattr(review, f"is_{name}_for_client") and text.strip():
            yield name, text


def _deadlines(incident: Incident, client: Client) -> Iterable[DeadlineFacts]:
    """Theirs that count: one that ended is owed no longer."""
    owed = incident.deadlines.filter(client=client, ended_at__isnull=True, started_at__isnull=False)
    rows = list(owed.select_related("commitment").order_by("due_at", "pk"))
    read_terms(deadline.terms_copy_id for deadline in rows)
    for deadline in rows:
        yield DeadlineFacts(deadline.obligation, deadline.terms_in_words, deadline.due_at, deadline.met_at)
