"""An approved review goes to clients: to each its own edition, by mail and as a PDF, and the copy is kept."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from django.utils import translation
from django.utils.text import slugify
from django.utils.translation import gettext as _

from agreements.models import Client, Contact, Obligation
from config.models import User
from incidents import notices, tasks
from incidents.document import Document
from incidents.document_pdf import pdf_of
from incidents.lifecycle import Refused, affected_clients
from incidents.lifecycle.verb import log
from incidents.models import Attachment, Deadline, Incident, Notice
from reviews import edition, edition_document
from reviews.edition import Marked
from reviews.lifecycle.verb import refuse_unless, refuse_unless_steering, verb
from reviews.models import ClientEdition, PostIncidentReview, ReviewStatus

SHAREABLE = (ReviewStatus.APPROVED, ReviewStatus.SHARED)


@dataclass(frozen=True)
class Shared:
    """What sharing did: who was sent something, by how many mails, and who cannot be mailed."""

    editions: Sequence[ClientEdition]
    mails: int
    unreachable: Sequence[Client]


def share(
    review: PostIncidentReview,
    clients: Collection[Client],
    *,
    by: User,
    now: dt.datetime,
    reason: str = "",
    late_reason: str = "",
) -> Shared:
    """Queue to all contacts of each client its own edition, and keep it; each client once for each approval.

    REPORT is met when the mail server accepts one of the mails, not before. A client whose report is overdue needs
    `late_reason`. For one that nobody can be mailed at, colleagues are alarmed and nothing counts.
    """
    with verb(review, by, reason.strip() or late_reason) as review:
        refuse_unless(review, *SHAREABLE)
        refuse_unless_steering(review, by)
        _refuse_strangers(review.incident, clients)
        _refuse_the_same_again(review, clients)
        late = overdue(review.incident, clients, now)
        if late and not late_reason.strip():
            names = {"names": ", ".join(client.name for client in late)}
            raise Refused({"late_reason": _("The report is overdue for %(names)s: say why. It is kept.") % names})
        directory = notices.Directory([review.incident], {client.pk for client in clients})
        marked = Marked.of(review)
        editions, mails, unreachable = [], 0, []
        for client in clients:
            prepared = prepare(review, client, marked=marked, directory=directory, now=now)
            if not prepared.draft.mails:
                notices.queue(prepared.draft.rows)
                unreachable.append(client)
                continue
            editions.append(prepared.keep(by=by, now=now, late_reason=late_reason if client in late else ""))
            mails += len(prepared.draft.mails)
        if editions:
            review.status, review.shared_at = ReviewStatus.SHARED, now
            review.save()
        tasks.deliver.ring_on_commit()
    return Shared(editions, mails, unreachable)


@dataclass(frozen=True)
class Prepared:
    """What one client would be sent now: made as it would be sent; nothing of it is saved."""

    review: PostIncidentReview
    client: Client
    version: int
    document: Document
    attachment: Attachment
    draft: notices.Draft

    def keep(self, *, by: User, now: dt.datetime, late_reason: str) -> ClientEdition:
        """Save the copy and queue the mails."""
        notices.attach(self.attachment, self.draft.rows)
        notices.queue(self.draft.rows)
        told = _("Report to %(client)s, version %(version)d") % {"client": self.client, "version": self.version}
        log(self.review.incident, told, by, at=now, now=now, is_client_visible=True)
        kept = ClientEdition(
            review=self.review,
            client=self.client,
            version=self.version,
            language=self.document.language,
            html=self.document.html,
            text=self.document.text,
            attachment=self.attachment,
            made_at=now,
            by=by,
            late_reason=late_reason.strip(),
        )
        kept.full_clean()
        kept.save()
        return kept


def prepare(
    review: PostIncidentReview,
    client: Client,
    *,
    now: dt.datetime,
    marked: Marked | None = None,
    directory: notices.Directory | None = None,
) -> Prepared:
    """The edition, its PDF and its mails. Refused where nothing is for this client, or something names another."""
    marked = marked or Marked.of(review)
    if refusal := marked.why_not(client):
        raise Refused(refusal)
    found = edition.facts(review, client, marked)
    version = review.editions.filter(client=client).count() + 1
    with translation.override(client.language):
        document = edition_document.document_of(found, client, made_at=now)
        content = pdf_of(document, facts=found.canonical(), made_at=now)
        name = slugify(f"report {found.reference} v{version}")
        attachment = Attachment.pdf(name, content, client=client, made_at=now, incident=review.incident)
        report = notices.Report(document.text, document.html, attachment)
    directory = directory or notices.Directory([review.incident], {client.pk})
    draft = notices.draft_report(review.incident, client, directory, now=now, report=report, number=version)
    return Prepared(review, client, version, document, attachment, draft)


def send_test(review: PostIncidentReview, client: Client, *, by: User, now: dt.datetime) -> Notice:
    """Queue what this client's first contact would be sent, with its PDF, to the colleague who asks, marked as a test.

    It is no edition, is told to nobody at the client, meets nothing and goes after everything else that waits.
    """
    if not by.email:
        raise Refused(_("Your account has no mail address. An administrator can add it."))
    with verb(review, by, _("Test of a report to %(client)s.") % {"client": client}) as review:
        refuse_unless(review, *SHAREABLE)
        refuse_unless_steering(review, by)
        _refuse_strangers(review.incident, [client])
        prepared = prepare(review, client, now=now)
        if not prepared.draft.mails:
            raise Refused(_("%(client)s has no contact that can be mailed.") % {"client": client})
        notices.attach(prepared.attachment, prepared.draft.rows)
        test = notices.as_test(prepared.draft.mails[0], notices.Recipient.colleague(by), now=now)
        test.save()
        tasks.deliver.ring_on_commit()
    return test


# ── who is to be told ───────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Standing:
    """Where one client stands: who would be mailed, what is owed, and whether it has been sent this already."""

    client: Client
    contacts: Sequence[Contact]
    deadlines: Sequence[Deadline]
    is_overdue: bool
    is_shared: bool


def standings(review: PostIncidentReview, clients: Collection[Client], now: dt.datetime) -> list[Standing]:
    """Of each of these clients; read in a fixed number of queries."""
    directory = notices.Directory([review.incident], {client.pk for client in clients})
    shared = _shared_since_approval(review)
    late = overdue(review.incident, clients, now)
    return [
        Standing(
            client,
            directory.contacts[client.pk],
            [d for d in directory.deadlines[review.incident_id, client.pk] if d.obligation == Obligation.REPORT],
            client in late,
            client.pk in shared,
        )
        for client in clients
    ]


def overdue(incident: Incident, clients: Collection[Client], now: dt.datetime) -> list[Client]:
    """Those of these clients whose report should have come by now."""
    owed = incident.deadlines.open().filter(obligation=Obligation.REPORT, started_at__isnull=False, due_at__lt=now)
    late = set(owed.values_list("client", flat=True))
    return [client for client in clients if client.pk in late]


def _shared_since_approval(review: PostIncidentReview) -> set[int]:
    """Clients who were sent what stands now, unless none of those mails will arrive."""
    if review.approved_at is None:
        return set()
    since = review.editions.standing().filter(made_at__gte=review.approved_at)
    return set(since.values_list("client", flat=True))


def _refuse_strangers(incident: Incident, clients: Collection[Client]) -> None:
    if not clients:
        raise Refused({"clients": _("Choose at least one client.")})
    affected = affected_clients(incident)
    if strangers := [client.name for client in clients if client not in affected]:
        raise Refused({"clients": _("%(names)s: not affected by this incident.") % {"names": ", ".join(strangers)}})


def _refuse_the_same_again(review: PostIncidentReview, clients: Collection[Client]) -> None:
    shared = _shared_since_approval(review)
    if names := [client.name for client in clients if client.pk in shared]:
        told = {"names": ", ".join(names)}
        raise Refused({"clients": _("%(names)s: sent this already. Reopen the review to send another.") % told})
