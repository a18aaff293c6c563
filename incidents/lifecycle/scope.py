"""Which agreements an incident falls under, and so which clients it concerns."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from agreements.models import Client, Service, ServiceAgreement
from config.models import User
from incidents import deadlines, tasks
from incidents.lifecycle.verb import Refused, log, verb
from incidents.models import AffectedAgreement, Incident
from incidents.models.incident import Status


def agreements_for(services: Iterable[Service], detected_at: dt.datetime) -> QuerySet[ServiceAgreement]:
    """Every agreement in force at detection that covers one of these services."""
    return ServiceAgreement.objects.in_force(detected_at).covering(services)


def affected_clients(incident: Incident) -> list[Client]:
    """The clients of the agreements that it falls under; one whose agreements are all excluded is none of them."""
    agreements = incident.affected_agreements.included().values("agreement__client")
    return list(Client.objects.filter(pk__in=agreements).order_by("name"))


def find_agreements(incident: Incident) -> None:
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


def leave_agreements_not_in_force(incident: Incident, now: dt.datetime) -> None:
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


def exclude_agreement(
    incident: Incident, agreement: ServiceAgreement, *, by: User, now: dt.datetime, reason: str
) -> AffectedAgreement:
    """Say that this agreement owes nothing here: its open deadlines end, and what is unsent is taken back.

    It holds through every later verb, merging included, until the agreement is included again.
    """
    if not reason.strip():
        raise Refused({"reason": _("Say why nothing is owed under this agreement; the client may ask.")})
    with verb(incident, by, reason, clients=[agreement.client]) as incident:
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
        log(incident, why, by, at=now, now=now)
    return affected


def include_agreement(
    incident: Incident, agreement: ServiceAgreement, *, by: User, now: dt.datetime, reason: str
) -> AffectedAgreement:
    """Take an exclusion back: what the agreement owes begins again, counted from the original events."""
    if not reason.strip():
        raise Refused({"reason": _("Say why something is owed under this agreement after all.")})
    with verb(incident, by, reason, clients=[agreement.client]) as incident:
        affected = _affected_by(incident, agreement)
        if not affected.is_excluded:
            raise Refused({"agreement": _("%(agreement)s is not excluded.") % {"agreement": agreement}})
        if _not_in_force(incident).filter(pk=affected.pk).exists():
            outlived = _("%(agreement)s was not in force when the incident was detected.") % {"agreement": agreement}
            raise Refused({"agreement": outlived})
        affected.excluded_at, affected.exclusion_reason = None, ""
        affected.save()
        why = _("%(agreement)s is included again: %(reason)s") % {"agreement": agreement, "reason": reason}
        log(incident, why, by, at=now, now=now)
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
