"""The admin site: Django's own, with a board of what is due next as its front page."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

from django import conf
from django.contrib import admin
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.decorators import login_not_required
from django.db import models
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver, path, reverse
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.utils.decorators import method_decorator
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache

from config import counts, first_steps, health, instants, navigation, own_settings, scope
from config.navigation import Entry

#: The apps in the order in which people need them; what is not named comes last.
APP_ORDER = ("incidents", "reviews", "agreements", "config")


#: The header by which board.js asks for the fragment, and knows that the answer is one.
FRAGMENT = "X-Fragment"

Tone = Literal["calm", "warn", "bad"]


@dataclass(frozen=True)
class Tile:
    """One number above the board: how many `rows` there are, with the list that shows them.

    `tone` is what it means if there are any; for the eye, since the words say it all.
    """

    label: str | Promise
    rows: models.QuerySet[Any]
    url: str
    tone: Tone
    is_shown_empty: bool = True
    count: int = 0  # given by the site, which counts all tiles at once

    @property
    def shown(self) -> str:
        return counts.in_words(self.count)

    @property
    def tone_now(self) -> Tone:
        return self.tone if self.count else "calm"


@dataclass(frozen=True)
class Panel:
    """A part that a floor above adds to the page of a model below it: `template` shows `content` under `title`."""

    title: str | Promise
    template: str
    content: dict[str, Any]


Board = Callable[[HttpRequest], dict[str, Any]]
TileMaker = Callable[[HttpRequest, dt.datetime], Tile | None]
PanelMaker = Callable[[HttpRequest, Any, dt.datetime], Panel | None]


class DueNoticeSite(admin.AdminSite):
    """Its index shows what the floors above register as the board and its tiles; this floor knows no deadlines."""

    site_header = _("Due Notice")
    site_title = _("Due Notice")
    index_title = _("What is due next")
    index_template = "admin/board.html"
    site_url = None  # the admin is the whole site

    def __init__(self, name: str = "admin") -> None:
        super().__init__(name)
        self._board: Board | None = None
        self._tiles: list[TileMaker] = []
        self._steps: dict[int, first_steps.StepMaker] = {}
        self._panels: dict[type[models.Model], list[PanelMaker]] = defaultdict(list)
        self._entries: list[Entry] = [Entry(_("Board"), "admin:index")]
        #: What the box in the top bar searches, and what the button beside it begins; for whoever may.
        self.search: Entry | None = None
        self.main_act: Entry | None = None

    def register_board(self, board: Board) -> Board:
        """Decorator: the function that gives the index its context."""
        self._board = board
        return board

    def register_tile(self, make: TileMaker) -> TileMaker:
        """Decorator: a function that says what a tile counts, or gives None to whoever may not see it."""
        self._tiles.append(make)
        return make

    def register_entries(self, *entries: Entry) -> None:
        """Lines of the navigation, in their order within their part."""
        self._entries.extend(entries)

    def tiles(
        self, request: HttpRequest, now: dt.datetime, *others: models.QuerySet[Any]
    ) -> tuple[list[Tile], list[int]]:
        """The tiles in the order in which people need them, and how many rows the others have: one query."""
        ordered = sorted(self._tiles, key=lambda make: _rank(make.__module__.partition(".")[0]))
        made = [tile for make in ordered if (tile := make(request, now)) is not None]
        numbers = counts.how_many([*(scope.visible(tile.rows, request.user) for tile in made), *others])
        tiles = [replace(tile, count=number) for tile, number in zip(made, numbers, strict=False)]
        return [tile for tile in tiles if tile.count or tile.is_shown_empty], numbers[len(made) :]

    def register_panel(self, model: type[models.Model]) -> Callable[[PanelMaker], PanelMaker]:
        """Decorator: a function that makes a part of the page of one row, or None for whoever may not see it."""

        def register(make: PanelMaker) -> PanelMaker:
            self._panels[model].append(make)
            return make

        return register

    def panels(self, request: HttpRequest, row: models.Model, now: dt.datetime) -> list[Panel]:
        return [panel for make in self._panels[type(row)] if (panel := make(request, row, now)) is not None]

    def register_step(self, number: int) -> Callable[[first_steps.StepMaker], first_steps.StepMaker]:
        """Decorator: a function that makes a step of setting up an empty system; they are taken by their numbers."""

        def register(make: first_steps.StepMaker) -> first_steps.StepMaker:
            self._steps[number] = make
            return make

        return register

    @method_decorator(never_cache)
    @method_decorator(login_not_required)
    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Django's own, which asks for the second factor after the password, and says for how long a name is locked."""
        from config.admin import single_sign_on  # knows models, which are there only now
        from config.sign_in import SignInForm, SignInView

        if request.method == "GET" and self.has_permission(request):
            return HttpResponseRedirect(reverse("admin:index"))
        context = {
            **self.each_context(request),
            "title": _("Log in"),
            "app_path": request.get_full_path(),
            "username": request.user.get_username(),
            "has_passkeys": conf.settings.PASSKEYS,
            "sso": single_sign_on.way_in(request),
            **(extra_context or {}),
        }
        if REDIRECT_FIELD_NAME not in request.GET and REDIRECT_FIELD_NAME not in request.POST:
            context[REDIRECT_FIELD_NAME] = reverse("admin:index")
        view: Any = SignInView.as_view(
            template_name="admin/login.html", authentication_form=SignInForm, extra_context=context
        )
        response: HttpResponse = view(request)
        return response

    def get_urls(self) -> list[URLPattern | URLResolver]:
        from config import saved_filters  # knows models, which are there only now
        from config.admin import data, factors, files, guides, installation, locks, sessions, single_sign_on, trail

        settings = path("settings/", self.admin_view(own_settings.page), name=own_settings.PAGE)
        kept = path("saved-filters/<slug:page>/", self.admin_view(saved_filters.change), name="saved_filters")
        how_it_is = path("installation/", self.admin_view(installation.page), name=installation.PAGE)
        modules = (trail, files, data, locks, factors, sessions, single_sign_on, guides)
        own = [settings, kept, how_it_is, *(url for module in modules for url in module.urls())]
        return [*own, *super().get_urls()]

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """The board; asked for as a fragment, only its parts that change, for a page that is open already."""
        board = self._board(request) if self._board else {}
        if request.headers.get(FRAGMENT):
            response = super().index(request, extra_context={**board, **(extra_context or {})})
            response.template_name = "admin/board/live.html"
            response.headers[FRAGMENT] = "board"
        else:
            context = {**board, "guide": self._guide(request), **(extra_context or {})}
            response = super().index(request, extra_context=context)
        patch_vary_headers(response, [FRAGMENT])
        return response

    def _guide(self, request: HttpRequest) -> first_steps.Guide | None:
        return first_steps.guide([make() for _number, make in sorted(self._steps.items())], request)

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """Django's own, without its list of all apps, which our navigation replaces and which asks for every right."""
        has_permission = self.has_permission(request)
        # Who has not signed in is shown, and costs, nothing.
        found = health.problems() if has_permission else []
        return {
            "site_title": self.site_title,
            "site_header": self.site_header,
            "site_url": self.site_url,
            "has_permission": has_permission,
            "is_popup": False,
            "reader_zone": timezone.get_current_timezone_name(),
            "delivery_problems": [problem for problem in found if problem.is_red],
            "search": _for(request, self.search),
            "main_act": _for(request, self.main_act),
            # Called by the template, if it has a navigation.
            "navigation": lambda: navigation.lines(self._entries, request, instants.now()),
        }

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        found: list[Any] = super().get_app_list(request, app_label)
        return sorted(found, key=lambda app: _rank(app["app_label"]))


def _for(request: HttpRequest, entry: Entry | None) -> Entry | None:
    return entry if entry and entry.is_for(request) else None


def _rank(app_label: str) -> int:
    return APP_ORDER.index(app_label) if app_label in APP_ORDER else len(APP_ORDER)


#: The one site of the product. Django builds it on first use, so importing this module builds nothing.
site = cast(DueNoticeSite, admin.site)
