"""One commitment with its warning points."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from agreements import presets
from agreements.clock import ClockError
from agreements.models import Commitment, WarningPoint
from agreements.terms import agreed_terms
from config.admin import AuditedModelAdmin, ReasonForm, page_of
from config.forms import RowsFormSet

#: Fields that make sense only together, by the constraint that says so. The first one shows the refusal.
_TOGETHER: Mapping[str, tuple[str, ...]] = {
    "commitment_follows_what_it_names": ("follows", "start_event"),
    "commitment_roll_time": ("roll_at", "roll"),
    "commitment_cap_is_whole": ("cap_amount", "cap_unit", "cap_event"),
    "commitment_target_without_number": ("target_amount", "target_unit"),
    "commitment_only_updates_recur": ("is_recurring",),
    "commitment_only_notify_holds": ("sends_holding_notice",),
}
#: Of these, all are given or none. The database lets a missing amount pass, since comparing with nothing is no refusal.
_ALL_OR_NONE = ("commitment_cap_is_whole", "commitment_target_without_number")


class CommitmentForm(ReasonForm):
    """Offers to follow only what the same agreement says, and shows a refusal beside the fields that it is about."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if "follows" in self.fields:
            self._offer_to_follow(self.fields["follows"])

    def _offer_to_follow(self, field: Any) -> None:
        agreement = self.instance.agreement_id or self.data.get("agreement") or self.initial.get("agreement")
        if not str(agreement or "").isdecimal():
            field.queryset = Commitment.objects.none()
            field.help_text = _("Listed here once the agreement is chosen: save the page, and choose then.")
            return
        offered = Commitment.objects.filter(agreement=agreement).exclude(pk=self.instance.pk)
        field.queryset = offered
        field.label_from_instance = _named
        field.error_messages["invalid_choice"] = _("Choose a commitment of the same agreement and severity.")

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        typed = copy.copy(self.instance)
        for name in self.cleaned_data.keys() & {field.name for field in Commitment._meta.concrete_fields}:
            setattr(typed, name, self.cleaned_data[name])
        for constraint in Commitment._meta.constraints:
            names = _TOGETHER.get(constraint.name, ())
            if names and not set(names) & self.errors.keys():
                self._check(constraint, typed, names)
        return cleaned

    def _check(self, constraint: Any, typed: Commitment, names: tuple[str, ...]) -> None:
        is_partly_given = constraint.name in _ALL_OR_NONE and len({not getattr(typed, name) for name in names}) > 1
        try:
            if is_partly_given:
                raise ValidationError(constraint.get_violation_error_message())
            constraint.validate(Commitment, typed, exclude=set(self.errors))
        except ValidationError as error:
            self.add_error(names[0], error)
            for name in names:  # or the model would complain of what is left over, in other words
                self.cleaned_data.pop(name, None)


class WarningPointInline(admin.TabularInline):  # type: ignore[type-arg]
    model = WarningPoint
    formset = RowsFormSet
    fields = ("percent", "minutes_before", "has_contacts", "has_responders", "has_owner", "has_managers")
    extra = 0


@admin.register(Commitment)
class CommitmentAdmin(AuditedModelAdmin):
    form = CommitmentForm
    inlines = (WarningPointInline,)
    instead_of_deleting = _("Take the commitment out on the page of its agreement, or amend that.")
    list_display = ("in_words", "severity", "agreement", "clause_number", "is_recurring", "sends_holding_notice")
    list_filter = ("severity", "obligation")
    search_fields = ("agreement__reference", "label", "clause_number")
    autocomplete_fields = ("agreement",)
    readonly_fields = ("said",)
    fieldsets = (
        (None, {"fields": ("said", "agreement", "severity", "obligation", "label", "clause_number")}),
        (_("Allowance"), {"fields": ("amount", "unit", "day_end", "is_recurring")}),
        (_("When the clock starts"), {"fields": ("start_event", "follows")}),
        (_("Overall limit"), {"fields": ("cap_amount", "cap_unit", "cap_event")}),
        (_("Weekends and holidays"), {"fields": ("roll", "roll_at")}),
        (_("Pauses"), {"fields": ("is_pausable",)}),
        (_("Our own target"), {"fields": ("target_amount", "target_unit")}),
        (_("Holding notice"), {"fields": ("sends_holding_notice", "holding_percent")}),
    )

    @admin.display(description=_("commitment"), ordering="obligation")
    def in_words(self, commitment: Commitment) -> str:
        return commitment.in_words()

    @admin.display(description=_("in words"))
    def said(self, commitment: Commitment) -> str:
        """With its limit and what happens on a weekend, which the list leaves out."""
        try:
            terms = agreed_terms(commitment).in_words(commitment.start_event)
        except ClockError:  # the calendar says nothing that could be counted by; its own page says what is wrong
            return commitment.in_words()
        return _now("%(what)s: %(terms)s") % {"what": commitment.name_in_words(), "terms": terms}

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """What is not written down yet has no words."""
        fieldsets = super().get_fieldsets(request, obj)
        return fieldsets if obj is not None else [(name, _without_said(options)) for name, options in fieldsets]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """A commitment stays with its agreement."""
        fixed = super().get_readonly_fields(request, obj)
        return fixed if obj is None or "agreement" in fixed else (*fixed, "agreement")

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        if db_field.name == "follows":
            options.setdefault("empty_label", _("none"))
        return super().formfield_for_foreignkey(db_field, request, **options)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        """What to follow is chosen, not made or edited from here."""
        found = super().formfield_for_dbfield(db_field, request, **options)
        if found is not None and db_field.name == "follows":
            found.widget.can_add_related = found.widget.can_change_related = found.widget.can_view_related = False
        return found

    def get_queryset(self, request: HttpRequest) -> QuerySet[Commitment]:
        found: QuerySet[Commitment] = super().get_queryset(request)
        return found.select_related("agreement", "follows")

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        """The next one is entered for the same agreement."""
        response = super().response_add(request, obj, post_url_continue)
        return HttpResponseRedirect(adding_to(obj.agreement)) if "_addanother" in request.POST else response

    def response_post_save_add(self, request: HttpRequest, obj: Any) -> HttpResponse:
        """Back to the agreement, whose page says what is owed now."""
        return HttpResponseRedirect(self._to_next_step(request) or page_of(obj.agreement))

    def response_post_save_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        return self.response_post_save_add(request, obj)

    def save_related(self, request: HttpRequest, form: forms.ModelForm[Any], formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        if not change:
            presets.add_usual_warning_points(form.instance)


def adding_to(agreement: models.Model) -> str:
    """The page on which a commitment of this agreement is entered."""
    return f"{reverse('admin:agreements_commitment_add')}?agreement={agreement.pk}"


def _without_said(options: dict[str, Any]) -> dict[str, Any]:
    return {**options, "fields": [name for name in options["fields"] if name != "said"]}


def _named(commitment: Commitment) -> str:
    """Short enough for a list to choose from."""
    return f"{commitment.get_severity_display()}: {commitment.name_in_words()}"
