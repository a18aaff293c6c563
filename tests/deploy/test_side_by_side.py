"""An upgrade while people work: the next release migrates, works beside this one on one database, and goes on alone.

Either has its web node, its Celery worker and its beat; they share PostgreSQL, Redis and nginx.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from pathlib import Path

import pytest

from tests.deploy.front import Front
from tests.deploy.next_release import next_release
from tests.deploy.test_proxy import Colleague
from tests.deploy.test_proxy import front as front  # a fixture
from tests.journeys.conftest import Product
from tests.journeys.conftest import real_product as real_product  # a fixture
from tests.services import children
from tests.services.processes import Processes

#: Four incidents that were declared by this release, and by the next.
BY_OLD = "SELECT id FROM incidents_incident WHERE of_the_next = '' ORDER BY id LIMIT 4"
BY_NEW = "SELECT id FROM incidents_incident WHERE of_the_next = 'next' ORDER BY id LIMIT 4"
FORMS = "SELECT count(DISTINCT columns) FROM config_sealedrange WHERE \"table\" = 'incidents.historicalincident'"
BY_WORKER = "SELECT worker, count(*) FROM incidents_deliveryattempt WHERE outcome = 'accepted' GROUP BY worker"
NOT_DONE = """
    SELECT 1 FROM incidents_deadline WHERE next_action_at <= now()
    UNION ALL SELECT 1 FROM incidents_notice WHERE state NOT IN ('sent', 'cancelled', 'superseded') LIMIT 1
"""
SENT = "SELECT message_id FROM incidents_notice WHERE state = 'sent'"
HELD = """
    SELECT title, count(notice.id) FROM incidents_incident incident LEFT JOIN incidents_notice notice
    ON notice.incident_id = incident.id AND kind = 'holding_notice' AND state = 'sent'
    AND recipient_address = 'ops@northwind.example'
    GROUP BY title
"""


@pytest.fixture
def next_product(real_product: Product, tmp_path: Path) -> Product:
    """The next release on the same database; it has not migrated it yet."""
    code = next_release(tmp_path / "next")
    processes = Processes(tmp_path / "processes-of-next", real_product.processes.env, code=code)
    return Product(processes, real_product.inbox, real_product.parts)


def sent_by(processes: Processes, front: Front) -> int:
    """How many mails its worker has sent."""
    ours = children.session_members(processes.pid("worker"))
    return sum(int(str(count)) for name, count in front.rows(BY_WORKER) if int(str(name).rpartition(":")[2]) in ours)


def test_the_next_release_takes_over_while_people_work(
    front: Front, real_product: Product, next_product: Product, postgres_url: str
) -> None:
    old, new = real_product.processes, next_product.processes
    front.start_node("first")
    front.start()
    real_product.start_workers("worker")
    late = dt.timedelta(
        hours=3, minutes=45
    )  # so that Northwind, which has to know within four, gets its notice at once
    people = [Colleague(front, number, late, pause=2) for number in range(2)]
    for person in people:
        person.start()
    with new:
        new.env |= old.env  # as it is with the front
        new.manage("migrate", "-v0", env={"DATABASE_URL": postgres_url})  # as the owner
        front.start_node("second", new)
        front.let_in_node("second")
        next_product.start_workers("worker")
        old.wait_until(lambda: len(front.rows(BY_NEW)) == 4, 120, "people declared by the next release too")
        new.wait_until(lambda: sent_by(new, front), 120, "its worker had sent something")
        so_far = [sent_by(each, front) for each in (old, new)]
        new.wait_until(
            lambda: all(sent_by(each, front) >= had + 4 for each, had in zip((old, new), so_far, strict=True)),
            120,
            "either worker had sent some more beside the other",
        )
        for person in people:
            person.enough.set()
            person.join(60)
        assert {answer for person in people for answer in person.answers} == {302}, "nobody was held up or refused"
        new.wait_until(lambda: not front.rows(NOT_DONE), 120, "all was sent that nobody had to send")

        ours, theirs = ([pk for (pk,) in front.rows(question)] for question in (BY_OLD, BY_NEW))
        next_product.act(f"see_through({[*ours[:2], *theirs[:2]]})")
        real_product.act(f"see_through({[*ours[2:], *theirs[2:]]})")
        assert front.rows(FORMS) == [(2,)], "each has sealed what it knows"

        front.take_out_node("first")
        for name in ("worker-beat", "worker"):
            assert old.stop(name, timeout=60) == 0
        new.wait_until(lambda: not front.rows(NOT_DONE), 120, "all was sent")
        next_product.act("send(); acts.examine()")  # for either all of it is right, whoever did it
        real_product.act("examine()")
    declared = [f"{person.number}/{count}" for person in people for count in range(len(person.answers))]
    held = {str(title): count for title, count in front.rows(HELD)}
    assert held == dict.fromkeys(declared, 1)
    sent = Counter(str(message_id) for (message_id,) in front.rows(SENT))
    assert Counter(mail.message_id for mail in real_product.inbox.messages) == sent, "each once, and nothing else"
    assert len(sent) >= len(declared) + 16
