"""Writing to a client in a browser: the preview follows what is typed, a test comes to oneself, then it is sent."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.test_story import sign_in
from tests.journeys.conftest import SMALL, Product
from tests.journeys.conftest import product as product  # the fixture

pytestmark = pytest.mark.parametrize("product", [SMALL], indirect=True)


@pytest.fixture
def site(product: Product) -> str:
    product.act("declare()")
    product.act("keep_template('Investigating', 'We look into {title}, {contact}.')")
    return product.processes.start_web()


def test_what_olga_sees_is_what_the_client_gets(chromium: Browser, site: str, product: Product) -> None:
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, timezone_id="UTC", locale="en-GB")
    context.set_default_timeout(15_000)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    sign_in(page, site, "olga")
    page.goto(f"{site}/admin/incidents/incident/1/update/?clients=1")
    mail = page.frame_locator("iframe.mail")

    page.get_by_label("Start from").select_option(label="Investigating")
    expect(page.get_by_label("Message")).to_have_value("We look into {title}, {contact}.")
    expect(mail.get_by_text("We look into Storage is down (0), Northwind Operations.")).to_be_visible()
    page.get_by_label("Message").press_sequentially(" Rack {rak}")
    expect(page.locator("#preview .refused")).to_contain_text("{rak} is no placeholder.")
    for _character in "{rak}":
        page.keyboard.press("Backspace")
    page.keyboard.type("7.")
    expect(mail.get_by_text("Rack 7.")).to_be_visible()
    page.get_by_label("Contoso (2 contacts)").check()
    page.get_by_role("button", name="Contoso").press("Enter")
    expect(page.get_by_role("button", name="Contoso")).to_have_attribute("aria-current", "true")
    expect(mail.get_by_text("Contoso Operations,")).to_be_visible()

    page.get_by_role("button", name="Send a test to myself").press("Enter")
    expect(page.get_by_text("A test is on its way to olga@due-notice.example.")).to_be_visible()
    expect(page.get_by_label("Message")).to_have_value("We look into {title}, {contact}. Rack 7.")
    expect(mail.get_by_text("Contoso Operations,")).to_be_visible()
    product.processes.manage("outbox", "run")
    (test,) = product.inbox.wait_for(1, 30)
    assert test.recipients == ("olga@due-notice.example",)

    page.get_by_role("button", name="Post update").press("Enter")
    expect(page.get_by_text("3 mails are in the outbox.")).to_be_visible()
    product.processes.manage("outbox", "run")
    mails = {mail.recipients[0]: mail for mail in product.inbox.wait_for(4, 30)}
    sent = "We look into Storage is down (0), Northwind Operations. Rack 7."
    assert sent in mails["ops@northwind.example"].text
    context.close()
    assert complaints == []
