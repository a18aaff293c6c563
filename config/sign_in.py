"""Signing in: what somebody may do then, the record of who did, went, or tried in vain, and the lock against guessing.

After SIGN_IN_FAILURES failures in a row the name is locked for SIGN_IN_LOCK_MINUTES, for whoever tries it from that
address: a guesser elsewhere keeps no colleague out. The events themselves are the count. Where the server does not know
who asks, all addresses are one.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import models
from django.dispatch import receiver
from django.utils.translation import ngettext

from config import instants
from config.audit import events
from config.history import Caller, acting, current_act
from config.models import Event, EventKind, User

SHOWN_OF_UNKNOWN = 2  # characters


class RoleBackend(ModelBackend):
    """Django's own, but people may what their roles may and nothing besides, as no page gives them anything else.

    It also saves every page a query. Under a name that is locked it does not even look at the password.
    """

    def authenticate(
        self, request: Any, username: str | None = None, password: str | None = None, **options: Any
    ) -> Any:
        if seconds_locked(username or ""):
            raise PermissionDenied
        return super().authenticate(request, username, password, **options)

    def get_user_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        return set()


class SignInForm(AdminAuthenticationForm):
    """Django's own, which says for how long a name is locked."""

    def get_invalid_login_error(self) -> ValidationError:
        seconds = seconds_locked(self.cleaned_data.get("username") or "")
        if not seconds:
            return super().get_invalid_login_error()
        minutes = -(-seconds // 60)
        return ValidationError(
            ngettext(
                "Too many attempts with this name have failed. Try again in %(minutes)d minute.",
                "Too many attempts with this name have failed. Try again in %(minutes)d minutes.",
                minutes,
            )
            % {"minutes": minutes},
            code="locked",
        )


# ── the record: the framework says it by signals, which is the one way to hear it from every caller ─────────────────


@receiver(user_logged_in)
def _signed_in(user: User, **_options: Any) -> None:
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
    if seconds_locked(typed):
        return
    account = _account(typed)
    name = _shown(typed, account)
    events.record(EventKind.SIGN_IN_FAILED, about=account, name=name)
    if _failures_in_a_row(name) >= settings.SIGN_IN_FAILURES:
        events.record(EventKind.LOCKED_OUT, about=account, name=name, minutes=settings.SIGN_IN_LOCK_MINUTES)


def _account(typed: str) -> User | None:
    return User.objects.filter(username__iexact=typed).first() if "\x00" not in typed else None


def _shown(typed: str, account: User | None) -> str:
    """The name that was typed; of one that no account has only the beginning, as it may be a password in its place."""
    return account.username if account else f"{typed[:SHOWN_OF_UNKNOWN]}…"


# ── the lock ────────────────────────────────────────────────────────────────────────────────────────────────────────


def seconds_locked(typed: str) -> int:
    """For how long nobody can sign in under this name from the address of the act that is going on; mostly 0."""
    if current_act().caller != Caller.ADMIN:  # no guesser
        return 0
    latest = _attempts(_shown(typed, _account(typed))).filter(kind=EventKind.LOCKED_OUT).first()
    return max(0, int((latest.at + _lock() - instants.now()).total_seconds()) + 1) if latest else 0


def _failures_in_a_row(name: str) -> int:
    attempts = _attempts(name).values_list("kind", flat=True)[: settings.SIGN_IN_FAILURES]
    return list(attempts).count(EventKind.SIGN_IN_FAILED)


def _attempts(name: str) -> models.QuerySet[Event]:
    """What became of the attempts under this name from here lately, the latest first."""
    kinds = (EventKind.SIGNED_IN, EventKind.SIGN_IN_FAILED, EventKind.LOCKED_OUT)
    lately = Event.objects.filter(at__gt=instants.now() - _lock(), address=current_act().address, kind__in=kinds)
    return lately.filter(said__name=name)


def _lock() -> dt.timedelta:
    return dt.timedelta(minutes=settings.SIGN_IN_LOCK_MINUTES)
