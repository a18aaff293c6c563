"""The floor of incidents, their deadlines and notices."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class IncidentsConfig(AppConfig):
    name = "incidents"
    verbose_name = _("Incidents")

    def ready(self) -> None:
        from config import health
        from config.audit import files, verification
        from incidents import (  # noqa: F401 - some register themselves
            acknowledgement_link,
            checkup,
            concerns,
            metrics,
            proof,
            transfer,
            watchdog,
        )

        health.register(watchdog.red_problems)
        verification.register(proof.terms)
        verification.register(proof.acceptances)
        files.register_mask(acknowledgement_link.masked)
