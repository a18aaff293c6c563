"""Two people at one page with tables below its form: neither overwrites the rows of the other unseen."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.urls import reverse

from agreements.models import Client, Contact, Obligation, ServiceAgreement, ServiceCalendar, SpecialDay
from config import roles as role_names
from config.history import acting
from config.models import User
from tests import cast
from tests.incidents.test_two_at_once import MEANWHILE, Tab


def page_of(row: Client | ServiceAgreement | ServiceCalendar) -> str:
    return reverse(f"admin:agreements_{row._meta.model_name}_change", args=[row.pk])


@pytest.fixture
def mia(roles: None) -> User:
    """Another manager."""
    return cast.colleague("mia", "Mia Lang", role_names.MANAGER)


@pytest.fixture
def client_(northwind: ServiceAgreement) -> Client:
    return northwind.client


def test_a_contact_is_not_saved_over_what_a_colleague_has_made_of_it(client_: Client, max_: User, mia: User) -> None:
    contact = client_.contacts.get()
    mine, theirs = Tab(max_, page_of(client_)), Tab(mia, page_of(client_))
    theirs.send(**{"contacts-0-phone": "+1 555 0100", "reason": "They gave us a number"})

    said = mine.send(**{"contacts-0-name": "Duty desk", "reason": "As they call it"})

    assert mine.was_refused
    for expected in (
        MEANWHILE,
        "Mia Lang (mia)",
        f"Contact “{contact}”: Phone: – → +1 555 0100.",
        "They gave us a number",
        'value="Duty desk"',
        'value="As they call it"',
        'value="+1 555 0100"',  # which Max left alone, and would else have emptied
    ):
        assert expected in said, expected
    contact.refresh_from_db()
    assert contact.name != "Duty desk"

    mine.send(reason="As they call it")
    contact.refresh_from_db()
    assert (contact.name, contact.phone) == ("Duty desk", "+1 555 0100")


def test_who_changes_only_the_client_leaves_the_contacts_as_a_colleague_made_them(
    client_: Client, max_: User, mia: User
) -> None:
    mine, theirs = Tab(max_, page_of(client_)), Tab(mia, page_of(client_))
    theirs.send(**{"contacts-0-phone": "+1 555 0100", "contacts-0-is_active": "on", "reason": "A number"})
    sent = {"name": "Northwind Traders", "reason": "Renamed"}
    assert MEANWHILE in mine.send(**sent)
    mine.send(**sent)
    client_.refresh_from_db()
    assert (client_.name, client_.contacts.get().phone) == ("Northwind Traders", "+1 555 0100")


def test_a_contact_that_a_colleague_added_is_told_and_stays(client_: Client, max_: User, mia: User) -> None:
    mine, theirs = Tab(max_, page_of(client_)), Tab(mia, page_of(client_))
    row = {"name": "Night desk", "address": "night@northwind.example", "position": 2, "is_active": "on"}
    added = {f"contacts-1-{name}": value for name, value in row.items()}
    theirs.send(**{**added, "contacts-TOTAL_FORMS": 2, "reason": "They are there at night"})
    sent = {"contacts-0-name": "Duty desk", "reason": "As they call it"}
    assert "Contact “Night desk" in mine.send(**sent)
    assert "added." in mine._text()
    mine.send(**sent)
    assert sorted(client_.contacts.values_list("name", flat=True)) == ["Duty desk", "Night desk"]


def test_an_agreement_is_not_saved_unseen_after_a_colleague_changed_what_is_owed(
    northwind: ServiceAgreement, max_: User, mia: User
) -> None:
    mine = Tab(max_, page_of(northwind))
    notify = northwind.commitments.get(obligation=Obligation.NOTIFY)
    with acting(mia, reason="Amendment No. 1"):
        notify.amount = 2
        notify.save()
    said = mine.send(clause="As agreed, once more.", reason="Typing error")
    assert mine.was_refused
    assert "4 → 2." in said
    assert "Amendment No. 1" in said
    mine.send(clause="As agreed, once more.", reason="Typing error")
    northwind.refresh_from_db()
    notify.refresh_from_db()
    assert (northwind.clause, notify.amount) == ("As agreed, once more.", 2)


@pytest.fixture
def calendar(db: None) -> ServiceCalendar:
    """With two days that a colleague may take out."""
    calendar = cast.office_hours()
    for day, name in (("2027-01-06", "Epiphany"), ("2027-05-01", "Labour Day")):
        SpecialDay.objects.create(calendar=calendar, on=day, name=name)
    return calendar


def special_days(calendar: ServiceCalendar) -> list[str]:
    return list(calendar.special_days.order_by("on").values_list("name", flat=True))


def take_out_epiphany(by: User, calendar: ServiceCalendar) -> None:
    theirs = Tab(by, page_of(calendar))
    theirs.send(**{"special_days-0-DELETE": "on", "reason": "We work then"})
    assert not theirs.was_refused


def test_a_row_that_a_colleague_removed_is_told_once_and_stays_removed_when_the_rest_is_saved(
    calendar: ServiceCalendar, max_: User, mia: User
) -> None:
    mine = Tab(max_, page_of(calendar))
    take_out_epiphany(mia, calendar)
    added = {"on": "2027-12-24", "name": "Christmas Eve", "id": "", "calendar": calendar.pk}
    typed: dict[str, Any] = {
        "special_days-1-name": "May Day",
        "reason": "As they call it",
        "special_days-TOTAL_FORMS": 3,
    }
    typed |= {f"special_days-2-{name}": value for name, value in added.items()}
    said = mine.send(**typed)
    for expected in (
        MEANWHILE,
        "Epiphany",
        "removed.",
        "We work then",
        "stands at the end of its table",
        "Removed meanwhile",
    ):
        assert said.count(expected) >= 1, expected
    for kept in ('value="May Day"', 'value="Christmas Eve"', 'value="Epiphany"'):
        assert said.count(kept) == 1, kept
    assert special_days(calendar) == ["Labour Day"]

    assert MEANWHILE not in mine.send(reason="As they call it")
    assert not mine.was_refused
    assert special_days(calendar) == ["May Day", "Christmas Eve"]


def test_what_was_typed_in_a_row_that_a_colleague_removed_is_added_again_by_who_takes_its_mark_away(
    calendar: ServiceCalendar, max_: User, mia: User
) -> None:
    mine = Tab(max_, page_of(calendar))
    take_out_epiphany(mia, calendar)
    said = mine.send(**{"special_days-0-name": "Three Kings", "reason": "As they call it"})
    assert MEANWHILE in said, "or the words would be lost unsaid"
    assert 'value="Three Kings"' in said

    mine.send(**{"special_days-1-DELETE": "", "reason": "As they call it"})
    assert not mine.was_refused
    assert special_days(calendar) == ["Three Kings", "Labour Day"]


def test_nobody_is_asked_why_a_colleague_removed_a_row(calendar: ServiceCalendar, max_: User, mia: User) -> None:
    mine = Tab(max_, page_of(calendar))
    take_out_epiphany(mia, calendar)
    said = mine.send()
    assert MEANWHILE in said
    assert "Say why this is changed" not in said
    mine.send()
    assert not mine.was_refused
    assert special_days(calendar) == ["Labour Day"]


def test_who_may_not_remove_rows_saves_the_rest_without_the_removed_one(
    calendar: ServiceCalendar, max_: User, mia: User
) -> None:
    group = Group.objects.get(name=role_names.MANAGER)
    mine = Tab(max_, page_of(calendar))
    take_out_epiphany(mia, calendar)
    group.permissions.remove(Permission.objects.get(codename="delete_specialday"))
    typed = {"special_days-1-name": "May Day", "reason": "As they call it"}
    assert MEANWHILE in mine.send(**typed)
    mine.send(reason="As they call it")
    assert not mine.was_refused
    assert special_days(calendar) == ["May Day"]


@pytest.mark.parametrize("sent", ["x", "99999999999999999999999", "-1", "٣"])
def test_a_key_that_is_none_is_refused_as_ever(calendar: ServiceCalendar, max_: User, sent: str) -> None:
    mine = Tab(max_, page_of(calendar))
    mine.send(**{"special_days-0-id": sent, "special_days-0-name": "May Day", "reason": "As they call it"})
    assert mine.was_refused
    assert special_days(calendar) == ["Epiphany", "Labour Day"]


def test_words_in_a_row_that_a_worker_removed_are_not_lost_unsaid(calendar: ServiceCalendar, max_: User) -> None:
    mine = Tab(max_, page_of(calendar))
    with acting(task="import", reason="Imported anew"):
        calendar.special_days.get(name="Epiphany").delete()
    said = mine.send(**{"special_days-0-name": "Three Kings", "reason": "As they call it"})
    assert MEANWHILE in said
    assert 'value="Three Kings"' in said


def test_what_workers_write_below_stops_nobody(client_: Client, max_: User) -> None:
    mine = Tab(max_, page_of(client_))
    with acting(task="import"):
        Contact.objects.create(client=client_, name="Desk", address="desk@northwind.example", position=2)
    mine.send(name="Northwind Traders", reason="Renamed")
    assert not mine.was_refused
