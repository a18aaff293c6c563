"""What rows are called, of many at once: one query for each model, however many rows are named."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.db import models
from django.utils.translation import gettext as _

from config.history import AuditedModel


class Names:
    """As they are kept now; what is gone is called by its number."""

    def __init__(self, wanted: Mapping[type[models.Model], Collection[Any]]) -> None:
        self._rows = {model: _read(model, pks) for model, pks in wanted.items()}
        self._said: dict[tuple[type[models.Model], Any], str] = {}

    def row(self, model: type[models.Model], pk: Any) -> Any:
        """The row as it is now; None if it is gone or was not asked for."""
        return self._rows.get(model, {}).get(pk)

    def of(self, model: type[models.Model], pk: Any) -> str:
        if (model, pk) not in self._said:
            row = self.row(model, pk)
            self._said[model, pk] = str(row) if row is not None else _("no. %(number)s") % {"number": pk}
        return self._said[model, pk]

    def then(self, model: type[models.Model], row: Any) -> str:
        """What the row was called by what a history row of it keeps."""
        instance = kept(model, row)
        for name in relations_named(model):
            related = self.row(related_model(model, name), getattr(row, attname_of(model, name)))
            if related is not None:
                setattr(instance, name, related)
        try:
            return str(instance)
        except ObjectDoesNotExist:
            return _("no. %(number)s") % {"number": instance.pk}


def kept(model: type[models.Model], row: Any) -> models.Model:
    """What a history row keeps, as a row of the model; nothing is read for it."""
    fields = [field for field in model._meta.concrete_fields if hasattr(row, field.attname)]
    return model(**{field.attname: getattr(row, field.attname) for field in fields})


def relations_named(model: type[models.Model]) -> tuple[str, ...]:
    """The foreign keys that `str` of its rows follows."""
    return getattr(model, "NAMED_WITH", ())


def related_model(model: type[models.Model], name: str) -> type[models.Model]:
    related: Any = model._meta.get_field(name).related_model
    return related  # type: ignore[no-any-return]


def attname_of(model: type[models.Model], name: str) -> str:
    field: Any = model._meta.get_field(name)
    return field.attname  # type: ignore[no-any-return]


def _read(model: type[models.Model], pks: Collection[Any]) -> dict[Any, Any]:
    rows = model._base_manager.select_related(*_lookups(model))
    if issubclass(model, AuditedModel):  # what no history keeps is long, or secret, and in no name
        rows = rows.defer(*model.history.model._history_excluded_fields)  # type: ignore[attr-defined]
    return {row.pk: row for row in rows.filter(pk__in=pks)}


def _lookups(model: type[models.Model], before: str = "") -> Iterator[str]:
    """With what a name needs, and what the names in it need: ("commitment", "commitment__follows")."""
    for name in relations_named(model):
        yield before + name
        if related_model(model, name) is not model:
            yield from _lookups(related_model(model, name), f"{before}{name}__")
