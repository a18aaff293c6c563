"""The admin of what was exported."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from config.admin.base import AuditedModelAdmin
from config.admin.values import zoned
from config.models import Export
from config.navigation import Entry, Part
from config.site import site


@admin.register(Export)
class ExportAdmin(AuditedModelAdmin):
    """Who took which list out of the house, and what a file must be like to be that one."""

    is_read_only = True
    list_display = (zoned(Export, "at"), "by", "list_name", "query", "rows", "sha256")
    list_select_related = ("by",)
    search_fields = ("sha256",)
    search_help_text = _("SHA-256 of a file, or its beginning")
    fields = ("at", "by", "list_name", "query", "in_words", "rows", "sha256")
    readonly_fields = ("list_name",)

    @admin.display(description=_("list"), ordering="listed")
    def list_name(self, export: Export) -> str:
        return export.list_name

    def get_search_results(
        self, request: HttpRequest, queryset: models.QuerySet[Any], search_term: str
    ) -> tuple[models.QuerySet[Any], bool]:
        return queryset.filter(sha256__startswith=search_term.strip().lower()), False


site.register_entries(
    Entry(_("Audit trail"), "admin:trail", "config.view_event", Part.OVERSIGHT),
    Entry(_("People"), "admin:config_user_changelist", "config.view_user", Part.OVERSIGHT),
    Entry(_("Exports"), "admin:config_export_changelist", "config.view_export", Part.OVERSIGHT),
)
