"""What each role may do with people, with what they took out of the house, and with the trail."""

from __future__ import annotations

from django.db import migrations

from config.roles import ADMINISTRATOR, AUDITOR, MANAGER, OPERATOR, every, grant

ALL = every("view", "user", "export")
#: The trail is read by the auditor, and by whoever answers for what others do; so is the review queue.
TRAIL = every("view", "event", "concern", "lookedat")


class Migration(migrations.Migration):
    replaces = [("config", "0024_factor_events")]
    dependencies = [("config", "0023_browser_report_roles")]

    operations = [
        grant(
            "config",
            {
                OPERATOR: ALL,
                MANAGER: [*ALL, *TRAIL],
                AUDITOR: [*ALL, *TRAIL, "add_lookedat"],
                ADMINISTRATOR: [*ALL, *TRAIL, *every("add", "user"), *every("change", "user"), "view_browserreport"],
            },
        )
    ]
