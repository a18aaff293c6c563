"""The page “What we learn”: what the reviews of a period have in common, in tables, pictures of them, and files."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import django_filters
from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotAllowed
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.functional import Promise, cached_property
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from agreements.models import ServiceAgreement, Severity
from config import charts, exports, instants, proof, times, turns
from config.admin import READING_METHODS, list_of
from config.filters import NameFilter
from config.forms import DayField, DayInput
from config.periods import Period, month_after
from incidents.models import AffectedService, Incident
from incidents.models.incident import IncidentQuerySet
from reviews import learning
from reviews.learning import Question
from reviews.models import CorrectiveAction, FactorKind, Finding, PostIncidentReview
from reviews.phases import PhaseName
from reviews.tables import Table

PAGE, EXPORT = "reviews_learning", "reviews_learning_export"
PERMISSION = "reviews.view_postincidentreview"
MOST_MONTHS = 36  # of one picture
USUAL_MONTHS = 12

KIND_TONES: dict[FactorKind, charts.Tone] = {
    FactorKind.TECHNICAL: "run",
    FactorKind.PROCESS: "high",
    FactorKind.HUMAN: "ok",
    FactorKind.EXTERNAL: "off",
}
#: What becomes of an action: its count in learning.Done, what it is called, its tone.
BECAME: tuple[tuple[str, str | Promise, charts.Tone], ...] = (
    ("on_time", _("Done on time"), "ok"),
    ("late", _("Done late"), "high"),
    ("overdue", _("Overdue"), "crit"),
    ("open", _("Open, not due yet"), "run"),
    ("dropped", _("Dropped"), "off"),
)


# ── what is asked ───────────────────────────────────────────────────────────────────────────────────────────────────


class PeriodForm(forms.Form):
    """Both days are there, the first is not after the last, and the months between fit into a picture."""

    def clean(self) -> dict[str, Any]:
        first, last = self.cleaned_data.get("since"), self.cleaned_data.get("until")
        if first and last and first > last:
            self.add_error("until", _("It ends before it begins."))
        elif first and last and len(Period(first, last).months) > MOST_MONTHS:
            self.add_error("since", _("At most %(count)d months. Choose a later day.") % {"count": MOST_MONTHS})
        return self.cleaned_data


def day_filter(label: str | Promise) -> django_filters.DateFilter:
    """Of the period, which narrows nothing by itself: what is counted has it each in its own way."""
    made = django_filters.DateFilter(label=label, widget=DayInput, method="as_they_are")
    made.field_class = DayField
    return made


class LearningFilter(django_filters.FilterSet):  # type: ignore[misc]  # the library ships no types
    """Of incidents; without a period it is this month and the eleven before."""

    since = day_filter(_("From"))
    until = day_filter(_("Until"))
    client = NameFilter(ServiceAgreement.client.field, label=_("Client"), reach=IncidentQuerySet.of_clients)
    service = NameFilter(AffectedService.service.field, label=_("Service"), reach=IncidentQuerySet.affecting)
    severity = django_filters.ChoiceFilter(choices=Severity.choices, label=_("Severity"), empty_label=_("All"))
    kind = django_filters.ChoiceFilter(
        choices=FactorKind.choices, label=_("Kind of factor"), empty_label=_("All"), method="by_kind"
    )

    class Meta:
        model = Incident
        fields = ()
        form = PeriodForm

    def __init__(self, request: HttpRequest, today: dt.date) -> None:
        month = today.replace(day=1)
        begins, ends = (month_after(month, number) for number in (1 - USUAL_MONTHS, 1))
        self.usual = Period(begins, ends - dt.timedelta(days=1))
        asked = request.GET.copy()
        for name, day in zip(("since", "until"), self.usual, strict=True):
            asked[name] = asked.get(name, "").strip() or day.isoformat()
        super().__init__(asked, queryset=learning.incidents(request.user), request=request)
        self.typed = {name: str(value) for name, value in request.GET.items() if name in self.filters and value}

    def as_they_are(self, queryset: IncidentQuerySet, name: str, value: dt.date) -> IncidentQuerySet:
        return queryset

    def by_kind(self, queryset: IncidentQuerySet, name: str, value: str) -> IncidentQuerySet:
        return learning.with_kind(queryset, value, self.request.user)

    @property
    def question(self) -> Question:
        """By what can be understood of what was typed."""
        found = self.form.cleaned_data if self.form.is_valid() else self.form.cleaned_data | self.usual._asdict()
        period = Period(found.get("since") or self.usual.first, found.get("until") or self.usual.last)
        return Question(self.qs, period, self.request.user, found.get("kind") or "")


# ── tables ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _month(month: dt.date) -> str:
    return f"{month:%Y-%m}"


def _short(month: dt.date) -> str:
    """On a picture: `Nov`, and with the year in January."""
    return date_format(month, "M y" if month.month == 1 else "M")


@dataclass(frozen=True)
class Tables:
    """Each is counted when it is asked for; those of factors share what they count."""

    question: Question
    now: dt.datetime

    @property
    def months(self) -> list[dt.date]:
        return self.question.period.months

    @cached_property
    def factors(self) -> learning.Factors:
        return learning.factors(self.question)

    @property
    def _over(self) -> str:
        return _now("Counted in %(reviews)d reviews that were not waived; in %(without)d of them none was found.") % {
            "reviews": self.factors.reviews,
            "without": self.factors.without,
        }

    def kinds(self) -> Table:
        found = self.factors.by_kind
        kinds = [FactorKind(self.question.kind)] if self.question.kind else list(FactorKind)
        series = [charts.Series(k.label, KIND_TONES[k], [found[k][m] for m in self.months]) for k in kinds]
        title = _now("Contributing factors by kind and month")
        rows = [[_month(m), *(found[kind][m] for kind in kinds), sum(found[k][m] for k in kinds)] for m in self.months]
        totals = [found[kind].total() for kind in kinds]
        picture = charts.columns("kinds", title, [_short(month) for month in self.months], series)
        return Table(
            "kinds",
            title,
            Finding,
            f"{self._over} {_now('A factor counts in the month in which its incident was detected.')}",
            [_now("Month"), *(str(kind.label) for kind in kinds), _now("All")],
            [[_now("All"), *totals, sum(totals)], *reversed(rows)] if self.factors.total else [],
            [("", picture)] if self.factors.total else (),
            _now("No factor was found in these reviews."),
        )

    def services(self) -> Table:
        rows = self.factors.by_service.items()
        return Table(
            "services",
            _now("Contributing factors by service and month"),
            Finding,
            f"{self._over} {_now('A factor counts once for each service of its incident.')}",
            [_now("Service"), _now("All"), *(_month(month) for month in reversed(self.months))],
            [[name, n.total(), *(n[month] for month in reversed(self.months))] for name, n in rows],
            when_empty=_now("No factor was found in these reviews."),
        )

    def recurring(self) -> Table:
        return Table(
            "recurring",
            _now("Factors that come again"),
            Finding,
            f"{self._over} {_now('These were found in two reviews or more.')}",
            [_now("Contributing factor"), _now("Kind"), _now("Reviews")],
            [[one.name, str(one.kind.label), one.reviews] for one in self.factors.recurring],
            when_empty=_now("No factor was found twice."),
        )

    def again(self) -> Table:
        return Table(
            "again",
            _now("Services that are affected again"),
            Incident,
            _now(
                "Of %(count)d incidents that were detected in the period, those of services that had more than one. "
                "“Soon” are those that came within %(days)d days after the one before."
            )
            % {"count": self.detected, "days": learning.SOON.days},
            [_now("Service"), _now("Incidents"), _now("Soon again")],
            learning.again(self.question),
            when_empty=_now("No service was affected twice."),
        )

    @cached_property
    def detected(self) -> int:
        return self.question.detected.count()

    def actions(self) -> Table:
        found = learning.actions(self.question, timezone.localdate(self.now))
        whole = sum(found.values(), learning.Done())
        title = _now("Corrective actions by the month they were due")
        labels = [_short(month) for month in found]
        series = [charts.Series(name, tone, [getattr(n, key) for n in found.values()]) for key, name, tone in BECAME]
        said = _now(
            "%(count)d corrective actions fall due in the period. The share is of those that were done or are overdue: "
            "%(decided)d."
        )
        rows = [[_month(month), *self._done(n)] for month, n in found.items()]
        return Table(
            "actions",
            title,
            CorrectiveAction,
            said % {"count": whole.total, "decided": whole.decided},
            [_now("Month"), _now("On time, %"), *(str(name) for _key, name, _tone in BECAME), _now("All")],
            [[_now("All"), *self._done(whole)], *reversed(rows)] if whole.total else [],
            [("", charts.columns("actions", title, labels, series))] if whole.total else (),
            _now("No corrective action falls due in this period."),
        )

    @staticmethod
    def _done(counted: learning.Done) -> list[int | None]:
        return [counted.share, *(getattr(counted, key) for key, _name, _tone in BECAME), counted.total]

    def phases(self) -> Table:
        found = learning.took(self.question)
        rows = [
            [str(phase.label), str(severity.label), took.incidents, took.median, took.ninetieth]
            for phase in PhaseName
            for severity in Severity
            if (took := found[severity].get(phase))
        ]
        return Table(
            "phases",
            _now("Time per phase by severity"),
            Incident,
            _now(
                "Of %(count)d incidents that were detected in the period, reviewed or not, those that came to the end "
                "of the phase. Half of them took at most the median; nine in ten at most what the mark shows."
            )
            % {"count": self.detected},
            [_now("Phase"), _now("Severity"), _now("Incidents"), _now("Median"), _now("Nine in ten")],
            rows,
            [picture for phase in PhaseName if (picture := _picture(phase, found))],
            _now("No incident came to the end of a phase."),
        )

    def owed(self) -> Table:
        found = learning.owed(self.question, self.now)
        rows = [
            [_now("Approved by the day it was due"), found.in_time],
            [_now("Late"), found.late],
            [_now("Not due yet"), found.running],
            [_now("Owed without a day"), found.undated],
            [_now("Waived"), found.waived],
            [_now("Opened although none was owed"), found.wanted],
        ]
        return Table(
            "owed",
            _now("Reviews that were owed"),
            PostIncidentReview,
            _now("%(owed)d reviews of these incidents were owed; late is also one whose day passed without approval.")
            % {"owed": found.total},
            [_now("What became of it"), _now("Reviews")],
            rows if found.total + found.wanted else [],
            when_empty=_now("None of these incidents has a review."),
        )


def _picture(phase: PhaseName, found: dict[Severity, dict[PhaseName, learning.Took]]) -> tuple[str, SafeString] | None:
    bars = [
        charts.Bar(
            severity.label, took.median.total_seconds(), took.ninetieth.total_seconds(), times.duration(took.median)
        )
        for severity in Severity
        if (took := found[severity].get(phase))
    ]
    title = _now("%(phase)s: median, by severity") % {"phase": phase.label}
    return (str(phase.label), charts.bars(title, bars)) if bars else None


#: The tables in the order of the page, by their names in addresses.
TABLES: dict[str, Callable[[Tables], Table]] = {
    "kinds": Tables.kinds,
    "services": Tables.services,
    "recurring": Tables.recurring,
    "again": Tables.again,
    "actions": Tables.actions,
    "phases": Tables.phases,
    "owed": Tables.owed,
}


# ── the page and its files ──────────────────────────────────────────────────────────────────────────────────────────


def urls() -> list[URLPattern]:
    return [
        path("learning/", admin.site.admin_view(page), name=PAGE),
        path("learning/<slug:table>.csv", admin.site.admin_view(export), name=EXPORT),
    ]


@turns.one_at_a_time
def page(request: HttpRequest) -> HttpResponse:
    if request.method not in READING_METHODS:
        return HttpResponseNotAllowed(READING_METHODS)
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied
    now = timezone.now()
    filters = LearningFilter(request, timezone.localdate(now))
    counted = Tables(filters.question, now)
    asked = f"?{urlencode(filters.typed)}" if filters.typed else ""
    tables = [(make(counted), f"{reverse(f'admin:{EXPORT}', args=[slug])}{asked}") for slug, make in TABLES.items()]
    context = {
        **admin.site.each_context(request),
        "opts": PostIncidentReview._meta,
        "title": _now("What we learn"),
        "form": filters.form,
        "media": filters.form.media,
        "filters_set": len(filters.typed),
        "has_any": any(table.rows for table, _url in tables),
        "period": filters.question.period,
        "tables": tables,
        "list_url": list_of(PostIncidentReview),
        "incidents_url": list_of(Incident),
    }
    return TemplateResponse(request, "admin/reviews/learning.html", context)


@proof.required
@turns.one_at_a_time
def export(request: HttpRequest, table: str) -> HttpResponseBase:
    """One table as it is on the page of the same address, whole."""
    if request.method != "GET":
        return HttpResponseNotAllowed(["GET"])
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied
    if table not in TABLES:
        raise Http404
    by: Any = request.user  # the site lets nobody in who is not signed in
    now = instants.now()
    filters = LearningFilter(request, timezone.localdate(now))
    made = TABLES[table](Tables(filters.question, now))
    query = urlencode({"table": table, **filters.question.period._asdict(), **filters.typed})
    return exports.table(made.lines, of=made.of, called=made.title, query=query, by=by, now=now)
