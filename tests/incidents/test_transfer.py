"""Past incidents come in as history: whole, known by their reference, and without waking anything up."""

from __future__ import annotations

import datetime as dt

import pytest
from django.test import Client as Browser
from django.urls import reverse

from agreements.models import Service, ServiceAgreement
from config import transfer
from config.models import User
from incidents import lifecycle, notices, watchdog
from incidents.models import Deadline, Incident, Notice, TimelineEntry
from incidents.transfer import PastIncidents
from reviews import owed
from tests import cast
from tests.agreements.test_transfer import exported, imported, rehearsed, told, undone
from tests.cast import NOON

#: Resolved a day ago, and never told to anybody: it would be late in every way.
CONTENT = """reference,title,severity,services,agreements,detected_at,resolved_at
OLD-17,Object storage was down,critical,Object storage,NW-2025-03,2026-11-20T08:15:00+01:00,2026-11-23T11:40:00+01:00
"""


@pytest.mark.django_db
def test_it_is_closed_with_its_instants_and_marked_as_imported(northwind: ServiceAgreement, max_: User) -> None:
    assert imported(PastIncidents, CONTENT, max_).added == 1
    incident = Incident.objects.get()
    assert (incident.status, incident.imported_at) == ("closed", NOON)
    assert incident.detected_at == incident.declared_at == dt.datetime(2026, 11, 20, 7, 15, tzinfo=dt.UTC)
    assert incident.resolved_at == incident.closed_at == dt.datetime(2026, 11, 23, 10, 40, tzinfo=dt.UTC)
    assert [str(row.agreement) for row in incident.affected_agreements.all()] == ["NW-2025-03"]
    assert TimelineEntry.objects.get().text.startswith("Imported as history")
    assert incident.history.get().history_change_reason == "Taken over from the old system."


@pytest.mark.django_db
def test_it_mails_nobody_owes_nothing_and_asks_for_no_review(northwind: ServiceAgreement, max_: User) -> None:
    cast.policy(includes_open_incidents=True, facilitator=max_)
    imported(PastIncidents, CONTENT, max_)
    for hours in (0, 1, 24 * 60):
        now = NOON + dt.timedelta(hours=hours)
        notices.raise_due(now)
        assert owed.without_their_review(now) == []
        assert not [found for found in watchdog.audit(now) if "deadline" in found.key]
    assert (Deadline.objects.count(), Notice.objects.count()) == (0, 0)


@pytest.mark.django_db
def test_its_verbs_are_closed_and_none_is_offered(northwind: ServiceAgreement, max_: User) -> None:
    imported(PastIncidents, CONTENT, max_)
    incident = Incident.objects.get()
    page = cast.browser_of(max_).get(reverse("admin:incidents_incident_change", args=[incident.pk])).content.decode()
    for slug in ("reopen", "correct-times", "open-review", "merge"):
        assert f"/{slug}/" not in page
    with pytest.raises(lifecycle.Refused, match="was imported as history"):
        lifecycle.reopen(incident, by=max_, now=NOON, reason="It came back.")
    assert not Deadline.objects.exists()


@pytest.mark.django_db
def test_out_and_in_again_is_the_same_and_a_number_of_ours_is_not_given_out_twice(
    olga: User, max_: User, northwind: ServiceAgreement
) -> None:
    with undone():
        at, services = cast.at("8:00"), list(Service.objects.all())
        past = lifecycle.declare(by=olga, now=at, title="=Down", severity="low", services=services, detected_at=at)
        lifecycle.resolve(past, by=olga, now=at + dt.timedelta(hours=1, microseconds=7))
        lifecycle.close(past, by=olga, now=at + dt.timedelta(hours=2), reason="Done.")
        before = exported(PastIncidents, max_)
        rows = Incident.history.count()
        assert rehearsed(PastIncidents, before, max_).same == 1, "what was declared here is left alone"
        assert Incident.history.count() == rows
        other = before.replace(b",low,", b",high,")
        ((line, column, sentence),) = told(rehearsed(PastIncidents, other, max_))
        assert (line, column) == (2, "")
        assert "was declared here" in sentence
    assert imported(PastIncidents, before, max_).added == 1
    assert exported(PastIncidents, max_) == before
    assert imported(PastIncidents, before, max_).same == 1
    new = lifecycle.declare(
        by=olga, now=NOON, title="Down", severity="low", services=list(Service.objects.all()), detected_at=NOON
    )
    assert new.reference == "INC-2026-0002"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("old", "new", "column", "sentence"),
    [
        ("2026-11-23T11:40:00+01:00", "2026-11-19T11:40:00+01:00", "resolved_at", "before it was detected"),
        ("2026-11-23T11:40:00+01:00", "2027-11-19T11:40:00+01:00", "resolved_at", "lies in the future"),
        ("2026-11-23T11:40:00+01:00", "2026-11-23T11:40:00", "resolved_at", "offset from UTC"),
        (",2026-11-23T11:40:00+01:00", ",", "resolved_at", "A new row needs this"),
        ("Object storage,NW", "Nothing,NW", "services", "no service “Nothing”"),
        ("NW-2025-03", "NW-2025-03 v2", "agreements", "no agreement “NW-2025-03 v2”"),
        ("critical", "worst", "severity", "is none of"),
    ],
)
def test_what_cannot_have_been_is_refused_by_line_and_column(
    northwind: ServiceAgreement, max_: User, old: str, new: str, column: str, sentence: str
) -> None:
    found = told(rehearsed(PastIncidents, CONTENT.replace(old, new), max_))
    assert any((line, where) == (2, column) and sentence in said for line, where, said in found), found


@pytest.mark.django_db
def test_only_who_keeps_the_agreements_may_import_and_everybody_may_export(
    olga: User, max_: User, aude: User, ada: User
) -> None:
    assert [PastIncidents.may_import(user) for user in (olga, max_, aude, ada)] == [False, True, False, True]
    assert all(PastIncidents.may_export(user) for user in (olga, max_, aude, ada))
    assert transfer.KINDS["incidents"] is PastIncidents


def test_nobody_signed_in_sees_nothing(client: Browser, db: None) -> None:
    assert client.get(reverse("admin:data")).status_code == 302
