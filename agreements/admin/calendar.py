"""Service calendars: the week, and the days that do not follow it."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import django_filters
from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.functional import Promise, cached_property
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from agreements import clock, public_holidays
from agreements.admin.prefilled import PrefilledInline
from agreements.models import OpeningHours, ServiceCalendar, SpecialDay
from agreements.models.calendar import ServiceCalendarQuerySet, Weekday, build_calendar
from agreements.public_holidays import NoSuchHolidays
from config import zones
from config.admin import badge, list_of
from config.filters import FilteredAdmin
from config.forms import NATIVE_INPUTS, ActForm, Done, RowsFormSet, reason_field
from config.site import Tile, site

YEARS_AHEAD = 5


# ── public holidays ─────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class PreviewRow:
    """One public holiday, and the name of what the calendar already has on that date."""

    on: dt.date
    name: str
    kept: str = ""


@dataclass(frozen=True)
class Preview:
    """The dates as they would be saved. `seen` goes back with the second press: what was not shown is not saved."""

    rows: Sequence[PreviewRow]

    @property
    def new(self) -> Sequence[PreviewRow]:
        return [row for row in self.rows if not row.kept]

    @property
    def seen(self) -> str:
        return hashlib.sha256(repr(self.rows).encode()).hexdigest()


def _years() -> list[tuple[int, str]]:
    this_year = timezone.localdate().year
    return [(year, str(year)) for year in range(this_year - 1, this_year + YEARS_AHEAD + 1)]


def _this_and_next_year() -> list[int]:
    return [timezone.localdate().year, timezone.localdate().year + 1]


class AddPublicHolidays(ActForm):
    """Pressed twice: the first press shows the dates, the second saves what was shown."""

    slug = "add-public-holidays"
    label = _("Add public holidays")
    permission = "agreements.change_servicecalendar"
    subject: ServiceCalendar

    country = forms.ChoiceField(
        label=_("Country"), choices=lambda: [("", _("Choose a country")), *public_holidays.countries()]
    )
    subdivision = forms.CharField(
        label=_("State or region"),
        required=False,
        max_length=60,
        help_text=_("Leave empty for the whole country, or give its code, for example BY for Bavaria."),
    )
    years = forms.TypedMultipleChoiceField(
        label=_("Years"),
        coerce=int,
        choices=_years,
        initial=_this_and_next_year,
        widget=forms.CheckboxSelectMultiple,
    )
    reason = reason_field(required=False, help_text=_("Kept in the audit trail. Needed to save the dates."))

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if parts := self._parts():
            choices = [("", _("the whole country")), *parts]
            self.fields["subdivision"].widget = forms.Select(choices=choices)
            self.fields["subdivision"].help_text = ""

    def _parts(self) -> list[tuple[str, str]]:
        try:
            return public_holidays.subdivisions(self.data.get("country", ""))
        except NoSuchHolidays:
            return []  # none chosen yet; a wrong one is refused by its own field

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if {"country", "subdivision", "years"} <= cleaned.keys():
            try:
                self._found = public_holidays.on(cleaned["country"], cleaned["subdivision"], cleaned["years"])
            except NoSuchHolidays as error:
                is_elsewhere = cleaned["subdivision"] not in {"", *dict(self._parts())}
                self.add_error("subdivision" if is_elsewhere else "years", str(error))
        if self._is_seen() and not cleaned.get("reason", "").strip() and "reason" not in self.errors:
            self.add_error("reason", _("Say why; the reason is kept in the audit trail."))
        return cleaned

    @cached_property
    def preview(self) -> Preview | None:
        """The dates, once it is known which."""
        if not self.is_bound or self._found is None:
            return None
        taken = {day.on: day.name or str(day) for day in self.subject.special_days.all()}
        return Preview([PreviewRow(day, name, taken.get(day, "")) for day, name in self._found])

    _found: Sequence[public_holidays.Holiday] | None = None

    def _is_seen(self) -> bool:
        return self.preview is not None and bool(self.preview.new) and self.data.get("seen") == self.preview.seen

    def is_valid(self) -> bool:
        """Not before the dates that it would save have been shown."""
        return super().is_valid() and self._is_seen()

    @property
    def press(self) -> str | Promise:
        """What the button says."""
        if not self.is_bound or self.preview is None or not self.preview.new:
            return _("Show the dates")
        count = len(self.preview.new)
        return ngettext("Save %d closure", "Save %d closures", count) % count

    def explanation(self) -> str | Promise:
        return _(
            "Shows the dates first; nothing is saved before you have seen them. Dates that already have a special day "
            "stay as they are. Enter half days and your own closures by hand. Deadlines that already run do not move."
        )

    def act(self, *, now: dt.datetime) -> Done:
        made = public_holidays.close_on(self.subject, self._found or (), by=self.by, reason=self.cleaned_data["reason"])
        return Done(ngettext("%d closure is added.", "%d closures are added.", len(made)) % len(made))


# ── the tables of the page ──────────────────────────────────────────────────────────────────────────────────────────


class HoursFormSet(RowsFormSet):
    """The week; checked together with the special days, because only both say whether the calendar ever opens."""

    special_days: forms.BaseInlineFormSet | None = None  # type: ignore[type-arg]

    def clean(self) -> None:
        super().clean()
        zone = self.instance.time_zone
        if self.special_days is None or any(self.errors) or not zones.is_known(zone):
            return
        if not self.special_days.is_valid():
            return
        try:
            build_calendar(zone, _kept(self), _kept(self.special_days))
        except clock.ClockError as error:
            raise ValidationError(_(error.sentence), params=error.values) from error


def _kept(formset: forms.BaseInlineFormSet) -> Any:  # type: ignore[type-arg]
    """The rows as they will be once the page is saved."""
    forms_kept = (form for form in formset.forms if form not in formset.deleted_forms)
    return [form.instance for form in forms_kept if form.instance.pk or form.has_changed()]


class HoursInline(PrefilledInline):
    """`?week=always` begins a new calendar with every day round the clock."""

    model = OpeningHours
    formset = HoursFormSet
    fields = ("weekday", "opens", "closes")
    formfield_overrides = NATIVE_INPUTS
    extra = 0
    min_num = 1

    def first_rows(self, request: HttpRequest) -> list[dict[str, Any]]:
        if request.GET.get("week") != "always":
            return []
        return [{"weekday": day.value, "opens": dt.time(0), "closes": dt.time(0)} for day in Weekday]


class SpecialDayInline(admin.TabularInline):  # type: ignore[type-arg]
    model = SpecialDay
    formset = RowsFormSet
    fields = ("on", "name", "opens", "closes")
    formfield_overrides = NATIVE_INPUTS
    extra = 0


# ── the list and the page ───────────────────────────────────────────────────────────────────────────────────────────


class CalendarFilter(django_filters.FilterSet):  # type: ignore[misc]  # the library ships no types
    closures = django_filters.ChoiceFilter(
        label=_("Closures"),
        empty_label=_("All"),
        choices=(("running_out", _("Running out")),),
        method="by_closures",
    )

    class Meta:
        model = ServiceCalendar
        fields = ()

    def by_closures(self, queryset: ServiceCalendarQuerySet, name: str, value: str) -> QuerySet[ServiceCalendar]:
        return queryset.running_out(timezone.now())


@admin.register(ServiceCalendar)
class ServiceCalendarAdmin(FilteredAdmin):
    acts = (AddPublicHolidays,)
    filterset_class = CalendarFilter
    inlines = (HoursInline, SpecialDayInline)
    list_display = ("name", "time_zone", "last_closure")
    search_fields = ("name",)
    fields = ("name", "time_zone")

    def zone_beside(self, obj: ServiceCalendar) -> str:
        return obj.time_zone

    def get_queryset(self, request: HttpRequest) -> QuerySet[ServiceCalendar]:
        found: ServiceCalendarQuerySet = super().get_queryset(request)
        return found.with_closures(timezone.now())

    @admin.display(description=_("last closure"), ordering="last_closure_on")
    def last_closure(self, calendar: Any) -> SafeString | str:
        if calendar.last_closure_on is None:
            return "–"
        day = date_format(calendar.last_closure_on)
        if not calendar.is_running_out:
            return day
        return format_html("{} {}", day, badge(_("running out"), "high", "!"))

    def _create_formsets(self, request: HttpRequest, obj: models.Model, change: bool) -> Any:
        """Lets the week see the special days."""
        formsets, inlines = super()._create_formsets(request, obj, change)
        by_model = {formset.model: formset for formset in formsets}
        if OpeningHours in by_model:
            by_model[OpeningHours].special_days = by_model.get(SpecialDay)
        return formsets, inlines


@site.register_tile
def calendars_running_out(request: HttpRequest, now: dt.datetime) -> Tile | None:
    if not request.user.has_perm("agreements.view_servicecalendar"):
        return None
    url = f"{list_of(ServiceCalendar)}?closures=running_out"
    rows = ServiceCalendar.objects.running_out(now)
    return Tile(_("Calendars running out"), rows, url, "warn", is_shown_empty=False)
