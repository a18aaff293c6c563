"""What clients are told: written here and mailed, or recorded as told by other means."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection

from django.utils.translation import gettext as _

from agreements.models import Client, Obligation
from config.models import User
from incidents import deadlines, notices, placeholders, tasks
from incidents.lifecycle.scope import affected_clients
from incidents.lifecycle.verb import Refused, log, verb, when
from incidents.models import Deadline, Incident, Notice, TimelineEntry
from incidents.models.incident import Status
from incidents.models.notice import NoticeKind

#: What people write to clients, and the obligation that it serves.
TELLS = {NoticeKind.CLIENT_NOTICE: Obligation.NOTIFY, NoticeKind.UPDATE: Obligation.UPDATE}


def notify_client(
    incident: Incident,
    *,
    by: User,
    now: dt.datetime,
    message: str = "",
    clients: Collection[Client] | None = None,
    reason: str = "",
) -> int:
    """Queue the client notice to all contacts of these clients (default: all affected); returns how many mails.

    NOTIFY is met when the mail server accepts one of them, not before. Zero means that nobody could be mailed.
    """
    return _tell(incident, NoticeKind.CLIENT_NOTICE, by, now, message, clients, reason)


def post_update(
    incident: Incident,
    *,
    by: User,
    now: dt.datetime,
    message: str,
    clients: Collection[Client] | None = None,
    reason: str = "",
) -> int:
    """Queue an update to all contacts of these clients (default: all affected); returns how many mails."""
    return _tell(incident, NoticeKind.UPDATE, by, now, message, clients, reason)


def draft(
    incident: Incident, kind: NoticeKind, clients: Collection[Client], *, now: dt.datetime, message: str
) -> list[notices.Draft]:
    """What each of these clients would be told now, rendered as it would be sent; nothing is written.

    Raises Refused with the sentence that refuses to send it.
    """
    if kind == NoticeKind.UPDATE and not message.strip():
        raise Refused({"message": _("Write what the clients should know.")})
    if incident.status == Status.CLOSED:
        raise Refused(_("%(ref)s is closed. Reopen it first.") % {"ref": incident.reference})
    if not clients:
        raise Refused(
            _("%(ref)s falls under no agreement, so there is no client to tell.") % {"ref": incident.reference}
        )
    affected = affected_clients(incident)
    if strangers := [client.name for client in clients if client not in affected]:
        raise Refused({"clients": _("%(names)s: not affected by this incident.") % {"names": ", ".join(strangers)}})
    directory = notices.Directory([incident], {client.pk for client in clients})
    drafts = []
    for client in clients:
        owed = incident.deadlines.open().filter(client=client, obligation=TELLS[kind])
        nearest = owed.order_by("due_at").first()
        try:
            drafts.append(notices.draft(kind, incident, client, directory, now=now, deadline=nearest, message=message))
        except placeholders.Wrong as error:
            raise Refused({"message": str(error)}) from error
    return drafts


def _tell(
    incident: Incident,
    kind: NoticeKind,
    by: User,
    now: dt.datetime,
    message: str,
    clients: Collection[Client] | None,
    reason: str,
) -> int:
    with verb(incident, by, reason, clients=clients) as incident:
        if clients is None:
            clients = affected_clients(incident)
        drafts = draft(incident, kind, clients, now=now, message=message)
        notices.queue([row for drafted in drafts for row in drafted.rows])
        said: dict[str, list[str]] = {}
        for drafted in drafts:
            said.setdefault(drafted.words, []).append(drafted.client.name)
        for words, names in said.items():
            told = {"kind": kind.label, "clients": ", ".join(names), "message": words or "–"}
            text = _("%(kind)s to %(clients)s: %(message)s") % told
            log(incident, _fitting(text), by, at=now, now=now, is_client_visible=True)
        tasks.deliver.ring_on_commit()
    return sum(len(drafted.mails) for drafted in drafts)


def _fitting(text: str) -> str:
    """As much as a timeline entry holds; the whole is in the notices."""
    limit = TimelineEntry._meta.get_field("text").max_length
    return text if limit is None or len(text) <= limit else f"{text[: limit - 1]}…"


def send_test(
    incident: Incident, kind: NoticeKind, client: Client, *, by: User, now: dt.datetime, message: str
) -> Notice:
    """Queue what this client's first contact would be sent to the colleague who asks, marked as a test.

    It is told to nobody at the client, meets nothing and goes after everything else that waits.
    """
    if not by.email:
        raise Refused(_("Your account has no mail address. An administrator can add it."))
    with verb(incident, by, _("Test of a message to %(client)s.") % {"client": client}, clients=[client]) as incident:
        (drafted,) = draft(incident, kind, [client], now=now, message=message)
        if not drafted.mails:
            raise Refused(_("%(client)s has no contact that can be mailed.") % {"client": client})
        test = notices.as_test(drafted.mails[0], notices.Recipient.colleague(by), now=now)
        test.save()
        tasks.deliver.ring_on_commit()
    return test


def record_told(
    incident: Incident,
    client: Client,
    obligation: Obligation | str = Obligation.NOTIFY,
    *,
    by: User,
    now: dt.datetime,
    evidence: str,
    at: dt.datetime | None = None,
) -> list[Deadline]:
    """Record that the client was told by other means (phone, portal, a report by post) at `at`; evidence is required.

    Meets NOTIFY, UPDATE or REPORT. Raises Refused if the client is not waiting for it.
    """
    if not evidence.strip():
        raise Refused({"evidence": _("Say how they were told and who took it, for example a call and a name.")})
    if obligation not in (Obligation.NOTIFY, Obligation.UPDATE, Obligation.REPORT):
        raise Refused({"obligation": _("Only a notice, an update or a report can be given by other means.")})
    with verb(incident, by, evidence, clients=[client]) as incident:
        reports = incident.deadlines.open().filter(client=client, obligation=Obligation.REPORT)
        if obligation == Obligation.REPORT and incident.is_open and not reports.exclude(started_at=None).exists():
            raise Refused({"obligation": _("A report is owed once the incident is resolved. Resolve it first.")})
        at = when(incident, at, now)
        met = deadlines.meet(incident, Obligation(obligation), at=at, now=now, client=client, asked_by=at)
        if not met:
            raise Refused(_("%(client)s is not waiting for that in this incident.") % {"client": client})
        told = {"client": client, "what": Obligation(obligation).label, "evidence": evidence}
        log(incident, _("%(what)s: %(client)s told by other means: %(evidence)s") % told, by, at=at, now=now)
    return met
