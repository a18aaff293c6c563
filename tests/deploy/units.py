"""What the files in deploy/ say, read as the programs that they are for read them."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
UNITS = ROOT / "deploy" / "systemd"
INSTALLED = "/opt/due-notice"
VENV = Path(sys.executable).parent


def names(suffix: str) -> list[str]:
    return sorted(path.name for path in UNITS.glob(f"*{suffix}"))


def values(unit: str, key: str) -> list[str]:
    """What every line `key=…` of a unit says."""
    lines = (UNITS / unit).read_text().splitlines()
    return [line.partition("=")[2] for line in lines if line.startswith(f"{key}=")]


def here(text: str) -> str:
    """The same on this machine, where the product and its virtual environment lie elsewhere."""
    return text.replace(f"{INSTALLED}/.venv/bin/", f"{VENV}/").replace(INSTALLED, str(ROOT))


def command(unit: str) -> list[str]:
    """The words of ExecStart=, as they stand there."""
    [line] = values(unit, "ExecStart")
    return shlex.split(line)
