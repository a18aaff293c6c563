"""What was wrongly known at first: severity, times, and the terms that deadlines were started with."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection

from django.db import transaction
from django.utils.translation import gettext as _

from agreements.models import Severity, StartEvent
from config.history import acting
from config.models import User
from incidents import deadlines, tasks
from incidents.lifecycle.scope import find_agreements, leave_agreements_not_in_force
from incidents.lifecycle.verb import Refused, check_instant, log, refuse_beyond_scope, refuse_unless_open, verb
from incidents.models import Deadline, Incident


def reclassify(incident: Incident, severity: Severity | str, *, by: User, now: dt.datetime, reason: str) -> Incident:
    """Change the severity: open deadlines of the old one end, those of the new one start from the original event."""
    if not reason.strip():
        raise Refused({"reason": _("Say why the severity changes; clients and auditors will ask.")})
    with verb(incident, by, reason) as incident:
        refuse_unless_open(incident)
        if incident.severity == severity:
            raise Refused(
                {"severity": _("The severity is already %(severity)s.") % {"severity": incident.get_severity_display()}}
            )
        before = incident.get_severity_display()
        incident.severity = Severity(severity)
        incident.classified_at = now
        incident.save()
        change = {"before": before, "after": incident.get_severity_display()}
        log(incident, _("Reclassified from %(before)s to %(after)s.") % change, by, at=now, now=now)
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
    with verb(incident, by, reason) as incident:
        detected_at = detected_at or incident.detected_at
        check_instant("detected_at", detected_at, now)
        check_instant("occurred_at", occurred_at, now, not_after=detected_at)
        check_instant("aware_at", aware_at, now)
        earliest_step = min(
            filter(None, (incident.acknowledged_at, incident.mitigated_at, incident.resolved_at)), default=now
        )
        if detected_at > earliest_step:
            raise Refused({"detected_at": _("It cannot have been detected after it was acknowledged or resolved.")})
        incident.detected_at = detected_at
        incident.occurred_at = occurred_at or incident.occurred_at
        incident.aware_at = aware_at or incident.aware_at
        incident.save()
        log(incident, _("Times corrected: %(reason)s") % {"reason": reason}, by, at=now, now=now)
        leave_agreements_not_in_force(incident, now)
        find_agreements(incident)
        deadlines.start(incident, now=now)
        deadlines.recompute(incident, now=now)
        tasks.raise_due.ring_on_commit()
    return incident


def apply_present_terms(to: Collection[Deadline], *, by: User, now: dt.datetime, reason: str) -> list[deadlines.Change]:
    """Give these open deadlines the terms, calendar and time zone rules as they read now; returns what changed."""
    if not reason.strip():
        raise Refused({"reason": _("Say why the present terms are to hold for incidents that began under others.")})
    with transaction.atomic(), acting(by, reason=reason):
        incidents = Incident.objects.filter(pk__in={deadline.incident_id for deadline in to})
        locked = {incident.pk: incident for incident in incidents.locked().order_by("pk")}
        chosen = Deadline.objects.filter(pk__in=[deadline.pk for deadline in to])
        changes = list(deadlines.changes_by(chosen))
        for incident in locked.values():
            refuse_beyond_scope(incident, by)
        for change in changes:
            deadlines.apply_change(change, now=now)
        for incident in locked.values():
            log(incident, _("Present terms applied: %(reason)s") % {"reason": reason}, by, at=now, now=now)
            deadlines.recompute(incident, now=now)
        tasks.raise_due.ring_on_commit()
    return changes
