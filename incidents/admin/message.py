"""Message templates: kept by managers, with the placeholders they may use and texts to start from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import django_filters
from django import forms
from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest
from django.template.defaultfilters import linebreaksbr
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from config.filters import FilteredAdmin
from incidents import placeholders
from incidents.message_presets import PRESETS, MessagePreset
from incidents.models import MessageTemplate
from incidents.models.message import WRITTEN_KINDS


class MessageTemplateFilter(django_filters.FilterSet):  # type: ignore[misc]  # the library ships no types
    kind = django_filters.ChoiceFilter(
        choices=[(kind.value, kind.label) for kind in WRITTEN_KINDS], label=_("For"), empty_label=_("All")
    )
    language = django_filters.ChoiceFilter(choices=settings.LANGUAGES, label=_("Language"), empty_label=_("All"))

    class Meta:
        model = MessageTemplate
        fields = ()


@dataclass(frozen=True)
class PresetRow:
    """One text to start from, with its key in each language."""

    kind: str
    name: str
    languages: Sequence[tuple[str, str]]  # name of the language, key of the preset


def preset_rows() -> list[PresetRow]:
    names = dict(settings.LANGUAGES)
    found: dict[tuple[str, str], list[MessagePreset]] = {}
    for preset in PRESETS:
        found.setdefault((str(preset.kind.label), preset.name), []).append(preset)
    return [
        PresetRow(kind, name, [(names[preset.language], preset.key) for preset in presets])
        for (kind, name), presets in found.items()
    ]


@admin.register(MessageTemplate)
class MessageTemplateAdmin(FilteredAdmin):
    """What is sent is a copy, so that editing a template changes nothing that was written before."""

    filterset_class = MessageTemplateFilter
    change_form_template = "admin/incidents/messagetemplate/change_form.html"
    instead_of_deleting = _("Take the tick from “Offered” on the page of a text that is out of use.")
    list_display = ("name", "kind", "language", "beginning", "is_active")
    search_fields = ("name", "text")
    search_help_text = _("Name or words of the text")
    ordering = ("kind", "language", "name")
    fields = ("name", "kind", "language", "text", "is_active")

    @admin.display(description=_("text"))
    def beginning(self, template: MessageTemplate) -> str:
        return template.text[:80] + ("…" if len(template.text) > 80 else "")

    @admin.display(description=_("as a client may read it"))
    def example(self, template: MessageTemplate) -> SafeString:
        try:
            filled = placeholders.fill(template.text, placeholders.EXAMPLES)
        except placeholders.Wrong as error:  # an old version may use what there is no more
            filled = str(error)
        return format_html("<div>{}</div>", linebreaksbr(filled, autoescape=True))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return (*super().get_readonly_fields(request, obj), *(("example",) if obj else ()))

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return (*self.fields, *(("example",) if obj else ()))

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **options: Any) -> forms.Field | None:
        found: forms.Field | None = super().formfield_for_dbfield(db_field, request, **options)
        if found is not None and db_field.name == "text":
            found.widget.attrs["rows"] = 10
        return found

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """What the chosen preset says; it can be changed before it is saved."""
        for preset in PRESETS:
            if preset.key == request.GET.get("preset"):
                return {"kind": preset.kind, "name": preset.name, "language": preset.language, "text": preset.text}
        return {}

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **options: Any) -> Any:
        shown = {"placeholders": placeholders.PLACEHOLDERS, "presets": preset_rows(), **context}
        return super().render_change_form(request, shown, *args, **options)
