"""What somebody who has signed in may do, and the record of who signed in, out, or in vain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.dispatch import receiver

from config.audit import events
from config.history import acting
from config.models import EventKind, User

SHOWN_OF_UNKNOWN = 2  # characters


class RoleBackend(ModelBackend):
    """Django's own, but people may what their roles may and nothing besides, as no page gives them anything else.

    It also saves every page a query.
    """

    def get_user_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        return set()


# The framework says it by signals, which is the one way to hear it from every caller.


@receiver(user_logged_in)
def _signed_in(user: User, **_options: Any) -> None:
    with acting(user):
        events.record(EventKind.SIGNED_IN)


@receiver(user_logged_out)
def _signed_out(user: User | None, **_options: Any) -> None:
    if user is not None:
        with acting(user):
            events.record(EventKind.SIGNED_OUT)


@receiver(user_login_failed)
def _failed(credentials: Mapping[str, Any], **_options: Any) -> None:
    account = account_of(credentials)
    events.record(EventKind.SIGN_IN_FAILED, about=account, name=name_of(credentials, account))


def account_of(credentials: Mapping[str, Any]) -> User | None:
    """The account that somebody tried to enter, if there is one."""
    typed = str(credentials.get("username", ""))
    return User.objects.filter(username__iexact=typed).first() if "\x00" not in typed else None


def name_of(credentials: Mapping[str, Any], account: User | None) -> str:
    """The name that was typed; of one that no account has only the beginning, as it may be a password in its place."""
    return account.username if account else f"{str(credentials.get('username', ''))[:SHOWN_OF_UNKNOWN]}…"
