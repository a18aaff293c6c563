"""The form that declares an incident, with what would follow from it beside it."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from django.views.decorators.cache import cache_control

from agreements.models import Service, Severity
from config import instants
from config.admin import ACTING_METHODS, list_of, page_of
from config.forms import ActForm, Done, InstantInput, add_refusal, of
from incidents import lifecycle
from incidents.admin import badges
from incidents.admin.ahead import Ahead, look_ahead
from incidents.lifecycle import AlreadyDeclared
from incidents.models import Incident

PAGE, AHEAD = "incidents_incident_add", "incidents_incident_ahead"
#: Folded away until somebody wants them.
MORE = ("client_summary", "category", "aware_at", "occurred_at", "description")
#: How long ago it was detected, by the buttons.
SHORTCUTS = (5, 10, 15, 30, 60)


class Declare(ActForm):
    """In the order of thought; what is not filled in yet is an error only once it is to be declared."""

    slug = "add"
    label = _("Declare incident")
    permission = "incidents.add_incident"
    presets = ("title", "severity")
    field_order = ("title", "services", "severity", "detected_at", "minutes_ago", *MORE)

    token = forms.UUIDField(widget=forms.HiddenInput, required=False, initial=uuid.uuid4)
    title = of(
        Incident,
        "title",
        label=_("What is broken"),
        help_text=_("In one line, as a colleague would say it. Clients read it too."),
    )
    services = forms.ModelMultipleChoiceField(
        Service.objects.filter(is_active=True),
        label=_("Affected services"),
        required=False,  # the verb refuses an empty choice, and says why
        help_text=_("Every agreement that covers one of them applies."),
    )
    severity = forms.ChoiceField(label=_("Severity"), choices=Severity.choices, widget=forms.RadioSelect)
    detected_at = of(
        Incident,
        "detected_at",
        widget=InstantInput(attrs={"step": "1"}),
        help_text=_("When somebody or a probe first saw it."),
    )
    minutes_ago = forms.IntegerField(
        label=_("or minutes ago"),
        required=False,
        min_value=0,
        max_value=60 * 24 * 365,
        help_text=_("Counts instead of the time if it is filled in."),
    )
    client_summary = of(Incident, "client_summary", widget=forms.Textarea(attrs={"rows": 4}))
    category = of(Incident, "category")
    aware_at = of(Incident, "aware_at", help_text=_("When we knew. Leave empty if that was when it was detected."))
    occurred_at = of(Incident, "occurred_at", help_text=_("When it really began, if that is known."))
    description = of(Incident, "description", widget=forms.Textarea(attrs={"rows": 4}))

    def __init__(self, *args: Any, now: dt.datetime, is_preview: bool = False, **options: Any) -> None:
        super().__init__(*args, **options)
        self.now = now
        is_counted_back = bool(self.data.get("minutes_ago", "").strip())
        for name, bound in self.fields.items():
            if is_preview or (name == "detected_at" and is_counted_back):
                bound.required = False

    def clean(self) -> dict[str, Any]:
        typed: dict[str, Any] = super().clean() or {}
        minutes = typed.pop("minutes_ago", None)
        if minutes is not None:
            typed["detected_at"] = (self.now - dt.timedelta(minutes=minutes)).replace(microsecond=0)
        return typed

    def pin(self) -> None:
        """Show the time that was counted back, so that it does not move on when the form is sent again."""
        if self.errors or not self.data.get("minutes_ago"):
            return
        shown = InstantInput().format_value(timezone.localtime(self.cleaned_data["detected_at"]))
        data: Any = self.data
        self.data = data.copy()
        self.data["detected_at"], self.data["minutes_ago"] = shown, ""  # type: ignore[index]

    def act(self, *, now: dt.datetime) -> Done:
        incident = lifecycle.declare(by=self.by, now=now, **self.cleaned_data)
        count = incident.deadlines.count()
        started = ngettext("%d deadline started.", "%d deadlines started.", count) % count
        message = _now("%(ref)s is declared. %(started)s") % {"ref": incident.reference, "started": started}
        return Done(message, then=page_of(incident))

    # as it is shown

    @property
    def more(self) -> list[forms.BoundField]:
        return [self[name] for name in MORE]

    @property
    def has_more_open(self) -> bool:
        return any(name in self.errors or (name != "category" and self.data.get(name)) for name in MORE)

    @cached_property
    def chosen(self) -> set[str]:
        """Keys of the services that are ticked."""
        return {str(key) for key in self["services"].value() or ()}

    @property
    def offered(self) -> list[tuple[int, str, bool]]:
        """Every service with its key, and whether it is ticked."""
        services: Any = self.fields["services"]
        rows = services.queryset.values_list("pk", "name")
        return [(pk, name, str(pk) in self.chosen) for pk, name in rows]

    @property
    def severities(self) -> list[tuple[Severity, SafeString, bool]]:
        typed = self["severity"].value()
        return [(severity, badges.severity(severity), severity == typed) for severity in Severity]

    @property
    def wrong(self) -> list[forms.BoundField]:
        """The fields with errors, in the order of the form."""
        return [bound for bound in self if bound.errors and not bound.is_hidden]

    @property
    def focus(self) -> str:
        """The field in which the reader goes on: the first that is wrong, else the first of all."""
        return self.wrong[0].name if self.wrong else "title"


@cache_control(private=True, no_cache=True)  # but kept for the Back button, which brings the same form, with its token
def page(request: HttpRequest, model_admin: ModelAdmin[Incident]) -> HttpResponse:
    """GET shows the form; POST declares, or with “preview” shows what would follow. Whatever was typed is kept."""
    if request.method not in ACTING_METHODS:
        return HttpResponseNotAllowed(ACTING_METHODS)
    _refuse_strangers(request)
    now = instants.now()
    is_preview = "preview" in request.POST
    form = _form(request, now, is_preview=is_preview)
    if form.is_valid() and not is_preview:
        try:
            done = form.act(now=now)
        except AlreadyDeclared as again:
            return _to_the_first(request, again.incident)
        except ValidationError as error:
            add_refusal(form, error)
        else:
            model_admin.message_user(request, str(done.message), done.level)
            return HttpResponseRedirect(done.then or list_of(Incident))
    form.pin()
    if form.focus in form.fields:
        form.fields[form.focus].widget.attrs["autofocus"] = True
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": Incident._meta,
        "title": _now("Declare an incident"),
        "form": form,
        "ahead": _ahead(request, now),
        "ahead_url": reverse(f"admin:{AHEAD}"),
        "is_preview": is_preview,
        "shortcuts": SHORTCUTS,
        "may_add_service": request.user.has_perm("agreements.add_service"),
        "cancel_url": list_of(Incident),
    }
    return TemplateResponse(request, "admin/incidents/incident/declare.html", context)


def ahead(request: HttpRequest) -> HttpResponse:
    """What would follow from what is typed so far, as pieces of the page; POST, because forms are long. Only reads."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    _refuse_strangers(request)
    now = instants.now()
    context = {"ahead": _ahead(request, now), "reader_zone": timezone.get_current_timezone_name()}
    return TemplateResponse(request, "admin/incidents/incident/declare_ahead.html", context)


def _refuse_strangers(request: HttpRequest) -> None:
    if not request.user.has_perm(Declare.permission):
        raise PermissionDenied


def _form(request: HttpRequest, now: dt.datetime, *, is_preview: bool) -> Declare:
    data = request.POST if request.method == "POST" else None
    begun = {name: request.GET[name] for name in Declare.presets if name in request.GET}
    return Declare(data, subject=None, by=request.user, now=now, is_preview=is_preview, initial=begun)


def _ahead(request: HttpRequest, now: dt.datetime) -> Ahead:
    form = _form(request, now, is_preview=True)
    errors = form.errors
    return look_ahead(form.cleaned_data, errors, now=now, reader=form.by) if form.is_bound else Ahead(now)


def _to_the_first(request: HttpRequest, first: Incident) -> HttpResponse:
    said = _now(
        "This form had already declared %(ref)s, which you see here. Nothing was declared twice. "
        "If this is about something else, declare that with a new form."
    )
    messages.warning(request, said % {"ref": first.reference})
    return HttpResponseRedirect(page_of(first))
