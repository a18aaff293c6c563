"""What each role may do with the parts of a review; approving and waiving is for managers."""

from __future__ import annotations

from django.db import migrations

from config.roles import ADMINISTRATOR, AUDITOR, MANAGER, OPERATOR, every, grant

PARTS = ("contributor", "reviewlink", "timelinepick", "answer", "finding", "factor")
WRITE = [*every("view", *PARTS), *every("add", *PARTS), *every("change", *PARTS), *every("delete", *PARTS)]
RULES = ("reviewpolicy", "questionset", "question")
KEEP = [*every("view", *RULES), *every("add", *RULES), *every("change", *RULES)]
APPROVE = "approve_postincidentreview"


class Migration(migrations.Migration):
    dependencies = [("reviews", "0010_status_constraints")]

    operations = [
        grant(
            "reviews",
            {
                OPERATOR: [*WRITE, *every("view", *RULES)],
                MANAGER: [*WRITE, *KEEP, APPROVE],
                AUDITOR: every("view", *PARTS, *RULES),
                ADMINISTRATOR: [*WRITE, *KEEP, APPROVE],
            },
        )
    ]
