"""The navigation beside every page: what the floors above register, for whoever may view it.

All counts of a page are one query, and none counts further than people read.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from django.db.models import QuerySet, TextChoices
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from config import counts, scope

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


@dataclass(frozen=True, eq=False)  # one is itself; what equals it by its words would depend on their language
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
    url: str
    counted: int | None
    current: Literal["", "page", "true"]  # as aria-current has it: this page, or a page below it

    @property
    def number(self) -> str:
        if not self.counted:
            return ""
        return str(self.counted) if self.counted <= COUNTED_UP_TO else f"{COUNTED_UP_TO}+"


def lines(entries: Sequence[Entry], request: HttpRequest, now: dt.datetime) -> list[tuple[Part, list[Line]]]:
    """The parts that have anything for this person, each with its lines."""
    urls = {entry: entry.url for entry in entries if entry.is_for(request)}
    numbers = _counts(urls, request, now)
    here = _current(list(urls.values()), request.path)
    said: Literal["page", "true"] = "page" if here == request.path else "true"
    found = [Line(entry, url, numbers.get(entry), said if url == here else "") for entry, url in urls.items()]
    by_part = {part: [line for line in found if line.entry.part == part] for part in Part}
    return [(part, lines) for part, lines in by_part.items() if lines]


def _counts(entries: Iterable[Entry], request: HttpRequest, now: dt.datetime) -> dict[Entry, int]:
    counted = [(entry, entry.count) for entry in entries if entry.count]
    numbers = counts.how_many(
        [scope.visible(count.rows(now), request.user) for _entry, count in counted], up_to=COUNTED_UP_TO
    )
    return {entry: number for (entry, _count), number in zip(counted, numbers, strict=True)}


def _current(urls: Sequence[str], path: str) -> str:
    """The address of this page, or the closest above it; the board is above everything, so above none."""
    board = reverse("admin:index")
    above = [url for url in urls if path == url or (url != board and path.startswith(url))]
    return max(above, key=len, default="")
