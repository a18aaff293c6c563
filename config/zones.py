"""The time zones by which everything is counted: those of the `tzdata` package, never the system's own copy.

A server's copy may be years old and then gives other deadlines than its neighbour. Importing this module
makes `zoneinfo` read the package alone, for the whole process.
"""

from __future__ import annotations

import zoneinfo
from difflib import get_close_matches
from zoneinfo import ZoneInfo

import tzdata  # type: ignore[import-untyped]

zoneinfo.reset_tzpath(to=())
ZoneInfo.clear_cache()  # zones that somebody read before from the system

IANA_VERSION: str = tzdata.IANA_VERSION  # for example "2026f"; stored with each deadline

# "Factory" stands for a clock that nobody has set, "localtime" for whatever the machine happens to use.
_KNOWN = frozenset(zoneinfo.available_timezones() - {"Factory", "localtime"})
_NAMES = tuple(sorted(_KNOWN))
_LONGEST_NAME = 64  # of what a person typed, as far as a sentence repeats it


class UnknownZone(ValueError):
    """The name is not that of a time zone.

    `name` is as much of it as a sentence repeats, `close` a zone that was perhaps meant. People are told in their own
    language by config/fields.py; this message is for logs.
    """

    def __init__(self, name: str) -> None:
        self.name = str(name)[:_LONGEST_NAME].strip()
        self.close = _close_to(self.name)
        meant = f" Did you mean {self.close}?" if self.close else ""
        super().__init__(f"“{self.name}” is not the name of a time zone.{meant}")


def zone(name: str) -> ZoneInfo:
    """The time zone of this IANA name, for example Europe/Berlin; UnknownZone for anything else.

    Only listed names reach the file system, so a path such as "../../etc/passwd" is just an unknown name.
    """
    if not is_known(name):
        raise UnknownZone(name)
    return ZoneInfo(name)


def is_known(name: str) -> bool:
    """Whether `zone` accepts the name, which is exact: upper and lower case matter."""
    return name in _KNOWN


def names() -> tuple[str, ...]:
    """Every name that `zone` accepts, sorted, for a list to choose from."""
    return _NAMES


def _close_to(name: str) -> str:
    by_lower_case = {known.lower(): known for known in _NAMES}
    close = get_close_matches(name.lower(), by_lower_case, n=1, cutoff=0.8)
    return by_lower_case[close[0]] if close else ""
