"""The pictures of the documentation, taken of a fresh demo: `.venv/bin/python -m tests.browser.pictures`.

The story and its steps are always the same; the instants are those of the day on which they are taken. With names only
those are written: `… -m tests.browser.pictures board trail`.
"""

from __future__ import annotations

import base64
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, FloatRect, Locator, Page, sync_playwright

from tests.services import children

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "pictures"
PASSWORD = "due-notice"  # of everybody in the demo
#: As the pages are read on a desk; pictures are as wide.
WIDTH = 1200
#: What a page shows while it is used, and a picture need not.
_QUIET = """
() => { document.activeElement?.blur(); document.querySelector('.messagelist')?.remove(); scrollTo(0, 0) }
"""
#: PNG of a page is several times as large as this.
_AS_WEBP = """
async png => {
    const picture = await createImageBitmap(await (await fetch(png)).blob())
    const canvas = Object.assign(document.createElement('canvas'), {width: picture.width, height: picture.height})
    canvas.getContext('2d').drawImage(picture, 0, 0)
    return canvas.toDataURL('image/webp', 0.82).split(',')[1]
}
"""


def take(site: str, *names: str) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--lang=en-GB"]
        )
        camera = Camera(browser, names)
        try:
            a_night(Visit(browser, site, "olga"), camera)
            a_review(Visit(browser, site, "olga"), camera)
            a_clause(Visit(browser, site, "max"), camera)
            an_audit(Visit(browser, site, "aude"), camera)
        finally:
            browser.close()


@contextmanager
def demo() -> Iterator[str]:
    """The demo in a folder of its own, up; its address."""
    port = children.free_port()
    words = ("demo", "--port", str(port), "--smtp-port", str(children.free_port()))
    with tempfile.TemporaryDirectory() as folder:
        started = subprocess.Popen(
            [sys.executable, "manage.py", *words],
            cwd=ROOT,
            env={**os.environ, "VAR_DIR": folder},
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert started.stdout
            next(line for line in started.stdout if "Due Notice is up" in line)
            yield f"http://127.0.0.1:{port}"
        finally:
            started.send_signal(signal.SIGINT)
            started.wait(30)


class Camera:
    def __init__(self, browser: Browser, names: tuple[str, ...]) -> None:
        self.names = names
        self._darkroom = browser.new_page()
        FOLDER.mkdir(exist_ok=True)

    def take(self, name: str, of: Page | Locator, *, height: int = 800) -> None:
        """The part of a page, of which it takes no more than so much from above; or its first screen."""
        if self.names and name not in self.names:
            return
        page = of if isinstance(of, Page) else of.page
        page.set_viewport_size({"width": WIDTH, "height": height if isinstance(of, Page) else 2400})
        page.evaluate(_QUIET)
        area = FloatRect(x=0, y=0, width=WIDTH, height=height)
        if isinstance(of, Locator):
            box = of.bounding_box()
            assert box
            area = FloatRect(x=box["x"] - 12, y=box["y"] - 12, width=box["width"] + 24, height=box["height"] + 24)
            area["height"] = min(area["height"], height)
        png = page.screenshot(clip=area, animations="disabled")
        shown = f"data:image/png;base64,{base64.b64encode(png).decode()}"
        (FOLDER / f"{name}.webp").write_bytes(base64.b64decode(self._darkroom.evaluate(_AS_WEBP, shown)))
        print(f"{name}: {(FOLDER / f'{name}.webp').stat().st_size // 1024} kB")


class Visit:
    """Somebody at the demo."""

    def __init__(self, browser: Browser, site: str, username: str) -> None:
        self.site = site
        context: BrowserContext = browser.new_context(locale="en-GB", timezone_id="Europe/Berlin")
        context.set_default_timeout(15_000)
        self.page = context.new_page()
        self.open("/admin/")
        self.page.get_by_label("Username").fill(username)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Log in").click()

    def open(self, path: str) -> Page:
        self.page.goto(self.site + path)
        return self.page

    def find(self, listed: str, words: str) -> Page:
        """The page of the first of a list whose name has these words."""
        link = self.open(listed).locator("#result_list th a").filter(has_text=words).first
        return self.open(str(link.get_attribute("href")))


def a_night(olga: Visit, camera: Camera) -> None:
    camera.take("board", olga.page)
    page = olga.open("/admin/incidents/incident/add/")
    page.get_by_label("What is broken").fill("Objects cannot be written")
    page.get_by_role("checkbox", name="Object storage").check()
    page.get_by_role("radio", name="Critical").check()
    page.get_by_role("button", name="15 min ago").click()
    page.locator("#ahead .notify").first.wait_for()
    camera.take("declare", page, height=1000)
    page.get_by_role("button", name="Declare incident").click()
    page.locator(".workspace-head").wait_for()
    incident = page.url
    camera.take("incident", page, height=860)
    camera.take("goes-out", page.locator("section[aria-labelledby=next-heading]"), height=560)

    page.goto(re.sub(r"change/.*", "notify/", incident))
    page.get_by_label("Message").fill("Writing to object storage fails since a few minutes. We are at work on it.")
    page.get_by_role("button", name="Northwind", exact=True).click()
    page.locator("#preview .subject").wait_for()
    page.frame_locator("iframe.mail").get_by_text("We are at work on it.").first.wait_for()
    camera.take("notify", page, height=1000)
    for verb, name in (("tell", "told-otherwise"), ("correct-times", "correct-times")):
        page.goto(re.sub(r"change/.*", f"{verb}/", incident))
        camera.take(name, page, height=720)

    page.goto(f"{olga.site}/demo/inbox/?to=clients")
    page.locator("a[href*='/demo/inbox/']").filter(has_text="Critical incident").first.click()
    camera.take("mail", page.locator("iframe").first, height=700)


def a_review(olga: Visit, camera: Camera) -> None:
    camera.take("review", olga.find("/admin/reviews/postincidentreview/", "INC-2026-0005"), height=1000)


def a_clause(max_: Visit, camera: Camera) -> None:
    page = max_.find("/admin/agreements/serviceagreement/", "CT-2024-11")
    camera.take("agreement", page, height=860)
    page.get_by_role("link", name="Simulate").click()
    camera.take("simulator", page, height=1000)


def an_audit(aude: Visit, camera: Camera) -> None:
    camera.take("queue", aude.open("/admin/config/concern/"))
    camera.take("trail", aude.open("/admin/trail/?object=INC-2026-0006"), height=900)
    page = aude.find("/admin/incidents/incident/?tab=all", "INC-2026-0006")
    page.goto(re.sub(r"change/.*", "as-it-was/", page.url))
    camera.take("as-it-was", page)


if __name__ == "__main__":
    with demo() as address:
        take(address, *sys.argv[1:])
