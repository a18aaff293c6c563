"""App configurations of this floor."""

from __future__ import annotations

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig
from django.utils.translation import gettext_lazy as _


class ConfigApp(AppConfig):
    name = "config"
    verbose_name = _("People")

    def ready(self) -> None:
        from config import sign_in  # noqa: F401 - it listens to the framework's signals
        from config.audit import append_only, cuts, giving_up

        append_only.listen(self)
        cuts.listen(self)
        giving_up.listen()


class DueNoticeAdmin(AdminConfig):
    default_site = "config.site.DueNoticeSite"

    def ready(self) -> None:
        super().ready()
        from config.admin import concerns  # noqa: F401 - a filtered list, so it needs the admin's base to be there
