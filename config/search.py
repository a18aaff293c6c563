"""Search that finds the same on every database: by text that is folded when it is saved.

Folded means without accents and without upper case, words apart by one space, the first after a space too. Words that
are searched are folded the same way, so no database needs to know how, and PostgreSQL serves `LIKE '%word%'` from a
trigram index.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self, TypeVar

from django.db import models
from django.db.migrations import RunPython
from django.db.models import Q

from config.history import AuditedQuerySet

MOST_WORDS = 8
LONGEST_TEXT = 200  # characters of what is typed that are looked at
SHORTEST_WORD = 3  # a trigram; shorter ones have to begin a word, which makes one with the space before them

if TYPE_CHECKING:
    TextOf = models.TextField[str, str]
else:
    TextOf = models.TextField


def fold(text: str) -> str:
    """`Ångström, GROSSE Straße` → `angstrom, grosse strasse`."""
    apart = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    plain = "".join(sign for sign in apart if not unicodedata.combining(sign))
    return " ".join(plain.replace("\x00", " ").split())


def words(text: str) -> list[str]:
    """What is searched for, folded: every word has to be found. What is more than anybody types is left out."""
    return list(dict.fromkeys(fold(text[:LONGEST_TEXT]).split()))[:MOST_WORDS]


class FoldedField(TextOf):
    """The fields named by `of`, folded into one text. Written by every save; nobody else's to write."""

    def __init__(self, *args: Any, of: Sequence[str] = (), **options: Any) -> None:
        self.of = tuple(of)
        options |= {"blank": True, "default": "", "editable": False}
        super().__init__(*args, **options)

    def deconstruct(self) -> tuple[str, str, Sequence[Any], dict[str, Any]]:
        name, path, args, options = super().deconstruct()
        for fixed in ("blank", "editable"):
            options.pop(fixed, None)
        return name, path, args, {**options, "of": self.of}

    def pre_save(self, instance: models.Model, add: bool) -> str:
        folded = " " + fold(" ".join(str(getattr(instance, name)) for name in self.of))
        setattr(instance, self.attname, folded)
        return folded


def holding(name: str, word: str) -> Q:
    """Rows whose folded field `name` holds the folded word."""
    return Q(**{f"{name}__contains": word if len(word) >= SHORTEST_WORD else f" {word}"})


def either(*found: models.QuerySet[Any]) -> Q:
    """Rows that any of these querysets of one model finds; each may use an index of its own, which OR would not."""
    first, *others = (queryset.order_by().values("pk") for queryset in found)
    return Q(pk__in=first.union(*others))


Row = TypeVar("Row", bound=models.Model)


class FoundByWords(AuditedQuerySet[Row]):
    """Rows with a folded field `words`; a model that is found by more says so in `found_by`."""

    def search(self, text: str, reader: Any = None) -> Self:
        """Those in which every word of the text is found, in any order; all of them if there is no word.

        A person who reads finds nothing by what they do not see (config/scope.py).
        """
        found = self
        for word in words(text):
            found = found.filter(self.found_by(word, reader))
        return found

    def found_by(self, word: str, reader: Any = None) -> Q:
        return holding("words", word)

    def named(self, text: str) -> Self:
        """The one whose name this is; if there is none, those whose name has all its words."""
        exact = self.filter(words=f" {fold(text)}")
        return exact if exact.exists() else self.search(text)


# ── for migrations ──────────────────────────────────────────────────────────────────────────────────────────────────


def trigram_index(index: str, table: str, column: str) -> RunPython:
    """A step that makes the index behind `holding` on PostgreSQL; SQLite reads the table, which is quick enough there.

    Where the server lacks the extension (it comes with PostgreSQL's own contributed modules, and the owner of a
    database may create it), search finds the same, only slower.
    """

    def make(apps: Any, schema_editor: Any) -> None:
        if schema_editor.connection.vendor != "postgresql":
            return
        with schema_editor.connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'pg_trgm'")
            if cursor.fetchone() is None:
                return
            cursor.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
            cursor.execute(f"CREATE INDEX IF NOT EXISTS {index} ON {table} USING gin ({column} gin_trgm_ops)")

    def drop(apps: Any, schema_editor: Any) -> None:
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.execute(f"DROP INDEX IF EXISTS {index}")

    return RunPython(make, drop)
