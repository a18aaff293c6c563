"""That somebody who is signed in was refused what their role does not allow."""

from __future__ import annotations

from collections.abc import Callable

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse

from config.audit import events
from config.models import EventKind


class RefusalMiddleware:
    """Records it after the view, when the transaction that the refusal undid is over.

    A form without its token is refused before any view, and no act of whoever is signed in: it is not recorded.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> None:
        if isinstance(exception, PermissionDenied) and request.user.is_authenticated:
            events.record(EventKind.ACTION_REFUSED, method=request.method, path=request.path)
