"""The floor of post-incident reviews."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ReviewsConfig(AppConfig):
    name = "reviews"
    verbose_name = _("Reviews")

    def ready(self) -> None:
        from config import instants
        from incidents import loop, retention
        from reviews import followup
        from reviews.models import PostIncidentReview

        loop.also("reviewer", "reviews.tasks.follow_up", lambda: followup.follow_up(instants.now()), 60.0)
        retention.register_use(lambda since: PostIncidentReview.objects.worked_on(since).values("incident"))
