"""A real browser for the tests of this folder."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.services import children

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
