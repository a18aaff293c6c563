"""A person's own calendar reads what they see, by an address that is theirs alone."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from icalendar import Calendar

from agreements.models import ClientScope, Service, ServiceAgreement
from config.models import User
from incidents import calendar_feed, lifecycle
from incidents.models import CalendarFeed, Deadline
from tests import cast
from tests.cast import browser_of

PAGE = "/admin/incidents/intaketoken/calendar/"


@pytest.fixture
def owed(olga: User, northwind: ServiceAgreement, contoso: ServiceAgreement) -> None:
    now = timezone.now()
    lifecycle.declare(
        by=olga, now=now, title="Down; all, of it", severity="critical", services=list(Service.objects.all()),
        detected_at=now,
    )  # fmt: skip


def path_of(user: User) -> str:
    address = calendar_feed.make(user, now=timezone.now())
    return "/calendar/" + address.rpartition("/")[2]


def events(content: bytes) -> list[tuple[str, dt.datetime]]:
    found: list[Any] = Calendar.from_ical(content).walk("VEVENT")
    return [(str(event["summary"]), event["dtstart"].dt) for event in found]


@pytest.mark.django_db
def test_it_has_the_open_deadlines_with_their_due_times_in_utc(owed: None, olga: User, client: Browser) -> None:
    answer = client.get(path_of(olga))
    assert answer["Content-Type"] == "text/calendar; charset=utf-8"
    assert answer["Cache-Control"] == "private, max-age=300"
    due = Deadline.objects.open().filter(due_at__isnull=False, started_at__isnull=False).order_by("due_at", "pk")
    due_times = [at.replace(microsecond=0) for deadline in due if (at := deadline.due_at)]
    assert [at for _what, at in events(answer.content)] == due_times
    assert "Due: Notify the client for Northwind (INC-" in events(answer.content)[0][0] or len(due) > 1
    again = client.get(answer.request["PATH_INFO"], headers={"If-None-Match": answer["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.django_db
def test_it_has_nothing_of_clients_whom_its_reader_does_not_see(
    owed: None, max_: User, northwind: ServiceAgreement, client: Browser
) -> None:
    path = path_of(max_)
    assert b"Contoso" in client.get(path).content
    ClientScope.objects.create(user=max_, client=northwind.client)
    content = client.get(path).content
    assert b"Northwind" in content
    assert b"Contoso" not in content
    assert b"example" not in content.replace(b"due-notice.example", b""), "nobody's address"


@pytest.mark.django_db
def test_it_asks_as_many_queries_for_many_as_for_few(owed: None, olga: User, client: Browser) -> None:
    path, counts = path_of(olga), []
    for _round in range(2):
        with CaptureQueriesContext(connection) as asked:
            client.get(path)
        counts.append(len(asked))
        now = timezone.now()
        lifecycle.declare(
            by=olga, now=now, title="Slow", severity="critical", services=list(Service.objects.all()), detected_at=now
        )
    assert counts[0] == counts[1] <= 6


@pytest.mark.django_db
def test_the_address_ends_when_it_is_made_anew_taken_away_or_the_account_is_closed(
    owed: None, olga: User, client: Browser
) -> None:
    old = path_of(olga)
    new = path_of(olga)
    assert (client.get(old).status_code, client.get(new).status_code) == (404, 200)
    calendar_feed.revoke(olga)
    assert client.get(new).status_code == 404
    last = path_of(olga)
    olga.is_active = False
    cast.save(olga)
    assert client.get(last).status_code == 404
    assert client.get("/calendar/.ics").status_code == 404
    assert client.post(last).status_code == 405


@pytest.mark.django_db
def test_everybody_makes_their_own_on_a_page_that_shows_it_once(aude: User, client: Browser) -> None:
    browser = browser_of(aude)
    assert PAGE in browser.get("/admin/settings/").content.decode()
    assert "You have no such address" in browser.get(PAGE).content.decode()
    answer = browser.post(PAGE, {"do": "make"})
    assert "no-store" in answer["Cache-Control"]
    address = answer.context["secret"]
    assert address in answer.content.decode()
    assert client.get("/calendar/" + address.rpartition("/")[2]).status_code == 200
    assert address not in browser.get(PAGE).content.decode()
    feed = CalendarFeed.objects.get()
    assert feed.history.get().actor_name == "Aude Martin (aude)"
    browser.post(PAGE, {"do": "revoke"})
    assert client.get("/calendar/" + address.rpartition("/")[2]).status_code == 404
