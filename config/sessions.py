"""How long a session lasts: until nothing was done in it for SESSION_IDLE_MINUTES, and no longer than SESSION_HOURS.

It also ends, everywhere, with the password that began it and with the account, which is Django's own doing; and when
its owner or an administrator ends it from elsewhere.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.models import Session
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.translation import gettext as _now

from config import instants
from config.addresses import client_address
from config.audit import events
from config.history import acting
from config.models import EventKind, User
from config.site import FRAGMENT

BEGAN, ACTED, ADDRESS, BROWSER = "began_at", "acted_at", "address", "browser"
NOTED_AFTER = 60  # seconds: an act within the same minute is not worth a write
LONGEST_BROWSER = 300  # characters


def begin(request: HttpRequest) -> None:
    """Somebody has just signed in."""
    request.session.set_expiry(None)  # that of whoever had not yet may have been shorter
    request.session[BEGAN] = int(time.time())
    _note(request)


def _note(request: HttpRequest) -> None:
    """An act, and from where."""
    request.session[ACTED] = int(time.time())
    request.session[ADDRESS] = client_address(request)
    request.session[BROWSER] = request.headers.get("User-Agent", "")[:LONGEST_BROWSER]


class SessionAgeMiddleware:
    """Ends a session whose time is up, and notes that one is in use: by a person, not by a page that refreshes."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.user.is_authenticated:
            now = int(time.time())
            if why := _why_over(request.session, now):
                events.record(EventKind.SESSION_ENDED, why=why)
                request.session.flush()
                request.user = AnonymousUser()
                messages.info(request, _now("You were signed out, as your session had ended. Please sign in again."))
            elif FRAGMENT not in request.headers and now - request.session[ACTED] >= NOTED_AFTER:
                _note(request)
        return self.get_response(request)


def _why_over(session: Mapping[str, Any], now: int) -> str:
    """A code of the trail; empty while the session may go on. One of before there were ages has none, and is over."""
    if now - session.get(BEGAN, 0) >= settings.SESSION_HOURS * 3600:
        return "old"
    return "idle" if now - session.get(ACTED, 0) >= settings.SESSION_IDLE_MINUTES * 60 else ""


# ── those of one person ─────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class OwnSession:
    key: str  # which opens it to whoever knows it, so that no page shows it
    began_at: dt.datetime
    acted_at: dt.datetime  # to the minute
    address: str
    browser: str

    @property
    def name(self) -> str:
        """By what a page names it."""
        return salted_hmac("config.sessions", self.key, algorithm="sha256").hexdigest()[:32]


def of(user: User) -> list[OwnSession]:
    """Those in which they are signed in, the latest act first.

    What a session holds is opaque to the database, so all that have not expired are read: a few for each colleague.
    """
    hashes = [user.get_session_auth_hash(), *user.get_session_auth_fallback_hash()]
    found = []
    for row in Session.objects.filter(expire_date__gt=instants.now()).iterator():
        held = row.get_decoded()
        if held.get(SESSION_KEY) != str(user.pk) or _why_over(held, int(time.time())):
            continue
        if any(constant_time_compare(held.get(HASH_SESSION_KEY, ""), one) for one in hashes):
            found.append(_told(row.session_key, held))
    return sorted(found, key=lambda one: one.acted_at, reverse=True)


@transaction.atomic
def end(user: User, found: Iterable[OwnSession], *, why: str) -> None:
    """End these of theirs at once; `why` is a code of the trail, or a reason."""
    for one in found:
        Session.objects.filter(session_key=one.key).delete()
        events.record(EventKind.SESSION_ENDED, about=user, why=why, browser=in_words(one.browser), of=one.address)


def end_all(user: User, *, by: User, reason: str) -> None:
    """A colleague ends all of theirs, so that whoever used one has to sign in again."""
    with acting(by, reason=reason):
        end(user, of(user), why=reason)


def _told(key: str, held: Mapping[str, Any]) -> OwnSession:
    began_at, acted_at = (dt.datetime.fromtimestamp(held[name], dt.UTC) for name in (BEGAN, ACTED))
    return OwnSession(key, began_at, acted_at, held.get(ADDRESS) or "", held.get(BROWSER, ""))


#: What a browser says of itself, the more telling first, as most claim to be others as well.
BROWSERS = {
    "Edg/": "Edge",
    "OPR/": "Opera",
    "SamsungBrowser/": "Samsung Internet",
    "Firefox/": "Firefox",
    "FxiOS/": "Firefox",
    "Chrome/": "Chrome",
    "CriOS/": "Chrome",
    "Safari/": "Safari",
}
SYSTEMS = {
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Android": "Android",
    "Windows": "Windows",
    "CrOS": "ChromeOS",
    "Mac OS X": "macOS",
    "Linux": "Linux",
}


def in_words(browser: str) -> str:
    """Firefox on Linux; empty where it says neither."""
    names = [name for mark, name in BROWSERS.items() if mark in browser][:1]
    systems = [name for mark, name in SYSTEMS.items() if mark in browser][:1]
    if not (names and systems):
        return "".join(names or systems)
    return _now("%(browser)s on %(system)s") % {"browser": names[0], "system": systems[0]}
