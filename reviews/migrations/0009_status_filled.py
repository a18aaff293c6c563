"""What was completed before reviews had a status is closed; in the trail too, which nobody could have told otherwise."""

from __future__ import annotations

from typing import Any

from django.db import migrations


def close_what_is_completed(apps: Any, schema_editor: Any) -> None:
    for name in ("PostIncidentReview", "HistoricalPostIncidentReview"):
        apps.get_model("reviews", name).objects.filter(completed_at__isnull=False).update(status="closed")


class Migration(migrations.Migration):
    dependencies = [("reviews", "0008_document")]

    operations = [migrations.RunPython(close_what_is_completed, migrations.RunPython.noop)]
