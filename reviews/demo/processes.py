"""The demo's processes: ports, the lock of the folder, children that are started and always ended."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from django.conf import settings

HOST = "127.0.0.1"
PATIENCE = 10.0  # seconds that children get to end by themselves
_LOOK_EVERY = 0.1  # seconds


class Trouble(Exception):
    """The demo cannot start or go on; the message is a sentence for the person who started it."""


# ── ports ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def bind(usual: int, *, named: int | None, what: str, option: str) -> socket.socket:
    """A listening socket on 127.0.0.1 at the named port, or else at the usual one or the next that is free.

    Whoever connects before its server has started is kept waiting. Raises Trouble if the named port is taken.
    """
    if named is not None:
        bound = _try_to_bind(named)
        if bound is None:
            raise Trouble(
                f"Port {named} is taken, so {what} cannot use it. Name another with {option}, or leave it out."
            )
        return bound
    for port in (*range(usual, usual + 50), 0):
        bound = _try_to_bind(port)
        if bound is not None:
            return bound
    raise Trouble(f"No port is free for {what}.")


def _try_to_bind(port: int) -> socket.socket | None:
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port that was in use a second ago is free
    try:
        bound.bind((HOST, port))
        bound.listen()  # only now is it certain that nobody else has it
    except OSError as error:
        bound.close()
        if error.errno == errno.EADDRINUSE:
            return None
        raise Trouble(f"Port {port} cannot be used: {error.strerror}. Name one of 1024 or more.") from error
    return bound


def port_of(bound: socket.socket) -> int:
    return int(bound.getsockname()[1])


# ── one demo per folder ─────────────────────────────────────────────────────────────────────────────────────────────


@contextlib.contextmanager
def sole_user_of(folder: Path) -> Iterator[None]:
    """Holds the folder's lock; the system drops it when this process ends, however it ends."""
    with (folder / "demo.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            raise Trouble(f"A demo is running in {folder} already ({file.read().strip()}). Stop it first.") from None
        file.truncate(0)
        file.write(f"process {os.getpid()}")
        file.flush()
        yield


# ── children ────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Child:
    name: str
    process: subprocess.Popen[bytes]
    log: Path
    lifeline: IO[bytes]

    def last_lines(self, count: int = 15) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-count:])


@dataclass
class Children:
    """The processes that the demo starts. Each has a session of its own, so that Ctrl-C reaches the demo alone.

    Each is started through `reviews.demo.child`, which ends it when the demo is gone, however that came.
    """

    env: Mapping[str, str]
    logs: Path
    running: list[Child] = field(default_factory=list)

    def start(self, name: str, module: str, *arguments: str, sockets: Sequence[socket.socket] = ()) -> None:
        """Run `python -m module arguments` with the sockets handed down; its output goes to <name>.log."""
        self.logs.mkdir(parents=True, exist_ok=True)
        log = self.logs / f"{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter with our own words
                [sys.executable, "-m", "reviews.demo.child", module, *arguments],
                cwd=settings.BASE_DIR,
                env=dict(self.env),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=[bound.fileno() for bound in sockets],
                start_new_session=True,
            )
        assert process.stdin is not None  # noqa: S101 - asked for above
        self.running.append(Child(name, process, log, process.stdin))

    def refuse_dead(self) -> None:
        """Raises Trouble if one has ended by itself, saying which and what it said last."""
        for child in self.running:
            code = child.process.poll()
            if code is not None:
                raise Trouble(
                    f"The {child.name} ended by itself ({_ending(code)}). Its last words:\n{child.last_lines()}"
                )

    def stop(self) -> list[str]:
        """End all and wait; returns the names of those that had to be killed."""
        for child in self.running:
            _signal(child, signal.SIGTERM)
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and any(child.process.poll() is None for child in self.running):
            time.sleep(_LOOK_EVERY)
        killed = [child.name for child in self.running if child.process.poll() is None]
        for child in self.running:
            _kill_session(child)
        self.running.clear()
        return killed


def _signal(child: Child, number: signal.Signals) -> None:
    if child.process.poll() is None:
        child.process.send_signal(number)


def _kill_session(child: Child) -> None:
    """What is left of the child and of those that it started; they are all in the group named by its id."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.process.pid, signal.SIGKILL)
    child.process.wait()
    with contextlib.suppress(OSError):
        child.lifeline.close()


def _ending(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
