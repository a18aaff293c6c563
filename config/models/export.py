"""What people took out of the house."""

from __future__ import annotations

from django.apps import apps
from django.conf import settings
from django.db import models
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from config.history import AuditedModel, AuditedQuerySet, AuditedRecords


class Export(AuditedModel):
    """That somebody took a list out of the house as a file. Written before the file is sent; never changed."""

    TRAIL = "audit.trail"  # what was taken is the trail, which is no list of one model

    NEED_REASON = frozenset({"at", "by_id", "listed", "query", "in_words", "rows", "sha256"})

    at = models.DateTimeField(_("at"))
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("by"))
    listed = models.CharField(_("list"), max_length=100)
    query = models.TextField(_("filters"), blank=True, help_text=_("As they stood in the address of the list."))
    in_words = models.TextField(
        _("filters in words"), blank=True, help_text=_("Of the audit trail: as they stood on its page.")
    )
    rows = models.PositiveIntegerField(_("rows"))
    sha256 = models.CharField(_("SHA-256 of the file"), max_length=64)

    objects = AuditedQuerySet["Export"].as_manager()
    history = AuditedRecords()

    class Meta:
        verbose_name = _("export")
        verbose_name_plural = _("exports")
        ordering = ("-at", "-pk")
        indexes = (models.Index(fields=("-at",), name="export_newest"),)

    def __str__(self) -> str:
        return str(_("%(list)s, %(rows)d rows") % {"list": self.list_name, "rows": self.rows})

    @property
    def list_name(self) -> str:
        if self.listed == self.TRAIL:
            return str(_("Audit trail"))
        try:
            return capfirst(str(apps.get_model(self.listed)._meta.verbose_name_plural))
        except LookupError:  # of a model that is gone by now
            return self.listed
