"""The pages of the second factor: asked for after the password, and set up by everybody for themselves."""

from __future__ import annotations

import io
from typing import Any

import qrcode
from allauth.mfa.adapter import get_adapter
from allauth.mfa.totp.internal import auth as totp
from django import forms
from django.contrib import admin, messages
from django.contrib.auth import login
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from qrcode.image.svg import SvgPathFillImage

from config import factors, proof, sign_in
from config.models import User

PAGE, APP, SECOND = "second_factor", "second_factor_app", "login_second"
METHODS = ("GET", "HEAD", "POST")
SECRET = "new_app_secret"  # noqa: S105 - where the session keeps it until the app has shown a code of it


def urls() -> list[URLPattern]:
    def own(view: Any) -> Any:
        return admin.site.admin_view(never_cache(proof.required_to_act(view)))

    return [
        path("login/second/", second, name=SECOND),
        path("settings/second-factor/", own(page), name=PAGE),
        path("settings/second-factor/app/", own(add_app), name=APP),
    ]


class CodeForm(forms.Form):
    code = forms.CharField(
        label=_("Code"),
        max_length=40,
        widget=forms.TextInput(
            attrs={"autocomplete": "one-time-code", "inputmode": "numeric", "spellcheck": "false", "autofocus": True}
        ),
    )


# ── asked for after the password ────────────────────────────────────────────────────────────────────────────────────


@never_cache
@login_not_required
def second(request: HttpRequest) -> HttpResponse:
    """GET asks for a code, POST takes it and signs in whoever has given the right password before."""
    waiting = sign_in.waiting(request)
    if waiting is None:
        return HttpResponseRedirect(reverse("admin:login"))
    user, goes_to = waiting
    form = CodeForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            how = sign_in.checked_code(request, user, form.cleaned_data["code"])
        except ValidationError as refused:
            form.add_error("code", refused)
        else:
            sign_in.stop_waiting(request)
            sign_in.note_how(request, how)
            login(request, user, backend=sign_in.BACKEND)
            return HttpResponseRedirect(goes_to)
    context = {**admin.site.each_context(request), "title": _now("Second factor"), "form": form}
    return TemplateResponse(request, "admin/login_second.html", context)


# ── set up by everybody for themselves ──────────────────────────────────────────────────────────────────────────────


def page(request: HttpRequest) -> HttpResponse:
    """GET shows what they have; POST removes one, or makes new recovery codes and shows them."""
    if request.method not in METHODS:
        return HttpResponseNotAllowed(METHODS)
    user = _myself(request)
    if request.method == "POST" and "remove" in request.POST:
        found = factors.of(user).exclude(type=factors.Type.RECOVERY_CODES)
        key = request.POST["remove"]
        factors.remove(user, get_object_or_404(found, pk=key if key.isdecimal() else 0))
        messages.success(request, _now("It is removed."))
        factors.demand(request, user)
        return HttpResponseRedirect(request.path)
    codes: list[str] = []
    if request.method == "POST" and factors.has_any(user):
        factors.new_codes(user)
        codes = factors.unused_codes(user)
    return _shown(request, user, codes)


def add_app(request: HttpRequest) -> HttpResponse:
    """GET shows the secret of a new app, POST takes a code by which the app proves that it has it."""
    if request.method not in METHODS:
        return HttpResponseNotAllowed(METHODS)
    user = _myself(request)
    if factors.of(user).filter(type=factors.Type.TOTP).exists():
        return HttpResponseRedirect(reverse(f"admin:{PAGE}"))
    secret = request.session.get(SECRET) or totp.generate_totp_secret()
    request.session[SECRET] = secret
    form = CodeForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        if factors.add_app(user, secret, form.cleaned_data["code"]):
            del request.session[SECRET]
            request.session.pop(factors.MUST_ADD, None)
            messages.success(request, _now("The app is added. You are asked for a code of it when you sign in."))
            return _shown(request, user, factors.unused_codes(user))
        form.add_error("code", _now("This is not the code that the app shows now."))
    context = {
        **admin.site.each_context(request),
        "title": _now("Add an authenticator app"),
        "form": form,
        "secret": " ".join(secret[at : at + 4] for at in range(0, len(secret), 4)),
        "picture": _picture(get_adapter().build_totp_url(user, secret)),
    }
    return TemplateResponse(request, "admin/second_factor_app.html", context)


def _shown(request: HttpRequest, user: User, codes: list[str]) -> HttpResponse:
    """`codes` are shown once, by the answer that made them."""
    found = factors.of(user).exclude(type=factors.Type.RECOVERY_CODES)
    context = {
        **admin.site.each_context(request),
        "title": _now("Second factor"),
        "factors": found,
        "has_app": any(factor.type == factors.Type.TOTP for factor in found),
        "codes": codes,
        "codes_left": len(factors.unused_codes(user)),
        "is_demanded": factors.is_demanded_of(user),
    }
    return TemplateResponse(request, "admin/second_factor.html", context)


def _myself(request: HttpRequest) -> User:
    user: Any = request.user  # the site lets nobody in who is not signed in
    return User.objects.get(pk=user.pk)


def _picture(address: str) -> SafeString:
    """What a camera reads, as an image within the page: black on white in every theme, as cameras want it."""
    out = io.BytesIO()
    qrcode.make(address, image_factory=SvgPathFillImage).save(out)
    return mark_safe(out.getvalue().decode().partition("?>")[2])  # noqa: S308 - made of modules alone
