"""What each role may do with reviews."""

from __future__ import annotations

from django.db import migrations

from config.roles import ADMINISTRATOR, AUDITOR, MANAGER, OPERATOR, every, grant

ALL = ("postincidentreview", "correctiveaction")
WRITE = [*every("view", *ALL), *every("add", *ALL), *every("change", *ALL)]


class Migration(migrations.Migration):
    dependencies = [("reviews", "0001_initial"), ("incidents", "0002_roles")]

    operations = [
        grant("reviews", {OPERATOR: WRITE, MANAGER: WRITE, AUDITOR: every("view", *ALL), ADMINISTRATOR: WRITE})
    ]
