"""The opening hours by which business time is counted."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Case, OuterRef, Subquery, When
from django.utils.translation import gettext_lazy as _

from agreements import clock
from config.fields import LineField, ZoneField
from config.history import AuditedModel, AuditedQuerySet, AuditedRecords


class Weekday(models.IntegerChoices):
    MONDAY = 0, _("Monday")
    TUESDAY = 1, _("Tuesday")
    WEDNESDAY = 2, _("Wednesday")
    THURSDAY = 3, _("Thursday")
    FRIDAY = 4, _("Friday")
    SATURDAY = 5, _("Saturday")
    SUNDAY = 6, _("Sunday")


#: How long before its last closure a calendar asks for the next ones.
RUNNING_OUT_DAYS = 60


class ServiceCalendarQuerySet(AuditedQuerySet["ServiceCalendar"]):
    def with_closures(self, now: dt.datetime) -> ServiceCalendarQuerySet:
        """Annotates `last_closure_on` (a date or None) and `is_running_out`, counting days in UTC.

        Running out: an agreement in force counts by the calendar, somebody keeps closures in it, and the last of them
        is past or lies within 60 days. After that, business days would be counted through every holiday.
        """
        from agreements.models.agreement import ServiceAgreement  # which itself needs calendars

        closures = SpecialDay.objects.filter(calendar=OuterRef("pk"), opens__isnull=True).order_by("-on")
        in_use = ServiceAgreement.objects.in_force(now).values("calendar")
        soon = now.astimezone(dt.UTC).date() + dt.timedelta(days=RUNNING_OUT_DAYS)
        return self.annotate(last_closure_on=Subquery(closures.values("on")[:1])).annotate(
            is_running_out=Case(When(last_closure_on__lte=soon, pk__in=in_use, then=True), default=False)
        )

    def running_out(self, now: dt.datetime) -> ServiceCalendarQuerySet:
        """Those whose holidays of the coming months nobody has entered yet; see `with_closures`."""
        found = self.with_closures(now)
        return found.filter(is_running_out=True)  # type: ignore[misc]  # annotated above, which its type leaves out


class ServiceCalendar(AuditedModel):
    """Opening hours, closures and a time zone. Midnight as closing time is the end of the day (24:00)."""

    CALLED = "name"
    NEED_REASON = frozenset({"time_zone"})

    name = LineField(_("name"), max_length=120, unique=True)
    time_zone = ZoneField(_("time zone"), help_text=_("The zone of the opening hours, for example Europe/Berlin."))

    objects = ServiceCalendarQuerySet.as_manager()
    history = AuditedRecords()

    class Meta:
        verbose_name = _("service calendar")
        verbose_name_plural = _("service calendars")
        ordering = ("name",)

    def __str__(self) -> str:
        return f"{self.name} ({self.time_zone})"

    def as_clock_calendar(self) -> clock.Calendar:
        """The calendar as the contract clock reads it; ClockError if it never opens."""
        return build_calendar(self.time_zone, self.hours.all(), self.special_days.all())


class Hours(AuditedModel):
    """From when to when it is open; a closing time that is not after the opening time lies on the next day."""

    class Meta:
        abstract = True

    def as_opening(self) -> clock.Opening:
        return clock.Opening(_minute(self.opens), _minute(self.closes))  # type: ignore[attr-defined]


class OpeningHours(Hours):
    """One opening on one day of the week."""

    PART_OF = "calendar"
    IS_KEPT = False
    NEED_REASON = frozenset({"calendar_id", "weekday", "opens", "closes"})

    calendar = models.ForeignKey(
        ServiceCalendar, models.CASCADE, related_name="hours", verbose_name=_("service calendar")
    )
    weekday = models.PositiveSmallIntegerField(_("day"), choices=Weekday.choices)
    opens = models.TimeField(_("opens"))
    closes = models.TimeField(_("closes"), help_text=_("00:00 is midnight at the end of the day."))

    objects = AuditedQuerySet["OpeningHours"].as_manager()
    history = AuditedRecords()

    class Meta:
        verbose_name = _("opening hours")
        verbose_name_plural = _("opening hours")
        ordering = ("weekday", "opens")
        constraints = (
            models.CheckConstraint(condition=models.Q(weekday__lte=6), name="opening_hours_weekday"),
            models.UniqueConstraint(fields=("calendar", "weekday", "opens"), name="opening_hours_once"),
        )

    def __str__(self) -> str:
        return f"{self.get_weekday_display()} {self.opens:%H:%M}–{self.closes:%H:%M}"

    def clean(self) -> None:
        _refuse_seconds(self.opens, self.closes)


class SpecialDay(Hours):
    """A date that does not follow the week: closed all day, or open at other hours (one row per opening)."""

    PART_OF = "calendar"
    IS_KEPT = False
    NEED_REASON = frozenset({"calendar_id", "on", "opens", "closes"})

    calendar = models.ForeignKey(
        ServiceCalendar, models.CASCADE, related_name="special_days", verbose_name=_("service calendar")
    )
    on = models.DateField(_("date"))
    name = LineField(_("name"), max_length=120, blank=True, help_text=_("For example: Christmas Day."))
    opens = models.TimeField(_("opens"), null=True, blank=True, help_text=_("Leave both empty: closed all day."))
    closes = models.TimeField(_("closes"), null=True, blank=True)

    objects = AuditedQuerySet["SpecialDay"].as_manager()
    history = AuditedRecords()

    class Meta:
        verbose_name = _("closure or changed day")
        verbose_name_plural = _("closures and changed days")
        ordering = ("on", "opens")
        constraints = (
            models.UniqueConstraint(fields=("calendar", "on", "opens"), name="special_day_once"),
            models.CheckConstraint(
                condition=models.Q(opens__isnull=True, closes__isnull=True)
                | models.Q(opens__isnull=False, closes__isnull=False),
                name="special_day_both_times_or_none",
                violation_error_message=_("Give both times, or leave both empty for a day that is closed."),
            ),
        )

    def __str__(self) -> str:
        hours = f"{self.opens:%H:%M}–{self.closes:%H:%M}" if self.opens and self.closes else _("closed")
        return f"{self.on} {hours} {self.name}".strip()

    def clean(self) -> None:
        if self.opens and self.closes:
            _refuse_seconds(self.opens, self.closes)


def build_calendar(
    time_zone: str, hours: models.QuerySet[OpeningHours], special_days: models.QuerySet[SpecialDay]
) -> clock.Calendar:
    """A closure wins over changed hours of the same date."""
    weekly: list[list[clock.Opening]] = [[] for _day in range(7)]
    for row in hours:
        weekly[row.weekday].append(row.as_opening())
    changed: dict[dt.date, list[clock.Opening]] = defaultdict(list)
    closed: set[dt.date] = set()
    for day in special_days:
        if day.opens is None:
            closed.add(day.on)
        else:
            changed[day.on].append(day.as_opening())
    special: dict[dt.date, tuple[clock.Opening, ...]] = {on: tuple(openings) for on, openings in changed.items()}
    special |= dict.fromkeys(closed, ())
    return clock.Calendar(time_zone, tuple(tuple(day) for day in weekly), special)


def _minute(time: dt.time) -> int:
    return time.hour * 60 + time.minute


def _refuse_seconds(*times: dt.time | None) -> None:
    if any(time and (time.second or time.microsecond) for time in times):
        raise ValidationError(_("Opening hours are counted in whole minutes. Leave the seconds out."))
