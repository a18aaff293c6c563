"""The link beside a field by which one asks who last changed it, and why."""

from __future__ import annotations

from typing import Any

from django import template
from django.contrib.admin.utils import quote
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from config.audit import differences

register = template.Library()

_LINK = (
    '<a class="who-changed" href="{}?field={}" title="{}"><span aria-hidden="true">↺</span>'
    '<span class="visually-hidden">{}</span></a>'
)


@register.simple_tag
def who_changed(original: Any, field: Any) -> str | SafeString:
    """For a field of a fieldset; nothing for what no history keeps."""
    name = field.field["name"] if field.is_readonly else field.field.name
    return who_changed_field(original, str(name).removesuffix("_zoned").removesuffix("_link"))


@register.simple_tag
def who_changed_field(original: Any, name: str) -> str | SafeString:
    """For a field of this row by its name."""
    label = differences.fields_of(type(original)).get(name)
    if label is None:
        return ""
    meta = original._meta
    url = reverse(f"admin:{meta.app_label}_{meta.model_name}_history", args=[quote(original.pk)])
    asks = _("Who last changed “%(field)s”, and why?") % {"field": label}
    return format_html(_LINK, url, name, asks, asks)
