"""Filters that somebody saved under a name, for any page whose filters live in its address.

A page registers under a name of its own with the parameters that it knows. What was saved is read as if it had been
typed into the address anew: unknown parameters are left out, and the page's FilterSet judges the values.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect, QueryDict
from django.urls import reverse
from django.utils.translation import gettext as _now

from config.models import SavedFilter, User

MOST = 30  # filters that one person can save for one page
#: The parameter that asks for everything, where a landing filter would else be used.
ALL = "all"


@dataclass(frozen=True)
class Page:
    name: str
    url_name: str
    parameters: Collection[str]

    def kept(self, query: str) -> str:
        """The known parameters that say something, in one order, so that equal filters have equal queries."""
        return urlencode(sorted((name, value) for name, value in parse_qsl(query) if name in self.parameters))

    def url(self, query: str) -> str:
        return f"{reverse(self.url_name)}?{query or f'{ALL}=1'}"


_pages: dict[str, Page] = {}


def register(name: str, url_name: str, parameters: Collection[str]) -> Page:
    """Let the filters of this page be saved; `parameters` are those that its address may carry."""
    _pages[name] = Page(name, url_name, parameters)
    return _pages[name]


# ── what a page shows ───────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Choice:
    saved: SavedFilter
    url: str
    is_chosen: bool


@dataclass(frozen=True)
class Filters:
    """One person's saved filters for one page, and what the page is filtered by now."""

    page: Page
    query: str
    choices: tuple[Choice, ...]
    landing: SavedFilter | None  # the one that is used because the address said nothing

    @property
    def data(self) -> QueryDict:
        """What the page's FilterSet is given."""
        return QueryDict(self.query)

    @property
    def all_url(self) -> str:
        return self.page.url("")

    @property
    def change_url(self) -> str:
        return reverse("admin:saved_filters", args=[self.page.name])


def read(request: HttpRequest, page: Page) -> Filters:
    """One query. An address without parameters means the person's landing filter, if there is one."""
    saved = list(SavedFilter.objects.filter(user=request.user.pk, page=page.name))
    landing = None if request.GET else next((one for one in saved if one.is_landing), None)
    query = page.kept(landing.query if landing else request.GET.urlencode())
    kept = [(one, page.kept(one.query)) for one in saved]
    return Filters(page, query, tuple(Choice(one, page.url(q), bool(q) and q == query) for one, q in kept), landing)


# ── what can be done to them ────────────────────────────────────────────────────────────────────────────────────────


def save(*, by: User, page: Page, name: str, query: str) -> SavedFilter:
    """Keep these filters under this name; a name that is taken gets them instead of its own."""
    own = SavedFilter.objects.filter(user=by, page=page.name)
    new = SavedFilter(user=by, page=page.name, name=name)
    new.clean_fields()  # before the database is asked about what it could not keep
    found = own.filter(name=name).first()
    if found is None:
        if own.count() >= MOST:
            raise ValidationError(_now("That would be more than %(most)d. Delete one first.") % {"most": MOST})
        found = new
    found.query = page.kept(query)
    found.full_clean()
    found.save()
    return found


def rename(saved: SavedFilter, *, name: str) -> None:
    saved.name = name
    saved.full_clean()
    saved.save()


@transaction.atomic
def land(saved: SavedFilter, *, here: bool) -> None:
    """Open the page with this filter, instead of any other, or no longer."""
    for other in SavedFilter.objects.select_for_update().filter(user=saved.user, page=saved.page, is_landing=True):
        other.is_landing = False
        other.save()
    saved.is_landing = here
    saved.save()


# ── the address that does it ────────────────────────────────────────────────────────────────────────────────────────


def change(request: HttpRequest, page: str) -> HttpResponse:
    """POST `do`: save, or rename, land, unland or delete one's own `filter`; then back to the page."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    if page not in _pages:
        raise Http404
    try:
        message, query = _change(request, _pages[page], request.POST)
    except ValidationError as refusal:
        messages.error(request, " ".join(refusal.messages))
        query = _pages[page].kept(request.POST.get("query", ""))
    else:
        messages.success(request, message)
    return HttpResponseRedirect(_pages[page].url(query))


def _change(request: HttpRequest, page: Page, typed: Any) -> tuple[str, str]:
    """(what was done, the query to show then)."""
    name, do, by = typed.get("name", "").strip(), typed.get("do"), request.user
    if do == "save":
        saved = save(by=by, page=page, name=name, query=typed.get("query", ""))  # type: ignore[arg-type]
        if typed.get("is_landing"):
            land(saved, here=True)
        return _now("Saved as “%(name)s”.") % {"name": saved.name}, saved.query
    key = typed.get("filter", "")
    is_key = key.isascii() and key.isdecimal() and len(key) < 19
    saved_now = SavedFilter.objects.filter(user=by.pk, page=page.name, pk=key).first() if is_key else None
    if saved_now is None:
        raise Http404
    query = page.kept(typed.get("query", ""))
    told = {"name": saved_now.name}
    if do == "rename":
        rename(saved_now, name=name)
        return _now("“%(name)s” is now called “%(new)s”.") % {**told, "new": saved_now.name}, query
    if do in ("land", "unland"):
        land(saved_now, here=do == "land")
        landed, unlanded = _now("This page now opens with “%(name)s”."), _now("This page opens with everything.")
        return (landed % told if do == "land" else unlanded), query
    if do == "delete":
        saved_now.delete()
        return _now("“%(name)s” is deleted.") % told, query
    raise Http404
