"""Template filters for instants and durations."""

from __future__ import annotations

import datetime as dt
import json

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from config import times

register = template.Library()


@register.filter
def in_zone(instant: dt.datetime | None, zone_name: str) -> str:
    return times.in_zone(instant, zone_name) if instant else ""


@register.filter
def for_reader(instant: dt.datetime | None) -> str:
    return times.for_reader(instant) if instant else ""


@register.filter
def in_both(instant: dt.datetime, zone_name: str) -> str:
    return times.in_both(instant, zone_name)


@register.filter
def duration(span: dt.timedelta | None) -> str:
    return times.duration(span) if span is not None else ""


@register.simple_tag
def server_clock() -> SafeString:
    """The present instant and the words of spans, from which countdown.js counts; once on a page, anywhere in it."""
    return format_html(
        '<span hidden data-server-now="{}" data-words="{}"></span>',
        timezone.now().isoformat(timespec="milliseconds"),
        json.dumps(times.span_words()),
    )
