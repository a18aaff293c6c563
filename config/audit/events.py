"""What happened that changed no audited row: signing in, being refused, a link that was opened.

An event is written in the transaction that is going on. What is refused is undone with its transaction, so a refusal is
recorded where no transaction is open any more: at the edge, after the view.
"""

from __future__ import annotations

from django.db import models

from config.history import current_act
from config.models.event import Event, EventKind

LONGEST_FACT = 500  # characters
#: Why a link was refused, besides what its own standing says.
UNKNOWN, COLLEAGUE = "unknown", "colleague"


def record(kind: EventKind, *, about: models.Model | None = None, **said: object) -> Event:
    """Write down that it happened, as part of the act that is going on; `said` are the facts of its sentence."""
    act = current_act()
    return Event.objects.create(
        kind=kind,
        actor=act.actor,
        address=act.address,
        about=about._meta.label_lower if about is not None else "",
        about_pk=about.pk if about is not None else None,
        said={name: clean(value) for name, value in said.items()},
    )


def clean(value: object) -> str:
    """As it may stand in the trail: printable, on one line, and no longer than anybody reads."""
    return "".join(sign for sign in str(value) if sign.isprintable())[:LONGEST_FACT]
