"""What each role may do with incidents, and with the sending of mail."""

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
    "sending",
    "acknowledgement",
    "heartbeat",
    "messagetemplate",
)
#: Changing an incident means to use its verbs; changing a notice, to send it again.
RESPOND = [*every("view", *ALL), "add_incident", "change_incident", "change_notice"]
#: Changing the sending means to hold and to release it: whoever answers for the agreements decides that.
KEEP = [*RESPOND, "change_sending", "add_messagetemplate", "change_messagetemplate"]
#: Machines are let in by the administrator, who also answers for what is kept of people: the texts of old notices.
SEE_INTAKE = ["view_intaketoken"]
KEEP_INTAKE = [*SEE_INTAKE, "add_intaketoken", "change_intaketoken"]
REDUCE = "reduce_notice"


class Migration(migrations.Migration):
    replaces = [("incidents", "0027_intake_roles")]
    dependencies = [("incidents", "0026_intake"), ("agreements", "0016_pseudonymise_roles")]

    operations = [
        grant(
            "incidents",
            {
                OPERATOR: RESPOND,
                MANAGER: [*KEEP, *SEE_INTAKE],
                AUDITOR: [*every("view", *ALL), *SEE_INTAKE],
                ADMINISTRATOR: [*KEEP, *KEEP_INTAKE, REDUCE],
            },
        )
    ]
