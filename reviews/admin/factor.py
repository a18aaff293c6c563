"""Contributing factors by name, shared by all reviews."""

from __future__ import annotations

import django_filters
from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from config.filters import FilteredAdmin
from reviews.models import Factor, FactorKind


class FactorFilter(django_filters.FilterSet):  # type: ignore[misc]  # the library ships no types
    kind = django_filters.ChoiceFilter(choices=FactorKind.choices, label=_("Kind"), empty_label=_("All"))

    class Meta:
        model = Factor
        fields = ()


@admin.register(Factor)
class FactorAdmin(FilteredAdmin):
    filterset_class = FactorFilter
    list_display = ("name", "kind")
    search_fields = ("words",)
    search_help_text = _("Words of its name")
    fields = ("name", "kind")
