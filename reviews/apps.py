"""The floor of post-incident reviews."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ReviewsConfig(AppConfig):
    name = "reviews"
    verbose_name = _("Reviews")

    def ready(self) -> None:
        from config import instants
        from incidents import loop
        from reviews import followup

        loop.also("reviewer", lambda: followup.follow_up(instants.now()), 60.0)
