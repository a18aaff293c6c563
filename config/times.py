"""Instants and durations as people read them; a time is never shown without its zone."""

from __future__ import annotations

import datetime as dt
import functools

from django.utils import timezone
from django.utils.dateformat import format as date_format
from django.utils.translation import get_language, gettext_noop, pgettext
from django.utils.translation import gettext as _

from config import zones


def in_zone(instant: dt.datetime, zone_name: str) -> str:
    """`24 Nov 2026, 21:24 EST`, in the zone and the active language."""
    return _shown(instant, zones.zone(zone_name), get_language())


def for_reader(instant: dt.datetime) -> str:
    """The same in the zone of whoever is reading."""
    return _shown(instant, timezone.get_current_timezone(), get_language())


def as_given(instant: dt.datetime) -> str:
    """The same in the zone that it bears."""
    return _shown(instant, instant.tzinfo or dt.UTC, get_language())


def in_both(instant: dt.datetime, zone_name: str) -> str:
    """`24 Nov 2026, 21:24:05 EST (25 Nov 2026, 02:24:05 UTC)`: for the reader, and to the second where it has one.

    The zone in brackets is left out where it says the same.
    """
    zones_shown = (timezone.get_current_timezone(), zones.zone(zone_name))
    exactly = bool(instant.second)
    shown, beside = (_shown(instant, zone, get_language(), to_the_second=exactly) for zone in zones_shown)
    return shown if shown == beside else f"{shown} ({beside})"


@functools.lru_cache(maxsize=4096)
def _shown(instant: dt.datetime, zone: dt.tzinfo, _language: str | None, *, to_the_second: bool = False) -> str:
    """Kept, as mails and lists show the same instants again and again."""
    local = instant.astimezone(zone)
    name = local.tzname() or ""
    zone_label = f"UTC{name}" if name.startswith(("+", "-")) else name
    pattern = pgettext("date format", "j M Y, H:i")
    if to_the_second:
        pattern = pattern.replace("H:i", "H:i:s")
    return f"{date_format(local, pattern)} {zone_label}"


#: How a span is said, by its largest unit; `exact` is said of minutes that are counted live.
_SPANS = {
    "days": gettext_noop("%(days)d d %(hours)d h"),
    "hours": gettext_noop("%(hours)d h %(minutes)d min"),
    "minutes": gettext_noop("%(minutes)d min"),
    "exact": gettext_noop("%(minutes)d min %(seconds)02d s"),
    "seconds": gettext_noop("%(seconds)d s"),
}


def duration(span: dt.timedelta) -> str:
    """`3 d 4 h`, `3 h 48 min`, `12 min`, `40 s`: the two largest units, never negative."""
    return _say(span, "minutes")


def countdown(span: dt.timedelta) -> str:
    """The same with seconds in the last hour, `12 min 04 s`: what is counted live."""
    return _say(span, "exact")


def span_words() -> dict[str, str]:
    """The patterns by which these are said in the active language, for countdown.js, which says the same."""
    return {unit: _(pattern) for unit, pattern in _SPANS.items()}


def _say(span: dt.timedelta, below_an_hour: str) -> str:
    seconds = max(int(span.total_seconds()), 0)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    unit = "days" if days else "hours" if hours else below_an_hour if minutes else "seconds"
    return _(_SPANS[unit]) % {"days": days, "hours": hours, "minutes": minutes, "seconds": seconds}
