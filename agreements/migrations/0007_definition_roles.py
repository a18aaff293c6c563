"""What each role may do with what the severities mean: the same as with the other words of an agreement."""

from __future__ import annotations

from django.db import migrations

from config.roles import ADMINISTRATOR, AUDITOR, MANAGER, OPERATOR, grant

READ = ["view_severitydefinition"]
KEEP = [*READ, "add_severitydefinition", "change_severitydefinition", "delete_severitydefinition"]


class Migration(migrations.Migration):
    dependencies = [("agreements", "0006_severity_definitions")]

    operations = [grant("agreements", {OPERATOR: READ, MANAGER: KEEP, AUDITOR: READ, ADMINISTRATOR: KEEP})]
