"""Who lets machines in: the administrator. Managers and auditors see what there is."""

from __future__ import annotations

from django.db import migrations

from config.roles import ADMINISTRATOR, AUDITOR, MANAGER, grant


class Migration(migrations.Migration):
    dependencies = [("incidents", "0026_intake")]

    operations = [
        grant(
            "incidents",
            {
                MANAGER: ["view_intaketoken"],
                AUDITOR: ["view_intaketoken"],
                ADMINISTRATOR: ["view_intaketoken", "add_intaketoken", "change_intaketoken"],
            },
        )
    ]
