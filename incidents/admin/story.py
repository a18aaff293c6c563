"""The story of an incident: what people wrote, what they did and why, and what reached its clients, newest first."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Max, Q, TextChoices
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from config import scope
from config.admin import edits
from config.erased import shown
from config.models import User
from incidents.admin import trail
from incidents.models import Incident, Notice, TimelineEntry

SHOWN = 100


class View(TextChoices):
    """Which part of it is shown; the address says so."""

    ALL = "all", _("All")
    CLIENTS = "clients", _("Visible to clients")
    CHANGES = "changes", _("Changes")

    @classmethod
    def named(cls, name: str) -> View:
        return cls(name) if name in cls.values else cls.ALL


@dataclass(frozen=True)
class Line:
    """One thing that happened."""

    at: dt.datetime
    text: str
    who: str = ""
    reason: str = ""
    typed_at: dt.datetime | None = None
    is_client_visible: bool = False
    is_change: bool = False

    def is_in(self, view: View) -> bool:
        return {View.ALL: True, View.CLIENTS: self.is_client_visible, View.CHANGES: self.is_change}[view]


@dataclass(frozen=True)
class Story:
    view: View
    lines: list[Line]
    is_cut: bool

    @property
    def views(self) -> list[tuple[View, bool]]:
        return [(view, view == self.view) for view in View]


def of(incident: Incident, to_clients: Sequence[Notice], view: str, reader: User) -> Story:
    """The newest of it; `to_clients` are the incident's latest notices to clients."""
    chosen = View.named(view)
    entries = scope.visible(incident.timeline.all(), reader)
    if chosen == View.CLIENTS:
        entries = entries.filter(is_client_visible=True)
    elif chosen == View.CHANGES:
        entries = entries.filter(is_note=False)
    newest = list(entries[: SHOWN + 1])
    own, timeline = (scope.visible(rows, reader) for rows in trail.trails(incident))
    edited = list(own.filter(history_type="~").order_by("-history_id")[:SHOWN])
    is_asked = Q(id__in=[entry.pk for entry in newest]) | Q(request_id__in=[row.request_id for row in edited])
    told = timeline.filter(is_asked, history_type="+").values_list(
        "id", "request_id", "history_change_reason", "is_note"
    )
    reasons = {pk: reason or "" for pk, _act, reason, _is_note in told}
    verbs = {act for _pk, act, _reason, is_note in told if not is_note}
    lines = [*_written(newest, reasons), *_edits(edited, verbs), *_delivered(to_clients), *_read(to_clients)]
    lines += _given_up(incident, reader)
    wanted = sorted((line for line in lines if line.is_in(chosen)), key=lambda line: line.at, reverse=True)
    return Story(chosen, wanted[:SHOWN], len(wanted) > SHOWN)


def _written(entries: Sequence[TimelineEntry], reasons: Mapping[int, str]) -> Iterator[Line]:
    """Entries of the timeline; those that verbs wrote with the reason that was given for it."""
    for entry in entries:
        reason = reasons.get(entry.pk, "")
        yield Line(
            at=entry.happened_at,
            text=entry.text,
            who=shown(entry.author_name),
            reason="" if reason in entry.text else reason,
            typed_at=entry.typed_at if entry.typed_at != entry.happened_at else None,
            is_client_visible=entry.is_client_visible,
            is_change=not entry.is_note,
        )


def _edits(rows: Sequence[Any], verbs: Collection[uuid.UUID]) -> Iterator[Line]:
    """What was changed on the page itself, field by field; what verbs changed says their own entry."""
    for change in edits([row for row in rows if row.request_id not in verbs]):
        yield Line(change.at, change.what, change.actor_name, change.reason, is_change=True)


def _delivered(notices: Sequence[Notice]) -> Iterator[Line]:
    """When the mail server took what a client was told, one line for all of its contacts."""
    lines: dict[tuple[object, ...], Line] = {}
    counts: dict[tuple[object, ...], int] = {}
    for notice in notices:
        if notice.accepted_at is None or notice.client is None:
            continue
        key = (notice.client_id, notice.kind, notice.deadline_id, notice.revision, notice.moment)
        counts[key] = counts.get(key, 0) + 1
        first = min(notice.accepted_at, lines[key].at) if key in lines else notice.accepted_at
        count = counts[key]
        told = {"kind": notice.get_kind_display(), "client": notice.client, "count": count}
        text = ngettext(
            "%(kind)s accepted for %(count)d contact of %(client)s.",
            "%(kind)s accepted for %(count)d contacts of %(client)s.",
            count,
        )
        lines[key] = Line(first, text % told, is_client_visible=True)
    yield from lines.values()


def _read(notices: Sequence[Notice]) -> Iterator[Line]:
    """That somebody at the client said that they read it."""
    for notice in notices:
        found = getattr(notice, "acknowledgement", None)
        if found is not None:
            told = {"who": shown(notice.recipient_name), "kind": notice.get_kind_display()}
            text = _now("%(who)s confirmed that they have read: %(kind)s.") % told
            yield Line(found.at, text, is_client_visible=True)


def _given_up(incident: Incident, reader: User) -> Iterator[Line]:
    """When texts of its notices were given up, one line for all of an act."""
    rows = scope.visible(Notice.history.filter(incident=incident, changed__contains=",text,"), reader)
    acts = rows.order_by().values("request_id", "actor_name", "history_change_reason")
    for act in acts.annotate(count=Count("history_id"), at=Max("history_date")).order_by("-at")[:SHOWN]:
        text = ngettext(
            "The text of %(count)d notice was reduced to its digest.",
            "The texts of %(count)d notices were reduced to their digests.",
            act["count"],
        )
        yield Line(act["at"], text % act, act["actor_name"], act["history_change_reason"], is_change=True)
