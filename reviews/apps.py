"""The floor of post-incident reviews."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ReviewsConfig(AppConfig):
    name = "reviews"
    verbose_name = _("Reviews")

    def ready(self) -> None:
        from incidents import retention
        from reviews.models import PostIncidentReview

        retention.register_use(lambda since: PostIncidentReview.objects.worked_on(since).values("incident"))
