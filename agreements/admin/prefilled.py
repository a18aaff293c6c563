"""Tables whose rows begin filled in on a new page."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db import models
from django.http import HttpRequest

from config.admin import READING_METHODS


class PrefilledInline(admin.TabularInline):  # type: ignore[type-arg]
    """What is filled in is saved like what is typed, since only the page that is shown begins with it."""

    def first_rows(self, request: HttpRequest) -> list[dict[str, Any]]:
        """What the rows of a new page begin with, as the address asks for it."""
        raise NotImplementedError

    def get_formset(self, request: HttpRequest, obj: models.Model | None = None, **options: Any) -> Any:
        rows = self.first_rows(request) if obj is None and request.method in READING_METHODS else []
        if not rows:
            return super().get_formset(request, obj, **options)
        base = super().get_formset(request, obj, **{**options, "extra": max(len(rows) - (self.min_num or 0), 0)})

        class Prefilled(base):  # type: ignore[misc, valid-type]  # made by the line above
            def __init__(self, *args: Any, **options: Any) -> None:
                super().__init__(*args, **{**options, "initial": rows})

        return Prefilled
