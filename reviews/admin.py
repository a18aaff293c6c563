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
from django.utils.functional import Promise
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from config.admin import AuditedModelAdmin, badge, link, list_of, page_of, zoned
from config.filters import FilteredAdmin
from config.forms import NATIVE_INPUTS, ActForm, Done, reason_field
from config.models import User
from config.site import Tile, site
from incidents.admin.incident import follow_up
from incidents.admin.verbs import VerbForm, verb
from incidents.models import Incident
from incidents.models.incident import Status
from reviews import lifecycle
from reviews.models import CorrectiveAction, PostIncidentReview
from reviews.models import CorrectiveActionQuerySet as Actions

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
    fields = ("what", "owner", "due_on", "done_on", "evidence")
    autocomplete_fields = ("owner",)
    formfield_overrides = NATIVE_INPUTS
    extra = 0
    can_delete = False
    show_change_link = True

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        found = super().formfield_for_dbfield(db_field, request, **options)
        if found is not None and db_field.name == "evidence":
            found.widget.attrs |= {"rows": 2, "cols": 30}
        return found


@admin.register(PostIncidentReview)
class PostIncidentReviewAdmin(AuditedModelAdmin):
    acts = (Complete,)
    inlines = (ActionInline,)
    list_select_related = ("incident", "facilitator")
    search_fields = ("incident__reference",)
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
        return ("__str__", "facilitator", zoned(PostIncidentReview, "opened_at"), "completion")

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
    owner = django_filters.ModelChoiceFilter(queryset=COLLEAGUES, label=_("Owner"), empty_label=_("All"))

    class Meta:
        model = CorrectiveAction
        fields = ()

    def by_progress(self, queryset: Actions, name: str, value: str) -> QuerySet[CorrectiveAction]:
        if value == "overdue":
            return queryset.overdue(timezone.localdate())
        return queryset.open() if value == "open" else queryset.filter(done_on__isnull=False)


@admin.register(CorrectiveAction)
class CorrectiveActionAdmin(FilteredAdmin):
    filterset_class = ActionFilter
    list_display = ("what", "incident_reference", "owner", "due_on", "progress")
    list_select_related = ("owner", "review__incident")
    search_fields = ("what",)
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
    count = CorrectiveAction.objects.all().overdue(timezone.localdate(now)).count()
    url = f"{list_of(CorrectiveAction)}?progress=overdue"
    return Tile(_("Corrective actions overdue"), count, url, "bad" if count else "calm")
