"""The link that each client mail carries to the page where it is acknowledged: signed, so it cannot be guessed."""

from __future__ import annotations

import re
import uuid

from django.conf import settings
from django.core.signing import BadSignature, Signer
from django.urls import reverse

#: A part of a link that lets its reader acknowledge, wherever it stands in a text.
_SECRET = re.compile(r"(?<=/)[0-9a-f]{32}\.[\w-]{43}(?=/)", re.ASCII)


def link(key: uuid.UUID) -> str:
    """The address for the notice whose Message-ID begins with this key; made before the notice is a row."""
    return settings.PUBLIC_URL + reverse("incidents:acknowledge", args=[f"{_signer().sign(key.hex)}/"])


def key_in(token: str) -> uuid.UUID | None:
    """The key that a link was made for, if the signature is ours, under SECRET_KEY or one of its fallbacks."""
    try:
        return uuid.UUID(hex=_signer().unsign(token))
    except BadSignature:
        return None


def is_in(content: str) -> bool:
    """Whether a text holds such a link."""
    return _SECRET.search(content) is not None


def masked(content: str) -> str:
    """A notice's text or HTML for colleagues and lawyers to read: with its links made useless.

    Whoever has a link can press the button, and another's pressing would prove nothing.
    """
    return _SECRET.sub("…", content)


def _signer() -> Signer:
    # "." instead of ":" as some mail programs end a link at a colon.
    return Signer(salt="incidents.acknowledgement", sep=".")
