"""A day of operation in a minute, or in as many as DAY_MINUTES says; DAY_SEED repeats what chance decided."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

from tests.day import closing
from tests.day.day import QUICK, Day, Trouble
from tests.deploy.front import Front
from tests.deploy.test_proxy import front as front  # a fixture
from tests.journeys.conftest import Product
from tests.journeys.conftest import real_product as real_product  # a fixture
from tests.services.postgres import PostgresServer
from tests.services.redis import RedisServer

FULL = 10.0  # minutes, with twenty clients and 890 incidents
MINUTES = float(os.environ.get("DAY_MINUTES") or 0.25)
SEED = int(os.environ.get("DAY_SEED") or 7)  # one that is known, so that a change is judged by its own faults


def test_a_day_of_operation_ends_as_its_journal_has_it(
    front: Front,
    real_product: Product,
    postgres: PostgresServer,
    postgres_url: str,
    redis_server: RedisServer,
    tmp_path: Path,
) -> None:
    print(f"To do it again: DAY_SEED={SEED} DAY_MINUTES={MINUTES:g} pytest -n0 tests/day", flush=True)
    incidents, clients = max(round(890 * MINUTES / FULL), 14), max(min(round(2 * MINUTES), 20), 6)
    processes, sink = real_product.processes, real_product.inbox
    processes.env |= QUICK
    world = json.loads(
        processes.manage("shell", "-v0", "-c", f"from tests.day import world; world.build({clients})").stdout
    )
    day = Day(front, world, sink, SEED, MINUTES * 60)
    day.start()
    processes.manage("audit", "seal")
    anchor = tmp_path / "anchor"
    anchor.write_text(processes.manage("audit", "anchor").stdout)
    every = max(MINUTES * 60 / 40, 2)
    trouble = Trouble(day, postgres, postgres_url, redis_server, SEED, every)
    day.live(incidents, trouble)
    assert not day.failures, "\n".join(day.failures)
    assert day.answers[500] == 0, "whatever failed had a page that said what and what to do"

    became: Counter[str] = Counter()
    with closing.at_rest(day, postgres_url):
        closing.check_mail(day)
        for client in day.lives.clients:
            became += closing.check_compliance(day, closing.download(day, day.who("max"), client))
    closing.audits(day, str(anchor))
    print(f"{len(day.lives.cases)} incidents {day.lives.did}; {became.total()} deadlines {dict(became)}")
    print(f"{len(closing.rows_of(day))} notices, {len(sink.messages)} mails, {len(day.acknowledged)} acknowledged")
    print(
        f"{trouble.blows.total()} blows {dict(trouble.blows)}; {day.decisions} decisions; answers {dict(day.answers)}"
    )
