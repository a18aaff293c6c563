"""The board: what is due next, of all clients, with the button that does it.

One page costs five queries besides those of every page: all its numbers (config/counts.py), the strip, the last pass of
the workers, its rows, and the reader's saved filters.
"""

from __future__ import annotations

import datetime as dt
from typing import Any
from urllib.parse import urlencode

from django.db.models import Min
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from agreements.models import Severity
from config import counts, saved_filters, scope
from config.admin import list_of
from config.site import Tile, site
from incidents.admin import day_strip
from incidents.admin.deadline import DeadlineFilter, DeadlineRow, readable, rows
from incidents.admin.decisions import ATTENTION
from incidents.models import Deadline, Heartbeat, Incident, Notice, Standing
from incidents.models.deadline import DeadlineQuerySet
from incidents.models.sending import Part

SHOWN = 50
PAGE = saved_filters.register("board", "admin:index", DeadlineFilter.base_filters)


@site.register_board
def board(request: HttpRequest) -> dict[str, Any]:
    """The context of the index: open deadlines by due time, the longest overdue first."""
    if not request.user.has_perm("incidents.view_deadline"):
        return {"board": None}
    now = timezone.now()
    saved = saved_filters.read(request, PAGE)
    filters = DeadlineFilter(saved.data, queryset=scope.visible(Deadline.objects.open(), request.user), request=request)
    found: DeadlineQuerySet = filters.qs
    tiles, (count,) = site.tiles(request, now, found)
    falling = _falling(found, now)
    last_pass_at = _last_pass_at()
    listed = list(readable(found)[: SHOWN + 1])
    shown = rows(listed[:SHOWN], now=now, by=request.user)  # type: ignore[arg-type]
    return {
        "board": {
            "now": now,
            "rows": shown,
            "next": _next(shown, found, falling[0].pk if falling else None, now, request),
            "strip": day_strip.draw([(row.due_at, row.standing_now) for row in falling], now),
            "open": counts.in_words(count),
            "has_more": len(listed) > SHOWN,
            "shown": SHOWN,
            "more_url": f"{list_of(Deadline)}?{urlencode({'standing': 'open', **saved.data.dict()})}",
            "form": filters.form,
            "saved": saved,
            "tabs": _tabs(saved.query),
            "last_pass_at": last_pass_at,
            "since_pass": now - last_pass_at if last_pass_at else None,
            "attention_url": reverse(ATTENTION) if request.user.has_perm("incidents.view_notice") else "",
            "declare_url": reverse("admin:incidents_incident_add"),
            "may_declare": request.user.has_perm("incidents.add_incident"),
        },
        "tiles": tiles,
    }


def _next(
    shown: list[DeadlineRow], found: DeadlineQuerySet, upcoming: int | None, now: dt.datetime, request: HttpRequest
) -> DeadlineRow | None:
    """The one that falls due next and can still be kept; if there is none, the longest overdue."""
    can_be_kept = (row for row in shown if row.standing in (Standing.RUNNING, Standing.AT_RISK) and row.deadline.due_at)
    if row := next(can_be_kept, None):
        return row
    if upcoming is not None:  # below more overdue ones than the board shows
        return next(iter(rows(readable(found.filter(pk=upcoming)), now=now, by=request.user)), None)  # type: ignore[arg-type]
    return shown[0] if shown else None


def _falling(found: DeadlineQuerySet, now: dt.datetime) -> list[Any]:
    """Due time, key and standing of what falls due within a day, by due time."""
    soon = found.filter(paused_at__isnull=True, due_at__gte=now, due_at__lt=now + day_strip.SPAN)
    rows = soon.with_standing(now).order_by("due_at", "pk")
    return list(rows.values_list("due_at", "pk", "standing_now", named=True)[: counts.CAP])


def _last_pass_at() -> dt.datetime | None:
    """When the planner and the sender were both last at work."""
    beats = Heartbeat.objects.filter(part__in=(Part.PLANNER, Part.SENDER))
    at: dt.datetime | None = beats.aggregate(at=Min("at"))["at"]
    return at


def _tabs(query: str) -> list[dict[str, Any]]:
    ready_made: tuple[tuple[Any, dict[str, str]], ...] = (
        (_("All open"), {}),
        (_("Mine"), {"mine": "on"}),
        (_("At risk"), {"standing": Standing.AT_RISK}),
        (_("Missed"), {"standing": Standing.MISSED}),
    )
    return [
        {"label": label, "url": PAGE.url(urlencode(asked)), "is_chosen": urlencode(asked) == query}
        for label, asked in ready_made
    ]


# ── the tiles ───────────────────────────────────────────────────────────────────────────────────────────────────────


@site.register_tile
def open_critical(request: HttpRequest, now: dt.datetime) -> Tile | None:
    rows = Incident.objects.open().filter(severity=Severity.CRITICAL)
    url = f"{list_of(Incident)}?severity={Severity.CRITICAL}&status=open"
    return Tile(_("Critical incidents open"), rows, url, "warn")


@site.register_tile
def at_risk(request: HttpRequest, now: dt.datetime) -> Tile | None:
    rows = Deadline.objects.standing(Standing.AT_RISK, now)
    return Tile(_("At risk"), rows, PAGE.url(f"standing={Standing.AT_RISK}"), "warn")


@site.register_tile
def missed_today(request: HttpRequest, now: dt.datetime) -> Tile | None:
    """In the reader's day, whether or not it was done since."""
    today = timezone.localtime(now).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    rows = Deadline.objects.filter(due_at__gte=today).standing(Standing.MISSED, now)
    day = today.date().isoformat()
    url = f"{list_of(Deadline)}?standing={Standing.MISSED}&due_from={day}&due_until={day}"
    return Tile(_("Missed today"), rows, url, "bad")


@site.register_tile
def stuck_notices(request: HttpRequest, now: dt.datetime) -> Tile | None:
    return Tile(_("Notices that need a person"), Notice.objects.needing_a_person(), reverse(ATTENTION), "bad")
