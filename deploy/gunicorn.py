"""How gunicorn serves pages. WEB_CONCURRENCY says in how many processes; where it listens, its command says."""

from __future__ import annotations

worker_class = "gthread"
threads = 4  # in each process; a page waits for the database more than it computes
worker_connections = 4  # no more than can be served: else one process takes what another is idle for
timeout = 30  # seconds without a sign of life, after which a process is started anew
graceful_timeout = 30  # seconds for pages that are under way when a process is to end or to load new code
keepalive = 0  # a connection that is kept would take the place of one that is served
worker_tmp_dir = "/dev/shm"  # noqa: S108 - a sign of life must not wait for a disk
control_socket_disable = True  # signals do: HUP loads new code, TERM ends
