"""What each role may do with message templates."""

from __future__ import annotations

from django.db import migrations

from config.roles import ADMINISTRATOR, AUDITOR, MANAGER, OPERATOR, grant

READ = ["view_messagetemplate"]
KEEP = [*READ, "add_messagetemplate", "change_messagetemplate"]


class Migration(migrations.Migration):
    dependencies = [("incidents", "0007_message_templates")]

    operations = [
        grant("incidents", {OPERATOR: READ, MANAGER: KEEP, AUDITOR: READ, ADMINISTRATOR: KEEP}),
    ]
