"""Takes what browsers report of our content policy, and keeps counts only: no address, of anybody or of any row.

Anybody can send such a report, so it is believed as little as it is kept: a day has at most so many rows, a process
takes at most so many reports a minute, and none of them meets a session.
"""

from __future__ import annotations

import datetime as dt
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

from django.db import Error
from django.db.models import F
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.urls import Resolver404, resolve

from config import content_policy, instants
from config.models import BrowserReport
from config.models.browser_report import Blocked

LARGEST = 16 * 1024  # bytes of one report, or of several that a browser sends together
MOST_TOGETHER = 20
A_MINUTE = 60  # posts that one process takes
ROWS_A_DAY = 200  # beyond them a report is counted with others
DAYS_KEPT = 90

RULES = frozenset(content_policy.PAGES) | {
    *("script-src-elem", "script-src-attr", "style-src-elem", "style-src-attr", "object-src", "media-src"),
    *("worker-src", "child-src", "sandbox", "require-trusted-types-for"),
}
OTHER = "other"

Kind = tuple[str, str, str]  # rule, what was refused, page


class ReportMiddleware:
    """Answers POST /csp-reports before anything asks who sends it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path_info != content_policy.REPORTS:
            return self.get_response(request)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        return HttpResponse(status=_take(request))


def _take(request: HttpRequest) -> int:
    length = str(request.META.get("CONTENT_LENGTH") or 0)
    if not length.isdecimal() or int(length) > LARGEST:
        return 413
    if not _throttle.lets_through():
        return 429
    try:
        found = Counter(_kinds(json.loads(request.body)))
    except (ValueError, RecursionError):
        return 400
    try:
        for kind, times in found.items():
            count(kind, times, instants.now().date())
    except Error:
        return 503
    return 204


class _Throttle:
    """So many in a minute, whoever sends them: nobody's address is looked at."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._minute, self._taken = 0, 0

    def lets_through(self) -> bool:
        minute = int(time.monotonic() // 60)
        with self._lock:
            if minute != self._minute:
                self._minute, self._taken = minute, 0
            self._taken += 1
            return self._taken <= A_MINUTE


_throttle = _Throttle()


# ── what a report says, as far as it is kept ────────────────────────────────────────────────────────────────────────


def _kinds(sent: Any) -> Iterator[Kind]:
    """Of both forms that browsers send: `report-uri` has one report, `report-to` a list."""
    for report in sent[:MOST_TOGETHER] if isinstance(sent, list) else [sent]:
        body = report.get("csp-report") or report.get("body") if isinstance(report, dict) else None
        if not isinstance(body, dict):
            raise ValueError("no report")
        said = {name.replace("-", "").lower(): str(value)[:2000] for name, value in body.items()}
        page = said.get("documenturi") or said.get("documenturl", "")
        refused = said.get("blockeduri") or said.get("blockedurl", "")
        rule = (said.get("effectivedirective") or said.get("violateddirective", "")).split(" ")[0]
        yield rule if rule in RULES else OTHER, _what(refused, page), _route(page)


def _what(refused: str, page: str) -> str:
    url = urlsplit(refused)
    scheme = url.scheme or refused
    if scheme in ("inline", "eval"):
        return scheme
    if scheme == "wasm-eval":
        return Blocked.EVAL
    if scheme in ("data", "blob"):
        return Blocked.DATA
    if scheme.endswith("-extension"):
        return Blocked.EXTENSION
    if scheme in ("http", "https"):
        return Blocked.OWN if url.netloc == urlsplit(page).netloc else Blocked.ELSEWHERE
    return Blocked.OTHER


def _route(page: str) -> str:
    """The pattern of the page's address, in which no key and no token stands; "" for what is no page of ours."""
    try:
        return resolve(urlsplit(page).path).route[:200]
    except Resolver404:
        return ""


# ── counting ────────────────────────────────────────────────────────────────────────────────────────────────────────


def count(kind: Kind, times: int, on: dt.date) -> None:
    """Add to the row of that kind and day; a new one if the day has room for it, else to the one for all others."""
    if _add(kind, times, on):
        return
    if BrowserReport.objects.filter(on=on).count() >= ROWS_A_DAY:
        kind = (OTHER, OTHER, "")
    rule, what, page = kind
    row = BrowserReport(on=on, directive=rule, blocked=what, page=page)
    BrowserReport.objects.bulk_create([row], ignore_conflicts=True)  # somebody else may make it at this moment
    _add(kind, times, on)
    BrowserReport.objects.filter(on__lt=on - dt.timedelta(days=DAYS_KEPT)).delete()


def _add(kind: Kind, times: int, on: dt.date) -> int:
    rule, what, page = kind
    same = BrowserReport.objects.filter(on=on, directive=rule, blocked=what, page=page)
    return same.update(count=F("count") + times)
