"""What is not kept for ever: the texts of notices, once what they were about has been closed for long.

Their digests stay, so that the seal of each still holds and a text that somebody has can be compared with what was sent
(incidents/presented.py).
"""

from __future__ import annotations

import datetime as dt
import itertools
import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Count, Max, Min, QuerySet
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from config import scope, stopping, times
from config.audit import events, giving_up
from config.history import acting
from config.models import EventKind, GivenUp, User
from incidents.models import Notice
from incidents.models.notice import NoticeQuerySet

logger = logging.getLogger(__name__)

BODIES = Notice.BODIES
#: Notices of one run of the worker: some seconds, for whose length there may be one child less to send what is due.
MOST = 2_000
BATCH = 500  # keys that are read at a time
COUNTED_UP_TO = 10_000  # notices that a preview looks at


class NoReason(ValidationError):
    def __init__(self) -> None:
        super().__init__(_("Say why the texts are given up. The reason is kept in the audit trail."), code="no_reason")


# ── which ───────────────────────────────────────────────────────────────────────────────────────────────────────────

#: Given an instant, incidents that somebody still worked on since: their notices are left alone.
InUse = Callable[[dt.datetime], QuerySet[Any]]

_in_use: list[InUse] = []


def register_use(find: InUse) -> InUse:
    """For the floors above: whose texts are still needed, as the keys of incidents."""
    _in_use.append(find)
    return find


def reducible(before: dt.datetime, by: User | None = None) -> NoticeQuerySet:
    """Notices whose texts stand, and of which nothing has happened since then; of those, the ones that `by` sees."""
    found = Notice.objects.reducible(before)
    for find in _in_use:
        incidents = find(before)
        found = found.exclude(incident__in=incidents).exclude(incident__merged_into__in=incidents)
    return found if by is None else scope.visible(found, by)


@dataclass(frozen=True)
class Preview:
    """What would be given up; `is_capped` where there is more than was looked at."""

    notices: int
    clients: int
    incidents: int
    oldest_at: dt.datetime | None
    newest_at: dt.datetime | None

    @property
    def is_capped(self) -> bool:
        return self.notices >= COUNTED_UP_TO


def preview(before: dt.datetime, by: User | None = None) -> Preview:
    some = reducible(before, by).order_by("pk").values("pk")[:COUNTED_UP_TO]
    facts = Notice.objects.filter(pk__in=some).aggregate(
        notices=Count("pk"),
        clients=Count("client", distinct=True),
        incidents=Count("incident", distinct=True),
        oldest_at=Min("made_at"),
        newest_at=Max("made_at"),
    )
    return Preview(**facts)


# ── giving them up ──────────────────────────────────────────────────────────────────────────────────────────────────


def reduce_bodies(
    before: dt.datetime,
    *,
    by: User | None = None,
    reason: str,
    most: int | None = None,
    should_stop: Callable[[], bool] = stopping.never,
) -> int:
    """Blank the texts of (at most so many) notices of which nothing has happened since then; returns how many.

    Their digests stay. Each has a row of history that says who did it and why, and all are one act, which says how many
    they were. Each is a transaction of its own: two at once share the work, and one that fails is left as it was.
    """
    if not reason.strip():
        raise NoReason
    due = reducible(before, by)
    with acting(by, reason=reason):
        done = sum(_reduce(due, key) for key in itertools.islice(_keys(due), most) if not should_stop())
        if done:
            events.record(EventKind.TEXTS_REDUCED, count=done, before=f"{before.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC")
    return done


def reduce_as_set(now: dt.datetime, should_stop: Callable[[], bool] = stopping.never) -> int:
    """What is older than NOTICE_BODY_DAYS, by the worker, so much at a time; nothing while that says for ever."""
    days = settings.NOTICE_BODY_DAYS
    if not days:
        return 0
    reason = f"Texts of notices are kept for {days} days (NOTICE_BODY_DAYS)."
    with acting(task="retention.reduce_as_set"):
        return reduce_bodies(now - dt.timedelta(days=days), reason=reason, most=MOST, should_stop=should_stop)


def _keys(due: NoticeQuerySet) -> Iterator[int]:
    """Onwards only, so that one that fails is not met again."""
    after = 0
    while some := list(due.filter(pk__gt=after).order_by("pk").values_list("pk", flat=True)[:BATCH]):
        yield from some
        after = some[-1]


def _reduce(due: NoticeQuerySet, key: int) -> bool:
    """Whether it was this run that did it."""
    try:
        with transaction.atomic():
            notice = due.filter(pk=key).select_for_update(of=("self",), skip_locked=True).first()
            if notice is not None:
                giving_up.give_up(notice, *BODIES)
            return notice is not None
    except IntegrityError:  # a text was put where one had been given up; `audit verify` says so
        logger.exception("The texts of notice %s could not be given up.", key)
        return False


# ── what is left ────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Remains:
    """What is left of the texts of a notice: since when, and the SHA-256 of each."""

    at: dt.datetime
    digests: Mapping[str, str]
    is_signed: bool  # by our key; what is not proves nothing

    @property
    def sentence(self) -> str:
        said = {"at": times.in_zone(self.at, "UTC"), "digest": self.digests.get("text", "–")}
        return _now("The text was reduced to its digest on %(at)s. SHA-256: %(digest)s") % said


def remains_of(notices: Sequence[Notice]) -> dict[int, Remains]:
    """By key, of those whose texts were given up, of which the HTML goes with the text; one query."""
    kept: dict[int, dict[str, GivenUp]] = defaultdict(dict)
    for (key, name), one in giving_up.kept_of([notice for notice in notices if not notice.text]).items():
        if name in BODIES:
            kept[key][name] = one
    return {
        key: Remains(
            at=min(one.at for one in bodies.values()),
            digests={name: bodies[name].digest for name in BODIES if name in bodies},
            is_signed=all(map(giving_up.is_ours, bodies.values())),
        )
        for key, bodies in kept.items()
    }


def remains(notice: Notice) -> Remains | None:
    """None while a text stands there, or if there never was one."""
    return remains_of([notice]).get(notice.pk)


def given_up_by(notice: Notice) -> str:
    """Whose act it was, as its history tells."""
    rows = Notice.history.filter(id=notice.pk, changed__contains=",text,").order_by("-history_id")
    return str(rows.values_list("actor_name", flat=True).first() or "")


def text_of(notice: Notice) -> str:
    """Its text, or what is left of it."""
    left = remains(notice)
    return left.sentence if left is not None else notice.text
