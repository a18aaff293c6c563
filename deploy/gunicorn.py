"""How gunicorn serves pages. WEB_CONCURRENCY says in how many processes; where it listens, its command says."""

from __future__ import annotations

import os
import shutil
import tempfile
from typing import Any

worker_class = "gthread"
threads = 4  # in each process; a page waits for the database more than it computes
worker_connections = 4  # no more than can be served: else one process takes what another is idle for
timeout = 30  # seconds without a sign of life, after which a process is started anew
graceful_timeout = 30  # seconds for pages that are under way when a process is to end or to load new code
keepalive = 0  # a connection that is kept would take the place of one that is served
worker_tmp_dir = "/dev/shm"  # noqa: S108 - a sign of life must not wait for a disk
control_socket_disable = True  # signals do: HUP loads new code, TERM ends

# ── what all processes count together (config/metrics.py) ───────────────────────────────────────────────────────────

COUNTS = "PROMETHEUS_MULTIPROC_DIR"  # by which the library knows the folder


def on_starting(server: Any) -> None:
    """A new folder for each start, which nobody else can read; systemd says in which it is removed in any case."""
    os.environ[COUNTS] = tempfile.mkdtemp(prefix="due-notice-", dir=os.environ.get("RUNTIME_DIRECTORY"))


def pre_fork(server: Any, worker: Any) -> None:
    """The lowest number that no living process has: it goes on in the file of whoever had it, so files stay few."""
    taken = {getattr(other, "number", None) for other in server.WORKERS.values()}
    worker.number = next(number for number in range(len(taken) + 1) if number not in taken)


def post_fork(server: Any, worker: Any) -> None:
    if COUNTS in os.environ:  # which a server that was started by an earlier release lacks until it is restarted
        from prometheus_client import values  # here, so that new code is loaded by new processes

        values.ValueClass = values.MultiProcessValue(lambda: worker.number)  # type: ignore[no-untyped-call]


def on_exit(server: Any) -> None:
    if COUNTS in os.environ:
        shutil.rmtree(os.environ[COUNTS], ignore_errors=True)
