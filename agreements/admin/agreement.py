"""Service agreements: what they cover, what they commit to, and their versions."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import admin
from django.db import models, transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from agreements import presets, reading, versions
from agreements.admin.badges import validity_badge
from agreements.admin.commitment import adding_to
from agreements.admin.compare import Comparing
from agreements.admin.lists import AgreementList
from agreements.admin.prefilled import PrefilledInline
from agreements.admin.simulator import Simulating
from agreements.models import (
    Commitment,
    Contact,
    Service,
    ServiceAgreement,
    ServiceCoverage,
    Severity,
    SeverityDefinition,
)
from agreements.models.commitment import INCIDENT_EVENTS
from config.admin import Button, link, page_of
from config.forms import ActForm, Done, RowsFormSet, of, reason_field
from config.history import acting
from config.site import Panel, site

NOT_ADVICE = _("Not legal advice.")


def _shown(preset: presets.Preset) -> SafeString:
    """What it says and where that is written, to be read before it is picked."""
    source = _now("Source: %(source)s") % {"source": preset.source}
    return format_html(
        "<strong>{}</strong><br>{}<br><small>{} {}</small>", preset.name, preset.description, source, NOT_ADVICE
    )


class ApplyPreset(ActForm):
    slug = "add-commitments"
    label = _("Add commitments from a preset")
    permission = "agreements.add_commitment"
    subject: ServiceAgreement

    preset = forms.ChoiceField(
        label=_("Preset"),
        widget=forms.RadioSelect,
        choices=lambda: [(preset.key, _shown(preset)) for preset in presets.PRESETS.values()],
    )
    hours = forms.IntegerField(
        label=_("[X] hours"),
        required=False,
        min_value=1,
        error_messages={"min_value": _("An allowance must be more than zero.")},
        help_text=_("Only for “Notify within [X] hours”: the number of hours in your clause."),
    )
    reason = reason_field(required=False)

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        preset = presets.PRESETS.get(cleaned.get("preset", ""))
        if preset and preset.asks_hours and not cleaned.get("hours") and "hours" not in self.errors:
            self.add_error("hours", _("Enter the number of hours within which the client must be notified."))
        return cleaned

    def explanation(self) -> str | Promise:
        return _(
            "Adds commitments with the usual warning points to this agreement. Each can be edited afterwards. What a "
            "law demands is told by a person: those send no holding notice and warn colleagues only."
        )

    def act(self, *, now: dt.datetime) -> Done:
        chosen = self.cleaned_data
        with transaction.atomic(), acting(self.by, reason=chosen["reason"]):
            made = presets.apply_preset(self.subject, chosen["preset"], hours=chosen["hours"])
        return Done(ngettext("%d commitment is added.", "%d commitments are added.", len(made)) % len(made))


class Amend(ActForm):
    slug = "amend"
    label = _("Amend")
    permission = "agreements.change_serviceagreement"
    subject: ServiceAgreement

    effective_at = of(
        ServiceAgreement, "effective_at", help_text=_("This version ends and the new one begins at this moment.")
    )
    reason = reason_field()

    @classmethod
    def is_lawful(cls, subject: ServiceAgreement) -> bool:
        return not ServiceAgreement.objects.filter(supersedes=subject).exists()

    def explanation(self) -> str | Promise:
        return _(
            "Makes the next version with the same services and commitments, ready to be edited. "
            "Deadlines that already run keep the terms they started with."
        )

    def act(self, *, now: dt.datetime) -> Done:
        new = versions.amend(self.subject, by=self.by, **self.cleaned_data)
        return Done(_now("%(agreement)s is ready. Edit what was amended.") % {"agreement": new}, then=page_of(new))


class CoverageInline(PrefilledInline):
    """A service is added or taken out, never turned into another one. `?services=1` begins with that one."""

    model = ServiceCoverage
    formset = RowsFormSet
    autocomplete_fields = ("service",)
    extra = 0

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def first_rows(self, request: HttpRequest) -> list[dict[str, Any]]:
        return [{"service": pk} for pk in request.GET.getlist("services") if pk.isdecimal()]

    def get_queryset(self, request: HttpRequest) -> QuerySet[ServiceCoverage]:
        return super().get_queryset(request).select_related("service")


class DefinitionInline(admin.TabularInline):  # type: ignore[type-arg]
    """What each severity means; whoever declares an incident reads it."""

    model = SeverityDefinition
    formset = RowsFormSet
    fields = ("severity", "words")
    extra = 0
    max_num = len(Severity)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        found = super().formfield_for_dbfield(db_field, request, **options)
        if found is not None and db_field.name == "words":
            found.widget.attrs["rows"] = 3
        return found


class CommitmentInline(admin.TabularInline):  # type: ignore[type-arg]
    """New ones in short; those that are there are edited on their own page, with their warning points."""

    model = Commitment
    formset = RowsFormSet
    fields = (
        *("severity", "obligation", "label", "amount", "unit", "start_event", "is_recurring", "sends_holding_notice"),
        *("clause_number", "more"),
    )
    readonly_fields = ("more",)
    extra = 0

    @admin.display(description=_("more"))
    def more(self, commitment: Commitment) -> SafeString | str:
        return link(commitment, _now("Terms and warning points")) if commitment.pk else "–"

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Commitment]:
        return super().get_queryset(request).select_related("follows")

    def formfield_for_choice_field(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        """What follows another commitment names it, and that is done on its own page."""
        if db_field.name == "start_event":
            options["choices"] = [(event.value, event.label) for event in INCIDENT_EVENTS]
        return super().formfield_for_choice_field(db_field, request, **options)


@dataclass(frozen=True)
class Reading:
    """What somebody who opens an agreement wants to know, read in a fixed number of queries."""

    agreement: ServiceAgreement
    validity: SafeString
    versions: list[tuple[versions.VersionLine, SafeString]]
    table: list[reading.Row]
    severities: list[tuple[Severity, str]]  # with the agreement's own words for each, if it has any
    services: list[Service]
    contacts: list[Contact]
    heard: list[reading.Heard]
    heard_by_colleagues: list[reading.Heard]
    panels: list[Panel]


def reading_of(agreement: ServiceAgreement, request: HttpRequest, now: dt.datetime) -> Reading:
    commitments = list(Commitment.objects.of([agreement]))
    meanings = dict(agreement.definitions.values_list("severity", "words"))
    return Reading(
        agreement=agreement,
        validity=validity_badge(agreement.validity(now)),
        versions=[(line, validity_badge(line.validity)) for line in versions.line(agreement, now=now)],
        table=reading.table(commitments),
        severities=[(severity, meanings.get(severity, "")) for severity in Severity],
        services=[covered.service for covered in agreement.coverage.select_related("service").order_by("service")],
        contacts=list(agreement.client.contacts.all()),
        heard=reading.heard_by_contacts(commitments),
        heard_by_colleagues=reading.heard_by_colleagues(commitments),
        panels=site.panels(request, agreement, now),
    )


@admin.register(ServiceAgreement)
class ServiceAgreementAdmin(AgreementList, Comparing, Simulating):
    change_form_template = "admin/agreements/serviceagreement/change_form.html"
    instead_of_deleting = _("Give the agreement its end on its page.")
    acts = (ApplyPreset, Amend)
    inlines = (CoverageInline, DefinitionInline, CommitmentInline)
    autocomplete_fields = ("client", "calendar", "owner")
    readonly_fields = ("version", "supersedes_link")
    fieldsets = (
        (None, {"fields": ("reference", "version", "client", "owner", "calendar")}),
        (_("In force"), {"fields": ("effective_at", "ends_at", "supersedes_link")}),
        (_("Words"), {"fields": ("clause",)}),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """An agreement stays with its client and its reference; another one is another agreement."""
        fixed = super().get_readonly_fields(request, obj)
        return fixed if obj is None else tuple(dict.fromkeys((*fixed, "reference", "client")))

    def zone_beside(self, obj: ServiceAgreement) -> str:
        return obj.client.time_zone

    def buttons(self, request: HttpRequest, obj: models.Model) -> list[Button]:
        """With the page on which one commitment is entered with all its terms."""
        if not request.user.has_perm("agreements.add_commitment"):
            return super().buttons(request, obj)
        adding = Button(_("Add a commitment"), adding_to(obj), "add-commitment")
        return [adding, *super().buttons(request, obj)]

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"clause": presets.SEED_CLAUSE.format(hours="[X]"), **super().get_changeform_initial_data(request)}

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        agreement = self.get_object(request, object_id) if object_id.isdecimal() else None
        if agreement is None or not self.has_view_permission(request, agreement):
            return super().change_view(request, object_id, form_url, extra_context)
        context = {
            "title": _now("%(agreement)s · %(client)s") % {"agreement": agreement, "client": agreement.client},
            "subtitle": None,
            "reading": reading_of(agreement, request, timezone.now()),
            **(extra_context or {}),
        }
        return super().change_view(request, object_id, form_url, context)

    @admin.display(description=_("supersedes"))
    def supersedes_link(self, agreement: ServiceAgreement) -> SafeString | str:
        return link(agreement.supersedes) if agreement.supersedes else "–"

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        super().save_formset(request, form, formset, change)
        if formset.model is Commitment:
            for commitment in formset.new_objects:
                presets.add_usual_warning_points(commitment)
