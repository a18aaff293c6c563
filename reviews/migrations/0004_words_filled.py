"""Fold what is there, so that search finds it."""

from __future__ import annotations

from django.db import migrations

from config.search import fold_all


class Migration(migrations.Migration):
    dependencies = [("reviews", "0003_words")]

    operations = [
        fold_all("reviews", "correctiveaction", "words"),
    ]
