"""Who is told what about reviews and actions, on which of their days, and that nobody is told twice."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.db import IntegrityError, connection, connections, transaction

from agreements.models import ServiceAgreement
from config.models import User
from incidents.models import Notice
from incidents.models.notice import FOLLOW_UPS, NoticeKind, NoticeState, Rank
from reviews import followup, lifecycle, reminders
from reviews.models import CorrectiveAction, PostIncidentReview, ReviewPolicy
from tests import cast
from tests.cast import at
from tests.reviews.test_actions import found_again, reviewed

pytestmark = pytest.mark.django_db

DUE = dt.date(2026, 12, 10)


def on(day: int, clock: str = "09:00") -> dt.datetime:
    """In December."""
    return dt.datetime.fromisoformat(f"2026-12-{day:02}T{clock}:00+00:00")


def told(now: dt.datetime) -> list[tuple[str, str]]:
    """Who was told for what, by this beat and a second one: (kind, login)."""
    before = set(Notice.objects.values_list("pk", flat=True))
    followup.follow_up(now)
    followup.follow_up(now)
    made = Notice.objects.filter(kind__in=FOLLOW_UPS).exclude(pk__in=before).order_by("kind", "user__username")
    return [(notice.kind, notice.user.username) for notice in made if notice.user]


@pytest.fixture
def review(olga: User, max_: User, northwind: ServiceAgreement) -> PostIncidentReview:
    """Approved long before its policy wants it."""
    found = reviewed(olga)
    cast.fill_in(found)
    lifecycle.submit(found, by=olga, now=at("14:00"))
    return lifecycle.approve(found, by=max_, now=at("15:00"))


@pytest.fixture
def action(review: PostIncidentReview) -> CorrectiveAction:
    found = review.actions.get()
    found.due_on = DUE
    cast.save(found)
    return found


@pytest.fixture
def policy(review: PostIncidentReview) -> ReviewPolicy:
    found = cast.policy(made_at=at("11:00", day=30))
    review.policy = found
    cast.save(review)
    return found


REMINDED = [("action_reminder", "olga")]
#: What is open without a policy, to the manager.
LISTED = [("outstanding", "max")]


def test_the_owner_is_reminded_before_the_due_day_and_on_the_first_day_after_it(action: CorrectiveAction) -> None:
    days = {day: told(on(day)) for day in range(5, 17)}
    assert {day: who for day, who in days.items() if who} == {7: REMINDED + LISTED, 11: REMINDED, 14: LISTED}
    first, last = Notice.objects.filter(kind=NoticeKind.ACTION_REMINDER).order_by("pk")
    assert first.subject == f"[{action.review.incident.reference}] “Add a replica” is due on 10 Dec 2026"
    assert "Overdue: “Add a replica” was due on 10 Dec 2026" in last.subject
    assert f"/admin/reviews/correctiveaction/{action.pk}/change/" in last.text
    assert (first.rank, first.client, first.contact) == (Rank.WARNING, None, None)


def test_its_policy_says_how_long_before(action: CorrectiveAction, policy: ReviewPolicy) -> None:
    policy.reminded_before = 5
    cast.save(policy)
    assert told(on(4)) == []
    assert told(on(5)) == REMINDED


def test_after_an_outage_only_the_latest_reminder_goes_out(action: CorrectiveAction) -> None:
    assert told(on(15)) == REMINDED
    assert Notice.objects.get(kind=NoticeKind.ACTION_REMINDER).subject.count("Overdue") == 1


def test_a_day_is_the_owners_own_and_begins_in_the_morning(action: CorrectiveAction, olga: User) -> None:
    olga.time_zone = "Asia/Tokyo"
    cast.save(olga)
    assert told(on(6, "21:59")) == [], "06:59 of the 7th in Tokyo"
    assert told(on(6, "22:01")) == REMINDED


def test_a_new_owner_has_a_reminder_of_their_own_and_nobody_one_twice(
    action: CorrectiveAction, olga: User, ada: User
) -> None:
    assert told(on(7)) == REMINDED + LISTED
    lifecycle.hand_over(action, by=olga, owner=ada, reason="Away.")
    assert told(on(8)) == [("action_reminder", "ada")]
    lifecycle.hand_over(action, by=olga, owner=olga, reason="Back.")
    assert told(on(9)) == []
    lifecycle.hand_over(action, by=olga, due_on=dt.date(2026, 12, 20), reason="Later.")
    assert told(on(16)) == []
    assert told(on(17)) == REMINDED


def test_a_reminder_that_still_waits_is_set_aside_when_it_is_no_longer_so(action: CorrectiveAction, olga: User) -> None:
    told(on(7))
    told(on(11))
    first, last = Notice.objects.filter(kind=NoticeKind.ACTION_REMINDER).order_by("pk")
    assert (first.state, last.state) == (NoticeState.SUPERSEDED, NoticeState.PENDING)
    lifecycle.finish(action, by=olga, now=on(11), done_on=DUE, evidence="Shown")
    told(on(11, "10:00"))
    last.refresh_from_db()
    assert last.state == NoticeState.SUPERSEDED


@pytest.mark.parametrize("what", ["done", "dropped", "closed account", "no address"])
def test_nobody_is_reminded_of_what_is_over_or_without_an_open_account(
    action: CorrectiveAction, olga: User, what: str
) -> None:
    if what == "done":
        lifecycle.finish(action, by=olga, now=on(1), done_on=dt.date(2026, 12, 1), evidence="Shown")
    elif what == "dropped":
        lifecycle.drop(action, by=olga, now=on(1), reason="Gone.")
    else:
        cast.past_the_trail(
            User.objects.filter(pk=olga.pk), **({"email": ""} if what == "no address" else {"is_active": False})
        )
    assert told(on(8)) == []
    assert told(on(11)) == []


def test_a_week_overdue_it_goes_to_every_manager_or_to_whom_its_policy_names(
    action: CorrectiveAction, policy: ReviewPolicy, max_: User, ada: User
) -> None:
    assert reminders.ESCALATED_AFTER == 7
    told(on(11))
    assert told(on(16)) == []
    assert told(on(17)) == [("review_violation", "max")]
    policy.told_of_violations = ada
    cast.save(policy)
    assert told(on(18)) == [("review_violation", "ada")]
    notice = Notice.objects.filter(kind=NoticeKind.REVIEW_VIOLATION).latest("pk")
    assert notice.rank == Rank.ALARM
    assert "Olga" in notice.text


def test_a_named_person_whose_account_is_closed_leaves_it_to_the_managers(
    action: CorrectiveAction, policy: ReviewPolicy, ada: User
) -> None:
    policy.told_of_violations = ada
    cast.save(policy)
    cast.past_the_trail(User.objects.filter(pk=ada.pk), is_active=False)
    told(on(11))
    assert told(on(17)) == [("review_violation", "max")]


def test_a_review_that_is_not_approved_in_time_is_told_once(
    olga: User, max_: User, northwind: ServiceAgreement
) -> None:
    review = reviewed(olga)
    cast.fill_in(review)
    review.due_at = at("00:00", day=30)
    cast.save(review)
    cast.past_the_trail(review.actions.all(), due_on=dt.date(2027, 12, 1))
    assert told(at("23:59", day=29)) == []
    assert told(at("00:01", day=30)) == [("review_violation", "max")]
    assert told(on(2)) == []
    assert "is not approved in time" in Notice.objects.get(kind=NoticeKind.REVIEW_VIOLATION).subject


def test_one_that_was_approved_in_time_and_reopened_is_no_violation(
    review: PostIncidentReview, action: CorrectiveAction, max_: User
) -> None:
    review.due_at = at("00:00", day=30)
    cast.save(review)
    lifecycle.reopen(review, by=max_, now=at("12:00", day=28), reason="A log was found.")
    assert told(on(2)) == []


def test_a_review_without_an_action_in_time_is_told_once(olga: User, max_: User, northwind: ServiceAgreement) -> None:
    cast.policy(made_at=at("11:00"))
    review = reviewed(olga)
    assert told(at("23:00", day=27)) == []
    assert told(at("00:01", day=28)) == [("review_violation", "max")]
    assert "has no corrective action yet" in Notice.objects.get(kind=NoticeKind.REVIEW_VIOLATION).subject
    cast.lose(Notice.objects.filter(kind=NoticeKind.REVIEW_VIOLATION))
    cast.fill_in(review)
    assert ("review_violation", "max") not in told(at("00:02", day=28))


def test_the_owner_of_a_done_action_is_asked_whether_it_helped_when_its_day_has_come(
    action: CorrectiveAction, olga: User
) -> None:
    lifecycle.finish(action, by=olga, now=on(1), done_on=dt.date(2026, 11, 24), evidence="Shown")
    assert told(on(23)) == []
    assert told(on(24)) == [("action_effect", "olga")]
    assert told(on(26)) == []


def test_the_list_of_what_is_outstanding_goes_out_on_its_weekday_only(
    action: CorrectiveAction, policy: ReviewPolicy, max_: User
) -> None:
    policy.outstanding_on = 3  # Wednesday; the first of December 2026 is a Tuesday
    cast.save(policy)
    days = {day: told(on(day)) for day in (1, 2, 3)}
    assert {day: who for day, who in days.items() if who} == {2: [("outstanding", "max")]}
    notice = Notice.objects.get(kind=NoticeKind.OUTSTANDING)
    assert (notice.incident, notice.subject) == (None, "Outstanding corrective actions: 1, overdue: 0")
    for part in (notice.text, notice.html):
        assert "Add a replica" in part
        assert action.review.incident.reference in part
    lifecycle.drop(action, by=max_, now=on(8), reason="Gone.")
    assert told(on(9)) == [], "nothing is outstanding"


def test_what_is_open_without_a_policy_is_told_to_managers_on_monday_in_the_same_list(
    action: CorrectiveAction, policy: ReviewPolicy, olga: User, max_: User
) -> None:
    review = reviewed(olga, day=25)
    review.policy = None
    cast.save(review)
    cast.fill_in(review, action="Raise the quota")
    assert "outstanding" not in dict(told(on(6))), "Sunday"
    assert told(on(7)).count(("outstanding", "max")) == 1
    listed = Notice.objects.get(kind=NoticeKind.OUTSTANDING)
    assert "Raise the quota" in listed.text
    assert "Add a replica" not in listed.text, "its policy names no day"
    policy.outstanding_on, policy.is_active = 1, False
    cast.save(policy)
    assert told(on(14)).count(("outstanding", "max")) == 1
    listed = Notice.objects.filter(kind=NoticeKind.OUTSTANDING).latest("pk")
    assert "Raise the quota" in listed.text
    assert "Add a replica" in listed.text, "a policy out of use goes on for what began under it"


def test_the_list_comes_on_the_readers_own_day_and_in_their_language(
    action: CorrectiveAction, policy: ReviewPolicy, max_: User
) -> None:
    policy.outstanding_on = 3
    cast.save(policy)
    max_.time_zone, max_.language = "America/Los_Angeles", "de"
    cast.save(max_)
    assert told(on(2, "14:00")) == [], "06:00 there"
    assert told(on(2, "15:30")) == [("outstanding", "max")]
    assert "9. Dezember" not in Notice.objects.get(kind=NoticeKind.OUTSTANDING).text
    assert "2. Dezember 2026" in Notice.objects.get(kind=NoticeKind.OUTSTANDING).text


def test_the_database_keeps_a_notice_without_incident_and_deadline_to_one_for_each_moment_and_address(
    action: CorrectiveAction, policy: ReviewPolicy, max_: User
) -> None:
    policy.outstanding_on = 3
    cast.save(policy)
    told(on(2))
    notice = Notice.objects.get(kind=NoticeKind.OUTSTANDING)
    notice.pk, notice.message_id = None, "<another@example.org>"
    with pytest.raises(IntegrityError), transaction.atomic():
        cast.add_past_the_trail(Notice.objects, [notice])


def test_no_follow_up_goes_to_a_client(action: CorrectiveAction, northwind: ServiceAgreement) -> None:
    told(on(7))
    notice = Notice.objects.get(kind=NoticeKind.ACTION_REMINDER)
    notice.pk, notice.message_id, notice.moment = None, "<another@example.org>", "another"
    notice.client = northwind.client
    with pytest.raises(IntegrityError, match="notice_follow_up_is_for_a_colleague"), transaction.atomic():
        cast.add_past_the_trail(Notice.objects, [notice])


class TestTwoBeats:
    @pytest.fixture(autouse=True)
    def _real(self) -> None:
        if connection.vendor != "postgresql":
            pytest.skip("SQLite lets one write at a time; rows are raced for on PostgreSQL.")

    @pytest.mark.django_db(transaction=True)
    def test_at_the_same_instant_make_each_notice_once_and_ask_again_once(
        self, action: CorrectiveAction, policy: ReviewPolicy, olga: User, max_: User
    ) -> None:
        policy.outstanding_on = 3
        cast.save(policy)
        done = _done(action, olga)
        start = Barrier(2)

        def beat(now: dt.datetime) -> None:
            try:
                start.wait(10)
                followup.follow_up(now)
            finally:
                connections.close_all()

        for now in (on(2), on(9), on(18)):
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(beat, (now, now)))
        made: list[Any] = list(
            Notice.objects.filter(kind__in=FOLLOW_UPS).values_list("kind", "moment", "recipient_address")
        )
        assert len(made) == len(set(made))
        assert {kind for kind, _moment, _address in made} == set(FOLLOW_UPS)
        assert done.history.filter(effect="recurred").count() == 1


def _done(action: CorrectiveAction, by: User) -> CorrectiveAction:
    """Another action against the same factor, done, and the factor found again."""
    done = CorrectiveAction.objects.create(
        review=action.review, what="Alarm", owner=by, due_on=DUE, finding=action.finding
    )
    lifecycle.finish(done, by=by, now=at("15:00"), done_on=at("15:00").date(), evidence="Shown")
    found_again(action, by)
    return done
