"""Child processes of the test run: how they start, how they end, and what they said."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import pytest


def unavailable(sentence: str) -> NoReturn:
    """Skip on a developer's machine; fail where CI is set, since there a skip would hide a hole."""
    if os.environ.get("CI", "").lower() in {"", "0", "false", "no"}:
        pytest.skip(sentence)
    pytest.fail(sentence, pytrace=False)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody holds now. Somebody else may take it first: callers try again."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def tail(log: Path, lines: int = 40) -> str:
    """The last lines of a log, for a failure message."""
    if not log.exists():
        return "(no log)"
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) or "(the log is empty)"


def wait_until(
    predicate: Callable[[], object],
    *,
    timeout: float,
    what: str,
    explain: Callable[[], str] = str,
    every: float = 0.05,
) -> None:
    """Return once `predicate` is true; fail the test after `timeout` seconds, saying what was waited for.

    `explain` is asked only on failure. Other processes make the predicate true, so there is nothing
    to be notified by: it is asked again every `every` seconds.
    """
    deadline = time.monotonic() + timeout
    while not predicate():
        if time.monotonic() > deadline:
            pytest.fail(f"Waited {timeout:g} s in vain until {what}.\n{explain()}".rstrip(), pytrace=False)
        time.sleep(every)


def start(
    command: Sequence[str | Path],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    user: str | None = None,
    rescue_signal: signal.Signals = signal.SIGKILL,
    remove: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own, writing to the end of `log`.

    Should the test run die, the process group gets `rescue_signal` and the folder `remove` goes.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=env,
            cwd=cwd,
            start_new_session=True,
            user=user,
            group=_group_of(user),
            extra_groups=[] if user else None,
        )
    _rescuer.watch(process.pid, rescue_signal, remove)
    return process


def end(process: subprocess.Popen[bytes], number: signal.Signals = signal.SIGTERM, *, timeout: float = 10) -> int:
    """Send the signal to the process, kill its whole session if it does not obey in time; its return code."""
    try:
        if process.poll() is None:
            process.send_signal(number)
        return process.wait(timeout)
    except subprocess.TimeoutExpired:
        return kill(process)
    finally:
        kill_session(process.pid)
        _rescuer.forget(process.pid)


def kill(process: subprocess.Popen[bytes]) -> int:
    """SIGKILL for the process and everything in its session, as when a machine loses power."""
    kill_session(process.pid)
    code = process.wait(10)
    kill_session(process.pid)  # what it may have forked between the look and the blow
    _rescuer.forget(process.pid)
    return code


def kill_session(session: int) -> None:
    """Kill every process of a session, also in other groups or without a parent; wait until it is gone."""
    deadline = time.monotonic() + 10
    while members := session_members(session):
        signal_all(members, signal.SIGKILL)
        if time.monotonic() > deadline:
            raise TimeoutError(f"Processes {members} survive SIGKILL.")
        time.sleep(0.005)


def freeze_session(session: int) -> None:
    """Stop every process of a session where it stands, also those that are being forked meanwhile."""
    deadline = time.monotonic() + 10
    while members := [pid for pid in session_members(session) if state_of(pid) not in {"T", None}]:
        signal_all(members, signal.SIGSTOP)
        if time.monotonic() > deadline:
            raise TimeoutError(f"Processes {members} do not stop.")
        time.sleep(0.005)


def signal_all(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def session_members(session: int) -> list[int]:
    """The living processes of a session, by id."""
    return [pid for pid, (_state, its_session) in _table().items() if its_session == session]


def state_of(pid: int) -> str | None:
    """R, S, D or T as ps shows it; None for a process that has ended, whether or not its parent has noticed."""
    state, _session = _table().get(pid, (None, 0))
    return state


def _table() -> dict[int, tuple[str, int]]:
    """State and session of every living process; where there is no /proc, the group stands for the session."""
    if Path("/proc/self/stat").exists():
        rows = [(name, *_stat(name)) for name in os.listdir("/proc") if name.isdecimal()]
    else:
        ps = subprocess.run(["ps", "-A", "-o", "pid=,stat=,pgid="], capture_output=True, text=True, check=True)
        rows = [(pid, state[0], group) for pid, state, group in map(str.split, ps.stdout.splitlines())]
    return {int(pid): (state, int(session)) for pid, state, session in rows if state not in {"Z", "X"}}


def _stat(pid: str) -> tuple[str, str]:
    try:
        stat = Path("/proc", pid, "stat").read_text(errors="replace")
    except OSError:
        return "X", "0"  # it ended while we looked
    # The name, in brackets, may hold anything; after it come state, parent, group, session.
    state, _parent, _group, session = stat.rpartition(")")[2].split()[:4]
    return state, session


def _group_of(user: str | None) -> int | None:
    if user is None:
        return None
    import pwd  # not on every platform

    return pwd.getpwnam(user).pw_gid


class _Rescuer:
    """A process that outlives a killed test run for as long as it takes to end what the run had started.

    Fixtures clean up when pytest is interrupted, but not when it is terminated or killed. The rescuer reads a
    pipe whose other end only the test run holds: when that closes, whatever was not crossed off is ended.
    """

    PROGRAM = """
import json, os, shutil, signal, sys
alive = {}
for line in sys.stdin:
    entry = json.loads(line)
    if "signal" in entry:
        alive[entry["pid"]] = entry
    else:
        alive.pop(entry["pid"], None)
for pid, entry in alive.items():
    try:
        os.killpg(pid, entry["signal"])
    except OSError:
        pass
    if entry["remove"]:
        shutil.rmtree(entry["remove"], ignore_errors=True)
"""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0

    def watch(self, pid: int, number: signal.Signals, remove: Path | None) -> None:
        self._write({"pid": pid, "signal": int(number), "remove": str(remove) if remove else None})

    def forget(self, pid: int) -> None:
        self._write({"pid": pid})

    def _write(self, entry: dict[str, object]) -> None:
        if self._process is None or self._owner != os.getpid():
            self._start()
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(entry).encode() + b"\n")
        self._process.stdin.flush()

    def _start(self) -> None:
        self._owner = os.getpid()
        self._process = subprocess.Popen(
            [sys.executable, "-c", self.PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # or Ctrl-C would end the rescuer too
        )
        atexit.register(self._close, self._owner)

    def _close(self, owner: int) -> None:
        if self._process is None or owner != os.getpid():
            return
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process = None


_rescuer = _Rescuer()


def remove_folder(folder: Path) -> None:
    """Remove a service's temporary folder; a file that its last process still writes is no reason to fail."""
    shutil.rmtree(folder, ignore_errors=True)
