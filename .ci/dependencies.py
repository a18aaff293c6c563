"""What the product is built on: looked up among known vulnerabilities, its licences, and the list of it all.

    .venv/bin/python .ci/dependencies.py audit           exits 1 if what is shipped is known to be vulnerable
    .venv/bin/python .ci/dependencies.py licences        lists them; exits 1 if one is not allowed here
    .venv/bin/python .ci/dependencies.py sbom FILE       writes a software bill of materials (CycloneDX, JSON)

Licences are read from what is installed, so the last two tell of the .venv that runs them. SECURITY.md says who looks
when, and what is done about a finding.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.markers import Marker

ROOT = Path(__file__).resolve().parent.parent
SHIPPED, ALL = ROOT / "requirements.txt", ROOT / "requirements-dev.txt"


@dataclass(frozen=True)
class Pin:
    name: str
    version: str
    is_for_here: bool  # on this platform and Python
    hashes: tuple[str, ...]

    @property
    def purl(self) -> str:
        return f"pkg:pypi/{self.name}@{self.version}"


def pins(file: Path) -> Iterator[Pin]:
    for block in re.split(r"\n(?=[A-Za-z0-9])", file.read_text()):
        found = re.match(r"([A-Za-z0-9._-]+)==([^\s;]+)(?: ; ([^\\\n]+))?", block)
        if found:
            name, version, marker = found.groups()
            is_for_here = not marker or Marker(marker.strip()).evaluate()
            yield Pin(name, version, is_for_here, tuple(re.findall(r"--hash=sha256:([0-9a-f]{64})", block)))


# ── known vulnerabilities ───────────────────────────────────────────────────────────────────────────────────────────

#: What the service must know, or its silence about the rest says nothing.
CANARY = f"django==3.2 --hash=sha256:{'0' * 64}\n"

#: Advisories that do not touch us or have no fix yet: id → why, and until when that is to be looked at again.
ACCEPTED: dict[str, str] = {}


class NotAudited(Exception):
    pass


def audit() -> int:
    """Where the service of advisories cannot be reached that is said aloud, and fails if AUDIT_REQUIRED is set."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            canary = Path(folder, "known-bad.txt")
            canary.write_text(CANARY)
            if not any(package["vulns"] for package in known(canary)):
                raise NotAudited("The service knows nothing of a version that is known to be vulnerable (django 3.2).")
        found = known(SHIPPED)
        asked = {re.sub(r"[-_.]+", "-", package["name"]).lower() for package in found}
        if left := {pin.name for pin in pins(SHIPPED) if pin.is_for_here} - asked:
            raise NotAudited(f"Nothing was said about {', '.join(sorted(left))}.")
    except NotAudited as reason:
        print(f"\n{'!' * 80}\nNOT AUDITED: {reason}\nNobody looked whether a dependency is known to be vulnerable.")
        print(f"Run this where the service can be reached, or name a mirror of it in OSV_URL.\n{'!' * 80}\n")
        return int(os.environ.get("AUDIT_REQUIRED", "") not in {"", "0"})
    for package in found:
        for vulnerability in package["vulns"]:
            mended = ", ".join(vulnerability["fix_versions"]) or "no version yet"
            print(f"{package['name']} {package['version']}: {vulnerability['id']}, mended in {mended}")
    count = sum(len(package["vulns"]) for package in found)
    print(f"AUDITED: {len(found)} packages, {count} known vulnerabilities, {len(ACCEPTED)} accepted with a reason.")
    return int(count > 0)


def known(file: Path) -> list[dict[str, Any]]:
    """Of each package what the service knows of its version."""
    command = [sys.executable, "-m", "pip_audit", "--vulnerability-service=osv", "--disable-pip", "--require-hashes"]
    command += ["--format=json", "--desc=off", "--progress-spinner=off", f"--requirement={file}"]
    command += [f"--osv-url={url}" for url in [os.environ.get("OSV_URL")] if url]
    command += [f"--ignore-vuln={advisory}" for advisory in ACCEPTED]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    try:
        packages: list[dict[str, Any]] = json.loads(ended.stdout)["dependencies"]
    except (ValueError, KeyError):
        said = ended.stderr.strip().splitlines() or ["nothing was said"]
        raise NotAudited(f"The service of advisories could not be asked. {said[-1]}") from None
    if skipped := [f"{package['name']} ({package['skip_reason']})" for package in packages if "skip_reason" in package]:
        raise NotAudited(f"Left out: {', '.join(skipped)}")
    return packages


# ── licences ────────────────────────────────────────────────────────────────────────────────────────────────────────

#: What may be used beside our MIT: what asks for no more than its notice, and, unchanged and as libraries, what asks
#: for changes of itself (MPL, LGPL).
ALLOWED = {
    "MIT",
    "MIT-0",
    "0BSD",
    "BSD",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "Apache-2.0",
    "ISC",
    "PSF-2.0",
    "MPL-2.0",
    "LGPL-3.0-only",
}

#: Packages that do not say it in words that a program reads, as their licence files have it.
READ_BY_HAND = {
    "axe-playwright-python": "MIT AND MPL-2.0",
    "fido2": "BSD-2-Clause AND Apache-2.0 AND MPL-2.0",
    "pytest-django": "BSD-3-Clause",
    "python-dateutil": "BSD-3-Clause OR Apache-2.0",
    "qrcode": "BSD-3-Clause",
}

SPOKEN = {
    "Apache 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "New BSD": "BSD-3-Clause",
    "PSFL": "PSF-2.0",
    "Python Software Foundation License": "PSF-2.0",
}


def licence(name: str) -> str:
    """Of an installed package, as an SPDX expression as far as it says."""
    said = metadata.metadata(name)
    if name in READ_BY_HAND or "License-Expression" in said:
        return READ_BY_HAND.get(name) or said["License-Expression"]
    field: str = (said.get_all("License") or [""])[0]
    if field and (len(field) < 20 or field in SPOKEN):
        return SPOKEN.get(field, field)
    classified = [line.split(" :: ")[-1] for line in said.get_all("Classifier") or [] if line.startswith("License :: ")]
    return " AND ".join(SPOKEN.get(one, one) for one in classified if one != "OSI Approved") or "unknown"


def is_allowed(expression: str) -> bool:
    choices = expression.replace("(", "").replace(")", "").split(" OR ")
    return any(all(part.strip() in ALLOWED for part in choice.split(" AND ")) for choice in choices)


def licences() -> int:
    refused = []
    for pin in pins(ALL):
        if not pin.is_for_here:
            print(f"{pin.name:28} {pin.version:14} (not for this platform: not read)")
            continue
        found = licence(pin.name)
        print(f"{pin.name:28} {pin.version:14} {found}")
        refused += [] if is_allowed(found) else [f"{pin.name} ({found})"]
    if refused:
        print(f"Not allowed, or not to be read: {', '.join(refused)}. See ALLOWED and READ_BY_HAND in {__file__}.")
    return int(bool(refused))


# ── bill of materials ───────────────────────────────────────────────────────────────────────────────────────────────


def sbom(file: str) -> int:
    """What is shipped, without what only builds and tests it."""
    project = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {"type": "application", "name": "due-notice", "version": project[1] if project else ""}
        },
        "components": [_component(pin) for pin in pins(SHIPPED)],
    }
    Path(file).write_text(json.dumps(bill, indent=1) + "\n")
    print(f"{file}: {len(bill['components'])} packages.")  # type: ignore[arg-type]
    return 0


def _component(pin: Pin) -> dict[str, Any]:
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": pin.purl,
        "name": pin.name,
        "version": pin.version,
        "purl": pin.purl,
        # Of its files for all platforms: which of them is installed, the platform decides.
        "externalReferences": [
            {
                "type": "distribution",
                "url": pin.purl,
                "hashes": [{"alg": "SHA-256", "content": content} for content in pin.hashes],
            }
        ],
    }
    if pin.is_for_here:
        component["licenses"] = [{"license": {"name": licence(pin.name)}}]
    return component


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["audit"]:
            sys.exit(audit())
        case ["licences"]:
            sys.exit(licences())
        case ["sbom", target]:
            sys.exit(sbom(target))
        case _:
            sys.exit(__doc__)
