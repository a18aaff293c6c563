"""The pages of the second factor: asked for after the password, and set up by everybody for themselves."""

from __future__ import annotations

import io
from typing import Any

import qrcode
from allauth.mfa.adapter import get_adapter
from allauth.mfa.totp.internal import auth as totp
from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth import login
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST
from qrcode.image.svg import SvgPathFillImage

from config import factors, instants, passkeys, proof, sign_in
from config.addresses import client_address
from config.limits import Limit, neighbourhood
from config.models import User
from config.passkeys import Purpose

PAGE, APP, PASSKEY, SECOND = "second_factor", "second_factor_app", "second_factor_passkey", "login_second"
CHALLENGE = "passkey_challenge"
METHODS = ("GET", "HEAD", "POST")
CHALLENGES = Limit("challenges", most=60, window=60)  # by one client address, of whoever is not signed in
SECRET = "new_app_secret"  # noqa: S105 - where the session keeps it until the app has shown a code of it


def urls() -> list[URLPattern]:
    def own(view: Any) -> Any:
        return admin.site.admin_view(never_cache(proof.required_to_act(view)))

    return [
        path("login/second/", second, name=SECOND),
        path("passkey/<str:purpose>/", challenge, name=CHALLENGE),
        path("settings/second-factor/", own(page), name=PAGE),
        path("settings/second-factor/app/", own(add_app), name=APP),
        path("settings/second-factor/passkey/", own(add_passkey), name=PASSKEY),
    ]


class CodeForm(forms.Form):
    code = forms.CharField(
        label=_("Code"),
        max_length=40,
        widget=forms.TextInput(
            attrs={"autocomplete": "one-time-code", "inputmode": "numeric", "spellcheck": "false", "autofocus": True}
        ),
    )


class SecondForm(CodeForm):
    """A code, or a passkey, of somebody who has given the right password; `how` is a code of the trail."""

    def __init__(self, *args: Any, request: HttpRequest, user: User, **options: Any) -> None:
        self._request, self._user = request, user
        super().__init__(*args, **options)
        self.fields["code"].required = "credential" not in self.data

    def clean(self) -> dict[str, Any]:
        if "credential" in self.data:
            sign_in.checked_passkey(self._request, Purpose.SECOND, self.data["credential"], self._user)
            return {"how": "passkey"}
        if "code" not in self.cleaned_data:
            return self.cleaned_data
        return {"how": sign_in.checked_code(self._request, self._user, self.cleaned_data["code"])}


class PasskeyForm(forms.Form):
    name = forms.CharField(
        label=_("Name"),
        max_length=passkeys.LONGEST_NAME,
        help_text=_("What it is on, so that you tell it from others: “Work laptop”, “Blue key”."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "autofocus": True}),
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
    form: forms.Form = SecondForm(request.POST if request.method == "POST" else None, request=request, user=user)
    if form.is_valid():
        sign_in.end_waiting(request, form.cleaned_data["how"])
        login(request, user, backend=sign_in.BACKEND)
        return HttpResponseRedirect(goes_to)
    context = {
        **admin.site.each_context(request),
        "title": _now("Second factor"),
        "form": form,
        "takes_passkey": passkeys.are_offered_to(user, Purpose.SECOND),
    }
    return TemplateResponse(request, "admin/login_second.html", context)


@require_POST
@never_cache
@login_not_required
def challenge(request: HttpRequest, purpose: str) -> HttpResponse:
    """What the browser is to ask of a passkey: of anybody's to sign in, else of theirs who are half in, or in."""
    if not settings.PASSKEYS or purpose not in set(Purpose):
        raise Http404
    user: Any = None
    if purpose == Purpose.SECOND:
        user, _goes_to = sign_in.waiting(request) or (None, "")
    elif purpose != Purpose.ALONE and admin.site.has_permission(request):
        user = _myself(request)
    if user is None and purpose != Purpose.ALONE:
        raise PermissionDenied
    if not request.user.is_authenticated:  # anybody may ask, and few answer
        if seconds := CHALLENGES.wait(neighbourhood(client_address(request)), instants.now()):
            said = _now("Passkeys were asked for too often from where you are. Try again in a minute.")
            return HttpResponse(said, status=429, content_type="text/plain", headers={"Retry-After": str(seconds)})
        request.session.set_expiry(passkeys.PATIENCE)
    return JsonResponse(passkeys.challenge(request, Purpose(purpose), user))


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
            return _shown(request, user, _first_codes(user))
        form.add_error("code", _now("This is not the code that the app shows now."))
    context = {
        **admin.site.each_context(request),
        "title": _now("Add an authenticator app"),
        "form": form,
        "secret": " ".join(secret[at : at + 4] for at in range(0, len(secret), 4)),
        "picture": _picture(get_adapter().build_totp_url(user, secret)),
    }
    return TemplateResponse(request, "admin/second_factor_app.html", context)


def add_passkey(request: HttpRequest) -> HttpResponse:
    """GET asks for a name, POST takes it with the passkey that the browser has made."""
    if request.method not in METHODS:
        return HttpResponseNotAllowed(METHODS)
    if not settings.PASSKEYS:
        raise Http404
    user = _myself(request)
    form = PasskeyForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        if passkeys.add(request, user, form.cleaned_data["name"], request.POST.get("credential", "")):
            request.session.pop(factors.MUST_ADD, None)
            messages.success(request, _now("The passkey is added."))
            return _shown(request, user, _first_codes(user))
        form.add_error(None, _now("This passkey was not accepted."))
    context = {**admin.site.each_context(request), "title": _now("Add a passkey"), "form": form}
    return TemplateResponse(request, "admin/second_factor_passkey.html", context)


def _shown(request: HttpRequest, user: User, codes: list[str]) -> HttpResponse:
    """`codes` are shown once, by the answer that made them."""
    found = factors.of(user).exclude(type=factors.Type.RECOVERY_CODES)
    kept = [(factor, factor.type == factors.Type.WEBAUTHN and passkeys.verifies(factor)) for factor in found]
    context = {
        **admin.site.each_context(request),
        "title": _now("Second factor"),
        "factors": kept,
        "has_app": any(factor.type == factors.Type.TOTP for factor, _signs_in_alone in kept),
        "has_passkeys": settings.PASSKEYS,
        "codes": codes,
        "codes_left": len(factors.unused_codes(user)),
        "is_demanded": factors.is_demanded_of(user),
    }
    return TemplateResponse(request, "admin/second_factor.html", context)


def _first_codes(user: User) -> list[str]:
    """Those that came with what was added just now; none where it is not the first."""
    is_first = factors.of(user).exclude(type=factors.Type.RECOVERY_CODES).count() == 1
    return factors.unused_codes(user) if is_first else []


def _myself(request: HttpRequest) -> User:
    user: Any = request.user  # the site lets nobody in who is not signed in
    return User.objects.get(pk=user.pk)


def _picture(address: str) -> SafeString:
    """What a camera reads, as an image within the page: black on white in every theme, as cameras want it."""
    out = io.BytesIO()
    qrcode.make(address, image_factory=SvgPathFillImage).save(out)
    return mark_safe(out.getvalue().decode().partition("?>")[2])  # noqa: S308 - made of modules alone
