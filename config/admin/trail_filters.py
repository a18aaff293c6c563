"""By what the trail can be filtered: each filter narrows every table of it, however that names what is asked for."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import django_filters
from django import forms
from django.apps import apps
from django.db import models
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import Promise, cached_property
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from config.audit import sources
from config.audit.sources import Rows, Table, table_of
from config.audit.trail import Question
from config.filters import DayFilter, NameFilter, PersonFilter
from config.history import Caller
from config.models import Export
from config.search import FoundByWords

MOST_OBJECTS = 100
_REF = re.compile(r"([a-z]+\.[a-z]+):([0-9]{1,18})", re.ASCII)


# ── which rows belong to what ───────────────────────────────────────────────────────────────────────────────────────


def _within(model: type[models.Model], whole: type[models.Model], keys: Any) -> Q | None:
    """History rows of `model` that belong to one of these; by the histories between, so that removed ones are found."""
    if model is whole:
        return Q(id__in=keys)
    above = sources.whole_of(model)
    if above is None:
        return None
    name = f"{getattr(model, 'PART_OF', '')}_id__in"
    if above is whole:
        return Q(**{name: keys})
    found = _within(above, whole, keys)
    return found and Q(**{name: sources.history_of(above).objects.filter(found).order_by().values("id")})


def _about(whole: type[models.Model], keys: Any) -> Q:
    """Records about one of these or a part of it."""
    found = Q(about=whole._meta.label_lower, about_pk__in=keys)
    for part, lookup in sources.all_parts_of(whole):
        rows = part._base_manager.filter(**{f"{lookup}__in": keys}).values("pk")
        found |= Q(about=part._meta.label_lower, about_pk__in=rows)
    return found


@dataclass
class _Clients:
    """Some clients, and what is their matter."""

    keys: Sequence[int]
    _owned: dict[type[models.Model], list[Any]] = field(default_factory=dict)

    def history_of(self, model: type[models.Model]) -> Q | None:
        """History rows of `model`."""
        own = str(getattr(model, "CLIENT_PATH", ""))
        if own == "pk":
            return Q(id__in=self.keys)
        if own and "__" not in own:
            return Q(**{f"{own}__in": self.keys})
        if own:
            return Q(id__in=self.rows_of(model))
        whole = sources.whole_of(model)
        if whole is None or not sources.client_path(whole):
            return None
        return Q(**{f"{getattr(model, 'PART_OF', '')}_id__in": self.rows_of(whole)})

    def rows_of(self, model: type[models.Model]) -> Any:
        """The keys of rows of `model`."""
        path = sources.client_path(model)
        if path == "pk":
            return self.keys
        *way, last = path.split("__")
        owned = self._few(_model_at(model, way), last) if way else None
        asked = {f"{path}__in": self.keys} if owned is None else {f"{'__'.join(way)}__in": owned}
        return model._base_manager.filter(**asked).order_by().values("pk")

    def _few(self, model: type[models.Model], key: str) -> list[Any] | None:
        """Of what hangs on them directly (agreements), the keys, unless there are many.

        By its key the database knows how frequent something is, and so whether to begin with it or with the newest.
        """
        if model not in self._owned:
            rows = model._base_manager.filter(**{f"{key}__in": self.keys}).order_by()
            self._owned[model] = list(rows.values_list("pk", flat=True)[: MOST_OBJECTS + 1])
        found = self._owned[model]
        return found if len(found) <= MOST_OBJECTS else None


def _model_at(model: type[models.Model], way: Iterable[str]) -> type[models.Model]:
    for name in way:
        model = cast("type[models.Model]", model._meta.get_field(name).related_model)
    return model


# ── the filters ─────────────────────────────────────────────────────────────────────────────────────────────────────


class OnDay(DayFilter):
    """Of whatever instant the table goes by."""

    def filter(self, queryset: Any, value: Any) -> Any:
        self.field_name = table_of(queryset).at
        return super().filter(queryset, value)


class ModelFilter(django_filters.ChoiceFilter):  # type: ignore[misc]  # the library ships no types
    def filter(self, queryset: Any, value: str) -> Any:
        return queryset if not value or table_of(queryset).label == value else queryset.none()


class Once:
    """Looks up what is typed once, not once for each table."""

    def once(self, value: str, find: Callable[[str], Any]) -> Any:
        asked: tuple[str, Any] | None = self.__dict__.get("_asked")
        if asked is None or asked[0] != value:
            asked = self.__dict__["_asked"] = value, find(value)
        return asked[1]


class ObjectFilter(Once, django_filters.CharFilter):  # type: ignore[misc]
    """All about what is called that, its parts included."""

    def filter(self, queryset: Any, value: str) -> Any:
        if not value:
            return queryset
        table = table_of(queryset)
        found = [
            asked
            for model, keys in self.once(value, _objects).items()
            if (asked := _within(table.model, model, keys) if table.is_history else _about(model, keys)) is not None
        ]
        return queryset.filter(_any(found)) if found else queryset.none()


def _objects(text: str) -> dict[type[models.Model], list[int]]:
    """By an exact reference or name; else those of which a name has these words."""
    exact = _REF.fullmatch(text)
    if exact:
        try:
            return {apps.get_model(exact[1]): [int(exact[2])]}
        except LookupError:
            return {}
    called = {model: model.CALLED for model in sources.audited() if model.CALLED}
    found = {model: _keys(model, **{f"{name}__in": {text, text.upper()}}) for model, name in called.items()}
    if not any(found.values()):
        found = {
            model: list(rows.named(text).order_by().values_list("pk", flat=True)[:MOST_OBJECTS])
            for model, name in called.items()
            if name == "name" and isinstance(rows := model._default_manager.all(), FoundByWords)
        }
    return {model: keys for model, keys in found.items() if keys}


def _keys(model: type[models.Model], **asked: Any) -> list[int]:
    return list(model._base_manager.filter(**asked).order_by().values_list("pk", flat=True)[:MOST_OBJECTS])


class ActorFilter(Once, PersonFilter):
    """By a colleague; of those who have no account, and of the system's parts, by the name that stands in the trail."""

    def filter(self, queryset: Any, value: str | None) -> Any:
        if not value:
            return queryset
        keys = self.people(value)
        if not keys:
            return queryset.filter(actor_name__icontains=value)
        return queryset.filter(**{f"{table_of(queryset).actor}__in": keys})

    def people(self, value: str) -> list[Any]:
        found: list[Any] = self.once(value, self.keys)
        return found


class ClientFilter(Once, NameFilter):
    def filter(self, queryset: Any, value: str | None) -> Any:
        if not value:
            return queryset
        clients: _Clients = self.once(value, lambda typed: _Clients(self.keys(typed)))
        table = table_of(queryset)
        if table.is_history:
            asked = clients.history_of(table.model)
        else:
            theirs = [model for model in sources.audited() if model.CLIENT_PATH]
            asked = _any(Q(about=model._meta.label_lower, about_pk__in=clients.rows_of(model)) for model in theirs)
        return queryset.filter(asked) if asked and clients.keys else queryset.none()


class ActionFilter(django_filters.ChoiceFilter):  # type: ignore[misc]
    def filter(self, queryset: Any, value: str) -> Any:
        if not value:
            return queryset
        of_history = value in ACTIONS
        if table_of(queryset).is_history != of_history:
            return queryset.none()
        return queryset.filter(**{"history_type" if of_history else "kind": value})


class FieldInput(forms.TextInput):
    """A field, by the name that its form has for it; the browser offers those that there are."""

    def render(self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: Any = None) -> SafeString:
        names = f"{(attrs or {}).get('id') or name}-names"
        drawn = super().render(name, value, {**(attrs or {}), "list": names, "autocomplete": "off"}, renderer)
        labels = sorted({label for label, _name in _labelled_fields()})
        options = format_html_join("", '<option value="{}"></option>', ((label,) for label in labels))
        return format_html('{}<datalist id="{}">{}</datalist>', drawn, names, options)


class FieldFilter(django_filters.CharFilter):  # type: ignore[misc]
    def filter(self, queryset: Any, value: str) -> Any:
        if not value:
            return queryset
        wanted = value.casefold()
        fields = {name for label, name in _labelled_fields() if wanted in (name, label.casefold())}
        if not fields or not table_of(queryset).is_history:
            return queryset.none()
        return queryset.filter(_any(Q(changed__contains=f",{name},") for name in fields))


def _labelled_fields() -> list[tuple[str, str]]:
    """(label in the reader's language, name) of every field that a history keeps."""
    return [
        (capfirst(str(own.verbose_name)), own.name)
        for table in sources.tables()
        if table.is_history
        for own in (*table.model._meta.concrete_fields, *table.model._meta.local_many_to_many)
        if not own.primary_key
    ]


class ReasonFilter(django_filters.CharFilter):  # type: ignore[misc]
    """Every word of it, anywhere in the reason."""

    def filter(self, queryset: Any, value: str) -> Any:
        if not value:
            return queryset
        if not table_of(queryset).is_history:
            return queryset.none()
        for word in value.split():
            queryset = queryset.filter(history_change_reason__icontains=word)
        return queryset


def _any(found: Iterable[Q]) -> Q:
    one = Q()
    for asked in found:
        one |= asked
    return one


ACTIONS: Mapping[str, str | Promise] = {"+": _("Added"), "~": _("Changed"), "-": _("Removed")}


def actions(tables: Sequence[Table]) -> list[tuple[str, str | Promise]]:
    kinds = [table.model._meta.get_field("kind") for table in tables if not table.is_history]
    return [*ACTIONS.items(), *(choice for kind in kinds for choice in kind.flatchoices)]  # type: ignore[union-attr]


def _client_key() -> models.ForeignKey[Any, Any]:
    """A key to clients, of which suggestions are asked."""
    paths = {model: model.CLIENT_PATH for model in sources.audited()}
    direct = (
        model._meta.get_field(path) for model, path in paths.items() if path not in ("", "pk") and "__" not in path
    )
    return next(key for key in direct if isinstance(key, models.ForeignKey))


class TrailFilters(django_filters.FilterSet):  # type: ignore[misc]
    """Of tables that the reader may read; no index serves those of FINE."""

    FINE = frozenset({"caller", "action", "field", "reason"})

    from_day = OnDay("at", label=_("From"))
    to_day = OnDay("at", label=_("To"), is_end=True)
    object = ObjectFilter(label=_("About"), max_length=200, help_text=_("A reference or a name"))
    actor = ActorFilter(Export._meta.get_field("by"), label=_("By"))
    client = ClientFilter(_client_key(), label=_("Client"))
    model = ModelFilter(label=_("Kind of record"), empty_label=_("All"))
    action = ActionFilter(label=_("Action"), empty_label=_("All"))
    field = FieldFilter(label=_("Changed field"), max_length=100, widget=FieldInput)
    reason = ReasonFilter(label=_("Words of the reason"), max_length=200)
    caller = django_filters.ChoiceFilter(label=_("By way of"), choices=Caller.choices, empty_label=_("All"))

    def __init__(self, request: HttpRequest, tables: Sequence[Table]) -> None:
        super().__init__(request.GET, queryset=tables[0].rows() if tables else Export.objects.none(), request=request)
        self.tables = tables
        labels = sorted((capfirst(str(t.model._meta.verbose_name)), t.label) for t in tables)
        self.filters["model"].extra["choices"] = [(label, name) for name, label in labels]
        self.filters["action"].extra["choices"] = actions(tables)

    @cached_property
    def asked(self) -> dict[str, Any]:
        """What can be understood of what was typed."""
        self.form.is_valid()
        return {name: value for name, value in self.form.cleaned_data.items() if value not in (None, "")}

    @property
    def typed(self) -> dict[str, str]:
        """The same as it stands in the address."""
        return {name: str(self.form[name].value()) for name in self.filters if name in self.asked}

    @property
    def in_words(self) -> str:
        """The same as people read it: "Kind of record: Incident; From: 2026-11-24 (Europe/Berlin)"."""
        return "; ".join(f"{self.form[name].label}: {self._said(name, value)}" for name, value in self.typed.items())

    def _said(self, name: str, typed: str) -> str:
        field, value = self.form.fields[name], self.asked[name]
        if isinstance(value, dt.date):
            return f"{value.isoformat()} ({timezone.get_current_timezone_name()})"
        choices = dict(getattr(field, "choices", ()))
        return str(choices[typed] if typed in choices else field.widget.format_value(typed))

    @property
    def question(self) -> Question:
        fine = self.FINE & set(self.asked)
        actor = self.asked.get("actor")
        if actor and len(self.filters["actor"].people(actor)) != 1:
            fine |= {"actor"}
        coarse = set(self.asked) - fine
        return Question(
            self.tables,
            narrow=lambda _table, rows: self._narrowed(rows, self.asked),
            coarse=lambda _table, rows: self._narrowed(rows, coarse),
            is_fine=bool(fine),
        )

    def _narrowed(self, rows: Rows, names: Iterable[str]) -> Rows:
        for name in names:
            rows = self.filters[name].filter(rows, self.asked[name])
        return rows
