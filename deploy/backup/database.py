"""Prints, as lines for a shell to read, which database the product's variables name.

    database.py                that of DATABASE_URL
    database.py --as NAME      the same under another name: for SQLite the path of a file

PostgreSQL's programs find the server by PG… variables, so that no password stands in the list of processes.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from django.conf import settings  # noqa: E402
from psycopg import pq  # noqa: E402

from config import env, start  # noqa: E402


def main(name: str | None) -> None:
    start.load_settings()
    database = settings.DATABASES["default"]
    if "sqlite" in database["ENGINE"]:
        file = str(Path(name or database["NAME"]).resolve())
        say(engine="sqlite", name=file, export_DATABASE_URL=f"sqlite:///{file}")
        return
    url = urlsplit(env.text("DATABASE_URL"))
    if name is not None:
        url = url._replace(path=f"/{quote(name, safe='')}")
    told = {
        option.envvar.decode(): option.val.decode()
        for option in pq.Conninfo.parse(urlunsplit(url).encode())
        if option.val is not None and option.envvar is not None
    }
    if "PGDATABASE" not in told:
        sys.exit("DATABASE_URL names no database.")
    say(engine="postgresql", name=told["PGDATABASE"], export_DATABASE_URL=urlunsplit(url))
    say(**{f"export_{variable}": value for variable, value in told.items()})


def say(**variables: str) -> None:
    for variable, value in variables.items():
        print(f"{variable.replace('export_', 'export ', 1)}={shlex.quote(value)}")


if __name__ == "__main__":
    main(sys.argv[2] if sys.argv[1:2] == ["--as"] else None)
