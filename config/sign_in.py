"""Signing in: what somebody may do then, the record of who did, went, or tried in vain, and the lock against guessing.

The locks themselves are in config/guessing.py.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from django.conf import settings
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth import login
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.contrib.auth.views import LoginView
from django.core.exceptions import PermissionDenied, ValidationError
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from config import factors, guessing, passkeys, proof, roles, sessions
from config.audit import events
from config.history import acting
from config.models import EventKind, User
from config.passkeys import Purpose

WAITING = "waiting_for_a_code"  # in the session of whoever has given the right password
PATIENCE = 300  # seconds
BACKEND = "config.sign_in.RoleBackend"
_HOW = "signed_in_by"


class RoleBackend(ModelBackend):
    """Django's own, but people may what their roles may and nothing besides, as no page gives them anything else.

    It also saves every page a query. Under a name that is locked it does not even look at the password.
    """

    def authenticate(
        self, request: Any, username: str | None = None, password: str | None = None, **options: Any
    ) -> Any:
        if guessing.holding(username or ""):
            raise PermissionDenied
        return super().authenticate(request, username, password, **options)

    def get_user_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        return set()


class SignInForm(AdminAuthenticationForm):
    """Django's own, which says for how long a name is locked, and whose passwords are taken."""

    def confirm_login_allowed(self, user: Any) -> None:
        super().confirm_login_allowed(user)
        refuse_who_comes_from_provider(user)

    def get_invalid_login_error(self) -> ValidationError:
        return locked_out(self.cleaned_data.get("username") or "") or super().get_invalid_login_error()


def locked_out(typed: str) -> ValidationError | None:
    """For how long nobody can sign in under this name from here, as a sentence; mostly None."""
    return _told(guessing.holding(typed))


def address_locked() -> ValidationError | None:
    """The same, of whoever comes from here."""
    return _told(guessing.holding_address())


def _told(found: tuple[guessing.Lock, int] | None) -> ValidationError | None:
    if found is None:
        return None
    lock, seconds = found
    minutes = -(-seconds // 60)
    if lock.kind == EventKind.ADDRESS_LOCKED:
        said = ngettext(
            "Too many attempts from where you are have failed. Try again in %(minutes)d minute.",
            "Too many attempts from where you are have failed. Try again in %(minutes)d minutes.",
            minutes,
        )
    else:
        said = ngettext(
            "Too many attempts with this name have failed. Try again in %(minutes)d minute.",
            "Too many attempts with this name have failed. Try again in %(minutes)d minutes.",
            minutes,
        )
    return ValidationError(said % {"minutes": minutes}, code="locked")


def refuse_who_comes_from_provider(user: User) -> None:
    """Where single sign-on is the only way in administrators have others, for the day on which it fails."""
    is_bound = settings.OIDC_ONLY and not user.is_superuser
    if is_bound and not user.groups.filter(name=roles.ADMINISTRATOR).exists():
        raise ValidationError(_("Only administrators sign in this way. Use single sign-on."), code="sso_only")


# ── after the password, the second factor ───────────────────────────────────────────────────────────────────────────


class SignInView(LoginView):
    """Signs in whom the password is enough for; whoever has a second factor is asked for it first.

    A passkey that verifies who holds it is both at once.
    """

    def post(self, request: HttpRequest, *args: Any, **options: Any) -> HttpResponse:
        if "credential" not in request.POST:
            return super().post(request, *args, **options)
        try:
            user = checked_passkey(request, Purpose.ALONE, request.POST["credential"])
            refuse_who_comes_from_provider(user)
        except ValidationError as refused:
            form = self.get_form_class()(request)
            return self.render_to_response(self.get_context_data(form=form, refused=refused.messages[0]))
        note_how(request, "passkey_alone")
        login(request, user, backend=BACKEND)
        return HttpResponseRedirect(self.get_success_url())

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        user: User = form.get_user()
        if not factors.has_any(user):
            return super().form_valid(form)
        return wait(self.request, user, self.get_success_url())


def wait(request: HttpRequest, user: User, goes_to: str, first: str = "password") -> HttpResponse:
    """Ask for the second factor whoever has given the first, a code of the trail."""
    request.session[WAITING] = {
        "first": first,
        "user": user.pk,
        "password": user.get_session_auth_hash(),
        "until": int(time.time()) + PATIENCE,
        "goes_to": goes_to,
    }
    return HttpResponseRedirect(reverse("admin:login_second"))


def enter_from_provider(request: HttpRequest, user: User, goes_to: str) -> HttpResponse:
    """Sign in whom single sign-on has admitted: at once where the provider asks for a second factor itself."""
    if factors.has_any(user) and not settings.OIDC_SECOND_FACTOR:
        return wait(request, user, goes_to, "sso")
    note_how(request, "sso")
    login(request, user, backend=BACKEND)
    return HttpResponseRedirect(goes_to)


def waiting(request: HttpRequest) -> tuple[User, str] | None:
    """Who has given the right password lately and no code yet, with where they want to go; mostly None."""
    kept = request.session.get(WAITING)
    if not kept or kept["until"] < time.time():
        return None
    user = User.objects.filter(pk=kept["user"], is_active=True).first()
    if user is None or not constant_time_compare(user.get_session_auth_hash(), kept["password"]):
        return None
    return user, str(kept["goes_to"])


def end_waiting(request: HttpRequest, how: str) -> None:
    """The second factor was right, by what is a code of the trail."""
    first = request.session.pop(WAITING).get("first")
    note_how(request, f"sso_{how}" if first == "sso" else how)


def note_how(request: HttpRequest, how: str) -> None:
    """By what they are about to be signed in, a code of the trail, where it is not the password alone."""
    setattr(request, _HOW, how)


def checked_code(request: HttpRequest, user: User, code: str) -> str:
    """By what a code is right, a code of the trail. Raises ValidationError; wrong ones count like wrong passwords."""
    if refusal := locked_out(user.username):
        raise refusal
    if how := factors.check(user, code):
        return how
    user_login_failed.send(__name__, credentials={"username": user.username}, request=request)
    raise locked_out(user.username) or ValidationError(_("This code is wrong, or it was used already."))


def checked_passkey(request: HttpRequest, purpose: Purpose, answer: str, user: User | None = None) -> User:
    """Whose passkey gave the answer: `user`, if it is known who it has to be. Raises ValidationError like the above."""
    account = user or passkeys.holder(answer)
    name = account.username if account else ""
    if refusal := locked_out(name):
        raise refusal
    may_sign_in = settings.PASSKEYS and account is not None and account.is_active and account.is_staff
    if account is not None and may_sign_in and passkeys.check(request, purpose, account, answer):
        return account
    user_login_failed.send(__name__, credentials={"username": name}, request=request)
    raise locked_out(name) or ValidationError(_("This passkey was not accepted."))


# ── the record: the framework says it by signals, which is the one way to hear it from every caller ─────────────────


@receiver(user_logged_in)
def _signed_in(request: HttpRequest, user: User, **_options: Any) -> None:
    sessions.begin(request)
    proof.prove(request)
    how = getattr(request, _HOW, "password")
    request.session[factors.ASKED_ELSEWHERE] = how == "sso" and settings.OIDC_SECOND_FACTOR
    factors.demand(request, user)
    with acting(user):
        events.record(EventKind.SIGNED_IN, about=user, name=user.username, how=how)


@receiver(user_logged_out)
def _signed_out(user: User | None, **_options: Any) -> None:
    if user is not None:
        with acting(user):
            events.record(EventKind.SIGNED_OUT)


@receiver(user_login_failed)
def _failed(credentials: Mapping[str, Any], **_options: Any) -> None:
    """While a name is locked nothing more is recorded: the lock itself says that, and for how long."""
    typed = str(credentials.get("username", ""))
    if guessing.holding(typed):
        return
    account = guessing.account_of(typed)
    name = guessing.shown(typed, account)
    events.record(EventKind.SIGN_IN_FAILED, about=account, name=name)
    _lock(guessing.locks_on(name), name, account)


def refused_by_provider(name: str, why: str) -> None:
    """Single sign-on has admitted nobody. It counts for the lock on the address alone: no password was guessed."""
    events.record(EventKind.SSO_REFUSED, name=name, why=why)
    _lock((lock for lock in guessing.locks_on(name) if lock.kind == EventKind.ADDRESS_LOCKED), name, None)


def _lock(locks: Iterable[guessing.Lock], name: str, account: User | None) -> None:
    for lock in locks:
        if lock.is_deserved:
            events.record(lock.kind, about=account, name=name, minutes=settings.SIGN_IN_LOCK_MINUTES)
