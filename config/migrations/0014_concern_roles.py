"""Whoever reads the trail reads the review queue; the auditor alone marks what was looked at."""

from __future__ import annotations

from django.db import migrations

from config.roles import ADMINISTRATOR, AUDITOR, MANAGER, grant


class Migration(migrations.Migration):
    dependencies = [("config", "0013_concerns")]

    operations = [
        grant(
            "config",
            {
                AUDITOR: ["view_concern", "view_lookedat", "add_lookedat"],
                MANAGER: ["view_concern", "view_lookedat"],
                ADMINISTRATOR: ["view_concern", "view_lookedat"],
            },
        )
    ]
