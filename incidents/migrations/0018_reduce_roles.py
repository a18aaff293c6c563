"""Who gives up the texts of old notices: the administrator, who answers for what is kept of people."""

from __future__ import annotations

from django.db import migrations

from config.roles import ADMINISTRATOR, grant


class Migration(migrations.Migration):
    dependencies = [("incidents", "0017_reduce_permission")]

    operations = [grant("incidents", {ADMINISTRATOR: ["reduce_notice"]})]
