"""What machines may tell us with, and calendars that people read their deadlines in: secrets, kept as digests."""

from __future__ import annotations

import hashlib
import secrets

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from agreements.models import Service, Severity
from config.fields import LineField
from config.history import AuditedModel, AuditedQuerySet, AuditedRecords
from incidents.models.incident import Incident


def new_secret(prefix: str) -> str:
    """Unguessable: 256 random bits, so that a plain digest of it gives nothing away."""
    return prefix + secrets.token_urlsafe(32)


def digest_of(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


class IntakeToken(AuditedModel):
    """By which a monitoring system may open incidents. Its secret was shown once, when it was made."""

    CALLED = "name"
    NEED_REASON = frozenset({"name", "digest", "service_id", "severity", "reads_labels", "revoked_at"})
    MAY_BE_FILLED = frozenset({"revoked_at"})
    SILENT_FIELDS = frozenset({"last_used_at", "window_at", "window_count"})

    name = LineField(_("name"), max_length=60, unique=True, help_text=_("Of the system that uses it; in every trail."))
    digest = models.CharField(_("SHA-256 of the secret"), max_length=64, unique=True, editable=False)
    service = models.ForeignKey(
        Service, models.PROTECT, related_name="+", verbose_name=_("service"), help_text=_("What its alerts are about.")
    )
    severity = models.CharField(
        _("severity"), max_length=10, choices=Severity.choices, help_text=_("Of the incidents that it opens.")
    )
    reads_labels = models.BooleanField(
        _("labels decide"),
        default=False,
        help_text=_(
            "A label “service” with the name of an active service, and a label “severity” with one of ours (critical, "
            "high, medium, low), win over the two above."
        ),
    )
    made_at = models.DateTimeField(_("made at"), editable=False)
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(_("last used at"), null=True, blank=True, editable=False)
    window_at = models.DateTimeField(null=True, blank=True, editable=False)  # the minute that is counted
    window_count = models.PositiveIntegerField(default=0, editable=False)

    objects = AuditedQuerySet["IntakeToken"].as_manager()
    history = AuditedRecords(excluded_fields=["last_used_at", "window_at", "window_count"])

    class Meta:
        verbose_name = _("intake token")
        verbose_name_plural = _("intake tokens")
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    @property
    def is_usable(self) -> bool:
        return self.revoked_at is None


class AlertGroup(models.Model):
    """Which incident a group of alerts is told to: one for each group, whoever posts first."""

    token = models.ForeignKey(IntakeToken, models.PROTECT, related_name="groups")
    key = models.CharField(max_length=64)  # SHA-256 of its groupKey
    incident = models.ForeignKey(Incident, models.PROTECT, null=True, related_name="+")
    latest = models.CharField(max_length=64, blank=True)  # what it said last, as a digest

    class Meta:
        verbose_name = _("group of alerts")
        verbose_name_plural = _("groups of alerts")
        default_permissions = ()
        constraints = (models.UniqueConstraint(fields=("token", "key"), name="alert_group_once"),)

    def __str__(self) -> str:
        return f"{self.token}: {self.key[:12]}"


class CalendarFeed(AuditedModel):
    """The address at which a colleague's own calendar reads their open deadlines; without a digest there is none."""

    PART_OF = "user"
    NAMED_WITH = ("user",)

    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.PROTECT, related_name="calendar_feed")
    digest = models.CharField(_("SHA-256 of the secret"), max_length=64, blank=True, editable=False)
    made_at = models.DateTimeField(_("made at"))

    objects = AuditedQuerySet["CalendarFeed"].as_manager()
    history = AuditedRecords()

    class Meta:
        verbose_name = _("calendar feed")
        verbose_name_plural = _("calendar feeds")
        default_permissions = ()
        constraints = (
            models.UniqueConstraint(fields=("digest",), condition=~models.Q(digest=""), name="calendar_feed_once"),
        )

    def __str__(self) -> str:
        return str(_("Calendar feed of %(who)s") % {"who": self.user})
