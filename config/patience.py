"""How long a page may keep the database busy, so that one question does not make everybody else wait.

Only the web server's connections are limited so, and only PostgreSQL can limit them. Workers have the time limit of
their tasks; what asks for more or less for one question says so by SET LOCAL. What a page that is given up says is in
config/unanswered.py.
"""

from __future__ import annotations

from typing import Any

STATEMENT = 15  # seconds for one question; the longest that a page is meant to ask takes under one
LOCK = 5  # seconds for which a page waits for a row that somebody else is changing


def limit_pages(database: dict[str, Any]) -> None:
    """Limit what this process asks of the database, of which `database` are the settings, before it connects.

    What DATABASE_URL says goes first.
    """
    if database["ENGINE"] == "django.db.backends.postgresql":
        options = database["OPTIONS"]
        limits = f"-c statement_timeout={STATEMENT}s -c lock_timeout={LOCK}s"
        options["options"] = f"{limits} {options.get('options', '')}".strip()  # of two, the server takes the later
