"""What its trail costs a save: history, triggers, the lock of sealing. `python -m tests.bench.history_cost`"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import count

from django.db import connection, models, transaction

from agreements.models import Contact
from config.audit import append_only, cuts, sources
from config.history import AuditedModel, acting
from incidents.models import Deadline, Incident
from tests.bench.idle_tick import declare_the_first
from tests.bench.stage import DATABASES

#: Of each row that is saved, a field of text that changes with every save.
CHANGED = {Incident: "description", Deadline: "end_reason", Contact: "name"}


@contextmanager
def without_lock() -> Iterator[None]:
    """Nobody asks writers for the lock that they share with the sealer."""
    with connection.cursor() as cursor:
        for model in sources.sealed():
            cursor.execute(f'ALTER TABLE "{model._meta.db_table}" DISABLE TRIGGER {cuts.TRIGGER}')
    try:
        yield
    finally:
        cuts.install(connection)


@contextmanager
def without_triggers() -> Iterator[None]:
    append_only.remove(connection)
    try:
        with without_lock() if connection.vendor == "postgresql" else nullcontext():
            yield
    finally:
        append_only.install(connection)


def saved(row: AuditedModel) -> None:
    row.save()


def saved_bare(row: AuditedModel) -> None:
    """The same columns, in a transaction as well, and nothing else."""
    vars(row)["skip_history_when_saving"] = True
    try:
        with transaction.atomic():
            models.Model.save_base(row)
    finally:
        del vars(row)["skip_history_when_saving"]


Way = tuple[Callable[[AuditedModel], None], Callable[[], AbstractContextManager[None]]]


def ways() -> dict[str, Way]:
    found: dict[str, Way] = {"as in the product": (saved, nullcontext)}
    if connection.vendor == "postgresql":
        found["without the lock"] = (saved, without_lock)
    found["without any trigger"] = (saved, without_triggers)
    found["the bare row"] = (saved_bare, nullcontext)
    return found


def measure(row: AuditedModel, saves: int, rounds: int) -> dict[str, float]:
    """Median milliseconds of a save by each way, by turns."""
    spent: dict[str, list[float]] = {name: [] for name in ways()}
    numbers = count(1)
    for _round in range(rounds):
        for name, (save, world) in ways().items():
            with world(), acting(reason="To see what it costs."):
                for _save in range(saves):
                    setattr(row, CHANGED[type(row)], f"Changed {next(numbers)} times")
                    began = time.perf_counter()
                    save(row)
                    spent[name].append((time.perf_counter() - began) * 1000)
    return {name: statistics.median(times) for name, times in spent.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--databases", nargs="+", choices=DATABASES, default=list(DATABASES))
    parser.add_argument("--saves", type=int, default=40, help="in one of the rounds")
    parser.add_argument("--rounds", type=int, default=10)
    chosen = parser.parse_args()
    for database in chosen.databases:
        with DATABASES[database]():
            declare_the_first()
            for model in CHANGED:
                row: AuditedModel = model._base_manager.earliest("pk")
                measure(row, 5, 1)
                took = measure(row, chosen.saves, chosen.rounds)
                bare = took["the bare row"]
                said = (f"{name} {spent:.2f} ms ({spent / bare:.2f} ×)" for name, spent in took.items())
                print(f"  {model.__name__:10} {', '.join(said)}", flush=True)


if __name__ == "__main__":
    main()
