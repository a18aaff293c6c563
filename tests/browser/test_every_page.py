"""Every page of every role: reachable, readable by everybody, in order at every size, by day and by night.

Pages are found, not listed: a new one is opened as soon as something leads to it, and the test fails if nothing does.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.template.loader import render_to_string
from playwright.sync_api import Browser

from tests.browser import walk
from tests.browser.looks import VIEWS, Eye, View
from tests.browser.walk import Kind, Walk
from tests.journeys.seeded import copy_sqlite
from tests.services.processes import Processes

#: Who looks at which pages at every size: whoever works with them. The first that fits.
KEEPERS = (
    ("aude", ("_history", "_evidence")),
    ("max", ("agreements", "reviews", "deadline", "messagetemplate", "sending")),
    ("olga", ("incidents", "demo", "index")),
    ("ada", ("",)),
)
#: The others see the same templates with more or fewer buttons: each at one size, no two at the same.
GLANCE = {"olga": View(375, "dark"), "max": View(1280, "light"), "aude": View(1920, "dark"), "ada": View(375, "light")}
#: All that an auditor may send: what is about nobody but the auditor.
OWN = ("/admin/logout/", "/admin/password_change/", "/admin/settings/", "/admin/saved-filters/")
#: Pages that nobody reaches in this world, and why.
OUT_OF_REACH = {
    "admin:login": "seen by who has not signed in",
    "incidents:acknowledge": "seen by clients",
    "admin:incidents_sending_release": "while sending is held",
    **{
        f"admin:{name}_add": "made by what happens, never by hand"
        for name in ("incidents_deadline", "incidents_notice", "incidents_sending", "config_export")
    },
    **{
        f"admin:reviews_{name}_add": "made on the page of an incident or of its review"
        for name in ("postincidentreview", "correctiveaction")
    },
}


class Site:
    """The product running on the world of tests/browser/world.py."""

    def __init__(self, address: str, client_page: str) -> None:
        self.address = address
        self.client_page = client_page


@pytest.fixture(scope="module")
def site(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Processes(tmp_path_factory.mktemp("every-page"), {"DEMO": "1"}) as processes:
        copy_sqlite(migrated_sqlite, processes)
        made = processes.manage("shell", "-v0", "-c", "from tests.browser import world; world.make()")
        yield Site(processes.start_web(), made.stdout.split()[-1])


def keeper(name: str) -> str:
    return next(who for who, parts in KEEPERS if any(part in name for part in parts))


def views_for(who: str, kind: Kind) -> tuple[View, ...]:
    return VIEWS if keeper(kind.name) == who and not kind.query else (GLANCE[who],)


@pytest.mark.parametrize("who", [who for who, _parts in KEEPERS])
def test_every_page_of_a_role(chromium: Browser, site: Site, who: str) -> None:
    found = Walk(site.address, who)
    found.follow("/admin/", "/demo/inbox/")
    with Eye(chromium, who, found.browser_cookies()) as eye:
        for kind, address in found.pages.items():
            eye.open(site.address + address, str(kind), views_for(who, kind))
        eye.open(f"{site.address}/admin/nothing/here/", "404", status=404)
        print(f"{who}: {len(found.pages)} pages, {eye.looks} looks")
    missed = {name for name in walk.names() - set(OUT_OF_REACH) if keeper(name) == who} - {k.name for k in found.pages}
    assert not eye.faults, eye.report()
    if who == "aude":
        written = {address for addresses in eye.writes.values() for address in addresses}
        assert all(address.startswith(OWN) for address in written), written
    assert not found.dead, "\n".join(found.dead)
    assert not missed, "no link leads there"


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
