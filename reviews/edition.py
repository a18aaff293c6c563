"""What of a review one client may read: only what is marked for clients, and only what is theirs.

Facts only: frozen values in no particular wording; reviews/edition_document.py says what they look like. Nothing in
here may be about another client or internal: the edition is mailed.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from django.utils import translation
from django.utils.translation import gettext as _

from agreements.models import Client, Obligation
from incidents.document import Facts
from incidents.models import Deadline, Incident, Notice, TimelineEntry
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

    @property
    def is_empty(self) -> bool:
        """Whether nothing in the review is for the client."""
        return not (self.texts or self.answers or self.timeline or self.findings or self.actions)


def facts(review: PostIncidentReview, client: Client) -> Edition:
    """The edition for this client as the review stands, in its language; read in a fixed number of queries."""
    with translation.override(client.language):
        return _facts(review, client)


def _facts(review: PostIncidentReview, client: Client) -> Edition:
    incident = review.incident
    services = incident.affected_services.order_by("service__name").values_list("service__name", flat=True)
    told = _notified_at(incident, client)
    others = _Others(client)
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
        texts=tuple(_texts(review)),
        answers=tuple(
            TitledText(answer.question.text, answer.text)
            for answer in review.answers.filter(is_for_client=True).exclude(text="").select_related("question")
        ),
        timeline=tuple(_entry(pick) for pick in _picks(review) if not _why_left_out(pick, others)),
        findings=tuple(
            TitledText(finding.factor.name, finding.explanation)
            for finding in review.findings.filter(is_for_client=True).select_related("factor")
        ),
        actions=tuple(
            ActionFacts(action.what, action.kind, action.due_on, action.done_on)
            for action in review.actions.filter(is_for_client=True, dropped_on__isnull=True)
        ),
    )


def left_out(review: PostIncidentReview, client: Client) -> list[str]:
    """What is marked for clients and yet stays here, each in a sentence that says why."""
    others = _Others(client)
    why = ((pick, _why_left_out(pick, others)) for pick in _picks(review))
    return [_("“%(entry)s”: %(why)s") % {"entry": pick.entry, "why": reason} for pick, reason in why if reason]


def strangers_in(edition: Edition, client: Client) -> list[str]:
    """Names of other clients in what people wrote for this one. The title was told to all of them long ago."""
    others = _Others(client)
    written = [text for _name, text in edition.texts]
    written += [part for one in (*edition.answers, *edition.findings) for part in (one.title, one.text)]
    written += [action.what for action in edition.actions]
    return sorted({name for text in written for name in others.named_in(text)})


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


def _notified_at(incident: Incident, client: Client) -> dt.datetime | None:
    """When this client was told, whenever others were."""
    met = Deadline.objects.filter(incident=incident, client=client, obligation=Obligation.NOTIFY, met_at__isnull=False)
    mails = Notice.objects.filter(incident=incident, client=client, kind__in=phases.TELLING, accepted_at__isnull=False)
    instants = [*met.values_list("met_at", flat=True), *mails.values_list("accepted_at", flat=True)]
    return min(filter(None, instants), default=None)


def _picks(review: PostIncidentReview) -> Iterable[TimelinePick]:
    return review.picks.filter(is_for_client=True).select_related("entry")


def _entry(pick: TimelinePick) -> EntryFacts:
    return EntryFacts(pick.entry.happened_at, _open_text(pick.entry), pick.remark)


def _open_text(entry: TimelineEntry) -> str:
    """An internal entry never leaves the house, whatever is said of it: its remark can stand for it."""
    return entry.text if entry.is_client_visible else ""


def _why_left_out(pick: TimelinePick, others: _Others) -> str:
    if not (_open_text(pick.entry) or pick.remark.strip()):
        return _("it is internal and has no remark that could stand for it.")
    names = others.named_in(_open_text(pick.entry)) + others.named_in(pick.remark)
    return _("it names %(names)s.") % {"names": ", ".join(dict.fromkeys(names))} if names else ""


class _Others:
    """All clients but one, by name; read once."""

    def __init__(self, client: Client) -> None:
        names = Client.objects.exclude(pk=client.pk).exclude(name=client.name).values_list("name", flat=True)
        # its own name may hold another's: "Northwind" in "Northwind Traders"
        self._own = client.name.casefold()
        self._names = {name: re.compile(rf"(?<!\w){re.escape(name.casefold())}(?!\w)") for name in names}

    def named_in(self, text: str) -> list[str]:
        said = text.casefold().replace(self._own, " ")
        return [name for name, pattern in self._names.items() if name.casefold() in said and pattern.search(said)]
