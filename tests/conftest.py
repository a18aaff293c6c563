"""Fixtures that every test may ask for."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from importlib import import_module
from itertools import groupby
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client as Browser
from django.utils import timezone
from pytest_django import Settings

from agreements.models import ServiceAgreement
from config import instants, sessions
from config.models import User
from incidents import watchdog
from tests import cast
from tests.services.smtp import SmtpSink

pytest_plugins = ["tests.services.fixtures", "tests.journeys.seeded"]

ROLE_MIGRATIONS = (
    "config.migrations.0002_grants",
    "agreements.migrations.0003_grants",
    "incidents.migrations.0002_grants",
    "reviews.migrations.0002_grants",
)

HALF_AN_HOUR = 1800


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    django_db_modify_db_settings_parallel_suffix: None, request: pytest.FixtureRequest
) -> Iterator[None]:
    """A database in memory starts as a copy of the migrated one, so that `migrate` finds nothing left to do."""
    creation: Any = connection.creation
    name = creation._get_test_db_name()
    if connection.vendor != "sqlite" or not creation.is_in_memory_db(name):
        yield
        return
    migrated = request.getfixturevalue("migrated_sqlite")
    with closing(sqlite3.connect(name, uri=True)) as memory:  # what is in memory is kept as long as this is open
        with closing(sqlite3.connect(migrated)) as file:
            file.backup(memory)
        yield


@pytest.fixture(autouse=True)
def _one_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long a test takes, the same queries are counted in it: nothing is asked or noted again after a minute."""
    monkeypatch.setattr(instants, "_synced", (instants._ticks(), timezone.now()))  # the database is on this machine
    monkeypatch.setattr(instants, "RESYNC_AFTER", HALF_AN_HOUR)
    monkeypatch.setattr(sessions, "NOTED_AFTER", HALF_AN_HOUR)


@pytest.fixture(autouse=True)
def _no_heartbeat_remembered() -> None:
    """Those that this process wrote are taken back with the test that had it do so."""
    watchdog._beaten.clear()


@pytest.fixture
def roles(db: None) -> None:
    """The groups as the migrations make them; made again where an emptied database has lost them."""
    if Group.objects.exists():
        return
    for name in ROLE_MIGRATIONS:
        for operation in import_module(name).Migration.operations:
            operation.code(apps, None)


@pytest.fixture
def olga(roles: None) -> User:
    return cast.olga()


@pytest.fixture
def max_(roles: None) -> User:
    return cast.max_()


@pytest.fixture
def aude(roles: None) -> User:
    return cast.aude()


@pytest.fixture
def ada(roles: None) -> User:
    return cast.ada()


@pytest.fixture
def browser(olga: User) -> Browser:
    """Olga's; a file about others has its own."""
    return cast.browser_of(olga)


@pytest.fixture
def northwind(db: None) -> ServiceAgreement:
    return cast.northwind()


@pytest.fixture
def contoso(db: None) -> ServiceAgreement:
    return cast.contoso()


@pytest.fixture
def relay(smtp_sink: SmtpSink, settings: Settings) -> Any:
    """A real mail server that the outbox of this process sends to."""
    from config.env import MailRelay
    from incidents import outbox

    host, port = "127.0.0.1", int(smtp_sink.url.rsplit(":", 1)[1])
    settings.MAIL_RELAY = MailRelay(host, port, "none")
    outbox.hang_up()
    yield smtp_sink
    outbox.hang_up()


# ── how the suite is run ────────────────────────────────────────────────────────────────────────────────────────────
#: The longest first.
LONG = (
    "tests/test_on_postgresql.py",
    "tests/browser/test_every_page.py",
    "tests/journeys/test_replay.py",
    "tests/journeys/test_demo.py",
    "tests/day/",
    "tests/deploy/",
    "tests/journeys/",
    "tests/faults/",
    "tests/browser/",
    "tests/services/",
    "tests/test_query_ratchet.py",
)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """The whole suite is shared by all cores; tests that are named on the command line run here, one after another."""
    return 0 if config.args_source is pytest.Config.ArgsSource.ARGS else None


@pytest.hookimpl(trylast=True)  # after pytest-django, which puts first what needs the database
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    items.sort(key=_rank)
    items[:] = _dealt(items, getattr(config, "workerinput", {}).get("workercount", 1))


def _rank(item: pytest.Item) -> int:
    return next((n for n, path in enumerate(LONG) if item.nodeid.startswith(path)), len(LONG))


def _dealt(items: list[pytest.Item], processes: int) -> list[pytest.Item]:
    """In the order for so many processes, each of which is handed as many tests, one after another, as the next.

    Each begins with its share of the long files, so that none of them is left for the end, where others have nothing
    more to do; what is quick fills the gaps there.
    """
    quick = [item for item in items if _rank(item) == len(LONG)]
    hands: list[list[pytest.Item]] = [[] for _process in range(processes)]
    for number, (_file, tests) in enumerate(groupby(items[: len(items) - len(quick)], key=lambda item: item.path)):
        hands[number % processes] += tests
    order: list[pytest.Item] = []
    for left, hand in zip(range(processes, 0, -1), hands, strict=True):
        size = (len(items) - len(order)) // left
        order += [*hand, *(quick.pop(0) for _ in range(min(size - len(hand), len(quick))))]
    return order + quick
