"""A tick with nothing to do, beside ten thousand and a million open deadlines. `python -m tests.bench.idle_tick`"""

from __future__ import annotations

import argparse
import datetime as dt
import statistics
import time
from collections.abc import Mapping

from django.db import connection, models

from agreements import presets
from config.models import User
from incidents import lifecycle, notices, outbox
from incidents.models import Deadline, Incident
from tests import cast
from tests.bench.stage import metered, on_postgres, verdict

DETECTED_AT = cast.NOON
NOW = DETECTED_AT + dt.timedelta(minutes=1)  # the first warning of any comes after three minutes and more
INSTANTS = ("started_at", "due_at", "at_risk_at", "next_action_at")


# ── the scene ───────────────────────────────────────────────────────────────────────────────────────────────────────


def declare_the_first(detected_at: dt.datetime = DETECTED_AT) -> Incident:
    """One incident with the 24×7 preset: its row and those of its deadlines are what all others are copied from."""
    agreement = cast.agreement(
        "NW-2026-01",
        cast.client("Northwind", "UTC", "ops@northwind.example"),
        cast.always_open(),
        cast.service("Storage"),
    )
    presets.apply_preset(agreement, "critical_support_24x7")
    olga: User = cast.olga()
    return lifecycle.declare(
        by=olga,
        now=detected_at,
        title="Storage is down",
        severity="critical",
        services=[cast.service("Storage")],
        detected_at=detected_at,
    )


def fill(first: Incident, deadlines: int, *, delay: int = 0) -> None:
    """Copy the first incident and its deadlines in the database until so many are open.

    They are spread over a month to come, which begins `delay` seconds after the first.
    """
    running = first.deadlines.filter(next_action_at__isnull=False)
    missing = deadlines - Deadline.objects.open().filter(next_action_at__isnull=False).count()
    last = Incident.objects.latest("pk").pk
    _copy(
        first,
        f"CROSS JOIN generate_series(1, {-(-missing // running.count())}) AS more(number)",
        {"reference": f"'INC-COPY-' || ({last} + more.number)"},
    )
    later = f"make_interval(secs => {delay} + mod(more.id * 7919, 2592000))"
    moved = {name: f"row.{name} + {later}" for name in INSTANTS}
    incident = connection.ops.quote_name(Incident._meta.db_table)
    for deadline in running:
        _copy(deadline, f"JOIN {incident} AS more ON more.id > {last}", {"incident_id": "more.id", **moved})
    with connection.cursor() as cursor:
        cursor.execute("VACUUM (ANALYZE)")


def _copy(row: models.Model, source: str, changed: Mapping[str, str]) -> None:
    """Insert copies of the row, one for each row of `source`, with some columns computed."""
    columns = [str(field.column) for field in row._meta.concrete_fields if not field.primary_key]
    table = connection.ops.quote_name(row._meta.db_table)
    names = ", ".join(columns)
    values = ", ".join(changed.get(column, f"row.{column}") for column in columns)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({names}) SELECT {values} FROM {table} AS row {source} WHERE row.id = %s",  # noqa: S608
            [row.pk],
        )


# ── what is measured ────────────────────────────────────────────────────────────────────────────────────────────────


def tick() -> None:
    """What the beat asks for every second."""
    assert notices.raise_due(NOW) == 0
    assert not outbox.deliver(NOW)


def measure(repeats: int) -> tuple[float, float, float]:
    """Queries of one tick, its median time and its nine tenths' time in milliseconds."""
    for _warming in range(50):
        tick()
    with metered() as spent:
        tick()
    times = []
    for _repeat in range(repeats):
        began = time.perf_counter()
        tick()
        times.append((time.perf_counter() - began) * 1000)
    return spent.queries, statistics.median(times), statistics.quantiles(times, n=10)[-1]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--sizes", type=int, nargs=2, default=(10_000, 1_000_000), help="open deadlines, few and many")
    options.add_argument("--repeats", type=int, default=2000, help="ticks of which the median is taken (2000)")
    chosen = options.parse_args()
    medians = []
    with on_postgres():
        first = declare_the_first()
        for size in chosen.sizes:
            fill(first, size)
            queries, median, tenth = measure(chosen.repeats)
            medians.append(median)
            print(
                f"{Deadline.objects.open().count():>9} open deadlines: {queries} queries, "
                f"median {median:.3f} ms, nine in ten within {tenth:.3f} ms",
                flush=True,
            )
    ratio = medians[1] / medians[0]
    print(f"queries {queries} (aim ≤ 2) {verdict(queries <= 2)}; ratio {ratio:.2f} (aim ≤ 1.3) {verdict(ratio <= 1.3)}")


if __name__ == "__main__":
    main()
