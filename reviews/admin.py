"""Post-incident reviews and their corrective actions; the incident's page gets its button and its link from here."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import django_filters
from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from agreements.models import ServiceAgreement, Severity
from config.admin import badge, link, list_of, page_of, zoned
from config.bulk import BulkForm
from config.filters import FilteredAdmin, NameFilter, PersonFilter, Tab, days
from config.forms import NATIVE_INPUTS, ActForm, DayField, Done, RowChooser, RowsFormSet, reason_field
from config.models import User
from config.navigation import Count, Entry, Part
from config.site import Tile, site
from incidents.admin import badges
from incidents.admin.verbs import VerbForm, verb
from incidents.admin.workspace import follow_up
from incidents.models import Incident
from incidents.models.incident import Status
from reviews import lifecycle
from reviews.models import CorrectiveAction, PostIncidentReview
from reviews.models import CorrectiveActionQuerySet as Actions
from reviews.models import PostIncidentReviewQuerySet as Reviews

COLLEAGUES = User.objects.filter(is_active=True).order_by("username")


@verb
class OpenReview(VerbForm):
    slug = "open-review"
    label = _("Open review")
    permission = "reviews.add_postincidentreview"
    lawful_in = (Status.RESOLVED, Status.CLOSED)
    facilitator = forms.ModelChoiceField(
        COLLEAGUES, label=_("Facilitator"), required=False, help_text=_("Leave empty to facilitate it yourself.")
    )
    reason = reason_field(required=False)

    @classmethod
    def is_lawful(cls, subject: Incident) -> bool:
        return super().is_lawful(subject) and review_of(subject) is None

    def explanation(self) -> str | Promise:
        return _("Looks back without blame: what happened, what made it possible, what will change, and who does it.")

    def act(self, *, now: dt.datetime) -> Done:
        review = lifecycle.open_review(self.subject, by=self.by, now=now, **self.cleaned_data)
        return Done(_now("The review is open."), then=page_of(review))


def review_of(incident: Incident) -> PostIncidentReview | None:
    return PostIncidentReview.objects.filter(incident=incident).first()


@follow_up
def review_link(incident: Incident) -> tuple[str | Promise, str] | None:
    review = review_of(incident)
    return (_("Review"), page_of(review)) if review else None


class Complete(ActForm):
    slug = "complete"
    label = _("Complete review")
    permission = "reviews.change_postincidentreview"
    subject: PostIncidentReview
    reason = reason_field(required=False)

    @classmethod
    def is_lawful(cls, subject: PostIncidentReview) -> bool:
        return not subject.is_completed

    def explanation(self) -> str | Promise:
        return _("Needs a root cause, what will change, and a corrective action with an owner and a due day.")

    def act(self, *, now: dt.datetime) -> Done:
        lifecycle.complete(self.subject, by=self.by, now=now, **self.cleaned_data)
        return Done(_now("The review is completed."))


class ActionInline(admin.TabularInline):  # type: ignore[type-arg]
    model = CorrectiveAction
    formset = RowsFormSet
    fields = ("what", "owner", "due_on", "done_on", "evidence")
    autocomplete_fields = ("owner",)
    formfield_overrides = NATIVE_INPUTS
    extra = 0
    can_delete = False
    show_change_link = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[CorrectiveAction]:
        return super().get_queryset(request).select_related("owner")

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        if db_field.name == "owner":
            options["widget"] = RowChooser(db_field, self.admin_site)
        return super().formfield_for_foreignkey(db_field, request, **options)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        found = super().formfield_for_dbfield(db_field, request, **options)
        if found is not None and db_field.name == "evidence":
            found.widget.attrs |= {"rows": 2, "cols": 30}
        return found


class ReviewFilter(django_filters.FilterSet):  # type: ignore[misc]  # the library ships no types
    state = django_filters.ChoiceFilter(
        choices=(("open", _("Open")), ("completed", _("Completed"))),
        label=_("State"),
        empty_label=_("All"),
        method="by_state",
    )
    severity = django_filters.ChoiceFilter(
        choices=Severity.choices, field_name="incident__severity", label=_("Severity"), empty_label=_("All")
    )
    client = NameFilter(
        ServiceAgreement.client.field,
        label=_("Client"),
        reach=lambda reviews, clients: reviews.filter(incident__in=Incident.objects.of_clients(clients).order_by()),
    )
    facilitator = PersonFilter(PostIncidentReview.facilitator.field, label=_("Facilitator"))
    opened_from, opened_until = days("opened_at", since=_("Opened from"), until=_("Opened until"))

    class Meta:
        model = PostIncidentReview
        fields = ()

    def by_state(self, queryset: Reviews, name: str, value: str) -> Reviews:
        return queryset.open() if value == "open" else queryset.filter(completed_at__isnull=False)


def actions_in_words(review: Any) -> str:
    """How many of them are done, of a row that comes with them."""
    actions = list(review.actions.all())
    done = sum(action.done_on is not None for action in actions)
    return _now("%(done)d of %(all)d done") % {"done": done, "all": len(actions)} if actions else _now("none yet")


@admin.register(PostIncidentReview)
class PostIncidentReviewAdmin(FilteredAdmin):
    acts = (Complete,)
    inlines = (ActionInline,)
    filterset_class = ReviewFilter
    tabs = (
        Tab(_("Open"), {"state": "open"}),
        Tab(_("Mine"), {"state": "open", "facilitator": PersonFilter.ME}),
        Tab(_("Completed"), {"state": "completed"}),
        Tab(_("All"), {}),
    )
    list_select_related = ("incident", "facilitator")
    search_fields = ("incident__words",)
    search_help_text = _("Reference of the incident, words of its title, client")
    export_columns = (
        "incident__reference",
        "incident__title",
        "incident__severity",
        "facilitator",
        "opened_at",
        "completed_at",
        "root_cause",
        "what_will_change",
        admin.display(description=_("actions"))(actions_in_words),
    )
    autocomplete_fields = ("facilitator",)
    readonly_fields = (
        "incident_link",
        zoned(PostIncidentReview, "opened_at"),
        zoned(PostIncidentReview, "completed_at"),
    )
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "incident_link",
                    "facilitator",
                    zoned(PostIncidentReview, "opened_at"),
                    zoned(PostIncidentReview, "completed_at"),
                )
            },
        ),
        (_("What was learned"), {"fields": ("summary", "root_cause", "what_will_change")}),
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Opened from the incident's page, by its verb."""
        return False

    def get_list_display(self, request: HttpRequest) -> Sequence[Any]:
        opened = zoned(PostIncidentReview, "opened_at")
        return ("__str__", "severity_badge", "facilitator", opened, "actions_done", "completion")

    def with_columns(self, rows: QuerySet[Any], reader: Any) -> QuerySet[Any]:
        return rows.prefetch_related("actions")

    @admin.display(description=_("severity"))
    def severity_badge(self, review: PostIncidentReview) -> SafeString:
        return badges.severity(review.incident.severity)

    @admin.display(description=_("actions"))
    def actions_done(self, review: PostIncidentReview) -> str:
        return actions_in_words(review)

    @admin.display(description=_("incident"))
    def incident_link(self, review: PostIncidentReview) -> SafeString:
        return link(review.incident)

    @admin.display(description=_("completed"), ordering="completed_at")
    def completion(self, review: PostIncidentReview) -> str | SafeString:
        if review.is_completed:
            return zoned(PostIncidentReview, "completed_at")(review)
        return badge(_("open"), "run", "◑")


class ActionFilter(django_filters.FilterSet):  # type: ignore[misc]  # the library ships no types
    progress = django_filters.ChoiceFilter(
        label=_("Progress"),
        empty_label=_("All"),
        choices=(("open", _("Open")), ("overdue", _("Overdue")), ("done", _("Done"))),
        method="by_progress",
    )
    owner = PersonFilter(CorrectiveAction.owner.field, label=_("Owner"))

    class Meta:
        model = CorrectiveAction
        fields = ()

    def by_progress(self, queryset: Actions, name: str, value: str) -> QuerySet[CorrectiveAction]:
        if value == "overdue":
            return queryset.overdue(timezone.localdate())
        return queryset.open() if value == "open" else queryset.filter(done_on__isnull=False)


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
    fields = ("review_link", "what", "owner", "due_on", "done_on", "evidence")

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
        if action.due_on < timezone.localdate():
            return badge(_("Overdue"), "crit", "✕")
        return badge(_("Open"), "run", "◑")


@site.register_tile
def overdue_actions(request: HttpRequest, now: dt.datetime) -> Tile | None:
    if not request.user.has_perm("reviews.view_correctiveaction"):
        return None
    rows = CorrectiveAction.objects.all().overdue(timezone.localdate(now))
    return Tile(_("Corrective actions overdue"), rows, f"{list_of(CorrectiveAction)}?progress=overdue", "bad")


site.register_entries(
    Entry(
        _("Reviews"), "admin:reviews_postincidentreview_changelist", "reviews.view_postincidentreview", Part.LEARNING
    ),
    Entry(
        _("Corrective actions"),
        "admin:reviews_correctiveaction_changelist",
        "reviews.view_correctiveaction",
        Part.LEARNING,
        Count(lambda now: CorrectiveAction.objects.all().overdue(timezone.localdate(now)), _("overdue"), "warn"),
    ),
)
