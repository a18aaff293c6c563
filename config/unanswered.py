"""What a page says whose question the database did not answer: it gave it up (config/patience.py), or is not there."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable

import psycopg
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.defaults import server_error

from config import meanwhile

logger = logging.getLogger(__name__)

RETRY_AFTER = 10  # seconds

TOOK_TOO_LONG, IS_LOCKED, IS_AWAY = "took too long", "is locked", "is away"
#: PostgreSQL's codes (its appendix A). What is lost with the connection has none.
_BY_SQLSTATE = {
    "57014": TOOK_TOO_LONG,
    "55P03": IS_LOCKED,
    "40P01": IS_LOCKED,  # two that waited for each other: PostgreSQL gave this one up
    "40001": IS_LOCKED,  # what was read has changed meanwhile
    "53300": IS_AWAY,  # it has no place for one more connection
    "57P01": IS_AWAY,  # it is being stopped, or somebody ended this connection
    "57P02": IS_AWAY,  # it crashed
    "57P03": IS_AWAY,  # it is starting
    None: IS_AWAY,
}


class UnansweredMiddleware:
    """Says in a sentence that a page was given up, instead of that something broke."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        why = given_up_because(exception)
        return _given_up(request, why) if why else None


def broken(request: HttpRequest) -> HttpResponse:
    """Django's handler500: the same for what middleware asks the database before and after a page."""
    why = given_up_because(sys.exception())
    return _given_up(request, why) if why else server_error(request)


def _given_up(request: HttpRequest, why: str) -> HttpResponse:
    logger.warning("%s %s was given up, as the database %s.", request.method, request.path, why)
    is_done_once = bool(request.POST.get(meanwhile.FIELD))  # a form that adds something has none yet
    context = {"why": why, "is_done_once": is_done_once, "again": None if why == TOOK_TOO_LONG else _typed(request)}
    answer = render(request, "503.html", context, status=503)
    answer["Retry-After"] = str(RETRY_AFTER)
    return answer


def _typed(request: HttpRequest) -> list[tuple[str, str]] | None:
    """What was sent, to be sent once more; None where nothing was, or what no page repeats: a file, a password."""
    if not request.POST or request.FILES or any("password" in name for name in request.POST):
        return None
    sent = [(name, str(value)) for name, values in request.POST.lists() for value in values]
    return [(name, value) for name, value in sent if name != "csrfmiddlewaretoken"]


def given_up_because(exception: BaseException | None) -> str | None:
    """Why the database did not answer this question; None if it was not for one of these reasons."""
    if not isinstance(exception, OperationalError | InterfaceError):
        return None
    if "database is locked" in str(exception):  # SQLite's own words
        return IS_LOCKED
    cause = exception.__cause__
    return _BY_SQLSTATE.get(cause.sqlstate) if isinstance(cause, psycopg.Error) else None
