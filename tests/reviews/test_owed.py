"""A review is owed by policy, by contract, or for a miss; and begins by itself when the incident is over."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from agreements.models import Obligation, Service, ServiceAgreement, StartEvent
from config.models import User
from incidents import lifecycle
from incidents.models import Incident
from reviews import followup, owed, questions
from reviews import lifecycle as reviewing
from reviews.models import PostIncidentReview, QuestionSet, ReviewStatus
from tests import cast
from tests.cast import at

pytestmark = pytest.mark.django_db

DAY = dt.timedelta(days=1)


def declared(by: User, **changes: Any) -> Incident:
    given: dict[str, Any] = {"severity": "high", "services": list(Service.objects.all()), "detected_at": at("12:00")}
    return lifecycle.declare(by=by, now=at("12:00"), title="Storage is down", **{**given, **changes})


def over(by: User, **changes: Any) -> Incident:
    return lifecycle.resolve(declared(by, **changes), by=by, now=at("13:00"))


def opened(now: dt.datetime | None = None) -> list[PostIncidentReview]:
    followup.follow_up(now or at("13:01"))
    return list(PostIncidentReview.objects.all())


@pytest.fixture
def bare(northwind: ServiceAgreement, max_: User) -> ServiceAgreement:
    """An agreement without a single commitment; Max is there to facilitate."""
    cast.lose(northwind.commitments.all())
    return northwind


def test_nothing_is_owed_where_nothing_asks_for_it(olga: User, bare: ServiceAgreement) -> None:
    assert owed.for_incident(over(olga), at("13:01")) is None
    assert opened() == []


@pytest.mark.parametrize(
    ("narrowed", "is_owed"),
    [
        ({"severity": ""}, True),
        ({"severity": "high"}, True),
        ({"severity": "critical"}, False),
        ({"severity": "", "service": "Object storage"}, True),
        ({"severity": "", "service": "Login"}, False),
        ({"severity": "", "client": "Northwind"}, True),
        ({"severity": "", "client": "Fabrikam"}, False),
        ({"severity": "high", "is_active": False}, False),
        ({"severity": "high", "made_at": at("12:01")}, False),
        ({"severity": "high", "made_at": at("12:01"), "includes_open_incidents": True}, True),
    ],
)
def test_a_policy_asks_for_the_incidents_that_it_names(
    olga: User, bare: ServiceAgreement, narrowed: dict[str, Any], is_owed: bool
) -> None:
    named = dict(narrowed)
    if "service" in named:
        named["service"] = cast.service(named["service"])
    if "client" in named:
        named["client"] = bare.client if named["client"] == "Northwind" else cast.client("Fabrikam", "UTC")
    cast.policy(**{"made_at": at("11:00"), **named})
    services = [coverage.service for coverage in bare.coverage.all()]
    incident = over(olga, services=services)
    assert bool(owed.for_incident(incident, at("13:01"))) is is_owed
    assert [review.incident for review in opened()] == [incident] * is_owed


def test_a_report_that_an_agreement_wants_and_a_missed_deadline_always_count(
    olga: User, bare: ServiceAgreement
) -> None:
    cast.commit(bare, Obligation.REPORT, 3, "business_days", severity="high", start_event=StartEvent.RESOLVED)
    cast.commit(bare, Obligation.ACKNOWLEDGE, 15, "minutes", severity="high")
    incident = over(olga)
    (review,) = opened()
    assert review.incident == incident
    assert "wants a report." in review.why_owed
    assert "Missed: Acknowledge for Northwind." in review.why_owed


def test_a_deadline_that_is_missed_after_all_is_over_still_counts(olga: User, bare: ServiceAgreement) -> None:
    cast.commit(bare, Obligation.NOTIFY, 4, severity="high")
    incident = over(olga)
    assert opened(at("15:59")) == []
    assert [review.incident for review in opened(at("16:01"))] == [incident]


def test_no_review_begins_before_the_incident_is_over_or_twice(olga: User, bare: ServiceAgreement) -> None:
    cast.policy(severity="", made_at=at("11:00"))
    incident = declared(olga)
    assert opened() == []
    lifecycle.resolve(incident, by=olga, now=at("13:00"))
    assert len(opened()) == 1
    assert len(opened()) == 1


def test_what_a_merged_incident_owes_its_master_owes(olga: User, bare: ServiceAgreement) -> None:
    cast.policy(severity="", made_at=at("11:00"))
    master, child = declared(olga), declared(olga)
    lifecycle.merge(child, into=master, by=olga, now=at("12:30"), reason="The same disk.")
    lifecycle.resolve(master, by=olga, now=at("13:00"))
    assert [review.incident for review in opened()] == [master]


def test_it_is_due_at_the_end_of_the_policys_last_day(olga: User, bare: ServiceAgreement) -> None:
    policy = cast.policy(severity="high", made_at=at("11:00"))
    incident = over(olga)  # on a Tuesday
    assert owed.due(policy, incident) == at("00:00", day=30)
    policy.calendar = cast.office_hours(time_zone="UTC")
    assert owed.due(policy, incident) == dt.datetime(2026, 12, 2, tzinfo=dt.UTC)


def test_the_strictest_policy_gives_the_day_and_all_are_named(olga: User, bare: ServiceAgreement) -> None:
    cast.policy("All", severity="", review_within=9, made_at=at("11:00"))
    strict = cast.policy("High", severity="high", review_within=2, made_at=at("11:00"))
    over(olga)
    (review,) = opened()
    assert (review.policy, review.due_at) == (strict, at("00:00", day=27))
    assert review.why_owed == "Policy: All.\nPolicy: High."


def test_its_facilitator_is_the_policys_else_who_commanded_else_a_manager(
    olga: User, max_: User, ada: User, bare: ServiceAgreement
) -> None:
    policy = cast.policy(severity="high", made_at=at("11:00"))
    over(olga)  # who declares it commands it
    cast.lose(over(olga).responders.all())
    assert {review.facilitator for review in opened()} == {olga, max_}
    policy.facilitator = ada
    policy.save()
    last = over(olga)
    opened()
    assert last.review.facilitator == ada


def test_where_nobody_can_facilitate_it_waits_and_no_other_does(
    olga: User, max_: User, bare: ServiceAgreement, caplog: pytest.LogCaptureFixture
) -> None:
    cast.policy(severity="high", made_at=at("11:00"))
    cast.lose(over(olga).responders.all())
    other = over(olga)
    cast.demote(max_)
    assert [review.incident for review in opened()] == [other]
    assert "no active manager" in caplog.text


def test_one_that_somebody_opens_says_too_why_it_is_owed(olga: User, bare: ServiceAgreement) -> None:
    policy = cast.policy(severity="high", made_at=at("11:00"))
    review = reviewing.open_review(over(olga), by=olga, now=at("13:05"))
    assert (review.policy, review.why_owed) == (policy, "Policy: Critical incidents.")
    assert review.due_at == at("00:00", day=30)


def test_one_that_is_waived_does_not_come_back(olga: User, max_: User, bare: ServiceAgreement) -> None:
    cast.policy(severity="high", made_at=at("11:00"))
    over(olga)
    (review,) = opened()
    with pytest.raises(reviewing.Refused):
        reviewing.waive(review, by=olga, now=at("13:10"), reason="No time.")
    with pytest.raises(reviewing.Refused):
        reviewing.waive(review, by=max_, now=at("13:10"), reason=" ")
    reviewing.waive(review, by=max_, now=at("13:10"), reason="A drill.")
    assert [found.status for found in opened()] == [ReviewStatus.WAIVED]


def test_it_asks_the_questions_of_its_time_and_goes_on_asking_those(olga: User, bare: ServiceAgreement) -> None:
    first = reviewing.open_review(over(olga), by=olga, now=at("13:05"))
    newest = QuestionSet()
    questions.number(newest, at("13:06"))
    newest.save()
    newest.questions.create(position=1, text="What now?")
    second = reviewing.open_review(over(olga), by=olga, now=at("13:07"))
    assert [str(answer) for answer in second.answers.all()] == ["What now?"]
    assert first.answers.count() == len(questions.PRESETS)
    assert (newest.version, second.question_set) == (2, newest)
