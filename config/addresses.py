"""From where a request comes."""

from __future__ import annotations

import ipaddress

from django.conf import settings
from django.http import HttpRequest


def client_address(request: HttpRequest) -> str | None:
    """The address of whoever asks; None if it cannot be told.

    Each proxy adds to X-Forwarded-For the address of whoever asked it. Behind so many of ours as BEHIND_PROXY says, the
    one that the outermost wrote is as many entries from the end; what stands before it anybody can write. A shorter
    list did not come by way of all of them.
    """
    if proxies := settings.BEHIND_PROXY:
        said = request.headers.get("X-Forwarded-For", "").split(",")
        given = said[-proxies] if len(said) >= proxies else ""
    else:
        given = request.META.get("REMOTE_ADDR", "")
    try:
        address = ipaddress.ip_address(given.strip().partition("%")[0])  # a zone is of no use elsewhere
    except ValueError:
        return None
    return str(getattr(address, "ipv4_mapped", None) or address)
