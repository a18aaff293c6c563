"""Filters that people keep under a name."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from config.fields import LineField
from config.models.person import User


class SavedFilter(models.Model):
    """The filters of a page that one person keeps under a name; nobody else sees them (config/saved_filters.py)."""

    user = models.ForeignKey(User, models.CASCADE, related_name="saved_filters")
    page = models.CharField(max_length=40)
    name = LineField(_("name"), max_length=60)
    query = models.CharField(_("filters"), max_length=1000, blank=True)
    is_landing = models.BooleanField(_("opens the page"), default=False)

    class Meta:
        verbose_name = _("saved filter")
        verbose_name_plural = _("saved filters")
        ordering = ("name", "pk")
        constraints = (
            models.UniqueConstraint(
                fields=("user", "page", "name"),
                name="saved_filter_name_once",
                violation_error_message=_("Another of your filters has that name. Choose another."),
            ),
            models.UniqueConstraint(
                fields=("user", "page"), condition=models.Q(is_landing=True), name="saved_filter_one_landing"
            ),
        )

    def __str__(self) -> str:
        return self.name
