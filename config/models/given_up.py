"""What stays of a value that was given up: its digest, so that its seal still holds."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from config.history import AddedOnly


class GivenUp(AddedOnly):
    """One value of one row, which is there no more (config/audit/giving_up.py). Who did so and why, history tells."""

    table = models.CharField(_("of"), max_length=100, help_text=_("Label of the model: incidents.notice."))
    row = models.BigIntegerField(_("key"))
    name = models.CharField(_("column"), max_length=100)
    at = models.DateTimeField(_("at"), db_default=Now())
    digests = models.JSONField(_("digests"), help_text=_("By the fingerprint of the seals' key, not the key."))
    by = models.CharField(_("signed by"), max_length=16, help_text=_("The fingerprint of the key, not the key."))
    mac = models.CharField(_("signature"), max_length=64)

    class Meta:
        verbose_name = _("value given up")
        verbose_name_plural = _("values given up")
        ordering = ("pk",)
        default_permissions = ()
        constraints = (models.UniqueConstraint(fields=("table", "row", "name"), name="given_up_once"),)

    def __str__(self) -> str:
        return f"given up on {self.at:%Y-%m-%d %H:%M} UTC, SHA-256 {self.digest}"

    @property
    def digest(self) -> str:
        """Of a body, of which no key is a part."""
        return str(next(iter(self.digests.values()), ""))
