"""What becomes of a corrective action: each step by its verb, and that the same factor asks about it again."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.urls import reverse

from agreements.models import Service, ServiceAgreement
from config.history import ReasonMissing, acting
from config.models import User
from incidents import lifecycle as incidents
from incidents.models import Notice
from reviews import followup, lifecycle, owed
from reviews.lifecycle import Refused
from reviews.models import CorrectiveAction, Effect, Factor, Finding, PostIncidentReview
from tests import cast
from tests.cast import at

pytestmark = pytest.mark.django_db

TODAY = dt.date(2026, 11, 24)
DAY = dt.timedelta(days=1)


def reviewed(by: User, day: int = 24) -> PostIncidentReview:
    incident = incidents.declare(
        by=by,
        now=at("12:00", day=day),
        title="Storage is down",
        severity="critical",
        services=list(Service.objects.all()),
        detected_at=at("12:00", day=day),
    )
    incidents.resolve(incident, by=by, now=at("13:00", day=day))
    return lifecycle.open_review(incident, by=by, now=at("13:05", day=day))


@pytest.fixture
def action(olga: User, northwind: ServiceAgreement) -> CorrectiveAction:
    return cast.fill_in(reviewed(olga))


def finish(action: CorrectiveAction, by: User, **changes: Any) -> CorrectiveAction:
    given: dict[str, Any] = {"now": at("14:00"), "done_on": TODAY, "evidence": "Change 4711"}
    return lifecycle.finish(action, by=by, **{**given, **changes})


def found_again(action: CorrectiveAction, by: User, day: int = 26) -> PostIncidentReview:
    later = reviewed(by, day=day)
    assert action.finding
    Finding.objects.create(review=later, factor=action.finding.factor)
    return later


def test_done_needs_evidence_and_a_day_that_has_come(action: CorrectiveAction, olga: User) -> None:
    with pytest.raises(Refused, match="what shows that it is done"):
        finish(action, olga, evidence=" ")
    with pytest.raises(Refused, match="has not come yet"):
        finish(action, olga, done_on=TODAY + DAY)
    with pytest.raises(IntegrityError, match="action_done_has_evidence"), transaction.atomic():
        cast.past_the_trail(CorrectiveAction.objects.filter(pk=action.pk), done_on=TODAY, evidence="")
    assert finish(action, olga).done_on == TODAY


def test_what_will_not_be_done_says_why(action: CorrectiveAction, olga: User) -> None:
    with pytest.raises(Refused, match="Say why"):
        lifecycle.drop(action, by=olga, now=at("14:00"), reason=" ")
    dropped = lifecycle.drop(action, by=olga, now=at("14:00"), reason="The system is gone.")
    assert (dropped.dropped_on, dropped.why_dropped) == (TODAY, "The system is gone.")
    assert action.history.latest("history_id").history_change_reason == "The system is gone."


def test_a_done_action_is_to_be_checked_when_its_policy_says(action: CorrectiveAction, olga: User) -> None:
    assert finish(action, olga).check_on == TODAY + 30 * DAY
    review = action.review
    review.policy = cast.policy(effect_checked_after=10)
    cast.save(review)
    again = lifecycle.take_up_again(action, by=olga, now=at("15:00"), reason="It was not live.")
    assert (again.done_on, again.evidence, again.check_on) == (None, "", None)
    assert finish(action, olga, now=at("16:00")).check_on == TODAY + 10 * DAY


@pytest.mark.parametrize(
    ("step", "lawful"),
    [
        (lambda row, by: lifecycle.start(row, by=by, now=at("15:00")), {"open"}),
        (lambda row, by: finish(row, by, now=at("15:00")), {"open", "started"}),
        (lambda row, by: lifecycle.drop(row, by=by, now=at("15:00"), reason="No."), {"open", "started"}),
        (
            lambda row, by: lifecycle.hand_over(row, by=by, due_on=TODAY + 90 * DAY, reason="Later."),
            {"open", "started"},
        ),
        (
            lambda row, by: lifecycle.take_up_again(row, by=by, now=at("15:00"), reason="After all."),
            {"done", "dropped"},
        ),
        (lambda row, by: lifecycle.check(row, by=by, now=at("15:00"), effect="helped", reason="Seen."), {"done"}),
        (lambda row, by: lifecycle.check(row, by=by, now=at("15:00"), effect="recurred", reason="Seen."), {"done"}),
    ],
)
def test_each_step_is_lawful_where_it_makes_sense_and_nowhere_else(
    action: CorrectiveAction, olga: User, step: Callable[[CorrectiveAction, User], object], lawful: set[str]
) -> None:
    states: dict[str, dict[str, Any]] = {
        "open": {},
        "started": {"started_on": TODAY},
        "done": {"done_on": TODAY, "evidence": "Shown"},
        "dropped": {"dropped_on": TODAY, "why_dropped": "Gone"},
    }
    rows = CorrectiveAction.objects.filter(pk=action.pk)
    empty = {"started_on": None, "done_on": None, "evidence": "", "dropped_on": None, "why_dropped": ""}
    allowed = set()
    for name, values in states.items():
        cast.past_the_trail(rows, **{**empty, **values})
        try:
            with transaction.atomic():
                step(action, olga)
                allowed.add(name)
                transaction.set_rollback(True)
        except Refused:
            pass
    assert allowed == lawful


def test_one_that_helped_says_so_and_since_when(action: CorrectiveAction, olga: User) -> None:
    finish(action, olga)
    helped = lifecycle.check(action, by=olga, now=at("14:00", day=28), effect="helped", reason="No alarm since.")
    assert (helped.effect, helped.checked_on, helped.done_on) == (Effect.HELPED, dt.date(2026, 11, 28), TODAY)
    with pytest.raises(Refused, match="Nothing would change"):
        lifecycle.check(action, by=olga, now=at("15:00", day=28), effect="helped", reason="No alarm since.")


def test_one_that_did_not_help_is_open_again_and_its_trail_keeps_what_was_done(
    action: CorrectiveAction, olga: User
) -> None:
    finish(action, olga)
    again = lifecycle.check(action, by=olga, now=at("14:00", day=28), effect="recurred", reason="Full again.")
    assert (again.is_open, again.effect, again.evidence) == (True, Effect.RECURRED, "")
    assert again.due_on == dt.date(2026, 12, 24)
    told = [(row.done_on, row.evidence, row.effect) for row in action.history.order_by("history_id")]
    assert told == [(None, "", ""), (TODAY, "Change 4711", ""), (None, "", "recurred")]
    with pytest.raises(Refused, match="since"):
        finish(action, olga, now=at("14:00", day=29))
    anew = finish(action, olga, now=at("14:00", day=29), done_on=dt.date(2026, 11, 29))
    assert (anew.effect, anew.checked_on) == ("", None)


def test_the_trail_asks_why_an_effect_or_a_day_is_changed_besides_the_verbs(action: CorrectiveAction) -> None:
    action.due_on += DAY
    with pytest.raises(ReasonMissing), acting():
        action.save()


def test_the_due_day_of_a_new_action_is_what_its_policy_says_counted_from_resolution(
    action: CorrectiveAction, olga: User
) -> None:
    review = action.review
    assert owed.due_day(review, at("14:00")) == dt.date(2026, 12, 24)
    review.policy = cast.policy(actions_done_within=5)
    assert owed.due_day(review, at("14:00")) == dt.date(2026, 11, 29)
    assert owed.due_day(review, at("14:00", day=30)) == dt.date(2026, 12, 5), "what is past is proposed to nobody"
    review.policy.calendar = cast.office_hours(time_zone="Europe/Berlin")
    assert owed.due_day(review, at("14:00")) == dt.date(2026, 12, 1), "five working days after a Tuesday"


def test_the_same_factor_in_a_later_incident_opens_a_done_action_again_once(
    action: CorrectiveAction, olga: User
) -> None:
    finish(action, olga)
    later = found_again(action, olga)
    for _beat in range(3):
        followup.follow_up(at("14:00", day=26))
    action.refresh_from_db()
    assert (action.is_open, action.effect) == (True, Effect.RECURRED)
    last = action.history.latest("history_id")
    assert last.history_change_reason == (
        f"The same factor, “{action.finding}”, contributed to {later.incident.reference}."
    )
    assert action.history.count() == 3
    (notice,) = Notice.objects.filter(kind="action_effect")
    assert (notice.user, notice.client) == (olga, None)
    assert later.incident.reference in notice.text
    assert [found.review for found in action.found_again()] == [later]
    assert list(CorrectiveAction.objects.all().against_the_same(later)) == [action]


def test_one_done_anew_is_asked_about_again_only_by_what_happens_after_that(
    action: CorrectiveAction, olga: User
) -> None:
    finish(action, olga)
    found_again(action, olga)
    followup.follow_up(at("14:00", day=26))
    finish(action, olga, now=at("14:00", day=27), done_on=dt.date(2026, 11, 27))
    followup.follow_up(at("15:00", day=27))
    action.refresh_from_db()
    assert not action.is_open
    lifecycle.check(action, by=olga, now=at("12:00", day=28), effect="helped", reason="Quiet since.")
    found_again(action, olga, day=29)
    followup.follow_up(at("14:00", day=29))
    action.refresh_from_db()
    assert (action.is_open, action.checked_on) == (True, dt.date(2026, 11, 29))


@pytest.mark.parametrize("what", ["another factor", "the same day", "an earlier day", "a waived review", "not done"])
def test_nothing_is_asked_again_without_the_same_factor_after_it_was_done(
    action: CorrectiveAction, olga: User, max_: User, what: str
) -> None:
    if what != "not done":
        finish(action, olga, now=at("14:00", day=26), done_on=dt.date(2026, 11, 25))
    if what == "another factor":
        other = Factor.objects.create(name="No staged rollout", kind="process")
        Finding.objects.create(review=reviewed(olga, day=27), factor=other)
    elif what == "the same day":
        found_again(action, olga, day=25)
    elif what == "an earlier day":
        found_again(action, olga, day=23)
    else:
        later = found_again(action, olga, day=27)
        if what == "a waived review":
            lifecycle.waive(later, by=max_, now=at("13:10", day=27), reason="A drill.")
    followup.follow_up(at("14:00", day=28))
    action.refresh_from_db()
    assert action.effect == ""


def test_its_page_shows_what_its_acts_write_once_it_is_there(action: CorrectiveAction, olga: User) -> None:
    later = ("started_on", "done_on", "evidence", "dropped_on", "why_dropped", "check_on", "checked_on", "effect")

    def rows() -> set[str]:
        response = cast.browser_of(olga).get(reverse("admin:reviews_correctiveaction_change", args=[action.pk]))
        return {
            field.field["name"]
            for part in response.context["adminform"]
            for line in part
            for field in line
            if field.is_readonly
        } & set(later)

    assert rows() == set()
    finish(action, olga)
    assert rows() == {"done_on", "evidence", "check_on"}
