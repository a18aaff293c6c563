"""A relay that takes 20 ms for every answer, over 1, 4 and 16 connections. `python -m tests.bench.connections`"""

from __future__ import annotations

import argparse
import multiprocessing

from django.conf import settings
from django.db import connection

from config.env import MailRelay
from incidents import notices, outbox
from incidents.models import Notice
from incidents.models.notice import NoticeState
from tests import cast
from tests.bench.burst import WARNED_AT, set_scene
from tests.bench.sink import Seen, Sink, running_sink
from tests.bench.stage import DATABASES, Cores, verdict, watched_cores

SHAPES = ("1x1", "1x4", "4x1", "1x16", "2x8", "4x4")  # processes x threads of each
FOR_EACH = 100  # mails for each connection: eight seconds at 20 ms for each of four answers
AIM = 0.75  # of K times what one connection does


def deliver(processes: int, threads: int, sink: Sink) -> tuple[Seen, Cores]:
    """So many processes with so many connections each deliver FOR_EACH mails for each connection, warm."""
    count = processes * threads * FOR_EACH
    waiting = Notice.objects.filter(pk__in=Notice.objects.order_by("pk").values("pk")[:count])
    assert cast.past_the_trail(waiting, state=NoticeState.PENDING, next_attempt_at=WARNED_AT, accepted_at=None) == count
    settings.NOTICE_SENDERS = threads
    connection.close()  # a forked process must not share it
    forked = multiprocessing.get_context("fork")
    workers = [forked.Process(target=outbox.deliver, args=(WARNED_AT,)) for _number in range(processes)]
    with watched_cores() as cores:
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    seen = sink.seen()
    assert seen.mails == count
    return seen, cores


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--delay", type=float, default=20, help="milliseconds that the relay takes for an answer (20)")
    options.add_argument("--shapes", nargs="+", default=SHAPES, help="processes x threads of each (%(default)s)")
    options.add_argument("--database", choices=list(DATABASES), default="postgresql")
    chosen = options.parse_args()
    shapes = [tuple(map(int, shape.split("x"))) for shape in chosen.shapes]
    with DATABASES[chosen.database](), running_sink(delay=chosen.delay / 1000) as sink:
        settings.MAIL_RELAY = MailRelay("127.0.0.1", sink.port, "none")
        set_scene(max(processes * threads for processes, threads in shapes) * FOR_EACH, is_one_incident=True)
        notices.raise_due(WARNED_AT)
        cast.past_the_trail(Notice.objects, state=NoticeState.SENT, accepted_at=WARNED_AT)
        print(f"{'processes':>9} {'threads':>8} {'mails/s':>8} {'of K x one':>11} {'cores busy':>11}", flush=True)
        one = 0.0
        for processes, threads in shapes:
            seen, cores = deliver(processes, threads, sink)
            one = one or seen.rate / (processes * threads)
            share = seen.rate / (one * processes * threads)
            told = f"{processes:>9} {threads:>8} {seen.rate:8.1f} {share:11.2f} {cores.busy:6.1f} of {cores.there}"
            print(f"{told}   (aim ≥ {AIM}) {verdict(share >= AIM)}", flush=True)


if __name__ == "__main__":
    main()
