"""Whether it works, said without signing in: three addresses for whoever watches from outside, and the banner.

    /healthz/live       200 for as long as this process answers
    /healthz/ready      503 while the database does not answer, or is not on this version's migrations
    /healthz/delivery   503 while notices may not go out in time

Each answers in plain text, one line per reason: `key: sentence`. Keys are for machines and do not change; sentences
are for people. Neither names a client or an address, for anybody may read them. This floor knows no notices: the
floors above register what they look at.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from django.conf import settings
from django.db import Error, connection, transaction
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.utils import translation
from django.utils.translation import gettext as _

from config import instants

logger = logging.getLogger(__name__)

DATABASE_PATIENCE = 5000  # milliseconds that a query of a probe may take


@dataclass(frozen=True)
class Problem:
    """Something that is wrong. `is_red` if mail may go out late because of it."""

    key: str
    sentence: str  # what is wrong and what to do; counts and ages, but no client and no address
    is_red: bool = False
    detail: str = ""  # what may name people, for those who have signed in

    def __str__(self) -> str:
        return f"{self.key}: {self.sentence}"


#: Given the present instant, and since when this process has been able to see anything.
Check = Callable[[dt.datetime, dt.datetime], list[Problem]]

_checks: list[Check] = []
_loaded = time.monotonic()


def register(check: Check) -> Check:
    """Have this looked at for /healthz/delivery and on every page: a few cheap queries, red problems only."""
    _checks.append(check)
    return check


def problems() -> list[Problem]:
    """What is wrong with the delivery. Never raises: where nothing can be seen, that is the problem."""
    try:
        now = instants.now()
        serving_since = now - dt.timedelta(seconds=time.monotonic() - _loaded)
        return [problem for check in _checks for problem in check(now, serving_since)]
    except Error:
        return [_database_silent()]
    except Exception:
        logger.exception("A check of the delivery failed.")
        return [Problem("check", _("The delivery could not be checked. See the web server's log."), is_red=True)]


# ── the probes ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _live() -> list[Problem]:
    return []


def _ready() -> list[Problem]:
    try:
        with bounded_wait():
            missing = _leaves() - MigrationRecorder(connection).applied_migrations().keys()
    except Error:
        return [_database_silent()]
    if missing:
        names = ", ".join(sorted(f"{app}.{name}" for app, name in missing))
        sentence = _("The database lacks migrations (%(names)s). Run `manage.py migrate`.") % {"names": names}
        return [Problem("migrations", sentence, is_red=True)]
    return []


def _delivery() -> list[Problem]:
    try:
        with bounded_wait():
            return problems()
    except Error:
        return [_database_silent()]


@functools.cache
def _leaves() -> set[tuple[str, str]]:
    """The last migration of each app; the code of a process does not change."""
    return set(MigrationLoader(None).graph.leaf_nodes())


def _database_silent() -> Problem:
    return Problem("database", _("The database does not answer, or not as it should."), is_red=True)


@contextlib.contextmanager
def bounded_wait() -> Iterator[None]:
    """A locked table must not keep a probe waiting; SQLite's readers wait for nobody, and need no transaction."""
    if connection.vendor != "postgresql":
        yield
        return
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = {DATABASE_PATIENCE}")
        yield


PROBES: dict[str, Callable[[], list[Problem]]] = {
    "/healthz/live": _live,
    "/healthz/ready": _ready,
    "/healthz/delivery": _delivery,
}


class HealthMiddleware:
    """Answers the probes before anything else sees them.

    A probe comes over plain HTTP, names the host as it likes and has no session; and it must be answered while the
    database is away, whatever cookies it carries. So it meets no redirect, no check of hosts, no session.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        probe = PROBES.get(request.path_info.rstrip("/"))
        if probe is None:
            return self.get_response(request)
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        with translation.override(settings.LANGUAGE_CODE):
            return _answer(probe(), with_body=request.method == "GET")


def _answer(found: list[Problem], *, with_body: bool) -> HttpResponse:
    lines = [str(problem) for problem in found] or [_("ok: nothing is wrong.")]
    body = "".join(f"{line}\n" for line in lines) if with_body else ""
    return HttpResponse(
        body,
        status=503 if any(problem.is_red for problem in found) else 200,
        content_type="text/plain; charset=utf-8",
        headers={"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"},
    )
