"""What an agreement means by a severity, in its own words."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from agreements.models.agreement import ServiceAgreement
from agreements.models.commitment import Severity
from config.fields import ProseField
from config.history import AuditedModel, AuditedQuerySet, AuditedRecords


class SeverityDefinition(AuditedModel):
    """The words by which an agreement tells one severity from another; whoever declares an incident reads them."""

    PART_OF = "agreement"
    IS_KEPT = False
    NEED_REASON = frozenset({"agreement_id", "severity", "words"})

    agreement = models.ForeignKey(
        ServiceAgreement, models.CASCADE, related_name="definitions", verbose_name=_("service agreement")
    )
    severity = models.CharField(_("severity"), max_length=10, choices=Severity.choices)
    words = ProseField(
        _("words"), max_length=2_000, help_text=_("What the agreement calls an incident of this severity.")
    )

    objects = AuditedQuerySet["SeverityDefinition"].as_manager()
    history = AuditedRecords()

    class Meta:
        verbose_name = _("definition of a severity")
        verbose_name_plural = _("definitions of severities")
        ordering = ("agreement", "pk")
        constraints = (
            models.UniqueConstraint(
                fields=("agreement", "severity"),
                name="severity_defined_once",
                violation_error_message=_("This agreement already says what that severity means."),
            ),
        )

    def __str__(self) -> str:
        return f"{self.get_severity_display()}: {self.words[:80]}"
