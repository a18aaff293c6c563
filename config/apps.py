"""App configurations of this floor."""

from __future__ import annotations

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig
from django.utils.translation import gettext_lazy as _


class ConfigApp(AppConfig):
    name = "config"
    verbose_name = _("People")


class DueNoticeAdmin(AdminConfig):
    default_site = "config.site.DueNoticeSite"
