"""Who sees what: somebody who is limited to some clients sees the rows of those, by one function everywhere.

A model says by CLIENT_PATH how its rows hang on a client, or by PART_OF on what they are a part of, which then decides.
Where that does not say it, the model has a `rule`. What hangs on no client (services, calendars, colleagues, templates)
everybody sees. A history row is seen by whom its object is, and free text that names a client by whom that client is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any, TypeVar, cast

from django.contrib import admin
from django.db.models import CharField, Exists, ExpressionWrapper, F, Model, OuterRef, Q, QuerySet
from django.utils.translation import gettext_lazy as _

from config.audit import sources
from config.models import Event, Export

Clients = frozenset[int]
Rows = TypeVar("Rows", bound="QuerySet[Any, Any]")
#: The rows of a model that somebody who is limited to these clients sees.
Rule = Callable[[Any, Clients], Q]

REFUSAL = _("This also concerns clients whom you do not see. Ask a colleague who sees them all.")

_RULES: dict[type[Model], Rule] = {
    Export: lambda user, _clients: Q(by=user),  # its filters may name anybody
    Event: lambda user, _clients: Q(actor=user),
}
_limits: list[Callable[[Any], Collection[int]]] = []

Limit = TypeVar("Limit", bound=Callable[[Any], Collection[int]])
SomeRule = TypeVar("SomeRule", bound=Rule)


def limit(find: Limit) -> Limit:
    """Decorator, for the floor that knows clients: the keys of those that a person is limited to; none for all."""
    _limits.append(find)
    return find


def rule(model: type[Model]) -> Callable[[SomeRule], SomeRule]:
    """Decorator: which rows of this model are seen, where no path says it."""

    def register(asked: SomeRule) -> SomeRule:
        _RULES[model] = asked
        return asked

    return register


def clients_of(user: Any) -> Clients | None:
    """The keys of the clients that a person is limited to; None for who sees all. Asked once for each request."""
    if user.is_superuser:
        return None
    if not hasattr(user, "limited_to"):
        found = frozenset(key for find in _limits for key in find(user))
        user.limited_to = found or None
    return cast("Clients | None", user.limited_to)


def visible(rows: Rows, user: Any) -> Rows:
    """Those of these rows that the person may see."""
    clients = clients_of(user)
    if clients is None:
        return rows
    model = rows.model
    asked = _within(getattr(model, "instance_type", model), user, clients)
    if asked is not None:
        rows = rows.filter(_of_history(asked) if hasattr(model, "instance_type") else asked)
    for text in _texts(model):
        rows = rows.filter(~_names_another(text, clients))
    return rows


def may_view(user: Any, model: type[Model]) -> bool:
    """Whether the person's role lets them view such rows; a part that has no page of its own goes with its whole."""
    whole = sources.whole_of(model)
    if whole is not None and not admin.site.is_registered(model):
        return may_view(user, whole)
    return bool(user.has_perm(f"{model._meta.app_label}.view_{model._meta.model_name}"))


def tables(user: Any) -> tuple[sources.Table, ...]:
    """Those of the trail, with the rows that the person may see."""
    return tuple(replace(table, see=lambda rows: visible(rows, user)) for table in sources.tables())


def _within(model: type[Model], user: Any, clients: Clients) -> Q | None:
    """What is asked of rows of this model; None for what hangs on no client."""
    if model in _RULES:
        return _RULES[model](user, clients)
    own = str(getattr(model, "CLIENT_PATH", ""))
    if own:
        return Q(**{f"{own}__in": clients})
    whole = sources.whole_of(model)
    asked = None if whole is None else _within(whole, user, clients)
    if whole is None or asked is None:
        return None
    return Q(**{f"{getattr(model, 'PART_OF', '')}__in": whole._base_manager.filter(asked).order_by().values("pk")})


def _of_history(asked: Q) -> Q:
    """The same of the copies of the rows, which have keys of their own."""
    renamed = [
        _of_history(part) if isinstance(part, Q) else _of_copy(part) if isinstance(part, tuple) else part
        for part in asked.children
    ]
    return Q.create(renamed, asked.connector, asked.negated)


def _of_copy(part: tuple[str, Any]) -> tuple[str, Any]:
    name, value = part
    return (f"id{name.removeprefix('pk')}" if name.startswith("pk__") else name), value


def _texts(model: type[Model]) -> list[str]:
    """Fields in which people, and verbs in their name, write about any client."""
    written = list(getattr(getattr(model, "instance_type", model), "NAMES_CLIENTS_IN", ()))
    return [*written, "history_change_reason"] if hasattr(model, "instance_type") else written


def _names_another(text: str, clients: Clients) -> Exists:
    """Whether the text has the name of a client that is not one of these."""
    others = sources.client()._base_manager.exclude(pk__in=clients)
    written = ExpressionWrapper(OuterRef(text), output_field=CharField())
    return Exists(others.annotate(written=written).filter(written__icontains=F("name")))
