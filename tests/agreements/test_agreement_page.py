"""The pages on which people read what was agreed: an agreement, its versions side by side, and a client."""

from __future__ import annotations

import datetime as dt
import html
import re

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from agreements import versions
from agreements.models import Contact, Obligation, ServiceAgreement, ServiceCoverage, Severity
from config.admin import page_of
from config.models import User
from incidents import lifecycle
from incidents.models import AffectedAgreement, Incident
from tests import cast
from tests.cast import browser_of


def shown(browser: Browser, address: str) -> str:
    """The words of a page, one space apart."""
    answer = browser.get(address)
    assert answer.status_code == 200
    main = re.sub(r"(?s)<(script|nav|svg).*?</\1>", " ", answer.content.decode())
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", main)).split())


def compare_page(agreement: ServiceAgreement) -> str:
    return reverse("admin:agreements_serviceagreement_compare", args=[agreement.pk])


def declare(by: User, *services: str) -> Incident:
    return lifecycle.declare(
        by=by,
        now=timezone.now(),
        title="Objects cannot be read",
        severity="critical",
        services=[cast.service(name) for name in services or ("Object storage",)],
        detected_at=timezone.now() - dt.timedelta(hours=1),
    )


@pytest.fixture
def amended(northwind: ServiceAgreement, max_: User) -> ServiceAgreement:
    in_a_week = timezone.now() + dt.timedelta(days=7)
    return versions.amend(northwind, effective_at=in_a_week, by=max_, reason="Amendment No. 1")


# ── an agreement ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("login", ["olga", "aude", "max_", "ada"])
def test_everybody_reads_what_the_contract_says(
    login: str, northwind: ServiceAgreement, request: pytest.FixtureRequest
) -> None:
    page = shown(browser_of(request.getfixturevalue(login)), page_of(northwind))
    assert "As agreed." in page
    assert "Notify the client Critical within 4 hours of detection, 24×7 High — nothing is owed" in page
    assert "Resolve Critical as quickly as possible" in page
    assert "Version 1 ✓ In force" in page
    assert "Object storage" in page
    assert "Simulate" in page
    assert "gets mail in English, with times in America/New_York" in page


@pytest.mark.parametrize("login", ["olga", "aude"])
def test_who_only_reads_meets_nothing_that_writes(
    login: str, northwind: ServiceAgreement, amended: ServiceAgreement, request: pytest.FixtureRequest
) -> None:
    browser = browser_of(request.getfixturevalue(login))
    for address in (page_of(amended), compare_page(amended), page_of(amended.client)):
        content = browser.get(address).content.decode()
        assert 'name="_save"' not in content
        assert not re.search(r'href="[^"]*(/amend/|/add-commitments/|present_terms)', content)


def test_a_manager_edits_below_and_what_was_refused_stays_in_sight(max_: User, northwind: ServiceAgreement) -> None:
    browser = browser_of(max_)
    content = browser.get(page_of(northwind)).content.decode()
    assert '<details class="everything">' in content
    assert 'name="_save"' in content
    refused = browser.post(page_of(northwind), {"clause": ""}).content.decode()
    assert '<details class="everything" open>' in refused


def test_it_says_who_receives_what(max_: User, northwind: ServiceAgreement) -> None:
    Contact.objects.create(
        client=northwind.client, name="Old desk", address="old@northwind.example", is_active=False, position=9
    )
    page = shown(browser_of(max_), page_of(northwind))
    assert "Old desk < old@northwind.example > gets nothing: switched off".replace("< ", "<").replace(" >", ">") in page
    assert "Warnings before a deadline Critical ✓ Notify the client: at 50 %, at 80 %" in page


def test_the_versions_are_told_with_their_time_who_and_why(
    max_: User, northwind: ServiceAgreement, amended: ServiceAgreement
) -> None:
    page = shown(browser_of(max_), page_of(northwind))
    told = page[page.index("Version 2 → Coming") :]
    assert "until further notice by Max Weber (max)" in told
    assert "Amendment No. 1" in told
    assert "UTC" in told.partition("Version 1")[0]
    assert "Version 1 ✓ In force" in told


def test_open_incidents_are_listed_and_those_that_ended_or_are_excluded_are_not(
    olga: User, max_: User, northwind: ServiceAgreement
) -> None:
    incident, other, past = (declare(olga) for _time in range(3))
    affected = AffectedAgreement.objects.get(incident=other)
    affected.excluded_at, affected.exclusion_reason = timezone.now(), "Another tenant"
    cast.save(affected)
    lifecycle.merge(past, into=incident, by=olga, now=timezone.now(), reason="The same")
    for address in (page_of(northwind), page_of(northwind.client)):
        page = shown(browser_of(max_), address)
        assert incident.reference in page
        assert "next due" in page
        assert other.reference not in page
        panel = page[page.index("Open incidents") :].partition("What it was told last")[0]
        assert past.reference not in panel
    assert "Apply present terms to open incidents" in shown(browser_of(max_), page_of(northwind))
    assert "Apply present terms" not in shown(browser_of(olga), page_of(northwind))


def test_markup_in_a_clause_is_shown_and_not_obeyed(max_: User, amended: ServiceAgreement) -> None:
    amended.clause = "<script>alert(1)</script> within <b>two</b> hours"
    cast.save(amended)
    for address in (page_of(amended), compare_page(amended)):
        content = browser_of(max_).get(address).content.decode()
        assert "<script>alert(1)" not in content
        assert "<b>two" not in content


def queries(browser: Browser, address: str) -> int:
    browser.get(address)
    with CaptureQueriesContext(
        connection,
    ) as found:
        browser.get(address)
    return len(found)


def test_pages_cost_the_same_however_much_there_is(olga: User, max_: User, amended: ServiceAgreement) -> None:
    old, browser = amended.supersedes, browser_of(max_)
    assert old is not None
    declare(olga)
    addresses = (page_of(old), compare_page(amended), page_of(old.client))
    few = [queries(browser, address) for address in addresses]
    for severity in (Severity.HIGH, Severity.MEDIUM, Severity.LOW):
        cast.warn(cast.commit(old, Obligation.NOTIFY, 8, severity=severity), 50)
    for number in range(10):
        service = cast.service(f"Service {number}")
        ServiceCoverage.objects.create(agreement=old, service=service)
        Contact.objects.create(
            client=old.client, name=f"Desk {number}", address=f"desk{number}@northwind.example", position=number + 2
        )
        declare(olga)
    assert [queries(browser, address) for address in addresses] == few
    assert max(few) <= 30


# ── versions side by side ───────────────────────────────────────────────────────────────────────────────────────────


def test_a_manager_sees_what_an_amendment_changed_in_words_and_signs(
    max_: User, northwind: ServiceAgreement, amended: ServiceAgreement
) -> None:
    notify = amended.commitments.get(obligation=Obligation.NOTIFY)
    notify.amount = 2
    cast.save(notify)
    page = shown(browser_of(max_), compare_page(amended))
    assert "Critical · Notify the client ≠ changed" in page
    assert "− removed: within 4 hours of detection, 24×7" in page
    assert "+ added: within 2 hours of detection, 24×7" in page
    assert "Critical · Resolve = the same" in page
    assert "2 things differ." in page


def test_whichever_is_chosen_first_the_older_stands_on_the_left(
    max_: User, northwind: ServiceAgreement, amended: ServiceAgreement
) -> None:
    browser = browser_of(max_)
    pages = [
        shown(browser, f"{compare_page(amended)}?old={old.pk}&new={new.pk}").partition("things differ")[2]
        for old, new in ((northwind, amended), (amended, northwind))
    ]
    assert pages[0] == pages[1]
    assert "What Verdict NW-2025-03 NW-2025-03 v2" in shown(browser, compare_page(northwind))


def test_versions_of_another_agreement_are_not_offered(
    max_: User, amended: ServiceAgreement, contoso: ServiceAgreement
) -> None:
    answer = browser_of(max_).get(f"{compare_page(amended)}?old={contoso.pk}&new={amended.pk}")
    assert answer.status_code == 200
    assert "Select a valid choice" in answer.content.decode()


def test_one_version_alone_offers_no_comparison(max_: User, northwind: ServiceAgreement) -> None:
    assert compare_page(northwind) not in browser_of(max_).get(page_of(northwind)).content.decode()
    assert "one and the same version" in shown(browser_of(max_), compare_page(northwind))


def test_the_comparison_is_only_read_and_only_by_who_may(
    db: None, olga: User, northwind: ServiceAgreement, roles: None
) -> None:
    assert browser_of(olga).post(compare_page(northwind)).status_code == 405
    nobody = User.objects.create_user("nobody", is_staff=True)
    assert browser_of(nobody).get(compare_page(northwind)).status_code == 403
    assert browser_of(olga).get(reverse("admin:agreements_serviceagreement_compare", args=[999])).status_code == 404


# ── a client ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_clients_page_tells_what_holds_who_is_mailed_and_what_it_was_told(
    olga: User, northwind: ServiceAgreement, amended: ServiceAgreement
) -> None:
    incident = declare(olga)
    lifecycle.notify_client(incident, by=olga, now=timezone.now())
    page = shown(browser_of(olga), page_of(northwind.client))
    assert "NW-2025-03 v2 → Coming" in page
    assert "NW-2025-03 ✓ In force" in page
    assert "Notice Critical ✓ within 4 hours of detection, 24×7" in page
    assert f"Client notice · {incident.reference}" in page


def test_a_client_of_whom_nothing_is_known_yet_says_so(max_: User) -> None:
    client = cast.client("Fabrikam", "Europe/London")
    page = shown(browser_of(max_), page_of(client))
    assert "Nobody: this client could not be told of anything." in page
    assert "None: nothing is owed to this client." in page
    assert "Nothing yet." in page
