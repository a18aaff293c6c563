"""The pages on which colleagues look back: a review and its corrective actions."""

from __future__ import annotations

import datetime as dt
import html
from typing import Any

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from agreements.models import Service, ServiceAgreement
from config.models import User
from incidents import lifecycle
from incidents.models import Incident
from reviews import lifecycle as reviewing
from reviews.models import CorrectiveAction, Factor, Finding, PostIncidentReview
from tests import cast

MARKUP = "<script>alert(1)</script>"
TODAY = timezone.now().date()


def resolved(by: User) -> Incident:
    now = timezone.now()
    incident = lifecycle.declare(
        by=by,
        now=now,
        title="Storage is down",
        severity="critical",
        services=list(Service.objects.all()),
        detected_at=now - dt.timedelta(hours=1),
    )
    return lifecycle.resolve(incident, by=by, now=now)


@pytest.fixture
def review(olga: User, northwind: ServiceAgreement) -> PostIncidentReview:
    return reviewing.open_review(resolved(olga), by=olga, now=timezone.now())


def page(row: Any, name: str = "change") -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_{name}", args=[row.pk])


def shown(response: Any) -> str:
    return html.unescape(response.content.decode())


def learned(review: PostIncidentReview, *actions: dict[str, Any], **changes: Any) -> dict[str, Any]:
    existing = sum("id" in action for action in actions)
    typed: dict[str, Any] = {
        "facilitator": review.facilitator_id,
        "summary": "A disk filled up.",
        "client_impact": "Nobody could sign in.",
        "root_cause": "Nobody was told that it grew.",
        "what_will_change": "It is measured.",
        "reason": "What we found",
        "actions-TOTAL_FORMS": len(actions),
        "actions-INITIAL_FORMS": existing,
    }
    answers = list(review.answers.all())
    typed |= {"answers-TOTAL_FORMS": len(answers), "answers-INITIAL_FORMS": len(answers)}
    for number, answer in enumerate(answers):
        typed |= {f"answers-{number}-id": answer.pk, f"answers-{number}-text": "As was usual."}
    for empty in ("contributors", "links", "picks"):
        typed |= {f"{empty}-TOTAL_FORMS": 0, f"{empty}-INITIAL_FORMS": 0}
    typed |= {"findings-TOTAL_FORMS": 0 if review.findings.exists() else 1, "findings-INITIAL_FORMS": 0}
    typed |= {"findings-0-factor": Factor.objects.get_or_create(name="Unwatched growth", kind="technical")[0].pk}
    for number, action in enumerate(actions):
        typed |= {f"actions-{number}-{name}": value for name, value in action.items()}
    return {**typed, **changes}


def action(by: User, **changes: Any) -> dict[str, Any]:
    return {
        "what": "Measure the disk",
        "kind": "prevent",
        "priority": 2,
        "owner": by.pk,
        "due_on": "2026-12-24",
        **changes,
    }


def test_a_review_is_opened_from_the_incidents_page_and_only_there(
    browser: Browser, olga: User, max_: User, northwind: ServiceAgreement
) -> None:
    incident = resolved(olga)
    assert browser.get(reverse("admin:reviews_postincidentreview_add")).status_code == 403
    response = browser.post(page(incident, "open-review"), {"facilitator": max_.pk}, follow=True)
    review = PostIncidentReview.objects.get()
    assert review.facilitator == max_
    assert response.redirect_chain == [(page(review), 302)]
    on_the_incident = browser.get(page(incident))
    assert page(review) in shown(on_the_incident)
    assert "open-review" not in {button.slug for button in on_the_incident.context["buttons"]}
    assert "already has a review" in shown(browser.post(page(incident, "open-review"), {}))


def test_what_was_learned_is_written_down_approved_by_another_and_closed(
    browser: Browser, olga: User, max_: User, review: PostIncidentReview
) -> None:
    refused = shown(browser.post(page(review, "submit"), {}))
    assert "Write what happened." in refused
    assert "Answer: What made sense at the time?" in refused
    assert browser.post(page(review), learned(review, action(olga))).status_code == 302
    browser.post(page(review, "submit"), {})
    assert browser.get(page(review)).context["has_change_permission"] is False
    assert browser.post(page(review, "approve"), {}).status_code == 403
    assert "is approved" in shown(cast.browser_of(max_).post(page(review, "approve"), {}, follow=True))
    assert "The review is closed." in shown(browser.post(page(review, "close"), {}, follow=True))
    review.refresh_from_db()
    assert review.is_completed
    assert (review.submitted_by, review.approved_by) == (olga, max_)
    assert "What we found" in set(review.history.values_list("history_change_reason", flat=True))
    assert {button.slug for button in browser.get(page(review)).context["buttons"]} == set()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"what": "x" * 10_000}, "at most 300 characters"),
        ({"what": "Measure\r\nit"}, "Write it on one line"),
        ({"due_on": "0001-01-01"}, "before the year 1900"),
        ({"due_on": "9999-12-31"}, "after the year 2999"),
        ({"due_on": ""}, "This field is required"),
        ({"owner": 999_999}, "is not one of the available choices"),
    ],
)
def test_an_action_that_cannot_be_is_refused_with_a_sentence_and_keeps_what_was_typed(
    browser: Browser, olga: User, review: PostIncidentReview, changes: dict[str, Any], sentence: str
) -> None:
    response = browser.post(page(review), learned(review, action(olga, **changes)))
    assert response.status_code == 200
    assert sentence in shown(response)
    assert "A disk filled up." in shown(response)
    assert not CorrectiveAction.objects.exists()


def test_actions_are_never_taken_out(browser: Browser, olga: User, review: PostIncidentReview) -> None:
    browser.post(page(review), learned(review, action(olga)))
    row = CorrectiveAction.objects.get()
    browser.post(page(review), learned(review, action(olga, id=row.pk, review=review.pk, DELETE="on")))
    assert CorrectiveAction.objects.exists()


def test_actions_are_listed_by_progress_and_owner_and_overdue_ones_are_counted_on_the_board(
    browser: Browser, olga: User, max_: User, review: PostIncidentReview
) -> None:
    day = dt.timedelta(days=1)
    late = CorrectiveAction.objects.create(review=review, what="Late", owner=olga, due_on=TODAY - 2 * day)
    ahead = CorrectiveAction.objects.create(review=review, what="Ahead", owner=max_, due_on=TODAY + 2 * day)
    done = CorrectiveAction.objects.create(
        review=review, what="Done", owner=max_, due_on=TODAY - 2 * day, done_on=TODAY - 3 * day, evidence="Tested"
    )

    def listed(**params: Any) -> set[CorrectiveAction]:
        response = browser.get(reverse("admin:reviews_correctiveaction_changelist"), params)
        return set(response.context["cl"].result_list)

    assert listed() == {late, ahead, done}
    assert listed(progress="open") == {late, ahead}
    assert listed(progress="overdue") == {late}
    assert listed(progress="done") == {done}
    assert listed(owner=max_.pk) == {ahead, done}
    counts = {str(tile.label): tile.count for tile in browser.get(reverse("admin:index")).context["tiles"]}
    assert counts["Corrective actions overdue"] == 1


def test_an_action_goes_its_way_by_steps_on_its_own_page(
    browser: Browser, olga: User, review: PostIncidentReview
) -> None:
    row = CorrectiveAction.objects.create(review=review, what="Measure the disk", owner=olga, due_on=TODAY)

    def steps() -> set[str]:
        return {button.slug for button in browser.get(page(row)).context["buttons"]}

    assert steps() == {"start", "finish", "hand-over", "drop"}
    browser.post(page(row, "start"), {})
    assert steps() == {"finish", "hand-over", "drop"}
    refused = browser.post(page(row, "finish"), {"done_on": TODAY.isoformat(), "evidence": ""})
    assert "This field is required" in shown(refused)
    done = browser.post(page(row, "finish"), {"done_on": TODAY.isoformat(), "evidence": "Alarm tested"}, follow=True)
    assert "it is asked whether it helped" in shown(done)
    assert steps() == {"check", "take-up-again"}
    again = browser.post(page(row, "check"), {"effect": "recurred", "reason": "It filled up again."}, follow=True)
    assert "The action is open again" in shown(again)
    assert "Open again" in shown(again)
    assert "This field is required" in shown(browser.post(page(row, "drop"), {"reason": " "}))
    browser.post(page(row, "drop"), {"reason": "The disk is gone."})
    row.refresh_from_db()
    assert (row.dropped_on, row.why_dropped) == (TODAY, "The disk is gone.")


def test_the_plain_form_does_not_change_how_far_an_action_is(
    browser: Browser, olga: User, review: PostIncidentReview
) -> None:
    row = CorrectiveAction.objects.create(review=review, what="Measure the disk", owner=olga, due_on=TODAY)
    cast.fill_in(reviewing.open_review(resolved(olga), by=olga, now=timezone.now()))
    other = Finding.objects.get()
    sent = {"what": "Measure it", "kind": "detect", "priority": 1, "owner": olga.pk, "due_on": TODAY.isoformat()}
    sent |= {"done_on": TODAY.isoformat(), "evidence": "None", "dropped_on": TODAY.isoformat(), "reason": "Better said"}
    assert "not one of the available choices" in shown(browser.post(page(row), {**sent, "finding": other.pk}))
    assert browser.post(page(row), sent).status_code == 302
    row.refresh_from_db()
    assert (row.what, row.done_on, row.dropped_on, row.evidence) == ("Measure it", None, None, "")


def test_a_new_action_begins_with_the_due_day_of_the_policy_and_the_factors_found(
    browser: Browser, review: PostIncidentReview
) -> None:
    cast.fill_in(review)
    rows = browser.get(page(review)).context["inline_admin_formsets"]
    (actions,) = (rows_of for rows_of in rows if rows_of.opts.model is CorrectiveAction)
    empty = actions.formset.empty_form
    assert empty.fields["due_on"].initial == TODAY + dt.timedelta(days=30)
    assert [label for _key, label in empty.fields["finding"].choices][1:] == [str(review.findings.get())]


def test_a_recurrence_is_said_on_the_page_of_the_action_and_on_that_of_the_later_review(
    browser: Browser, olga: User, review: PostIncidentReview
) -> None:
    before = cast.fill_in(review)
    assert before.finding
    later = reviewing.open_review(resolved(olga), by=olga, now=timezone.now())
    Finding.objects.create(review=later, factor=before.finding.factor)
    assert str(later) in shown(browser.get(page(before)))
    assert "Decided before against the same factors" in shown(browser.get(page(later)))
    assert page(before) in shown(browser.get(page(later)))
    assert "Decided before" not in shown(browser.get(page(review)))


def test_actions_are_found_by_kind_priority_client_service_and_due_day(
    browser: Browser, olga: User, review: PostIncidentReview
) -> None:
    first = CorrectiveAction.objects.create(review=review, what="One", owner=olga, due_on=TODAY, kind="detect")
    second = CorrectiveAction.objects.create(
        review=review, what="Two", owner=olga, due_on=TODAY + dt.timedelta(days=9), priority=1
    )
    done = CorrectiveAction.objects.create(
        review=review, what="Three", owner=olga, due_on=TODAY, done_on=TODAY, evidence="Shown", check_on=TODAY
    )

    def listed(**params: Any) -> set[CorrectiveAction]:
        response = browser.get(reverse("admin:reviews_correctiveaction_changelist"), params)
        return set(response.context["cl"].result_list)

    assert listed(kind="detect") == {first}
    assert listed(priority=1) == {second}
    assert listed(progress="to-check") == {done}
    assert listed(client="Northwind") == {first, second, done} == listed(service="Object storage")
    assert listed(client="Nobody") == set() == listed(service="Nothing")
    assert listed(due_from=(TODAY + dt.timedelta(days=1)).isoformat()) == {second}
    assert listed(due_until=TODAY.isoformat()) == {first, done}
    table: Any = browser.get(reverse("admin:reviews_correctiveaction_export"), {"kind": "detect"})
    text = b"".join(table.streaming_content).decode()
    assert "One" in text
    assert "Two" not in text


def test_markup_in_a_review_is_shown_as_it_was_typed(browser: Browser, olga: User, review: PostIncidentReview) -> None:
    sent = learned(review, action(olga, what=MARKUP), summary=MARKUP, root_cause=MARKUP, what_will_change=MARKUP)
    assert browser.post(page(review), sent).status_code == 302
    for address in (
        page(review),
        page(review, "history"),
        reverse("admin:reviews_correctiveaction_changelist"),
        page(CorrectiveAction.objects.get()),
    ):
        text = browser.get(address).content.decode()
        assert MARKUP not in text, address
        assert "alert(1)" in text, address


def test_lists_ask_as_many_queries_for_twenty_rows_as_for_two(
    browser: Browser, olga: User, northwind: ServiceAgreement
) -> None:
    addresses = [reverse(f"admin:reviews_{name}_changelist") for name in ("postincidentreview", "correctiveaction")]

    def more(count: int) -> list[int]:
        for _number in range(count):
            review = reviewing.open_review(resolved(olga), by=olga, now=timezone.now())
            CorrectiveAction.objects.create(review=review, what="Measure", owner=olga, due_on=TODAY)
        found = []
        for address in addresses:
            browser.get(address)
            with CaptureQueriesContext(connection) as captured:
                browser.get(address)
            found.append(len(captured))
        return found

    assert more(2) == more(18)
