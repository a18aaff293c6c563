"""Who may see, and who may say, which clients a colleague is limited to."""

from __future__ import annotations

from django.db import migrations

from config.roles import ADMINISTRATOR, AUDITOR, MANAGER, grant

READ = ["view_clientscope"]


class Migration(migrations.Migration):
    dependencies = [("agreements", "0012_client_scope")]

    operations = [
        grant(
            "agreements",
            {
                MANAGER: READ,
                AUDITOR: READ,
                ADMINISTRATOR: [*READ, "add_clientscope", "delete_clientscope"],
            },
        )
    ]
