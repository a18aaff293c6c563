"""Corrective actions: the list of all of them, the page of one, acts on many."""

from __future__ import annotations

import datetime as dt
from typing import Any

import django_filters
from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from config.admin import badge, link
from config.bulk import BulkForm
from config.filters import FilteredAdmin, PersonFilter, Tab
from config.forms import DayField
from reviews import lifecycle
from reviews.admin.people import COLLEAGUES
from reviews.models import CorrectiveAction
from reviews.models import CorrectiveActionQuerySet as Actions


class ActionFilter(django_filters.FilterSet):  # type: ignore[misc]  # the library ships no types
    progress = django_filters.ChoiceFilter(
        label=_("Progress"),
        empty_label=_("All"),
        choices=(("open", _("Open")), ("overdue", _("Overdue")), ("done", _("Done")), ("dropped", _("Dropped"))),
        method="by_progress",
    )
    owner = PersonFilter(CorrectiveAction.owner.field, label=_("Owner"))

    class Meta:
        model = CorrectiveAction
        fields = ()

    def by_progress(self, queryset: Actions, name: str, value: str) -> QuerySet[CorrectiveAction]:
        if value == "overdue":
            return queryset.overdue(timezone.localdate())
        if value == "open":
            return queryset.open()
        return queryset.filter(**{f"{value}_on__isnull": False})


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
        lifecycle.finish(row, by=self.by, reason=reason, **parameters)
        return _now("Open → done on %(day)s") % {"day": date_format(parameters["done_on"])}


@admin.register(CorrectiveAction)
class CorrectiveActionAdmin(FilteredAdmin):
    filterset_class = ActionFilter
    tabs = (
        Tab(_("Open"), {"progress": "open"}),
        Tab(_("Mine"), {"progress": "open", "owner": PersonFilter.ME}),
        Tab(_("Overdue"), {"progress": "overdue"}),
        Tab(_("All"), {}),
    )
    bulk_forms = (HandOverMany, FinishMany)
    export_columns = (
        "what",
        "review__incident__reference",
        "review__incident__title",
        "owner",
        "due_on",
        "done_on",
        "evidence",
    )
    list_display = ("what", "incident_reference", "owner", "due_on", "progress")
    list_select_related = ("owner", "review__incident")
    search_fields = ("words",)
    search_help_text = _("Words of what will be done; reference, title or client of the incident")
    autocomplete_fields = ("owner",)
    readonly_fields = ("review_link",)
    fields = (
        *("review_link", "what", "kind", "priority", "expected_effect", "owner", "due_on", "ticket", "is_for_client"),
        *("started_on", "done_on", "evidence", "dropped_on", "why_dropped", "check_on"),
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Written down in the review that led to it."""
        return False

    @admin.display(description=_("review"))
    def review_link(self, action: CorrectiveAction) -> SafeString:
        return link(action.review)

    @admin.display(description=_("incident"))
    def incident_reference(self, action: CorrectiveAction) -> SafeString:
        return link(action.review.incident, action.review.incident.reference)

    @admin.display(description=_("progress"), ordering="done_on")
    def progress(self, action: CorrectiveAction) -> SafeString:
        if action.done_on:
            return badge(_("Done"), "ok", "✓")
        if action.dropped_on:
            return badge(_("Dropped"), "off", "–")
        if action.due_on < timezone.localdate():
            return badge(_("Overdue"), "crit", "✕")
        return badge(_("Open"), "run", "◑")
