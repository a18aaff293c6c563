"""When a review is owed, within how long, and what becomes of its actions."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from agreements.models import Client, Service, ServiceCalendar, Severity
from config import scope
from config.fields import LineField
from config.history import AuditedModel, AuditedQuerySet, AuditedRecords

#: ISO 8601: Monday is 1.
WEEKDAYS = (
    (1, _("Monday")),
    (2, _("Tuesday")),
    (3, _("Wednesday")),
    (4, _("Thursday")),
    (5, _("Friday")),
    (6, _("Saturday")),
    (7, _("Sunday")),
)

DAYS = (MinValueValidator(1), MaxValueValidator(400))


class ReviewPolicyQuerySet(AuditedQuerySet["ReviewPolicy"]):
    def in_use(self) -> ReviewPolicyQuerySet:
        return self.filter(is_active=True)


class ReviewPolicy(AuditedModel):
    """A manager's rule: which incidents owe a review, by when, and how its actions are followed up.

    Severity, service and client narrow it, each if it is given. What an agreement's REPORT commitment asks for and any
    missed deadline owe a review besides, whatever the policies say. Days are counted from the day of resolution,
    working days of `calendar` where one is given, else of the week.
    """

    CALLED = "name"
    NEED_REASON = frozenset(
        {"severity", "service_id", "client_id", "review_within", "actions_assigned_within", "actions_done_within"}
    )

    name = LineField(_("name"), max_length=120, unique=True)
    severity = models.CharField(
        _("severity"), max_length=10, choices=Severity.choices, blank=True, help_text=_("Empty for every severity.")
    )
    service = models.ForeignKey(
        Service,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("service"),
        help_text=_("Empty for every service."),
    )
    client = models.ForeignKey(
        Client,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("client"),
        help_text=_("Empty for every client."),
    )
    review_within = models.PositiveSmallIntegerField(
        _("review within"), validators=DAYS, help_text=_("Days from resolution to an approved review.")
    )
    actions_assigned_within = models.PositiveSmallIntegerField(
        _("actions assigned within"), validators=DAYS, help_text=_("Days from resolution to the first action.")
    )
    actions_done_within = models.PositiveSmallIntegerField(
        _("actions done within"), validators=DAYS, help_text=_("Days; proposed as the due day of a new action.")
    )
    effect_checked_after = models.PositiveSmallIntegerField(
        _("effect checked after"), validators=DAYS, default=30, help_text=_("Days after an action is done.")
    )
    reminded_before = models.PositiveSmallIntegerField(
        _("owners reminded before"), validators=DAYS, default=3, help_text=_("Days before an action is due.")
    )
    calendar = models.ForeignKey(
        ServiceCalendar,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("working days by"),
        help_text=_("Empty if every day of the week counts."),
    )
    includes_open_incidents = models.BooleanField(
        _("includes what was open before"),
        default=False,
        help_text=_("Whether incidents that were declared before the policy was made fall under it too."),
    )
    facilitator = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("facilitator"),
        help_text=_("Empty: the incident's commander, else a manager."),
    )
    told_of_violations = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("told of violations"),
        help_text=_("Empty: every manager."),
    )
    outstanding_on = models.PositiveSmallIntegerField(
        _("outstanding actions are told on"), choices=WEEKDAYS, null=True, blank=True, help_text=_("Empty: never.")
    )
    made_at = models.DateTimeField(_("made at"), editable=False)
    is_active = models.BooleanField(_("in use"), default=True)

    objects = ReviewPolicyQuerySet.as_manager()
    history = AuditedRecords()

    class Meta:
        verbose_name = _("review policy")
        verbose_name_plural = _("review policies")
        ordering = ("name", "pk")
        constraints = (
            models.CheckConstraint(
                condition=Q(review_within__gte=1, actions_assigned_within__gte=1, actions_done_within__gte=1),
                name="review_policy_gives_time",
            ),
            models.CheckConstraint(
                condition=Q(outstanding_on__isnull=True) | Q(outstanding_on__range=(1, 7)),
                name="review_policy_names_a_weekday",
            ),
        )

    def __str__(self) -> str:
        return self.name


@scope.rule(ReviewPolicy)
def _of_everybody_or_of(user: Any, clients: scope.Clients) -> Q:
    """One for every client is seen by all."""
    return Q(client__isnull=True) | Q(client__in=clients)
