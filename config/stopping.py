"""Whether this worker was asked to end: what takes long looks here between two steps.

One byte of memory that a Celery worker shares with the child processes it forks: only the parent hears of the end.
"""

from __future__ import annotations

import mmap

_asked = mmap.mmap(-1, 1)


def ask() -> None:
    """Whoever is in the middle of something finishes the step at hand."""
    _asked[0] = 1


def is_asked_for() -> bool:
    return _asked[0] == 1


def never() -> bool:
    """For whoever goes on to the end."""
    return False
