"""The versions of the questions: a new one begins with the questions of the newest, and none is changed."""

from __future__ import annotations

from typing import Any

import django_filters
from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from agreements.admin.prefilled import PrefilledInline
from config import instants
from config.admin import zoned
from config.fields import ProseField
from config.filters import FilteredAdmin
from config.forms import RowsFormSet
from reviews import questions
from reviews.models import Question, QuestionSet


class QuestionInline(PrefilledInline):
    """A new version begins with what is asked now; rows can be changed, added and left empty."""

    model = Question
    formset = RowsFormSet
    fields = ("position", "text", "guidance", "is_required")
    extra = 0
    min_num = 1

    def get_formset(self, request: HttpRequest, obj: Any = None, **options: Any) -> Any:
        return super().get_formset(request, obj, **{"validate_min": True, **options})

    def first_rows(self, request: HttpRequest) -> list[dict[str, Any]]:
        newest = QuestionSet.objects.all().in_force()
        rows: list[Any] = list(newest.questions.all()) if newest else list(questions.PRESETS)
        return [
            {
                "position": position,
                "text": str(row.text),
                "guidance": str(row.guidance),
                "is_required": row.is_required,
            }
            for position, row in enumerate(rows, start=1)
        ]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return obj is None and bool(super().has_add_permission(request, obj))

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        found = super().formfield_for_dbfield(db_field, request, **options)
        if found is not None and isinstance(db_field, ProseField):
            found.widget.attrs |= {"rows": 2, "cols": 40}
        return found


class QuestionSetFilter(django_filters.FilterSet):  # type: ignore[misc]  # the library ships no types
    class Meta:
        model = QuestionSet
        fields = ()


@admin.register(QuestionSet)
class QuestionSetAdmin(FilteredAdmin):
    filterset_class = QuestionSetFilter
    inlines = (QuestionInline,)
    instead_of_deleting = _("Make a new version: reviews that have begun keep the questions that they began with.")
    list_display = ("__str__", zoned(QuestionSet, "made_at"))

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("version", zoned(QuestionSet, "made_at")) if obj else ()

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.get_fields(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: QuestionSet, form: Any, change: bool) -> None:
        questions.number(obj, instants.now())
        super().save_model(request, obj, form, change)
