"""The versions of the questions: each is made from the newest, and none is changed."""

from __future__ import annotations

from typing import Any

import django_filters
from django.contrib import admin
from django.http import HttpRequest

from config.admin import zoned
from config.filters import FilteredAdmin
from reviews.models import Question, QuestionSet


class QuestionInline(admin.TabularInline):  # type: ignore[type-arg]
    model = Question
    fields = ("position", "text", "guidance", "is_required")
    extra = 0

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    has_change_permission = has_add_permission


class QuestionSetFilter(django_filters.FilterSet):  # type: ignore[misc]  # the library ships no types
    class Meta:
        model = QuestionSet
        fields = ()


@admin.register(QuestionSet)
class QuestionSetAdmin(FilteredAdmin):
    filterset_class = QuestionSetFilter
    inlines = (QuestionInline,)
    list_display = ("__str__", zoned(QuestionSet, "made_at"))
    fields = ("version", zoned(QuestionSet, "made_at"))
    readonly_fields = fields

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
