"""What keeps the server busy for long is done for one person one after the other, so that nobody takes it from others.

That is counted for the whole house, however many processes and machines serve it: PostgreSQL keeps who is busy, and
forgets it with the connection of a process that dies. On SQLite there is one process, which keeps it itself.
"""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable
from enum import IntEnum
from typing import Any, Concatenate, ParamSpec, TypeVar

from django.db import Error, connection
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render

WAIT = 3.0  # seconds for which a second one waits; a third is refused at once, so that waiting keeps nobody else away
LOOK = 0.1  # seconds after which one that waits looks again
RETRY_AFTER = 10  # seconds

Asked = ParamSpec("Asked")
Answer = TypeVar("Answer", bound=HttpResponseBase)


class Place(IntEnum):
    """Of one person: who is in the door waits for the room. Numbers that no other advisory lock begins with."""

    ROOM = 731_104_211
    DOOR = 731_104_212


def one_at_a_time(
    view: Callable[Concatenate[HttpRequest, Asked], Answer],
) -> Callable[Concatenate[HttpRequest, Asked], Answer | HttpResponse]:
    """Decorator: whoever has one such page under way, and another that waits for it, is told to wait."""

    @functools.wraps(view)
    def in_turn(request: HttpRequest, /, *args: Asked.args, **options: Asked.kwargs) -> Answer | HttpResponse:
        person: Any = request.user.pk
        if not _enter(person):
            answer = render(request, "429.html", status=429)
            answer["Retry-After"] = str(RETRY_AFTER)
            return answer
        try:
            return view(request, *args, **options)
        finally:
            _leave(Place.ROOM, person)

    return in_turn


def _enter(person: int) -> bool:
    if _take(Place.ROOM, person):
        return True
    if not _take(Place.DOOR, person):
        return False
    try:
        until = time.monotonic() + WAIT
        while not (is_in := _take(Place.ROOM, person)) and time.monotonic() < until:
            time.sleep(LOOK)
        return is_in
    finally:
        _leave(Place.DOOR, person)


# ── who is where ────────────────────────────────────────────────────────────────────────────────────────────────────

_taken: set[tuple[Place, int]] = set()  # of this process, where the database keeps none
_one = threading.Lock()


def _take(place: Place, person: int) -> bool:
    if connection.vendor == "postgresql":
        return _ask("pg_try_advisory_lock", place, person)
    with _one:
        is_free = (place, person) not in _taken
        _taken.add((place, person))
        return is_free


def _leave(place: Place, person: int) -> None:
    if connection.vendor != "postgresql":
        _taken.discard((place, person))
        return
    try:
        _ask("pg_advisory_unlock", place, person)
    except Error:
        connection.close()  # which leaves all places, and must not hide why the page failed


def _ask(function: str, place: Place, person: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {function}(%s, %s)", [int(place), person])
        return bool(cursor.fetchone()[0])
