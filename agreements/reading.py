"""How an agreement reads: its commitments as the contract would say them, and who hears what because of them.

Pure: works on commitments that were read with what they follow and with their warning points, and asks nothing more.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from agreements import clock
from agreements.explanation import AUDIENCES
from agreements.models import Commitment, Obligation, Severity, WarningPoint
from agreements.models.commitment import allowance_in_words
from agreements.terms import AgreedTerms, Audience, agreed_terms
from config import times

#: Words never depend on the calendar, which may be one that says nothing yet.
_ANY_CALENDAR = clock.Calendar.always_open("UTC")


# ── what is owed ────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Said:
    """One commitment as the contract says it, with what it means here."""

    commitment: Commitment
    terms: AgreedTerms

    @classmethod
    def of(cls, commitment: Commitment) -> Said:
        return cls(commitment, agreed_terms(commitment, calendar=_ANY_CALENDAR))

    @property
    def words(self) -> str:
        """`within 4 hours of detection, 24×7, clause 7.2`, `as quickly as possible`."""
        return ", ".join(filter(None, (self.terms.in_words(self.commitment.start_event), self._hours, self.clause)))

    @property
    def clause(self) -> str:
        number = self.commitment.clause_number
        return _("clause %(number)s") % {"number": number} if number else ""

    @property
    def label(self) -> str:
        return self.commitment.label

    @property
    def target(self) -> str:
        """What we ask of ourselves where the contract has no number."""
        amount, unit = self.commitment.target_amount, self.commitment.target_unit
        if amount is None:
            return ""
        return _("our own target: %(allowance)s") % {"allowance": allowance_in_words(amount, unit)}

    @property
    def holding(self) -> str:
        if self.terms.holding_percent is None:
            return ""
        return _("holding notice at %(percent)d %% of the allowance") % {"percent": self.terms.holding_percent}

    @property
    def pausable(self) -> str:
        return _("the clock can be paused") if self.terms.is_pausable else ""

    @property
    def warnings(self) -> list[str]:
        return [_warned(point) for point in self.commitment.warning_points.all()]

    @property
    def lines(self) -> tuple[str, ...]:
        """All that it says, to be compared with another."""
        return tuple(filter(None, (self.words, self.target, self.holding, self.pausable, *self.warnings)))

    @property
    def _hours(self) -> str:
        allowance = self.terms.terms.allowance
        is_round_the_clock = allowance is not None and allowance.unit.is_exact and not allowance.unit.is_business
        return _("24×7") if is_round_the_clock else ""


def _warned(point: WarningPoint) -> str:
    chosen = (
        (Audience.CONTACTS, point.has_contacts),
        (Audience.RESPONDERS, point.has_responders),
        (Audience.OWNER, point.has_owner),
        (Audience.MANAGERS, point.has_managers),
    )
    audience = ", ".join(str(AUDIENCES[name]) for name, is_chosen in chosen if is_chosen)
    return _("warning %(moment)s to %(audience)s") % {"moment": point, "audience": audience}


@dataclass(frozen=True)
class Cell:
    """What is owed, or heard, at one severity; nothing where `said` is empty."""

    severity: Severity
    said: tuple[Said, ...] = ()


@dataclass(frozen=True)
class Row:
    obligation: Obligation
    cells: tuple[Cell, ...]


def table(commitments: Iterable[Commitment]) -> list[Row]:
    """Obligation by severity; every one of them, so that it is seen where nothing is owed."""
    said = [Said.of(commitment) for commitment in commitments]
    return [
        Row(obligation, tuple(Cell(severity, tuple(_at(said, obligation, severity))) for severity in Severity))
        for obligation in Obligation
    ]


def _at(said: Iterable[Said], obligation: Obligation, severity: Severity) -> Iterator[Said]:
    for one in said:
        if (one.commitment.obligation, one.commitment.severity) == (obligation, severity):
            yield one


# ── who hears what ──────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Heard:
    """One kind of mail, and for each severity in what cases it is sent; an empty text where it never is."""

    what: str | Promise
    when: tuple[tuple[Severity, str], ...]

    @property
    def is_ever_sent(self) -> bool:
        return any(text for _severity, text in self.when)


def heard_by_contacts(commitments: Sequence[Commitment]) -> list[Heard]:
    """What each contact of the client receives: they all receive the same."""
    return [
        Heard(gettext_lazy("Notice"), _whenever(commitments, _owes(Obligation.NOTIFY))),
        Heard(gettext_lazy("Holding notice"), _whenever(commitments, _holding)),
        Heard(gettext_lazy("Warnings before a deadline"), _whenever(commitments, _warns(Audience.CONTACTS))),
        Heard(gettext_lazy("Updates"), _whenever(commitments, _owes(Obligation.UPDATE))),
        Heard(gettext_lazy("Report"), _whenever(commitments, _owes(Obligation.REPORT))),
    ]


def heard_by_colleagues(commitments: Sequence[Commitment]) -> list[Heard]:
    """Whom of ours a warning reaches. What is overdue reaches all of them."""
    staff: Mapping[Audience, str | Promise] = {
        Audience.RESPONDERS: gettext_lazy("Warnings to the responders"),
        Audience.OWNER: gettext_lazy("Warnings to the agreement's owner"),
        Audience.MANAGERS: gettext_lazy("Warnings to the managers"),
    }
    return [Heard(what, _whenever(commitments, _warns(audience))) for audience, what in staff.items()]


Case = Callable[[Commitment], str]  # in which case a commitment leads to a mail; empty where it leads to none


def _whenever(commitments: Iterable[Commitment], case: Case) -> tuple[tuple[Severity, str], ...]:
    found: dict[str, list[str]] = {severity: [] for severity in Severity}
    for commitment in commitments:
        if text := case(commitment):
            found[commitment.severity].append(text)
    return tuple((severity, "; ".join(dict.fromkeys(found[severity]))) for severity in Severity)


def _owes(obligation: Obligation) -> Case:
    return lambda commitment: Said.of(commitment).words if commitment.obligation == obligation else ""


def _holding(commitment: Commitment) -> str:
    if not commitment.sends_holding_notice:
        return ""
    return _("at %(percent)d %%, if nobody has notified them") % {"percent": commitment.holding_percent}


def _warns(audience: Audience) -> Case:
    def case(commitment: Commitment) -> str:
        points = [point for point in commitment.warning_points.all() if getattr(point, f"has_{audience.value}")]
        moments = ", ".join(map(_moment, points))
        said = {"what": commitment.name_in_words(), "moments": moments}
        return _("%(what)s: %(moments)s") % said if moments else ""

    return case


def _moment(point: WarningPoint) -> str:
    """Short, for a table that says what the shares are shares of."""
    if point.percent is not None:
        return _("at %(percent)d\u00a0%%") % {"percent": point.percent}
    before = times.duration(dt.timedelta(minutes=point.minutes_before or 0))
    return _("%(span)s before the end") % {"span": before}
