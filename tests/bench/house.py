"""The whole product at work beside a bench: nginx, gunicorn, worker, beat, Redis, and the CPU that each takes."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tests.bench.visitors import Site
from tests.deploy.front import NAME, Front
from tests.deploy.units import command
from tests.services import children
from tests.services.processes import Processes
from tests.services.redis import RedisServer


@dataclass(frozen=True)
class Started:
    processes: Processes


@dataclass
class House:
    """What runs, and whose session is whose."""

    processes: Processes
    front: Front
    redis: RedisServer
    database: str

    @property
    def site(self) -> Site:
        return Site(self.front.port, str(self.front.certificate), NAME)

    @property
    def sessions(self) -> dict[str, int]:
        own = {part: self.processes.pid(part) for part in ("web", "worker", "beat")}
        return {**own, "nginx": self.front.pid, "redis": self.redis.pid}

    def errors(self) -> str:
        """What the processes complained of, the last of it."""
        lines = [f"{part}: {line}" for part in ("web", "worker") for line in self.processes.log(part).splitlines()]
        return "\n".join(line for line in lines if " ERROR" in line or "WARNING" in line)[-3000:]


@contextmanager
def open_house(url: str, env: Mapping[str, str]) -> Iterator[House]:
    """By the very commands of the units, one of each; TLS by nginx with the configuration of deploy/nginx."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="due-notice-bench-")))
        folder.chmod(0o755)
        redis = stack.enter_context(RedisServer())
        own = {"DATABASE_URL": url, "REDIS_URL": redis.url, "LOG_LEVEL": "WARNING", **env}
        processes = stack.enter_context(Processes(folder, own))
        processes.env.pop("DJANGO_SETTINGS_MODULE")
        (folder / "nginx").mkdir()
        front = Front(Started(processes), folder / "nginx")
        house = House(processes, front, redis, urlsplit(url).path.strip("/"))
        stack.callback(house.front.stop)
        processes.manage("collectstatic", "--noinput")
        house.front.start_node("web")
        house.front.start()
        for part in ("worker", "beat"):
            processes.start(part, "-m", "celery", *command(f"due-notice-{part}.service")[1:])
        yield house


# ── who takes the CPU ───────────────────────────────────────────────────────────────────────────────────────────────


class Meter(threading.Thread):
    """Seconds of CPU by part, looked up twice a second, so that of a process that ends hardly anything is missed."""

    OWN = "load generator"

    def __init__(self, house: House) -> None:
        super().__init__(daemon=True)
        self._house = house
        self._first: dict[int, float] = {}
        self._last: dict[int, float] = {}
        self._part: dict[int, str] = {}
        self._enough = threading.Event()
        self._since = 0.0
        self.seconds = 0.0

    def run(self) -> None:
        self._since = time.monotonic()
        self._look(is_first=True)
        while not self._enough.wait(0.5):
            self._look()
        self.seconds = time.monotonic() - self._since

    def stop(self) -> Counter[str]:
        self._enough.set()
        self.join()
        spent: Counter[str] = Counter()
        for pid, last in self._last.items():
            spent[self._part[pid]] += last - self._first[pid]  # type: ignore[assignment]  # seconds, not a number
        return spent

    def _look(self, *, is_first: bool = False) -> None:
        sessions = {session: part for part, session in self._house.sessions.items()}
        for name in filter(str.isdecimal, os.listdir("/proc")):
            try:
                stat = Path("/proc", name, "stat").read_text().rpartition(")")[2].split()
                pid, session = int(name), int(stat[3])
                part = self._part.get(pid) or sessions.get(session) or self._other(pid)
            except OSError:
                continue  # it has just ended
            if part:
                spent = (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")
                self._part[pid] = part
                self._first.setdefault(pid, spent if is_first else 0.0)
                self._last[pid] = spent

    def _other(self, pid: int) -> str:
        if pid == os.getpid():
            return self.OWN
        words = Path("/proc", str(pid), "cmdline").read_bytes().decode(errors="replace")
        return "database" if words.startswith("postgres:") and f" {self._house.database} " in words else ""


def wait_until_idle(house: House, seconds: float) -> None:
    """Return once the worker has hardly anything to do: what had fallen due while nobody was at work is done."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        before = _cpu(house)
        time.sleep(2)
        if _cpu(house) - before < 0.6:
            return


def _cpu(house: House) -> float:
    spent = 0.0
    for pid in children.session_members(house.processes.pid("worker")):
        try:
            stat = Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        spent += (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")
    return spent
