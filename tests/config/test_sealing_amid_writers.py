"""Sealing while others write: a late commit is never taken for tampering. On PostgreSQL; SQLite has one writer."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import pytest
from django.conf import settings
from django.db import connection, transaction

from agreements.models import Client
from config.audit import cuts, seals, verification
from config.models import Seal, User

pytestmark = [
    pytest.mark.skipif(
        "postgresql" not in settings.DATABASES["default"]["ENGINE"], reason="Several write at once on PostgreSQL only."
    ),
    pytest.mark.django_db(transaction=True),
]

WRITERS, WRITES = 10, 30


class Undone(Exception):
    """Rolls a transaction back, which leaves a gap in the keys."""


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuts, "PAUSE", 0.01)
    monkeypatch.setattr(cuts, "TRIES", 3)


T = TypeVar("T")


def closing(work: Callable[[], T]) -> T:
    """In a thread, whose connection ends with it."""
    try:
        return work()
    finally:
        connection.close()


@contextmanager
def open_transaction(write: Callable[[], object]) -> Iterator[threading.Event]:
    """Somebody who has written, and commits when the event is set; at the latest at the end of the block."""
    has_written, commit = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            write()
            has_written.set()
            assert commit.wait(60)

    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(closing, hold)
        try:
            assert has_written.wait(60)
            yield commit
        finally:
            commit.set()
            held.result()


def write_much(number: int) -> None:
    dice = random.Random(number)  # noqa: S311 - no secret
    client = Client.objects.create(name=f"Client {number}", time_zone="UTC")
    for turn in range(WRITES):
        try:
            with transaction.atomic():
                client.refresh_from_db()
                client.name = f"Client {number}, {turn}"
                client.save()
                User.objects.create(username=f"user-{number}-{turn}")
                if dice.random() < 0.3:
                    raise Undone
        except Undone:
            pass


def test_ten_writers_with_gaps_and_late_commits_leave_a_clean_chain() -> None:
    done = threading.Event()

    def seal_on_and_on() -> int:
        sealed = 0
        while not done.is_set():
            sealed += seals.seal()
        return sealed

    with ThreadPoolExecutor(WRITERS + 2) as pool:
        sealers = [pool.submit(closing, seal_on_and_on) for _two_at_once in range(2)]
        writers = [pool.submit(closing, lambda number=number: write_much(number)) for number in range(WRITERS)]
        for writer in writers:
            writer.result()
        done.set()
        sealed = sum(sealer.result() for sealer in sealers)
    seals.seal()
    report = verification.verify()
    assert report.findings == []
    assert Seal.objects.count() > 3, "no seal was made amid the writers"
    assert 0 < sealed <= report.rows
    assert report.waiting == 0


def test_a_late_commit_is_sealed_when_it_comes_and_what_came_before_it_waits_for_it() -> None:
    seals.seal()
    with open_transaction(lambda: User.objects.create(username="late")) as commit:
        User.objects.create(username="early")  # with a higher key, and there before the other
        assert [seals.seal(), seals.seal()] == [0, 0]
        commit.set()
    assert seals.seal() == 2
    assert verification.verify().findings == []


def test_a_sealer_that_waits_for_one_writer_keeps_no_other_waiting() -> None:
    with open_transaction(lambda: User.objects.create(username="slow")), ThreadPoolExecutor(1) as pool:
        sealing = pool.submit(closing, lambda: [seals.seal() for _pass in range(5)])
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = '5s'")
            try:
                for number in range(20):
                    User.objects.create(username=f"quick-{number}")
            finally:
                cursor.execute("RESET statement_timeout")
        assert sealing.result() == [0] * 5
    assert seals.seal() > 0


def test_without_the_lock_it_is_said_that_a_late_commit_could_look_like_tampering() -> None:
    table = User.history.model._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(f'ALTER TABLE "{table}" DISABLE TRIGGER {cuts.TRIGGER}')
        try:
            assert [f.where for f in verification.verify().findings] == [f"{cuts.TRIGGER} on {table}"]
            seals.seal()
            with open_transaction(lambda: User.objects.create(username="late")):
                User.objects.create(username="early")
                assert seals.seal() == 1
            assert "slipped in" in " ".join(map(str, verification.verify().findings))
        finally:
            cuts.install(connection)
        assert cuts.missing(connection) == []


def test_after_a_cut_the_callers_transaction_waits_for_locks_as_long_as_before() -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SHOW lock_timeout")
        before = cursor.fetchone()
        cuts.cut()
        cursor.execute("SHOW lock_timeout")
        assert cursor.fetchone() == before
