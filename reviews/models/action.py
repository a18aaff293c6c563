"""Corrective actions: what will be done so that it does not happen again, and whether it helped."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils.translation import gettext_lazy as _

from config.fields import LineField, ProseField, WebField
from config.history import AuditedModel, AuditedRecords
from config.search import FoldedField, FoundByWords, either, holding
from reviews.models.finding import Finding
from reviews.models.review import PostIncidentReview


class ActionKind(models.TextChoices):
    PREVENT = "prevent", _("Prevents it")
    DETECT = "detect", _("Detects it sooner")
    MITIGATE = "mitigate", _("Lessens its effect")
    PROCESS = "process", _("Betters our process")


class Priority(models.IntegerChoices):
    HIGH = 1, _("High")
    MEDIUM = 2, _("Medium")
    LOW = 3, _("Low")


class Effect(models.TextChoices):
    """What was seen when somebody looked, some time after it was done."""

    HELPED = "helped", _("It did not happen again")
    RECURRED = "recurred", _("It happened again")


class CorrectiveActionQuerySet(FoundByWords["CorrectiveAction"]):
    def found_by(self, word: str, reader: Any = None) -> Q:
        """In what will be done, or by its review's incident."""
        reviews = PostIncidentReview.objects.filter(PostIncidentReview.objects.all().found_by(word, reader))
        return either(
            CorrectiveAction.objects.filter(holding("words", word)),
            CorrectiveAction.objects.filter(review__in=reviews.order_by()),
        )

    def open(self) -> CorrectiveActionQuerySet:
        return self.filter(done_on__isnull=True, dropped_on__isnull=True)

    def overdue(self, today: dt.date) -> CorrectiveActionQuerySet:
        """Open ones whose due day has passed."""
        return self.open().filter(due_on__lt=today)

    def to_be_checked(self, today: dt.date) -> CorrectiveActionQuerySet:
        """Done ones whose effect should be looked at by now."""
        return self.filter(done_on__isnull=False, effect="", check_on__lte=today)

    def has_recurred(self) -> CorrectiveActionQuerySet:
        """Done ones whose factor contributed to an incident that was detected on a later day."""
        again = Finding.objects.filter(
            factor=OuterRef("finding__factor"),
            review__waived_at__isnull=True,
            review__incident__detected_at__date__gt=OuterRef("done_on"),
        )
        return self.filter(Exists(again.exclude(review=OuterRef("review"))), done_on__isnull=False)

    def against_the_same(self, review: PostIncidentReview) -> CorrectiveActionQuerySet:
        """Those of earlier incidents' reviews against a factor that was found in this one."""
        factors = Finding.objects.filter(review=review).values("factor")
        earlier = self.filter(review__incident__detected_at__lt=review.incident.detected_at)
        return earlier.filter(finding__factor__in=factors.order_by())

    def locked(self) -> CorrectiveActionQuerySet:
        """For a verb: one at a time per action."""
        return self.select_for_update(of=("self",), no_key=True)


class CorrectiveAction(AuditedModel):
    """Something that will be done so that it does not happen again, by whom and by when.

    Open until it is done, which needs evidence, or dropped, which needs a reason. One that did not help is open again
    and says so by its effect until it is done anew; what was before, its history tells.
    """

    PART_OF = "review"
    NEED_REASON = frozenset({"review_id", "owner_id", "due_on", "done_on", "dropped_on", "effect"})
    MAY_BE_FILLED = frozenset({"done_on"})

    review = models.ForeignKey(PostIncidentReview, models.PROTECT, related_name="actions", verbose_name=_("review"))
    what = LineField(_("what will be done"), max_length=300)
    kind = models.CharField(_("kind"), max_length=10, choices=ActionKind.choices, default=ActionKind.PREVENT)
    priority = models.PositiveSmallIntegerField(_("priority"), choices=Priority.choices, default=Priority.MEDIUM)
    finding = models.ForeignKey(
        Finding,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="actions",
        verbose_name=_("against"),
        help_text=_("The factor that it is meant for; the next incident with it asks whether the action helped."),
    )
    expected_effect = ProseField(
        _("expected effect"), blank=True, max_length=2_000, help_text=_("What will be different once it is done.")
    )
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("owner"))
    due_on = models.DateField(_("due on"))
    ticket = WebField(_("ticket"), blank=True, help_text=_("Where the work is tracked; shown, never fetched."))
    started_on = models.DateField(_("started on"), null=True, blank=True)
    done_on = models.DateField(_("done on"), null=True, blank=True)
    evidence = ProseField(
        _("evidence"),
        blank=True,
        max_length=2_000,
        help_text=_("What shows that it is done: a link, a change, a test."),
    )
    dropped_on = models.DateField(_("dropped on"), null=True, blank=True)
    why_dropped = ProseField(_("why it will not be done"), blank=True, max_length=2_000)
    check_on = models.DateField(_("effect to be checked on"), null=True, blank=True)
    checked_on = models.DateField(_("effect checked on"), null=True, blank=True)
    effect = models.CharField(_("effect"), max_length=10, choices=Effect.choices, blank=True)
    is_for_client = models.BooleanField(_("for clients"), default=False)

    words = FoldedField(of=("what",))

    #: The reviews that found its factor again, as far as the reader of its page sees them; else None.
    seen_again: models.QuerySet[Any] | None = None

    objects = CorrectiveActionQuerySet.as_manager()
    history = AuditedRecords(excluded_fields=["words"])

    class Meta:
        verbose_name = _("corrective action")
        verbose_name_plural = _("corrective actions")
        ordering = ("due_on", "pk")
        constraints = (
            models.CheckConstraint(
                condition=Q(done_on__isnull=True) | ~Q(evidence=""),
                name="action_done_has_evidence",
                violation_error_message=_("Say what shows that it is done before you enter the day it was done."),
            ),
            models.CheckConstraint(
                condition=Q(dropped_on__isnull=True) | ~Q(why_dropped=""),
                name="action_dropped_says_why",
                violation_error_message=_("Say why it will not be done."),
            ),
            models.CheckConstraint(
                condition=Q(done_on__isnull=True) | Q(dropped_on__isnull=True),
                name="action_done_or_dropped",
                violation_error_message=_("It is either done or dropped."),
            ),
            models.CheckConstraint(
                condition=Q(effect="")
                | Q(checked_on__isnull=False) & (Q(done_on__isnull=False) | Q(effect=Effect.RECURRED)),
                name="action_effect_of_what_is_done",
            ),
        )
        indexes = (
            # CorrectiveActionQuerySet.overdue
            models.Index(
                fields=("due_on",),
                name="action_open",
                condition=Q(done_on__isnull=True, dropped_on__isnull=True),
            ),
            # the list of all actions, by due day
            models.Index(fields=("due_on", "id"), name="action_due"),
            # CorrectiveActionQuerySet.to_be_checked
            models.Index(fields=("check_on",), name="action_unchecked", condition=Q(effect="")),
        )

    def __str__(self) -> str:
        return self.what

    def found_again(self) -> models.QuerySet[Finding]:
        """That its factor contributed to later incidents too, the latest first."""
        if self.finding is None:
            return Finding.objects.none()
        later = Finding.objects.filter(
            factor=self.finding.factor_id, review__incident__detected_at__gt=self.review.incident.detected_at
        )
        return later.exclude(review__waived_at__isnull=False).order_by("-review__incident__detected_at", "-pk")

    @property
    def is_open(self) -> bool:
        return self.done_on is None and self.dropped_on is None
