"""Who changed what, when and why: the act that is going on, and the history row each audited change leaves.

An *act* is one thing somebody did: a request, a verb, a worker's step. All history rows written during it carry
its request id, so that one click can be read as one entry of the audit trail.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import getpass
import os
import sys
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar, cast

from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from config import logs
from config.addresses import client_address

if TYPE_CHECKING:
    from config.models import User


class Caller(models.TextChoices):
    """Through what the change came in."""

    ADMIN = "admin", _("Admin page")
    WORKER = "worker", _("Worker")
    COMMAND = "command", _("Command")
    SHELL = "shell", _("Shell")
    LINK = "link", _("Link in a mail")


@dataclass(frozen=True)
class Act:
    """One thing somebody did. `actor` is None when the system acted by itself; `actor_name` is never empty."""

    caller: Caller
    actor: User | None = None
    actor_name: str = "system"
    reason: str = ""
    request_id: uuid.UUID = field(default_factory=uuid.uuid4)
    address: str | None = None  # of the caller's machine, where the act came by web
    cause: uuid.UUID | None = None  # the id of the act that asked for this one, where a worker does it


#: The name of whoever has not signed in.
ANONYMOUS = "anonymous"

_current: ContextVar[Act | None] = ContextVar("current_act", default=None)


def current_act() -> Act:
    """The act that is going on; outside of any, whoever runs this command or shell."""
    return _current.get() or Act(*_of_this_process())


def _followed() -> tuple[uuid.UUID | None, uuid.UUID | None]:
    """For the log: which act is going on, and which one asked for it."""
    act = _current.get()
    return (act.request_id, act.cause) if act else (None, None)


logs.follow(_followed)


@functools.cache
def _of_this_process() -> tuple[Caller, None, str]:
    """How it was called, without an account, and the name of the machine's user: "shell (root)"."""
    program, *rest = (Path(word).name for word in sys.argv or [""])
    command = rest[0] if program in ("manage.py", "django-admin") and rest else program
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a number without a name, as in a container
        user = str(os.getuid())
    return Caller.SHELL if command == "shell" else Caller.COMMAND, None, f"{command} ({user})"


@contextlib.contextmanager
def acting(
    by: User | None = None,
    *,
    reason: str = "",
    task: str = "",
    by_link: bool = False,
    request_id: uuid.UUID | None = None,
    caller: Caller | None = None,
    cause: uuid.UUID | None = None,
) -> Iterator[Act]:
    """Everything saved inside is said to be done by `by` (or by the worker's `task`) for `reason`.

    `caller` is for what is played as if it had come in by that way. What is done `by_link` is done by whoever holds it:
    nobody that we know, even where a colleague is signed in.
    An act inside another keeps the outer one's request id, so that its rows stay together; unless it has one of its
    own, by which it can be recognised. `cause` is the id of an earlier act that asked for this one.
    """
    act = current_act()
    if caller is not None:
        act = replace(act, caller=caller)
    if task:
        act = replace(act, caller=Caller.WORKER, actor=None, actor_name=f"system: {task}")
    if by_link:
        act = replace(act, caller=Caller.LINK, actor=None, actor_name=ANONYMOUS)
    if by is not None:
        act = replace(act, actor=by, actor_name=by.audit_name)
    if reason:
        act = replace(act, reason=reason)
    if request_id is not None:
        act = replace(act, request_id=request_id)
    if cause is not None:
        act = replace(act, cause=cause)
    token = _current.set(act)
    try:
        yield act
    finally:
        _current.reset(token)


@contextlib.contextmanager
def following(reason: str) -> Iterator[Act]:
    """What is saved inside follows by rule from the act, and for `reason` where nobody has given one."""
    with acting(reason=current_act().reason.strip() or reason) as act:
        yield act


class ReasonMissing(ValidationError):
    """A change that the trail must explain was to be saved without saying why."""

    def __init__(self, row: models.Model, names: Sequence[str] = ()) -> None:
        """`names` are those of the fields; none if the whole row is removed."""
        fields: list[Any] = [row._meta.get_field(name) for name in names]
        labels = [str(field.verbose_name) for field in fields] or [str(row._meta.verbose_name)]
        super().__init__(
            _("Say why this is changed (%(fields)s); the reason is kept in the audit trail."),
            code="reason_missing",
            params={"fields": ", ".join(labels)},
        )


class PastTheTrail(Exception):
    """Rows of an audited model were to be changed or added in a way that no history row would tell of."""

    def __init__(self, model: type[models.Model]) -> None:
        super().__init__(f"This would go past the audit trail of {model._meta.label}. Save each row.")


@contextlib.contextmanager
def web_act(request: HttpRequest) -> Iterator[Act]:
    """The act of one request, of which it is not known yet who does it."""
    act = Act(caller=Caller.ADMIN, actor_name=ANONYMOUS, address=client_address(request))
    token = _current.set(act)
    try:
        yield act
    finally:
        _current.reset(token)


class AuditMiddleware:
    """The act of a request is done by whoever is signed in. (config.access.AccessMiddleware has opened it.)"""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        user = request.user if request.user.is_authenticated else None
        name = user.audit_name if user else ANONYMOUS
        token = _current.set(replace(current_act(), actor=user, actor_name=name))
        try:
            return self.get_response(request)
        finally:
            _current.reset(token)


def current_request_id() -> uuid.UUID:
    return current_act().request_id


def current_request_id_if_any() -> uuid.UUID | None:
    """None outside of any act."""
    return _followed()[0]


def current_actor_name() -> str:
    return current_act().actor_name


def current_caller() -> str:
    return current_act().caller.value


class HistoryRow(models.Model):
    """What every history row says besides the copied values. The name is a copy: it outlives the account."""

    request_id = models.UUIDField(default=current_request_id, db_index=True)
    actor_name = models.CharField(max_length=200, default=current_actor_name)
    caller = models.CharField(max_length=10, choices=Caller.choices, default=current_caller)
    #: Names of the fields that this change changed, each between commas: ",severity,classified_at,". Empty for a row
    #: that was added or removed.
    changed = models.TextField(blank=True, default="")

    class Meta:
        abstract = True

    @property
    def changed_names(self) -> list[str]:
        return [name for name in self.changed.split(",") if name]


class AuditedRecords(HistoricalRecords):  # type: ignore[misc]  # the library ships no types
    """The audit trail of one model: `history = AuditedRecords()`.

    Each row bears the instant of the database's clock, which no process of ours can set; except where an instance (the
    demo's world) says `_history_date`.
    """

    def __init__(self, **options: Any) -> None:
        options.setdefault("bases", (HistoryRow,))
        options.setdefault("history_id_field", models.BigAutoField())
        super().__init__(**options)

    def get_extra_fields(self, model: Any, fields: Any) -> dict[str, Any]:
        """The key to the person begins an index of its own (below), and needs no other."""
        extra: dict[str, Any] = super().get_extra_fields(model, fields)
        extra["history_user"].db_index = False
        return extra

    def get_meta_options(self, model: Any) -> dict[str, Any]:
        """With an index for the trail of one person, newest first: also of somebody who has long left."""
        options: dict[str, Any] = super().get_meta_options(model)
        by_person = models.Index(fields=["history_user", "-history_date"])
        return {**options, "indexes": [*options.get("indexes", ()), by_person]}

    def post_save(self, instance: Any, created: bool, using: str | None = None, **options: Any) -> None:
        """What is loaded from a file ("raw") leaves its row like anything else."""
        super().post_save(instance, created, using, **{**options, "raw": False})

    def create_historical_record(self, instance: Any, history_type: str, using: str | None = None) -> None:
        act = current_act()
        if history_type == "-" and instance.NEED_REASON and not act.reason.strip():
            raise ReasonMissing(instance)
        if history_type == "~":  # once more, of what came past our own save: from a file, or by a key alone
            instance.refuse_without_reason()
        fields = self.fields_included(instance)
        model: type[models.Model] = type(instance)
        row = history_of(model)(
            history_date=getattr(instance, "_history_date", Now()),
            history_type=history_type,
            history_user=act.actor,
            history_change_reason=act.reason,
            request_id=act.request_id,
            actor_name=act.actor_name,
            caller=act.caller,
            changed=self._changed(instance, fields) if history_type == "~" else "",
            **{field.attname: getattr(instance, field.attname) for field in fields},
        )
        row.save()
        self.create_historical_record_m2ms(row, instance)

    def _changed(self, instance: AuditedModel, fields: Sequence[models.Field[Any, Any]]) -> str:
        """Where no field of its own differs, it is its relations that changed.

        A field whose value no history keeps, such as a password, is named too, unless nobody can write it.
        """
        changed = instance.changed_fields()
        own = [f for f in instance._meta.concrete_fields if f.attname in changed and (f in fields or f.editable)]
        names = [field.name for field in own if field.attname not in instance.SILENT_FIELDS]
        names = names or [field.name for field in history_of(type(instance))._history_m2m_fields]
        return f",{','.join(names)}," if names else ""


@functools.cache
def history_of(model: type[models.Model]) -> type[Any]:
    """The model of its history rows (HistoryRow with the copied values). Asking `model.history` makes a class anew."""
    return cast("type[Any]", cast("Any", model).history.model)


Row = TypeVar("Row", bound=models.Model)


class AuditedQuerySet(models.QuerySet[Row]):
    """Rows of an audited model, each of which is changed and added by its own `save`.

    Only what no history tells of may be written in bulk: the model's SILENT_FIELDS and QUEUE_FIELDS, and new rows that
    are their own record (FROZEN).
    """

    def update(self, **values: Any) -> int:
        model = cast("type[AuditedModel]", self.model)
        if not {_attname(model, name) for name in values} <= model.SILENT_FIELDS | model.QUEUE_FIELDS:
            raise PastTheTrail(model)
        return super().update(**values)

    update.alters_data = True  # type: ignore[attr-defined]  # so that no template calls it

    def bulk_create(self, *args: Any, **options: Any) -> list[Row]:
        model = cast("type[AuditedModel]", self.model)
        if not model.FROZEN:
            raise PastTheTrail(model)
        return super().bulk_create(*args, **options)


def _attname(model: type[models.Model], name: str) -> str:
    return str(getattr(model._meta.get_field(name), "attname", name)) if name != "pk" else name


class AuditedModel(models.Model):
    """Base of every model with an audit trail: a save that changes nothing writes nothing, history included.

    A row and its history row are written in one transaction. Its manager is that of an AuditedQuerySet.
    """

    #: The foreign key to what this is a part of and is shown with in the trail: a contact's client.
    PART_OF: ClassVar[str] = ""
    #: The foreign keys that `str` of a row follows, so that many rows can be named in one query.
    NAMED_WITH: ClassVar[tuple[str, ...]] = ()
    #: The lookup from here to the client (agreements.Client) whose matter a row is: "agreement__client". A part without
    #: one of its own goes by way of its whole; "" for what belongs to no client.
    CLIENT_PATH: ClassVar[str] = ""
    #: Fields in which people, or verbs in their name, write about any client (config/scope.py).
    NAMES_CLIENTS_IN: ClassVar[tuple[str, ...]] = ()
    #: The field by which people call a row: a reference, a name.
    CALLED: ClassVar[str] = ""
    #: The field of a part that says in words what an act did to the whole: the text of a timeline's entry.
    TELLS: ClassVar[str] = ""
    #: Fields of a row that is kept already that change only for a reason, as it is removed only for one
    #: (21 CFR 11.10(e), the "why").
    NEED_REASON: ClassVar[frozenset[str]] = frozenset()
    #: Those of them that need none while they are empty: an instant that has come.
    MAY_BE_FILLED: ClassVar[frozenset[str]] = frozenset()
    #: Fields whose change is not somebody's act (a queue's cursor, the last sign-in) and leaves no history row.
    SILENT_FIELDS: ClassVar[frozenset[str]] = frozenset()
    #: Whether no row is ever deleted (config/audit/append_only.py); False for what is only a line of something else.
    IS_KEPT: ClassVar[bool] = True
    #: Fields that never change once the row is made, where rows are made without a history: sealed with their row.
    FROZEN: ClassVar[tuple[str, ...]] = ()
    #: Fields that name a person, and may be given up one day; long bodies that may be given up, too.
    PERSONAL: ClassVar[tuple[str, ...]] = ()
    BODIES: ClassVar[tuple[str, ...]] = ()
    #: Fields of a queue that workers also write by compare-and-set, which other rows tell of, as the attempts at a mail
    #: do.
    QUEUE_FIELDS: ClassVar[frozenset[str]] = frozenset()

    _loaded: dict[str, Any]

    class Meta:
        abstract = True

    def save(self, *args: Any, **options: Any) -> None:
        changed = self.changed_fields()
        is_new = self._state.adding or bool(options.get("force_insert"))
        if not is_new and not changed:
            return
        if not is_new:
            self.refuse_without_reason()
        with contextlib.ExitStack() as stack:
            stack.enter_context(transaction.atomic(using=options.get("using"), savepoint=False))
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

    def standing_in_words(self, at: dt.datetime) -> str:
        """How the clock judges it at an instant; empty for what it does not judge."""
        return ""

    def needing_reason(self, changed: set[str]) -> set[str]:
        """Which of these changes of its fields have to be explained."""
        loaded = self.__dict__.get("_loaded", {})
        filled = {name for name in changed & self.MAY_BE_FILLED if name in loaded and loaded[name] in (None, "")}
        return changed & self.NEED_REASON - filled

    def refuse_without_reason(self) -> None:
        """Raises ReasonMissing where a change has to be explained, and the act does not say why it is done."""
        if not current_act().reason.strip() and (asking := self.needing_reason(self.changed_fields())):
            raise ReasonMissing(self, sorted(asking))

    def _remember(self, names: Iterable[str] | None = None) -> None:
        values = self._values()
        if names is not None:
            wanted = {f.attname for f in self._meta.concrete_fields if {f.name, f.attname} & set(names)}
            values = self.__dict__.get("_loaded", {}) | {k: v for k, v in values.items() if k in wanted}
        self._loaded = values

    def _values(self) -> dict[str, Any]:
        deferred = self.get_deferred_fields()
        return {f.attname: getattr(self, f.attname) for f in self._meta.concrete_fields if f.attname not in deferred}


class AddedOnly(models.Model):
    """Base of every model whose rows are only ever added: each is its own record and needs no history."""

    #: As of AuditedModel.
    PART_OF: ClassVar[str] = ""
    NAMED_WITH: ClassVar[tuple[str, ...]] = ()
    PERSONAL: ClassVar[tuple[str, ...]] = ()
    BODIES: ClassVar[tuple[str, ...]] = ()
    #: Whether rows are sealed by their rising key (config/audit/seals.py); False for what proves itself.
    IS_SEALED: ClassVar[bool] = True
    CLIENT_PATH: ClassVar[str] = ""

    class Meta:
        abstract = True
