"""Model fields and validators that more than one app needs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator, URLValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from config import zones

_CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029\ud800-\udfff]")  # the last are halves of characters
_OLD_CONTROL = re.compile(r"[\x80-\x9f]")  # mails can carry them, and old data may have them
_LINE_BREAKS = str.maketrans("", "", "\r\n\t\u2028\u2029")
_BIDI = re.compile(r"[\u202a-\u202e\u2066-\u2069]")
#: Sharp s, final sigma and the invisible joiners: the rules of 2003 read them as another domain than those of 2010 do.
_TWO_DOMAINS = re.compile(r"[\u00df\u1e9e\u03c2\u200c\u200d]")
_DOMAIN = re.compile(r"[A-Za-z0-9.-]+")


def validate_single_line(value: str) -> None:
    """Refuses line breaks, NUL and other control characters: the text goes into mail headers and one-line lists."""
    if _CONTROL.search(value):
        raise ValidationError(
            _("Line breaks and control characters are not allowed here. Write it on one line."), code="single_line"
        )
    if _BIDI.search(value):
        raise ValidationError(_("Characters that reverse the direction of text are not allowed here."), code="bidi")


def validate_line(value: str) -> None:
    """The same for what is typed anew, which needs the control characters of the eighties neither."""
    validate_single_line(_OLD_CONTROL.sub("\x7f", value))


def ascii_address(address: str) -> str:
    """The address with its domain in ASCII (RFC 3490), as every mail server understands it.

    Raises ValidationError where that is not possible, or where it might lead to a stranger.
    """
    local, _at, domain = address.rpartition("@")
    if not local.isascii():
        raise ValidationError(
            _("Only plain letters, digits and signs can stand before the @: few mail servers take others."),
            code="local_part",
        )
    if domain.isascii():
        return address
    if _TWO_DOMAINS.search(domain):
        raise ValidationError(
            _("This domain can be read as two different ones. Write it as it is registered, beginning with xn--."),
            code="two_domains",
        )
    try:
        plain = domain.encode("idna").decode()
    except UnicodeError:
        plain = ""
    if not _DOMAIN.fullmatch(plain):
        raise ValidationError(_("There can be no such domain. Check what stands after the @."), code="domain")
    return f"{local}@{plain}"


def validate_address(value: str) -> None:
    """Refuses an address that no mail server understands."""
    ascii_address(value)


def validate_zone(value: str) -> None:
    """Refuses what is no time zone, and names the one that was perhaps meant."""
    try:
        zones.zone(value)
    except zones.UnknownZone as error:
        if error.close:
            sentence = _("“%(name)s” is not the name of a time zone. Did you mean %(close)s?")
        elif error.name:
            sentence = _("“%(name)s” is not the name of a time zone. Choose one such as Europe/Berlin.")
        else:
            sentence = _("No time zone is given. Choose one, for example Europe/Berlin.")
        raise ValidationError(
            sentence, code="unknown_zone", params={"name": error.name, "close": error.close}
        ) from error


def validate_prose(value: str) -> None:
    """Refuses what no keyboard types and PostgreSQL cannot keep; line breaks and tabs are fine."""
    if _CONTROL.search(value.translate(_LINE_BREAKS)):
        raise ValidationError(_("Control characters are not allowed here. Paste it as plain text."), code="control")


if TYPE_CHECKING:
    TextOf = models.CharField[str, str]
    MailOf = models.EmailField[str, str]
    ProseOf = models.TextField[str, str]
    WebOf = models.URLField[str, str]
else:
    TextOf, MailOf, ProseOf, WebOf = models.CharField, models.EmailField, models.TextField, models.URLField


class LineField(TextOf):
    """One line of text, safe to stand in a mail header."""

    default_validators = [*models.CharField.default_validators, validate_line]


class ProseField(ProseOf):
    """Text of several lines with a length that is checked by the model too, not only by forms."""

    default_validators = [*models.TextField.default_validators, validate_prose]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.validators.append(MaxLengthValidator(options["max_length"]))


class AddressField(MailOf):
    """A mail address, safe to stand in a mail header."""

    default_validators = [*models.EmailField.default_validators, validate_line, validate_address]


class WebField(WebOf):
    """The address of a page on the web; shown as a link, never fetched."""

    default_validators = [URLValidator(schemes=("http", "https")), validate_line]

    def __init__(self, *args: Any, **options: Any) -> None:
        options.setdefault("max_length", 500)
        super().__init__(*args, **options)

    def formfield(self, **options: Any) -> Any:
        return super().formfield(**{"assume_scheme": "https", **options})


class ZoneField(TextOf):
    """The name of an IANA time zone, checked against the zone rules that the product ships."""

    default_validators = [validate_zone]

    def __init__(self, *args: Any, **options: Any) -> None:
        options.setdefault("max_length", 64)
        super().__init__(*args, **options)
