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
)
#: Rows of a form that a manager may also take out again; what is in use is protected by the database.
PARTS = ("openinghours", "specialday", "servicecoverage", "commitment", "warningpoint")
KEEP = [*every("view", *ALL), *every("add", *ALL), *every("change", *ALL), *every("delete", *PARTS)]


class Migration(migrations.Migration):
    dependencies = [("agreements", "0002_initial"), ("config", "0002_roles")]

    operations = [
        grant(
            "agreements",
            {OPERATOR: every("view", *ALL), MANAGER: KEEP, AUDITOR: every("view", *ALL), ADMINISTRATOR: KEEP},
        )
    ]
