"""Instants and durations as people read them; a time is never shown without its zone."""

from __future__ import annotations

import datetime as dt
import functools

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import get_language, pgettext
from django.utils.translation import gettext as _

from config import zones


def in_zone(instant: dt.datetime, zone_name: str) -> str:
    """`24 Nov 2026, 21:24 EST`, in the zone and the active language."""
    return _in_zone(instant, zone_name, get_language())


@functools.lru_cache(maxsize=1024)
def _in_zone(instant: dt.datetime, zone_name: str, _language: str | None) -> str:
    """Kept, as one mail shows the same few instants again and again, and a burst of mails too."""
    return _show(instant.astimezone(zones.zone(zone_name)))


def for_reader(instant: dt.datetime) -> str:
    """The same in the zone of whoever is reading."""
    return _show(timezone.localtime(instant))


def _show(local: dt.datetime) -> str:
    name = local.tzname() or ""
    zone_label = f"UTC{name}" if name.startswith(("+", "-")) else name
    return f"{date_format(local, pgettext('date format', 'j M Y, H:i'))} {zone_label}"


def duration(span: dt.timedelta) -> str:
    """`3 d 4 h`, `3 h 48 min`, `12 min`, `40 s`: the two largest units, never negative."""
    seconds = max(int(span.total_seconds()), 0)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return _("%(days)d d %(hours)d h") % {"days": days, "hours": hours}
    if hours:
        return _("%(hours)d h %(minutes)d min") % {"hours": hours, "minutes": minutes}
    if minutes:
        return _("%(minutes)d min") % {"minutes": minutes}
    return _("%(seconds)d s") % {"seconds": seconds}
