"""Who responds, and what they note down. Neither moves a deadline."""

from __future__ import annotations

import datetime as dt

from django.utils.translation import gettext as _

from config.models import User
from incidents.lifecycle.verb import Refused, check_instant, log, refuse_unless_open, verb
from incidents.models import Incident, Responder, TimelineEntry
from incidents.models.incident import ResponderRole


def assign(
    incident: Incident, user: User, role: ResponderRole | str, *, by: User, now: dt.datetime, reason: str = ""
) -> Responder:
    """Add a responder, who from then on is warned of this incident's deadlines."""
    with verb(incident, by, reason, clients=()) as incident:
        refuse_unless_open(incident)
        responder, is_new = Responder.objects.get_or_create(incident=incident, user=user, role=ResponderRole(role))
        if not is_new:
            raise Refused({"user": _("%(who)s already has that role here.") % {"who": responder.user}})
        log(incident, _("%(who)s joined.") % {"who": responder}, by, at=now, now=now)
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
    with verb(incident, by, "", clients=()) as incident:
        check_instant("at", at, now)
        return log(incident, text, by, at=at or now, now=now, is_client_visible=is_client_visible, is_note=True)
