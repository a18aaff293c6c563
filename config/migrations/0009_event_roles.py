"""Who reads the audit trail: the auditor, and whoever answers for what others do."""

from __future__ import annotations

from django.db import migrations

from config.roles import ADMINISTRATOR, AUDITOR, MANAGER, grant


class Migration(migrations.Migration):
    dependencies = [("config", "0008_event")]

    operations = [grant("config", {role: ["view_event"] for role in (AUDITOR, MANAGER, ADMINISTRATOR)})]
