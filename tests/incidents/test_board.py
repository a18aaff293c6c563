"""The board: what is due next, of all clients."""

from __future__ import annotations

import datetime as dt
import html
from typing import Any

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from agreements.models import Obligation, Service, ServiceAgreement
from config import counts, zones
from config.models import User
from incidents import lifecycle
from incidents.admin.board import SHOWN, missed_today
from incidents.admin.deadline import DeadlineRow
from incidents.models import Deadline, Incident, Notice, Responder, Standing, TimelineEntry
from incidents.models.notice import NoticeState
from tests import cast
from tests.cast import at, browser_of

BOARD = "/admin/"
HOUR = dt.timedelta(hours=1)


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
    assert "No deadline is open." in shown
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
    cast.save(olga)
    declared(olga)
    shown = text(browser)
    assert "Notify the client" in shown
    assert "within 4 hours of detection" in shown
    assert 'Northwind · <span class="reference">NW-2025-03</span>' in shown
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
    browser = browser_of(aude)
    found = rows(browser)
    assert found
    assert all(row.action is None for row in found)
    assert not browser.get(BOARD).context["board"]["may_declare"]


def test_filters_stay_in_the_address_and_narrow_the_rows(
    browser: Browser, olga: User, northwind: ServiceAgreement, contoso: ServiceAgreement
) -> None:
    declared(olga, ago=6 * HOUR)
    declared(olga, severity="high")
    assert {row.deadline.client for row in rows(browser, client="conto")} == {contoso.client}
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
    cast.save(notice)
    counted = tiles(browser)
    assert counted.pop("Missed today") in (0, 1), "the day of the one that is missed may be over"
    assert counted == {
        "Critical incidents open": 2,
        "At risk": 1,
        "Notices that need a person": 1,
        "Corrective actions overdue": 0,
    }
    for tile in browser.get(BOARD).context["tiles"]:
        assert browser.get(tile.url).status_code == 200
    assert "Healthy" not in text(browser), "the parts of the delivery were never at work here"


def test_missed_today_is_what_fell_due_in_the_readers_day_and_was_late_done_since_or_not(
    olga: User, northwind: ServiceAgreement, rf: RequestFactory
) -> None:
    def missed(zone: str, now: dt.datetime) -> int:
        with timezone.override(zones.zone(zone)):
            tile = missed_today(rf.get(BOARD), now)
            assert tile is not None
            return tile.rows.count()

    open_still, late, in_time = (
        lifecycle.declare(
            by=olga,
            now=at(clock, day),
            title="Storage is down",
            severity="critical",
            services=list(Service.objects.all()),
            detected_at=at(clock, day),
        )
        for clock, day in (("18:30", 24), ("19:00", 24), ("20:00", 24))  # due 22:30, 23:00 and midnight
    )
    for incident, clock, day in ((late, "23:30", 24), (in_time, "23:59", 24)):
        lifecycle.record_told(incident, northwind.client, by=olga, now=at(clock, day), evidence="Called Ms Reyes")
    assert open_still.deadlines.filter(obligation="notify", met_at=None).exists()
    assert missed("UTC", at("22:45")) == 1
    assert missed("UTC", at("23:45")) == 2
    assert missed("UTC", at("0:10", 25)) == 0, "another day"
    assert missed("America/New_York", at("0:10", 25)) == 2, "still the same day there"


def test_a_count_stops_at_its_cap(olga: User, northwind: ServiceAgreement) -> None:
    incident = declared(olga)
    entries = [
        TimelineEntry(incident=incident, text="Looked again", happened_at=timezone.now(), typed_at=timezone.now())
        for _number in range(counts.CAP + 50)
    ]
    cast.add_past_the_trail(TimelineEntry.objects, entries)
    found = counts.how_many([TimelineEntry.objects.all(), Incident.objects.all(), Incident.objects.none()])
    assert [counts.in_words(number) for number in found] == ["999+", "1", "0"]


def test_the_largest_is_what_falls_due_next_and_can_still_be_kept(
    browser: Browser, olga: User, northwind: ServiceAgreement, contoso: ServiceAgreement
) -> None:
    def upcoming() -> DeadlineRow:
        row = browser.get(BOARD).context["board"]["next"]
        assert isinstance(row, DeadlineRow)
        return row

    declared(olga, ago=6 * HOUR)
    assert rows(browser)[0].standing == Standing.MISSED
    soonest = min(row.deadline.due_at for row in rows(browser) if row.deadline.due_at and row.standing != "missed")
    assert upcoming().deadline.due_at == soonest
    assert upcoming().action is not None
    assert upcoming().standing in (Standing.RUNNING, Standing.AT_RISK)
    shown = browser.get(BOARD, {"standing": "missed"}).context["board"]
    assert shown["next"].deadline == shown["rows"][0].deadline, "of missed ones alone, the longest overdue"


def test_what_falls_due_next_is_the_largest_even_below_more_overdue_ones_than_the_board_shows(
    browser: Browser, olga: User
) -> None:
    made = cast.agreement("AG-1", cast.client("Acme", "UTC"), cast.always_open(), cast.service("Object storage"))
    for hours in range(1, SHOWN + 3):
        cast.commit(made, Obligation.NOTIFY, hours, label=f"number {hours}")
    cast.commit(made, Obligation.RESOLVE, 110)
    declared(olga, ago=100 * HOUR)
    board = browser.get(BOARD).context["board"]
    assert {row.standing for row in board["rows"]} == {Standing.MISSED}
    assert board["next"].deadline.obligation == "resolve"


def test_mine_is_what_i_respond_to_and_what_i_answer_for(
    browser: Browser, olga: User, max_: User, northwind: ServiceAgreement, contoso: ServiceAgreement
) -> None:
    assert rows(browser, mine="on") == []
    declared(max_)
    contoso.owner = olga
    cast.save(contoso)
    assert {row.deadline.agreement for row in rows(browser, mine="on")} == {contoso}
    responded = declared(max_)
    Responder.objects.create(incident=responded, user=olga)
    assert {row.deadline.client.name for row in rows(browser, mine="on", client="northwind")} == {"Northwind"}
    assert {row.deadline.incident for row in rows(browser, mine="on", client="northwind")} == {responded}


@pytest.mark.parametrize("params", [{"severity": "nonsense"}, {"client": "%"}, {"page": "2"}, {"standing": "' OR 1"}])
def test_an_address_that_makes_no_sense_shows_a_board(browser: Browser, params: dict[str, str]) -> None:
    assert browser.get(BOARD, params).status_code == 200


def test_the_fragment_has_what_changes_and_not_what_somebody_types_into(
    browser: Browser, olga: User, northwind: ServiceAgreement
) -> None:
    declared(olga)
    response = browser.get(BOARD, {"severity": "critical"}, headers={"X-Fragment": "board"})
    assert response.headers["X-Fragment"] == "board"
    assert "X-Fragment" in response.headers["Vary"]
    shown = response.content.decode()
    for part in ('id="delivery"', 'id="board-now"', 'id="board-rows"', "data-server-now", "INC-"):
        assert part in shown
    for part in ("<html", "<form", "<input"):
        assert part not in shown
    assert "X-Fragment" not in browser.get(BOARD).headers
    browser.logout()
    assert "X-Fragment" not in browser.get(BOARD, headers={"X-Fragment": "board"}, follow=True).headers


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
