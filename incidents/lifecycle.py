"""The verbs of an incident. Each is one transaction: the incident, its deadlines, its notices and the audit trail.

Every verb takes who (`by`), the present instant (`now`, aware) and where it makes sense when it happened (`at`,
default now) and why (`reason`). A verb that is not lawful raises Refused with a sentence, and nothing has changed.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import uuid
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from agreements.models import Client, Obligation, Service, ServiceAgreement, Severity, StartEvent
from config import times
from config.history import acting
from config.models import User
from incidents import deadlines, notices, placeholders, tasks
from incidents.models import (
    AffectedAgreement,
    AffectedService,
    Deadline,
    Incident,
    Notice,
    Pause,
    ReferenceCounter,
    Responder,
    TimelineEntry,
)
from incidents.models.incident import Category, ResponderRole, Status
from incidents.models.notice import NoticeKind

EARLIEST = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)  # before it, a typed year is a slip of the keyboard

#: What people write to clients, and the obligation that it serves.
TELLS = {NoticeKind.CLIENT_NOTICE: Obligation.NOTIFY, NoticeKind.UPDATE: Obligation.UPDATE}


class Refused(ValidationError):
    """The verb is not lawful now; the message says why and what to do."""


class AlreadyDeclared(Refused):
    """The same form was sent before; `incident` is what it declared then."""

    def __init__(self, incident: Incident) -> None:
        super().__init__(_("This form has already declared %(ref)s.") % {"ref": incident.reference})
        self.incident = incident


# ── declare ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def declare(
    *,
    by: User,
    now: dt.datetime,
    title: str,
    severity: Severity | str,
    services: Collection[Service],
    detected_at: dt.datetime,
    occurred_at: dt.datetime | None = None,
    aware_at: dt.datetime | None = None,
    category: Category | str = Category.OUTAGE,
    client_summary: str = "",
    description: str = "",
    reason: str = "",
    token: uuid.UUID | None = None,
) -> Incident:
    """Declare an incident: give it its reference, find the agreements it falls under and start their deadlines.

    `aware_at` left out is taken to be `detected_at`, the earliest it can have been for us. A `token` declares once:
    AlreadyDeclared the next time, however close. Raises ValidationError.
    """
    incident = _taken_down(services, severity, detected_at, occurred_at, aware_at, now=now)
    incident.title, incident.category = title, category
    incident.client_summary, incident.description = client_summary, description
    incident.declaration_token = token
    with transaction.atomic(), acting(by, reason=reason):
        incident.full_clean(exclude=["reference", "declaration_token"])
        incident.reference = _next_reference(now.year)
        _refuse_the_same_again(token)
        incident.save()
        for service in services:
            AffectedService.objects.create(incident=incident, service=service)
        Responder.objects.create(incident=incident, user=by, role=ResponderRole.COMMANDER)
        _log(
            incident,
            _("Declared as %(severity)s.") % {"severity": incident.get_severity_display()},
            by,
            at=now,
            now=now,
        )
        _find_agreements(incident)
        deadlines.start(incident, now=now)
        tasks.raise_due.ring_on_commit()
    return incident


def foresee(
    *,
    now: dt.datetime,
    severity: Severity | str,
    services: Collection[Service],
    detected_at: dt.datetime,
    occurred_at: dt.datetime | None = None,
    aware_at: dt.datetime | None = None,
) -> list[deadlines.Foreseen]:
    """The deadlines that `declare` would start, by the rules that it goes by; nothing is written. Raises Refused."""
    incident = _taken_down(services, severity, detected_at, occurred_at, aware_at, now=now)
    return deadlines.foresee(incident, agreements_for(services, detected_at), now=now)


def _taken_down(
    services: Collection[Service],
    severity: Severity | str,
    detected_at: dt.datetime,
    occurred_at: dt.datetime | None,
    aware_at: dt.datetime | None,
    *,
    now: dt.datetime,
) -> Incident:
    """The incident, not saved, as far as its deadlines depend on it."""
    if not services:
        raise Refused({"services": _("Choose at least one affected service, so that its agreements can be found.")})
    _check_instant("detected_at", detected_at, now)
    _check_instant("occurred_at", occurred_at, now, not_after=detected_at)
    _check_instant("aware_at", aware_at, now)
    return Incident(
        severity=severity,
        occurred_at=occurred_at,
        detected_at=detected_at,
        aware_at=aware_at or detected_at,
        classified_at=now,
        declared_at=now,
    )


def _refuse_the_same_again(token: uuid.UUID | None) -> None:
    """Asked with the counter locked: whoever came first has committed by then."""
    if token is not None and (first := Incident.objects.filter(declaration_token=token).first()):
        raise AlreadyDeclared(first)


def agreements_for(services: Iterable[Service], detected_at: dt.datetime) -> QuerySet[ServiceAgreement]:
    """Every agreement in force at detection that covers one of these services."""
    return ServiceAgreement.objects.in_force(detected_at).covering(services)


def _next_reference(year: int) -> str:
    """INC-2026-0001, …: the counter row stays locked until the incident is committed, so no number is lost."""
    ReferenceCounter.objects.get_or_create(year=year)
    counter = ReferenceCounter.objects.select_for_update().get(year=year)
    counter.last += 1
    counter.save()
    return f"INC-{year}-{counter.last:04d}"


def _find_agreements(incident: Incident) -> None:
    """Each agreement that applies yields its own deadlines."""
    affected = Service.objects.filter(pk__in=incident.affected_services.values("service"))
    known = incident.affected_agreements.values("agreement")
    found = agreements_for(affected, incident.detected_at).exclude(pk__in=known)
    for agreement in found.order_by("pk"):
        names = ", ".join(
            affected.filter(coverage__agreement=agreement).order_by("name").values_list("name", flat=True)
        )
        why = _("In force when the incident was detected; covers %(services)s.") % {"services": names}
        AffectedAgreement.objects.create(incident=incident, agreement=agreement, why=why[:500])


def _leave_agreements_not_in_force(incident: Incident, now: dt.datetime) -> None:
    """After detection was corrected: an agreement that was not in force then owes nothing for this incident."""
    # One that is excluded owes nothing already, and stays excluded should the times be corrected back.
    for affected in _not_in_force(incident).filter(excluded_at__isnull=True):
        outdated = incident.deadlines.open().filter(agreement=affected.agreement)
        deadlines.end(outdated, reason=_("The agreement was not in force at the corrected time of detection."), now=now)
        affected.delete()


def _not_in_force(incident: Incident) -> QuerySet[AffectedAgreement]:
    in_force = ServiceAgreement.objects.in_force(incident.detected_at)
    taken_over = AffectedAgreement.objects.filter(incident__merged_into=incident)  # in force when that was detected
    outlived = incident.affected_agreements.exclude(agreement__in=in_force)
    return outlived.exclude(agreement__in=taken_over.values("agreement"))


# ── respond ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def acknowledge(
    incident: Incident, *, by: User, now: dt.datetime, at: dt.datetime | None = None, reason: str = ""
) -> Incident:
    """Say that somebody is working on it; meets ACKNOWLEDGE as of `at`."""
    with _verb(incident, by, reason) as incident:
        if incident.acknowledged_at is not None:
            raise Refused(_("%(ref)s is already acknowledged.") % {"ref": incident.reference})
        _refuse_unless(incident, Status.DECLARED)
        at = _when(incident, at, now)
        incident.acknowledged_at = at
        incident.status = Status.ACKNOWLEDGED
        incident.save()
        _log(incident, _("Acknowledged."), by, at=at, now=now)
        deadlines.meet(incident, Obligation.ACKNOWLEDGE, at=at, now=now)
        deadlines.recompute(incident, now=now)
        tasks.raise_due.ring_on_commit()
    return incident


def reclassify(incident: Incident, severity: Severity | str, *, by: User, now: dt.datetime, reason: str) -> Incident:
    """Change the severity: open deadlines of the old one end, those of the new one start from the original event."""
    if not reason.strip():
        raise Refused({"reason": _("Say why the severity changes; clients and auditors will ask.")})
    with _verb(incident, by, reason) as incident:
        _refuse_unless_open(incident)
        if incident.severity == severity:
            raise Refused(
                {"severity": _("The severity is already %(severity)s.") % {"severity": incident.get_severity_display()}}
            )
        before = incident.get_severity_display()
        incident.severity = Severity(severity)
        incident.classified_at = now
        incident.save()
        change = {"before": before, "after": incident.get_severity_display()}
        _log(incident, _("Reclassified from %(before)s to %(after)s.") % change, by, at=now, now=now)
        outdated = incident.deadlines.open().exclude(severity=incident.severity)
        deadlines.end(outdated, reason=_("Reclassified from %(before)s to %(after)s.") % change, now=now)
        # counted from a classification that no longer is the latest
        deadlines.keep_starts(incident.deadlines.filter(start_event=StartEvent.CLASSIFIED), overdue_at=now)
        deadlines.start(incident, now=now)
        tasks.raise_due.ring_on_commit()
    return incident


def correct_times(
    incident: Incident,
    *,
    by: User,
    now: dt.datetime,
    reason: str,
    detected_at: dt.datetime | None = None,
    occurred_at: dt.datetime | None = None,
    aware_at: dt.datetime | None = None,
) -> Incident:
    """Correct when it happened, was detected or became known; deadlines are recomputed. What is left out stays."""
    if not reason.strip():
        raise Refused({"reason": _("Say why the times are corrected; the change stays visible to auditors.")})
    with _verb(incident, by, reason) as incident:
        detected_at = detected_at or incident.detected_at
        _check_instant("detected_at", detected_at, now)
        _check_instant("occurred_at", occurred_at, now, not_after=detected_at)
        _check_instant("aware_at", aware_at, now)
        earliest_step = min(
            filter(None, (incident.acknowledged_at, incident.mitigated_at, incident.resolved_at)), default=now
        )
        if detected_at > earliest_step:
            raise Refused({"detected_at": _("It cannot have been detected after it was acknowledged or resolved.")})
        incident.detected_at = detected_at
        incident.occurred_at = occurred_at or incident.occurred_at
        incident.aware_at = aware_at or incident.aware_at
        incident.save()
        _log(incident, _("Times corrected: %(reason)s") % {"reason": reason}, by, at=now, now=now)
        _leave_agreements_not_in_force(incident, now)
        _find_agreements(incident)
        deadlines.start(incident, now=now)
        deadlines.recompute(incident, now=now)
        tasks.raise_due.ring_on_commit()
    return incident


def assign(
    incident: Incident, user: User, role: ResponderRole | str, *, by: User, now: dt.datetime, reason: str = ""
) -> Responder:
    """Add a responder, who from then on is warned of this incident's deadlines."""
    with _verb(incident, by, reason) as incident:
        _refuse_unless_open(incident)
        responder, is_new = Responder.objects.get_or_create(incident=incident, user=user, role=ResponderRole(role))
        if not is_new:
            raise Refused({"user": _("%(who)s already has that role here.") % {"who": responder.user}})
        _log(incident, _("%(who)s joined.") % {"who": responder}, by, at=now, now=now)
    return responder


def note(
    incident: Incident,
    text: str,
    *,
    by: User,
    now: dt.datetime,
    at: dt.datetime | None = None,
    is_client_visible: bool = False,
) -> TimelineEntry:
    """Write a timeline entry about something that happened at `at`."""
    with _verb(incident, by, "") as incident:
        _check_instant("at", at, now)
        return _log(incident, text, by, at=at or now, now=now, is_client_visible=is_client_visible, is_note=True)


# ── which agreements hold ───────────────────────────────────────────────────────────────────────────────────────────


def exclude_agreement(
    incident: Incident, agreement: ServiceAgreement, *, by: User, now: dt.datetime, reason: str
) -> AffectedAgreement:
    """Say that this agreement owes nothing here: its open deadlines end, and what is unsent is taken back.

    It holds through every later verb, merging included, until the agreement is included again.
    """
    if not reason.strip():
        raise Refused({"reason": _("Say why nothing is owed under this agreement; the client may ask.")})
    with _verb(incident, by, reason) as incident:
        affected = _affected_by(incident, agreement)
        if affected.is_excluded:
            raise Refused({"agreement": _("%(agreement)s is excluded already.") % {"agreement": agreement}})
        affected.excluded_at, affected.exclusion_reason = now, reason
        affected.full_clean()
        affected.save()
        why = _("%(agreement)s is excluded: %(reason)s") % {"agreement": agreement, "reason": reason}
        deadlines.end(incident.deadlines.open().filter(agreement=agreement), reason=why[:300], now=now)
        if agreement.client not in affected_clients(incident):
            deadlines.cancel_unsent_to(agreement.client, incident, reason=why[:500])
        _log(incident, why, by, at=now, now=now)
    return affected


def include_agreement(
    incident: Incident, agreement: ServiceAgreement, *, by: User, now: dt.datetime, reason: str
) -> AffectedAgreement:
    """Take an exclusion back: what the agreement owes begins again, counted from the original events."""
    if not reason.strip():
        raise Refused({"reason": _("Say why something is owed under this agreement after all.")})
    with _verb(incident, by, reason) as incident:
        affected = _affected_by(incident, agreement)
        if not affected.is_excluded:
            raise Refused({"agreement": _("%(agreement)s is not excluded.") % {"agreement": agreement}})
        if _not_in_force(incident).filter(pk=affected.pk).exists():
            outlived = _("%(agreement)s was not in force when the incident was detected.") % {"agreement": agreement}
            raise Refused({"agreement": outlived})
        affected.excluded_at, affected.exclusion_reason = None, ""
        affected.save()
        why = _("%(agreement)s is included again: %(reason)s") % {"agreement": agreement, "reason": reason}
        _log(incident, why, by, at=now, now=now)
        if incident.is_open and incident.reopened_at is not None:
            deadlines.begin_again(incident, at=incident.reopened_at, now=now, agreement=agreement)
        deadlines.start(incident, now=now)
        deadlines.recompute(incident, now=now)
        tasks.raise_due.ring_on_commit()
    return affected


def _affected_by(incident: Incident, agreement: ServiceAgreement) -> AffectedAgreement:
    if incident.status == Status.MERGED:
        raise Refused(_("Not possible now: %(ref)s is merged.") % {"ref": incident.reference})
    affected = incident.affected_agreements.filter(agreement=agreement).first()
    if affected is None:
        falls = {"ref": incident.reference, "agreement": agreement}
        raise Refused({"agreement": _("%(ref)s does not fall under %(agreement)s.") % falls})
    return affected


# ── tell the client ─────────────────────────────────────────────────────────────────────────────────────────────────


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
    with _verb(incident, by, reason) as incident:
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
            _log(incident, _fitting(text), by, at=now, now=now, is_client_visible=True)
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
    with _verb(incident, by, _("Test of a message to %(client)s.") % {"client": client}) as incident:
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
    with _verb(incident, by, evidence) as incident:
        reports = incident.deadlines.open().filter(client=client, obligation=Obligation.REPORT)
        if obligation == Obligation.REPORT and incident.is_open and not reports.exclude(started_at=None).exists():
            raise Refused({"obligation": _("A report is owed once the incident is resolved. Resolve it first.")})
        at = _when(incident, at, now)
        met = deadlines.meet(incident, Obligation(obligation), at=at, now=now, client=client, asked_by=at)
        if not met:
            raise Refused(_("%(client)s is not waiting for that in this incident.") % {"client": client})
        told = {"client": client, "what": Obligation(obligation).label, "evidence": evidence}
        _log(incident, _("%(what)s: %(client)s told by other means: %(evidence)s") % told, by, at=at, now=now)
    return met


def affected_clients(incident: Incident) -> list[Client]:
    """The clients of the agreements that it falls under; one whose agreements are all excluded is none of them."""
    agreements = incident.affected_agreements.included().values("agreement__client")
    return list(Client.objects.filter(pk__in=agreements).order_by("name"))


# ── mend and finish ─────────────────────────────────────────────────────────────────────────────────────────────────


def mitigate(
    incident: Incident, *, by: User, now: dt.datetime, at: dt.datetime | None = None, reason: str = ""
) -> Incident:
    """The effect on clients has ended although the cause may remain; meets MITIGATE, and ACKNOWLEDGE if still open."""
    with _verb(incident, by, reason) as incident:
        _refuse_unless(incident, Status.DECLARED, Status.ACKNOWLEDGED)
        at = _when(incident, at, now)
        _refuse_before_reopening(incident, at)
        incident.mitigated_at = at
        incident.acknowledged_at = incident.acknowledged_at or at
        incident.status = Status.MITIGATED
        incident.save()
        _log(incident, _("Mitigated."), by, at=at, now=now)
        deadlines.meet(incident, Obligation.ACKNOWLEDGE, Obligation.MITIGATE, at=at, now=now)
        deadlines.recompute(incident, now=now)
        tasks.raise_due.ring_on_commit()
    return incident


def resolve(
    incident: Incident, *, by: User, now: dt.datetime, at: dt.datetime | None = None, reason: str = ""
) -> Incident:
    """It works again: meets RESOLVE, MITIGATE and ACKNOWLEDGE, ends updates, starts REPORT. NOTIFY stays owed."""
    with _verb(incident, by, reason) as incident:
        _refuse_unless_open(incident)
        at = _when(incident, at, now)
        _refuse_before_reopening(incident, at)
        incident.resolved_at = at
        incident.mitigated_at = incident.mitigated_at or at
        incident.acknowledged_at = incident.acknowledged_at or at
        incident.status = Status.RESOLVED
        incident.save()
        _log(incident, _("Resolved."), by, at=at, now=now)
        _end_pause(incident, at)
        deadlines.recompute(incident, now=now)  # a pause that ends with the resolution still counts
        deadlines.meet(incident, Obligation.ACKNOWLEDGE, Obligation.MITIGATE, Obligation.RESOLVE, at=at, now=now)
        updates = incident.deadlines.open().filter(obligation=Obligation.UPDATE)
        deadlines.end(updates, reason=_("Resolved."), now=at)
        deadlines.recompute(incident, now=now)
        tasks.raise_due.ring_on_commit()
    return incident


def reopen(incident: Incident, *, by: User, now: dt.datetime, reason: str, at: dt.datetime | None = None) -> Incident:
    """It came back: NOTIFY and ACKNOWLEDGE stay met; mitigation, resolution and updates are owed anew from `at`."""
    if not reason.strip():
        raise Refused({"reason": _("Say what came back.")})
    with _verb(incident, by, reason) as incident:
        _refuse_unless(incident, Status.RESOLVED, Status.CLOSED)
        at = _when(incident, at, now)
        resolved_at = incident.resolved_at
        if resolved_at is None or at < resolved_at:
            raise Refused({"at": _("It cannot come back before it was resolved.")})
        incident.resolved_at = incident.mitigated_at = incident.closed_at = None
        incident.reopened_at = at
        incident.status = Status.ACKNOWLEDGED
        incident.save()
        Pause.objects.create(
            incident=incident, begins_at=resolved_at, ends_at=at, why=_("It was taken to be resolved.")
        )
        _log(incident, _("Reopened: %(reason)s") % {"reason": reason}, by, at=at, now=now)
        deadlines.begin_again(incident, at=at, now=now)
        deadlines.start(incident, now=now)  # updates of agreements that were found while it was resolved
        deadlines.recompute(incident, now=now)
        tasks.raise_due.ring_on_commit()
    return incident


def close(incident: Incident, *, by: User, now: dt.datetime, reason: str = "") -> Incident:
    """Nothing more to do. Refused while a client is still waiting for its notice."""
    with _verb(incident, by, reason) as incident:
        _refuse_unless(incident, Status.RESOLVED)
        waiting = incident.deadlines.open().filter(obligation=Obligation.NOTIFY).select_related("client")
        if names := sorted({deadline.client.name for deadline in waiting}):
            raise Refused(
                _("Not yet notified: %(names)s. Send the notice or record how they were told, then close.")
                % {"names": ", ".join(names)}
            )
        incident.closed_at = now
        incident.status = Status.CLOSED
        incident.save()
        _log(incident, _("Closed."), by, at=now, now=now)
    return incident


# ── stop the clock, and put two into one ────────────────────────────────────────────────────────────────────────────


def pause(incident: Incident, *, by: User, now: dt.datetime, reason: str, at: dt.datetime | None = None) -> Pause:
    """Stop the clock of what the agreements allow to be paused, as of `at`; everything else runs on."""
    if not reason.strip():
        raise Refused({"reason": _("Say what the clock waits for; the client may ask.")})
    with _verb(incident, by, reason) as incident:
        _refuse_unless_open(incident)
        if incident.pauses.filter(ends_at__isnull=True).exists():
            raise Refused(_("%(ref)s is paused already.") % {"ref": incident.reference})
        at = _when(incident, at, now)
        if incident.pauses.filter(ends_at__gt=at).exists():
            raise Refused({"at": _("It was paused at that time already. Give a later one.")})
        begun = Pause(incident=incident, begins_at=at, why=reason)
        begun.full_clean()
        begun.save()
        _log(incident, _("Paused: %(reason)s") % {"reason": reason}, by, at=at, now=now)
        deadlines.recompute(incident, now=now)
    return begun


def resume(incident: Incident, *, by: User, now: dt.datetime, reason: str, at: dt.datetime | None = None) -> Incident:
    """Let the clock run again as of `at`; due times move by the counting time that was lost."""
    if not reason.strip():
        raise Refused({"reason": _("Say why the clock runs again.")})
    with _verb(incident, by, reason) as incident:
        at = _when(incident, at, now)
        if not _end_pause(incident, at):
            raise Refused(_("%(ref)s is not paused.") % {"ref": incident.reference})
        _log(incident, _("Resumed: %(reason)s") % {"reason": reason}, by, at=at, now=now)
        deadlines.recompute(incident, now=now)
        tasks.raise_due.ring_on_commit()
    return incident


def _end_pause(incident: Incident, at: dt.datetime) -> bool:
    """End the open pause, if there is one; False if not. One that began after `at` never was."""
    begun = incident.pauses.filter(ends_at__isnull=True).first()
    if begun is None:
        return False
    begun.ends_at = max(at, begun.begins_at)
    begun.save()
    return True


def merge(incident: Incident, into: Incident, *, by: User, now: dt.datetime, reason: str) -> Incident:
    """This incident is part of another, the master: its deadlines end, and the master owes what it owed.

    The master keeps the earliest start and takes over the affected services; a client of this incident alone is
    still owed its notice, now by the master. Returns the master.
    """
    if not reason.strip():
        raise Refused({"reason": _("Say why these are one incident.")})
    if incident.pk == into.pk:
        raise Refused({"into": _("An incident cannot be merged into itself.")})
    with transaction.atomic(), acting(by, reason=reason):
        locked = {row.pk: row for row in Incident.objects.locked().filter(pk__in=(incident.pk, into.pk)).order_by("pk")}
        child, master = locked[incident.pk], locked[into.pk]
        _refuse_unless_open(child)
        _refuse_unless_open(master)
        _refuse_a_lesser_master(child, master)
        _refuse_a_master_that_excludes(child, master)
        if _end_pause(child, now):
            deadlines.recompute(child, now=now)  # a pause that ends with the merging still counts
        child.status, child.merged_into, child.merged_at = Status.MERGED, master, now
        child.save()
        ended = _("Merged into %(ref)s.") % {"ref": master.reference}
        deadlines.end(child.deadlines.open(), reason=ended, now=now)
        _log(child, ended, by, at=now, now=now)
        _take_over(master, child)
        _log(master, _("%(ref)s merged into this.") % {"ref": child.reference}, by, at=now, now=now)
        deadlines.start(master, now=now)
        deadlines.recompute(master, now=now)
        tasks.raise_due.ring_on_commit()
    return master


def _refuse_a_lesser_master(child: Incident, master: Incident) -> None:
    """What a client is owed at the child's severity would vanish in a master of a lower one."""
    severities = list(Severity)  # the gravest first
    if severities.index(Severity(child.severity)) < severities.index(Severity(master.severity)):
        raise Refused(
            {
                "into": _("%(child)s is %(severity)s, %(master)s is not. Reclassify one of them first.")
                % {
                    "child": child.reference,
                    "severity": child.get_severity_display(),
                    "master": master.reference,
                }
            }
        )


def _refuse_a_master_that_excludes(child: Incident, master: Incident) -> None:
    """What a client is owed here would vanish in a master that excludes its agreement."""
    excluded = master.affected_agreements.filter(excluded_at__isnull=False).values("agreement")
    if lost := [str(taken) for taken in child.affected_agreements.included().filter(agreement__in=excluded)]:
        raise Refused(
            {
                "into": _("%(master)s excludes %(agreements)s, %(child)s does not. Decide for both first.")
                % {"master": master.reference, "child": child.reference, "agreements": ", ".join(lost)}
            }
        )


def _take_over(master: Incident, child: Incident) -> None:
    """The earliest start of both, the services and the agreements of both."""
    for event in ("occurred_at", "detected_at", "aware_at"):
        known = [at for at in (getattr(master, event), getattr(child, event)) if at is not None]
        setattr(master, event, min(known, default=None))
    master.save()
    for affected in child.affected_services.exclude(service__in=master.affected_services.values("service")):
        AffectedService.objects.create(incident=master, service=affected.service)
    for taken in child.affected_agreements.exclude(agreement__in=master.affected_agreements.values("agreement")):
        AffectedAgreement.objects.create(
            incident=master,
            agreement=taken.agreement,
            why=taken.why,
            excluded_at=taken.excluded_at,
            exclusion_reason=taken.exclusion_reason,
        )


def preview_merge(incident: Incident, into: Incident, *, by: User, now: dt.datetime) -> MergePreview:
    """What `merge` would do, found out by doing it and taking it back."""
    before = {deadline.pk for deadline in into.deadlines.all()}
    ending = list(incident.deadlines.open().select_related("client", "commitment"))
    with transaction.atomic():
        master = merge(incident, into, by=by, now=now, reason="preview")
        began = list(master.deadlines.exclude(pk__in=before).select_related("client", "commitment"))
        preview = MergePreview(detected_at=master.detected_at, ending=ending, beginning=began)
        transaction.set_rollback(True)
    return preview


@dataclass(frozen=True)
class MergePreview:
    """The master's time of detection afterwards, what ends with this incident, what begins under the master."""

    detected_at: dt.datetime
    ending: list[Deadline]
    beginning: list[Deadline]


def apply_present_terms(to: Collection[Deadline], *, by: User, now: dt.datetime, reason: str) -> list[deadlines.Change]:
    """Give these open deadlines the terms, calendar and time zone rules as they read now; returns what changed."""
    if not reason.strip():
        raise Refused({"reason": _("Say why the present terms are to hold for incidents that began under others.")})
    with transaction.atomic(), acting(by, reason=reason):
        incidents = Incident.objects.filter(pk__in={deadline.incident_id for deadline in to})
        locked = {incident.pk: incident for incident in incidents.locked().order_by("pk")}
        chosen = Deadline.objects.filter(pk__in=[deadline.pk for deadline in to])
        changes = list(deadlines.changes_by(chosen))
        for change in changes:
            deadlines.apply_change(change, now=now)
        for incident in locked.values():
            _log(incident, _("Present terms applied: %(reason)s") % {"reason": reason}, by, at=now, now=now)
            deadlines.recompute(incident, now=now)
        tasks.raise_due.ring_on_commit()
    return changes


# ── what every verb does ────────────────────────────────────────────────────────────────────────────────────────────


@contextlib.contextmanager
def _verb(incident: Incident, by: User, reason: str) -> Iterator[Incident]:
    """One transaction on the locked, freshly read incident, told to the audit trail."""
    with transaction.atomic(), acting(by, reason=reason):
        yield Incident.objects.locked().get(pk=incident.pk)


def _log(
    incident: Incident,
    text: str,
    by: User,
    *,
    at: dt.datetime,
    now: dt.datetime,
    is_client_visible: bool = False,
    is_note: bool = False,
) -> TimelineEntry:
    entry = TimelineEntry(
        incident=incident,
        text=text,
        happened_at=at,
        typed_at=now,
        is_client_visible=is_client_visible,
        author_name=by.audit_name,
        is_note=is_note,
    )
    entry.full_clean()
    entry.save()
    return entry


def _when(incident: Incident, at: dt.datetime | None, now: dt.datetime) -> dt.datetime:
    """When the step happened: `at` or now, never in the future, never before the incident was detected."""
    at = at or now
    _check_instant("at", at, now)
    if at < incident.detected_at:
        raise Refused(
            {
                "at": _("That is before the incident was detected (%(at)s).")
                % {"at": times.for_reader(incident.detected_at)}
            }
        )
    return at


def _refuse_before_reopening(incident: Incident, at: dt.datetime) -> None:
    if incident.reopened_at and at < incident.reopened_at:
        raise Refused({"at": _("It was reopened after that. Give a later time.")})


def _check_instant(
    name: str, at: dt.datetime | None, now: dt.datetime, *, not_after: dt.datetime | None = None
) -> None:
    if at is None:
        return
    if at < EARLIEST:
        raise Refused({name: _("That is before the year 2000. Check the date.")})
    if at > now:
        raise Refused({name: _("That lies in the future (it is %(now)s now).") % {"now": times.for_reader(now)}})
    if not_after is not None and at > not_after:
        raise Refused({name: _("It cannot have happened after it was detected.")})


def _refuse_unless(incident: Incident, *lawful: Status) -> None:
    if incident.status not in lawful:
        raise Refused(
            _("Not possible now: %(ref)s is %(status)s.")
            % {"ref": incident.reference, "status": incident.get_status_display().lower()}
        )


def _refuse_unless_open(incident: Incident) -> None:
    _refuse_unless(incident, Status.DECLARED, Status.ACKNOWLEDGED, Status.MITIGATED)
