"""The page of the audit trail, and of one act of it. For reading only, and only what its reader may view elsewhere."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _now

from config import scope, turns
from config.admin.histories import READING_METHODS
from config.admin.trail_filters import TrailFilters
from config.admin.values import Link, address
from config.audit import acts, differences, files, trail
from config.audit.acts import Act, Ref
from config.audit.names import Names
from config.audit.paging import Position
from config.audit.sources import Table
from config.history import AuditedModel, Caller

PAGE, ACT, EXPORT = "trail", "trail_act", "trail_export"
PERMISSION = "config.view_event"
BEFORE = "before"  # the parameter that says where a page begins


def urls() -> list[URLPattern]:
    return [
        path("trail/", admin.site.admin_view(trail_view), name=PAGE),
        path("trail/<uuid:request_id>/", admin.site.admin_view(act_view), name=ACT),
    ]


def readable(request: HttpRequest) -> tuple[Table, ...]:
    """Of the models that this person may view, the rows that they see; a part without a page goes with its whole."""
    return tuple(table for table in scope.tables(request.user) if scope.may_view(request.user, table.model))


# ── what is shown ───────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Entry:
    """One act, as its line shows it."""

    act: Act
    names: Names

    MOST = 5  # that it names

    @property
    def url(self) -> str:
        return reverse(f"admin:{ACT}", args=[self.act.request_id])

    @property
    def at(self) -> dt.datetime:
        return self.act.at

    @property
    def who(self) -> Link:
        """What else that person did."""
        return Link(self.act.actor_name, f"{reverse(f'admin:{PAGE}')}?{urlencode({'actor': self._who})}")

    @property
    def _who(self) -> str:
        return str(self.act.actor_id or self.act.actor_name)

    @property
    def caller(self) -> str:
        return str(Caller(self.act.caller).label) if self.act.caller in Caller.values else self.act.caller

    @property
    def about(self) -> list[Link]:
        return [self._link(ref, "change") for ref in self.act.about[: self.MOST]]

    @property
    def histories(self) -> list[Link]:
        """Those of what it is about."""
        found = (self._link(ref, "history") for ref in self.act.about[: self.MOST] if _has_history(ref))
        return [link for link in found if link.url]

    @property
    def more(self) -> int:
        """What it is about besides."""
        named = {fact.about for fact in self.act.facts if fact.about is not None}
        others = sum(fact.wholes - 1 for fact in self.act.facts if fact.wholes > 1)
        return max(len(named) - self.MOST, 0) or others

    @property
    def heading(self) -> str:
        return self._sentences[0] if self._sentences else ""

    @property
    def others(self) -> list[str]:
        return self._sentences[1:]

    @cached_property
    def _sentences(self) -> list[str]:
        return acts.sentences(self.act)

    def _link(self, ref: Ref, page: str) -> Link:
        model = ref.model
        if model is None:
            return Link(f"{ref.label} {ref.pk}")
        name = self.names.of(model, ref.pk)
        is_there = self.names.row(model, ref.pk) is not None
        text = name if is_there else f"{model._meta.verbose_name} {name}"
        return Link(text, page_of_model(model, ref.pk, page) if is_there or page == "history" else "")


def _has_history(ref: Ref) -> bool:
    return ref.model is not None and issubclass(ref.model, AuditedModel)


def page_of_model(model: type[models.Model], pk: int, page: str = "change") -> str:
    """This page of that row; nothing where its model has none."""
    return address(model, page, pk) if admin.site.is_registered(model) else ""


# ── the pages ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _check(request: HttpRequest) -> HttpResponse | None:
    if request.method not in READING_METHODS:
        return HttpResponseNotAllowed(READING_METHODS)
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied
    return None


@turns.one_at_a_time
def trail_view(request: HttpRequest) -> HttpResponse:
    """Everything that was done, newest first, as far as the filters in the address leave it."""
    if (refusal := _check(request)) is not None:
        return refusal
    filters = TrailFilters(request, readable(request))
    before = Position.parse(request.GET.get(BEFORE, ""))
    page, is_slow = trail.Page([], Names({}), None), False
    try:
        page = trail.page(filters.question, before)
    except trail.TooSlow:
        is_slow = True
    asked = {name: str(value) for name, value in request.GET.items() if name in filters.filters and value}
    context = {
        **admin.site.each_context(request),
        "title": _now("Audit trail"),
        "form": filters.form,
        "media": filters.form.media,
        "filters_set": len(asked),
        "entries": [Entry(act, page.names) for act in page.acts],
        "is_slow": is_slow,
        "is_first": before is None,
        "looked_back_to": page.looked_back_to,
        "newest_url": f"?{urlencode(asked)}",
        "export_url": f"{reverse(f'admin:{EXPORT}')}?{urlencode(asked)}",
        "most_exported": files.CAP,
        "older_url": f"?{urlencode({**asked, BEFORE: str(page.next)})}" if page.next else "",
    }
    return TemplateResponse(request, "admin/trail.html", context)


def act_view(request: HttpRequest, request_id: uuid.UUID) -> HttpResponse:
    """One act, whole."""
    if (refusal := _check(request)) is not None:
        return refusal
    found: Sequence[Act] = acts.told([request_id], readable(request))
    if not found:
        raise Http404
    entry = Entry(found[0], acts.names(found))
    rows, is_cut = acts.rows(found[0])
    context = {
        **admin.site.each_context(request),
        "title": _now("One act in the audit trail"),
        "entry": entry,
        "differences": differences.of(rows),
        "is_cut": is_cut,
        "trail_url": reverse(f"admin:{PAGE}"),
    }
    return TemplateResponse(request, "admin/trail_act.html", context)
