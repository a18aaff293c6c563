"""The admin of incidents, by page."""

from django.contrib import admin

from config.admin import AuditedModelAdmin
from incidents.models import Incident

admin.site.register(Incident, AuditedModelAdmin)
