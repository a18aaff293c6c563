"""What has to be right before an installation starts, besides what each setting alone has to be (config/env.py).

Most rules bind only what others can reach. What answers on this machine alone, as a developer's does, may be simpler.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured
from django.http.request import validate_host

LEAST_LETTERS = 10  # different ones, in a secret that somebody drew
EXAMPLES_SENDER = "@due-notice.example"  # NOTICE_FROM, if nobody says it
EXAMPLES_RELAY = "mail.example.com"  # as in .env.example


def refuse_what_is_unsafe(settings: Mapping[str, Any]) -> None:
    """Raises ImproperlyConfigured with a sentence for each thing that is wrong; no sentence shows a secret."""
    of_any = (*_of_any(settings), *_of_single_sign_on(settings))
    if found := [*of_any, *(_of_what_others_reach(settings) if is_reached(settings) else ())]:
        raise ImproperlyConfigured(" ".join(found))


def is_reached(settings: Mapping[str, Any]) -> bool:
    """Whether it answers under a name that other machines have for it."""
    hosts = [*settings["ALLOWED_HOSTS"], _host(settings)]
    return not all(is_this_machine(host) for host in hosts)


def is_this_machine(host: str) -> bool:
    return host.strip("[]") in ("localhost", "::1") or host.endswith(".localhost") or host.startswith("127.")


def is_private(address: str) -> bool:
    """Whether nobody on the way can read what is sent there."""
    url = urlsplit(address)
    host = url.hostname or ""
    return bool(host) and (url.scheme == "https" or (url.scheme == "http" and is_this_machine(host)))


def _host(settings: Mapping[str, Any]) -> str:
    return urlsplit(settings["PUBLIC_URL"]).hostname or ""


def can_have_passkeys(address: str) -> bool:
    """Browsers bind them to the name of a host, never to a number, and take one without TLS for this machine alone."""
    url = urlsplit(address)
    host = url.hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    return url.scheme == "https" and "." in host and not host.replace(".", "").isdecimal() and ":" not in host


def _of_any(settings: Mapping[str, Any]) -> Iterator[str]:
    if settings["PASSKEYS"] and not can_have_passkeys(settings["PUBLIC_URL"]):
        yield "PASSKEYS is on, and PUBLIC_URL is not https:// with a host’s name. Correct it, or leave PASSKEYS out."
    if settings["SEAL_KEY"] in (settings["SECRET_KEY"], *settings["SECRET_KEY_FALLBACKS"]):
        yield "SEAL_KEY is the same as SECRET_KEY. Make another one: who has the one must not have the other."


#: What single sign-on cannot do without.
OIDC_NEEDS = ("OIDC_ISSUER", "OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET", "OIDC_DOMAINS")
LONGEST_ISSUER = 200  # characters that allauth keeps with each account


def _of_single_sign_on(settings: Mapping[str, Any]) -> Iterator[str]:
    missing = [name for name in OIDC_NEEDS if not settings[name]]
    if len(missing) == len(OIDC_NEEDS):
        for switch in ("OIDC_ROLES", "OIDC_MAKES_ACCOUNTS", "OIDC_SECOND_FACTOR", "OIDC_ONLY"):
            if settings[switch]:
                yield f"{switch} is set, and OIDC_ISSUER is not. Name the provider, or leave {switch} out."
        return
    if missing:
        yield f"Single sign-on is half set: {', '.join(missing)} missing. Set all of {', '.join(OIDC_NEEDS)}, or none."
    if settings["OIDC_ISSUER"] and not is_private(settings["OIDC_ISSUER"]):
        yield "OIDC_ISSUER does not begin with https://. Whoever is on the way could sign in as anybody."
    if len(settings["OIDC_ISSUER"]) > LONGEST_ISSUER:
        yield f"OIDC_ISSUER is longer than {LONGEST_ISSUER} characters, and accounts are linked by it. Shorten it."
    if settings["OIDC_MAKES_ACCOUNTS"] and not settings["OIDC_ROLES"]:
        yield "OIDC_MAKES_ACCOUNTS is on, and OIDC_ROLES gives new accounts no role. Set both, or neither."


def _of_what_others_reach(settings: Mapping[str, Any]) -> Iterator[str]:
    host, database = _host(settings), settings["DATABASES"]["default"]
    for switch in ("DEBUG", "DEMO"):
        if settings[switch]:
            yield f"{switch} is on, and others can reach it ({_names(settings['ALLOWED_HOSTS'])}). Leave {switch} out."
    for name in ("SECRET_KEY", "SEAL_KEY"):
        if _is_guessable(settings[name]):
            yield f"{name} can be guessed. Draw one, as .env.example shows."
    if not settings["PUBLIC_URL"].startswith("https://"):
        yield "PUBLIC_URL does not begin with https://. Others reach it, so give it TLS, and say so there."
    if not validate_host(f"[{host}]" if ":" in host else host, settings["ALLOWED_HOSTS"]):
        yield f"ALLOWED_HOSTS does not name {host}, to which PUBLIC_URL sends everybody. Add it."
    if settings["NOTICE_FROM"].rstrip("> ").endswith(EXAMPLES_SENDER):
        yield "NOTICE_FROM is not set. Say from which address of yours notices come."
    if settings["MAIL_RELAY"].host == EXAMPLES_RELAY:
        yield "EMAIL_URL still names the example's mail server. Name yours."
    if database["ENGINE"] == "django.db.backends.sqlite3":
        yield from _of_sqlite(settings)


def _of_sqlite(settings: Mapping[str, Any]) -> Iterator[str]:
    remedy = "Name a PostgreSQL in DATABASE_URL, or leave it out."
    if settings["WEB_CONCURRENCY"] > 1:
        yield f"WEB_CONCURRENCY asks for several web processes, and SQLite lets only one write at a time. {remedy}"
    if settings["REDIS_URL"]:
        yield f"REDIS_URL is for workers on several machines, and SQLite serves one. {remedy}"


def _is_guessable(secret: str) -> bool:
    return len(set(secret)) < LEAST_LETTERS or secret.startswith("django-insecure-")


def _names(hosts: Sequence[str]) -> str:
    return ", ".join(host for host in hosts if not is_this_machine(host)) or "PUBLIC_URL says so"
