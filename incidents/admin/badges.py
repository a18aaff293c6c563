"""How severities, standings and states look: a word, a sign and a tone."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Mapping
from dataclasses import dataclass

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import get_language

from agreements.models import Severity
from config.admin import badge
from incidents.models import Incident, Notice, Standing
from incidents.models.incident import Status
from incidents.models.notice import STUCK_STATES, NoticeState

_SEVERITY: Mapping[str, tuple[str, str]] = {
    Severity.CRITICAL: ("crit", "▲▲"),
    Severity.HIGH: ("high", "▲"),
    Severity.MEDIUM: ("med", "■"),
    Severity.LOW: ("ok", "▽"),
}
_STANDING: Mapping[str, tuple[str, str]] = {
    Standing.WAITING: ("off", "○"),
    Standing.RUNNING: ("run", "◑"),
    Standing.PAUSED: ("off", "❚❚"),
    Standing.AT_RISK: ("high", "◔"),
    Standing.MISSED: ("crit", "✕"),
    Standing.MET: ("ok", "✓"),
    Standing.ENDED: ("off", "–"),
}
#: What becomes of a deadline if nobody does anything.
LATER = (Standing.RUNNING, Standing.AT_RISK, Standing.MISSED)
_STATUS: Mapping[str, tuple[str, str]] = {
    Status.DECLARED: ("high", "!"),
    Status.ACKNOWLEDGED: ("run", "◑"),
    Status.MITIGATED: ("med", "◕"),
    Status.RESOLVED: ("ok", "✓"),
    Status.CLOSED: ("off", "–"),
    Status.MERGED: ("off", "⇥"),
}
_NOTICE: Mapping[str, tuple[str, str]] = {
    NoticeState.SENT: ("ok", "✓"),
    NoticeState.FAILED: ("crit", "✕"),
    NoticeState.REVIEW: ("crit", "?"),
    NoticeState.RETRY_WAIT: ("high", "↻"),
    NoticeState.CANCELLED: ("off", "–"),
    NoticeState.SUPERSEDED: ("off", "–"),
    NoticeState.HANDLED: ("ok", "✓"),
}


def severity(value: str) -> SafeString:
    return badge(Severity(value).label, *_SEVERITY[value])


def standing(value: str) -> SafeString:
    return badge(Standing(value).label, *_STANDING[value])


def turning(value: str, *, at_risk_at: dt.datetime | None, due_at: dt.datetime) -> SafeString:
    """The badge of a standing that turns into the later ones by itself, at their instants (countdown.js)."""
    return format_html(
        '<span data-standing="{}" data-at-risk-at="{}" data-due-at="{}">{}{}</span>',
        value,
        at_risk_at.isoformat() if at_risk_at else "",
        due_at.isoformat(),
        standing(value),
        _later(value, get_language()),
    )


@functools.cache  # of a few words in a few languages
def _later(value: str, _language: str | None) -> SafeString:
    later = LATER[LATER.index(Standing(value)) + 1 :]
    return format_html_join(
        "", '<template data-standing="{}">{}</template>', ((name, standing(name)) for name in later)
    )


def status(value: str) -> SafeString:
    return badge(Status(value).label, *_STATUS[value])


def notice_state(value: str) -> SafeString:
    return badge(NoticeState(value).label, *_NOTICE.get(value, ("run", "…")))


@dataclass(frozen=True)
class OfIncident:
    """A row of a page that is about one incident."""

    incident: Incident

    @property
    def severity(self) -> SafeString:
        return severity(self.incident.severity)

    @property
    def status(self) -> SafeString:
        return status(self.incident.status)


@dataclass(frozen=True)
class OfNotice:
    """A row of a page that is about one notice."""

    notice: Notice

    @property
    def badge(self) -> SafeString:
        return notice_state(self.notice.state)

    @property
    def needs_a_person(self) -> bool:
        return self.notice.state in STUCK_STATES
