"""Model fields and validators that more than one app needs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from config import zones

_CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]")
_LINE_BREAKS = str.maketrans("", "", "\r\n\t\u2028\u2029")
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


def validate_prose(value: str) -> None:
    """Refuses what no keyboard types and PostgreSQL cannot keep; line breaks and tabs are fine."""
    if _CONTROL.search(value.translate(_LINE_BREAKS)):
        raise ValidationError(_("Control characters are not allowed here. Paste it as plain text."), code="control")


if TYPE_CHECKING:
    TextOf = models.CharField[str, str]
    MailOf = models.EmailField[str, str]
    ProseOf = models.TextField[str, str]
else:
    TextOf, MailOf, ProseOf = models.CharField, models.EmailField, models.TextField


class LineField(TextOf):
    """One line of text, safe to stand in a mail header."""

    default_validators = [*models.CharField.default_validators, validate_single_line]


class ProseField(ProseOf):
    """Text of several lines with a length that is checked by the model too, not only by forms."""

    default_validators = [*models.TextField.default_validators, validate_prose]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.validators.append(MaxLengthValidator(options["max_length"]))


class AddressField(MailOf):
    """A mail address, safe to stand in a mail header."""

    default_validators = [*models.EmailField.default_validators, validate_single_line]


class ZoneField(TextOf):
    """The name of an IANA time zone, checked against the zone rules that the product ships."""

    default_validators = [validate_zone]

    def __init__(self, *args: Any, **options: Any) -> None:
        options.setdefault("max_length", 64)
        super().__init__(*args, **options)
