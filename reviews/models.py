"""Post-incident reviews and their corrective actions."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from config.fields import LineField, ProseField
from config.history import AuditedModel, AuditedRecords
from config.search import FoldedField, FoundByWords, either, holding
from incidents.models import Incident


class PostIncidentReviewQuerySet(FoundByWords["PostIncidentReview"]):
    def open(self) -> PostIncidentReviewQuerySet:
        return self.filter(completed_at__isnull=True)

    def worked_on(self, since: dt.datetime) -> PostIncidentReviewQuerySet:
        """Those that were not completed before then."""
        return self.filter(Q(completed_at__isnull=True) | Q(completed_at__gte=since))

    def found_by(self, word: str, reader: Any = None) -> Q:
        """By its incident, as incidents are found."""
        return Q(incident__in=Incident.objects.filter(Incident.objects.all().found_by(word, reader)).order_by())


class PostIncidentReview(AuditedModel):
    """Why it happened and what will change. Blameless: it asks what made sense at the time, not who erred."""

    PART_OF = "incident"
    NAMED_WITH = ("incident",)
    NEED_REASON = frozenset({"incident_id", "opened_at", "completed_at"})
    MAY_BE_FILLED = frozenset({"completed_at"})

    incident = models.OneToOneField(Incident, models.PROTECT, related_name="review", verbose_name=_("incident"))
    facilitator = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("facilitator")
    )
    opened_at = models.DateTimeField(_("opened at"), editable=False)
    summary = ProseField(
        _("what happened"),
        blank=True,
        max_length=20_000,
        help_text=_("In plain words, as seen by the people involved."),
    )
    root_cause = ProseField(
        _("root cause"),
        blank=True,
        max_length=20_000,
        help_text=_("What made it possible, not who was at the keyboard."),
    )
    what_will_change = ProseField(_("what will change"), blank=True, max_length=20_000)
    completed_at = models.DateTimeField(_("completed at"), null=True, blank=True, editable=False)

    objects = PostIncidentReviewQuerySet.as_manager()
    history = AuditedRecords()

    class Meta:
        verbose_name = _("post-incident review")
        verbose_name_plural = _("post-incident reviews")
        ordering = ("-opened_at", "-pk")
        indexes = (
            # the list of reviews, the newest first
            models.Index(fields=("opened_at", "id"), name="review_opened"),
        )

    def __str__(self) -> str:
        return str(_("Review of %(incident)s") % {"incident": self.incident})

    @property
    def is_completed(self) -> bool:
        return self.completed_at is not None


class CorrectiveActionQuerySet(FoundByWords["CorrectiveAction"]):
    def found_by(self, word: str, reader: Any = None) -> Q:
        """In what will be done, or by its review's incident."""
        reviews = PostIncidentReview.objects.filter(PostIncidentReview.objects.all().found_by(word, reader))
        return either(
            CorrectiveAction.objects.filter(holding("words", word)),
            CorrectiveAction.objects.filter(review__in=reviews.order_by()),
        )

    def open(self) -> CorrectiveActionQuerySet:
        return self.filter(done_on__isnull=True)

    def overdue(self, today: dt.date) -> CorrectiveActionQuerySet:
        """Open ones whose due day has passed."""
        return self.open().filter(due_on__lt=today)


class CorrectiveAction(AuditedModel):
    """Something that will be done so that it does not happen again, by whom and by when."""

    PART_OF = "review"
    NEED_REASON = frozenset({"review_id", "owner_id", "due_on", "done_on"})
    MAY_BE_FILLED = frozenset({"done_on"})

    review = models.ForeignKey(PostIncidentReview, models.PROTECT, related_name="actions", verbose_name=_("review"))
    what = LineField(_("what will be done"), max_length=300)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("owner"))
    due_on = models.DateField(_("due on"))
    done_on = models.DateField(_("done on"), null=True, blank=True)
    evidence = ProseField(
        _("evidence"),
        blank=True,
        max_length=2_000,
        help_text=_("What shows that it is done: a link, a change, a test."),
    )

    words = FoldedField(of=("what",))

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
        )
        indexes = (
            # CorrectiveActionQuerySet.overdue
            models.Index(fields=("due_on",), name="action_open", condition=Q(done_on__isnull=True)),
            # the list of all actions, by due day
            models.Index(fields=("due_on", "id"), name="action_due"),
        )

    def __str__(self) -> str:
        return self.what
