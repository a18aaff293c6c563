"""Writing a review on a phone: it is previewed as it will be read, and what was typed is neither lost nor forced."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests import cast
from tests.browser.conftest import SignIn
from tests.journeys.conftest import SMALL, Product
from tests.journeys.conftest import product as product  # the fixture

pytestmark = pytest.mark.parametrize("product", [SMALL], indirect=True)
REVIEW = "/admin/reviews/postincidentreview/1/change/"
KEPT = "Text that was not saved is here"


def kept(page: Page) -> list[str]:
    found: list[str] = page.evaluate(
        "() => Object.keys(localStorage).filter(key => key.startsWith('due-notice:draft:'))"
    )
    return found


def type_summary(page: Page, text: str) -> None:
    page.get_by_label("What happened", exact=True).fill(text)
    page.wait_for_function("() => Object.keys(localStorage).some(k => k.includes(':draft:'))")


def test_what_was_typed_is_previewed_and_outlives_a_lost_session_until_it_is_saved_or_thrown_away(
    sign_in: SignIn, product: Product
) -> None:
    product.act("open_review()")
    site = product.processes.start_web()
    page = sign_in(site, "olga", viewport={"width": 375, "height": 800})
    page.goto(f"{site}{REVIEW}")
    summary = page.get_by_label("What happened", exact=True)

    type_summary(page, "A disk **filled** up. <b>Markup</b>")
    page.get_by_role("button", name="Preview: What happened").click()
    expect(page.locator(".preview .prose strong")).to_have_text("filled")
    expect(page.locator(".preview .prose b")).to_have_count(0)

    page.context.clear_cookies()
    page.goto(f"{site}{REVIEW}")
    page.get_by_label("Username").fill("olga")
    page.get_by_label("Password").fill(cast.PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name=KEPT)).to_be_visible()
    expect(summary).to_have_value("")
    expect(page.get_by_text("Meanwhile somebody has saved other words")).to_be_hidden()
    page.get_by_role("button", name="Put it back").click()
    expect(summary).to_have_value("A disk **filled** up. <b>Markup</b>")
    page.get_by_role("button", name="Save", exact=True).last.click()
    expect(page.locator(".messagelist .success")).to_be_visible()
    expect(summary).to_have_value("A disk **filled** up. <b>Markup</b>")
    assert kept(page) == [], "what was saved is kept no longer"

    type_summary(page, "A disk filled up at night.")
    product.act("write_summary('A disk filled up: Max.')")
    page.goto(f"{site}{REVIEW}")
    expect(page.get_by_text("Meanwhile somebody has saved other words")).to_be_visible()
    expect(page.locator(".kept")).to_contain_text("A disk filled up at night.")
    expect(summary).to_have_value("A disk filled up: Max.")
    page.get_by_role("button", name="Throw it away").click()
    page.reload()
    expect(summary).to_have_value("A disk filled up: Max.")
    expect(page.get_by_role("heading", name=KEPT)).to_have_count(0)

    type_summary(page, "Not for others.")
    page.locator("#user-tools .icon-button").click()
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url("**/logout/")
    assert kept(page) == [], "what was typed goes with who typed it"
