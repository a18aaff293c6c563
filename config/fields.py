"""Model fields and validators that more than one app needs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _

from config import zones

_CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]")
_BIDI = re.compile(r"[\u202a-\u202e\u2066-\u2069]")


def validate_single_line(value: str) -> None:
    """Refuses line breaks, NUL and other control characters: the text goes into mail headers and one-line lists."""
    if _CONTROL.search(value):
        raise ValidationError(
            _("Line breaks and control characters are not allowed here. Write it on one line."), code="single_line"
        )
    if _BIDI.search(value):
        raise ValidationError(_("Characters that reverse the direction of text are not allowed here."), code="bidi")


def validate_zone(value: str) -> None:
    try:
        zones.zone(value)
    except zones.UnknownZone as error:
        raise ValidationError(str(error), code="unknown_zone") from error


if TYPE_CHECKING:
    TextOf = models.CharField[str, str]
    MailOf = models.EmailField[str, str]
else:
    TextOf, MailOf = models.CharField, models.EmailField


class LineField(TextOf):
    """One line of text, safe to stand in a mail header."""

    default_validators = [*models.CharField.default_validators, validate_single_line]


class AddressField(MailOf):
    """A mail address, safe to stand in a mail header."""

    default_validators = [*models.EmailField.default_validators, validate_single_line]


class ZoneField(TextOf):
    """The name of an IANA time zone, checked against the zone rules that the product ships."""

    default_validators = [validate_zone]

    def __init__(self, *args: Any, **options: Any) -> None:
        options.setdefault("max_length", 64)
        super().__init__(*args, **options)
