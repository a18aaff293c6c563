"""What an incident's page as it was says of its notices: no history row has the first values of one."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.utils.translation import gettext as _now

from config import times
from config.audit.as_it_was import SHOWN, Stood, tells
from config.audit.histories import See
from incidents.models import Notice


@tells(Notice)
def notices_by(incident: Any, at: dt.datetime, see: See) -> list[Stood]:
    """Those that were made by then, and whether the mail server had taken them; the newest first."""
    made = see(Notice.objects.filter(incident=incident, made_at__lte=at)).defer("text", "html")
    return [_stood(notice, at) for notice in made.order_by("-made_at", "-pk")[: SHOWN + 1]]


def _stood(notice: Notice, at: dt.datetime) -> Stood:
    accepted = notice.accepted_at if notice.accepted_at and notice.accepted_at <= at else None
    facts = [
        (_now("Subject"), notice.subject),
        (_now("Made at"), times.in_both(notice.made_at, "UTC")),
        *([(_now("Accepted at"), times.in_both(accepted, "UTC"))] if accepted else []),
    ]
    return Stood(str(notice), _now("accepted") if accepted else _now("not accepted yet"), facts)
