"""How often the same one may ask for something that is open to anybody."""

from __future__ import annotations

import datetime as dt
import ipaddress
from dataclasses import dataclass

from django.core.cache import cache


@dataclass(frozen=True)
class Limit:
    """At most so many in each window of so many seconds.

    Counted in Django's cache, which by default is each process's own: with several web processes each allows as many.
    """

    name: str
    most: int
    window: int

    def wait(self, who: str, now: dt.datetime) -> int:
        """Count one more by `who`: 0 if it is within the limit, else the seconds until the next window."""
        number, gone = divmod(int(now.timestamp()), self.window)
        key = f"limit:{self.name}:{who}:{number}"
        cache.add(key, 0, timeout=self.window)
        try:
            count = cache.incr(key)
        except ValueError:  # a full cache has dropped it meanwhile
            return 0
        return self.window - gone if count > self.most else 0


def neighbourhood(address: str | None) -> str:
    """Whom a limit counts together: one IPv4 address, or the /64 that one IPv6 subscriber has."""
    if address is None:
        return "unknown"
    length = 64 if ":" in address else 32
    return str(ipaddress.ip_network(f"{address}/{length}", strict=False))
