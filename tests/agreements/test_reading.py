"""How an agreement reads, and how two versions of it are compared."""

from __future__ import annotations

import datetime as dt

import pytest

from agreements import comparison, reading, versions
from agreements.comparison import Mark, Verdict
from agreements.models import (
    Commitment,
    Contact,
    Obligation,
    ServiceAgreement,
    ServiceCoverage,
    Severity,
    SeverityDefinition,
    Validity,
)
from config.models import User
from tests import cast
from tests.cast import NOON

pytestmark = pytest.mark.django_db


def said(agreement: ServiceAgreement, obligation: Obligation, severity: Severity = Severity.CRITICAL) -> list[str]:
    table = reading.table(Commitment.objects.of([agreement]))
    [row] = [row for row in table if row.obligation is obligation]
    [cell] = [cell for cell in row.cells if cell.severity is severity]
    return [one.words for one in cell.said]


class TestTheTable:
    def test_it_reads_like_the_contract(self, northwind: ServiceAgreement) -> None:
        cast.remove(northwind.commitments.get(obligation=Obligation.NOTIFY))
        cast.commit(northwind, Obligation.NOTIFY, 4, clause_number="7.2")
        assert said(northwind, Obligation.NOTIFY) == ["within 4 hours of detection, 24×7, clause 7.2"]
        assert said(northwind, Obligation.RESOLVE) == ["as quickly as possible"]
        assert said(northwind, Obligation.NOTIFY, Severity.LOW) == []

    def test_business_time_is_not_said_to_be_round_the_clock(self, contoso: ServiceAgreement) -> None:
        assert said(contoso, Obligation.NOTIFY) == ["within 3 business hours of detection"]
        cast.commit(contoso, Obligation.REPORT, 5, "business_days", start_event="resolved")
        assert said(contoso, Obligation.REPORT) == ["within 5 business days of resolution"]

    def test_every_obligation_and_severity_has_its_place(self, northwind: ServiceAgreement) -> None:
        table = reading.table(Commitment.objects.of([northwind]))
        assert [row.obligation for row in table] == list(Obligation)
        assert all([cell.severity for cell in row.cells] == list(Severity) for row in table)

    def test_two_duties_of_one_kind_stand_in_one_place_told_apart(self, northwind: ServiceAgreement) -> None:
        cast.commit(northwind, Obligation.NOTIFY, 1, "months", label="final report")
        assert len(said(northwind, Obligation.NOTIFY)) == 2


class TestWhoHearsWhat:
    def heard(self, agreement: ServiceAgreement) -> dict[str, dict[str, str]]:
        commitments = list(Commitment.objects.of([agreement]))
        rows = [*reading.heard_by_contacts(commitments), *reading.heard_by_colleagues(commitments)]
        return {str(row.what): {severity.value: text for severity, text in row.when} for row in rows}

    def test_by_severity_and_with_the_moments_of_warnings(self, northwind: ServiceAgreement) -> None:
        found = self.heard(northwind)
        assert found["Notice"] == {
            "critical": "within 4 hours of detection, 24×7",
            "high": "",
            "medium": "",
            "low": "",
        }
        assert found["Holding notice"]["critical"] == "at 90 %, if nobody has notified them"
        assert found["Warnings before a deadline"]["critical"] == "Notify the client: at 50\u00a0%, at 80\u00a0%"
        assert found["Warnings to the managers"]["critical"] == "Notify the client: at 80\u00a0%"
        assert not any(found["Updates"].values())

    def test_minutes_before_the_end_are_said_as_such(self, northwind: ServiceAgreement) -> None:
        notify = northwind.commitments.get(obligation=Obligation.NOTIFY)
        cast.remove(notify.warning_points.all())
        notify.warning_points.create(minutes_before=90, has_responders=False)
        found = self.heard(northwind)
        assert found["Warnings before a deadline"]["critical"] == "Notify the client: 1 h 30 min before the end"
        assert found["Warnings to the responders"]["critical"] == ""


# ── versions ────────────────────────────────────────────────────────────────────────────────────────────────────────

LATER = NOON + dt.timedelta(days=7)


@pytest.fixture
def amended(northwind: ServiceAgreement, max_: User) -> ServiceAgreement:
    return versions.amend(northwind, effective_at=LATER, by=max_, reason="Amendment No. 1")


def test_a_version_is_coming_then_in_force_then_ended(northwind: ServiceAgreement) -> None:
    northwind.effective_at, northwind.ends_at = NOON, LATER
    second = dt.timedelta(seconds=1)
    assert northwind.validity(NOON - second) is Validity.COMING
    assert northwind.validity(NOON) is Validity.IN_FORCE
    assert northwind.validity(LATER - second) is Validity.IN_FORCE
    assert northwind.validity(LATER) is Validity.ENDED


def test_the_line_of_versions_says_who_amended_and_why(amended: ServiceAgreement) -> None:
    new, old = versions.line(amended, now=NOON)
    assert (new.agreement, new.validity, new.made_by, new.reason) == (
        amended,
        Validity.COMING,
        "Max Weber (max)",
        "Amendment No. 1",
    )
    assert (old.agreement.version, old.validity) == (1, Validity.IN_FORCE)


def verdicts(old: ServiceAgreement, new: ServiceAgreement) -> dict[str, Verdict]:
    found = comparison.compare(old, new, now=NOON)
    return {row.what: row.verdict for row in (found.clause, *found.commitments, *found.around)}


def test_what_was_merely_amended_differs_in_time_alone(northwind: ServiceAgreement, amended: ServiceAgreement) -> None:
    northwind.refresh_from_db()
    found = comparison.compare(northwind, amended, now=NOON)
    assert found.differences == 1
    assert verdicts(northwind, amended)["In force"] is Verdict.CHANGED


def test_commitments_are_matched_by_severity_and_obligation(amended: ServiceAgreement) -> None:
    old = amended.supersedes
    assert old is not None
    notify = amended.commitments.get(obligation=Obligation.NOTIFY)
    notify.amount = 2
    cast.save(notify)
    cast.remove(amended.commitments.get(obligation=Obligation.RESOLVE))
    cast.commit(amended, Obligation.REPORT, 5, "business_days", start_event="resolved", severity=Severity.HIGH)
    found = comparison.compare(old, amended, now=NOON)
    assert [(row.what, row.verdict) for row in found.commitments] == [
        ("Critical · Notify the client", Verdict.CHANGED),
        ("Critical · Resolve", Verdict.REMOVED),
        ("High · Report", Verdict.ADDED),
    ]
    changed = found.commitments[0]
    assert (changed.old[0].text, changed.old[0].mark) == ("within 4 hours of detection, 24×7", Mark.REMOVED)
    assert (changed.new[0].text, changed.new[0].mark) == ("within 2 hours of detection, 24×7", Mark.ADDED)
    assert {piece.mark for piece in changed.new[1:]} == {Mark.SAME}, "its warnings are as they were"


def test_a_warning_that_reaches_others_is_a_difference(amended: ServiceAgreement) -> None:
    point = amended.commitments.get(obligation=Obligation.NOTIFY).warning_points.get(percent=50)
    point.has_managers = True
    cast.save(point)
    assert amended.supersedes
    assert verdicts(amended.supersedes, amended)["Critical · Notify the client"] is Verdict.CHANGED


def test_the_clause_is_compared_word_by_word_and_is_whole_on_both_sides(amended: ServiceAgreement) -> None:
    old = amended.supersedes
    assert old is not None
    old.clause = "Notify the Client within four hours,\r\nand resolve it."
    amended.clause = "Notify the Client  within two hours,\nand resolve it without delay."
    row = comparison.compare(old, amended, now=NOON).clause
    assert [piece.text.strip() for piece in row.old if piece.mark is Mark.REMOVED] == ["four"]
    assert [piece.text.strip() for piece in row.new if piece.mark is Mark.ADDED] == ["two", "without delay"]
    assert "".join(piece.text for piece in row.old) == old.clause.replace("\r\n", "\n")
    assert "".join(piece.text for piece in row.new) == amended.clause


def test_calendar_services_and_owner_are_compared(amended: ServiceAgreement, max_: User) -> None:
    amended.calendar, amended.owner = cast.office_hours(), max_
    cast.save(amended)
    SeverityDefinition.objects.create(agreement=amended, severity=Severity.CRITICAL, words="Nobody can work.")
    ServiceCoverage.objects.create(agreement=amended, service=cast.service("Payments"))
    assert amended.supersedes
    found = verdicts(amended.supersedes, amended)
    assert found["What each severity means"] is Verdict.ADDED
    assert (found["Service calendar"], found["Services covered"], found["Owner"]) == (
        Verdict.CHANGED,
        Verdict.CHANGED,
        Verdict.ADDED,
    )


def test_contacts_of_an_ended_version_are_those_it_ended_with(northwind: ServiceAgreement, max_: User) -> None:
    now = Contact.history.latest().history_date
    hour = dt.timedelta(hours=1)
    amended = versions.amend(northwind, effective_at=now + hour, by=max_, reason="Amendment No. 1")
    joined = Contact(client=northwind.client, name="Night desk", address="night@northwind.example", position=2)
    joined._history_date = now + 2 * hour  # type: ignore[attr-defined]  # as the library reads it
    cast.save(joined)
    northwind.refresh_from_db()
    found = comparison.compare(northwind, amended, now=now + 3 * hour)
    [contacts] = [row for row in found.around if row.what == "Contacts who get mail"]
    assert [piece.text for piece in contacts.new if piece.mark is Mark.ADDED] == [
        "Night desk <night@northwind.example>"
    ]
