"""The link that each client mail carries to the page where it is acknowledged: signed, so it cannot be guessed."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator

from django.conf import settings
from django.core.signing import BadSignature, Signer
from django.urls import reverse

#: A part of a link that lets its reader acknowledge, wherever it stands in a text.
_SECRET = re.compile(r"(?<=/)[0-9a-f]{32}\.[\w-]{43}(?=/)", re.ASCII)

#: Where one was.
_MASK = re.compile(r"(?<=/)…(?=/)")


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


def unmasked(content: str, message_id: str) -> Iterator[str]:
    """The content as it is, and, if a link was masked in it, with the link of the notice of this Message-ID.

    To compare it with what was sent; shown to nobody.
    """
    yield content
    found = re.match(r"<([0-9a-f-]{36})@", message_id, re.ASCII)
    if found is None or not _MASK.search(content):
        return
    for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        token = _signer(key).sign(uuid.UUID(found[1]).hex)
        yield _MASK.sub(token, content)


def _signer(key: str | None = None) -> Signer:
    # "." instead of ":" as some mail programs end a link at a colon.
    return Signer(key=key, salt="incidents.acknowledgement", sep=".")
