"""Doing one thing to many rows of a list: what will happen to each is shown first, one reason is asked for all.

The preview does it and takes it back, so it says what the verb itself says, refusals included. Then each row is done
by its verb in a transaction of its own: one that is refused stops no other.
"""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import models, transaction
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.functional import Promise
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from config import instants
from config.forms import add_refusal, reason_field
from config.models import User

MOST = 200  # rows at a time


class BulkForm(forms.Form):
    """One verb for many rows. Fields besides the reason are what the verb needs to know; `do` calls it for one row."""

    slug: ClassVar[str]
    label: ClassVar[str | Promise]
    permission: ClassVar[str]

    reason = reason_field(help_text=_("One reason for all of them. Kept in the audit trail."))

    def __init__(self, *args: Any, by: User, **options: Any) -> None:
        self.by = by
        super().__init__(*args, **options)
        self.order_fields([*(name for name in self.fields if name != "reason"), "reason"])

    def do(self, row: Any, *, reason: str, now: dt.datetime, **parameters: Any) -> str:
        """Calls the verb. Returns what it changes, in words that suit before and after: `Declared → Acknowledged`."""
        raise NotImplementedError

    @property
    def has_parameters(self) -> bool:
        return len(self.fields) > 1

    @property
    def knows_what_to_do(self) -> bool:
        """Whether everything but the reason is there, and right."""
        return not set(self.errors) - {"reason"} if self.is_bound else not self.has_parameters

    @property
    def parameters(self) -> dict[str, Any]:
        return {name: self.cleaned_data[name] for name in self.fields if name != "reason"} if self.is_bound else {}


@dataclass(frozen=True)
class Outcome:
    """What happens to one row: what changes, or why it is refused."""

    row: models.Model
    is_lawful: bool
    said: str


def outcomes(form: BulkForm, rows: Sequence[Any], *, now: dt.datetime, for_good: bool) -> list[Outcome]:
    """Of each row; only tried, and taken back, unless `for_good`."""
    reason = form.cleaned_data["reason"] if for_good else "preview"
    return [_outcome(form, row, now, reason, for_good) for row in rows]


def _outcome(form: BulkForm, row: Any, now: dt.datetime, reason: str, for_good: bool) -> Outcome:
    try:
        with transaction.atomic():
            said = form.do(row, reason=reason, now=now, **form.parameters)
            if not for_good:
                transaction.set_rollback(True)
    except ValidationError as refusal:
        return Outcome(row, False, " ".join(refusal.messages))
    return Outcome(row, True, said)


def _seal(found: Sequence[Outcome]) -> str:
    """Of what was shown; goes back with the press that does it, so that nothing else is done."""
    shown = [(outcome.row.pk, outcome.is_lawful, outcome.said) for outcome in found]
    return hashlib.sha256(repr(shown).encode()).hexdigest()


Action = tuple[Callable[..., HttpResponse | None], str, str | Promise]


def actions(form_classes: Sequence[type[BulkForm]], request: HttpRequest) -> dict[str, Action]:
    """As the admin's list offers them, to whoever may do them."""
    allowed = (form_class for form_class in form_classes if request.user.has_perm(form_class.permission))
    return {made.slug: (functools.partial(page, form_class=made), made.slug, made.label) for made in allowed}


def page(
    model_admin: admin.ModelAdmin[Any],
    request: HttpRequest,
    queryset: models.QuerySet[Any],
    *,
    form_class: type[BulkForm],
) -> HttpResponse | None:
    """The page between the list and the deed; None leads back to the list."""
    if not request.user.has_perm(form_class.permission):
        raise PermissionDenied
    rows = list(queryset[: MOST + 1])
    if len(rows) > MOST:
        refusal = _now("That is more than %(most)d at a time. Choose fewer.") % {"most": MOST}
        model_admin.message_user(request, refusal, messages.WARNING)
        return None
    step = request.POST.get("step", "")
    form = form_class(request.POST if step else None, by=request.user)  # type: ignore[arg-type]  # signed in
    now = instants.now()
    found = outcomes(form, rows, now=now, for_good=False) if form.knows_what_to_do else []
    seal, is_done = _seal(found), False
    if step == "do" and found and form.is_valid():
        if request.POST.get("seen") == seal:
            found, is_done = outcomes(form, rows, now=now, for_good=True), True
        else:
            changed = _("What would happen has changed. Read it, and press the button again.")
            add_refusal(form, ValidationError(changed))
    elif step != "do":
        form.errors.pop("reason", None)  # not asked for yet
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "title": _title(form_class, len(rows)),
        "form": form,
        "rows": rows,
        "outcomes": found,
        "lawful": sum(outcome.is_lawful for outcome in found),
        "is_done": is_done,
        "seen": seal,
        "checkbox_name": ACTION_CHECKBOX_NAME,
        "list_url": request.get_full_path(),
    }
    return TemplateResponse(request, "admin/bulk.html", context)


def _title(form_class: type[BulkForm], count: int) -> str:
    return ngettext("%(act)s: %(count)d chosen", "%(act)s: %(count)d chosen", count) % {
        "act": form_class.label,
        "count": count,
    }
