"""A day of operation: people at their browsers, everything that runs behind them, and trouble at random from a seed."""

from __future__ import annotations

import contextlib
import datetime as dt
import heapq
import itertools
import random
import re
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import psycopg

from tests.day.browsing import Colleague, now
from tests.day.journal import Post
from tests.day.lives import INCIDENT, Lives, Story
from tests.deploy.front import Front, Visitor
from tests.services.postgres import PostgresServer
from tests.services.redis import RedisServer
from tests.services.smtp import Phase, SmtpSink

NODES, BEATS, LOOPS = ("first-node", "second-node"), ("first-beat", "second-beat"), ("loop",)
WORKERS = ("first-worker", "second-worker", "third-worker")
#: Short, so that what takes minutes in real life takes seconds here.
QUICK = {"NOTICE_LEASE": "8", "SMTP_TIMEOUT": "4", "NOTICE_SENDERS": "2"}
BROWSERS = 4


class Day:
    """So many seconds of it. What went wrong with anybody is in `failures`."""

    def __init__(self, front: Front, world: dict[str, Any], sink: SmtpSink, seed: int, seconds: float) -> None:
        self.front, self.world, self.sink, self.seconds = front, world, sink, seconds
        self.post = Post(sink)
        self.answers: Counter[int] = Counter()
        self.failures: list[str] = []
        self.broken_off = threading.Event()
        self.lives = Lives(world, seed, self.post, self.who, seconds)
        self._browsers = threading.local()
        self._changed = threading.Condition()
        self._waiting: list[tuple[float, int, Story]] = []
        self._numbers = itertools.count()
        self._active = 0
        self._ends_at = 0.0
        self.acknowledged: set[str] = set()  # by Message-ID
        self.decisions = 0
        self.decided: dict[str, dt.datetime] = {}  # by Message-ID, when somebody said that it had arrived

    def who(self, username: str) -> Colleague:
        """Their browser at this desk."""
        mine: dict[str, Colleague] = self._browsers.__dict__
        if username not in mine:
            mine[username] = Colleague(self.front, username, self.broken_off, self.answers)
        return mine[username]

    # ── its course ──────────────────────────────────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        for name in NODES:
            self.front.start_node(name)
        self.front.start()
        processes = self.front.product.processes
        for name in WORKERS:
            processes.start_worker(name, "--concurrency", "1", may_end=True)
        for name in BEATS:
            processes.start_beat(name)
        for name in LOOPS:
            processes.start_outbox(name)

    def live(self, incidents: int, trouble: Callable[[threading.Event], None]) -> None:
        """So many stories, begun at even distances; it is over when all are told."""
        begun_at = time.monotonic()
        self._ends_at = begun_at + self.seconds
        for number in range(incidents):
            self._wait(self.lives.story(number), begun_at + 0.8 * self.seconds * number / incidents)
        for visit in (self._auditor, self._administrator, self._limited, self._clients):
            self._wait(visit(), begun_at + 2)
        calm = threading.Event()
        threads = [threading.Thread(target=self._work, name=f"browser-{n}", daemon=True) for n in range(BROWSERS)]
        troublemaker = threading.Thread(target=self._guarded, args=(lambda: trouble(calm),), daemon=True)
        for thread in (*threads, troublemaker):
            thread.start()
        for thread in threads:
            thread.join()
        calm.set()
        troublemaker.join(120)

    def _wait(self, story: Story, until: float) -> None:
        with self._changed:
            heapq.heappush(self._waiting, (until, next(self._numbers), story))
            self._changed.notify()

    def _work(self) -> None:
        while (story := self._next()) is not None:
            self._guarded(lambda story=story: self._go_on(story))  # type: ignore[misc]
            with self._changed:
                self._active -= 1
                self._changed.notify_all()

    def _next(self) -> Story | None:
        """The one whose moment came first; None once nobody has anything to do any more."""
        with self._changed:
            while self._waiting or self._active:
                if self.broken_off.is_set():
                    return None
                wait = self._waiting[0][0] - time.monotonic() if self._waiting else None
                if wait is not None and wait <= 0:
                    self._active += 1
                    return heapq.heappop(self._waiting)[2]
                self._changed.wait(wait)
            self._changed.notify_all()
            return None

    def _go_on(self, story: Story) -> None:
        with contextlib.suppress(StopIteration):
            self._wait(story, time.monotonic() + next(story))

    def _guarded(self, work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException:  # noqa: BLE001 - a failed wait of pytest's is none that Exception covers
            self.failures.append(traceback.format_exc())
            self.broken_off.set()
            with self._changed:
                self._changed.notify_all()

    # ── those who look ──────────────────────────────────────────────────────────────────────────────────────────────

    def _until_evening(self, every: float) -> Iterator[float]:
        while time.monotonic() < self._ends_at:
            yield every

    def _auditor(self) -> Story:
        """Aude reads everything and changes nothing."""
        for pause in self._until_evening(self.seconds / 12):
            aude = self.who("aude")
            for page in (
                "/admin/",
                "/admin/trail/",
                "/admin/incidents/notice/",
                "/admin/reviews/postincidentreview/compliance/",
            ):
                aude.open(page)
            for case in self.lives.cases[-1:]:
                if case.key:
                    aude.open(f"{INCIDENT}/{case.key}/change/")
                    aude.open(f"{INCIDENT}/{case.key}/acknowledge/", expects=403)
            yield pause

    def _administrator(self) -> Story:
        for pause in self._until_evening(self.seconds / 10):
            ada = self.who("ada")
            for page in ("/admin/", "/admin/config/user/", "/admin/incidents/notice/attention/"):
                ada.open(page)
            yield pause

    def _limited(self) -> Story:
        """Lea finds nothing of clients that are not hers."""
        hers = {client["id"] for client in self.world["clients"][:2]}
        for pause in self._until_evening(self.seconds / 10):
            lea, others = self.who("lea"), [c for c in self.lives.cases if c.key and not hers & set(c.clients)]
            listed = lea.open(f"{INCIDENT}/")
            assert not [case for case in others if case.title in listed], "a client whom Lea does not see"
            for case in others[-1:]:
                lea.open(f"{INCIDENT}/{case.key}/acknowledge/", expects=404)
            yield pause

    def _clients(self) -> Story:
        """At the clients' somebody presses the button that a mail leads to, and sees that it was recorded."""
        pressed = self.acknowledged
        for pause in self._until_evening(2.5):  # the page takes sixty requests a minute from one address
            mails = [m for m in self.sink.messages[-30:] if "/notice/" in m.text and m.message_id not in pressed]
            for mail in mails[-1:]:
                [link] = set(re.findall(r"/notice/\S+", mail.text))
                with contextlib.suppress(OSError):
                    if Visitor(self.front).ask("POST", link)[0].status == 303:
                        pressed.add(mail.message_id)
            yield pause


class Trouble:
    """One blow after the other, drawn from the seed; what was broken is put right before the next."""

    def __init__(
        self, day: Day, postgres: PostgresServer, owner_url: str, redis: RedisServer, seed: int, every: float
    ) -> None:
        self.day, self.postgres, self.owner_url, self.redis, self.every = day, postgres, owner_url, redis, every
        self.chance = random.Random(f"trouble {seed}")  # noqa: S311 - not a secret
        self.blows: Counter[str] = Counter()
        self._processes = day.front.product.processes
        self._calm = threading.Event()

    def __call__(self, calm: threading.Event) -> None:
        self._calm = calm
        kinds = list(self.all)
        self.chance.shuffle(kinds)
        for blow in itertools.chain(kinds, iter(lambda: self.chance.choice(kinds), None)):
            if calm.wait(self.every * self.chance.uniform(0.5, 1.5)) or self.day.broken_off.is_set():
                break
            self.blows[blow.__name__] += 1
            print(f"{now():%H:%M:%S} {blow.__name__}", flush=True)
            try:
                blow()
            finally:
                self.day.sink.behave()
                self._supervise()

    def _supervise(self) -> None:
        """As systemd does: what has ended is started again. Only Celery's parent may give up by itself."""
        for name in WORKERS:
            if not self._processes.is_running(name):
                self._processes.kill9(name)
                self._processes.start_worker(name, "--concurrency", "1", may_end=True)

    def _for(self, least: float, most: float) -> None:
        self._calm.wait(self.chance.uniform(least, most))

    def _until_sending(self, phase: Phase) -> None:
        """Until the mail server has come so far with some mail, if any goes out in a while."""
        before, deadline = self.day.sink.count(phase), time.monotonic() + 5
        while self.day.sink.count(phase) == before and time.monotonic() < deadline and not self._calm.wait(0.001):
            pass

    # ── the blows ───────────────────────────────────────────────────────────────────────────────────────────────────

    def kill_a_worker_while_it_sends(self) -> None:
        name = self.chance.choice(WORKERS)
        self.day.sink.delay(0.05)
        self._until_sending(self.chance.choice([Phase.RCPT, Phase.BODY, Phase.DOT, Phase.ANSWER]))
        if self._processes.is_running(name):
            self._processes.kill9(name)
            self._processes.start_worker(name, "--concurrency", "1", may_end=True)

    def kill_the_loop_while_it_sends(self) -> None:
        self.day.sink.delay(0.05)
        self._until_sending(self.chance.choice([Phase.RCPT, Phase.BODY, Phase.DOT, Phase.ANSWER]))
        self._processes.kill9(LOOPS[0])
        self._processes.start_outbox(LOOPS[0])

    def kill_a_web_node(self) -> None:
        name = self.chance.choice(NODES)
        self._processes.kill9(name)
        self._for(1, 4)
        self.day.front.start_node(name)

    def restart_all_nodes_one_by_one(self) -> None:
        for name in NODES:
            self.day.front.restart_node(name)

    def new_code_on_all_nodes(self) -> None:
        for name in NODES:
            self.day.front.reload_node(name)

    def restart_a_beat(self) -> None:
        name = self.chance.choice(BEATS)
        self._processes.kill9(name)
        self._for(0, 3)
        self._processes.start_beat(name)

    def stop_redis(self) -> None:
        self.redis.kill()
        self._for(2, 6)
        self.redis.start()

    def restart_the_database(self) -> None:
        self.postgres.restart(self.chance.choice(["fast", "immediate"]))

    def stand_still_in_the_database(self) -> None:
        """Somebody locks the notices and goes for a coffee."""
        with psycopg.connect(self.owner_url) as connection:
            connection.execute("LOCK TABLE incidents_notice, incidents_deadline IN EXCLUSIVE MODE")
            self._for(1, 4)

    def end_all_sessions_of_the_database(self) -> None:
        with psycopg.connect(self.owner_url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

    def no_mail_server(self) -> None:
        self.day.sink.stop()
        self._for(2, 6)
        self.day.sink.start()

    def mail_is_refused_for_now(self) -> None:
        self.day.sink.answer(451, "4.7.1 greylisted", times=self.chance.randint(1, 5))
        self._for(2, 4)

    def somebody_is_not_known_any_more(self) -> None:
        """For two mails: those fail at once, and Max decides about them in the evening."""
        client = self.chance.choice(self.day.world["clients"])
        self.day.sink.refuse(self.chance.choice(client["addresses"]), times=2)
        self._for(2, 4)

    def mail_server_closes(self) -> None:
        self.day.sink.answer(421, "4.3.2 shutting down", times=self.chance.randint(1, 3))
        self._for(2, 4)

    def mail_server_drops_after_data(self) -> None:
        self.day.sink.accept_then_drop(self.chance.randint(1, 3))
        self._for(2, 4)

    def mail_server_drops_anywhere(self) -> None:
        self.day.sink.drop(self.chance.choice([p for p in Phase if p not in {Phase.AUTH, Phase.QUIT}]))
        self._for(1, 3)

    def mail_server_is_slow(self) -> None:
        self.day.sink.delay(self.chance.uniform(0.1, 0.6))
        self._for(3, 6)

    def mail_server_hangs(self) -> None:
        """For longer than anybody waits for it."""
        self.day.sink.stall(self.chance.choice([Phase.CONNECT, Phase.RCPT, Phase.BODY, Phase.ANSWER]))
        self._for(5, 7)

    @property
    def all(self) -> list[Callable[[], None]]:
        return [
            self.kill_a_worker_while_it_sends,
            self.kill_the_loop_while_it_sends,
            self.kill_a_web_node,
            self.restart_all_nodes_one_by_one,
            self.new_code_on_all_nodes,
            self.restart_a_beat,
            self.stop_redis,
            self.restart_the_database,
            self.stand_still_in_the_database,
            self.end_all_sessions_of_the_database,
            self.no_mail_server,
            self.mail_is_refused_for_now,
            self.somebody_is_not_known_any_more,
            self.mail_server_closes,
            self.mail_server_drops_after_data,
            self.mail_server_drops_anywhere,
            self.mail_server_is_slow,
            self.mail_server_hangs,
        ]
