"""The page of a review: where it stands, how it is written by several people, and how it is read."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from agreements.models import ServiceAgreement
from config import roles
from config.history import acting
from config.models import User
from incidents import lifecycle
from incidents.models import Deadline, TimelineEntry
from reviews import edition
from reviews import lifecycle as reviewing
from reviews.models import Factor, Finding, PostIncidentReview, TimelinePick
from tests import cast
from tests.reviews.test_admin import page, resolved, shown

pytestmark = pytest.mark.django_db
MINUTE = dt.timedelta(minutes=1)
LISTS = ("answers", "picks", "findings", "actions", "contributors", "links")


@pytest.fixture
def review(olga: User, northwind: ServiceAgreement) -> PostIncidentReview:
    return reviewing.open_review(resolved(olga), by=olga, now=timezone.now())


@pytest.fixture
def noted(review: PostIncidentReview, olga: User) -> list[TimelineEntry]:
    """Three notes of its incident, the earliest first."""
    now = timezone.now()
    for number in range(3):
        lifecycle.note(review.incident, by=olga, now=now, text=f"Note {number}", at=now - (9 - number) * MINUTE)
    return list(TimelineEntry.objects.filter(is_note=True).order_by("happened_at"))


def picked(review: PostIncidentReview) -> list[str]:
    return [pick.entry.text for pick in review.picks.select_related("entry")]


def sent(response: Any, **changes: Any) -> dict[str, Any]:
    """What a browser sends of the page as it stands, with some of it typed otherwise."""
    form = response.context["adminform"].form
    data = {name: form[name].value() for name in form.fields}
    for inline in response.context["inline_admin_formsets"]:
        formset = inline.formset
        data |= {f"{formset.prefix}-{n}": formset.management_form[n].value() for n in formset.management_form.fields}
        for row in formset.forms:
            data |= {row.add_prefix(name): row[name].value() for name in row.fields}
    return {name: value for name, value in {**data, **changes}.items() if value is not None and value is not False}


def save(browser: Browser, review: PostIncidentReview, typed: dict[str, Any]) -> str:
    """Save the page; where its writer is led then."""
    response = browser.post(page(review), typed)
    if response.status_code != 302:
        inlines = [inline.formset.errors for inline in response.context["inline_admin_formsets"]]
        pytest.fail(f"refused: {response.context['adminform'].form.errors} {inlines}")
    return str(response["Location"])


# ── where it stands ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_it_says_when_it_is_due_by_contract_or_by_our_policy_whichever_is_first(
    browser: Browser, review: PostIncidentReview
) -> None:
    now = timezone.now()
    assert browser.get(page(review)).context["document"].due is None
    review.due_at = now - MINUTE
    cast.save(review)
    assert "Overdue." in shown(browser.get(page(review)))
    assert "by our own policy" in shown(browser.get(page(review)))
    deadline = Deadline.objects.filter(incident=review.incident).earliest("pk")
    cast.past_the_trail(
        Deadline.objects.filter(pk=deadline.pk),
        obligation="report",
        due_at=now - 2 * MINUTE,
        met_at=None,
        ended_at=None,
    )
    assert "The report to Northwind is due" in shown(browser.get(page(review)))
    cast.past_the_trail(Deadline.objects.filter(pk=deadline.pk), met_at=now, next_action_at=None)
    assert "by our own policy" in shown(browser.get(page(review)))


def test_the_checklist_is_computed_and_is_what_the_submission_asks_for(
    browser: Browser, review: PostIncidentReview
) -> None:
    def missing() -> list[str]:
        return [check.what for check in browser.get(page(review)).context["document"].checks if not check.is_there]

    assert missing() == reviewing.what_is_missing(review) != []
    cast.fill_in(review)
    assert missing() == []
    assert "Nothing is missing." in shown(browser.get(page(review)))


# ── writing ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_text_is_written_without_saying_why_and_its_writer_stays_on_the_page(
    browser: Browser, review: PostIncidentReview
) -> None:
    assert save(browser, review, sent(browser.get(page(review)), summary="A disk **filled** up.")) == page(review)
    review.refresh_from_db()
    assert review.summary == "A disk **filled** up."
    assert not review.is_summary_for_client, "nothing is shared that nobody ticked"


def test_what_the_trail_must_explain_is_still_asked_for(browser: Browser, review: PostIncidentReview) -> None:
    action = cast.fill_in(review)
    later = (action.due_on + dt.timedelta(days=3)).isoformat()
    typed = sent(browser.get(page(review)), **{"actions-0-due_on": later})
    assert "reason" in browser.post(page(review), typed).context["adminform"].form.errors
    save(browser, review, {**typed, "reason": "The disk comes later."})


def test_the_second_of_two_editors_is_told_once_what_the_first_wrote_in_whatever_part(
    browser: Browser, review: PostIncidentReview, noted: list[TimelineEntry], max_: User
) -> None:
    reviewing.pick(review, by=review.facilitator, entries=noted)
    mine, theirs = browser.get(page(review)), cast.browser_of(max_)
    wrote = sent(theirs.get(page(review)), **{"answers-0-text": "It was usual.", "picks-1-remark": "Nobody knew."})
    save(theirs, review, wrote)
    refused = browser.post(page(review), sent(mine, summary="A disk filled up."))
    text = shown(refused)
    assert "Somebody has changed this since you opened the page." in text
    assert "Max Weber" in text
    assert "A disk filled up." in text
    assert "Nobody knew." in text
    save(browser, review, sent(refused))
    review.refresh_from_db()
    assert review.summary == "A disk filled up."
    assert review.answers.all()[0].text == "It was usual."
    assert review.picks.all()[1].remark == "Nobody knew."


def test_a_preview_is_clean_html_for_who_may_write_and_keeps_nothing(
    browser: Browser, review: PostIncidentReview, aude: User
) -> None:
    address = page(review, "preview")
    asked = {"text": "**bold** <script>alert(1)</script>"}
    with CaptureQueriesContext(connection) as queries:
        answer = browser.post(address, asked).content.decode()
    assert "<strong>bold</strong>" in answer
    assert "<script>" not in answer
    assert not [q for q in queries if q["sql"].startswith(("INSERT", "UPDATE", "DELETE"))]
    assert browser.post(address, {"text": "x" * 20_001}).status_code == 413
    assert browser.get(address).status_code == 405
    assert cast.browser_of(aude).post(address, asked).status_code == 403
    assert cast.browser_of(cast.colleague("oz", "Oz Other", roles.OPERATOR)).post(address, asked).status_code == 403
    strict = Browser(enforce_csrf_checks=True)
    strict.force_login(review.facilitator)
    assert strict.post(address, asked).status_code == 403


# ── its timeline ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_entries_are_picked_by_time_moved_remarked_and_taken_out(
    browser: Browser, review: PostIncidentReview, noted: list[TimelineEntry]
) -> None:
    first, second, third = noted
    address = page(review, "pick-entries")
    assert "Note 1" in shown(browser.get(address))
    browser.post(address, {"entries": [first.pk, third.pk]})
    assert picked(review) == ["Note 0", "Note 2"]
    browser.post(address, {"entries": [first.pk, second.pk, third.pk]})
    assert picked(review) == ["Note 0", "Note 1", "Note 2"]
    last = review.picks.get(entry=third)
    typed = sent(browser.get(page(review)), _move=f"{last.pk} -1", **{"picks-0-remark": "Nobody knew yet."})
    assert save(browser, review, typed) == f"{page(review)}#picks-group"
    assert picked(review) == ["Note 0", "Note 2", "Note 1"]
    assert review.picks.get(entry=first).remark == "Nobody knew yet."
    save(browser, review, sent(browser.get(page(review)), **{"picks-0-DELETE": "on"}))
    assert picked(review) == ["Note 2", "Note 1"]


def test_an_entry_of_another_incident_can_never_be_picked_unless_it_was_merged_into_this_one(
    browser: Browser, review: PostIncidentReview, olga: User
) -> None:
    now = timezone.now()
    other = lifecycle.declare(
        by=olga, now=now, title="Other", severity="low", services=[cast.service("Login")], detected_at=now
    )
    lifecycle.note(other, by=olga, now=now, text="Of another")
    entry = TimelineEntry.objects.get(text="Of another")
    refused = browser.post(page(review, "pick-entries"), {"entries": [entry.pk]})
    assert "entries" in refused.context["form"].errors
    with pytest.raises(ValidationError, match="belongs to another incident"):
        reviewing.pick(review, by=olga, entries=[entry])
    assert not TimelinePick.objects.exists()
    cast.past_the_trail(
        type(other).objects.filter(pk=other.pk), status="merged", merged_into=review.incident, merged_at=now
    )
    browser.post(page(review, "pick-entries"), {"entries": [entry.pk]})
    assert picked(review) == ["Of another"]


def test_entries_of_all_that_was_merged_into_it_are_offered_by_their_reference_and_what_is_internal_stays(
    browser: Browser, review: PostIncidentReview, olga: User
) -> None:
    now = timezone.now()
    into = review.incident
    for title in ("Its part", "A part of that"):
        part = lifecycle.declare(
            by=olga, now=now, title=title, severity="low", services=[cast.service("Login")], detected_at=now
        )
        lifecycle.note(part, by=olga, now=now, text=f"Internal to {title}")
        lifecycle.note(part, by=olga, now=now, text=f"Open in {title}", is_client_visible=True)
        cast.past_the_trail(type(part).objects.filter(pk=part.pk), status="merged", merged_into=into, merged_at=now)
        into = part
    offered = shown(browser.get(page(review, "pick-entries")))
    for title in ("Its part", "A part of that"):
        reference = type(part).objects.get(title=title).reference
        assert f"{reference}: Internal to {title}" in offered
        assert f"{reference}: Open in {title} (clients were shown this)" in offered
    theirs = TimelineEntry.objects.filter(incident=part, text__contains="A part of that")
    browser.post(page(review, "pick-entries"), {"entries": [entry.pk for entry in theirs]})
    assert sorted(picked(review)) == ["Internal to A part of that", "Open in A part of that"]
    for name in ("change", "read"):
        assert f"{part.reference}: Internal to A part of that" in shown(browser.get(page(review, name)))
    cast.past_the_trail(review.picks, is_for_client=True, remark="It came later.")
    told = edition.facts(review, cast.client("Fabrikam", "UTC", "it@fabrikam.example")).timeline
    assert sorted((one.text, one.remark) for one in told) == [
        ("", "It came later."),
        ("Open in A part of that", "It came later."),
    ]


def test_who_picks_while_a_colleague_did_is_told(
    browser: Browser, review: PostIncidentReview, noted: list[TimelineEntry], max_: User
) -> None:
    address = page(review, "pick-entries")
    as_read = browser.get(address).context["form"].as_read
    with acting(max_):
        reviewing.pick(review, by=max_, entries=noted[:1])
    refused = shown(browser.post(address, {"entries": [noted[1].pk], "as_read": as_read}))
    assert "Somebody has changed this since you opened the page." in refused
    assert picked(review) == ["Note 0"]


# ── who ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_colleague_joins_and_then_writes_but_does_not_steer(
    browser: Browser, review: PostIncidentReview, max_: User
) -> None:
    oz = cast.colleague("oz", "Oz Other", roles.OPERATOR)
    other = cast.browser_of(oz)
    assert other.get(page(review)).context["has_change_permission"] is False
    assert "join" not in {button.slug for button in browser.get(page(review)).context["buttons"]}
    assert "You write in this review now." in shown(other.post(page(review, "join"), {}, follow=True))
    assert "You write in it already." in shown(other.post(page(review, "join"), {}))
    shown_to_oz = other.get(page(review))
    assert shown_to_oz.context["has_change_permission"] is True
    typed = sent(shown_to_oz, summary="Written by Oz.", facilitator=oz.pk)
    typed |= {"contributors-TOTAL_FORMS": 1, "contributors-INITIAL_FORMS": 0, "contributors-0-user": max_.pk}
    save(other, review, typed)
    review.refresh_from_db()
    assert (review.summary, review.facilitator.username) == ("Written by Oz.", "olga")
    assert list(review.contributors.values_list("user__username", flat=True)) == ["oz"]


def test_everybody_else_reads_the_whole_document_where_links_lead_away_and_are_marked_so(
    review: PostIncidentReview, aude: User
) -> None:
    cast.fill_in(review)
    reader = cast.browser_of(aude)
    for address in (page(review), page(review, "read")):
        text = shown(reader.get(address))
        for words in ("A disk filled up.", "Unwatched growth", "As was usual.", "Add a replica", "Nobody knew yet."):
            assert words in text, (address, words)
        assert '<a href="https://charts.example/disk" rel="noopener noreferrer nofollow">Chart</a>' in text
        assert 'name="summary"' not in text
        assert 'role="img"' in text


# ── the likes of it ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_similar_ones_share_services_or_factors_the_newest_five_with_what_they_share(
    browser: Browser, review: PostIncidentReview, olga: User
) -> None:
    now = timezone.now()
    login = cast.service("Login")
    factor = Factor.objects.create(name="No alarm", kind="technical")
    Finding.objects.create(review=review, factor=factor)
    assert browser.get(page(review)).context["document"].similar == []

    def other(number: int, *factors: Factor) -> PostIncidentReview:
        incident = lifecycle.declare(
            by=olga, now=now, title=f"Login {number}", severity="low", services=[login], detected_at=now
        )
        lifecycle.resolve(incident, by=olga, now=now)
        made = reviewing.open_review(incident, by=olga, now=now + number * MINUTE)
        for one in factors:
            Finding.objects.create(review=made, factor=one)
        return made

    unlike, *alike = [other(0), *(other(number, factor) for number in range(1, 7))]
    found = browser.get(page(review)).context["document"].similar
    assert [similar.review for similar in found] == alike[:0:-1]
    assert {tuple(similar.factors) for similar in found} == {("No alarm",)}
    assert [tuple(similar.services) for similar in browser.get(page(unlike)).context["document"].similar] == [
        ("Login",)
    ] * 5


def test_a_long_document_asks_as_many_queries_as_a_short_one_and_few(
    browser: Browser, review: PostIncidentReview, noted: list[TimelineEntry], olga: User, max_: User
) -> None:
    """For its facilitator and for a manager who steers it, as well as for who reads it."""
    cast.fill_in(review)
    manager = cast.browser_of(max_)

    def counted(name: str, by: Browser = browser) -> int:
        by.get(page(review, name))
        with CaptureQueriesContext(connection) as queries:
            by.get(page(review, name))
        return len(queries)

    before = counted("change"), counted("read"), counted("change", manager)
    reviewing.pick(review, by=olga, entries=noted)
    for number in range(8):
        factor = Factor.objects.create(name=f"Factor {number}", kind="process")
        Finding.objects.create(review=review, factor=factor)
        reviewing.join(review, by=cast.colleague(f"c{number}", f"Col {number}", roles.OPERATOR))
    assert (counted("change"), counted("read"), counted("change", manager)) == before
    assert max(before) <= 30


def test_what_is_missing_leads_to_its_place_on_the_page_of_whoever_writes(
    browser: Browser, review: PostIncidentReview
) -> None:
    response = browser.get(page(review))
    said = shown(response)
    for check, place in response.context["document"].placed_checks:
        assert not check.is_there
        assert f'href="#{place}"' in said
        assert said.count(f'id="{place}"') == 1
    assert 'href="#part-' not in shown(browser.get(page(review, "read")))
