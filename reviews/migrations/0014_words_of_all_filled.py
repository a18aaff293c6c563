"""Fold what reviews say, and let PostgreSQL find words in all of them."""

from __future__ import annotations

from django.db import migrations

from config.search import fold_all, trigram_index

#: Folded anew with the migration before this one.
FOLDED = ("postincidentreview", "answer", "finding", "timelinepick")
#: Folded since they were made.
OTHERS = ("factor", "correctiveaction")


class Migration(migrations.Migration):
    dependencies = [("reviews", "0013_words_of_all")]

    operations = [
        *(fold_all("reviews", name, "words") for name in FOLDED),
        *(trigram_index(f"{name}_words", f"reviews_{name}", "words") for name in (*FOLDED, *OTHERS)),
    ]
