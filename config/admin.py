"""The base of every admin in the product, and the admin of people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Group
from django.db import models
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.utils.translation import gettext_lazy as _
from simple_history.admin import SimpleHistoryAdmin

from config.history import acting
from config.models import User

READING_METHODS = ("GET", "HEAD")


class ReasonForm(forms.ModelForm):  # type: ignore[type-arg]
    """Asks why: the answer goes into the audit trail with every row that the save writes."""

    reason = forms.CharField(
        label=_("Reason for the change"),
        required=False,
        max_length=1000,
        widget=forms.TextInput(attrs={"class": "vTextField"}),
        help_text=_("Kept in the audit trail. Required when something changes."),
    )

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        if not self.instance._state.adding and self.has_changed() and not self.cleaned_data.get("reason", "").strip():
            self.add_error("reason", _("Say why this is changed; the reason is kept in the audit trail."))
        return cleaned


class AuditedModelAdmin(SimpleHistoryAdmin):  # type: ignore[misc]  # the library ships no types
    """Base of every admin: asks for a reason, shows history that nobody can write through, deletes nothing.

    The history page of one version is for reading only. The library takes a POST there as an edit of the live record,
    from anybody who may view it and whatever its settings say.
    """

    form = ReasonForm
    history_list_display = ["actor_name", "history_change_reason"]
    #: Models whose rows nobody adds or changes by hand set this; verbs and workers write them.
    is_read_only = False

    def history_form_view(
        self, request: HttpRequest, object_id: str, version_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if request.method not in READING_METHODS:
            return HttpResponseNotAllowed(READING_METHODS)
        return super().history_form_view(request, object_id, version_id, extra_context)  # type: ignore[no-any-return]

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if request.method not in READING_METHODS:
            return HttpResponseNotAllowed(READING_METHODS)
        return super().history_view(request, object_id, extra_context)  # type: ignore[no-any-return]

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return not self.is_read_only and bool(super().has_add_permission(request))

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return not self.is_read_only and bool(super().has_change_permission(request, obj))

    def get_fieldsets(self, request: HttpRequest, obj: models.Model | None = None) -> Any:
        """The reason comes last, and only where something can be changed."""
        fieldsets = super().get_fieldsets(request, obj)
        fieldsets = [(name, {**options, "fields": _without_reason(options["fields"])}) for name, options in fieldsets]
        may_change = self.has_change_permission(request, obj) if obj else False
        return [*fieldsets, (None, {"fields": ["reason"]})] if may_change else fieldsets

    def changeform_view(self, request: HttpRequest, *args: Any, **options: Any) -> HttpResponse:
        with acting(reason=request.POST.get("reason", "").strip()):
            return super().changeform_view(request, *args, **options)  # type: ignore[no-any-return]


def _without_reason(fields: Sequence[Any]) -> list[Any]:
    return [field for field in fields if field != "reason"]


admin.site.unregister(Group)  # roles are made by migrations; people get them on their own page


@admin.register(User)
class PersonAdmin(AuditedModelAdmin, UserAdmin):
    """People who sign in, with their roles. Somebody who leaves is deactivated, never deleted."""

    form = type("PersonForm", (ReasonForm, UserAdmin.form), {})
    list_display = ("username", "first_name", "last_name", "email", "is_active", "time_zone")
    list_filter = ("is_active", "groups")
    filter_horizontal = ("groups",)
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        (_("Person"), {"fields": ("first_name", "last_name", "email", "time_zone")}),
        (_("Role"), {"fields": ("is_active", "is_staff", "is_superuser", "groups")}),
    )
    add_fieldsets = (
        (None, {"fields": ("username", "first_name", "last_name", "email", "time_zone", "password1", "password2")}),
    )
