"""From declared to inbox by real workers. What PostgreSQL and Redis can do to them is in tests/faults."""

from __future__ import annotations

from collections import Counter

from tests.journeys.conftest import Product
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
    # Contoso's hours are those of its office: at some times of the day its own holding notice comes in the same moment.
    product.processes.wait_until(lambda: "Northwind" in product.facts()["notify_met"], 20, "the notice was recorded")


def test_two_workers_and_two_beats_send_each_mail_once(small_product: Product) -> None:
    small_product.start_workers("first", "second")
    small_product.act("declare(count=15)")
    small_product.act("notify_all()")
    small_product.processes.wait_until(lambda: _all_sent(small_product), 60, "all was sent")
    assert set(copies(small_product.inbox).values()) == {1}
    assert set(copies(small_product.inbox)) == set(small_product.facts()["notices"])


def test_a_worker_killed_while_sending_loses_nothing(small_product: Product) -> None:
    small_product.processes.env["NOTICE_LEASE"] = "2"
    small_product.inbox.delay(0.03)  # every answer takes a moment, so that the kill meets a mail in mid-air
    small_product.act("declare(count=12)")
    small_product.act("notify_all()")
    small_product.processes.start_worker("worker")
    small_product.processes.start_beat("beat")
    small_product.inbox.wait_for(7, 40)
    small_product.processes.kill9("worker")
    small_product.inbox.behave()
    small_product.processes.start_worker("next")
    small_product.processes.wait_until(lambda: _recovered(small_product), 60, "all was sent")

    facts = small_product.facts()["notices"]
    sent = copies(small_product.inbox)
    assert set(sent) == set(facts), "every notice reached the server"
    assert all(sent[key] <= 1 + ambiguous for key, (_state, _address, ambiguous) in facts.items())


def _recovered(product: Product) -> bool:
    product.processes.manage("outbox", "run")  # as cron would; what the killed worker held is given back
    return _all_sent(product)


def _all_sent(product: Product) -> bool:
    states = {state for state, _address, _ambiguous in product.facts()["notices"].values()}
    return states == {"sent"}


def test_references_have_no_gap_when_many_declare_at_once(product: Product) -> None:
    names = [f"operator-{number}" for number in range(4)]
    for name in names:
        product.start_acting(name, "declare(count=6)")
    for name in names:
        assert product.processes.wait_for_exit(name, 60) == 0, product.processes.log(name)
    numbers = [int(reference.rsplit("-", 1)[1]) for reference in product.facts()["references"]]
    assert numbers == list(range(1, 25))


def test_ten_senders_at_once_send_each_mail_once(small_product: Product) -> None:
    small_product.act("declare(count=15)")
    small_product.act("notify_all()")
    names = [f"sender-{number}" for number in range(10)]
    for name in names:
        small_product.processes.start(name, "manage.py", "outbox", "run", may_end=True)
    for name in names:
        assert small_product.processes.wait_for_exit(name, 60) == 0, small_product.processes.log(name)
    assert set(copies(small_product.inbox)) == set(small_product.facts()["notices"])
    assert set(copies(small_product.inbox).values()) == {1}
