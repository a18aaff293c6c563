"""A post-incident review: its document, who works on it, and how far it has come."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from config.fields import LineField, ProseField, WebField
from config.history import AuditedModel, AuditedQuerySet, AuditedRecords
from config.search import FoldedField, FoundByWords
from incidents.models import Incident, TimelineEntry
from reviews.models.policy import ReviewPolicy
from reviews.models.questions import QuestionSet


class ReviewStatus(models.TextChoices):
    """How far it has come. WAIVED is the end of one that was owed and that a manager let go, with a reason."""

    DRAFT = "draft", _("Draft")
    IN_REVIEW = "in_review", _("In review")
    APPROVED = "approved", _("Approved")
    SHARED = "shared", _("Shared with clients")
    CLOSED = "closed", _("Closed")
    WAIVED = "waived", _("Waived")


#: Somebody still has to do something about it.
OPEN_STATUSES = (ReviewStatus.DRAFT, ReviewStatus.IN_REVIEW, ReviewStatus.APPROVED, ReviewStatus.SHARED)
#: Read and approved by a manager; nothing in it changes any more.
APPROVED_STATUSES = (ReviewStatus.APPROVED, ReviewStatus.SHARED)


class PostIncidentReviewQuerySet(FoundByWords["PostIncidentReview"]):
    def open(self) -> PostIncidentReviewQuerySet:
        return self.filter(completed_at__isnull=True, waived_at__isnull=True)

    def worked_on(self, since: dt.datetime) -> PostIncidentReviewQuerySet:
        """Those that were neither closed nor waived before then."""
        return self.filter(Q(completed_at__isnull=True) | Q(completed_at__gte=since)).exclude(waived_at__lt=since)

    def found_by(self, word: str, reader: Any = None) -> Q:
        """By its incident, as incidents are found."""
        return Q(incident__in=Incident.objects.filter(Incident.objects.all().found_by(word, reader)).order_by())


class PostIncidentReview(AuditedModel):
    """Why it happened and what will change. Blameless: it asks what made sense at the time, not who erred.

    Its texts are Markdown (config/markdown.py). What is marked `is_…_for_client` goes into the edition for clients.
    """

    PART_OF = "incident"
    NAMED_WITH = ("incident",)
    NAMES_CLIENTS_IN = ("summary", "client_impact", "root_cause", "what_will_change")
    NEED_REASON = frozenset({"incident_id", "opened_at", "due_at", "completed_at", "waived_at"})
    MAY_BE_FILLED = frozenset({"completed_at"})

    incident = models.OneToOneField(Incident, models.PROTECT, related_name="review", verbose_name=_("incident"))
    status = models.CharField(_("status"), max_length=12, choices=ReviewStatus.choices, default=ReviewStatus.DRAFT)
    facilitator = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("facilitator")
    )
    policy = models.ForeignKey(
        ReviewPolicy, models.PROTECT, null=True, blank=True, related_name="reviews", verbose_name=_("policy")
    )
    question_set = models.ForeignKey(
        QuestionSet, models.PROTECT, null=True, blank=True, related_name="reviews", verbose_name=_("questions")
    )
    why_owed = ProseField(
        _("why it is owed"), blank=True, max_length=1_000, help_text=_("Empty for one that somebody wanted.")
    )
    opened_at = models.DateTimeField(_("opened at"), editable=False)
    due_at = models.DateTimeField(
        _("due at"), null=True, blank=True, help_text=_("By our policy; what a contract says stands on its deadlines.")
    )

    summary = ProseField(
        _("what happened"),
        blank=True,
        max_length=20_000,
        help_text=_("In plain words, as seen by the people involved."),
    )
    is_summary_for_client = models.BooleanField(_("what happened: for clients"), default=False)
    client_impact = ProseField(
        _("impact on clients"),
        blank=True,
        max_length=20_000,
        help_text=_("Who was affected, for how long, and what they could not do."),
    )
    is_client_impact_for_client = models.BooleanField(_("impact on clients: for clients"), default=False)
    root_cause = ProseField(
        _("root cause"),
        blank=True,
        max_length=20_000,
        help_text=_("Where there is one. What made it possible, not who was at the keyboard."),
    )
    is_root_cause_for_client = models.BooleanField(_("root cause: for clients"), default=False)
    what_will_change = ProseField(_("what will change"), blank=True, max_length=20_000)
    is_what_will_change_for_client = models.BooleanField(_("what will change: for clients"), default=False)

    submitted_at = models.DateTimeField(_("submitted at"), null=True, blank=True, editable=False)
    submitted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
        verbose_name=_("submitted by"),
    )
    approved_at = models.DateTimeField(_("approved at"), null=True, blank=True, editable=False)
    approved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
        verbose_name=_("approved by"),
    )
    shared_at = models.DateTimeField(_("shared at"), null=True, blank=True, editable=False)
    completed_at = models.DateTimeField(_("completed at"), null=True, blank=True, editable=False)
    waived_at = models.DateTimeField(_("waived at"), null=True, blank=True, editable=False)

    words = FoldedField(of=("summary", "client_impact", "root_cause", "what_will_change"))

    objects = PostIncidentReviewQuerySet.as_manager()
    history = AuditedRecords(excluded_fields=["words"])

    class Meta:
        verbose_name = _("post-incident review")
        verbose_name_plural = _("post-incident reviews")
        ordering = ("-opened_at", "-pk")
        constraints = (
            # That no other author approves it either stands in rows of other tables, which no constraint can read:
            # reviews/lifecycle/authors.py.
            models.CheckConstraint(
                condition=Q(approved_by__isnull=True)
                | ~Q(approved_by=F("facilitator")) & ~Q(approved_by=F("submitted_by")),
                name="review_approved_by_another",
                violation_error_message=_("A review is approved by somebody else than who wrote it."),
            ),
            models.CheckConstraint(
                condition=~Q(status__in=APPROVED_STATUSES) | Q(approved_at__isnull=False, approved_by__isnull=False),
                name="review_approved_has_its_approval",
            ),
            models.CheckConstraint(
                condition=~Q(status=ReviewStatus.SHARED) | Q(shared_at__isnull=False), name="review_shared_has_its_time"
            ),
            models.CheckConstraint(
                condition=Q(status=ReviewStatus.CLOSED, completed_at__isnull=False)
                | ~Q(status=ReviewStatus.CLOSED) & Q(completed_at__isnull=True),
                name="review_closed_has_its_time",
            ),
            models.CheckConstraint(
                condition=Q(status=ReviewStatus.WAIVED, waived_at__isnull=False)
                | ~Q(status=ReviewStatus.WAIVED) & Q(waived_at__isnull=True),
                name="review_waived_has_its_time",
            ),
        )
        permissions = (("approve_postincidentreview", "Can approve post-incident review"),)
        indexes = (
            # the list of reviews, the newest first
            models.Index(fields=("opened_at", "id"), name="review_opened"),
        )

    def __str__(self) -> str:
        return str(_("Review of %(incident)s") % {"incident": self.incident})

    @property
    def is_completed(self) -> bool:
        return self.completed_at is not None

    @property
    def is_open(self) -> bool:
        return self.status in OPEN_STATUSES

    def needing_reason(self, changed: set[str]) -> set[str]:
        """Besides its fields: a status that goes backwards."""
        order = list(ReviewStatus)
        loaded = self.__dict__.get("_loaded", {}).get("status", self.status)
        is_backwards = order.index(ReviewStatus(self.status)) < order.index(ReviewStatus(loaded))
        return super().needing_reason(changed) | ({"status"} if is_backwards else set())


class Contributor(AuditedModel):
    """A colleague who writes in a review."""

    PART_OF = "review"
    NAMED_WITH = ("user",)
    IS_KEPT = False

    review = models.ForeignKey(
        PostIncidentReview, models.PROTECT, related_name="contributors", verbose_name=_("review")
    )
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("colleague"))

    objects = AuditedQuerySet["Contributor"].as_manager()
    history = AuditedRecords()

    class Meta:
        verbose_name = _("contributor")
        verbose_name_plural = _("contributors")
        ordering = ("pk",)
        constraints = (models.UniqueConstraint(fields=("review", "user"), name="contributor_once"),)

    def __str__(self) -> str:
        return str(self.user)


class ReviewLink(AuditedModel):
    """Where more can be read: a chart, a change, a chat. Shown, never fetched."""

    PART_OF = "review"
    IS_KEPT = False

    review = models.ForeignKey(PostIncidentReview, models.PROTECT, related_name="links", verbose_name=_("review"))
    label = LineField(_("what it is"), max_length=120)
    address = WebField(_("address"))

    objects = AuditedQuerySet["ReviewLink"].as_manager()
    history = AuditedRecords()

    class Meta:
        verbose_name = _("link")
        verbose_name_plural = _("links")
        ordering = ("pk",)

    def __str__(self) -> str:
        return self.label


class TimelinePick(AuditedModel):
    """An entry of the incident's timeline that belongs into the review's, in its place, and what is said about it."""

    PART_OF = "review"
    NAMED_WITH = ("entry",)
    NAMES_CLIENTS_IN = ("remark",)
    IS_KEPT = False

    review = models.ForeignKey(PostIncidentReview, models.PROTECT, related_name="picks", verbose_name=_("review"))
    entry = models.ForeignKey(TimelineEntry, models.PROTECT, related_name="+", verbose_name=_("timeline entry"))
    position = models.PositiveSmallIntegerField(_("position"), default=0)
    remark = ProseField(
        _("remark"), blank=True, max_length=2_000, help_text=_("What made sense at the time, what was not known yet.")
    )
    is_for_client = models.BooleanField(_("for clients"), default=False)

    words = FoldedField(of=("remark",))

    objects = AuditedQuerySet["TimelinePick"].as_manager()
    history = AuditedRecords(excluded_fields=["words"])

    class Meta:
        verbose_name = _("entry of the review's timeline")
        verbose_name_plural = _("entries of the review's timeline")
        ordering = ("position", "pk")
        constraints = (models.UniqueConstraint(fields=("review", "entry"), name="timeline_pick_once"),)

    def __str__(self) -> str:
        return str(self.entry)

    def clean(self) -> None:
        """What happened in another incident is none of this one's story, unless that one was merged into it."""
        if not self.entry.incident.is_part_of(self.review.incident_id):
            raise ValidationError({"entry": _("This entry belongs to another incident.")})
