"""Whoever only reads changes nothing, whatever the address and the method: the auditor's role in earnest."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any

import pytest
import simple_history.admin
from django.apps import apps
from django.contrib import admin
from django.contrib.contenttypes.models import ContentType
from django.db import connection, models
from django.test import Client as Browser
from django.urls import URLPattern, URLResolver, reverse
from django.urls.resolvers import RoutePattern
from pytest_django import Settings

from agreements.models import Client
from config.models import User
from incidents.models import Deadline
from tests.cast import browser_of

METHODS = ("get", "head", "options", "post", "put", "patch", "delete")

#: The few things that an auditor writes, by the name of the address: the tables.
OWN = {
    "admin:settings": {"config_user", "config_historicaluser", "config_historicaluser_groups"},
    "admin:second_factor": {"mfa_authenticator"},
    "admin:second_factor_app": {"mfa_authenticator"},
    "admin:second_factor_passkey": {"mfa_authenticator"},
    "admin:saved_filters": {"config_savedfilter"},
    "admin:password_change": {"config_user"},
    "admin:incidents_intaketoken_calendar": {"incidents_calendarfeed", "incidents_historicalcalendarfeed"},
    "admin:config_concern_look-at": {"config_lookedat", "config_historicallookedat"},
    "admin:config_concern_changelist": {"config_lookedat", "config_historicallookedat"},
}
#: An export leaves a record of itself.
EXPORT = {"config_export", "config_historicalexport"}
#: Everywhere: a session, and the record that somebody was refused.
ALWAYS = {"django_session", "config_event"}


# ── every address ───────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Place:
    """One address of the site, as its pattern says it, with something real in the place of each name."""

    name: str
    address: str

    def __str__(self) -> str:
        return f"{self.name} {self.address}"

    @property
    def may_write(self) -> set[str]:
        return ALWAYS | OWN.get(self.name, set()) | (EXPORT if self.name.endswith("_export") else set())


def patterns(found: Sequence[URLPattern | URLResolver], before: str = "") -> Iterator[tuple[str, URLPattern]]:
    """(what comes before it, pattern) of every address."""
    for one in found:
        if isinstance(one, URLPattern):
            yield before, one
        else:
            yield from patterns(one.url_patterns, f"{before}{one.pattern}")


def places() -> Iterator[Place]:
    for before, one in patterns(admin.site.get_urls()):
        if isinstance(one.pattern, RoutePattern):
            route = f"{before}{one.pattern}"
            names = re.findall(r"<(?:\w+:)?(\w+)>", route)
            values = iter([value_of(name, route) for name in names])
            address = re.sub(r"<[^>]+>", lambda _match: next(values), route)  # noqa: B023 - used at once
            yield Place(f"admin:{one.name}", f"/admin/{address}")
    for label in {model._meta.app_label for model in admin.site._registry}:
        yield Place("admin:app_list", f"/admin/{label}/")
    yield Place("admin:None", "/admin/nothing/of/the/kind/")


def value_of(name: str, route: str) -> str:
    """Something real in the place of a name in an address; who adds a name says here what stands for it."""
    if name == "kind":
        return "clients"
    if name == "guide":
        return "operator"
    if name == "page":
        return "incidents_incident"
    if name == "content_type_id":
        return str(ContentType.objects.get_for_model(Client).pk)
    if name == "request_id":
        return str(Client.history.earliest().request_id)
    if name in ("moment", "table", "purpose"):
        return {"moment": "overdue", "table": "kinds", "purpose": "proof"}[name]
    if name in ("client_id", "deadline_id"):
        return str({"client_id": Client, "deadline_id": Deadline}[name]._default_manager.earliest("pk").pk)
    if name in ("edition_id", "statement_id"):
        return "1"
    app_label, model_name = route.split("/")[:2]
    model: Any = Client if app_label == "r" else apps.get_model(app_label, model_name)
    row = model._default_manager.order_by("pk").first()
    values = {"object_id": row.pk, "id": row.pk}
    if name == "version_id":
        return str(row.history.first().pk) if hasattr(row, "history") else "1"
    return str(values[name])


# ── what was written ────────────────────────────────────────────────────────────────────────────────────────────────

_WRITES = re.compile(
    r"\s*(?:INSERT(?: OR \w+)? INTO|UPDATE|DELETE FROM|TRUNCATE|REPLACE INTO)\s+\W?(\w+)", re.IGNORECASE
)


@contextmanager
def tables_written() -> Iterator[set[str]]:
    """Filled with the names of the tables to which anything inside the block wrote, or tried to."""
    found: set[str] = set()

    def look(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        found.update(match[1] for match in [_WRITES.match(sql)] if match)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(look):
        yield found


def everything(besides: set[str]) -> dict[str, list[Any]]:
    """All rows of all tables."""
    return {
        model._meta.label: list(model._base_manager.order_by("pk").values_list())
        for model in apps.get_models(include_auto_created=True)
        if model._meta.db_table not in besides
    }


class Form(HTMLParser):
    """What a browser would send of a page's fields, if somebody filled in the empty ones."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self.actions: list[str] = []
        self._select = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = dict(attrs)
        name, value = said.get("name") or "", said.get("value") or ""
        if tag in ("input", "textarea", "button") and name:
            self.fields[name] = value or "1"
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select and value:
            if self._select == "action":
                self.actions.append(value)
            elif "selected" in said or self._select not in self.fields:
                self.fields[self._select] = value


@pytest.fixture
def root(world: None) -> Browser:
    """Signed in as somebody who may do everything."""
    return browser_of(User.objects.create_superuser("root", email="root@due-notice.example"))


def test_whatever_an_auditor_asks_for_nothing_changes(root: Browser, aude: User, settings: Settings) -> None:
    found = list(places())
    before = everything(besides={*ALWAYS, *EXPORT, *(table for own in OWN.values() for table in own)})
    wrong = []
    browser = browser_of(aude)
    for place in found:
        for method, body in tries(place, root):
            if settings.SESSION_COOKIE_NAME not in browser.cookies or place.name in OWN:
                browser = browser_of(aude)
            with tables_written() as tables:
                response = getattr(browser, method)(place.address, body)
            if response.status_code >= 500 or not tables <= place.may_write:
                wrong.append((str(place), method, body, response.status_code, tables - place.may_write))
    assert wrong == []
    assert everything(besides={*ALWAYS, *EXPORT, *(table for own in OWN.values() for table in own)}) == before


def tries(place: Place, root: Browser) -> Iterator[tuple[str, dict[str, str]]]:
    """Every method, and what somebody who may do it would send."""
    for method in METHODS:
        yield method, {}
    if place.name == "admin:logout":
        return
    page = root.get(place.address)
    if page.streaming or not page.headers.get("Content-Type", "").startswith("text/html"):  # a file
        return
    form = Form(page.content.decode())
    for action in ("", *form.actions):
        yield "post", {"reason": "A reason", **form.fields, "action": action, "post": "yes", "_save": "1", "apply": "1"}


# ── the pages of old versions ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("who", "edit", "revert_disabled"),
    [
        *(("superuser", edit, revert_disabled) for edit in (True, False) for revert_disabled in (True, False)),
        ("auditor", True, False),  # who may less, where the library lets most be done
    ],
)
def test_no_version_page_can_be_written_through(
    root: Browser,
    aude: User,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    who: str,
    edit: bool,
    revert_disabled: bool,
) -> None:
    """The library takes a POST there as an edit of the live row, from whoever may view it."""
    settings.SIMPLE_HISTORY_REVERT_DISABLED = revert_disabled
    settings.SIMPLE_HISTORY_EDIT = edit
    monkeypatch.setattr(simple_history.admin, "SIMPLE_HISTORY_EDIT", edit)  # read once, when it is imported
    browser = browser_of(aude) if who == "auditor" else root
    for model in admin.site._registry:
        before = list(model._default_manager.order_by("pk").values())
        row: Any = model._default_manager.order_by("pk").first()
        if not hasattr(row, "history"):
            continue
        of_history = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        address = reverse(
            f"{of_history}_simple_history",
            args=[row.pk, value_of("version_id", f"{model._meta.app_label}/{model._meta.model_name}")],
        )
        shown = browser.get(address)
        assert shown.status_code == 200, model
        assert b'type="submit"' not in shown.content.split(b'id="content"', 1)[1], model
        typed = {**Form(browser.get(address).content.decode()).fields, "title": "Overwritten", "name": "Overwritten"}
        for body in ({}, typed | {"_save": "1"}, typed | {"_change_history": "1"}):
            for send in (browser.post, browser.put, browser.delete, browser.patch):
                assert send(address, body).status_code == 405, (model, send)
            assert browser.post(reverse(f"{of_history}_history", args=[row.pk]), body).status_code == 405
        assert list(model._default_manager.order_by("pk").values()) == before


# ── nothing is deleted ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("model", admin.site._registry, ids=lambda model: model._meta.label)
def test_who_asks_for_a_deletion_is_told_what_to_do_instead(root: Browser, model: type[models.Model]) -> None:
    row = model._default_manager.order_by("pk").first()
    assert row is not None
    address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_delete", args=[row.pk])
    for send in (root.get, root.post):
        said = send(address, {"post": "yes"})
        assert said.status_code == 403
        assert "Nothing is deleted here, so that the audit trail stays whole." in said.content.decode()
        assert str(admin.site._registry[model].instead_of_deleting) in said.content.decode()  # type: ignore[attr-defined]
    assert model._default_manager.filter(pk=row.pk).exists()


def test_no_list_offers_to_delete(root: Browser) -> None:
    for model in admin.site._registry:
        address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        assert "delete_selected" not in Form(root.get(address).content.decode()).actions
        count = model._default_manager.count()
        root.post(address, {"action": "delete_selected", "_selected_action": [1, 2, 3], "post": "yes"})
        assert model._default_manager.count() == count
