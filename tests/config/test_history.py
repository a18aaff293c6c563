"""Who changed what, when and why."""

from __future__ import annotations

import datetime as dt
import getpass

import pytest
from django.db import DatabaseError, connection
from django.test import Client as Browser
from django.utils import timezone

from agreements.models import Client
from config.history import Caller, acting, current_act
from config.models import User
from tests import cast

pytestmark = pytest.mark.django_db


def client() -> Client:
    return Client.objects.create(name="Northwind", time_zone="UTC")


def test_outside_of_anything_the_command_acts_with_the_name_of_the_machines_user() -> None:
    row = client().history.get()
    assert row.actor_name.endswith(f"({getpass.getuser()})")
    assert (row.caller, row.history_user) == (Caller.COMMAND, None)


def test_a_row_of_the_trail_bears_the_instant_of_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timezone, "now", lambda: dt.datetime(2001, 1, 1, tzinfo=dt.UTC))  # a machine with a wrong clock
    row = client().history.get()
    with connection.cursor() as cursor:
        cursor.execute("SELECT CURRENT_TIMESTAMP")
        (now,) = cursor.fetchone()
    now = dt.datetime.fromisoformat(str(now)).replace(tzinfo=dt.UTC)
    assert abs(row.history_date - now) < dt.timedelta(minutes=1)


def test_a_row_of_the_trail_names_the_fields_that_changed() -> None:
    row = client()
    row.name, row.language = "Southwind", "de"
    cast.save(row)
    changed, added = row.history.all()
    assert (changed.changed_names, added.changed_names) == (["name", "language"], [])


def test_a_new_role_is_named_as_what_changed(olga: User) -> None:
    cast.demote(olga)
    assert olga.history.first().changed_names == ["groups"]


@pytest.mark.django_db(transaction=True)
def test_a_row_whose_trail_cannot_be_written_is_not_written() -> None:
    row = client()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE agreements_historicalclient RENAME TO elsewhere")
    try:
        row.name = "Southwind"
        with pytest.raises(DatabaseError):
            cast.save(row)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE elsewhere RENAME TO agreements_historicalclient")
    assert Client.objects.get().name == "Northwind"


def test_a_worker_is_named_by_its_task() -> None:
    with acting(task="outbox.deliver"):
        row = client().history.get()
    assert (row.actor_name, row.caller) == ("system: outbox.deliver", Caller.WORKER)


def test_an_act_inside_an_act_keeps_the_request_id_and_adds_its_reason(olga: User) -> None:
    with acting(olga) as outer, acting(reason="Because.") as inner:
        assert inner.request_id == outer.request_id
        row = client().history.get()
    assert (row.history_user, row.history_change_reason, row.request_id) == (olga, "Because.", outer.request_id)


def test_an_act_ends_with_its_block(olga: User) -> None:
    with acting(olga):
        pass
    assert current_act().actor is None


def test_a_save_that_changes_nothing_writes_nothing() -> None:
    row = client()
    cast.save(row)
    Client.objects.get().save()
    assert row.history.count() == 1


def test_saving_some_fields_keeps_the_others_unsaved_and_still_noticed() -> None:
    row = client()
    row.name, row.time_zone = "Southwind", "Europe/Berlin"
    row.save(update_fields=["name"])
    assert row.changed_fields() == {"time_zone"}
    cast.save(row)
    assert row.history.count() == 3
    assert Client.objects.get().time_zone == "Europe/Berlin"


def test_reading_one_field_again_does_not_hide_other_changes() -> None:
    row = client()
    row.name = "Southwind"
    row.refresh_from_db(fields=["time_zone"])
    assert row.changed_fields() == {"name"}


def test_signing_in_leaves_no_row_and_a_new_role_does(olga: User) -> None:
    before = olga.history.count()
    Browser().login(username="olga", password=cast.PASSWORD)
    assert olga.history.count() == before
    cast.demote(olga)
    assert olga.history.count() == before + 1
    assert not olga.history.first().groups.exists()


def test_passwords_are_not_in_the_trail(olga: User) -> None:
    fields = {field.name for field in User.history.model._meta.get_fields()}
    assert "password" not in fields
