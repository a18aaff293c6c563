"""What each role may do with people."""

from __future__ import annotations

from django.db import migrations

from config.roles import ADMINISTRATOR, AUDITOR, MANAGER, OPERATOR, every, grant


class Migration(migrations.Migration):
    dependencies = [("config", "0001_initial")]

    operations = [
        grant(
            "config",
            {
                OPERATOR: every("view", "user"),
                MANAGER: every("view", "user"),
                AUDITOR: every("view", "user"),
                ADMINISTRATOR: [*every("view", "user"), *every("add", "user"), *every("change", "user")],
            },
        )
    ]
