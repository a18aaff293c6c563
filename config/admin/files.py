"""Taking away the trail, or one thing with all that belongs to it: as much of it as its reader may view."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _now

from config import exports, instants, proof, scope, turns
from config.admin import trail as trail_page
from config.admin.trail_filters import TrailFilters
from config.admin.values import page_of
from config.audit import files, sources, trail

#: Who reads the audit trail.
PERMISSION = trail_page.PERMISSION


def urls() -> list[URLPattern]:
    return [path("trail/export/", admin.site.admin_view(proof.required(trail_view)), name=trail_page.EXPORT)]


@turns.one_at_a_time
def trail_view(request: HttpRequest) -> HttpResponseBase:
    """The rows by which the page of the trail finds its acts under the same filters, of all its pages."""
    if (refusal := _check(request, "POST")) is not None:
        return refusal
    filters = TrailFilters(request, trail_page.readable(request))
    asked = files.Asked(filters.typed, filters.in_words)
    question = filters.question
    found = [(table, question.narrow(table, table.rows())) for table in question.tables]
    ticket = _ticket(request, "audit-trail", (table.model for table in sources.tables()))

    def make() -> HttpResponseBase:
        response, is_cut = files.of_trail(found, asked, ticket)
        if is_cut:  # shown by the next page that this person opens
            said = _now("The file has the newest %(most)d rows, and more fit. Narrow the period for the others.")
            messages.warning(request, said % {"most": files.CAP})
        return response

    return _handed_out(request, make, f"{reverse(f'admin:{trail_page.PAGE}')}?{urlencode(filters.typed)}")


@proof.required
@turns.one_at_a_time
def whole_view(request: HttpRequest, row: models.Model, called: str) -> HttpResponseBase:
    """A row that this person may view, with all parts of it that they may view."""
    if (refusal := _check(request, "GET")) is not None:
        return refusal
    ticket = _ticket(request, called, (part for part, _lookup in sources.all_parts_of(type(row))))
    may = functools.partial(scope.may_view, request.user)
    return _handed_out(request, lambda: files.of_whole(row, may, ticket), page_of(row))


def _check(request: HttpRequest, method: str) -> HttpResponse | None:
    if request.method != method:
        return HttpResponseNotAllowed([method])
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied
    return None


def _handed_out(request: HttpRequest, make: Callable[[], HttpResponseBase], page: str) -> HttpResponseBase:
    """The file; or that page, with why there is none."""
    try:
        return make()
    except exports.TooMany as refused:
        messages.warning(request, " ".join(refused.messages))
    except trail.TooSlow:
        messages.warning(request, _now("That takes too long to find. Narrow the period, or ask for less."))
    return HttpResponseRedirect(page)


def _ticket(request: HttpRequest, called: str, wanted: Iterable[type[models.Model]]) -> files.Ticket:
    by: Any = request.user  # the site lets nobody in who is not signed in
    left_out = sorted(model._meta.label_lower for model in wanted if not scope.may_view(by, model))
    if scope.clients_of(by) is not None:
        left_out.append(f"{sources.client()._meta.label_lower} (all but those whom they see)")
    return files.Ticket(called, by, instants.now(), left_out)
