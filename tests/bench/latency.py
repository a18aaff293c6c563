"""Deadlines fall due one after the other: from due to accepted, by real processes. `python -m tests.bench.latency`"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from django.db import models

from agreements.models import ServiceCalendar
from config import instants
from config.models import User
from incidents.models import Deadline
from tests import cast
from tests.bench.burst import WARM_UP, declare, sign_agreements
from tests.bench.idle_tick import declare_the_first, fill
from tests.bench.sink import Sink, running_sink
from tests.bench.stage import Cores, on_postgres, verdict, watched_cores
from tests.services.processes import Processes
from tests.services.redis import RedisServer

DAY = dt.timedelta(days=1)
SOON = dt.timedelta(seconds=3)  # from the last change of the scene to the first instant


# ── the scene ───────────────────────────────────────────────────────────────────────────────────────────────────────


def fill_up(deadlines: int) -> None:
    """So many open deadlines of which none falls due before tomorrow."""
    first = declare_the_first(instants.now())
    fill(first, deadlines, delay=int(DAY.total_seconds()))
    cast.past_the_trail(first.deadlines, next_action_at=None)


def declare_many(count: int) -> list[Deadline]:
    """Deadlines of a client and an incident each, whose next moment, tomorrow, is the holding notice."""
    olga, calendar = User.objects.get(username="olga"), ServiceCalendar.objects.get()
    detected_at = instants.now() + DAY
    for agreement in sign_agreements(count, calendar, f"Client {detected_at:%H%M%S%f}", is_warned=False):
        declare(olga, cast.service(f"Service of {agreement.client}"), [agreement], detected_at)
    made = Deadline.objects.filter(incident__detected_at=detected_at, next_action_at__isnull=False)
    return list(made.order_by("pk"))


def fall_due(deadlines: Sequence[Deadline], every: float) -> dict[str, dt.datetime]:
    """Move each in time so that it falls due as long after the one before it; returns address → instant."""
    start = instants.now() + SOON
    due = {}
    for number, deadline in enumerate(deadlines):
        assert deadline.next_action_at is not None
        assert deadline.started_at is not None
        assert deadline.due_at is not None
        assert deadline.at_risk_at is not None
        at = start + dt.timedelta(seconds=number * every)
        by = at - deadline.next_action_at
        deadline.next_action_at = at
        deadline.started_at, deadline.due_at = deadline.started_at + by, deadline.due_at + by
        deadline.at_risk_at += by
        deadline.moments = [
            moment | {"at": (dt.datetime.fromisoformat(moment["at"]) + by).isoformat()} for moment in deadline.moments
        ]
        due[f"ops@client-{deadline.client_id}.example"] = at
    rows: models.QuerySet[Deadline] = models.QuerySet(Deadline)  # past the trail
    rows.bulk_update(deadlines, ["next_action_at", "started_at", "due_at", "at_risk_at", "moments"])
    assert instants.now() < start, "The machine is too busy: the scene was not ready in time."
    return due


# ── what is measured ────────────────────────────────────────────────────────────────────────────────────────────────


@contextlib.contextmanager
def at_work(mode: str, env: Mapping[str, str]) -> Iterator[None]:
    """The product's processes: `outbox run --loop`, or a Celery worker with two children, beat, and Redis."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="due-notice-bench-")))
        if mode == "celery":
            redis = stack.enter_context(RedisServer())
            processes = stack.enter_context(Processes(folder, {**env, "REDIS_URL": redis.url}))
            processes.start_worker("worker", "--concurrency", "2")
            processes.start_beat()
        else:
            processes = stack.enter_context(Processes(folder, env))
            processes.start_outbox()
        yield


def measure(deadlines: Sequence[Deadline], every: float, sink: Sink) -> tuple[list[float], Cores]:
    """Seconds from due to accepted by the mail server, in the order of acceptance."""
    due = fall_due(deadlines, every)
    with watched_cores() as cores:
        sink.wait_for(len(due), timeout=len(due) * (every + 0.2) + 60)
    since_boot = time.time() - time.monotonic()  # the sink counts by the one clock, the deadlines by the other
    accepted = sink.seen().accepted
    assert {recipient for recipient, _at in accepted} == set(due)
    return [at + since_boot - due[recipient].timestamp() for recipient, at in accepted], cores


# ── the report ──────────────────────────────────────────────────────────────────────────────────────────────────────


def report(mode: str, took: Sequence[float], cores: Cores) -> None:
    median, nearly_all = statistics.median(took), statistics.quantiles(took, n=100)[98]
    print(
        f"{mode:7}{len(took):6} mails: p50 {median * 1000:6.0f} ms, p99 {nearly_all * 1000:6.0f} ms (aim ≤ 1000), "
        f"max {max(took) * 1000:6.0f} ms, {cores.busy:.1f} of {cores.there} cores busy  {verdict(nearly_all <= 1)}",
        flush=True,
    )


def report_burst(mode: str, took: Sequence[float], cores: Cores) -> None:
    first, last = took[0], took[-1]
    print(
        f"{mode:7}{len(took):6} mails at once: first {first:5.2f} s (aim ≤ 0.5), last {last:5.2f} s (aim ≤ 3), "
        f"{len(took) / last:4.0f} mails/s, {cores.busy:.1f} of {cores.there} cores busy  "
        f"{verdict(first <= 0.5 and last <= 3)}",
        flush=True,
    )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--modes", nargs="+", choices=("loop", "celery"), default=("loop", "celery"))
    options.add_argument("--open", type=int, default=1_000_000, help="other deadlines that are open (1000000)")
    options.add_argument("--per-second", type=float, default=10, help="how many fall due in a second (10)")
    options.add_argument("--seconds", type=float, default=60, help="for how long (60)")
    options.add_argument("--at-once", type=int, default=0, help="instead: so many fall due at one instant")
    options.add_argument(
        "--delay", type=float, default=0, help="milliseconds that the relay takes for every answer (0)"
    )
    options.add_argument("--senders", type=int, nargs="+", default=(4,), help="NOTICE_SENDERS (4)")
    chosen = options.parse_args()
    count = chosen.at_once or int(chosen.per_second * chosen.seconds)
    every = 0.0 if chosen.at_once else 1 / chosen.per_second
    with on_postgres() as url, running_sink(delay=chosen.delay / 1000) as sink:
        fill_up(chosen.open)
        for mode in chosen.modes:
            for senders in chosen.senders:
                early, deadlines = declare_many(WARM_UP), declare_many(count)
                env = {
                    "DATABASE_URL": url,
                    "EMAIL_URL": f"smtp://127.0.0.1:{sink.port}",
                    "NOTICE_SENDERS": str(senders),
                }
                with at_work(mode, env):
                    measure(early, 0.1, sink)  # warm, as processes are long before
                    took, cores = measure(deadlines, every, sink)
                (report_burst if chosen.at_once else report)(f"{mode}/{senders}", took, cores)


if __name__ == "__main__":
    main()
