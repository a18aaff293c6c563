"""Two tabs at one incident, on a phone: the next act is in sight, and the second press is told what the first did."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from tests import cast
from tests.journeys.conftest import SMALL, Product
from tests.journeys.conftest import product as product  # the fixture

pytestmark = pytest.mark.parametrize("product", [SMALL], indirect=True)
PHONE: ViewportSize = {"width": 375, "height": 667}


@pytest.fixture
def tabs(chromium: Browser, product: Product) -> Iterator[tuple[Page, Page]]:
    """Olga's and Max's, signed in, before the incident that Olga has declared."""
    site = product.processes.start_web()
    product.act("declare()")
    pages = []
    for username in ("olga", "max"):
        page = chromium.new_context(viewport=PHONE, timezone_id="UTC", locale="en-GB").new_page()
        page.goto(f"{site}/admin/login/?next=/admin/incidents/incident/1/change/")
        page.get_by_label("Username").fill(username)
        page.get_by_label("Password").fill(cast.PASSWORD)
        page.get_by_role("button", name="Log in").click()
        pages.append(page)
    yield pages[0], pages[1]
    for page in pages:
        page.context.close()


def test_the_second_of_two_is_told_what_the_first_did_and_goes_on_after_reading(tabs: tuple[Page, Page]) -> None:
    olga, max_ = tabs
    act = olga.locator(".next-act .button")
    box = act.bounding_box()
    assert box is not None
    assert box["y"] + box["height"] <= PHONE["height"], "the next act and its button are on the first screen"

    for page, message in ((olga, "We are on it."), (max_, "We look into it.")):
        page.get_by_role("link", name="Send client notice").first.click()
        page.get_by_label("Message").fill(message)
    max_.get_by_role("button", name="Send client notice").click()
    expect(max_.get_by_role("heading", name="Timeline")).to_be_visible()

    olga.get_by_role("button", name="Send client notice").click()
    expect(olga.get_by_text("Somebody has changed this since you opened the page.")).to_be_visible()
    expect(olga.get_by_text("We look into it.")).to_be_visible()
    expect(olga.get_by_label("Message")).to_have_value("We are on it.")
    olga.get_by_role("button", name="Send client notice").click()
    expect(olga.get_by_role("heading", name="Timeline")).to_be_visible()
