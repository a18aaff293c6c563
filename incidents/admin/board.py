"""The board: what is due next, of all clients, with the button that does it."""

from __future__ import annotations

import datetime as dt
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from agreements.models import Severity
from config.admin import list_of
from config.site import Tile, site
from incidents.admin.deadline import DeadlineFilter, readable, rows
from incidents.admin.decisions import ATTENTION
from incidents.models import Deadline, Incident, Notice, Standing

SHOWN = 50


@site.register_board
def board(request: HttpRequest) -> dict[str, Any]:
    """The context of the index: open deadlines by due time, the longest overdue first."""
    if not request.user.has_perm("incidents.view_deadline"):
        return {"board": None}
    now = timezone.now()
    filters = DeadlineFilter(request.GET, queryset=Deadline.objects.open(), request=request)
    found = list(readable(filters.qs)[: SHOWN + 1])
    return {
        "board": {
            "rows": rows(found[:SHOWN], now=now, by=request.user),  # type: ignore[arg-type]
            "has_more": len(found) > SHOWN,
            "shown": SHOWN,
            "more_url": _more_url(request),
            "form": filters.form,
            "is_filtered": any(request.GET.get(name) for name in filters.filters),
            "declare_url": reverse("admin:incidents_incident_add"),
            "may_declare": request.user.has_perm("incidents.add_incident"),
        },
        "tiles": site.tiles(request, now),
    }


def _more_url(request: HttpRequest) -> str:
    kept = {name: value for name, value in request.GET.items() if name in DeadlineFilter.base_filters and value}
    return f"{list_of(Deadline)}?{urlencode(kept)}"


@site.register_tile
def open_critical(request: HttpRequest, now: dt.datetime) -> Tile | None:
    count = Incident.objects.open().filter(severity=Severity.CRITICAL).count()
    url = f"{list_of(Incident)}?severity={Severity.CRITICAL}&status=open"
    return Tile(_("Critical incidents open"), count, url, "warn" if count else "calm")


def _open_with(standing: Standing, now: dt.datetime) -> int:
    return Deadline.objects.open().with_standing(now).filter(standing_now=standing).count()


@site.register_tile
def at_risk(request: HttpRequest, now: dt.datetime) -> Tile | None:
    count = _open_with(Standing.AT_RISK, now)
    url = f"{reverse('admin:index')}?standing={Standing.AT_RISK}"
    return Tile(_("At risk"), count, url, "warn" if count else "calm")


@site.register_tile
def missed(request: HttpRequest, now: dt.datetime) -> Tile | None:
    count = _open_with(Standing.MISSED, now)
    url = f"{reverse('admin:index')}?standing={Standing.MISSED}"
    return Tile(_("Missed and still open"), count, url, "bad" if count else "calm")


@site.register_tile
def stuck_notices(request: HttpRequest, now: dt.datetime) -> Tile | None:
    count = Notice.objects.needing_a_person().count()
    return Tile(_("Notices that need a person"), count, reverse(ATTENTION), "bad" if count else "calm")
