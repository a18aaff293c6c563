"""What browsers refused to load or run on our pages, counted."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class Blocked(models.TextChoices):
    """What was refused, as far as that may be kept: a kind, never an address."""

    INLINE = "inline", _("something within the page")
    EVAL = "eval", _("text run as a program")
    DATA = "data", _("something carried in an address (data:, blob:)")
    EXTENSION = "extension", _("something of an extension of the browser")
    OWN = "own", _("a file of this site")
    ELSEWHERE = "elsewhere", _("a file from elsewhere")
    OTHER = "other", _("something else")


class BrowserReport(models.Model):
    """How often on one day browsers refused this, on pages of one kind (config/browser_reports.py)."""

    on = models.DateField(_("day"))
    directive = models.CharField(_("rule"), max_length=40)
    blocked = models.CharField(_("refused"), max_length=10, choices=Blocked.choices)
    page = models.CharField(_("page"), max_length=200, blank=True)  # the route, which holds no key of a row
    count = models.PositiveIntegerField(_("times"), default=0)

    class Meta:
        verbose_name = _("report of a browser")
        verbose_name_plural = _("reports of browsers")
        ordering = ("-on", "-count", "pk")
        default_permissions = ("view",)
        constraints = (
            models.UniqueConstraint(fields=("on", "directive", "blocked", "page"), name="browser_report_once"),
        )

    def __str__(self) -> str:
        return f"{self.on} {self.directive}: {self.count}"
