"""The product at work on real parts, and the oracle that every fault test ends with."""

from __future__ import annotations

import json
import re
import select
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg
import pytest
from psycopg.rows import class_row

from tests.services import children
from tests.services.postgres import PostgresServer, SmallDisk
from tests.services.processes import PATIENCE, ROOT, Processes
from tests.services.redis import RedisServer
from tests.services.smtp import ReceivedMail, SmtpSink

LEASE = 2  # seconds
#: For stories in which nothing hangs: on a busy machine an answer may take longer than a second.
PATIENT = {"NOTICE_LEASE": "60", "SMTP_TIMEOUT": "15"}
#: Short, so that what takes minutes in real life takes seconds here.
QUICK = {"NOTICE_LEASE": str(LEASE), "SMTP_TIMEOUT": "1", "LOG_LEVEL": "INFO"}

IN_QUEUE = frozenset({"pending", "retry_wait", "leased", "transmitting"})
HELD = frozenset({"leased", "transmitting"})


class People:
    """The process in which people act (tests/faults/people.py)."""

    def __init__(self, processes: Processes) -> None:
        self._count = 0
        self._log = processes.log_file("people")
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.people"],
                cwd=ROOT,
                env=processes.env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                bufsize=0,
                start_new_session=True,
            )

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()  # it ends with its input
        self._process.stdout.close()
        self._process.wait(10)

    def do(self, act: str, *, timeout: float = 60, **arguments: Any) -> Any:
        """What the act returns; one that fails, or takes too long, fails the test."""
        answer = self.try_to(act, timeout=timeout, **arguments)
        if "error" in answer:
            pytest.fail(f"{act} failed: {answer['error']}\n{children.tail(self._log)}", pytrace=False)
        return answer["result"]

    def try_to(self, act: str, *, timeout: float = 60, **arguments: Any) -> dict[str, Any]:
        """{"result": …} or {"error": …} of an act that may fail."""
        self.begin(act, **arguments)
        return self.end(timeout=timeout)

    def begin(self, act: str, **arguments: Any) -> None:
        """Start an act and do not wait for it."""
        assert self._process.stdin is not None
        self._count += 1
        self._process.stdin.write(json.dumps([self._count, act, arguments]).encode() + b"\n")

    def end(self, *, timeout: float = 60) -> dict[str, Any]:
        """Wait for the act that was begun last."""
        assert self._process.stdout is not None
        number, answer = 0, {}
        while number != self._count:  # one that an earlier test did not wait for answers first
            if not select.select([self._process.stdout], [], [], timeout)[0]:
                pytest.fail(f"An act took longer than {timeout:g} s.\n{children.tail(self._log)}", pytrace=False)
            line = self._process.stdout.readline()
            if not line:
                pytest.fail(f"The process of the people has ended.\n{children.tail(self._log)}", pytrace=False)
            number, answer = json.loads(line)
        return answer


@dataclass(frozen=True)
class Row:
    """A notice as the database has it."""

    id: int
    message_id: str
    kind: str
    state: str
    recipient_address: str
    ambiguous_tries: int


class World:
    """One database, its processes, the mail server and the people; everything that is owed is written down here."""

    def __init__(self, stage: Stage, people: People, processes: Processes, database: str) -> None:
        self.postgres = stage.postgres
        self.redis = stage.redis
        self.sink = stage.sink
        self.people = people
        self.processes = processes
        self.database = database
        self.owed: Counter[tuple[str, str]] = Counter()  # by incident and address
        self.refused: set[str] = set()  # addresses whose mails the server refuses for good
        self.may_need_review = False  # some transmissions will end in the dark twice

    # ── what people do ──────────────────────────────────────────────────────────────────────────────────────
    def owe(self, mails: int) -> None:
        """Incidents are declared and clients notified, until so many mails are owed."""
        self.remember(self.people.do("owe", mails=mails))

    def owe_holding_notices(self, mails: int, seconds: float = 0) -> None:
        """Incidents are declared whose holding notices fall due in so many seconds."""
        self.remember(self.people.do("owe_holding_notices", mails=mails, seconds=seconds, timeout=600))

    def remember(self, owed: list[list[str]]) -> None:
        """Hold the product to these mails."""
        self.owed.update((reference, address) for reference, address in owed)

    def cron(self) -> None:
        """What cron does each minute: `manage.py outbox run`."""
        self.people.do("cron")

    # ── what the database says ──────────────────────────────────────────────────────────────────────────────
    def ask(self, question: str, *values: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database, autocommit=True, connect_timeout=5) as connection:
            return connection.execute(question.encode(), values).fetchall()

    def change(self, statement: str) -> None:
        with psycopg.connect(self.database, autocommit=True, connect_timeout=5) as connection:
            connection.execute(statement.encode())

    def hang_up(self) -> None:
        """End every other session of the database."""
        self.change(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

    def rows(self) -> list[Row]:
        with (
            psycopg.connect(self.database, connect_timeout=5) as connection,
            connection.cursor(row_factory=class_row(Row)) as cursor,
        ):
            cursor.execute(
                "SELECT id, message_id, kind, state, recipient_address, ambiguous_tries FROM incidents_notice"
            )
            return cursor.fetchall()

    def attempts(self) -> dict[int, Counter[str]]:
        """How often which outcome, by notice."""
        found: defaultdict[int, Counter[str]] = defaultdict(Counter)
        for notice, outcome in self.ask("SELECT notice_id, outcome FROM incidents_deliveryattempt"):
            found[notice][outcome] += 1
        return found

    def states(self) -> Counter[str]:
        return Counter(dict(self.ask("SELECT state, count(*) FROM incidents_notice GROUP BY state")))

    def ambiguous(self) -> int:
        """How many transmissions ended in the dark."""
        return sum(outcomes["ambiguous"] for outcomes in self.attempts().values())

    # ── time ────────────────────────────────────────────────────────────────────────────────────────────────
    def hurry(self) -> None:
        """The minutes between two tries, and until a fault is probed again, are over at once."""
        self.change(
            "UPDATE incidents_notice SET next_attempt_at = now()"
            " WHERE state = 'retry_wait' AND next_attempt_at > now();"
            "UPDATE incidents_sending SET retry_at = now() WHERE retry_at > now()"
        )

    def wait_until(self, predicate: Callable[[], object], timeout: float, what: str) -> None:
        self.processes.wait_until(predicate, timeout, what)

    def wait_for_sending(self, mails: int, timeout: float = PATIENCE) -> None:
        """Return once the mail server has taken so many more mails."""
        before = len(self.sink.messages)
        self.wait_until(lambda: len(self.sink.messages) >= before + mails, timeout, f"{mails} mails more were sent")

    def wait_until_idle(self, timeout: float = PATIENCE) -> None:
        """Return once the processes that run have emptied the queue by themselves."""
        self.wait_until(self._is_idle, timeout, "the queue was empty")

    def settle(self, timeout: float = PATIENCE) -> None:
        """Return once the queue is empty; cron helps, and gives back what a killed process held."""

        def is_settled() -> bool:
            if not self._is_idle():
                self.cron()
            return self._is_idle()

        self.wait_until(is_settled, timeout, "the queue was empty")

    def _is_idle(self) -> bool:
        self.hurry()
        states = self.states()
        return not IN_QUEUE & set(states) and states.total() >= self.owed.total()


class Stage:
    """What all worlds share: the servers, the process of the people, and the database that the others are copies of."""

    def __init__(
        self, postgres: PostgresServer, redis: RedisServer, sink: SmtpSink, folder: Path, migrated: str | None = None
    ) -> None:
        self.postgres = postgres
        self.redis = redis
        self.sink = sink
        self._folder = folder
        self._env = {**QUICK, "EMAIL_URL": sink.url, "REDIS_URL": redis.url}
        self._template = postgres.create_database(template=migrated)
        self._people = People(Processes(folder / "people", {**self._env, "DATABASE_URL": self._template}))

    def __enter__(self) -> Self:
        self._people.do("build")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._people.close()

    @contextmanager
    def world(self, on: SmallDisk | None = None) -> Iterator[World]:
        """A fresh world in which nothing but the servers is running; one at a time."""
        self._tidy_up()
        made = self.postgres.create_database(template=self._template, on=on)
        database = _with_short_patience(made)
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        try:
            self._people.do("use", database=database)
            with Processes(folder, {**self._env, "DATABASE_URL": database}) as processes:
                yield World(self, self._people, processes, database)
                self.sink.behave()  # a process that ends waits for nobody
                print(processes.logs())  # captured, and shown for a failed test only
        finally:
            self._people.do("use", database=self._template)
            self.postgres.drop_database(made)

    def _tidy_up(self) -> None:
        self.redis.start()
        self.redis.empty()
        self.sink.behave()
        self.sink.start()
        self.sink.forget()


def _with_short_patience(url: str) -> str:
    """The database lets a session that stands still in a transaction have its locks for a lease only, not for 30 s."""
    return f"{url}{'&' if '?' in url else '?'}options=-c%20idle_in_transaction_session_timeout%3D{LEASE}s"


# ── the oracle ──────────────────────────────────────────────────────────────────────────────────────────────────────


def nothing_is_lost_and_copies_are_bounded(world: World) -> None:
    """What must be true after every fault, once the queue is empty."""
    rows, attempts, copies = world.rows(), world.attempts(), world.sink.by_message_id()
    by_message_id = {row.message_id: row for row in rows}

    assert not [row for row in rows if row.state in IN_QUEUE], "nothing is stuck in the queue"
    assert {row.recipient_address for row in rows if row.state == "failed"} == world.refused
    in_review = [row for row in rows if row.state == "review"]
    assert world.may_need_review or not in_review
    assert all(attempts[row.id]["ambiguous"] >= 2 for row in in_review), "only after the second time in the dark"

    missing = [row for row in rows if row.state == "sent" and row.message_id not in copies]
    assert not missing, "what is called sent was accepted by the server"
    assert set(copies) <= set(by_message_id), "every mail has its row"
    excess = {
        key: (len(mails), dict(attempts[by_message_id[key].id]))
        for key, mails in copies.items()
        if len(mails) > 1 + attempts[by_message_id[key].id]["ambiguous"]
    }
    assert not excess, "one copy, and one more for each transmission that ended in the dark"
    assert all(row.ambiguous_tries <= 2 for row in rows)
    changed = [key for key, mails in copies.items() if len({_lasting(mail) for mail in mails}) > 1]
    assert not changed, "each copy is the same, but for its Date"

    known = Counter(_told(mails[0]) for mails in copies.values())
    known.update(  # told to a person instead, who decides
        (reference, row.recipient_address)
        for row in rows
        if row.state in {"failed", "review"} and row.message_id not in copies
        for reference in _reference_of(world, row)
    )
    assert not world.owed - known, "every mail that is owed has reached the server"
    assert not _accepted_but_not_met(world), "what the server accepted has met its deadline"
    found = world.people.do("audit").splitlines()
    assert not [problem for problem in found if not problem.startswith(_expected_of(world))]


def _expected_of(world: World) -> tuple[str, ...]:
    """How the problems begin that the test has made: it says which parts run, and what waits for a person."""
    silent = tuple(f"{part}-silent:" for part in ("planner", "sender", "auditor"))
    return (*silent, "notices-need-a-person:") if world.refused or world.may_need_review else silent


def _lasting(mail: ReceivedMail) -> bytes:
    """All of the message that no second transmission may change."""
    head, blank, body = mail.raw.partition(b"\r\n\r\n")
    return re.sub(rb"(?m)^Date: .*\r\n", b"", head) + blank + body


def _told(mail: ReceivedMail) -> tuple[str, str]:
    reference = re.search(r"\[(INC-\d+-\d+)\]", mail.subject)
    return (reference[1] if reference else "", mail.recipients[0])


def _reference_of(world: World, row: Row) -> list[str]:
    question = (
        "SELECT reference FROM incidents_incident i JOIN incidents_notice n ON n.incident_id = i.id WHERE n.id = %s"
    )
    return [reference for (reference,) in world.ask(question, row.id)]


def _accepted_but_not_met(world: World) -> list[tuple[Any, ...]]:
    return world.ask(
        "SELECT i.reference FROM incidents_deadline d JOIN incidents_incident i ON i.id = d.incident_id"
        " WHERE d.obligation = 'notify' AND d.met_at IS NULL AND EXISTS (SELECT 1 FROM incidents_notice n"
        " WHERE n.incident_id = d.incident_id AND n.client_id = d.client_id AND n.state = 'sent'"
        " AND n.kind IN ('client_notice', 'holding_notice'))"
    )
