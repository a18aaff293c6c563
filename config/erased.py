"""The mark that stands where a personal value was given up (config/audit/giving_up.py), and how people read it."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _

#: As it is stored: the only text that may take the place of a personal value in a row that is never changed.
ERASED = "[erased]"


def shown(value: Any) -> Any:
    """In the reader's language, if it is the mark; every other value as it is."""
    return _("[erased]") if value == ERASED else value
