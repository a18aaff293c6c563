"""A real browser for the tests of this folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests import cast
from tests.services import children

# Somebody who waits for a page on a busy machine waits longer than Playwright's five seconds.
expect.set_options(timeout=20_000)

# What keeps Chromium quiet on a machine without network and lets it run as root.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="module")  # longer, and its event loop would be in the way of the database in other tests
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, driven by Playwright; without one the test fails in CI and says what it skips elsewhere."""
    path = shutil.which("chromium")
    if path is None:
        children.unavailable("No Chromium on this machine, so no page was opened in a browser.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        browser.close()


#: (the site's address, who, options of the browser context) → the board, as that person sees it
SignIn = Callable[..., Page]


@pytest.fixture
def sign_in(chromium: Browser) -> Iterator[SignIn]:
    """Signs somebody in, each in a browser of their own; the test fails when a script fails or something is refused."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def sign_in(site: str, username: str, **options: Any) -> Page:
        context = chromium.new_context(**{"timezone_id": "UTC", "locale": "en-GB", **options})
        contexts.append(context)
        context.set_default_timeout(15_000)
        # A page that refreshes itself may ask once more when its server has ended with the test.
        context.on(
            "console",
            lambda message: (
                complaints.append(message.text)
                if message.type == "error" and "ERR_CONNECTION_REFUSED" not in message.text
                else None
            ),
        )
        context.on("weberror", lambda error: complaints.append(str(error.error)))
        page = context.new_page()
        page.goto(f"{site}/admin/")
        page.get_by_label("Username").fill(username)
        page.get_by_label("Password").fill(cast.PASSWORD)
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("heading", name="What is due next")).to_be_visible()
        return page

    yield sign_in
    for context in contexts:
        context.close()
    assert complaints == []
