"""The units for systemd are what it takes, their sandbox is tight, and their commands run the product."""

from __future__ import annotations

import datetime as dt
import http.client
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from config import start
from tests.deploy.units import INSTALLED, ROOT, UNITS, command, here, names, values
from tests.journeys.conftest import Product
from tests.journeys.conftest import small_product as small_product  # a fixture
from tests.services import children

SERVICES = names(".service")
LONG_RUNNING = [name for name in SERVICES if "audit" not in name]
WORST_EXPOSURE = 15  # of 100; systemd calls up to 20 "OK", and what reaches the network cannot come much lower


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The units as on a machine where the product is installed."""
    if shutil.which("systemd-analyze") is None:
        children.unavailable("There is no systemd-analyze: install Debian's systemd.")
    folder = tmp_path / "system"
    shutil.copytree(UNITS, folder)
    for unit in folder.glob("*.*"):
        if unit.is_file():
            unit.write_text(here(unit.read_text()))
    return folder


def analyze(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *words],
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{folder}:"},  # ours, and then the machine's own
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_systemd_finds_nothing_wrong_with_the_units(installed: Path) -> None:
    units = [str(path) for path in installed.glob("*.*") if path.is_file()]
    verified = analyze(installed, "verify", *units)
    assert (verified.returncode, verified.stderr) == (0, "")


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_may_do_little(installed: Path, service: str) -> None:
    judged = analyze(
        installed, "security", "--offline=true", f"--threshold={WORST_EXPOSURE}", "--no-pager", f"{installed}/{service}"
    )
    assert judged.returncode == 0, judged.stdout + judged.stderr


@pytest.mark.parametrize("service", SERVICES)
def test_services_agree_with_each_other_and_with_the_program(service: str) -> None:
    assert service.startswith("due-notice-"), "or the sandbox is not for it"
    assert values(service, "User") == ["due-notice"]
    assert values(service, "WorkingDirectory") == [INSTALLED]
    assert values(service, "EnvironmentFile") == ["/etc/due-notice/environment"]
    [folder] = values("due-notice-.service.d/sandbox.conf", "StateDirectory")
    assert values(service, "Environment") == [f"VAR_DIR=/var/lib/{folder}"]


@pytest.mark.parametrize("service", LONG_RUNNING)
def test_what_ends_is_started_again_unless_its_settings_are_wrong(service: str) -> None:
    assert values(service, "Restart") == ["always"]
    assert values(service, "StartLimitIntervalSec") == ["0"], "however often it ends"
    assert values(service, "RestartPreventExitStatus") == [str(start.WRONG_SETTINGS)]
    assert values(service, "PartOf") == values(service, "WantedBy") == ["due-notice.target"]


# ── the commands, run ───────────────────────────────────────────────────────────────────────────────────────────────

#: As MemoryDenyWriteExecute= does, for whatever is started so; an old kernel knows no such thing.
NO_NEW_CODE = "import ctypes, os, sys; ctypes.CDLL(None).prctl(65, 1, 0, 0, 0); os.execv(sys.argv[1], sys.argv[1:])"


def start_service(product: Product, service: str, listen: str = "") -> None:
    words = [re.sub(r"^127\.0\.0\.1:8000$", listen, here(word)) for word in command(service)]
    product.processes.start(service, "-c", NO_NEW_CODE, *words)


def are_at_work(product: Product, since: dt.datetime) -> bool:
    """Whether the planner and the sender were, since then."""
    database = product.processes.env["DATABASE_URL"].removeprefix("sqlite:///")
    with closing(sqlite3.connect(f"/{database.lstrip('/')}")) as connection:
        rows = connection.execute("SELECT part, at FROM incidents_heartbeat").fetchall()
    seen = {part for part, at in rows if dt.datetime.fromisoformat(at).replace(tzinfo=dt.UTC) > since}
    return seen >= {"planner", "sender"}


def ready(listen: str) -> bool:
    address = urlsplit(f"//{listen}")
    with closing(http.client.HTTPConnection(str(address.hostname), address.port, timeout=5)) as connection:
        try:
            connection.request("GET", "/healthz/ready")
            return connection.getresponse().status == 200
        except OSError:
            return False


def test_the_commands_of_the_units_serve_pages_and_deliver(small_product: Product) -> None:
    processes = small_product.processes
    listen = f"127.0.0.1:{children.free_port()}"
    start_service(small_product, "due-notice-web.service", listen)
    for services in (["due-notice-loop.service"], ["due-notice-worker.service", "due-notice-beat.service"]):
        began = dt.datetime.now(dt.UTC)
        for service in services:
            start_service(small_product, service)
        processes.wait_until(
            partial(are_at_work, small_product, began), 40, f"planner and sender were at work in {services}"
        )
        for service in reversed(services):
            assert processes.stop(service) == 0
    processes.wait_until(partial(ready, listen), 20, "the pages are ready")
    start_service(small_product, "due-notice-audit.service")
    assert processes.wait_for_exit("due-notice-audit.service") == 0
    assert "Clean: no notice is late" in processes.log("due-notice-audit.service")


def test_a_command_by_hand_has_the_settings_of_the_services(tmp_path: Path) -> None:
    place = tmp_path / "opt"
    (place / "deploy").mkdir(parents=True)
    (place / ".venv").symlink_to(sys.prefix)
    (place / "manage.py").symlink_to(ROOT / "manage.py")
    script = (ROOT / "deploy" / "manage").read_text()
    for folder in ("/etc", "/var/lib"):
        assert f"{folder}/due-notice" in script
        script = script.replace(f"{folder}/due-notice", str(tmp_path / folder.strip("/").replace("/", "-")))
    as_service = "setpriv --reuid=due-notice --regid=due-notice --init-groups "  # whom this machine does not know
    assert as_service in script
    (place / "deploy" / "manage").write_text(script.replace(as_service, ""))
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "environment").write_text(
        f"SECRET_KEY={'abcdefghijklmnop' * 4}\nSEAL_KEY={'ponmlkjihgfedcba' * 4}\nEMAIL_URL=smtp://127.0.0.1:9\n"
        'NOTICE_FROM="Due Notice <notices@northwind.test>"\nDATABASE_URL=postgres://app:secret@127.0.0.1/notices\n'
    )
    (tmp_path / "etc" / "owner.env").write_text("DATABASE_URL=postgres://owner:secret@127.0.0.1/notices\n")
    shown = "from django.conf import settings as s; print(s.DATABASES['default']['USER'], s.NOTICE_FROM, s.VAR_DIR)"

    def said(*words: str) -> str:
        done = subprocess.run(
            ["sh", str(place / "deploy" / "manage"), *words, "shell", "-v0", "-c", shown],
            env={"PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    assert said() == f"app Due Notice <notices@northwind.test> {tmp_path / 'var-lib'}"
    assert said("--owner").startswith("owner ")
