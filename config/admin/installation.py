"""The page on which those who run the product see how it is: what the doctor finds, and what browsers refused."""

from __future__ import annotations

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.template.response import TemplateResponse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from config import doctor, instants
from config.admin.histories import READING_METHODS
from config.admin.values import badge
from config.doctor import Level
from config.models import BrowserReport
from config.navigation import Entry, Part
from config.site import site

PAGE = "installation"
VIEW = "config.view_browserreport"
SHOWN = 50  # reports
#: Tone, sign and words of each level, the worst first.
BADGES = {
    Level.ERROR: ("crit", "✕", _("Error")),
    Level.WARNING: ("high", "!", _("Worth a look")),
    Level.OK: ("ok", "✓", _("As it should be")),
}


def page(request: HttpRequest) -> HttpResponse:
    """What is not as it should be comes first. What speaks to other machines is left to `manage.py doctor`."""
    if request.method not in READING_METHODS:
        return HttpResponseNotAllowed(READING_METHODS)
    if not request.user.has_perm(VIEW):
        raise PermissionDenied
    found = sorted(doctor.examine(instants.now(), reaching_out=False), key=lambda one: [*BADGES].index(one.level))
    context = {
        **admin.site.each_context(request),
        "title": _now("The installation"),
        "findings": [(finding, _badge(finding)) for finding in found],
        "reports": BrowserReport.objects.all()[:SHOWN],
    }
    return TemplateResponse(request, "admin/installation.html", context)


def _badge(finding: doctor.Finding) -> SafeString:
    tone, sign, words = BADGES[finding.level]
    return badge(words, tone, sign)


site.register_entries(Entry(_("The installation"), f"admin:{PAGE}", VIEW, Part.OVERSIGHT))
