"""Single sign-on in a real browser: to the provider and back, once more to prove who it is, and to link oneself."""

from __future__ import annotations

from playwright.sync_api import Browser, ConsoleMessage, expect

from tests import cast
from tests.browser.test_passkeys import AGED
from tests.journeys.conftest import Product
from tests.journeys.conftest import small_product as small_product  # the fixture
from tests.services import children, openid

WITHOUT_PASSWORD = """
from config.history import acting
from config.models import User
olga = User.objects.get(username='olga')
olga.set_unusable_password()
with acting(reason='As the test needs it.'):
    olga.save()
"""


def test_somebody_comes_in_by_the_provider_proves_there_who_they_are_and_a_colleague_links_their_account(
    chromium: Browser, small_product: Product
) -> None:
    port = children.free_port()
    site = f"http://localhost:{port}"
    with openid.running() as provider:
        small_product.processes.env |= {
            "PUBLIC_URL": site,
            "OIDC_ISSUER": provider.issuer,
            "OIDC_CLIENT_ID": openid.CLIENT_ID,
            "OIDC_CLIENT_SECRET": openid.CLIENT_SECRET,
            "OIDC_DOMAINS": "due-notice.example",
            "OIDC_LABEL": "Sign in with Northwind ID",
            "OIDC_ROLES": "leads:manager,ops:operator",
        }
        small_product.processes.manage("shell", "-v0", "-c", WITHOUT_PASSWORD)
        small_product.processes.start_web(port=port)
        provider.claims["groups"] = ["leads"]
        context = chromium.new_context(timezone_id="UTC", locale="en-GB")
        complaints: list[str] = []

        def is_ours(said: ConsoleMessage) -> bool:  # and not that the provider has no icon
            return said.type == "error" and said.location["url"].startswith(site)

        context.on("console", lambda said: complaints.append(said.text) if is_ours(said) else None)
        context.on("weberror", lambda error: complaints.append(str(error.error)))
        page = context.new_page()

        page.goto(f"{site}/admin/incidents/incident/")
        page.get_by_role("link", name="Sign in with Northwind ID").click()
        page.get_by_role("button", name="Go on as Olga").click()
        expect(page).to_have_url(f"{site}/admin/incidents/incident/")
        page.goto(f"{site}/admin/agreements/client/add/")
        expect(page.get_by_role("heading", name="Add client")).to_be_visible()

        small_product.processes.manage("shell", "-v0", "-c", AGED)
        page.goto(f"{site}/admin/incidents/incident/export/")
        page.get_by_role("button", name="Continue").click()
        expect(page.get_by_text("You have not confirmed it yet.")).to_be_visible()
        with context.expect_page() as opened:
            page.get_by_role("link", name="Confirm it by single sign-on").click()
        opened.value.get_by_role("button", name="Go on as Olga").click()
        expect(opened.value.get_by_role("status")).to_contain_text("It is confirmed that it is you.")
        opened.value.close()
        with page.expect_download():
            page.get_by_role("button", name="Continue").click()

        context.clear_cookies()
        provider.claims = {"sub": "1002", "email": "max@due-notice.example", "groups": ["ops"]}
        page.goto(f"{site}/admin/login/?next=/admin/settings/single-sign-on/")
        page.get_by_label("Username").fill("max")
        page.get_by_label("Password").fill(cast.PASSWORD)
        page.get_by_role("button", name="Log in").click()
        page.get_by_role("button", name="Link my account").click()
        page.get_by_role("button", name="Go on as Olga").click()
        expect(page.get_by_text("Your account is linked to the provider since")).to_be_visible()
        context.close()
        assert complaints == []
