"""A mail server that stalls, drops, refuses and goes away, and one sender that lives through all of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.world import Stage, World, nothing_is_lost_and_copies_are_bounded
from tests.services.smtp import Phase

#: Nothing of the message was said yet.
BEFORE = (Phase.CONNECT, Phase.EHLO, Phase.MAIL, Phase.RCPT, Phase.DATA)
#: From here on nobody can know whether it arrived.
DARK = (Phase.BODY, Phase.DOT, Phase.ANSWER)


@pytest.fixture(scope="module")
def world(stage: Stage) -> Iterator[World]:
    """One sender for the whole module; each test finds its queue empty and leaves it so."""
    with stage.world() as world:
        world.processes.start_outbox("sender")
        yield world


@pytest.mark.parametrize("phase", BEFORE)
def test_a_server_that_fails_before_the_message_costs_no_copy(world: World, phase: Phase) -> None:
    arrived = len(world.sink.messages)
    _fail_in(world, phase)
    world.owe(mails=2)
    world.wait_until_idle()
    assert len(world.sink.messages) == arrived + 2
    nothing_is_lost_and_copies_are_bounded(world)


@pytest.mark.parametrize("phase", DARK)
def test_a_server_that_fails_once_the_message_began_is_sent_it_once_more(world: World, phase: Phase) -> None:
    ambiguous = world.ambiguous()
    _fail_in(world, phase)
    world.owe(mails=2)
    world.wait_until(lambda: world.ambiguous() == ambiguous + 2, 10, "both were transmitted in the dark")
    world.wait_until_idle()
    assert world.ambiguous() == ambiguous + 2
    nothing_is_lost_and_copies_are_bounded(world)


def _fail_in(world: World, phase: Phase) -> None:
    """In that phase the server cuts the first connection and leaves the second without a word."""
    world.sink.behave()
    world.sink.stop()  # so that the next mail needs a connection, and comes through every phase
    world.sink.start()
    world.sink.drop(phase)
    world.sink.stall(phase)


def test_a_server_that_is_away_for_a_while_gets_everything_when_it_is_back(world: World) -> None:
    world.sink.stop()
    world.owe(mails=21)
    tried = "SELECT 1 FROM incidents_deliveryattempt WHERE outcome = 'transport_down' AND phase = 'connect'"
    world.wait_until(lambda: world.ask(tried), 10, "it was missed")
    world.sink.start()
    world.wait_until_idle()
    nothing_is_lost_and_copies_are_bounded(world)


def test_with_answers_of_every_kind_mixed_only_what_was_refused_for_good_stays_and_is_shown(world: World) -> None:
    world.refused = {f"ops-{number}@fabrikam.example" for number in (3, 11)}
    for address in world.refused:
        world.sink.refuse(address, 550, "no such user")
    world.sink.answer(451, "greylisted", times=13)
    world.sink.answer(452, "out of storage", phase=Phase.DOT, times=7)
    world.owe(mails=60)
    world.wait_until_idle()
    world.sink.behave()
    nothing_is_lost_and_copies_are_bounded(world)


def test_a_server_that_never_answers_for_what_it_took_gets_two_copies_and_then_a_person_decides(world: World) -> None:
    world.may_need_review = True
    world.sink.accept_then_drop(times=None)
    begun = {row.message_id for row in world.rows()}
    world.owe(mails=2)
    world.wait_until_idle()
    world.sink.behave()
    world.wait_until_idle()
    copies = {key: len(mails) for key, mails in world.sink.by_message_id().items() if key not in begun}
    owed = {row.message_id: row for row in world.rows() if row.kind == "client_notice" and row.message_id not in begun}
    assert {row.state for row in owed.values()} == {"review"}
    assert {copies[key] for key in owed} == {2}
    nothing_is_lost_and_copies_are_bounded(world)
