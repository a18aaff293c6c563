"""Public holidays: which are known, what is refused, and how they become closures of a calendar."""

from __future__ import annotations

import datetime as dt
import html
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from agreements import public_holidays
from agreements.models import ServiceCalendar, SpecialDay
from agreements.public_holidays import NoSuchHolidays
from config.models import User
from tests import cast
from tests.cast import at, browser_of

EPIPHANY = dt.date(2027, 1, 6)
CHRISTMAS = dt.date(2027, 12, 25)


class TestWhatIsKnown:
    def test_countries_have_codes_and_names_in_the_order_of_the_names(self) -> None:
        known = public_holidays.countries()
        assert {("DE", "Germany"), ("US", "United States"), ("IM", "Isle of Man")} <= set(known)
        assert [name for _code, name in known] == sorted(name for _code, name in known)

    def test_parts_of_a_country_have_codes_and_names(self) -> None:
        assert ("BY", "Bayern") in public_holidays.subdivisions("DE")
        assert public_holidays.subdivisions("LI") == []

    def test_a_part_of_a_country_has_holidays_of_its_own(self) -> None:
        assert (EPIPHANY, "Epiphany") in public_holidays.on("DE", "BY", [2027])
        assert EPIPHANY not in dict(public_holidays.on("DE", "", [2027]))
        assert EPIPHANY not in dict(public_holidays.on("DE", "BE", [2027]))

    def test_days_off_in_lieu_are_among_them_and_every_date_is_in_the_years_asked_for(self) -> None:
        days = public_holidays.on("US", "", [2027, 2026])
        assert (dt.date(2027, 7, 5), "Independence Day (observed)") in days  # the 4th is a Sunday
        assert {day.year for day, _name in days} == {2026, 2027}
        assert days == sorted(days)

    @pytest.mark.parametrize(
        ("country", "subdivision", "years", "sentence"),
        [
            ("ZZ", "", [2027], "“ZZ” is no country whose holidays are known."),
            ("", "", [2027], "is no country"),
            ("HolidayBase", "", [2027], "is no country"),
            ("DE", "XX", [2027], r"“XX” is no part of Germany\. Choose one of: .*BY \(Bayern\)"),
            ("LI", "XX", [2027], "Liechtenstein has the same holidays everywhere"),
            ("DE", "", [2027, 2999], "No public holidays of Germany are known for 2999."),
            ("DE", "", [], "at least one year"),
        ],
    )
    def test_what_is_not_known_is_refused_with_a_sentence(
        self, country: str, subdivision: str, years: list[int], sentence: str
    ) -> None:
        with pytest.raises(NoSuchHolidays, match=sentence):
            public_holidays.on(country, subdivision, years)


@pytest.mark.django_db
class TestClosing:
    def test_a_date_that_has_a_special_day_is_left_as_it_is(self, max_: User) -> None:
        calendar = cast.office_hours()
        half = SpecialDay.objects.create(calendar=calendar, on=CHRISTMAS, opens=dt.time(9), closes=dt.time(12))
        days = [(EPIPHANY, "Epiphany"), (CHRISTMAS, "Christmas Day")]
        made = public_holidays.close_on(calendar, days, by=max_, reason="New year")
        assert [(day.on, day.name, day.opens) for day in made] == [(EPIPHANY, "Epiphany", None)]
        assert list(calendar.special_days.filter(on=CHRISTMAS)) == [half]
        told = made[0].history.get()
        assert (told.history_change_reason, told.actor_name) == ("New year", "Max Weber (max)")

    def test_it_needs_a_reason(self, max_: User) -> None:
        with pytest.raises(ValidationError, match="Say why"):
            public_holidays.close_on(cast.office_hours(), [(EPIPHANY, "Epiphany")], by=max_, reason=" ")

    def test_a_calendar_that_would_not_open_for_too_long_is_refused_and_nothing_is_saved(self, max_: User) -> None:
        calendar = cast.office_hours()
        days = [(EPIPHANY + dt.timedelta(days=n), "Closed") for n in range(401)]
        with pytest.raises(ValidationError, match="400 days"):
            public_holidays.close_on(calendar, days, by=max_, reason="Strike")
        assert not calendar.special_days.exists()


# ── the page ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def browser(max_: User) -> Browser:
    return browser_of(max_)


def page(calendar: ServiceCalendar) -> str:
    return reverse("admin:agreements_servicecalendar_add-public-holidays", args=[calendar.pk])


def shown(response: Any) -> str:
    return html.unescape(response.content.decode())


#: The page offers the years around the present one.
YEAR = timezone.now().year + 1
BAVARIA = {"country": "DE", "subdivision": "BY", "years": [str(YEAR)]}
IN_BAVARIA = public_holidays.on("DE", "BY", [YEAR])


@pytest.mark.django_db
class TestThePage:
    def test_its_button_is_on_the_calendars_page(self, browser: Browser) -> None:
        calendar = cast.office_hours()
        change = reverse("admin:agreements_servicecalendar_change", args=[calendar.pk])
        assert page(calendar) in shown(browser.get(change))
        assert "Show the dates" in shown(browser.get(page(calendar)))

    def test_the_first_press_shows_the_dates_and_saves_nothing(self, browser: Browser) -> None:
        calendar = cast.office_hours()
        SpecialDay.objects.create(
            calendar=calendar, on=dt.date(YEAR, 12, 25), name="Early shift", opens=dt.time(9), closes=dt.time(12)
        )
        response = browser.post(page(calendar), BAVARIA)
        text = shown(response)
        assert response.status_code == 200
        assert not response.context["form"].errors
        assert f"6 Jan {YEAR}" in text
        assert "stays as it is: Early shift" in text
        assert f"Save {len(IN_BAVARIA) - 1} closures" in text
        assert calendar.special_days.count() == 1

    def test_the_second_press_saves_what_was_shown_with_its_reason(self, browser: Browser) -> None:
        calendar = cast.office_hours()
        seen = browser.post(page(calendar), BAVARIA).context["form"].preview.seen
        refused = browser.post(page(calendar), {**BAVARIA, "seen": seen})
        assert "reason" in refused.context["form"].errors
        assert not calendar.special_days.exists()
        saved = browser.post(page(calendar), {**BAVARIA, "seen": seen, "reason": "Next year"}, follow=True)
        assert f"{len(IN_BAVARIA)} closures are added." in shown(saved)
        assert calendar.special_days.count() == len(IN_BAVARIA)
        epiphany = dt.date(YEAR, 1, 6)
        closure = calendar.special_days.get(on=epiphany)
        assert closure.history.get().history_change_reason == "Next year"
        assert calendar.as_clock_calendar().special_days[epiphany] == ()

    def test_what_was_not_shown_is_not_saved(self, browser: Browser) -> None:
        calendar = cast.office_hours()
        seen = browser.post(page(calendar), BAVARIA).context["form"].preview.seen
        other = {**BAVARIA, "subdivision": "BE", "seen": seen, "reason": "Holidays"}
        text = shown(browser.post(page(calendar), other))
        assert "These dates will be closed" in text
        assert not calendar.special_days.exists()

    def test_pressed_again_it_has_nothing_to_add(self, browser: Browser) -> None:
        calendar = cast.office_hours()
        seen = browser.post(page(calendar), BAVARIA).context["form"].preview.seen
        for _press in range(2):
            response = browser.post(page(calendar), {**BAVARIA, "seen": seen, "reason": "Holidays"})
        assert "Nothing to add" in shown(response)
        assert calendar.special_days.count() == len(IN_BAVARIA)

    @pytest.mark.parametrize(
        ("changes", "field", "sentence"),
        [
            ({"country": ""}, "country", "This field is required"),
            ({"country": "ZZ"}, "country", "not one of the available choices"),
            ({"subdivision": "XX"}, "subdivision", "“XX” is no part of Germany"),
            ({"years": []}, "years", "This field is required"),
            ({"years": ["2999"]}, "years", "not one of the available choices"),
            ({"country": "UA", "subdivision": ""}, "years", f"No public holidays of Ukraine are known for {YEAR}"),
        ],
    )
    def test_what_is_not_known_is_refused_on_its_field_and_what_was_typed_is_kept(
        self, browser: Browser, changes: dict[str, Any], field: str, sentence: str
    ) -> None:
        response = browser.post(page(cast.office_hours()), {**BAVARIA, **changes, "reason": "kept"})
        assert sentence in " ".join(response.context["form"].errors[field])
        assert 'value="kept"' in shown(response)

    def test_an_operator_may_not(self, olga: User) -> None:
        browser = browser_of(olga)
        assert browser.post(page(cast.office_hours()), BAVARIA).status_code == 403


# ── running out ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.django_db
class TestRunningOut:
    #: Noon on 24 November 2026; sixty days later it is 23 January 2027.
    NOW = cast.NOON

    def calendar(self, *closures: dt.date, name: str = "Office hours", is_used: bool = True) -> ServiceCalendar:
        made = cast.office_hours(name)
        for day in closures:
            SpecialDay.objects.create(calendar=made, on=day, name="Holiday")
        if is_used:
            cast.agreement(f"AG-{made.pk}", cast.client(f"Client {made.pk}", "UTC"), made)
        return made

    @pytest.mark.parametrize(
        ("last", "is_running_out"),
        [
            (dt.date(2025, 12, 26), True),
            (dt.date(2027, 1, 23), True),
            (dt.date(2027, 1, 24), False),
        ],
    )
    def test_sixty_days_before_its_last_closure(self, last: dt.date, is_running_out: bool) -> None:
        calendar = self.calendar(dt.date(2026, 1, 1), last)
        assert list(ServiceCalendar.objects.running_out(self.NOW)) == [calendar] * is_running_out

    def test_never_where_nobody_keeps_closures_or_no_agreement_in_force_counts_by_it(self) -> None:
        self.calendar()
        self.calendar(dt.date(2026, 12, 25), name="Unused", is_used=False)
        ended = self.calendar(dt.date(2026, 12, 25), name="Formerly")
        agreement = ended.serviceagreement_set.get()
        agreement.ends_at = at("11:00")
        cast.save(agreement)
        SpecialDay.objects.create(
            calendar=self.calendar(name="Half days"), on=dt.date(2026, 12, 24), opens=dt.time(9), closes=dt.time(12)
        )
        assert not ServiceCalendar.objects.running_out(self.NOW).exists()

    def test_the_board_counts_them_and_leads_to_their_list(self, browser: Browser) -> None:
        today = timezone.now().date()
        self.calendar(today + dt.timedelta(days=30), name="Nearly over")
        self.calendar(today + dt.timedelta(days=300), name="Well kept")
        tiles = browser.get(reverse("admin:index")).context["tiles"]
        tile = next(tile for tile in tiles if str(tile.label) == "Calendars running out")
        assert (tile.count, tile.tone) == (1, "warn")
        text = shown(browser.get(tile.url))
        assert "Nearly over" in text
        assert "running out" in text
        assert "Well kept" not in text
        everything = shown(browser.get(reverse("admin:agreements_servicecalendar_changelist")))
        assert "Well kept" in everything
        assert everything.count("badge-high") == 1
