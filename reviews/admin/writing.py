"""Writing a review: its form, and what its Markdown will look like."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import PermissionDenied
from django.db import models
from django.forms.formsets import DELETION_FIELD_NAME
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from config import markdown
from config.admin import ReasonForm

#: Characters that are shown as Markdown at once: as many as the longest text may have.
LONGEST = 20_000


class ReviewForm(ReasonForm):
    """A draft is written without saying why each time; what the trail must explain is still asked for."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if "reason" in self.fields:
            self.fields["reason"].help_text = _(
                "Kept in the audit trail. Required only where an action gets another owner or another due day."
            )

    def _needs_reason(self) -> bool:
        return bool(_explained(self)) or any(_explained(row) for row in self._rows)


def _explained(form: forms.ModelForm[Any]) -> bool:
    """Whether what was typed here changes, or takes out, what only a reason may."""
    row: Any = form.instance
    if row._state.adding or not form.has_changed():
        return False
    if DELETION_FIELD_NAME in form.fields and form[DELETION_FIELD_NAME].data:
        return bool(row.NEED_REASON)
    fields: list[models.Field[Any, Any]] = row._meta.concrete_fields
    return bool(row.needing_reason({field.attname for field in fields if field.name in form.changed_data}))


def preview(request: HttpRequest, review: Any, *, may_change: bool) -> HttpResponse:
    """The text as it will be read, for whoever writes it; nothing is kept."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    if review is None:
        raise Http404
    if not may_change:
        raise PermissionDenied
    text = request.POST.get("text", "")
    if len(text) > LONGEST:
        return HttpResponse(_now("This text is too long."), status=413, content_type="text/plain; charset=utf-8")
    return HttpResponse(markdown.to_html(text))
