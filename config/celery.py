"""The Celery application. Its messages are doorbells: no data, no results, safe to lose and to repeat."""

from __future__ import annotations

import functools
import logging
from typing import Any

from celery import Celery, signals
from celery.contrib.django.task import DjangoTask
from django.db import transaction
from kombu.transport import TRANSPORT_ALIASES

from config import logs, start, stopping

start.load_settings()

logger = logging.getLogger(__name__)

RING_TIMEOUT = 1.0  # seconds; a person's click never waits longer for the broker than this


class Doorbell(DjangoTask):  # type: ignore[type-arg]
    """A task that may be rung after a commit. The beat rings it every second anyway, so a failed ring is only late."""

    def ring_on_commit(self) -> None:
        """Ring once the surrounding transaction has committed; never raises, never waits longer than a second."""
        transaction.on_commit(functools.partial(ring, self), robust=True)


def ring(task: Doorbell) -> None:
    """Publish the task over a connection of its own with bounded waits (a stalled broker blocks for 20 s else)."""
    try:
        with app.connection_for_write(connect_timeout=RING_TIMEOUT, transport_options=_bounded()) as connection:
            task.apply_async(expires=5, retry=False, connection=connection)  # type: ignore[call-arg]
    except Exception as error:  # noqa: BLE001 - whatever the broker does, the commit stands and the beat will ring
        logger.warning("The doorbell %s was not heard (%s); the next tick does the work.", task.name, logs.said(error))


def _bounded() -> dict[str, Any]:
    options: dict[str, Any] = dict(app.conf.broker_transport_options)
    if app.conf.broker_url.startswith("redis"):
        options |= {"socket_timeout": RING_TIMEOUT, "socket_connect_timeout": RING_TIMEOUT, "max_retries": 0}
    return options


TRANSPORT_ALIASES["filesystem"] = "config.broker:Transport"

app = Celery("due_notice", task_cls=Doorbell)
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@signals.setup_logging.connect(weak=False)
def _log_as_the_settings_say(**_details: Any) -> None:
    """Celery sets up no logs of its own, in which errors would be told in their own words; LOG_LEVEL rules."""


@signals.worker_shutting_down.connect(weak=False)
def _finish_the_step_at_hand(**_details: Any) -> None:
    stopping.ask()
