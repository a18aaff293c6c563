"""Everybody reads the statements that clients were sent; managers send them."""

from __future__ import annotations

from django.db import migrations

from config.roles import ADMINISTRATOR, AUDITOR, MANAGER, OPERATOR, grant

VIEW, SEND = "view_clientstatement", "add_clientstatement"


class Migration(migrations.Migration):
    dependencies = [("reviews", "0016_client_statement")]

    operations = [
        grant("reviews", {OPERATOR: [VIEW], MANAGER: [VIEW, SEND], AUDITOR: [VIEW], ADMINISTRATOR: [VIEW, SEND]})
    ]
