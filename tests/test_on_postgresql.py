"""The tests that touch the database, once more on a real PostgreSQL: row locks, constraints and types are its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

ROOT = Path(__file__).resolve().parent.parent
#: Run apart, so that the suite's processes can share them.
PARTS = {
    "incidents": ("tests/incidents",),
    "faults": tuple(f"tests/faults/test_{name}.py" for name in ("content", "server_answers", "truth_changes")),
    "the-rest": ("tests/agreements", "tests/config", "tests/reviews"),
}
#: What asks no database, or has one of its own.
ELSEWHERE = (
    "tests/agreements/test_clock.py",
    "tests/agreements/test_clock_oracle.py",
    "tests/agreements/test_explanation.py",
    "tests/agreements/test_zones.py",
    "tests/config/test_broker.py",
    "tests/config/test_env.py",
    "tests/config/test_env_example.py",
    "tests/config/test_every_way_in.py::TestWays::test_the_shell",
    "tests/config/test_files.py::test_the_command_reads_no_database_and_exits_with_what_it_found",
    "tests/config/test_health.py::test_without_a_database_the_process_lives_and_is_neither_ready_nor_delivering",
    "tests/incidents/test_day_strip.py",
    "tests/reviews/test_demo_inbox.py",
    "tests/reviews/test_demo_world.py",
)
#: Each opens hundreds of pages to see who is shown what, which no database decides. That each role's pages open on
#: PostgreSQL is seen by tests/config/test_admin.py, and that one limited reader's do by what is left of the second.
PAGES = (
    "tests/config/test_read_only.py::test_whatever_an_auditor_asks_for_nothing_changes",
    *(
        "tests/incidents/test_client_scope.py::"
        f"test_no_address_of_the_admin_names_a_client_whom_its_reader_does_not_see[{role}]"
        for role in ("max_", "aude", "ada")
    ),
)


@pytest.mark.skipif(
    "postgresql" in settings.DATABASES["default"]["ENGINE"], reason="This run is on PostgreSQL already."
)
@pytest.mark.parametrize("folders", [pytest.param(folders, id=name) for name, folders in PARTS.items()])
def test_the_same_contract_holds_on_postgresql(
    postgres_url: str, migrated_postgres: str, folders: tuple[str, ...]
) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *folders),
            *(f"--deselect={path}" for path in (*ELSEWHERE, *PAGES)),
        ],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": postgres_url, "MIGRATED_DATABASE_URL": migrated_postgres},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    print(done.stdout[-20_000:], done.stderr[-5_000:])
    assert done.returncode == 0
