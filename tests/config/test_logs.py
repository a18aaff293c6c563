"""The log: an act can be followed by its id, and nothing that people wrote, or that an error quotes, is in it."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import IntegrityError, connection
from django.http import HttpRequest, HttpResponse
from django.test import Client as Browser
from django.urls import path
from pytest_django import Settings

from config import logs
from config.celery import app
from config.history import acting
from config.models import User
from tests.cast import browser_of

SECRETS = ("anna@planted.example", "a-planted-subject", "a-planted-body", "a-planted-key")


def broken(request: HttpRequest, key: str = "") -> HttpResponse:
    try:
        raise LookupError(" ".join(SECRETS))
    except LookupError as error:
        raise ValueError(" ".join(SECRETS)) from error


def told(request: HttpRequest) -> HttpResponse:
    logging.getLogger("incidents.test").warning("Something is said.")
    with acting(task="something.else", cause=uuid.UUID(int=7)):
        logging.getLogger("incidents.test").warning("Something is caused.")
    return HttpResponse("ok")


urlpatterns = [path("broken/<str:key>/", broken, name="broken"), path("told/", told, name="told")]


class Kept(logging.Handler):
    """What would be written, without what strikes addresses out: the first line of defence has to hold alone."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[dict[str, Any]] = []
        self._formatter = logs.Json()

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(json.loads(self._formatter.line(record)))

    def of(self, logger: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["logger"] == logger]


@pytest.fixture
def kept() -> Iterator[Kept]:
    handler, root = Kept(), logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield handler
    root.removeHandler(handler)
    root.setLevel(before)


@pytest.fixture
def pages(settings: Settings) -> None:
    settings.ROOT_URLCONF = __name__


# ── lines of a request ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.django_db
class TestRequests:
    def test_each_is_one_line_with_its_page_its_person_and_its_id(self, kept: Kept, olga: User) -> None:
        response = browser_of(olga).get("/admin/", {"q": SECRETS[0]})
        [line] = kept.of("config.access")
        told = {name: line[name] for name in ("method", "route", "status", "user", "request_id")}
        assert told == {
            "method": "GET",
            "route": "admin:index",
            "status": 200,
            "user": olga.pk,
            "request_id": response["X-Request-ID"],
        }
        assert line["ms"] >= 0
        assert SECRETS[0] not in json.dumps(kept.lines)

    def test_its_id_is_that_of_the_trail(self, kept: Kept, olga: User) -> None:
        browser_of(olga).post("/admin/settings/", {"time_zone": "Europe/Paris", "language": "fr"})
        [line] = kept.of("config.access")
        assert line["request_id"] == str(olga.history.first().request_id)

    def test_every_line_said_meanwhile_has_it_and_what_another_act_asked_for_says_which(
        self, kept: Kept, pages: None
    ) -> None:
        response = Browser().get("/told/")
        said, caused = kept.of("incidents.test")
        assert said["request_id"] == caused["request_id"] == response["X-Request-ID"]
        assert ("cause" in said, caused["cause"]) == (False, str(uuid.UUID(int=7)))
        logging.getLogger("incidents.test").warning("Outside of any act.")
        assert "request_id" not in kept.of("incidents.test")[-1]

    def test_probes_and_what_is_not_there_are_told_without_their_address(self, kept: Kept) -> None:
        browser = Browser()
        browser.get("/healthz/live")
        browser.get(f"/nowhere/{SECRETS[0]}/{SECRETS[3]}")
        probe, nowhere = kept.of("config.access")
        assert (probe["level"], probe["route"], nowhere["level"], nowhere["status"]) == (
            "DEBUG",
            "machine",
            "INFO",
            404,
        )
        assert [line["message"] for line in kept.of("django.request")] == ["404 GET -"]
        assert_clean(kept)

    def test_an_error_is_told_by_its_kind_and_place_without_its_words(self, kept: Kept, pages: None) -> None:
        browser = Browser(raise_request_exception=False)
        response = browser.post(f"/broken/{SECRETS[3]}/?mail={SECRETS[0]}", {"message": SECRETS[2]})
        [line] = kept.of("django.request")
        assert line["message"] == "500 POST broken"
        assert line["request_id"] == response["X-Request-ID"]
        assert line["error"].endswith("\nValueError")
        assert "\nLookupError\nwhich led to:\n" in line["error"]
        assert "in broken" in line["error"]
        assert_clean(kept)


def assert_clean(kept: Kept) -> None:
    everything = json.dumps(kept.lines)
    assert not [secret for secret in SECRETS if secret in everything]


# ── what errors say ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_task_that_fails_is_told_without_what_its_error_says(kept: Kept) -> None:
    @app.task(name="tests.fails")
    def fails() -> None:
        raise ValueError(" ".join(SECRETS))

    fails.apply()
    [line] = [line for line in kept.of("celery.app.trace") if line["level"] == "ERROR"]
    assert line["message"].endswith("raised unexpected")
    assert line["error"].endswith("ValueError")
    assert_clean(kept)


@pytest.mark.django_db
def test_of_a_database_s_error_the_kind_is_told_and_no_value(kept: Kept, olga: User) -> None:
    other = User.objects.create_user(SECRETS[0])
    try:
        with connection.cursor() as cursor:
            cursor.execute("UPDATE config_user SET username = 'olga' WHERE id = %s", [other.pk])
    except IntegrityError:
        logging.getLogger("test").exception("Refused.")
    [line] = kept.of("test")
    assert "IntegrityError" in line["error"]
    assert "(username)" not in line["error"]
    if connection.vendor == "postgresql":
        assert "UniqueViolation: 23505 config_user_username_key" in line["error"]


def test_harmless_words_are_kept() -> None:
    assert logs.said(ConnectionRefusedError(111, "Connection refused")) == "ConnectionRefusedError: Connection refused"
    assert logs.said(FileNotFoundError(2, "No such file or directory", "/home/anna")) == (
        "FileNotFoundError: No such file or directory"
    )
    assert logs.said(AttributeError("'NoneType' object has no attribute 'pk'")).startswith("AttributeError: 'NoneType'")
    assert logs.said(KeyError("anna")) == "KeyError"


def test_what_somebody_forgot_is_struck_out_of_the_finished_line() -> None:
    record = logging.LogRecord(
        "x", logging.INFO, "", 0, "to %s by https://n.example/notice/3f0c-key/", ("<anna.b@planted.co.example>",), None
    )
    for form in (logs.Plain(), logs.Json()):
        assert "to <…@…> by https://n.example/notice/…" in form.format(record)
