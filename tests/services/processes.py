"""The product's own processes, started as an operator starts them: web, worker, beat, outbox, commands."""

from __future__ import annotations

import http.client
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Literal, Self
from urllib.parse import urlsplit

import pytest

from tests.services import children

ROOT = Path(__file__).resolve().parents[2]

#: Seconds after which something hangs: nothing takes so long by itself, however busy the machine.
PATIENCE = 120

# Read by the product; a developer's own values must not reach the processes of a test.
_NOT_INHERITED = ("DEMO", "BROKER_DIR", "CSRF_TRUSTED_ORIGINS", "BEHIND_PROXY", "SMTP_TIMEOUT", "NOTICE_FROM")


@dataclass
class _Running:
    process: subprocess.Popen[bytes]
    log: Path
    may_end: bool


class Processes:
    """Starts processes of the product with one environment, and ends every one of them.

    `env` may be changed until a process is started. By default everything lives below `folder`: SQLite and
    the filesystem broker. Mail goes to a port that refuses connections, so that no test reaches a real server.
    `code` is where the product is that they are of.
    """

    def __init__(self, folder: Path, env: Mapping[str, str] | None = None, *, code: Path = ROOT) -> None:
        self._folder, self._code = folder, code
        self._running: dict[str, _Running] = {}
        self.env: dict[str, str] = {name: value for name, value in os.environ.items() if name not in _NOT_INHERITED}
        self.env |= {
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "PYTHONUNBUFFERED": "1",
            "VAR_DIR": str(folder / "var"),
            "RUNTIME_DIRECTORY": str(folder),
            "DATABASE_URL": f"sqlite:///{folder / 'var' / 'db.sqlite3'}",
            "REDIS_URL": "",
            "EMAIL_URL": "smtp://127.0.0.1:9",
            "SECRET_KEY": secrets.token_urlsafe(50),
            "SEAL_KEY": secrets.token_urlsafe(50),
            "DEBUG": "0",
            "ALLOWED_HOSTS": "127.0.0.1,localhost",
            "PUBLIC_URL": "http://127.0.0.1",
            **(env or {}),
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name in list(self._running):
            self.kill9(name)

    # ── starting ────────────────────────────────────────────────────────────────────────────────────────────
    def start(
        self, name: str, *command: str, env: Mapping[str, str] | None = None, may_end: bool = False
    ) -> subprocess.Popen[bytes]:
        """Start `python <command>` under a name. Unless it `may_end`, any waiting fails once it has ended."""
        if self.is_running(name):
            raise ValueError(f"{name} is running already.")
        self._folder.mkdir(parents=True, exist_ok=True)
        log = self.log_file(name)
        process = children.start([sys.executable, *command], log=log, env={**self.env, **(env or {})}, cwd=self._code)
        self._running[name] = _Running(process, log, may_end)
        return process

    def start_web(
        self,
        name: str = "web",
        *,
        server: Literal["gunicorn", "django"] = "gunicorn",
        port: int | None = None,
        timeout: float = PATIENCE,
    ) -> str:
        """Start the web server and wait until it answers; its address, without a slash at the end."""
        for attempt in range(1, 4):  # between the look and the start, another program may take a free port
            address = f"127.0.0.1:{port or children.free_port()}"
            process = self.start(name, *_web_command(server, address), may_end=True)
            self.wait_until(
                partial(_has_ended_or_answers, process, address),
                timeout,
                f"{name} answered on {address}",
            )
            if process.poll() is None:
                self._running[name].may_end = False
                return f"http://{address}"
            if port is not None or attempt == 3 or "in use" not in self.log(name):
                break
        pytest.fail(f"{name} ended instead of serving.\n{self.logs(name)}", pytrace=False)

    def start_worker(self, name: str = "worker", *options: str, may_end: bool = False) -> subprocess.Popen[bytes]:
        """Start a Celery worker; `options` are those of `celery worker`, by default one child process."""
        command = ["-m", "celery", "-A", "config", "worker", "-n", f"{name}@%h", "--loglevel", "INFO"]
        return self.start(name, *command, *(options or ("--concurrency", "1")), may_end=may_end)

    def start_beat(self, name: str = "beat", *options: str) -> subprocess.Popen[bytes]:
        """Start Celery's beat, with a schedule file of its own so that two of them can run."""
        schedule = ["--schedule", str(self._folder / f"{name}-schedule"), "--pidfile", ""]
        return self.start(name, "-m", "celery", "-A", "config", "beat", "--loglevel", "INFO", *schedule, *options)

    def start_outbox(self, name: str = "outbox", *options: str) -> subprocess.Popen[bytes]:
        """Start the sender that needs no Celery."""
        return self.start(name, "manage.py", "outbox", "run", "--loop", *options)

    def manage(
        self, *command: str, check: bool = True, timeout: float = 600, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a management command to its end; with `check`, an exit code other than 0 fails the test."""
        self._folder.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            [sys.executable, "manage.py", *command],
            cwd=self._code,
            env={**self.env, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check and done.returncode:
            line = " ".join(command)
            pytest.fail(f"manage.py {line} ended with {done.returncode}.\n{done.stdout}\n{done.stderr}", pytrace=False)
        return done

    # ── ending ──────────────────────────────────────────────────────────────────────────────────────────────
    def kill9(self, name: str) -> None:
        """Kill the process and all its children with no chance to tidy up."""
        children.kill(self._running.pop(name).process)

    def kill9_parent(self, name: str) -> None:
        """Kill the process alone, as an impatient operator does; its children end with the test."""
        running = self._running[name]
        running.may_end = True
        running.process.kill()
        running.process.wait(10)

    def stop(self, name: str, timeout: float = PATIENCE) -> int:
        """Ask the process to end (SIGTERM) and wait; its return code. Not obeying in time fails the test."""
        process = self._running.pop(name).process
        code = children.end(process, signal.SIGTERM, timeout=timeout)
        if code == -signal.SIGKILL:
            pytest.fail(f"{name} did not end within {timeout:g} s of SIGTERM.\n{self.logs(name)}", pytrace=False)
        return code

    @contextmanager
    def frozen(self, name: str) -> Iterator[None]:
        """The process and its children stand still inside the block, as on a machine that was suspended."""
        session = self.pid(name)
        children.freeze_session(session)
        try:
            yield
        finally:
            children.signal_all(children.session_members(session), signal.SIGCONT)

    # ── looking ─────────────────────────────────────────────────────────────────────────────────────────────
    def is_running(self, name: str) -> bool:
        return name in self._running and self._running[name].process.poll() is None

    def pid(self, name: str) -> int:
        return self._running[name].process.pid

    def log_file(self, name: str) -> Path:
        return self._folder / f"{name}.log"

    def log(self, name: str) -> str:
        """All that the process, and those that had its name before it, wrote."""
        path = self.log_file(name)
        return path.read_text(errors="replace") if path.exists() else ""

    def logs(self, *names: str) -> str:
        """The ends of the logs, for failure messages: of the named, or of all processes that ever ran."""
        found = [self.log_file(name) for name in names] or sorted(self._folder.glob("*.log"))
        return "\n".join(f"── {path.stem} ──\n{children.tail(path)}" for path in found)

    def wait_until(self, predicate: Callable[[], object], timeout: float = PATIENCE, what: str = "it was so") -> None:
        """Return once `predicate` is true.

        Fails the test with the ends of all logs after `timeout` seconds, or at once when a process has ended
        that nobody had ended.
        """
        children.wait_until(
            lambda: predicate() or self._nobody_died(what), timeout=timeout, what=what, explain=self.logs
        )

    def wait_for_log(self, name: str, words: str, timeout: float = PATIENCE) -> None:
        """Return once the process has logged these words."""
        self.wait_until(lambda: words in self.log(name), timeout, f"{name} logged {words!r}")

    def wait_for_exit(self, name: str, timeout: float = PATIENCE) -> int:
        """Return the code of a process that is expected to end by itself."""
        running = self._running[name]
        running.may_end = True
        self.wait_until(lambda: running.process.poll() is not None, timeout, f"{name} ended")
        self.kill9(name)  # what it left behind
        return int(running.process.returncode)

    def _nobody_died(self, what: str) -> Literal[False]:
        dead = {
            name: running.process.returncode
            for name, running in self._running.items()
            if not running.may_end and running.process.poll() is not None
        }
        if dead:
            ended = ", ".join(f"{name} ended with {code}" for name, code in dead.items())
            pytest.fail(f"Waiting until {what}, but {ended}.\n{self.logs()}", pytrace=False)
        return False


def _web_command(server: Literal["gunicorn", "django"], address: str) -> list[str]:
    if server == "django":
        return ["manage.py", "runserver", "--noreload", "--insecure", address]
    return ["-m", "gunicorn", "config.wsgi", "--bind", address, "--threads", "4"]


def _has_ended_or_answers(process: subprocess.Popen[bytes], address: str) -> bool:
    return process.poll() is not None or _answers(address)


def _answers(address: str) -> bool:
    """Whether somebody speaks HTTP there; any answer counts, also a redirect or an error."""
    host = urlsplit(f"//{address}")
    connection = http.client.HTTPConnection(str(host.hostname), host.port, timeout=5)
    try:
        connection.request("GET", "/")
        connection.getresponse()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True
