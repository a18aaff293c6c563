"""Passkeys in a real browser with a virtual authenticator: added, instead of the password, beside it, and as proof."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Browser, Page, expect

from tests import cast
from tests.journeys.conftest import Product
from tests.journeys.conftest import small_product as small_product  # the fixture
from tests.services import children

AGED = """
from importlib import import_module
from django.conf import settings
from django.contrib.sessions.models import Session
Store = import_module(settings.SESSION_ENGINE).SessionStore
for row in Session.objects.all():
    session = Store(row.session_key)
    session['proved_at'] = 0
    session.save()
"""
KEY = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


def add_authenticator(page: Page) -> tuple[Any, str]:
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    name = devtools.send("WebAuthn.addVirtualAuthenticator", {"options": KEY})["authenticatorId"]
    return devtools, name


def test_a_passkey_is_added_and_signs_in_alone_and_beside_the_password_and_proves_who_it_is(
    chromium: Browser, small_product: Product
) -> None:
    port = children.free_port()
    site = f"http://localhost:{port}"
    small_product.processes.env |= {"PUBLIC_URL": site}
    small_product.processes.start_web(port=port)
    context = chromium.new_context(timezone_id="UTC", locale="en-GB")
    complaints: list[str] = []
    context.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    context.on("weberror", lambda error: complaints.append(str(error.error)))
    page = context.new_page()
    devtools, authenticator = add_authenticator(page)
    board = page.get_by_role("heading", name="What is due next")

    def give_password() -> None:
        page.goto(f"{site}/admin/login/")
        page.get_by_label("Username").fill("max")
        page.get_by_label("Password").fill(cast.PASSWORD)
        page.get_by_role("button", name="Log in").click()

    def sign_out() -> None:
        context.clear_cookies()
        page.goto(f"{site}/admin/login/")

    give_password()
    page.goto(f"{site}/admin/settings/second-factor/")
    page.get_by_role("link", name="Add a passkey").click()
    page.get_by_role("button", name="Add the passkey").click()
    assert devtools.send("WebAuthn.getCredentials", {"authenticatorId": authenticator})["credentials"] == []
    page.get_by_label("Name").fill("Work laptop")
    page.get_by_role("button", name="Add the passkey").click()
    expect(page.get_by_text("Work laptop")).to_be_visible()
    expect(page.locator(".recovery-codes li")).to_have_count(10)

    sign_out()
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(board).to_be_visible()

    sign_out()
    give_password()
    expect(page.get_by_role("heading", name="Second factor")).to_be_visible()
    page.get_by_role("button", name="Use a passkey").click()
    expect(board).to_be_visible()

    small_product.processes.manage("shell", "-v0", "-c", AGED)
    page.goto(f"{site}/admin/incidents/incident/export/")
    expect(page.get_by_role("heading", name="Confirm that it is you")).to_be_visible()
    with page.expect_download():
        page.get_by_role("button", name="Use a passkey").click()

    sign_out()
    devtools.send("WebAuthn.clearCredentials", {"authenticatorId": authenticator})
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_text("No passkey was used.")).to_be_visible()
    expect(page.get_by_role("button", name="Sign in with a passkey")).to_be_enabled()
    assert complaints == []

    page.route("**/admin/passkey/alone/", lambda route: route.fulfill(status=429, body="Asked for too often."))
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_text("Asked for too often.")).to_be_visible()
    context.close()
