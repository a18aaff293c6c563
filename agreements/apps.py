"""The floor of what was agreed: clients, services, calendars, agreements and their commitments."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AgreementsConfig(AppConfig):
    name = "agreements"
    verbose_name = _("Agreements")

    def ready(self) -> None:
        from agreements import checkup, concerns, transfer  # noqa: F401 - they register themselves, and know models
