"""How long an import of as many lines as one may have takes. `python -m tests.bench.imports`"""

from __future__ import annotations

import argparse
import csv
import io
import time
from collections.abc import Callable, Iterator

from agreements.models import Severity
from agreements.transfer import Agreements, Calendars, Clients, Commitments, Contacts, Services
from config import instants, sheets, transfer
from config.models import User
from config.transfer import Kind
from incidents.transfer import PastIncidents
from tests import cast
from tests.bench.stage import DATABASES

Cells = dict[str, str]


def _contacts(count: int) -> Iterator[Cells]:
    for n in range(count):
        yield {"client": "Northwind", "address": f"duty{n}@northwind.example", "name": f"Duty {n}"}


def _commitments(count: int) -> Iterator[Cells]:
    for n in range(count):
        severity = list(Severity)[n % len(Severity)].value
        yield {
            "reference": "NW-2025-03", "severity": severity, "obligation": "notify", "amount": "4", "unit": "hours",
            "label": f"Clause {n}", "warnings": "50% = responders; 80% = owner",
        }  # fmt: skip


def _incidents(count: int) -> Iterator[Cells]:
    for n in range(count):
        yield {
            "reference": f"OLD-{n:05}", "title": f"Object storage was down, no. {n}", "severity": "high",
            "description": "Uploads failed for every client in the region. " * 10, "services": "Object storage",
            "agreements": "NW-2025-03",
            "detected_at": "2026-05-02T08:15:00+02:00", "resolved_at": "2026-05-02T11:40:00+02:00",
        }  # fmt: skip


MEASURED: dict[type[Kind], Callable[[int], Iterator[Cells]]] = {
    Contacts: _contacts,
    Commitments: _commitments,
    PastIncidents: _incidents,
}


def file_of(rows: Iterator[Cells]) -> bytes:
    lines = list(rows)
    out = io.StringIO()
    writer = csv.DictWriter(out, list(lines[0]))
    writer.writeheader()
    writer.writerows(lines)
    return out.getvalue().encode()


def taken(kind: type[Kind], content: bytes, by: User) -> Iterator[tuple[str, float]]:
    """How long each press of the page takes, and the same file once more."""
    began = time.perf_counter()
    sheet = sheets.read(content, kind.names())
    report = transfer.rehearse(kind, sheet, by=by, now=instants.now())
    assert not report.problems, report.problems[:3]
    yield "dry run", time.perf_counter() - began
    began = time.perf_counter()
    transfer.carry_out(kind, sheet, by=by, reason="Measured.", seen=report.digest, name="-", now=instants.now())
    yield "import", time.perf_counter() - began
    began = time.perf_counter()
    assert not transfer.rehearse(kind, sheet, by=by, now=instants.now()).does
    yield "dry run of what is there", time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--databases", nargs="+", choices=DATABASES, default=list(DATABASES))
    parser.add_argument("--lines", type=int, default=sheets.MOST_ROWS)
    chosen = parser.parse_args()
    for database in chosen.databases:
        with DATABASES[database]():
            by = cast.max_()
            for first in (Services, Clients, Contacts, Calendars, Agreements):
                list(taken(first, transfer.template(first).encode(), by))
            for kind, rows in MEASURED.items():
                took = taken(kind, file_of(rows(chosen.lines)), by)
                said = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in took)
                print(f"  {database}: {chosen.lines} {kind.slug}: {said}", flush=True)


if __name__ == "__main__":
    main()
