"""The guide on the board of an empty system, from the first calendar to the first incident."""

from __future__ import annotations

import datetime as dt
import html
import re
from dataclasses import replace
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client as Browser
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from agreements.models import ServiceAgreement, ServiceCalendar
from config import first_steps, zones
from config import roles as role_names
from config.models import User
from config.site import site
from incidents import lifecycle
from incidents.models import Notice
from tests import cast

TITLES = [
    "A service calendar",
    "A client",
    "Contacts who get mail",
    "A service",
    "An agreement with commitments",
    "Colleagues with roles",
    "Mail that goes out",
    "A first incident: a drill",
]


@pytest.fixture
def root(roles: None) -> User:
    """Whom `createsuperuser` makes, on a database that holds nothing else."""
    return User.objects.create_superuser("root", "root@due-notice.example", cast.PASSWORD, time_zone="Europe/Berlin")


class Board:
    """What the guide says to one person."""

    def __init__(self, person: User) -> None:
        self.browser = Browser()
        self.browser.force_login(person)

    @property
    def content(self) -> str:
        page = self.browser.get(reverse("admin:index")).content.decode()
        found = re.search(r'(?s)<section class="module first-steps".*?</section>', page)
        return found[0] if found else ""

    @property
    def steps(self) -> dict[str, tuple[str, str]]:
        """Title → (where it stands, the address that it leads to)."""
        found = {}
        for state, step in re.findall(r'(?s)<li class="([^"]*)".*?(<strong>.*?)</li>', self.content):
            title = html.unescape(re.findall(r"<strong>(.*?)</strong>", step)[0])
            address = re.findall(r'href="([^"]*)"', step)
            found[title] = (state, html.unescape(address[0]) if address else "")
        return found

    @property
    def next(self) -> str:
        return next(title for title, (state, _address) in self.steps.items() if state == "is-next")

    def follow(self, **typed: Any) -> Any:
        """Open the next step's page, type this, and press its button with all else as it was filled in."""
        address = self.steps[self.next][1]
        page = self.browser.get(address)
        assert page.status_code == 200
        return self.browser.post(address, {**filled_in(page), **typed})


def filled_in(page: Any) -> dict[str, Any]:
    """What a browser would send of the page's form."""
    context = page.context
    forms = [context["adminform"].form] if "adminform" in context else [context["form"]]
    for inline in context.get("inline_admin_formsets", ()):
        forms += [inline.formset.management_form, *inline.formset.forms]
    values = {bound.html_name: bound.value() for form in forms for bound in form}
    return {
        name: value.strftime("%H:%M") if isinstance(value, dt.time) else value
        for name, value in values.items()
        if value is not None and value is not False
    }


def test_on_an_empty_database_every_step_is_there_and_the_first_is_next(root: User) -> None:
    board = Board(root)
    assert list(board.steps) == TITLES
    assert board.next == "A service calendar"
    assert "0 of 8 are done." in board.content


def test_each_page_is_filled_in_and_leads_back_until_an_incident_can_be_declared(root: User) -> None:
    board = Board(root)
    index = reverse("admin:index")

    assert board.follow()["Location"] == index
    calendar = ServiceCalendar.objects.get()
    assert (calendar.name, calendar.time_zone, calendar.hours.count()) == ("Round the clock", "Europe/Berlin", 7)
    calendar.as_clock_calendar()

    contact = {"contacts-0-name": "Operations", "contacts-0-address": "ops@northwind.example"}
    assert board.next == "A client"
    assert board.follow(name="Northwind", **contact)["Location"] == index
    assert board.steps["Contacts who get mail"][0] == "is-done"

    assert board.next == "A service"
    assert board.follow(name="Object storage")["Location"] == index

    assert board.next == "An agreement with commitments"
    assert board.follow(reference="NW-2026-01")["Location"] == index
    agreement = ServiceAgreement.objects.get()
    assert (agreement.client.name, agreement.owner, agreement.calendar) == ("Northwind", root, calendar)
    assert [str(covered) for covered in agreement.coverage.all()] == ["Object storage"]
    assert timezone.localtime(agreement.effective_at, zones.zone("Europe/Berlin")).time() == dt.time(0)

    assert board.next == "An agreement with commitments", "an agreement that commits to nothing is not done"
    assert board.follow(preset="notify_within_hours", hours=4)["Location"] == index
    assert agreement.commitments.exists()
    assert board.next == "Colleagues with roles"
    drill = board.steps["A first incident: a drill"][1]
    declaring = html.unescape(board.browser.get(drill).content.decode())
    assert 'value="Drill: nothing is wrong"' in declaring
    assert re.search(r'value="critical"[^>]*checked', declaring)


def test_the_last_step_takes_the_guide_away(root: User) -> None:
    board = Board(root)
    cast.northwind()
    assert board.next == "Colleagues with roles"
    olga = cast.olga()
    assert board.next == "Mail that goes out"
    now = timezone.now()
    incident = lifecycle.declare(
        by=olga,
        now=now,
        title="Drill",
        severity="critical",
        services=[cast.service("Object storage")],
        detected_at=now,
    )
    assert board.next == "Mail that goes out"
    lifecycle.notify_client(incident, by=olga, now=now)
    notice = Notice.objects.first()
    assert notice
    notice.accepted_at = now
    notice.save()
    assert board.content == ""


def test_who_does_not_set_it_up_reads_a_sentence(root: User, olga: User, aude: User) -> None:
    for person in (olga, aude):
        board = Board(person)
        assert "still being set up" in board.content
        assert "<li" not in board.content


def test_a_step_of_another_role_has_no_link(max_: User) -> None:
    """Managers keep agreements, and administrators the accounts of colleagues."""
    steps = [replace(make(), done=User.objects.none()) for _number, make in sorted(site._steps.items())]
    guide = first_steps.guide(steps, asked_by(max_))
    assert guide
    unlinked = [shown.step.permission for shown in guide.steps if not shown.url]
    assert unlinked == ["config.add_user"]


def asked_by(person: User) -> Any:
    request = RequestFactory().get("/admin/")
    request.user = person
    return request


def test_what_is_asked_of_the_guide_costs_one_query_when_all_is_done(root: User) -> None:
    """The board is opened all day long, and a system is set up once."""
    people = [step for step in (make() for make in site._steps.values()) if step.permission == "config.add_user"]
    with CaptureQueriesContext(connection) as found:
        assert first_steps.guide([], asked_by(root)) is None
    assert len(found) == 0
    User.objects.get(pk=root.pk).groups.add(Group.objects.get(name=role_names.OPERATOR))
    with CaptureQueriesContext(connection) as found:
        assert first_steps.guide(people, asked_by(root)) is None
    assert len(found) == 1


def test_away_from_the_guide_saving_leads_where_it_always_did(root: User) -> None:
    browser = Board(root).browser
    saved = browser.post(reverse("admin:agreements_service_add"), {"name": "Payments", "is_active": "on"})
    assert saved["Location"] == reverse("admin:agreements_service_changelist")
