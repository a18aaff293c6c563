"""What keeps the server busy for long is done for one person one after the other, so that nobody takes it from others.

Each web process counts for itself: with several of them a person may have as many such pages under way.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Concatenate, ParamSpec, TypeVar

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render

WAIT = 3.0  # seconds for which a second one waits; a third is refused at once, so that waiting keeps nobody else away
RETRY_AFTER = 10  # seconds

Asked = ParamSpec("Asked")
Answer = TypeVar("Answer", bound=HttpResponseBase)


@dataclass(frozen=True)
class _Place:
    """Of one person: who is in the door waits for the room."""

    door: threading.Lock = field(default_factory=threading.Lock)
    room: threading.Lock = field(default_factory=threading.Lock)

    def enter(self) -> bool:
        if not self.door.acquire(blocking=False):
            return False
        try:
            return self.room.acquire(timeout=WAIT)
        finally:
            self.door.release()


_places: dict[Any, _Place] = {}


def one_at_a_time(
    view: Callable[Concatenate[HttpRequest, Asked], Answer],
) -> Callable[Concatenate[HttpRequest, Asked], Answer | HttpResponse]:
    """Decorator: whoever has one such page under way, and another that waits for it, is told to wait."""

    @functools.wraps(view)
    def in_turn(request: HttpRequest, /, *args: Asked.args, **options: Asked.kwargs) -> Answer | HttpResponse:
        place = _places.setdefault(request.user.pk, _Place())
        if not place.enter():
            answer = render(request, "429.html", status=429)
            answer["Retry-After"] = str(RETRY_AFTER)
            return answer
        try:
            return view(request, *args, **options)
        finally:
            place.room.release()

    return in_turn
