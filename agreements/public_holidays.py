"""The public holidays of countries and their parts, to fill a calendar with.

The dates are those that the `holidays` library works out, days off in lieu included. Some depend on the moon and are
estimates, which their names say. Half days and a company's own closures are entered by hand.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable
from functools import cache

import holidays
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _
from holidays.registry import COUNTRIES

from agreements.clock import ClockError
from agreements.models import ServiceCalendar, SpecialDay
from config.history import acting
from config.models import User

Holiday = tuple[dt.date, str]

_LANGUAGE = "en_US"  # that of the admin; where a country has none, its own
_SMALL_WORDS = {"and", "of", "the"}
_LONGEST_NAME = SpecialDay._meta.get_field("name").max_length or 0


class NoSuchHolidays(ValueError):
    """No country, no such part of it, or no such year; the message says so in a sentence that people understand."""


@cache
def countries() -> list[tuple[str, str]]:
    """(ISO 3166 alpha-2 code, English name) of every country whose holidays are known, by name."""
    known = [(codes[1], _in_words(name)) for name, codes in COUNTRIES.items()]
    return sorted(known, key=lambda country: country[1])


def _in_words(name: str) -> str:
    first, *others = name.split("_")
    return " ".join([first.capitalize(), *(word if word in _SMALL_WORDS else word.capitalize() for word in others)])


def subdivisions(country: str) -> list[tuple[str, str]]:
    """(code, name) of the parts of a country that have holidays of their own, by name; NoSuchHolidays."""
    kind = _kind(country)
    names = kind.get_subdivision_aliases()
    known = [(code, names[code][0] if names.get(code) else code) for code in kind.subdivisions]
    return sorted(known, key=lambda part: part[1])


def on(country: str, subdivision: str, years: Collection[int]) -> list[Holiday]:
    """(date, name) of the public holidays in these years, by date; an empty subdivision is the whole country.

    NoSuchHolidays for a country, a subdivision or a year of which none are known.
    """
    kind = _kind(country)
    parts = dict(subdivisions(country))
    if subdivision and subdivision not in parts:
        raise NoSuchHolidays(_no_such_part(country, subdivision, parts))
    if not years:
        raise NoSuchHolidays(_("Choose at least one year."))
    found = kind(
        subdiv=subdivision or None,
        years=sorted(years),
        expand=False,
        language=_LANGUAGE if _LANGUAGE in kind.supported_languages else None,
    )
    # Days off in lieu can fall into the year before or after.
    days = sorted((day, name[:_LONGEST_NAME]) for day, name in found.items() if day.year in years)
    if missing := sorted(set(years) - {day.year for day, _name in days}):
        raise NoSuchHolidays(
            _("No public holidays of %(country)s are known for %(years)s.")
            % {"country": _name_of(country), "years": ", ".join(map(str, missing))}
        )
    return days


def _kind(country: str) -> type[holidays.HolidayBase]:
    if country not in dict(countries()):
        raise NoSuchHolidays(_("“%(country)s” is no country whose holidays are known.") % {"country": country})
    return getattr(holidays, country)  # type: ignore[no-any-return]  # the library names a class after each code


def _name_of(country: str) -> str:
    return dict(countries())[country]


def _no_such_part(country: str, subdivision: str, parts: dict[str, str]) -> str:
    said = {"part": subdivision, "country": _name_of(country)}
    if not parts:
        return _("%(country)s has the same holidays everywhere. Leave “%(part)s” out.") % said
    listed = ", ".join(code if code == name else f"{code} ({name})" for code, name in parts.items())
    return _("“%(part)s” is no part of %(country)s. Choose one of: %(parts)s.") % {**said, "parts": listed}


def close_on(calendar: ServiceCalendar, days: Iterable[Holiday], *, by: User, reason: str) -> list[SpecialDay]:
    """Close the calendar on these days, and return the closures made; a date with a special day is left as it is.

    Deadlines that already run keep the calendar they started with. Raises ValidationError where no reason is given or
    the calendar would not open for too long.
    """
    if not reason.strip():
        raise ValidationError({"reason": _("Say why; the reason is kept in the audit trail.")})
    with transaction.atomic(), acting(by, reason=reason):
        calendar = ServiceCalendar.objects.select_for_update().get(pk=calendar.pk)
        taken = set(calendar.special_days.values_list("on", flat=True))
        made = [SpecialDay(calendar=calendar, on=day, name=name) for day, name in days if day not in taken]
        for closure in made:
            closure.full_clean()
            closure.save()
        try:
            calendar.as_clock_calendar()
        except ClockError as error:
            raise ValidationError(_(error.sentence), params=error.values) from error
    return made
