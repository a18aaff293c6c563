"""Alerts of a monitoring system: a group that fires opens an incident or is told to the one that is open.

Nobody is believed: texts are cut to what is printable, and go to colleagues only, besides the title. An incident that
was opened so is declared by the system under the token's name; its deadlines run like any other's.
"""

from __future__ import annotations

import datetime as dt
import enum
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Case, F, Value, When
from django.utils.translation import gettext as _

from agreements.models import Service, Severity
from config.audit import events
from config.history import acting
from config.models import User
from incidents.lifecycle.declaring import declare
from incidents.lifecycle.verb import log
from incidents.models import AlertGroup, Incident, IntakeToken
from incidents.models.incident import Status
from incidents.models.intake import digest_of, new_secret

MOST_ALERTS = 100  # of one call
MOST_TOLD = 20  # alerts of one entry that are told one by one
PER_MINUTE = 60  # calls of one token
WINDOW = dt.timedelta(minutes=1)
LONGEST_AGO = dt.timedelta(days=1)  # that an alert is believed to have begun
VERSION = "4"


class Wrong(Exception):
    """This is not what an Alertmanager sends; the sentence says why."""


# ── tokens ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def issue(token: IntakeToken, *, now: dt.datetime) -> str:
    """Give an unsaved token its secret, which is returned and kept nowhere."""
    secret = new_secret("dn_in_")
    token.digest, token.made_at = digest_of(secret), now
    return secret


def find(secret: str) -> IntakeToken | None:
    return IntakeToken.objects.filter(digest=digest_of(secret), revoked_at__isnull=True).first()


def revoke(token: IntakeToken, *, by: User, reason: str, now: dt.datetime) -> None:
    with transaction.atomic(), acting(by, reason=reason):
        locked = IntakeToken.objects.select_for_update(no_key=True).get(pk=token.pk)
        if not locked.is_usable:
            raise ValidationError(_("“%(name)s” is already revoked.") % {"name": locked})
        locked.revoked_at = now
        locked.save()


def wait(token: IntakeToken, now: dt.datetime) -> int:
    """Count one more call: 0 if it is within the limit, else the seconds until the next minute. Two queries."""
    begins = now.replace(second=0, microsecond=0)
    mine = IntakeToken.objects.filter(pk=token.pk)
    is_going_on = When(window_at=begins, then=F("window_count") + 1)
    mine.update(window_count=Case(is_going_on, default=Value(1)), window_at=begins, last_used_at=now)
    count = mine.values_list("window_count", flat=True).get()
    return int((begins + WINDOW - now).total_seconds()) + 1 if count > PER_MINUTE else 0


# ── what was posted ─────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Alert:
    name: str
    is_firing: bool
    starts_at: dt.datetime | None
    fingerprint: str
    labels: Mapping[str, str]
    summary: str

    def __str__(self) -> str:
        labels = ", ".join(f"{name}={value}" for name, value in self.labels.items() if name != "alertname")
        return f"{self.name} ({labels[:300]}) {self.summary}".strip()


@dataclass(frozen=True)
class Post:
    """One call of an Alertmanager: webhook format, version 4."""

    group: str  # digest of its groupKey
    is_firing: bool
    title: str
    labels: Mapping[str, str]  # that all have in common
    alerts: Sequence[Alert]

    @property
    def digest(self) -> str:
        """Of what it says: an Alertmanager repeats itself, and two of them say the same."""
        said = sorted((alert.fingerprint or str(alert), alert.is_firing, str(alert.starts_at)) for alert in self.alerts)
        return hashlib.sha256(repr((self.is_firing, said)).encode()).hexdigest()

    @property
    def firing(self) -> list[Alert]:
        return [alert for alert in self.alerts if alert.is_firing]

    def detected_at(self, now: dt.datetime) -> dt.datetime:
        """When the first alert began, if that can be believed."""
        begun = [at for alert in self.firing if (at := alert.starts_at) and now - LONGEST_AGO <= at <= now]
        return min(begun, default=now)

    def told(self) -> str:
        lines = [f"• {alert}" for alert in self.alerts[:MOST_TOLD]]
        more = len(self.alerts) - MOST_TOLD
        return "\n".join([*lines, f"… (+{more})"] if more > 0 else lines)


def post_of(body: Any) -> Post:
    """What the JSON says. Raises Wrong."""
    if not isinstance(body, dict) or str(body.get("version")) != VERSION:
        raise Wrong(_("This is no message of an Alertmanager, webhook version 4."))
    key, status, alerts = body.get("groupKey"), body.get("status"), body.get("alerts")
    if not isinstance(key, str) or not key or status not in ("firing", "resolved"):
        raise Wrong(_("A message needs a groupKey, and firing or resolved as its status."))
    if not isinstance(alerts, list) or not alerts or not all(isinstance(alert, dict) for alert in alerts):
        raise Wrong(_("A message needs its alerts."))
    if len(alerts) > MOST_ALERTS:
        raise Wrong(
            _("A message may have at most %(most)d alerts. Set max_alerts in the Alertmanager.") % {"most": MOST_ALERTS}
        )
    labels = _texts(body.get("groupLabels")) | _texts(body.get("commonLabels"))
    found = [_alert(alert) for alert in alerts]
    notes = _texts(body.get("commonAnnotations"))
    return Post(
        group=hashlib.sha256(key.encode(errors="replace")).hexdigest(),
        is_firing=status == "firing",
        title=(notes.get("summary") or labels.get("alertname") or found[0].name)[:200],
        labels=labels,
        alerts=found,
    )


def _alert(said: dict[str, Any]) -> Alert:
    labels, notes = _texts(said.get("labels")), _texts(said.get("annotations"))
    return Alert(
        name=labels.get("alertname") or _("alert without a name"),
        is_firing=said.get("status") == "firing",
        starts_at=_instant(said.get("startsAt")),
        fingerprint=events.clean(said.get("fingerprint") or "")[:64],
        labels=labels,
        summary=notes.get("summary") or notes.get("description") or "",
    )


def _texts(said: object) -> dict[str, str]:
    """Names and values that can be shown: printable, on one line, not endless."""
    if not isinstance(said, dict):
        return {}
    pairs = [
        (events.clean(name)[:60], _line(value)) for name, value in list(said.items())[:40] if isinstance(value, str)
    ]
    return {name: value for name, value in pairs if value}


def _line(value: str) -> str:
    return " ".join(events.clean(" ".join(value.split())).split())


def _instant(said: object) -> dt.datetime | None:
    try:
        found = dt.datetime.fromisoformat(said) if isinstance(said, str) else None
    except ValueError:
        return None
    return found.astimezone(dt.UTC) if found and found.tzinfo and found.year >= 2000 else None


# ── what becomes of it ──────────────────────────────────────────────────────────────────────────────────────────────


class Became(enum.StrEnum):
    OPENED = "opened"
    APPENDED = "appended"
    KNOWN = "known"  # said before
    NOTHING = "nothing"  # resolved, and no incident was open


def take(token: IntakeToken, post: Post, *, now: dt.datetime) -> tuple[Became, Incident | None]:
    """Open an incident for the group, or tell the one that is open; once, however often and close it is said.

    What is resolved is told, and resolves nothing: only a person knows whether the service is restored.
    """
    with transaction.atomic(), acting(task=f"alerts by {token.name}"):
        AlertGroup.objects.get_or_create(token=token, key=post.group)
        group = AlertGroup.objects.select_for_update().get(token=token, key=post.group)
        incident = _open_incident(group)
        if incident is not None and group.latest == post.digest:
            return Became.KNOWN, incident
        if incident is not None:
            became = Became.APPENDED
            log(incident, _entry(post), None, at=now, now=now)
        elif post.is_firing:
            became, incident = Became.OPENED, _declare(token, post, now)
            group.incident = incident
        else:
            return Became.NOTHING, None
        group.latest = post.digest
        group.save()
    return became, incident


def _open_incident(group: AlertGroup) -> Incident | None:
    """Locked; where it was merged, the one that it was merged into."""
    key = group.incident_id
    while key is not None:
        incident = Incident.objects.locked().get(pk=key)
        if incident.status != Status.MERGED:
            return incident if incident.is_open else None
        key = incident.merged_into_id
    return None


def _declare(token: IntakeToken, post: Post, now: dt.datetime) -> Incident:
    service, severity = token.service, Severity(token.severity)
    if token.reads_labels:
        named = post.labels.get("service", "")
        service = Service.objects.filter(name__iexact=named, is_active=True).first() or service
        said = post.labels.get("severity", "").casefold()
        severity = Severity(said) if said in Severity.values else severity
    return declare(
        by=None,
        now=now,
        title=post.title,
        severity=severity,
        services=[service],
        detected_at=post.detected_at(now),
        description=_entry(post),
        reason=_("Alerts by %(name)s.") % {"name": token.name},
    )


def _entry(post: Post) -> str:
    head = (
        _("Alerts are firing:") if post.is_firing else _("All alerts of the group are resolved; the incident is not:")
    )
    return f"{head}\n{post.told()}"[:5_000]
