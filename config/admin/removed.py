"""Rows of a table below a form that a colleague removed while they stood on somebody's page."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping

from django.db import models
from django.forms.formsets import DELETION_FIELD_NAME, INITIAL_FORM_COUNT
from django.http import QueryDict

LONGEST_KEY = 18  # digits of what every database takes for a key


def set_aside(sent: QueryDict, prefix: str, rows: models.QuerySet[models.Model], *, may_mark: bool) -> bool:
    """Let what was sent for removed rows be new rows at the end of their table, marked for deletion.

    Nothing of what was typed there is lost, the row stays removed, and without its mark it is added again. Whoever may
    not mark has it left out. `rows`: what the table shows of all its parents. Whether there were any.
    """
    first = sent.get(f"{prefix}-{INITIAL_FORM_COUNT}", "")
    table, key = _table(sent, prefix), rows.model._meta.pk.name
    shown = {
        number: row[key][0] for number, row in table.items() if first.isdecimal() and number < int(first) and key in row
    }
    keys = {pk for pk in shown.values() if pk.isascii() and pk.isdecimal() and len(pk) <= LONGEST_KEY}
    there = {str(pk) for pk in rows.filter(pk__in=keys).values_list("pk", flat=True)} if keys else set()
    gone = {number for number, pk in shown.items() if pk in keys - there}
    if not gone:
        return False
    for number, row in table.items():
        for name in row:
            del sent[f"{prefix}-{number}-{name}"]
    for place, number in enumerate(sorted(table, key=lambda number: (number in gone, number))):
        row = table[number]
        if number in gone:
            row = {**row, key: [""], DELETION_FIELD_NAME: ["on"]} if may_mark else {}
        for name, values in row.items():
            sent.setlist(f"{prefix}-{place}-{name}", values)
    sent[f"{prefix}-{INITIAL_FORM_COUNT}"] = str(int(first) - len(gone))
    return True


def _table(sent: QueryDict, prefix: str) -> Mapping[int, dict[str, list[str]]]:
    """What was sent for each row, by its number."""
    table: dict[int, dict[str, list[str]]] = defaultdict(dict)
    for name in sent:
        if found := re.fullmatch(rf"{re.escape(prefix)}-([0-9]{{1,6}})-(.+)", name):
            table[int(found[1])][found[2]] = sent.getlist(name)
    return table
