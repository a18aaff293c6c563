"""What this floor adds to the navigation of every page."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from agreements.models import ServiceCalendar
from config.navigation import Count, Entry, Part
from config.site import site

site.register_entries(
    Entry(_("Clients"), "admin:agreements_client_changelist", "agreements.view_client", Part.AGREEMENTS),
    Entry(
        _("Service agreements"),
        "admin:agreements_serviceagreement_changelist",
        "agreements.view_serviceagreement",
        Part.AGREEMENTS,
    ),
    Entry(
        _("Calendars"),
        "admin:agreements_servicecalendar_changelist",
        "agreements.view_servicecalendar",
        Part.AGREEMENTS,
        Count(lambda now: ServiceCalendar.objects.running_out(now), _("running out"), "warn"),
    ),
    Entry(_("Services"), "admin:agreements_service_changelist", "agreements.view_service", Part.AGREEMENTS),
)
