"""The questions that a review asks besides its own parts, and what was answered."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from config.fields import LineField, ProseField
from config.history import AuditedModel, AuditedQuerySet, AuditedRecords
from config.search import FoldedField


class QuestionSetQuerySet(AuditedQuerySet["QuestionSet"]):
    def in_force(self) -> QuestionSet | None:
        """The newest version, by which a review that is opened now asks."""
        return self.order_by("-version").first()


class QuestionSet(AuditedModel):
    """One version of the questions. Never changed: what is asked otherwise is a new version, for later reviews."""

    NEED_REASON = frozenset({"version", "made_at"})

    version = models.PositiveIntegerField(_("version"), unique=True)
    made_at = models.DateTimeField(_("made at"))

    objects = QuestionSetQuerySet.as_manager()
    history = AuditedRecords()

    class Meta:
        verbose_name = _("version of the questions")
        verbose_name_plural = _("versions of the questions")
        ordering = ("-version",)

    def __str__(self) -> str:
        return str(_("Version %(version)d of the questions") % {"version": self.version})


class Question(AuditedModel):
    """One of a version's questions, in its place."""

    PART_OF = "question_set"
    NEED_REASON = frozenset({"question_set_id", "position", "text", "is_required"})

    question_set = models.ForeignKey(
        QuestionSet, models.PROTECT, related_name="questions", verbose_name=_("version of the questions")
    )
    position = models.PositiveSmallIntegerField(_("position"))
    text = LineField(_("question"), max_length=200)
    guidance = ProseField(
        _("guidance"), blank=True, max_length=1_000, help_text=_("What helps to answer it, without blame.")
    )
    is_required = models.BooleanField(
        _("required"), default=False, help_text=_("Without an answer the review cannot be submitted.")
    )

    objects = AuditedQuerySet["Question"].as_manager()
    history = AuditedRecords()

    class Meta:
        verbose_name = _("question")
        verbose_name_plural = _("questions")
        ordering = ("question_set", "position", "pk")
        constraints = (
            models.UniqueConstraint(fields=("question_set", "position"), name="question_has_its_place"),
            models.CheckConstraint(condition=~Q(text=""), name="question_says_something"),
        )

    def __str__(self) -> str:
        return self.text


class Answer(AuditedModel):
    """What a review answers to one question, in Markdown."""

    PART_OF = "review"
    NAMED_WITH = ("question",)
    NAMES_CLIENTS_IN = ("text",)

    review = models.ForeignKey(
        "reviews.PostIncidentReview", models.PROTECT, related_name="answers", verbose_name=_("review")
    )
    question = models.ForeignKey(Question, models.PROTECT, related_name="+", verbose_name=_("question"))
    text = ProseField(_("answer"), blank=True, max_length=20_000)
    is_for_client = models.BooleanField(_("for clients"), default=False)

    words = FoldedField(of=("text",))

    objects = AuditedQuerySet["Answer"].as_manager()
    history = AuditedRecords(excluded_fields=["words"])

    class Meta:
        verbose_name = _("answer")
        verbose_name_plural = _("answers")
        ordering = ("question__position", "pk")
        constraints = (models.UniqueConstraint(fields=("review", "question"), name="answer_once"),)

    def __str__(self) -> str:
        return str(self.question)
