"""What browsers refuse is counted, and nothing else of it is kept, whoever sends it and however much."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from config import browser_reports, content_policy
from config.models import BrowserReport, User
from tests.cast import browser_of

pytestmark = pytest.mark.django_db

SITE = "https://notices.northwind.test"


@pytest.fixture(autouse=True)
def _fresh_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browser_reports, "_throttle", browser_reports._Throttle())


def old_form(refused: str = "inline", page: str = "/admin/", rule: str = "script-src-elem") -> dict[str, Any]:
    """As `report-uri` has it."""
    return {"csp-report": {"document-uri": SITE + page, "blocked-uri": refused, "effective-directive": rule}}


def new_form(refused: str = "inline", page: str = "/admin/", rule: str = "script-src-elem") -> dict[str, Any]:
    """As `report-to` has it."""
    body = {"documentURL": SITE + page, "blockedURL": refused, "effectiveDirective": rule, "disposition": "enforce"}
    return {"type": "csp-violation", "age": 5, "url": SITE + page, "user_agent": "Mozilla/5.0", "body": body}


def send(sent: Any, browser: Browser | None = None, **headers: str) -> int:
    body = sent if isinstance(sent, bytes) else json.dumps(sent).encode()
    browser = browser or Browser(enforce_csrf_checks=True)
    answer = browser.post(content_policy.REPORTS, body, content_type="application/csp-report", headers=headers)
    assert not answer.cookies
    return answer.status_code


def kept() -> list[tuple[str, str, str, int]]:
    rows = BrowserReport.objects.order_by("directive", "blocked", "page")
    return list(rows.values_list("directive", "blocked", "page", "count"))


def test_every_page_tells_browsers_where_to_report(client: Browser) -> None:
    answer = client.get(reverse("admin:login"))
    assert "report-uri /csp-reports" in answer["Content-Security-Policy"]


def test_the_same_is_counted_in_one_row_in_either_form() -> None:
    assert send(old_form()) == 204
    assert send([new_form(), new_form()]) == 204
    assert kept() == [("script-src-elem", "inline", "admin/", 3)]


@pytest.mark.parametrize(
    ("refused", "what"),
    [
        ("inline", "inline"),
        ("eval", "eval"),
        ("wasm-eval", "eval"),
        ("data", "data"),
        ("blob:https://x/1", "data"),
        ("moz-extension", "extension"),
        ("chrome-extension://abcdef/x.js", "extension"),
        (f"{SITE}/static/secret.js", "own"),
        ("https://evil.test/x.js?token=hunter2", "elsewhere"),
        ("", "other"),
    ],
)
def test_of_what_was_refused_the_kind_is_kept_and_no_address(refused: str, what: str) -> None:
    send(old_form(refused))
    assert kept() == [("script-src-elem", what, "admin/", 1)]


@pytest.mark.parametrize(
    ("page", "route"),
    [
        ("/admin/incidents/incident/7/change/?secret=hunter2", "admin/incidents/incident/<path:object_id>/change/"),
        ("/notice/hunter2/", r"notice/(?P<token>[\s\S]*)"),
        ("/nothing/hunter2", ""),
    ],
)
def test_of_the_page_its_kind_is_kept_and_no_key_or_token(page: str, route: str) -> None:
    send(old_form(page=page))
    [(_rule, _what, found, _count)] = kept()
    assert "hunter2" not in found
    assert found == route


def test_a_rule_that_nobody_knows_is_not_kept_by_its_name() -> None:
    send(old_form(rule="hunter2"))
    send({"csp-report": {"violated-directive": "style-src 'self'", "blocked-uri": "inline"}})
    assert kept() == [("other", "inline", "admin/", 1), ("style-src", "inline", "", 1)]


@pytest.mark.parametrize(
    "sent",
    [b"", b"not json", b"[" * 16_000, b"7", b"{}", b'[{"body": 7}]', b'{"csp-report": "x"}', b"\xff", b'["x"]'],
)
def test_what_is_no_report_is_refused_and_leaves_nothing(sent: bytes) -> None:
    assert send(sent) == 400
    assert kept() == []


def test_more_than_16_kib_are_refused_unread() -> None:
    assert send(b"x" * (16 * 1024 + 1)) == 413


def test_of_many_that_are_sent_together_the_first_are_counted() -> None:
    send([new_form()] * 60)
    assert [count for *_kind, count in kept()] == [browser_reports.MOST_TOGETHER]


def test_a_process_takes_so_many_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browser_reports, "A_MINUTE", 3)
    assert [send(old_form()) for _time in range(5)] == [204, 204, 204, 429, 429]
    assert [count for *_kind, count in kept()] == [3]


def test_a_day_has_so_many_rows_and_the_rest_is_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browser_reports, "ROWS_A_DAY", 2)
    for page in ("/admin/", "/admin/login/", "/admin/settings/", "/admin/trail/", "/admin/"):
        send(old_form(page=page))
    assert sorted(count for *_kind, count in kept()) == [1, 2, 2]
    assert ("other", "other", "", 2) in kept()


def test_after_90_days_a_count_is_gone() -> None:
    today = timezone.now().date()
    for ago in (91, 90):
        on = today - dt.timedelta(days=ago)
        BrowserReport.objects.create(on=on, directive="img-src", blocked="inline", page="admin/", count=1)
    send(old_form())
    assert sorted((today - row.on).days for row in BrowserReport.objects.all()) in ([0, 90], [-1, 89], [1, 91])


def test_it_meets_no_session_and_only_post_is_taken(olga: User, settings: Settings) -> None:
    browser = browser_of(olga)
    with CaptureQueriesContext(connection) as captured:
        send(old_form(), browser)
    assert not [query for query in captured if Session._meta.db_table in query["sql"]]
    for method in ("get", "put", "delete"):
        assert getattr(Browser(), method)(content_policy.REPORTS).status_code == 405
    settings.SECURE_SSL_REDIRECT = True
    assert send(old_form()) == 301
