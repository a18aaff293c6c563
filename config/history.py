"""Who changed what, when and why: the act that is going on, and the history row each audited change leaves.

An *act* is one thing somebody did: a request, a verb, a worker's step. All history rows written during it carry
its request id, so that one click can be read as one entry of the audit trail.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

from django.db import models
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

if TYPE_CHECKING:
    from config.models import User


class Caller(models.TextChoices):
    """Through what the change came in."""

    ADMIN = "admin", _("Admin page")
    WORKER = "worker", _("Worker")
    COMMAND = "command", _("Command or shell")


@dataclass(frozen=True)
class Act:
    """One thing somebody did. `actor` is None when the system acted by itself; `actor_name` is never empty."""

    caller: Caller
    actor: User | None = None
    actor_name: str = "system"
    reason: str = ""
    request_id: uuid.UUID = field(default_factory=uuid.uuid4)


_current: ContextVar[Act | None] = ContextVar("current_act", default=None)


def current_act() -> Act:
    """The act that is going on; outside of any, a command or shell acting as the system."""
    return _current.get() or Act(caller=Caller.COMMAND)


@contextlib.contextmanager
def acting(
    by: User | None = None, *, reason: str = "", task: str = "", request_id: uuid.UUID | None = None
) -> Iterator[Act]:
    """Everything saved inside is said to be done by `by` (or by the worker's `task`) for `reason`.

    An act inside another keeps the outer one's request id, so that its rows stay together; unless it has one of its
    own, by which it can be recognised.
    """
    act = _current.get() or Act(caller=Caller.WORKER if task else Caller.COMMAND)
    if task:
        act = replace(act, caller=Caller.WORKER, actor=None, actor_name=f"system: {task}")
    if by is not None:
        act = replace(act, actor=by, actor_name=by.audit_name)
    if reason:
        act = replace(act, reason=reason)
    if request_id is not None:
        act = replace(act, request_id=request_id)
    token = _current.set(act)
    try:
        yield act
    finally:
        _current.reset(token)


class AuditMiddleware:
    """Opens one act per request, done by whoever is signed in."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        user = request.user if request.user.is_authenticated else None
        act = Act(caller=Caller.ADMIN, actor=user, actor_name=user.audit_name if user else "anonymous")
        token = _current.set(act)
        try:
            return self.get_response(request)
        finally:
            _current.reset(token)


def current_request_id() -> uuid.UUID:
    return current_act().request_id


def current_actor_name() -> str:
    return current_act().actor_name


def current_caller() -> str:
    return current_act().caller.value


class HistoryRow(models.Model):
    """What every history row says besides the copied values. The name is a copy: it outlives the account."""

    request_id = models.UUIDField(default=current_request_id, db_index=True)
    actor_name = models.CharField(max_length=200, default=current_actor_name)
    caller = models.CharField(max_length=10, choices=Caller.choices, default=current_caller)

    class Meta:
        abstract = True


class AuditedRecords(HistoricalRecords):  # type: ignore[misc]  # the library ships no types
    """The audit trail of one model: `history = AuditedRecords()`."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("bases", (HistoryRow,))
        options.setdefault("history_id_field", models.BigAutoField())
        super().__init__(**options)

    def get_history_user(self, instance: models.Model) -> User | None:
        return current_act().actor

    def get_change_reason_for_object(self, instance: models.Model, history_type: str, using: str | None) -> str:
        return current_act().reason


class AuditedModel(models.Model):
    """Base of every model with an audit trail: a save that changes nothing writes nothing, history included."""

    #: Fields whose change is not somebody's act (a queue's cursor, the last sign-in) and leaves no history row.
    SILENT_FIELDS: ClassVar[frozenset[str]] = frozenset()

    _loaded: dict[str, Any]

    class Meta:
        abstract = True

    def save(self, *args: Any, **options: Any) -> None:
        changed = self.changed_fields()
        is_new = self._state.adding or bool(options.get("force_insert"))
        if not is_new and not changed:
            return
        with contextlib.ExitStack() as stack:
            if not is_new and changed <= self.SILENT_FIELDS:
                self.skip_history_when_saving = True
                stack.callback(delattr, self, "skip_history_when_saving")
            super().save(*args, **options)
        self._remember(options.get("update_fields"))

    @classmethod
    def from_db(cls, db: str | None, field_names: Collection[str], values: Collection[Any], **options: Any) -> Self:
        instance = super().from_db(db, field_names, values, **options)
        instance._loaded = dict(zip(field_names, values, strict=True))
        return instance

    def refresh_from_db(
        self, using: str | None = None, fields: Iterable[str] | None = None, from_queryset: Any = None
    ) -> None:
        super().refresh_from_db(using, fields, from_queryset)
        self._remember(fields)

    def changed_fields(self) -> set[str]:
        """Attnames of the fields whose value differs from what the database held when this was loaded."""
        loaded = self.__dict__.get("_loaded", {})
        return {name for name, value in self._values().items() if name not in loaded or loaded[name] != value}

    def _remember(self, names: Iterable[str] | None = None) -> None:
        values = self._values()
        if names is not None:
            wanted = {f.attname for f in self._meta.concrete_fields if {f.name, f.attname} & set(names)}
            values = self.__dict__.get("_loaded", {}) | {k: v for k, v in values.items() if k in wanted}
        self._loaded = values

    def _values(self) -> dict[str, Any]:
        deferred = self.get_deferred_fields()
        return {f.attname: getattr(self, f.attname) for f in self._meta.concrete_fields if f.attname not in deferred}
