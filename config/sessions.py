"""How long a session lasts: until nothing was done in it for SESSION_IDLE_MINUTES, and no longer than SESSION_HOURS.

It also ends, everywhere, with the password that began it and with the account, which is Django's own doing.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _now

from config.audit import events
from config.models import EventKind
from config.site import FRAGMENT

BEGAN, ACTED = "began_at", "acted_at"
NOTED_AFTER = 60  # seconds: an act within the same minute is not worth a write


def begin(request: HttpRequest) -> None:
    """Somebody has just signed in."""
    request.session[BEGAN] = request.session[ACTED] = int(time.time())


class SessionAgeMiddleware:
    """Ends a session whose time is up, and notes that one is in use: by a person, not by a page that refreshes."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.user.is_authenticated:
            now = int(time.time())
            if why := _why_over(request, now):
                events.record(EventKind.SESSION_ENDED, why=why)
                request.session.flush()
                request.user = AnonymousUser()
                messages.info(request, _now("You were signed out, as your session had ended. Please sign in again."))
            elif FRAGMENT not in request.headers and now - request.session[ACTED] >= NOTED_AFTER:
                request.session[ACTED] = now
        return self.get_response(request)


def _why_over(request: HttpRequest, now: int) -> str:
    """A code of the trail; empty while the session may go on. One of before there were ages has none, and is over."""
    if now - request.session.get(BEGAN, 0) >= settings.SESSION_HOURS * 3600:
        return "old"
    return "idle" if now - request.session.get(ACTED, 0) >= settings.SESSION_IDLE_MINUTES * 60 else ""
