"""What an insider does to hide a missed deadline lands in the review queue, or changes nothing about the miss."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils import timezone

from agreements.models import Obligation, ServiceAgreement, Severity
from config.audit import concerns, seals
from config.history import acting
from config.models import Concern, User
from config.models.concern import ConcernKind
from incidents import lifecycle
from incidents.models import Deadline, Incident, Standing
from tests import cast

pytestmark = pytest.mark.django_db

HOUR = dt.timedelta(hours=1)


@pytest.fixture
def now() -> dt.datetime:
    """The trail bears the database's instants, so this story is told in present ones."""
    return timezone.now()


@pytest.fixture
def incident(olga: User, northwind: ServiceAgreement, now: dt.datetime) -> Incident:
    """Detected nine hours ago, typed in just now: what was owed within four hours is missed."""
    services = [cast.service("Object storage")]
    return lifecycle.declare(
        title="Storage is down",
        severity=Severity.CRITICAL,
        services=services,
        detected_at=now - 9 * HOUR,
        by=olga,
        now=now,
    )


def notify(incident: Incident) -> Deadline:
    return incident.deadlines.get(obligation=Obligation.NOTIFY)


def kinds() -> set[str]:
    """Of what the rules find in all that was written until now."""
    seals.seal()
    concerns.examine()
    return set(Concern.objects.values_list("kind", flat=True))


def test_an_ordinary_incident_is_no_concern(olga: User, incident: Incident, now: dt.datetime) -> None:
    lifecycle.acknowledge(incident, by=olga, now=now, reason="On it.")
    assert kinds() == set()


def test_a_start_time_that_is_moved_until_nothing_is_missed(olga: User, incident: Incident, now: dt.datetime) -> None:
    assert notify(incident).standing(now) == Standing.MISSED
    lifecycle.correct_times(
        incident, detected_at=now - HOUR, by=olga, now=now, reason="The first alarm was about another disk."
    )
    assert notify(incident).standing(now) == Standing.RUNNING
    assert kinds() == {ConcernKind.TIME_MOVED, ConcernKind.EXCUSED}
    assert {concern.actor for concern in Concern.objects.all()} == {olga}


def test_a_client_who_was_told_in_time_as_somebody_says_hours_later(
    olga: User, incident: Incident, now: dt.datetime
) -> None:
    deadline = notify(incident)
    with acting(olga, reason="I had called them, and forgot to enter it."):
        deadline.met_at = now - 6 * HOUR
        deadline.next_action_at = None
        deadline.save()
    assert kinds() == {ConcernKind.EXCUSED}


def test_a_start_time_that_is_moved_and_excuses_nothing(
    olga: User, northwind: ServiceAgreement, incident: Incident, now: dt.datetime
) -> None:
    fresh = lifecycle.declare(
        title="Slow",
        severity=Severity.CRITICAL,
        services=[cast.service("Object storage")],
        detected_at=now - HOUR,
        by=olga,
        now=now,
    )
    for moved in (incident, fresh):  # missed by hours all the same; never missed
        at = moved.detected_at + HOUR / 2
        lifecycle.correct_times(moved, detected_at=at, by=olga, now=now, reason="The log says so.")
    assert kinds() == {ConcernKind.TIME_MOVED}


def test_what_was_done_in_time_and_typed_in_a_moment_after_it_is_no_concern(
    olga: User, northwind: ServiceAgreement, now: dt.datetime
) -> None:
    second = dt.timedelta(seconds=1)
    late = lifecycle.declare(
        title="Down",
        severity=Severity.CRITICAL,
        services=[cast.service("Object storage")],
        detected_at=now - 4 * HOUR - 10 * second,
        by=olga,
        now=now,
    )
    deadline = notify(late)
    assert deadline.due_at == now - 10 * second
    with acting(olga, reason="Told on the bridge."):
        deadline.met_at, deadline.next_action_at = now - 20 * second, None
        deadline.save()
    assert kinds() == set()


def test_any_instant_that_is_moved_but_none_that_a_verb_takes_back(
    olga: User, incident: Incident, now: dt.datetime
) -> None:
    lifecycle.resolve(incident, by=olga, now=now)
    lifecycle.reopen(incident, by=olga, now=now, reason="It is down again.")
    assert ConcernKind.TIME_MOVED not in kinds()
    incident.refresh_from_db()
    with acting(olga, reason="It was entered for another incident."):
        incident.acknowledged_at = now - HOUR
        incident.save()
    with acting(olga, reason="It was even earlier."):
        incident.acknowledged_at = now - 2 * HOUR
        incident.save()
    assert ConcernKind.TIME_MOVED in kinds()


def test_a_severity_that_is_lowered_while_something_is_owed(olga: User, incident: Incident, now: dt.datetime) -> None:
    lifecycle.reclassify(incident, Severity.LOW, by=olga, now=now, reason="Only a test bucket is affected.")
    assert ConcernKind.LOWERED in kinds()
    assert notify(incident).standing(now) == Standing.MISSED, "what was missed stays missed"


def test_a_severity_that_is_raised_is_no_concern(olga: User, northwind: ServiceAgreement, now: dt.datetime) -> None:
    services = [cast.service("Object storage")]
    low = lifecycle.declare(
        title="Slow", severity=Severity.LOW, services=services, detected_at=now - 9 * HOUR, by=olga, now=now
    )
    lifecycle.reclassify(low, Severity.CRITICAL, by=olga, now=now, reason="It is down for everybody.")
    assert not kinds()


def test_terms_that_are_made_longer_while_they_are_in_force(max_: User, northwind: ServiceAgreement) -> None:
    commitment = northwind.commitments.get(obligation=Obligation.NOTIFY)
    with acting(max_, reason="The paper says 24 hours."):
        commitment.amount = 24
        commitment.save()
    assert kinds() == {ConcernKind.TERMS_CHANGED}


def test_a_deadline_met_within_its_time_is_no_concern(
    olga: User, northwind: ServiceAgreement, now: dt.datetime
) -> None:
    services = [cast.service("Object storage")]
    fresh = lifecycle.declare(
        title="Down", severity=Severity.CRITICAL, services=services, detected_at=now - HOUR, by=olga, now=now
    )
    lifecycle.acknowledge(fresh, by=olga, now=now, reason="On it.")
    assert kinds() == set()
