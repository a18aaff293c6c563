"""The board in a real browser: it refreshes itself and leaves alone what somebody is doing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.test_story import sign_in
from tests.journeys.conftest import SMALL, Product
from tests.journeys.conftest import product as product  # the fixture

pytestmark = pytest.mark.parametrize("product", [SMALL], indirect=True)

#: So that nobody has to wait for the quarter of a minute.
REFRESH = 'document.dispatchEvent(new CustomEvent("board:refresh"))'

#: The page has its next answer only after release().
HOLD_ONE_ANSWER = """() => {
  const ask = window.fetch;
  window.fetch = async (...question) => {
    window.fetch = ask;
    const answer = await ask(...question);
    const text = await answer.text();
    await new Promise((go) => { window.release = go; });
    answer.text = async () => { setTimeout(() => { window.isTold = true; }); return text; };
    return answer;
  };
}"""


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A page whose scripts fail nowhere."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(15_000)
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    assert complaints == []


def test_a_refresh_loses_nothing_and_says_when_it_cannot(page: Page, product: Product) -> None:
    product.act("declare()")
    site = product.processes.start_web()
    sign_in(page, site, "olga")
    page.goto(f"{site}/admin/?severity=critical")
    rows = page.locator(".board-table tbody tr")
    before = rows.count()
    assert before > 1

    page.get_by_text("Save these filters, or change saved ones").click()
    page.get_by_label("Save these filters as").fill("Only the wor")
    page.get_by_label("Client").fill("North")
    page.get_by_label("Client").evaluate("input => input.setSelectionRange(1, 3)")
    page.evaluate("window.scrollTo(0, 120)")
    first = rows.first.element_handle()

    product.act("declare()")
    page.evaluate(REFRESH)
    expect(rows).to_have_count(2 * before)
    expect(page.get_by_label("Client")).to_be_focused()
    expect(page.get_by_label("Client")).to_have_value("North")
    assert page.get_by_label("Client").evaluate("input => [input.selectionStart, input.selectionEnd]") == [1, 3]
    expect(page.get_by_label("Save these filters as")).to_have_value("Only the wor")
    expect(page.get_by_label("Save these filters as")).to_be_visible()
    assert page.evaluate("window.scrollY") == 120
    assert first.evaluate("row => row.isConnected"), "what did not change is still the same element"

    button = rows.get_by_role("link", name="Send client notice").first
    button.focus()
    address = button.get_attribute("href")
    product.act("notify_all()")
    page.evaluate(REFRESH)
    page.wait_for_function(
        "address => document.activeElement.getAttribute('href') === address || document.activeElement.tabIndex === -1",
        arg=address,
    )

    page.context.set_offline(True)
    page.evaluate(REFRESH)
    expect(page.get_by_role("status").get_by_text("Not refreshed since")).to_be_visible(timeout=40_000)
    page.context.set_offline(False)
    page.evaluate(REFRESH)
    expect(page.get_by_text("Not refreshed since")).to_be_hidden(timeout=40_000)

    page.context.clear_cookies()
    page.evaluate(REFRESH)
    expect(page.get_by_role("link", name="Sign in again")).to_be_visible()
    expect(page.get_by_label("Save these filters as")).to_have_value("Only the wor")


def test_an_answer_that_was_overtaken_is_not_told(page: Page, product: Product) -> None:
    site = product.processes.start_web()
    sign_in(page, site, "olga")
    page.evaluate(HOLD_ONE_ANSWER)
    page.evaluate(REFRESH)
    page.wait_for_function("() => window.release")

    page.context.clear_cookies()
    page.evaluate(REFRESH)
    sign_in_again = page.get_by_role("link", name="Sign in again")
    expect(sign_in_again).to_be_visible()

    page.evaluate("() => window.release()")
    page.wait_for_function("() => window.isTold")
    assert sign_in_again.is_visible(), "and not only again after the next refresh"
