"""How it looks whether a version of an agreement holds: a word, a sign and a tone."""

from __future__ import annotations

from collections.abc import Mapping

from django.utils.safestring import SafeString

from agreements.models import Validity
from config.admin import badge

_VALIDITY: Mapping[Validity, tuple[str, str]] = {
    Validity.COMING: ("run", "→"),
    Validity.IN_FORCE: ("ok", "✓"),
    Validity.ENDED: ("off", "–"),
}


def validity_badge(validity: Validity) -> SafeString:
    return badge(validity.label, *_VALIDITY[validity])
