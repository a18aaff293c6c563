"""The admin site: Django's own, with a board of what is due next as its front page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

Board = Callable[[HttpRequest], dict[str, Any]]


class DueNoticeSite(admin.AdminSite):
    """Its index shows what the floor of incidents registers as the board; this floor knows nothing of deadlines."""

    site_header = _("Due Notice")
    site_title = _("Due Notice")
    index_title = _("What is due next")
    index_template = "admin/board.html"

    _board: Board | None = None

    def register_board(self, board: Board) -> Board:
        """Decorator: the function that gives the index its context."""
        self._board = board
        return board

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        board = self._board(request) if self._board else {}
        return super().index(request, extra_context={**board, **(extra_context or {})})
