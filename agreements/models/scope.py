"""Which clients a colleague is limited to."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from agreements.models.client import Client
from config import scope
from config.history import AuditedModel, AuditedQuerySet, AuditedRecords
from config.models import User


class ClientScope(AuditedModel):
    """That a colleague sees this client. Who has no such row sees all clients; who has any sees those alone."""

    PART_OF = "user"
    CLIENT_PATH = "client"
    IS_KEPT = False
    NAMED_WITH = ("client",)
    NEED_REASON = frozenset({"user_id", "client_id"})

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="client_scopes", verbose_name=_("colleague")
    )
    client = models.ForeignKey(Client, models.PROTECT, related_name="+", verbose_name=_("client"))

    objects = AuditedQuerySet["ClientScope"].as_manager()
    history = AuditedRecords()

    class Meta:
        verbose_name = _("client that is seen")
        verbose_name_plural = _("clients that are seen (none: all)")
        constraints = (models.UniqueConstraint(fields=("user", "client"), name="client_scope_once"),)

    def __str__(self) -> str:
        return str(self.client)


@scope.limit
def limited_to(user: User) -> list[int]:
    return list(ClientScope.objects.filter(user=user.pk).order_by().values_list("client", flat=True))
