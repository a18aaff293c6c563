"""The review queue: what an auditor is shown, and the one thing that an auditor writes."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse
from django.utils import timezone

from agreements.models import Client, Contact
from config import history
from config.audit import concerns, events, phrases, seals
from config.history import Caller, acting
from config.models import Concern, EventKind, LookedAt, User
from config.models.concern import ConcernKind
from tests import cast
from tests.cast import browser_of

pytestmark = pytest.mark.django_db


def found(kind: ConcernKind) -> list[Concern]:
    """What the rules say of all that was written until now."""
    seals.seal()
    concerns.examine()
    return list(Concern.objects.filter(kind=kind))


def rename(client: Client, by: User, reason: str, name: str = "Southwind") -> None:
    with acting(by, reason=reason):
        client.name = name
        client.save()


@pytest.mark.parametrize(
    "reason",
    ["ok", "OK.", "fix", "...", "???", "x", "aaaa", "as discussed", "test test", "Korrektur", "siehe oben", "–", "n/a"],
)
def test_a_reason_of_empty_phrases_says_nothing(reason: str) -> None:
    assert phrases.say_nothing(reason)


@pytest.mark.parametrize(
    "reason", ["Typed the wrong year.", "Ticket 4711", "Client renamed", "§ 4.2 (12)", "Vertrag vom Mai", "Fix of DST"]
)
def test_a_reason_that_somebody_can_follow_says_something(reason: str) -> None:
    assert not phrases.say_nothing(reason)


def test_a_change_with_an_empty_reason_is_to_be_looked_at_once_for_the_whole_act(olga: User) -> None:
    client = cast.client("Northwind", "UTC", "a@northwind.example", "b@northwind.example")
    with acting(olga, reason="ok"):
        client.name = "Southwind"
        client.save()
        client.time_zone = "Europe/Berlin"
        client.save()
    (concern,) = found(ConcernKind.EMPTY_REASON)
    assert (concern.actor, concern.reason, concern.name, concern.about) == (
        olga,
        "ok",
        "Southwind",
        "agreements.client",
    )
    assert concern.act_id == client.history.first().request_id


def test_a_change_with_a_reason_is_no_concern(olga: User) -> None:
    rename(cast.client("Northwind", "UTC"), olga, "They merged with Southwind in May.")
    assert not found(ConcernKind.EMPTY_REASON)


def test_what_workers_write_has_the_reasons_of_a_program(olga: User) -> None:
    with acting(task="outbox.deliver", reason="ok"):
        cast.client("Northwind", "UTC")
    assert not found(ConcernKind.EMPTY_REASON)


def test_a_change_from_a_shell_is_to_be_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    client = cast.client("Northwind", "UTC")
    monkeypatch.setattr(history, "_of_this_process", lambda: (Caller.SHELL, None, "shell (root)"))
    client.name = "Southwind"
    client.save()
    (concern,) = found(ConcernKind.BY_SHELL)
    assert (concern.caller, concern.actor_name, concern.name) == (Caller.SHELL, "shell (root)", "Southwind")


def test_an_export_is_to_be_looked_at_unless_an_auditor_made_it(olga: User, aude: User) -> None:
    cast.northwind()
    for user in (olga, aude):
        answer = browser_of(user).get(reverse("admin:agreements_client_export"))
        assert answer.status_code == 200
    assert [concern.actor for concern in found(ConcernKind.EXPORTED)] == [olga]


def test_a_refused_action_is_to_be_looked_at_with_what_it_was(olga: User) -> None:
    assert browser_of(olga).get(reverse("admin:config_user_add")).status_code == 403
    (concern,) = found(ConcernKind.REFUSED)
    assert concern.actor == olga
    assert reverse("admin:config_user_add") in concern.name


def test_a_name_that_was_locked_is_to_be_looked_at() -> None:
    events.record(EventKind.LOCKED_OUT, name="olga", minutes=15)
    (concern,) = found(ConcernKind.LOCKED_OUT)
    assert "olga" in concern.name


def test_a_trail_that_does_not_verify_is_to_be_looked_at() -> None:
    events.record(EventKind.VERIFY_FAILED, first="incident 7 was changed")
    (concern,) = found(ConcernKind.SEAL_FAILED)
    assert "incident 7 was changed" in concern.name


def test_what_was_examined_is_not_found_again(olga: User) -> None:
    rename(cast.client("Northwind", "UTC"), olga, "ok")
    assert len(found(ConcernKind.EMPTY_REASON)) == 1
    assert concerns.examine() == 0
    assert len(found(ConcernKind.EMPTY_REASON)) == 1


# ── looking at them ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def concern(olga: User) -> Concern:
    rename(cast.client("Northwind", "UTC"), olga, "ok")
    return found(ConcernKind.EMPTY_REASON)[0]


def test_an_auditor_marks_it_with_a_remark_that_stays_in_the_trail(aude: User, concern: Concern) -> None:
    browser = browser_of(aude)
    page = browser.get(f"{reverse('admin:config_concern_changelist')}?mark=no")
    assert "The reason says nothing" in page.content.decode()
    done = browser.post(
        reverse("admin:config_concern_look-at", args=[concern.pk]), {"remark": "Asked Olga: a merger in May."}
    )
    assert done.status_code == 302
    mark = LookedAt.objects.get(concern=concern)
    assert (mark.by, mark.remark) == (aude, "Asked Olga: a merger in May.")
    assert mark.history.get().history_user == aude
    assert not Concern.objects.open().exists()


def test_many_are_marked_with_one_remark(aude: User, olga: User) -> None:
    client = cast.client("Northwind", "UTC")
    rename(client, olga, "ok", "Southwind")
    rename(client, olga, "fix", "Eastwind")
    keys = [concern.pk for concern in found(ConcernKind.EMPTY_REASON)]
    address, browser = reverse("admin:config_concern_changelist"), browser_of(aude)
    sent = {"action": "look-at-many", "_selected_action": keys, "reason": "Both asked about and explained."}
    shown = browser.post(address, sent)
    browser.post(address, sent | {"step": "do", "seen": shown.context["seen"]})
    assert LookedAt.objects.count() == 2


def test_nobody_looks_at_what_they_did_themselves(olga: User, concern: Concern) -> None:
    with pytest.raises(ValidationError, match="Somebody else has to look at it"):
        concerns.look_at(concern, by=olga, remark="That was quite alright.", now=timezone.now())


def test_it_is_marked_once(aude: User, ada: User, concern: Concern) -> None:
    concerns.look_at(concern, by=aude, remark="Asked Olga about it.", now=timezone.now())
    with pytest.raises(ValidationError, match="looked at this already"):
        concerns.look_at(concern, by=ada, remark="Asked Olga about it, too.", now=timezone.now())


def test_a_remark_says_what_was_found(aude: User, concern: Concern) -> None:
    with pytest.raises(ValidationError, match="Say what you found"):
        concerns.look_at(concern, by=aude, remark="ok", now=timezone.now())


def test_those_whose_acts_are_looked_at_read_the_queue_at_most(olga: User, max_: User, concern: Concern) -> None:
    address = reverse("admin:config_concern_look-at", args=[concern.pk])
    for user in (olga, max_):
        assert browser_of(user).post(address, {"remark": "Nothing to see here."}).status_code == 403
    assert browser_of(max_).get(reverse("admin:config_concern_changelist")).status_code == 200
    assert browser_of(olga).get(reverse("admin:config_concern_changelist")).status_code == 403
    assert not LookedAt.objects.exists()


def test_its_page_leads_to_the_whole_act_in_the_trail(aude: User, concern: Concern) -> None:
    page = browser_of(aude).get(reverse("admin:config_concern_change", args=[concern.pk]))
    assert reverse("admin:trail_act", args=[concern.act_id]) in page.content.decode()
    assert Contact.objects.count() == 0
