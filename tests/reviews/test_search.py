"""A review is found by whatever it says; never by a text that the reader does not see. Runs on both databases."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connection
from django.test import Client as Browser
from django.urls import reverse

from agreements.models import ClientScope, Service, ServiceAgreement
from config.history import acting
from config.models import User
from config.search import words
from incidents import lifecycle as incidents
from reviews import lifecycle, search
from reviews.models import CorrectiveAction, Factor, Finding, PostIncidentReview, TimelinePick
from tests import cast
from tests.cast import at, browser_of

pytestmark = pytest.mark.django_db
LIST = "admin:reviews_postincidentreview_changelist"

Make = Callable[..., PostIncidentReview]


@pytest.fixture
def make(olga: User, northwind: ServiceAgreement, contoso: ServiceAgreement) -> Make:
    """A review of an incident of that service, with these texts of its own."""

    def made(title: str, service: str = "Payments", **texts: str) -> PostIncidentReview:
        incident = incidents.declare(
            by=olga,
            now=at("12:00"),
            title=title,
            severity="critical",
            services=list(Service.objects.filter(name=service)),
            detected_at=at("12:00"),
        )
        incidents.resolve(incident, by=olga, now=at("13:00"))
        review = lifecycle.open_review(incident, by=olga, now=at("13:05"))
        with acting(olga, reason="Written down."):
            for name, text in texts.items():
                setattr(review, name, text)
            review.save()
        return review

    return made


@pytest.fixture
def review(make: Make, olga: User) -> PostIncidentReview:
    """Each of its parts says a word that no other says; beside it another review that says nothing."""
    make("Something else")
    made = make(
        "Payments are slow",
        summary="A queue was cloggéd by one sender.",
        client_impact="Receipts came belatedly.",
        root_cause="The limiter was **unbounded**.",
        what_will_change="Senders are throttled.",
    )
    answer = made.answers.first()
    assert answer is not None
    answer.text = "The dashboard was reassuring."
    answer.save()
    factor = Factor.objects.create(name="Misleading dashboard", kind="technical")
    Finding.objects.create(review=made, factor=factor, explanation="It showed averages alone.")
    TimelinePick.objects.create(review=made, entry=made.incident.timeline.earliest("pk"), remark="Nobody was paged.")
    CorrectiveAction.objects.create(review=made, what="Graph the percentiles", owner=olga, due_on=at("12:00").date())
    return made


def found(text: str, reader: User) -> list[PostIncidentReview]:
    return list(search.reviews(PostIncidentReview.objects.all(), text, reader))


@pytest.mark.parametrize(
    ("word", "heading"),
    [
        ("CLOGGED", "what happened"),
        ("belatedly", "impact on clients"),
        ("unbounded", "root cause"),
        ("throttled", "what will change"),
        ("reassuring", "What made sense at the time?"),
        ("misleading", "Contributing factor"),
        ("averages", "Misleading dashboard"),
        ("paged", "Timeline"),
        ("percentiles", "Corrective action"),
    ],
)
def test_every_text_finds_its_review_and_says_where(
    review: PostIncidentReview, max_: User, word: str, heading: str
) -> None:
    assert found(word, max_) == [review]
    assert [str(place.heading) for place in search.places([review], word, max_)[review.pk]] == [heading]


def test_words_may_stand_in_different_texts_and_all_have_to_be_there(review: PostIncidentReview, max_: User) -> None:
    assert found("clogged percentiles slow contoso", max_) == [review]
    assert found("clogged percentiles slow northwind", max_) == []
    assert len(found("contoso", max_)) == 2
    assert len(found("", max_)) == 2
    headings = [place.heading for place in search.places([review], "clogged percentiles slow", max_)[review.pk]]
    assert headings == ["what happened", "Corrective action"]


def test_what_is_written_otherwise_is_found_by_its_new_words_alone(review: PostIncidentReview, max_: User) -> None:
    review.root_cause = "A loop."
    cast.save(review)
    assert (found("unbounded", max_), found("loop", max_)) == ([], [review])


def test_an_excerpt_is_short_and_of_a_long_word_too(make: Make, max_: User) -> None:
    review = make("Long", summary=" ".join(["before"] * 500 + ["needle" + "x" * 5000] + ["after"] * 500))
    (place,) = search.places([review], "needle", max_)[review.pk]
    assert place.before.startswith("…")
    assert place.found.startswith("needle")
    assert place.after.endswith("…")
    assert len(place.before) + len(place.found) + len(place.after) < 400


@pytest.mark.parametrize("text", ["%", "___", "'; DROP TABLE reviews_answer; --", "\x00", "\u202e", "x" * 5000])
def test_no_sign_is_a_wildcard_and_nothing_is_too_long(review: PostIncidentReview, max_: User, text: str) -> None:
    assert browser_of(max_).get(reverse(LIST), {"q": text}).status_code == 200
    assert found(text, max_) == ([] if words(text) else found("", max_))


def test_the_list_marks_what_was_found_and_escapes_what_stands_around_it(make: Make, max_: User) -> None:
    make("Pages break", summary="<script>alert(1)</script> the needle<b> & more")
    shown = browser_of(max_).get(reverse(LIST), {"q": "needle"}).content.decode()
    assert "<mark>needle&lt;b&gt;</mark> &amp; more" in shown
    assert "&lt;script&gt;alert(1)&lt;/script&gt; the" in shown
    assert "<script>alert" not in shown
    assert "<mark>" not in browser_of(max_).get(reverse(LIST)).content.decode()


class TestOfSomebodyWhoSeesOneClientAlone:
    @pytest.fixture
    def limited(self, max_: User, contoso: ServiceAgreement) -> User:
        ClientScope.objects.create(user=max_, client=contoso.client)
        return max_

    def listed(self, reader: User, text: str) -> str:
        return browser_of(reader).get(reverse(LIST), {"q": text}).content.decode()

    def test_a_part_that_names_another_client_finds_nothing_and_shows_nothing(
        self, review: PostIncidentReview, limited: User, ada: User
    ) -> None:
        finding = review.findings.get()
        finding.explanation = "Northwind had a secretive quota."
        cast.save(finding)
        assert found("secretive", ada) == [review]
        assert found("secretive", limited) == []
        assert review.incident.reference in self.listed(limited, "percentiles")
        shown = self.listed(limited, "clogged")
        assert review.incident.reference in shown
        assert "secretive" not in shown
        assert search.places([review], "secretive", limited)[review.pk] == []
        assert found("misleading", limited) == []  # by the name of its factor neither

    def test_a_review_of_another_client_alone_is_not_found(self, make: Make, limited: User, ada: User) -> None:
        contoso_too = make("Both", service="Object storage", summary="A shared matter.")
        assert "shared" in self.listed(limited, "matter")
        assert [review.pk for review in found("northwind", ada)] == [contoso_too.pk]
        assert found("northwind", limited) == []  # that it is theirs too is not told

    def test_a_review_that_names_another_client_is_not_found(self, make: Make, limited: User) -> None:
        hidden = make("Theirs", summary="Northwind asked for a hush-hush report.")
        assert hidden.incident.reference not in self.listed(limited, "hush-hush")


@pytest.mark.skipif("connection.vendor != 'postgresql'")
def test_postgresql_has_the_indexes_that_find_words() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_indexes WHERE tablename LIKE 'reviews_%' AND indexdef LIKE '%trgm%'")
        assert cursor.fetchone()[0] == 6


def test_the_list_asks_as_often_for_many_hits_as_for_few(
    make: Make, max_: User, django_assert_max_num_queries: Callable[..., object]
) -> None:
    browser: Browser = browser_of(max_)
    asked = []
    for more in (2, 8):
        for number in range(more):
            make(f"Case {number}", summary="a needle")
        browser.get(reverse(LIST), {"q": "needle"})  # what is asked once for all
        with django_assert_max_num_queries(18) as queries:  # type: ignore[attr-defined]
            browser.get(reverse(LIST), {"q": "needle"})
        asked.append(len(queries))
    assert asked[0] == asked[1], asked
