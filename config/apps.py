"""App configurations of this floor."""

from __future__ import annotations

from django.apps import AppConfig
from django.conf import settings
from django.contrib.admin.apps import AdminConfig
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _


class ConfigApp(AppConfig):
    name = "config"
    verbose_name = _("People")

    def ready(self) -> None:
        from config import checkup, concurrently, sign_in, system_checks  # noqa: F401 - they register themselves
        from config.audit import append_only, cuts, giving_up

        concurrently.listen(self)  # first, so that opening the tables waits no longer than the migrations
        append_only.listen(self)
        cuts.listen(self)
        giving_up.listen()
        _report_errors()


def _report_errors() -> None:
    """To Sentry, where that is wanted; its library is an extra that nobody else needs."""
    if not settings.SENTRY_DSN:
        return
    try:
        from config import sentry
    except ImportError as error:
        raise ImproperlyConfigured("SENTRY_DSN is set, and its library is missing: pip install sentry-sdk.") from error
    sentry.start(settings.SENTRY_DSN)


class DueNoticeAdmin(AdminConfig):
    default_site = "config.site.DueNoticeSite"

    def ready(self) -> None:
        super().ready()
        from config.admin import concerns  # noqa: F401 - a filtered list, so it needs the admin's base to be there
