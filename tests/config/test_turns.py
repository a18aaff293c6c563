"""What is large is done for one person one after the other; nobody else waits for them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from config import turns


class Page:
    """One that is done when the test says so."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.may_end = threading.Event()

    def __call__(self, request: HttpRequest) -> HttpResponse:
        self.begun.release()
        assert self.may_end.wait(10)
        return HttpResponse("done")


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def request_of(pk: int) -> HttpRequest:
    request = RequestFactory().get("/")
    request.user = SimpleNamespace(pk=pk, is_authenticated=True)  # type: ignore[assignment]
    return request


def test_a_second_waits_a_third_is_refused_with_a_sentence_and_others_are_served(pool: ThreadPoolExecutor) -> None:
    page = Page()
    view = turns.one_at_a_time(page)
    first = pool.submit(view, request_of(-1))
    assert page.begun.acquire(timeout=10)
    second = pool.submit(view, request_of(-1))
    by = time.monotonic() + 10
    while not turns._places[-1].door.locked():
        assert time.monotonic() < by, "the second waits at the door"
    third = view(request_of(-1))
    assert third.status_code == 429
    assert third["Retry-After"] == "10"
    assert b"is not done yet" in third.content
    other = pool.submit(view, request_of(-2))
    assert page.begun.acquire(timeout=10), "somebody else is served at once"
    assert not page.begun.acquire(blocking=False), "the second of the same person is not, yet"
    page.may_end.set()
    assert [done.result(10).status_code for done in (first, second, other)] == [200, 200, 200]


def test_a_second_does_not_wait_for_ever(pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "WAIT", 0.01)
    page = Page()
    view = turns.one_at_a_time(page)
    first = pool.submit(view, request_of(-3))
    assert page.begun.acquire(timeout=10)
    assert view(request_of(-3)).status_code == 429
    page.may_end.set()
    assert first.result(10).status_code == 200


def test_a_page_that_fails_keeps_nobody_from_the_next() -> None:
    def fail(request: HttpRequest) -> HttpResponse:
        raise LookupError

    with pytest.raises(LookupError):
        turns.one_at_a_time(fail)(request_of(-4))
    assert turns.one_at_a_time(lambda request: HttpResponse())(request_of(-4)).status_code == 200
