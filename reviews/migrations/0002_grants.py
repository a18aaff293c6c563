"""What each role may do with reviews; approving and waiving is for managers, and so is sending a statement."""

from __future__ import annotations

from django.db import migrations

from config.roles import ADMINISTRATOR, AUDITOR, MANAGER, OPERATOR, every, grant

REVIEWS = ("postincidentreview", "correctiveaction")
PARTS = ("contributor", "reviewlink", "timelinepick", "answer", "finding", "factor")
RULES = ("reviewpolicy", "questionset", "question")
READ = every("view", *REVIEWS, *PARTS, *RULES, "clientstatement")
WRITE = [*READ, *every("add", *REVIEWS, *PARTS), *every("change", *REVIEWS, *PARTS), *every("delete", *PARTS)]
ANSWER_FOR = [*every("add", *RULES), *every("change", *RULES), "approve_postincidentreview", "add_clientstatement"]


class Migration(migrations.Migration):
    replaces = [("reviews", "0017_statement_roles")]
    dependencies = [("reviews", "0016_client_statement"), ("incidents", "0027_intake_roles")]

    operations = [
        grant(
            "reviews",
            {
                OPERATOR: WRITE,
                MANAGER: [*WRITE, *ANSWER_FOR],
                AUDITOR: READ,
                ADMINISTRATOR: [*WRITE, *ANSWER_FOR],
            },
        )
    ]
