"""The phases of an incident as a picture, with its deadlines on the phase that they ask for; places and words alone.

Places are shares of the width, so that the picture fits a phone and a wall; whoever draws it decides how it looks.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from agreements.models import Obligation
from config import times
from incidents.models import Standing
from reviews.phases import Phase, PhaseName

#: The phase that meets an obligation; the others (updates, reports) have a row of their own.
ASKS_FOR: dict[str, PhaseName] = {
    Obligation.ACKNOWLEDGE: PhaseName.ACKNOWLEDGEMENT,
    Obligation.NOTIFY: PhaseName.NOTICE,
    Obligation.MITIGATE: PhaseName.MITIGATION,
    Obligation.RESOLVE: PhaseName.RESOLUTION,
}
ROW, TOP = 44, 8  # height of a row, and what is free above the first
#: Shares of the width: where the axis begins and ends; beyond stands what comes much later.
LEFT, RIGHT, BEYOND = 1.5, 92.0, 96.5
APART = 1.0  # share of the width within which two marks of a standing are one
_DONE = {Standing.MET: "met", Standing.MISSED: "missed", Standing.ENDED: "ended"}


@dataclass(frozen=True)
class Due:
    """A deadline as the picture needs it."""

    obligation: str
    at: dt.datetime
    standing: str

    @property
    def look(self) -> str:
        return _DONE.get(Standing(self.standing), "due")


@dataclass(frozen=True)
class Bar:
    x: str
    width: str


@dataclass(frozen=True)
class Mark:
    """Deadlines that fall at one place of a row; `look` is met, missed, ended or due."""

    x: str
    look: str
    words: str
    is_beyond: bool = False


@dataclass(frozen=True)
class Row:
    label: str
    took: str
    y: int
    bar: Bar | None
    marks: Sequence[Mark]

    @property
    def middle(self) -> int:
        return self.y + 27


@dataclass(frozen=True)
class Picture:
    rows: Sequence[Row]
    height: int
    starts: str
    ends: str
    words: str

    @property
    def has_more(self) -> bool:
        """Whether anything stands beyond the axis."""
        return any(mark.is_beyond for row in self.rows for mark in row.marks)


def draw(phases: Sequence[Phase], dues: Sequence[Due]) -> Picture | None:
    """None while no phase has an end. The axis ends soon after the last of them: a report due next week is beyond."""
    ends = [phase.ends_at for phase in phases if phase.ends_at]
    begins = [phase.begins_at for phase in phases if phase.begins_at]
    if not ends or not begins:
        return None
    first, last = min(*begins, *ends), max(*ends, *begins)
    scale = _Scale(first, last + (last - first) * 0.25 if last > first else first + dt.timedelta(hours=1))
    drawn = [
        (str(phase.name.label), phase, [d for d in dues if ASKS_FOR.get(d.obligation) == phase.name])
        for phase in phases
    ]
    rows = [
        Row(
            label,
            times.duration(phase.took) if phase.took is not None else _("not known"),
            TOP + ROW * number,
            scale.bar(phase),
            list(scale.marks(asked)),
        )
        for number, (label, phase, asked) in enumerate(drawn)
    ]
    if others := [due for due in dues if due.obligation not in ASKS_FOR]:
        rows.append(Row(_("Updates and reports"), "", TOP + ROW * len(rows), None, list(scale.marks(others))))
    height = TOP + ROW * len(rows) + 40
    return Picture(rows, height, times.for_reader(first), times.for_reader(scale.last), _in_words(rows, dues))


@dataclass(frozen=True)
class _Scale:
    first: dt.datetime
    last: dt.datetime

    def place(self, instant: dt.datetime) -> float:
        share = (instant - self.first) / (self.last - self.first)
        return LEFT + (RIGHT - LEFT) * min(max(share, 0.0), 1.0)

    def bar(self, phase: Phase) -> Bar | None:
        """Wide enough to be seen, however short it was."""
        if phase.begins_at is None or phase.ends_at is None:
            return None
        begin, end = self.place(phase.begins_at), self.place(phase.ends_at)
        return Bar(f"{begin:.2f}%", f"{max(end - begin, 0.6):.2f}%")

    def marks(self, dues: Sequence[Due]) -> Iterator[Mark]:
        """By time; those that would be drawn over one another are one, as far as they stand alike."""
        kept: dict[tuple[int, str, bool], list[Due]] = {}
        for due in sorted(dues, key=lambda due: due.at):
            is_beyond = due.at > self.last
            slot = 0 if is_beyond else round(self.place(due.at) / APART)
            kept.setdefault((slot, due.look, is_beyond), []).append(due)
        for (_slot, look, is_beyond), alike in kept.items():
            place = BEYOND if is_beyond else self.place(alike[0].at)
            yield Mark(f"{place:.2f}%", look, " · ".join(_said(alike)), is_beyond)


def _said(dues: Sequence[Due]) -> list[str]:
    told = {
        _("%(what)s: %(standing)s, due %(at)s")
        % {"what": Obligation(d.obligation).label, "standing": Standing(d.standing).label, "at": times.for_reader(d.at)}
        for d in dues
    }
    return sorted(told)[:5]


def _in_words(rows: Sequence[Row], dues: Sequence[Due]) -> str:
    """What the picture shows, for who does not see it; the tables beside it say all."""
    spans = ", ".join(f"{row.label}: {row.took}" for row in rows if row.took)
    counts = {look: sum(due.look == look for due in dues) for look in ("met", "missed", "due")}
    said = _("Deadlines met: %(met)d, missed: %(missed)d, still due: %(due)d.") % counts
    return f"{spans}. {said}"
