"""Single sign-on, against a provider that answers on 127.0.0.1: who gets in, as whom, with which roles, and who not."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from allauth.socialaccount.models import SocialAccount
from cryptography.hazmat.primitives.asymmetric import ec
from django.core.exceptions import ImproperlyConfigured
from django.test import Client as Browser
from django.urls import reverse
from pytest_django import Settings

from config import env, factors, roles
from config.history import acting
from config.models import Event, EventKind, User
from config.openid import Why
from tests import cast
from tests.config import test_passkeys
from tests.config.test_installation import refused, settings_of
from tests.config.test_sign_in import add_app, aged, is_in, shown_by_app, sign_in
from tests.passkeys import ORIGIN
from tests.services import openid as services

pytestmark = pytest.mark.django_db

GO, BACK = "/admin/login/single-sign-on/", "/admin/login/single-sign-on/back/"
OWN, CONFIRM = "/admin/settings/single-sign-on/", "/admin/settings/single-sign-on/confirm/"
HERE = "192.0.2.7"


@pytest.fixture
def provider(settings: Settings) -> Iterator[services.Provider]:
    with services.running() as provider:
        settings.OIDC_ISSUER = provider.issuer
        settings.OIDC_CLIENT_ID, settings.OIDC_CLIENT_SECRET = services.CLIENT_ID, services.CLIENT_SECRET
        settings.OIDC_DOMAINS = ["due-notice.example"]
        settings.PUBLIC_URL = "http://testserver"
        yield provider


@pytest.fixture
def mapped(settings: Settings, roles: None) -> None:
    settings.OIDC_ROLES = [("ops", "operator"), ("leads", "manager"), ("leads", "operator")]


def comes_back(browser: Browser, provider: services.Provider, begins: str = GO, **query: str) -> Any:
    """The answer to whoever went to the provider and came back from it."""
    sent = browser.get(begins, query, REMOTE_ADDR=HERE)
    return browser.get(provider.signed_in(sent.headers["Location"]), REMOTE_ADDR=HERE)


def why() -> str:
    """For what reason somebody was refused last."""
    event = Event.objects.filter(kind=EventKind.SSO_REFUSED).first()
    return str(event.said["why"]) if event else ""


def role_names(user: User) -> set[str]:
    return set(user.groups.values_list("name", flat=True))


# ── who gets in ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_somebody_known_signs_in_by_the_button_and_arrives_where_they_wanted_to_go(
    provider: services.Provider, olga: User
) -> None:
    browser = Browser()
    page = browser.get("/admin/login/?next=/admin/settings/").content.decode()
    [button] = re.findall(rf'href="({GO}[^"]*)"', page)
    answer = comes_back(browser, provider, button)
    assert answer.headers["Location"] == "/admin/settings/"
    assert is_in(browser)
    signed_in = Event.objects.get(kind=EventKind.SIGNED_IN)
    assert (signed_in.about_pk, signed_in.said["how"]) == (olga.pk, "sso")
    assert SocialAccount.objects.get().user == olga


def test_nobody_is_led_elsewhere_by_it(provider: services.Provider, olga: User) -> None:
    assert comes_back(Browser(), provider, next="https://evil.example/").headers["Location"] == "/admin/"


def test_where_it_is_off_there_is_nothing_of_it(olga: User) -> None:
    assert "sso" not in Browser().get("/admin/login/").content.decode()
    assert Browser().get(GO).status_code == Browser().get(BACK).status_code == 404
    assert cast.browser_of(olga).get(OWN).status_code == 404


def test_who_is_linked_is_known_by_that_alone_whatever_their_address_becomes(
    provider: services.Provider, olga: User, max_: User
) -> None:
    comes_back(Browser(), provider)
    provider.claims |= {"email": max_.email, "email_verified": False}
    browser = Browser()
    assert comes_back(browser, provider).status_code == 302
    assert browser.session["_auth_user_id"] == str(olga.pk)


def test_an_address_that_goes_to_somebody_new_at_the_provider_does_not_bring_them_the_account(
    provider: services.Provider, olga: User, ada: User
) -> None:
    comes_back(Browser(), provider)
    provider.claims["sub"] = "2002"
    assert comes_back(Browser(), provider).status_code == 403
    assert why() == Why.LINKED
    page = f"/admin/config/user/{olga.pk}/"
    browser = cast.browser_of(ada)
    assert "Unlink single sign-on" in browser.get(f"{page}change/").content.decode()
    browser.post(f"{page}unlink-single-sign-on/", {"reason": "She has a new account there."})
    assert comes_back(Browser(), provider).status_code == 302
    assert "a new account there" in Event.objects.get(kind=EventKind.SSO_UNLINKED).sentence


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"email_verified": False}, Why.UNVERIFIED),
        ({"email_verified": None}, Why.UNVERIFIED),
        ({"email": "olga@elsewhere.example"}, Why.DOMAIN),
        ({"email": "olga@sub.due-notice.example"}, Why.DOMAIN),
        ({"email": "olga@elsewhere.example@due-notice.example"}, Why.DOMAIN),
        ({"email": "maⅹ@due-notice.example"}, Why.DOMAIN),
        ({"email": None}, Why.DOMAIN),
        ({"email": "nobody@due-notice.example"}, Why.NOBODY),
        ({"email": "root@due-notice.example"}, Why.NOBODY),
    ],
)
def test_an_account_is_linked_only_by_an_address_that_is_verified_of_ours_and_somebodys(
    provider: services.Provider, olga: User, claims: dict[str, Any], reason: Why
) -> None:
    User.objects.create_superuser("root", "root@due-notice.example")
    provider.wrong = claims
    browser = Browser()
    answer = comes_back(browser, provider)
    assert (answer.status_code, why()) == (403, reason)
    assert not is_in(browser)
    assert not SocialAccount.objects.exists()


def test_an_address_of_two_accounts_links_neither_and_a_closed_account_stays_closed(
    provider: services.Provider, olga: User
) -> None:
    twin = User.objects.create_user("twin", "OLGA@due-notice.example", is_staff=True)
    comes_back(Browser(), provider)
    assert why() == Why.NOBODY
    for user in (olga, twin):
        user.is_active = False
        cast.save(user)
    comes_back(Browser(), provider)
    assert why() == Why.CLOSED


def test_who_was_linked_and_is_closed_since_or_no_longer_staff_is_not_let_in(
    provider: services.Provider, olga: User
) -> None:
    comes_back(Browser(), provider)
    for field in ("is_staff", "is_active"):
        setattr(olga, field, False)
        cast.save(olga)
        assert comes_back(Browser(), provider).status_code == 403
        assert why() == Why.CLOSED


# ── roles ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.usefixtures("mapped")
class TestRoles:
    def test_they_follow_the_groups_at_each_sign_in_and_the_trail_says_so(
        self, provider: services.Provider, olga: User
    ) -> None:
        provider.claims["groups"] = ["leads", "football"]
        comes_back(Browser(), provider)
        assert role_names(olga) == {"operator", "manager"}
        provider.claims["groups"] = "ops"
        comes_back(Browser(), provider)
        assert role_names(olga) == {"operator"}
        row = olga.history.first()
        assert row is not None
        assert (row.actor_name, row.history_user, row.history_change_reason, row.changed) == (
            "system: single sign-on",
            None,
            "Single sign-on",
            ",groups,",
        )

    def test_somebody_new_with_the_address_of_a_colleague_changes_no_role_of_theirs(
        self, provider: services.Provider, olga: User
    ) -> None:
        provider.claims["groups"] = ["leads"]
        comes_back(Browser(), provider)
        provider.claims |= {"sub": "2002", "groups": ["ops"]}
        comes_back(Browser(), provider)
        assert (why(), role_names(olga)) == (Why.LINKED, {"operator", "manager"})

    def test_roles_that_no_group_gives_are_left_alone(self, provider: services.Provider, aude: User) -> None:
        provider.claims |= {"email": aude.email, "groups": ["ops"]}
        comes_back(Browser(), provider)
        assert role_names(aude) == {"auditor", "operator"}

    def test_who_has_no_group_is_told_who_they_are_and_whom_to_ask_and_has_no_session_and_no_role(
        self, provider: services.Provider, olga: User
    ) -> None:
        provider.claims["groups"] = ["ops"]
        earlier, browser = Browser(), Browser()
        comes_back(earlier, provider)
        provider.claims["groups"] = ["football"]
        answer = comes_back(browser, provider)
        said = answer.content.decode()
        assert answer.status_code == 403
        for sentence in (
            "There is no role for you here.",
            "At the provider you are olga@due-notice.example.",
            "Ask whoever administers Due Notice here",
        ):
            assert sentence in said
        assert not is_in(browser)
        assert role_names(olga) == set()
        assert earlier.get("/admin/incidents/incident/").status_code == 403, "a session that runs has no role either"
        assert str(Why.ROLE) == why()

    def test_nobody_becomes_or_ceases_to_be_a_superuser(self, provider: services.Provider) -> None:
        root = User.objects.create_superuser("root", "root@due-notice.example", cast.PASSWORD)
        link(provider, root)
        assert comes_back(Browser(), provider).status_code == 403, "without a group not they either"
        provider.claims["groups"] = ["ops"]
        assert comes_back(Browser(), provider).status_code == 302
        root.refresh_from_db()
        assert (root.is_superuser, role_names(root)) == (True, {"operator"})

    def test_nobody_new_gets_an_account_unless_it_is_allowed_and_a_group_gives_a_role(
        self, provider: services.Provider, settings: Settings
    ) -> None:
        provider.claims |= {
            "email": "Nina@due-notice.example",
            "given_name": "Nina",
            "family_name": "New\r\nBcc: x",
            "groups": ["ops"],
        }
        comes_back(Browser(), provider)
        assert (why(), User.objects.count()) == (Why.NOBODY, 0)
        settings.OIDC_MAKES_ACCOUNTS = True
        provider.wrong = {"groups": []}
        comes_back(Browser(), provider)
        assert (why(), User.objects.count()) == (Why.ROLE, 0)
        provider.wrong = {}
        browser = Browser()
        comes_back(browser, provider)
        assert is_in(browser)
        nina = User.objects.get()
        assert (nina.username, nina.email, nina.first_name) == (provider.claims["email"].lower(), nina.username, "Nina")
        assert "\n" not in nina.last_name
        assert (nina.is_staff, nina.is_superuser, nina.has_usable_password()) == (True, False, False)
        assert role_names(nina) == {"operator"}
        assert {row.actor_name for row in nina.history.all()} == {"system: single sign-on"}

    def test_an_account_that_is_closed_is_not_made_anew(
        self, provider: services.Provider, settings: Settings, olga: User
    ) -> None:
        settings.OIDC_MAKES_ACCOUNTS = True
        olga.is_active = False
        cast.save(olga)
        provider.claims["groups"] = ["ops"]
        comes_back(Browser(), provider)
        assert (why(), User.objects.count()) == (Why.CLOSED, 1)


def test_where_groups_give_no_roles_only_who_has_one_here_is_let_in(provider: services.Provider, olga: User) -> None:
    assert comes_back(Browser(), provider).status_code == 302
    assert role_names(olga) == {"operator"}
    with acting(reason="As the test needs it."):
        olga.groups.clear()
    assert comes_back(Browser(), provider).status_code == 403


# ── what proves nothing ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "wrong",
    [
        {"nonce": "of another sign-in"},
        {"nonce": None},
        {"aud": "another client"},
        {"aud": ["due-notice", "another"], "azp": "another"},
        {"iss": "http://127.0.0.1:1"},
        {"exp": 1_700_000_000},
        {"exp": None},
        {"sub": None},
        {"sub": ""},
        {"sub": "x" * 192},
    ],
    ids=str,
)
def test_a_token_that_is_not_for_us_now_and_for_this_sign_in_is_refused(
    provider: services.Provider, olga: User, wrong: dict[str, Any]
) -> None:
    provider.wrong = wrong
    browser = Browser()
    answer = comes_back(browser, provider)
    assert "What the provider answered does not prove who you are." in answer.content.decode()
    assert not is_in(browser)
    assert why() == Why.TOKEN


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
def test_a_token_that_is_not_signed_by_the_providers_own_key_is_refused(
    provider: services.Provider, olga: User, algorithm: str
) -> None:
    provider.algorithm = algorithm
    comes_back(Browser(), provider)
    assert why() == Why.TOKEN


def test_a_token_that_another_key_signed_is_refused(provider: services.Provider, olga: User) -> None:
    provider.key = ec.generate_private_key(ec.SECP256R1())
    comes_back(Browser(), provider)
    assert why() == Why.TOKEN


def test_what_comes_back_counts_once_and_only_for_the_browser_that_went(
    provider: services.Provider, olga: User
) -> None:
    browser, other = Browser(), Browser()
    address = provider.signed_in(browser.get(GO).headers["Location"])
    other.get(GO)
    for stranger in (Browser(), other):
        assert "not begun here" in stranger.get(address).content.decode()
        assert not is_in(stranger)
    assert browser.get(address).status_code == 302
    browser.post("/admin/logout/")
    assert "not begun here" in browser.get(address).content.decode()
    assert not Event.objects.filter(kind=EventKind.SSO_REFUSED).exists(), "anybody can bring this about"


def test_a_code_that_was_used_is_refused_by_the_provider_in_any_other_sign_in(
    provider: services.Provider, olga: User
) -> None:
    used = provider.signed_in(Browser().get(GO).headers["Location"])
    thief = Browser()
    own = provider.signed_in(thief.get(GO).headers["Location"])
    state = own.partition("state=")[2]
    stolen = re.sub(r"state=.*", f"state={state}", used)
    thief.get(stolen)
    assert why() == Why.TOKEN, "its verifier is another's"
    assert not is_in(thief)


def test_who_says_no_at_the_provider_is_told_so(provider: services.Provider, olga: User) -> None:
    browser = Browser()
    browser.get(GO)
    [state] = browser.session["socialaccount_states"]
    said = browser.get(BACK, {"error": "access_denied", "error_description": "<b>", "state": state}).content.decode()
    assert "The provider did not sign you in." in said
    assert "&lt;b&gt;" not in said
    assert why() == Why.DECLINED


@pytest.mark.parametrize(
    "document",
    [
        {"issuer": "https://another.example"},
        {"token_endpoint": "http://elsewhere.example/token"},
        {"jwks_uri": "file:///etc/passwd"},
        {"authorization_endpoint": None},
    ],
    ids=str,
)
def test_a_provider_that_is_not_what_it_should_be_is_not_asked(
    provider: services.Provider, olga: User, document: dict[str, Any]
) -> None:
    provider.document = document
    assert "The provider does not answer." in Browser().get(GO).content.decode()


def test_it_is_followed_nowhere_else_and_not_waited_for(
    provider: services.Provider, olga: User, settings: Settings
) -> None:
    settings.OIDC_ISSUER = provider.document["issuer"] = f"{provider.issuer}/moved"
    assert "The provider does not answer." in Browser().get(GO).content.decode()
    settings.SOCIALACCOUNT_REQUESTS_TIMEOUT = 0.1
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings.OIDC_ISSUER = f"http://127.0.0.1:{silent.getsockname()[1]}"
        assert "The provider does not answer." in Browser().get(GO).content.decode()


def test_where_the_provider_is_down_that_is_said_and_passwords_work(olga: User, settings: Settings) -> None:
    with services.running() as provider:
        settings.OIDC_ISSUER = provider.issuer
    browser = Browser()
    assert "The provider does not answer." in browser.get(GO).content.decode()
    assert sign_in(browser, "olga") == ""


def test_where_it_goes_down_while_somebody_is_there_that_is_said(provider: services.Provider, olga: User) -> None:
    provider.document = {"token_endpoint": "http://127.0.0.1:1/token"}
    assert "The provider does not answer." in comes_back(Browser(), provider).content.decode()


def test_who_fails_too_often_from_one_address_is_locked_there_and_under_no_name(
    provider: services.Provider, olga: User, settings: Settings
) -> None:
    settings.SIGN_IN_FAILURES = 1
    provider.wrong = {"email_verified": False}
    for _attempt in range(4):
        comes_back(Browser(), provider)
    assert "Too many attempts from where you are" in Browser().get(GO, REMOTE_ADDR=HERE).content.decode()
    assert Browser().get(GO, REMOTE_ADDR="198.51.100.9").status_code == 302
    assert set(Event.objects.values_list("kind", flat=True)) == {EventKind.SSO_REFUSED, EventKind.ADDRESS_LOCKED}


# ── besides other ways ──────────────────────────────────────────────────────────────────────────────────────────────


def test_who_has_a_second_factor_is_asked_for_it_unless_the_provider_asks(
    provider: services.Provider, olga: User, settings: Settings
) -> None:
    secret, _codes = add_app(cast.browser_of(olga))
    browser = Browser()
    assert comes_back(browser, provider).headers["Location"] == "/admin/login/second/"
    assert not is_in(browser)
    browser.post("/admin/login/second/", {"code": shown_by_app(secret)})
    assert is_in(browser)
    assert "single sign-on, then authenticator app" in str(Event.objects.filter(kind=EventKind.SIGNED_IN).first())
    settings.OIDC_SECOND_FACTOR = True
    browser = Browser()
    comes_back(browser, provider)
    assert is_in(browser)


def test_where_one_is_demanded_the_providers_own_is_enough_if_it_asks(
    provider: services.Provider, olga: User, settings: Settings
) -> None:
    settings.SECOND_FACTOR = ["all"]
    browser = Browser()
    comes_back(browser, provider)
    assert browser.get("/admin/").headers["Location"] == reverse("admin:second_factor")
    settings.OIDC_SECOND_FACTOR = True
    comes_back(other := Browser(), provider)
    assert other.get("/admin/").status_code == 200
    sign_in(other, "olga")
    assert factors.MUST_ADD in other.session, "a password is no proof of it"


def test_where_it_is_the_only_way_passwords_are_for_administrators(
    provider: services.Provider, olga: User, ada: User, settings: Settings
) -> None:
    settings.OIDC_ONLY = True
    assert "Only administrators sign in this way." in sign_in(Browser(), "olga")
    assert "correct username" in sign_in(Browser(), "olga", "guess"), "which tells a guesser nothing"
    assert sign_in(Browser(), "ada") == ""
    assert comes_back(Browser(), provider).status_code == 302


def test_and_so_are_passkeys_in_the_place_of_passwords(olga: User, ada: User, settings: Settings) -> None:
    settings.PASSKEYS, settings.PUBLIC_URL = True, ORIGIN
    hers, adas = (test_passkeys.add(user)[0] for user in (olga, ada))
    assert test_passkeys.alone(hers) == ""
    settings.OIDC_ONLY = True
    assert "Only administrators sign in this way." in test_passkeys.alone(hers)
    assert test_passkeys.alone(adas) == ""


# ── asked again ─────────────────────────────────────────────────────────────────────────────────────────────────────


class TestProof:
    """Of somebody who has neither a password nor a second factor here."""

    PAGE = "/admin/incidents/incident/export/?status=open"

    @pytest.fixture
    def browser(self, provider: services.Provider, olga: User) -> Browser:
        browser = Browser()
        comes_back(browser, provider)
        olga.set_unusable_password()
        cast.save(olga)
        browser.force_login(olga)
        return aged(browser, proved=3600)

    def go_on(self, browser: Browser) -> str:
        return browser.post(self.PAGE, {"proof-method": "GET"}).content.decode()

    def test_they_confirm_it_at_the_provider_in_another_tab_and_go_on_where_they_were(
        self, browser: Browser, provider: services.Provider
    ) -> None:
        asked = browser.get(self.PAGE).content.decode()
        assert f'href="{CONFIRM}"' in asked
        assert "password" not in asked.partition('id="content"')[2]
        assert "You have not confirmed it yet." in self.go_on(browser)
        thanks = comes_back(browser, provider, CONFIRM)
        assert provider.asked[-1]["prompt"] == "login"
        assert "It is confirmed that it is you." in thanks.content.decode()
        assert "The download begins by itself." in self.go_on(browser)
        assert Event.objects.filter(kind=EventKind.CONFIRMED).first().said["how"] == "sso"  # type: ignore[union-attr]

    def test_a_provider_that_did_not_ask_them_confirms_nothing(
        self, browser: Browser, provider: services.Provider
    ) -> None:
        provider.asks_anew = False
        comes_back(browser, provider, CONFIRM)
        assert why() == Why.NOT_ANEW
        provider.wrong = {"auth_time": None}
        comes_back(browser, provider, CONFIRM)
        assert "You have not confirmed it yet." in self.go_on(browser)

    def test_a_colleague_at_the_same_screen_confirms_nothing(
        self, browser: Browser, provider: services.Provider, max_: User
    ) -> None:
        provider.claims |= {"sub": "2002", "email": max_.email}
        comes_back(browser, provider, CONFIRM)
        assert why() == Why.OTHER
        assert "You have not confirmed it yet." in self.go_on(browser)

    def test_what_was_begun_by_one_ends_with_them(
        self, browser: Browser, provider: services.Provider, max_: User
    ) -> None:
        address = provider.signed_in(browser.get(CONFIRM).headers["Location"])
        states = browser.session["socialaccount_states"]
        browser.force_login(max_)
        session = browser.session
        session["socialaccount_states"] = states
        session.save()
        assert "not begun here" in browser.get(address).content.decode()


# ── linked by its owner ─────────────────────────────────────────────────────────────────────────────────────────────


def link(provider: services.Provider, user: User) -> Any:
    """What the page says at last of somebody who links their own account."""
    browser = cast.browser_of(user)
    leads_to = browser.post(OWN).context["leads_to"]
    return browser.get(provider.signed_in(leads_to), follow=True)


def test_somebody_links_their_own_account_though_the_provider_has_not_verified_their_address(
    provider: services.Provider, olga: User
) -> None:
    provider.claims["email_verified"] = None
    assert "Your account is linked to the provider since" in link(provider, olga).content.decode()
    linked = Event.objects.get(kind=EventKind.SSO_LINKED)
    assert (linked.actor, linked.said["subject"]) == (olga, "1001")
    assert comes_back(Browser(), provider).status_code == 302


def test_nobody_links_what_is_of_another_domain_or_of_a_colleague(
    provider: services.Provider, olga: User, max_: User
) -> None:
    provider.claims["email"] = "olga@elsewhere.example"
    link(provider, olga)
    assert why() == Why.DOMAIN
    provider.claims["email"] = olga.email
    link(provider, olga)
    link(provider, max_)
    assert why() == Why.LINKED
    assert SocialAccount.objects.get().user == olga


def test_others_cannot_have_somebody_link_what_is_theirs(provider: services.Provider, olga: User) -> None:
    browser = Browser(enforce_csrf_checks=True)
    browser.force_login(olga)
    assert browser.post(OWN).status_code == 403
    assert "leads_to" in (page := browser.get(OWN)).context
    assert page.context["leads_to"] == ""
    stale = aged(cast.browser_of(olga), proved=3600)
    assert stale.post(OWN).templates[0].name == "admin/proof.html"


# ── set up ──────────────────────────────────────────────────────────────────────────────────────────────────────────

WHOLE = {
    "OIDC_ISSUER": "https://id.northwind.test",
    "OIDC_CLIENT_ID": "due-notice",
    "OIDC_CLIENT_SECRET": "secret",
    "OIDC_DOMAINS": ["northwind.test"],
}


def test_it_starts_whole_or_not_at_all() -> None:
    assert settings_of(**WHOLE)
    for name in WHOLE:
        assert f"Single sign-on is half set: {name} missing." in refused(**{**WHOLE, name: ""})
    assert "OIDC_ISSUER does not begin with https://" in refused(**{**WHOLE, "OIDC_ISSUER": "http://id.example"})
    assert "OIDC_ISSUER is longer than 200" in refused(**{**WHOLE, "OIDC_ISSUER": f"https://id.test/{'x' * 200}"})
    assert "OIDC_ROLES gives new accounts no role" in refused(**WHOLE, OIDC_MAKES_ACCOUNTS=True)
    assert "OIDC_ONLY is set, and OIDC_ISSUER is not." in refused(OIDC_ONLY=True)


def test_groups_give_roles_that_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OIDC_ROLES", "/team/ops:operator, urn:x:lead:manager")
    found = env.roles_of_groups("OIDC_ROLES", roles.ROLES)
    assert found == [("/team/ops", "operator"), ("urn:x:lead", "manager")]
    for wrong in ("ops", "ops:", ":operator", "ops:boss"):
        monkeypatch.setenv("OIDC_ROLES", wrong)
        with pytest.raises(ImproperlyConfigured, match="Write group:role with commas"):
            env.roles_of_groups("OIDC_ROLES", roles.ROLES)


def test_its_keys_are_asked_for_again_when_a_new_one_signs(provider: services.Provider, olga: User) -> None:
    comes_back(Browser(), provider)
    provider.change_key()
    assert comes_back(Browser(), provider).status_code == 302
