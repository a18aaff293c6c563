"""A report on a phone, from what its facilitator writes to what the client is sent; and text that means harm."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, ViewportSize, expect

from tests.browser.conftest import SignIn
from tests.browser.test_reviewing import REVIEW
from tests.journeys.conftest import SMALL, Product
from tests.journeys.conftest import product as product  # the fixture

pytestmark = pytest.mark.parametrize("product", [SMALL], indirect=True)
PHONE: ViewportSize = {"width": 375, "height": 800}

TABLE = "\n".join("|" + cell * 120 for cell in ("wide|", "---|", "cell|", "cell|"))
HOSTILE = f"""\
<script>document.title = 'obeyed'</script><img src=x onerror="alert(1)"><iframe src="javascript:alert(1)"></iframe>
<style>* {{ display: none }}</style><svg onload=alert(1)><form action=https://evil.example><button>Press</button></form>

[click](javascript:alert(1)) [data](data:text/html,<script>alert(1)</script>) ![picture](https://evil.example/p.png)
[well](https://status.example/) <https://auto.example/> [ref]

[ref]: javascript:alert(1)

{"endless" * 40}

{TABLE}
"""


def press(page: Page, verb: str) -> None:
    """A verb's button, and on its page the button that does it."""
    page.get_by_role("link", name=verb, exact=True).first.click()
    page.get_by_role("button", name=verb, exact=True).click()


def standing_of_the_report(page: Page, client: str) -> Locator:
    """Its row among the deadlines on the review's page."""
    page.locator(".phases summary", has_text="deadlines").click()
    return page.get_by_role("row").filter(has=page.get_by_role("link", name="Report", exact=True), has_text=client)


def fits(page: Page) -> bool:
    """Whether nothing makes it scroll sideways."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


def test_what_the_facilitator_writes_a_manager_approves_and_the_client_is_sent_on_a_phone(
    sign_in: SignIn, product: Product
) -> None:
    product.act("owe_reports(); acts.open_review(); acts.fill_in_review()")
    site = product.processes.start_web()
    olga, max_ = (sign_in(site, username, viewport=PHONE) for username in ("olga", "max"))

    olga.goto(f"{site}{REVIEW}")
    missing = olga.locator(".checks li", has_text="Missing:")
    expect(missing).to_have_count(1)
    expect(missing).to_contain_text("Write what happened.")
    olga.get_by_label("What happened", exact=True).fill("A disk **filled** up.")
    olga.get_by_role("button", name="Preview: What happened").click()
    expect(olga.locator(".preview .prose strong")).to_have_text("filled")
    olga.locator("#id_is_summary_for_client").check()
    olga.get_by_role("button", name="Save", exact=True).last.click()
    expect(olga.get_by_text("Nothing is missing.")).to_be_visible()
    assert fits(olga)
    press(olga, "Submit for approval")
    expect(olga.get_by_text("The review waits for a manager's approval.")).to_be_visible()

    max_.goto(f"{site}{REVIEW}")
    press(max_, "Approve")
    max_.get_by_role("link", name="Share with clients", exact=True).click()
    max_.get_by_text("As Contoso will read it").click()
    mail = max_.frame_locator("iframe[title='The mail to Contoso']")
    expect(mail.locator("strong", has_text="filled")).to_be_visible()
    expect(mail.get_by_text("Nobody was told that it grew.")).to_have_count(0)
    assert fits(max_)
    max_.get_by_role("button", name="Share with clients", exact=True).click()
    expect(max_.get_by_text("3 mails are in the outbox.")).to_be_visible()
    expect(standing_of_the_report(max_, "Contoso")).not_to_contain_text("Met")

    product.processes.manage("outbox", "run")
    mails = {mail.recipients[0]: mail for mail in product.inbox.messages if "Report:" in mail.subject}
    assert sorted(mails) == ["duty@contoso.example", "it@contoso.example", "ops@northwind.example"]
    (paper,) = mails["it@contoso.example"].message.iter_attachments()
    assert paper.get_content().startswith(b"%PDF-")
    assert "A disk **filled** up." in mails["it@contoso.example"].text
    max_.reload()
    for client in ("Contoso", "Northwind"):
        expect(standing_of_the_report(max_, client)).to_contain_text("Met")
        max_.reload()
    assert fits(max_)


def test_text_that_means_harm_does_none_wherever_it_is_read(sign_in: SignIn, product: Product) -> None:
    product.act(f"owe_reports(); acts.open_review(); acts.fill_in_review(); acts.write_everywhere({HOSTILE!r})")
    site = product.processes.start_web()
    page = sign_in(site, "olga", viewport=PHONE)
    asked: list[str] = []
    dialogs: list[str] = []
    page.context.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))  # one that stays open fails what follows

    page.goto(f"{site}{REVIEW}")
    for preview in page.get_by_role("button", name="Preview: ").all():
        preview.click()
    shown = page.locator(".preview .prose:visible")
    expect(shown).to_have_count(page.locator(".preview").count())
    harmless(page, shown)
    page.goto(f"{site}{REVIEW.replace('change', 'read')}")
    harmless(page, page.locator(".review-document .prose, .review-document section"))

    product.act("share_review()")
    page.goto(f"{site}{REVIEW}")
    page.get_by_role("link", name="Share with clients", exact=True).click()
    for client in ("Contoso", "Northwind"):
        page.get_by_text(f"As {client} will read it").click()
        frame = page.frame_locator(f"iframe[title='The mail to {client}']")
        expect(frame.get_by_text("document.title = 'obeyed'").first).to_be_visible()
        assert frame.locator("script, img, svg, iframe, form, a[href^='javascript:'], a[href^='data:']").count() == 0
    assert fits(page)
    page.goto(f"{site}{REVIEW}")
    page.get_by_role("link", name="Contoso, version 1").click()
    harmless(page, page.locator("main.paper"))

    assert dialogs == []
    assert [url for url in asked if not url.startswith(f"{site}/")] == []


def harmless(page: Page, where: Locator) -> None:
    """The markup is read as text, links lead to the web alone, and the page is no wider than the phone."""
    expect(where.get_by_text("document.title = 'obeyed'").first).to_be_visible()
    assert where.locator("script, style, img, iframe, form, svg").count() == 0
    links = where.locator("a").evaluate_all("links => links.map(link => new URL(link.href).protocol)")
    assert set(links) <= {"http:", "https:", "mailto:"}
    assert "obeyed" not in page.title()
    assert fits(page)
