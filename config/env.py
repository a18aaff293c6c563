"""Typed readers of environment variables. A value that cannot be used stops the start with a sentence.

Each variable NAME may be given as a file instead, which NAME_FILE names, so that no secret stands in an environment.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import getaddresses
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import dj_database_url
from django.core.exceptions import ImproperlyConfigured


def text(name: str, default: str | None = None) -> str:
    """The variable's value, or that of its file; without a default an unset or empty variable is refused."""
    value, file = os.environ.get(name, "").strip(), os.environ.get(f"{name}_FILE", "").strip()
    if value and file:
        raise ImproperlyConfigured(f"{name} and {name}_FILE are both set. Leave one of them out.")
    if file:
        return _content(f"{name}_FILE", Path(file))
    if value:
        return value
    if default is None:
        raise ImproperlyConfigured(f"{name} is not set. Set it as .env.example shows, or run `manage.py demo`.")
    return default


def _content(name: str, file: Path) -> str:
    """What stands in the file, without the space around it, such as the end of its last line."""
    try:
        value = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise ImproperlyConfigured(f"{name} names {file}, which cannot be read: {why}.") from error
    if not value:
        raise ImproperlyConfigured(f"{name} names {file}, which is empty.")
    return value


LEAST_KEY = 32  # characters


def key(name: str, default: str | None = None, *, least: int = LEAST_KEY) -> str:
    """A secret long enough to be no guess. Never shown when it is refused."""
    value = text(name, default)
    if len(value) < least:
        raise ImproperlyConfigured(f"{name} is too short. Make one of at least {least} letters and keep it secret.")
    return value


def optional_key(name: str) -> str:
    """The same, or nothing, which switches off what it is for."""
    return key(name) if text(name, "") else ""


def flag(name: str, default: bool = False) -> bool:
    """True for 1, true, yes, on; False for 0, false, no, off."""
    value = text(name, "yes" if default else "no").lower()
    if value in {"1", "true", "yes", "on"}:
        return True
    if value in {"0", "false", "no", "off"}:
        return False
    raise ImproperlyConfigured(f"{name}={value!r} is neither yes nor no. Write 1 or 0.")


def whole_number(name: str, default: int, *, least: int = 1) -> int:
    value = text(name, str(default))
    if not value.isdecimal() or int(value) < least:
        raise ImproperlyConfigured(f"{name}={value!r} is not a whole number of at least {least}.")
    return int(value)


LONGEST_KEPT = 36_500  # days; what is to be kept for longer is kept for ever


def days_kept(name: str) -> int:
    """For how many days something is kept; 0, as by default, for ever."""
    value = text(name, "0")
    if not re.fullmatch(r"[0-9]{1,6}", value) or int(value) > LONGEST_KEPT:
        raise ImproperlyConfigured(
            f"{name}={value!r} is not a number of days from 1 to {LONGEST_KEPT}. Leave it out to keep them for ever."
        )
    return int(value)


def one_of(name: str, default: str, *choices: str) -> str:
    """One of these words, however it is capitalised."""
    value = text(name, default).upper()
    if value not in choices:
        raise ImproperlyConfigured(f"{name}={value!r} is none of {', '.join(choices)}.")
    return value


def words(name: str, default: str = "") -> list[str]:
    """A list written with commas."""
    return [word.strip() for word in text(name, default).split(",") if word.strip()]


def some_of(name: str, allowed: Sequence[str]) -> list[str]:
    """A list written with commas, of words that are known; by default none."""
    found = words(name)
    if unknown := [word for word in found if word not in allowed]:
        raise ImproperlyConfigured(f"{name} has {unknown[0]!r}, which is none of: {', '.join(allowed)}.")
    return found


def roles_of_groups(name: str, roles: Sequence[str]) -> list[tuple[str, str]]:
    """Groups of another system with the role that each gives, written group:role with commas; by default none."""
    found = [(group.strip(), role.strip()) for group, _colon, role in (word.rpartition(":") for word in words(name))]
    for group, role in found:
        if not group or role not in roles:
            raise ImproperlyConfigured(
                f"{name} has {group}:{role}. Write group:role with commas, of the roles {', '.join(roles)}."
            )
    return found


#: A server or a network that is gone is noticed in seconds, instead of after the minutes or hours that TCP would wait.
#: A process that is gone keeps the others from what it locked no longer than that either, nor does one that is frozen
#: in the middle of a transaction: the server ends its session.
_POSTGRES = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
    "options": "-c idle_in_transaction_session_timeout=30s "
    "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3",
}


def database(name: str, default: str) -> dict[str, Any]:
    """Django's settings for a database named by URL: postgres://… or sqlite:///path."""
    try:
        parsed: dict[str, Any] = dict(dj_database_url.parse(text(name, default)))
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} cannot be read as a database URL: {error}.") from error
    engine = parsed.get("ENGINE")
    if engine == "django.db.backends.sqlite3":
        # Immediate transactions take the write lock first, so that two writers queue instead of failing half-way.
        parsed["OPTIONS"] = {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL;",
        }
    elif engine == "django.db.backends.postgresql":
        parsed |= {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}
        parsed["OPTIONS"] = _POSTGRES | (parsed.get("OPTIONS") or {})  # what the URL says goes first
    else:
        raise ImproperlyConfigured(f"{name} must be a postgres:// or sqlite:/// URL.")
    return parsed


@dataclass(frozen=True)
class MailRelay:
    """The mail server that takes our notices: where it is, how to speak to it, and as whom."""

    host: str
    port: int
    encryption: str  # "none", "starttls" or "tls"
    username: str = ""
    password: str = ""

    def __repr__(self) -> str:
        return f"MailRelay({self.host}:{self.port}, {self.encryption})"  # never the password


_RELAY_SCHEMES = {"smtp": ("none", 25), "smtp+starttls": ("starttls", 587), "smtps": ("tls", 465)}


def mail_relay(name: str, default: str | None = None) -> MailRelay:
    """A relay written as smtp://host:25, smtp+starttls://user:password@host:587 or smtps://user:password@host:465."""
    url = urlsplit(text(name, default))
    if url.scheme not in _RELAY_SCHEMES or not url.hostname:
        raise ImproperlyConfigured(
            f"{name} must read smtp://host:port, smtp+starttls://user:password@host:port or "
            "smtps://user:password@host:port."
        )
    encryption, standard_port = _RELAY_SCHEMES[url.scheme]
    try:
        port = url.port or standard_port
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} names a port that is not a number between 1 and 65535.") from error
    return MailRelay(url.hostname, port, encryption, unquote(url.username or ""), unquote(url.password or ""))


def directory(name: str, default: Path) -> Path:
    """A folder, made if it is missing."""
    path = Path(text(name, str(default))).resolve()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImproperlyConfigured(f"{name} is {path}, which cannot be made: {error.strerror}.") from error
    return path


def web_address(name: str, default: str = "") -> str:
    """An http:// or https:// URL, or nothing. Never shown when it is refused: such addresses are secrets."""
    value = text(name, default)
    if not value:
        return value
    try:
        url = urlsplit(value)
        is_usable = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        is_usable = False
    if not is_usable or any(character.isspace() for character in value):
        raise ImproperlyConfigured(f"{name} must be an address that begins with http:// or https://, or empty.")
    return value


def mailbox(name: str, default: str) -> str:
    """A mail address with or without a name before it, as it stands in a header: Due Notice <notices@example.com>."""
    value = text(name, default)
    found = getaddresses([value])
    address = found[0][1] if len(found) == 1 else ""
    is_plain = address.isascii() and re.fullmatch(r"[^\s@<>,;]+@[^\s@<>,;]+", address)
    if not is_plain or re.search(r"[\x00-\x1f\x7f]", value):
        raise ImproperlyConfigured(
            f"{name}={value!r} must be one line with one address in plain letters, like "
            '"Due Notice <notices@example.com>"; a name with a comma stands in quotes, a domain with umlauts as xn--….'
        )
    return value


def mail_address(name: str) -> str:
    """One address without a name beside it, or nothing."""
    value = text(name, "")
    local, _at, domain = value.rpartition("@")
    if value and not (local and domain and re.fullmatch(r"[^\s<>,;\x00-\x1f]+", value)):
        raise ImproperlyConfigured(f"{name}={value!r} must be one mail address, like canary@example.com, or empty.")
    return value
