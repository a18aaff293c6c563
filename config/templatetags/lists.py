"""How lists are shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import capfirst

register = template.Library()


@register.simple_tag
def cells_with_labels(cells: Iterable[str], headers: Iterable[Mapping[str, Any]]) -> list[SafeString]:
    """The cells of a row as Django made them, `<td …>` or `<th …>`, each with the name of its column."""
    return [_labelled(cell, header["text"]) for cell, header in zip(cells, headers, strict=False)]


def _labelled(cell: str, label: str) -> SafeString:
    start, rest = cell[:3], cell[3:]
    if start not in ("<td", "<th") or "action-checkbox" in rest[:30]:
        return mark_safe(cell)  # noqa: S308 - made by Django, which escaped what is in it
    return format_html('{} data-label="{}"{}', mark_safe(start), capfirst(label), mark_safe(rest))  # noqa: S308
