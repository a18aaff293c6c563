"""Service calendars: the week, and the days that do not follow it."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db import models
from django.http import HttpRequest

from agreements import clock
from agreements.models import OpeningHours, ServiceCalendar, SpecialDay
from agreements.models.calendar import build_calendar
from config import zones
from config.admin import AuditedModelAdmin
from config.forms import NATIVE_INPUTS, RowsFormSet


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
            raise ValidationError(str(error)) from error


def _kept(formset: forms.BaseInlineFormSet) -> Any:  # type: ignore[type-arg]
    """The rows as they will be once the page is saved."""
    forms_kept = (form for form in formset.forms if form not in formset.deleted_forms)
    return [form.instance for form in forms_kept if form.instance.pk or form.has_changed()]


class HoursInline(admin.TabularInline):  # type: ignore[type-arg]
    model = OpeningHours
    formset = HoursFormSet
    fields = ("weekday", "opens", "closes")
    formfield_overrides = NATIVE_INPUTS
    extra = 0
    min_num = 1


class SpecialDayInline(admin.TabularInline):  # type: ignore[type-arg]
    model = SpecialDay
    formset = RowsFormSet
    fields = ("on", "name", "opens", "closes")
    formfield_overrides = NATIVE_INPUTS
    extra = 0


@admin.register(ServiceCalendar)
class ServiceCalendarAdmin(AuditedModelAdmin):
    inlines = (HoursInline, SpecialDayInline)
    list_display = ("name", "time_zone")
    search_fields = ("name",)
    fields = ("name", "time_zone")

    def _create_formsets(self, request: HttpRequest, obj: models.Model, change: bool) -> Any:
        """Lets the week see the special days."""
        formsets, inlines = super()._create_formsets(request, obj, change)
        by_model = {formset.model: formset for formset in formsets}
        if OpeningHours in by_model:
            by_model[OpeningHours].special_days = by_model.get(SpecialDay)
        return formsets, inlines
