"""Search finds the same on SQLite and on PostgreSQL; this file runs on both."""

from __future__ import annotations

import pytest
from django.db import connection
from django.utils import timezone

from agreements.models import Client, ServiceAgreement
from config.models import User
from config.search import LONGEST_TEXT, MOST_WORDS, fold, words
from incidents import lifecycle
from incidents.models import Deadline, Incident, Notice
from reviews import lifecycle as reviewing
from reviews.models import CorrectiveAction, PostIncidentReview
from tests import cast

TITLES = (
    "Object storage is down",
    "Ångström façade: GROSSE Straße gesperrt",
    "100% of writes fail in eu_west_1",
    "Path C:\\data\\new is gone",
    'It\'s the "primary" DB that hangs',
    "Login fails (again), see INC-2026-0001",
    "Ωmega gateway drops mail",
    "Feedback form is slow",
)


@pytest.fixture
def incidents(olga: User, northwind: ServiceAgreement, contoso: ServiceAgreement) -> dict[str, Incident]:
    """One per title; the first falls under Northwind's and Contoso's agreements, the others under Contoso's alone."""
    now = timezone.now()
    storage, payments = cast.service("Object storage"), cast.service("Payments")
    return {
        title: lifecycle.declare(
            by=olga,
            now=now,
            title=title,
            severity="critical",
            services=[payments if number else storage],
            detected_at=now,
        )
        for number, title in enumerate(TITLES)
    }


def titles(text: str) -> list[str]:
    return sorted(Incident.objects.search(text).values_list("title", flat=True))


def having(*parts: str) -> list[str]:
    return sorted(title for title in TITLES if any(part in title for part in parts))


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("storage", ["storage"]),
        ("STORAGE down", ["storage"]),
        ("down storage", ["storage"]),
        ("storage gateway", []),
        ("angstrom", ["Ångström"]),
        ("ÅNGSTRÖM FACADE", ["Ångström"]),
        ("strasse", ["Straße"]),
        ("große", ["GROSSE"]),
        ("ωmega", ["Ωmega"]),
        ("ΩMEGA", ["Ωmega"]),
        ("100%", ["100%"]),
        ("%", []),
        ("%%%", []),
        ("___", []),
        ("o_j", []),
        ("eu_west", ["eu_west"]),
        ("c:\\data", ["C:\\data"]),
        ("\\", []),
        ("it's", ["It's"]),
        ('"primary"', ["primary"]),
        ("'; DROP TABLE incidents_incident; --", []),
        ("\x00storage", ["storage"]),
        ("db", ["DB"]),  # not "Feedback": two letters have to begin a word
        ("fee", ["Feedback"]),
        ("\u202estorage", []),
        ("😀", []),
    ],
)
def test_every_word_is_found_whatever_its_case_and_accents_and_no_sign_is_a_wildcard(
    incidents: dict[str, Incident], typed: str, found: list[str]
) -> None:
    assert titles(typed) == having(*found)


@pytest.mark.parametrize("nothing", ["", "   ", "\t\n", "\x00"])
def test_a_search_without_a_word_leaves_everything(incidents: dict[str, Incident], nothing: str) -> None:
    assert len(titles(nothing)) == len(TITLES)


def test_a_reference_is_found_whole_or_by_its_beginning_and_never_by_a_title_that_names_it(
    incidents: dict[str, Incident],
) -> None:
    first, *_others, last = incidents.values()
    assert titles(first.reference) == [first.title]
    assert titles(first.reference.lower()) == [first.title]
    assert titles(last.reference[:-1]) == sorted(TITLES)
    assert titles(f"{last.reference[:-1]} feedback") == [last.title]
    assert titles("inc-1999") == []
    assert titles(first.reference[-4:]) == sorted({first.title, *having("INC-2026-0001")})  # the number alone


def test_an_incident_is_found_by_the_name_of_its_client_and_by_that_with_a_word(
    incidents: dict[str, Incident],
) -> None:
    assert titles("northwind") == having("storage")
    assert titles("contoso") == sorted(TITLES)
    assert titles("contoso feedback") == having("Feedback")
    assert titles("northwind feedback") == []


def test_a_name_that_is_also_a_word_finds_both(incidents: dict[str, Incident], olga: User) -> None:
    now = timezone.now()
    named = lifecycle.declare(
        by=olga,
        now=now,
        title="Line to Northwind is cut",
        severity="low",
        services=[cast.service("Payments")],
        detected_at=now,
    )
    assert titles("northwind") == sorted([*having("storage"), named.title])


def test_what_is_renamed_is_found_by_its_new_name_alone(incidents: dict[str, Incident], northwind: Client) -> None:
    incident = incidents["Object storage is down"]
    incident.title = "Block storage is down"
    incident.save()
    client = Client.objects.get(name="Northwind")
    client.name = "Südwind"
    client.save()
    assert titles("object") == []
    assert titles("block") == ["Block storage is down"]
    assert titles("northwind") == []
    assert titles("sudwind") == ["Block storage is down"]


def test_a_long_text_is_searched_by_its_beginning(incidents: dict[str, Incident]) -> None:
    assert titles("storage " + "x" * 5000) == []
    assert titles("storage" + " " * LONGEST_TEXT + "nowhere") == having("storage")
    assert len(words(" ".join(f"w{number}" for number in range(50)))) == MOST_WORDS
    assert titles("storage storage " * 500) == having("storage")


def test_deadlines_notices_reviews_and_actions_are_found_by_their_incident_and_client(
    incidents: dict[str, Incident], olga: User
) -> None:
    now = timezone.now()
    incident = incidents["Object storage is down"]
    lifecycle.notify_client(incident, by=olga, now=now)
    assert {d.incident for d in Deadline.objects.search("object")} == {incident}
    assert {d.incident for d in Deadline.objects.search(incident.reference)} == {incident}
    assert {d.client.name for d in Deadline.objects.search("northwind")} == {"Northwind"}
    assert {d.client.name for d in Deadline.objects.search("northwind object")} == {"Northwind"}
    assert Deadline.objects.search("northwind feedback").count() == 0
    assert Notice.objects.search("object").count() == 3
    assert {n.recipient_address for n in Notice.objects.search("duty@contoso")} == {"duty@contoso.example"}
    assert Notice.objects.search(f"{incident.reference} NORTHWIND").count() == 1
    lifecycle.resolve(incident, by=olga, now=now)
    review = reviewing.open_review(incident, by=olga, now=now)
    action = CorrectiveAction.objects.create(review=review, what="Add a réplica", owner=olga, due_on=now.date())
    assert list(PostIncidentReview.objects.search("storage northwind")) == [review]
    assert list(CorrectiveAction.objects.search("replica storage")) == [action]
    assert not PostIncidentReview.objects.search("feedback")


def test_agreements_are_found_by_reference_and_client_and_a_name_that_fits_exactly_goes_first(
    northwind: ServiceAgreement, contoso: ServiceAgreement
) -> None:
    bank = cast.client("Contoso Bank", "UTC", "it@bank.example")
    assert list(ServiceAgreement.objects.search("nw-2025")) == [northwind]
    assert list(ServiceAgreement.objects.search("contoso ct")) == [contoso]
    assert [client.name for client in Client.objects.named("contoso")] == ["Contoso"]
    assert list(Client.objects.named("cont bank")) == [bank]
    assert len(Client.objects.named("conto")) == 2


def test_folding_is_the_same_however_often_it_is_done() -> None:
    for title in (*TITLES, "İstanbul ﬁne ①", "e\u0301"):
        assert fold(fold(title)) == fold(title)


@pytest.mark.skipif("connection.vendor != 'postgresql'")
@pytest.mark.django_db
def test_postgresql_has_the_index_that_finds_words() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT indexdef FROM pg_indexes WHERE indexname = 'incident_words'")
        assert "gin_trgm_ops" in cursor.fetchone()[0]
