"""Signing in: what somebody may do then, the record of who did, went, or tried in vain, and the lock against guessing.

The locks themselves are in config/guessing.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.core.exceptions import PermissionDenied, ValidationError
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils.translation import ngettext

from config import guessing, proof, sessions
from config.audit import events
from config.history import acting
from config.models import EventKind, User


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
    """Django's own, which says for how long a name is locked."""

    def get_invalid_login_error(self) -> ValidationError:
        return locked_out(self.cleaned_data.get("username") or "") or super().get_invalid_login_error()


def locked_out(typed: str) -> ValidationError | None:
    """For how long nobody can sign in under this name from here, as a sentence; mostly None."""
    if (found := guessing.holding(typed)) is None:
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


# ── the record: the framework says it by signals, which is the one way to hear it from every caller ─────────────────


@receiver(user_logged_in)
def _signed_in(request: HttpRequest, user: User, **_options: Any) -> None:
    sessions.begin(request)
    proof.prove(request)
    with acting(user):
        events.record(EventKind.SIGNED_IN, about=user, name=user.username)


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
    for lock in guessing.locks_on(name):
        if lock.is_deserved:
            events.record(lock.kind, about=account, name=name, minutes=settings.SIGN_IN_LOCK_MINUTES)
