"""Whether exported files are what their manifest says, from the files alone: no database, no model, no setting.

What is checked may have been made by anybody, so nothing is unpacked, and nothing is read that is larger than any
file of ours.
"""

from __future__ import annotations

import hashlib
import json
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Protocol

FORMAT = "due-notice files 1"
MANIFEST, SUMS, README = "MANIFEST.json", "SHA256SUMS", "README.txt"
#: Bytes of all files together, before they are packed: more are neither written nor read.
LARGEST = 2 * 1024**3
MOST_FILES = 100
LARGEST_MANIFEST = 1024**2
_CHUNK = 1024**2
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)
_SUM = re.compile(r"([0-9a-f]{64})  (.+)")
#: What reading a ZIP raises that is none, whatever is wrong with it.
_DAMAGED = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, RuntimeError, ValueError, OverflowError)
_PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class Unreadable(Exception):
    """It cannot be read as files of ours, and why."""


@dataclass
class Report:
    findings: list[str] = field(default_factory=list)
    manifest: Mapping[str, Any] = field(default_factory=dict)
    files: int = 0
    rows: int = 0
    sha256: str = ""  # of the ZIP itself

    @property
    def said(self) -> Iterator[str]:
        """What the files say of themselves, and where that can be looked up."""
        if self.manifest:
            what = self.manifest.get("name") or self.manifest.get("what")
            yield f"“{shown(what)}”, exported by {shown(self.manifest.get('by'))} at {shown(self.manifest.get('at'))}."
        for label in self.manifest.get("left_out", ()):
            yield f"Left out, as its reader may not view it: {shown(label)}."
        if cut := self.manifest.get("cut"):
            yield shown(cut)
        if self.sha256:
            yield f"SHA-256 of the ZIP: {self.sha256}. Who made it shows the list of exports, if it stands there."


@dataclass(frozen=True)
class _Read:
    sha256: str
    bytes: int
    rows: int


class _Files(Protocol):
    def names(self) -> list[str]: ...

    def open(self, name: str) -> IO[bytes]: ...


class _Folder:
    def __init__(self, path: Path) -> None:
        self._path = path

    def names(self) -> list[str]:
        found, size = [], 0
        for path in sorted(self._path.iterdir()):
            if not stat.S_ISREG(path.lstat().st_mode):
                raise Unreadable(f"{shown(path.name)} is no plain file.")
            found.append(path.name)
            size += path.stat().st_size
        _refuse_too_large(len(found), size)
        return found

    def open(self, name: str) -> IO[bytes]:
        return (self._path / name).open("rb")


class _Zip:
    def __init__(self, file: IO[bytes]) -> None:
        self._zip = zipfile.ZipFile(file)

    def names(self) -> list[str]:
        found = self._zip.infolist()
        _refuse_too_large(len(found), sum(info.file_size for info in found))
        for info in found:
            if info.flag_bits & 1 or info.compress_type not in _PACKED or not _is_plain(info):
                raise Unreadable(f"{shown(info.filename)} is not packed as we pack files.")
        return [info.filename for info in found]

    def open(self, name: str) -> IO[bytes]:
        return self._zip.open(name)


def _is_plain(info: zipfile.ZipInfo) -> bool:
    return stat.S_IFMT(info.external_attr >> 16) in (0, stat.S_IFREG)


def _refuse_too_large(files: int, size: int) -> None:
    if files > MOST_FILES:
        raise Unreadable(f"It has {files:,} files, more than any export of ours.")
    if size > LARGEST:
        raise Unreadable(f"It unpacks to {size:,} bytes, more than any export of ours.")


def shown(text: object) -> str:
    """As it may stand on a terminal, whoever wrote it."""
    return "".join(sign if sign.isprintable() else "�" for sign in str(text))[:200]


# ── checking ────────────────────────────────────────────────────────────────────────────────────────────────────────


def check(path: Path) -> Report:
    """A ZIP or a folder of exported files; without findings they are as they were exported."""
    report = Report()
    try:
        if path.is_dir():
            _check(_Folder(path), report)
        else:
            _check_zip(path, report)
    except Unreadable as why:
        report.findings.append(str(why))
    return report


def _check_zip(path: Path, report: Report) -> None:
    if path.stat().st_size > LARGEST:
        raise Unreadable("It is larger than any export of ours.")
    with path.open("rb") as file:
        report.sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        try:
            _check(_Zip(file), report)
        except _DAMAGED as error:
            raise Unreadable("It is no ZIP file, or a damaged one.") from error


def _check(files: _Files, report: Report) -> None:
    there = files.names()
    for name in there:
        if not _NAME.fullmatch(name):
            raise Unreadable(f"{shown(name)} is no name of a file of ours.")
        if there.count(name) > 1:
            raise Unreadable(f"{name} is there twice.")
    for name in (MANIFEST, SUMS):
        if name not in there:
            raise Unreadable(f"{name} is missing.")
    sums = _sums(_text(files, SUMS))
    report.manifest, listed = _manifest(_text(files, MANIFEST))
    report.findings += _listing({*there}, listed, sums)
    for name in [MANIFEST, README, *listed]:
        if name in there:
            report.findings += _compared(name, _read(files, name), sums.get(name), listed.get(name), report)
    report.findings += _uneven(listed)


def _text(files: _Files, name: str) -> str:
    with files.open(name) as file:
        content = file.read(LARGEST_MANIFEST + 1)
    if len(content) > LARGEST_MANIFEST:
        raise Unreadable(f"{name} is larger than any of ours.")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise Unreadable(f"{name} is no text.") from error


def _sums(text: str) -> dict[str, str]:
    lines = [_SUM.fullmatch(line) for line in text.removesuffix("\n").split("\n")]
    if None in lines:
        raise Unreadable(f"{SUMS} cannot be read.")
    return {line[2]: line[1] for line in lines if line}


def _manifest(text: str) -> tuple[Mapping[str, Any], dict[str, Mapping[str, Any]]]:
    try:
        manifest = json.loads(text)
        listed = manifest["files"]
        is_ours = manifest["format"] == FORMAT and isinstance(manifest["left_out"], list)
        is_ours = is_ours and all(
            isinstance(said["rows"], int) and isinstance(said["bytes"], int) and isinstance(said["sha256"], str)
            for said in listed.values()
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        is_ours = False
    if not is_ours:
        raise Unreadable(f"{MANIFEST} is none of ours, or of a version that this one does not know.")
    return manifest, listed


def _listing(there: set[str], listed: Mapping[str, Any], sums: Mapping[str, str]) -> Iterator[str]:
    expected = {MANIFEST, README, *listed}
    for name in sorted(expected - there):
        yield f"{shown(name)} is missing."
    for name in sorted(there - expected - {SUMS}):
        yield f"{shown(name)} was added: {MANIFEST} does not name it."
    for name in sorted(expected ^ {*sums}):
        yield f"{shown(name)} stands in only one of {MANIFEST} and {SUMS}."


def _read(files: _Files, name: str) -> _Read:
    """Once, in small parts, however large it is."""
    digest, size, rows, is_quoted = hashlib.sha256(), 0, 0, False
    is_csv = name.endswith(".csv")
    with files.open(name) as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
            if not is_csv:
                rows += chunk.count(b"\n")
                continue
            for number, piece in enumerate(chunk.split(b'"')):
                is_quoted ^= number > 0  # what is between quotation marks may hold line ends
                rows += 0 if is_quoted else piece.count(b"\n")
    return _Read(digest.hexdigest(), size, rows - 1 if is_csv else rows)


def _compared(
    name: str, read: _Read, in_sums: str | None, said: Mapping[str, Any] | None, report: Report
) -> Iterator[str]:
    report.files += 1
    if in_sums is not None and read.sha256 != in_sums:
        yield f"{name} is not what {SUMS} says: it was changed."
    elif said is not None and read.sha256 != said["sha256"]:
        yield f"{name} is not what {MANIFEST} says: it was changed."
    elif said is not None and (read.rows, read.bytes) != (said["rows"], said["bytes"]):
        yield (
            f"{name} has {read.rows:,} rows in {read.bytes:,} bytes; {MANIFEST} says {said['rows']:,} in "
            f"{said['bytes']:,}: the manifest was changed."
        )
    elif name.endswith(".jsonl"):
        report.rows += read.rows


def _uneven(listed: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Each table is there twice, with the same rows."""
    for name in sorted({name.rpartition(".")[0] for name in listed}):
        both = [listed.get(f"{name}.{kind}", {}).get("rows") for kind in ("csv", "jsonl")]
        if both[0] != both[1]:
            yield f"{shown(name)}.csv and {shown(name)}.jsonl do not have the same number of rows."
