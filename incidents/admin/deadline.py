"""Deadlines: how one reads on the board and on its incident's page, and their own list and page."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import django_filters
from django.contrib import admin
from django.db.models import F, Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from agreements.explanation import AUDIENCES, Explanation, exactly, explain
from agreements.explanation import MOMENTS as MOMENTS  # shown by the incident's page too
from agreements.models import Obligation, Severity
from agreements.models.commitment import event_in_words
from config import scope, times
from config.admin import act_url, both_zones, link, page_of
from config.filters import FilteredAdmin, NameFilter, PersonFilter, Tab, TickFilter, days
from config.models import User
from incidents.admin import badges, present_terms
from incidents.admin.verbs import SERVES, presets_for
from incidents.models import Deadline, Incident, Responder, Standing
from incidents.models.deadline import DeadlineQuerySet, read_terms


@dataclass(frozen=True)
class Action:
    """The button that does what a deadline asks."""

    label: str | Promise
    url: str
    slug: str


@dataclass(frozen=True)
class DeadlineRow:
    """One deadline as a person reads it at `now`."""

    deadline: Deadline
    now: dt.datetime
    action: Action | None = None

    @property
    def what(self) -> str:
        what, label = self.deadline.get_obligation_display(), self.deadline.commitment.label
        return f"{what} ({label})" if label else what

    @property
    def incident_url(self) -> str:
        return page_of(self.deadline.incident)

    @property
    def allowance(self) -> str:
        return self.deadline.terms_in_words

    @property
    def clause(self) -> str:
        number = self.deadline.commitment.clause_number
        return _now("clause %(number)s") % {"number": number} if number else ""

    @property
    def standing(self) -> Standing:
        return self.deadline.standing(self.now)

    @property
    def standing_badge(self) -> SafeString:
        """Turns by itself at its instants, where only time has to pass."""
        deadline = self.deadline
        if deadline.due_at is None or not self.is_counting:
            return badges.standing(self.standing)
        return badges.turning(self.standing, at_risk_at=deadline.at_risk_at, due_at=deadline.due_at)

    @property
    def is_counting(self) -> bool:
        """Whether time alone changes how it reads."""
        deadline = self.deadline
        return deadline.is_open and deadline.started_at is not None and deadline.paused_at is None

    @property
    def severity_badge(self) -> SafeString:
        return badges.severity(self.deadline.severity)

    @property
    def time_left(self) -> str:
        """`3 h 48 min left`, `overdue by 41 min`, `met 22 min early`: never a bare number."""
        deadline = self.deadline
        if deadline.ended_at:
            return deadline.end_reason
        if deadline.due_at is None:
            return self._without_due_time()
        if deadline.is_open and deadline.paused_at:
            return _now("paused since %(time)s") % {"time": times.for_reader(deadline.paused_at)}
        done_at = deadline.met_at or self.now
        span = times.duration(abs(deadline.due_at - done_at))
        if deadline.met_at:
            early, late = _now("met %(span)s early"), _now("met %(span)s late")
            return (early if done_at <= deadline.due_at else late) % {"span": span}
        left, over = _now("%(span)s left"), _now("overdue by %(span)s")
        return (left if done_at <= deadline.due_at else over) % {"span": span}

    @property
    def countdown(self) -> SafeString | str:
        """`time_left` as countdown.js keeps it right, with seconds in the last hour; plain where nothing counts."""
        until = self.deadline.due_at or self.deadline.started_at
        if not self.is_counting or until is None:
            return self.time_left
        left, over = _now("%(span)s left"), _now("overdue by %(span)s")
        if self.deadline.due_at is None:
            left = over = _now("%(span)s so far")
        span = until - self.now
        is_left = span >= dt.timedelta(0)
        words = left % {"span": times.countdown(span)} if is_left else over % {"span": times.duration(-span)}
        return format_html(
            '<time role="timer" data-countdown datetime="{}" data-left="{}" data-over="{}">{}</time>',
            until.isoformat(),
            left,
            over,
            words,
        )

    @property
    def used_up(self) -> int | None:
        """How much of the time to its due instant has passed, in percent; none where there is no such time."""
        return self._share(self.now)

    @property
    def at_risk_from(self) -> int | None:
        """The same of the instant from which it is at risk."""
        return self._share(self.deadline.at_risk_at) if self.deadline.at_risk_at else None

    def _share(self, instant: dt.datetime) -> int | None:
        started_at, due_at = self.deadline.started_at, self.deadline.due_at
        if started_at is None or due_at is None or due_at <= started_at:
            return None
        return min(max(round(100 * ((instant - started_at) / (due_at - started_at))), 0), 100)

    def _without_due_time(self) -> str:
        if self.deadline.met_at:
            return _now("done %(time)s") % {"time": times.for_reader(self.deadline.met_at)}
        if self.deadline.started_at is None:
            event = event_in_words(self.deadline.start_event, self.deadline.terms.follows)
            return _now("waits for %(event)s") % {"event": event}
        since = times.duration(self.now - self.deadline.started_at)
        return _now("%(span)s so far") % {"span": since}

    @property
    def due(self) -> SafeString | str:
        if self.deadline.due_at is None:
            return _now("no due time")
        return both_zones(self.deadline.due_at, self.deadline.client.time_zone)


def rows(deadlines: Sequence[Deadline], *, now: dt.datetime, by: User | None = None) -> list[DeadlineRow]:
    """Rows with the terms of all in one query, and with buttons where `by` may press them."""
    read_terms(deadline.terms_copy_id for deadline in deadlines)
    may_act = by is not None and by.has_perm("incidents.change_incident")
    return [DeadlineRow(deadline, now, action_for(deadline) if may_act else None) for deadline in deadlines]


def action_for(deadline: Deadline) -> Action | None:
    verb = SERVES[deadline.obligation]
    if not deadline.is_open or deadline.started_at is None or deadline.incident.status not in verb.lawful_in:
        return None
    query = urlencode(presets_for(deadline))
    address = act_url(deadline.incident, verb.slug)
    return Action(verb.label, f"{address}?{query}" if query else address, verb.slug)


#: Of a deadline and of what it belongs to, what a row shows; the rest would take as long again to read.
READ = (
    *("obligation", "severity", "start_event", "terms_copy"),
    *("started_at", "due_at", "at_risk_at", "paused_at", "met_at", "ended_at", "end_reason"),
    *("incident__reference", "incident__title", "incident__status", "client__name", "client__time_zone"),
    *("agreement__reference", "agreement__version", "commitment__label", "commitment__clause_number"),
)


def readable(deadlines: DeadlineQuerySet) -> DeadlineQuerySet:
    """With everything that a row shows, nearest due time first, then those without a number, then those that wait."""
    found = deadlines.select_related("incident", "client", "agreement", "commitment").only(*READ)
    return found.order_by(F("due_at").asc(nulls_last=True), F("started_at").asc(nulls_last=True), "pk")


#: Of a responder, what `responders_in_words` reads.
NAMES = ("user__username", "user__first_name", "user__last_name")


def responders_in_words(incident: Any) -> str:
    """Of an incident that comes with its `team` of responders."""
    names = dict.fromkeys(responder.user.get_full_name() or responder.user.username for responder in incident.team)
    return ", ".join(names)


# ── why it is due then ────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Setting:
    """Who set an instant, and when: from the history row that wrote the value that holds now."""

    actor_name: str
    at: dt.datetime
    reason: str

    @classmethod
    def of(cls, row: Incident | Deadline, name: str) -> Setting | None:
        """None where the trail does not know, as for an incident that was written before its first row."""
        history: Any = row.history
        written = history.order_by("-history_date", "-history_id").values_list(
            name, "actor_name", "history_date", "history_change_reason"
        )
        setting = None
        for value, actor_name, at, reason in written.iterator():
            if value != getattr(row, name):
                break
            setting = cls(actor_name, at, reason or "")
        return setting


@dataclass(frozen=True)
class Why:
    """All that answers “why is it due then?” about one deadline."""

    deadline: Deadline
    told: Explanation | None  # None while it waits for its start event
    setting: Setting | None

    @classmethod
    def of(cls, deadline: Deadline) -> Why:
        if deadline.started_at is None:
            return cls(deadline, None, None)
        terms, incident = deadline.terms, deadline.incident
        told = explain(
            terms,
            deadline.started_at,
            start_event=deadline.start_event,
            cap_started_at=incident.instant_of(terms.cap_event) if terms.cap_event else None,
            pauses=[(pause.begins_at, pause.ends_at) for pause in incident.pauses.all() if pause.ends_at],
            is_new_cycle=deadline.begins_at is not None,
        )
        return cls(deadline, told, _setting_of_the_start(deadline))

    @property
    def event(self) -> str:
        return event_in_words(self.deadline.start_event, self.deadline.terms.follows)

    @property
    def zone_name(self) -> str:
        return self.deadline.terms.calendar.time_zone

    @property
    def paused_since(self) -> str:
        return exactly(self.deadline.paused_at, self.zone_name) if self.deadline.paused_at else ""

    @property
    def counted_anew(self) -> str:
        """Where today's count differs from what is stored, as new time zone rules can make it; else empty."""
        due_at = self.told.due_at if self.told else self.deadline.due_at
        if due_at == self.deadline.due_at or due_at is None:
            return ""
        return exactly(due_at, self.zone_name)

    @property
    def stored(self) -> str:
        return exactly(self.deadline.due_at, self.zone_name) if self.deadline.due_at else _now("no due time")


def _setting_of_the_start(deadline: Deadline) -> Setting | None:
    if deadline.begins_at is not None:
        return Setting.of(deadline, "begins_at")
    if deadline.follows is not None:
        return Setting.of(deadline.follows, "met_at")
    return Setting.of(deadline.incident, f"{deadline.start_event}_at")


# ── the list and the page ───────────────────────────────────────────────────────────────────────────────────────────


class DeadlineFilter(django_filters.FilterSet):  # type: ignore[misc]  # the library ships no types
    """Of the board and of the list."""

    client = NameFilter(Deadline.client.field, label=_("Client"))
    severity = django_filters.ChoiceFilter(choices=Severity.choices, label=_("Severity"), empty_label=_("All"))
    obligation = django_filters.ChoiceFilter(choices=Obligation.choices, label=_("Obligation"), empty_label=_("All"))
    standing = django_filters.ChoiceFilter(
        choices=Standing.choices, label=_("Standing"), empty_label=_("All"), method="by_standing"
    )
    mine = TickFilter(
        label=_("Mine"),
        method="by_me",
        help_text=_("Incidents that you respond to, and agreements that you answer for."),
    )

    class Meta:
        model = Deadline
        fields = ()

    def by_standing(self, queryset: DeadlineQuerySet, name: str, value: str) -> DeadlineQuerySet:
        return queryset.standing(value, timezone.now())

    def by_me(self, queryset: DeadlineQuerySet, name: str, value: bool) -> DeadlineQuerySet:
        return queryset.of(self.request.user) if value else queryset


#: Standings whose list is read from its end.
OVER = (Standing.MISSED, Standing.MET, Standing.ENDED)


def _of_responders(deadlines: QuerySet[Any], colleagues: Collection[int]) -> QuerySet[Any]:
    return deadlines.filter(incident__in=Incident.objects.answered_by(colleagues).order_by())


class DeadlineListFilter(DeadlineFilter):
    standing = django_filters.ChoiceFilter(
        choices=(("open", _("Open")), *Standing.choices),
        label=_("Standing"),
        empty_label=_("All"),
        method="by_standing",
    )
    agreement = NameFilter(Deadline.agreement.field, label=_("Agreement"))
    responder = PersonFilter(Responder.user.field, label=_("Responder"), reach=_of_responders)
    due_from, due_until = days("due_at", since=_("Due from"), until=_("Due until"))

    def by_standing(self, queryset: DeadlineQuerySet, name: str, value: str) -> DeadlineQuerySet:
        return queryset.open() if value == "open" else super().by_standing(queryset, name, value)


@admin.register(Deadline)
class DeadlineAdmin(FilteredAdmin):
    """Deadlines are started, moved, met and ended by verbs; here they are read."""

    instead_of_deleting = _("A deadline follows from its incident: correct that, or exclude the agreement.")
    is_read_only = True
    filterset_class = DeadlineListFilter
    tabs = (
        Tab(_("Open"), {"standing": "open"}),
        Tab(_("Mine"), {"standing": "open", "mine": "on"}),
        Tab(_("At risk"), {"standing": Standing.AT_RISK.value}),
        Tab(_("Missed"), {"standing": Standing.MISSED.value}),
        Tab(_("All"), {}),
    )
    search_fields = ("incident__words",)
    search_help_text = _("Reference of the incident, words of its title, client")
    list_display = (
        "due_in_both_zones",
        "standing_badge",
        "what",
        "incident_and_severity",
        "client_and_agreement",
        "responders",
    )
    export_columns = (
        "incident__reference",
        "incident__title",
        "client__name",
        "agreement",
        "obligation",
        "severity",
        admin.display(description=_("what is owed"))(lambda deadline: deadline.commitment.in_words()),
        admin.display(description=_("standing"))(lambda deadline: deadline.standing(timezone.now()).label),
        "started_at",
        "due_at",
        "met_at",
        "ended_at",
        "end_reason",
        admin.display(description=_("zone of the client"))(lambda deadline: deadline.client.time_zone),
    )
    change_list_template = "admin/incidents/deadline/change_list.html"
    list_select_related = ("incident", "client", "agreement", "commitment")
    fieldsets = (
        (None, {"fields": ("incident_link", "what", "client", "agreement", "severity_badge", "standing_badge")}),
        (_("When"), {"fields": ("start_event_label", "started_at", "due_in_both_zones", "at_risk_at", "met_at")}),
        (_("If it ended"), {"fields": ("ended_at", "end_reason")}),
        (_("What happens on the way"), {"fields": ("moments_in_words",)}),
        (_("How it was counted"), {"fields": ("cycle", "begins_at", "revision", "iana_version")}),
    )
    readonly_fields = (
        "incident_link",
        "what",
        "severity_badge",
        "standing_badge",
        "start_event_label",
        "due_in_both_zones",
        "moments_in_words",
    )

    def get_ordering(self, request: HttpRequest) -> Sequence[Any]:
        """What is open by due time; what is over, the latest first; all, the newest first, which an index has."""
        standing = request.GET.get("standing")
        if standing in OVER:
            return (F("due_at").desc(nulls_last=True), "-pk")
        return (F("due_at").asc(nulls_last=True), "pk") if standing else ("-pk",)

    def with_columns(self, rows: QuerySet[Any], reader: Any) -> QuerySet[Any]:
        team = Responder.objects.select_related("user").order_by("role", "pk")
        named = Prefetch("incident__responders", team.only("incident", *NAMES), to_attr="team")
        return rows.defer(
            "moments", "incident__description", "incident__client_summary", "agreement__clause"
        ).prefetch_related(named)

    @admin.display(description=_("due"), ordering="due_at")
    def due_in_both_zones(self, deadline: Deadline) -> SafeString | str:
        """On the list with how long that is from now."""
        row = DeadlineRow(deadline, timezone.now())
        return format_html("<strong>{}</strong><br>{}", row.time_left, row.due) if deadline.due_at else row.due

    @admin.display(description=_("client · agreement"), ordering="client__name")
    def client_and_agreement(self, deadline: Deadline) -> str:
        return f"{deadline.client} · {deadline.agreement}"

    @admin.display(description=_("responders"))
    def responders(self, deadline: Any) -> str:
        return responders_in_words(deadline.incident) or _now("nobody yet")

    @admin.display(description=_("what is owed"), ordering="obligation")
    def what(self, deadline: Deadline) -> str:
        return deadline.commitment.in_words()

    @admin.display(description=_("incident"), ordering="incident__reference")
    def incident_and_severity(self, deadline: Deadline) -> SafeString:
        incident = deadline.incident
        named = link(incident, incident.reference)
        return format_html("{} {}<br>{}", named, badges.severity(deadline.severity), incident.title)

    @admin.display(description=_("incident"))
    def incident_link(self, deadline: Deadline) -> SafeString:
        return link(deadline.incident)

    @admin.display(description=_("severity"), ordering="severity")
    def severity_badge(self, deadline: Deadline) -> SafeString:
        return badges.severity(deadline.severity)

    @admin.display(description=_("standing"))
    def standing_badge(self, deadline: Deadline) -> SafeString:
        return badges.standing(deadline.standing(timezone.now()))

    @admin.display(description=_("counted from"))
    def start_event_label(self, deadline: Deadline) -> str:
        return event_in_words(deadline.start_event, deadline.terms.follows)

    @admin.display(description=_("moments"))
    def moments_in_words(self, deadline: Deadline) -> SafeString | str:
        lines = [
            (
                times.for_reader(moment.at),
                MOMENTS[moment.kind],
                ", ".join(str(AUDIENCES[name]) for name in moment.audience),
                _now("raised") if deadline.was_raised(moment) else _now("not yet"),
            )
            for moment in deadline.planned_moments()
        ]
        if not lines:
            return _now("none")
        items = format_html_join("", "<li>{}: {} → {} ({})</li>", lines)
        return format_html('<ul class="plain">{}</ul>', items)

    def get_urls(self) -> list[URLPattern]:
        page = self.admin_site.admin_view(present_terms.page)
        return [path("present-terms/", page, name="incidents_deadline_present_terms"), *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context = {"why": self._why(request, object_id), **(extra_context or {})}
        return super().change_view(request, object_id, form_url, context)

    def _why(self, request: HttpRequest, object_id: str) -> Why | None:
        if not object_id.isdecimal() or not self.has_view_permission(request):
            return None  # which the page itself answers
        found = scope.visible(Deadline.objects.all(), request.user)
        found = found.select_related("incident", "agreement__calendar", "commitment", "follows")
        deadline = found.prefetch_related("incident__pauses").filter(pk=object_id).first()
        return Why.of(deadline) if deadline else None
