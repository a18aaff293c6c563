"""Every page of every role: reachable, readable by everybody, in order at every size, by day and by night.

Pages are found, not listed: a new one is opened as soon as something leads to it, and the test fails if nothing does.
Ada, who sees most, and Aude, who may write nothing, look at all of theirs; Max and Olga at what they work with, and at
what has a part, by its tags, classes and attributes, that it had for no reader before.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import django
import pytest
from django.template.loader import render_to_string
from playwright.sync_api import Browser, ViewportSize

from config.audit import sources
from tests.browser import walk
from tests.browser.looks import DESK, ROOT, VIEWS, WALL, Eye, Inks, View
from tests.browser.walk import Kind, Walk
from tests.journeys.seeded import copy_sqlite
from tests.services.processes import Processes

STATIC = ROOT / "config" / "static"
DJANGO = Path(django.__file__).parent / "contrib" / "admin" / "static" / "admin" / "css"
#: Who looks at which pages at every size: whoever works with them. The first that fits.
KEEPERS = (
    ("ada", ("_pseudonymise", "_intaketoken")),
    ("aude", ("_history", "_evidence", "_retention", "notice_check")),
    ("max", ("agreements", "reviews", "deadline", "messagetemplate", "sending")),
    ("olga", ("incidents", "demo", "index")),
    ("ada", ("",)),
)
#: The others see the same templates with more or fewer buttons, in the same colours: each at a size of their own.
GLANCE = {
    "olga": (View(375, "dark"),),
    "max": (View(1280, "light"),),
    "aude": (View(1920, "dark"),),
    "ada": (View(1280, "light"), View(375, "light")),
}
#: One template for many models: the four together see each on a wall, a desk and a phone, by day and by night. Aude
#: looks at that of incidents in every way.
HISTORIES = tuple(
    f"_{model._meta.model_name}_history" for model in sources.audited() if model._meta.label != "incidents.Incident"
)
#: Others look at a page of another only if it is made of something new.
LOOK_AT_ALL = ("ada", "aude")
#: Whose words are longer: Ada reads all of her pages in German.
LANGUAGES = defaultdict(lambda: "en", {"ada": "de"})
#: The same words whoever reads them: evidence, what a client was sent, and the demo’s inbox, no part of the product.
ENGLISH = {
    "admin:incidents_incident_evidence",
    "admin:reviews_edition_kept",
    "admin:reviews_statement_kept",
    "demo_inbox",
    "demo_message",
}
#: All that an auditor may send: what is about nobody but the auditor, that something was looked at, a text to be
#: compared, of which nothing is kept, and what is to be written into a file, of which the record is kept.
OWN = (
    "/admin/logout/",
    "/admin/password_change/",
    "/admin/settings/",
    "/admin/saved-filters/",
    "/admin/config/concern/",
    "/admin/incidents/notice/check/",
    "/admin/trail/export/",
    "/admin/incidents/intaketoken/calendar/",
)
#: Pages that nobody reaches in this world, and why.
OUT_OF_REACH = {
    "admin:login": "seen by who has not signed in",
    "admin:login_second": "seen by who has given the password, and not yet the code",
    "admin:config_user_end-sessions": "while somebody else is signed in",
    "admin:config_user_reset-second-factor": "nobody in this world has one",
    "admin:config_user_unlink-single-sign-on": "nobody in this world is linked",
    **{f"admin:{name}": "single sign-on is off" for name in ("sso", "sso_back", "sso_confirm", "sso_own")},
    "incidents:acknowledge": "seen by clients",
    "admin:incidents_sending_release": "while sending is held",
    **{
        f"admin:{name}_add": "made by what happens, never by hand"
        for name in ("incidents_deadline", "incidents_notice", "incidents_sending", "config_export", "config_concern")
    },
    **{
        f"admin:config_concern_{name}": "nothing in this world is to be looked at"
        for name in ("change", "history", "as_it_was", "look-at")
    },
    **{
        f"admin:reviews_{name}_add": "made on the page of an incident or of its review"
        for name in ("postincidentreview", "correctiveaction")
    },
}


PAPER: ViewportSize = {"width": 718, "height": 1000}  # A4 without its margins
ON_PAPER = (
    "/admin/",
    "/admin/incidents/incident/",
    "/admin/incidents/incident/1/change/",
    "/admin/agreements/serviceagreement/1/change/",
    "/admin/incidents/incident/1/history/",
)
#: What nobody can press there, what is too pale to be read on white, and what the sheet has no room for.
ON_PAPER_IS_WRONG = """
() => {
    const light = colour => {
        const [r, g, b] = colour.match(/[\\d.]+/g).map(part => part / 255)
        return 0.2126 * r ** 2.2 + 0.7152 * g ** 2.2 + 0.0722 * b ** 2.2
    }
    const seen = selector => [...document.querySelectorAll(selector)].filter(part => part.checkVisibility())
    const says = part => [...part.childNodes].some(node => node.nodeType === 3 && node.data.trim())
    const hands = seen('nav, button, .button, input:not([type=hidden]), select, textarea')
    const pale = seen('main *').filter(part => says(part) && light(getComputedStyle(part).color) > 0.18)
    const wide = seen('main :is(table, h1)').filter(part => part.getBoundingClientRect().right > innerWidth + 1)
    return [...hands, ...pale, ...wide].map(part => part.outerHTML.slice(0, 120))
}
"""


HOME = "http://localhost"  # a name, so that passkeys are on


class Site:
    """The product running on the world of tests/browser/world.py."""

    def __init__(self, address: str, client_page: str) -> None:
        self.address = address
        self.client_page = client_page
        #: What was looked at so far: by kind, the parts; by view, the colours.
        self.parts: defaultdict[Kind, set[str]] = defaultdict(set)
        self.inks: Inks = defaultdict(set)

    def is_new(self, kind: Kind, parts: frozenset[str]) -> bool:
        """Has a page of this kind a part that no reader's had before? It is known from now on."""
        new = parts - self.parts[kind]
        self.parts[kind] |= new
        return bool(new)


@pytest.fixture(scope="module")
def site(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Processes(tmp_path_factory.mktemp("every-page"), {"DEMO": "1", "PUBLIC_URL": HOME}) as processes:
        copy_sqlite(migrated_sqlite, processes)
        made = processes.manage("shell", "-v0", "-c", "from tests.browser import world; world.make()")
        yield Site(processes.start_web(), made.stdout.split()[-1])


def keeper(name: str) -> str:
    return next(who for who, parts in KEEPERS if any(part in name for part in parts))


def views_for(who: str, kind: Kind) -> tuple[View, ...]:
    """Pages with a query are for their keeper, and for who reads another language; others see them without one."""
    is_own = keeper(kind.name) == who
    if kind.query and not is_own:
        return GLANCE[who][-1:] if LANGUAGES[who] != "en" else ()
    if kind.query:
        return GLANCE[who]
    return VIEWS if is_own and not kind.name.endswith(HISTORIES) else GLANCE[who]


@pytest.mark.parametrize("who", ["ada", "aude", "max", "olga"])
def test_every_page_of_a_role(chromium: Browser, site: Site, who: str) -> None:
    found = Walk(site.address, who)
    found.follow("/admin/", "/demo/inbox/")
    with Eye(chromium, who, found.browser_cookies(), site.inks) as eye:
        for kind, address in found.pages.items():
            eye.language = "en" if kind.name in ENGLISH else LANGUAGES[who]
            if not (views := views_for(who, kind)):
                continue
            is_own, is_new = keeper(kind.name) == who, site.is_new(kind, found.parts[kind])
            if is_own or is_new or who in LOOK_AT_ALL:
                eye.open(site.address + address, str(kind), views, structure=is_own or is_new, colours=is_own)
        eye.language = LANGUAGES[who]
        eye.open(f"{site.address}/admin/nothing/here/", "404", status=404)
        print(f"{who}: {len(found.pages)} pages, {eye.looks} looks, axe was asked {eye.asked} times")
    names = {name for name in walk.names() if not name.endswith("_simple_history")}  # the history itself tells all
    missed = {name for name in names - set(OUT_OF_REACH) if keeper(name) == who} - {k.name for k in found.pages}
    assert not eye.faults, eye.report()
    if who == "aude":
        written = {address for addresses in eye.writes.values() for address in addresses}
        assert all(address.startswith(OWN) for address in written), written
    assert not found.dead, "\n".join(found.dead)
    assert not missed, "no link leads there"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_paper_there_is_dark_ink_on_white_and_nothing_to_press(
    chromium: Browser, site: Site, scheme: Literal["light", "dark"]
) -> None:
    with Eye(chromium, "max", Walk(site.address, "max").browser_cookies()) as eye:
        eye.page.emulate_media(media="print", color_scheme=scheme)
        eye.page.set_viewport_size(PAPER)
        for address in ON_PAPER:
            eye.page.goto(site.address + address)
            assert eye.page.evaluate(ON_PAPER_IS_WRONG) == [], address
            assert eye.page.locator("h1").is_visible(), address


def test_every_guide_fits_a_phone(chromium: Browser, site: Site) -> None:
    """The crawl opens one of them, as one view makes all; but each has tables and commands of its own."""
    with Eye(chromium, "aude", Walk(site.address, "aude").browser_cookies()) as eye:
        for guide in sorted(file.stem for file in (ROOT / "docs").glob("*.md") if file.stem != "README"):
            address = f"{site.address}/admin/help/{guide}/"
            eye.open(address, guide, (View(375, "light"),), structure=False, colours=False)
    assert not eye.faults, eye.report()


def test_no_stylesheet_colours_a_wall_otherwise_than_a_desk() -> None:
    """So that the colours need not be looked at on both."""
    for sheet in (*STATIC.glob("due_notice/*.css"), *DJANGO.glob("*.css")):
        for width, rules in re.findall(
            r"@media[^{]*-width:\s*(\d+)px\s*\)\s*\{(.*?)\n\}", sheet.read_text(), re.DOTALL
        ):
            if DESK <= int(width) <= WALL:
                assert not re.search(r"color|background|var\(|display|position", rules), f"{sheet.name} at {width} px"


def test_every_page_of_who_has_not_signed_in(chromium: Browser, site: Site) -> None:
    with Eye(chromium, "nobody") as eye:
        eye.open(f"{site.address}/admin/login/", "login")
        eye.page.get_by_label("Username").fill("olga")
        eye.page.get_by_label("Password").fill("wrong")
        eye.page.get_by_role("button", name="Log in").click()
        eye.look("login-refused")
        eye.open(site.address + site.client_page, "acknowledge")
        eye.page.get_by_role("button").click()
        eye.look("acknowledged")
        eye.open(f"{site.address}/notice/nothing/", "acknowledge-refused", status=404)
        eye.open(f"{site.address}/nothing/here/", "404", status=404)
        eye.page.route(
            "**/500/", lambda route: route.fulfill(body=render_to_string("500.html"), content_type="text/html")
        )
        eye.open(f"{site.address}/500/", "500")
    assert not eye.faults, eye.report()
