"""The pages on which a manager writes down what was agreed, and what those pages refuse."""

from __future__ import annotations

import datetime as dt
import html
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from agreements import presets, versions
from agreements.models import Client, Commitment, Obligation, Service, ServiceAgreement, ServiceCalendar, WarningPoint
from config.models import User
from incidents import lifecycle
from incidents.models import Deadline
from tests import cast
from tests.cast import browser_of

MARKUP = "<script>alert(1)</script>"


@pytest.fixture
def browser(max_: User) -> Browser:
    """Max's, who is a manager."""
    return browser_of(max_)


def add_page(model: type[Any]) -> str:
    return reverse(f"admin:agreements_{model._meta.model_name}_add")


def page(row: Any, name: str = "change") -> str:
    return reverse(f"admin:agreements_{row._meta.model_name}_{name}", args=[row.pk])


def shown(response: Any) -> str:
    return html.unescape(response.content.decode())


def table(prefix: str, *rows: dict[str, Any], existing: int = 0) -> dict[str, Any]:
    """What a browser sends for the rows of one table of the page."""
    sent: dict[str, Any] = {f"{prefix}-TOTAL_FORMS": len(rows), f"{prefix}-INITIAL_FORMS": existing}
    for number, row in enumerate(rows):
        sent |= {f"{prefix}-{number}-{name}": value for name, value in row.items()}
    return sent


CONTACT = {"name": "Operations", "address": "ops@northwind.example", "position": 1, "is_active": "on"}


def a_client(*contacts: dict[str, Any], **changes: Any) -> dict[str, Any]:
    typed = {"name": "Northwind", "time_zone": "America/New_York", "language": "en", "is_active": "on"}
    return {**typed, **table("contacts", *contacts), **changes}


# ── clients ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_client_is_written_down_with_its_contacts(browser: Browser) -> None:
    assert browser.post(add_page(Client), a_client(CONTACT)).status_code == 302
    assert Client.objects.get().contacts.get().address == "ops@northwind.example"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"time_zone": "America/New_Yrok"}, "Did you mean America/New_York?"),
        ({"time_zone": "../../etc/passwd"}, "is not the name of a time zone"),
        ({"name": "North\r\nwind"}, "Write it on one line"),
        ({"name": "N" * 10_000}, "at most 120 characters"),
        ({"contacts-0-address": ""}, "This field is required"),
        ({"contacts-0-address": "not an address"}, "Enter a valid email address"),
        ({"contacts-0-address": "ops@northwind.example\r\nBcc: eve@example.com"}, "Enter a valid email address"),
        ({"contacts-0-name": "Ops\r\nBcc: eve"}, "Write it on one line"),
        ({"contacts-0-is_active": ""}, "Nobody here gets mail"),
    ],
)
def test_a_client_that_cannot_be_is_refused_with_a_sentence_and_keeps_what_was_typed(
    browser: Browser, changes: dict[str, Any], sentence: str
) -> None:
    response = browser.post(add_page(Client), a_client({**CONTACT, "phone": "+1 555 0100"}, **changes))
    assert response.status_code == 200
    assert sentence in shown(response)
    assert "+1 555 0100" in shown(response)
    assert not Client.objects.exists()


def test_a_client_without_contacts_is_refused_unless_it_is_inactive(browser: Browser) -> None:
    response = browser.post(add_page(Client), a_client())
    assert "Nobody here gets mail" in shown(response)
    assert 'value="Northwind"' in shown(response)
    assert browser.post(add_page(Client), a_client(is_active="")).status_code == 302


def test_the_same_address_twice_is_refused_whatever_its_case(browser: Browser) -> None:
    again = {**CONTACT, "address": "OPS@northwind.example"}
    assert "is there twice" in shown(browser.post(add_page(Client), a_client(CONTACT, again)))


def test_a_change_of_contacts_alone_needs_a_reason_too(browser: Browser, northwind: ServiceAgreement) -> None:
    client, contact = northwind.client, northwind.client.contacts.get()
    row = {**CONTACT, "id": contact.pk, "client": client.pk, "name": contact.name, "phone": "+1 555 0100"}
    typed = {**a_client(), **table("contacts", row, existing=1)}
    refused = browser.post(page(client), typed)
    assert "reason" in refused.context["adminform"].form.errors
    assert browser.post(page(client), {**typed, "reason": "They gave us a number"}).status_code == 302
    contact.refresh_from_db()
    assert contact.phone == "+1 555 0100"
    assert contact.history.first().history_change_reason == "They gave us a number"


def test_contacts_cannot_be_taken_out_even_by_a_crafted_form(browser: Browser, northwind: ServiceAgreement) -> None:
    client, contact = northwind.client, northwind.client.contacts.get()
    row = {**CONTACT, "id": contact.pk, "client": client.pk, "DELETE": "on"}
    browser.post(page(client), {**a_client(), **table("contacts", row, existing=1), "reason": "Gone"})
    assert client.contacts.count() == 1


# ── calendars ───────────────────────────────────────────────────────────────────────────────────────────────────────


def a_calendar(*hours: dict[str, Any], days: tuple[dict[str, Any], ...] = (), **changes: Any) -> dict[str, Any]:
    typed = {"name": "Office hours", "time_zone": "Europe/Berlin"}
    return {**typed, **table("hours", *hours), **table("special_days", *days), **changes}


MONDAY = {"weekday": 0, "opens": "09:00", "closes": "17:00"}


def test_a_calendar_is_written_down_with_its_week_and_its_closures(browser: Browser) -> None:
    christmas = {"on": "2026-12-25", "name": "Christmas Day"}
    assert browser.post(add_page(ServiceCalendar), a_calendar(MONDAY, days=(christmas,))).status_code == 302
    calendar = ServiceCalendar.objects.get()
    assert (calendar.hours.count(), calendar.special_days.count()) == (1, 1)


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        (a_calendar(), "This calendar never opens"),
        (a_calendar(MONDAY, time_zone="Mars/Olympus"), "is not the name of a time zone"),
        (a_calendar({**MONDAY, "opens": "09:00:30"}), "whole minutes"),
        (a_calendar({**MONDAY, "opens": "25:00"}), "Enter a valid time"),
        (a_calendar(MONDAY, MONDAY), "Please correct the duplicate"),
        (a_calendar(MONDAY, days=({"on": "0001-01-01"},)), "before the year 1900"),
        (a_calendar(MONDAY, days=({"on": "9999-12-31"},)), "after the year 2999"),
        (a_calendar(MONDAY, days=({"on": "2026-12-25", "opens": "09:00"},)), "Give both times"),
    ],
)
def test_a_calendar_that_cannot_be_is_refused_with_a_sentence(
    browser: Browser, typed: dict[str, Any], sentence: str
) -> None:
    response = browser.post(add_page(ServiceCalendar), typed)
    assert response.status_code == 200
    assert sentence in shown(response)
    assert 'value="Office hours"' in shown(response)
    assert not ServiceCalendar.objects.exists()


def test_a_calendar_whose_only_opening_is_taken_out_is_refused(browser: Browser) -> None:
    calendar = ServiceCalendar.objects.create(name="Office hours", time_zone="Europe/Berlin")
    hours = calendar.hours.create(weekday=0, opens=dt.time(9), closes=dt.time(17))
    row = {**MONDAY, "id": hours.pk, "calendar": calendar.pk, "DELETE": "on"}
    typed = {**a_calendar(), **table("hours", row, existing=1), "reason": "Why not"}
    assert "This calendar never opens" in shown(browser.post(page(calendar), typed))
    assert calendar.hours.exists()


# ── agreements ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def paper(max_: User) -> dict[str, Any]:
    """What is typed for an agreement with one service and one commitment."""
    commitment = {
        "severity": "critical",
        "obligation": "notify",
        "amount": 4,
        "unit": "hours",
        "start_event": "detected",
        "clause_number": "7.2",
    }
    return {
        "reference": "NW-2026-01",
        "client": cast.client("Northwind", "America/New_York", "ops@northwind.example").pk,
        "calendar": cast.always_open().pk,
        "owner": max_.pk,
        "effective_at": "2026-01-01T00:00",
        "clause": "As agreed.",
        **table("coverage", {"service": cast.service("Object storage").pk}),
        **table("definitions", {"severity": "critical", "words": "Nobody can use the service."}),
        **table("commitments", commitment),
    }


def test_an_agreement_is_written_down_with_its_commitment_and_the_usual_warnings(
    browser: Browser, paper: dict[str, Any]
) -> None:
    assert browser.post(add_page(ServiceAgreement), paper).status_code == 302
    commitment = Commitment.objects.get()
    assert commitment.in_words() == "Notify the client within 4 hours of detection"
    assert sorted(point.percent or 0 for point in commitment.warning_points.all()) == [50, 80]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"commitments-0-amount": 0}, "An allowance must be more than zero"),
        ({"commitments-0-amount": -4}, "greater than or equal to 0"),
        ({"commitments-0-amount": 10**9}, "ten years"),
        ({"commitments-0-unit": "fortnights"}, "is not one of the available choices"),
        ({"commitments-0-obligation": "resolve", "commitments-0-start_event": "resolved"}, "Choose an earlier start"),
        ({"effective_at": "2026-06-01T00:00", "ends_at": "2026-01-01T00:00"}, "must be later than"),
        ({"effective_at": "0001-01-01T00:00"}, "before the year 1900"),
        ({"ends_at": "9999-12-31T23:59"}, "after the year 2999"),
        ({"effective_at": "soon"}, "Enter a valid date/time"),
        ({"reference": "NW\r\n2026"}, "Write it on one line"),
        ({"reference": "N" * 10_000}, "at most 40 characters"),
        ({"clause": "x" * 20_001}, "at most 20000 characters"),
        ({"client": 999_999}, "is not one of the available choices"),
    ],
)
def test_an_agreement_that_cannot_be_is_refused_with_a_sentence_and_keeps_what_was_typed(
    browser: Browser, paper: dict[str, Any], changes: dict[str, Any], sentence: str
) -> None:
    response = browser.post(add_page(ServiceAgreement), {"clause": "kept", **paper, **changes})
    assert response.status_code == 200
    assert sentence.lower() in shown(response).lower()
    assert 'value="7.2"' in shown(response)
    assert not ServiceAgreement.objects.exists()


def test_two_versions_in_force_at_once_are_refused_with_the_way_out(browser: Browser, paper: dict[str, Any]) -> None:
    browser.post(add_page(ServiceAgreement), paper)
    response = browser.post(add_page(ServiceAgreement), {**paper, "effective_at": "2026-06-01T00:00"})
    assert "is in force during that time" in shown(response)
    assert ServiceAgreement.objects.count() == 1


def test_the_same_commitment_twice_is_refused(browser: Browser, paper: dict[str, Any]) -> None:
    row = {name.removeprefix("commitments-0-"): value for name, value in paper.items() if "commitments-0-" in name}
    response = browser.post(add_page(ServiceAgreement), {**paper, **table("commitments", row, row)})
    assert response.status_code == 200
    assert not ServiceAgreement.objects.exists()
    browser.post(add_page(ServiceAgreement), paper)
    made = ServiceAgreement.objects.get()
    again = {**paper, **table("commitments", row), **table("coverage"), **table("definitions"), "reason": "Again"}
    assert "This agreement already owes that for that severity" in shown(browser.post(page(made), again))
    seen = {**again, **table("commitments", {"id": made.commitments.get().pk}, row, existing=1)}
    assert "Please correct the duplicate data" in shown(browser.post(page(made), seen))


def test_an_operator_reads_agreements_and_changes_nothing(olga: User, northwind: ServiceAgreement) -> None:
    browser = browser_of(olga)
    text = shown(browser.get(page(northwind)))
    assert "Notify the client" in text
    assert browser.post(page(northwind), {"reason": "x"}).status_code == 403
    for slug in ("amend", "add-commitments"):
        assert browser.post(page(northwind, slug), {}).status_code == 403


def test_markup_in_an_agreement_is_shown_as_it_was_typed(browser: Browser, northwind: ServiceAgreement) -> None:
    northwind.clause = MARKUP
    cast.save(northwind)
    cast.past_the_trail(Service.objects, name=MARKUP)
    cast.past_the_trail(Client.objects, name=MARKUP)
    commitment = northwind.commitments.all()[0]
    for address in (page(northwind), page(northwind, "amend"), page(commitment), page(northwind.client)):
        text = browser.get(address).content.decode()
        assert MARKUP not in text, address
    assert "alert(1)" in browser.get(page(northwind)).content.decode()


# ── presets ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def bare(db: None) -> ServiceAgreement:
    client = cast.client("Northwind", "America/New_York", "ops@northwind.example")
    return cast.agreement("NW-2026-01", client, cast.always_open(), cast.service("Object storage"))


def test_a_preset_shows_what_it_says_and_adds_its_commitments(browser: Browser, bare: ServiceAgreement) -> None:
    text = shown(browser.get(page(bare, "add-commitments")))
    assert "Notify the client of any critical incident within the hours you enter" in text
    sent = {"preset": "notify_within_hours", "hours": 4, "reason": "As signed"}
    assert browser.post(page(bare, "add-commitments"), sent).status_code == 302
    assert {c.in_words() for c in bare.commitments.all()} == {
        "Notify the client within 4 hours of detection",
        "Resolve as quickly as possible",
    }
    assert bare.commitments.all()[0].history.first().history_change_reason == "As signed"


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"preset": "notify_within_hours"}, "hours"),
        ({"preset": "notify_within_hours", "hours": 0}, "hours"),
        ({"preset": "notify_within_hours", "hours": "X"}, "hours"),
        ({"preset": "gold"}, "preset"),
        ({}, "preset"),
    ],
)
def test_a_preset_without_its_number_is_refused_on_that_field(
    browser: Browser, bare: ServiceAgreement, sent: dict[str, Any], field: str
) -> None:
    response = browser.post(page(bare, "add-commitments"), {**sent, "reason": "kept"})
    assert field in response.context["form"].errors
    assert 'value="kept"' in shown(response)
    assert not bare.commitments.exists()


def test_a_preset_that_says_it_again_adds_nothing_at_all(browser: Browser, northwind: ServiceAgreement) -> None:
    before = Commitment.objects.count()
    response = browser.post(page(northwind, "add-commitments"), {"preset": "critical_support_24x7"})
    assert "This agreement already owes that" in shown(response)
    assert Commitment.objects.count() == before


def test_each_preset_names_its_source_where_it_is_picked(browser: Browser, bare: ServiceAgreement) -> None:
    text = shown(browser.get(page(bare, "add-commitments")))
    for preset in presets.PRESETS.values():
        assert f"Source: {preset.source} Not legal advice." in text


def test_what_a_preset_made_is_edited_as_any_commitment(browser: Browser, bare: ServiceAgreement) -> None:
    browser.post(page(bare, "add-commitments"), {"preset": "dora", "reason": "DORA applies"})
    initial = bare.commitments.get(label="initial notification")
    text = shown(browser.get(page(initial)))
    assert (
        "Notify the client (initial notification): within 4 hours of classification, at most 24 hours from when we "
        "became aware, moved to a business day"
    ) in text
    form = browser.get(page(initial)).context["adminform"].form
    sent = {name: value for name, value in form.initial.items() if value is not None}
    sent |= {"roll": "none", "roll_at": "", "reason": "We are a bank"}
    points = [{"id": p.pk, "percent": p.percent, "has_responders": "on"} for p in initial.warning_points.all()]
    sent |= table("warning_points", *points, existing=len(points))
    response = browser.post(page(initial), sent)
    assert response.status_code == 302
    initial.refresh_from_db()
    assert (initial.roll, initial.cap_amount, initial.cap_event) == ("none", 24, "aware")


# ── commitments and their warning points ────────────────────────────────────────────────────────────────────────────


def a_commitment(agreement: ServiceAgreement, *points: dict[str, Any], **changes: Any) -> dict[str, Any]:
    typed = {
        "agreement": agreement.pk,
        "severity": "high",
        "obligation": "notify",
        "amount": 8,
        "unit": "hours",
        "day_end": "end_of_day",
        "start_event": "detected",
        "roll": "none",
        "holding_percent": 90,
    }
    return {**typed, **table("warning_points", *points), **changes}


def test_commitments_are_entered_one_after_the_other_from_the_page_of_their_agreement(
    browser: Browser, bare: ServiceAgreement
) -> None:
    entering = f"{add_page(Commitment)}?agreement={bare.pk}"
    assert f'href="{entering}"' in shown(browser.get(page(bare)))
    another = browser.post(entering, a_commitment(bare, _addanother="1"))
    assert another["Location"] == entering
    last = browser.post(entering, a_commitment(bare, severity="low"))
    assert last["Location"] == page(bare)


def test_a_commitment_made_by_hand_gets_the_usual_warnings_unless_it_has_its_own(
    browser: Browser, bare: ServiceAgreement
) -> None:
    assert browser.post(add_page(Commitment), a_commitment(bare)).status_code == 302
    assert WarningPoint.objects.count() == 2
    own = a_commitment(bare, {"percent": 25, "has_managers": "on"}, severity="low")
    assert browser.post(add_page(Commitment), own).status_code == 302
    assert [point.percent for point in Commitment.objects.get(severity="low").warning_points.all()] == [25]


@pytest.mark.parametrize(
    ("point", "sentence"),
    [
        ({"percent": 50, "minutes_before": 5, "has_contacts": "on"}, "not both"),
        ({"has_contacts": "on"}, "not both"),
        ({"percent": 50}, "at least one audience"),
        ({"percent": 100, "has_contacts": "on"}, "less than or equal to 99"),
        ({"minutes_before": 480, "has_contacts": "on"}, "before the start"),
    ],
)
def test_a_warning_that_cannot_be_is_refused_with_a_sentence(
    browser: Browser, bare: ServiceAgreement, point: dict[str, Any], sentence: str
) -> None:
    response = browser.post(add_page(Commitment), a_commitment(bare, point, clause_number="7.2"))
    assert sentence in shown(response)
    assert 'value="7.2"' in shown(response)
    assert not Commitment.objects.exists()


@pytest.mark.parametrize(
    ("changes", "field", "sentence"),
    [
        ({"start_event": "commitment"}, "follows", "Name the commitment to follow"),
        ({"cap_amount": 24, "cap_event": "aware"}, "cap_amount", "An overall limit needs its amount, its unit"),
        ({"cap_amount": 24, "cap_unit": "hours"}, "cap_amount", "the event it is counted from"),
        ({"cap_unit": "hours", "cap_event": "aware"}, "cap_amount", "An overall limit needs its amount"),
        ({"cap_amount": 24, "cap_unit": "hours", "cap_event": "aware", "amount": ""}, "cap_amount", "and an allowance"),
        (
            {"cap_amount": 0, "cap_unit": "hours", "cap_event": "aware"},
            "cap_amount",
            "An overall limit needs its amount",
        ),
        ({"roll": "next_business_day_at"}, "roll_at", "Give the time on the next business day"),
        ({"roll": "next_business_day", "roll_at": "12:00"}, "roll_at", "only where it moves to one"),
        ({"target_amount": 4, "target_unit": "hours"}, "target_amount", "is only for a duty without a number"),
        ({"target_amount": 4, "amount": ""}, "target_amount", "needs an amount and a unit"),
        ({"target_unit": "hours", "amount": ""}, "target_amount", "needs an amount and a unit"),
        ({"obligation": "resolve", "is_recurring": "on"}, "is_recurring", "Only updates can repeat"),
        ({"obligation": "resolve", "sends_holding_notice": "on"}, "sends_holding_notice", "can send a holding notice"),
    ],
)
def test_terms_that_do_not_fit_together_are_refused_once_beside_their_field(
    browser: Browser, bare: ServiceAgreement, changes: dict[str, Any], field: str, sentence: str
) -> None:
    response = browser.post(add_page(Commitment), a_commitment(bare, clause_number="7.2", **changes))
    errors = response.context["adminform"].form.errors
    assert list(errors) == [field]
    assert sentence in " ".join(errors[field])
    assert sentence in shown(response)
    assert 'value="7.2"' in shown(response)
    assert not Commitment.objects.exists()


def test_every_term_is_written_down_on_one_page(browser: Browser, bare: ServiceAgreement) -> None:
    typed = a_commitment(
        bare,
        start_event="classified",
        cap_amount=24,
        cap_unit="hours",
        cap_event="aware",
        roll="next_business_day_at",
        roll_at="12:00",
        is_pausable="on",
    )
    assert browser.post(add_page(Commitment), typed).status_code == 302
    made = Commitment.objects.get()
    assert (made.cap_amount, made.cap_event, made.roll_at, made.is_pausable) == (24, "aware", dt.time(12), True)
    text = shown(browser.get(page(made)))
    for heading in (
        "When the clock starts",
        "Overall limit",
        "Weekends and holidays",
        "Pauses",
        "Our own target",
        "Holding notice",
    ):
        assert heading in text


class TestChains:
    @pytest.fixture
    def steps(self, bare: ServiceAgreement) -> tuple[Commitment, Commitment]:
        """A final report that follows a first notice."""
        first = cast.commit(bare, Obligation.NOTIFY, 24, severity="high", label="first notice")
        final = cast.commit(
            bare,
            Obligation.NOTIFY,
            1,
            "months",
            severity="high",
            label="final",
            start_event="commitment",
            follows=first,
        )
        return first, final

    def typed(self, commitment: Commitment, **changes: Any) -> dict[str, Any]:
        named = {"label": commitment.label, "unit": commitment.unit, "amount": commitment.amount, "reason": "Chain"}
        return a_commitment(commitment.agreement, **{**named, **changes})

    def errors(self, response: Any) -> dict[str, Any]:
        return dict(response.context["adminform"].form.errors)

    def test_only_what_the_same_agreement_says_is_offered(
        self, browser: Browser, steps: tuple[Commitment, Commitment], contoso: ServiceAgreement
    ) -> None:
        first, final = steps
        offered = browser.get(page(final)).context["adminform"].form.fields["follows"].queryset
        assert list(offered) == [first]
        text = shown(browser.get(page(final)))
        assert f'<option value="{first.pk}" selected>High: Notify the client (first notice)</option>' in text
        assert "“Notify the client (first notice)” being met" in text
        blank = browser.get(add_page(Commitment))
        assert "Listed here once the agreement is chosen" in shown(blank)
        refused = browser.post(add_page(Commitment), a_commitment(first.agreement, start_event="commitment"))
        assert set(refused.context["adminform"].form.fields["follows"].queryset) == {first, final}

    def test_a_step_is_made_after_another(self, browser: Browser, steps: tuple[Commitment, Commitment]) -> None:
        _first, final = steps
        typed = a_commitment(final.agreement, label="addendum", start_event="commitment", follows=final.pk)
        assert browser.post(add_page(Commitment), typed).status_code == 302
        assert Commitment.objects.get(label="addendum").follows == final

    def test_following_another_agreement_is_refused(
        self, browser: Browser, steps: tuple[Commitment, Commitment], contoso: ServiceAgreement
    ) -> None:
        _first, final = steps
        elsewhere = contoso.commitments.filter(severity="high")[0]
        for address in (page(final), add_page(Commitment)):
            typed = self.typed(final, start_event="commitment", follows=elsewhere.pk)
            errors = self.errors(browser.post(address, typed))
            assert "Choose a commitment of the same agreement and severity." in errors["follows"]

    def test_following_another_severity_is_refused(
        self, browser: Browser, steps: tuple[Commitment, Commitment]
    ) -> None:
        _first, final = steps
        typed = self.typed(final, severity="low", start_event="commitment", follows=final.follows_id)
        errors = self.errors(browser.post(page(final), typed))
        assert "Choose a commitment of the same agreement and severity." in errors["follows"]

    def test_a_loop_is_refused(self, browser: Browser, steps: tuple[Commitment, Commitment]) -> None:
        first, final = steps
        typed = self.typed(first, start_event="commitment", follows=final.pk)
        errors = self.errors(browser.post(page(first), typed))
        assert "These commitments would wait for each other, and none could ever begin." in errors["follows"]
        first.refresh_from_db()
        assert first.follows is None

    def test_it_is_named_on_the_commitments_own_page_and_not_in_the_agreements_table(
        self, browser: Browser, paper: dict[str, Any]
    ) -> None:
        response = browser.post(add_page(ServiceAgreement), {**paper, "commitments-0-start_event": "commitment"})
        assert "is not one of the available choices" in shown(response)
        assert not ServiceAgreement.objects.exists()

    def test_the_pages_ask_as_many_queries_for_ten_steps_as_for_two(
        self, browser: Browser, steps: tuple[Commitment, Commitment]
    ) -> None:
        _first, last = steps
        addresses = [reverse("admin:agreements_commitment_changelist"), page(last.agreement)]

        def queries() -> list[int]:
            counts = []
            for address in addresses:
                with CaptureQueriesContext(connection) as asked:
                    browser.get(address)
                counts.append(len(asked))
            return counts

        with_two = queries()
        for number in range(8):
            last = cast.commit(
                last.agreement,
                Obligation.NOTIFY,
                1,
                severity="high",
                label=f"step {number}",
                start_event="commitment",
                follows=last,
            )
        assert queries() == with_two


def test_an_allowance_changes_with_a_reason_and_moves_no_deadline_that_runs(
    browser: Browser, northwind: ServiceAgreement, olga: User
) -> None:
    now = timezone.now()
    lifecycle.declare(
        by=olga, now=now, title="Down", severity="critical", services=list(Service.objects.all()), detected_at=now
    )
    deadline = Deadline.objects.get(obligation=Obligation.NOTIFY)
    commitment = northwind.commitments.get(obligation=Obligation.NOTIFY)
    points = [
        {"id": p.pk, "percent": p.percent, "has_contacts": "on", "has_responders": "on"}
        for p in commitment.warning_points.all()
    ]
    sent = {
        **a_commitment(northwind, severity="critical", amount=2, sends_holding_notice="on"),
        **table("warning_points", *points, existing=len(points)),
    }
    assert "reason" in browser.post(page(commitment), sent).context["adminform"].form.errors
    assert browser.post(page(commitment), {**sent, "reason": "Amended by letter"}).status_code == 302
    commitment.refresh_from_db()
    assert commitment.amount == 2
    assert Deadline.objects.get(pk=deadline.pk).due_at == deadline.due_at
    incident_page = browser.get(reverse("admin:incidents_incident_change", args=[deadline.incident_id]))
    assert "within 4 hours of detection" in shown(incident_page)  # as it was when it started


def test_a_commitment_that_is_in_use_cannot_be_taken_out(
    browser: Browser, northwind: ServiceAgreement, olga: User
) -> None:
    now = timezone.now()
    lifecycle.declare(
        by=olga, now=now, title="Down", severity="critical", services=list(Service.objects.all()), detected_at=now
    )
    rows = [{"id": c.pk, "agreement": northwind.pk, "DELETE": "on"} for c in northwind.commitments.all()]
    covered = northwind.coverage.get()
    sent = {
        "calendar": northwind.calendar_id,
        "effective_at": "2026-01-01T00:00",
        "clause": northwind.clause,
        "reason": "Tidy",
        **table("coverage", {"id": covered.pk, "service": covered.service_id}, existing=1),
        **table("definitions"),
        **table("commitments", *rows, existing=len(rows)),
    }
    response = browser.post(page(northwind), sent)
    assert response.status_code == 200
    assert "protected" in shown(response)
    assert northwind.commitments.count() == 2


# ── versions ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_amending_makes_the_next_version_with_everything_copied(browser: Browser, northwind: ServiceAgreement) -> None:
    sent = {"effective_at": "2026-07-01T00:00", "reason": "Signed in June"}
    response = browser.post(page(northwind, "amend"), sent, follow=True)
    new = ServiceAgreement.objects.get(version=2)
    assert response.redirect_chain == [(page(new), 302)]
    northwind.refresh_from_db()
    assert northwind.ends_at == new.effective_at == dt.datetime(2026, 7, 1, tzinfo=dt.UTC)
    assert (new.supersedes, new.ends_at, new.client, new.clause) == (
        northwind,
        None,
        northwind.client,
        northwind.clause,
    )
    assert [str(row) for row in new.coverage.all()] == [str(row) for row in northwind.coverage.all()]
    assert [str(c) for c in new.commitments.all()] == [str(c) for c in northwind.commitments.all()]
    for old_one, new_one in zip(northwind.commitments.all(), new.commitments.all(), strict=True):
        assert [str(p) for p in new_one.warning_points.all()] == [str(p) for p in old_one.warning_points.all()]
        assert new_one.pk != old_one.pk
    for row in (northwind, new, new.commitments.all()[0]):
        assert row.history.first().history_change_reason == "Signed in June"
        assert row.history.first().actor_name == "Max Weber (max)"


@pytest.mark.parametrize(
    ("effective_at", "sentence"),
    [
        ("2025-12-31T00:00", "must begin after this one"),
        ("2026-01-01T00:00", "must begin after this one"),
        ("2027-01-01T00:00", "must begin before that"),
        ("0001-01-01T00:00", "before the year 1900"),
        ("", "This field is required"),
    ],
)
def test_an_amendment_outside_the_versions_span_is_refused_on_its_field(
    browser: Browser, northwind: ServiceAgreement, effective_at: str, sentence: str
) -> None:
    northwind.ends_at = dt.datetime(2027, 1, 1, tzinfo=dt.UTC)
    cast.save(northwind)
    response = browser.post(page(northwind, "amend"), {"effective_at": effective_at, "reason": "kept"})
    assert sentence in " ".join(response.context["form"].errors["effective_at"])
    assert 'value="kept"' in shown(response)
    assert ServiceAgreement.objects.count() == 1


def test_a_superseded_version_cannot_be_amended_again(northwind: ServiceAgreement, max_: User) -> None:
    july = dt.datetime(2026, 7, 1, tzinfo=dt.UTC)
    versions.amend(northwind, effective_at=july, by=max_, reason="Signed")
    with pytest.raises(ValidationError, match="already superseded"):
        versions.amend(northwind, effective_at=july - dt.timedelta(days=1), by=max_, reason="Again")
    with pytest.raises(ValidationError, match="Say why"):
        versions.amend(northwind, effective_at=july, by=max_, reason=" ")


def test_an_amendment_keeps_the_end_that_was_agreed(northwind: ServiceAgreement, max_: User) -> None:
    northwind.ends_at = dt.datetime(2027, 1, 1, tzinfo=dt.UTC)
    cast.save(northwind)
    july = dt.datetime(2026, 7, 1, tzinfo=dt.UTC)
    new = versions.amend(northwind, effective_at=july, by=max_, reason="Signed")
    assert new.ends_at == dt.datetime(2027, 1, 1, tzinfo=dt.UTC)
