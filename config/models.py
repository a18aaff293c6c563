"""People who sign in, and what they took out of the house."""

from __future__ import annotations

from django.apps import apps
from django.conf import settings
from django.contrib.auth.models import AbstractUser, UserManager
from django.core.exceptions import ValidationError
from django.db import models
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from config.fields import LineField, ZoneField, validate_address, validate_line
from config.history import AuditedModel, AuditedRecords


class User(AuditedModel, AbstractUser):
    """A member of staff. Deactivated when they leave, never deleted, so that the audit trail keeps its names."""

    time_zone = ZoneField(
        _("time zone"),
        default="UTC",
        help_text=_("Every time you see is shown in this zone, for example Europe/Berlin."),
    )
    language = models.CharField(
        _("language"),
        max_length=10,
        choices=settings.LANGUAGES,
        default=settings.LANGUAGE_CODE,
        help_text=_("Of the words and dates that you see. Clients are written to in their own."),
    )

    SILENT_FIELDS = frozenset({"last_login"})

    objects = UserManager()  # type: ignore[misc]  # the stubs want a ClassVar of Self, which they then refuse
    history = AuditedRecords(excluded_fields=["password", "last_login"], m2m_fields=["groups"])

    class Meta(AbstractUser.Meta):
        abstract = False

    def clean(self) -> None:
        """Refuses what cannot stand in the header of a mail: Django's own fields take line breaks in a name."""
        super().clean()
        refused: dict[str, ValidationError] = {}
        for name, validate in (
            ("first_name", validate_line),
            ("last_name", validate_line),
            ("email", validate_line),
            ("email", validate_address),
        ):
            try:
                validate(getattr(self, name))
            except ValidationError as error:
                refused.setdefault(name, error)
        if refused:
            raise ValidationError(refused)

    @property
    def audit_name(self) -> str:
        """The name that stays in the audit trail, with the login so that two of the same name can be told apart."""
        full_name = self.get_full_name()
        return f"{full_name} ({self.username})" if full_name else self.username


class Export(AuditedModel):
    """That somebody took a list out of the house as a file. Written before the file is sent; never changed."""

    at = models.DateTimeField(_("at"))
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("by"))
    listed = models.CharField(_("list"), max_length=100)
    query = models.TextField(_("filters"), blank=True, help_text=_("As they stood in the address of the list."))
    rows = models.PositiveIntegerField(_("rows"))
    sha256 = models.CharField(_("SHA-256 of the file"), max_length=64)

    history = AuditedRecords()

    class Meta:
        verbose_name = _("export")
        verbose_name_plural = _("exports")
        ordering = ("-at", "-pk")
        indexes = (models.Index(fields=("-at",), name="export_newest"),)

    def __str__(self) -> str:
        return str(_("%(list)s, %(rows)d rows") % {"list": self.list_name, "rows": self.rows})

    @property
    def list_name(self) -> str:
        try:
            return capfirst(str(apps.get_model(self.listed)._meta.verbose_name_plural))
        except LookupError:  # of a model that is gone by now
            return self.listed


class SavedFilter(models.Model):
    """The filters of a page that one person keeps under a name; nobody else sees them (config/saved_filters.py)."""

    user = models.ForeignKey(User, models.CASCADE, related_name="saved_filters")
    page = models.CharField(max_length=40)
    name = LineField(_("name"), max_length=60)
    query = models.CharField(_("filters"), max_length=1000, blank=True)
    is_landing = models.BooleanField(_("opens the page"), default=False)

    class Meta:
        verbose_name = _("saved filter")
        verbose_name_plural = _("saved filters")
        ordering = ("name", "pk")
        constraints = (
            models.UniqueConstraint(
                fields=("user", "page", "name"),
                name="saved_filter_name_once",
                violation_error_message=_("Another of your filters has that name. Choose another."),
            ),
            models.UniqueConstraint(
                fields=("user", "page"), condition=models.Q(is_landing=True), name="saved_filter_one_landing"
            ),
        )

    def __str__(self) -> str:
        return self.name
