"""From where a request comes."""

from __future__ import annotations

import ipaddress

from django.conf import settings
from django.http import HttpRequest


def client_address(request: HttpRequest) -> str | None:
    """The address of whoever asks; None if it cannot be told.

    Behind a proxy it is the last entry of X-Forwarded-For, the one that our proxy wrote; all others anybody can write.
    """
    if settings.SECURE_PROXY_SSL_HEADER:
        given = request.headers.get("X-Forwarded-For", "").rpartition(",")[2]
    else:
        given = request.META.get("REMOTE_ADDR", "")
    try:
        address = ipaddress.ip_address(given.strip().partition("%")[0])  # a zone is of no use elsewhere
    except ValueError:
        return None
    return str(getattr(address, "ipv4_mapped", None) or address)
