"""What contributed to an incident: named so that the same factor is recognised in the next one."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _

from config.fields import LineField, ProseField
from config.history import AuditedModel, AuditedQuerySet, AuditedRecords
from config.search import FoldedField, FoundByWords, holding


class FactorKind(models.TextChoices):
    TECHNICAL = "technical", _("Technical")
    PROCESS = "process", _("Process")
    HUMAN = "human", _("Human factors")
    EXTERNAL = "external", _("External")


class FactorQuerySet(FoundByWords["Factor"]):
    def found_by(self, word: str, reader: Any = None) -> Q:
        return holding("words", word)


class Factor(AuditedModel):
    """A contributing factor by name: “no staged rollout”. Shared by all reviews in which it was found."""

    CALLED = "name"
    NEED_REASON = frozenset({"name", "kind"})

    name = LineField(_("name"), max_length=120, help_text=_("Short and without blame: a state of things, no person."))
    kind = models.CharField(_("kind"), max_length=12, choices=FactorKind.choices)

    words = FoldedField(of=("name",))

    objects = FactorQuerySet.as_manager()
    history = AuditedRecords(excluded_fields=["words"])

    class Meta:
        verbose_name = _("contributing factor")
        verbose_name_plural = _("contributing factors")
        ordering = ("name", "pk")
        constraints = (
            models.UniqueConstraint(
                Lower("name"),
                name="factor_named_once",
                violation_error_message=_("There is a factor of that name already. Choose it."),
            ),
        )

    def __str__(self) -> str:
        return self.name


class Finding(AuditedModel):
    """That a factor contributed to this incident, and how."""

    PART_OF = "review"
    NAMED_WITH = ("factor",)
    NAMES_CLIENTS_IN = ("explanation",)
    IS_KEPT = False

    review = models.ForeignKey(
        "reviews.PostIncidentReview", models.PROTECT, related_name="findings", verbose_name=_("review")
    )
    factor = models.ForeignKey(Factor, models.PROTECT, related_name="findings", verbose_name=_("contributing factor"))
    explanation = ProseField(_("how it contributed"), blank=True, max_length=5_000)
    is_for_client = models.BooleanField(_("for clients"), default=False)

    words = FoldedField(of=("explanation",))

    objects = AuditedQuerySet["Finding"].as_manager()
    history = AuditedRecords(excluded_fields=["words"])

    class Meta:
        verbose_name = _("finding")
        verbose_name_plural = _("findings")
        ordering = ("pk",)
        constraints = (models.UniqueConstraint(fields=("review", "factor"), name="finding_once"),)

    def __str__(self) -> str:
        return str(self.factor)
