"""A page that keeps the database busy for too long is given up with a sentence, and holds up nobody else."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError
from django.db.utils import ConnectionHandler
from django.http import HttpRequest, HttpResponse
from django.test import Client as Browser
from django.urls import path

from config import env, meanwhile, patience
from tests.services.processes import Processes

ROOT = Path(__file__).resolve().parents[2]
_pages: dict[str, Any] = {}  # the connection of the pages below


def ask(request: HttpRequest, question: str) -> HttpResponse:
    with _pages["connection"].cursor() as cursor:
        cursor.execute(question)
    return HttpResponse("answered")


def ask_sqlite(request: HttpRequest) -> HttpResponse:
    raise OperationalError("database is locked")  # word for word, after the twenty seconds that it waits


def hang_up(request: HttpRequest) -> HttpResponse:
    """As when the database is restarted meanwhile."""
    with _pages["connection"].cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        mine = cursor.fetchone()
        other = ConnectionHandler({"default": _pages["settings"]})["default"]
        with other.cursor() as theirs:
            theirs.execute("SELECT pg_terminate_backend(%s)", mine)
        other.close()
        cursor.execute("SELECT 1")
    return HttpResponse("answered")


class HangUpMiddleware:
    """Asks the database before any page does, as sessions do."""

    def __init__(self, get_response: Any) -> None: ...

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return hang_up(request)


def err(request: HttpRequest) -> HttpResponse:
    with _pages["connection"].cursor() as cursor:
        cursor.execute("SELECT 1 FROM nothing_of_that_name")
    return HttpResponse("answered")


def entangle(request: HttpRequest) -> HttpResponse:
    """Take one row, then the other, which somebody else has who by now waits for the first."""
    other = ConnectionHandler({"default": _pages["settings"]})["default"]
    with ThreadPoolExecutor(1) as pool, _pages["connection"].cursor() as cursor, other.cursor() as theirs:
        cursor.execute("CREATE TABLE pair AS SELECT generate_series(1, 2) AS pk")
        theirs.execute("SET lock_timeout = 0; SET deadlock_timeout = '1min'; BEGIN; DELETE FROM pair WHERE pk = 2")
        cursor.execute("SET lock_timeout = 0; SET deadlock_timeout = 1; BEGIN; DELETE FROM pair WHERE pk = 1")
        waits = pool.submit(theirs.execute, "DELETE FROM pair WHERE pk = 1")
        try:
            waiting: tuple[Any, ...] | None = None
            while waiting is None:
                cursor.execute("SELECT 1 FROM pg_locks WHERE NOT granted")
                waiting = cursor.fetchone()
            cursor.execute("DELETE FROM pair WHERE pk = 2")
        finally:
            cursor.execute("ROLLBACK")
            waits.result(10)
            other.close()
            cursor.execute("DROP TABLE pair")
    return HttpResponse("answered")


urlpatterns = [
    path("entangle/", entangle),
    path("ask/<path:question>", ask),
    path("sqlite/", ask_sqlite),
    path("err/", err),
    path("hang-up/", hang_up),
]
handler500 = "config.unanswered.broken"
pytestmark = pytest.mark.urls(__name__)


@pytest.fixture
def pages(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """The settings of a database of which the pages above ask with little patience."""
    monkeypatch.setenv("DATABASE_URL", postgres_url)
    monkeypatch.setattr(patience, "STATEMENT", 2)
    monkeypatch.setattr(patience, "LOCK", 1)
    database = env.database("DATABASE_URL", "")
    patience.limit_pages(database)
    _pages["settings"] = database
    _pages["connection"] = ConnectionHandler({"default": database})["default"]
    yield database
    _pages["connection"].close()


@pytest.mark.django_db
def test_a_question_that_takes_too_long_is_given_up_with_a_sentence(
    pages: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    answer = Browser().get("/ask/SELECT pg_sleep(20)")
    assert answer.status_code == 503
    assert "The database needed longer for this page than a page may take." in answer.content.decode()
    assert answer["Retry-After"] == "10"
    assert "was given up, as the database took too long" in caplog.text
    assert Browser().get("/ask/SELECT 1").content == b"answered"


@pytest.mark.django_db
def test_a_row_that_somebody_holds_is_not_waited_for_without_end(pages: dict[str, Any]) -> None:
    other = ConnectionHandler({"default": pages})["default"]
    with other.cursor() as cursor:
        cursor.execute("CREATE TABLE held (pk int); INSERT INTO held VALUES (1)")
        cursor.execute("BEGIN; SELECT * FROM held FOR UPDATE")
        answer = Browser().get("/ask/UPDATE held SET pk = 2")
    other.close()
    assert answer.status_code == 503
    assert "Somebody else is changing the same thing at this moment." in answer.content.decode()


@pytest.mark.django_db
def test_of_two_that_wait_for_each_other_one_is_given_up_and_may_send_the_same_again(pages: dict[str, Any]) -> None:
    answer = Browser().post("/entangle/", {"reason": "They <moved>.", "client": ["1", "2"]})
    assert answer.status_code == 503
    page = answer.content.decode()
    assert "Somebody else is changing the same thing at this moment. Nothing of yours was saved." in page
    for name, value in (("reason", "They &lt;moved&gt;."), ("client", "1"), ("client", "2")):
        assert f'<input type="hidden" name="{name}" value="{value}">' in page
    assert "<button" not in Browser().post("/sqlite/", {"old_password": "secret"}).content.decode(), (
        "it is not repeated"
    )


@pytest.mark.django_db
def test_sqlite_that_somebody_else_writes_to_says_the_same() -> None:
    answer = Browser().get("/sqlite/", headers={"accept-language": "en"})
    assert answer.status_code == 503
    assert "Somebody else is changing the same thing" in answer.content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize("middleware", [[], [f"{__name__}.HangUpMiddleware"]], ids=["page", "middleware"])
def test_a_database_that_goes_away_is_told_and_what_was_typed_can_be_sent_again(
    pages: dict[str, Any], settings: Any, middleware: list[str]
) -> None:
    settings.MIDDLEWARE = settings.MIDDLEWARE + middleware
    browser = Browser(raise_request_exception=False)
    keyed = browser.post("/hang-up/", {"reason": "They moved.", meanwhile.FIELD: "sealed"})
    pages_away, other = browser.get("/hang-up/"), browser.post("/hang-up/", {"name": "Northwind", meanwhile.FIELD: ""})
    assert [answer.status_code for answer in (keyed, other, pages_away)] == [503] * 3
    assert "The database is away at this moment" in pages_away.content.decode()
    assert '<input type="hidden" name="reason" value="They moved.">' in keyed.content.decode()
    assert "is done once, however often you send it" in keyed.content.decode()
    assert "look before you send it again" in other.content.decode()


@pytest.mark.django_db
def test_a_database_that_takes_nobody_is_told(
    pages: dict[str, Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    nowhere = {"default": pages | {"HOST": "127.0.0.1", "PORT": 1}}
    monkeypatch.setitem(_pages, "connection", ConnectionHandler(nowhere)["default"])
    answer = Browser().get("/ask/SELECT 1")
    assert (answer.status_code, "The database is away" in answer.content.decode()) == (503, True)
    assert "was given up, as the database is away" in caplog.text


@pytest.mark.django_db
def test_any_other_fault_of_the_database_stays_a_fault_of_ours(pages: dict[str, Any]) -> None:
    assert Browser(raise_request_exception=False).get("/err/").status_code == 500


def test_the_web_server_s_questions_are_limited_and_no_worker_s(processes: Processes, postgres_url: str) -> None:
    limits = "from django.db import connection as c; r = c.cursor(); "
    limits += "print(*(r.execute(f'SHOW {n}_timeout').fetchone()[0] for n in ('statement', 'lock')))"
    shown = {}
    for name, start in (("web", "config.wsgi"), ("worker", "config.celery"), ("chosen", "config.wsgi")):
        chosen = "options=-c%20statement_timeout%3D60s" if name == "chosen" else ""
        process = subprocess.run(
            [sys.executable, "-c", f"import {start}; {limits}"],
            cwd=ROOT,
            env={**processes.env, "DATABASE_URL": f"{postgres_url}{'&' if '?' in postgres_url else '?'}{chosen}"},
            capture_output=True,
            text=True,
            check=True,
        )
        shown[name] = process.stdout.strip()
    assert shown == {"web": "15s 5s", "worker": "0 0", "chosen": "1min 5s"}
