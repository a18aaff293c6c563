"""What this floor adds to the pages of agreements and of clients: open incidents, and what was last sent and read."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.db.models import F, Min, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from agreements.models import Client, ServiceAgreement
from config.admin import list_of
from config.site import Panel, site
from incidents.admin.badges import OfIncident, OfNotice
from incidents.admin.present_terms import PERMISSION as APPLY
from incidents.models import AffectedAgreement, Incident, Notice

SHOWN_INCIDENTS = 20
SHOWN_NOTICES = 10
NEXT_DUE = "next_due_at"


@dataclass(frozen=True)
class IncidentRow(OfIncident):
    next_due_at: dt.datetime | None


@site.register_panel(ServiceAgreement)
def under_agreement(request: HttpRequest, agreement: ServiceAgreement, now: dt.datetime) -> Panel | None:
    """Incidents that are open and fall under this version, with the way to apply what it says now to them."""
    if not request.user.has_perm("incidents.view_incident"):
        return None
    content = _open_incidents(AffectedAgreement.objects.included().filter(agreement=agreement), agreement=agreement)
    if request.user.has_perm(APPLY):
        content["apply_url"] = f"{reverse('admin:incidents_deadline_present_terms')}?agreement={agreement.pk}"
    return Panel(_("Open incidents under it"), "admin/incidents/open_incidents.html", content)


@site.register_panel(Client)
def of_client(request: HttpRequest, client: Client, now: dt.datetime) -> Panel | None:
    if not request.user.has_perm("incidents.view_incident"):
        return None
    content = _open_incidents(AffectedAgreement.objects.included().filter(agreement__client=client), client=client)
    return Panel(_("Open incidents"), "admin/incidents/open_incidents.html", content)


@site.register_panel(Client)
def told(request: HttpRequest, client: Client, now: dt.datetime) -> Panel | None:
    """The latest notices to this client's contacts, and who has acknowledged them."""
    if not request.user.has_perm("incidents.view_notice"):
        return None
    notices = client.notices.filter(contact__isnull=False).select_related("incident", "acknowledgement")
    found = list(notices.without_bodies().order_by("-made_at", "-pk")[: SHOWN_NOTICES + 1])
    content = {
        "rows": [OfNotice(notice) for notice in found[:SHOWN_NOTICES]],
        "more_url": f"{list_of(Notice)}?client={client.pk}" if len(found) > SHOWN_NOTICES else "",
    }
    return Panel(_("What it was told last"), "admin/incidents/told_last.html", content)


def _open_incidents(affected: QuerySet[AffectedAgreement], **narrow: Any) -> dict[str, Any]:
    """The open ones among these, what is due first on top; what is due is due under the same agreements."""
    owed = Q(deadlines__met_at__isnull=True, deadlines__ended_at__isnull=True)
    owed &= Q(**{f"deadlines__{name}": value for name, value in narrow.items()})
    incidents = Incident.objects.open().filter(pk__in=affected.values("incident"))
    ordered = incidents.annotate(**{NEXT_DUE: Min("deadlines__due_at", filter=owed)})
    found = list(ordered.order_by(F(NEXT_DUE).asc(nulls_last=True), "-declared_at")[: SHOWN_INCIDENTS + 1])
    return {
        "rows": [IncidentRow(incident, getattr(incident, NEXT_DUE)) for incident in found[:SHOWN_INCIDENTS]],
        "more_url": f"{list_of(Incident)}?status=open" if len(found) > SHOWN_INCIDENTS else "",
    }
