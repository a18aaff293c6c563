"""Taking away one thing with all that belongs to it: as much of it as its reader may view."""

from __future__ import annotations

import functools
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.http.response import HttpResponseBase

from config import exports, instants, scope
from config.admin.values import page_of
from config.audit import files, sources

#: Who reads the audit trail.
PERMISSION = "config.view_event"


def whole_view(request: HttpRequest, row: models.Model, called: str) -> HttpResponseBase:
    """A row that this person may view, with all parts of it that they may view."""
    if (refusal := _check(request)) is not None:
        return refusal
    by: Any = request.user  # the site lets nobody in who is not signed in
    may = functools.partial(scope.may_view, by)
    parts = (part for part, _lookup in sources.all_parts_of(type(row)))
    left_out = sorted(part._meta.label_lower for part in parts if not may(part))
    if scope.clients_of(by) is not None:
        left_out.append(f"{sources.client()._meta.label_lower} (all but those whom they see)")
    try:
        return files.of_whole(row, may, files.Ticket(called, by, instants.now(), left_out))
    except exports.TooMany as refused:
        messages.warning(request, " ".join(refused.messages))
        return HttpResponseRedirect(page_of(row))


def _check(request: HttpRequest) -> HttpResponse | None:
    if request.method != "GET":
        return HttpResponseNotAllowed(["GET"])
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied
    return None
