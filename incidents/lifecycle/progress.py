"""The way of an incident: somebody works on it, its effect ends, it works again, it came back, nothing is left."""

from __future__ import annotations

import datetime as dt

from django.utils.translation import gettext as _

from agreements.models import Obligation
from config.models import User
from incidents import deadlines, tasks
from incidents.lifecycle.pausing import end_pause
from incidents.lifecycle.verb import Refused, log, refuse_unless, refuse_unless_open, verb, when
from incidents.models import Incident, Pause
from incidents.models.incident import Status


def acknowledge(
    incident: Incident, *, by: User, now: dt.datetime, at: dt.datetime | None = None, reason: str = ""
) -> Incident:
    """Say that somebody is working on it; meets ACKNOWLEDGE as of `at`."""
    with verb(incident, by, reason) as incident:
        if incident.acknowledged_at is not None:
            raise Refused(_("%(ref)s is already acknowledged.") % {"ref": incident.reference})
        refuse_unless(incident, Status.DECLARED)
        at = when(incident, at, now)
        incident.acknowledged_at = at
        incident.status = Status.ACKNOWLEDGED
        incident.save()
        log(incident, _("Acknowledged."), by, at=at, now=now)
        deadlines.meet(incident, Obligation.ACKNOWLEDGE, at=at, now=now)
        deadlines.recompute(incident, now=now)
        tasks.raise_due.ring_on_commit()
    return incident


def mitigate(
    incident: Incident, *, by: User, now: dt.datetime, at: dt.datetime | None = None, reason: str = ""
) -> Incident:
    """The effect on clients has ended although the cause may remain; meets MITIGATE, and ACKNOWLEDGE if still open."""
    with verb(incident, by, reason) as incident:
        refuse_unless(incident, Status.DECLARED, Status.ACKNOWLEDGED)
        at = when(incident, at, now)
        _refuse_before_reopening(incident, at)
        incident.mitigated_at = at
        incident.acknowledged_at = incident.acknowledged_at or at
        incident.status = Status.MITIGATED
        incident.save()
        log(incident, _("Mitigated."), by, at=at, now=now)
        deadlines.meet(incident, Obligation.ACKNOWLEDGE, Obligation.MITIGATE, at=at, now=now)
        deadlines.recompute(incident, now=now)
        tasks.raise_due.ring_on_commit()
    return incident


def resolve(
    incident: Incident, *, by: User, now: dt.datetime, at: dt.datetime | None = None, reason: str = ""
) -> Incident:
    """It works again: meets RESOLVE, MITIGATE and ACKNOWLEDGE, ends updates, starts REPORT. NOTIFY stays owed."""
    with verb(incident, by, reason) as incident:
        refuse_unless_open(incident)
        at = when(incident, at, now)
        _refuse_before_reopening(incident, at)
        incident.resolved_at = at
        incident.mitigated_at = incident.mitigated_at or at
        incident.acknowledged_at = incident.acknowledged_at or at
        incident.status = Status.RESOLVED
        incident.save()
        log(incident, _("Resolved."), by, at=at, now=now)
        end_pause(incident, at)
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
    with verb(incident, by, reason) as incident:
        refuse_unless(incident, Status.RESOLVED, Status.CLOSED)
        at = when(incident, at, now)
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
        log(incident, _("Reopened: %(reason)s") % {"reason": reason}, by, at=at, now=now)
        deadlines.begin_again(incident, at=at, now=now)
        deadlines.start(incident, now=now)  # updates of agreements that were found while it was resolved
        deadlines.recompute(incident, now=now)
        tasks.raise_due.ring_on_commit()
    return incident


def close(incident: Incident, *, by: User, now: dt.datetime, reason: str = "") -> Incident:
    """Nothing more to do. Refused while a client is still waiting for its notice."""
    with verb(incident, by, reason) as incident:
        refuse_unless(incident, Status.RESOLVED)
        waiting = incident.deadlines.open().filter(obligation=Obligation.NOTIFY).select_related("client")
        if names := sorted({deadline.client.name for deadline in waiting}):
            raise Refused(
                _("Not yet notified: %(names)s. Send the notice or record how they were told, then close.")
                % {"names": ", ".join(names)}
            )
        incident.closed_at = now
        incident.status = Status.CLOSED
        incident.save()
        log(incident, _("Closed."), by, at=now, now=now)
    return incident


def _refuse_before_reopening(incident: Incident, at: dt.datetime) -> None:
    if incident.reopened_at and at < incident.reopened_at:
        raise Refused({"at": _("It was reopened after that. Give a later time.")})
