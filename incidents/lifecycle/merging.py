"""Two incidents that turn out to be one."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.db import transaction
from django.utils.translation import gettext as _

from agreements.models import Severity
from config.history import acting
from config.models import User
from incidents import deadlines, tasks
from incidents.lifecycle.pausing import end_pause
from incidents.lifecycle.verb import Refused, log, refuse_beyond_scope, refuse_unless_open
from incidents.models import AffectedAgreement, AffectedService, Deadline, Incident
from incidents.models.incident import Status


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
        for merged in (child, master):
            refuse_beyond_scope(merged, by)
        refuse_unless_open(child)
        refuse_unless_open(master)
        _refuse_a_lesser_master(child, master)
        _refuse_a_master_that_excludes(child, master)
        if end_pause(child, now):
            deadlines.recompute(child, now=now)  # a pause that ends with the merging still counts
        child.status, child.merged_into, child.merged_at = Status.MERGED, master, now
        child.save()
        ended = _("Merged into %(ref)s.") % {"ref": master.reference}
        deadlines.end(child.deadlines.open(), reason=ended, now=now)
        log(child, ended, by, at=now, now=now)
        _take_over(master, child)
        log(master, _("%(ref)s merged into this.") % {"ref": child.reference}, by, at=now, now=now)
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
