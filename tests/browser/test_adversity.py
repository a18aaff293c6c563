"""A browser without scripts, the way back after something was done, and the same page twice."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import SignIn
from tests.journeys.conftest import Product
from tests.journeys.conftest import small_product as small_product  # the fixture

INCIDENT = "/admin/incidents/incident/1/change/"


@pytest.fixture
def site(small_product: Product) -> str:
    return small_product.processes.start_web()


def press(page: Page, verb: str) -> None:
    page.get_by_role("button", name=verb, exact=True).click()


def test_without_scripts_an_incident_is_declared_and_acknowledged(sign_in: SignIn, site: str) -> None:
    page = sign_in(site, "olga", java_script_enabled=False, viewport={"width": 375, "height": 800})
    page.get_by_role("link", name="Declare incident").first.click()
    page.get_by_label("What is broken").fill("Object storage is down")
    page.get_by_role("checkbox", name="Object storage").check()
    page.get_by_role("radio", name="Critical").check()
    page.locator("[name=minutes_ago]").fill("5")
    press(page, "Declare incident")
    expect(page.get_by_text("INC-2026-0001").first).to_be_visible()
    expect(page.get_by_text("Northwind").first).to_be_visible()
    page.get_by_role("link", name="Acknowledge", exact=True).first.click()
    press(page, "Acknowledge")
    expect(page.get_by_text("INC-2026-0001 is acknowledged.")).to_be_visible()


def test_what_was_done_is_done_once_from_two_tabs_and_after_the_way_back(
    sign_in: SignIn, site: str, small_product: Product
) -> None:
    small_product.act("declare()")
    page = sign_in(site, "olga")
    other = page.context.new_page()
    for tab in (page, other):
        tab.goto(f"{site}/admin/incidents/incident/1/acknowledge/")
    press(page, "Acknowledge")
    expect(page.get_by_text("INC-2026-0001 is acknowledged.")).to_be_visible()

    press(other, "Acknowledge")
    expect(other.locator(".errornote, .errorlist, .messagelist .warning").first).to_be_visible()

    page.go_back()
    if page.get_by_role("button", name="Acknowledge", exact=True).count():
        press(page, "Acknowledge")
    expect(page.locator(".errornote, .errorlist, .messagelist .warning").first).to_be_visible()

    page.goto(site + INCIDENT)
    expect(page.get_by_role("link", name="Acknowledge", exact=True)).to_have_count(0)
