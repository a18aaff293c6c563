"""Everybody may read what was exported; nobody writes it by hand."""

from __future__ import annotations

from django.db import migrations

from config.roles import ROLES, grant


class Migration(migrations.Migration):
    dependencies = [("config", "0004_exports")]

    operations = [grant("config", {role: ["view_export"] for role in ROLES})]
