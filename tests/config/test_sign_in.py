"""Signing in: against guessing, for how long, and asked again before what weighs most."""

from __future__ import annotations

import ast
import base64
import hmac
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.contrib import admin
from django.core.exceptions import ImproperlyConfigured
from django.http import QueryDict
from django.test import Client as Browser
from django.urls import get_resolver
from pytest_django import Settings

from config import env, roles
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


# ── the second factor ───────────────────────────────────────────────────────────────────────────────────────────────


def shown_by_app(secret: str, *, steps: int = 0) -> str:
    """What an authenticator app shows, by RFC 6238 and not by the library that is tested."""
    counter = int(time.time()) // 30 + steps
    digest = hmac.new(base64.b32decode(secret.replace(" ", "")), struct.pack(">Q", counter), "sha1").digest()
    at = digest[-1] & 0xF
    return f"{(struct.unpack('>I', digest[at : at + 4])[0] & 0x7FFFFFFF) % 10**6:06}"


FACTOR = "/admin/settings/second-factor/"


def add_app(browser: Browser) -> tuple[str, list[str]]:
    """The secret of the new app, and the recovery codes that are shown with it."""
    secret: str = browser.get(f"{FACTOR}app/").context["secret"]
    added = browser.post(f"{FACTOR}app/", {"code": shown_by_app(secret, steps=-1)})
    return secret, added.context["codes"]


class TestSecondFactor:
    @pytest.fixture
    def secret(self, olga: User) -> str:
        """Of the app that Olga has added, with recovery codes."""
        secret, self.codes = add_app(cast.browser_of(olga))
        return secret

    def half_in(self, **sent: str) -> Browser:
        """A browser that has given the right password."""
        browser = Browser()
        answer = browser.post(SIGN_IN, {"username": "olga", "password": cast.PASSWORD, **sent}, REMOTE_ADDR=HERE)
        assert answer.headers["Location"] == "/admin/login/second/"
        return browser

    def give(self, browser: Browser, code: str) -> str:
        """Where the code leads to; "" where it is refused."""
        answer = browser.post("/admin/login/second/", {"code": code}, REMOTE_ADDR=HERE)
        return str(answer.headers.get("Location", ""))

    def test_the_password_is_no_longer_enough_and_the_code_leads_to_where_they_wanted_to_go(self, secret: str) -> None:
        browser = self.half_in(next="/admin/settings/")
        assert not is_in(browser)
        assert self.give(browser, "000000") == ""
        assert self.give(browser, shown_by_app(secret)) == "/admin/settings/"
        assert is_in(browser)
        assert Event.objects.filter(kind=EventKind.SIGNED_IN).first().said["how"] == "app"  # type: ignore[union-attr]

    def test_a_code_signs_in_once_and_not_long_after_its_time(self, secret: str) -> None:
        code = shown_by_app(secret)
        assert self.give(self.half_in(), code)
        assert not self.give(self.half_in(), code), "whoever looked over a shoulder has no use of it"
        assert not self.give(self.half_in(), shown_by_app(secret, steps=-2))

    def test_each_recovery_code_signs_in_once_and_new_ones_replace_them(self, secret: str, olga: User) -> None:
        first, second, *_others = self.codes
        assert self.give(self.half_in(), first)
        assert not self.give(self.half_in(), first)
        made = cast.browser_of(olga).post(FACTOR).context["codes"]
        assert not self.give(self.half_in(), second)
        assert self.give(self.half_in(), made[0])

    def test_wrong_codes_lock_like_wrong_passwords(self, secret: str, settings: Settings) -> None:
        settings.SIGN_IN_FAILURES = 2
        browser = self.half_in()
        for _attempt in range(2):
            self.give(browser, "000000")
        assert not self.give(browser, shown_by_app(secret))
        assert "Too many attempts with this name" in sign_in(Browser(), "olga")

    def test_nobody_comes_to_it_without_the_password_nor_long_after_or_by_an_old_one(
        self, secret: str, olga: User
    ) -> None:
        assert self.give(Browser(), shown_by_app(secret)) == SIGN_IN
        late, changed = self.half_in(), self.half_in()
        session = late.session
        session["waiting_for_a_code"] = {**session["waiting_for_a_code"], "until": 1}
        session.save()
        assert self.give(late, shown_by_app(secret)) == SIGN_IN
        olga.set_password("another-long-phrase")
        olga.save()
        assert self.give(changed, shown_by_app(secret)) == SIGN_IN

    def test_what_is_secret_is_kept_encrypted(self, secret: str) -> None:
        kept = "".join(str(factor.data) for factor in Authenticator.objects.all())
        assert secret.replace(" ", "") not in kept
        assert not any(code in kept for code in self.codes)

    def test_an_app_is_added_only_with_a_code_of_it_and_the_trail_tells_of_adding_and_removing(
        self, olga: User
    ) -> None:
        browser = cast.browser_of(olga)
        page = browser.get(f"{FACTOR}app/")
        assert "<svg" in page.content.decode()
        assert "style=" not in page.context["picture"]
        assert browser.post(f"{FACTOR}app/", {"code": "000000"}).status_code == 200
        assert not Authenticator.objects.exists()
        add_app(browser)
        app = Authenticator.objects.get(type="totp")
        browser.post(FACTOR, {"remove": app.pk})
        assert not Authenticator.objects.exists(), "recovery codes go with the last factor"
        assert kinds()[-3:] == [EventKind.FACTOR_ADDED, EventKind.FACTOR_ADDED, EventKind.FACTOR_REMOVED]
        assert sign_in(Browser(), "olga") == ""

    def test_nobody_removes_that_of_another(self, secret: str, max_: User) -> None:
        app = Authenticator.objects.get(type="totp")
        assert cast.browser_of(max_).post(FACTOR, {"remove": app.pk}).status_code == 404
        assert Authenticator.objects.filter(pk=app.pk).exists()

    def test_an_old_session_has_to_prove_itself_before_it_changes_one(self, secret: str, olga: User) -> None:
        browser = aged(cast.browser_of(olga), proved=3600)
        app = Authenticator.objects.get(type="totp")
        assert browser.post(FACTOR, {"remove": app.pk}).templates[0].name == "admin/proof.html"
        assert Authenticator.objects.filter(pk=app.pk).exists()

    def test_an_administrator_resets_that_of_a_colleague_for_a_reason(self, secret: str, olga: User, ada: User) -> None:
        browser, page = cast.browser_of(ada), f"/admin/config/user/{olga.pk}/"
        assert "Reset second factor" in browser.get(f"{page}change/").content.decode()
        browser.post(f"{page}reset-second-factor/", {"reason": "Her phone fell into the sea."})
        assert sign_in(Browser(), "olga") == ""
        told = Event.objects.get(kind=EventKind.FACTORS_RESET)
        assert (told.actor, told.about_pk) == (ada, olga.pk)
        assert "the sea" in told.sentence

    def test_nobody_takes_over_an_account_that_may_do_everything(self, secret: str, olga: User, ada: User) -> None:
        olga.is_superuser = True
        cast.save(olga)
        hers, browser = cast.browser_of(olga), cast.browser_of(ada)
        assert is_in(hers)
        for act in ("reset-second-factor", "end-sessions"):
            browser.post(f"/admin/config/user/{olga.pk}/{act}/", {"reason": "Let me in."})
        assert is_in(hers)
        assert Authenticator.objects.filter(user=olga, type="totp").exists()

    def test_where_it_is_demanded_of_a_role_its_people_do_nothing_before_they_have_added_one(
        self, olga: User, max_: User, settings: Settings
    ) -> None:
        settings.SECOND_FACTOR = ["operator"]
        browser = Browser()
        sign_in(browser, "olga")
        assert browser.get("/admin/").headers["Location"] == FACTOR
        add_app(browser)
        assert browser.get("/admin/").status_code == 200
        other = Browser()
        sign_in(other, "max")
        assert other.get("/admin/").status_code == 200

    def test_it_can_be_demanded_of_the_roles_that_there_are(self, monkeypatch: pytest.MonkeyPatch) -> None:
        tree = ast.parse((Path(__file__).resolve().parents[2] / "config" / "settings.py").read_text())
        [call] = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and ast.unparse(n.func) == "env.some_of"]
        assert ast.literal_eval(call.args[1]) == ("all", *roles.ROLES)
        monkeypatch.setenv("SECOND_FACTOR", "operators")
        with pytest.raises(ImproperlyConfigured, match="operators"):
            env.some_of("SECOND_FACTOR", ("all",))


def test_nothing_of_the_library_is_reachable() -> None:
    def names(found: Any) -> Iterator[str]:
        for one in found:
            yield from names(one.url_patterns) if hasattr(one, "url_patterns") else [one.callback.__module__]

    assert not {name for name in names(get_resolver().url_patterns) if name.startswith("allauth")}
    assert not {model._meta.label for model in admin.site._registry if "allauth" in model.__module__}
