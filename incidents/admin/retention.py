"""The page of what is kept for how long: what was given up, and for administrators what could be."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from config import instants, scope
from config.admin import ACTING_METHODS, list_of, trail
from config.env import LONGEST_KEPT
from config.forms import add_refusal, reason_field
from config.models import Event, EventKind
from incidents import retention
from incidents.models import Notice

PAGE = "incidents_notice_retention"
REDUCE = "incidents.reduce_notice"
MOST = 500  # notices of one press: no web server lets a page take much longer
SHOWN = 20  # of what was given up


class AgeForm(forms.Form):
    days = forms.IntegerField(
        label=_("Days since their incident and review were closed"), min_value=1, max_value=LONGEST_KEPT
    )


class ReduceForm(AgeForm):
    """Carries what was shown, so that nothing else is done."""

    reason = reason_field(help_text=_("Kept in the audit trail with each notice."))
    is_sure = forms.BooleanField(label=_("These texts will be gone for good. I have read which they are."))

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["days"].widget = forms.HiddenInput()


def page(request: HttpRequest) -> HttpResponse:
    """What was given up, for who reads the trail; who may give something up sees first what that would be."""
    if request.method not in ACTING_METHODS:
        return HttpResponseNotAllowed(ACTING_METHODS)
    by: Any = request.user  # the site lets nobody in who is not signed in
    may_reduce = by.has_perm(REDUCE)
    if not by.has_perm(trail.PERMISSION) or (request.method == "POST" and not may_reduce):
        raise PermissionDenied
    context = {
        **admin.site.each_context(request),
        "opts": Notice._meta,
        "title": _now("Retention"),
        "kept_days": settings.NOTICE_BODY_DAYS,
        "past": _past(by),
        "trail_url": f"{reverse(f'admin:{trail.PAGE}')}?{urlencode({'action': EventKind.TEXTS_REDUCED.value})}",
        "list_url": list_of(Notice),
    }
    if may_reduce:
        answer = _reducing(request, by)
        if isinstance(answer, HttpResponse):
            return answer
        context |= answer
    return TemplateResponse(request, "admin/incidents/notice/retention.html", context)


def _past(reader: Any) -> list[tuple[Event, str]]:
    """The latest acts by which texts were given up, each with the address of its page."""
    found = scope.visible(Event.objects.filter(kind=EventKind.TEXTS_REDUCED), reader).order_by("-at", "-pk")
    return [(event, reverse(f"admin:{trail.ACT}", args=[event.request_id])) for event in found[:SHOWN]]


def _reducing(request: HttpRequest, by: Any) -> dict[str, Any] | HttpResponse:
    """What the page shows of it; or where to go after it was done."""
    age = AgeForm(request.POST or request.GET or None, initial={"days": settings.NOTICE_BODY_DAYS or 730})
    if not age.is_valid():
        return {"age": age}
    days, now = age.cleaned_data["days"], instants.now()
    before = now - dt.timedelta(days=days)
    preview = retention.preview(before, by)
    form = ReduceForm(request.POST or None, initial={"days": days})
    if request.method == "POST" and form.is_valid():
        if request.POST.get("seen") != _seen(preview):
            add_refusal(form, ValidationError(_("What would happen has changed. Read it, and press the button again.")))
        else:
            done = retention.reduce_bodies(before, by=by, reason=form.cleaned_data["reason"], most=MOST)
            messages.success(request, _done(done))
            preview = retention.preview(before, by)
            if not preview.notices or not done:
                return HttpResponseRedirect(f"{request.path}?{urlencode({'days': days})}")
    return {"age": age, "before": before, "preview": preview, "seen": _seen(preview), "form": form, "most": MOST}


def _seen(preview: retention.Preview) -> str:
    return f"{preview.notices} {preview.clients} {preview.incidents} {preview.oldest_at} {preview.newest_at}"


def _done(count: int) -> str:
    said = ngettext(
        "The texts of %(count)d notice were reduced to their digests.",
        "The texts of %(count)d notices were reduced to their digests.",
        count,
    )
    return said % {"count": count}
