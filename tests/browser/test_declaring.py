"""Declaring in a browser: by keyboard with everything live, without any script, and twice with one form."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.test_story import sign_in
from tests.journeys.conftest import SMALL, Product
from tests.journeys.conftest import product as product  # the fixture

pytestmark = pytest.mark.parametrize("product", [SMALL], indirect=True)

PAGE = "/admin/incidents/incident/add/"


@pytest.fixture
def site(product: Product) -> str:
    return product.processes.start_web()


@pytest.fixture
def page(chromium: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page that fails the test when a script fails or something is refused; `param` are options of its context."""
    options: dict[str, Any] = {
        "viewport": {"width": 1280, "height": 900},
        "timezone_id": "Asia/Tokyo",
        "locale": "en-GB",
    }
    context = chromium.new_context(**options | getattr(request, "param", {}))
    context.set_default_timeout(15_000)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    assert complaints == []


def incidents(product: Product) -> list[tuple[str, str, float]]:
    """(title, severity, how many minutes before it was declared it was detected) of every incident."""
    with sqlite3.connect(product.processes.env["DATABASE_URL"].removeprefix("sqlite:///")) as database:
        return database.execute(
            "SELECT title, severity, round((julianday(declared_at) - julianday(detected_at)) * 1440) "
            "FROM incidents_incident ORDER BY id"
        ).fetchall()


def test_by_keyboard_alone_with_what_follows_shown_live(page: Page, site: str, product: Product) -> None:
    sign_in(page, site, "olga")
    expect(page.get_by_role("button", name="Keyboard shortcuts")).to_be_visible()  # the keys are there
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("d")
    expect(page.get_by_label("What is broken")).to_be_focused()
    page.keyboard.type("Down: d, b and ? are letters here")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Find a service")).to_be_focused()
    page.keyboard.type("stor")
    expect(page.get_by_role("checkbox", name="Payments")).to_be_hidden()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Remove Object storage")).to_be_visible()
    expect(page.locator("#meaning-critical")).to_contain_text("The service cannot be used")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(page.get_by_role("radio", name="Critical")).to_be_checked()
    follows = page.get_by_role("region", name="What follows")
    expect(follows.get_by_text("If it was detected now")).to_be_visible()
    for _step in range(3):
        page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="10 min ago")).to_be_focused()
    page.keyboard.press("Enter")
    expect(follows.get_by_text("10 min ago:")).to_be_visible()
    expect(follows.get_by_role("heading", name="Northwind · NW-2025-03")).to_be_visible()
    expect(follows).to_contain_text("in 3 h 49 min")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("heading", name="INC-")).to_be_visible()
    assert incidents(product) == [("Down: d, b and ? are letters here", "critical", 10.0)]


@pytest.mark.parametrize(
    "page", [{"java_script_enabled": False, "viewport": {"width": 375, "height": 800}}], indirect=True
)
def test_without_any_script(page: Page, site: str, product: Product) -> None:
    sign_in(page, site, "olga")
    page.get_by_role("link", name="Declare incident").first.click()
    page.get_by_label("What is broken").fill("Storage is down")
    page.get_by_role("checkbox", name="Object storage").check()
    page.get_by_label("or minutes ago").fill("20")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_text("2 agreements apply. Choose a severity")).to_be_visible()
    page.get_by_role("button", name="Declare incident").click()
    expect(page.get_by_role("alert")).to_contain_text("This field is required")
    expect(page.get_by_role("radio", name="Critical")).to_be_focused()
    page.get_by_role("radio", name="Critical").check()
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_text("in 3 h 39 min").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    page.get_by_role("button", name="Declare incident").click()
    expect(page.get_by_role("heading", name="INC-")).to_be_visible()
    page.go_back()
    expect(page.get_by_label("What is broken")).to_have_value("Storage is down")
    page.get_by_role("button", name="Declare incident").click()
    expect(page.get_by_text("Nothing was declared twice")).to_be_visible()
    assert incidents(product) == [("Storage is down", "critical", 20.0)]


def test_two_presses_at_once_declare_once_and_keys_can_be_turned_off(page: Page, site: str, product: Product) -> None:
    sign_in(page, site, "olga")
    page.goto(site + PAGE)
    page.get_by_label("What is broken").fill("Storage is down")
    page.get_by_role("checkbox", name="Object storage").check()
    page.get_by_role("radio", name="High").check()
    page.get_by_role("button", name="now", exact=True).click()
    ends = page.evaluate(
        """async () => {
          const body = () => new URLSearchParams(new FormData(document.querySelector("form.declare")));
          const send = () => fetch("", { method: "POST", body: body() });
          return (await Promise.all([send(), send(), send()])).map((answer) => new URL(answer.url).pathname);
        }"""
    )
    assert ends == ["/admin/incidents/incident/1/change/"] * 3
    page.get_by_role("button", name="Declare incident").click()
    expect(page.get_by_text("Nothing was declared twice")).to_be_visible()
    assert len(incidents(product)) == 1

    page.get_by_role("button", name="Keyboard shortcuts").click()
    page.get_by_label("Single keys are on in this browser").uncheck()
    page.get_by_role("button", name="Close").click()
    page.reload()
    page.keyboard.press("b")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("heading", name="INC-")).to_be_visible()
