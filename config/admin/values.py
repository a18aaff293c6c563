"""How values and addresses are shown in the admin."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

from django.contrib import admin
from django.db import models
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext as _now

from config import times
from config.erased import shown


class Link(NamedTuple):
    text: str
    url: str = ""


def badge(text: str | Promise, tone: str, sign: str) -> SafeString:
    """A word with a sign and a colour: readable without seeing the colour."""
    return _badge(str(text), tone, sign)


@functools.lru_cache(maxsize=256, typed=True)  # typed, for markup equals the plain text that would be escaped
def _badge(text: str, tone: str, sign: str) -> SafeString:
    return format_html(
        '<span class="badge badge-{}"><span class="badge-sign" aria-hidden="true">{}</span> {}</span>', tone, sign, text
    )


def both_zones(instant: dt.datetime, zone_name: str) -> SafeString:
    """An instant in the reader's zone, and below it in the client's."""
    return format_html(
        '<time datetime="{}">{}</time><br><small>{} <span class="nowrap">{}</span></small>',
        instant.isoformat(),
        times.for_reader(instant),
        _now("for the client"),
        times.in_zone(instant, zone_name),
    )


@functools.cache
def zoned(model: type[models.Model], name: str) -> Callable[[models.Model], str]:
    """A column or read-only field that shows an instant with its zone; the same object for the same field."""
    field = model._meta.get_field(name)

    def show(obj: models.Model) -> str:
        value = getattr(obj, name)
        return times.for_reader(value) if value else "–"

    show.__name__ = f"{name}_zoned"
    return admin.display(show, description=capfirst(field.verbose_name), ordering=name)  # type: ignore[union-attr]


@functools.cache
def erasable(model: type[models.Model], name: str) -> Callable[[models.Model], str]:
    """A read-only field whose value may have been given up; the same object for the same field."""

    def show(obj: models.Model) -> str:
        return str(shown(getattr(obj, name)) or "–")

    show.__name__ = f"{name}_erasable"
    return admin.display(show, description=capfirst(model._meta.get_field(name).verbose_name))  # type: ignore[union-attr]


def act_url(obj: models.Model, slug: str) -> str:
    """The address of the page where this is done to that."""
    return address(type(obj), slug, obj.pk)


def page_of(obj: models.Model) -> str:
    return address(type(obj), "change", obj.pk)


@functools.lru_cache(maxsize=4096)  # addresses stay; a page of fifty rows has a hundred, and finding one takes its time
def address(model: type[models.Model], slug: str, pk: Any) -> str:
    opts = model._meta
    return reverse(f"admin:{opts.app_label}_{opts.model_name}_{slug}", args=[pk])


def list_of(model: type[models.Model]) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def link(obj: models.Model, text: str | None = None) -> SafeString:
    return format_html('<a href="{}">{}</a>', page_of(obj), text or str(obj))
