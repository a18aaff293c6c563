"""An insider who works on notices, their acceptance or the terms of a deadline is found."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from agreements.models import ServiceAgreement, Severity
from config.audit import append_only, canonical, seals, verification
from config.models import Seal, User
from incidents import lifecycle, outbox
from incidents.models import Acknowledgement, Deadline, DeliveryAttempt, Notice, TermsCopy
from incidents.models.notice import NoticeState
from tests import cast
from tests.cast import at
from tests.services.smtp import SmtpSink

pytestmark = pytest.mark.django_db


@pytest.fixture
def notice(relay: SmtpSink, olga: User, northwind: ServiceAgreement) -> Notice:
    """Sent, confirmed by its client, and sealed."""
    incident = lifecycle.declare(
        by=olga,
        now=at("10:00"),
        title="Storage is down",
        severity=Severity.CRITICAL,
        services=[cast.service("Object storage")],
        detected_at=at("10:00"),
    )
    lifecycle.notify_client(incident, by=olga, now=at("10:10"), message="We are on it – naïvely.")
    outbox.deliver(at("10:11"))
    sent = Notice.objects.get(state=NoticeState.SENT)
    Acknowledgement.objects.create(notice=sent, at=at("10:20"), from_address="192.0.2.7", user_agent="Mutt")
    seals.seal()
    return sent


def as_owner(statement: str, *values: Any) -> None:
    with append_only.lifted(connection), connection.cursor() as cursor:
        cursor.execute(statement, values)


def found() -> list[str]:
    return [str(finding) for finding in verification.verify().findings]


def test_a_story_leaves_nothing_to_be_found(notice: Notice) -> None:
    report = verification.verify()
    assert report.findings == []
    assert report.rows == sum(Seal.objects.values_list("rows", flat=True))
    tables = set(Seal.objects.get().ranges.values_list("table", flat=True))
    assert {"incidents.notice", "incidents.deliveryattempt", "incidents.acknowledgement"} < tables


@pytest.mark.parametrize("column", ["text", "html", "subject", "recipient_address", "made_at", "due_at"])
def test_what_is_frozen_in_a_notice_is_sealed(notice: Notice, column: str) -> None:
    value = at("09:00") if column.endswith("_at") else "other"
    as_owner(f"UPDATE incidents_notice SET {column} = %s", value)  # noqa: S608
    assert f"incidents.Notice {notice.pk}" in found()[0]
    assert "changed after it was sealed" in found()[0]


def test_what_workers_do_to_a_notice_is_no_tampering(notice: Notice) -> None:
    Notice.objects.update(tries=5, lease_token=None, is_marked_late=True)
    assert found() == []


def test_a_notice_that_is_made_to_look_accepted_earlier_is_found(notice: Notice) -> None:
    Notice.objects.update(accepted_at=notice.accepted_at - dt.timedelta(hours=5))  # type: ignore[operator]
    (finding,) = found()
    assert finding.startswith(f"incidents.Notice {notice.pk}: said to be accepted at 24 Nov 2026, 05:11")


def test_an_attempt_or_an_acknowledgement_that_is_changed_is_found(notice: Notice) -> None:
    as_owner("UPDATE incidents_deliveryattempt SET code = 550")
    as_owner("UPDATE incidents_acknowledgement SET at = %s", at("10:30"))
    acknowledged, attempted = found()
    assert f"incidents.Acknowledgement {Acknowledgement.objects.get().pk}" in acknowledged
    assert f"incidents.DeliveryAttempt {DeliveryAttempt.objects.get().pk}" in attempted


def test_an_attempt_that_is_slipped_in_as_of_an_hour_ago_is_found(notice: Notice) -> None:
    attempt = DeliveryAttempt.objects.get()
    newest = Seal.objects.get().cut_at
    for key, minutes in ((1, 5), (2, 60)):  # the first took its time before it was recorded
        attempt.pk, attempt.at, attempt._state.adding = attempt.pk + key, newest - dt.timedelta(minutes=minutes), True
        attempt.save(force_insert=True)
    seals.seal()
    (finding,) = found()
    assert f"incidents.DeliveryAttempt {attempt.pk}" in finding
    assert "slipped into the past" in finding


def test_terms_that_are_changed_are_found(notice: Notice) -> None:
    copy = TermsCopy.objects.all()[0]
    content = {**copy.content, "weakened": True}
    with append_only.lifted(connection):
        TermsCopy.objects.filter(pk=copy.pk).update(content=content)
    (finding,) = found()
    assert finding == f"incidents.TermsCopy {copy}: changed: its key is not the digest of its content"


def test_terms_that_are_removed_under_their_deadlines_are_found(notice: Notice) -> None:
    append_only.remove(connection)
    copy = TermsCopy.objects.all()[0]
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM incidents_termscopy WHERE digest = %s", [copy.pk])
    deadlines = Deadline.objects.filter(terms_copy_id=copy.pk).order_by("pk")
    assert [f for f in found() if "trigger" not in f] == [
        f"incidents.Deadline {pk}: the copy of its terms was removed: {copy.pk}"
        for pk in deadlines.values_list("pk", flat=True)
    ]
    TermsCopy.objects.create(digest=copy.pk, content=copy.content)


def test_a_body_can_be_given_up_for_its_digest(notice: Notice, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = {(notice.pk, name): canonical.stand_in(Notice, name, getattr(notice, name)) for name in ("text", "html")}
    as_owner("UPDATE incidents_notice SET text = '', html = '' WHERE id = %s", notice.pk)
    assert len(found()) == 1
    monkeypatch.setattr(canonical, "_registered", [lambda model, after, upto: kept if model is Notice else {}])
    assert found() == []


def test_cron_that_runs_the_outbox_seals_the_trail(olga: User) -> None:
    call_command("outbox", "run")
    assert Seal.objects.get().rows > 0
