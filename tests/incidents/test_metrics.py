"""What Prometheus is told, to whom, and that it stays quick and names nobody."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from prometheus_client import values
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import Settings

from agreements.models import ServiceAgreement
from config import health, instants
from config import metrics as page
from config.models import User
from incidents import lifecycle, metrics, outbox, watchdog
from incidents.models import Deadline, Incident, Notice, Tally
from incidents.models.sending import Part
from tests import cast
from tests.services.smtp import SmtpSink

pytestmark = pytest.mark.django_db

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "a-token-that-nobody-guesses-in-a-hundred-years"


@pytest.fixture
def scrape(settings: Settings) -> Any:
    """Asks for the metrics: {(name, its one label's value or ""): value}."""
    settings.METRICS_TOKEN = TOKEN
    page._requests.clear()  # what other tests asked for

    def ask() -> dict[tuple[str, str], float]:
        answer = Browser().get("/metrics", headers={"authorization": f"Bearer {TOKEN}"})
        assert answer.status_code == 200
        families = text_string_to_metric_families(answer.content.decode())
        return {
            (sample.name, ",".join(sample.labels.values())): sample.value
            for family in families
            for sample in family.samples
        }

    return ask


@pytest.fixture
def incident(olga: User, northwind: ServiceAgreement) -> Incident:
    now = instants.now()
    return lifecycle.declare(
        by=olga,
        now=now,
        title="Storage is down",
        severity="critical",
        services=[cast.service("Object storage")],
        detected_at=now,
    )


class TestWhoMayRead:
    def test_without_a_token_in_the_settings_there_is_no_such_page(self, settings: Settings) -> None:
        settings.METRICS_TOKEN = ""
        assert Browser().get("/metrics", headers={"authorization": "Bearer "}).status_code == 404

    @pytest.mark.parametrize("given", ["", f"Basic {TOKEN}", "Bearer ", "Bearer wrong", f"Bearer {TOKEN}x", "Bearer ü"])
    def test_who_does_not_bear_it_learns_nothing(self, settings: Settings, given: str) -> None:
        settings.METRICS_TOKEN = TOKEN
        answer = Browser().get("/metrics", headers={"authorization": given} if given else {})
        assert (answer.status_code, answer["WWW-Authenticate"]) == (401, 'Bearer realm="metrics"')
        assert b"due_notice" not in answer.content

    def test_a_scrape_comes_over_plain_http_by_any_name_and_writes_nothing(self, settings: Settings) -> None:
        settings.METRICS_TOKEN, settings.SECURE_SSL_REDIRECT, settings.ALLOWED_HOSTS = TOKEN, True, ["notices.example"]
        bearing = {"authorization": f"bearer {TOKEN}", "host": "10.1.2.3:8000"}
        answer = Browser().get("/metrics", headers=bearing)
        assert (answer.status_code, answer["Cache-Control"]) == (200, "no-store")
        assert Browser().post("/metrics", headers=bearing).status_code == 405


class TestWhatIsTold:
    def test_the_queue_the_deadlines_and_the_sending(self, scrape: Any, incident: Incident, olga: User) -> None:
        lifecycle.notify_client(incident, by=olga, now=instants.now())
        watchdog.beat(Part.SENDER, instants.now())
        found = scrape()
        assert found["due_notice_notices", "pending"] == found["due_notice_notices_due", ""] == 1
        assert found["due_notice_notices", "failed"] == found["due_notice_sending_held", ""] == 0
        assert found["due_notice_incidents_open", "critical"] == 1
        assert found["due_notice_heartbeat_age_seconds", "sender"] < 60
        assert found["due_notice_heartbeat_age_seconds", "planner"] == float("inf")
        past = instants.now() - dt.timedelta(minutes=5)
        cast.past_the_trail(Notice.objects, next_attempt_at=past)
        cast.past_the_trail(Deadline.objects.filter(obligation="notify"), due_at=past, next_action_at=past)
        found = scrape()
        assert 290 < found["due_notice_oldest_due_age_seconds", ""] < 400
        assert 290 < found["due_notice_oldest_unraised_age_seconds", ""] < 400
        assert found["due_notice_deadlines_unraised", ""] == found["due_notice_deadlines", "missed"] == 1
        assert found["due_notice_problem", "notices-unsent"] == 1

    def test_what_was_accepted_is_counted_once_before_and_after_it_is_written_down(
        self, scrape: Any, relay: SmtpSink, incident: Incident, olga: User
    ) -> None:
        def told() -> list[float]:
            found = scrape()
            names = ("notices_sent_total", "notices_late_total", "delivery_seconds_count")
            counts = [found[f"due_notice_{name}", "client_notice"] for name in names]
            fast = found["due_notice_delivery_seconds_bucket", "client_notice,60.0"]
            return [*counts, fast, round(found["due_notice_delivery_seconds_sum", "client_notice"])]

        now = instants.now()
        for _ in range(2):
            lifecycle.notify_client(incident, by=olga, now=now)
        outbox.deliver(now)
        first, second = Notice.objects.order_by("pk")
        cast.past_the_trail(Notice.objects.filter(pk=first.pk), accepted_at=now - dt.timedelta(minutes=8))
        cast.past_the_trail(Notice.objects.filter(pk=first.pk), made_at=now - dt.timedelta(minutes=9))
        cast.past_the_trail(
            Notice.objects.filter(pk=second.pk), made_at=now - dt.timedelta(seconds=100), accepted_at=now
        )
        expected = [2, 0, 2, 1, 160]
        assert told() == expected
        metrics.write_down([], now)
        assert Tally.row().accepted["client_notice"]["count"] == 1, (
            "the last minutes are counted when they are asked for"
        )
        assert told() == expected
        metrics.write_down([], now)
        metrics.write_down([], now + dt.timedelta(minutes=9))
        assert Tally.row().accepted["client_notice"]["count"] == 2
        assert told() == expected

    def test_two_auditors_count_nothing_twice_and_one_whose_clock_is_slow_takes_nothing_back(
        self, relay: SmtpSink, incident: Incident, olga: User
    ) -> None:
        now = instants.now()
        lifecycle.notify_client(incident, by=olga, now=now)
        outbox.deliver(now)
        for later in (20, 20, 0, 30):
            metrics.write_down([], now + dt.timedelta(minutes=later))
        assert Tally.row().accepted["client_notice"]["count"] == 1

    def test_what_the_auditor_found_is_told_with_when(self, scrape: Any) -> None:
        now = instants.now()
        metrics.write_down([health.Problem("notices-missing", "x")], now)
        metrics.write_down([], now + dt.timedelta(minutes=1))
        assert scrape()["due_notice_finding_last_seen_timestamp_seconds", "notices-missing"] == int(now.timestamp())

    def test_it_takes_the_same_few_queries_however_much_there_is_and_names_nobody(
        self, scrape: Any, incident: Incident, olga: User
    ) -> None:
        with CaptureQueriesContext(connection) as few:
            scrape()
        for _ in range(5):
            lifecycle.notify_client(incident, by=olga, now=instants.now())
        with CaptureQueriesContext(connection) as many:
            found = scrape()
        assert len(few) == len(many) <= 16
        told = " ".join(f"{name} {labels}" for name, labels in found)
        assert not re.search(r"Northwind|northwind|@|INC-", told)
        assert len(found) < 400


class TestRequests:
    @pytest.fixture
    def counted(self, scrape: Any) -> Callable[[], dict[str, float]]:
        name = "due_notice_request_seconds_count"
        return lambda: {labels: value for (sample, labels), value in scrape().items() if sample == name}

    def test_are_counted_by_page_method_and_kind_of_answer(
        self, counted: Callable[[], dict[str, float]], olga: User
    ) -> None:
        browser = Browser()
        browser.force_login(olga)
        for path in ("/admin/", "/admin/", "/admin/incidents/incident/4711/change/", "/Northwind/ceo@northwind.test"):
            browser.get(path)
        browser.post("/admin/login/")
        browser.head("/admin/login/")
        assert counted() == {
            "GET,2xx,admin:index": 2,
            "GET,3xx,admin:incidents_incident_change": 1,
            "GET,4xx,-": 1,
            "POST,2xx,admin:login": 1,
            "HEAD,2xx,admin:login": 1,
        }

    def test_whatever_is_asked_for_makes_no_label_of_its_own(self, counted: Callable[[], dict[str, float]]) -> None:
        for made_up in ("a", "b/c", "d.php?e=f", "notice/g", "notice/h", "admin/incidents/incident/i/change/"):
            for method in ("GET", "BREW", "PROPFIND", "get"):
                Browser().generic(method, f"/{made_up}")
        methods, _statuses, views = map(set, zip(*(labels.split(",") for labels in counted()), strict=True))
        assert views == {"-", "incidents:acknowledge", "admin:incidents_incident_change"}
        assert methods == {"GET", "other"}

    def test_probes_scrapes_and_files_are_not_counted(self, counted: Callable[[], dict[str, float]]) -> None:
        for path in ("/healthz/live", "/healthz/delivery", "/static/due_notice/admin.css"):
            Browser().get(path)
        assert counted() == counted() == {}

    def test_a_process_that_may_be_one_of_several_tells_nothing(
        self, counted: Callable[[], dict[str, float]], settings: Settings
    ) -> None:
        Browser().get("/admin/login/")
        assert counted() == {"GET,2xx,admin:login": 1}
        settings.WEB_CONCURRENCY = 2
        assert counted() == {}

    def test_no_page_is_refused_because_it_cannot_be_counted(
        self, counted: Callable[[], dict[str, float]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path / "gone"))
        monkeypatch.setattr(values, "ValueClass", values.MultiProcessValue(lambda: 0))  # type: ignore[no-untyped-call]
        assert Browser().get("/admin/login/").status_code == 200


# ── what is read of it elsewhere ────────────────────────────────────────────────────────────────────────────────────

RULES = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())
ALERTS = [rule for group in RULES["groups"] for rule in group["rules"]]
DASHBOARD = json.loads((ROOT / "deploy/grafana/dashboard.json").read_text())
RUNBOOK = (ROOT / "docs/runbook.md").read_text()
HEADINGS = {heading.lower().replace(" ", "-") for heading in re.findall(r"^#+ (.+)$", RUNBOOK, re.MULTILINE)}


ASKED = [rule["expr"] for rule in ALERTS] + [
    target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]
]


def test_every_metric_that_an_alert_or_the_dashboard_names_is_told(scrape: Any) -> None:
    Browser().get("/admin/login/")
    told = {name for name, _labels in scrape()} | {
        "due_notice_problem",  # only while there is one
        "due_notice_finding_last_seen_timestamp_seconds",
    }
    named = {name for expression in ASKED for name in re.findall(r"due_notice_\w+", expression)}
    assert named - told == set()
    assert len(named) > 12
    labels = [label for expression in ASKED for label in re.findall(r"\{(\w+)=~?", expression)]
    assert set(labels) <= {"part", "state", "standing", "status"}


def test_of_several_nodes_requests_are_added_and_what_the_database_tells_is_taken_once() -> None:
    by = r"(?: by \([\w, ]+\))? ?\("
    added = re.compile(rf"\bsum{by}(?:rate|increase)\($")
    taken = re.compile(rf"\b(?:(?:max|min){by}(?:rate\()?|absent\()$")
    for expression in ASKED:
        for metric in re.finditer(r"due_notice_\w+", expression):
            rule = added if metric[0].startswith("due_notice_request_") else taken
            assert rule.search(expression[: metric.start()]), expression


def test_every_alert_says_how_urgent_it_is_and_leads_to_its_heading_in_the_runbook() -> None:
    for rule in ALERTS:
        assert set(rule) == {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["runbook_url"] == f"docs/runbook.md#{rule['alert'].lower()}"
        assert rule["alert"].lower() in HEADINGS


def test_every_kind_of_finding_has_its_heading_in_the_runbook() -> None:
    keys = {f"{part}-{what}" for part in Part for what in ("silent", "clock")}
    for file in ("incidents/watchdog.py", "config/health.py", "config/audit/seals.py"):
        source = (ROOT / file).read_text()
        keys |= set(re.findall(r'(?:Problem|_about)\(\s*"([a-z-]+)"', source))
        keys |= set(re.findall(r'"\w+": "((?:deadlines|notices)-[a-z]+)"', source))
        unread = re.findall(r"Problem\(\s*(?!\"|f\"\{part\}|keys\[what\]|key,)([^\s,)]+)", source)
        assert not unread, "a key that this test does not find"
    assert len(keys) >= 23
    assert keys - HEADINGS == set()


def test_every_link_within_the_runbook_leads_somewhere() -> None:
    assert set(re.findall(r"\]\(#([^)]+)\)", RUNBOOK)) <= HEADINGS
