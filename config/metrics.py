"""The metrics for Prometheus, at /metrics for whoever has METRICS_TOKEN; without one there is no such page.

All of it but one is read from the database when it is asked for, so any process of any machine gives the same answer,
and a restart loses nothing. How long requests took is counted since the start, by all web processes of the machine that
answers (deploy/gunicorn.py). Labels have few values, all of them ours: no client, no address, no incident. This floor
knows no notices: the floors above register what they tell.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hmac
import logging
import os
from collections.abc import Callable, Iterable, Iterator

from django.conf import settings
from django.db import Error
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from prometheus_client import CollectorRegistry, Histogram, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from config import __version__, health, instants, logs
from config.models import Seal

logger = logging.getLogger(__name__)

PATH = "/metrics"
PREFIX = "due_notice_"

#: Given the present instant; a fixed small number of queries that an index serves, however much there is.
Telling = Callable[[dt.datetime], Iterable[Metric]]

_told: list[Telling] = []


def register(tell: Telling) -> Telling:
    _told.append(tell)
    return tell


def gauge(name: str, what: str, value: float | None = None, *, labels: tuple[str, ...] = ()) -> GaugeMetricFamily:
    """With `labels`, values are added by the caller."""
    return GaugeMetricFamily(PREFIX + name, what, value=value, labels=labels or None)


def age(instant: dt.datetime | None, now: dt.datetime, *, never: float = 0.0) -> float:
    """Seconds from then to now, none below 0; `never` if it was never."""
    return max(0.0, (now - instant).total_seconds()) if instant else never


# ── how long requests take ──────────────────────────────────────────────────────────────────────────────────────────

METHODS = ("GET", "HEAD", "POST")  # any other is told as one, since whoever asks makes them up

disable_created_metrics()  # type: ignore[no-untyped-call]  # since when each is counted: nobody asks

_requests = Histogram(
    PREFIX + "request_seconds",
    "How long requests took to answer, by all web processes of this machine since they were started.",
    ("view", "method", "status"),
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
    registry=None,
)


def count(view: str, method: str | None, status: int, seconds: float) -> None:
    """One request to the page of that name."""
    known = method if method in METHODS else "other"
    with contextlib.suppress(OSError):  # no page is refused because it cannot be counted
        _requests.labels(view, known, f"{status // 100}xx").observe(seconds)


def _tell_requests(to: CollectorRegistry) -> None:
    """Nothing where several processes serve without a folder in which all count: one alone would tell a part."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        MultiProcessCollector(to)  # type: ignore[no-untyped-call]
    elif settings.WEB_CONCURRENCY == 1:
        to.register(_requests)


# ── the page ────────────────────────────────────────────────────────────────────────────────────────────────────────


def exposition() -> bytes:
    """All metrics in Prometheus' text format. Raises django.db.Error while the database does not answer."""
    now = instants.now()
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector([metric for tell in _told for metric in tell(now)]))
    _tell_requests(registry)
    return generate_latest(registry)


class _Collector(Collector):
    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = list(metrics)

    def collect(self) -> Iterator[Metric]:
        return iter(self._metrics)


@register
def _of_this_floor(now: dt.datetime) -> Iterator[Metric]:
    version = gauge("build_info", "1, with the version that answers.", labels=("version",))
    version.add_metric([__version__], 1)
    yield version
    sealed = Seal.objects.filter(is_whole=True).values_list("cut_at", flat=True).first()
    yield gauge(
        "trail_sealed_until_age_seconds",
        "How long ago the cut was up to which the audit trail is sealed; +Inf if it never was.",
        age(sealed, now, never=float("inf")),
    )


class MetricsMiddleware:
    """Answers /metrics before anything else sees it, as a probe: a scrape comes over plain HTTP and has no session."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not settings.METRICS_TOKEN or request.path_info.rstrip("/") != PATH:
            return self.get_response(request)
        if not _has_token(request):
            headers = {"WWW-Authenticate": 'Bearer realm="metrics"', "Cache-Control": "no-store"}
            return HttpResponse("A token is needed.\n", status=401, content_type="text/plain", headers=headers)
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        try:
            with health.bounded_wait():
                body = exposition()
        except Error as error:
            logger.warning("The metrics could not be told (%s).", logs.said(error))
            return HttpResponse("The database does not answer.\n", status=503, content_type="text/plain")
        return HttpResponse(body, content_type=CONTENT_TYPE_LATEST, headers={"Cache-Control": "no-store"})


def _has_token(request: HttpRequest) -> bool:
    scheme, _space, given = request.headers.get("Authorization", "").partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), settings.METRICS_TOKEN.encode())
