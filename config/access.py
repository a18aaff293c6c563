"""One line for each request, one id for all that it does, and how long it took."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.functional import SimpleLazyObject

from config import logs, metrics
from config.health import PROBES
from config.history import web_act

logger = logging.getLogger(__name__)


class AccessMiddleware:
    """Opens the act that everything in a request belongs to, and notes what became of it once it is answered.

    Its id is the one of the audit trail; the answer bears it too, so that whoever reports an error can say which.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        began = time.perf_counter()
        with web_act(request) as act:
            response = self.get_response(request)
            response.headers["X-Request-ID"] = str(act.request_id)
            _note(request, response.status_code, time.perf_counter() - began)
        return response


def _note(request: HttpRequest, status: int, seconds: float) -> None:
    route = logs.route(request)
    is_chatter = route == "-" and _is_for_machines(request.path_info)
    if not is_chatter:
        metrics.count(route, request.method, status, seconds)
    logger.log(
        logging.DEBUG if is_chatter else logging.INFO,
        "request",
        extra={
            "method": request.method,
            "route": "machine" if is_chatter else route,
            "status": status,
            "ms": round(seconds * 1000),
            "user": _user(request),
        },
    )


def _is_for_machines(path: str) -> bool:
    """Probes, the metrics and static files, of which there are many."""
    return path.rstrip("/") in (*PROBES, metrics.PATH) or path.startswith(f"/{settings.STATIC_URL.lstrip('/')}")


def _user(request: HttpRequest) -> int | None:
    """The key of whoever is signed in, as far as somebody has asked by now: a line is worth no query."""
    user = request.__dict__.get("user")
    if isinstance(user, SimpleLazyObject):
        user = getattr(request, "_cached_user", None)  # where Django's own middleware keeps it
    return getattr(user, "pk", None)
