"""A file that goes with notices: kept as it was sent."""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import Self

from django.core.validators import RegexValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from agreements.models import Client
from config.history import AddedOnly
from incidents.models.incident import Incident

#: Plain enough to stand in a mail's header as it is.
PLAIN_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*\Z"
MEDIA_TYPE = r"^[a-z]+/[a-z0-9.+-]+\Z"


class Attachment(AddedOnly):
    """One file for one client, which each notice that bears it refers to. Rows are only ever added."""

    PART_OF = "incident"
    CLIENT_PATH = "client"

    incident = models.ForeignKey(
        Incident,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="attachments",
        verbose_name=_("incident"),
        help_text=_("Empty for what is about many."),
    )
    client = models.ForeignKey(Client, models.PROTECT, related_name="+", verbose_name=_("client"))
    name = models.CharField(_("name"), max_length=120, validators=[RegexValidator(PLAIN_NAME)])
    media_type = models.CharField(_("media type"), max_length=60, validators=[RegexValidator(MEDIA_TYPE)])
    content = models.BinaryField(_("content"))
    sha256 = models.CharField(_("SHA-256"), max_length=64)
    made_at = models.DateTimeField(_("made at"))

    class Meta:
        verbose_name = _("attachment")
        verbose_name_plural = _("attachments")
        ordering = ("pk",)

    def __str__(self) -> str:
        return self.name

    @classmethod
    def pdf(
        cls, name: str, content: bytes, *, client: Client, made_at: dt.datetime, incident: Incident | None = None
    ) -> Self:
        """A PDF of that name, which has no ending yet; unsaved, with its digest."""
        return cls(
            incident=incident,
            client=client,
            name=f"{name}.pdf",
            media_type="application/pdf",
            content=content,
            sha256=hashlib.sha256(content).hexdigest(),
            made_at=made_at,
        )

    @property
    def data(self) -> bytes:
        """The content as bytes, whichever database it came from."""
        return bytes(self.content)

    @property
    def is_whole(self) -> bool:
        """Whether its content is still what the digest is of."""
        return hashlib.sha256(self.data).hexdigest() == self.sha256
