"""Alerts open incidents: once, by whoever has the secret, in words that nobody has to trust."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, connections
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from agreements.models import ServiceAgreement
from config.models import User
from incidents import intake, lifecycle, webhook
from incidents.models import Deadline, Incident, IntakeToken, Notice, TimelineEntry
from tests import cast
from tests.cast import browser_of

URL = "/intake/alertmanager"


@pytest.fixture
def secret(northwind: ServiceAgreement) -> str:
    token = IntakeToken(name="Prometheus", service=cast.service("Object storage"), severity="critical")
    made = intake.issue(token, now=timezone.now())
    token.save()
    return made


def message(status: str = "firing", key: str = "{}:{alertname='Down'}", **changed: Any) -> dict[str, Any]:
    alert = {
        "status": status,
        "labels": {"alertname": "Down", "instance": "db1"},
        "annotations": {"summary": "db1 does not answer"},
        "startsAt": timezone.now().isoformat(),
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus.example/graph",
        "fingerprint": "c0ffee",
    }
    return {
        "version": "4", "groupKey": key, "truncatedAlerts": 0, "status": status, "receiver": "due-notice",
        "groupLabels": {}, "commonLabels": alert["labels"], "commonAnnotations": alert["annotations"],
        "externalURL": "http://alerts.example", "alerts": [alert], **changed,
    }  # fmt: skip


def post(secret: str, body: object, **options: Any) -> Any:
    content = body if isinstance(body, bytes) else json.dumps(body)
    headers = {"Authorization": f"Bearer {secret}"}
    return Browser(enforce_csrf_checks=True).post(URL, content, content_type="application/json", headers=headers)


@pytest.mark.django_db
def test_a_group_that_fires_opens_an_incident_with_its_deadlines_in_the_name_of_the_token(secret: str) -> None:
    answer = post(secret, message())
    incident = Incident.objects.get()
    assert (answer.status_code, answer.json()) == (200, {"message": "opened", "incident": incident.reference})
    assert (incident.title, incident.severity, incident.client_summary) == ("db1 does not answer", "critical", "")
    assert Deadline.objects.filter(incident=incident).exists()
    row = incident.history.get()
    assert (row.actor_name, row.history_user, row.caller) == ("system: alerts by Prometheus", None, "worker")
    assert {entry.author_name for entry in TimelineEntry.objects.all()} == {"system: alerts by Prometheus"}
    assert not Notice.objects.filter(contact__isnull=False).exists(), "no client is mailed by an alert alone"
    assert IntakeToken.objects.get().last_used_at is not None


@pytest.mark.django_db
def test_the_same_group_is_told_to_the_open_incident_and_what_was_said_before_is_not_told_again(secret: str) -> None:
    first = message()
    post(secret, first)
    assert post(secret, first).json()["message"] == "known"
    more = [*first["alerts"], {**first["alerts"][0], "fingerprint": "beef", "labels": {"alertname": "Slow"}}]
    assert post(secret, {**first, "alerts": more}).json()["message"] == "appended"
    assert post(secret, message("resolved")).json()["message"] == "appended"
    incident = Incident.objects.get()
    assert incident.is_open, "nothing is resolved by a machine"
    texts = [entry.text for entry in incident.timeline.order_by("pk")]
    assert [text.partition("\n")[0] for text in texts[1:]] == [
        "Alerts are firing:",
        "All alerts of the group are resolved; the incident is not:",
    ]
    assert post(secret, message(key="another")).json()["message"] == "opened"
    assert Incident.objects.count() == 2


@pytest.mark.django_db
def test_what_fires_after_the_incident_is_over_opens_another_and_what_was_merged_is_told_there(
    secret: str, olga: User
) -> None:
    post(secret, message())
    first, now = Incident.objects.get(), timezone.now()
    lifecycle.resolve(first, by=olga, now=now)
    assert post(secret, message("resolved")).json() == {"message": "nothing", "incident": None}
    post(secret, message())
    second = Incident.objects.latest("pk")
    assert second != first
    master = lifecycle.declare(
        by=olga, now=now, title="Down", severity="critical", services=[cast.service("Object storage")], detected_at=now
    )
    lifecycle.merge(second, into=master, by=olga, now=timezone.now(), reason="The same.")
    assert post(secret, message("resolved")).json() == {"message": "appended", "incident": master.reference}


@pytest.mark.django_db
def test_labels_decide_only_where_the_token_says_so(secret: str) -> None:
    cast.service("Payments")
    labels = {"service": "payments", "severity": "LOW"}
    post(secret, message(key="1", commonLabels=labels))
    assert Incident.objects.get().severity == "critical"
    token = IntakeToken.objects.get()
    token.reads_labels = True
    cast.save(token)
    post(secret, message(key="2", commonLabels=labels))
    incident = Incident.objects.latest("pk")
    assert (incident.severity, [str(one) for one in incident.services.all()]) == ("low", ["Payments"])
    post(secret, message(key="3", commonLabels={"service": "nothing", "severity": "warning"}))
    assert Incident.objects.latest("pk").severity == "critical"


@pytest.mark.django_db
def test_nothing_typed_there_is_trusted(secret: str, olga: User) -> None:
    evil = "Down\r\nBcc: eve@evil.example\x00\u202e<script>alert(1)</script>{{ 7 }}" + "x" * 900
    alert = {"status": "firing", "labels": {evil: evil, "n": {"a": 1}}, "annotations": {"summary": evil}, "startsAt": 7}
    many = [{**alert, "fingerprint": str(number)} for number in range(intake.MOST_ALERTS)]
    answer = post(secret, message(commonAnnotations={"summary": evil}, alerts=many))
    assert answer.status_code == 200, answer.content
    incident = Incident.objects.get()
    assert len(incident.title) <= 200
    assert not set("\r\n\x00\u202e") & set(incident.title)
    shown = browser_of(olga).get(reverse("admin:incidents_incident_change", args=[incident.pk])).content.decode()
    assert "<script>alert(1)" not in shown
    assert abs(incident.detected_at - timezone.now()).total_seconds() < 60
    long_ago = {**alert, "startsAt": "2001-01-01T00:00:00Z"}
    post(secret, message(key="2", alerts=[long_ago]))
    assert (timezone.now() - Incident.objects.latest("pk").detected_at).total_seconds() < 60


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        (b"", 400, "no JSON"),
        (b"[" * 100_000, 400, "no JSON"),
        (b"\xff", 400, "no JSON"),
        (b"[]", 400, "version 4"),
        ({"version": "3"}, 400, "version 4"),
        ({"version": "4", "groupKey": 7, "status": "firing"}, 400, "groupKey"),
        ({"version": "4", "groupKey": "a", "status": "firing", "alerts": []}, 400, "alerts"),
        ({"version": "4", "groupKey": "a", "status": "firing", "alerts": [7]}, 400, "alerts"),
        ({"version": "4", "groupKey": "a", "status": "firing", "alerts": [{}] * 101}, 400, "max_alerts"),
        (b" " * (webhook.MOST_BYTES + 1), 413, "bytes"),
    ],
)
def test_what_is_no_message_is_refused_with_a_sentence(secret: str, body: object, status: int, sentence: str) -> None:
    answer = post(secret, body)
    assert answer.status_code == status
    assert sentence in answer.json()["message"]
    assert not Incident.objects.exists()


@pytest.mark.django_db
def test_only_a_secret_that_was_not_revoked_opens_the_door(secret: str, ada: User, client: Browser) -> None:
    assert client.get(URL).status_code == 405
    assert client.post(URL, "{}", content_type="application/json").status_code == 401
    assert post(secret[:-1], message()).status_code == 401
    token = IntakeToken.objects.get()
    assert secret not in json.dumps(list(IntakeToken.objects.values()), default=str)
    intake.revoke(token, by=ada, reason="It got out.", now=timezone.now())
    refused = post(secret, message())
    assert (refused.status_code, refused["WWW-Authenticate"]) == (401, "Bearer")
    assert not Incident.objects.exists()
    assert token.history.first().history_change_reason == "It got out."


@pytest.mark.django_db
def test_a_token_that_calls_too_often_is_told_when_to_come_back(secret: str) -> None:
    begins = timezone.now().replace(second=0, microsecond=0)
    token = IntakeToken.objects.get()
    waits = [intake.wait(token, begins) for _call in range(intake.PER_MINUTE + 1)]
    assert waits == [0] * intake.PER_MINUTE + [61]
    assert intake.wait(token, begins + intake.WINDOW) == 0
    cast.past_the_trail(IntakeToken.objects.all(), window_at=timezone.now().replace(second=0, microsecond=0))
    cast.past_the_trail(IntakeToken.objects.all(), window_count=intake.PER_MINUTE * 2)
    answer = post(secret, message())
    if answer.status_code == 200:  # a minute has just begun
        return
    assert answer.status_code == 429
    assert 0 < int(answer["Retry-After"]) <= 61


@pytest.mark.django_db
def test_an_administrator_makes_a_token_whose_secret_is_shown_this_once(ada: User, max_: User) -> None:
    typed = {"name": "Prometheus", "service": cast.service("Payments").pk, "severity": "high"}
    assert browser_of(max_).post("/admin/incidents/intaketoken/add/", typed).status_code == 403
    answer = browser_of(ada).post("/admin/incidents/intaketoken/add/", typed)
    assert "no-store" in answer["Cache-Control"]
    shown = answer.context["secret"]
    assert shown in answer.content.decode()
    token = IntakeToken.objects.get()
    assert intake.find(shown) == token
    assert shown not in browser_of(ada).get(f"/admin/incidents/intaketoken/{token.pk}/change/").content.decode()
    assert token.history.get().actor_name == "Ada Lind (ada)"


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time anyhow.")
def test_eight_that_post_the_same_at_once_open_one_incident(secret: str) -> None:
    body = message()

    def send(_number: int) -> str:
        try:
            return str(post(secret, body).json()["message"])
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        became = sorted(pool.map(send, range(8)))
    assert became == ["known"] * 7 + ["opened"]
    assert Incident.objects.count() == 1
