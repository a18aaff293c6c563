"""What each role may do with the sending of mail."""

from __future__ import annotations

from django.db import migrations

from config.roles import ADMINISTRATOR, AUDITOR, MANAGER, OPERATOR, every, grant

ALL = ("sending", "acknowledgement", "heartbeat")
READ = every("view", *ALL)
#: Changing the sending means to hold and to release it: whoever answers for the agreements decides that.
HOLD = [*READ, "change_sending"]


class Migration(migrations.Migration):
    dependencies = [("incidents", "0004_delivery")]

    operations = [
        grant("incidents", {OPERATOR: READ, MANAGER: HOLD, AUDITOR: READ, ADMINISTRATOR: HOLD}),
    ]
