"""How long it took to detect, acknowledge, notify, mitigate and resolve: computed from instants, never typed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from django.db.models import Min, QuerySet, TextChoices
from django.utils.translation import gettext_lazy as _

from agreements.models import Client, Obligation
from config import scope
from config.models import User
from incidents.models import Deadline, Incident, Notice
from incidents.models.notice import NoticeKind

#: By which a client hears of an incident.
TELLING = (NoticeKind.CLIENT_NOTICE, NoticeKind.HOLDING_NOTICE)


class PhaseName(TextChoices):
    """The first runs from when it happened, the others from when it was detected."""

    DETECTION = "detection", _("Detection")
    ACKNOWLEDGEMENT = "acknowledgement", _("Acknowledgement")
    NOTICE = "notice", _("Notice")
    MITIGATION = "mitigation", _("Mitigation")
    RESOLUTION = "resolution", _("Resolution")


@dataclass(frozen=True)
class Phase:
    """Either instant is None while nobody knows it, or it has not come."""

    name: PhaseName
    begins_at: dt.datetime | None
    ends_at: dt.datetime | None

    @property
    def took(self) -> dt.timedelta | None:
        if self.begins_at is None or self.ends_at is None:
            return None
        return self.ends_at - self.begins_at


def of(incident: Incident, notified_at: dt.datetime | None) -> list[Phase]:
    """All five in the order of an incident's life; `notified_at` as `first_notified` finds it."""
    since = incident.detected_at
    return [
        Phase(PhaseName.DETECTION, incident.occurred_at, since),
        Phase(PhaseName.ACKNOWLEDGEMENT, since, incident.acknowledged_at),
        Phase(PhaseName.NOTICE, since, notified_at),
        Phase(PhaseName.MITIGATION, since, incident.mitigated_at),
        Phase(PhaseName.RESOLUTION, since, incident.resolved_at),
    ]


def first_notified(
    incidents: Collection[int] | QuerySet[Any, Any], reader: User | None = None, client: Client | None = None
) -> dict[int, dt.datetime]:
    """When the first client of each was told: by a mail that was accepted, or by other means that met NOTIFY.

    For a reader, the first of the clients whom they see; or when this one client was told, whenever others were.
    """
    met = Deadline.objects.filter(incident__in=incidents, obligation=Obligation.NOTIFY, met_at__isnull=False)
    accepted = Notice.objects.filter(incident__in=incidents, kind__in=TELLING, accepted_at__isnull=False)
    found: dict[int, dt.datetime] = {}
    for rows, instant in ((met, "met_at"), (accepted, "accepted_at")):
        rows = scope.visible(rows, reader) if reader else rows
        rows = rows.filter(client=client) if client else rows
        for incident, first in rows.order_by().values_list("incident").annotate(first=Min(instant)):
            found[incident] = min(first, found.get(incident, first))
    return found
