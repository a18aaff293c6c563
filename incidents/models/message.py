"""Texts that are kept ready for writing to clients."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _

from config.fields import LineField, ProseField
from config.history import AuditedModel, AuditedQuerySet, AuditedRecords
from incidents import placeholders
from incidents.models.notice import NoticeKind

#: What people write to clients in their own words.
WRITTEN_KINDS = (NoticeKind.CLIENT_NOTICE, NoticeKind.UPDATE)


class MessageTemplateQuerySet(AuditedQuerySet["MessageTemplate"]):
    def offered_for(self, kind: NoticeKind) -> MessageTemplateQuerySet:
        """Those that somebody who writes such a notice may start from, one language after the other."""
        return self.filter(kind=kind, is_active=True).order_by("language", "name")


class MessageTemplate(AuditedModel):
    """A text with placeholders that a notice starts from. What is sent is a copy: editing it changes no notice."""

    CALLED = "name"

    name = LineField(_("name"), max_length=80, help_text=_("As colleagues look for it, for example “Investigating”."))
    kind = models.CharField(_("for"), max_length=20, choices=[(kind.value, kind.label) for kind in WRITTEN_KINDS])
    language = models.CharField(
        _("language"),
        max_length=10,
        choices=settings.LANGUAGES,
        default="en",
        help_text=_("The language that it is written in; it is offered for clients of every language."),
    )
    text = ProseField(
        _("text"),
        max_length=5_000,
        validators=[placeholders.validate],
        help_text=_("What is written in braces is filled in for each client; the names are listed below."),
    )
    is_active = models.BooleanField(_("offered"), default=True)

    objects = MessageTemplateQuerySet.as_manager()
    history = AuditedRecords()

    class Meta:
        verbose_name = _("message template")
        verbose_name_plural = _("message templates")
        ordering = ("kind", "language", "name")
        constraints = (
            models.UniqueConstraint(
                "kind",
                "language",
                Lower("name"),
                name="message_template_once_per_language",
                violation_error_message=_("There is a template of that name for this kind and language already."),
            ),
            models.CheckConstraint(condition=~Q(text=""), name="message_template_says_something"),
            models.CheckConstraint(condition=Q(kind__in=WRITTEN_KINDS), name="message_template_is_for_clients"),
        )

    def __str__(self) -> str:
        return self.name
