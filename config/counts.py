"""How many rows there are: all counts of a page in one query, none of them further than people read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connection
from django.db.models import QuerySet

#: Nothing is counted further, so that a count costs the same however much there is.
CAP = 999


def how_many(found: Sequence[QuerySet[Any]], *, up_to: int = CAP) -> list[int]:
    """How many rows each has; `up_to` + 1 stands for any more."""
    return _asked("(SELECT COUNT(*) FROM ({}) AS counted)", found, up_to + 1)


def are_there(found: Sequence[QuerySet[Any]]) -> list[bool]:
    """Whether each has any row."""
    return [bool(is_there) for is_there in _asked("EXISTS({})", found, 1)]


def _asked(question: str, found: Sequence[QuerySet[Any]], most: int) -> list[Any]:
    """Of so many rows of each."""
    if not found:
        return []
    asked: list[str] = []
    values: list[Any] = []
    for rows in found:
        sql, its_values = written_out(rows.order_by().values("pk")[:most])
        asked.append(question.format(sql))
        values.extend(its_values)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(asked)}", values)
        return list(cursor.fetchone())


def written_out(rows: QuerySet[Any, Any]) -> tuple[str, Sequence[Any]]:
    """The SQL and its values, to be put together by hand: the ORM takes longer for that than the database to answer."""
    compiler: Any = rows.query.get_compiler(connection=connection, elide_empty=False)
    sql, values = compiler.as_sql()
    return sql, values


def in_words(count: int) -> str:
    """`12`, and `999+` above the cap."""
    return str(count) if count <= CAP else f"{CAP}+"
