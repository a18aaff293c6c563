"""People who sign in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.auth.models import AbstractUser, UserManager
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.signals import m2m_changed
from django.dispatch import receiver
from django.utils.translation import gettext_lazy as _

from config.fields import ZoneField, validate_address, validate_line
from config.history import AuditedModel, AuditedQuerySet, AuditedRecords, ReasonMissing, current_act

if TYPE_CHECKING:
    _Manager = UserManager["User"]
else:
    _Manager = UserManager.from_queryset(AuditedQuerySet)


class PersonManager(_Manager):
    """Django's own, over rows that are changed one by one."""

    use_in_migrations = False

    def to_choose(self) -> models.QuerySet[User]:
        """Colleagues as a list shows them: by their names."""
        return self.filter(is_active=True).order_by("first_name", "last_name", "username")


class User(AuditedModel, AbstractUser):
    """A member of staff. Deactivated when they leave, never deleted, so that the audit trail keeps its names."""

    CALLED = "username"

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
    NEED_REASON = frozenset({"username", "email", "is_active", "is_staff", "is_superuser"})

    objects = PersonManager()  # type: ignore[misc]  # the stubs want a ClassVar of Self, which they then refuse
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
        """The name in lists and in the audit trail, with the login so that two of the same name can be told apart."""
        full_name = self.get_full_name()
        return f"{full_name} ({self.username})" if full_name else self.username

    def __str__(self) -> str:
        return self.audit_name


@receiver(m2m_changed, sender=User.groups.through)
def _roles_change_for_a_reason(instance: Any, action: str, pk_set: set[int] | None, **_options: Any) -> None:
    """Somebody's first role needs none: the row that gave them an account is there to explain it."""
    if not action.startswith("pre_") or (action == "pre_add" and not pk_set) or current_act().reason.strip():
        return
    if not isinstance(instance, User) or instance.groups.exists():
        raise ReasonMissing(instance, ("groups",) if isinstance(instance, User) else ())
