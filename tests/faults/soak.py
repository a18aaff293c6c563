"""A burst, then faults at random for any length of time: `python -m tests.faults.soak --count 10000 --minutes 5`.

Ends with 1 if anything was lost, copied too often, stuck or late. The seed that it prints repeats the order of blows.
"""

from __future__ import annotations

import argparse
import logging
import os
import random
import secrets
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.faults.world import IN_QUEUE, LEASE, Stage, World, nothing_is_lost_and_copies_are_bounded
from tests.services import children
from tests.services.postgres import PostgresServer
from tests.services.redis import RedisServer
from tests.services.smtp import Phase, SmtpSink

PROMISE = 300.0  # seconds, within which all that is due has to be attempted (G3)

# ── a burst ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Burst:
    """What was seen while many notices that were due at once went out."""

    seconds: float  # from the moment at which all were due until the last was accepted
    memory_growth: float  # of the larger sender, from a fifth of the way to the end
    slowest_page: float  # seconds

    def __str__(self) -> str:
        return f"{self.seconds:.1f} s, memory × {self.memory_growth:.2f}, slowest page {self.slowest_page:.1f} s"


def burst(world: World, count: int) -> Burst:
    """So many holding notices fall due at the same instant, for two senders; people look at their lists meanwhile."""
    lead = 3 + count * 0.005  # seconds, in which most of the incidents are declared
    due = time.monotonic() + lead
    world.owe_holding_notices(count, seconds=lead)
    due = max(due, time.monotonic())  # those that were declared later were due at once
    for name in ("first", "second"):
        world.processes.start_outbox(name)
    world.sink.wait_for(count // 5, timeout=lead + PROMISE)
    before, slowest_page = _memory(world), 0.0
    while len(world.sink.messages) < count and time.monotonic() < due + PROMISE:
        for page in ("incidents_notice_changelist", "incidents_incident_changelist", "index"):
            status, seconds = world.people.do("open_page", name=page)
            assert status == 200
            slowest_page = max(slowest_page, seconds)
    seconds = time.monotonic() - due
    growth = max(after / was for was, after in zip(before, _memory(world), strict=True))
    world.wait_until_idle(PROMISE)
    return Burst(seconds, growth, slowest_page)


def _memory(world: World) -> list[int]:
    """Resident pages of the two senders."""
    statistics = [Path("/proc", str(world.processes.pid(name)), "statm") for name in ("first", "second")]
    return [int(path.read_text().split()[1]) for path in statistics]


# ── a storm ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class Storm:
    """A Celery worker with two children, a beat and two senders without Celery; and blows that fall by chance."""

    LOOPS = ("loop-1", "loop-2")
    STARTING = 3.0  # seconds; a blow that meets a process before it is at work proves nothing

    def __init__(self, world: World, chance: random.Random) -> None:
        self.world = world
        self.chance = chance
        self.blows: Counter[str] = Counter()
        self._started_at: dict[str, float] = {}

    def begin(self) -> None:
        self._start_worker()
        self.world.processes.start_beat()
        for name in self.LOOPS:
            self._start(name)

    def strike(self, *blows: Callable[[], None]) -> None:
        """One of these blows, at a moment that chance decides: after so many steps of conversation with the server."""
        self._supervise()
        moment = self._steps() + self.chance.randint(5, 120)
        waiting = sum(count for state, count in self.world.states().items() if state in IN_QUEUE)
        if waiting < 60:
            self.world.owe(mails=60)
        self.world.hurry()
        children.wait_until(lambda: self._steps() >= moment, timeout=30, what="a blow's moment had come", every=0.001)
        blow = self.chance.choice(blows)
        self.blows[blow.__name__] += 1
        blow()

    def _start_worker(self) -> None:
        self.world.processes.start_worker("worker", "--concurrency", "2", may_end=True)

    def _supervise(self) -> None:
        """Celery's parent gives up if a child is killed while it starts; who runs it in earnest starts it again."""
        if not self.world.processes.is_running("worker"):
            self.world.processes.kill9("worker")  # what it left behind
            self._start_worker()

    def _steps(self) -> int:
        return sum(self.world.sink.count(phase) for phase in Phase)

    def _start(self, name: str) -> None:
        self.world.processes.start_outbox(name)
        self._started_at[name] = time.monotonic()

    def _one_at_work(self) -> str | None:
        at_work = [name for name, at in self._started_at.items() if time.monotonic() - at > self.STARTING]
        return self.chance.choice(at_work) if at_work else None

    # ── the blows ───────────────────────────────────────────────────────────────────────────────────────────
    def kill_a_sender(self) -> None:
        """One without Celery if it is at work, else a child of the worker."""
        name = self._one_at_work()
        if name is None:
            self.kill_a_child_of_the_worker()
            return
        self.world.processes.kill9(name)
        self._start(name)

    def kill_a_child_of_the_worker(self) -> None:
        worker = self.world.processes.pid("worker")
        pids = [pid for pid in children.session_members(worker) if pid != worker]
        if pids:
            children.signal_all([self.chance.choice(pids)], signal.SIGKILL)

    def freeze_a_sender(self) -> None:
        """For longer than its leases."""
        if name := self._one_at_work():
            with self.world.processes.frozen(name):
                until = time.monotonic() + LEASE + 0.5
                while time.monotonic() < until:
                    self.world.cron()

    def restart_a_sender(self) -> None:
        if name := self._one_at_work():
            self.world.processes.stop(name)
            self._start(name)

    def restart_the_database(self) -> None:
        self.world.postgres.restart(self.chance.choice(["fast", "immediate"]))

    def end_all_sessions_of_the_database(self) -> None:
        self.world.hang_up()

    def forget_everything_in_redis(self) -> None:
        self.world.redis.empty()

    def restart_redis(self) -> None:
        self.world.redis.kill()
        self.world.cron()
        self.world.redis.start()

    def drop_a_mail(self) -> None:
        self.world.sink.drop(self.chance.choice([phase for phase in Phase if phase not in {Phase.AUTH, Phase.QUIT}]))

    def stall_a_mail(self) -> None:
        self.world.sink.stall(self.chance.choice([Phase.CONNECT, Phase.RCPT, Phase.BODY, Phase.ANSWER]))

    def refuse_some_for_now(self) -> None:
        self.world.sink.answer(451, "greylisted", times=self.chance.randint(1, 20))

    @property
    def all_blows(self) -> list[Callable[[], None]]:
        return [
            self.kill_a_sender,
            self.kill_a_child_of_the_worker,
            self.freeze_a_sender,
            self.restart_a_sender,
            self.restart_the_database,
            self.end_all_sessions_of_the_database,
            self.forget_everything_in_redis,
            self.restart_redis,
            self.drop_a_mail,
            self.stall_a_mail,
            self.refuse_some_for_now,
        ]


# ── the command ─────────────────────────────────────────────────────────────────────────────────────────────────────


def soak(stage: Stage, *, count: int, seed: int, minutes: float) -> bool:
    """Both, each in a world of its own; whether the burst kept its promise. What is lost raises."""
    seen = None
    if count:
        with stage.world() as world:
            seen = burst(world, count)
            print(f"{count} due at once: {seen}", flush=True)
            nothing_is_lost_and_copies_are_bounded(world)
    if minutes:
        with stage.world() as world:
            storm = Storm(world, random.Random(seed))  # noqa: S311 - not a secret
            world.may_need_review = True
            world.sink.delay(0.01)
            storm.begin()
            until = time.monotonic() + 60 * minutes
            while time.monotonic() < until:
                storm.strike(*storm.all_blows)
            world.sink.behave()
            world.settle(PROMISE)
            nothing_is_lost_and_copies_are_bounded(world)
            print(f"{storm.blows.total()} blows: {dict(storm.blows)}")
            print(
                f"{world.owed.total()} mails owed, {world.ambiguous()} in the dark, {dict(world.states())}", flush=True
            )
    return seen is None or seen.seconds <= PROMISE


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="notices that are due at once; 0 leaves it out")
    parser.add_argument("--minutes", type=float, default=5, help="of faults at random; 0 leaves them out")
    parser.add_argument("--seed", type=int, default=int(os.environ.get("FAULT_SEED") or secrets.randbelow(1_000_000)))
    chosen = parser.parse_args()
    print(f"FAULT_SEED={chosen.seed}", flush=True)
    logging.getLogger("mail.log").setLevel(logging.WARNING)
    with (
        tempfile.TemporaryDirectory(prefix="due-notice-soak-") as folder,
        PostgresServer() as postgres,
        RedisServer() as redis,
        SmtpSink() as sink,
        Stage(postgres, redis, sink, Path(folder)) as stage,
    ):
        sys.exit(not soak(stage, count=chosen.count, seed=chosen.seed, minutes=chosen.minutes))


if __name__ == "__main__":
    main()
