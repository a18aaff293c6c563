"""Passkeys: beside the password, in its place, and to show again who it is."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.test import Client as Browser
from pytest_django import Settings

from config.limits import Limit
from config.models import Event, EventKind, Export, User
from tests import cast
from tests.config.test_sign_in import FACTOR, HERE, SIGN_IN, add_app, aged, is_in, kinds, shown_by_app, sign_in
from tests.passkeys import ORIGIN, Passkey

pytestmark = pytest.mark.django_db

REFUSED = "This passkey was not accepted."
OTHER = "https://evil.example"


@pytest.fixture(autouse=True)
def _on(settings: Settings) -> None:
    settings.PASSKEYS, settings.PUBLIC_URL = True, ORIGIN
    cache.clear()  # which counts who has asked


def asked(browser: Browser, purpose: str) -> dict[str, Any]:
    """The challenge that a page of ours gets."""
    answer = browser.post(f"/admin/passkey/{purpose}/", REMOTE_ADDR=HERE)
    assert answer.status_code == 200, answer
    found: dict[str, Any] = answer.json()
    return found


def add(user: User, passkey: Passkey | None = None, name: str = "Blue key") -> tuple[Passkey, Any]:
    """A passkey of theirs, and the page that says so."""
    browser, made = cast.browser_of(user), passkey or Passkey()
    sent = {"name": name, "credential": made.make(asked(browser, "add"))}
    return made, browser.post(f"{FACTOR}passkey/", sent)


def alone(passkey: Passkey, browser: Browser | None = None, **sent: str) -> str:
    """What the page says to whoever signs in by it alone; "" to whoever is in."""
    browser = browser or Browser()
    return send(browser, passkey.sign(asked(browser, "alone")), **sent)


def send(browser: Browser, answer: str, **sent: str) -> str:
    said = browser.post(SIGN_IN, {"credential": answer, **sent}, REMOTE_ADDR=HERE)
    return "" if said.status_code == 302 else said.content.decode()


def half_in() -> Browser:
    browser = Browser()
    sign_in(browser, "olga")
    return browser


def second(browser: Browser, passkey: Passkey) -> bool:
    answer = passkey.sign(asked(browser, "second"))
    return browser.post("/admin/login/second/", {"credential": answer}, REMOTE_ADDR=HERE).status_code == 302


# ── adding and removing ─────────────────────────────────────────────────────────────────────────────────────────────


class TestOnesOwn:
    def test_the_first_brings_recovery_codes_and_the_next_none(self, olga: User) -> None:
        _passkey, page = add(olga)
        assert len(page.context["codes"]) == 10
        _passkey, page = add(olga, name="Green key")
        assert page.context["codes"] == []
        shown = page.content.decode()
        assert "Blue key" in shown
        assert "Green key" in shown
        added = Event.objects.filter(kind=EventKind.FACTOR_ADDED).order_by("pk")
        assert [event.said["what"] for event in added] == ["passkey", "codes", "passkey"]

    def test_one_is_removed_by_its_owner_alone_and_the_trail_tells_of_it(self, olga: User, max_: User) -> None:
        passkey, _page = add(olga)
        kept = Authenticator.objects.get(type="webauthn")
        assert cast.browser_of(max_).post(FACTOR, {"remove": kept.pk}).status_code == 404
        assert cast.browser_of(olga).post(FACTOR, {"remove": kept.pk}).status_code == 302
        assert kinds()[-1] == EventKind.FACTOR_REMOVED
        assert Event.objects.latest("pk").said == {"what": "passkey"}
        assert REFUSED in alone(passkey)
        assert sign_in(Browser(), "olga") == ""

    def test_an_old_session_has_to_prove_itself_and_what_was_made_waits_meanwhile(self, olga: User) -> None:
        browser = aged(cast.browser_of(olga), proved=3600)
        sent = {"name": "Blue key", "credential": Passkey().make(asked(browser, "add"))}
        page = browser.post(f"{FACTOR}passkey/", sent)
        assert page.templates[0].name == "admin/proof.html"
        assert not Authenticator.objects.exists()
        waiting = dict(page.context["waiting"])
        browser.post(f"{FACTOR}passkey/", {**waiting, "proof-method": "POST", "proof-password": cast.PASSWORD})
        assert str(Authenticator.objects.get(type="webauthn")) == "Blue key"

    @pytest.mark.parametrize("wrong", [Passkey(origin=OTHER), Passkey(host="evil.example")])
    def test_one_that_was_made_elsewhere_is_not_taken(self, olga: User, wrong: Passkey) -> None:
        _passkey, page = add(olga, wrong)
        assert REFUSED in page.content.decode()
        assert not Authenticator.objects.exists()

    def test_one_is_of_one_person_and_made_for_one_challenge(self, olga: User, max_: User) -> None:
        passkey, _page = add(olga)
        _passkey, page = add(max_, passkey)
        assert REFUSED in page.content.decode()
        browser = cast.browser_of(max_)
        sent = {"name": "Key", "credential": Passkey().make(asked(browser, "add"))}
        assert REFUSED in browser.post(f"{FACTOR}passkey/", {**sent, "credential": "{}"}).content.decode()
        assert REFUSED in browser.post(f"{FACTOR}passkey/", sent).content.decode(), "the challenge is used up"
        assert Authenticator.objects.filter(type="webauthn").count() == 1

    def test_an_administrator_takes_all_of_a_colleague(self, olga: User, ada: User) -> None:
        passkey, _page = add(olga)
        reset = f"/admin/config/user/{olga.pk}/reset-second-factor/"
        cast.browser_of(ada).post(reset, {"reason": "Her laptop was stolen."})
        assert REFUSED in alone(passkey)
        assert not Authenticator.objects.exists()

    def test_one_is_enough_where_a_second_factor_is_demanded(self, olga: User, settings: Settings) -> None:
        settings.SECOND_FACTOR = ["operator"]
        browser = Browser()
        sign_in(browser, "olga")
        assert browser.get("/admin/").headers["Location"] == FACTOR
        sent = {"name": "Blue key", "credential": Passkey().make(asked(browser, "add"))}
        browser.post(f"{FACTOR}passkey/", sent)
        assert browser.get("/admin/").status_code == 200


# ── in the place of the password ────────────────────────────────────────────────────────────────────────────────────


class TestAlone:
    def test_it_signs_in_without_a_password_and_leads_to_where_they_wanted_to_go(self, olga: User) -> None:
        passkey, _page = add(olga)
        browser = Browser()
        answer = passkey.sign(asked(browser, "alone"))
        led = browser.post(SIGN_IN, {"credential": answer, "next": "/admin/settings/"})
        assert led.headers["Location"] == "/admin/settings/"
        assert is_in(browser)
        told = Event.objects.filter(kind=EventKind.SIGNED_IN).first()
        assert told is not None
        assert (told.actor, told.sentence) == (olga, "Signed in (passkey, without a password).")
        assert Authenticator.objects.get(type="webauthn").last_used_at is not None

    def test_nobody_is_led_elsewhere_by_it(self, olga: User) -> None:
        passkey, _page = add(olga)
        browser = Browser()
        answer = passkey.sign(asked(browser, "alone"))
        assert browser.post(SIGN_IN, {"credential": answer, "next": f"{OTHER}/"}).headers["Location"] == "/admin/"

    def test_an_answer_signs_in_once(self, olga: User) -> None:
        passkey, _page = add(olga)
        browser = Browser()
        challenge = asked(browser, "alone")
        kept = {**browser.session}
        assert send(browser, passkey.sign(challenge)) == ""
        again = Browser()
        assert REFUSED in send(again, passkey.sign(challenge)), "its challenge is not that of another session"
        session = again.session
        session.update(kept)
        session.save()
        assert REFUSED in send(again, passkey.sign(challenge)), "nor is it taken from a session that was put back"

    def test_a_challenge_is_for_one_purpose_and_not_for_long(self, olga: User) -> None:
        passkey, _page = add(olga)
        browser = half_in()
        assert REFUSED in send(browser, passkey.sign(asked(browser, "second")))
        challenge = asked(browser, "alone")
        session = browser.session
        session["passkey_to_alone"] = {**session["passkey_to_alone"], "until": 1}
        session.save()
        assert REFUSED in send(browser, passkey.sign(challenge))

    def test_a_wrong_answer_uses_it_up(self, olga: User) -> None:
        passkey, _page = add(olga)
        browser = Browser()
        challenge = asked(browser, "alone")
        assert REFUSED in send(browser, replace(passkey, origin=OTHER).sign(challenge))
        assert REFUSED in send(browser, passkey.sign(challenge))

    def test_one_that_does_not_verify_who_holds_it_is_no_more_than_a_second_factor(self, olga: User) -> None:
        passkey, page = add(olga, Passkey(verifies=False))
        assert "only beside the password" in page.content.decode()
        assert REFUSED in alone(passkey)
        assert second(half_in(), passkey)

    @pytest.mark.parametrize(
        "wrong",
        [
            {"origin": OTHER},
            {"origin": "http://testserver"},
            {"origin": "https://testserver:8443"},
            {"origin": "https://other.testserver"},
            {"host": "evil.example"},
            {"key": Passkey().key},
            {"name": b"0123456789abcdef"},
            {"handle": "OTk"},
            {"handle": None},
        ],
        ids=lambda wrong: ", ".join(f"{part}={value}" for part, value in wrong.items() if part != "key") or "key",
    )
    def test_what_is_not_theirs_or_not_made_here_signs_nobody_in(self, olga: User, wrong: dict[str, Any]) -> None:
        passkey, _page = add(olga)
        assert REFUSED in alone(replace(passkey, **wrong))
        assert kinds()[-1] == EventKind.SIGN_IN_FAILED
        assert alone(passkey) == ""

    def test_a_copy_is_found_by_its_counter(self, olga: User) -> None:
        passkey, _page = add(olga, Passkey(counter=7))
        assert alone(replace(passkey, counter=9)) == ""
        for behind in (9, 8, 0):
            assert REFUSED in alone(replace(passkey, counter=behind))
        assert alone(replace(passkey, counter=10)) == ""

    def test_a_closed_account_and_one_that_may_not_sign_in_stay_out(self, olga: User) -> None:
        passkey, _page = add(olga)
        for name in ("is_active", "is_staff"):
            cast.past_the_trail(User.objects.filter(pk=olga.pk), **{name: False})
            assert REFUSED in alone(passkey)
            cast.past_the_trail(User.objects.filter(pk=olga.pk), **{name: True})
        assert Event.objects.filter(kind=EventKind.SIGN_IN_FAILED, about_pk=olga.pk).count() == 2

    def test_it_opens_no_name_that_is_locked_and_what_fails_locks(self, olga: User, settings: Settings) -> None:
        settings.SIGN_IN_FAILURES = 2
        passkey, _page = add(olga)
        for _attempt in range(2):
            alone(replace(passkey, verifies=False))
        assert "Too many attempts with this name" in alone(passkey)
        assert "Too many attempts with this name" in sign_in(Browser(), "olga")

    @pytest.mark.parametrize(
        "rubbish",
        ["", "{}", "[]", "null", "7", "[" * 9000, '{"id":1,"rawId":1,"response":{}}', "x" * 30_000, "\x00"],
        ids=lambda rubbish: rubbish[:9],
    )
    def test_rubbish_is_refused(self, olga: User, rubbish: str, settings: Settings) -> None:
        settings.SIGN_IN_FAILURES = 100
        passkey, _page = add(olga)
        assert REFUSED in send(Browser(), rubbish)
        browser = Browser()
        answer = json.loads(passkey.sign(asked(browser, "alone")))
        for part in answer["response"]:
            assert REFUSED in send(browser, json.dumps({**answer, "response": {**answer["response"], part: rubbish}}))

    def test_whose_it_would_be_is_not_told(self, olga: User) -> None:
        """The sign-in page asks for any passkey, so that it names nobody's."""
        add(olga)
        assert "allowCredentials" not in asked(Browser(), "alone")["publicKey"]
        assert Browser().post("/admin/passkey/second/").status_code == 403
        assert Browser().post("/admin/passkey/proof/").status_code == 403
        assert Browser().post("/admin/passkey/add/").status_code == 403

    def test_one_address_asks_only_so_often_and_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("config.admin.factors.CHALLENGES", Limit("challenges", most=2, window=10**12))
        for _number in range(2):
            asked(Browser(), "alone")
        kept = Session.objects.count()
        refused = Browser().post("/admin/passkey/alone/", REMOTE_ADDR=HERE)
        assert refused.status_code == 429
        assert refused["Retry-After"]
        assert "too often from where you are" in refused.content.decode()
        assert Session.objects.count() == kept, "and nothing is kept of it"
        assert Browser().post("/admin/passkey/alone/", REMOTE_ADDR="198.51.100.7").status_code == 200

    def test_who_is_signed_in_is_not_counted_with_strangers(self, olga: User, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("config.admin.factors.CHALLENGES", Limit("challenges", most=0, window=10**12))
        add(olga)

    def test_it_can_be_switched_off(self, olga: User, settings: Settings) -> None:
        passkey, _page = add(olga)
        browser = Browser()
        answer = passkey.sign(asked(browser, "alone"))
        assert "Sign in with a passkey" in browser.get(SIGN_IN).content.decode()
        settings.PASSKEYS = False
        assert "Sign in with a passkey" not in browser.get(SIGN_IN).content.decode()
        assert REFUSED in send(browser, answer)
        assert browser.post("/admin/passkey/alone/").status_code == 404
        assert sign_in(browser, "olga") == ""
        assert not is_in(browser), "the password alone is not enough all the same: a recovery code is asked for"


# ── after the password ──────────────────────────────────────────────────────────────────────────────────────────────


class TestSecond:
    def test_after_the_password_a_passkey_of_theirs_is_taken_and_no_other(self, olga: User, max_: User) -> None:
        passkey, _page = add(olga)
        other, _page = add(max_)
        browser = half_in()
        assert not is_in(browser)
        assert not second(browser, other)
        assert not second(browser, replace(other, handle=None)), "which many say only where they are asked for any"
        assert second(browser, replace(passkey, handle=None))
        assert is_in(browser)
        assert Event.objects.filter(kind=EventKind.SIGNED_IN).first().said["how"] == "passkey"  # type: ignore[union-attr]

    def test_a_code_of_the_app_is_taken_in_its_place(self, olga: User) -> None:
        add(olga)
        secret, _codes = add_app(cast.browser_of(olga))
        browser = half_in()
        assert "Use a passkey" in browser.get("/admin/login/second/").content.decode()
        assert browser.post("/admin/login/second/", {"code": shown_by_app(secret)}).status_code == 302

    def test_wrong_ones_lock_like_wrong_codes(self, olga: User, settings: Settings) -> None:
        settings.SIGN_IN_FAILURES = 2
        passkey, _page = add(olga)
        browser = half_in()
        for _attempt in range(2):
            assert not second(browser, replace(passkey, key=Passkey().key))
        assert not second(browser, passkey)


# ── asked again ─────────────────────────────────────────────────────────────────────────────────────────────────────


class TestProof:
    EXPORT = "/admin/incidents/incident/export/"

    def prove(self, browser: Browser, answer: str) -> str:
        sent = {"proof-method": "GET", "proof-from": "", "proof-password": "", "proof-credential": answer}
        return browser.post(self.EXPORT, sent).content.decode()

    def test_a_passkey_shows_again_who_it_is_without_a_password(self, max_: User) -> None:
        passkey, _page = add(max_)
        max_.set_unusable_password()
        cast.save(max_)
        browser = aged(cast.browser_of(max_), proved=3600)
        assert "Use a passkey" in browser.get(self.EXPORT).content.decode()
        assert "Thank you." in self.prove(browser, passkey.sign(asked(browser, "proof")))
        assert Event.objects.latest("pk").sentence == "Confirmed again who it is, by passkey."
        browser.get(self.EXPORT)
        assert Export.objects.exists()

    def test_neither_that_of_another_nor_one_that_verifies_nobody_does(self, max_: User, olga: User) -> None:
        other, _page = add(olga)
        passkey, _page = add(max_, Passkey(verifies=False))
        browser = aged(cast.browser_of(max_), proved=3600)
        assert "Use a passkey" not in browser.get(self.EXPORT).content.decode()
        for wrong in (other, passkey):
            assert REFUSED in self.prove(browser, wrong.sign(asked(browser, "proof")))
        assert kinds()[-1] == EventKind.SIGN_IN_FAILED
