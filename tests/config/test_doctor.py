"""Each thing that the doctor looks at is broken here, and the line that says so is seen, with what to do."""

from __future__ import annotations

import datetime as dt
import io
import json
import shutil
import zoneinfo
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from agreements.models import Contact, ServiceAgreement, SpecialDay
from config import checkup, doctor, health, system_checks, zones
from config.audit import append_only, seals
from config.doctor import Finding, Level
from config.env import MailRelay
from config.models import BrowserReport, Seal, User
from incidents import lifecycle
from incidents.models import Deadline, Heartbeat, Incident, Notice
from incidents.models.notice import NoticeState
from incidents.models.sending import Part
from tests import cast
from tests.incidents.test_admin import declared
from tests.journeys.seeded import copy_postgres
from tests.services import openid
from tests.services.postgres import PostgresServer
from tests.services.processes import Processes
from tests.services.redis import RedisServer
from tests.services.smtp import SmtpSink

DAY = dt.timedelta(days=1)


def found(check: str, now: dt.datetime | None = None) -> list[Finding]:
    """What that check alone finds."""
    [one] = [one for one in doctor._checks if one.name == check]
    return list(one.check(now or timezone.now()))


def levels(check: str, now: dt.datetime | None = None) -> list[Level]:
    return [finding.level for finding in found(check, now)]


def bad(check: str, now: dt.datetime | None = None) -> Finding:
    """The one thing that is not as it should be, which always says what to do."""
    [finding] = [one for one in found(check, now) if one.level != Level.OK]
    assert finding.remedy
    return finding


GOOD = [Level.OK]


# ── the list itself ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[doctor._Registered]:
    """An empty list of checks."""
    found: list[doctor._Registered] = []
    monkeypatch.setattr(doctor, "_checks", found)
    return found


def test_a_check_that_fails_is_an_error_itself_and_the_others_go_on(checks: list[Any], caplog: Any) -> None:
    @doctor.register("broken")
    def broken(now: dt.datetime) -> Iterator[Finding]:
        raise ZeroDivisionError

    @doctor.register("well")
    def well(now: dt.datetime) -> Iterator[Finding]:
        yield doctor.ok("All is well.")

    told = [str(finding) for finding in doctor.examine(timezone.now())]
    assert told[0].startswith("ERROR    broken: This could not be looked at.")
    assert told[1:] == ["OK       well: All is well."]
    assert "ZeroDivisionError" in caplog.text


def test_without_a_database_what_needs_it_is_left_out_after_one_line(checks: list[Any]) -> None:
    def lost(now: dt.datetime) -> Iterator[Finding]:
        raise OperationalError("connection refused")

    doctor.register("first")(lost)
    doctor.register("second")(lost)
    doctor.register("disk", asks_database=False)(lambda now: iter([doctor.ok("There is room.")]))
    told = [str(finding) for finding in doctor.examine(timezone.now())]
    assert len(told) == 2
    assert "not looked at: connection refused. Start it, or correct DATABASE_URL" in told[0]


def test_a_page_leaves_out_what_speaks_to_other_machines(checks: list[Any]) -> None:
    doctor.register("far", reaches_out=True)(lambda now: iter([doctor.ok("It answers.")]))
    assert list(doctor.examine(timezone.now(), reaching_out=False)) == []
    assert len(list(doctor.examine(timezone.now()))) == 1


def test_those_concerned_are_named_up_to_ten() -> None:
    assert str(doctor.warning("Two of them.", "Mend them.", "a", "b")).endswith(": Two of them. (a, b) Mend them.")
    assert "9 …)" in str(doctor.warning("Many.", "Mend them.", *range(20)))


# ── settings and the database ───────────────────────────────────────────────────────────────────────────────────────


def test_settings_are_looked_at_as_before_going_live(settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["127.0.0.1"]
    assert levels("settings") == GOOD
    settings.ALLOWED_HOSTS = ["notices.northwind.test"]
    assert {finding.level for finding in found("settings")} == {Level.WARNING}
    assert any("security.W004" in finding.sentence for finding in found("settings"))


@pytest.mark.parametrize(
    ("name", "value", "key"),
    [
        ("MAIL_RELAY", MailRelay("mail.northwind.test", 25, "none", "u", "p"), "W001"),
        ("SECURE_SSL_REDIRECT", True, "W002"),
        ("ALLOWED_HOSTS", ["*"], "W003"),
        ("NOTICE_LEASE", 20, "W004"),
    ],
)
def test_what_django_does_not_know_is_checked_too(settings: Settings, name: str, value: object, key: str) -> None:
    assert system_checks.of_this_product() == []
    setattr(settings, name, value)
    assert [message.id for message in system_checks.of_this_product()] == [f"due_notice.{key}"]


def test_a_postgresql_that_is_old_or_knows_few_letters_is_an_error() -> None:
    assert [one.level for one in checkup.about_postgresql(15, "UTF8")] == GOOD
    assert [one.level for one in checkup.about_postgresql(14, "SQL_ASCII")] == [Level.ERROR, Level.ERROR, Level.OK]


@pytest.mark.django_db
def test_a_missing_migration_is_an_error() -> None:
    assert levels("migrations") == GOOD
    MigrationRecorder(connection).record_unapplied("incidents", max(n for a, n in health._leaves() if a == "incidents"))
    assert "Run `manage.py migrate`" in bad("migrations").sentence


@pytest.mark.django_db
def test_the_clocks_of_this_machine_and_of_the_database_are_compared() -> None:
    assert levels("clock") == GOOD
    assert [[one.level for one in checkup.skew(seconds)] for seconds in (1.5, -3, 3, 31, -31)] == [
        GOOD,
        *[[Level.WARNING]] * 2,
        *[[Level.ERROR]] * 2,
    ]


# ── the machine ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_zone_rules_of_the_system_and_old_ones_are_told() -> None:
    released = dt.datetime(int(zones.IANA_VERSION[:4]), 6, 1, tzinfo=dt.UTC)
    assert levels("time zones", released) == GOOD
    assert bad("time zones", released.replace(year=released.year + 2)).level == Level.WARNING
    zoneinfo.reset_tzpath(to=["/usr/share/zoneinfo"])
    try:
        assert bad("time zones", released).level == Level.ERROR
    finally:
        zoneinfo.reset_tzpath(to=())


def test_a_disk_that_fills_up_is_told_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkup, "ROOM_NOTICED", 1)
    monkeypatch.setattr(checkup, "ROOM_HARMFUL", 1)
    assert levels("disk") == GOOD
    monkeypatch.setattr(checkup, "ROOM_NOTICED", 10**18)
    assert bad("disk").level == Level.WARNING
    monkeypatch.setattr(checkup, "ROOM_HARMFUL", 10**18)
    assert bad("disk").level == Level.ERROR


def test_static_files_that_are_missing_or_of_another_version_are_told(settings: Settings, tmp_path: Path) -> None:
    settings.STATIC_ROOT = tmp_path / "static"
    assert bad("static files").level == Level.WARNING
    shutil.copytree(settings.STATICFILES_DIRS[0], settings.STATIC_ROOT)
    assert levels("static files") == GOOD
    (settings.STATIC_ROOT / "due_notice" / "admin.css").write_text("old")
    assert ": 1 of " in bad("static files").sentence


def test_redis_that_is_gone_or_forgets_is_told(settings: Settings, redis_server: RedisServer) -> None:
    settings.REDIS_URL = ""
    assert levels("broker") == GOOD
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    assert "outbox run --loop" in bad("broker").remedy
    settings.REDIS_URL = redis_server.url
    with redis.Redis.from_url(redis_server.url) as server:
        version = int(server.info()["redis_version"].split(".")[0])
        assert levels("broker")[-1:] == GOOD
        server.config_set("maxmemory", "100mb")
        server.config_set("maxmemory-policy", "allkeys-lru")
        told = [finding.sentence for finding in found("broker") if "throw doorbells away" in finding.sentence]
        server.config_set("maxmemory-policy", "noeviction")
        server.config_set("maxmemory", "0")
    assert len(told) == 1
    assert (version < checkup.LEAST_REDIS) == (len(found("broker")) == 2)


def test_a_provider_of_single_sign_on_that_is_gone_or_is_another_is_told(settings: Settings) -> None:
    assert levels("single sign-on") == GOOD
    with openid.running() as provider:
        settings.OIDC_ISSUER = provider.issuer
        assert levels("single sign-on") == GOOD
        provider.document["issuer"] = f"{provider.issuer}/"
        assert "to the letter" in bad("single sign-on").sentence
    assert "OIDC_ISSUER" in bad("single sign-on").remedy


# ── the trail ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.django_db
def test_a_key_that_does_not_open_the_newest_seal_is_an_error(settings: Settings) -> None:
    assert bad("seal key").level == Level.WARNING  # nothing is sealed so far
    cast.client("Northwind", "UTC")
    seals.seal()
    assert levels("seal key") == GOOD
    former, settings.SEAL_KEY = settings.SEAL_KEY, "another key of more than thirty-two letters"
    assert "SEAL_KEY_FALLBACKS" in bad("seal key").remedy
    settings.SEAL_KEY_FALLBACKS = [former]
    assert levels("seal key") == GOOD
    with append_only.lifted(connection):
        cast.past_the_trail(Seal.objects.all(), mac="0" * 64)
    assert "not as it was made" in bad("seal key").sentence


@pytest.mark.django_db
def test_an_anchor_is_asked_for_each_month() -> None:
    assert "ever taken" in bad("anchor").sentence
    cast.client("Northwind", "UTC")
    seals.seal()
    call_command("audit", "anchor", stdout=io.StringIO())
    assert levels("anchor") == GOOD
    assert "was taken 36 d" in bad("anchor", timezone.now() + 36 * DAY).sentence


# ── people and agreements ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.django_db
def test_who_is_missing_or_cannot_be_alarmed_is_told(ada: User, max_: User, olga: User) -> None:
    assert levels("people") == GOOD
    olga.email = ""
    cast.save(olga)
    assert "(Olga" in str(bad("people")) or "(olga" in str(bad("people"))
    olga.is_active = False
    cast.save(olga)
    assert "is an operator" in bad("people").sentence
    for person in (ada, max_):
        cast.demote(person)
    assert levels("people") == [Level.ERROR, Level.WARNING, Level.WARNING]


def test_a_calendar_that_runs_out_is_told(northwind: ServiceAgreement) -> None:
    now = timezone.now()
    assert levels("calendars", now) == GOOD
    SpecialDay.objects.create(calendar=northwind.calendar, on=now.date() + 10 * DAY)
    assert northwind.calendar.name in str(bad("calendars", now))
    SpecialDay.objects.create(calendar=northwind.calendar, on=now.date() + 200 * DAY)
    assert levels("calendars", now) == GOOD


def test_an_agreement_whose_client_nobody_can_mail_is_an_error(northwind: ServiceAgreement) -> None:
    assert levels("contacts") == GOOD
    for contact in Contact.objects.all():
        contact.is_active = False
        cast.save(contact)
    assert bad("contacts").level == Level.ERROR
    assert "(Northwind" in str(bad("contacts"))


def test_an_agreement_that_ends_without_another_is_told(northwind: ServiceAgreement) -> None:
    now = timezone.now()
    assert levels("agreements", now) == GOOD
    northwind.ends_at = now + 59 * DAY
    cast.save(northwind)
    assert f"({northwind})" in str(bad("agreements", now))
    ServiceAgreement.objects.create(
        reference=northwind.reference,
        version=2,
        client=northwind.client,
        calendar=northwind.calendar,
        effective_at=northwind.ends_at,
        clause=northwind.clause,
    )
    assert levels("agreements", now) == GOOD
    assert "No agreement is in force" in bad("agreements", dt.datetime(1990, 1, 1, tzinfo=dt.UTC)).sentence


def test_a_zone_that_the_rules_do_not_know_is_an_error(northwind: ServiceAgreement) -> None:
    assert levels("zones in use") == GOOD
    cast.past_the_trail(type(northwind.client).objects, time_zone="Europe/Atlantis")
    assert "(Europe/Atlantis)" in str(bad("zones in use"))


# ── notices ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.django_db
def test_parts_that_are_silent_are_errors_each() -> None:
    now = timezone.now()
    assert levels("worker and beat", now) == [Level.ERROR] * len(Part)
    for part in Part:
        Heartbeat.objects.create(part=part, at=now, worker="test")
    assert levels("worker and beat", now) == GOOD
    assert "Silent for 5 min: the planner" in found("worker and beat", now + dt.timedelta(minutes=5))[0].sentence


def test_what_waits_for_a_person_is_told(olga: User, northwind: ServiceAgreement) -> None:
    now = timezone.now()
    for part in Part:
        Heartbeat.objects.create(part=part, at=now, worker="test")
    declared(olga)
    assert levels("queue", now) == GOOD
    lifecycle.notify_client(Incident.objects.get(), by=olga, now=now)
    cast.past_the_trail(Notice.objects, state=NoticeState.FAILED)
    assert "wait for a person" in bad("queue", now).sentence


def test_nobody_outside_is_told_until_somebody_is(settings: Settings) -> None:
    settings.HEARTBEAT_URL = settings.CANARY_ADDRESS = ""
    assert levels("who notices silence") == [Level.WARNING] * 2
    settings.HEARTBEAT_URL, settings.CANARY_ADDRESS = "https://hc.northwind.test/x", "canary@northwind.test"
    assert levels("who notices silence") == GOOD


def test_deadlines_by_older_rules_are_told(olga: User, northwind: ServiceAgreement) -> None:
    declared(olga)
    assert levels("rules of deadlines") == GOOD
    cast.past_the_trail(Deadline.objects, iana_version="2001a")
    assert "recheck" in bad("rules of deadlines").remedy


def test_the_relay_is_spoken_to_and_gets_no_mail(settings: Settings, smtp_sink: SmtpSink) -> None:
    settings.MAIL_RELAY = MailRelay("127.0.0.1", smtp_sink.port, "none", "user", "hunter2")
    assert levels("mail relay") == GOOD
    assert (smtp_sink.logins, smtp_sink.messages) == ([("user", "hunter2")], [])
    smtp_sink.refuse_login()
    refused = bad("mail relay")
    assert "535 5.7.8 wrong credentials" in refused.sentence
    assert "hunter2" not in str(refused)
    smtp_sink.stop()
    assert "ConnectionRefusedError" in bad("mail relay").sentence
    settings.MAIL_RELAY = MailRelay("127.0.0.1", 1, "tls")
    assert bad("mail relay").level == Level.ERROR


# ── the command and the page ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.django_db
def test_a_test_mail_is_a_real_one(settings: Settings, smtp_sink: SmtpSink) -> None:
    settings.MAIL_RELAY = MailRelay("127.0.0.1", smtp_sink.port, "none")
    told = io.StringIO()
    with pytest.raises(SystemExit):  # nothing else is at work here
        call_command("doctor", send_test_mail="ada@northwind.test", stdout=told)
    assert "OK       test mail: The mail server took a test message: 250 OK: kept." in told.getvalue()
    [mail] = smtp_sink.messages
    assert (mail.recipients, mail.subject) == (("ada@northwind.test",), "Due Notice: a test message")
    smtp_sink.refuse("eve@northwind.test")
    with pytest.raises(SystemExit):
        call_command("doctor", send_test_mail="eve@northwind.test", stdout=told)
    assert "550 no such user" in told.getvalue()
    for wrong in ("ada", "ada@x.test\r\nBcc: eve@x.test", ""):
        with pytest.raises(CommandError, match="is no mail address"):
            call_command("doctor", send_test_mail=wrong, stdout=told)


def test_on_real_parts_it_says_what_is_wrong_with_them(
    processes: Processes,
    postgres: PostgresServer,
    postgres_url: str,
    seeded_postgres: str,
    postgres_role: str,
    redis_server: RedisServer,
    smtp_sink: SmtpSink,
) -> None:
    copy_postgres(seeded_postgres, postgres_url, postgres)
    processes.env |= {"DATABASE_URL": postgres_url, "REDIS_URL": redis_server.url, "EMAIL_URL": smtp_sink.url}

    def told() -> dict[str, list[dict[str, Any]]]:
        done = processes.manage("doctor", "--json", check=False)
        rows = json.loads(done.stdout)
        assert done.returncode == any(row["level"] == "error" for row in rows)
        return {row["check"]: [one for one in rows if one["check"] == row["check"]] for row in rows}

    as_owner = told()
    assert "owns its tables" in as_owner["database"][-1]["sentence"]
    assert {as_owner[name][0]["level"] for name in ("migrations", "clock", "mail relay")} == {"ok"}
    processes.env["DATABASE_URL"] = postgres.as_role(postgres_url, postgres_role)
    processes.start_outbox()
    processes.wait_until(lambda: told()["worker and beat"][0]["level"] == "ok", 60, "the doctor saw the loop at work")
    assert [row["level"] for row in told()["database"]] == ["ok"]
    processes.env["DATABASE_URL"] = "postgres://nobody:hunter2@127.0.0.1:1/nowhere"
    without = processes.manage("doctor", check=False)
    assert without.returncode == 1
    assert without.stdout.count("The database does not answer") == 1
    assert "hunter2" not in without.stdout


def test_an_administrator_sees_how_the_installation_is_and_nobody_else(
    ada: User, olga: User, northwind: ServiceAgreement
) -> None:
    for contact in Contact.objects.all():
        contact.is_active = False
        cast.save(contact)
    BrowserReport.objects.create(on=timezone.now().date(), directive="img-src", blocked="own", page="admin/", count=7)
    address = reverse("admin:installation")
    page = cast.browser_of(ada).get(address).content.decode()
    assert "Clients with an agreement in force whom nobody can mail: 1." in page
    assert "Northwind" not in page.split("<main")[-1]  # whoever is limited to some clients reads it too
    assert "img-src" in page
    assert cast.browser_of(ada).post(address).status_code == 405
    assert cast.browser_of(olga).get(address).status_code == 403
    assert Browser().get(address).status_code == 302


def test_every_check_is_named_in_the_docs_with_what_to_do() -> None:
    docs = (settings.BASE_DIR / "docs" / "administration.md").read_text()
    rows = [line.strip("| ").split(" | ") for line in docs.splitlines() if line.startswith("| ")]
    told = {row[0]: row[2] for row in rows if len(row) == 3 and row[2].strip()}
    assert sorted(set(doctor.names()) - set(told)) == []
