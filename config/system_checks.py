"""What Django's own checks do not know, for `manage.py check --deploy`: what works, and is not as it should be."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Tags, Warning, register

from config import installation


@register(Tags.security, deploy=True)
def of_this_product(**_options: Any) -> list[CheckMessage]:
    relay = settings.MAIL_RELAY
    found = (
        (
            relay.password and relay.encryption == "none" and not installation.is_this_machine(relay.host),
            "The mail relay is given our password over a connection that anybody on the way can read.",
            "Write EMAIL_URL with smtp+starttls:// or smtps://.",
            "W001",
        ),
        (
            settings.SECURE_SSL_REDIRECT and not settings.SECURE_PROXY_SSL_HEADER,
            "Everything is redirected to HTTPS, and no proxy is said to end HTTPS in front.",
            "Set BEHIND_PROXY=1, unless gunicorn itself has the certificate; else browsers are redirected for ever.",
            "W002",
        ),
        (
            "*" in settings.ALLOWED_HOSTS,
            "ALLOWED_HOSTS takes every name, so that others can have links made to places of theirs.",
            "Name the hosts by which browsers reach it.",
            "W003",
        ),
        (
            settings.NOTICE_LEASE < 3 * settings.SMTP_TIMEOUT,
            "NOTICE_LEASE may end while a mail is on its way, so that another worker sends it again.",
            "Make it at least three times SMTP_TIMEOUT.",
            "W004",
        ),
    )
    return [Warning(what, hint=hint, id=f"due_notice.{key}") for is_so, what, hint, key in found if is_so]
