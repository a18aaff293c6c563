"""The statement of a month that a client was sent."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.formats import date_format
from django.utils.translation import gettext_lazy as _

from agreements.models import Client
from config.history import AddedOnly
from incidents.models import Attachment


class ClientStatement(AddedOnly):
    """What a client was sent about one month, as it was sent. Rows are only ever added."""

    PART_OF = "client"
    CLIENT_PATH = "client"
    NAMED_WITH = ("client",)

    client = models.ForeignKey(Client, models.PROTECT, related_name="statements", verbose_name=_("client"))
    month = models.DateField(_("month"), help_text=_("Its first day."))
    version = models.PositiveSmallIntegerField(_("version"))
    reissue_reason = models.TextField(_("why it was sent again"), blank=True, max_length=1_000)
    language = models.CharField(_("language"), max_length=10)
    html = models.TextField(_("HTML"))
    text = models.TextField(_("text"))
    attachment = models.OneToOneField(Attachment, models.PROTECT, related_name="statement", verbose_name=_("PDF"))
    made_at = models.DateTimeField(_("made at"))
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("by"))

    class Meta:
        verbose_name = _("client statement")
        verbose_name_plural = _("client statements")
        ordering = ("-month", "client__name", "-version")
        constraints = (
            models.UniqueConstraint(fields=("client", "month", "version"), name="statement_once_per_version"),
            models.CheckConstraint(condition=Q(month__endswith="-01"), name="statement_of_a_month_by_its_first_day"),
            models.CheckConstraint(condition=~Q(html="") & ~Q(text=""), name="statement_says_something"),
            models.CheckConstraint(
                condition=Q(version=1, reissue_reason="") | Q(version__gt=1) & ~Q(reissue_reason=""),
                name="statement_again_for_a_reason",
            ),
        )

    def __str__(self) -> str:
        of = {"client": self.client, "month": date_format(self.month, "F Y"), "version": self.version}
        return str(_("%(client)s, %(month)s, version %(version)d") % of)
