"""What this floor adds to the navigation and the top bar of every page."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from config.admin import trail
from config.navigation import Count, Entry, Part
from config.site import site
from incidents.admin import retention
from incidents.admin.decisions import ATTENTION
from incidents.models import Deadline, Incident, Notice

VIEW_INCIDENT = "incidents.view_incident"

site.search = Entry(_("Search incidents"), "admin:incidents_incident_changelist", VIEW_INCIDENT)
site.main_act = Entry(_("Declare incident"), "admin:incidents_incident_add", "incidents.add_incident")
site.register_entries(
    Entry(
        _("Incidents"),
        "admin:incidents_incident_changelist",
        VIEW_INCIDENT,
        count=Count(lambda now: Incident.objects.open(), _("open")),
    ),
    Entry(
        _("Deadlines"),
        "admin:incidents_deadline_changelist",
        "incidents.view_deadline",
        count=Count(lambda now: Deadline.objects.open(), _("open")),
    ),
    Entry(_("Notices"), "admin:incidents_notice_changelist", "incidents.view_notice"),
    Entry(
        _("Needs a person"),
        ATTENTION,
        "incidents.view_notice",
        count=Count(lambda now: Notice.objects.needing_a_person(), _("notices"), "bad"),
    ),
    Entry(
        _("Message templates"),
        "admin:incidents_messagetemplate_changelist",
        "incidents.view_messagetemplate",
        Part.AGREEMENTS,
    ),
    Entry(_("Retention"), f"admin:{retention.PAGE}", trail.PERMISSION, Part.OVERSIGHT),
    Entry(
        _("Intake of alerts"), "admin:incidents_intaketoken_changelist", "incidents.view_intaketoken", Part.OVERSIGHT
    ),
    Entry(_("Sending of mail"), "admin:incidents_sending_changelist", "incidents.view_sending", Part.OVERSIGHT),
)
