"""The trail as a file: what its page finds under the same filters, over all pages, recorded and to be checked alone."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import tracemalloc
import uuid
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import Group, Permission
from django.db import connection, transaction
from django.db.models import Func, TextField, Value
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from agreements.models import Client, Service, ServiceAgreement
from config import exports
from config.audit import events, files, keeping, seals, sources, trail
from config.audit.file_check import MANIFEST, README, SUMS, check
from config.history import Caller, acting
from config.models import Concern, Event, EventKind, Export, User
from config.models.concern import ConcernKind
from incidents import acknowledgement_link, lifecycle
from incidents.models import Incident
from tests import cast
from tests.cast import at, browser_of
from tests.config.test_files import cells, edited, files_of, lines, resummed

pytestmark = pytest.mark.django_db

PAGE, EXPORT = reverse("admin:trail"), reverse("admin:trail_export")
WHY = "One customer only, not all"


@pytest.fixture
def incident(olga: User, northwind: ServiceAgreement, contoso: ServiceAgreement) -> Incident:
    """Declared, told and reclassified by Olga."""
    given: dict[str, Any] = {"title": "Storage down", "severity": "critical", "detected_at": at("09:40")}
    made = lifecycle.declare(by=olga, now=at("10:00"), services=[cast.service("Object storage")], **given)
    lifecycle.notify_client(made, by=olga, now=at("10:10"), message="Uploads fail.")
    with acting(olga):
        events.record(EventKind.SIGNED_IN)
    return lifecycle.reclassify(made, by=olga, now=at("10:20"), severity="high", reason=WHY)


def asked_by(user: User, **asked: str) -> Any:
    query = "&".join(f"{name}={value.replace('+', '%2B')}" for name, value in asked.items())
    return browser_of(user).post(f"{EXPORT}?{query}")


def exported(user: User, **asked: str) -> bytes:
    response = asked_by(user, **asked)
    assert response.status_code == 200
    return b"".join(response.streaming_content)


def rows(user: User, **asked: str) -> list[dict[str, Any]]:
    return lines(files_of(exported(user, **asked)), "trail")


def on_all_pages(user: User, **asked: str) -> list[str]:
    """The acts that the page tells, one page after the other."""
    browser, found = browser_of(user), []
    response = browser.get(PAGE, asked)
    while True:
        found += [str(entry.act.request_id) for entry in response.context["entries"]]
        if not response.context["older_url"]:
            return found
        response = browser.get(PAGE + response.context["older_url"])


# ── what is in it ───────────────────────────────────────────────────────────────────────────────────────────────────

FILTERS: dict[str, tuple[dict[str, str], Callable[[dict[str, Any]], bool]]] = {
    "nothing": ({}, lambda row: True),
    "from": ({"from_day": f"{timezone.now():%Y-%m-%d}"}, lambda row: True),
    "to": ({"to_day": f"{timezone.now():%Y-%m-%d}"}, lambda row: True),
    "object": ({"object": "INC-2026-0001"}, lambda row: row["model"].startswith(("incidents.", "config.event"))),
    "actor": ({"actor": "olga"}, lambda row: row["actor"] == "Olga Petrova (olga)"),
    "client": ({"client": "Northwind"}, lambda row: row["model"] not in ("agreements.service", "config.user")),
    "model": ({"model": "incidents.deadline"}, lambda row: row["model"] == "incidents.deadline"),
    "action": ({"action": "~"}, lambda row: row["action"] == "changed"),
    "event": ({"action": "signed_in"}, lambda row: row["action"] == "signed_in"),
    "field": ({"field": "severity"}, lambda row: "severity" in row["changed"]),
    "reason": ({"reason": "customer one"}, lambda row: row["reason"] == WHY),
    "caller": ({"caller": "command"}, lambda row: row["caller"] == "command"),
    "many": (
        {"actor": "olga", "action": "~", "model": "incidents.deadline", "reason": "only"},
        lambda row: (row["model"], row["action"], row["reason"]) == ("incidents.deadline", "changed", WHY),
    ),
}


@pytest.mark.parametrize("name", FILTERS)
def test_it_has_the_acts_that_all_pages_have_by_the_rows_that_fit(
    name: str, incident: Incident, aude: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trail, "ACTS", 8)
    monkeypatch.setattr(trail, "LOOKED_THROUGH", 30)
    asked, fits = FILTERS[name]
    found = rows(aude, **asked)
    shown = on_all_pages(aude, **asked)
    own = {str(act) for act in Export.history.values_list("request_id", flat=True)} | signed_in_after(found)
    assert found
    assert {row["request_id"] for row in found} == {*shown} - own
    assert [row for row in found if not fits(row)] == []
    assert [row["at"] for row in found] == sorted((row["at"] for row in found), reverse=True)


def signed_in_after(found: list[dict[str, Any]]) -> set[str]:
    """What the browsers of a test leave in the trail beside the file."""
    newest = max((row["row"] for row in found if row["model"] == "config.event"), default=0)
    acts = Event.objects.filter(pk__gt=newest, kind=EventKind.SIGNED_IN, actor__username="aude")
    return {str(act) for act in acts.values_list("request_id", flat=True)}


def test_every_row_of_every_table_is_there_once(incident: Incident, aude: User) -> None:
    browser = browser_of(aude)
    there = {(table.label, row.pk) for table in sources.tables() for row in table.rows()}
    found = lines(files_of(b"".join(browser.post(EXPORT))), "trail")
    assert Counter((row["model"], row["row"]) for row in found) == Counter(there)


def test_labels_are_for_people_and_values_for_programs(incident: Incident, aude: User) -> None:
    found = files_of(exported(aude, field="severity", model="incidents.incident"))
    (row,) = lines(found, "trail")
    assert {"field": "severity", "old": "Critical", "new": "High"} in row["changes"]
    assert (row["values"]["severity"], row["caller"], row["id"]) == ("high", "command", incident.pk)
    assert row["at"] == Incident.history.latest("history_id").history_date.astimezone(dt.UTC).isoformat(
        timespec="microseconds"
    )
    head, cell = cells(found, "trail")
    told = dict(zip(head, cell, strict=True))
    assert told["At"].endswith("+00:00")
    assert (told["Kind of record"], told["Action"], told["Why"]) == ("Incident", "Changed", WHY)
    assert told["By way of"] == str(Caller.COMMAND.label)
    assert "Severity: Critical → High" in told["What"]


def test_its_days_are_those_of_the_readers_zone_and_say_so(aude: User) -> None:
    aude.time_zone = "Pacific/Auckland"  # thirteen hours before UTC
    aude.save()
    service = Service(name="Late")
    service._history_date = at("23:00")  # type: ignore[attr-defined]
    service.save()
    assert [row["name"] for row in rows(aude, from_day="2026-11-25", to_day="2026-11-25")] == ["Late"]
    assert not rows(aude, from_day="2026-11-24", to_day="2026-11-24")
    record = Export.objects.earliest("pk")
    assert record.in_words == "From: 2026-11-25 (Pacific/Auckland); To: 2026-11-25 (Pacific/Auckland)"


def test_what_cannot_be_understood_narrows_neither_the_page_nor_the_file_and_is_not_claimed(
    incident: Incident, aude: User
) -> None:
    found = files_of(exported(aude, model="no.such", from_day="soon", field="severity", before="x", page="2"))
    assert all("severity" in row["changed"] for row in lines(found, "trail"))
    assert len(lines(found, "trail")) == 1
    assert json.loads(found[MANIFEST])["filters"] == {"field": "severity"}
    assert Export.objects.get().query == "field=severity"


def test_hostile_words_come_back_as_they_were_and_start_no_formula(aude: User) -> None:
    text = '=cmd|"/c calc"!A1\r\n\u202e\u2028 😀 \x1b[31m,;"\t' + "long " * 50_000
    text += "\x00" if connection.vendor == "sqlite" else ""  # the other keeps none
    with acting(aude, reason=f"@{text}"):
        Service.objects.create(name="\t=1+1", description=text)
    found = files_of(exported(aude, model="agreements.service"))
    (row,) = lines(found, "trail")
    assert (row["name"], row["reason"], row["values"]["description"]) == ("\t=1+1", f"@{text}", text)
    assert found["trail.jsonl"].isascii()
    assert not {cell[:1] for line in cells(found, "trail") for cell in line} & {*exports.FORMULA_STARTS}
    assert f"'@{text}" in cells(found, "trail")[1]


def test_it_holds_no_link_of_a_client(incident: Incident, aude: User) -> None:
    assert any(acknowledgement_link.is_in(notice.text) for notice in incident.notices.all())
    assert not any(acknowledgement_link.is_in(file.decode()) for file in files_of(exported(aude)).values())


def test_nothing_that_fits_is_a_file_too(aude: User) -> None:
    found = files_of(exported(aude, reason="nobody ever wrote this"))
    assert lines(found, "trail") == []
    assert Export.objects.get().rows == 0


# ── more than a file may have ───────────────────────────────────────────────────────────────────────────────────────


def test_of_more_than_the_cap_the_newest_are_there_and_the_manifest_and_the_page_say_so(
    incident: Incident, aude: User, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    everything = rows(aude, to_day=f"{timezone.now():%Y-%m-%d}", action="+", model="incidents.deadline")
    assert len(everything) > 2
    for most, is_cut in ((len(everything) - 1, True), (len(everything), False)):
        monkeypatch.setattr(files, "CAP", most)
        browser = browser_of(aude)
        response = browser.post(f"{EXPORT}?action=%2B&model=incidents.deadline")
        (tmp_path / "x.zip").write_bytes(b"".join(response))
        found = files_of((tmp_path / "x.zip").read_bytes())
        assert lines(found, "trail") == everything[:most]
        report = check(tmp_path / "x.zip")
        assert report.findings == []
        said = f"These are the newest {most} rows, the most that a file may have; more fit."
        assert (json.loads(found[MANIFEST])["cut"] == said) is is_cut
        assert (said in found[README].decode()) is (said in report.said) is is_cut
        page = browser.get(PAGE).content.decode()
        assert (f"The file has the newest {most} rows, and more fit." in page) is is_cut
        assert f"of more than {most} the newest" in page


def test_what_is_too_large_is_refused_with_a_sentence_and_not_recorded(
    incident: Incident, aude: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "LARGEST", 5000)
    response = browser_of(aude).post(f"{EXPORT}?action=%2B&before=x", follow=True)
    assert response.redirect_chain == [(f"{PAGE}?action=%2B", 302)]
    assert "too large for a file" in response.content.decode()
    assert not Export.objects.exists()


# ── who may take it ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("method", ["get", "head", "options", "put", "patch", "delete", "post"])
def test_only_who_reads_the_trail_takes_it_and_only_by_its_button(
    method: str, olga: User, aude: User, max_: User, ada: User
) -> None:
    for user, may in ((olga, False), (aude, True), (max_, True), (ada, True)):
        response = getattr(browser_of(user), method)(EXPORT)
        assert response.status_code == (405 if method != "post" else 200 if may else 403)
        assert Export.objects.filter(by=user).exists() is (response.status_code == 200)
        b"".join(response)
    assert getattr(Browser(), method)(EXPORT).status_code == 302
    forged = Browser(enforce_csrf_checks=True)
    forged.force_login(aude)
    assert forged.post(EXPORT).status_code == 403


def test_the_button_keeps_the_filters(incident: Incident, aude: User) -> None:
    page = browser_of(aude).get(PAGE, {"field": "severity", "reason": "a & b", "before": "x"}).content.decode()
    assert f'<form method="post" action="{EXPORT}?field=severity&amp;reason=a+%26+b"' in page


def test_what_its_reader_may_not_view_is_left_out_and_the_manifest_says_so(incident: Incident, db: None) -> None:
    eve = User.objects.create_user("eve", password=cast.PASSWORD, is_staff=True)
    role = Group.objects.create(name="Some")
    role.permissions.set(Permission.objects.filter(codename__in=("view_event", "view_incident", "view_deadline")))
    eve.groups.add(role)
    found = files_of(exported(eve))
    left_out = set(json.loads(found[MANIFEST])["left_out"])
    told = {row["model"] for row in lines(found, "trail")}
    assert {"incidents.incident", "incidents.deadline"} <= told
    assert {"incidents.notice", "agreements.client", "config.user"} <= left_out
    assert not told & left_out
    assert set(on_all_pages(eve)) >= {row["request_id"] for row in lines(found, "trail")}


# ── the record of it ────────────────────────────────────────────────────────────────────────────────────────────────


def test_it_is_recorded_before_its_first_byte_also_if_nobody_takes_it_to_its_end(
    incident: Incident, aude: User
) -> None:
    response = asked_by(aude, model="incidents.incident", action="+", client="Northwind")
    record = Export.objects.get()
    sent = iter(response.streaming_content)
    next(sent)  # and it breaks off
    assert (record.by, record.rows, str(record)) == (aude, 1, "Audit trail, 1 rows")
    assert record.query == "client=Northwind&model=incidents.incident&action=%2B"
    assert record.in_words == "Client: Northwind; Kind of record: Incident; Action: Added"
    b"".join(sent)
    page = browser_of(aude).get(reverse("admin:config_export_change", args=[record.pk])).content.decode()
    assert "Client: Northwind; Kind of record: Incident; Action: Added" in page


def test_the_manifest_says_of_what_by_whom_when_and_at_which_seal(incident: Incident, aude: User) -> None:
    seals.seal()
    found = files_of(exported(aude, action="+", model="incidents.incident"))
    manifest = json.loads(found[MANIFEST])
    assert (manifest["what"], manifest["by"]) == ("audit trail", aude.audit_name)
    assert manifest["name"] == "Kind of record: Incident; Action: Added"
    assert manifest["filters"] == {"model": "incidents.incident", "action": "+"}
    assert manifest["newest_seal"]["number"] == 1
    assert "as they were at one instant" in manifest["read"]
    assert (
        {*found} == {"trail.csv", "trail.jsonl", MANIFEST, README, SUMS} == {*manifest["files"], MANIFEST, README, SUMS}
    )


def test_the_review_queue_lists_it_unless_an_auditor_took_it(max_: User, aude: User) -> None:
    exported(max_)
    exported(aude)
    keeping.keep()
    concern = Concern.objects.get(kind=ConcernKind.EXPORTED)
    assert concern.actor == max_
    assert "Audit trail" in concern.name


# ── checking it ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def packed(incident: Incident, aude: User, tmp_path: Path) -> Path:
    path = tmp_path / "trail.zip"
    path.write_bytes(exported(aude))
    return path


@pytest.fixture
def folder(packed: Path) -> Path:
    to = packed.parent / "unpacked"
    zipfile.ZipFile(packed).extractall(to)
    return to


def test_it_checks_itself_packed_and_unpacked(packed: Path, folder: Path) -> None:
    for path in (packed, folder):
        report = check(path)
        assert (report.findings, report.rows) == ([], Export.objects.get().rows)
        assert any("“All of the audit trail”, exported by Aude Martin (aude)" in line for line in report.said)
    assert check(packed).sha256 == hashlib.sha256(packed.read_bytes()).hexdigest() == Export.objects.get().sha256


def without_a_row(was: bytes) -> bytes:
    return was[was.index(b"\n") + 1 :]


def edited_and_resummed(folder: Path) -> None:
    edited(folder / "trail.jsonl", without_a_row)
    resummed(folder)


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "changed": (lambda to: edited(to / "trail.jsonl", lambda was: was.replace(b"high", b"low")), "trail.jsonl is not"),
    "cut off": (lambda to: edited(to / "trail.csv", lambda was: was[:-40]), "trail.csv is not what"),
    "a row less": (lambda to: edited(to / "trail.jsonl", without_a_row), "trail.jsonl is not what"),
    "other words": (lambda to: edited(to / README, lambda was: was + b"."), f"{README} is not what {SUMS}"),
    "another": (lambda to: edited(to / MANIFEST, lambda was: was.replace(b"Aude", b"Eve")), f"{MANIFEST} is not what"),
    "missing": (lambda to: (to / "trail.csv").unlink(), "trail.csv is missing"),
    "added": (lambda to: (to / "more.jsonl").write_text("{}\n"), "more.jsonl was added"),
    "no manifest": (lambda to: (to / MANIFEST).unlink(), f"{MANIFEST} is missing"),
    "no sums": (lambda to: (to / SUMS).unlink(), f"{SUMS} is missing"),
    "new sums": (
        edited_and_resummed,
        f"trail.jsonl is not what {MANIFEST}",
    ),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_each_damage_is_found(kind: str, folder: Path) -> None:
    damage, found = DAMAGE[kind]
    damage(folder)
    assert check(folder).findings[0].startswith(found)


# ── while others write, and what it costs ───────────────────────────────────────────────────────────────────────────


@contextmanager
def statements(look: Callable[[str], object]) -> Iterator[None]:
    """Each is looked at after the database has answered it."""

    def through(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        answer = execute(sql, params, many, context)
        look(sql)
        return answer

    with connection.execute_wrapper(through):
        yield


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif("postgresql" not in settings.DATABASES["default"]["ENGINE"], reason="SQLite's are in one memory.")
def test_what_comes_in_while_it_is_read_is_not_half_there(aude: User) -> None:
    act = uuid.uuid4()
    written: list[str] = []

    def write() -> None:
        try:
            with transaction.atomic(), acting(request_id=act):
                Client.objects.create(name="Late", time_zone="UTC")
                Service.objects.create(name="Late")
        finally:
            connection.close()

    def after_the_first_table(sql: str) -> None:
        if "historicalclient" in sql and not written:
            written.append(sql)
            with ThreadPoolExecutor(1) as pool:
                pool.submit(write).result()

    Client.objects.create(name="Early", time_zone="UTC")
    browser = browser_of(aude)
    with statements(after_the_first_table):
        response = browser.post(EXPORT)
    found = lines(files_of(b"".join(response)), "trail")
    assert Service.objects.filter(name="Late").exists()
    assert {row["name"] for row in found} >= {"Early"}
    assert str(act) not in {row["request_id"] for row in found}


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif("sqlite" not in settings.DATABASES["default"]["ENGINE"], reason="PostgreSQL's readers never lock.")
def test_nobody_waits_to_write_while_it_is_read(aude: User) -> None:
    told: list[str] = []
    browser = browser_of(aude)
    with statements(lambda sql: told.append(sql)):
        b"".join(browser.post(EXPORT))
    begun = [sql for sql in told if sql.startswith(("BEGIN", "INSERT INTO"))]
    reads = next(number for number, sql in enumerate(told) if "historicalclient" in sql)
    assert [sql for sql in told[:reads] if sql.startswith("BEGIN")][-1] == "BEGIN DEFERRED"
    assert begun[-1].startswith("INSERT INTO")


@pytest.mark.skipif("postgresql" not in settings.DATABASES["default"]["ENGINE"], reason="SQLite gives up nothing.")
def test_what_takes_too_long_to_find_is_given_up_and_not_recorded(aude: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "PATIENCE", 1)
    (table,) = (table for table in sources.tables() if table.label == "config.user")
    slow = table.rows().annotate(slept=Func(Value(20), function="pg_sleep", output_field=TextField()))
    with pytest.raises(trail.TooSlow):
        files.of_trail([(table, slow)], files.Asked({}, ""), files.Ticket("trail", aude, timezone.now()))
    assert not Export.objects.exists()


def many(count: int) -> None:
    """So many rows of the trail, each of an act of its own, of two tables."""
    for model in (Service, Client):
        first: Any = sources.history_of(model).objects.earliest("history_id")
        values = {own.attname: getattr(first, own.attname) for own in first._meta.concrete_fields}
        made = []
        for number in range(count // 2):
            own = {"history_id": None, "id": 10**6 + number, "request_id": uuid.uuid4(), "history_type": "~"}
            made.append(type(first)(**{**values, **own, "changed": ",name,"}))
        cast.add_past_the_trail(type(first).objects, made)


def test_many_rows_are_read_in_batches_and_never_held(
    northwind: ServiceAgreement, aude: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "PATIENCE", 600)  # what measures memory takes its time
    browser, measured = browser_of(aude), []
    told: list[str] = []
    for more in (2_000, 18_000):
        many(more)
        told.clear()
        tracemalloc.start()
        with statements(lambda sql: told.append("")):
            response = browser.post(EXPORT)
        _left, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        b"".join(response)
        measured.append((len(told), peak, Export.objects.latest("pk").rows))
    (few, little, rows_before), (much, peak, rows_after) = measured
    assert rows_after - rows_before > 18_000
    assert much - few <= 8 * 18_000 / files.BATCH
    assert peak - little < 2 * 2**20
