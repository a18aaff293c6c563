"""What this floor adds to the page of a colleague: the clients that they see."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from agreements.models import ClientScope
from config import scope
from config.admin.people import INLINES
from config.forms import RowsFormSet


class ScopeInline(admin.TabularInline):  # type: ignore[type-arg]
    """A client is given or taken away, never turned into another one. Without any, a colleague sees all."""

    model = ClientScope
    formset = RowsFormSet
    autocomplete_fields = ("client",)
    extra = 0

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[ClientScope]:
        return scope.visible(super().get_queryset(request).select_related("client"), request.user)


INLINES.append(ScopeInline)
