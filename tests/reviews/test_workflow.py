"""From draft to closed: who may take which step, what it needs, and that it can be taken back for a reason only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.urls import reverse

from agreements.models import Service, ServiceAgreement
from config.history import ReasonMissing, acting
from config.models import User
from incidents import lifecycle as incidents
from reviews import lifecycle
from reviews.lifecycle import Refused
from reviews.models import Contributor, PostIncidentReview, ReviewStatus
from tests import cast
from tests.cast import at

pytestmark = pytest.mark.django_db


@pytest.fixture
def draft(olga: User, max_: User, northwind: ServiceAgreement) -> PostIncidentReview:
    incident = incidents.declare(
        by=olga,
        now=at("12:00"),
        title="Storage is down",
        severity="critical",
        services=list(Service.objects.all()),
        detected_at=at("12:00"),
    )
    incidents.resolve(incident, by=olga, now=at("13:00"))
    return lifecycle.open_review(incident, by=olga, now=at("13:05"))


@pytest.fixture
def whole(draft: PostIncidentReview) -> PostIncidentReview:
    cast.fill_in(draft)
    return draft


@pytest.fixture
def approved(whole: PostIncidentReview, olga: User, max_: User) -> PostIncidentReview:
    lifecycle.submit(whole, by=olga, now=at("14:00"))
    return lifecycle.approve(whole, by=max_, now=at("15:00"))


def test_it_goes_from_draft_to_closed_and_each_step_keeps_who_and_when(
    approved: PostIncidentReview, olga: User, max_: User
) -> None:
    closed = lifecycle.close(approved, by=olga, now=at("16:00"))
    assert (closed.submitted_by, closed.submitted_at) == (olga, at("14:00"))
    assert (closed.approved_by, closed.approved_at) == (max_, at("15:00"))
    assert (closed.status, closed.completed_at) == (ReviewStatus.CLOSED, at("16:00"))
    told = [row.status for row in closed.history.order_by("history_id") if "status" in row.changed_names]
    assert told == ["in_review", "approved", "closed"]


def test_submitting_says_at_once_all_that_is_missing(draft: PostIncidentReview, olga: User) -> None:
    with pytest.raises(Refused) as refusal:
        lifecycle.submit(draft, by=olga, now=at("14:00"))
    assert refusal.value.messages == [
        "Write what happened.",
        "Write who was affected, for how long, and what they could not do.",
        "Name at least one contributing factor.",
        "Answer: What made sense at the time?",
        "Answer: What did we learn?",
        "Write what will change.",
        "Add at least one corrective action with an owner and a due day.",
    ]


def lose_findings(review: PostIncidentReview) -> None:
    cast.lose(review.actions.all())
    cast.lose(review.findings.all())


@pytest.mark.parametrize(
    "lose",
    [
        lambda review: setattr(review, "summary", " \n"),
        lambda review: setattr(review, "client_impact", ""),
        lambda review: setattr(review, "what_will_change", ""),
        lambda review: cast.lose(review.actions.all()),
        lose_findings,
        lambda review: cast.past_the_trail(review.answers.all(), text=""),
    ],
)
def test_each_part_that_is_missing_keeps_it_a_draft(
    whole: PostIncidentReview, olga: User, lose: Callable[[PostIncidentReview], object]
) -> None:
    lose(whole)
    cast.save(whole)
    with pytest.raises(Refused):
        lifecycle.submit(whole, by=olga, now=at("14:00"))


def test_a_root_cause_is_written_where_there_is_one(whole: PostIncidentReview, olga: User) -> None:
    whole.root_cause = ""
    cast.save(whole)
    assert lifecycle.submit(whole, by=olga, now=at("14:00")).status == ReviewStatus.IN_REVIEW


def test_who_facilitated_or_submitted_it_does_not_approve_it_manager_or_not(
    whole: PostIncidentReview, max_: User, ada: User
) -> None:
    whole.facilitator = ada
    cast.save(whole)
    lifecycle.submit(whole, by=max_, now=at("14:00"))
    otto = cast.colleague("otto", "Otto Berg", "operator")
    with pytest.raises(Refused, match="for a manager"):
        lifecycle.approve(whole, by=otto, now=at("15:00"))
    for author in (max_, ada):
        with pytest.raises(Refused, match="Ask a manager who did not"):
            lifecycle.approve(whole, by=author, now=at("15:00"))
    whole.refresh_from_db()
    whole.status, whole.approved_at, whole.approved_by = ReviewStatus.APPROVED, at("15:00"), max_
    with pytest.raises(IntegrityError, match="review_approved_by_another"), transaction.atomic():
        whole.save()


WRITING: dict[str, Callable[[PostIncidentReview, User], object]] = {
    "contributes": lambda review, by: Contributor.objects.create(review=review, user=by),
    "summary": lambda review, by: _save(review, summary="Otherwise."),
    "answer": lambda review, by: _save(review.answers.all()[0], text="Otherwise."),
    "finding": lambda review, by: _save(review.findings.get(), explanation="Otherwise."),
    "pick": lambda review, by: lifecycle.pick(review, by=by, entries=review.incident.timeline.all()),
    "remark": lambda review, by: _save(review.picks.all()[0], remark="Otherwise."),
    "what will be done": lambda review, by: _save(review.actions.get(), what="Add two replicas"),
}


def _save(row: Any, **values: Any) -> None:
    for name, value in values.items():
        setattr(row, name, value)
    row.save()


@pytest.mark.parametrize("write", WRITING.values(), ids=WRITING)
def test_a_manager_who_wrote_in_it_does_not_approve_it_and_is_not_offered_to(
    whole: PostIncidentReview, olga: User, max_: User, ada: User, write: Callable[[PostIncidentReview, User], object]
) -> None:
    with acting(max_):
        write(whole, max_)
    whole.refresh_from_db()
    lifecycle.submit(whole, by=olga, now=at("14:00"))
    page = reverse("admin:reviews_postincidentreview_change", args=[whole.pk])
    button = reverse("admin:reviews_postincidentreview_approve", args=[whole.pk])
    assert button not in cast.browser_of(max_).get(page).content.decode()
    with pytest.raises(Refused, match="Ask a manager who did not"):
        lifecycle.approve(whole, by=max_, now=at("15:00"))
    assert button in cast.browser_of(ada).get(page).content.decode()
    assert lifecycle.approve(whole, by=ada, now=at("15:00")).approved_by == ada


def test_who_wrote_stays_an_author_whoever_is_taken_out_again(
    whole: PostIncidentReview, olga: User, max_: User
) -> None:
    with acting(max_):
        WRITING["contributes"](whole, max_)
        WRITING["answer"](whole, max_)
        whole.contributors.get(user=max_).delete()
    lifecycle.submit(whole, by=olga, now=at("14:00"))
    with pytest.raises(Refused, match="You wrote in this review"):
        lifecycle.approve(whole, by=max_, now=at("15:00"))


def test_who_opened_it_marked_what_clients_read_or_did_an_action_may_approve_it(
    olga: User, max_: User, northwind: ServiceAgreement
) -> None:
    incident = incidents.declare(
        by=olga,
        now=at("12:00"),
        title="Down",
        severity="low",
        services=list(Service.objects.all()),
        detected_at=at("12:00"),
    )
    incidents.resolve(incident, by=olga, now=at("13:00"))
    review = lifecycle.open_review(incident, by=max_, facilitator=olga, now=at("13:05"))
    action = cast.fill_in(review)
    with acting(max_):
        _save(review, is_summary_for_client=True)
    lifecycle.finish(action, by=max_, now=at("13:30"), done_on=at("13:30").date(), evidence="Change 7")
    lifecycle.submit(review, by=olga, now=at("14:00"))
    assert lifecycle.approve(review, by=max_, now=at("15:00")).approved_by == max_


@pytest.mark.parametrize("step", [lifecycle.submit, lifecycle.close])
def test_others_than_the_facilitator_and_managers_do_not_steer_it(
    whole: PostIncidentReview, approved: PostIncidentReview, step: Callable[..., object]
) -> None:
    otto = cast.colleague("otto", "Otto Berg", "operator")
    Contributor.objects.create(review=whole, user=otto)
    assert lifecycle.may_write(whole, otto)
    if step is lifecycle.submit:
        with acting(reason="Again."):
            approved.status = ReviewStatus.DRAFT
            approved.save()
    with pytest.raises(Refused, match="for its facilitator, Olga"):
        step(approved, by=otto, now=at("16:00"))


def test_who_writes_are_the_facilitator_the_contributors_and_managers(
    draft: PostIncidentReview, olga: User, max_: User
) -> None:
    otto = cast.colleague("otto", "Otto Berg", "operator")
    assert [lifecycle.may_write(draft, person) for person in (olga, max_, otto)] == [True, True, False]


@pytest.mark.parametrize("step", [lifecycle.send_back, lifecycle.reopen, lifecycle.waive])
def test_what_takes_a_step_back_or_lets_it_go_needs_a_reason(
    approved: PostIncidentReview, max_: User, step: Callable[..., object]
) -> None:
    with pytest.raises(Refused, match="Say why"):
        step(approved, by=max_, now=at("16:00"), reason=" ")


def test_the_trail_asks_too_why_a_status_went_back(approved: PostIncidentReview) -> None:
    approved.status = ReviewStatus.DRAFT
    with pytest.raises(ReasonMissing, match="status"):
        approved.save()


def test_reopened_it_is_a_draft_that_has_to_be_approved_anew(
    approved: PostIncidentReview, olga: User, max_: User
) -> None:
    lifecycle.close(approved, by=olga, now=at("16:00"))
    with pytest.raises(Refused, match="for a manager"):
        lifecycle.reopen(approved, by=olga, now=at("17:00"), reason="A log was found.")
    again = lifecycle.reopen(approved, by=max_, now=at("17:00"), reason="A log was found.")
    assert (again.status, again.approved_at, again.completed_at) == (ReviewStatus.DRAFT, None, None)
    with pytest.raises(Refused):
        lifecycle.close(again, by=olga, now=at("17:05"))


@pytest.mark.parametrize(
    ("step", "lawful"),
    [
        (lifecycle.submit, {"draft"}),
        (lifecycle.send_back, {"in_review"}),
        (lifecycle.approve, {"in_review"}),
        (lifecycle.close, {"approved", "shared"}),
        (lifecycle.waive, {"draft", "in_review"}),
        (lifecycle.reopen, {"approved", "shared", "closed", "waived"}),
    ],
)
def test_each_step_is_lawful_where_it_makes_sense_and_nowhere_else(
    whole: PostIncidentReview, olga: User, max_: User, ada: User, step: Callable[..., object], lawful: set[str]
) -> None:
    instants: dict[str, dict[str, Any]] = {
        "approved": {"approved_at": at("15:00"), "approved_by": ada},
        "shared": {"approved_at": at("15:00"), "approved_by": ada, "shared_at": at("15:00")},
        "closed": {"completed_at": at("15:00")},
        "waived": {"waived_at": at("15:00")},
    }
    nothing = dict.fromkeys(("approved_at", "approved_by", "shared_at", "completed_at", "waived_at"))
    allowed = set()
    for status in ReviewStatus:
        reviews = PostIncidentReview.objects.filter(pk=whole.pk)
        cast.past_the_trail(reviews, status=status, **{**nothing, **instants.get(status.value, {})})
        try:
            with transaction.atomic():
                step(whole, by=max_, now=at("16:00"), reason="So it is.")
                allowed.add(status.value)
                transaction.set_rollback(True)
        except Refused:
            pass
    assert allowed == lawful
