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
def column_labels(headers: Iterable[Mapping[str, Any]]) -> list[SafeString]:
    """What each cell of a column is given to know the column's name; made once for all rows."""
    return [format_html(' data-label="{}"', capfirst(header["text"])) for header in headers]


@register.simple_tag
def labelled_cells(cells: Iterable[str], labels: Iterable[SafeString]) -> SafeString:
    """The cells of a row as Django made them, `<td …>` or `<th …>`, each with the name of its column."""
    labelled = "".join(_labelled(cell, label) for cell, label in zip(cells, labels, strict=False))
    return mark_safe(labelled)  # noqa: S308 - made by Django, which escaped what is in it


def _labelled(cell: str, label: SafeString) -> str:
    start, rest = cell[:3], cell[3:]
    if start not in ("<td", "<th") or "action-checkbox" in rest[:30]:
        return cell
    return f"{start}{label}{rest}"
