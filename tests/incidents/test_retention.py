"""Texts of old notices are reduced to their digests, and the audit trail still proves what was sent."""

from __future__ import annotations

import hashlib
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from agreements.models import ServiceAgreement, Severity
from config.audit import append_only, seals, verification
from config.models import GivenUp, User
from incidents import evidence, lifecycle, outbox, retention
from incidents.models import Incident, Notice
from incidents.models.notice import NoticeState
from tests import cast
from tests.cast import at
from tests.services.smtp import SmtpSink

pytestmark = pytest.mark.django_db

SECRET = "We lost the tapes of Mrs Miller."
LATER = at("12:00", day=25)


@pytest.fixture
def notice(relay: SmtpSink, olga: User, northwind: ServiceAgreement) -> Notice:
    """Sent and sealed; its incident was closed."""
    incident = lifecycle.declare(
        by=olga,
        now=at("10:00"),
        title="Storage is down",
        severity=Severity.CRITICAL,
        services=[cast.service("Object storage")],
        detected_at=at("10:00"),
    )
    lifecycle.notify_client(incident, by=olga, now=at("10:10"), message=SECRET)
    outbox.deliver(at("10:11"))
    cast.past_the_trail(Incident.objects.filter(pk=incident.pk), closed_at=at("11:00"))
    seals.seal()
    return Notice.objects.get(state=NoticeState.SENT)


def found() -> list[str]:
    return [str(finding) for finding in verification.verify().findings if "closed_at" not in str(finding)]


def as_owner(statement: str, *values: Any) -> None:
    with append_only.lifted(connection), connection.cursor() as cursor:
        cursor.execute(statement, values)


def reduce(by: User) -> int:
    return retention.reduce_bodies(LATER, by=by, reason="Kept for a day only.")


def test_a_text_is_given_up_for_its_digest_and_the_seal_still_holds(notice: Notice, ada: User) -> None:
    text = notice.text
    assert SECRET in text
    assert reduce(ada) == 1
    notice.refresh_from_db()
    assert (notice.text, notice.html) == ("", "")
    assert hashlib.sha256(text.encode()).hexdigest() in retention.text_of(notice)
    assert found() == []
    seals.seal()
    assert found() == []
    assert reduce(ada) == 0


def test_the_page_of_a_notice_and_the_evidence_show_what_is_left_of_its_text(
    notice: Notice, ada: User, aude: User
) -> None:
    digest = hashlib.sha256(notice.text.encode()).hexdigest()
    reduce(ada)
    page = cast.browser_of(aude).get(f"/admin/incidents/notice/{notice.pk}/change/")
    assert page.status_code == 200
    assert digest in page.content.decode()
    assert SECRET not in page.content.decode()
    assert notice.incident is not None
    assert notice.client is not None
    facts = evidence.evidence_of(notice.incident, notice.client, now=at("13:00", day=25))
    assert digest in facts.canonical().decode()


def test_history_says_who_gave_a_text_up_and_why(notice: Notice, ada: User) -> None:
    reduce(ada)
    row = notice.history.latest()
    assert (row.history_user, row.history_change_reason, row.changed) == (ada, "Kept for a day only.", ",text,html,")


def test_nothing_is_given_up_of_an_open_incident_of_late_or_without_a_reason(notice: Notice, ada: User) -> None:
    assert retention.reduce_bodies(at("10:30"), by=ada, reason="Too early.") == 0
    with pytest.raises(retention.NoReason):
        retention.reduce_bodies(LATER, by=ada, reason=" ")
    cast.past_the_trail(Incident.objects.all(), closed_at=None)
    assert reduce(ada) == 0


def test_a_text_that_an_insider_blanks_is_found(notice: Notice) -> None:
    as_owner("UPDATE incidents_notice SET text = ''")
    assert any(f"incidents.Notice {notice.pk}" in finding and "changed" in finding for finding in found())


def test_a_digest_that_an_insider_keeps_or_swaps_is_found(notice: Notice, ada: User) -> None:
    reduce(ada)
    kept = GivenUp.objects.get(name="text")
    forged = hashlib.sha256(b"All is well.").hexdigest()
    as_owner("UPDATE config_givenup SET digests = %s WHERE id = %s", f'{{"{kept.by}": "{forged}"}}', kept.pk)
    assert any("not signed by our key" in finding for finding in found())
    assert any(f"incidents.Notice {notice.pk}" in finding for finding in found())


def test_another_text_put_where_one_was_given_up_is_found(notice: Notice, ada: User) -> None:
    reduce(ada)
    as_owner("UPDATE incidents_notice SET text = 'All is well.'")
    assert any("a value stands there again" in finding for finding in found())


def test_a_dry_run_names_the_incidents_and_changes_nothing(
    notice: Notice, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("config.instants.now", lambda: at("12:00", day=27))
    out = StringIO()
    call_command("retention", "reduce-bodies", "--days=2", "--dry-run", stdout=out)
    assert notice.incident is not None
    assert f"{notice.incident.reference}: 1 notices" in out.getvalue()
    notice.refresh_from_db()
    assert SECRET in notice.text
    with pytest.raises(CommandError, match="who decides"):
        call_command("retention", "reduce-bodies", "--days=2")
    call_command("retention", "reduce-bodies", "--days=2", "--by=ada", "--reason=Kept for two days.", stdout=out)
    assert "The texts of 1 notices were reduced" in out.getvalue()
