"""The audit trail over all tables: what was done, act by act, newest first, and found by whatever filter."""

from __future__ import annotations

import contextlib
import datetime as dt
import getpass
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import Group, Permission
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from pytest_django import Settings

from agreements.models import Client, Contact, Service, ServiceAgreement
from config.admin.trail import Entry
from config.audit import acts, events, sources, trail
from config.audit.paging import Position
from config.audit.trail import Question
from config.history import acting
from config.models import User
from config.models.event import EventKind
from incidents import lifecycle
from incidents.models import Incident
from tests import cast

pytestmark = pytest.mark.django_db
TRAIL = "/admin/trail/"


@pytest.fixture
def incident(olga: User, northwind: ServiceAgreement) -> Incident:
    """Declared and reclassified by Olga."""
    declared = lifecycle.declare(
        by=olga,
        now=cast.NOON,
        title="Storage down",
        severity="critical",
        services=[cast.service("Object storage")],
        detected_at=cast.NOON,
    )
    return lifecycle.reclassify(declared, by=olga, now=cast.NOON, severity="high", reason="One customer only")


@pytest.fixture
def auditor(client: Browser, aude: User) -> Browser:
    client.force_login(aude)
    return client


def entries(browser: Browser, **asked: str) -> list[Entry]:
    response = browser.get(TRAIL, asked)
    assert response.status_code == 200
    found: list[Entry] = response.context["entries"]
    return found


def headings(browser: Browser, **asked: str) -> list[str]:
    return [entry.heading for entry in entries(browser, **asked)]


def services(count: int, *, act: uuid.UUID | None = None, name: str = "Service") -> list[Service]:
    with acting(request_id=act):
        return [Service.objects.create(name=f"{name} {number}") for number in range(count)]


def made_at(row: Any, at: dt.datetime) -> None:
    """Saved with a row of the trail of that instant."""
    row._history_date = at
    row.save()


def everything(question: Question | None = None) -> list[uuid.UUID]:
    """The acts of all pages, as they come."""
    asked = question or Question(sources.tables())
    found: list[uuid.UUID] = []
    before: Position | None = None
    for _ in range(100):
        page = trail.page(asked, before)
        found += [act.request_id for act in page.acts]
        if page.next is None:
            return found
        before = Position.parse(str(page.next))
    raise AssertionError("the trail has no end")


def may_only(user: User, *codenames: str) -> None:
    role = Group.objects.create(name="of this test")
    role.permissions.set(Permission.objects.filter(codename__in=codenames))
    with acting(reason="As the test needs it."):
        user.groups.set([role])


# ── an act ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_one_click_is_one_entry_with_who_when_what_and_why(auditor: Browser, incident: Incident) -> None:
    entry = entries(auditor)[0]
    assert entry.who.text == "Olga Petrova (olga)"
    assert entry.heading == "Reclassified from Critical to High."
    assert entry.others == ["Changed: severity.", "2 deadlines changed: ended at, why it ended."]
    assert [link.text for link in entry.about] == [str(incident)]
    assert entry.act.reason == "One customer only"
    page = auditor.get(TRAIL).content.decode()
    assert "UTC</time>" in page
    assert "One customer only" in page


def test_an_act_is_told_whole_though_only_some_of_its_rows_are_asked_for(auditor: Browser, incident: Incident) -> None:
    (entry,) = entries(auditor, model="incidents.deadline", action="~")
    assert entry.heading == "Reclassified from Critical to High."
    assert "Changed: severity." in entry.others


def test_an_act_has_a_page_of_its_own(auditor: Browser, incident: Incident) -> None:
    page = auditor.get(entries(auditor)[0].url).content.decode()
    assert "Reclassified from Critical to High." in page
    assert "Critical <span aria-hidden" in page  # before and after, in the words of the form
    assert "One customer only" in page
    assert auditor.get(reverse("admin:trail_act", args=[uuid.uuid4()])).status_code == 404


def test_an_act_leads_to_the_histories_of_what_it_touched_and_these_to_the_trail_of_each(
    auditor: Browser, incident: Incident, aude: User
) -> None:
    history = reverse("admin:incidents_incident_history", args=[incident.pk])
    assert f'href="{history}"' in auditor.get(entries(auditor)[0].url).content.decode()
    found = auditor.get(history).context["read_on"][-1].url
    assert {entry.act.request_id for entry in auditor.get(found).context["entries"]} == {
        row.request_id for row in Incident.history.all()
    }
    may_only(aude, "view_incident")
    assert not any("/trail/" in link.url for link in auditor.get(history).context["read_on"])


def test_the_history_of_an_incident_leads_to_what_is_its_own_record(
    auditor: Browser, incident: Incident, olga: User
) -> None:
    lifecycle.post_update(incident, by=olga, now=cast.NOON, message="We look into it.")
    links = auditor.get(reverse("admin:incidents_incident_history", args=[incident.pk])).context["read_on"]
    timeline, notices = (auditor.get(link.url) for link in links[:2])
    assert timeline.status_code == 200
    assert {notice.incident_id for notice in notices.context["cl"].result_list} == {incident.pk}


def test_the_history_of_what_is_gone_leads_to_no_page_of_it(auditor: Browser) -> None:
    (gone,) = services(1)
    cast.lose(Service.objects.filter(pk=gone.pk))
    page = auditor.get(reverse("admin:agreements_service_history", args=[gone.pk])).content.decode()
    assert "/change/" not in page.split('class="breadcrumbs"')[1].split("</div>")[0]


def test_what_is_no_longer_there_is_named_by_its_number(auditor: Browser) -> None:
    events.record(EventKind.LINK_OPENED, about=Service(pk=999, name="Gone"))
    assert entries(auditor, action="link_opened")[0].about[0].text == "service no. 999"


def test_a_sweep_says_how_much_it_did(auditor: Browser) -> None:
    services(12, act=uuid.uuid4())
    entry = entries(auditor, model="agreements.service")[0]
    assert entry.heading == "12 services added."
    assert entry.more == 11


def test_an_event_is_an_act_too(auditor: Browser, olga: User) -> None:
    with acting(olga):
        events.record(EventKind.SIGNED_IN, how="password")
    entry = entries(auditor, action="signed_in")[0]
    assert (entry.heading, entry.who.text) == ("Signed in (password).", "Olga Petrova (olga)")


# ── pages ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_act_is_on_one_page_and_the_newest_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trail, "ACTS", 3)
    monkeypatch.setattr(trail, "ROWS", 4)
    made = [uuid.uuid4() for _ in range(10)]
    for number, act in enumerate(made):
        services(1 + number % 3, act=act, name=f"Service {number}")
    assert everything() == made[::-1]


def test_acts_that_were_at_work_side_by_side_are_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trail, "ACTS", 2)
    monkeypatch.setattr(trail, "ROWS", 3)
    made = [uuid.uuid4() for _ in range(5)]
    for turn in range(6):
        for number, act in enumerate(made):
            services(1, act=act, name=f"Service {turn} {number}")
    assert everything() == made[::-1]


def test_a_sweep_of_many_rows_hides_nothing_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trail, "ROWS", 5)
    monkeypatch.setattr(trail, "READS", 2)
    first, sweep, last = (uuid.uuid4() for _ in range(3))
    services(1, act=first, name="First")
    services(40, act=sweep, name="Swept")
    services(1, act=last, name="Last")
    assert everything() == [last, sweep, first]


def test_rows_of_one_instant_are_all_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trail, "ACTS", 2)
    made = [uuid.uuid4() for _ in range(7)]
    for number, act in enumerate(made):
        with acting(request_id=act):
            made_at(Service(name=f"Service {number}"), cast.NOON)
            made_at(Client(name=f"Client {number}", time_zone="UTC"), cast.NOON)
    assert sorted(everything()) == sorted(made)


@pytest.mark.parametrize("text", ["", "x", "2026-11-24~a~1", "2026-11-24T12:00:00+00:00~a~x", "9~9~9", "~~", "\x00"])
def test_a_page_that_was_never_linked_is_the_first(auditor: Browser, incident: Incident, text: str) -> None:
    assert headings(auditor, before=text) == headings(auditor)


# ── filters ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("asked", "first"),
    [
        ({"model": "incidents.deadline"}, "Reclassified from Critical to High."),
        ({"object": "INC-2026-0001"}, "Reclassified from Critical to High."),
        ({"object": "inc-2026-0001"}, "Reclassified from Critical to High."),
        ({"object": "NW-2025-03"}, "1 commitment added."),
        ({"object": "northwind"}, "1 contact added."),
        ({"actor": "olga"}, "Reclassified from Critical to High."),
        ({"actor": "Petrova"}, "Reclassified from Critical to High."),
        ({"actor": getpass.getuser()}, "1 commitment added."),
        ({"caller": "command"}, "Reclassified from Critical to High."),
        ({"action": "+"}, "Reclassified from Critical to High."),
        ({"field": "severity"}, "Reclassified from Critical to High."),
        ({"field": "Ended at"}, "Reclassified from Critical to High."),
        ({"reason": "customer one"}, "Reclassified from Critical to High."),
        ({"client": "Northwind"}, "Reclassified from Critical to High."),
        ({"from_day": "2000-01-01"}, "Reclassified from Critical to High."),
    ],
)
def test_each_filter_finds(auditor: Browser, incident: Incident, asked: dict[str, str], first: str) -> None:
    assert headings(auditor, **asked)[0] == first


@pytest.mark.parametrize(
    "asked",
    [
        {"object": "INC-2026-0009"},
        {"object": "nothing.known:7"},
        {"actor": "max"},
        {"actor": "nobody of that name"},
        {"caller": "link"},
        {"action": "locked_out"},
        {"field": "no such field"},
        {"field": "reference"},
        {"reason": "customer nobody"},
        {"client": "Contoso"},
        {"to_day": "2000-01-01"},
    ],
)
def test_each_filter_leaves_out(
    auditor: Browser, incident: Incident, max_: User, contoso: ServiceAgreement, asked: dict[str, str]
) -> None:
    told = {entry.heading for entry in entries(auditor, **asked)}
    assert "Reclassified from Critical to High." not in told


def test_filters_are_added_up(auditor: Browser, incident: Incident) -> None:
    assert len(entries(auditor, actor="olga", action="~", field="severity", object=incident.reference)) == 1
    assert not entries(auditor, actor="olga", field="severity", model="agreements.client")


def test_a_part_of_a_part_is_found_by_its_whole_though_both_are_removed(
    auditor: Browser, northwind: ServiceAgreement
) -> None:
    commitment = northwind.commitments.earliest("pk")
    cast.warn(commitment, 50)
    for warning in commitment.warning_points.all():
        cast.remove(warning)
    cast.remove(commitment)
    told = headings(auditor, object=northwind.reference, action="-")
    assert "1 warning point removed." in told
    assert "1 commitment removed." in told


def test_a_contact_is_found_by_its_client_and_by_no_other(auditor: Browser, northwind: ServiceAgreement) -> None:
    other = cast.client("Fabrikam", "UTC")
    Contact.objects.create(client=other, name="Somebody", address="somebody@fabrikam.example", position=1)
    assert headings(auditor, client="Fabrikam", model="agreements.contact") == ["1 contact added."]


def test_days_are_those_of_the_readers_zone(auditor: Browser, aude: User) -> None:
    aude.time_zone = "Pacific/Auckland"  # thirteen hours before UTC
    aude.save()
    made_at(Service(name="Late"), cast.at("23:00"))
    assert headings(auditor, from_day="2026-11-25", to_day="2026-11-25") == ["Added."]
    assert not headings(auditor, from_day="2026-11-24", to_day="2026-11-24")


def test_an_unreadable_filter_is_said_and_the_others_hold(auditor: Browser, incident: Incident) -> None:
    response = auditor.get(TRAIL, {"model": "no.such", "from_day": "soon", "field": "severity"})
    assert response.context["form"].errors.keys() == {"model", "from_day"}
    assert len(response.context["entries"]) == 1


def test_a_page_looks_through_so_many_rows_and_says_how_far(auditor: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    with acting(reason="The one to be found"):
        service = Service.objects.create(name="First")
        service.name = "Renamed"
        service.save()
    services(30, name="Later")
    monkeypatch.setattr(trail, "LOOKED_THROUGH", 10)
    url, pages = f"{TRAIL}?reason=to+be+found", 0
    while not (response := auditor.get(url)).context["entries"]:
        assert "Nothing that fits was done since" in response.content.decode()
        url, pages = f"{TRAIL}{response.context['older_url']}", pages + 1
    assert pages == 2


def test_what_an_index_serves_is_looked_for_to_the_beginning(auditor: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    with acting(reason="The one to be found"):
        Service.objects.create(name="First")
    services(20, name="Later")
    monkeypatch.setattr(trail, "LOOKED_THROUGH", 10)
    assert headings(auditor, object="First") == ["Added."]
    assert headings(auditor, object="First", reason="found") == ["Added."]


# ── who reads it ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_whoever_may_not_read_events_reads_no_trail(client: Browser, olga: User, incident: Incident) -> None:
    client.force_login(olga)
    assert client.get(TRAIL).status_code == 403
    request_id = Incident.history.first().request_id
    assert client.get(reverse("admin:trail_act", args=[request_id])).status_code == 403
    assert "Audit trail" not in client.get("/admin/").content.decode()


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_the_trail_is_only_read(auditor: Browser, incident: Incident, method: str) -> None:
    for url in (TRAIL, entries(auditor)[0].url):
        assert getattr(auditor, method)(url).status_code == 405


def test_only_models_that_the_reader_may_view_are_told(client: Browser, aude: User, incident: Incident) -> None:
    may_only(aude, "view_event", "view_client")
    client.force_login(aude)
    told = {link.text for entry in entries(client) for link in entry.about}
    assert told == {"Northwind", "Aude Martin (aude)"}  # that she signed in is an event
    assert client.get(reverse("admin:trail_act", args=[Incident.history.first().request_id])).status_code == 404


def test_a_page_without_entries_says_why(client: Browser, aude: User) -> None:
    may_only(aude, "view_event")
    client.force_login(aude)
    page = client.get(TRAIL, {"caller": "link"}).content.decode()
    assert "Nothing in the trail fits what you filter by." in page


# ── what it costs ───────────────────────────────────────────────────────────────────────────────────────────────────


def queries(browser: Browser, **asked: str) -> Sequence[Any]:
    with CaptureQueriesContext(
        connection,
    ) as found:
        entries(browser, **asked)
    return found.captured_queries


def test_a_page_asks_as_often_beside_many_rows_as_beside_few(auditor: Browser, incident: Incident) -> None:
    services(3)
    few = queries(auditor)
    for number in range(40):
        services(6, name=f"More {number}")
    lifecycle.reclassify(incident, by=User.objects.get(username="olga"), now=cast.NOON, severity="low", reason="No")
    most = 22  # on PostgreSQL two of them are the turn
    assert len(few) <= most
    assert len(queries(auditor)) <= most
    assert len(queries(auditor, caller="command", reason="a", before=str(Position(cast.NOON)))) <= most


def test_an_act_is_named_by_what_its_reader_may_view(incident: Incident) -> None:
    request_id = Incident.history.latest("history_id").request_id
    only = tuple(table for table in sources.tables() if table.label == "incidents.deadline")
    (act,) = acts.told([request_id], only)
    assert acts.sentences(act) == ["2 deadlines changed: ended at, why it ended."]


# ── how long it takes ───────────────────────────────────────────────────────────────────────────────────────────────

only_postgresql = pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite has no time limit.")


@contextlib.contextmanager
def held(table: str) -> Iterator[None]:
    """Nobody gets to read the table meanwhile, as if that took long."""
    with psycopg.connect(**connection.get_connection_params()) as other:
        other.execute(f"LOCK TABLE {table}")
        yield
        other.rollback()


def asked_of_the_server(name: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"SHOW {name}")
        return str(cursor.fetchone()[0])


@only_postgresql
def test_what_takes_too_long_to_find_is_given_up_and_the_page_says_what_to_do(
    auditor: Browser, incident: Incident, settings: Settings
) -> None:
    settings.TRAIL_PATIENCE = 0.3
    with held("agreements_historicalspecialday"):  # which nothing here has touched
        page = auditor.get(TRAIL, {"reason": "One customer", "client": "Northwind"}).content.decode()
    assert "That takes too long to find. Narrow the period, or ask for less." in page
    assert 'value="One customer"' in page
    assert 'value="Northwind"' in page
    assert "Reclassified" not in page
    assert asked_of_the_server("statement_timeout") == "0"
    assert headings(auditor, reason="One customer") == ["Reclassified from Critical to High."]


@only_postgresql
def test_many_short_waits_are_as_long_as_one(settings: Settings) -> None:
    settings.TRAIL_PATIENCE = 0.4

    def doze(_table: sources.Table, rows: sources.Rows) -> sources.Rows:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(0.1)")
        return rows

    with pytest.raises(trail.TooSlow):
        trail.page(Question(sources.tables(), narrow=doze))


@only_postgresql
def test_reading_the_trail_leaves_a_transaction_as_it_was(incident: Incident) -> None:
    names = ("statement_timeout", "jit", "random_page_cost")
    before = [asked_of_the_server(name) for name in names]
    assert trail.page(Question(sources.tables())).acts
    assert [asked_of_the_server(name) for name in names] == before
