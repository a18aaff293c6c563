"""Gives acknowledgements a rising key of their own, in the order in which they came.

A table cannot get another primary key on every database, so it is made anew.
"""

from __future__ import annotations

from typing import Any

import django.db.models.deletion
from django.db import migrations, models


def copy(apps: Any, schema_editor: Any) -> None:
    former = apps.get_model("incidents", "FormerAcknowledgement")
    anew = apps.get_model("incidents", "Acknowledgement")
    columns = ("notice_id", "at", "from_address", "user_agent")
    for row in former.objects.order_by("at", "notice_id").values(*columns).iterator():
        anew.objects.create(**row)


class Migration(migrations.Migration):
    dependencies = [("incidents", "0014_changed_fields")]

    operations = [
        migrations.RenameModel("Acknowledgement", "FormerAcknowledgement"),
        migrations.CreateModel(
            name="Acknowledgement",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "notice",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="acknowledgement",
                        to="incidents.notice",
                        verbose_name="notice",
                    ),
                ),
                ("at", models.DateTimeField(verbose_name="at")),
                ("from_address", models.GenericIPAddressField(blank=True, null=True, verbose_name="from")),
                ("user_agent", models.CharField(blank=True, max_length=300, verbose_name="by the program")),
            ],
            options={
                "verbose_name": "acknowledgement",
                "verbose_name_plural": "acknowledgements",
                "ordering": ("-at",),
            },
        ),
        migrations.RunPython(copy, migrations.RunPython.noop),
        migrations.DeleteModel("FormerAcknowledgement"),
    ]
