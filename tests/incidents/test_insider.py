"""A member of staff tries to hide a missed deadline: each way is refused, found by verify, or shown to an auditor.

The table in docs/auditor.md says the same in words.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.urls import reverse
from django.utils import timezone

from agreements.models import Obligation, ServiceAgreement, Severity
from config import history
from config.audit import anchors, append_only, keeping, verification
from config.history import Caller, PastTheTrail, ReasonMissing, acting
from config.models import Concern, Seal, SealedRange, User
from config.models.concern import ConcernKind
from incidents import lifecycle
from incidents.models import Deadline, Incident, Standing
from tests import cast
from tests.cast import browser_of

pytestmark = pytest.mark.django_db

HOUR = dt.timedelta(hours=1)


@pytest.fixture
def now() -> dt.datetime:
    return timezone.now()


@pytest.fixture
def missed(olga: User, northwind: ServiceAgreement, now: dt.datetime) -> Deadline:
    """The client had to be told within four hours of detection, nine hours ago; sealed as it is."""
    incident = lifecycle.declare(
        title="Storage is down",
        severity=Severity.CRITICAL,
        services=[cast.service("Object storage")],
        detected_at=now - 9 * HOUR,
        by=olga,
        now=now,
    )
    keeping.keep()
    assert not Concern.objects.exists()
    assert not findings()
    deadline = incident.deadlines.get(obligation=Obligation.NOTIFY)
    assert deadline.standing(now) == Standing.MISSED
    return deadline


def shown() -> set[str]:
    """Of what kinds there is something in the review queue, once it is sealed."""
    keeping.keep()
    return set(Concern.objects.values_list("kind", flat=True))


def findings() -> list[str]:
    return [str(found) for found in verification.verify().findings]


def standing(deadline: Deadline, now: dt.datetime) -> Standing:
    return Deadline.objects.get(pk=deadline.pk).standing(now)


def sql(statement: str, *values: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


# ── on the pages and in the verbs ───────────────────────────────────────────────────────────────────────────────────


def test_moving_the_start_is_shown(missed: Deadline, olga: User, now: dt.datetime) -> None:
    lifecycle.correct_times(
        missed.incident, detected_at=now - HOUR, by=olga, now=now, reason="The first alarm was another disk's."
    )
    assert standing(missed, now) != Standing.MISSED
    assert shown() == {ConcernKind.TIME_MOVED, ConcernKind.EXCUSED}


def test_lowering_the_severity_excuses_nothing_and_is_shown(missed: Deadline, max_: User, now: dt.datetime) -> None:
    lifecycle.reclassify(missed.incident, Severity.LOW, by=max_, now=now, reason="Only one bucket was affected.")
    assert standing(missed, now) == Standing.MISSED
    assert ConcernKind.LOWERED in shown()


def test_giving_the_agreement_more_time_excuses_nothing_and_is_shown(
    missed: Deadline, max_: User, now: dt.datetime
) -> None:
    with acting(max_, reason="The paper says 24 hours."):
        missed.commitment.amount = 24
        missed.commitment.save()
    assert standing(missed, now) == Standing.MISSED
    assert ConcernKind.TERMS_CHANGED in shown()


def test_excluding_the_agreement_excuses_nothing(missed: Deadline, max_: User, now: dt.datetime) -> None:
    lifecycle.exclude_agreement(
        missed.incident, missed.agreement, by=max_, now=now, reason="Their bucket lies in another region."
    )
    assert standing(missed, now) == Standing.MISSED


@pytest.mark.parametrize("role", ["olga", "max_", "aude", "ada"])
def test_deleting_is_refused_to_every_role_and_shown(
    missed: Deadline, role: str, request: pytest.FixtureRequest
) -> None:
    browser = browser_of(request.getfixturevalue(role))
    for row in (missed.incident, missed.agreement, missed):
        address = reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_delete", args=[row.pk])
        assert browser.post(address, {"post": "yes"}).status_code == 403
    assert Incident.objects.filter(pk=missed.incident_id).exists()
    assert ConcernKind.REFUSED in shown()


def test_a_change_without_a_reason_is_refused(missed: Deadline, olga: User, now: dt.datetime) -> None:
    missed.due_at = now + HOUR
    with acting(olga), pytest.raises(ReasonMissing):
        missed.save()


def test_a_change_with_an_empty_phrase_is_shown(missed: Deadline, olga: User, now: dt.datetime) -> None:
    missed.due_at = now + HOUR
    with acting(olga, reason="as discussed"):
        missed.save()
    assert {ConcernKind.EMPTY_REASON, ConcernKind.EXCUSED} <= shown()


# ── from a shell ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_saving_from_a_shell_is_shown(missed: Deadline, now: dt.datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "_of_this_process", lambda: (Caller.SHELL, None, "shell (root)"))
    with acting(reason="The clock of that machine was an hour off."):
        missed.due_at = now + HOUR
        missed.save()
    assert {ConcernKind.BY_SHELL, ConcernKind.EXCUSED} <= shown()


def test_updating_from_a_shell_is_refused(missed: Deadline, now: dt.datetime) -> None:
    with pytest.raises(PastTheTrail):
        Deadline.objects.filter(pk=missed.pk).update(due_at=now + HOUR)


# ── past the product ────────────────────────────────────────────────────────────────────────────────────────────────


def test_sql_on_the_live_row_is_found(missed: Deadline, now: dt.datetime) -> None:
    sql("UPDATE incidents_deadline SET due_at = %s WHERE id = %s", now + HOUR, missed.pk)
    (found,) = findings()
    assert f"incidents.deadline {missed.pk}" in found.lower()


def test_sql_on_the_trail_is_refused_by_the_database(missed: Deadline, now: dt.datetime) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        sql("UPDATE incidents_historicaldeadline SET due_at = %s WHERE id = %s", now + HOUR, missed.pk)


def test_sql_on_the_trail_with_the_triggers_off_is_found(missed: Deadline, now: dt.datetime) -> None:
    with append_only.lifted(connection):
        sql("UPDATE incidents_historicaldeadline SET due_at = %s WHERE id = %s", now + HOUR, missed.pk)
        sql("UPDATE incidents_deadline SET due_at = %s WHERE id = %s", now + HOUR, missed.pk)
    assert any("changed after it was sealed" in found for found in findings())


def test_a_row_of_the_past_that_is_added_today_is_found(missed: Deadline, olga: User, now: dt.datetime) -> None:
    missed._history_date = now - 8 * HOUR  # type: ignore[attr-defined]
    with acting(olga, reason="Told them by phone."):
        missed.met_at, missed.next_action_at = now - 8 * HOUR, None
        missed.save()
    keeping.keep()
    assert any("slipped into the past" in found for found in findings())


def test_cutting_the_tail_is_found_by_an_anchor_and_by_nothing_else(
    missed: Deadline, olga: User, now: dt.datetime
) -> None:
    """As putting back an old copy is: what came since is gone, seals and all."""
    last = Seal.objects.first()
    assert last is not None
    lifecycle.acknowledge(missed.incident, by=olga, now=now, reason="On it.")
    keeping.keep()
    (kept,) = anchors.read(str(anchors.of(Seal.objects.latest("number"))))
    tail = SealedRange.objects.filter(seal__number__gt=last.number)
    with append_only.lifted(connection):
        for table, after in tail.values_list("table", "after"):
            sql(f"DELETE FROM {table.replace('.', '_')} WHERE {_key(table)} > %s", after or 0)  # noqa: S608
        sql("DELETE FROM config_examination WHERE seal_id > %s", last.number)
        sql("DELETE FROM config_sealedrange WHERE seal_id > %s", last.number)
        sql("DELETE FROM config_seal WHERE number > %s", last.number)
    assert anchors.check(kept)


def _key(table: str) -> str:
    return "history_id" if ".historical" in table else "id"
