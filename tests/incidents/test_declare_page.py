"""The form that declares: what it shows before, what it keeps when refused, and that one form declares once."""

from __future__ import annotations

import datetime as dt
import html
import re
import threading
import uuid
from typing import Any

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from agreements import presets
from agreements.models import Contact, Service, ServiceAgreement, SeverityDefinition
from config.models import User
from incidents import lifecycle
from incidents.models import AffectedAgreement, Deadline, Incident, ReferenceCounter, TermsCopy
from tests import cast
from tests.cast import browser_of

pytestmark = pytest.mark.django_db

PAGE, AHEAD = "/admin/incidents/incident/add/", "/admin/incidents/incident/add/ahead/"
HOUR = dt.timedelta(hours=1)
WRITES = re.compile("INSERT|UPDATE|DELETE|CREATE|DROP")


def shown(response: Any) -> str:
    assert response.status_code == 200
    return " ".join(html.unescape(response.content.decode()).split())


def wall(instant: dt.datetime) -> str:
    return instant.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S")


def typed(**changes: Any) -> dict[str, Any]:
    usual = {
        "token": str(uuid.uuid4()),
        "title": "Object storage is down",
        "services": [cast.service("Object storage").pk],
        "severity": "critical",
        "category": "outage",
        "detected_at": wall(timezone.now() - HOUR),
    }
    return {name: value for name, value in {**usual, **changes}.items() if value is not None}


def declared(by: User, **changes: Any) -> Incident:
    now = timezone.now()
    facts = {"title": "Storage is down", "severity": "critical", "services": [cast.service("Object storage")]}
    return lifecycle.declare(by=by, now=now, detected_at=now - HOUR, **{**facts, **changes})


# ── what follows ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("address", [PAGE, AHEAD])
def test_it_shows_which_agreements_apply_what_is_due_when_and_who_is_told(
    browser: Browser, northwind: ServiceAgreement, contoso: ServiceAgreement, address: str
) -> None:
    detected_at = timezone.now() - HOUR
    text = shown(browser.post(address, {**typed(detected_at=wall(detected_at)), "preview": "1"}))
    assert "Northwind · NW-2025-03" in text
    assert "Contoso · CT-2024-11" in text
    assert f"{detected_at + 4 * HOUR:%H:%M} UTC" in text, "Northwind's notice"
    assert f"{detected_at + 3.6 * HOUR:%H:%M} UTC" in text, "its holding notice"
    assert "If nobody acts, 1 contact will be mailed:" in text
    assert "If nobody acts, 2 contacts will be mailed:" in text
    assert "for the client" in text
    assert "2 agreements apply. Due first:" in text
    assert "2 h 59 min</time>" in text


@pytest.mark.parametrize("address", [PAGE, AHEAD])
def test_looking_ahead_only_reads(
    browser: Browser, olga: User, northwind: ServiceAgreement, contoso: ServiceAgreement, address: str
) -> None:
    kept = declared(olga)
    rows = [Deadline, AffectedAgreement, ReferenceCounter, TermsCopy, Incident]
    before = [list(model.objects.order_by("pk").values()) for model in rows]  # type: ignore[attr-defined]
    with CaptureQueriesContext(connection) as asked:
        assert kept.reference in shown(browser.post(address, {**typed(), "preview": "1"}))
    written = [sql for query in asked.captured_queries if WRITES.match(sql := query["sql"]) or "FOR UPDATE" in sql]
    assert written == []
    assert before == [list(model.objects.order_by("pk").values()) for model in rows]  # type: ignore[attr-defined]


def test_it_says_clearly_that_no_agreement_covers_the_services(browser: Browser, northwind: ServiceAgreement) -> None:
    text = shown(browser.post(AHEAD, typed(services=[cast.service("DNS").pk])))
    assert "No agreement covers these services." in text
    assert "Northwind" not in text


def test_a_client_whom_nobody_can_mail_is_named(browser: Browser, northwind: ServiceAgreement) -> None:
    cast.lose(Contact.objects.all())
    assert "Nobody at Northwind can be mailed." in shown(browser.post(AHEAD, typed()))
    assert "Nobody there can be mailed." in shown(browser.post(AHEAD, typed(severity=None)))


def test_an_agreement_that_owes_nothing_at_the_severity_is_named(browser: Browser, northwind: ServiceAgreement) -> None:
    text = shown(browser.post(AHEAD, typed(severity="low")))
    assert "Owe nothing at this severity: Northwind · NW-2025-03" in text


def test_each_severity_has_the_agreements_own_words_beside_it(
    browser: Browser, northwind: ServiceAgreement, contoso: ServiceAgreement
) -> None:
    SeverityDefinition.objects.create(agreement=northwind, severity="high", words="Uploads <slow>.")
    answer = browser.post(AHEAD, typed(severity=None)).content.decode()
    high = answer.split('data-into="meaning-high"')[1].split("data-into")[0]
    assert "Uploads &lt;slow&gt;." in high
    assert "An important part of the service fails" in high
    assert "Not defined. It asks for: Notify the client within 4 hours" in shown(browser.post(AHEAD, typed()))


def test_before_a_time_is_given_it_is_said_that_now_is_assumed(browser: Browser, northwind: ServiceAgreement) -> None:
    text = shown(browser.post(AHEAD, typed(detected_at="")))
    assert "If it was detected now" in text
    assert "3 h 59 min" in text or "4 h 0 min" in text


def test_what_is_wrong_with_a_time_is_said_instead(browser: Browser, northwind: ServiceAgreement) -> None:
    for wrong, sentence in (("yesterday", "Enter a valid date/time"), ("2999-01-01T00:00", "lies in the future")):
        text = shown(browser.post(AHEAD, typed(detected_at=wrong)))
        assert sentence in text
        assert "Notify the client by" not in text


def test_what_is_overdue_at_once_is_shown_as_such(browser: Browser, northwind: ServiceAgreement) -> None:
    text = shown(browser.post(AHEAD, typed(detected_at=wall(timezone.now() - 5 * HOUR))))
    assert "overdue by 1 h 0 min" in text
    assert "Holding notice, at once" in text


def test_only_whoever_may_declare_may_look(aude: User, browser: Browser, northwind: ServiceAgreement) -> None:
    auditor = browser_of(aude)
    assert auditor.post(AHEAD, typed()).status_code == 403
    assert auditor.get(PAGE).status_code == 403
    assert auditor.post(PAGE, typed()).status_code == 403
    assert browser.get(AHEAD).status_code == 405
    assert browser.put(PAGE).status_code == 405
    assert "login" in Browser().post(AHEAD, typed())["Location"]
    assert not Incident.objects.exists()


def test_the_number_of_queries_does_not_grow_with_services_and_agreements(
    browser: Browser, northwind: ServiceAgreement
) -> None:
    def queries() -> list[int]:
        with CaptureQueriesContext(connection) as of_the_page:
            shown(browser.get(PAGE))
        form = typed()
        with CaptureQueriesContext(connection) as of_looking_ahead:
            shown(browser.post(AHEAD, form))
        return [len(of_the_page.captured_queries), len(of_looking_ahead.captured_queries)]

    queries()
    few = queries()
    cast.add_past_the_trail(Service.objects, [Service(name=f"Service {number}") for number in range(200)])
    for number in range(20):
        client = cast.client(f"C{number}", "UTC", f"c{number}@x.example")
        made = cast.agreement(f"A-{number}", client, northwind.calendar, cast.service("Object storage"))
        presets.apply_preset(made, "critical_support_24x7")
    assert queries() == few
    assert max(few) <= 17
    text = shown(browser.post(AHEAD, typed()))
    assert "21 agreements apply" in text
    assert "and 9 agreements more" in text


# ── similar ones ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_open_incidents_like_it_are_shown_with_a_way_to_add_a_note_and_block_nothing(
    browser: Browser, olga: User, northwind: ServiceAgreement
) -> None:
    first = declared(olga)
    text = shown(browser.post(AHEAD, typed(title="It's down & out")))
    assert f"{first.reference} Storage is down" in text
    assert "also affects Object storage" in text
    note = f"{reverse('admin:incidents_incident_note', args=[first.pk])}?text=It%27s%20down%20%26%20out"
    assert note in text
    assert "It's down & out</textarea>" in shown(browser.get(note))
    assert browser.post(PAGE, typed()).status_code == 302
    assert Incident.objects.count() == 2


# ── what is typed ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_whatever_was_typed_is_kept_errors_are_summed_up_and_the_first_is_where_one_goes_on(
    browser: Browser, northwind: ServiceAgreement
) -> None:
    wrong = typed(
        services=[], severity=None, detected_at="", client_summary="They <know>.", description="Ask Kim", minutes_ago=""
    )
    response = browser.post(PAGE, wrong)
    text = shown(response)
    assert text.split('role="alert"')[1].split("</div>")[0].count("<li>") == 2
    assert 'href="#severity"' in text
    assert 'href="#id_detected_at"' in text
    assert response.content.decode().count("autofocus") == 1
    assert 'id="severity-critical" aria-describedby="meaning-critical" autofocus' in text
    for kept in ("Object storage is down", "They <know>.", "Ask Kim", wrong["token"]):
        assert kept in text
    assert '<details class="more-fields" open>' in text
    refused = shown(browser.post(PAGE, typed(services=[])))
    assert "Choose at least one affected service" in refused
    assert 'name="services" value="1" autofocus' in refused.replace(str(Service.objects.first().pk), "1")  # type: ignore[union-attr]
    assert not Incident.objects.exists()


def test_the_preview_button_keeps_everything_and_asks_for_nothing_yet(
    browser: Browser, northwind: ServiceAgreement
) -> None:
    half = typed(title="", severity=None, description="Ask Kim", preview="1")
    text = shown(browser.post(PAGE, half))
    assert "This field is required" not in text
    assert "Ask Kim" in text
    assert half["detected_at"] in text
    assert f'value="{half["services"][0]}" checked' in text
    assert "1 agreement applies. Choose a severity" in text
    assert not Incident.objects.exists()


def test_minutes_ago_count_back_from_now_and_then_stand_still(browser: Browser, northwind: ServiceAgreement) -> None:
    before = timezone.now().replace(microsecond=0)
    ago = typed(detected_at="", minutes_ago="25")
    response = browser.post(PAGE, {**ago, "preview": "1"})
    pinned = response.context["form"]["detected_at"].value()
    assert response.context["form"]["minutes_ago"].value() == ""
    counted = dt.datetime.fromisoformat(pinned).replace(tzinfo=dt.UTC)
    assert dt.timedelta(0) <= counted - (before - dt.timedelta(minutes=25)) < dt.timedelta(seconds=30)
    assert browser.post(PAGE, ago).status_code == 302
    assert Incident.objects.get().detected_at - counted < dt.timedelta(seconds=30)


def test_seconds_are_kept(browser: Browser, northwind: ServiceAgreement) -> None:
    detected_at = (timezone.now() - HOUR).replace(second=37, microsecond=0)
    browser.post(PAGE, typed(detected_at=wall(detected_at)))
    assert Incident.objects.get().detected_at == detected_at


def test_services_that_are_not_active_are_not_offered(browser: Browser, northwind: ServiceAgreement) -> None:
    cast.past_the_trail(Service.objects, is_active=False)
    assert "Object storage" not in shown(browser.get(PAGE))
    assert "is not one of the available choices" in shown(browser.post(PAGE, typed()))


# ── once ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_sent_again_it_leads_to_what_it_declared_the_first_time(browser: Browser, northwind: ServiceAgreement) -> None:
    form = typed()
    first = browser.post(PAGE, form)
    again = browser.post(PAGE, {**form, "title": "Another title"}, follow=True)
    assert again.redirect_chain == [(first["Location"], 302)]
    assert "This form had already declared INC-" in shown(again)
    assert Incident.objects.count() == 1


def test_each_form_has_a_token_of_its_own_which_the_back_button_brings_again(browser: Browser) -> None:
    one, other = browser.get(PAGE), browser.get(PAGE)
    tokens = {response.context["form"]["token"].value() for response in (one, other)}
    assert len(tokens) == 2
    assert "no-store" not in one["Cache-Control"]
    assert "private" in one["Cache-Control"]


@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="SQLite has one writer; the run on PostgreSQL races.")
@pytest.mark.django_db(transaction=True)
def test_of_four_presses_at_once_one_declares_and_all_lead_to_its_page(olga: User, northwind: ServiceAgreement) -> None:
    form, ready = typed(), threading.Barrier(4, timeout=60)
    answers: list[tuple[int, str]] = []

    def press(browser: Browser) -> None:
        ready.wait()
        answer = browser.post(PAGE, form)
        answers.append((answer.status_code, answer["Location"]))
        connection.close()

    threads = [threading.Thread(target=press, args=[browser_of(olga)]) for _number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    incident = Incident.objects.get()
    assert answers == [(302, reverse("admin:incidents_incident_change", args=[incident.pk]))] * 4
    assert ReferenceCounter.objects.get().last == 1
