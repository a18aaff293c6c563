"""What may be agreed: refused at the edge with a sentence, and once more by the database."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, models

from agreements import clock
from agreements.clock import ClockError
from agreements.models import (
    Client,
    Commitment,
    Contact,
    Obligation,
    OpeningHours,
    ServiceAgreement,
    ServiceCalendar,
    Severity,
    SpecialDay,
    StartEvent,
    WarningPoint,
)
from agreements.terms import AgreedTerms, Audience, MomentKind, agreed_terms
from tests import cast
from tests.cast import at

pytestmark = pytest.mark.django_db


def refusal(row: models.Model) -> dict[str, list[str]]:
    """What full_clean says, by field."""
    with pytest.raises(ValidationError) as refused:
        row.full_clean()
    return refused.value.message_dict


class TestClients:
    @pytest.mark.parametrize("name", ["Europe/Berlim", "", "../etc/passwd", "localtime", "x" * 80])
    def test_an_unknown_zone_is_refused_with_a_sentence(self, name: str) -> None:
        assert "time_zone" in refusal(Client(name="Northwind", time_zone=name))

    @pytest.mark.parametrize("address", ["", "nobody", "a@b", "ops@x.example\nBcc: all@x.example", "a b@x.example"])
    def test_a_contact_needs_a_usable_address(self, address: str) -> None:
        client = cast.client("Northwind", "UTC")
        assert "address" in refusal(Contact(client=client, name="Ops", address=address))

    def test_the_database_refuses_an_empty_address_too(self) -> None:
        with pytest.raises(IntegrityError):
            Contact.objects.create(client=cast.client("Northwind", "UTC"), name="Ops", address="")

    def test_one_address_is_one_contact_whatever_its_case(self) -> None:
        client = cast.client("Northwind", "UTC", "ops@northwind.example")
        said = refusal(Contact(client=client, name="Again", address="OPS@northwind.example"))
        assert "already has a contact" in str(said)

    @pytest.mark.parametrize("name", ["Two\nlines", "Nul\x00", "\u202egnissim", "x" * 10_000])
    def test_a_name_is_one_honest_line(self, name: str) -> None:
        assert "name" in refusal(Client(name=name, time_zone="UTC"))


class TestCalendars:
    def test_one_that_never_opens_is_refused_with_a_sentence(self) -> None:
        calendar = ServiceCalendar.objects.create(name="Never", time_zone="UTC")
        with pytest.raises(ClockError, match="never opens"):
            calendar.as_clock_calendar()

    def test_midnight_as_closing_time_is_the_end_of_the_day(self) -> None:
        calendar = cast.always_open().as_clock_calendar()
        assert clock.elapsed(calendar, at("00:00"), at("00:00", day=25)) == dt.timedelta(hours=24)

    def test_a_closure_wins_over_changed_hours_of_the_same_date(self) -> None:
        calendar = cast.office_hours()
        for opens, closes in ((dt.time(9), dt.time(12)), (None, None)):
            SpecialDay.objects.create(calendar=calendar, on=dt.date(2026, 12, 24), opens=opens, closes=closes)
        assert calendar.as_clock_calendar().special_days[dt.date(2026, 12, 24)] == ()

    def test_half_a_time_is_refused(self) -> None:
        said = refusal(SpecialDay(calendar=cast.office_hours(), on=dt.date(2026, 12, 24), opens=dt.time(9)))
        assert "both times" in str(said)

    def test_seconds_are_refused_instead_of_dropped(self) -> None:
        hours = OpeningHours(calendar=cast.office_hours(), weekday=6, opens=dt.time(9, 0, 30), closes=dt.time(17))
        assert "whole minutes" in str(refusal(hours))


class TestAgreements:
    def version(self, first: ServiceAgreement, **said: Any) -> ServiceAgreement:
        usual = {
            "reference": first.reference,
            "version": 2,
            "client": first.client,
            "calendar": first.calendar,
            "clause": "As amended.",
            "effective_at": at("12:00"),
        }
        return ServiceAgreement(**usual | said)

    def test_reversed_dates_are_refused(self, northwind: ServiceAgreement) -> None:
        northwind.ends_at = cast.LONG_AGO - dt.timedelta(days=1)
        assert "must be later" in str(refusal(northwind))
        with pytest.raises(IntegrityError):
            cast.save(northwind)

    def test_two_versions_in_force_at_once_are_refused_by_the_form_and_by_the_database(
        self, northwind: ServiceAgreement
    ) -> None:
        second = self.version(northwind)
        assert "Version 1 of NW-2025-03 is in force during that time" in str(refusal(second))
        with pytest.raises(IntegrityError):
            cast.save(second)

    def test_moving_an_old_version_over_a_new_one_is_refused_too(self, northwind: ServiceAgreement) -> None:
        northwind.ends_at = at("12:00")
        cast.save(northwind)
        self.version(northwind).save()
        northwind.ends_at = at("12:01")
        with pytest.raises(IntegrityError):
            cast.save(northwind)

    def test_versions_that_meet_at_an_instant_do_not_overlap(self, northwind: ServiceAgreement) -> None:
        northwind.ends_at = at("12:00")
        cast.save(northwind)
        second = self.version(northwind, supersedes=northwind)
        second.full_clean()
        cast.save(second)
        in_force = ServiceAgreement.objects.in_force(at("12:00"))
        assert [agreement.version for agreement in in_force] == [2]


class TestCommitments:
    @pytest.mark.parametrize(
        ("terms", "field"),
        [
            ({"amount": 0}, "amount"),
            ({"amount": 4_000_000_000}, "amount"),
            ({"amount": 99 * 365 * 24}, "amount"),
            ({"unit": "fortnights"}, "unit"),
            ({"start_event": "never"}, "start_event"),
            ({"obligation": Obligation.RESOLVE, "start_event": StartEvent.RESOLVED}, "start_event"),
            ({"is_recurring": True}, "__all__"),
            ({"obligation": Obligation.UPDATE, "amount": None, "is_recurring": True}, "__all__"),
            ({"obligation": Obligation.RESOLVE, "sends_holding_notice": True}, "__all__"),
            ({"label": "Two\nlines"}, "label"),
        ],
    )
    def test_terms_that_make_no_sense_are_refused(
        self, northwind: ServiceAgreement, terms: dict[str, Any], field: str
    ) -> None:
        usual = {"severity": Severity.HIGH, "obligation": Obligation.NOTIFY, "amount": 4}
        assert field in refusal(Commitment(agreement=northwind, **usual | terms))

    def test_an_allowance_below_one_is_refused_by_the_database_too(self, northwind: ServiceAgreement) -> None:
        with pytest.raises(IntegrityError):
            Commitment.objects.create(agreement=northwind, severity="high", obligation="notify", amount=0)

    @pytest.mark.parametrize(
        ("terms", "words"),
        [
            ({"amount": 4}, "Notify the client within 4 hours of detection"),
            ({"amount": 1, "unit": "business_hours"}, "Notify the client within 1 business hour of detection"),
            ({"amount": None, "obligation": "resolve"}, "Resolve as quickly as possible"),
            (
                {"amount": 30, "unit": "minutes", "obligation": "update", "is_recurring": True},
                "Update the client every 30 minutes",
            ),
        ],
    )
    def test_a_commitment_reads_like_the_contract(self, terms: dict[str, Any], words: str) -> None:
        usual = {"severity": Severity.CRITICAL, "obligation": Obligation.NOTIFY}
        assert Commitment(**usual | terms).in_words() == words


class TestWarningPoints:
    @pytest.mark.parametrize(
        "said",
        [
            {},
            {"percent": 50, "minutes_before": 10},
            {"percent": 0},
            {"percent": 100},
            {"minutes_before": 240},
            {"percent": 50, "has_contacts": False, "has_responders": False},
        ],
    )
    def test_one_that_can_never_come_or_that_nobody_hears_is_refused(
        self, northwind: ServiceAgreement, said: dict[str, Any]
    ) -> None:
        notify = northwind.commitments.get(obligation=Obligation.NOTIFY)
        assert refusal(WarningPoint(commitment=notify, **said))

    def test_a_duty_without_a_number_has_nothing_to_warn_before(self, northwind: ServiceAgreement) -> None:
        resolve = northwind.commitments.get(obligation=Obligation.RESOLVE)
        assert "no end to warn before" in str(refusal(WarningPoint(commitment=resolve, percent=50)))


class TestTerms:
    def test_they_round_trip_through_json_and_plan_the_same(self, contoso: ServiceAgreement) -> None:
        for commitment in contoso.commitments.all():
            terms = agreed_terms(commitment)
            again = AgreedTerms.from_json(terms.to_json())
            assert (again, again.digest()) == (terms, terms.digest())
            assert again.plan(at("10:00")) == terms.plan(at("10:00"))

    def test_warnings_in_business_time_fall_in_business_time(self, contoso: ServiceAgreement) -> None:
        commitment = cast.commit(contoso, Obligation.REPORT, 8, "business_hours")
        cast.warn(commitment, 80)
        plan = agreed_terms(commitment).plan(at("15:00"))  # 16:00 in Berlin
        assert [(m.kind, m.at) for m in plan.moments] == [
            (MomentKind.WARNING, at("13:24", day=25)),
            (MomentKind.OVERDUE, at("15:00", day=25)),
        ]

    def test_overdue_is_told_to_staff_and_never_to_the_client(self, northwind: ServiceAgreement) -> None:
        for commitment in northwind.commitments.exclude(amount=None):
            overdue = agreed_terms(commitment).plan(at("10:00")).moments[-1]
            assert overdue.kind == MomentKind.OVERDUE
            assert Audience.CONTACTS not in overdue.audience
