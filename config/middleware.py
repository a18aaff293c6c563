"""Shows every time in the reader's own zone, and every word in the reader's own language."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.utils import timezone, translation
from django.utils.cache import patch_vary_headers

from config import zones


class ReaderMiddleware:
    """Activates the zone and the language of whoever is signed in, for the length of the request.

    Of anybody else only the browser's preference is known. A view may still choose for its own reader: the page on
    which a client acknowledges does, and says so in Content-Language.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.user.is_authenticated:
            response = self._answer(request, translation.get_language_from_request(request))
            patch_vary_headers(response, ("Accept-Language",))
            return response
        with timezone.override(zones.zone(request.user.time_zone)):
            return self._answer(request, request.user.language)

    def _answer(self, request: HttpRequest, language: str) -> HttpResponse:
        with translation.override(language):
            response = self.get_response(request)
        response.headers.setdefault("Content-Language", language)
        return response
