"""The page on which people see where they are signed in, and end that."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext as _now
from django.views.decorators.cache import never_cache

from config import proof, sessions
from config.models import User

PAGE = "sessions"
METHODS = ("GET", "HEAD", "POST")


def urls() -> list[URLPattern]:
    return [path("settings/sessions/", admin.site.admin_view(never_cache(proof.required_to_act(page))), name=PAGE)]


def page(request: HttpRequest) -> HttpResponse:
    """GET shows one's own sessions; POST ends the one that `end` names, or every other than this."""
    if request.method not in METHODS:
        return HttpResponseNotAllowed(METHODS)
    me: Any = request.user  # the site lets nobody in who is not signed in
    user = User.objects.get(pk=me.pk)
    found = sessions.of(user)
    others = [one for one in found if one.key != request.session.session_key]
    if request.method == "POST":
        named = request.POST.get("end")
        ended = [one for one in others if named in (None, one.name)]
        sessions.end(user, ended, why="owner")
        if ended:
            messages.success(request, _now("Whoever used it is signed out."))
        return HttpResponseRedirect(request.path)
    context = {
        **admin.site.each_context(request),
        "title": _now("Where you are signed in"),
        "sessions": [(one, sessions.in_words(one.browser), one not in others) for one in found],
        "has_others": bool(others),
    }
    return TemplateResponse(request, "admin/sessions.html", context)
