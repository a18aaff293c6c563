"""The terms of one commitment as plain values, and the plan that follows from them once the clock starts.

Pure: no query, no clock of its own. What is copied to a deadline is exactly this, so that a later edit of the
agreement or its calendar moves nothing; production and previews compute with the same `plan`.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.conf import settings
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from agreements import clock
from agreements.models import Commitment, WarningPoint
from agreements.models.commitment import allowance_in_words, event_in_words


class Audience(StrEnum):
    """Who hears of it."""

    CONTACTS = "contacts"
    RESPONDERS = "responders"
    OWNER = "owner"
    MANAGERS = "managers"


class MomentKind(StrEnum):
    """What happens at a moment of a deadline's life if nobody acts."""

    WARNING = "warning"
    HOLDING = "holding"
    OVERDUE = "overdue"


STAFF = (Audience.RESPONDERS, Audience.OWNER, Audience.MANAGERS)


@dataclass(frozen=True)
class Moment:
    """At `at`, notices of this kind become due for these audiences. `key` names it within its deadline."""

    kind: MomentKind
    key: str
    at: dt.datetime
    audience: tuple[Audience, ...]

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "key": self.key, "at": self.at.isoformat(), "audience": list(self.audience)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Moment:
        audience = tuple(Audience(name) for name in data["audience"])
        return cls(MomentKind(data["kind"]), data["key"], dt.datetime.fromisoformat(data["at"]), audience)


@dataclass(frozen=True)
class Plan:
    """When it is due and what happens before: all None and empty for a duty without a number."""

    due_at: dt.datetime | None
    at_risk_at: dt.datetime | None
    moments: tuple[Moment, ...]
    target_at: dt.datetime | None = None  # our own, which is no part of the contract


@dataclass(frozen=True)
class AgreedWarning:
    """A warning point: either a percentage of the allowance or minutes before its end, and its audience."""

    percent: int | None
    minutes_before: int | None
    audience: tuple[Audience, ...]

    @property
    def key(self) -> str:
        return f"warning-{self.percent}%" if self.percent is not None else f"warning-{self.minutes_before}min"

    def as_clock_point(self) -> clock.WarningPoint:
        before = None if self.minutes_before is None else dt.timedelta(minutes=self.minutes_before)
        return clock.WarningPoint(percent=self.percent, before=before)


AT_RISK_PERCENT = 80  # of the allowance, where no warning point says otherwise


@dataclass(frozen=True)
class AgreedTerms:
    """One commitment with its calendar, as agreed. `to_json` and `from_json` round-trip exactly."""

    terms: clock.Terms
    calendar: clock.Calendar
    warnings: tuple[AgreedWarning, ...] = ()
    holding_percent: int | None = None
    is_recurring: bool = False
    is_pausable: bool = False
    cap_event: str = ""
    follows: str = ""  # the commitment that must be met first, in words
    target: clock.Terms | None = None

    def plan(
        self, started_at: dt.datetime, *, cap_started_at: dt.datetime | None = None, pauses: clock.Pauses = ()
    ) -> Plan:
        """What follows when the start event happened at `started_at`, the cap's at `cap_started_at` (aware, UTC).

        `pauses` are those of the incident; where the clause does not stop the clock they are of no effect.
        """
        if not self.is_pausable:
            pauses = ()
        due_at = clock.due_at(self.terms, self.calendar, started_at, cap_started_at=cap_started_at, pauses=pauses)
        if due_at is None:
            target_at = clock.due_at(self.target, self.calendar, started_at) if self.target else None
            return Plan(None, None, (), target_at)

        def instant(point: clock.WarningPoint) -> dt.datetime:
            return clock.warn_at(self.terms, self.calendar, started_at, due_at, point, pauses)

        moments = [
            Moment(MomentKind.WARNING, warning.key, instant(warning.as_clock_point()), warning.audience)
            for warning in self.warnings
        ]
        at_risk_at = max((m.at for m in moments), default=instant(clock.WarningPoint(percent=AT_RISK_PERCENT)))
        if self.holding_percent is not None:
            at = instant(clock.WarningPoint(percent=self.holding_percent))
            moments.append(Moment(MomentKind.HOLDING, "holding", at, (Audience.CONTACTS,)))
        moments.append(Moment(MomentKind.OVERDUE, "overdue", due_at, STAFF))
        return Plan(due_at, at_risk_at, tuple(sorted(moments, key=lambda moment: moment.at)))

    def in_words(self, start_event: str) -> str:
        """`within 4 hours of detection`, `every 60 minutes until resolved`, `as quickly as possible`."""
        allowance = self.terms.allowance
        if allowance is None:
            return _("as quickly as possible")
        words = allowance_in_words(allowance.amount, allowance.unit)
        if self.is_recurring:
            # Languages that inflect “every” need to know how many, although English says the same.
            said = ngettext(
                "every %(allowance)s until resolved", "every %(allowance)s until resolved", allowance.amount
            )
            return said % {"allowance": words}
        event = event_in_words(start_event, self.follows)
        parts = [_("within %(allowance)s of %(event)s") % {"allowance": words, "event": event}]
        if self.terms.cap is not None:
            limit = allowance_in_words(self.terms.cap.amount, self.terms.cap.unit)
            parts.append(
                _("at most %(limit)s from %(event)s") % {"limit": limit, "event": event_in_words(self.cap_event)}
            )
        if self.terms.roll is not clock.Roll.NONE:
            parts.append(_("moved to a business day"))
        return ", ".join(parts)

    def to_json(self) -> dict[str, Any]:
        return {
            "terms": self.terms.to_json(),
            "calendar": self.calendar.to_json(),
            "warnings": [[w.percent, w.minutes_before, list(w.audience)] for w in self.warnings],
            "holding_percent": self.holding_percent,
            "is_recurring": self.is_recurring,
            "is_pausable": self.is_pausable,
            "cap_event": self.cap_event,
            "follows": self.follows,
            "target": self.target and self.target.to_json(),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> AgreedTerms:
        return cls(
            terms=clock.Terms.from_json(data["terms"]),
            calendar=clock.Calendar.from_json(data["calendar"]),
            warnings=tuple(
                AgreedWarning(percent, minutes, tuple(Audience(name) for name in audience))
                for percent, minutes, audience in data["warnings"]
            ),
            holding_percent=data["holding_percent"],
            is_recurring=data["is_recurring"],
            is_pausable=data["is_pausable"],
            cap_event=data["cap_event"],
            follows=data["follows"],
            target=data["target"] and clock.Terms.from_json(data["target"]),
        )

    def digest(self) -> str:
        """SHA-256 over the canonical JSON: equal terms have equal digests."""
        return digest_of(self.to_json())


def digest_of(content: dict[str, Any]) -> str:
    """SHA-256 over the canonical JSON of terms as they are kept."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def agreed_terms(commitment: Commitment, *, calendar: clock.Calendar | None = None) -> AgreedTerms:
    """The commitment as it reads now, counted by its agreement's calendar if no other is given."""
    return AgreedTerms(
        terms=commitment.as_clock_terms(),
        calendar=calendar or commitment.agreement.calendar.as_clock_calendar(),
        warnings=tuple(_agreed_warnings(commitment.warning_points.all())),
        holding_percent=commitment.holding_percent if commitment.sends_holding_notice else None,
        is_recurring=commitment.is_recurring,
        is_pausable=commitment.is_pausable,
        cap_event=commitment.cap_event,
        follows=_followed(commitment),
        target=commitment.as_clock_target(),
    )


def _followed(commitment: Commitment) -> str:
    """In the language of the product whoever copies it, so that equal terms stay equal and can be translated later."""
    if commitment.follows is None:
        return ""
    with translation.override(settings.LANGUAGE_CODE):
        return commitment.follows.name_in_words()


def _agreed_warnings(points: Iterable[WarningPoint]) -> Iterable[AgreedWarning]:
    for point in points:
        chosen = {
            Audience.CONTACTS: point.has_contacts,
            Audience.RESPONDERS: point.has_responders,
            Audience.OWNER: point.has_owner,
            Audience.MANAGERS: point.has_managers,
        }
        audience = tuple(name for name, is_chosen in chosen.items() if is_chosen)
        yield AgreedWarning(point.percent, point.minutes_before, audience)
