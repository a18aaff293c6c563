"""The pages that tell of one thing what became of it: its history, and as it was at an instant."""

from __future__ import annotations

import datetime as dt
from typing import Any, cast
from urllib.parse import urlencode

from django import forms
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, QueryDict
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from simple_history.admin import SimpleHistoryAdmin

from config import scope, times
from config.admin.values import Link
from config.audit import as_it_was, differences, histories
from config.audit.histories import Asked, May, See
from config.audit.paging import Position
from config.audit.trail import ref
from config.forms import InstantField
from config.history import AuditedModel

READING_METHODS = ("GET", "HEAD")


class HistoryFilter(forms.Form):
    """What of the history is wanted. A field is one of the thing itself, or of the part that is chosen."""

    part = forms.ChoiceField(label=_("Part"), required=False)
    field = forms.ChoiceField(label=_("Field"), required=False)
    who = forms.ChoiceField(label=_("Who"), required=False)

    def __init__(self, data: QueryDict, *, model: type[AuditedModel], people: list[str], may: May) -> None:
        super().__init__(data, auto_id="history-%s")
        self.parts = {kind._meta.label_lower: kind for kind in histories.tables(model) if may(kind)}
        chosen = self.parts.get(data.get("part", ""), model)
        labels = sorted(differences.fields_of(chosen).items(), key=lambda field: field[1])
        names = [(label, capfirst(str(kind._meta.verbose_name))) for label, kind in self.parts.items()]
        for name, choices in (("part", names), ("field", labels), ("who", [(who, who) for who in people])):
            cast("forms.ChoiceField", self.fields[name]).choices = [("", _("All")), *choices]

    def asked(self, before: Position | None) -> Asked:
        """What was chosen; what is not to be chosen from counts as left out."""
        self.is_valid()
        chosen = {name: self.cleaned_data.get(name, "") for name in self.fields}
        return Asked(chosen["field"], self.parts.get(chosen["part"]), chosen["who"], before)


class InstantForm(forms.Form):
    at = InstantField(label=_("As it was at"))


class HistoryPages(SimpleHistoryAdmin):  # type: ignore[misc]  # the library ships no types
    """Both pages of a model's admin; the library's list of versions is not used."""

    def zone_beside(self, obj: Any) -> str:
        """The zone in which instants are shown besides the reader's: the client's, where it is about one."""
        return "UTC"

    def read_on(self, request: HttpRequest, obj: Any) -> list[Link]:
        """Where else something is told of it."""
        if not request.user.has_perm("config.view_event"):
            return []
        return [
            Link(
                _now("It and its parts in the audit trail"),
                f"{reverse('admin:trail')}?{urlencode({'object': ref(obj)})}",
            )
        ]

    def get_urls(self) -> list[URLPattern]:
        view: Any = self.admin_site.admin_view(self.as_it_was_view)
        name = f"{self.opts.app_label}_{self.opts.model_name}_as_it_was"
        return [path("<int:object_id>/as-it-was/", view, name=name), *super().get_urls()]

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """What was done to it and to its parts, by act. `?field=` asks who last changed that, and why."""
        if request.method not in READING_METHODS:
            return HttpResponseNotAllowed(READING_METHODS)
        if not object_id.isdecimal():
            raise Http404
        obj = self._of_history(request, object_id)
        may, see = self._may_view(request), self._see(request)
        people = histories.people(self.model, obj.pk, may=may, see=see)
        form = HistoryFilter(request.GET, model=self.model, people=people, may=may)
        asked = form.asked(Position.parse(request.GET.get("before", "")))
        beside = self.zone_beside(obj)
        page = histories.page(self.model, obj.pk, asked=asked, may=may, see=see, beside=beside)
        context = {
            "form": form,
            "answer": self._answer(obj, asked, see, beside),
            "acts": page.acts,
            "read_on": self.read_on(request, obj),
            "beside": beside,
            "newest_url": self._address(request, None) if asked.before else "",
            "older_url": self._address(request, page.older) if page.older else "",
            **(extra_context or {}),
        }
        title = self.history_view_title(request, obj)
        return self._show(request, "admin/history.html", obj, title, context)

    def as_it_was_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """The whole of it, fields and parts, as the trail has it for an instant."""
        if request.method not in READING_METHODS:
            return HttpResponseNotAllowed(READING_METHODS)
        obj = self._of_history(request, str(object_id))
        now = timezone.now()
        form = InstantForm({"at": request.GET.get("at") or now.isoformat()}, auto_id="as-it-was-%s")
        at = form.cleaned_data["at"] if form.is_valid() else None
        whole = None
        if at and at <= now:
            may, see, beside = self._may_view(request), self._see(request), self.zone_beside(obj)
            whole = as_it_was.whole(self.model, obj.pk, at, may=may, see=see, beside=beside)
        context = {
            "form": InstantForm(initial={"at": at}, auto_id="as-it-was-%s") if at else form,
            "at": at and times.in_both(at, self.zone_beside(obj)),
            "whole": whole,
            "refusal": self._refusal(obj, at, now) if at and whole is None else "",
        }
        return self._show(request, "admin/as_it_was.html", obj, _now("%(object)s as it was") % {"object": obj}, context)

    def _refusal(self, obj: Any, at: dt.datetime, now: dt.datetime) -> str:
        if at > now:
            return _now("That is in the future: nobody knows yet how it will stand then.")
        first, last = as_it_was.lifetime(self.model, obj.pk)
        if first is None:
            return _now("The audit trail keeps nothing of it.")
        if at < first:
            return _now("It did not exist then: it was added at %(at)s.") % {"at": times.in_both(first, "UTC")}
        return _now("It no longer existed then: it was removed at %(at)s.") % {
            "at": times.in_both(last or first, "UTC")
        }

    def _show(self, request: HttpRequest, page: str, obj: Any, title: str, context: dict[str, Any]) -> HttpResponse:
        request.current_app = self.admin_site.name
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "object": obj,
            "is_gone": obj._state.adding,
            "title": title,
            **context,
        }
        return TemplateResponse(request, page, context)

    def _of_history(self, request: HttpRequest, object_id: str) -> Any:
        """The object, or, where it was removed, the last that is known of it."""
        obj = self.get_queryset(request).filter(pk=object_id).first()
        if obj is None and not self.model._base_manager.filter(pk=object_id).exists():
            kept = scope.visible(self.model.history.filter(**{self.opts.pk.attname: object_id}), request.user)
            row = kept.order_by("-history_id").first()
            obj = row.instance if row else None
        if obj is None:
            raise Http404
        if not self.has_view_history_or_change_history_permission(request, obj):
            raise PermissionDenied
        return obj

    def _may_view(self, request: HttpRequest) -> May:
        return lambda kind: kind is self.model or scope.may_view(request.user, kind)

    def _see(self, request: HttpRequest) -> See:
        return lambda rows: scope.visible(rows, request.user)

    def _address(self, request: HttpRequest, before: Position | None) -> str:
        """The same page with the same filters, from there on."""
        kept = {name: value for name, value in request.GET.items() if name != "before" and value}
        return "?" + urlencode({**kept, "before": str(before)} if before else kept)

    def _answer(self, obj: Any, asked: Asked, see: See, beside: str) -> str:
        """In one sentence who last changed the field that is asked for, and why."""
        if not asked.field or asked.part not in (None, self.model) or asked.who:
            return ""
        told = histories.last_change(self.model, obj.pk, asked.field, see=see, beside=beside)
        label = differences.fields_of(self.model)[asked.field]
        if told is None:
            return _now("The audit trail tells of no change of “%(field)s”.") % {"field": label}
        facts = {
            "field": label,
            "who": told.row.actor_name,
            "at": times.in_both(told.row.history_date, beside),
            "reason": told.row.history_change_reason or "",
        }
        if told.kind == "+":
            return _now("“%(field)s” has stood so since it was added by %(who)s at %(at)s.") % facts
        if facts["reason"]:
            return _now("“%(field)s” was last changed by %(who)s at %(at)s because “%(reason)s”.") % facts
        return _now("“%(field)s” was last changed by %(who)s at %(at)s; no reason was given.") % facts
