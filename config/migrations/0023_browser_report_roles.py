"""Those who run the product read what browsers refused, and how the installation is."""

from __future__ import annotations

from django.db import migrations

from config.roles import ADMINISTRATOR, grant


class Migration(migrations.Migration):
    dependencies = [("config", "0022_browser_report")]

    operations = [grant("config", {ADMINISTRATOR: ["view_browserreport"]})]
