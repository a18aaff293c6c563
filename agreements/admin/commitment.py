"""One commitment with its warning points."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from agreements import presets
from agreements.models import Commitment, WarningPoint
from config.admin import AuditedModelAdmin
from config.forms import RowsFormSet


class WarningPointInline(admin.TabularInline):  # type: ignore[type-arg]
    model = WarningPoint
    formset = RowsFormSet
    fields = ("percent", "minutes_before", "has_contacts", "has_responders", "has_owner", "has_managers")
    extra = 0


@admin.register(Commitment)
class CommitmentAdmin(AuditedModelAdmin):
    inlines = (WarningPointInline,)
    list_display = ("in_words", "severity", "agreement", "clause_number", "is_recurring", "sends_holding_notice")
    list_filter = ("severity", "obligation")
    list_select_related = ("agreement",)
    search_fields = ("agreement__reference", "label", "clause_number")
    autocomplete_fields = ("agreement",)
    fieldsets = (
        (None, {"fields": ("agreement", "severity", "obligation", "label", "clause_number")}),
        (_("Allowance"), {"fields": ("amount", "unit", "day_end", "start_event", "is_recurring")}),
        (_("Holding notice"), {"fields": ("sends_holding_notice", "holding_percent")}),
    )

    @admin.display(description=_("commitment"), ordering="obligation")
    def in_words(self, commitment: Commitment) -> str:
        return commitment.in_words()

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """A commitment stays with its agreement."""
        fixed = super().get_readonly_fields(request, obj)
        return fixed if obj is None or "agreement" in fixed else (*fixed, "agreement")

    def save_related(self, request: HttpRequest, form: forms.ModelForm[Any], formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        if not change:
            presets.add_usual_warning_points(form.instance)
