"""A person's open deadlines as a calendar that their own program reads by a secret address (RFC 5545)."""

from __future__ import annotations

import datetime as dt
import hashlib
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext as _
from icalendar import Alarm, Calendar, Event

from config import scope
from config.history import acting
from config.models import User
from incidents.models import CalendarFeed, Deadline
from incidents.models.intake import digest_of, new_secret

MOST = 500  # the nearest ones
PERMISSION = "incidents.view_deadline"
REASON = "Changed own calendar feed"  # kept in the trail, in the language of the product


def make(user: User, *, now: dt.datetime) -> str:
    """A new address for this person, which is returned and kept nowhere; an old one is good for nothing any more."""
    secret = new_secret("")
    with transaction.atomic(), acting(user, reason=REASON):
        feed = CalendarFeed.objects.select_for_update().filter(user=user).first() or CalendarFeed(user=user)
        feed.digest, feed.made_at = digest_of(secret), now
        feed.save()
    return settings.PUBLIC_URL + reverse("outside:calendar", args=[secret])


def revoke(user: User) -> None:
    with transaction.atomic(), acting(user, reason=REASON):
        for feed in CalendarFeed.objects.select_for_update().filter(user=user):
            feed.digest = ""
            feed.save()


def reader(secret: str) -> User | None:
    """Whose address it is, as long as they have an account that may see deadlines."""
    feed = CalendarFeed.objects.filter(digest=digest_of(secret)).select_related("user").first()
    user = feed.user if feed else None
    return user if user and user.is_active and user.is_staff and user.has_perm(PERMISSION) else None


def content(user: User) -> bytes:
    """What they see of what is open and has a due time: the nearest first, in their language; three queries at most."""
    owed = Deadline.objects.open().filter(due_at__isnull=False, started_at__isnull=False)
    owed = scope.visible(owed, user).select_related("incident", "client").order_by("due_at", "pk")
    calendar = Calendar()
    calendar.add("prodid", "-//Due Notice//Deadlines//EN")
    calendar.add("version", "2.0")
    with translation.override(user.language):
        calendar.add("x-wr-calname", _("Deadlines"))
        for deadline in owed[:MOST]:
            calendar.add_component(_event(deadline))
    return bytes(calendar.to_ical())


def etag(content: bytes) -> str:
    return f'"{hashlib.sha256(content).hexdigest()[:32]}"'


def _event(deadline: Deadline) -> Event:
    """Of no length; stamped by its start and not by now, so that an unchanged calendar is the same bytes."""
    incident, event, alarm = deadline.incident, Event(), Alarm()
    said = {
        "what": deadline.get_obligation_display(),
        "client": deadline.client.name,
        "ref": incident.reference,
        "title": incident.title,
        "severity": incident.get_severity_display(),
    }
    host = urlsplit(settings.PUBLIC_URL).hostname or "due-notice"
    event.add("uid", f"deadline-{deadline.pk}@{host}")
    event.add("dtstamp", (deadline.started_at or deadline.due_at).astimezone(dt.UTC))  # type: ignore[union-attr]
    event.add("dtstart", deadline.due_at.astimezone(dt.UTC))  # type: ignore[union-attr]
    event.add("summary", _("Due: %(what)s for %(client)s (%(ref)s)") % said)
    event.add("description", _("%(ref)s %(title)s. Severity: %(severity)s.") % said)
    event.add("url", settings.PUBLIC_URL + reverse("admin:incidents_incident_change", args=[incident.pk]))
    event.add("transp", "TRANSPARENT")
    alarm.add("action", "DISPLAY")
    alarm.add("description", event["summary"])
    alarm.add("trigger", dt.timedelta(minutes=-30))
    event.add_component(alarm)
    return event
