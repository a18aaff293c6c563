"""How long each phase of an incident took is computed from what happened."""

from __future__ import annotations

import datetime as dt

import pytest

from agreements.models import Obligation, Service, ServiceAgreement
from config.models import User
from incidents import lifecycle
from incidents.models import Incident
from reviews import phases
from reviews.phases import PhaseName
from tests import cast
from tests.cast import at

pytestmark = pytest.mark.django_db


@pytest.fixture
def incident(olga: User, northwind: ServiceAgreement) -> Incident:
    return lifecycle.declare(
        by=olga,
        now=at("12:10"),
        title="Storage is down",
        severity="critical",
        services=list(Service.objects.all()),
        occurred_at=at("11:50"),
        detected_at=at("12:00"),
    )


def took(incident: Incident) -> dict[PhaseName, dt.timedelta | None]:
    told = phases.first_notified([incident.pk])
    return {phase.name: phase.took for phase in phases.of(incident, told.get(incident.pk))}


def test_each_phase_runs_from_detection_and_detection_from_when_it_happened(
    incident: Incident, olga: User, northwind: ServiceAgreement
) -> None:
    lifecycle.acknowledge(incident, by=olga, now=at("12:15"))
    lifecycle.record_told(incident, northwind.client, Obligation.NOTIFY, by=olga, now=at("12:40"), evidence="By phone.")
    lifecycle.mitigate(incident, by=olga, now=at("13:00"))
    incident = lifecycle.resolve(incident, by=olga, now=at("14:30"))
    assert {name.value: span and span.total_seconds() / 60 for name, span in took(incident).items()} == {
        "detection": 10,
        "acknowledgement": 15,
        "notice": 40,
        "mitigation": 60,
        "resolution": 150,
    }


def test_what_has_not_come_or_is_not_known_took_no_time(incident: Incident) -> None:
    found = took(incident)
    assert found.pop(PhaseName.DETECTION) == dt.timedelta(minutes=10)
    assert set(found.values()) == {None}
    incident.occurred_at = None
    assert took(incident)[PhaseName.DETECTION] is None


def test_a_notice_that_was_accepted_counts_where_no_commitment_asks_for_one(incident: Incident, olga: User) -> None:
    lifecycle.notify_client(incident, by=olga, now=at("12:20"))
    cast.past_the_trail(incident.notices.all(), accepted_at=at("12:25"))
    assert took(incident)[PhaseName.NOTICE] == dt.timedelta(minutes=25)
