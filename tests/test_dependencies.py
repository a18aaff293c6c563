"""What the product is built on is looked up, allowed and nailed down; .ci/dependencies.py says what it cannot know."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
CANARY = ("django", "3.2")


def dependencies(*arguments: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run it as CI does."""
    inherited = {name: value for name, value in os.environ.items() if name != "AUDIT_REQUIRED"}
    return subprocess.run(
        [sys.executable, ROOT / ".ci" / "dependencies.py", *arguments],
        env={**inherited, "NO_PROXY": "127.0.0.1", **env},
        capture_output=True,
        text=True,
        check=False,
    )


@contextmanager
def advisories(known: set[tuple[str, str]]) -> Iterator[str]:
    """A service in OSV's format that knows of these packages that they are vulnerable; its address."""

    class Service(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            name = asked["package"]["name"]
            affected = [{"package": {"name": name, "ecosystem": "PyPI"}, "versions": [asked["version"]]}]
            is_known = (name, asked["version"]) in known
            answer = {"vulns": [{"id": f"PYSEC-{name}", "affected": affected}]} if is_known else {}
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Service) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


def shipped(name: str) -> tuple[str, str]:
    found = re.search(rf"^{name}==(\S+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    assert found
    return name, found[1]


def test_the_audit_fails_on_a_version_that_is_known_to_be_vulnerable_and_on_nothing_else() -> None:
    with advisories({CANARY}) as url:
        clean = dependencies("audit", OSV_URL=url)
    assert clean.returncode == 0
    assert re.match(r"AUDITED: \d\d+ packages, 0 known", clean.stdout)
    with advisories({CANARY, shipped("sqlparse")}) as url:
        found = dependencies("audit", OSV_URL=url)
    assert found.returncode == 1
    assert "PYSEC-sqlparse" in found.stdout


@pytest.mark.parametrize(("strict", "code"), [("0", 0), ("1", 1)])
def test_a_service_that_is_away_or_knows_nothing_is_never_taken_for_a_clean_bill(strict: str, code: int) -> None:
    away = dependencies("audit", OSV_URL="http://127.0.0.1:9/", AUDIT_REQUIRED=strict)
    with advisories(set()) as url:
        ignorant = dependencies("audit", OSV_URL=url, AUDIT_REQUIRED=strict)
    for ended in (away, ignorant):
        assert ended.returncode == code
        assert "NOT AUDITED: The service" in ended.stdout
        assert "\nAUDITED" not in ended.stdout


def test_every_licence_is_allowed_and_the_bill_of_materials_names_all_that_is_shipped(tmp_path: Path) -> None:
    read = dependencies("licences")
    assert read.returncode == 0, read.stdout.splitlines()[-1]
    assert dependencies("sbom", tmp_path / "sbom.json").returncode == 0
    bill = json.loads((tmp_path / "sbom.json").read_text())
    named = {(component["name"], component["version"]) for component in bill["components"]}
    assert named == set(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE))
    assert all(component["externalReferences"][0]["hashes"] for component in bill["components"])


@pytest.mark.parametrize("file", ["requirements.txt", "requirements-dev.txt"])
def test_every_requirement_has_its_hashes(file: str) -> None:
    blocks = re.split(r"\n(?=[A-Za-z0-9])", (ROOT / file).read_text())[1:]
    assert [block.splitlines()[0] for block in blocks if "--hash=sha256:" not in block] == []


def test_a_line_without_a_hash_is_refused_as_ci_installs(tmp_path: Path) -> None:
    for name in ("nailed", "loose"):
        with zipfile.ZipFile(tmp_path / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
            wheel.writestr(
                f"{name}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
            )
            wheel.writestr(f"{name}-1.0.dist-info/RECORD", "")
    asked = tmp_path / "requirements.txt"
    digest = hashlib.sha256((tmp_path / "nailed-1.0-py3-none-any.whl").read_bytes()).hexdigest()
    asked.write_text(f"nailed==1.0 --hash=sha256:{digest}\nloose==1.0\n")
    command = re.search(r"pip install (.+?) -r requirements-dev.txt", (ROOT / ".ci/run").read_text(), re.DOTALL)
    assert command
    options = [word for word in command[1].split() if word.startswith("--")]
    assert "--require-hashes" in options
    from_here: list[str | Path] = ["--no-index", "--find-links", tmp_path, "--target", tmp_path / "there"]
    ended = subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, "-r", asked, *from_here],
        env={**os.environ, "PIP_CONFIG_FILE": os.devnull},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert "loose==1.0 --hash=sha256:" in ended.stderr
