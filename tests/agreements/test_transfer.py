"""What is agreed, as files: out and in again without a difference, whole or not at all, told in the trail."""

from __future__ import annotations

import contextlib
import csv
import datetime as dt
import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, connections, transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from agreements import presets
from agreements.models import (
    Client,
    ClientScope,
    Commitment,
    Contact,
    Obligation,
    OpeningHours,
    Service,
    ServiceAgreement,
    SeverityDefinition,
    SpecialDay,
)
from agreements.transfer import Agreements, Calendars, Clients, Commitments, Contacts, Services
from config import exports, sheets, transfer
from config.audit import sources
from config.models import Event, EventKind, Export, User
from config.transfer import Kind, NotDone, Report
from tests import cast
from tests.cast import NOON

KINDS: tuple[type[Kind], ...] = (Services, Clients, Contacts, Calendars, Agreements, Commitments)
WHY = "Taken over from the old system."


def exported(kind: type[Kind], by: User, form: exports.Form = exports.CSV) -> bytes:
    return b"".join(transfer.export(kind, form, by=by, now=NOON).streaming_content)  # type: ignore[arg-type]


def rehearsed(kind: type[Kind], content: bytes | str, by: User) -> Report:
    content = content.encode() if isinstance(content, str) else content
    return transfer.rehearse(kind, sheets.read(content, kind.names()), by=by, now=NOON)


def imported(kind: type[Kind], content: bytes | str, by: User) -> Report:
    content = content.encode() if isinstance(content, str) else content
    sheet = sheets.read(content, kind.names())
    seen = transfer.rehearse(kind, sheet, by=by, now=NOON).digest
    return transfer.carry_out(kind, sheet, by=by, reason=WHY, seen=seen, name="old.csv", now=NOON)


def told(report: Report) -> list[tuple[int, str, str]]:
    return [(problem.line, problem.column, problem.sentence) for problem in report.problems]


@contextlib.contextmanager
def undone() -> Iterator[None]:
    """What is done inside leaves an empty database behind."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def history_rows() -> int:
    return sum(model.history.count() for model in sources.audited() if model is not Export)  # type: ignore[attr-defined]


# ── the round trip ──────────────────────────────────────────────────────────────────────────────────────────────────

SIGNS = st.sampled_from("abÄß日 ,;|/\"'=+-@%v1")
LINE = st.text(SIGNS, min_size=1, max_size=12).map(str.strip).filter(bool)
PROSE = st.text(SIGNS | st.just("\n"), min_size=1, max_size=20).map(str.strip).filter(bool)


def make_world(names: list[str], prose: str, owner: User) -> None:
    first, second, label, day, service, reference = names
    office = cast.office_hours(f"Office {first}")
    SpecialDay.objects.create(calendar=office, on=dt.date(2026, 12, 25), name=day)
    SpecialDay.objects.create(calendar=office, on=dt.date(2026, 12, 24), opens=dt.time(9), closes=dt.time(12))
    northwind = cast.client(first, "America/New_York", "ops@northwind.example", "Duty@northwind.example")
    storage = Service.objects.create(name=service, description=prose)
    made = cast.agreement(reference, northwind, office, storage, cast.service("Payments; or so"), owner=owner)
    for key in presets.PRESETS:  # all that a commitment can say
        presets.apply_preset(cast.agreement(f"{label} {key}"[:40].strip(), northwind, office), key, hours=4)
    cast.commit(made, Obligation.NOTIFY, 4, label=label)
    SeverityDefinition.objects.get_or_create(agreement=made, severity="low", defaults={"words": prose})
    made.clause, made.ends_at = prose, dt.datetime(2026, 6, 1, 12, 0, 0, 250, tzinfo=dt.UTC)
    cast.save(made)
    other = cast.client(f"{second} 2", "Europe/Berlin")
    other.is_active = False
    cast.save(other)
    ServiceAgreement.objects.create(
        reference=reference, version=2, client=northwind, calendar=cast.always_open(), clause=prose,
        effective_at=made.ends_at, supersedes=made,
    )  # fmt: skip


@pytest.mark.django_db
@settings(max_examples=5, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(names=st.lists(LINE, min_size=6, max_size=6, unique_by=str.casefold), prose=PROSE)
def test_what_was_exported_is_imported_into_an_empty_database_and_exported_the_same(
    max_: User, names: list[str], prose: str
) -> None:
    with undone():
        make_world(names, prose, max_)
        before = [exported(kind, max_) for kind in KINDS]
        for kind in KINDS:
            same = imported(kind, exported(kind, max_, exports.XLSX), max_)
            assert (same.does, same.problems) == ([], []), "what a spreadsheet shows of it changes nothing"
    assert not Client.objects.exists()
    with undone():
        for kind, content in zip(KINDS, before, strict=True):
            report = imported(kind, content, max_)
            assert report.same == 0
        assert [exported(kind, max_) for kind in KINDS] == before
        rows = history_rows()
        for kind, content in zip(KINDS, before, strict=True):
            again = imported(kind, content, max_)
            assert (again.added, again.changed, again.problems) == (0, 0, [])
        assert history_rows() == rows, "the same file twice changes nothing and writes nothing"
    commitments = list(csv.DictReader(io.StringIO(before[-1].decode("utf-8-sig"))))
    for column in ("follows", "warnings", "cap_amount", "clause_number"):
        assert any(line[column] for line in commitments), "the world has something of everything to take along"


@pytest.mark.django_db
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.slug)
def test_a_template_names_every_column_and_its_example_can_be_imported(kind: type[Kind], max_: User) -> None:
    made: dict[type[Kind], Any] = {other: imported(other, transfer.template(other), max_) for other in KINDS}
    assert (made[kind].added, made[kind].problems) == (1, [])


# ── an act in the trail ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.django_db
def test_an_import_is_one_act_with_its_reason_and_the_dry_run_leaves_nothing(max_: User) -> None:
    content = "name,time_zone\nNorthwind,America/New_York\nContoso,Europe/Berlin\n"
    before = history_rows()
    assert rehearsed(Clients, content, max_).added == 2
    assert (Client.objects.count(), history_rows()) == (0, before)
    imported(Clients, content, max_)
    rows = list(Client.history.all())
    assert {(row.actor_name, row.history_change_reason) for row in rows} == {("Max Weber (max)", WHY)}
    event = Event.objects.get(kind=EventKind.IMPORTED)
    assert {row.request_id for row in rows} == {event.request_id} or len({row.request_id for row in rows}) == 1
    assert str(event) == "Imported from “old.csv” (clients): 2 added, 0 changed, 0 the same."


@pytest.mark.django_db
def test_what_differs_is_changed_and_told_by_its_columns_and_what_the_file_does_not_say_stays(max_: User) -> None:
    client = cast.client("Northwind", "America/New_York", "ops@northwind.example")
    report = imported(Clients, "name,language\nNorthwind,DE\n", max_)
    client.refresh_from_db()
    assert (client.language, client.time_zone) == ("de", "America/New_York")
    assert [(one.line, one.verdict, one.changed) for one in report.does] == [(2, "changed", ("language",))]
    report = imported(Contacts, "client,address,phone\nNorthwind,OPS@northwind.example,+1 555\n", max_)
    assert (report.changed, Contact.objects.get().address) == (1, "ops@northwind.example")


@pytest.mark.django_db
def test_all_or_nothing(max_: User) -> None:
    content = "name,time_zone\nNorthwind,America/New_York\nContoso,Europe/Berlln\n"
    with pytest.raises(NotDone) as refused:
        imported(Clients, content, max_)
    assert not Client.objects.exists()
    assert not Event.objects.filter(kind=EventKind.IMPORTED).exists()
    ((line, column, sentence),) = told(refused.value.report)
    assert (line, column) == (3, "time_zone")
    assert "Did you mean Europe/Berlin?" in sentence


@pytest.mark.django_db
def test_what_would_happen_otherwise_than_was_shown_does_not_happen(max_: User) -> None:
    sheet = sheets.read(b"name,time_zone\nNorthwind,America/New_York\n", Clients.names())
    seen = transfer.rehearse(Clients, sheet, by=max_, now=NOON).digest
    cast.client("Northwind", "Europe/Berlin")  # a colleague was faster
    with pytest.raises(NotDone, match="has changed since it was shown"):
        transfer.carry_out(Clients, sheet, by=max_, reason=WHY, seen=seen, name="old.csv", now=NOON)
    assert Client.objects.get().time_zone == "Europe/Berlin"


# ── every line is checked as its page checks it ─────────────────────────────────────────────────────────────────────

OFFICE = "name,time_zone,weekday,date,opens,closes\nOffice,Europe/Berlin,"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("kind", "content", "line", "column", "sentence"),
    [
        (Clients, "name,time_zone\nA,UTC\nA,UTC\n", 3, "", "Line 2 is about the same"),
        (Clients, "name\nA\n", 2, "time_zone", "A new row needs this"),
        (Clients, "name,time_zone\n\x00A,UTC\n", 2, "name", "Control characters are not"),
        (Clients, "name,time_zone,is_active\nA,UTC,perhaps\n", 2, "is_active", "Write yes or no"),
        (Clients, "name,time_zone,language\nA,UTC,tlh\n", 2, "language", "is none of: en, de, fr, es"),
        (Contacts, "client,address,name\nNobody,a@b.example,A\n", 2, "client", "There is no client “Nobody”"),
        (Contacts, "client,address,name\nNorthwind,a@b@c,A\n", 2, "address", "valid email"),
        (Contacts, 'client,address,name\nNorthwind,"a@b.example\nBcc: c@d.example",A\n', 2, "address", ""),
        (Calendars, f"{OFFICE}monday,2026-12-25,09:00,17:00\n", 2, "", "not both"),
        (Calendars, f"{OFFICE},2026-12-25,,\n", 2, "", "never"),
        (Calendars, f"{OFFICE}someday,,09:00,17:00\n", 2, "weekday", "is none of: monday"),
        (Agreements, "reference,client,calendar,effective_at,clause\nX,Northwind,None,2026-01-01T00:00Z,C\n", 2,
         "calendar", "There is no calendar “None”"),
        (Agreements, "reference,client,calendar,effective_at,clause\nX,Northwind,Round the clock,2026-01-01,C\n", 2,
         "effective_at", "offset from UTC"),
        (Agreements, "reference,version,client,calendar,effective_at,clause\n"
         "NW-2025-03,2,Northwind,Round the clock,2026-01-01T00:00Z,C\n", 2, "effective_at", "is in force during that"),
        (Commitments, "reference,severity,obligation,amount\nNW-2025-03,low,notify,0\n", 2, "amount", "more than zero"),
        (Commitments, "reference,severity,obligation\nXX,low,notify\n", 2, "reference", "no agreement “XX v1”"),
        (Commitments, "reference,severity,obligation,amount,warnings\nNW-2025-03,low,notify,1,at noon\n", 2,
         "warnings", "is no warning"),
        (Commitments, "reference,severity,obligation,amount,start_event,follows\n"
         "NW-2025-03,low,report,1,commitment,notify\n", 2, "follows", "must stand in a line above"),
    ],
)  # fmt: skip
def test_a_line_that_is_wrong_is_told_by_line_column_and_what_to_do(
    northwind: ServiceAgreement, max_: User, kind: type[Kind], content: str, line: int, column: str, sentence: str
) -> None:
    found = told(rehearsed(kind, content, max_))
    assert found, "refused"
    assert any((at, where) == (line, column) and sentence in said for at, where, said in found), found


@pytest.mark.django_db
def test_an_import_adds_and_changes_and_removes_nothing(northwind: ServiceAgreement, max_: User) -> None:
    count = Commitment.objects.count()
    content = "reference,severity,obligation,amount,unit,warnings\nNW-2025-03,low,notify,8,hours,50% = responders\n"
    assert imported(Commitments, content, max_).added == 1
    assert Commitment.objects.count() == count + 1
    hours = OpeningHours.objects.count()
    assert imported(Calendars, "name,weekday,date,day_name\nRound the clock,,2026-12-25,=cmd\n", max_).added == 1
    assert (OpeningHours.objects.count(), SpecialDay.objects.get().name) == (hours, "=cmd")


@pytest.mark.django_db
def test_who_is_limited_to_some_clients_exports_those_and_imports_nothing(
    northwind: ServiceAgreement, contoso: ServiceAgreement, max_: User
) -> None:
    ClientScope.objects.create(user=max_, client=northwind.client)
    assert not any(kind.may_import(max_) for kind in KINDS)
    for kind in (Clients, Contacts, Agreements, Commitments):
        content = exported(kind, max_).decode()
        assert "Northwind" in content or "NW-2025-03" in content
        assert "Contoso" not in content
        assert "CT-2024-11" not in content


@pytest.mark.django_db(transaction=True)
def test_an_import_waits_for_another_before_it_touches_any_row(max_: User) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite lets one write at a time.")
    lines = ["Contoso,UTC", "Northwind,UTC"]
    imported(Clients, "\n".join(["name,time_zone", *lines]), max_)
    other_way_round = "\n".join(["name,time_zone", *reversed(lines)])

    def second() -> Report:
        try:
            return rehearsed(Clients, other_way_round, max_)
        finally:
            connections.close_all()

    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND NOT granted"
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            rehearsed(Clients, f"name,time_zone\n{lines[0]}\n", max_)  # under way: it has the first row
            ending = pool.submit(second)
            with connection.cursor() as cursor:
                for _try in range(10_000):
                    cursor.execute(waiting, [transfer.LOCK % 2**32])
                    if cursor.fetchone() == (1,):
                        break
            assert Client.objects.select_for_update(nowait=True).get(name="Northwind"), "which nobody holds"
        assert ending.result(30).same == 2
