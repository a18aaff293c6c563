"""The page of the locks against guessing, on which an administrator lifts one."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from config import guessing, times
from config.forms import reason_field
from config.guessing import Lock
from config.models import Event

PAGE = "locks"
PERMISSION = "config.change_user"
METHODS = ("GET", "HEAD", "POST")


def urls() -> list[URLPattern]:
    return [path("locks/", admin.site.admin_view(page), name=PAGE)]


class LiftForm(forms.Form):
    lock = forms.TypedChoiceField(label=_("lock"), coerce=int, widget=forms.RadioSelect)
    reason = reason_field(help_text=_("Who asked for it, and how you know that it was them. Kept in the audit trail."))

    def __init__(self, *args: Any, found: list[tuple[Event, Lock]], **options: Any) -> None:
        super().__init__(*args, **options)
        self._locks = {event.pk: lock for event, lock in found}
        self.fields["lock"].choices = [(event.pk, _told(event)) for event, _lock in found]  # type: ignore[attr-defined]

    @property
    def chosen(self) -> Lock:
        return self._locks[self.cleaned_data["lock"]]


def page(request: HttpRequest) -> HttpResponse:
    """GET lists the locks that hold now, POST lifts one; for whoever may change accounts."""
    if request.method not in METHODS:
        return HttpResponseNotAllowed(METHODS)
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied
    found = guessing.in_force()
    form = LiftForm(request.POST if request.method == "POST" else None, found=found)
    if form.is_valid():
        by: Any = request.user  # the site lets nobody in who is not signed in
        form.chosen.lift(by=by, reason=form.cleaned_data["reason"])
        messages.success(request, _now("The lock is lifted."))
        return HttpResponseRedirect(request.path)
    context = {
        **admin.site.each_context(request),
        "title": _now("Locks of sign-in"),
        "form": form,
        "found": found,
    }
    return TemplateResponse(request, "admin/locks.html", context)


def _told(event: Event) -> str:
    return _now("%(at)s from %(address)s: %(what)s") % {
        "at": times.for_reader(event.at),
        "address": event.address or _now("an unknown address"),
        "what": event.sentence,
    }
