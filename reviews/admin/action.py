"""Corrective actions: the list of all of them, the page of one, acts on many."""

from __future__ import annotations

import datetime as dt
from typing import Any

import django_filters
from django import forms
from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from agreements.models import ServiceAgreement
from config import scope
from config.admin import badge, link
from config.bulk import BulkForm
from config.fields import ProseField
from config.filters import FilteredAdmin, NameFilter, PersonFilter, Tab
from config.forms import NATIVE_INPUTS, ActForm, DayField, DayInput, Done, reason_field
from config.history import history_of
from incidents.models import AffectedService, Incident, reaches_beyond
from reviews import lifecycle, owed
from reviews.admin.people import COLLEAGUES
from reviews.models import ActionKind, CorrectiveAction, Effect, PostIncidentReview, Priority
from reviews.models import CorrectiveActionQuerySet as Actions


class DueFilter(django_filters.DateFilter):  # type: ignore[misc]  # the library ships no types
    """A day, compared as a day."""

    field_class = DayField

    def __init__(self, *, label: str | Promise, lookup: str) -> None:
        super().__init__(field_name="due_on", lookup_expr=lookup, label=label, widget=DayInput)


def _of_clients(actions: Actions, clients: list[Any]) -> QuerySet[CorrectiveAction]:
    return actions.filter(review__incident__in=Incident.objects.of_clients(clients).order_by())


def _of_services(actions: Actions, services: list[Any]) -> QuerySet[CorrectiveAction]:
    return actions.filter(review__incident__in=Incident.objects.affecting(services).order_by())


class ActionFilter(django_filters.FilterSet):  # type: ignore[misc]  # the library ships no types
    progress = django_filters.ChoiceFilter(
        label=_("Progress"),
        empty_label=_("All"),
        choices=(
            ("open", _("Open")),
            ("overdue", _("Overdue")),
            ("done", _("Done")),
            ("to-check", _("Effect to be checked")),
            ("recurred", _("Open again: it recurred")),
            ("dropped", _("Dropped")),
        ),
        method="by_progress",
    )
    owner = PersonFilter(CorrectiveAction.owner.field, label=_("Owner"))
    kind = django_filters.ChoiceFilter(choices=ActionKind.choices, label=_("Kind"), empty_label=_("All"))
    priority = django_filters.ChoiceFilter(choices=Priority.choices, label=_("Priority"), empty_label=_("All"))
    client = NameFilter(ServiceAgreement.client.field, label=_("Client"), reach=_of_clients)
    service = NameFilter(AffectedService.service.field, label=_("Service"), reach=_of_services)
    due_from = DueFilter(label=_("Due from"), lookup="gte")
    due_until = DueFilter(label=_("Due until"), lookup="lte")

    class Meta:
        model = CorrectiveAction
        fields = ()

    def by_progress(self, queryset: Actions, name: str, value: str) -> QuerySet[CorrectiveAction]:
        today = timezone.localdate()
        if value == "overdue":
            return queryset.overdue(today)
        if value == "to-check":
            return queryset.to_be_checked(today)
        if value == "recurred":
            return queryset.open().filter(effect=Effect.RECURRED)
        return queryset.open() if value == "open" else queryset.filter(**{f"{value}_on__isnull": False})


class ActionAct(ActForm):
    """One step of a corrective action, on its page."""

    permission = "reviews.change_correctiveaction"
    subject: CorrectiveAction

    @classmethod
    def is_in_scope(cls, subject: CorrectiveAction, by: Any) -> bool:
        return not reaches_beyond(subject.review.incident, by)


class Start(ActionAct):
    slug = "start"
    label = _("Start")
    reason = reason_field(required=False)

    @classmethod
    def is_lawful(cls, subject: CorrectiveAction) -> bool:
        return subject.is_open and subject.started_on is None

    def explanation(self) -> str | Promise:
        return _("Says that somebody works on it since today.")

    def act(self, *, now: dt.datetime) -> Done:
        lifecycle.start(self.subject, by=self.by, now=now, **self.cleaned_data)
        return Done(_now("The action is started."))


class Finish(ActionAct):
    slug = "finish"
    label = _("Mark as done")
    done_on = DayField(label=_("Done on"), initial=timezone.localdate)
    evidence = forms.CharField(
        label=_("Evidence"),
        max_length=2_000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_("What shows that it is done: a link, a change, a test."),
    )

    @classmethod
    def is_lawful(cls, subject: CorrectiveAction) -> bool:
        return subject.is_open

    def explanation(self) -> str | Promise:
        days = owed.rules(self.subject.review).effect_checked_after
        return ngettext(
            "%(days)d day after that day its owner is asked whether it helped.",
            "%(days)d days after that day its owner is asked whether it helped.",
            days,
        ) % {"days": days}

    def act(self, *, now: dt.datetime) -> Done:
        done = lifecycle.finish(self.subject, by=self.by, now=now, **self.cleaned_data)
        asked = date_format(done.check_on) if done.check_on else "–"
        return Done(_now("The action is done. On %(day)s it is asked whether it helped.") % {"day": asked})


class HandOver(ActionAct):
    slug = "hand-over"
    label = _("Change owner or due day")
    owner = forms.ModelChoiceField(
        COLLEAGUES, label=_("New owner"), required=False, help_text=_("Leave empty to keep it as it is.")
    )
    due_on = DayField(label=_("New due day"), required=False, help_text=_("Leave empty to keep it as it is."))
    reason = reason_field()

    @classmethod
    def is_lawful(cls, subject: CorrectiveAction) -> bool:
        return subject.is_open

    def act(self, *, now: dt.datetime) -> Done:
        after = lifecycle.hand_over(self.subject, by=self.by, **self.cleaned_data)
        told = {"who": after.owner.audit_name, "day": date_format(after.due_on)}
        return Done(_now("%(who)s owns the action, and it is due on %(day)s.") % told)


class Drop(ActionAct):
    slug = "drop"
    label = _("Drop")
    reason = reason_field()

    @classmethod
    def is_lawful(cls, subject: CorrectiveAction) -> bool:
        return subject.is_open

    def explanation(self) -> str | Promise:
        return _("Says that it will not be done. The reason stands on its page; it can be taken up again.")

    def act(self, *, now: dt.datetime) -> Done:
        lifecycle.drop(self.subject, by=self.by, now=now, **self.cleaned_data)
        return Done(_now("The action is dropped."))


class TakeUpAgain(ActionAct):
    slug = "take-up-again"
    label = _("Take up again")
    due_on = DayField(
        label=_("New due day"), required=False, help_text=_("Leave empty for the day that its policy proposes.")
    )
    reason = reason_field()

    @classmethod
    def is_lawful(cls, subject: CorrectiveAction) -> bool:
        return not subject.is_open

    def explanation(self) -> str | Promise:
        return _("Makes it open again. When it was done or dropped before, and why, stays in its history.")

    def act(self, *, now: dt.datetime) -> Done:
        after = lifecycle.take_up_again(self.subject, by=self.by, now=now, **self.cleaned_data)
        return Done(_now("The action is open again, due on %(day)s.") % {"day": date_format(after.due_on)})


class Check(ActionAct):
    slug = "check"
    label = _("Say whether it helped")
    effect = forms.ChoiceField(choices=Effect.choices, label=_("What was seen"), widget=forms.RadioSelect)
    reason = reason_field(help_text=_("What was looked at, and what it showed. Kept in the audit trail."))

    @classmethod
    def is_lawful(cls, subject: CorrectiveAction) -> bool:
        return subject.done_on is not None

    def explanation(self) -> str | Promise:
        return _("If it happened again, the action is open once more, with a new due day, and its owner is told.")

    def act(self, *, now: dt.datetime) -> Done:
        after = lifecycle.check(self.subject, by=self.by, now=now, **self.cleaned_data)
        if after.is_open:
            return Done(_now("The action is open again, due on %(day)s.") % {"day": date_format(after.due_on)})
        return Done(_now("It is noted that it helped."))


class HandOverMany(BulkForm):
    slug = "hand-over-many"
    label = _("Change owner or due day")
    permission = "reviews.change_correctiveaction"
    owner = forms.ModelChoiceField(
        COLLEAGUES, label=_("New owner"), required=False, help_text=_("Leave empty to keep each one's own.")
    )
    due_on = DayField(label=_("New due day"), required=False, help_text=_("Leave empty to keep each one's own."))

    def do(self, row: CorrectiveAction, *, reason: str, now: dt.datetime, **parameters: Any) -> str:
        after = lifecycle.hand_over(row, by=self.by, reason=reason, **parameters)
        return "; ".join(
            f"{before} → {then}"
            for before, then in ((row.owner, after.owner), (date_format(row.due_on), date_format(after.due_on)))
            if before != then
        )


class FinishMany(BulkForm):
    slug = "finish-many"
    label = _("Mark as done")
    permission = "reviews.change_correctiveaction"
    done_on = DayField(label=_("Done on"))
    evidence = forms.CharField(
        label=_("Evidence"),
        max_length=2_000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_("What shows that they are done: a link, a change, a test."),
    )

    def do(self, row: CorrectiveAction, *, reason: str, now: dt.datetime, **parameters: Any) -> str:
        lifecycle.finish(row, by=self.by, now=now, reason=reason, **parameters)
        return _now("Open → done on %(day)s") % {"day": date_format(parameters["done_on"])}


class DropMany(BulkForm):
    slug = "drop-many"
    label = _("Drop")
    permission = "reviews.change_correctiveaction"

    def do(self, row: CorrectiveAction, *, reason: str, now: dt.datetime, **parameters: Any) -> str:
        lifecycle.drop(row, by=self.by, now=now, reason=reason)
        return _now("Open → dropped")


def age_in_days(action: Any) -> int:
    """From when it was written down until it was done or dropped, or today; of a row that comes with `written_at`."""
    return ((action.done_on or action.dropped_on or timezone.localdate()) - timezone.localdate(action.written_at)).days


@admin.register(CorrectiveAction)
class CorrectiveActionAdmin(FilteredAdmin):
    filterset_class = ActionFilter
    acts = (Start, Finish, HandOver, Drop, Check, TakeUpAgain)
    tabs = (
        Tab(_("Open"), {"progress": "open"}, _("Nothing is open: all that was to change has been done or dropped.")),
        Tab(_("Mine"), {"progress": "open", "owner": PersonFilter.ME}, _("You own no open action.")),
        Tab(_("Overdue"), {"progress": "overdue"}, _("Nothing is overdue.")),
        Tab(_("To check"), {"progress": "to-check"}, _("No effect has to be checked today.")),
        Tab(_("All"), {}, _("Actions are written down in the review that led to them.")),
    )
    bulk_forms = (HandOverMany, FinishMany, DropMany)
    export_columns = (
        *("what", "kind", "priority", "review__incident__reference", "review__incident__title", "finding__factor"),
        *("owner", "due_on", "ticket", "started_on", "done_on", "evidence", "dropped_on", "why_dropped"),
        *("check_on", "checked_on", "effect", admin.display(description=_("age in days"))(age_in_days)),
    )
    list_display = ("what", "incident_reference", "kind", "priority", "owner", "due_on", "age", "progress")
    list_select_related = ("owner", "finding__factor", "review__incident")
    search_fields = ("words",)
    search_help_text = _("Words of what will be done; reference, title or client of the incident")
    autocomplete_fields = ("owner",)
    formfield_overrides = NATIVE_INPUTS
    readonly_fields = (
        *("review_link", "progress", "factor_again", "started_on", "done_on", "evidence", "dropped_on", "why_dropped"),
        *("check_on", "checked_on", "effect"),
    )
    fieldsets = (
        (None, {"fields": ("review_link", "what", "kind", "priority", "finding", "expected_effect")}),
        (_("Who, and by when"), {"fields": ("owner", "due_on", "ticket", "is_for_client")}),
        (
            _("How far it is"),
            {"fields": ("progress", "started_on", "done_on", "evidence", "dropped_on", "why_dropped")},
        ),
        (_("Whether it helped"), {"fields": ("check_on", "checked_on", "effect", "factor_again")}),
    )
    #: What its acts write, each shown once it is there.
    _written_later = frozenset(
        {*("started_on", "done_on", "evidence", "dropped_on", "why_dropped"), *("check_on", "checked_on", "effect")}
    )

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        def is_shown(name: str) -> bool:
            if name == "factor_again":
                return obj is not None and obj.seen_again is not None and obj.seen_again.exists()
            return name not in self._written_later or obj is None or bool(getattr(obj, name))

        shown = [
            (title, {**options, "fields": tuple(filter(is_shown, options["fields"]))})
            for title, options in super().get_fieldsets(request, obj)
        ]
        return [(title, options) for title, options in shown if options["fields"]]

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        found = super().formfield_for_dbfield(db_field, request, **options)
        if found is not None and isinstance(db_field, ProseField):
            found.widget.attrs |= {"rows": 3}
        return found

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Written down in the review that led to it."""
        return False

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **options: Any) -> Any:
        form = super().get_form(request, obj, change, **options)
        if obj is not None and "finding" in form.base_fields:
            form.base_fields["finding"].queryset = obj.review.findings.select_related("factor")
        return form

    def with_columns(self, rows: QuerySet[Any], reader: Any) -> QuerySet[Any]:
        added: QuerySet[Any] = history_of(CorrectiveAction).objects.filter(id=OuterRef("pk")).order_by("history_id")
        found: QuerySet[Any] = rows.annotate(written_at=Subquery(added.values("history_date")[:1]))
        return found

    @admin.display(description=_("review"))
    def review_link(self, action: CorrectiveAction) -> SafeString:
        return link(action.review)

    @admin.display(description=_("incident"))
    def incident_reference(self, action: CorrectiveAction) -> SafeString:
        return link(action.review.incident, action.review.incident.reference)

    @admin.display(description=_("age"))
    def age(self, action: CorrectiveAction) -> str:
        days = age_in_days(action)
        return ngettext("%(days)d day", "%(days)d days", days) % {"days": days}

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        found: Any = super().get_object(request, object_id, from_field)
        if found is not None:
            found.seen_again = scope.visible(
                PostIncidentReview.objects.filter(findings__in=found.found_again().order_by()), request.user
            )
        return found

    @admin.display(description=_("found again in"))
    def factor_again(self, action: Any) -> SafeString | str:
        """The reviews of later incidents that name the factor that it is meant for, as far as the reader sees them."""
        rows = ((link(review),) for review in action.seen_again.select_related("incident"))
        return format_html_join("", "<div>{}</div>", rows) or "–"

    @admin.display(description=_("progress"), ordering="done_on")
    def progress(self, action: CorrectiveAction) -> SafeString:
        if action.done_on:
            is_asked = not action.effect and action.check_on is not None and action.check_on <= timezone.localdate()
            return badge(_("Done, effect to be checked"), "high", "?") if is_asked else badge(_("Done"), "ok", "✓")
        if action.dropped_on:
            return badge(_("Dropped"), "off", "–")
        if action.due_on < timezone.localdate():
            return badge(_("Overdue"), "crit", "✕")
        if action.effect == Effect.RECURRED:
            return badge(_("Open again"), "high", "↻")
        return badge(_("In progress") if action.started_on else _("Open"), "run", "◑")
