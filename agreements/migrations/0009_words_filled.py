"""Fold the names that are there, so that search finds them."""

from __future__ import annotations

from django.db import migrations

from config.search import fold_all


class Migration(migrations.Migration):
    dependencies = [("agreements", "0008_words")]

    operations = [
        fold_all("agreements", "client", "words"),
        fold_all("agreements", "service", "words"),
        fold_all("agreements", "serviceagreement", "words"),
    ]
