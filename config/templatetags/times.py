"""Template filters for instants and durations."""

from __future__ import annotations

import datetime as dt

from django import template

from config import times

register = template.Library()


@register.filter
def in_zone(instant: dt.datetime | None, zone_name: str) -> str:
    return times.in_zone(instant, zone_name) if instant else ""


@register.filter
def for_reader(instant: dt.datetime | None) -> str:
    return times.for_reader(instant) if instant else ""


@register.filter
def duration(span: dt.timedelta | None) -> str:
    return times.duration(span) if span is not None else ""
