"""Stopping the clock where the agreements allow it."""

from __future__ import annotations

import datetime as dt

from django.utils.translation import gettext as _

from config.models import User
from incidents import deadlines, tasks
from incidents.lifecycle.verb import Refused, log, refuse_unless_open, verb, when
from incidents.models import Incident, Pause


def pause(incident: Incident, *, by: User, now: dt.datetime, reason: str, at: dt.datetime | None = None) -> Pause:
    """Stop the clock of what the agreements allow to be paused, as of `at`; everything else runs on."""
    if not reason.strip():
        raise Refused({"reason": _("Say what the clock waits for; the client may ask.")})
    with verb(incident, by, reason) as incident:
        refuse_unless_open(incident)
        if incident.pauses.filter(ends_at__isnull=True).exists():
            raise Refused(_("%(ref)s is paused already.") % {"ref": incident.reference})
        at = when(incident, at, now)
        if incident.pauses.filter(ends_at__gt=at).exists():
            raise Refused({"at": _("It was paused at that time already. Give a later one.")})
        begun = Pause(incident=incident, begins_at=at, why=reason)
        begun.full_clean()
        begun.save()
        log(incident, _("Paused: %(reason)s") % {"reason": reason}, by, at=at, now=now)
        deadlines.recompute(incident, now=now)
    return begun


def resume(incident: Incident, *, by: User, now: dt.datetime, reason: str, at: dt.datetime | None = None) -> Incident:
    """Let the clock run again as of `at`; due times move by the counting time that was lost."""
    if not reason.strip():
        raise Refused({"reason": _("Say why the clock runs again.")})
    with verb(incident, by, reason) as incident:
        at = when(incident, at, now)
        if not end_pause(incident, at):
            raise Refused(_("%(ref)s is not paused.") % {"ref": incident.reference})
        log(incident, _("Resumed: %(reason)s") % {"reason": reason}, by, at=at, now=now)
        deadlines.recompute(incident, now=now)
        tasks.raise_due.ring_on_commit()
    return incident


def end_pause(incident: Incident, at: dt.datetime) -> bool:
    """End the open pause, if there is one; False if not. One that began after `at` never was."""
    begun = incident.pauses.filter(ends_at__isnull=True).first()
    if begun is None:
        return False
    begun.ends_at = max(at, begun.begins_at)
    begun.save()
    return True
