"""What was done to an incident, as its audit trail tells it: by whom, when, what and why."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from django.utils.translation import gettext as _now

from config import scope
from config.admin import edits_since
from config.history import Caller
from config.meanwhile import Change, Reading
from config.models import User
from incidents.models import Incident, TimelineEntry
from incidents.models.notice import NoticeKind, NoticeQuerySet


def trails(incident: Incident) -> tuple[Any, Any]:
    """The history rows of its own fields and of its timeline: every verb of a person writes an entry there."""
    return Incident.history.filter(id=incident.pk), TimelineEntry.history.filter(incident=incident.pk)


def has(incident: Incident, request_id: uuid.UUID) -> bool:
    """Whether the act with this id is in the trail."""
    return any(trail.filter(request_id=request_id).exists() for trail in trails(incident))


def changes_since(incident: Incident, reading: Reading, reader: User) -> Sequence[Change]:
    """What people did to it since: verbs in the words of the timeline, edits field by field. No notes, no workers."""
    own, timeline = trails(incident)
    own_read, timeline_read = reading.latest
    entries = scope.visible(timeline, reader).filter(history_id__gt=timeline_read, history_type="+", is_note=False)
    done = [
        Change(row.actor_name, row.history_date, row.text, row.history_change_reason or "", row.request_id)
        for row in entries.exclude(caller=Caller.WORKER).order_by("history_id")
    ]
    verbs = {change.request_id for change in done}
    edits = [edit for edit in edits_since(own_read, scope.visible(own, reader)) if edit.request_id not in verbs]
    return sorted([*done, *edits], key=lambda change: change.at)


def newest_holding_notice(incident: Incident) -> int:
    """Its number, as a page carries it; 0 where none has gone out by itself."""
    return _holding_notices(incident).order_by("-pk").values_list("pk", flat=True).first() or 0


def holding_notices_since(incident: Incident, number: int, reader: User) -> list[Change]:
    """What went out to clients by itself since then, one line for each client."""
    since = (
        scope.visible(_holding_notices(incident), reader).filter(pk__gt=number).select_related("client").order_by("pk")
    )
    first = {notice.client_id: notice for notice in reversed(since)}
    said = _now("%(kind)s to %(client)s, because nobody had told them.")
    return [
        Change(_now("by itself"), notice.made_at, said % {"kind": notice.get_kind_display(), "client": notice.client})
        for notice in first.values()
    ]


def _holding_notices(incident: Incident) -> NoticeQuerySet:
    return incident.notices.filter(kind=NoticeKind.HOLDING_NOTICE)
