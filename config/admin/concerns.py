"""The review queue: what an auditor should look at, and the one thing that an auditor writes."""

from __future__ import annotations

import datetime as dt
from typing import Any

import django_filters
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from config import times
from config.admin.values import badge, list_of, zoned
from config.audit import concerns
from config.bulk import BulkForm
from config.erased import shown
from config.filters import FilteredAdmin, PersonFilter, Tab, days
from config.forms import ActForm, Done, of
from config.models import Concern, LookedAt
from config.models.concern import ConcernKind
from config.navigation import Count, Entry, Part
from config.site import Tile, site

VIEW = "config.view_concern"
MARK = "config.add_lookedat"


class LookAt(ActForm):
    slug = "look-at"
    label = _("Mark as looked at")
    permission = MARK
    remark = of(LookedAt, "remark", help_text=_("What you found, for whoever asks later. Kept in the audit trail."))

    @classmethod
    def is_lawful(cls, subject: Concern) -> bool:
        return not hasattr(subject, "looked_at")

    def act(self, *, now: dt.datetime) -> Done:
        concerns.look_at(self.subject, by=self.by, now=now, **self.cleaned_data)
        return Done(_("Marked as looked at."), then=list_of(Concern))


class LookAtMany(BulkForm):
    slug = "look-at-many"
    label = _("Mark as looked at")
    permission = MARK
    reason = of(LookedAt, "remark", help_text=_("What you found. Kept with each of them."))

    def do(self, row: Concern, *, reason: str, now: dt.datetime, **parameters: Any) -> str:
        concerns.look_at(row, by=self.by, remark=reason, now=now)
        return _now("Looked at")


class ConcernFilter(django_filters.FilterSet):  # type: ignore[misc]  # the library ships no types
    kind = django_filters.ChoiceFilter(label=_("Why"), choices=ConcernKind.choices, empty_label=_("All"))
    mark = django_filters.ChoiceFilter(
        label=_("Looked at"), method="by_mark", choices=(("no", _("not yet")), ("yes", _("yes"))), empty_label=_("All")
    )
    actor = PersonFilter(Concern._meta.get_field("actor"), label=_("Done by"))
    since, until = days("at", since=_("Done from"), until=_("Done until"))

    class Meta:
        model = Concern
        fields = ()

    def by_mark(self, queryset: models.QuerySet[Any], name: str, value: str) -> models.QuerySet[Any]:
        return queryset.filter(looked_at__isnull=value == "no")


@admin.register(Concern)
class ConcernAdmin(FilteredAdmin):
    """What the rules found, the newest first. Nothing here says that anything was wrong: somebody should look."""

    is_read_only = True
    counted_as = _("entries of the review queue")
    acts = (LookAt,)
    bulk_forms = (LookAtMany,)
    filterset_class = ConcernFilter
    tabs = (
        Tab(_("To look at"), {"mark": "no"}, when_empty=_("Nothing waits for an auditor's look.")),
        Tab(_("Looked at"), {"mark": "yes"}, when_empty=_("Nothing was marked as looked at yet.")),
        Tab(_("All"), {}),
    )
    export_columns = ("at", "kind", "name", "actor_name", "caller", "reason", "act_id")
    list_display = ("what", zoned(Concern, "at"), "actor_name", "reason", "mark")
    list_display_links = ("what",)
    list_select_related = ("looked_at__by",)
    fields = ("what", "at", "actor_name", "caller", "reason", "in_the_trail", "mark", "remark")
    readonly_fields = ("what", "in_the_trail", "mark", "remark")

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        return super().get_queryset(request).select_related("looked_at__by")  # type: ignore[no-any-return]

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """It never changes; its story is the act that it is about."""
        concern = self.get_object(request, object_id)
        if not self.has_view_permission(request, concern):
            raise PermissionDenied
        return HttpResponseRedirect(trail_of(concern) if concern else list_of(Concern))

    def as_it_was_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        return self.history_view(request, str(object_id))

    def history_form_view(
        self, request: HttpRequest, object_id: str, version_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        raise Http404

    @admin.display(description=_("what"), ordering="kind")
    def what(self, concern: Concern) -> SafeString:
        return format_html("<strong>{}</strong><br>{}", concern.get_kind_display(), shown(concern.name))

    @admin.display(description=_("what was changed"))
    def in_the_trail(self, concern: Concern) -> SafeString:
        return format_html('<a href="{}">{}</a>', trail_of(concern), _now("The whole act in the audit trail"))

    @admin.display(description=_("looked at"))
    def mark(self, concern: Concern) -> SafeString:
        seen = getattr(concern, "looked_at", None)
        if seen is None:
            return badge(_now("Not yet"), "high", "!")
        who = {"who": seen.by.audit_name, "at": times.for_reader(seen.at)}
        return format_html("{}<br>{}", badge(_now("Looked at"), "ok", "✓"), _now("%(who)s, %(at)s") % who)

    @admin.display(description=_("remark"))
    def remark(self, concern: Concern) -> str:
        seen = getattr(concern, "looked_at", None)
        return seen.remark if seen is not None else "–"


def trail_of(concern: Concern) -> str:
    """The page of the act that it is about."""
    return reverse("admin:trail_act", args=[concern.act_id])


@site.register_tile
def to_look_at(request: HttpRequest, now: dt.datetime) -> Tile | None:
    """For those who look; others have the list."""
    if not request.user.has_perm(MARK):
        return None
    return Tile(_("To look at"), Concern.objects.open(), f"{list_of(Concern)}?mark=no", "warn")


site.register_entries(
    Entry(
        _("Review queue"),
        "admin:config_concern_changelist",
        VIEW,
        Part.OVERSIGHT,
        count=Count(lambda now: Concern.objects.open(), _("to look at"), "warn"),
    )
)
