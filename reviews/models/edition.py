"""The copy of a review that one client was sent."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from agreements.models import Client
from config.history import AddedOnly
from incidents.models import Attachment, Notice
from incidents.models.notice import NoticeState
from reviews.models.review import PostIncidentReview

#: A mail that is in one of these states will reach nobody any more.
LOST = (NoticeState.FAILED, NoticeState.CANCELLED, NoticeState.SUPERSEDED)


class ClientEditionQuerySet(models.QuerySet["ClientEdition"]):
    def standing(self) -> ClientEditionQuerySet:
        """Those of which a mail has arrived or still may."""
        mails = Notice.objects.exclude(state__in=LOST).filter(attachment__isnull=False)
        return self.filter(attachment__in=mails.order_by().values("attachment"))


class ClientEdition(AddedOnly):
    """What of a review one client was sent, as it was sent. Rows are only ever added."""

    PART_OF = "review"
    CLIENT_PATH = "client"
    NAMED_WITH = ("client",)

    review = models.ForeignKey(PostIncidentReview, models.PROTECT, related_name="editions", verbose_name=_("review"))
    client = models.ForeignKey(Client, models.PROTECT, related_name="+", verbose_name=_("client"))
    version = models.PositiveSmallIntegerField(_("version"))
    language = models.CharField(_("language"), max_length=10)
    html = models.TextField(_("HTML"))
    text = models.TextField(_("text"))
    attachment = models.OneToOneField(Attachment, models.PROTECT, related_name="edition", verbose_name=_("PDF"))
    made_at = models.DateTimeField(_("made at"))
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("by"))
    late_reason = models.TextField(_("why it is late"), blank=True, max_length=1_000)

    objects = ClientEditionQuerySet.as_manager()

    class Meta:
        verbose_name = _("client edition")
        verbose_name_plural = _("client editions")
        ordering = ("client__name", "version", "pk")
        constraints = (
            models.UniqueConstraint(fields=("review", "client", "version"), name="edition_once_per_version"),
            models.CheckConstraint(condition=~Q(html="") & ~Q(text=""), name="edition_says_something"),
        )

    def __str__(self) -> str:
        return str(_("%(client)s, version %(version)d") % {"client": self.client, "version": self.version})
