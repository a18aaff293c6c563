"""What happened that changed no audited row, and stands in the trail all the same."""

from __future__ import annotations

import datetime as dt

import pytest
from django.db import IntegrityError, transaction
from django.test import Client as Browser
from django.utils import timezone
from pytest_django import Settings

from agreements.models import Client
from config import instants, roles
from config.audit import events
from config.history import Caller, acting
from config.models import Event, EventKind, User
from tests import cast

pytestmark = pytest.mark.django_db


def test_an_event_is_part_of_the_act_that_is_going_on(olga: User) -> None:
    client = Client.objects.create(name="Northwind", time_zone="UTC")
    with acting(olga) as act:
        events.record(EventKind.LINK_OPENED, about=client)
    event = Event.objects.get()
    assert (event.actor, event.actor_name, event.request_id) == (olga, "Olga Petrova (olga)", act.request_id)
    assert (event.caller, event.about, event.about_pk) == (Caller.COMMAND, "agreements.client", client.pk)


def test_an_event_bears_the_instant_of_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timezone, "now", lambda: dt.datetime(2001, 1, 1, tzinfo=dt.UTC))  # a machine with a wrong clock
    events.record(EventKind.SIGNED_OUT)
    assert Event.objects.get().at.year > 2001


def test_facts_are_capped_and_cannot_break_the_line_of_a_log(db: None) -> None:
    event = events.record(EventKind.SIGN_IN_FAILED, name="a\r\n\x00b" + "c" * 1000)
    assert event.said["name"].startswith("abc")
    assert len(event.said["name"]) == events.LONGEST_FACT


def test_every_kind_has_a_sentence_that_stands_without_its_facts() -> None:
    for kind in EventKind:
        assert Event(kind=kind).sentence


def test_an_event_is_about_one_row_or_none(db: None) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Event.objects.create(kind=EventKind.SIGNED_IN, about="agreements.client")


@pytest.mark.parametrize("role", roles.ROLES)
def test_events_are_read_by_those_who_answer_for_others_and_written_by_nobody(
    role: str, olga: User, max_: User, aude: User, ada: User
) -> None:
    user = {"operator": olga, "manager": max_, "auditor": aude, "administrator": ada}[role]
    assert user.has_perm("config.view_event") == (role != roles.OPERATOR)
    assert not any(user.has_perm(f"config.{action}_event") for action in ("add", "change", "delete"))


# ── what is recorded ────────────────────────────────────────────────────────────────────────────────────────────────

SIGN_IN = "/admin/login/"


def sign_in(browser: Browser, username: str, password: str = cast.PASSWORD) -> None:
    browser.post(SIGN_IN, {"username": username, "password": password}, REMOTE_ADDR="192.0.2.7")


def test_who_signs_in_and_out_is_recorded_with_the_address(client: Browser, olga: User) -> None:
    sign_in(client, "olga")
    client.post("/admin/logout/", REMOTE_ADDR="192.0.2.7")
    found = Event.objects.order_by("pk").values_list("kind", "actor", "actor_name", "caller", "address")
    who = (olga.pk, "Olga Petrova (olga)", Caller.ADMIN, "192.0.2.7")
    assert list(found) == [("signed_in", *who), ("signed_out", *who)]


def test_who_fails_to_sign_in_is_recorded_with_the_account_and_never_the_password(client: Browser, olga: User) -> None:
    sign_in(client, "OLGA", "hunter2")
    event = Event.objects.get()
    assert (event.kind, event.actor, event.actor_name) == (EventKind.SIGN_IN_FAILED, None, "anonymous")
    assert (event.about, event.about_pk, event.said) == ("config.user", olga.pk, {"name": "olga"})
    assert "hunter2" not in str(vars(event))


def test_of_a_name_that_nobody_has_only_the_beginning_is_kept_as_it_may_be_a_password(client: Browser) -> None:
    sign_in(client, "hunter2", "olga")
    assert Event.objects.get().said == {"name": "hu…"}
    sign_in(client, "\x00")
    assert Event.objects.count() <= 2  # the form may have refused it before


def test_who_is_refused_is_recorded_with_what_was_tried(aude: User) -> None:
    browser = cast.browser_of(aude)
    assert browser.post("/admin/incidents/incident/add/?title=Secret").status_code == 403
    event = Event.objects.get(kind=EventKind.ACTION_REFUSED)
    assert (event.actor, event.caller) == (aude, Caller.ADMIN)
    assert event.said == {"method": "POST", "path": "/admin/incidents/incident/add/"}


@pytest.mark.django_db(transaction=True)
def test_a_refusal_survives_what_it_undoes(aude: User) -> None:
    """Django's own page of an object refuses in the middle of its transaction."""
    client = Client.objects.create(name="Northwind", time_zone="UTC")
    browser = cast.browser_of(aude)
    assert browser.post(f"/admin/agreements/client/{client.pk}/change/", {"name": "Southwind"}).status_code == 403
    assert Event.objects.filter(kind=EventKind.ACTION_REFUSED).count() == 1


def test_a_form_without_its_token_is_no_act_of_whoever_is_signed_in(aude: User) -> None:
    browser = Browser(enforce_csrf_checks=True)
    browser.force_login(aude)
    assert browser.post("/admin/incidents/incident/add/").status_code == 403
    assert not Event.objects.filter(kind=EventKind.ACTION_REFUSED).exists()


def test_whoever_is_not_signed_in_is_asked_to_and_not_recorded(client: Browser, db: None) -> None:
    assert client.get("/admin/incidents/incident/").status_code == 302
    assert not Event.objects.exists()


def test_a_role_that_is_given_and_settings_that_are_changed_stand_in_the_trail(ada: User, olga: User) -> None:
    browser = cast.browser_of(ada)
    with acting(ada, reason="Promoted."):
        olga.groups.set(olga.groups.model.objects.filter(name=roles.MANAGER))
    browser.post("/admin/settings/", {"time_zone": "Europe/Berlin", "language": "de"})
    latest = olga.history.first()
    assert (latest.changed_names, latest.history_user, latest.history_change_reason) == (["groups"], ada, "Promoted.")
    own = ada.history.first()
    assert (own.changed_names, own.history_user) == (["time_zone", "language"], ada)


# ── the lock against guessing ───────────────────────────────────────────────────────────────────────────────────────


class TestLock:
    @pytest.fixture(autouse=True)
    def _guesses(self, client: Browser, olga: User, settings: Settings) -> None:
        settings.SIGN_IN_FAILURES, settings.SIGN_IN_LOCK_MINUTES = 3, 15
        for _number in range(3):
            sign_in(client, "olga", "guess")

    def kinds(self) -> list[str]:
        return list(Event.objects.order_by("pk").values_list("kind", flat=True))

    def test_who_guesses_too_often_is_told_for_how_long_nobody_gets_in(self, client: Browser) -> None:
        page = client.post(SIGN_IN, {"username": "olga", "password": cast.PASSWORD}, REMOTE_ADDR="192.0.2.7")
        assert "Try again in 15 minutes." in page.content.decode()
        assert "_auth_user_id" not in client.session
        assert self.kinds() == ["sign_in_failed"] * 3 + ["locked_out"]
        event = Event.objects.get(kind=EventKind.LOCKED_OUT)
        assert event.said == {"name": "olga", "minutes": "15"}
        assert event.address == "192.0.2.7"

    def test_a_guesser_keeps_no_colleague_out(self, client: Browser, max_: User) -> None:
        assert client.post(SIGN_IN, {"username": "olga", "password": cast.PASSWORD}).status_code == 302
        client.logout()
        sign_in(client, "max")
        assert "_auth_user_id" in client.session

    def test_the_lock_ends(self, client: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
        later = instants.now() + dt.timedelta(minutes=15, seconds=1)
        monkeypatch.setattr(instants, "_synced", (instants._ticks(), later))
        sign_in(client, "olga")
        assert "_auth_user_id" in client.session

    def test_a_name_that_nobody_has_is_locked_too_so_that_the_lock_tells_nobody_who_is_there(
        self, client: Browser
    ) -> None:
        for _number in range(3):
            sign_in(client, "nobody")
        assert Event.objects.filter(kind=EventKind.LOCKED_OUT, said__name="no…").count() == 1


def test_only_failures_in_a_row_count(client: Browser, olga: User, settings: Settings) -> None:
    settings.SIGN_IN_FAILURES = 3
    for password in ("guess", "guess", cast.PASSWORD, "guess", "guess"):
        sign_in(client, "olga", password)
    assert not Event.objects.filter(kind=EventKind.LOCKED_OUT).exists()
