"""What two pages of the documentation name is there: tests that prove promises, functions of the architecture."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
FLOORS = ("reviews", "incidents", "agreements", "config")


def defined(path: Path) -> set[str]:
    """Functions and classes of a module, also as `Class.method`, and what a package passes on."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{part.name}" for part in node.body if isinstance(part, ast.FunctionDef)}
        if isinstance(node, ast.ImportFrom) and path.name == "__init__.py":
            found |= {name.name for name in node.names}
    return found


# ── guarantees ──────────────────────────────────────────────────────────────────────────────────────────────────────


def promises() -> list[str]:
    """The rows of the two tables of promises."""
    text = (DOCS / "guarantees.md").read_text().split("## What is not promised")[0]
    return [line for line in text.splitlines() if line.startswith("| ") and "promise | proved by" not in line]


def test_every_promise_names_its_proof_and_every_test_that_is_named_exists() -> None:
    assert len(promises()) > 20
    for promise in promises():
        proof = promise.rstrip(" |").rpartition(" | ")[2]
        links = re.findall(r"\[([^\]]+)\]\(\.\./(tests/[^)]+)\)", proof)
        assert links, promise
        for words, path in links:
            assert (ROOT / path).exists(), path
            if words.startswith("`"):
                assert words.strip("`") in defined(ROOT / path), f"{path} has no {words}"


# ── architecture ────────────────────────────────────────────────────────────────────────────────────────────────────

ARCHITECTURE = (DOCS / "architecture.md").read_text()


def modules() -> dict[str, list[Path]]:
    """The product's modules by the last part of their name."""
    found: dict[str, list[Path]] = {}
    for floor in FLOORS:
        for path in (ROOT / floor).rglob("*.py"):
            if "migrations" not in path.parts:
                found.setdefault(path.parent.name if path.name == "__init__.py" else path.stem, []).append(path)
    return found


def names() -> Iterator[str]:
    """`module.function` and `Class.method`, wherever they stand."""
    yield from set(re.findall(r"(?<![\w./])((?:[A-Za-z]\w*\.)+[a-z_]\w*)(?![\w/.]*\.\w|/)", ARCHITECTURE))


def is_there(name: str) -> bool:
    owner, _dot, what = name.rpartition(".")
    if owner[0].isupper():
        return any(name in defined(path) for paths in modules().values() for path in paths)
    if (ROOT / name.replace(".", "/")).with_suffix(".py").exists():
        return True
    candidates = modules().get(owner.rpartition(".")[2], [])
    whole = [path for path in candidates if owner.replace(".", "/") in str(path)]
    return any(what in defined(path) for path in whole)


def test_every_function_that_the_architecture_names_exists() -> None:
    found = {name for name in names() if not name.endswith((".py", ".md"))}
    assert len(found) > 30
    assert not {name for name in found if not is_there(name)}


def test_every_file_that_the_architecture_names_exists() -> None:
    paths = set(re.findall(r"`([a-z_]+/[\w/.]*)`", ARCHITECTURE))
    assert len(paths) > 20
    assert not {path for path in paths if not (ROOT / path).exists()}


@pytest.mark.parametrize("floor", FLOORS)
def test_every_floor_is_described(floor: str) -> None:
    assert f"| `{floor}/` |" in ARCHITECTURE


def test_every_model_of_the_picture_exists() -> None:
    picture = ARCHITECTURE.split("## The data")[1].split("```")[1]
    known = {name for path in (p for paths in modules().values() for p in paths) for name in defined(path)}
    assert not {name for name in re.findall(r"[A-Z]\w+", picture) if name not in known}
