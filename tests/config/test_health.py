"""What the probes answer without anybody signing in, and the banner that says the same to those who have."""

from __future__ import annotations

import datetime as dt
import http.client
import time
from urllib.parse import urlsplit

import pytest
from django.contrib.sessions.models import Session
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from agreements.models import Service, ServiceAgreement
from config import env, health
from config.models import User
from incidents import lifecycle
from incidents.models import Heartbeat, Incident, Notice, Sending
from incidents.models.sending import Part
from tests.cast import browser_of
from tests.services.processes import Processes

LIVE, READY, DELIVERY = "/healthz/live", "/healthz/ready", "/healthz/delivery"
BANNER = 'class="delivery-banner"'


@pytest.fixture(autouse=True)
def _served_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_loaded", time.monotonic() - 3600)


def beat(ago: int = 0) -> None:
    for part in Part:
        at = timezone.now() - dt.timedelta(seconds=ago)
        Heartbeat.objects.update_or_create(part=part, defaults={"at": at, "worker": "test"})


# ── the probes ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.django_db
class TestProbes:
    @pytest.mark.parametrize("address", [LIVE, READY, DELIVERY])
    def test_each_answers_200_while_all_is_well_and_is_kept_by_nobody(self, client: Browser, address: str) -> None:
        beat()
        response = client.get(address)
        assert (response.status_code, response.content) == (200, b"ok: nothing is wrong.\n")
        assert response["Content-Type"].startswith("text/plain")
        assert response["Cache-Control"] == "no-store"

    def test_delivery_answers_503_with_its_reasons_after_120_seconds_of_silence(self, client: Browser) -> None:
        beat(ago=125)
        response = client.get(DELIVERY)
        assert response.status_code == 503
        assert [line.split(": ")[0] for line in response.content.decode().splitlines()] == [
            "planner-silent",
            "sender-silent",
        ]
        assert client.get(LIVE).status_code == client.get(READY).status_code == 200

    def test_what_was_never_at_work_has_120_seconds_from_the_web_server_s_start(
        self, client: Browser, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert client.get(DELIVERY).status_code == 503
        monkeypatch.setattr(health, "_loaded", time.monotonic() - 100)
        assert client.get(DELIVERY).status_code == 200

    def test_why_sending_is_held_is_not_told_to_the_world(self, client: Browser) -> None:
        beat()
        Sending.objects.create(is_held=True, held_at=timezone.now(), hold_reason="Northwind asked for it.")
        response = client.get(DELIVERY)
        assert response.status_code == 503
        assert b"sending-held" in response.content
        assert b"Northwind" not in response.content

    def test_a_check_that_fails_is_itself_the_reason(
        self, client: Browser, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def broken(now: dt.datetime, since: dt.datetime) -> list[health.Problem]:
            raise ZeroDivisionError

        monkeypatch.setattr(health, "_checks", [broken])
        response = client.get(DELIVERY)
        assert (response.status_code, response.content.split(b":")[0]) == (503, b"check")
        assert "ZeroDivisionError" in caplog.text

    def test_ready_answers_503_while_a_migration_is_missing(self, client: Browser) -> None:
        MigrationRecorder(connection).record_unapplied("incidents", "0001_tables")
        assert client.get(READY).status_code == 200, "the last one of each app tells"
        last = max(name for app, name in health._leaves() if app == "incidents")
        MigrationRecorder(connection).record_unapplied("incidents", last)
        response = client.get(READY)
        assert response.status_code == 503
        assert f"migrations: The database lacks migrations (incidents.{last})." in response.content.decode()

    @pytest.mark.parametrize("address", [LIVE, READY, DELIVERY])
    def test_head_is_answered_without_a_body_and_anything_else_is_refused(self, client: Browser, address: str) -> None:
        beat()
        head = client.head(address)
        assert (head.status_code, head.content) == (200, b"")
        for method in ("post", "put", "delete", "patch"):
            response = getattr(client, method)(address)
            assert (response.status_code, response["Allow"]) == (405, "GET, HEAD")

    @pytest.mark.parametrize("address", [LIVE, READY, DELIVERY])
    def test_a_probe_comes_over_plain_http_by_any_name_and_gets_no_cookie(
        self, settings: Settings, address: str
    ) -> None:
        beat()
        settings.SECURE_SSL_REDIRECT = True
        settings.ALLOWED_HOSTS = ["notices.example"]
        response = Browser().get(address, headers={"host": "10.1.2.3:8000", "accept-language": "de"})
        assert response.status_code == 200
        assert not response.cookies
        assert not response.has_header("Location")

    def test_a_probe_with_somebody_s_cookie_asks_for_no_session(self, olga: User) -> None:
        browser = browser_of(olga)
        with CaptureQueriesContext(connection) as captured:
            browser.get(LIVE)
        assert len(captured) == 0
        with CaptureQueriesContext(connection) as captured:
            browser.get(DELIVERY)
        assert not [query for query in captured if Session._meta.db_table in query["sql"]]


def test_without_a_database_the_process_lives_and_is_neither_ready_nor_delivering(processes: Processes) -> None:
    processes.env["DATABASE_URL"] = "postgres://nobody:nothing@127.0.0.1:1/nowhere"
    site = urlsplit(processes.start_web())
    answers = {}
    for address in (LIVE, READY, DELIVERY):
        web = http.client.HTTPConnection(str(site.hostname), site.port, timeout=20)
        web.request("GET", address, headers={"Cookie": "due_notice_session=" + "a" * 32})
        answer = web.getresponse()
        answers[address] = (answer.status, answer.read().decode().split(":")[0])
        web.close()
    assert answers == {LIVE: (200, "ok"), READY: (503, "database"), DELIVERY: (503, "database")}


@pytest.mark.parametrize("written", ["healthchecks.io/secret", "file:///etc/secret", "http://", "http://x:secret/"])
def test_a_switch_that_cannot_be_told_stops_the_start_and_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    monkeypatch.setenv("HEARTBEAT_URL", written)
    with pytest.raises(ImproperlyConfigured, match="HEARTBEAT_URL") as refused:
        env.web_address("HEARTBEAT_URL")
    assert "secret" not in str(refused.value)
    monkeypatch.setenv("HEARTBEAT_URL", "https://hc.example/secret")
    assert env.web_address("HEARTBEAT_URL") == "https://hc.example/secret"


@pytest.mark.parametrize("written", ["canary", "Canary <canary@x.example>", "a@x.example, b@x.example", "@x.example"])
def test_a_canary_that_flies_nowhere_stops_the_start(monkeypatch: pytest.MonkeyPatch, written: str) -> None:
    monkeypatch.setenv("CANARY_ADDRESS", written)
    with pytest.raises(ImproperlyConfigured, match="CANARY_ADDRESS"):
        env.mail_address("CANARY_ADDRESS")
    monkeypatch.setenv("CANARY_ADDRESS", "canary@x.example")
    assert env.mail_address("CANARY_ADDRESS") == "canary@x.example"


# ── the banner ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def pages(olga: User, northwind: ServiceAgreement) -> list[str]:
    """One of every kind of page."""
    now = timezone.now()
    incident = lifecycle.declare(
        by=olga,
        now=now,
        title="Storage is down",
        severity="critical",
        services=list(Service.objects.all()),
        detected_at=now,
    )
    lifecycle.notify_client(incident, by=olga, now=now)
    version = (incident.pk, Incident.history.filter(id=incident.pk).latest().pk)
    return [
        reverse("admin:index"),
        reverse("admin:app_list", args=["incidents"]),
        reverse("admin:incidents_incident_changelist"),
        reverse("admin:incidents_notice_changelist"),
        reverse("admin:incidents_incident_add"),
        reverse("admin:incidents_incident_change", args=[incident.pk]),
        reverse("admin:incidents_notice_change", args=[Notice.objects.get().pk]),
        reverse("admin:incidents_deadline_change", args=[incident.deadlines.order_by("pk")[0].pk]),
        reverse("admin:incidents_incident_acknowledge", args=[incident.pk]),
        reverse("admin:incidents_incident_history", args=[incident.pk]),
        reverse("admin:incidents_incident_simple_history", args=version),
        reverse("admin:agreements_serviceagreement_change", args=[northwind.pk]),
        reverse("admin:password_change"),
    ]


def test_every_kind_of_page_shows_the_banner_until_everything_is_at_work(browser: Browser, pages: list[str]) -> None:
    beat(ago=300)
    for address in pages:
        shown = browser.get(address).content.decode()
        assert shown.count(BANNER) == 1, address
        assert "Silent for 5 min: the planner" in shown, address
        assert reverse("admin:incidents_attention") in shown, address
    beat()
    for address in pages:
        assert BANNER not in browser.get(address).content.decode(), address


def test_those_who_have_signed_in_are_told_why_sending_is_held(browser: Browser) -> None:
    beat()
    Sending.objects.create(is_held=True, held_at=timezone.now(), hold_reason="A <b>wrong</b> template.")
    shown = browser.get(reverse("admin:index")).content.decode()
    assert "A &lt;b&gt;wrong&lt;/b&gt; template." in shown


@pytest.mark.django_db
def test_who_has_not_signed_in_is_shown_no_banner_and_asks_nothing(client: Browser) -> None:
    beat(ago=300)
    with CaptureQueriesContext(connection) as captured:
        shown = client.get(reverse("admin:login")).content.decode()
    assert BANNER not in shown
    assert len(captured) == 0


def test_the_banner_costs_a_page_two_queries(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    def queries() -> int:
        browser.get(reverse("admin:incidents_notice_changelist"))
        with CaptureQueriesContext(connection) as captured:
            browser.get(reverse("admin:incidents_notice_changelist"))
        return len(captured)

    with_banner = queries()
    monkeypatch.setattr(health, "_checks", [])
    assert with_banner - queries() == 2
