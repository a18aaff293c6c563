"""A manager changes what was agreed and applies it to what is open; an auditor finds who moved a due time."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.browser.conftest import SignIn
from tests.journeys.conftest import Product
from tests.journeys.conftest import small_product as small_product  # the fixture

WHY = "Side letter of Monday: six hours instead of four."


def test_a_manager_applies_new_terms_to_an_open_incident_and_an_auditor_finds_who_did(
    sign_in: SignIn, small_product: Product
) -> None:
    small_product.act("declare()")
    site = small_product.processes.start_web()

    max_ = sign_in(site, "max")
    max_.goto(f"{site}/admin/agreements/commitment/?q=NW-2025-03&obligation__exact=notify")
    max_.get_by_role("link", name=re.compile("4 hours")).first.click()
    max_.locator("[name=amount]").fill("6")
    max_.get_by_label("Reason for the change").fill(WHY)
    max_.get_by_role("button", name="Save", exact=True).click()

    max_.goto(f"{site}/admin/incidents/deadline/present-terms/")
    row = max_.get_by_role("row").filter(has_text="Northwind")
    expect(row).to_contain_text("INC-2026-0001")
    expect(row.get_by_role("checkbox")).to_be_checked()
    max_.locator("[name=reason]").fill(WHY)
    max_.get_by_role("button", name="Apply to the chosen").click()
    expect(max_.get_by_text("1 deadline has its present terms.")).to_be_visible()
    expect(max_.get_by_text("There is nothing to apply.")).to_be_visible()

    aude = sign_in(site, "aude", viewport={"width": 375, "height": 800})
    aude.goto(f"{site}/admin/incidents/deadline/?obligation=notify")
    aude.get_by_role("row").filter(has_text="Northwind").get_by_role("link").first.click()
    aude.get_by_role("link", name="History").click()
    moved = aude.locator(".act-told").filter(has_text=WHY)
    expect(moved).to_contain_text("Max Weber")
    expect(moved).to_contain_text("Due at")


def test_a_manager_amends_an_agreement_and_compares_its_versions_on_a_phone(
    sign_in: SignIn, small_product: Product
) -> None:
    site = small_product.processes.start_web()
    max_ = sign_in(site, "max", viewport={"width": 375, "height": 800})
    max_.goto(f"{site}/admin/agreements/serviceagreement/1/change/")
    owed = max_.get_by_role("row", name="Notify the client Critical")
    expect(owed).to_contain_text("within 4 hours of detection, 24×7")

    max_.get_by_role("link", name="Amend").first.click()
    max_.locator("[name=effective_at]").fill("2035-01-01T00:00")
    max_.locator("[name=reason]").fill("Amendment No. 1")
    max_.get_by_role("button", name="Amend").click()
    expect(max_.get_by_role("listitem").filter(has_text="Version 2")).to_contain_text("Coming")

    max_.get_by_text("Edit this version").click()
    max_.get_by_label("Clause:").fill("As agreed anew.")
    max_.get_by_label("Reason for the change").fill("Amendment No. 1")
    max_.get_by_role("button", name="Save", exact=True).click()
    max_.goto(f"{site}/admin/agreements/serviceagreement/1/change/")
    max_.get_by_role("link", name="Compare versions").first.click()
    expect(max_.get_by_role("status").filter(has_text="2 things differ.")).to_be_visible()
    expect(max_.locator("ins").first).to_contain_text("anew")
    assert max_.evaluate("document.documentElement.scrollWidth") <= 375
