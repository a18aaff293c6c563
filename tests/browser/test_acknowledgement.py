"""The client's page in a browser: opened from the mail, read, confirmed with the keyboard, on a phone at night."""

from __future__ import annotations

import re
import sqlite3

import pytest
from playwright.sync_api import Browser, expect

from tests.journeys.conftest import SMALL, Product
from tests.journeys.conftest import product as product  # the fixture


def recorded(product: Product) -> list[tuple[str, str, str]]:
    """(written to, from where, by what program) of every acknowledgement."""
    query = """
        SELECT recipient_address, from_address, user_agent
        FROM incidents_acknowledgement JOIN incidents_notice ON incidents_notice.id = notice_id
    """
    with sqlite3.connect(product.processes.env["DATABASE_URL"].removeprefix("sqlite:///")) as database:
        return database.execute(query).fetchall()


@pytest.mark.parametrize("product", [SMALL], indirect=True)
def test_a_client_opens_the_link_reads_and_confirms(chromium: Browser, product: Product) -> None:
    product.act("declare(); acts.notify_all()")
    product.processes.manage("outbox", "run")
    mail = next(mail for mail in product.inbox.wait_for(3, 30) if mail.recipients == ("ops@northwind.example",))
    found = re.search(r"^http://127\.0\.0\.1(/notice/\S+)", mail.text, re.MULTILINE)
    assert found
    site = product.processes.start_web()

    context = chromium.new_context(viewport={"width": 375, "height": 800}, color_scheme="dark", locale="fr-FR")
    context.set_default_timeout(15_000)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    for _time in range(2):
        page.goto(site + found[1])
        expect(page.get_by_role("heading", name="Incident INC-2026-0001")).to_be_visible()
        expect(page.get_by_text("We notify you of an incident of severity “critical”")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    page.wait_for_load_state("networkidle")
    assert recorded(product) == [], "a browser that opens the link, scripts and all, records nothing"

    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="I have read this notice")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("Reading is confirmed.")
    expect(page.get_by_role("status")).to_contain_text(re.compile(r"\d\d:\d\d E[SD]T"))
    page.reload()
    expect(page.get_by_role("button")).to_have_count(0)
    [(address, from_where, program)] = recorded(product)
    assert (address, from_where) == ("ops@northwind.example", "127.0.0.1")
    assert "Chrome" in program
    assert context.cookies() == []
    context.close()
    assert complaints == []
