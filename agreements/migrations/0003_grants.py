"""What each role may do with agreements."""

from __future__ import annotations

from django.db import migrations

from config.roles import ADMINISTRATOR, AUDITOR, MANAGER, OPERATOR, every, grant

ALL = (
    "client",
    "contact",
    "service",
    "servicecalendar",
    "openinghours",
    "specialday",
    "serviceagreement",
    "servicecoverage",
    "commitment",
    "warningpoint",
    "severitydefinition",
)
#: Rows of a form that a manager may also take out again; what is in use is protected by the database.
PARTS = ("openinghours", "specialday", "servicecoverage", "commitment", "warningpoint", "severitydefinition")
KEEP = [*every("view", *ALL), *every("add", *ALL), *every("change", *ALL), *every("delete", *PARTS)]
#: Which clients a colleague is limited to.
READ_SCOPE = ["view_clientscope"]
SET_SCOPE = [*READ_SCOPE, "add_clientscope", "delete_clientscope"]
#: Gives up what names a person, which cannot be undone.
PSEUDONYMISE = "pseudonymise_contact"


class Migration(migrations.Migration):
    replaces = [("agreements", "0016_pseudonymise_roles")]
    dependencies = [("agreements", "0010_one_version_at_a_time_again"), ("config", "0024_factor_events")]

    operations = [
        grant(
            "agreements",
            {
                OPERATOR: every("view", *ALL),
                MANAGER: [*KEEP, *READ_SCOPE],
                AUDITOR: [*every("view", *ALL), *READ_SCOPE],
                ADMINISTRATOR: [*KEEP, *SET_SCOPE, PSEUDONYMISE],
            },
        )
    ]
