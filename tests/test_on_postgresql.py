"""What the database decides is asked once more of a real PostgreSQL: what is written, refused, locked, found, counted.

Left out is what is decided before rows are asked for or after they were read: arithmetic, wording, forms, documents,
signing in. A new file runs on both databases until it is named here. That every page opens on PostgreSQL is seen by
tests/config/test_admin.py and by what is left of tests/incidents/test_client_scope.py.
"""

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
    "faults": tuple(f"tests/faults/test_{name}.py" for name in ("server_answers", "truth_changes")),
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
    "tests/config/test_health.py::test_without_a_database_the_process_lives_and_is_neither_ready_nor_delivering",
    "tests/config/test_installation.py",
    "tests/config/test_markdown.py",
    "tests/config/test_sentry.py",
    "tests/config/test_sheets.py",
    "tests/incidents/test_day_strip.py",
    "tests/incidents/test_placeholders.py",
    "tests/reviews/test_demo_inbox.py",
    "tests/reviews/test_demo_world.py",
    "tests/reviews/test_phases.py",
    "tests/reviews/test_picture.py",
)
#: What is made of rows that were read, or of what people typed before any is written: any database gives the same.
MADE_OF_ROWS = (
    # when something is due, by agreements of a few rows
    "tests/agreements/test_guide.py",
    "tests/agreements/test_presets.py",
    "tests/agreements/test_public_holidays.py",
    "tests/agreements/test_reading.py",
    "tests/agreements/test_severity_guide.py",
    "tests/agreements/test_simulation.py",
    "tests/incidents/test_any_order.py",
    "tests/incidents/test_clock_stories.py",
    # forms and pages
    "tests/agreements/test_admin.py",
    "tests/agreements/test_agreement_page.py",
    "tests/agreements/test_simulator_page.py",
    "tests/config/test_content_policy.py",
    "tests/config/test_data_pages.py",
    "tests/config/test_first_steps.py",
    "tests/config/test_guides.py",
    "tests/config/test_own_settings.py",
    "tests/config/test_read_only.py",
    "tests/config/test_rendering.py",
    "tests/config/test_theme.py",
    "tests/incidents/test_compose_page.py",
    "tests/incidents/test_deadline_page.py",
    "tests/incidents/test_message_templates.py",
    "tests/incidents/test_present_terms_page.py",
    "tests/reviews/test_admin.py",
    "tests/reviews/test_document_page.py",
    "tests/reviews/test_questions_page.py",
    *(
        "tests/incidents/test_client_scope.py::"
        f"test_no_address_of_the_admin_names_a_client_whom_its_reader_does_not_see[{role}]"
        for role in ("max_", "aude", "ada")
    ),
    # mails and documents
    "tests/config/test_files.py",
    "tests/incidents/test_evidence.py",
    "tests/incidents/test_writing.py",
    "tests/reviews/test_sharing.py",
    "tests/reviews/test_statements.py",
    # who somebody is
    "tests/config/test_own_sessions.py",
    "tests/config/test_passkeys.py",
    "tests/config/test_sign_in.py",
    "tests/config/test_single_sign_on.py",
)


def test_what_is_left_out_is_there() -> None:
    named = {path.partition("::")[0] for path in (*ELSEWHERE, *MADE_OF_ROWS)}
    assert [path for path in sorted(named) if not (ROOT / path).is_file()] == []


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
            *(f"--deselect={path}" for path in (*ELSEWHERE, *MADE_OF_ROWS)),
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
