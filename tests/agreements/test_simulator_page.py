"""The simulator's page: who may ask, what it answers, and that it writes nothing."""

from __future__ import annotations

import html
from typing import Any

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from agreements.models import Contact, Obligation, ServiceAgreement, StartEvent
from config.models import User
from tests import cast
from tests.cast import browser_of

MARKUP = "<script>alert(1)</script>"
FRIDAY = {"detected_at": "2026-11-27T17:55", "severity": "critical"}


def address(agreement: ServiceAgreement) -> str:
    return reverse("admin:agreements_serviceagreement_simulate", args=[agreement.pk])


@pytest.fixture
def browser(aude: User) -> Browser:
    """Aude's, who is an auditor and reads times in UTC."""
    return browser_of(aude)


def shown(browser: Browser, agreement: ServiceAgreement, **asked: Any) -> str:
    response = browser.get(address(agreement), {**FRIDAY, **asked})
    assert response.status_code == 200
    return html.unescape(response.content.decode())


@pytest.mark.parametrize("role", ["olga", "max_", "aude", "ada"])
def test_everybody_who_may_see_an_agreement_may_ask(
    role: str, request: pytest.FixtureRequest, contoso: ServiceAgreement
) -> None:
    browser = browser_of(request.getfixturevalue(role))
    page = browser.get(reverse("admin:agreements_serviceagreement_change", args=[contoso.pk])).content.decode()
    assert f'href="{address(contoso)}"' in page
    assert browser.get(address(contoso)).status_code == 200


def test_nobody_else_may(roles: None, contoso: ServiceAgreement) -> None:
    guest = User.objects.create_user("guest", is_staff=True)
    assert browser_of(guest).get(address(contoso)).status_code == 403
    assert Browser().get(address(contoso)).status_code == 302


def test_it_is_only_read(browser: Browser, contoso: ServiceAgreement) -> None:
    for method in ("post", "put", "patch", "delete"):
        assert getattr(browser, method)(address(contoso)).status_code == 405
    assert browser.get(address(contoso).replace(str(contoso.pk), "4711")).status_code == 404
    with CaptureQueriesContext(connection) as captured:
        browser.get(address(contoso), FRIDAY)
    asked = [query["sql"].lstrip("(") for query in captured]
    writing = [sql for sql in asked if not sql.lstrip("(").startswith(("SELECT", "SAVEPOINT", "RELEASE"))]
    assert not writing


def test_the_first_visit_answers_for_a_friday_evening(browser: Browser, contoso: ServiceAgreement) -> None:
    response = browser.get(address(contoso))
    simulation = response.context["simulation"]
    assert simulation.detected_at.weekday() == 4
    assert simulation.severity == "critical"


def test_the_instant_is_typed_in_the_zone_of_the_calendar(browser: Browser, contoso: ServiceAgreement) -> None:
    response = browser.get(address(contoso), FRIDAY)
    assert response.context["simulation"].detected_at == cast.at("16:55", day=27)
    assert '<span class="zone">Europe/Berlin</span>' in response.content.decode()


def test_the_answer_shows_both_zones_the_mails_and_why(browser: Browser, northwind: ServiceAgreement) -> None:
    text = shown(browser, northwind)
    for expected in (
        "4 h 0 min after detection",
        "Fri 27 Nov 2026, 21:55 UTC",
        "Fri 27 Nov 2026, 16:55 EST",
        "Holding notice (90 % of the allowance) → Northwind Operations <ops@northwind.example>",
        "Why then?",
        "So it is due at Fri 27 Nov 2026, 21:55 UTC.",
        "Mails to the agreement's owner reach nobody",
    ):
        assert expected in text


def test_the_picture_has_words_and_no_inline_style(browser: Browser, contoso: ServiceAgreement) -> None:
    text = shown(browser, contoso)
    assert 'role="img" aria-labelledby="picture-title picture-words"' in text
    assert "Notify the client: 2 d 18 h after detection." in text
    assert "style=" not in text[text.index("<svg") : text.index("</svg>")]


def test_other_events_and_chains_can_be_told(browser: Browser, contoso: ServiceAgreement) -> None:
    first = cast.commit(contoso, Obligation.REPORT, 1, label="first", start_event=StartEvent.RESOLVED)
    cast.commit(contoso, Obligation.REPORT, 2, label="second", start_event=StartEvent.COMMITMENT, follows=first)
    waiting = shown(browser, contoso)
    assert "waits for resolution" in waiting
    assert "waits for “Report (first)” being met" in waiting
    resolved = shown(browser, contoso, resolved_at="2026-11-27T18:00")
    assert "if “Report (first)” is met exactly when it is due" in resolved
    met = shown(browser, contoso, resolved_at="2026-11-27T18:00", **{f"met_{first.pk}": "2026-11-27T18:30"})
    assert "So it is due at Fri 27 Nov 2026, 20:30 CET." in met


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"detected_at": ""}, "This field is required."),
        ({"detected_at": "tomorrow"}, "Enter a valid date/time."),
        ({"detected_at": "2027-03-28T02:30"}, "that time does not exist in Europe/Berlin"),
        ({"detected_at": "9999-12-31T23:59"}, "That is after the year 2999."),
        ({"severity": "urgent"}, "Select a valid choice."),
        ({"resolved_at": "2026-11-27T17:00"}, "This cannot be before detection."),
        ({"occurred_at": "2026-11-27T18:00"}, "It cannot happen after it was detected."),
    ],
)
def test_what_cannot_be_answered_is_refused_with_a_sentence(
    browser: Browser, contoso: ServiceAgreement, asked: dict[str, str], sentence: str
) -> None:
    text = shown(browser, contoso, **asked)
    assert sentence in text
    assert "What would be owed" not in text


def test_a_severity_without_commitments_says_so(browser: Browser, northwind: ServiceAgreement) -> None:
    assert "no commitment for that severity" in shown(browser, northwind, severity="low")


def test_markup_in_names_is_shown_as_it_was_typed(browser: Browser, contoso: ServiceAgreement) -> None:
    cast.commit(contoso, Obligation.NOTIFY, 2, label=MARKUP, clause_number=MARKUP[:20])
    contact = Contact.objects.filter(client=contoso.client).first()
    assert contact is not None
    contact.name = contoso.calendar.name = contoso.client.name = MARKUP
    for row in (contact, contoso.calendar, contoso.client):
        cast.save(row)
    page = browser.get(address(contoso), FRIDAY).content.decode()
    assert MARKUP not in page
    assert "&lt;script&gt;" in page
    assert MARKUP not in browser.get(address(contoso), {**FRIDAY, "detected_at": MARKUP}).content.decode()


def test_the_page_asks_as_often_however_much_is_agreed(browser: Browser, contoso: ServiceAgreement) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            shown(browser, contoso)
        return len(captured)

    few = queries()
    for number in range(5):
        cast.warn(cast.commit(contoso, Obligation.REPORT, 3, label=f"report {number}"), 50)
        Contact.objects.create(client=contoso.client, name="More", address=f"more{number}@contoso.example")
    assert queries() == few
