"""Before an incident is declared: what would start, which open ones are like it, and that one form declares once."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext

from agreements import presets
from agreements.models import Obligation, Service, ServiceAgreement, Severity, StartEvent
from config.models import User
from incidents import lifecycle
from incidents.lifecycle import AlreadyDeclared, Refused
from incidents.models import AffectedAgreement, Deadline, Incident, ReferenceCounter
from incidents.similarity import similar_to
from tests import cast
from tests.cast import at

pytestmark = pytest.mark.django_db

#: A Friday evening, five minutes to six in Berlin.
FRIDAY = dt.datetime(2026, 11, 27, 16, 55, tzinfo=dt.UTC)
NOW = FRIDAY + dt.timedelta(minutes=40)
COMPUTED = ("started_at", "due_at", "at_risk_at", "target_at", "moments", "next_action_at", "cycle", "severity")


def facts(**said: Any) -> dict[str, Any]:
    usual = {"severity": Severity.CRITICAL, "services": [cast.service("Object storage")], "detected_at": FRIDAY}
    return {"now": NOW, **usual, **said}


def declare(by: User, **said: Any) -> Incident:
    return lifecycle.declare(by=by, **facts(**{"title": "Storage is down", **said}))


def computed(deadline: Deadline) -> dict[str, Any]:
    return {name: getattr(deadline, name) for name in COMPUTED}


def assert_foreseen(said: dict[str, Any], by: User) -> None:
    foreseen = {row.deadline.commitment.pk: row for row in lifecycle.foresee(**said)}
    stored = lifecycle.declare(by=by, title="Storage is down", **said).deadlines.all()
    assert {deadline.commitment_id for deadline in stored} == foreseen.keys()
    for deadline in stored:
        row = foreseen[deadline.commitment_id]
        assert computed(row.deadline) == computed(deadline)
        assert row.terms.digest() == deadline.terms_copy_id
        assert (row.deadline.follows and row.deadline.follows.commitment) == (
            deadline.follows and deadline.follows.commitment
        )


# ── what would start ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("severity", Severity.values)
@pytest.mark.parametrize("preset", list(presets.PRESETS))
def test_what_is_foreseen_is_what_declaring_stores(olga: User, preset: str, severity: str) -> None:
    for calendar in (cast.office_hours(), cast.always_open()):
        client = cast.client(calendar.name, "Europe/Berlin", f"{calendar.pk}@x.example")
        made = cast.agreement(calendar.name, client, calendar, cast.service("Object storage"))
        presets.apply_preset(made, preset, hours=4)
    assert_foreseen(facts(severity=severity), olga)


def test_backdated_with_every_instant_given_it_is_the_same(olga: User, northwind: ServiceAgreement) -> None:
    for event in (StartEvent.OCCURRED, StartEvent.AWARE, StartEvent.CLASSIFIED):
        cast.commit(northwind, Obligation.NOTIFY, 1, start_event=event, label=event.label)
    cast.commit(northwind, Obligation.MITIGATE, 2, is_pausable=True)
    hour = dt.timedelta(hours=1)
    assert_foreseen(facts(occurred_at=FRIDAY - 30 * hour, aware_at=FRIDAY + hour / 2), olga)
    assert_foreseen(facts(detected_at=FRIDAY - 20 * hour), olga)


def test_agreements_not_in_force_at_detection_are_not_foreseen_either(
    olga: User, northwind: ServiceAgreement, contoso: ServiceAgreement
) -> None:
    northwind.ends_at = FRIDAY
    cast.save(northwind)
    clients = {row.deadline.client.name for row in lifecycle.foresee(**facts())}
    assert clients == {"Contoso"}
    assert_foreseen(facts(), olga)


def test_foreseeing_only_reads(northwind: ServiceAgreement, contoso: ServiceAgreement) -> None:
    cast.commit(northwind, Obligation.MITIGATE, 2, is_pausable=True)
    with CaptureQueriesContext(
        connection,
    ) as asked:
        assert lifecycle.foresee(**facts())
        similar_to("Storage is down", list(Service.objects.all()))
    assert asked.captured_queries
    assert all(query["sql"].startswith("SELECT") for query in asked.captured_queries)
    assert not any("FOR UPDATE" in query["sql"] for query in asked.captured_queries)
    for model in (Incident, Deadline, AffectedAgreement, ReferenceCounter):
        assert not model._default_manager.exists()


def test_however_many_agreements_apply_it_takes_as_many_queries(
    northwind: ServiceAgreement, django_assert_num_queries: Callable[[int], AbstractContextManager[Any]]
) -> None:
    said = facts()
    with CaptureQueriesContext(connection) as alone:
        lifecycle.foresee(**said)
    for number in range(10):
        made = cast.agreement(f"A-{number}", cast.client(f"C{number}", "UTC"), cast.always_open(f"C{number}"))
        made.coverage.create(service=cast.service("Object storage"))
        presets.apply_preset(made, "dora")
    with django_assert_num_queries(len(alone.captured_queries)):
        assert len(lifecycle.foresee(**said)) == 32


def test_what_cannot_be_declared_cannot_be_foreseen(northwind: ServiceAgreement) -> None:
    wrong: dict[str, Any]
    for wrong in ({"services": []}, {"detected_at": NOW + dt.timedelta(hours=1)}, {"occurred_at": NOW}):
        with pytest.raises(Refused):
            lifecycle.foresee(**facts(**wrong))


# ── one form declares once ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_token_declares_once_and_the_second_time_names_what_it_declared(
    olga: User, northwind: ServiceAgreement
) -> None:
    token = uuid.uuid4()
    first = declare(olga, token=token)
    with pytest.raises(AlreadyDeclared, match=first.reference) as refused:
        declare(olga, token=token, title="Another title")
    assert refused.value.incident == first
    assert Incident.objects.count() == 1
    assert declare(olga, token=uuid.uuid4()).reference.endswith("0002"), "no number is lost by the refusal"
    assert declare(olga).declaration_token is None


def test_the_database_itself_refuses_a_token_twice(olga: User, northwind: ServiceAgreement) -> None:
    first, second = declare(olga, token=uuid.uuid4()), declare(olga)
    second.declaration_token = first.declaration_token
    with pytest.raises(ValidationError):
        second.validate_unique()


# ── similar ones ────────────────────────────────────────────────────────────────────────────────────────────────────


def references(title: str, *services: str) -> list[tuple[str, str]]:
    found = similar_to(title, list(Service.objects.filter(name__in=services)))
    return [(similar.incident.title, similar.shared) for similar in found]


def test_open_incidents_of_the_same_service_come_first_then_those_with_a_title_like_it(olga: User) -> None:
    storage, dns = cast.service("Object storage"), cast.service("DNS")
    declare(olga, title="Resolver is slow", services=[dns])
    declare(olga, title="Uploads to object storage fail", services=[cast.service("Gateway")])
    declare(olga, title="Buckets are gone", services=[storage, dns])
    assert references("Uploads to storage fail", "Object storage") == [
        ("Buckets are gone", "Object storage"),
        ("Uploads to object storage fail", ""),
    ]
    assert references("Payments are late") == []
    assert references("", "DNS") == [("Buckets are gone", "DNS"), ("Resolver is slow", "DNS")]


def test_what_is_resolved_is_not_similar(olga: User) -> None:
    incident = declare(olga)
    lifecycle.resolve(incident, by=olga, now=NOW)
    assert references("Storage is down", "Object storage") == []


def test_however_many_are_open_a_few_are_shown_in_three_queries(
    olga: User, django_assert_num_queries: Callable[[int], AbstractContextManager[Any]]
) -> None:
    for number in range(8):
        declare(olga, title=f"Storage is down ({number})", now=at("18:00", 27) + dt.timedelta(minutes=number))
    services = list(Service.objects.all())
    with django_assert_num_queries(3):
        found = similar_to("Storage is down", services)
    assert [similar.incident.title[-2] for similar in found] == ["7", "6", "5", "4", "3"]
