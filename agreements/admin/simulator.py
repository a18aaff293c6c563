"""The page that asks what would happen: an instant and a severity in, every due time and mail out. Writes nothing."""

from __future__ import annotations

import datetime as dt
import itertools
import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from agreements.clock import Calendar, ClockError, openings
from agreements.explanation import exactly
from agreements.models import Commitment, ServiceAgreement, Severity, StartEvent
from agreements.simulation import Mail, SimulatedDeadline, Simulation, simulate
from agreements.terms import MomentKind
from config import times, zones
from config.admin import READING_METHODS, AuditedModelAdmin, Button, act_url, page_of
from config.forms import InstantField

SLUG = "simulate"
LABEL = _("Simulate")

_FRIDAY = 4
_OTHER_EVENTS = (
    StartEvent.OCCURRED,
    StartEvent.AWARE,
    StartEvent.CLASSIFIED,
    StartEvent.ACKNOWLEDGED,
    StartEvent.RESOLVED,
)


class Question(forms.Form):
    """What is asked. Instants are typed in the calendar's zone, which the caller has made the current one."""

    detected_at = InstantField(label=_("Detected at"))
    severity = forms.ChoiceField(label=_("Severity"), choices=Severity.choices)
    occurred_at = InstantField(label=_("Happened at"), required=False)
    aware_at = InstantField(label=_("Aware at"), required=False, help_text=_("Left out: when it was detected."))
    classified_at = InstantField(label=_("Classified at"), required=False)
    acknowledged_at = InstantField(label=_("Acknowledged at"), required=False)
    resolved_at = InstantField(label=_("Resolved at"), required=False)

    def __init__(self, *args: Any, followed: Iterable[Commitment], **options: Any) -> None:
        super().__init__(*args, **options)
        for commitment in followed:
            said = {"name": commitment.name_in_words(), "severity": commitment.get_severity_display()}
            self.fields[f"met_{commitment.pk}"] = InstantField(
                label=_now("“%(name)s” (%(severity)s) met at") % said,
                required=False,
                help_text=_("Left out: exactly when it is due."),
            )

    def clean(self) -> dict[str, Any]:
        typed: dict[str, Any] = super().clean() or {}
        detected_at = typed.get("detected_at")
        for name in ("acknowledged_at", "resolved_at"):
            if detected_at and typed.get(name) and typed[name] < detected_at:
                self.add_error(name, _("This cannot be before detection."))
        if detected_at and typed.get("occurred_at") and typed["occurred_at"] > detected_at:
            self.add_error("occurred_at", _("It cannot happen after it was detected."))
        return typed

    @property
    def events(self) -> dict[str, dt.datetime]:
        typed = {event: self.cleaned_data.get(f"{event.value}_at") for event in _OTHER_EVENTS}
        return {event: at for event, at in typed.items() if at is not None}

    @property
    def met(self) -> dict[int, dt.datetime]:
        typed = {name: at for name, at in self.cleaned_data.items() if name.startswith("met_") and at is not None}
        return {int(name.removeprefix("met_")): at for name, at in typed.items()}

    def first_fields(self) -> list[SafeString]:
        return [self[name].as_field_group() for name in ("detected_at", "severity")]

    def other_fields(self) -> list[SafeString]:
        return [bound.as_field_group() for bound in self if bound.name not in ("detected_at", "severity")]

    def has_other_fields_typed(self) -> bool:
        return any(self.data.get(bound.name) for bound in self if bound.name not in ("detected_at", "severity"))


class Simulating(AuditedModelAdmin):
    """The admin of agreements with the simulator: a page at `<id>/simulate/` for everybody who may see an agreement."""

    def get_urls(self) -> list[URLPattern]:
        name = f"{self.opts.app_label}_{self.opts.model_name}_{SLUG}"
        view: Any = self.admin_site.admin_view(self.simulate_view)
        return [path(f"<int:object_id>/{SLUG}/", view, name=name), *super().get_urls()]

    def buttons(self, request: HttpRequest, obj: models.Model) -> list[Button]:
        shown = [Button(LABEL, act_url(obj, SLUG), SLUG)] if self.has_view_permission(request, obj) else []
        return [*super().buttons(request, obj), *shown]

    def simulate_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        if request.method not in READING_METHODS:
            return HttpResponseNotAllowed(READING_METHODS)
        if not self.has_view_permission(request):
            raise PermissionDenied
        agreements = self.get_queryset(request).select_related("client", "calendar", "owner")
        agreement = agreements.filter(pk=object_id).first()
        if agreement is None:
            raise Http404
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _now("Simulate: %(agreement)s") % {"agreement": agreement},
            "label": LABEL,
            "agreement": agreement,
            "agreement_url": page_of(agreement),
            **_answer(request, agreement),
        }
        return TemplateResponse(request, "admin/agreements/serviceagreement/simulate.html", context)


def _answer(request: HttpRequest, agreement: ServiceAgreement) -> dict[str, Any]:
    """The form as it was typed, and what follows from it where it can be computed."""
    commitments = list(agreement.commitments.all())
    followed_ids = {commitment.follows_id for commitment in commitments}
    followed = [commitment for commitment in commitments if commitment.pk in followed_ids]
    simulation = None
    with timezone.override(zones.zone(agreement.calendar.time_zone)):
        data = request.GET if "detected_at" in request.GET else _first_question(commitments, timezone.localtime())
        form = Question(data, followed=followed)
        if form.is_valid():
            try:
                simulation = _simulated(agreement, form)
            except ClockError as error:
                form.add_error(None, ValidationError(_(error.sentence), params=error.values))
        fields = {"first_fields": form.first_fields(), "other_fields": form.other_fields()}
    context: dict[str, Any] = {
        **fields,
        "form": form,
        "has_more_open": form.has_other_fields_typed(),
        "simulation": simulation,
    }
    if simulation is not None:
        context |= {"rows": list(_rows(simulation)), "picture": Picture.of(simulation)}
    return context


def _first_question(commitments: Sequence[Commitment], local_now: dt.datetime) -> dict[str, str]:
    """The classic: the worst severity that is agreed, on the coming Friday five minutes to six."""
    agreed = {commitment.severity for commitment in commitments}
    severity = next((severity for severity in Severity if severity in agreed), Severity.CRITICAL)
    friday = local_now.date() + dt.timedelta(days=(_FRIDAY - local_now.weekday()) % 7)
    return {"detected_at": f"{friday.isoformat()}T17:55", "severity": severity.value}


def _simulated(agreement: ServiceAgreement, form: Question) -> Simulation:
    asked = form.cleaned_data
    return simulate(
        agreement, severity=asked["severity"], detected_at=asked["detected_at"], events=form.events, met=form.met
    )


# ── the table ───────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Row:
    """One deadline as the page shows it."""

    deadline: SimulatedDeadline
    due: SafeString | str
    after: str  # how long after detection it is due
    done: SafeString | str
    mails: tuple[tuple[Mail, SafeString], ...]


def _rows(simulation: Simulation) -> Iterator[Row]:
    zone_name = simulation.agreement.client.time_zone
    for deadline in simulation.deadlines:
        after = ""
        if deadline.due_at is not None and deadline.due_at >= simulation.detected_at:
            span = times.duration(deadline.due_at - simulation.detected_at)
            after = _now("%(span)s after detection") % {"span": span}
        mails = tuple((mail, in_both_zones(mail.at, zone_name)) for mail in deadline.mails)
        done = in_both_zones(deadline.done_at, zone_name) if deadline.done_at else ""
        yield Row(deadline, _due(deadline, zone_name), after, done, mails)


def _due(deadline: SimulatedDeadline, zone_name: str) -> SafeString | str:
    if deadline.started_at is None:
        return _now("waits for %(event)s") % {"event": deadline.waits_for}
    if deadline.due_at is None:
        return _now("no due time")
    return in_both_zones(deadline.due_at, zone_name)


def in_both_zones(instant: dt.datetime, zone_name: str) -> SafeString:
    """With its weekday in the reader's zone, and below it in the client's where that is another."""
    reader_zone = timezone.get_current_timezone_name()
    shown = format_html('<time datetime="{}">{}</time>', instant.isoformat(), exactly(instant, reader_zone))
    if reader_zone == zone_name:
        return shown
    return format_html(
        '{}<br><small>{} <span class="nowrap">{}</span></small>',
        shown,
        _now("for the client"),
        exactly(instant, zone_name),
    )


# ── the picture ─────────────────────────────────────────────────────────────────────────────────────────────────────

_LEFT, _RIGHT, _TOP, _ROW = 200, 740, 34, 30
_ROOM_OF_A_TICK = 64
_MOST_BANDS = 60  # of closed time; more would be a grey wall


@dataclass(frozen=True)
class Mark:
    """A moment on a bar."""

    kind: str
    x: int
    square_x: int


@dataclass(frozen=True)
class Bar:
    """One deadline: from its start to its due time, or to the edge where it has none, or only words where it waits."""

    name: str
    y: int
    x: int
    width: int
    kind: str  # timed, open or waiting
    words: str
    marks: tuple[Mark, ...] = ()

    @property
    def text_y(self) -> int:
        return self.y + 14

    @property
    def middle(self) -> int:
        return self.y + 9

    @property
    def square_y(self) -> int:
        return self.y + 4

    @property
    def end(self) -> int:
        return self.x + self.width

    @property
    def bottom(self) -> int:
        return self.y + 20


@dataclass(frozen=True)
class Tick:
    x: int
    label: str

    @property
    def anchor(self) -> str:
        """The last one ends at the edge instead of being cut off there."""
        return "end" if self.x >= _RIGHT - _ROOM_OF_A_TICK // 2 else "middle"


@dataclass(frozen=True)
class Band:
    """Time in which the calendar is closed."""

    x: int
    width: int


@dataclass(frozen=True)
class Picture:
    """A line of time per deadline, with the time in which the calendar is closed behind them."""

    bars: tuple[Bar, ...]
    ticks: tuple[Tick, ...]
    bands: tuple[Band, ...]
    height: int

    @classmethod
    def of(cls, simulation: Simulation) -> Picture | None:
        """None where nothing starts."""
        scale = _Scale.of(simulation)
        if scale is None:
            return None
        bars = tuple(scale.bar(deadline, number) for number, deadline in enumerate(simulation.deadlines))
        ticks = tuple(scale.ticks(simulation.deadlines))
        bands = tuple(scale.closed(simulation.deadlines[0].terms.calendar))
        return cls(bars, ticks, bands, _TOP + _ROW * len(bars) + 6)

    @property
    def top(self) -> int:
        return _TOP - 8

    @property
    def depth(self) -> int:
        return self.bottom - self.top

    @property
    def bottom(self) -> int:
        return self.height - 6


@dataclass(frozen=True)
class _Scale:
    """Long stretches in which nothing happens are shortened, so that a weekend does not hide an hour."""

    knots: tuple[tuple[dt.datetime, float], ...]  # instants with their x, in order

    @classmethod
    def of(cls, simulation: Simulation) -> _Scale | None:
        started = [deadline for deadline in simulation.deadlines if deadline.started_at is not None]
        if not started:
            return None
        instants = {simulation.detected_at}
        for deadline in started:
            found = (deadline.started_at, deadline.due_at, *(mail.at for mail in deadline.mails))
            instants |= {instant for instant in found if instant is not None}
        ordered = sorted(instants)
        weights = [1 + math.log1p(_minutes(b - a) / 15) for a, b in itertools.pairwise(ordered)]
        unit = (_RIGHT - _LEFT) / (sum(weights) or 1)
        places = itertools.accumulate(weights, initial=0.0)
        return cls(tuple((instant, _LEFT + place * unit) for instant, place in zip(ordered, places, strict=True)))

    def x(self, instant: dt.datetime) -> int:
        """Between two knots in proportion."""
        number = bisect_right(self.knots, instant, key=lambda knot: knot[0])
        if number in (0, len(self.knots)):
            return round(self.knots[max(number - 1, 0)][1])
        (before, low), (after, high) = self.knots[number - 1], self.knots[number]
        return round(low + (high - low) * ((instant - before) / (after - before)))

    def bar(self, deadline: SimulatedDeadline, number: int) -> Bar:
        y = _TOP + number * _ROW
        if deadline.started_at is None:
            words = _now("waits for %(event)s") % {"event": deadline.waits_for}
            return Bar(deadline.name, y, _LEFT, 0, "waiting", words)
        x = self.x(deadline.started_at)
        if deadline.due_at is None:
            return Bar(deadline.name, y, x, max(_RIGHT - x, 4), "open", _now("no due time"))
        marks = tuple(
            Mark(mail.moment.kind, self.x(mail.at), self.x(mail.at) - 5)
            for mail in deadline.mails
            if mail.moment.kind != MomentKind.OVERDUE
        )
        return Bar(deadline.name, y, x, max(self.x(deadline.due_at) - x, 3), "timed", "", marks)

    def ticks(self, deadlines: Iterable[SimulatedDeadline]) -> Iterator[Tick]:
        """At the beginning, and wherever something is due and there is room to say when."""
        first = self.knots[0][0]
        yield Tick(_LEFT, _now("start"))
        taken = _LEFT
        for due_at in sorted(deadline.due_at for deadline in deadlines if deadline.due_at is not None):
            if self.x(due_at) - taken >= _ROOM_OF_A_TICK:
                taken = self.x(due_at)
                yield Tick(taken, times.duration(due_at - first))

    def closed(self, calendar: Calendar) -> list[Band]:
        first, last = self.knots[0][0], self.knots[-1][0]
        bands = []
        for opens_at, closes_at in [*openings(calendar, first, last), (last, last)]:
            if opens_at > first:
                bands.append(Band(self.x(first), self.x(opens_at) - self.x(first)))
            first = closes_at
        return bands if len(bands) <= _MOST_BANDS else []


def _minutes(span: dt.timedelta) -> float:
    return span / dt.timedelta(minutes=1)
