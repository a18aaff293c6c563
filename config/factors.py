"""The second factor of those who sign in with a password: an app's codes, passkeys (config/passkeys.py), and recovery
codes for when those are lost.

django-allauth keeps them and computes; what is secret of them is kept encrypted. The pages are ours (config/admin/
factors.py), and a code, once it was taken, is never taken again, whichever process is asked.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal import auth as totp
from allauth.mfa.utils import decrypt
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.contrib import messages
from django.db import models, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.translation import gettext as _now

from config.audit import events
from config.history import acting
from config.models import EventKind, User

EVERYBODY = "all"
MUST_ADD = "must_add_a_factor"  # in a session: it may do nothing else before
ASKED_ELSEWHERE = "second_factor_asked_by_provider"  # in a session: this one asks for none
ISSUER = "Due Notice"
Type = Authenticator.Type


class Adapter(DefaultMFAAdapter):  # type: ignore[misc]  # the library ships no types
    """Encrypts what the library would keep in clear, by SECRET_KEY and those before it."""

    def encrypt(self, text: str) -> str:
        return _cipher().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        return _cipher().decrypt(encrypted_text.encode()).decode()

    def get_totp_issuer(self) -> str:
        return ISSUER

    def get_totp_label(self, user: Any) -> str:
        return str(user.username)


def _cipher() -> MultiFernet:
    keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    digests = [salted_hmac("config.factors", "", secret=key, algorithm="sha256").digest() for key in keys]
    return MultiFernet([Fernet(base64.urlsafe_b64encode(digest)) for digest in digests])


def of(user: Any) -> models.QuerySet[Any]:
    found: models.QuerySet[Any] = Authenticator.objects.filter(user_id=user.pk).order_by("created_at", "pk")
    return found


def has_any(user: Any) -> bool:
    """Whether they are asked for more than the password. Recovery codes alone are nothing to ask for."""
    return of(user).exclude(type=Type.RECOVERY_CODES).exists()


def is_demanded_of(user: User) -> bool:
    asked = set(settings.SECOND_FACTOR)
    return EVERYBODY in asked or (bool(asked) and user.groups.filter(name__in=asked).exists())


# ── codes ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@transaction.atomic
def check(user: User, typed: str) -> str:
    """What the code is of ("app" or "recovery"), which is used up by that; "" where it is none of theirs."""
    code = "".join(typed.split())
    for factor in of(user).select_for_update().exclude(type=Type.WEBAUTHN):
        is_right = _is_of_app if factor.type == Type.TOTP else _is_recovery_code
        try:
            if is_right(factor, code):
                factor.record_usage()
                return "app" if factor.type == Type.TOTP else "recovery"
        except InvalidToken:  # encrypted by a SECRET_KEY that is gone: nothing can be its code any more
            continue
    return ""


def counter_of(secret: str, code: str) -> int | None:
    """The step of time whose code this is, of the present one and its neighbours (RFC 6238, 5.2)."""
    for counter in totp.yield_hotp_counters_from_time():
        if constant_time_compare(totp.format_hotp_value(totp.hotp_value(secret, counter)), code):
            return int(counter)
    return None


def _is_of_app(factor: Any, code: str) -> bool:
    counter = counter_of(decrypt(factor.data["secret"]), code)
    if counter is None or counter <= factor.data.get("counter", 0):
        return False
    factor.data["counter"] = counter
    factor.save(update_fields=["data"])
    return True


def _is_recovery_code(factor: Any, code: str) -> bool:
    return bool(RecoveryCodes(factor).validate_code(code))


# ── adding and removing ─────────────────────────────────────────────────────────────────────────────────────────────


@transaction.atomic
def add_app(user: User, secret: str, code: str) -> bool:
    """Add the app that has shown this code of the secret; False where it is not its code, or there is one already."""
    counter = counter_of(secret, "".join(code.split()))
    if counter is None or of(user).filter(type=Type.TOTP).exists():
        return False
    factor = totp.TOTP.activate(user, secret).instance
    factor.data["counter"] = counter
    factor.save(update_fields=["data"])
    added(user, "app")
    return True


def added(user: User, what: str) -> None:
    """What is to be told of a new one, and done besides: the first brings recovery codes."""
    events.record(EventKind.FACTOR_ADDED, about=user, what=what)
    if not of(user).filter(type=Type.RECOVERY_CODES).exists():
        new_codes(user)


@transaction.atomic
def new_codes(user: User) -> None:
    """Recovery codes in the place of those that they had."""
    of(user).filter(type=Type.RECOVERY_CODES).delete()
    RecoveryCodes.activate(user)
    events.record(EventKind.FACTOR_ADDED, about=user, what="codes")


def unused_codes(user: User) -> list[str]:
    factor = of(user).filter(type=Type.RECOVERY_CODES).first()
    try:
        return RecoveryCodes(factor).get_unused_codes() if factor else []
    except InvalidToken:
        return []


@transaction.atomic
def remove(user: User, factor: Any) -> None:
    """One of theirs; with the last that is asked for the recovery codes go, too."""
    factor.delete()
    events.record(EventKind.FACTOR_REMOVED, about=user, what="passkey" if factor.type == Type.WEBAUTHN else "app")
    if not has_any(user):
        of(user).delete()


@transaction.atomic
def reset(user: User, *, by: User, reason: str) -> None:
    """Take all from a colleague who has lost them, so that the password alone signs them in to add others."""
    with acting(by, reason=reason):
        of(user).delete()
        events.record(EventKind.FACTORS_RESET, about=user, name=user.username, why=reason)


# ── where they are demanded ─────────────────────────────────────────────────────────────────────────────────────────


class DemandMiddleware:
    """Lets somebody of whom a second factor is demanded do nothing before they have added one."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.user.is_authenticated and request.session.get(MUST_ADD) and not _leads_to_one(request.path):
            messages.warning(request, _now("Your role needs a second factor. Add one, then go on."))
            return HttpResponseRedirect(reverse("admin:second_factor"))
        return self.get_response(request)


def _leads_to_one(path: str) -> bool:
    ways = (reverse("admin:logout"), reverse("admin:passkey_challenge", args=["add"]))
    return path.startswith(reverse("admin:second_factor")) or path in ways


def demand(request: HttpRequest, user: User) -> None:
    """Somebody has just signed in."""
    if is_demanded_of(user) and not has_any(user) and not request.session.get(ASKED_ELSEWHERE):
        request.session[MUST_ADD] = True
