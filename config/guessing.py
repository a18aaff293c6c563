"""The locks against guessing. The events are the count, so that a lock and what led to it stand in the trail.

Failures are counted three ways, each within the last SIGN_IN_LOCK_MINUTES, for which a lock then holds:

* in a row under one name from one address: SIGN_IN_FAILURES of them lock that name from there alone;
* from one address under whatever names: more of them lock the address;
* under one name from wherever: many more lock the name, except where its owner has signed in before, so that a guesser
  keeps no colleague out.

Where the server does not know who asks, all addresses are one, which is then never locked as a whole.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from django.conf import settings
from django.db import models

from config import instants
from config.audit import events
from config.history import Caller, acting, current_act
from config.models import Event, EventKind, User

FAILED = (EventKind.SIGN_IN_FAILED, EventKind.SSO_REFUSED)
#: How many times SIGN_IN_FAILURES each of them takes.
ALLOWANCE = {EventKind.LOCKED_OUT: 1, EventKind.ADDRESS_LOCKED: 4, EventKind.NAME_LOCKED: 10}
SHOWN_OF_UNKNOWN = 2  # characters
MOST_SHOWN = 100  # locks


def account_of(typed: str) -> User | None:
    return User.objects.filter(username__iexact=typed).first() if "\x00" not in typed else None


def shown(typed: str, account: User | None) -> str:
    """The name that was typed; of one that no account has only the beginning, as it may be a password in its place."""
    return account.username if account else f"{typed[:SHOWN_OF_UNKNOWN]}…"


@dataclass(frozen=True)
class Lock:
    """One way of counting, for one name and one address; each "" where any will do, or none is known."""

    kind: EventKind
    name: str = ""
    address: str = ""

    @classmethod
    def told_by(cls, event: Event) -> Self:
        kind = EventKind(event.kind)
        name = "" if kind == EventKind.ADDRESS_LOCKED else str(event.said.get("name", ""))
        return cls(kind, name, "" if kind == EventKind.NAME_LOCKED else event.address or "")

    @property
    def is_anywhere(self) -> bool:
        return self.kind == EventKind.NAME_LOCKED

    @property
    def seconds(self) -> int:
        """For how long it holds yet; mostly 0."""
        latest = self._events().filter(kind=self.kind).first()
        return max(0, int((latest.at + _lock() - instants.now()).total_seconds()) + 1) if latest else 0

    @property
    def is_deserved(self) -> bool:
        """Whether so many have failed that it is time to lock; not while it is locked."""
        if self.seconds:
            return False
        most = settings.SIGN_IN_FAILURES * ALLOWANCE[self.kind]
        found = self._events()
        if self.kind != EventKind.LOCKED_OUT:
            return found.filter(kind__in=FAILED).count() >= most
        in_a_row = (EventKind.SIGNED_IN, EventKind.CONFIRMED, EventKind.SIGN_IN_FAILED, self.kind)
        latest = found.filter(kind__in=in_a_row).values_list("kind", flat=True)[:most]
        return list(latest).count(EventKind.SIGN_IN_FAILED) >= most

    def lift(self, *, by: User, reason: str) -> None:
        """Let everybody try again, whom it keeps out; what failed before counts no more for it."""
        with acting(by, reason=reason):
            events.record(EventKind.LOCK_LIFTED, lock=self.kind.value, name=self.name, of=self.address, why=reason)

    def _events(self) -> models.QuerySet[Event]:
        """What counts for it, the latest first: lately, and since it was last lifted."""
        lately = Event.objects.filter(at__gt=instants.now() - _lock())
        lifted = lately.filter(
            kind=EventKind.LOCK_LIFTED, said__lock=self.kind.value, said__name=self.name, said__of=self.address
        ).first()
        found = lately.filter(at__gt=lifted.at) if lifted else lately
        if self.name:
            found = found.filter(said__name=self.name)
        return found if self.is_anywhere else found.filter(address=self.address or None)


def locks_on(name: str) -> Iterator[Lock]:
    """What may lock this name from the address of the act that is going on."""
    address = current_act().address or ""
    yield Lock(EventKind.LOCKED_OUT, name, address)
    if address:
        yield Lock(EventKind.ADDRESS_LOCKED, "", address)
    yield Lock(EventKind.NAME_LOCKED, name)


def holding(typed: str) -> tuple[Lock, int] | None:
    """The lock that keeps this name out, here and now, with the seconds that it will; mostly None."""
    if current_act().caller != Caller.ADMIN:  # no guesser
        return None
    account = account_of(typed)
    for lock in locks_on(shown(typed, account)):
        if (seconds := lock.seconds) and not (lock.is_anywhere and _is_familiar(account)):
            return lock, seconds
    return None


def holding_address() -> tuple[Lock, int] | None:
    """The lock that keeps everybody out who comes from here, where one is to prove nothing that could be guessed."""
    address = current_act().address
    lock = Lock(EventKind.ADDRESS_LOCKED, "", address or "")
    return (lock, seconds) if address and (seconds := lock.seconds) else None


def in_force() -> list[tuple[Event, Lock]]:
    """The locks that hold now, each with the event that tells of it, the latest first."""
    told = Event.objects.filter(kind__in=ALLOWANCE, at__gt=instants.now() - _lock())[:MOST_SHOWN]
    latest: dict[Lock, Event] = {}
    for event in told:
        latest.setdefault(Lock.told_by(event), event)
    return [(event, lock) for lock, event in latest.items() if lock.seconds]


def _is_familiar(account: User | None) -> bool:
    """Whether its owner has signed in from here before."""
    address = current_act().address
    if account is None or not address:
        return False
    signed_in = Event.objects.filter(kind=EventKind.SIGNED_IN, about=account._meta.label_lower, about_pk=account.pk)
    return signed_in.filter(address=address).exists()


def _lock() -> dt.timedelta:
    return dt.timedelta(minutes=settings.SIGN_IN_LOCK_MINUTES)
