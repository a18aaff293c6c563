"""Whole incidents as files: what they hold, and that whoever changes them is found by them alone."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client as Browser
from django.urls import reverse

from agreements.models import ServiceAgreement, Severity
from config import exports
from config.admin import page_of
from config.audit import events, file_check, files, seals
from config.audit.file_check import MANIFEST, README, SUMS, check
from config.models import EventKind, Export, Seal, User
from incidents import acknowledgement_link, lifecycle, retention
from incidents.models import Acknowledgement, DeliveryAttempt, Incident, Notice
from incidents.models.notice import DeliveryPhase, Outcome
from reviews import lifecycle as reviewing
from reviews.models import CorrectiveAction, PostIncidentReview, ReviewStatus
from tests import cast
from tests.cast import at, browser_of

pytestmark = pytest.mark.django_db

HOSTILE = '=cmd|"/c calc"!A1\r\n\u2028 😀 \x1b[31m,;"\t' + "long " * 50_000


@pytest.fixture
def incident(olga: User, northwind: ServiceAgreement, contoso: ServiceAgreement) -> Incident:
    """Told, delivered, confirmed, resolved, and reviewed; beside another that is nobody's business here."""
    storage = cast.service("Object storage")
    given: dict[str, Any] = {"severity": Severity.CRITICAL, "services": [storage], "detected_at": at("09:40")}
    lifecycle.declare(by=olga, now=at("09:50"), title="Another", **given)
    incident = lifecycle.declare(by=olga, now=at("10:00"), title="Storage is down", **given)
    lifecycle.acknowledge(incident, by=olga, now=at("10:05"))
    lifecycle.note(incident, "A cable.", by=olga, now=at("10:06"))
    lifecycle.notify_client(incident, by=olga, now=at("10:10"), message="Uploads fail.")
    notice = Notice.objects.filter(incident=incident, client=northwind.client).earliest("pk")
    outcome = {"outcome": Outcome.ACCEPTED, "phase": DeliveryPhase.DONE, "code": 250}
    DeliveryAttempt.objects.create(notice=notice, at=at("10:11"), worker="w", answer="@ok", **outcome)
    Acknowledgement.objects.create(notice=notice, at=at("10:12"), user_agent="+1")
    lifecycle.resolve(incident, by=olga, now=at("11:00"))
    review = reviewing.open_review(incident, by=olga, now=at("12:00"))
    CorrectiveAction.objects.create(review=review, what="Add a replica", owner=olga, due_on=at("12:00").date())
    seals.seal()
    return incident


def content(response: Any) -> bytes:
    assert response.status_code == 200, response
    return b"".join(response.streaming_content)


def address_of(incident: Incident) -> str:
    return reverse("admin:incidents_incident_whole_export", args=[incident.pk])


def whole(incident: Incident, by: User) -> bytes:
    return content(browser_of(by).get(address_of(incident)))


def files_of(packed: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def lines(files: dict[str, bytes], name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in files[f"{name}.jsonl"].decode().split("\n")[:-1]]


csv.field_size_limit(10**7)


def cells(files: dict[str, bytes], name: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(files[f"{name}.csv"].decode("utf-8-sig"), newline="")))


# ── what is in them ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_file_of_an_incident_has_all_that_belongs_to_it_and_nothing_of_another(
    incident: Incident, aude: User
) -> None:
    files = files_of(whole(incident, aude))
    tables = {name.rpartition(".")[0] for name in files} - {"MANIFEST", "README", ""}
    assert tables == {
        *("incident", "history", "deadlines", "terms", "notices", "delivery-attempts", "acknowledgements"),
        *("affected-services", "affected-agreements", "responders", "timeline-entries", "pauses"),
        *("post-incident-reviews", "corrective-actions"),
        *("attachments", "contributors", "links", "answers", "findings", "entries-of-the-reviews-timeline"),
        "client-editions",
    }
    assert [row["values"]["reference"] for row in lines(files, "incident")] == [incident.reference]
    for name, rows in {
        "deadlines": incident.deadlines,
        "notices": incident.notices,
        "timeline-entries": incident.timeline,
    }.items():
        assert {row["id"] for row in lines(files, name)} == set(rows.values_list("pk", flat=True)) != set()
    for name in ("delivery-attempts", "acknowledgements", "post-incident-reviews", "corrective-actions"):
        assert len(lines(files, name)) == 1, name
    about = {(row["model"], row["action"]) for row in lines(files, "history")}
    assert {
        ("incidents.incident", "added"),
        ("incidents.incident", "changed"),
        ("incidents.deadline", "changed"),
    } <= about
    assert ("reviews.correctiveaction", "added") in about
    kept = {row["id"] for row in lines(files, "history") if row["model"] == "incidents.incident"}
    assert kept == {incident.pk}
    terms = {row["values"]["terms_copy_id"] for row in lines(files, "deadlines")}
    assert {row["id"] for row in lines(files, "terms")} == terms != set()


def test_every_table_has_the_same_rows_for_people_and_for_programs(incident: Incident, aude: User) -> None:
    files = files_of(whole(incident, aude))
    manifest = json.loads(files[MANIFEST])
    for name in [name.removesuffix(".csv") for name in files if name.endswith(".csv")]:
        said = [manifest["files"][f"{name}.{kind}"]["rows"] for kind in ("csv", "jsonl")]
        assert said == [len(cells(files, name)) - 1, len(lines(files, name))], name
        assert len({len(row) for row in cells(files, name)}) == 1, name
    head, *rows = cells(files, "deadlines")
    assert {"Client", "Obligation"} <= {*head}
    assert {row[head.index("Client")] for row in rows} == {"Northwind", "Contoso"}


def test_a_line_of_the_history_says_who_when_why_by_what_way_and_what_was_before(
    incident: Incident, aude: User
) -> None:
    other = Incident.objects.exclude(pk=incident.pk).get()
    lifecycle.reclassify(other, Severity.MEDIUM, by=aude, reason="Half of it works.", now=at("12:30"))
    row = next(row for row in lines(files_of(whole(other, aude)), "history") if "severity" in row["changed"])
    assert row["actor"] == aude.audit_name
    assert row["actor_id"] == aude.pk
    assert row["reason"] == "Half of it works."
    assert row["at"].endswith("+00:00")
    assert {"row", "caller", "request_id"} <= {name for name, value in row.items() if value}
    assert {"field": "severity", "old": "Critical", "new": "Medium"} in row["changes"]
    assert row["values"]["severity"] == "medium"


def test_hostile_words_come_back_as_they_were_and_start_no_formula(incident: Incident, aude: User) -> None:
    text = HOSTILE if connection.vendor == "postgresql" else f"{HOSTILE}\x00"  # the one keeps no NUL
    with connection.cursor() as cursor:
        asked = "UPDATE incidents_timelineentry SET text = %s WHERE incident_id = %s AND text = 'A cable.'"
        cursor.execute(asked, [text, incident.pk])
    files = files_of(whole(incident, aude))
    assert text in {row["values"]["text"] for row in lines(files, "timeline-entries")}
    assert f"'{text}" in {cell for row in cells(files, "timeline-entries") for cell in row}
    for name in (name for name in files if name.endswith(".csv")):
        starts = {cell[:1] for row in cells(files, name.removesuffix(".csv")) for cell in row}
        assert not starts & {*exports.FORMULA_STARTS}, name
    assert all(file.isascii() for name, file in files.items() if name.endswith(".jsonl"))


def test_a_body_that_was_given_up_is_told_by_the_digest_that_was_kept(
    incident: Incident, ada: User, aude: User, tmp_path: Path
) -> None:
    """Not by that of what is left, which would be the digest of nothing."""
    cast.past_the_trail(Notice.objects.all(), state="sent", accepted_at=at("10:11"))
    cast.past_the_trail(Incident.objects.all(), closed_at=at("13:00"))
    cast.past_the_trail(PostIncidentReview.objects.all(), status=ReviewStatus.CLOSED, completed_at=at("13:00"))
    digests = {
        notice.pk: {name: hashlib.sha256(getattr(notice, name).encode()).hexdigest() for name in ("text", "html")}
        for notice in incident.notices.all()
    }
    assert retention.reduce_bodies(at("14:00"), by=ada, reason="Kept for an hour only.") >= len(digests)
    packed = whole(incident, aude)
    rows = lines(files_of(packed), "notices")
    assert {row["id"]: row["digests"] for row in rows} == digests
    for row in rows:
        assert (row["values"]["text"], row["given_up"].keys()) == ("", {"text", "html"})
    shown = {cell for row in cells(files_of(packed), "notices") for cell in row}
    assert all(any(kept["text"] in cell for cell in shown) for kept in digests.values())
    (tmp_path / "file.zip").write_bytes(packed)
    assert check(tmp_path / "file.zip").findings == []


def test_a_body_is_there_with_its_digest_and_without_the_clients_link(incident: Incident, aude: User) -> None:
    files = files_of(whole(incident, aude))
    sent = {notice.pk: notice for notice in incident.notices.all()}
    assert any(acknowledgement_link.is_in(notice.text) for notice in sent.values())
    for row in lines(files, "notices"):
        notice = sent[row["id"]]
        assert row["values"]["text"] == acknowledgement_link.masked(notice.text)
        assert row["digests"]["html"] == hashlib.sha256(notice.html.encode()).hexdigest()
    assert not [name for name, file in files.items() if acknowledgement_link.is_in(file.decode())]


def test_the_manifest_says_of_what_by_whom_when_and_at_which_seal(incident: Incident, aude: User) -> None:
    files = files_of(whole(incident, aude))
    manifest, seal = json.loads(files[MANIFEST]), Seal.objects.first()
    assert seal is not None
    assert (manifest["what"], manifest["id"]) == ("incidents.incident", incident.pk)
    assert incident.reference in manifest["name"]
    assert manifest["by"] == aude.audit_name
    assert (manifest["newest_seal"]["number"], manifest["newest_seal"]["digest"]) == (seal.number, seal.digest)
    assert manifest["version"]
    assert {*files} == {*manifest["files"], MANIFEST, README, SUMS}


def test_an_event_about_a_part_of_it_is_told_in_its_sentence(incident: Incident, aude: User) -> None:
    events.record(EventKind.LINK_OPENED, about=incident.notices.earliest("pk"))
    events.record(EventKind.LINK_OPENED, about=Incident.objects.exclude(pk=incident.pk).get())
    files = files_of(whole(incident, aude))
    (row,) = (row for row in lines(files, "history") if row["model"] == "config.event")
    assert (row["action"], row["values"]["about"]) == ("link_opened", "incidents.notice")
    assert "The link of a notice was opened." in {row[5] for row in cells(files, "history")}


# ── who may take them ───────────────────────────────────────────────────────────────────────────────────────────────


def test_only_who_reads_the_trail_takes_it_and_sees_the_button(
    incident: Incident, olga: User, aude: User, max_: User, ada: User
) -> None:
    page, address = page_of(incident), address_of(incident)
    for user, may in ((olga, False), (aude, True), (max_, True), (ada, True)):
        browser = browser_of(user)
        response = browser.get(address)
        assert response.status_code == (200 if may else 403)
        assert b"".join(response)
        assert {send(address).status_code for send in (browser.post, browser.head)} == {405}
        assert (f'href="{address}"' in browser.get(page).content.decode()) is may
    assert Browser().get(address).status_code == 302
    assert browser_of(aude).get(address.replace(f"/{incident.pk}/", "/99999/")).status_code == 404


def test_what_its_reader_may_not_view_is_left_out_and_the_manifest_says_so(incident: Incident, db: None) -> None:
    eve = User.objects.create_user("eve", password=cast.PASSWORD, is_staff=True)
    role = Group.objects.create(name="Some")
    role.permissions.set(Permission.objects.filter(codename__in=("view_event", "view_incident", "view_deadline")))
    eve.groups.add(role)
    files = files_of(whole(incident, eve))
    assert "deadlines.csv" in files
    assert not {"notices.csv", "delivery-attempts.csv", "acknowledgements.csv", "post-incident-reviews.csv"} & {*files}
    told = {row["model"] for row in lines(files, "history")}
    assert "incidents.deadline" in told
    assert not told & {"incidents.notice", "reviews.postincidentreview", "reviews.correctiveaction"}
    left_out = json.loads(files[MANIFEST])["left_out"]
    assert {"incidents.notice", "incidents.deliveryattempt", "reviews.correctiveaction"} <= {*left_out}
    assert "incidents.deadline" not in left_out


def test_it_is_recorded_with_the_digest_of_the_file_before_its_first_byte(incident: Incident, aude: User) -> None:
    response = browser_of(aude).get(address_of(incident))
    record = Export.objects.get()
    packed = content(response)
    assert record.sha256 == hashlib.sha256(packed).hexdigest()
    assert (record.by, record.listed, record.query) == (aude, "incidents.incident", f"whole={incident.reference}")
    files = files_of(packed)
    assert record.rows == sum(len(lines(files, name[:-6])) for name in files if name.endswith(".jsonl"))


def test_more_than_the_cap_is_refused_with_a_sentence_and_not_recorded(
    incident: Incident, aude: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    for limit, said in (("CAP", "more than 5 rows"), ("LARGEST", "too large for a file")):
        with monkeypatch.context() as patched:
            patched.setattr(files, limit, 5)
            response = browser_of(aude).get(address_of(incident), follow=True)
        assert response.redirect_chain == [(page_of(incident), 302)]
        assert said in response.content.decode()
    assert not Export.objects.exists()


# ── checking them ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def packed(incident: Incident, aude: User, tmp_path: Path) -> Path:
    path = tmp_path / "whole.zip"
    path.write_bytes(whole(incident, aude))
    return path


@pytest.fixture(scope="module")
def kept() -> dict[str, bytes]:
    return {}


@pytest.fixture
def folder(kept: dict[str, bytes], request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Unpacked. One file is made, by the first test that asks, and each has a copy of its own to change."""
    if not kept:
        kept["whole.zip"] = request.getfixturevalue("packed").read_bytes()
    to = tmp_path / "unpacked"
    zipfile.ZipFile(io.BytesIO(kept["whole.zip"])).extractall(to)
    return to


def test_a_file_checks_itself_packed_and_unpacked_and_by_common_tools(packed: Path, folder: Path) -> None:
    assert (check(packed).findings, check(folder).findings) == ([], [])
    assert check(packed).sha256 == Export.objects.get().sha256
    assert check(packed).rows == check(folder).rows == Export.objects.get().rows
    subprocess.run(["sha256sum", "-c", "--quiet", "--strict", SUMS], cwd=folder, check=True)


def edited(path: Path, change: Callable[[bytes], bytes]) -> None:
    before = path.read_bytes()
    path.write_bytes(change(before))
    assert path.read_bytes() != before


def resummed(folder: Path) -> None:
    """As a forger would who knows of the sums and not of the manifest."""
    names = [path.name for path in folder.iterdir() if path.name != SUMS]
    sums = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    (folder / SUMS).write_text("".join(sums))


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (
            lambda to: edited(to / "notices.jsonl", lambda was: was.replace(b"10:10", b"10:09")),
            "notices.jsonl is not what",
        ),
        (lambda to: edited(to / "history.csv", lambda was: was[:-40]), "history.csv is not what"),
        (lambda to: edited(to / README, lambda was: was + b"."), f"{README} is not what {SUMS}"),
        (lambda to: edited(to / MANIFEST, lambda was: was.replace(b"Aude", b"Eve")), f"{MANIFEST} is not what {SUMS}"),
        (lambda to: (to / "deadlines.csv").unlink(), "deadlines.csv is missing"),
        (lambda to: (to / "more.jsonl").write_text("{}\n"), "more.jsonl was added"),
        (lambda to: (to / MANIFEST).unlink(), f"{MANIFEST} is missing"),
        (lambda to: (to / SUMS).unlink(), f"{SUMS} is missing"),
        (lambda to: (to / "sub").mkdir(), "sub is no plain file"),
        (lambda to: (to / "link.csv").symlink_to("/etc/passwd"), "link.csv is no plain file"),
    ],
)
def test_the_first_that_differs_is_named(change: Callable[[Path], object], found: str, folder: Path) -> None:
    change(folder)
    assert check(folder).findings[0].startswith(found)


def test_new_sums_do_not_hide_a_change_from_the_manifest(folder: Path) -> None:
    edited(folder / "history.jsonl", lambda was: was[was.index(b"\n") + 1 :])
    resummed(folder)
    assert check(folder).findings == [f"history.jsonl is not what {MANIFEST} says: it was changed."]


def test_a_manifest_that_lies_about_rows_is_found(folder: Path) -> None:
    def lie(was: bytes) -> bytes:
        said = json.loads(was)
        said["files"]["history.jsonl"]["rows"] -= 1
        return json.dumps(said).encode()

    edited(folder / MANIFEST, lie)
    resummed(folder)
    found = check(folder).findings
    assert "history.jsonl has" in found[0]
    assert found[1] == "history.csv and history.jsonl do not have the same number of rows."


def repacked(path: Path, *more: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    to = path.parent / "hostile.zip"
    with zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, file in [*files_of(path.read_bytes()).items(), *more]:
            archive.writestr(name, file)
    return to


def symlink() -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("link.csv")
    info.external_attr = 0o120777 << 16
    return info


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("../../etc/cron.d/x", "is no name of a file of ours"),
        ("/etc/passwd", "is no name of a file of ours"),
        ("C:\\x.csv", "is no name of a file of ours"),
        ("sub/", "is not packed as we pack files"),
        (".hidden", "is no name of a file of ours"),
        ("\x1b[31mred", "is no name of a file of ours"),
        ("history.csv", "history.csv is there twice"),
        (symlink(), "is not packed as we pack files"),
    ],
)
def test_a_hostile_zip_is_refused(name: str | zipfile.ZipInfo, found: str, packed: Path) -> None:
    (finding,) = check(repacked(packed, (name, b"x"))).findings
    assert found in finding
    assert finding.isprintable()


def test_a_zip_that_swells_is_refused_before_it_is_unpacked(packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = sum(len(file) for file in files_of(packed.read_bytes()).values())
    monkeypatch.setattr(file_check, "LARGEST", size + 10**6)
    assert not check(packed).findings
    monkeypatch.setattr(file_check, "_read", None)
    bomb = repacked(packed, ("bomb.csv", bytes(2 * 10**6)))
    assert bomb.stat().st_size < 10**6
    assert "unpacks to" in check(bomb).findings[0]
    many = repacked(packed, *((f"{n}.csv", b"") for n in range(file_check.MOST_FILES)))
    assert "more than any export of ours" in check(many).findings[0]


@pytest.mark.parametrize("rubbish", [b"", b"PK\x05\x06", b"\x00" * 1000, b"{}"])
def test_what_is_no_zip_is_said_to_be_none(rubbish: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(rubbish)
    assert check(tmp_path / "x.zip").findings


def test_a_zip_that_was_damaged_on_its_way_is_refused_at_any_byte(packed: Path, tmp_path: Path) -> None:
    whole = packed.read_bytes()
    damaged = tmp_path / "damaged.zip"
    for place in range(0, len(whole), len(whole) // 25):
        damaged.write_bytes(whole[:place] + bytes([whole[place] ^ 0x5A]) + whole[place + 1 :])
        report = check(damaged)
        assert report.findings or files_of(damaged.read_bytes()) == files_of(whole)
    damaged.write_bytes(whole[: len(whole) // 2])
    assert check(damaged).findings


@pytest.mark.parametrize(
    "manifest",
    [
        "[]",
        "7",
        "{",
        "{}",
        '{"format": "another"}',
        '{"format": "due-notice files 1", "left_out": [], "files": {"a": 1}}',
        '{"format": "due-notice files 1", "left_out": 7, "files": {}}',
        "[" * 10_000,
    ],
)
def test_a_manifest_that_is_none_of_ours_is_refused(manifest: str, folder: Path) -> None:
    (folder / MANIFEST).write_text(manifest)
    assert check(folder).findings == [f"{MANIFEST} is none of ours, or of a version that this one does not know."]


def test_the_command_reads_no_database_and_exits_with_what_it_found(packed: Path, folder: Path) -> None:
    nowhere = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DATABASE_URL": "postgres://nobody@127.0.0.1:1/none",
    }
    command = [sys.executable, "manage.py", "audit", "verify-files"]
    root = Path(__file__).resolve().parents[2]

    def ran(path: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*command, str(path)], cwd=root, env=nowhere, capture_output=True, text=True, check=False)

    fine = ran(packed)
    assert fine.returncode == 0, fine.stderr
    assert "all as they were exported" in fine.stdout
    assert check(packed).sha256 in fine.stdout
    edited(folder / "notices.csv", lambda was: was[:-2])
    wrong = ran(folder)
    assert wrong.returncode == 1
    assert "notices.csv is not what" in wrong.stdout


def test_the_command_says_that_a_path_is_none(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("audit", "verify-files", str(tmp_path / "nothing.zip"))
