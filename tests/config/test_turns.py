"""What is large is done for one person one after the other; nobody else waits for them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from importlib.util import find_spec, module_from_spec
from types import SimpleNamespace
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from config import turns
from config.turns import Place

on_postgresql = pytest.mark.skipif(
    "postgresql" not in settings.DATABASES["default"]["ENGINE"], reason="With SQLite there is one web process."
)


@pytest.fixture(autouse=True)
def _database(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Of which no table is used, so that none has to be as it was."""
    with django_db_blocker.unblock():
        yield
        connection.close()


class Page:
    """One that is done when the test says so."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.may_end = threading.Event()

    def __call__(self, request: HttpRequest) -> HttpResponse:
        self.begun.release()
        assert self.may_end.wait(30)
        return HttpResponse("done")


class Pool(ThreadPoolExecutor):
    """Threads as a web server's: each with its own connection to the database, which here ends with the page."""

    def ask(self, view: Callable[[HttpRequest], HttpResponse], pk: int) -> Future[HttpResponse]:
        def answer() -> HttpResponse:
            try:
                return view(request_of(pk))
            finally:
                connection.close()

        return self.submit(answer)


@pytest.fixture
def pool() -> Iterator[Pool]:
    with Pool(4) as pool:
        yield pool


def request_of(pk: int) -> HttpRequest:
    request = RequestFactory().get("/")
    request.user = SimpleNamespace(pk=pk, is_authenticated=True)  # type: ignore[assignment]
    return request


def is_taken(place: Place, pk: int) -> bool:
    if connection.vendor != "postgresql":
        return (place, pk) in turns._taken
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database "
            "WHERE locktype = 'advisory' AND datname = current_database() AND classid = %s AND objid = %s",
            [int(place), pk],
        )
        return bool(cursor.fetchone()[0])


def wait_until(condition: Callable[[], bool]) -> None:
    by = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < by
        time.sleep(0.01)


def another_process() -> Any:
    """The module as another web process has it: what this one remembers it does not."""
    spec = find_spec("config.turns")
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_second_waits_a_third_is_refused_with_a_sentence_and_others_are_served(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "WAIT", 30)
    page = Page()
    view = turns.one_at_a_time(page)
    first = pool.ask(view, 1)
    assert page.begun.acquire(timeout=30)
    second = pool.ask(view, 1)
    wait_until(lambda: is_taken(Place.DOOR, 1))
    third = view(request_of(1))
    assert third.status_code == 429
    assert third["Retry-After"] == "10"
    assert b"is not done yet" in third.content
    other = pool.ask(view, 2)
    assert page.begun.acquire(timeout=30), "somebody else is served at once"
    assert not page.begun.acquire(blocking=False), "the second of the same person is not, yet"
    page.may_end.set()
    assert [done.result(30).status_code for done in (first, second, other)] == [200, 200, 200]


def test_a_second_does_not_wait_for_ever(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "WAIT", 0.01)
    page = Page()
    view = turns.one_at_a_time(page)
    first = pool.ask(view, 3)
    assert page.begun.acquire(timeout=30)
    assert view(request_of(3)).status_code == 429
    page.may_end.set()
    assert first.result(30).status_code == 200


def test_a_page_that_fails_keeps_nobody_from_the_next() -> None:
    def fail(request: HttpRequest) -> HttpResponse:
        raise LookupError

    with pytest.raises(LookupError):
        turns.one_at_a_time(fail)(request_of(4))
    assert not is_taken(Place.ROOM, 4)


@on_postgresql
def test_a_turn_is_one_whichever_process_serves_it(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "WAIT", 0.01)
    page = Page()
    elsewhere = pool.ask(another_process().one_at_a_time(page), 5)
    assert page.begun.acquire(timeout=30)
    assert turns.one_at_a_time(page)(request_of(5)).status_code == 429
    page.may_end.set()
    assert elsewhere.result(30).status_code == 200
    assert not is_taken(Place.ROOM, 5)


@on_postgresql
def test_a_process_that_loses_its_connection_keeps_nobody_out() -> None:
    def fail(request: HttpRequest) -> HttpResponse:
        assert is_taken(Place.ROOM, 6)
        connection.connection.close()
        raise LookupError

    with pytest.raises(LookupError):  # and not what became of the connection
        turns.one_at_a_time(fail)(request_of(6))
    wait_until(lambda: not is_taken(Place.ROOM, 6))
