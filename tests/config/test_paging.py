"""Where a page of the trail goes on: an instant compares with itself however the database wrote it."""

from __future__ import annotations

import datetime as dt

import pytest
from django.db import connection
from django.db.models import CharField, Value

from agreements.models import Service
from config.audit.paging import instant

pytestmark = pytest.mark.django_db

NOON = dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC)
MILLISECOND, MICROSECOND = dt.timedelta(milliseconds=1), dt.timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("at", "written"),
    [
        (NOON, "12:00:00"),  # as Python does
        (NOON, "12:00:00.000"),  # as SQLite's clock does
        (NOON + 120 * MILLISECOND, "12:00:00.120000"),
        (NOON + 120 * MILLISECOND, "12:00:00.120"),
        (NOON + 7 * MICROSECOND, "12:00:00.000007"),
    ],
)
def test_an_instant_is_neither_before_nor_after_itself_however_it_was_written(at: dt.datetime, written: str) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("Only SQLite keeps instants as text.")
    Service.objects.create(name="Object storage")
    row = Service.objects.annotate(at=Value(f"2026-11-24 {written}", CharField()))
    holds = {lookup for lookup in ("lt", "lte", "gt", "gte") if row.filter(instant("at", lookup, at)).exists()}
    assert holds == {"lte", "gte"}
    assert row.filter(instant("at", "gt", at - MICROSECOND)).exists()
    assert row.filter(instant("at", "lt", at + MICROSECOND)).exists()
