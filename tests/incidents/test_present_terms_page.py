"""The page on which present terms are applied: who may, what it shows, what is kept when it is refused."""

from __future__ import annotations

import datetime as dt

import pytest
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from agreements.models import Obligation, ServiceAgreement, Severity
from config.models import User
from incidents import lifecycle
from incidents.admin import badges
from incidents.models import Incident, Standing
from incidents.models.incident import Status
from incidents.models.notice import NoticeState
from tests import cast

pytestmark = pytest.mark.django_db


@pytest.fixture
def incident(olga: User, northwind: ServiceAgreement) -> Incident:
    """Declared a minute ago; since then the agreement says two hours instead of four."""
    now = timezone.now()
    incident = lifecycle.declare(
        by=olga,
        now=now,
        title="Storage is down <b>",
        severity=Severity.CRITICAL,
        services=[cast.service("Object storage")],
        detected_at=now - dt.timedelta(minutes=1),
    )
    commitment = northwind.commitments.get(obligation=Obligation.NOTIFY)
    commitment.amount = 2
    cast.save(commitment)
    return incident


@pytest.fixture
def url() -> str:
    return reverse("admin:incidents_deadline_present_terms")


@pytest.mark.parametrize(("person", "status"), [("olga", 403), ("max_", 200), ("aude", 403)])
def test_only_those_who_keep_agreements_may_open_it(
    request: pytest.FixtureRequest, client: Browser, url: str, person: str, status: int
) -> None:
    client.force_login(request.getfixturevalue(person))
    assert client.get(url).status_code == status
    assert client.post(url, {"chosen": [], "reason": "x"}).status_code == status
    assert client.put(url).status_code in (405, 403)


def test_it_shows_before_and_after_and_changes_nothing_until_it_is_pressed(
    client: Browser, url: str, max_: User, incident: Incident
) -> None:
    client.force_login(max_)
    before = incident.deadlines.get(obligation=Obligation.NOTIFY)
    page = client.get(url).content.decode()
    assert "Would be due" in page
    assert "within 4 hours of detection" in page
    assert "Storage is down &lt;b&gt;" in page
    assert incident.deadlines.get(obligation=Obligation.NOTIFY).due_at == before.due_at


def test_without_a_reason_it_is_refused_and_the_choice_is_kept(
    client: Browser, url: str, max_: User, incident: Incident
) -> None:
    client.force_login(max_)
    deadline = incident.deadlines.get(obligation=Obligation.NOTIFY)
    page = client.post(url, {"chosen": [deadline.pk], "reason": ""}).content.decode()
    assert "This field is required" in page
    assert f'value="{deadline.pk}" id="chosen-{deadline.pk}" checked' in page


def test_applied_it_moves_the_chosen_and_is_in_the_trail(
    client: Browser, url: str, max_: User, incident: Incident
) -> None:
    client.force_login(max_)
    deadline = incident.deadlines.get(obligation=Obligation.NOTIFY)
    client.post(url, {"chosen": [deadline.pk], "reason": "Northwind asked for it."})
    moved = incident.deadlines.get(obligation=Obligation.NOTIFY)
    assert moved.due_at == incident.detected_at + dt.timedelta(hours=2)
    assert moved.history.first().history_change_reason == "Northwind asked for it."
    assert "nothing to apply" in client.get(url).content.decode()


def test_every_choice_has_its_badge() -> None:
    assert all(badges.standing(value) for value in Standing)
    assert all(badges.status(value) for value in Status)
    assert all(badges.severity(value) for value in Severity)
    assert all(badges.notice_state(value) for value in NoticeState)


class TestVerbPages:
    def test_a_merge_is_shown_before_it_is_done(self, client: Browser, olga: User, incident: Incident) -> None:
        now = timezone.now()
        master = lifecycle.declare(
            by=olga,
            now=now,
            title="Payments delayed",
            severity=Severity.CRITICAL,
            services=[cast.service("Payments")],
            detected_at=now - dt.timedelta(seconds=30),
        )
        client.force_login(olga)
        page = reverse("admin:incidents_incident_merge", args=[incident.pk])
        shown = client.post(page, {"into": master.pk, "reason": "One cause."}, follow=True).content.decode()
        assert "would count as detected at" in shown
        assert 'value="One cause."' in shown, "nothing typed is lost"
        assert Incident.objects.get(pk=incident.pk).status == Status.DECLARED
        client.post(page, {"into": master.pk, "reason": "One cause.", "is_previewed": "on"})
        assert Incident.objects.get(pk=incident.pk).merged_into == master
        assert client.get(reverse("admin:incidents_incident_change", args=[incident.pk])).status_code == 200

    def test_pause_and_resume_take_turns(self, client: Browser, olga: User, northwind: ServiceAgreement) -> None:
        cast.commit(northwind, Obligation.MITIGATE, 4, is_pausable=True)
        now = timezone.now()
        incident = lifecycle.declare(
            by=olga,
            now=now,
            title="Storage is down",
            severity=Severity.CRITICAL,
            services=[cast.service("Object storage")],
            detected_at=now,
        )
        client.force_login(olga)
        for verb, reason in (("pause", "Waiting for their logs."), ("resume", "They came.")):
            page = reverse(f"admin:incidents_incident_{verb}", args=[incident.pk])
            assert client.get(page).status_code == 200
            assert client.post(page, {"reason": reason}).status_code == 302
        assert incident.pauses.get().ends_at is not None
