"""Signing in: against guessing, for how long, and asked again before what weighs most."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.http import QueryDict
from django.test import Client as Browser
from pytest_django import Settings

from config.models import Event, EventKind, Export, User
from tests import cast

pytestmark = pytest.mark.django_db

SIGN_IN = "/admin/login/"
HERE, THERE = "192.0.2.7", "198.51.100.9"


def sign_in(browser: Browser, name: str, password: str = cast.PASSWORD, address: str = HERE, **extra: Any) -> str:
    """What the page then says; empty for whoever is in."""
    answer = browser.post(SIGN_IN, {"username": name, "password": password}, REMOTE_ADDR=address, **extra)
    return "" if answer.status_code == 302 else answer.content.decode()


def kinds() -> list[str]:
    return list(Event.objects.order_by("pk").values_list("kind", flat=True))


def is_in(browser: Browser) -> bool:
    return browser.get("/admin/settings/").status_code == 200


# ── guessing ────────────────────────────────────────────────────────────────────────────────────────────────────────


class TestGuessing:
    @pytest.fixture(autouse=True)
    def _few(self, settings: Settings, roles: None) -> None:
        settings.SIGN_IN_FAILURES = 2

    def test_who_tries_many_names_is_locked_out_under_every_name_and_nobody_elsewhere_is(self, olga: User) -> None:
        for number in range(8):
            sign_in(Browser(), f"{number}-nobody", "guess")
        assert "Too many attempts from where you are have failed." in sign_in(Browser(), "olga")
        assert sign_in(Browser(), "olga", address=THERE) == ""
        assert kinds().count(EventKind.ADDRESS_LOCKED) == 1

    def test_who_guesses_one_name_from_many_addresses_keeps_its_owner_out_only_where_they_never_were(
        self, olga: User
    ) -> None:
        assert sign_in(Browser(), "olga") == ""
        for number in range(20):
            sign_in(Browser(), "olga", "guess", f"203.0.113.{number}")
        assert "Too many attempts with this name have failed." in sign_in(Browser(), "olga", address=THERE)
        assert sign_in(Browser(), "olga") == ""
        assert kinds().count(EventKind.NAME_LOCKED) == 1

    def test_nobody_escapes_the_lock_by_claiming_other_addresses_to_our_proxy(
        self, olga: User, settings: Settings
    ) -> None:
        settings.BEHIND_PROXY = 1
        for number in range(2):
            sign_in(Browser(), "olga", "guess", headers={"X-Forwarded-For": f"203.0.113.{number}, {HERE}"})
        assert "Too many attempts" in sign_in(Browser(), "olga", headers={"X-Forwarded-For": f"203.0.113.9, {HERE}"})
        assert sign_in(Browser(), "olga", headers={"X-Forwarded-For": f"{HERE}, {THERE}"}) == ""

    def test_an_administrator_lifts_a_lock_and_the_trail_says_who_and_why(self, olga: User, ada: User) -> None:
        for _attempt in range(2):
            sign_in(Browser(), "olga", "guess")
        browser = cast.browser_of(ada)
        assert f"from {HERE}: Sign-in as “olga”" in browser.get("/admin/locks/").content.decode()
        lock = Event.objects.get(kind=EventKind.LOCKED_OUT)
        assert browser.post("/admin/locks/", {"lock": lock.pk, "reason": ""}).status_code == 200, "it needs a reason"
        assert "Too many" in sign_in(Browser(), "olga")
        browser.post("/admin/locks/", {"lock": lock.pk, "reason": "She rang, we know her voice."})
        assert "Nobody is locked out now." in browser.get("/admin/locks/").content.decode()
        assert sign_in(Browser(), "olga") == ""
        lifted = Event.objects.get(kind=EventKind.LOCK_LIFTED)
        assert lifted.actor == ada
        assert "She rang" in lifted.sentence

    def test_what_failed_before_a_lift_counts_no_more(self, olga: User, ada: User) -> None:
        for _attempt in range(2):
            sign_in(Browser(), "olga", "guess")
        lock = Event.objects.get(kind=EventKind.LOCKED_OUT)
        cast.browser_of(ada).post("/admin/locks/", {"lock": lock.pk, "reason": "She rang."})
        sign_in(Browser(), "olga", "guess")
        assert sign_in(Browser(), "olga") == ""

    def test_only_who_keeps_accounts_sees_the_locks(self, olga: User, aude: User) -> None:
        assert cast.browser_of(olga).get("/admin/locks/").status_code == 403
        assert cast.browser_of(aude).post("/admin/locks/", {}).status_code == 403


# ── sessions ────────────────────────────────────────────────────────────────────────────────────────────────────────


def aged(browser: Browser, **seconds: int) -> Browser:
    """The same browser, so many seconds after it began, acted or proved."""
    session = browser.session
    for name, past in seconds.items():
        session[f"{name}_at"] = int(time.time()) - past
    session.save()
    return browser


class TestSessions:
    def test_one_in_which_nothing_is_done_ends_and_its_reader_is_told(self, olga: User, settings: Settings) -> None:
        browser = aged(cast.browser_of(olga), acted=settings.SESSION_IDLE_MINUTES * 60 + 1)
        asked = browser.get("/admin/settings/", follow=True)
        assert "You were signed out" in asked.content.decode()
        assert not is_in(browser)
        ended = Event.objects.get(kind=EventKind.SESSION_ENDED)
        assert (ended.actor, ended.said) == (olga, {"why": "idle"})

    def test_one_in_which_something_is_done_goes_on_until_it_is_too_old(self, olga: User, settings: Settings) -> None:
        browser = aged(cast.browser_of(olga), acted=settings.SESSION_IDLE_MINUTES * 60 - 60)
        assert is_in(browser)
        assert time.time() - browser.session["acted_at"] < 60
        assert not is_in(aged(browser, began=settings.SESSION_HOURS * 3600))

    def test_a_board_that_refreshes_itself_keeps_nobody_signed_in(self, olga: User) -> None:
        browser = aged(cast.browser_of(olga), acted=3600)
        assert browser.get("/admin/", headers={"X-Fragment": "board"}).status_code == 200
        assert time.time() - browser.session["acted_at"] >= 3600

    def test_every_other_one_ends_when_the_password_changes(self, olga: User) -> None:
        here, elsewhere = cast.browser_of(olga), cast.browser_of(olga)
        new = "a-long-enough-phrase"
        changed = here.post(
            "/admin/password_change/", {"old_password": cast.PASSWORD, "new_password1": new, "new_password2": new}
        )
        assert changed.status_code == 302
        assert (is_in(here), is_in(elsewhere)) == (True, False)

    def test_all_end_when_the_account_is_closed(self, olga: User, ada: User) -> None:
        browser = cast.browser_of(olga)
        fields = {"username": "olga", "email": olga.email, "time_zone": "UTC", "language": "en", "is_staff": "on"}
        sent = {**fields, "groups": [group.pk for group in olga.groups.all()], "reason": "She left."}
        page = f"/admin/config/user/{olga.pk}/change/"
        assert cast.browser_of(ada).post(page, {**sent, **management(cast.browser_of(ada), page)}).status_code == 302
        assert not is_in(browser)


def management(browser: Browser, page: str) -> dict[str, Any]:
    """What the tables below a form want to be told, as its page has it."""
    shown = browser.get(page).context["inline_admin_formsets"]
    forms = [table.formset.management_form for table in shown]
    return {form.add_prefix(name): form[name].value() for form in forms for name in form.fields}


# ── asked again ─────────────────────────────────────────────────────────────────────────────────────────────────────


class TestProof:
    """Of the pages that weigh most; `stale` is a browser in which nobody has proved for long who they are."""

    LIST = "/admin/incidents/incident/"

    @pytest.fixture
    def stale(self, max_: User) -> Browser:
        return aged(cast.browser_of(max_), proved=3600)

    def test_who_takes_a_list_away_is_asked_first_and_then_gets_it(self, stale: Browser) -> None:
        export = f"{self.LIST}export/?status=open"
        asked = stale.get(export, headers={"Referer": f"http://testserver{self.LIST}"})
        assert "please confirm that it is you" in asked.content.decode()
        assert not Export.objects.exists()
        sent = {"proof-method": "GET", "proof-from": f"http://testserver{self.LIST}"}
        wrong = stale.post(export, {**sent, "proof-password": "guess"})
        assert "This is not your password." in wrong.content.decode()
        thanks = stale.post(export, {**sent, "proof-password": cast.PASSWORD}).content.decode()
        assert f'content="0; url={export}"' in thanks
        assert f'href="http://testserver{self.LIST}"' in thanks
        assert stale.get(export)["Content-Disposition"].startswith("attachment")
        assert kinds()[-2:] == [EventKind.SIGN_IN_FAILED, EventKind.CONFIRMED]

    @pytest.mark.parametrize(
        ("method", "address"),
        [
            ("get", "incidents/incident/export/"),
            ("get", "incidents/incident/1/evidence/1.pdf"),
            ("get", "reviews/postincidentreview/learning/kinds.csv"),
            ("post", "trail/export/"),
            ("post", "reviews/postincidentreview/1/waive/"),
            ("post", "config/user/1/change/"),
            ("post", "config/user/1/password/"),
        ],
    )
    def test_each_of_them_asks(self, stale: Browser, method: str, address: str) -> None:
        asked = getattr(stale, method)(f"/admin/{address}")
        assert asked.templates[0].name == "admin/proof.html"

    def test_nobody_is_led_elsewhere_by_it(self, stale: Browser) -> None:
        asked = stale.get(f"{self.LIST}export/", headers={"Referer": "https://evil.example/"})
        assert "evil" not in asked.content.decode()

    def test_what_was_typed_waits_and_is_acted_on_after_the_answer(self, ada: User, olga: User) -> None:
        browser, page = cast.browser_of(ada), f"/admin/config/user/{olga.pk}/change/"
        typed = {
            "username": "olga",
            "email": olga.email,
            "time_zone": "Europe/Berlin",
            "language": "en",
            "is_active": "on",
            "is_staff": "on",
            "groups": [group.pk for group in type(olga.groups.first()).objects.all()],  # type: ignore[union-attr]
            "reason": "She moved, and <does> more.",
            **management(browser, page),
        }
        aged(browser, proved=3600)
        asked = browser.post(page, typed)
        olga.refresh_from_db()
        assert olga.time_zone == "UTC", "nothing has happened yet"
        waiting = QueryDict(mutable=True)
        for name, value in asked.context["waiting"]:
            waiting.appendlist(name, value)
        assert "She moved, and &lt;does&gt; more." in asked.content.decode()
        assert waiting.getlist("groups") == [str(group) for group in typed["groups"]]
        waiting.update({"proof-method": "POST", "proof-from": "", "proof-password": cast.PASSWORD})
        done = browser.post(page, waiting.urlencode(), content_type="application/x-www-form-urlencoded")
        assert done.status_code == 302
        olga.refresh_from_db()
        assert (olga.time_zone, olga.groups.count()) == ("Europe/Berlin", 4)

    def test_wrong_answers_lock_like_those_of_a_sign_in(self, stale: Browser, settings: Settings) -> None:
        settings.SIGN_IN_FAILURES = 2
        for _attempt in range(2):
            stale.post(f"{self.LIST}export/", {"proof-method": "GET", "proof-password": "guess"})
        locked = stale.post(f"{self.LIST}export/", {"proof-method": "GET", "proof-password": cast.PASSWORD})
        assert "Too many attempts with this name have failed." in locked.content.decode()
        assert not Export.objects.exists()

    def test_reading_a_page_and_ordinary_acts_ask_nothing(self, stale: Browser) -> None:
        assert stale.get(self.LIST).status_code == 200
        assert stale.post("/admin/settings/", {"time_zone": "UTC", "language": "en"}).status_code == 302
