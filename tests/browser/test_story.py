"""The main story, as Olga and Aude see it in a browser, with the client's mail at the end."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests import cast
from tests.journeys.conftest import SMALL, Product
from tests.journeys.conftest import product as product  # the fixture

pytestmark = pytest.mark.parametrize("product", [SMALL], indirect=True)


@pytest.fixture
def site(product: Product) -> str:
    """The product running with a worker; its address."""
    product.start_workers("worker")
    return product.processes.start_web()


@pytest.fixture(params=[(1280, 900), (375, 800)], ids=["desktop", "phone"])
def page(chromium: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page that fails the test when a script fails or something is refused."""
    width, height = request.param
    context = chromium.new_context(viewport={"width": width, "height": height}, timezone_id="UTC", locale="en-GB")
    context.set_default_timeout(15_000)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    # A board may ask once more when its server has ended with the test.
    assert [said for said in complaints if "ERR_CONNECTION_REFUSED" not in said] == []


def sign_in(page: Page, site: str, username: str) -> None:
    page.goto(f"{site}/admin/")
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password").fill(cast.PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="What is due next")).to_be_visible()


def declare(page: Page) -> None:
    page.get_by_role("link", name="Declare incident").first.click()
    page.get_by_label("What is broken").fill("Object storage is down <b>everywhere</b>")
    page.get_by_role("checkbox", name="Object storage").check()
    page.get_by_role("radio", name="Critical").check()
    detected = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=30)
    page.get_by_label("Detected at").fill(detected.strftime("%Y-%m-%dT%H:%M"))
    page.get_by_text("More: what clients may be told").click()
    page.get_by_label("What clients may be told").fill("Objects can be neither read nor written.")
    page.get_by_role("button", name="Declare incident").click()


def use(page: Page, verb: str) -> None:
    """Press a verb's button, and on its page the button that does it."""
    open_form(page, verb)
    page.get_by_role("button", name=verb, exact=True).click()


def open_form(page: Page, verb: str) -> None:
    rare = page.locator("details.more-verbs:not([open])", has=page.get_by_text(verb, exact=True))
    if rare.count():
        rare.locator("summary").click()
    page.get_by_role("link", name=verb, exact=True).first.click()


def test_an_incident_from_declared_to_closed_and_reviewed(page: Page, site: str, product: Product) -> None:
    sign_in(page, site, "olga")
    declare(page)
    expect(page.get_by_text("INC-2026-0001").first).to_be_visible()
    for client in ("Northwind", "Contoso"):
        expect(page.get_by_text(client).first).to_be_visible()
    assert page.locator("b", has_text="everywhere").count() == 0, "markup is shown, not obeyed"

    use(page, "Acknowledge")
    page.get_by_role("link", name="Send client notice").first.click()
    for client in ("Northwind (1 contact)", "Contoso (2 contacts)"):
        page.get_by_label(client).check()
    page.get_by_label("Message").fill("We are moving traffic to another region.")
    page.get_by_role("button", name="Send client notice").click()
    mails = product.inbox.wait_for(3, 30)
    assert {mail.recipients[0] for mail in mails} == {
        "ops@northwind.example",
        "it@contoso.example",
        "duty@contoso.example",
    }
    assert all("We are moving traffic to another region." in mail.text for mail in mails)
    product.processes.wait_until(
        lambda: sorted(product.facts()["notify_met"]) == ["Contoso", "Northwind"], 20, "both notices were recorded"
    )

    page.reload()
    open_form(page, "Post update")
    page.get_by_label("Message").fill("Half of the traffic is moved.")
    page.get_by_role("button", name="Post update", exact=True).click()
    product.inbox.wait_until(
        lambda: any("Half of the traffic is moved." in mail.text for mail in product.inbox.messages),
        timeout=30,
        what="the update had arrived",
    )
    for verb in ("Mitigate", "Resolve", "Close"):
        use(page, verb)
    expect(page.get_by_text("INC-2026-0001 is closed.")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    use(page, "Open review")
    expect(page.get_by_role("textbox", name="Root cause")).to_be_visible()


def test_the_auditor_reads_who_did_what_and_meets_no_button_that_writes(
    page: Page, site: str, product: Product
) -> None:
    product.act("declare()")
    sign_in(page, site, "aude")
    expect(page.get_by_role("link", name="Declare incident")).to_have_count(0)
    page.goto(f"{site}/admin/incidents/incident/1/change/")
    expect(page.get_by_role("heading", name="INC-2026-0001")).to_be_visible()
    expect(page.locator("a[href$='/acknowledge/'], a[href*='/notify/'], a[href$='/resolve/']")).to_have_count(0)
    expect(page.get_by_role("button", name="Save")).to_have_count(0)
    page.goto(f"{site}/admin/incidents/incident/1/history/")
    expect(page.locator("ol.acts").get_by_text("Olga Petrova (olga)").first).to_be_visible()
