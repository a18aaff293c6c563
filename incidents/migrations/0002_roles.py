"""What each role may do with incidents."""

from __future__ import annotations

from django.db import migrations

from config.roles import ADMINISTRATOR, AUDITOR, MANAGER, OPERATOR, every, grant

ALL = (
    "incident",
    "affectedservice",
    "affectedagreement",
    "responder",
    "timelineentry",
    "deadline",
    "notice",
    "deliveryattempt",
)
#: Changing an incident means to use its verbs; changing a notice, to send it again.
RESPOND = [*every("view", *ALL), "add_incident", "change_incident", "change_notice"]


class Migration(migrations.Migration):
    dependencies = [("incidents", "0001_initial"), ("agreements", "0003_roles")]

    operations = [
        grant(
            "incidents",
            {OPERATOR: RESPOND, MANAGER: RESPOND, AUDITOR: every("view", *ALL), ADMINISTRATOR: RESPOND},
        )
    ]
