"""The board: what is due next, of all clients."""

from __future__ import annotations

import datetime as dt
import html
from typing import Any

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from agreements.models import Obligation, Service, ServiceAgreement
from config.models import User
from incidents import lifecycle
from incidents.admin.board import SHOWN
from incidents.admin.deadline import DeadlineRow
from incidents.models import Deadline, Incident, Notice, Standing
from incidents.models.notice import NoticeState
from tests import cast

BOARD = "/admin/"
HOUR = dt.timedelta(hours=1)


@pytest.fixture
def browser(olga: User) -> Browser:
    """Olga's."""
    browser = Browser()
    browser.force_login(olga)
    return browser


def declared(by: User, *, ago: dt.timedelta = HOUR, severity: str = "critical") -> Incident:
    now = timezone.now()
    services = list(Service.objects.all())
    return lifecycle.declare(
        by=by, now=now, title="Storage is down", severity=severity, services=services, detected_at=now - ago
    )


def rows(browser: Browser, **params: Any) -> list[DeadlineRow]:
    response = browser.get(BOARD, params)
    assert response.status_code == 200
    return list(response.context["board"]["rows"])


def text(browser: Browser, **params: Any) -> str:
    return html.unescape(browser.get(BOARD, params).content.decode())


def tiles(browser: Browser) -> dict[str, int]:
    return {str(tile.label): tile.count for tile in browser.get(BOARD).context["tiles"]}


def test_an_empty_board_says_what_to_do(browser: Browser) -> None:
    shown = text(browser)
    assert "Nothing is due." in shown
    assert reverse("admin:incidents_incident_add") in shown


def test_open_deadlines_of_all_clients_stand_by_due_time_the_overdue_first(
    browser: Browser, olga: User, northwind: ServiceAgreement, contoso: ServiceAgreement
) -> None:
    declared(olga, ago=6 * HOUR)
    declared(olga)
    found = rows(browser)
    with_due_time = [row.deadline.due_at for row in found if row.deadline.due_at]
    assert with_due_time == sorted(with_due_time)
    assert found[0].standing == Standing.MISSED
    assert [bool(row.deadline.due_at) for row in found] == [True] * len(with_due_time) + [False] * (
        len(found) - len(with_due_time)
    )
    assert {row.deadline.client.name for row in found} == {"Northwind", "Contoso"}


def test_a_row_says_when_in_both_zones_how_long_what_and_for_whom(
    browser: Browser, olga: User, northwind: ServiceAgreement
) -> None:
    olga.time_zone = "Europe/Berlin"
    olga.save()
    declared(olga)
    shown = text(browser)
    assert "Notify the client" in shown
    assert "within 4 hours of detection" in shown
    assert "Northwind · NW-2025-03" in shown
    assert "2 h 59 min left" in shown
    assert "CET" in shown or "CEST" in shown
    assert "EST" in shown or "EDT" in shown
    assert "Running" in shown
    assert "Critical" in shown


def test_each_row_has_the_button_that_does_it(browser: Browser, olga: User, contoso: ServiceAgreement) -> None:
    incident = declared(olga)
    actions = {row.deadline.obligation: row.action for row in rows(browser)}
    for obligation, slug in (("acknowledge", "acknowledge"), ("notify", "notify"), ("resolve", "resolve")):
        action = actions[obligation]
        assert action is not None
        assert action.url.startswith(reverse(f"admin:incidents_incident_{slug}", args=[incident.pk]))
        assert browser.get(action.url).status_code == 200
    notify = actions["notify"]
    assert notify is not None
    assert browser.get(notify.url).context["form"].preset == [contoso.client.pk]


def test_whoever_may_not_act_sees_the_rows_without_buttons(olga: User, aude: User, northwind: ServiceAgreement) -> None:
    declared(olga)
    browser = Browser()
    browser.force_login(aude)
    found = rows(browser)
    assert found
    assert all(row.action is None for row in found)
    assert not browser.get(BOARD).context["board"]["may_declare"]


def test_filters_stay_in_the_address_and_narrow_the_rows(
    browser: Browser, olga: User, northwind: ServiceAgreement, contoso: ServiceAgreement
) -> None:
    declared(olga, ago=6 * HOUR)
    declared(olga, severity="high")
    assert {row.deadline.client for row in rows(browser, client=contoso.client.pk)} == {contoso.client}
    assert {row.deadline.severity for row in rows(browser, severity="high")} == {"high"}
    assert {row.deadline.obligation for row in rows(browser, obligation="notify")} == {"notify"}
    for standing in Standing.values:
        found = rows(browser, standing=standing)
        assert {str(row.standing) for row in found} <= {standing}
    assert rows(browser, standing="missed")
    assert 'value="missed" selected' in text(browser, standing="missed")
    assert "No open deadline matches these filters." in text(browser, severity="low")


def test_what_is_met_or_no_longer_owed_leaves_the_board(
    browser: Browser, olga: User, northwind: ServiceAgreement
) -> None:
    incident = declared(olga)
    lifecycle.resolve(incident, by=olga, now=timezone.now())
    assert {row.deadline.obligation for row in rows(browser)} == {"notify"}
    lifecycle.record_told(incident, northwind.client, by=olga, now=timezone.now(), evidence="Called Ms Reyes")
    assert rows(browser) == []


def test_tiles_count_what_needs_somebody(browser: Browser, olga: User, northwind: ServiceAgreement) -> None:
    assert set(tiles(browser).values()) == {0}
    incident = declared(olga, ago=dt.timedelta(hours=3, minutes=30))
    declared(olga, ago=5 * HOUR)
    lifecycle.notify_client(incident, by=olga, now=timezone.now())
    notice = Notice.objects.get()
    notice.state = NoticeState.FAILED
    notice.save()
    assert tiles(browser) == {
        "Critical incidents open": 2,
        "Calendars running out": 0,
        "At risk": 1,
        "Missed and still open": 1,
        "Notices that need a person": 1,
        "Corrective actions overdue": 0,
    }
    for tile in browser.get(BOARD).context["tiles"]:
        assert browser.get(tile.url).status_code == 200


def test_the_board_asks_as_many_queries_for_twenty_clients_as_for_two_and_shows_a_limited_number(
    browser: Browser, olga: User
) -> None:
    def clients(numbers: range) -> None:
        for number in numbers:
            calendar = cast.always_open(f"Round the clock {number}")
            client = cast.client(f"Client {number}", "Asia/Tokyo", f"ops@client{number}.example")
            made = cast.agreement(f"AG-{number}", client, calendar, cast.service("Object storage"))
            cast.commit(made, Obligation.NOTIFY, number + 1)

    def count() -> int:
        browser.get(BOARD)
        with CaptureQueriesContext(connection) as captured:
            browser.get(BOARD)
        return len(captured)

    clients(range(2))
    declared(olga)
    with_two = count()
    clients(range(2, 20))
    for _repetition in range(3):
        declared(olga)
    assert Deadline.objects.open().count() > SHOWN
    assert count() == with_two
    assert len(rows(browser)) == SHOWN
    assert "Show all deadlines" in text(browser)


def test_the_list_of_everything_is_still_there(browser: Browser) -> None:
    shown = text(browser)
    assert "Everything else" in shown
    assert reverse("admin:agreements_client_changelist") in shown
