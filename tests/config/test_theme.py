"""The stylesheet's tokens, and the frame around every page."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.safestring import mark_safe

from agreements.models import ServiceAgreement
from config import navigation
from config.admin import badge
from config.models import User
from tests.cast import browser_of
from tests.incidents.test_admin import declared

STYLESHEET = (settings.BASE_DIR / "config" / "static" / "due_notice" / "admin.css").read_text()
TOKENS = dict(re.findall(r"(--[\w-]+): light-dark\((#[0-9a-f]{6}, #[0-9a-f]{6})\);", STYLESHEET))
SURFACES = ("--page-bg", "--body-bg", "--darkened-bg", "--selected-bg", "--selected-row")
TONES = ("crit", "high", "med", "ok", "run", "off")
WORDS = [
    *((ink, ground) for ink in ("--body-fg", "--body-medium-color", "--body-quiet-color") for ground in SURFACES),
    *((ink, ground) for ink in ("--link-fg", "--link-hover-color") for ground in SURFACES),
    *((f"--{tone}", ground) for tone in TONES for ground in (f"--{tone}-bg", "--body-bg", "--page-bg")),
    *((ink, f"--{tone}-bg") for ink in ("--body-fg", "--body-quiet-color", "--link-fg") for tone in TONES),
    *(
        ("--button-fg", ground)
        for ground in ("--button-bg", "--button-hover-bg", "--delete-button-bg", "--delete-button-hover-bg")
    ),
]
EDGES = [(edge, ground) for edge in ("--border-color", "--focus", "--button-bg") for ground in SURFACES[:3]]


def contrast(first: str, second: str) -> float:
    """WCAG 2.2: 1 to 21, of two colours as #rrggbb."""
    lighter, darker = sorted((luminance(first), luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_contrast_is_computed_as_the_standard_has_it() -> None:
    assert round(contrast("#000000", "#ffffff"), 1) == 21.0
    assert round(contrast("#777777", "#ffffff"), 2) == 4.48


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_can_be_read_and_edges_be_seen_in_both_schemes(scheme: str) -> None:
    colours = {name: value.split(", ")[scheme == "dark"] for name, value in TOKENS.items()}
    weak = [
        f"{ink} on {ground}: {contrast(colours[ink], colours[ground]):.2f}"
        for pairs, least in ((WORDS, 4.5), (EDGES, 3.0))
        for ink, ground in pairs
        if contrast(colours[ink], colours[ground]) < least
    ]
    assert weak == []


def test_no_colour_is_named_outside_the_tokens() -> None:
    rules = STYLESHEET[STYLESHEET.index("/* ── ground") : STYLESHEET.index("/* ── on paper")]
    assert re.findall(r":[^;{}]*?(#[0-9a-f]{3,8})\b[^;{}]*;", rules, re.I) == ["#fff"]  # the paper of a mail


# ── the frame ───────────────────────────────────────────────────────────────────────────────────────────────────────


def lines_of(answer: Any) -> dict[str, str]:
    """Address → what stands in the line, as one page's navigation shows it."""
    nav = re.search(r'<nav id="site-nav".*?</nav>', answer.content.decode(), re.S)
    assert nav is not None
    found = re.findall(r'<a href="([^"]+)"[^>]*>(.*?)</a>', nav.group(), re.S)
    return {address: " ".join(re.sub(r"<[^>]+>", "", words).split()) for address, words in found}


def test_the_navigation_leads_to_what_a_role_may_view_and_to_nothing_else(aude: User, ada: User) -> None:
    nobody = User.objects.create_user("nobody", is_staff=True)
    assert list(lines_of(browser_of(nobody).get(reverse("admin:index")))) == [reverse("admin:index")]
    for person in (aude, ada):
        browser = browser_of(person)
        addresses = lines_of(browser.get(reverse("admin:index")))
        assert reverse("admin:incidents_incident_changelist") in addresses
        assert [address for address in addresses if browser.get(address).status_code != 200] == []


def test_only_who_may_declare_is_offered_it_on_every_page(olga: User, aude: User) -> None:
    page = reverse("admin:agreements_client_changelist")
    offered = f'href="{reverse("admin:incidents_incident_add")}"'
    assert offered in browser_of(olga).get(page).content.decode()
    assert offered not in browser_of(aude).get(page).content.decode()


def test_the_search_box_asks_the_list_of_incidents(northwind: ServiceAgreement, olga: User) -> None:
    incident = declared(olga)
    browser = browser_of(olga)
    page = browser.get(reverse("admin:agreements_client_changelist")).content.decode()
    box = re.search(
        r'<form method="get" action="([^"]+)" role="search".*?name="(\w+)" id="search-everywhere"', page, re.S
    )
    assert box is not None
    found = browser.get(box.group(1), {box.group(2): incident.reference})
    assert incident.reference in found.content.decode()


def test_the_page_that_is_shown_is_marked_and_its_part_when_it_lies_below(
    northwind: ServiceAgreement, olga: User
) -> None:
    incident = declared(olga)
    browser = browser_of(olga)
    listed = reverse("admin:incidents_incident_changelist")

    def marks(address: str) -> list[tuple[str, str]]:
        nav = browser.get(address).content.decode().partition('<nav id="site-nav"')[2].partition("</nav>")[0]
        return re.findall(r'<a href="([^"]+)" aria-current="(\w+)"', nav)

    assert marks(listed) == [(listed, "page")]
    assert marks(reverse("admin:incidents_incident_change", args=[incident.pk])) == [(listed, "true")]
    attention = reverse("admin:incidents_attention")  # lies below the list of notices, but has a line of its own
    assert marks(attention) == [(attention, "page")]
    assert marks(reverse("admin:password_change")) == []


def test_counts_say_what_they_count_and_no_more_than_people_read(northwind: ServiceAgreement, olga: User) -> None:
    declared(olga)
    listed = reverse("admin:incidents_incident_changelist")
    page = reverse("admin:password_change")
    assert lines_of(browser_of(olga).get(page))[listed] == "Incidents 1 open"
    entry = navigation.Entry("Incidents", "admin:index")
    assert navigation.Line(entry, entry.url, 0, "").number == ""
    assert navigation.Line(entry, entry.url, navigation.COUNTED_UP_TO + 1, "").number == "99+"


def test_all_counts_are_one_query_however_much_there_is(northwind: ServiceAgreement, olga: User) -> None:
    browser = browser_of(olga)
    page = reverse("admin:password_change")

    def queries() -> list[str]:
        with CaptureQueriesContext(
            connection,
        ) as found:
            browser.get(page)
        return [query["sql"] for query in found.captured_queries]

    before = queries()
    for _ in range(5):
        declared(olga)
    after = queries()
    assert len(after) == len(before)
    assert len([query for query in after if "AS counted" in query]) == 1


def test_the_navigation_comes_closed_where_it_was_left_closed(olga: User) -> None:
    browser = browser_of(olga)
    assert b"nav-closed" not in browser.get(reverse("admin:index")).content
    browser.cookies["due_notice_nav"] = "closed"
    assert b'<body class="nav-closed' in browser.get(reverse("admin:index")).content


def test_who_has_not_signed_in_sees_no_navigation(client: Browser, db: None) -> None:
    page = client.get(reverse("admin:login")).content.decode()
    assert 'id="site-nav"' not in page
    assert 'id="search-everywhere"' not in page


def test_each_cell_of_a_list_knows_its_column(northwind: ServiceAgreement, olga: User) -> None:
    incident = declared(olga)
    page = browser_of(olga).get(reverse("admin:incidents_incident_changelist")).content.decode()
    row = re.search(rf"<tr>(?:(?!</tr>).)*{incident.reference}.*?</tr>", page, re.S)
    assert row is not None
    cells = re.findall(r"<t[dh]\b([^>]*)>", row.group())
    assert cells
    assert [cell for cell in cells if "data-label=" not in cell and "action-checkbox" not in cell] == []


def test_an_empty_list_says_so_and_what_to_do(olga: User) -> None:
    listed = reverse("admin:incidents_incident_changelist")
    browser = browser_of(olga)

    def said(**filters: str) -> str:
        page = browser.get(listed, filters).content.decode()
        found = re.search(r'<p class="empty">(.*?)</p>', page, re.S)
        assert found is not None
        return " ".join(re.sub(r"<[^>]+>", "", found.group(1)).split())

    assert said() == "There are no incidents yet. Declare incident"
    assert said(status="open") == "No incident is open. Declare incident"
    assert said(severity="low") == "Nothing matches what you search and filter by. Clear all filters"


def test_on_a_phone_the_closed_filters_say_how_many_are_set(olga: User) -> None:
    listed = reverse("admin:incidents_incident_changelist")
    page = browser_of(olga).get(listed, {"severity": "low", "q": "storage", "status": ""}).content.decode()
    assert "Search and filter: 2 are set" in page
    assert "Search and filter</summary>" in browser_of(olga).get(listed).content.decode()


def test_a_badge_escapes_the_words_that_another_showed_as_markup() -> None:
    assert "<b>" in badge(mark_safe("<b>"), "high", "!")
    assert "<b>" not in badge("<b>", "high", "!")


@pytest.mark.django_db
def test_a_form_that_has_expired_says_so_and_shows_nothing_of_what_was_typed() -> None:
    strict = Browser(enforce_csrf_checks=True)
    answer = strict.post("/admin/login/", {"username": "olga", "password": "so secret"})
    page = answer.content.decode()
    assert answer.status_code == 403
    assert "This form has expired" in page
    assert "Nothing was saved." in page
    assert "due_notice/admin.css" in page
    assert "so secret" not in page
