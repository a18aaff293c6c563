"""What the reviews of a period have in common is counted right, from what the reader sees. Runs on both databases."""

from __future__ import annotations

import csv
import datetime as dt
import io
import random
import re
import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any
from xml.dom import minidom

import pytest
from django.db import connection
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from agreements.models import ClientScope, ServiceAgreement, Severity
from config.history import acting
from config.models import Export, User
from config.periods import Period
from incidents.models import AffectedAgreement, AffectedService, Incident
from incidents.models.incident import Status
from reviews import learning
from reviews.admin.learning import TABLES
from reviews.learning import Done, Owed, Question, Took
from reviews.models import CorrectiveAction, Factor, FactorKind, Finding, PostIncidentReview, ReviewStatus
from reviews.phases import PhaseName
from tests import cast
from tests.cast import browser_of

pytestmark = pytest.mark.django_db
PAGE = "admin:reviews_learning"
AUTUMN = Period(dt.date(2026, 9, 1), dt.date(2026, 11, 30))
SEPTEMBER, OCTOBER, NOVEMBER = (dt.date(2026, month, 1) for month in (9, 10, 11))


def utc(month: int, day: int, hour: int = 12, minute: int = 0) -> dt.datetime:
    return dt.datetime(2026, month, day, hour, minute, tzinfo=dt.UTC)


def minutes(*counts: int) -> list[dt.timedelta]:
    return [dt.timedelta(minutes=count) for count in counts]


def happen(at: dt.datetime, *services: str, severity: str = "critical", **instants: dt.timedelta) -> Incident:
    """An incident detected then; `acknowledged`, `mitigated`, `resolved` so long afterwards."""
    times = {f"{name}_at": at + after for name, after in instants.items()}
    incident = Incident.objects.create(
        reference=f"INC-2026-{Incident.objects.count() + 1:04d}",
        title="Something fails",
        severity=severity,
        detected_at=at,
        declared_at=at,
        **times,
    )
    for name in services:
        AffectedService.objects.create(incident=incident, service=cast.service(name))
    return incident


def look_back(at: Incident, by: User, *factors: tuple[str, str], **fields: Any) -> PostIncidentReview:
    """A review of it, in which these factors (name, kind) were found."""
    review = PostIncidentReview.objects.create(incident=at, facilitator=by, opened_at=at.detected_at, **fields)
    for name, kind in factors:
        factor, _is_new = Factor.objects.get_or_create(name=name, defaults={"kind": kind})
        Finding.objects.create(review=review, factor=factor)
    return review


def promise(review: PostIncidentReview, due_on: dt.date, **fields: Any) -> CorrectiveAction:
    if "done_on" in fields:
        fields["evidence"] = "Seen."
    if "dropped_on" in fields:
        fields["why_dropped"] = "Too dear."
    return CorrectiveAction.objects.create(
        review=review, what="Do it", owner=review.facilitator, due_on=due_on, **fields
    )


def asked(reader: User, period: Period = AUTUMN, **options: Any) -> Question:
    return Question(learning.incidents(reader), period, reader, **options)


DISK, ROLLOUT = ("Disk", "technical"), ("No staged rollout", "process")


@pytest.fixture
def few(olga: User) -> list[PostIncidentReview]:
    """Three reviews that count, one that was waived, one before the period; and an incident without."""
    first = happen(utc(10, 1, 3, 30), "Payments", "Storage")  # still September in New York
    second = happen(utc(10, 15), "Payments")
    third = happen(utc(11, 2), "Payments", severity="low")
    waived = happen(utc(11, 3), "Login")
    early = happen(utc(8, 31), "Payments")
    happen(utc(11, 20), "Login")
    return [
        look_back(first, olga, DISK, ROLLOUT),
        look_back(second, olga, DISK),
        look_back(third, olga),
        look_back(waived, olga, DISK, status=ReviewStatus.WAIVED, waived_at=utc(11, 4)),
        look_back(early, olga, DISK),
    ]


class TestFactors:
    def test_each_counts_once_in_the_month_of_its_incident_and_for_each_of_its_services(
        self, few: list[PostIncidentReview], max_: User
    ) -> None:
        with timezone.override("America/New_York"):
            found = learning.factors(asked(max_))
        assert found.by_kind[FactorKind.TECHNICAL] == {SEPTEMBER: 1, OCTOBER: 1}
        assert found.by_kind[FactorKind.PROCESS] == {SEPTEMBER: 1}
        assert found.by_service == {"Payments": {SEPTEMBER: 2, OCTOBER: 1}, "Storage": {SEPTEMBER: 2}}
        assert (found.total, found.reviews, found.without) == (3, 3, 1)
        assert found.recurring == [("Disk", FactorKind.TECHNICAL, 2)]

    def test_a_month_begins_where_its_reader_lives(self, few: list[PostIncidentReview], max_: User) -> None:
        with timezone.override("UTC"):
            assert learning.factors(asked(max_)).by_kind[FactorKind.TECHNICAL] == {OCTOBER: 2}
            assert learning.factors(asked(max_, Period(SEPTEMBER, dt.date(2026, 9, 30)))).total == 0
        with timezone.override("America/New_York"):
            assert learning.factors(asked(max_, Period(SEPTEMBER, dt.date(2026, 9, 30)))).total == 2

    def test_of_a_kind_only_its_own_are_counted(self, few: list[PostIncidentReview], max_: User) -> None:
        rows = learning.with_kind(learning.incidents(max_), "process", max_)
        found = learning.factors(Question(rows, AUTUMN, max_, "process"))
        assert (found.total, found.reviews) == (1, 1)


def test_a_service_is_affected_again_soon_within_ninety_days(max_: User) -> None:
    for at in (utc(1, 1), utc(4, 1), utc(6, 30), utc(9, 29)):  # 90, 90 and 91 days apart
        happen(at, "Payments")
    happen(utc(5, 1), "Login")
    merged = happen(utc(5, 2), "Login")
    merged.status, merged.merged_into, merged.merged_at = Status.MERGED, Incident.objects.earliest("pk"), utc(5, 3)
    cast.save(merged)
    year = Period(dt.date(2026, 1, 1), dt.date(2026, 12, 31))
    assert learning.again(asked(max_, year)) == [("Payments", 4, 2)]


def test_actions_are_told_apart_by_what_became_of_them_in_the_month_they_were_due(olga: User, max_: User) -> None:
    review = look_back(happen(utc(1, 1), "Payments"), olga)  # long before: what counts is the due day
    promise(review, dt.date(2026, 9, 10), done_on=dt.date(2026, 9, 10))
    promise(review, dt.date(2026, 9, 20), done_on=dt.date(2026, 9, 21))
    promise(review, dt.date(2026, 9, 30), done_on=dt.date(2026, 9, 1))
    promise(review, dt.date(2026, 10, 9))
    promise(review, dt.date(2026, 10, 10))
    promise(review, dt.date(2026, 10, 20), dropped_on=dt.date(2026, 10, 1))
    promise(review, dt.date(2026, 12, 1))
    found = learning.actions(asked(max_), dt.date(2026, 10, 10))
    assert found == {SEPTEMBER: Done(on_time=2, late=1), OCTOBER: Done(overdue=1, open=1, dropped=1), NOVEMBER: Done()}
    assert [counted.share for counted in found.values()] == [67, 0, None]
    assert (found[SEPTEMBER] + found[OCTOBER]).share == 50


class TestPhases:
    def test_median_and_ninetieth_percentile_are_of_those_that_came_to_its_end(self, max_: User) -> None:
        for after in minutes(40, 10, 30, 20):
            happen(utc(10, 1), severity="high", acknowledged=after)
        happen(utc(10, 1), severity="high")
        happen(utc(10, 1), severity="low", acknowledged=minutes(7)[0], resolved=minutes(90)[0])
        found = learning.took(asked(max_))
        assert found[Severity.HIGH] == {PhaseName.ACKNOWLEDGEMENT: Took(4, *minutes(25, 37))}
        assert found[Severity.LOW] == {
            PhaseName.ACKNOWLEDGEMENT: Took(1, *minutes(7, 7)),
            PhaseName.RESOLUTION: Took(1, *minutes(90, 90)),
        }
        assert found[Severity.CRITICAL] == {}

    @pytest.mark.parametrize("count", [1, 2, 3, 10, 11, 97])
    def test_they_are_what_statistics_says(self, count: int) -> None:
        chance = random.Random(count)  # noqa: S311 - no secret
        spans = sorted(dt.timedelta(seconds=chance.randrange(100_000)) for _number in range(count))
        seconds = [span.total_seconds() for span in spans]
        assert learning.percentile(spans, 50).total_seconds() == pytest.approx(statistics.median(seconds))
        if count > 1:
            ninetieth = statistics.quantiles(seconds, n=10, method="inclusive")[8]
            assert learning.percentile(spans, 90).total_seconds() == pytest.approx(ninetieth)

    @pytest.mark.skipif("connection.vendor != 'postgresql'")
    def test_they_are_what_postgresql_says(self) -> None:
        spans = sorted(dt.timedelta(seconds=n * n * 7919 % 10_007) for n in range(37))
        for percent in (50, 90):
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT percentile_cont(%s) WITHIN GROUP (ORDER BY s) FROM unnest(%s::interval[]) s",
                    [percent / 100, spans],
                )
                assert cursor.fetchone()[0] == learning.percentile(spans, percent)


def test_reviews_that_were_owed_are_told_apart_by_what_became_of_them(olga: User, max_: User) -> None:
    def owed(**fields: Any) -> None:
        look_back(happen(utc(10, 1)), olga, why_owed="Policy.", **fields)

    approved = {"status": ReviewStatus.APPROVED, "approved_by": max_}
    owed(due_at=utc(10, 5), approved_at=utc(10, 5), **approved)
    owed(due_at=utc(10, 5), approved_at=utc(10, 6), **approved)
    owed(due_at=utc(10, 5))
    owed(due_at=utc(10, 20))
    owed()
    owed(due_at=utc(10, 5), status=ReviewStatus.WAIVED, waived_at=utc(10, 9))
    look_back(happen(utc(10, 1)), olga)
    found = learning.owed(asked(max_), utc(10, 10))
    assert found == Owed(in_time=1, late=2, running=1, undated=1, waived=1, wanted=1)
    assert found.total == 6


class TestManyAgainstPlainLoops:
    @pytest.fixture
    def many(self, olga: User, max_: User) -> None:
        chance = random.Random(26)  # noqa: S311 - no secret
        services = ("Payments", "Storage", "Login", "Mail")
        names = [(f"Factor {number}", chance.choice(list(FactorKind)).value) for number in range(8)]
        with acting(olga, reason="Made up."):
            for _number in range(70):
                after = {
                    name: dt.timedelta(seconds=chance.randrange(60, 90_000))
                    for name in ("acknowledged", "mitigated", "resolved")
                    if chance.random() < 0.8
                }
                at = utc(1, 1) + dt.timedelta(minutes=chance.randrange(330 * 24 * 60))
                severity = chance.choice(Severity.values)
                incident = happen(at, *chance.sample(services, chance.randint(1, 3)), severity=severity, **after)
                if chance.random() < 0.2:
                    continue
                fields: dict[str, Any] = {"why_owed": chance.choice(("", "Policy."))}
                if chance.random() < 0.15:
                    fields |= {"status": ReviewStatus.WAIVED, "waived_at": at}
                review = look_back(incident, olga, *chance.sample(names, chance.randint(0, 4)), **fields)
                for _action in range(chance.randint(0, 2)):
                    due_on = (at + dt.timedelta(days=chance.randrange(60))).date()
                    done_on = due_on + dt.timedelta(days=chance.randint(-9, 9))
                    promise(review, due_on, **chance.choice(({}, {"done_on": done_on}, {"dropped_on": due_on})))

    @pytest.mark.usefixtures("many")
    def test_they_agree(self, max_: User) -> None:
        period, today = Period(dt.date(2026, 2, 10), dt.date(2026, 10, 20)), dt.date(2026, 8, 1)
        with timezone.override("Asia/Tokyo"):
            question = asked(max_, period)
            factors, again = learning.factors(question), learning.again(question)
            took, actions = learning.took(question), learning.actions(question, today)

        def day(incident: Incident) -> dt.date:
            return (incident.detected_at + dt.timedelta(hours=9)).date()

        def within(day: dt.date) -> bool:
            return period.first <= day <= period.last

        incidents = [one for one in Incident.objects.order_by("detected_at") if within(day(one))]
        assert 40 < len(incidents) < 70
        findings = [
            (one, finding.factor)
            for one in incidents
            for review in PostIncidentReview.objects.filter(incident=one, waived_at=None)
            for finding in review.findings.all()
        ]
        by_kind = Counter((factor.kind, day(one).replace(day=1)) for one, factor in findings)
        assert {(k.value, m): n for k, months in factors.by_kind.items() for m, n in months.items()} == by_kind
        by_service = Counter(
            (affected.service.name, day(one).replace(day=1))
            for one, _factor in findings
            for affected in one.affected_services.all()
        )
        assert {(name, m): n for name, months in factors.by_service.items() for m, n in months.items()} == by_service
        reviews = Counter(factor.name for _one, factor in findings)  # a factor is found once in a review
        assert {one.name: one.reviews for one in factors.recurring} == {k: n for k, n in reviews.items() if n > 1}

        for service, count, soon in again:
            of_it = [one for one in incidents if one.services.filter(name=service).exists()]
            gaps = [b.detected_at - a.detected_at for a, b in pairwise(of_it)]
            assert (count, soon) == (len(of_it), sum(gap <= dt.timedelta(days=90) for gap in gaps))

        for severity in Severity:
            spans = [
                (one.resolved_at - one.detected_at).total_seconds()
                for one in incidents
                if one.severity == severity.value and one.resolved_at
            ]
            resolution = took[severity][PhaseName.RESOLUTION]
            assert resolution.incidents == len(spans)
            assert resolution.median.total_seconds() == pytest.approx(statistics.median(spans))

        for month, counted in actions.items():
            due = [a for a in CorrectiveAction.objects.all() if within(a.due_on) and a.due_on.replace(day=1) == month]
            assert counted.total == len(due)
            assert counted.dropped == sum(a.dropped_on is not None for a in due)
            assert counted.on_time == sum(a.done_on is not None and a.done_on <= a.due_on for a in due)
            assert counted.late == sum(a.done_on is not None and a.done_on > a.due_on for a in due)
            assert counted.overdue == sum(a.is_open and a.due_on < today for a in due)


# ── the page ────────────────────────────────────────────────────────────────────────────────────────────────────────


def shown(browser: Browser, **typed: str) -> Any:
    answer = browser.get(reverse(PAGE), {"since": "2026-09-01", "until": "2026-11-30", **typed})
    assert answer.status_code == 200
    return answer


def table(answer: Any, slug: str) -> list[list[str]]:
    return next(table.shown for table, _url in answer.context["tables"] if table.slug == slug)


def lines(answer: Any) -> list[list[str]]:
    text = b"".join(answer.streaming_content).decode("utf-8-sig")
    return list(csv.reader(io.StringIO(text)))


class TestThePage:
    def test_every_role_reads_it_and_nobody_without_a_role(
        self, few: list[PostIncidentReview], max_: User, aude: User, ada: User, olga: User
    ) -> None:
        files = [reverse("admin:reviews_learning_export", args=[slug]) for slug in TABLES]
        for user in (olga, max_, aude, ada):
            for address in (reverse(PAGE), *files):
                assert browser_of(user).get(address).status_code == 200, (user, address)
                assert browser_of(user).post(address).status_code == 405
        cast.demote(olga)
        assert {browser_of(olga).get(address).status_code for address in (reverse(PAGE), *files)} == {403}
        assert Browser().get(reverse(PAGE)).status_code == 302
        assert browser_of(max_).get(reverse("admin:reviews_learning_export", args=["secrets"])).status_code == 404

    def test_pictures_are_well_formed_named_and_without_styles_of_their_own(
        self, few: list[PostIncidentReview], max_: User
    ) -> None:
        cast.past_the_trail(Incident.objects.all(), acknowledged_at=utc(12, 1))
        promise(few[0], dt.date(2026, 10, 1))
        html = shown(browser_of(max_)).content.decode()
        pictures = re.findall(r'<svg class="picture".*?</svg>', html, re.DOTALL)
        assert len(pictures) == 3  # factors, actions, and one phase
        for picture in pictures:
            parsed = minidom.parseString(picture).documentElement  # noqa: S318 - our own
            assert parsed is not None
            assert parsed.getAttribute("role") == "img"
            assert parsed.getAttribute("aria-label")
            assert all(int(rect.getAttribute("height")) > 0 for rect in parsed.getElementsByTagName("rect"))
            assert not re.search(r"style|script|\son\w+=", picture)
        ids = re.findall(r'\sid="([^"]+)"', html)
        assert len(ids) == len(set(ids))
        boxes = re.findall(r"<title>([^<]+)</title><rect", pictures[0])
        assert boxes == ["Oct, Technical: 2", "Oct, Process: 1"]

    def test_filters_narrow_it_and_stay_in_the_addresses_of_its_files(
        self, few: list[PostIncidentReview], max_: User
    ) -> None:
        browser = browser_of(max_)
        assert table(shown(browser), "kinds")[0] == ["All", "2", "1", "0", "0", "3"]
        assert table(shown(browser, service="Storage"), "kinds")[0] == ["All", "1", "1", "0", "0", "2"]
        assert table(shown(browser, severity="low"), "kinds") == []
        answer = shown(browser, kind="process")
        assert table(answer, "kinds")[0] == ["All", "1", "1"]
        assert all("kind=process" in url and "since=2026-09-01" in url for _table, url in answer.context["tables"])
        assert table(shown(browser, until="2026-10-10"), "kinds")[0] == ["All", "1", "1", "0", "0", "2"]

    @pytest.mark.parametrize(
        "typed",
        [
            {"since": "never", "until": "9999-12-31"},
            {"since": "0001-01-01"},
            {"since": "2026-12-01", "until": "2026-01-01"},
            {"since": "2001-01-01", "until": "2026-01-01"},
            {"client": "\x00", "service": "'; DROP TABLE", "severity": "worst", "kind": "<script>"},
            {"client": "x" * 5000, "service": "-1", "nothing": "of the kind"},
        ],
    )
    def test_whatever_the_address_says_the_page_answers_and_says_what_it_did_not_understand(
        self, few: list[PostIncidentReview], max_: User, typed: dict[str, str]
    ) -> None:
        answer = shown(browser_of(max_), **typed)
        assert answer.context["form"].errors or "nothing" in typed
        assert "<script>" not in answer.content.decode().split('id="content"', 1)[1].split("</form>")[0]
        asked = {"since": "2026-09-01", **typed}
        assert browser_of(max_).get(reverse("admin:reviews_learning_export", args=["kinds"]), asked).status_code == 200

    def test_an_empty_one_says_what_to_do(self, max_: User) -> None:
        assert "open its review from its page" in browser_of(max_).get(reverse(PAGE)).content.decode()
        assert "Clear all filters" in shown(browser_of(max_)).content.decode()

    def test_a_file_has_the_whole_table_starts_no_formula_and_is_recorded(self, olga: User, max_: User) -> None:
        for number in range(25):
            look_back(happen(utc(10, 1), f"=cmd({number:02})"), olga, DISK)
        browser = browser_of(max_)
        answer = shown(browser)
        assert len(table(answer, "services")) == 20
        url = next(url for table, url in answer.context["tables"] if table.slug == "services")
        head, *rows = lines(browser.get(url))
        assert head == ["Service", "All", "2026-11", "2026-10", "2026-09"]
        assert len(rows) == 25
        assert rows[0] == ["'=cmd(00)", "1", "0", "1", "0"]
        kept = Export.objects.get()
        assert (kept.by, kept.rows, kept.listed) == (max_, 25, "reviews.finding")
        assert "table=services" in kept.query

    def test_it_asks_as_often_for_many_as_for_few(
        self, olga: User, max_: User, django_assert_max_num_queries: Callable[..., Any]
    ) -> None:
        counts: list[int] = []
        for more in (2, 30):
            for _number in range(more):
                review = look_back(happen(utc(10, 1), "Payments", acknowledged=minutes(5)[0]), olga, DISK, ROLLOUT)
                promise(review, dt.date(2026, 10, 1))
            browser = browser_of(max_)
            shown(browser)
            with django_assert_max_num_queries(20) as queries:
                shown(browser)
            counts.append(len(queries))
        assert counts[0] == counts[1]


class TestOfSomebodyWhoSeesOneClientAlone:
    @pytest.fixture
    def limited(self, max_: User, contoso: ServiceAgreement) -> User:
        ClientScope.objects.create(user=max_, client=contoso.client)
        return max_

    def under(self, incident: Incident, *agreements: ServiceAgreement) -> Incident:
        for agreement in agreements:
            AffectedAgreement.objects.create(incident=incident, agreement=agreement)
        return incident

    def test_nothing_of_other_clients_is_counted(
        self, limited: User, ada: User, olga: User, northwind: ServiceAgreement, contoso: ServiceAgreement
    ) -> None:
        theirs = self.under(happen(utc(10, 1), "Payments", acknowledged=minutes(5)[0]), contoso)
        others = self.under(happen(utc(10, 2), "Payments", acknowledged=minutes(50)[0]), northwind)
        promise(look_back(theirs, olga, DISK), dt.date(2026, 10, 3))
        promise(look_back(others, olga, DISK, ROLLOUT), dt.date(2026, 10, 3))
        shared = self.under(happen(utc(10, 3), "Payments", acknowledged=minutes(5)[0]), contoso, northwind)
        finding = look_back(shared, olga, ("Quota", "external")).findings.get()
        finding.explanation = "Northwind used it up."
        cast.save(finding)

        def counted(reader: User) -> Sequence[int]:
            question = asked(reader)
            factors = learning.factors(question)
            actions = learning.actions(question, dt.date(2026, 12, 1))[OCTOBER].total
            took = learning.took(question)[Severity.CRITICAL][PhaseName.ACKNOWLEDGEMENT]
            return factors.total, factors.reviews, actions, learning.again(question)[0].incidents, took.incidents

        assert counted(ada) == (4, 3, 2, 3, 3)
        assert counted(limited) == (1, 2, 1, 2, 2)
        assert learning.took(asked(limited))[Severity.CRITICAL][PhaseName.ACKNOWLEDGEMENT].median == minutes(5)[0]
        assert "No staged rollout" not in shown(browser_of(limited)).content.decode()
        assert not learning.with_kind(learning.incidents(limited), "external", limited).exists()
        # the name of a client whom they do not see filters by nobody
        assert table(shown(browser_of(limited), client="Northwind"), "kinds") == []
        assert table(shown(browser_of(ada), client="Northwind"), "kinds")[0][-1] == "3"
