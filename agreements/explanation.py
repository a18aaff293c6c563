"""Why a deadline is due when it is: the count told in sentences, and the time that was counted, row by row.

Pure: no query, no clock of its own. The due time and the moments are those of `AgreedTerms.plan`, which production
computes with; what is told here is how they come about.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, pgettext_lazy

from agreements import clock
from agreements.models.commitment import allowance_in_words, event_in_words
from agreements.terms import AgreedTerms, Audience, Moment, MomentKind, Plan
from config import zones

MOMENTS: Mapping[str, str | Promise] = {
    MomentKind.WARNING: gettext_lazy("Warning"),
    MomentKind.HOLDING: gettext_lazy("Holding notice"),
    MomentKind.OVERDUE: gettext_lazy("“Overdue”"),
}
AUDIENCES: Mapping[str, str | Promise] = {
    Audience.CONTACTS: pgettext_lazy("audience", "the client's contacts"),
    Audience.RESPONDERS: pgettext_lazy("audience", "the responders"),
    Audience.OWNER: pgettext_lazy("audience", "the agreement's owner"),
    Audience.MANAGERS: pgettext_lazy("audience", "the managers"),
}

_ROUND_THE_CLOCK = clock.Calendar.always_open("UTC")
_INSTANT = dt.timedelta(microseconds=1)
_MINUTE = dt.timedelta(minutes=1)
_SHOWN_FIRST, _SHOWN_LAST, _SHOWN_ALL = 10, 5, 20

Span = tuple[dt.datetime, dt.datetime]


# ── how instants and lengths are written ────────────────────────────────────────────────────────────────────────────


def exactly(instant: dt.datetime, zone_name: str) -> str:
    """`Fri 27 Nov 2026, 17:55 CET`: with its weekday, its zone, and its seconds where it has any."""
    local = instant.astimezone(zones.zone(zone_name))
    return f"{date_format(local, 'D j M Y')}, {_wall(local)} {_zone_label(local)}"


def length(span: dt.timedelta) -> str:
    """`8 h`, `3 h 20 min`, `46 min 40 s`: whole, never rounded to the larger unit."""
    minutes, rest = divmod(span, _MINUTE)
    hours, minutes = divmod(minutes, 60)
    seconds = rest.total_seconds()
    parts = [(hours, _("%s h")), (minutes, _("%s min")), (int(seconds) if seconds.is_integer() else seconds, _("%s s"))]
    return " ".join(words % number for number, words in parts if number) or _("%s min") % 0


def _wall(local: dt.datetime) -> str:
    return f"{local:%H:%M:%S}" if local.second or local.microsecond else f"{local:%H:%M}"


def _zone_label(local: dt.datetime) -> str:
    name = local.tzname() or ""
    return f"UTC{name}" if name.startswith(("+", "-")) else name


# ── what was counted ────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Counted:
    """A stretch of time that counted, [begins_at, ends_at); `total` is all that was counted up to its end."""

    begins_at: dt.datetime
    ends_at: dt.datetime
    total: dt.timedelta
    zone_name: str

    @property
    def length(self) -> dt.timedelta:
        return self.ends_at - self.begins_at

    @property
    def on(self) -> dt.date:
        """The local date on which it begins."""
        return self._begins.date()

    @property
    def span(self) -> str:
        """`09:00–17:00 CET`; both zones where the clocks change in between, both dates where it passes midnight."""
        begins, ends, last = self._begins, self._local(self.ends_at), self._local(self.ends_at - _INSTANT)
        if last.date() != begins.date():
            return f"{exactly(self.begins_at, self.zone_name)} – {exactly(self.ends_at, self.zone_name)}"
        # Openings are cut at midnight, which belongs to the date that ends.
        until, zone = ("24:00", _zone_label(last)) if ends.date() != begins.date() else (_wall(ends), _zone_label(ends))
        first = _wall(begins) if _zone_label(begins) == zone else f"{_wall(begins)} {_zone_label(begins)}"
        return f"{first}–{until} {zone}"

    @property
    def minutes_in_words(self) -> str:
        """`480 min`, `46 min 40 s`."""
        minutes, rest = divmod(self.length, _MINUTE)
        return " ".join(filter(None, (_("%s min") % minutes if minutes else "", length(rest) if rest else "")))

    @property
    def total_in_words(self) -> str:
        return length(self.total)

    @property
    def _begins(self) -> dt.datetime:
        return self._local(self.begins_at)

    def _local(self, instant: dt.datetime) -> dt.datetime:
        return instant.astimezone(zones.zone(self.zone_name))


@dataclass(frozen=True)
class CountedDay:
    """A date of an allowance in days or months. Day 0 is that of the start event, which does not count."""

    on: dt.date
    number: int


@dataclass(frozen=True)
class Explanation:
    """`rows` for allowances in minutes and hours, `days` for those in days and months; both empty without a number.

    `plan` is what production stores, `used_up_at` the end of the allowance before it was moved to a business day.
    """

    sentences: tuple[str, ...]
    plan: Plan
    zone_name: str
    counted: clock.Allowance | None = None
    used_up_at: dt.datetime | None = None
    rows: tuple[Counted, ...] = ()
    days: tuple[CountedDay, ...] = ()

    @property
    def due_at(self) -> dt.datetime | None:
        return self.plan.due_at

    @property
    def number_of(self) -> str:
        """What the numbers of `days` count."""
        unit = self.counted.unit if self.counted else None
        if unit is clock.Unit.MONTHS:
            return _("month")
        return _("business day") if unit is clock.Unit.BUSINESS_DAYS else _("day")

    @property
    def total(self) -> dt.timedelta:
        """What all rows together count: the allowance."""
        return self.rows[-1].total if self.rows else dt.timedelta(0)

    @property
    def total_in_words(self) -> str:
        return length(self.total)

    @property
    def first_rows(self) -> Sequence[Counted]:
        return self.rows[:_SHOWN_FIRST] if self.is_long else self.rows

    @property
    def last_rows(self) -> Sequence[Counted]:
        return self.rows[-_SHOWN_LAST:] if self.is_long else ()

    @property
    def first_days(self) -> Sequence[CountedDay]:
        return self.days[:_SHOWN_FIRST] if self.is_long else self.days

    @property
    def last_days(self) -> Sequence[CountedDay]:
        return self.days[-_SHOWN_LAST:] if self.is_long else ()

    @property
    def is_long(self) -> bool:
        """Whether only the first and the last rows are to be shown."""
        return max(len(self.rows), len(self.days)) > _SHOWN_ALL

    @property
    def days_between(self) -> int:
        """How many counted dates lie between the first and the last rows."""
        if self.days:
            return max(len(self.days) - _SHOWN_FIRST - _SHOWN_LAST, 0)
        shown = {row.on for row in (*self.first_rows, *self.last_rows)}
        return len({row.on for row in self.rows} - shown)


# ── explaining ──────────────────────────────────────────────────────────────────────────────────────────────────────


def explain(
    terms: AgreedTerms,
    started_at: dt.datetime,
    *,
    start_event: str,
    cap_started_at: dt.datetime | None = None,
    pauses: clock.Pauses = (),
    is_new_cycle: bool = False,
) -> Explanation:
    """Tell how the plan comes about when the start event happened at `started_at`, the cap's at `cap_started_at`.

    `pauses` are those of the incident; `is_new_cycle` says that the clock started anew and not with the start event.
    """
    plan = terms.plan(started_at, cap_started_at=cap_started_at, pauses=pauses)
    return _Telling(terms, started_at, start_event, cap_started_at, tuple(pauses), is_new_cycle, plan).explanation()


@dataclass(frozen=True)
class _Limit:
    """One allowance from one start, counted by itself: that of the clause, or its cap."""

    allowance: clock.Allowance
    terms: clock.Terms  # the allowance with its day end and roll, without a cap
    calendar: clock.Calendar
    started_at: dt.datetime
    pauses: clock.Pauses

    @property
    def due_at(self) -> dt.datetime:
        return self._due(self.terms, self.pauses)

    @property
    def due_without_pauses(self) -> dt.datetime:
        return self._due(self.terms, ())

    @property
    def used_up_at(self) -> dt.datetime:
        """Before it moves to a business day."""
        return self._due(self._unrolled, self.pauses)

    @property
    def used_up_without_pauses(self) -> dt.datetime:
        return self._due(self._unrolled, ())

    @property
    def _unrolled(self) -> clock.Terms:
        return replace(self.terms, roll=clock.Roll.NONE, roll_at=None)

    def _due(self, terms: clock.Terms, pauses: clock.Pauses) -> dt.datetime:
        due_at = clock.due_at(terms, self.calendar, self.started_at, pauses=pauses)
        return cast(dt.datetime, due_at)  # None is only for terms without a number

    @property
    def paused(self) -> dt.timedelta:
        """How much counting time the pauses took."""
        until = self.used_up_at if self.allowance.unit.is_exact else self.used_up_without_pauses
        whole = clock.elapsed(self._counting, self.started_at, until)
        return whole - clock.elapsed(self._counting, self.started_at, until, self.pauses)

    @property
    def _counting(self) -> clock.Calendar:
        return self.calendar if self.allowance.unit.is_business else _ROUND_THE_CLOCK

    def rows(self) -> Iterator[Counted]:
        """The time that counted, in order: cut at local midnight and at pauses; round the clock cut at pauses alone."""
        until = self.used_up_at
        spans = [(self.started_at, until)]
        if self.allowance.unit.is_business:
            spans = clock.openings(self.calendar, self.started_at, until)
        total = dt.timedelta(0)
        for begins_at, ends_at in _outside(spans, self.pauses):
            total += ends_at - begins_at
            yield Counted(begins_at, ends_at, total, self.calendar.time_zone)

    def days(self) -> Iterator[CountedDay]:
        """Day 0 and the dates that counted; of months only the last date, because no day of them is counted."""
        unit, amount = self.allowance.unit, self.allowance.amount
        first = self._date(self.started_at)
        yield CountedDay(first, 0)
        if unit is clock.Unit.MONTHS:
            yield CountedDay(self._date(clock.months(self.calendar, self.started_at, amount) - _INSTANT), amount)
            return
        for number in range(1, amount + 1):
            if unit is clock.Unit.BUSINESS_DAYS:
                yield CountedDay(
                    self._date(clock.business_days(self.calendar, self.started_at, number) - _INSTANT), number
                )
            else:
                yield CountedDay(first + dt.timedelta(days=number), number)

    def _date(self, at: dt.datetime) -> dt.date:
        return at.astimezone(zones.zone(self.calendar.time_zone)).date()


@dataclass(frozen=True)
class _Telling:
    """One telling: what was asked, and the plan that is to be explained."""

    terms: AgreedTerms
    started_at: dt.datetime
    start_event: str
    cap_started_at: dt.datetime | None
    pauses: tuple[Span, ...]
    is_new_cycle: bool
    plan: Plan

    def explanation(self) -> Explanation:
        if self.terms.terms.allowance is None or self.plan.due_at is None:
            said = (self._clause(), self._start(), *self._without_number())
            return Explanation(said, self.plan, self.zone_name)
        own, cap = self._own_limit(self.terms.terms.allowance), self._cap_limit()
        limit = cap if cap is not None and self._is_cut_short(own, cap) else own
        said = (
            self._clause(),
            *self._how_counted(limit),
            self._start(),
            *self._closed_at_start(own),
            *self._cap(own, cap),
            *self._amount(limit),
            *self._paused(limit),
            *self._roll(limit),
            _("So it is due at %(at)s.") % {"at": self._at(self.plan.due_at)},
            *map(self._moment, self.plan.moments),
        )
        is_exact = limit.allowance.unit.is_exact
        return Explanation(
            said,
            self.plan,
            self.zone_name,
            counted=limit.allowance,
            used_up_at=limit.used_up_at,
            rows=tuple(limit.rows()) if is_exact else (),
            days=() if is_exact else tuple(limit.days()),
        )

    @property
    def zone_name(self) -> str:
        return self.terms.calendar.time_zone

    def _at(self, instant: dt.datetime) -> str:
        return exactly(instant, self.zone_name)

    # which limit holds

    def _own_limit(self, allowance: clock.Allowance) -> _Limit:
        return self._limit(allowance, self.started_at)

    def _cap_limit(self) -> _Limit | None:
        cap = self.terms.terms.cap
        return None if cap is None or self.cap_started_at is None else self._limit(cap, self.cap_started_at)

    def _limit(self, allowance: clock.Allowance, started_at: dt.datetime) -> _Limit:
        pauses = self.pauses if self.terms.is_pausable else ()
        terms = replace(self.terms.terms, allowance=allowance, cap=None)
        return _Limit(allowance, terms, self.terms.calendar, started_at, pauses)

    def _is_cut_short(self, own: _Limit, cap: _Limit) -> bool:
        return self.plan.due_at == cap.due_at < own.due_at

    # the sentences

    def _clause(self) -> str:
        return _("The clause asks for it %(terms)s.") % {"terms": self.terms.in_words(self.start_event)}

    def _how_counted(self, limit: _Limit) -> Iterator[str]:
        unit = limit.allowance.unit
        if unit.is_exact and unit.is_business:
            yield _("Only the time in which the calendar is open counts.")
        elif unit.is_exact:
            yield _("It is counted round the clock: nights, weekends and holidays count too.")
        elif unit is clock.Unit.BUSINESS_DAYS:
            yield _("The dates on which the calendar opens are counted; the date of the start is day 0.")
        elif unit is clock.Unit.CALENDAR_DAYS:
            yield _("Every date is counted, open or closed; the date of the start is day 0.")
        else:
            yield _("It ends on the same day of a later month, or on that month's last day if it is shorter.")

    def _start(self) -> str:
        if self.is_new_cycle:
            return _("The clock of this cycle starts at %(at)s.") % {"at": self._at(self.started_at)}
        event = event_in_words(self.start_event, self.terms.follows)
        return _("The clock starts with %(event)s: %(at)s.") % {"event": event, "at": self._at(self.started_at)}

    def _closed_at_start(self, own: _Limit) -> Iterator[str]:
        unit = own.allowance.unit
        if unit.is_exact and unit.is_business and not clock.is_open(self.terms.calendar, self.started_at):
            first = next(replace(own, pauses=()).rows())
            yield _("The calendar is closed at that moment, so the counting begins when it opens: %(at)s.") % {
                "at": self._at(first.begins_at)
            }

    def _cap(self, own: _Limit, limit: _Limit | None) -> Iterator[str]:
        cap = self.terms.terms.cap
        if cap is None:
            return
        said = {
            "limit": allowance_in_words(cap.amount, cap.unit),
            "event": event_in_words(self.terms.cap_event, self.terms.follows),
        }
        if limit is None:
            yield _("The overall limit of %(limit)s from %(event)s does not apply: that is not known yet.") % said
            return
        passed_at = limit.due_without_pauses
        said |= {"from": self._at(limit.started_at), "at": self._at(limit.due_at), "own": self._at(own.due_at)}
        if self.started_at > passed_at:
            yield _(
                "The overall limit of %(limit)s from %(event)s (%(from)s) is dropped: it had passed at %(passed)s, "
                "before the first clock started."
            ) % (said | {"passed": self._at(passed_at)})
        elif self._is_cut_short(own, limit):
            yield (
                _(
                    "The overall limit of %(limit)s from %(event)s (%(from)s) holds, because it ends first: "
                    "at %(at)s instead of %(own)s."
                )
                % said
            )
        else:
            yield (
                _(
                    "The overall limit of %(limit)s from %(event)s (%(from)s) changes nothing: "
                    "it ends no earlier, at %(at)s."
                )
                % said
            )

    def _amount(self, limit: _Limit) -> Iterator[str]:
        words = allowance_in_words(limit.allowance.amount, limit.allowance.unit)
        if limit.allowance.unit.is_exact:
            total = [row.total for row in limit.rows()][-1]
            minutes = total // _MINUTE
            yield ngettext(
                "%(allowance)s: %(minutes)d minute, used up at %(at)s.",
                "%(allowance)s: %(minutes)d minutes, used up at %(at)s.",
                minutes,
            ) % {"allowance": words, "minutes": minutes, "at": self._at(limit.used_up_at)}
            return
        days = list(limit.days())
        said = {
            "allowance": words,
            "zero": date_format(days[0].on, "D j M Y"),
            "last": date_format(days[-1].on, "D j M Y"),
            "at": self._at(limit.used_up_without_pauses),
        }
        if limit.allowance.unit is clock.Unit.MONTHS:
            yield _("%(allowance)s: from %(zero)s to %(last)s, which ends at %(at)s.") % said
        else:
            yield _("%(allowance)s: day 0 is %(zero)s, the last day %(last)s, which ends at %(at)s.") % said
        closes = self.terms.terms.day_end is clock.DayEnd.CLOSE_OF_BUSINESS
        yield (
            _("A day ends at close of business; a date without an opening ends at midnight.")
            if closes
            else _("A day ends at midnight.")
        )

    def _paused(self, limit: _Limit) -> Iterator[str]:
        if not self.pauses:
            return
        if not self.terms.is_pausable:
            yield _("The incident was paused, but this clause does not stop the clock: pauses take nothing off.")
        elif not limit.paused:
            yield _("The pauses of the incident fell in no time that counts, so they take nothing off.")
        elif limit.allowance.unit.is_exact:
            yield _("%(span)s of that time were paused and do not count.") % {"span": length(limit.paused)}
        else:
            yield _("%(span)s of counting time were paused and are added after the last day: until %(at)s.") % {
                "span": length(limit.paused),
                "at": self._at(limit.used_up_at),
            }

    def _roll(self, limit: _Limit) -> Iterator[str]:
        if limit.terms.roll is clock.Roll.NONE:
            return
        if limit.due_at == limit.used_up_at:
            yield _("That date has an opening, so it is not moved to another business day.")
        elif limit.due_at == limit.due_without_pauses and limit.used_up_at != limit.used_up_without_pauses:
            yield _("Without the pauses it would be moved to %(at)s, and a pause never brings it forward.") % {
                "at": self._at(limit.due_at)
            }
        else:
            yield _("That date has no opening, so it is moved to the next business day: %(at)s.") % {
                "at": self._at(limit.due_at)
            }

    def _without_number(self) -> Iterator[str]:
        yield _("The clause gives no number, so there is no due time and nothing can be overdue.")
        target = self.terms.target and self.terms.target.allowance
        if self.plan.target_at and target:
            yield _("Our own target, which is no part of the contract, is %(target)s: %(at)s.") % {
                "target": allowance_in_words(target.amount, target.unit),
                "at": self._at(self.plan.target_at),
            }

    def _moment(self, moment: Moment) -> str:
        return _("%(what)s at %(at)s, to %(audience)s.") % {
            "what": moment_in_words(moment, self.terms),
            "at": self._at(moment.at),
            "audience": audience_in_words(moment.audience),
        }


def moment_in_words(moment: Moment, terms: AgreedTerms) -> str:
    """`Warning (50 % of the allowance)`, `Holding notice (90 % of the allowance)`, `“Overdue”`."""
    kind = str(MOMENTS[moment.kind])
    if moment.kind == MomentKind.OVERDUE:
        return kind
    if moment.kind == MomentKind.HOLDING:
        return _("%(kind)s (%(percent)d %% of the allowance)") % {"kind": kind, "percent": terms.holding_percent or 0}
    warning = next((warning for warning in terms.warnings if warning.key == moment.key), None)
    if warning is None:
        return kind
    if warning.percent is not None:
        return _("%(kind)s (%(percent)d %% of the allowance)") % {"kind": kind, "percent": warning.percent}
    return _("%(kind)s (%(minutes)d minutes before its end)") % {"kind": kind, "minutes": warning.minutes_before or 0}


def audience_in_words(audience: Iterable[str]) -> str:
    return ", ".join(str(AUDIENCES[name]) for name in audience)


def _outside(spans: Iterable[Span], pauses: clock.Pauses) -> Iterator[Span]:
    """What of the spans lies in no pause."""
    ordered = sorted(pauses)
    for begins_at, ends_at in spans:
        for paused_at, resumed_at in ordered:
            if resumed_at <= begins_at or paused_at >= ends_at or paused_at == resumed_at:
                continue
            if paused_at > begins_at:
                yield begins_at, paused_at
            begins_at = max(begins_at, resumed_at)
        if begins_at < ends_at:
            yield begins_at, ends_at
