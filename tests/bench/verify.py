"""`manage.py deadlines verify` over a million deadlines. `python -m tests.bench.verify`"""

from __future__ import annotations

import argparse
import time

from django.core.management import call_command
from django.db import connection, models

from incidents.models import Deadline, Incident
from tests.bench.idle_tick import declare_the_first
from tests.bench.stage import on_postgres, verdict

AIM = 300  # seconds for a million


def fill(first: Incident, deadlines: int) -> None:
    """Copy the first incident with its deadlines as they are, so that each copy's terms still give what is stored."""
    copies = -(-deadlines // first.deadlines.count())
    last = Incident.objects.latest("pk").pk
    incident = Incident._meta.db_table
    _copy(Incident, {"reference": "'COPY-' || more.number"}, f"generate_series(1, {copies}) AS more(number)", "true")
    _copy(Deadline, {"incident_id": "more.id"}, f"{incident} AS more", f"more.id > {last} AND row.incident_id = {last}")
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


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=1_000_000)
    count = parser.parse_args().count
    with on_postgres():
        fill(declare_the_first(), count)
        began = time.perf_counter()
        call_command("deadlines", "verify")
        spent = time.perf_counter() - began
        share = spent / count * 1_000_000
        print(f"{count:,} deadlines in {spent:.0f} s, {share:.0f} s per million (aim: {AIM} s) {verdict(share <= AIM)}")


if __name__ == "__main__":
    main()
