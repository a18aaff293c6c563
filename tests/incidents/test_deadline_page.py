"""The page of one deadline answers “why is it due then?”, from what is stored and from the trail."""

from __future__ import annotations

import datetime as dt
import html
from typing import Any

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from agreements.models import Obligation, ServiceAgreement, StartEvent
from config.models import User
from incidents import lifecycle
from incidents.models import Deadline, Incident
from tests import cast
from tests.cast import browser_of

MARKUP = "<script>alert(1)</script>"
FRIDAY_1600 = cast.at("15:00", day=27)  # in Berlin
HOUR = dt.timedelta(hours=1)


@pytest.fixture
def bare(roles: None) -> ServiceAgreement:
    client = cast.client("Contoso", "Europe/Berlin", "it@contoso.example")
    return cast.agreement("CT-1", client, cast.office_hours(), cast.service("Storage"))


def declared(by: User, **changes: Any) -> Incident:
    told: dict[str, Any] = {
        "title": "Storage is down",
        "severity": "critical",
        "services": [cast.service("Storage")],
        "detected_at": FRIDAY_1600,
    }
    return lifecycle.declare(by=by, now=FRIDAY_1600 + HOUR, **{**told, **changes})


def page_of(deadline: Deadline) -> str:
    return reverse("admin:incidents_deadline_change", args=[deadline.pk])


def shown(by: User, deadline: Deadline) -> str:
    response = browser_of(by).get(page_of(deadline))
    assert response.status_code == 200
    return html.unescape(response.content.decode())


@pytest.mark.parametrize("role", ["olga", "max_", "aude", "ada"])
def test_everybody_who_may_see_a_deadline_reads_why_it_is_due_then(
    role: str, request: pytest.FixtureRequest, olga: User, bare: ServiceAgreement
) -> None:
    cast.commit(bare, Obligation.NOTIFY, 3, unit="business_hours", clause_number="7.2")
    incident = declared(olga, reason="The monitoring rang.")
    reader = olga if role == "olga" else request.getfixturevalue(role)
    text = shown(reader, incident.deadlines.get())
    for expected in (
        "Why is it due then?",
        "The clause asks for it within 3 business hours of detection.",
        "The clock starts with detection: Fri 27 Nov 2026, 16:00 CET.",
        "So it is due at Mon 30 Nov 2026, 11:00 CET.",
        "16:00–17:00 CET",
        "09:00–11:00 CET",
        "Olga Petrova (olga)",
        "The monitoring rang.",
        "7.2",
        "As agreed.",
        "Office hours (Europe/Berlin)",
        incident.deadlines.get().iana_version,
    ):
        assert expected in text


def test_nobody_else_does(olga: User, bare: ServiceAgreement) -> None:
    cast.commit(bare, Obligation.NOTIFY, 3)
    deadline = declared(olga).deadlines.get()
    guest = User.objects.create_user("guest", is_staff=True)
    assert browser_of(guest).get(page_of(deadline)).status_code == 403
    assert Browser().get(page_of(deadline)).status_code == 302


def test_the_one_who_set_the_instant_that_holds_is_named(olga: User, max_: User, bare: ServiceAgreement) -> None:
    cast.commit(bare, Obligation.NOTIFY, 3)
    incident = declared(olga)
    lifecycle.correct_times(
        incident,
        by=max_,
        now=FRIDAY_1600 + 2 * HOUR,
        reason="The log says so.",
        detected_at=FRIDAY_1600 - HOUR,
    )
    lifecycle.acknowledge(incident, by=olga, now=FRIDAY_1600 + 2 * HOUR)
    text = shown(olga, incident.deadlines.get())
    assert "Max Weber (max)" in text
    assert "The log says so." in text


def test_a_waiting_deadline_says_what_it_waits_for(olga: User, bare: ServiceAgreement) -> None:
    cast.commit(bare, Obligation.REPORT, 5, unit="business_days", start_event=StartEvent.RESOLVED)
    text = shown(olga, declared(olga).deadlines.get())
    assert "It waits for resolution: until then the clock does not start and nothing is due." in text


def test_a_chain_names_who_met_the_step_before(olga: User, max_: User, bare: ServiceAgreement) -> None:
    first = cast.commit(bare, Obligation.ACKNOWLEDGE, 1)
    cast.commit(bare, Obligation.NOTIFY, 4, start_event=StartEvent.COMMITMENT, follows=first)
    incident = declared(olga)
    lifecycle.acknowledge(incident, by=max_, now=FRIDAY_1600 + HOUR)
    text = shown(olga, incident.deadlines.get(obligation=Obligation.NOTIFY))
    assert "The clock starts with “Acknowledge” being met: Fri 27 Nov 2026, 17:00 CET." in text
    assert "Max Weber (max)" in text


def test_a_later_cycle_says_that_it_began_anew(olga: User, bare: ServiceAgreement) -> None:
    cast.commit(bare, Obligation.RESOLVE, 8)
    incident = declared(olga)
    lifecycle.resolve(incident, by=olga, now=FRIDAY_1600 + 2 * HOUR)
    lifecycle.reopen(incident, by=olga, now=FRIDAY_1600 + 3 * HOUR, reason="It is back.")
    text = shown(olga, incident.deadlines.get(cycle=2))
    assert "The clock of this cycle starts at Fri 27 Nov 2026, 19:00 CET." in text


def test_a_count_that_would_differ_today_is_said_aloud(olga: User, bare: ServiceAgreement) -> None:
    cast.commit(bare, Obligation.NOTIFY, 3)
    deadline = declared(olga).deadlines.get()
    deadline.due_at = FRIDAY_1600 + 4 * HOUR
    cast.save(deadline)
    text = shown(olga, deadline)
    assert "Counted today it would be due at Fri 27 Nov 2026, 19:00 CET" in text
    assert "what holds is Fri 27 Nov 2026, 20:00 CET" in text


def test_the_pause_that_goes_on_is_said(olga: User, bare: ServiceAgreement) -> None:
    cast.commit(bare, Obligation.RESOLVE, 8, is_pausable=True)
    incident = declared(olga)
    lifecycle.pause(incident, by=olga, now=FRIDAY_1600 + HOUR, reason="The client is asked.")
    assert "stands still since Fri 27 Nov 2026, 17:00 CET" in shown(olga, incident.deadlines.get())


def test_markup_in_what_people_typed_is_shown_as_they_typed_it(olga: User, bare: ServiceAgreement) -> None:
    bare.clause = bare.calendar.name = MARKUP
    cast.save(bare)
    cast.save(bare.calendar)
    cast.commit(bare, Obligation.NOTIFY, 3, clause_number=MARKUP[:20])
    deadline = declared(olga, reason=MARKUP).deadlines.get()
    page = browser_of(olga).get(page_of(deadline)).content.decode()
    assert MARKUP not in page
    assert "&lt;script&gt;" in page


def test_the_page_asks_as_often_however_much_happened(olga: User, bare: ServiceAgreement) -> None:
    cast.commit(bare, Obligation.NOTIFY, 300, unit="business_hours")
    incident = declared(olga)
    browser = browser_of(olga)

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert browser.get(page_of(incident.deadlines.get())).status_code == 200
        return len(captured)

    queries()
    few = queries()
    lifecycle.acknowledge(incident, by=olga, now=FRIDAY_1600 + HOUR)
    lifecycle.correct_times(
        incident, by=olga, now=FRIDAY_1600 + HOUR, reason="The log.", occurred_at=FRIDAY_1600 - HOUR
    )
    assert queries() == few


def test_the_incidents_page_leads_there(olga: User, bare: ServiceAgreement) -> None:
    cast.commit(bare, Obligation.NOTIFY, 3)
    cast.commit(bare, Obligation.RESOLVE, None)
    incident = declared(olga)
    page = browser_of(olga).get(reverse("admin:incidents_incident_change", args=[incident.pk])).content.decode()
    deadline = incident.deadlines.get(obligation=Obligation.NOTIFY)
    assert f'href="{page_of(deadline)}#why"' in page
    assert page.count("why then?") == 1, "a duty without a number has no due time to ask about"
