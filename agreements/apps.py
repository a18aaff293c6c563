"""The floor of what was agreed: clients, services, calendars, agreements and their commitments."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AgreementsConfig(AppConfig):
    name = "agreements"
    verbose_name = _("Agreements")

    def ready(self) -> None:
        from agreements import concerns  # noqa: F401 - it registers itself, and knows models, which are there only now
