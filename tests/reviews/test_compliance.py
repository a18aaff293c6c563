"""What a client was owed in a period is counted as the definitions say, and page, file and PDF say the same."""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import io
import random
import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any
from xml.dom import minidom

import pytest
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone
from pypdf import PdfReader

from agreements.models import Client, ClientScope, Obligation, ServiceAgreement, StartEvent
from agreements.terms import agreed_terms
from config import exports, zones
from config.models import Export, User
from config.periods import Period
from incidents import lifecycle
from incidents.models import Deadline, Incident, TermsCopy
from reviews import compliance
from reviews import lifecycle as reviewing
from reviews.compliance import Became, Compliance, Why
from reviews.compliance_document import Tables
from tests import cast
from tests.cast import at, browser_of

pytestmark = pytest.mark.django_db
PAGE, PDF = "admin:reviews_compliance", "admin:reviews_compliance_pdf_export"
EXPORT = "admin:reviews_compliance_export"
NOVEMBER, OCTOBER = (Period.of_months(dt.date(2026, month, 1)) for month in (11, 10))
LATER = dt.datetime(2026, 12, 2, 12, 0, tzinfo=dt.UTC)
HOUR, MINUTE = dt.timedelta(hours=1), dt.timedelta(minutes=1)


@pytest.fixture
def adatum(olga: User) -> ServiceAgreement:
    """Round the clock: notice in 4 hours, resolution in 8, both for critical and high ones; a client in Berlin."""
    client = cast.client("Adatum", "Europe/Berlin", "it@adatum.example")
    made = cast.agreement("AD-1", client, cast.always_open("Adatum's"), cast.service("Tape"))
    for severity in ("critical", "high"):
        cast.commit(made, Obligation.NOTIFY, 4, severity=severity)
        cast.commit(made, Obligation.RESOLVE, 8, severity=severity)
    return made


def declare(olga: User, clock: str, severity: str = "critical", service: str = "Tape", **fields: Any) -> Incident:
    return lifecycle.declare(
        by=olga,
        now=at(clock),
        title="Tapes cannot be read",
        severity=severity,
        services=[cast.service(service)],
        detected_at=at(clock),
        **fields,
    )


def told(incident: Incident, olga: User, clock: str) -> None:
    client = lifecycle.affected_clients(incident)[0]
    lifecycle.record_told(incident, client, Obligation.NOTIFY, by=olga, now=at(clock), at=at(clock), evidence="Called.")


def of(agreement: ServiceAgreement, period: Period = NOVEMBER, now: dt.datetime = LATER) -> Compliance:
    return compliance.of(Client.objects.get(pk=agreement.client_id), period, now)


def line(found: Compliance, obligation: str = "", severity: str = "") -> tuple[int, int, int, int]:
    """(met, missed, running, ended)"""
    lines = (
        one for one in compliance.lines(found.told.rows) if (one.obligation, one.severity) == (obligation, severity)
    )
    one = next(lines, None)
    return (one.met, one.missed, one.running, one.ended) if one else (0, 0, 0, 0)


# ── the definitions, one by one ─────────────────────────────────────────────────────────────────────────────────────


class TestWhatCounts:
    def test_a_deadline_counts_where_it_falls_due_met_at_its_due_time_and_missed_a_second_later(
        self, adatum: ServiceAgreement, olga: User
    ) -> None:
        one, other = declare(olga, "08:00"), declare(olga, "08:00")
        told(one, olga, "12:00")
        lifecycle.record_told(
            other, adatum.client, Obligation.NOTIFY, by=olga, now=at("13:00"), at=at("12:00") + dt.timedelta(seconds=1),
            evidence="Called.",
        )  # fmt: skip
        found = of(adatum)
        assert line(found, "notify", "critical") == (1, 1, 0, 0)
        assert line(found, "resolve", "critical") == (0, 2, 0, 0)
        assert line(found) == (1, 3, 0, 0)
        late = [row.late for row in found.told.rows if row.became == Became.MISSED]
        assert sorted(late)[0] == dt.timedelta(seconds=1)  # type: ignore[type-var]
        assert max(late) == LATER - at("16:00")  # type: ignore[type-var]  # and it is not done yet
        assert line(of(adatum, now=at("12:30")), "resolve", "critical") == (0, 0, 2, 0)
        assert line(of(adatum, OCTOBER)) == (0, 0, 0, 0)

    def test_a_duty_without_a_time_counts_apart_where_it_began_and_one_that_waits_nowhere(
        self, adatum: ServiceAgreement, olga: User
    ) -> None:
        cast.commit(adatum, Obligation.MITIGATE, None)
        cast.commit(adatum, Obligation.REPORT, 24, start_event=StartEvent.RESOLVED)
        incident = declare(olga, "08:00")
        lifecycle.mitigate(incident, by=olga, now=at("09:30"))
        declare(olga, "10:00")
        found = of(adatum)
        assert line(found)[:2] == (0, 4)
        assert compliance.undated(found.told.rows) == [("mitigate", "critical", 1, 1, 0, 1.5 * HOUR, 1.5 * HOUR)]
        assert not [row for row in found.told.rows if row.obligation == "report"]

    def test_our_own_target_is_told_to_colleagues_alone(self, adatum: ServiceAgreement, olga: User) -> None:
        cast.commit(adatum, Obligation.MITIGATE, None, target_amount=1, target_unit="hours")
        lifecycle.mitigate(declare(olga, "08:00"), by=olga, now=at("09:30"))
        found = of(adatum)
        (remark,) = (one for one in found.remarks if one.target_at)
        assert (remark.target_at, remark.target_became) == (at("09:00"), "missed")
        assert at("09:00").isoformat(timespec="microseconds").encode() in found.canonical()
        assert at("09:00").isoformat(timespec="microseconds").encode() not in found.told.canonical()
        assert "target" not in found.told.canonical().decode()

    def test_every_update_counts_and_the_one_that_was_running_when_it_was_resolved_is_not_owed(
        self, adatum: ServiceAgreement, olga: User
    ) -> None:
        cast.commit(adatum, Obligation.UPDATE, 1, is_recurring=True)
        incident = declare(olga, "08:00")
        for clock in ("08:40", "09:50"):  # in time, and ten minutes late
            lifecycle.record_told(
                incident, adatum.client, Obligation.UPDATE, by=olga, now=at(clock), at=at(clock), evidence="Called."
            )
        lifecycle.resolve(incident, by=olga, now=at("10:00"))
        found = of(adatum)
        assert line(found, "update", "critical") == (1, 1, 0, 1)
        (ended,) = (row for row in found.told.rows if row.became == Became.ENDED)
        assert (ended.why, ended.cycle) == (Why.RESOLVED, 3)

    def test_after_a_reclassification_each_severity_has_its_own(self, adatum: ServiceAgreement, olga: User) -> None:
        incident = declare(olga, "08:00", "high")
        told(incident, olga, "09:00")
        lifecycle.reclassify(incident, "critical", by=olga, now=at("10:00"), reason="All tapes, said Kim.")
        found = of(adatum)
        assert line(found, "resolve", "high") == (0, 0, 0, 1)
        assert line(found, "resolve", "critical") == (0, 1, 0, 0)
        assert line(found, "notify", "high") == (1, 0, 0, 0)
        (ended,) = (row for row in found.told.rows if row.became == Became.ENDED)
        assert ended.why == Why.RECLASSIFIED


class TestMerged:
    def merged(self, olga: User, child: Incident, master: Incident, clock: str) -> None:
        lifecycle.merge(child, master, by=olga, now=at(clock), reason="The same robot.")

    def test_what_both_owed_counts_once_with_the_one_that_is_left(self, adatum: ServiceAgreement, olga: User) -> None:
        child, master = declare(olga, "08:00"), declare(olga, "09:00")
        told(child, olga, "10:00")
        self.merged(olga, child, master, "11:00")
        found = of(adatum)
        assert line(found, "notify", "critical") == (1, 0, 0, 1)
        assert line(found, "resolve", "critical") == (0, 1, 0, 1)
        ended = [row for row in found.told.rows if row.became == Became.ENDED]
        assert {row.incident for row in ended} == {child.reference}
        assert {row.why for row in ended} == {Why.MERGED}
        assert [row.counts_with for row in ended if row.done_at] == [master.reference]

    def test_the_same_miss_counts_once(self, adatum: ServiceAgreement, olga: User) -> None:
        child, master = declare(olga, "08:00"), declare(olga, "09:00")
        self.merged(olga, child, master, "12:30")  # the notice was due at 12:00
        told(master, olga, "12:40")
        found = of(adatum)
        assert line(found, "notify", "critical") == (0, 1, 0, 1)
        (missed,) = (row for row in found.told.rows if row.became == Became.MISSED and row.obligation == "notify")
        assert (missed.incident, missed.late) == (master.reference, 40 * MINUTE)

    def test_a_miss_that_the_other_does_not_share_is_not_lost(self, adatum: ServiceAgreement, olga: User) -> None:
        child, master = declare(olga, "08:00"), declare(olga, "08:00")
        told(master, olga, "08:30")
        self.merged(olga, child, master, "12:30")
        found = of(adatum)
        assert line(found, "notify", "critical") == (1, 1, 0, 0)
        (missed,) = (row for row in found.told.rows if row.became == Became.MISSED and row.obligation == "notify")
        assert missed.incident == child.reference

    def test_of_a_chain_it_is_the_last_that_counts(self, adatum: ServiceAgreement, olga: User) -> None:
        one, two, three = (declare(olga, "08:00") for _number in range(3))
        told(one, olga, "08:30")
        self.merged(olga, one, two, "09:00")
        self.merged(olga, two, three, "09:10")
        found = of(adatum)
        assert line(found, "notify", "critical") == (1, 0, 0, 2)
        assert {row.counts_with for row in found.told.rows if row.done_at and row.counts_with} == {three.reference}


class TestWaivers:
    def test_an_exclusion_is_named_with_its_reason_and_unmakes_no_miss(
        self, adatum: ServiceAgreement, olga: User
    ) -> None:
        incident = declare(olga, "08:00")
        lifecycle.exclude_agreement(incident, adatum, by=olga, now=at("13:00"), reason="Not their tapes.")
        found = of(adatum)
        assert line(found, "notify", "critical") == (0, 1, 0, 0)
        assert line(found, "resolve", "critical") == (0, 0, 0, 1)
        assert [(one.incident, one.at, one.reason) for one in found.exclusions] == [
            (incident.reference, at("13:00"), "Not their tapes.")
        ]
        assert found.told.incidents[0].title == "", "it does not concern them"
        assert "Not their tapes." not in found.told.canonical().decode()

    def test_a_correction_that_excused_a_miss_is_named_with_its_reason(
        self, adatum: ServiceAgreement, olga: User
    ) -> None:
        excused, moved = declare(olga, "08:00"), declare(olga, "08:00")
        told(excused, olga, "12:30")
        told(moved, olga, "09:00")
        for incident in (excused, moved):
            lifecycle.correct_times(
                incident, by=olga, now=at("14:00"), detected_at=at("09:00"), reason="The first alarm was a test."
            )
        found = of(adatum)
        assert line(found, "notify", "critical") == (2, 0, 0, 0)
        (row,) = (row for row in found.told.rows if row.moved_from)
        assert (row.incident, row.moved_from, row.due_at) == (excused.reference, at("12:00"), at("13:00"))
        (remark,) = (one for one in found.remarks if one.move_reason)
        assert remark.move_reason == "The first alarm was a test."

    def test_a_pause_that_excused_a_miss_is_named_too(self, adatum: ServiceAgreement, olga: User) -> None:
        cast.commit(adatum, Obligation.MITIGATE, 2, is_pausable=True)
        incident = declare(olga, "08:00")
        lifecycle.pause(incident, by=olga, now=at("09:00"), reason="Waits for the client's key.")
        lifecycle.resume(incident, by=olga, now=at("11:00"), reason="It came.")
        lifecycle.mitigate(incident, by=olga, now=at("11:30"))
        (row,) = (row for row in of(adatum).told.rows if row.moved_from)
        assert (row.became, row.moved_from, row.due_at) == ("met", at("10:00"), at("12:00"))

    def test_a_review_that_was_waived_is_named_with_its_reason(
        self, adatum: ServiceAgreement, olga: User, max_: User
    ) -> None:
        incident = declare(olga, "08:00")
        lifecycle.resolve(incident, by=olga, now=at("09:00"))
        review = reviewing.open_review(incident, by=olga, now=at("09:10"))
        reviewing.waive(review, by=max_, now=at("10:00"), reason="The same as last week.")
        assert [(one.at, one.reason) for one in of(adatum).reviews] == [(at("10:00"), "The same as last week.")]
        assert of(adatum, OCTOBER).reviews == ()

    def test_a_reason_that_names_a_client_whom_the_reader_does_not_see_is_kept_back(
        self, adatum: ServiceAgreement, northwind: ServiceAgreement, olga: User, max_: User
    ) -> None:
        incident = declare(olga, "08:00")
        lifecycle.exclude_agreement(incident, adatum, by=olga, now=at("09:00"), reason="It is northwind's tape.")
        ClientScope.objects.create(user=max_, client=adatum.client)
        seen = compliance.of(adatum.client, NOVEMBER, LATER, max_)
        assert [one.reason for one in seen.exclusions] == ["It names a client whom you do not see."]
        assert "northwind" not in seen.canonical().decode()


# ── months of the client's zone ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("zone", "month", "begins", "ends"),
    [
        ("Europe/Berlin", "2026-10-01", "2026-09-30T22:00Z", "2026-10-31T23:00Z"),  # the clocks go back on the 25th
        ("Europe/Berlin", "2026-03-01", "2026-02-28T23:00Z", "2026-03-31T22:00Z"),
        ("America/New_York", "2026-11-01", "2026-11-01T04:00Z", "2026-12-01T05:00Z"),  # back on its very first day
        ("Asia/Beirut", "2026-03-01", "2026-02-28T22:00Z", "2026-03-31T21:00Z"),  # forward at a midnight within it
        ("Pacific/Apia", "2026-05-01", "2026-04-30T11:00Z", "2026-05-31T11:00Z"),
    ],
)
def test_a_month_begins_and_ends_where_the_client_lives(
    adatum: ServiceAgreement, zone: str, month: str, begins: str, ends: str
) -> None:
    adatum.client.time_zone = zone
    cast.save(adatum.client)
    first, beyond = (dt.datetime.fromisoformat(text) for text in (begins, ends))
    second = dt.timedelta(seconds=1)
    for number, due_at in enumerate((first - second, first, beyond - second, beyond)):
        owe(adatum, number, due_at=due_at, met_at=due_at)
    found = of(adatum, Period.of_months(dt.date.fromisoformat(month)))
    assert [row.due_at for row in found.told.rows] == [first, beyond - second]
    assert {table.slug for table in Tables(found.told).all() if table.rows} >= {"figures", "deadlines"}


def test_a_client_with_nothing_has_nothing_counted_and_is_told_so(adatum: ServiceAgreement, max_: User) -> None:
    found = of(adatum)
    assert (found.told.rows, found.told.took, found.told.incidents) == ((), (), ())
    assert compliance.lines(found.told.rows) == []
    html = browser_of(max_).get(reverse(PAGE), asked(adatum)).content.decode()
    assert "Nothing with a fixed time fell due." in html
    assert PdfReader(io.BytesIO(body(browser_of(max_).get(reverse(PDF), asked(adatum))))).pages


# ── an independent count ────────────────────────────────────────────────────────────────────────────────────────────


def owe(agreement: ServiceAgreement, number: int, **fields: Any) -> Deadline:
    """A deadline of an incident of its own, with these instants."""
    commitments = agreement.commitments.order_by("pk")
    commitment = commitments[number % len(commitments)]
    started_at = fields.pop("started_at", None) or (fields.get("due_at") or LATER) - 4 * HOUR
    incident = Incident.objects.create(
        reference=f"INC-2026-{number:04d}",
        title=f"Incident {number}",
        severity=commitment.severity,
        detected_at=started_at,
        declared_at=started_at,
    )
    return Deadline.objects.create(
        incident=incident,
        commitment=commitment,
        agreement=agreement,
        client=agreement.client,
        obligation=commitment.obligation,
        severity=commitment.severity,
        start_event=commitment.start_event,
        terms_copy=TermsCopy.of(agreed_terms(commitment)),
        iana_version=zones.IANA_VERSION,
        started_at=started_at,
        **fields,
    )


@pytest.mark.parametrize("seed", [7, 20261127])
def test_the_figures_are_those_of_a_plain_count(
    adatum: ServiceAgreement, northwind: ServiceAgreement, seed: int
) -> None:
    """Two months of deadlines at random, of two clients, some done, some ended, some paused, some without a time."""
    dice = random.Random(seed)  # noqa: S311 - a world, no secret
    begin = dt.datetime(2026, 10, 10, tzinfo=dt.UTC)
    now = dt.datetime(2026, 11, 25, tzinfo=dt.UTC)  # some of it is still ahead
    for number in range(160):
        due_at = begin + dice.randrange(60 * 24 * 60) * MINUTE
        done_at = due_at + dice.randint(-240, 240) * MINUTE if dice.random() < 0.8 else None
        became = dice.choice(("met_at", "met_at", "met_at", "ended_at", "paused_at"))
        fields: dict[str, Any] = {became: done_at, "due_at": due_at if dice.random() < 0.9 else None}
        of_whom = adatum if dice.random() < 0.9 else northwind
        owe(of_whom, number, started_at=due_at - 4 * HOUR, **fields)

    berlin = zones.zone("Europe/Berlin")
    expected: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    late: dict[tuple[str, str], list[dt.timedelta]] = defaultdict(list)
    open_ended: Counter[str] = Counter()
    for deadline in Deadline.objects.filter(client=adatum.client):
        counts_at = deadline.due_at or deadline.started_at
        assert counts_at is not None
        if counts_at.astimezone(berlin).strftime("%Y-%m") != "2026-11":
            continue
        kind = (deadline.obligation, deadline.severity)
        if deadline.due_at is None:
            open_ended["done" if deadline.met_at else "ended" if deadline.ended_at else "running"] += 1
            continue
        judged_at = deadline.met_at or deadline.ended_at or deadline.paused_at or now
        if judged_at > deadline.due_at:
            expected[kind]["missed"] += 1
            late[kind].append((deadline.met_at or deadline.ended_at or now) - deadline.due_at)
        elif deadline.met_at:
            expected[kind]["met"] += 1
        else:
            expected[kind]["ended" if deadline.ended_at else "running"] += 1
    assert sum(counted.total() for counted in expected.values()) > 50

    found = of(adatum, now=now)
    whole, *lines = compliance.lines(found.told.rows)
    assert {(one.obligation, one.severity) for one in lines} == set(expected)
    for one in lines:
        kind = (one.obligation, one.severity)
        assert Counter({name: n for name in Became.values if (n := getattr(one, name))}) == expected[kind]
        assert one.owed == expected[kind].total() - expected[kind]["ended"]
        if late[kind]:
            assert one.median is not None
            median = statistics.median(span.total_seconds() for span in late[kind])
            assert one.median.total_seconds() == pytest.approx(median)
            assert one.worst == max(late[kind])
    assert whole.missed == sum(counted["missed"] for counted in expected.values())
    apart = compliance.undated(found.told.rows)
    assert (sum(u.done for u in apart), sum(u.ended for u in apart), sum(u.running for u in apart)) == (
        open_ended["done"],
        open_ended["ended"],
        open_ended["running"],
    )


def test_times_run_from_detection_of_what_was_detected_in_the_period(adatum: ServiceAgreement, olga: User) -> None:
    for minutes in (10, 20, 90):
        incident = declare(olga, "08:00")
        done_at = at("08:00") + minutes * MINUTE
        lifecycle.acknowledge(incident, by=olga, now=done_at)
        told(incident, olga, f"{done_at:%H:%M}")
    child = declare(olga, "08:00")
    lifecycle.merge(child, incident, by=olga, now=at("09:45"), reason="The same robot.")
    took = {(one.phase, one.severity): (one.incidents, one.median, one.ninetieth) for one in of(adatum).told.took}
    assert took["acknowledgement", ""] == took["acknowledgement", "critical"] == (3, 20 * MINUTE, 76 * MINUTE)
    assert took["notice", ""] == (3, 20 * MINUTE, 76 * MINUTE)
    assert ("resolution", "") not in took
    assert of(adatum, OCTOBER).told.took == ()


# ── page, file, PDF ─────────────────────────────────────────────────────────────────────────────────────────────────


def asked(agreement: ServiceAgreement, **typed: str) -> dict[str, str]:
    days = {"period": "own", "since": "2026-11-01", "until": "2026-11-30"}
    return {"client": str(agreement.client_id), **days, **typed}


def body(answer: Any) -> bytes:
    return b"".join(answer.streaming_content)


def squeezed(text: str) -> str:
    """Where a line is broken says nothing."""
    return "".join(text.split())


@pytest.fixture
def full(adatum: ServiceAgreement, olga: User, max_: User) -> Incident:
    """Something in every table."""
    cast.commit(adatum, Obligation.MITIGATE, None, target_amount=1, target_unit="hours")
    incident = declare(olga, "08:00")
    lifecycle.acknowledge(incident, by=olga, now=at("09:10"))
    told(incident, olga, "12:30")
    lifecycle.correct_times(incident, by=olga, now=at("13:00"), detected_at=at("09:00"), reason="=SUM(A1)")
    lifecycle.resolve(incident, by=olga, now=at("18:00"))
    other = declare(olga, "08:00", "high")
    lifecycle.exclude_agreement(other, adatum, by=olga, now=at("09:00"), reason="Not their tapes.")
    review = reviewing.open_review(incident, by=olga, now=at("18:10"))
    reviewing.waive(review, by=max_, now=at("19:00"), reason="The same as last week.")
    return incident


class TestThePage:
    def test_more_than_a_page_can_count_is_refused_with_what_to_do(
        self, adatum: ServiceAgreement, full: Incident, max_: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        browser, count = browser_of(max_), len(of(adatum).told.rows)
        monkeypatch.setattr(compliance, "MOST", count)
        assert "Not their tapes." in browser.get(reverse(PAGE), asked(adatum)).content.decode()
        monkeypatch.setattr(compliance, "MOST", count - 1)
        said = browser.get(reverse(PAGE), asked(adatum)).content.decode()
        assert f"More than {count - 1} deadlines fell due in these days. Choose fewer days." in said
        assert "Not their tapes." not in said
        assert browser.get(reverse(PDF), asked(adatum)).status_code == 404

    def test_page_file_and_pdf_say_the_same_in_the_client_s_zone_and_files_are_recorded(
        self, full: Incident, adatum: ServiceAgreement, max_: User
    ) -> None:
        browser = browser_of(max_)
        answer = browser.get(reverse(PAGE), asked(adatum))
        html = answer.content.decode()
        tables = answer.context["tables"]
        assert len(tables) == 10
        paper = body(browser.get(reverse(PDF), asked(adatum)))
        said = squeezed("".join(one.extract_text() for one in PdfReader(io.BytesIO(paper)).pages))
        for table, url in tables:
            assert table.rows, table.slug
            assert f'id="{table.slug}-heading"' in html
            file = body(browser.get(url))
            assert Export.objects.latest("pk").sha256 == hashlib.sha256(file).hexdigest()
            head, *lines = csv.reader(io.StringIO(file.decode("utf-8-sig")))
            assert head == list(table.head)
            with timezone.override("Europe/Berlin"):
                assert lines == [[str(exports.plain(value)) for value in row] for row in table.rows]
            for row in table.shown:
                assert all(squeezed(value) in said for value in row), (table.slug, row)
        assert "24 Nov 2026, 14:00 CET" in html  # the notice's due time
        assert "Late by, median" in html
        kept = Export.objects.earliest("pk")
        assert (kept.by, kept.sha256) == (max_, hashlib.sha256(paper).hexdigest())
        assert f"client={adatum.client_id}&first=2026-11-01&last=2026-11-30" in kept.query
        (facts,) = PdfReader(io.BytesIO(paper)).attachments["facts.json"]
        assert hashlib.sha256(facts).hexdigest() in said
        assert "'=SUM(A1)" in body(browser.get(reverse(EXPORT, args=["moved"]), asked(adatum))).decode()

    def test_pictures_are_well_formed_and_say_what_the_table_says(
        self, full: Incident, adatum: ServiceAgreement, max_: User
    ) -> None:
        html = browser_of(max_).get(reverse(PAGE), asked(adatum)).content.decode()
        pictures = re.findall(r'<svg class="picture".*?</svg>', html, re.DOTALL)
        assert len(pictures) == 2
        for picture in pictures:
            parsed = minidom.parseString(picture).documentElement  # noqa: S318 - our own
            assert parsed is not None
            assert parsed.getAttribute("aria-label")
            assert not re.search(r"style|script|\son\w+=", picture)
        boxes = re.findall(r"<title>([^<]+)</title><rect", pictures[0])
        assert boxes == ["Notify, Met: 1", "Resolve, Missed: 1"]

    def test_every_role_reads_it_and_nobody_without_one(
        self, full: Incident, adatum: ServiceAgreement, olga: User, max_: User, aude: User, ada: User
    ) -> None:
        addresses = [reverse(PAGE), reverse(PDF), reverse(EXPORT, args=["figures"])]
        for user in (olga, max_, aude, ada):
            for address in addresses:
                assert browser_of(user).get(address, asked(adatum)).status_code == 200
                assert browser_of(user).post(address, asked(adatum)).status_code == 405
        cast.demote(olga)
        assert {browser_of(olga).get(address, asked(adatum)).status_code for address in addresses} == {403}
        assert Browser().get(reverse(PAGE)).status_code == 302

    def test_who_is_limited_to_other_clients_sees_nothing_of_this_one(
        self, full: Incident, adatum: ServiceAgreement, northwind: ServiceAgreement, max_: User
    ) -> None:
        ClientScope.objects.create(user=max_, client=northwind.client)
        browser = browser_of(max_)
        for client in (str(adatum.client_id), "Adatum"):
            answer = browser.get(reverse(PAGE), asked(adatum, client=client))
            assert "tables" not in answer.context
            assert "No client that you see is called that." in answer.content.decode()
            assert browser.get(reverse(PDF), asked(adatum, client=client)).status_code == 404
        assert "Adatum" not in browser.get(reverse(PAGE)).content.decode()
        assert "Northwind" in browser.get(reverse(PAGE)).content.decode()

    @pytest.mark.parametrize(
        "typed",
        [
            {"since": "never"},
            {"since": ""},
            {"since": "2026-12-01", "until": "2026-01-01"},
            {"since": "2001-01-01"},
            {"period": "<script>"},
            {"period": "own", "since": "9999-12-31", "until": "9999-12-31"},
        ],
    )
    def test_whatever_the_address_says_the_page_answers_and_says_what_it_did_not_understand(
        self, adatum: ServiceAgreement, max_: User, typed: dict[str, str]
    ) -> None:
        answer = browser_of(max_).get(reverse(PAGE), asked(adatum, **typed))
        assert answer.status_code == 200
        assert answer.context["form"].errors
        assert "<script>" not in answer.content.decode().split('id="content"', 1)[1].split("</form>")[0]

    def test_a_month_and_a_quarter_are_offered(self, adatum: ServiceAgreement, max_: User) -> None:
        today = timezone.localdate()
        answer = browser_of(max_).get(reverse(PAGE), {"client": "Adatum", "period": f"{today:%Y-%m}"})
        assert answer.context["period"] == f"{today:%B %Y}"
        quarter = f"{today:%Y}-q{(today.month + 2) // 3}"
        assert (
            "quarter" in browser_of(max_).get(reverse(PAGE), {"client": "Adatum", "period": quarter}).context["period"]
        )

    def test_it_asks_as_often_for_many_as_for_few(
        self, adatum: ServiceAgreement, max_: User, django_assert_max_num_queries: Callable[..., Any]
    ) -> None:
        counts: list[int] = []
        number = 0
        for more in (2, 30):
            for _again in range(more):
                number += 1
                owe(adatum, number, due_at=at("12:00"), met_at=at("11:00"))
            browser = browser_of(max_)
            browser.get(reverse(PAGE), asked(adatum))
            with django_assert_max_num_queries(25) as queries:
                browser.get(reverse(PAGE), asked(adatum))
            counts.append(len(queries))
        assert counts[0] == counts[1]
