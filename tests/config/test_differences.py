"""What a row of the trail changed, as people read it."""

from __future__ import annotations

import datetime as dt
import random
import time
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from agreements.models import Client, Contact, ServiceAgreement, ServiceCoverage, Severity
from config.audit import differences, sources, words
from config.audit.differences import Difference, FieldChange
from config.audit.names import Names
from config.audit.words import Kind
from config.history import acting
from config.models import User
from incidents import lifecycle
from incidents.models import Deadline
from tests import cast
from tests.cast import NOON

pytestmark = pytest.mark.django_db


def latest(row: Any) -> Difference:
    (told,) = differences.of([row.history.first()])
    return told


def only(told: Difference) -> FieldChange:
    (change,) = told.changes
    return change


def before_and_after(row: Any) -> tuple[str, str]:
    change = only(latest(row))
    return change.old, change.new


def test_a_choice_is_told_by_its_label_and_so_is_the_field() -> None:
    row = cast.client("Northwind", "UTC")
    row.language = "de"
    cast.save(row)
    change = only(latest(row))
    assert (change.label, change.old, change.new) == ("Language of mails", "English", "Deutsch")


def test_a_yes_becomes_a_no() -> None:
    row = cast.client("Northwind", "UTC")
    row.is_active = False
    cast.save(row)
    assert before_and_after(row) == ("yes", "no")


def test_what_is_referred_to_is_told_by_name_and_by_number_once_it_is_gone(northwind: ServiceAgreement) -> None:
    northwind.owner = cast.colleague("otto", "Otto Gone", "Operator")
    cast.save(northwind)
    assert before_and_after(northwind) == ("–", "Otto Gone (otto)")
    assert Names({User: {northwind.owner.pk, 999}}).of(User, 999) == "no. 999"


def test_instants_a_blink_apart_are_told_apart(northwind: ServiceAgreement) -> None:
    for microsecond in (1, 2):
        northwind.ends_at = dt.datetime(2027, 1, 1, 5, 0, 0, microsecond, tzinfo=dt.UTC)
        cast.save(northwind)
    old, new = before_and_after(northwind)
    assert (old[-14:], new[-14:]) == (".000001+00:00)", ".000002+00:00)")


def test_an_instant_is_told_in_the_readers_zone_and_beside_it_in_utc(northwind: ServiceAgreement) -> None:
    northwind.ends_at = dt.datetime(2027, 1, 1, 5, 0, 7, tzinfo=dt.UTC)
    cast.save(northwind)
    with timezone.override("America/New_York"):
        assert only(latest(northwind)).new == "1 Jan 2027, 00:00:07 EST (1 Jan 2027, 05:00:07 UTC)"
        (told,) = differences.of([northwind.history.first()], beside="Europe/Berlin")
        assert only(told).new == "1 Jan 2027, 00:00:07 EST (1 Jan 2027, 06:00:07 CET)"
    with timezone.override("UTC"):
        assert only(latest(northwind)).new == "1 Jan 2027, 05:00:07 UTC"


def test_roles_are_told_by_name(olga: User) -> None:
    with acting(reason="A guest, too."):
        olga.groups.add(Group.objects.create(name="Guest"))
    assert before_and_after(olga) == ("operator", "Guest, operator")


def test_what_was_added_tells_its_first_values_and_what_was_removed_its_last(northwind: ServiceAgreement) -> None:
    contact = Contact.objects.create(client=northwind.client, name="Kim", address="kim@example.com", position=9)
    told = latest(contact)
    assert (told.kind, told.thing, told.subject) == ("+", "Contact", "Kim <kim@example.com>")
    assert {change.label: change.new for change in told.changes} == {
        "Name": "Kim",
        "Mail address": "kim@example.com",
        "Order": "9",
        "Gets mail": "yes",
    }
    coverage = northwind.coverage.get()
    cast.remove(coverage)
    (told,) = differences.of([ServiceCoverage.history.first()])
    assert (told.kind, told.subject) == ("-", str(coverage.service))
    assert (only(told).old, only(told).new) == (str(coverage.service), "–")


def test_a_row_is_named_as_it_was_called_then(northwind: ServiceAgreement) -> None:
    row = northwind.client
    row.name = "Southwind"
    cast.save(row)
    assert [told.subject for told in differences.of(list(row.history.all()))] == ["Southwind", "Northwind"]


def test_moments_of_a_deadline_are_told_in_words(northwind: ServiceAgreement, olga: User) -> None:
    incident = lifecycle.declare(
        by=olga, now=NOON, title="Down", severity=Severity.CRITICAL, detected_at=NOON, services=northwind.services.all()
    )
    deadline = Deadline.objects.filter(incident=incident, due_at__isnull=False).first()
    assert deadline is not None
    told = {change.name: change.new for change in latest(deadline).changes}
    assert "{" not in told["moments"]
    assert told["start_event"] == "detection"


def test_telling_many_rows_takes_as_many_queries_as_telling_few(northwind: ServiceAgreement, olga: User) -> None:
    def told(count: int) -> int:
        for number in range(count):
            with acting(olga):
                incident = lifecycle.declare(
                    by=olga,
                    now=NOON,
                    title=f"No. {number}",
                    severity=Severity.CRITICAL,
                    detected_at=NOON,
                    services=northwind.services.all(),
                )
                lifecycle.acknowledge(incident, by=olga, now=NOON)
        rows = [row for model in sources.audited() for row in sources.history_of(model).objects.all()]
        with CaptureQueriesContext(connection) as asked:
            differences.of(rows)
        return len(asked)

    assert told(1) == told(8)


def test_whatever_is_named_is_named_without_another_query(northwind: ServiceAgreement, olga: User) -> None:
    incident = lifecycle.declare(
        by=olga, now=NOON, title="Down", severity=Severity.CRITICAL, detected_at=NOON, services=northwind.services.all()
    )
    lifecycle.acknowledge(incident, by=olga, now=NOON)
    for model in sources.audited():
        names = Names({model: set(model._base_manager.values_list("pk", flat=True))})
        with CaptureQueriesContext(connection) as asked:
            for pk in model._base_manager.values_list("pk", flat=True):
                assert names.of(model, pk)
        assert len(asked) == 1, model  # the numbers


TEXT = "The primary link was down and nobody at the site could say why. " * 6


def test_a_long_text_is_told_word_by_word(northwind: ServiceAgreement) -> None:
    northwind.clause = TEXT
    cast.save(northwind)
    northwind.clause = TEXT.replace("primary", "secondary", 1)
    cast.save(northwind)
    pieces = only(latest(northwind)).pieces
    assert [(piece.kind, piece.text.strip()) for piece in pieces[:3]] == [
        (Kind.SAME, "The"),
        (Kind.REMOVED, "primary"),
        (Kind.ADDED, "secondary"),
    ]
    assert pieces[-1].kind == Kind.LEFT_OUT


def rebuilt(pieces: tuple[words.Piece, ...], without: Kind) -> str:
    return "".join(piece.text for piece in pieces if piece.kind != without)


@pytest.mark.parametrize("seed", range(20))
def test_what_stands_and_what_was_struck_out_make_the_old_text_and_with_what_was_put_in_the_new(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - repeatable
    old, new = (" ".join(chance.choices("abcde", k=chance.randrange(12))) for _side in range(2))
    pieces = words.difference(old, new)
    assert (rebuilt(pieces, Kind.ADDED), rebuilt(pieces, Kind.REMOVED)) == (old, new)


@pytest.mark.parametrize("alphabet", ["ab", "abcdefghijklmnopqrstuvwxyz"])
def test_texts_made_to_be_slow_are_told_quickly(alphabet: str) -> None:
    chance = random.Random(1)  # noqa: S311 - repeatable
    old, new = (" ".join(chance.choices(alphabet, k=10_000)) for _side in range(2))
    began = time.process_time()
    pieces = words.difference(old, new)
    assert time.process_time() - began < 1
    assert sum(len(piece.text) for piece in pieces) < 50_000


def test_of_a_stretch_without_end_it_is_said_how_much_more_there_is() -> None:
    (shown, more) = words.difference("", "x" * 20_000)
    assert (len(shown.text), more.text) == (words.LONGEST, "(16000 more characters)")


def test_a_change_in_one_line_is_short() -> None:
    row = Client.objects.create(name="Northwind", time_zone="UTC")
    row.name = "N" * 120
    cast.save(row)
    assert len(latest(row).in_words()) < 100
