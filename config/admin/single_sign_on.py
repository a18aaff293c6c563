"""The pages of single sign-on: to the provider and back, and where somebody links their own account."""

from __future__ import annotations

import logging
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.utils.translation import gettext as _now
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from config import openid, proof, sign_in, single_sign_on
from config.audit import events
from config.models import EventKind, User
from config.models.event import CODES
from config.openid import Identity, Purpose, Refused, Unanswered, Why

logger = logging.getLogger(__name__)

GO, BACK, CONFIRM, OWN = "sso", openid.ANSWERS_TO, "sso_confirm", "sso_own"
METHODS = ("GET", "HEAD", "POST")
#: Begun anew they may succeed; for all others somebody has to change something.
PASSING = (Why.STALE, Why.DECLINED, Why.TOKEN, Why.OTHER, Why.NOT_ANEW)


def urls() -> list[URLPattern]:
    return [
        path("login/single-sign-on/", go, name=GO),
        path("login/single-sign-on/back/", back, name=BACK),
        path("settings/single-sign-on/", admin.site.admin_view(own), name=OWN),
        path("settings/single-sign-on/confirm/", admin.site.admin_view(confirm), name=CONFIRM),
    ]


def way_in(request: HttpRequest) -> dict[str, str] | None:
    """The link on the page that asks for a password. A link and no form: our policy lets forms lead to us alone."""
    if not openid.is_on():
        return None
    goes_to = request.GET.get(REDIRECT_FIELD_NAME) or request.POST.get(REDIRECT_FIELD_NAME, "")
    address = reverse(f"admin:{GO}")
    return {
        "label": settings.OIDC_LABEL or _now("Single sign-on"),
        "url": f"{address}?{urlencode({REDIRECT_FIELD_NAME: goes_to})}" if goes_to else address,
    }


# ── there ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@require_safe
@never_cache
@login_not_required
def go(request: HttpRequest) -> HttpResponse:
    """Sends whoever wants to sign in to the provider."""
    goes_to = request.GET.get(REDIRECT_FIELD_NAME, "")
    if not url_has_allowed_host_and_scheme(goes_to, {request.get_host()}, request.is_secure()):
        goes_to = reverse("admin:index")
    if admin.site.has_permission(request):
        return HttpResponseRedirect(goes_to)
    return _sent(request, Purpose.SIGN_IN, goes_to)


@require_safe
@never_cache
def confirm(request: HttpRequest) -> HttpResponse:
    """Sends whoever is signed in to the provider, which is to ask them again who they are."""
    return _sent(request, Purpose.PROOF, "")


@never_cache
@proof.required_to_act
def own(request: HttpRequest) -> HttpResponse:
    """GET says whether single sign-on is linked to the account of whoever asks, POST leads them to do so.

    By a page that leads on, as a form may not; and by POST, or others could have somebody link what is theirs.
    """
    if not openid.is_on():
        raise Http404
    if request.method not in METHODS:
        return HttpResponseNotAllowed(METHODS)
    link, leads_to = single_sign_on.links_of(_myself(request)).first(), ""
    if request.method == "POST" and link is None:
        answer = _sent(request, Purpose.LINK, request.path)
        if not isinstance(answer, HttpResponseRedirect):
            return answer
        leads_to = answer.url
    context = {
        **admin.site.each_context(request),
        "title": _now("Single sign-on"),
        "link": link,
        "leads_to": leads_to,
    }
    return TemplateResponse(request, "admin/single_sign_on.html", context)


def _sent(request: HttpRequest, purpose: Purpose, goes_to: str) -> HttpResponse:
    if not openid.is_on():
        raise Http404
    if refusal := sign_in.address_locked():
        return _page(request, refusal.messages[0])
    try:
        return HttpResponseRedirect(openid.begin(request, purpose, goes_to))
    except Unanswered as trouble:
        return _unanswered(request, trouble)


# ── and back ────────────────────────────────────────────────────────────────────────────────────────────────────────


@require_safe
@never_cache
@login_not_required
def back(request: HttpRequest) -> HttpResponse:
    """Takes what somebody comes back with, and does what they were sent for."""
    if not openid.is_on():
        raise Http404
    if refusal := sign_in.address_locked():
        return _page(request, refusal.messages[0])
    try:
        identity, state = openid.finish(request)
        purpose = Purpose(state["process"])
        if purpose == Purpose.SIGN_IN:
            return sign_in.enter_from_provider(request, single_sign_on.admit(identity), state["next"])
        return _confirmed(request, identity, state) if purpose == Purpose.PROOF else _linked(request, identity, state)
    except Unanswered as trouble:
        return _unanswered(request, trouble)
    except Refused as refused:
        return _refused(request, refused)


def _confirmed(request: HttpRequest, identity: Identity, state: dict[str, Any]) -> HttpResponse:
    """The page that asked is open elsewhere, with all that was typed there."""
    user = _same(request, identity, state)
    if not single_sign_on.is_of(identity, user):
        raise Refused(Why.OTHER, identity)
    if not identity.signed_in_since(state["began"]):
        raise Refused(Why.NOT_ANEW, identity)
    proof.prove(request)
    events.record(EventKind.CONFIRMED, about=user, name=user.username, how="sso")
    context = {**admin.site.each_context(request), "title": _now("Thank you")}
    return TemplateResponse(request, "admin/single_sign_on_confirmed.html", context)


def _linked(request: HttpRequest, identity: Identity, state: dict[str, Any]) -> HttpResponse:
    single_sign_on.link_own(_same(request, identity, state), identity)
    return HttpResponseRedirect(state["next"])


def _same(request: HttpRequest, identity: Identity, state: dict[str, Any]) -> User:
    """Who was signed in when they went, and is so yet."""
    if not admin.site.has_permission(request) or state["user"] != request.user.pk:
        raise Refused(Why.STALE, identity)
    return _myself(request)


def _myself(request: HttpRequest) -> User:
    user: Any = request.user  # the site lets nobody in who is not signed in
    return User.objects.get(pk=user.pk)


# ── to no avail ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _refused(request: HttpRequest, refused: Refused) -> HttpResponse:
    """What anybody can bring about who was never at the provider is no event."""
    identity = refused.identity or Identity("")
    name = identity.email or identity.subject
    if refused.why != Why.STALE:
        sign_in.refused_by_provider(name or "–", refused.why)
    return _page(request, str(CODES[refused.why]), name, is_passing=refused.why in PASSING)


def _unanswered(request: HttpRequest, trouble: Unanswered) -> HttpResponse:
    logger.error("Single sign-on does not work: %s.", trouble)
    return _page(request, _now("The provider does not answer. Use another way to sign in, or come back later."))


def _page(request: HttpRequest, sentence: str, name: str = "", *, is_passing: bool = True) -> HttpResponse:
    context = {
        **admin.site.each_context(request),
        "title": _now("That did not work"),
        "sentence": sentence,
        "name": name,
        "is_passing": is_passing,
    }
    return TemplateResponse(request, "admin/single_sign_on_refused.html", context, status=403)
