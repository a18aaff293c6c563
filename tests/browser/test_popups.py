"""What a form refers to is made in a window of its own, and is chosen in the form when that closes."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.conftest import SignIn
from tests.journeys.conftest import Product
from tests.journeys.conftest import small_product as small_product  # the fixture


def test_a_manager_makes_the_client_of_a_new_agreement_beside_its_form(sign_in: SignIn, small_product: Product) -> None:
    site = small_product.processes.start_web()
    form = sign_in(site, "max")
    form.goto(f"{site}/admin/agreements/serviceagreement/add/")
    form.get_by_label("Reference").fill("TT-2026-01")
    with form.expect_popup() as opened:
        form.locator("#add_id_client").click()
    window = opened.value
    expect(window.get_by_role("heading", level=1)).to_be_visible()
    expect(window.get_by_role("navigation")).to_have_count(0)
    expect(window.get_by_role("banner")).to_have_count(0)
    window.locator("[name=name]").fill("Tailspin Toys")
    window.get_by_label("Time zone").fill("America/Chicago")
    window.locator("[name=contacts-0-name]").fill("Tailspin Desk")
    window.locator("[name=contacts-0-address]").fill("desk@tailspin.example")
    with window.expect_event("close"):
        window.get_by_role("button", name="Save", exact=True).click()
    expect(form.locator("#id_client")).to_contain_text("Tailspin Toys")
    expect(form.locator("#id_client option:checked")).to_have_text("Tailspin Toys")
    expect(form.get_by_label("Reference")).to_have_value("TT-2026-01")
