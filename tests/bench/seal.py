"""Sealing and verifying a million rows of the trail, and what the lock costs a writer. `python -m tests.bench.seal`"""

from __future__ import annotations

import argparse
import statistics
import time
from unittest import mock

from django.core.management import call_command
from django.db import connection, models

from agreements.models import Client
from config.audit import cuts, seals, sources
from config.models import Seal
from incidents.models import Deadline, Incident
from tests.bench.idle_tick import declare_the_first
from tests.bench.stage import on_postgres, verdict

VERIFY_AIM = 60  # seconds for a million rows
WRITER_AIM = 1.05  # times what a change costs without the lock


# ── the scene ───────────────────────────────────────────────────────────────────────────────────────────────────────


def fill(first: Incident, rows: int) -> None:
    """Copy the first incident and its deadlines with their histories until the trail has so many rows."""
    histories = sources.history_of(Incident), sources.history_of(Deadline)
    of_one = histories[0].objects.filter(id=first.pk).count()
    of_one += histories[1].objects.filter(incident_id=first.pk).count()
    incident, deadline = Incident._meta.db_table, Deadline._meta.db_table
    _copy(
        Incident,
        {"reference": "'COPY-' || more.number"},
        f"generate_series(1, {-(-rows // of_one)}) AS more(number)",
        f"row.id = {first.pk}",
    )
    copies = f"more.id > {first.pk}"
    ours = f"row.incident_id = {first.pk}"
    _copy(Deadline, {"incident_id": "more.id"}, f"{incident} AS more", f"{copies} AND {ours}")
    named = {"id": "more.id", "reference": "more.reference"}
    _copy(histories[0], named, f"{incident} AS more", f"{copies} AND row.id = {first.pk}")
    source = f"{deadline} AS original CROSS JOIN {deadline} AS more"
    alike = f"{ours} AND original.id = row.id AND more.incident_id > {first.pk}"
    alike += " AND more.commitment_id = original.commitment_id"
    _copy(histories[1], {"id": "more.id", "incident_id": "more.incident_id"}, source, alike)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM (ANALYZE)")


def _copy(model: type[models.Model], changed: dict[str, str], source: str, condition: str) -> None:
    table = model._meta.db_table
    columns = [str(field.column) for field in model._meta.concrete_fields if not field.primary_key]
    values = ", ".join(changed.get(column, f"row.{column}") for column in columns)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({', '.join(columns)}) "  # noqa: S608 - our own names
            f"SELECT {values} FROM {table} AS row CROSS JOIN {source} WHERE {condition}"
        )


# ── what is measured ────────────────────────────────────────────────────────────────────────────────────────────────


def seal_all() -> tuple[int, float]:
    """Rows that were sealed, and the seconds that it took."""
    began, rows = time.perf_counter(), 0
    while sealed := seals.seal():
        rows += sealed
    return rows, time.perf_counter() - began


def idle_pass(repeats: int = 50) -> float:
    """Median milliseconds of a pass that finds nothing to seal."""
    times = []
    for _repeat in range(repeats):
        began = time.perf_counter()
        assert seals.seal() == 0
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)


def writers(changes: int, rounds: int = 40) -> tuple[float, float]:
    """Median milliseconds of a change with the lock and without, by turns."""
    client = Client.objects.first()
    assert client is not None
    table = sources.history_of(Client)._meta.db_table
    spent: dict[str, list[float]] = {"ENABLE": [], "DISABLE": []}
    for number in range(2 * rounds):
        kind = ("ENABLE", "DISABLE")[number % 2]
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {table} {kind} TRIGGER {cuts.TRIGGER}")
        for change in range(changes):
            client.name = f"Client {number}, {change}"
            began = time.perf_counter()
            client.save()
            spent[kind].append((time.perf_counter() - began) * 1000)
    cuts.install(connection)
    return statistics.median(spent["ENABLE"]), statistics.median(spent["DISABLE"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000, help="rows of the trail (a million)")
    parser.add_argument("--rows-of-a-seal", type=int, default=seals.ROWS, help="at most (as in the product)")
    parser.add_argument("--changes", type=int, default=50, help="of a writer in one of eighty rounds")
    chosen = parser.parse_args()
    with on_postgres():
        fill(declare_the_first(), chosen.count)
        with mock.patch.object(seals, "ROWS", chosen.rows_of_a_seal):
            rows, spent = seal_all()
        print(
            f"sealed {rows:,} rows in {Seal.objects.count():,} seals: {spent:.1f} s, {rows / spent:,.0f} rows/s; "
            f"a pass with nothing to seal {idle_pass():.1f} ms",
            flush=True,
        )
        began = time.perf_counter()
        call_command("audit", "verify")
        spent = time.perf_counter() - began
        share = spent / rows * 1_000_000
        print(
            f"verified {rows:,} rows in {spent:.1f} s, {share:.0f} s per million "
            f"(aim: {VERIFY_AIM} s) {verdict(share <= VERIFY_AIM)}",
            flush=True,
        )
        shared, free = writers(chosen.changes)
        ratio = shared / free
        print(
            f"a change {shared:.3f} ms with the lock that writers share, {free:.3f} ms without: {ratio:.3f} times "
            f"(aim: {WRITER_AIM}) {verdict(ratio <= WRITER_AIM)}"
        )


if __name__ == "__main__":
    main()
