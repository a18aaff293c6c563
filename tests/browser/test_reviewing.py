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


def save(page: Page) -> None:
    page.get_by_role("button", name="Save", exact=True).last.click()


def log_in(page: Page) -> None:
    """Olga, again."""
    page.get_by_label("Username").fill("olga")
    page.get_by_label("Password").fill(cast.PASSWORD)
    page.get_by_role("button", name="Log in").click()


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
    log_in(page)
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


def test_of_two_who_write_at_once_and_one_who_is_signed_out_meanwhile_nobody_loses_a_word(
    sign_in: SignIn, product: Product
) -> None:
    product.act("open_review()")
    site = product.processes.start_web()
    olga, max_ = sign_in(site, "olga"), sign_in(site, "max")
    for page in (olga, max_):
        page.goto(f"{site}{REVIEW}")

    max_.get_by_label("Impact on clients", exact=True).fill("Nobody could sign in.")
    type_summary(max_, "A disk filled up: Max.")
    save(max_)
    expect(max_.locator(".messagelist .success")).to_be_visible()
    olga.get_by_label("Root cause", exact=True).fill("Nobody was told that it grew.")
    type_summary(olga, "A disk filled up: Olga.")
    save(olga)
    told = olga.locator(".errorlist").first
    expect(told).to_contain_text("Somebody has changed this since you opened the page.")
    for word in ("Max Weber", "A disk filled up: Max.", "Nobody could sign in."):
        expect(told).to_contain_text(word)
    expect(olga.get_by_label("What happened", exact=True)).to_have_value("A disk filled up: Olga.")
    expect(olga.get_by_label("Root cause", exact=True)).to_have_value("Nobody was told that it grew.")
    expect(olga.get_by_label("Impact on clients", exact=True)).to_have_value("Nobody could sign in.")
    olga.get_by_label("What happened", exact=True).fill("A disk filled up: Max and Olga.")
    save(olga)
    expect(olga.locator(".messagelist .success")).to_be_visible()
    assert kept(olga) == []
    max_.goto(f"{site}{REVIEW}")
    for label, text in (
        ("What happened", "A disk filled up: Max and Olga."),
        ("Root cause", "Nobody was told that it grew."),
        ("Impact on clients", "Nobody could sign in."),
    ):
        expect(max_.get_by_label(label, exact=True)).to_have_value(text)

    type_summary(olga, "Typed before.")
    other = olga.context.new_page()
    other.goto(f"{site}/admin/")
    other.locator("#user-tools .icon-button").click()
    other.get_by_role("button", name="Log out").click()
    other.wait_for_url("**/logout/")
    olga.get_by_label("What will change", exact=True).fill("It is measured.")
    save(olga)
    log_in(olga)
    expect(olga.get_by_role("heading", name=KEPT)).to_be_visible()
    olga.get_by_role("button", name="Put it back").click()
    expect(olga.get_by_label("What happened", exact=True)).to_have_value("Typed before.")
    expect(olga.get_by_label("What will change", exact=True)).to_have_value("It is measured.")
    save(olga)
    expect(olga.locator(".messagelist .success")).to_be_visible()
