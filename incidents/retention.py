"""What is not kept for ever: the texts of notices, once their incident has been closed for long."""

from __future__ import annotations

import datetime as dt

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from config import times
from config.audit import giving_up
from config.history import acting
from config.models import User
from incidents.models import Notice

BATCH = 100  # notices of one transaction


class NoReason(ValidationError):
    def __init__(self) -> None:
        super().__init__(_("Say why the texts are given up. The reason is kept in the audit trail."), code="no_reason")


def reduce_bodies(before: dt.datetime, *, by: User, reason: str) -> int:
    """Blank the texts of notices that were settled before then, of incidents closed before then; returns how many.

    Their digests stay, and each has a row of history that says who did it and why.
    """
    if not reason.strip():
        raise NoReason
    done = 0
    with acting(by, reason=reason):
        while count := _reduce_some(before):
            done += count
    return done


@transaction.atomic
def _reduce_some(before: dt.datetime) -> int:
    notices = Notice.objects.reducible(before).order_by("pk").select_for_update(of=("self",))[:BATCH]
    for notice in (found := list(notices)):
        giving_up.give_up(notice, "text", "html")
    return len(found)


def text_of(notice: Notice) -> str:
    """Its text, or what is left of it."""
    kept = giving_up.kept(notice, "text") if not notice.text else None
    if kept is None:
        return notice.text
    sentence = _now("The text was reduced to its digest on %(at)s. SHA-256: %(digest)s")
    return sentence % {"at": times.in_zone(kept.at, "UTC"), "digest": next(iter(kept.digests.values()))}
