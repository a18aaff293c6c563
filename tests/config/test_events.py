"""What happened that changed no audited row, and stands in the trail all the same."""

from __future__ import annotations

import datetime as dt

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from agreements.models import Client
from config import roles
from config.audit import events
from config.history import Caller, acting
from config.models import Event, EventKind, User

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
