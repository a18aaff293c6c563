"""Filters saved under a name: one's own alone, checked whenever they are used, one of them opening the page."""

from __future__ import annotations

import html

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from config import roles, saved_filters
from config.models import SavedFilter, User
from incidents.admin.board import PAGE
from tests import cast
from tests.cast import browser_of

BOARD = "/admin/"
CHANGE = "/admin/saved-filters/board/"


def shown(browser: Browser, query: str = "") -> str:
    return html.unescape(browser.get(f"{BOARD}{query}").content.decode())


@pytest.fixture
def olgas(olga: User) -> Browser:
    return browser_of(olga)


@pytest.mark.parametrize("role", roles.ROLES)
@pytest.mark.usefixtures("roles")
def test_people_of_every_role_save_rename_and_delete_their_own(role: str) -> None:
    browser = browser_of(cast.colleague("somebody", "Some Body", role))
    done = browser.post(CHANGE, {"do": "save", "name": "Critical", "query": "severity=critical"})
    assert done.headers["Location"] == "/admin/?severity=critical"
    saved = SavedFilter.objects.get()
    assert (saved.name, saved.query, saved.is_landing) == ("Critical", "severity=critical", False)
    assert "Critical" in shown(browser)
    browser.post(CHANGE, {"do": "rename", "filter": saved.pk, "name": "Worst", "query": "severity=critical"})
    assert SavedFilter.objects.get().name == "Worst"
    browser.post(CHANGE, {"do": "delete", "filter": saved.pk})
    assert not SavedFilter.objects.exists()


@pytest.mark.parametrize("role", roles.ROLES)
@pytest.mark.parametrize("do", ["rename", "land", "unland", "delete"])
def test_nobody_sees_or_changes_another_persons(olga: User, role: str, do: str) -> None:
    saved = saved_filters.save(by=olga, page=PAGE, name="Hers alone", query="severity=critical")
    saved_filters.land(saved, here=True)
    browser = browser_of(cast.colleague("somebody", "Some Body", role))
    page = shown(browser)
    assert "Hers alone" not in page
    assert browser.post(CHANGE, {"do": do, "filter": saved.pk, "name": "Mine now"}).status_code == 404
    saved.refresh_from_db()
    assert (saved.name, saved.is_landing) == ("Hers alone", True)


def test_whoever_has_not_signed_in_saves_nothing(db: None) -> None:
    response = Browser().post(CHANGE, {"do": "save", "name": "Critical", "query": "severity=critical"})
    assert response.headers["Location"].startswith(reverse("admin:login"))
    assert not SavedFilter.objects.exists()


def test_the_landing_filter_opens_the_board_says_so_and_can_be_left(olgas: Browser) -> None:
    olgas.post(CHANGE, {"do": "save", "name": "Critical", "query": "severity=critical", "is_landing": "on"})
    page = shown(olgas)
    assert "Your landing filter “Critical” is on." in page
    assert 'value="critical" selected' in page
    everything = shown(olgas, "?all=1")
    assert "Your landing filter" not in everything
    assert 'value="critical" selected' not in everything
    assert "Your landing filter" not in shown(olgas, "?severity=low")
    assert "Your landing filter" not in shown(olgas, "?severity=&client="), "the form with nothing chosen"
    olgas.post(CHANGE, {"do": "unland", "filter": SavedFilter.objects.get().pk})
    assert "Your landing filter" not in shown(olgas)


def test_one_filter_at_most_opens_a_page(olga: User, olgas: Browser) -> None:
    for name in ("First", "Second"):
        olgas.post(CHANGE, {"do": "save", "name": name, "query": "mine=on", "is_landing": "on"})
    assert [one.name for one in SavedFilter.objects.filter(is_landing=True)] == ["Second"]
    with pytest.raises(IntegrityError), transaction.atomic():
        SavedFilter.objects.create(user=olga, page="board", name="Third", is_landing=True)
    SavedFilter.objects.create(user=olga, page="elsewhere", name="Third", is_landing=True)


def test_what_is_unknown_to_the_page_is_neither_kept_nor_used(olga: User, olgas: Browser) -> None:
    query = "severity=critical&next=//evil.example&all=1&obligation=&<script>=x"
    assert saved_filters.save(by=olga, page=PAGE, name="Critical", query=query).query == "severity=critical"
    SavedFilter.objects.update(query="severity=nonsense&secret=x", is_landing=True)  # from an older version, say
    page = olgas.get(BOARD)
    assert page.status_code == 200
    assert "secret" not in page.content.decode()
    assert [choice.url for choice in page.context["board"]["saved"].choices] == ["/admin/?severity=nonsense"]


@pytest.mark.parametrize("name", ["", "   ", "Two\nlines", "Nul\x00", "x" * 61])
def test_a_name_is_one_line(olga: User, olgas: Browser, name: str) -> None:
    kept = saved_filters.save(by=olga, page=PAGE, name="Kept", query="mine=on")
    answer = olgas.post(CHANGE, {"do": "save", "name": name, "query": "mine=on"}, follow=True)
    assert answer.status_code == 200
    assert "error" in {message.level_tag for message in answer.context["messages"]}
    olgas.post(CHANGE, {"do": "rename", "filter": kept.pk, "name": name, "query": "mine=on"})
    assert [one.name for one in SavedFilter.objects.all()] == ["Kept"]


def test_a_name_that_is_taken_gets_the_new_filters_but_nothing_takes_the_name_of_another(
    olga: User, olgas: Browser
) -> None:
    for query in ("mine=on", "severity=low"):
        olgas.post(CHANGE, {"do": "save", "name": "Mine", "query": query})
    assert SavedFilter.objects.get().query == "severity=low"
    other = saved_filters.save(by=olga, page=PAGE, name="Other", query="mine=on")
    answer = olgas.post(CHANGE, {"do": "rename", "filter": other.pk, "name": "Mine"}, follow=True)
    assert "Another of your filters has that name." in html.unescape(answer.content.decode())
    assert SavedFilter.objects.get(pk=other.pk).name == "Other"


def test_there_is_an_end_to_them(olga: User) -> None:
    for number in range(saved_filters.MOST):
        saved_filters.save(by=olga, page=PAGE, name=str(number), query="mine=on")
    with pytest.raises(ValidationError, match="Delete one first"):
        saved_filters.save(by=olga, page=PAGE, name="One more", query="mine=on")
    saved_filters.save(by=olga, page=PAGE, name="0", query="severity=low")


def test_saved_filters_cost_one_query_however_many(olga: User, olgas: Browser) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as captured:
            olgas.get(BOARD)
        return len(captured)

    count()
    before = count()
    for number in range(20):
        saved_filters.save(by=olga, page=PAGE, name=str(number), query="mine=on")
    assert count() == before


@pytest.mark.parametrize(
    ("method", "path", "status"), [("get", CHANGE, 405), ("post", "/admin/saved-filters/no/", 404)]
)
def test_nothing_else_is_answered(olgas: Browser, method: str, path: str, status: int) -> None:
    assert getattr(olgas, method)(path, {"do": "save", "name": "x"}).status_code == status
    for key in ("", "0", "nonsense", "9" * 30):
        assert olgas.post(CHANGE, {"do": "delete", "filter": key}).status_code == 404
