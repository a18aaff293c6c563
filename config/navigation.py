"""The navigation beside every page: what the floors above register, for whoever may view it.

All counts of a page are one query, and none counts further than people read.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from django.db.models import IntegerField, QuerySet, Subquery, TextChoices
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from config.models import User

#: Beyond this it says “99+”.
COUNTED_UP_TO = 99


class Part(TextChoices):
    """The parts of the navigation, in their order."""

    NOW = "now", _("Now")
    LEARNING = "learning", _("Learning")
    AGREEMENTS = "agreements", _("Agreements")
    OVERSIGHT = "oversight", _("Oversight")


@dataclass(frozen=True)
class Count:
    """The number behind an entry: how many `rows` there are, said as “7 open”. `tone` is for the eye."""

    rows: Callable[[dt.datetime], QuerySet[Any]]
    said_as: str | Promise
    tone: Literal["calm", "warn", "bad"] = "calm"


@dataclass(frozen=True)
class Entry:
    """A place to go to, for whoever has the permission; without one, for everybody who has signed in."""

    label: str | Promise
    url_name: str
    permission: str = ""
    part: Part = Part.NOW
    count: Count | None = None

    @property
    def url(self) -> str:
        return reverse(self.url_name)

    def is_for(self, request: HttpRequest) -> bool:
        return not self.permission or request.user.has_perm(self.permission)


@dataclass(frozen=True)
class Line:
    """An entry as one page shows it."""

    entry: Entry
    counted: int | None
    current: Literal["", "page", "true"]  # as aria-current has it: this page, or a page below it

    @property
    def number(self) -> str:
        if not self.counted:
            return ""
        return str(self.counted) if self.counted <= COUNTED_UP_TO else f"{COUNTED_UP_TO}+"


def lines(entries: Sequence[Entry], request: HttpRequest, now: dt.datetime) -> list[tuple[Part, list[Line]]]:
    """The parts that have anything for this person, each with its lines."""
    shown = [entry for entry in entries if entry.is_for(request)]
    counts = _counts(shown, request, now)
    here = _current(shown, request.path)
    found = [Line(entry, counts.get(entry), _said(entry, here, request.path)) for entry in shown]
    by_part = {part: [line for line in found if line.entry.part == part] for part in Part}
    return [(part, lines) for part, lines in by_part.items() if lines]


class _HowMany(Subquery):
    """How many rows a query has, read no further than it is sliced."""

    template = "(SELECT COUNT(*) FROM (%(subquery)s) counted)"
    output_field = IntegerField()


def _counts(entries: Sequence[Entry], request: HttpRequest, now: dt.datetime) -> dict[Entry, int]:
    counted = [(entry, entry.count) for entry in entries if entry.count]
    if not counted:
        return {}
    columns = {
        f"count_{place}": _HowMany(count.rows(now).order_by().values("pk")[: COUNTED_UP_TO + 1])
        for place, (_entry, count) in enumerate(counted)
    }
    reader = User.objects.filter(pk=request.user.pk)  # type: ignore[misc]  # one row, of somebody who has signed in
    numbers = reader.annotate(**columns).values_list(*columns).first()
    return {entry: number for (entry, _count), number in zip(counted, numbers or (), strict=False)}


def _current(entries: Sequence[Entry], path: str) -> Entry | None:
    """The entry whose address is this page's, or the closest above it; the board is above everything, so above none."""
    board = reverse("admin:index")
    above = [entry for entry in entries if path == entry.url or (entry.url != board and path.startswith(entry.url))]
    return max(above, key=lambda entry: len(entry.url), default=None)


def _said(entry: Entry, here: Entry | None, path: str) -> Literal["", "page", "true"]:
    if entry is not here:
        return ""
    return "page" if path == entry.url else "true"
