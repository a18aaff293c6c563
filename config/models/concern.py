"""What an auditor should look at, and that somebody did."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from config.fields import ProseField
from config.history import AddedOnly, AuditedModel, AuditedQuerySet, AuditedRecords, Caller


class ConcernKind(models.TextChoices):
    """Why it should be looked at, as the list says it."""

    EXCUSED = "excused", _("A missed deadline no longer counts as missed")
    TIME_MOVED = "time_moved", _("A time was moved after the fact")
    LOWERED = "lowered", _("Severity was lowered while a deadline ran")
    TERMS_CHANGED = "terms_changed", _("Terms in force were changed")
    EMPTY_REASON = "empty_reason", _("The reason says nothing")
    BY_SHELL = "by_shell", _("Changed from a shell")
    EXPORTED = "exported", _("Taken out of the house")
    REFUSED = "refused", _("An action was refused")
    LOCKED_OUT = "locked_out", _("Somebody was locked out")
    SEAL_FAILED = "seal_failed", _("The trail does not verify")
    GIVEN_UP = "given_up", _("Texts were given up by a person")


class ConcernQuerySet(models.QuerySet["Concern"]):
    def open(self) -> ConcernQuerySet:
        """Those that nobody has looked at."""
        return self.filter(looked_at__isnull=True)


class Concern(AddedOnly):
    """That one act may hide something. Found by the rules of config/audit/concerns.py; what it was stands in the trail.

    One act that does the same to the same object is one concern, however many rows it wrote. The names are copies: they
    say what was called how when it was found.
    """

    PERSONAL: ClassVar[tuple[str, ...]] = ("name",)  # where it is about a contact, or a notice to one

    kind = models.CharField(_("why"), max_length=20, choices=ConcernKind.choices)
    at = models.DateTimeField(_("done at"))
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+", verbose_name=_("actor")
    )
    actor_name = models.CharField(_("by"), max_length=200)
    caller = models.CharField(_("by way of"), max_length=10, choices=Caller.choices)
    reason = models.TextField(_("reason"), blank=True)
    act_id = models.UUIDField(_("act"), help_text=_("The request id of its rows in the trail."))
    about = models.CharField(_("about"), max_length=100, help_text=_("The label of a model, with the key beside it."))
    about_pk = models.BigIntegerField()
    name = models.CharField(_("about"), max_length=500)
    found_at = models.DateTimeField(_("found at"), db_default=Now())

    objects = ConcernQuerySet.as_manager()

    class Meta:
        verbose_name = _("entry of the review queue")
        verbose_name_plural = _("review queue")
        ordering = ("-at", "-pk")
        default_permissions = ("view",)
        constraints = (
            models.UniqueConstraint(fields=("act_id", "kind", "about", "about_pk"), name="concern_once_per_act"),
        )
        indexes = (
            # the review queue, newest first
            models.Index(fields=("-at", "-id"), name="concern_newest"),
        )

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.name}"


class LookedAt(AuditedModel):
    """That somebody looked at a concern, and what they found."""

    PART_OF: ClassVar[str] = "concern"

    concern = models.OneToOneField(
        Concern, models.PROTECT, primary_key=True, related_name="looked_at", verbose_name=_("entry of the review queue")
    )
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("by"))
    at = models.DateTimeField(_("at"))
    remark = ProseField(_("remark"), max_length=2_000)

    objects = AuditedQuerySet["LookedAt"].as_manager()
    history = AuditedRecords()

    class Meta:
        verbose_name = _("remark in the review queue")
        verbose_name_plural = _("remarks in the review queue")
        default_permissions = ("add", "view")
        constraints = (models.CheckConstraint(condition=~models.Q(remark=""), name="looked_at_says_what_was_found"),)

    def __str__(self) -> str:
        return self.remark[:80]


class Examination(AddedOnly):
    """That the rules have read the rows of a seal, which no later one adds to."""

    IS_SEALED = False  # it only says where the next pass goes on

    seal = models.OneToOneField(
        "config.Seal", models.PROTECT, primary_key=True, related_name="examination", verbose_name=_("seal")
    )
    found = models.PositiveIntegerField(_("entries found"))

    class Meta:
        verbose_name = _("examination")
        verbose_name_plural = _("examinations")
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.seal}: {self.found}"
