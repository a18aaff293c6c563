"""Whether mail may go out at all, and when each part of the delivery was last at work."""

from __future__ import annotations

import datetime as dt

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from config.fields import ProseField
from config.history import AuditedModel, AuditedQuerySet, AuditedRecords
from incidents.models.notice import Outcome


class Sending(AuditedModel):
    """The one row that stops all sending: by a person's hold, or by a fault that every mail would meet (the breaker).

    What people do goes through `save` and leaves history; the breaker is compare-and-set in incidents/outbox.py.
    """

    THE_ONE = 1
    SILENT_FIELDS = frozenset({"fault", "fault_answer", "fault_since", "retry_at", "failures"})
    NEED_REASON = frozenset({"is_held", "held_at", "hold_reason"})

    id = models.PositiveSmallIntegerField(primary_key=True, default=THE_ONE)
    is_held = models.BooleanField(_("held"), default=False, help_text=_("Nothing is sent until it is released."))
    held_at = models.DateTimeField(_("held since"), null=True, blank=True)
    hold_reason = ProseField(_("why it is held"), max_length=1000, blank=True)

    fault = models.CharField(_("fault"), max_length=20, choices=Outcome.choices, blank=True)
    fault_answer = models.CharField(_("what the server said"), max_length=500, blank=True)
    fault_since = models.DateTimeField(_("at fault since"), null=True, blank=True)
    retry_at = models.DateTimeField(_("next probe at"), null=True, blank=True)
    failures = models.PositiveIntegerField(_("failures in a row"), default=0)

    objects = AuditedQuerySet["Sending"].as_manager()
    history = AuditedRecords(excluded_fields=["fault", "fault_answer", "fault_since", "retry_at", "failures"])

    class Meta:
        verbose_name = _("sending")
        verbose_name_plural = _("sending")
        constraints = (
            models.CheckConstraint(condition=Q(id=1), name="sending_is_one_row"),
            models.CheckConstraint(
                condition=Q(is_held=False) | Q(held_at__isnull=False) & ~Q(hold_reason=""), name="sending_hold_says_why"
            ),
            models.CheckConstraint(
                condition=Q(fault="") | Q(fault_since__isnull=False, retry_at__isnull=False),
                name="sending_fault_has_a_next_probe",
            ),
        )

    def __str__(self) -> str:
        return str(_("Sending of mail"))

    @classmethod
    def row(cls) -> Sending:
        """The row; made when it is first asked for."""
        return cls.objects.get_or_create(pk=cls.THE_ONE)[0]

    def may_go(self, now: dt.datetime) -> bool:
        """Neither held, nor waiting for the next probe of a fault."""
        return not self.is_held and (self.retry_at is None or self.retry_at <= now)


class Part(models.TextChoices):
    """What has to be alive for a notice to arrive in time."""

    PLANNER = "planner", _("the planner, which makes notices that are due")
    SENDER = "sender", _("the sender, which hands them to the mail server")
    AUDITOR = "auditor", _("the auditor of the queue")


class Heartbeat(models.Model):
    """When a part was last at work; one row each."""

    part = models.CharField(_("part"), max_length=10, choices=Part.choices, primary_key=True)
    at = models.DateTimeField(_("last at work"))
    worker = models.CharField(_("worker"), max_length=100)

    class Meta:
        verbose_name = _("heartbeat")
        verbose_name_plural = _("heartbeats")

    def __str__(self) -> str:
        return f"{self.part} {self.at:%Y-%m-%d %H:%M:%S %Z}"
