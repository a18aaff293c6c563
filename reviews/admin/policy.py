"""Which incidents owe a review, by when, and how its actions are followed up: kept by managers."""

from __future__ import annotations

from typing import Any

import django_filters
from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from agreements.models import Severity
from config import instants
from config.filters import FilteredAdmin
from reviews.models import ReviewPolicy
from reviews.policy_presets import PRESETS


class PolicyFilter(django_filters.FilterSet):  # type: ignore[misc]  # the library ships no types
    severity = django_filters.ChoiceFilter(choices=Severity.choices, label=_("Severity"), empty_label=_("All"))

    class Meta:
        model = ReviewPolicy
        fields = ()


@admin.register(ReviewPolicy)
class ReviewPolicyAdmin(FilteredAdmin):
    filterset_class = PolicyFilter
    instead_of_deleting = _("Take the tick from “In use” on the page of a policy that holds no more.")
    change_form_template = "admin/reviews/reviewpolicy/change_form.html"
    list_display = ("name", "severity", "service", "client", "review_within", "is_active")
    list_select_related = ("service", "client")
    search_fields = ("name",)
    autocomplete_fields = ("service", "client", "calendar", "facilitator", "told_of_violations")
    fieldsets = (
        (None, {"fields": ("name", "is_active")}),
        (_("Which incidents"), {"fields": ("severity", "service", "client", "includes_open_incidents")}),
        (_("The review"), {"fields": ("review_within", "facilitator", "calendar")}),
        (
            _("Its actions"),
            {"fields": ("actions_assigned_within", "actions_done_within", "reminded_before", "effect_checked_after")},
        ),
        (_("Who is told"), {"fields": ("told_of_violations", "outstanding_on")}),
    )

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """What the chosen preset says; it can be changed before it is saved."""
        for preset in PRESETS:
            if preset.key == request.GET.get("preset"):
                return {"name": str(preset.name), **preset.terms}
        return super().get_changeform_initial_data(request)  # type: ignore[no-any-return]

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **options: Any) -> Any:
        return super().render_change_form(request, {"presets": PRESETS, **context}, *args, **options)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if not change:
            obj.made_at = instants.now()
        super().save_model(request, obj, form, change)
