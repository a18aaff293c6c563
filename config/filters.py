"""Lists that are filtered with django-filter: the form stands above the results and lives in the address."""

from __future__ import annotations

import datetime as dt
from typing import Any

import django_filters
from django.contrib.admin.views.main import ChangeList
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.functional import Promise

from config.admin import AuditedModelAdmin
from config.forms import DayField, DayInput


class DayFilter(django_filters.DateFilter):  # type: ignore[misc]  # the library ships no types
    """Instants from the start of a day on, or up to its end, in the reader's zone; an index can serve it."""

    field_class = DayField

    def __init__(self, field_name: str, *, label: str | Promise, is_end: bool = False) -> None:
        super().__init__(field_name=field_name, label=label, widget=DayInput)
        self.is_end = is_end

    def filter(self, queryset: models.QuerySet[Any], value: dt.date | None) -> models.QuerySet[Any]:
        if value is None:
            return queryset
        day = value + dt.timedelta(days=1) if self.is_end else value
        midnight = timezone.make_aware(dt.datetime.combine(day, dt.time.min))
        return queryset.filter(**{f"{self.field_name}__{'lt' if self.is_end else 'gte'}": midnight})


class FilteredChangeList(ChangeList):
    """Leaves the filter's own parameters to the FilterSet."""

    filterset: django_filters.FilterSet

    def get_filters_params(self, params: dict[str, Any] | None = None) -> dict[str, Any]:
        own = self.model_admin.filterset_class.base_filters  # type: ignore[attr-defined]
        return {name: value for name, value in super().get_filters_params(params).items() if name not in own}

    def get_queryset(self, request: HttpRequest, *args: Any, **options: Any) -> models.QuerySet[Any]:
        found = super().get_queryset(request, *args, **options)
        self.filterset = self.model_admin.filterset_class(  # type: ignore[attr-defined]
            request.GET, queryset=found, request=request
        )
        return self.filterset.qs  # type: ignore[no-any-return]


class FilteredAdmin(AuditedModelAdmin):
    """An admin whose list is filtered by `filterset_class`."""

    filterset_class: type[Any]
    change_list_template = "admin/filtered_list.html"

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[ChangeList]:
        return FilteredChangeList

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        is_filtered = any(request.GET.get(name) for name in self.filterset_class.base_filters)
        context = {"is_filtered": is_filtered, **(extra_context or {})}
        return super().changelist_view(request, context)
