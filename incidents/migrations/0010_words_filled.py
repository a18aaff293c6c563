"""Fold the titles that are there, and let PostgreSQL find words in a million of them."""

from __future__ import annotations

from django.db import migrations

from config.search import fold_all, trigram_index


class Migration(migrations.Migration):
    dependencies = [("incidents", "0009_words")]

    operations = [
        fold_all("incidents", "incident", "words"),
        trigram_index("incident_words", "incidents_incident", "words"),
    ]
