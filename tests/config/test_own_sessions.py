"""Where one is signed in: seen by its owner alone, ended from elsewhere, and told of in the trail."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

import pytest
from django.conf import settings as configured
from django.contrib.sessions.backends.base import UpdateError
from django.test import Client as Browser

from config import sessions
from config.models import Event, EventKind, User
from tests import cast
from tests.config.test_sign_in import HERE, THERE, aged, is_in, sign_in

pytestmark = pytest.mark.django_db

PAGE = "/admin/settings/sessions/"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 Version/18.5 Mobile Safari/604.1"


def come_in(name: str, browser: str, address: str) -> Browser:
    found = Browser(headers={"User-Agent": browser})
    assert sign_in(found, name, address=address) == ""
    return found


@pytest.fixture
def here(olga: User) -> Browser:
    return come_in("olga", FIREFOX, HERE)


@pytest.fixture
def there(olga: User) -> Browser:
    return come_in("olga", IPHONE, THERE)


def name_of(browser: Browser) -> str:
    return next(one.name for one in sessions.of(User.objects.get(username="olga")) if one.key == key_of(browser))


def key_of(browser: Browser) -> str:
    return str(browser.session.session_key)


def told() -> list[Any]:
    return [(event.actor, event.said) for event in Event.objects.filter(kind=EventKind.SESSION_ENDED)]


def test_one_sees_ones_own_and_nothing_that_would_open_another(here: Browser, there: Browser, max_: User) -> None:
    come_in("max", FIREFOX, "203.0.113.77")
    shown = " ".join(re.sub(r"<[^>]+>", " ", here.get(PAGE).content.decode()).split())
    assert f"Firefox on Linux {HERE}" in shown
    assert f"Safari on iPhone {THERE}" in shown
    assert shown.count("this one") == 1
    assert "203.0.113.77" not in shown
    assert key_of(there) not in here.get(PAGE).content.decode()


def test_one_is_ended_and_the_others_go_on(here: Browser, there: Browser, olga: User) -> None:
    third = come_in("olga", FIREFOX, HERE)
    stale_copy = import_module(configured.SESSION_ENGINE).SessionStore(key_of(there))
    stale_copy["typed"] = "meanwhile"
    here.post(PAGE, {"end": name_of(there)})
    assert (is_in(here), is_in(there), is_in(third)) == (True, False, True)
    assert told() == [(olga, {"why": "owner", "browser": "Safari on iPhone", "of": THERE})]
    with pytest.raises(UpdateError):
        stale_copy.save()  # a page that was being answered meanwhile


def test_all_others_are_ended_and_this_one_goes_on(here: Browser, there: Browser, max_: User) -> None:
    other = come_in("max", FIREFOX, HERE)
    here.post(PAGE)
    assert (is_in(here), is_in(there), is_in(other)) == (True, False, True)
    here.post(PAGE, {"end": name_of(here)})
    assert is_in(here)


def test_nobody_ends_that_of_another(here: Browser, max_: User) -> None:
    cast.browser_of(max_).post(PAGE, {"end": name_of(here)})
    assert is_in(here)
    assert told() == []


def test_an_old_session_has_to_prove_itself_before_it_ends_others(here: Browser, there: Browser) -> None:
    assert aged(here, proved=3600).post(PAGE).templates[0].name == "admin/proof.html"
    assert is_in(there)


def test_what_is_over_by_itself_is_not_listed(here: Browser, there: Browser, olga: User) -> None:
    aged(there, acted=configured.SESSION_IDLE_MINUTES * 60 + 1)
    assert [one.key for one in sessions.of(olga)] == [key_of(here)]
    olga.set_password("another-long-phrase")
    cast.save(olga)
    assert sessions.of(olga) == []


def test_its_last_act_and_address_are_those_of_now(here: Browser, olga: User) -> None:
    aged(here, acted=3600).get("/admin/settings/", REMOTE_ADDR=THERE)
    [one] = sessions.of(olga)
    assert one.address == THERE
    assert (one.acted_at - one.began_at).total_seconds() < 60


def test_an_administrator_ends_all_of_a_colleague_for_a_reason(here: Browser, there: Browser, ada: User) -> None:
    browser, olga = cast.browser_of(ada), User.objects.get(username="olga")
    act = f"/admin/config/user/{olga.pk}/end-sessions/"
    assert browser.post(act, {"reason": ""}).status_code == 200
    assert is_in(here)
    browser.post(act, {"reason": "Her laptop was stolen."})
    assert (is_in(here), is_in(there), is_in(browser)) == (False, False, True)
    assert {(actor, said["why"]) for actor, said in told()} == {(ada, "Her laptop was stolen.")}
    browser.post(f"/admin/config/user/{ada.pk}/end-sessions/", {"reason": "Mine, by mistake."})
    assert is_in(browser)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (FIREFOX, "Firefox on Linux"),
        (IPHONE, "Safari on iPhone"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
        ("Mozilla/5.0 (Linux; Android 15) Chrome/140.0 Mobile Safari/537.36", "Chrome on Android"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/18 Safari/605.1.15", "Safari on macOS"),
        ("curl/8.5", ""),
    ],
)
def test_a_browser_is_named_in_words(said: str, words: str) -> None:
    assert sessions.in_words(said) == words
