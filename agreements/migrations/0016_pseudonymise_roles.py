"""Who gives up what names a contact: the administrator alone, for it cannot be undone."""

from __future__ import annotations

from django.db import migrations

from config.roles import ADMINISTRATOR, grant


class Migration(migrations.Migration):
    dependencies = [("agreements", "0015_erased")]

    operations = [grant("agreements", {ADMINISTRATOR: ["pseudonymise_contact"]})]
