"""From declared to inbox by real workers, whatever is killed, doubled or away meanwhile."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.journeys.conftest import Product
from tests.services.redis import RedisServer
from tests.services.smtp import SmtpSink

CLIENT = "ops@northwind.example"


def copies(inbox: SmtpSink) -> Counter[str]:
    return Counter(mail.message_id for mail in inbox.messages)


def has_reached(inbox: SmtpSink, address: str) -> bool:
    return any(address in mail.recipients for mail in inbox.messages)


def test_a_client_is_warned_before_the_deadline_without_anyone_clicking(product: Product) -> None:
    product.start_workers("worker")
    product.act("declare_before(0.5)")
    product.processes.wait_until(lambda: has_reached(product.inbox, CLIENT), 40, "the client was warned")
    warning = next(mail for mail in product.inbox.messages if CLIENT in mail.recipients)
    assert "-0001] Notice to you: due by " in warning.subject


def test_the_holding_notice_keeps_the_clause_when_everybody_sleeps(product: Product) -> None:
    product.start_workers("worker")
    product.act("declare_before(0.9)")
    product.processes.wait_until(lambda: has_reached(product.inbox, CLIENT), 40, "the client was notified")
    product.processes.wait_until(lambda: product.facts()["notify_met"] == ["Northwind"], 20, "the notice was recorded")


def test_two_workers_and_two_beats_send_each_mail_once(product: Product) -> None:
    product.start_workers("first", "second")
    product.act("declare(count=15)")
    product.act("notify_all()")
    product.processes.wait_until(lambda: _all_sent(product), 60, "all was sent")
    assert set(copies(product.inbox).values()) == {1}
    assert set(copies(product.inbox)) == set(product.facts()["notices"])


@pytest.mark.parametrize("after", [1, 7])
def test_a_worker_killed_while_sending_loses_nothing(product: Product, after: int) -> None:
    product.processes.env["NOTICE_LEASE"] = "2"
    product.inbox.delay(0.03)  # each answer of the server takes a moment, so that the kill meets a mail in mid-air
    product.act("declare(count=12)")
    product.act("notify_all()")
    product.processes.start_worker("worker")
    product.processes.start_beat("beat")
    product.inbox.wait_for(after, 40)
    product.processes.kill9("worker")
    product.inbox.behave()
    product.processes.start_worker("next")
    product.processes.wait_until(lambda: _recovered(product), 60, "all was sent")

    facts = product.facts()["notices"]
    sent = copies(product.inbox)
    assert set(sent) == set(facts), "every notice reached the server"
    assert all(sent[key] <= 1 + ambiguous for key, (_state, _address, ambiguous) in facts.items())


def _recovered(product: Product) -> bool:
    product.processes.manage("outbox", "run")  # as cron would; what the killed worker held is given back
    return _all_sent(product)


def _all_sent(product: Product) -> bool:
    states = {state for state, _address, _ambiguous in product.facts()["notices"].values()}
    return states == {"sent"}


def test_with_redis_away_incidents_are_saved_and_their_mails_go_when_it_is_back(
    real_product: Product, redis_server: RedisServer
) -> None:
    real_product.start_workers("worker")
    real_product.processes.wait_for_log("worker", "ready")
    with redis_server.stopped():
        real_product.act("declare()")
        real_product.act("notify_all()")
        assert real_product.facts()["references"][-1].endswith("-0001")
    real_product.processes.wait_until(lambda: has_reached(real_product.inbox, CLIENT), 60, "the client was notified")


def test_with_redis_away_cron_alone_delivers(real_product: Product, redis_server: RedisServer) -> None:
    with redis_server.stopped():
        real_product.act("declare()")
        real_product.act("notify_all()")
        real_product.processes.manage("outbox", "run")
        assert has_reached(real_product.inbox, CLIENT)


def test_references_have_no_gap_when_many_declare_at_once(product: Product) -> None:
    names = [f"operator-{number}" for number in range(4)]
    for name in names:
        product.start_acting(name, "declare(count=6)")
    for name in names:
        assert product.processes.wait_for_exit(name, 60) == 0, product.processes.log(name)
    numbers = [int(reference.rsplit("-", 1)[1]) for reference in product.facts()["references"]]
    assert numbers == list(range(1, 25))


def test_ten_senders_at_once_send_each_mail_once(product: Product) -> None:
    product.act("declare(count=15)")
    product.act("notify_all()")
    names = [f"sender-{number}" for number in range(10)]
    for name in names:
        product.processes.start(name, "manage.py", "outbox", "run", may_end=True)
    for name in names:
        assert product.processes.wait_for_exit(name, 60) == 0, product.processes.log(name)
    assert set(copies(product.inbox)) == set(product.facts()["notices"])
    assert set(copies(product.inbox).values()) == {1}


def test_a_stalled_redis_holds_up_a_declaration_by_a_second_at_most(
    real_product: Product, redis_server: RedisServer
) -> None:
    usual = float(real_product.act("time_a_declaration()"))
    with redis_server.frozen():  # it accepts connections and never answers
        stalled = float(real_product.act("time_a_declaration()"))
    assert stalled - usual < 2.5, "a plain call to a stalled broker waits for twenty seconds"
    assert len(real_product.facts()["references"]) == 2
