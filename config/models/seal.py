"""The chain of seals: what shows that no row of the trail was changed, removed or slipped in after its minute."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from config.history import AddedOnly


class Seal(AddedOnly):
    """All rows that were added between two instants, closed by a key that the database does not hold.

    Made by `config.audit.seals`, which says what its digest is of. Each names the digest of the one before.
    """

    IS_SEALED = False  # each is sealed by the next

    number = models.PositiveBigIntegerField(_("number"), primary_key=True, help_text=_("1, 2, 3, … without a gap."))
    since_at = models.DateTimeField(
        _("since"), null=True, help_text=_("Every row of it was written after this instant; empty for the first.")
    )
    cut_at = models.DateTimeField(_("cut at"), help_text=_("No writer was under way at this instant."))
    is_whole = models.BooleanField(_("whole"), help_text=_("It holds all that was there; else the next goes on."))
    rows = models.PositiveIntegerField(_("rows"))
    total = models.PositiveBigIntegerField(_("rows in all"), help_text=_("In this seal and all before it."))
    key = models.CharField(_("key"), max_length=16, help_text=_("The fingerprint of the key, not the key."))
    previous = models.CharField(_("digest of the one before"), max_length=64, blank=True)
    digest = models.CharField(_("digest"), max_length=64)
    mac = models.CharField(_("signature"), max_length=64)

    class Meta:
        verbose_name = _("seal")
        verbose_name_plural = _("seals")
        ordering = ("-number",)
        default_permissions = ()  # nobody but the sealer makes one, and no page shows them

    def __str__(self) -> str:
        return str(_("seal %(number)d") % {"number": self.number})


class SealedRange(AddedOnly):
    """The rows of one table in one seal: their keys and digests, so that the very row that differs can be named."""

    IS_SEALED = False  # its seal's digest is of it, too

    seal = models.ForeignKey(Seal, models.PROTECT, related_name="ranges", verbose_name=_("seal"))
    table = models.CharField(_("of"), max_length=100, help_text=_("Label of the model: incidents.historicalincident."))
    after = models.BigIntegerField(_("after the key"), null=True)
    upto = models.BigIntegerField(_("up to the key"))
    rows = models.PositiveIntegerField(_("rows"))
    columns = models.TextField(_("columns"), help_text=_("With commas; what enters as a digest says #hmac or #sha256."))
    digests = models.BinaryField(help_text=_("For each row its key in 8 bytes and its digest in 16, by key."))

    class Meta:
        verbose_name = _("sealed range")
        verbose_name_plural = _("sealed ranges")
        ordering = ("seal", "table")
        default_permissions = ()
        constraints = (models.UniqueConstraint(fields=("seal", "table"), name="sealed_once_in_a_seal"),)
        indexes = (
            # up to where each table is sealed, every minute; all ranges of a table, for verify
            models.Index(fields=("table", "upto"), name="sealed_up_to"),
        )

    def __str__(self) -> str:
        return f"{self.table} {self.after or 0}–{self.upto}"
