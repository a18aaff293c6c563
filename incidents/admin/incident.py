"""The incident: the form that declares it, and its page, which is a workspace."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from config.admin.files import whole_view
from config.admin.values import Link, list_of, page_of
from config.forms import ActForm
from incidents.admin import compose, declare, goes_out
from incidents.admin import evidence as evidence_pages
from incidents.admin.incident_list import IncidentList
from incidents.admin.verbs import VERBS, Note, TellForm
from incidents.admin.workspace import GOES_OUT, with_parts, workspace_of
from incidents.models import Incident, Notice, reaches_beyond

WHOLE = "incidents_incident_whole_export"

# ── the page ────────────────────────────────────────────────────────────────────────────────────────────────────────


@admin.register(Incident)
class IncidentAdmin(IncidentList):
    """Declared by a form of its own, changed by verbs; only the words can be edited in place."""

    instead_of_deleting = _("Close it, merge it into another, or exclude the agreement that it does not concern.")
    fieldsets = ((_("Words"), {"fields": ("title", "category", "client_summary", "description")}),)
    save_on_top = False

    def get_acts(self) -> Sequence[type[ActForm]]:
        return VERBS

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Its words go to all its clients."""
        if obj is not None and reaches_beyond(obj, request.user):
            return False
        return super().has_change_permission(request, obj)

    def read_on(self, request: HttpRequest, obj: Incident) -> list[Link]:
        """Deliveries and confirmations are their own record, which the timeline and the notices show."""
        told = Link(_now("Deliveries and confirmations in its timeline"), f"{page_of(obj)}?timeline=clients#timeline")
        tried = Link(_now("Its notices, each with every attempt"), f"{list_of(Notice)}?incident={obj.reference}")
        return [told, tried, *super().read_on(request, obj)]

    # the pages

    def get_urls(self) -> list[URLPattern]:
        views = (evidence_pages.page, evidence_pages.pdf, goes_out.page, goes_out.mail)
        page, pdf, preview, mail = (self.admin_site.admin_view(view) for view in views)
        return [
            path("add/", self.admin_site.admin_view(self.add_view, cacheable=True), name=declare.PAGE),
            path("add/ahead/", self.admin_site.admin_view(declare.ahead), name=declare.AHEAD),
            path("<int:object_id>/evidence/<int:client_id>/", page, name=evidence_pages.PAGE),
            path("<int:object_id>/evidence/<int:client_id>.pdf", pdf, name=evidence_pages.PDF),
            path("<int:object_id>/whole/", self.admin_site.admin_view(self.whole_view), name=WHOLE),
            path("<int:object_id>/goes-out/<int:deadline_id>/<str:moment>/", preview, name=GOES_OUT),
            path("<int:object_id>/goes-out/<int:deadline_id>/<str:moment>/mail/", mail, name=goes_out.MAIL),
            *(self._draft_url(form_class) for form_class in VERBS if issubclass(form_class, TellForm)),
            *super().get_urls(),
        ]

    def _draft_url(self, form_class: type[TellForm]) -> URLPattern:
        view: Any = self.admin_site.admin_view(functools.partial(compose.mail, form_class=form_class))
        name = f"incidents_incident_{form_class.slug}_mail"
        pattern: URLPattern = path(f"<int:object_id>/{form_class.slug}/mail/", view, name=name)
        return pattern

    def whole_view(self, request: HttpRequest, object_id: int) -> HttpResponseBase:
        """All that belongs to it, as files."""
        incident = self.get_object(request, str(object_id))
        if not self.has_view_permission(request, incident):
            raise PermissionDenied
        if incident is None:
            raise Http404
        return whole_view(request, incident, incident.reference)

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return declare.page(request, self)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        incident = self.get_object(request, object_id) if object_id.isdecimal() else None
        if incident is None or not self.has_view_permission(request, incident):
            return super().change_view(request, object_id, form_url, extra_context)
        by: Any = request.user  # the site lets nobody in who is not signed in
        buttons = self.buttons(request, with_parts(incident, by))
        context = {
            "title": f"{incident.reference} · {incident.title}",
            "subtitle": None,
            "show_save_and_add_another": False,
            "show_save_and_continue": False,
            "buttons": buttons,
            "workspace": workspace_of(
                incident,
                now=timezone.now(),
                by=by,
                buttons=buttons,
                view=request.GET.get("timeline", ""),
            ),
            "note": Note(subject=incident, by=by),
            "note_url": reverse("admin:incidents_incident_note", args=[incident.pk]),
            **(extra_context or {}),
        }
        return super().change_view(request, object_id, form_url, context)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **options: Any) -> forms.Field | None:
        found: forms.Field | None = super().formfield_for_dbfield(db_field, request, **options)
        if found is not None and db_field.name in ("client_summary", "description"):
            found.widget.attrs["rows"] = 4
        return found
