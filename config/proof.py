"""Asking again who it is, before what weighs most: taking data away, waiving a review, changing what somebody may do.

Whoever proved it within PROOF_MINUTES, as by signing in, is not asked. Who is asked loses nothing: what they had typed
waits in the page that asks, in their own browser, and is acted on once they have answered.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.auth import authenticate
from django.core.exceptions import ValidationError
from django.http import HttpRequest, QueryDict
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache

from config import factors, passkeys, single_sign_on
from config.audit import events
from config.models import EventKind, User
from config.passkeys import Purpose

PROVED = "proved_at"
PREFIX = "proof"  # of the fields that are ours, among those of the page that asked
ASKED_FOR = f"{PREFIX}-method"  # that the question interrupted
CAME_FROM = f"{PREFIX}-from"
ANSWER = f"{PREFIX}-credential"  # of a passkey

View = Callable[..., HttpResponseBase]


def prove(request: HttpRequest) -> None:
    """They have just shown who they are."""
    request.session[PROVED] = int(time.time())


def is_fresh(request: HttpRequest) -> bool:
    age: float = time.time() - request.session.get(PROVED, 0)
    return age < settings.PROOF_MINUTES * 60


class ProofForm(forms.Form):
    """Takes the password of whoever is signed in, or a passkey. Wrong ones count like those of a sign-in."""

    prefix = PREFIX
    how = "password"  # a code of the trail
    password = forms.CharField(
        label=_("Password"),
        strip=False,
        required=False,  # by the browser: what is empty is refused like what is wrong
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password", "autofocus": True}),
    )

    def __init__(self, *args: Any, request: HttpRequest, **options: Any) -> None:
        self._request = request
        self._user: User = request.user  # type: ignore[assignment]  # the site lets nobody in who is not signed in
        self.is_linked = single_sign_on.is_linked(self._user)
        super().__init__(*args, **options)
        if not self._user.has_usable_password():
            self.fields["password"].label = _("Code of your second factor")
            if self.is_linked and not factors.has_any(self._user):
                del self.fields["password"]  # the provider alone can say who they are

    def clean(self) -> dict[str, Any]:
        """Who has confirmed it at the provider meanwhile is not asked, so this is never the answer."""
        if "password" not in self.fields:
            raise ValidationError(_("You have not confirmed it yet."))
        return self.cleaned_data

    @property
    def takes_passkey(self) -> bool:
        return passkeys.are_offered_to(self._user, Purpose.PROOF)

    def clean_password(self) -> str:
        from config.sign_in import checked_code, checked_passkey, locked_out  # which tells us of who signs in

        name, typed = self._user.get_username(), str(self.cleaned_data["password"])
        if answer := self.data.get(ANSWER):
            checked_passkey(self._request, Purpose.PROOF, answer, User.objects.get(username=name))
            self.how = "passkey"
            return typed
        if not self._user.has_usable_password():
            checked_code(self._request, User.objects.get(username=name), typed)
            return typed
        if authenticate(self._request, username=name, password=typed) != self._user:
            raise locked_out(name) or ValidationError(_("This is not your password."))
        return typed


def required(view: View) -> View:
    """Decorator of a view that hands something out, or acts: asks before either."""
    return _asking(view, ("GET", "HEAD", "POST"))


def required_to_act(view: View) -> View:
    """Decorator of a view that shows a form and acts on it: asks before it acts."""
    return _asking(view, ("POST",))


def _asking(view: View, methods: tuple[str, ...]) -> View:
    @functools.wraps(view)
    def asking(request: HttpRequest, *args: Any, **options: Any) -> HttpResponseBase:
        method = request.POST.get(ASKED_FOR, "")
        if request.method not in methods and not method:
            return view(request, *args, **options)
        form = None
        if not is_fresh(request):
            form = ProofForm(request.POST if method else None, request=request)
            if not form.is_valid():
                return _question(request, form, method or str(request.method))
            prove(request)
            user: Any = request.user  # the site lets nobody in who is not signed in
            events.record(EventKind.CONFIRMED, about=user, name=user.username, how=form.how)
        if method and method != "POST":  # a browser that is sent to a file stays where it is
            return _answer(request, {"file": request.get_full_path(), "came_from": request.POST.get(CAME_FROM, "")})
        if method:
            request.POST = _without_ours(request.POST)  # type: ignore[assignment]
        return view(request, *args, **options)

    return asking


def _question(request: HttpRequest, form: ProofForm, method: str) -> HttpResponseBase:
    came_from = request.POST.get(CAME_FROM, request.headers.get("Referer", ""))
    waiting = _without_ours(request.POST)
    return _answer(
        request,
        {
            "form": form,
            "method": method,
            "came_from": came_from,
            "waiting": [(name, value) for name, values in waiting.lists() for value in values],
            "has_files": bool(request.FILES),
        },
    )


@never_cache
def _answer(request: HttpRequest, context: dict[str, Any]) -> HttpResponseBase:
    if not url_has_allowed_host_and_scheme(context["came_from"], {request.get_host()}, request.is_secure()):
        context["came_from"] = ""
    context = {**admin.site.each_context(request), "title": _("Confirm that it is you"), **context}
    return TemplateResponse(request, "admin/proof.html", context)


def _without_ours(posted: QueryDict) -> QueryDict:
    """What the page that asked was sent, without what answers the question."""
    rest = posted.copy()
    for name in [name for name in rest if name.startswith(f"{PREFIX}-") or name == "csrfmiddlewaretoken"]:
        del rest[name]
    return rest
