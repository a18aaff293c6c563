"""The contract clock: due times over a year of business hours, and at the limits. `python -m tests.bench.clock`"""

from __future__ import annotations

import datetime as dt
import random
import statistics
import time

from agreements import clock
from agreements.clock import Allowance, Calendar, Opening, Terms, Unit

COUNT = 100_000
NINE_TO_FIVE = (Opening.parse("09:00", "17:00"),)
WEEK = (*[NINE_TO_FIVE] * 5, (), ())
START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def closures(count: int) -> dict[dt.date, tuple[Opening, ...]]:
    """So many closed days, spread over ten years."""
    return {dt.date(2026, 1, 1) + dt.timedelta(days=number * 3650 // count): () for number in range(count)}


CASES: dict[str, tuple[Calendar, Allowance]] = {
    "a year of business hours, 12 closures a year": (
        Calendar("America/New_York", WEEK, closures(120)),
        Allowance(250 * 8, Unit.BUSINESS_HOURS),
    ),
    "500 closures": (Calendar("Europe/Berlin", WEEK, closures(500)), Allowance(250 * 8, Unit.BUSINESS_HOURS)),
    "ten years round the clock": (Calendar.always_open("Europe/Berlin"), Allowance(87_600, Unit.HOURS)),
    "ten years of business days": (
        Calendar("Europe/Berlin", WEEK, closures(120)),
        Allowance(2_500, Unit.BUSINESS_DAYS),
    ),
    "one minute a week, a year of them": (
        Calendar("Europe/Berlin", (*[()] * 6, (Opening.parse("12:00", "12:01"),)), {}),
        Allowance(52, Unit.BUSINESS_MINUTES),
    ),
}


def starts(count: int) -> list[dt.datetime]:
    """Instants of two years, the same at each run."""
    rng = random.Random(7)  # noqa: S311 - any starts will do
    return [START + dt.timedelta(seconds=rng.randrange(2 * 365 * 86_400)) for _number in range(count)]


def milliseconds(terms: Terms, calendar: Calendar, started: list[dt.datetime]) -> float:
    """How long it takes to compute all these due times."""
    began = time.perf_counter()
    for instant in started:
        clock.due_at(terms, calendar, instant)
    return (time.perf_counter() - began) * 1000


def main() -> None:
    print(f"{'':48} {'first':>9} {'median':>9} {'slowest':>9}  ms, of 2,000 starts within two years")
    for name, (calendar, allowance) in CASES.items():
        took = [milliseconds(Terms(allowance), calendar, [instant]) for instant in starts(2_000)]
        print(f"{name:48} {took[0]:9.3f} {statistics.median(took):9.4f} {max(took[1:]):9.3f}")
    calendar, allowance = CASES["a year of business hours, 12 closures a year"]
    spent = milliseconds(Terms(allowance), calendar, starts(COUNT)) / 1000
    print(f"{COUNT:,} recomputations in one process: {spent:.1f} s (aim: at most 60 s)")


if __name__ == "__main__":
    main()
