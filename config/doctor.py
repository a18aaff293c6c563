"""Whether an installation is as it should be, and what to do where it is not: the checks of all floors by one list.

Each floor registers its own (config/checkup.py, agreements/checkup.py, incidents/checkup.py). A check only looks: it is
given the present instant and yields what it finds, good or bad.
"""

from __future__ import annotations

import datetime as dt
import enum
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from django.db import Error
from django.utils.functional import Promise
from django.utils.translation import gettext as _

logger = logging.getLogger(__name__)

NAMED = 10  # of those concerned


class Level(enum.StrEnum):
    OK = "ok"
    WARNING = "warning"  # it works, and will not for ever, or not for everybody
    ERROR = "error"  # it does not work


@dataclass(frozen=True)
class Finding:
    """What a check found, in a sentence, and in another what to do about it unless it is good."""

    level: Level
    sentence: str
    remedy: str = ""
    concerned: tuple[str, ...] = ()  # by name, for whoever has the command line and so may see everything
    check: str = ""  # given by the list

    def __str__(self) -> str:
        named = ", ".join(self.concerned[:NAMED]) + (" …" if len(self.concerned) > NAMED else "")
        parts = (self.sentence, f"({named})" if named else "", self.remedy)
        return f"{self.level.upper():<7}  {self.check}: {' '.join(filter(None, parts))}"


def ok(sentence: str) -> Finding:
    return Finding(Level.OK, sentence)


def warning(sentence: str, remedy: str, *concerned: object) -> Finding:
    return Finding(Level.WARNING, sentence, remedy, tuple(map(str, concerned)))


def error(sentence: str, remedy: str, *concerned: object) -> Finding:
    return Finding(Level.ERROR, sentence, remedy, tuple(map(str, concerned)))


Check = Callable[[dt.datetime], Iterator[Finding]]


@dataclass(frozen=True)
class _Registered:
    name: str | Promise
    check: Check
    reaches_out: bool
    asks_database: bool


_checks: list[_Registered] = []


def register(name: str | Promise, *, reaches_out: bool = False, asks_database: bool = True) -> Callable[[Check], Check]:
    """Decorator; `reaches_out` for what speaks to other machines than the database, and may keep its caller waiting."""

    def add(check: Check) -> Check:
        _checks.append(_Registered(name, check, reaches_out, asks_database))
        return check

    return add


def names() -> list[str]:
    """Of all checks, in the reader's language."""
    return [str(one.name) for one in _checks]


def examine(now: dt.datetime, *, reaching_out: bool = True) -> Iterator[Finding]:
    """Everything that the checks find, one after another. Never raises: what cannot be looked at is an error.

    Once the database has failed one of them, those that need it are left out.
    """
    is_lost = False
    for one in _checks:
        if one.reaches_out > reaching_out or (one.asks_database and is_lost):
            continue
        try:
            found = list(one.check(now))
        except Error as trouble:
            is_lost, found = True, [_lost(trouble)]
        except Exception:
            logger.exception("The check “%s” failed.", one.name)
            found = [error(_("This could not be looked at."), _("See the log for what went wrong, and report it."))]
        for finding in found:
            yield replace(finding, check=str(one.name))


def _lost(trouble: Error) -> Finding:
    told = {"why": " ".join(str(trouble).split())[:300]}
    return error(
        _("The database does not answer as it should, and what needs it was not looked at: %(why)s.") % told,
        _("Start it, or correct DATABASE_URL; if it lacks tables, run `manage.py migrate`."),
    )
