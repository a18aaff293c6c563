"""Two versions of an agreement side by side: what the newer says that the older did not, and the other way round."""

from __future__ import annotations

import datetime as dt
import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from django.utils.translation import gettext as _

from agreements.models import Commitment, Contact, Obligation, ServiceAgreement, ServiceCalendar, Severity
from agreements.reading import Said
from config import times


class Mark(StrEnum):
    """How a piece of one version relates to the other."""

    SAME = "same"
    REMOVED = "removed"
    ADDED = "added"


class Verdict(StrEnum):
    SAME = "same"
    CHANGED = "changed"
    REMOVED = "removed"
    ADDED = "added"


@dataclass(frozen=True)
class Piece:
    text: str
    mark: Mark


@dataclass(frozen=True)
class Row:
    """What one thing says in the older version, and in the newer; nothing on the side where it is not there."""

    what: str
    old: tuple[Piece, ...]
    new: tuple[Piece, ...]

    @classmethod
    def of(cls, what: str, old: Sequence[str], new: Sequence[str]) -> Row:
        return cls(
            what,
            tuple(Piece(line, Mark.SAME if line in new else Mark.REMOVED) for line in old),
            tuple(Piece(line, Mark.SAME if line in old else Mark.ADDED) for line in new),
        )

    @property
    def verdict(self) -> Verdict:
        if all(piece.mark is Mark.SAME for piece in (*self.old, *self.new)):
            return Verdict.SAME
        if not self.old:
            return Verdict.ADDED
        return Verdict.CHANGED if self.new else Verdict.REMOVED


@dataclass(frozen=True)
class Comparison:
    old: ServiceAgreement
    new: ServiceAgreement
    clause: Row  # its pieces are runs of words, which joined give the clause again
    commitments: tuple[Row, ...]
    around: tuple[Row, ...]  # what the commitments are counted by and who is concerned

    @property
    def differences(self) -> int:
        return sum(row.verdict is not Verdict.SAME for row in (self.clause, *self.commitments, *self.around))


def compare(old: ServiceAgreement, new: ServiceAgreement, *, now: dt.datetime) -> Comparison:
    """Commitments are matched by severity, obligation and label. Calendars are compared as they read now.

    Contacts are those that the client had when the version ended, or has `now` if it has not.
    """
    return Comparison(
        old,
        new,
        clause=_words(old.clause, new.clause),
        commitments=tuple(_commitments(old, new)),
        around=(
            Row.of(_("In force"), [_span(old)], [_span(new)]),
            Row.of(_("What each severity means"), _meanings(old), _meanings(new)),
            Row.of(_("Service calendar"), *_calendars(old.calendar, new.calendar)),
            Row.of(_("Services covered"), _services(old), _services(new)),
            Row.of(_("Contacts who get mail"), _contacts(old, now), _contacts(new, now)),
            Row.of(_("Owner"), _owner(old), _owner(new)),
        ),
    )


# ── the clause ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _words(old: str, new: str) -> Row:
    """Word by word; a sign is a word of its own, and how far apart two words stand makes no difference."""
    before, after = _tokens(old), _tokens(new)
    matcher = difflib.SequenceMatcher(None, [t.strip() for t in before], [t.strip() for t in after])
    left: list[Piece] = []
    right: list[Piece] = []
    for tag, i, j, k, m in matcher.get_opcodes():
        is_same = tag == "equal"
        if i < j:
            left.append(Piece("".join(before[i:j]), Mark.SAME if is_same else Mark.REMOVED))
        if k < m:
            right.append(Piece("".join(after[k:m]), Mark.SAME if is_same else Mark.ADDED))
    return Row(_("Clause"), tuple(left), tuple(right))


def _tokens(text: str) -> list[str]:
    """Each with the white space after it."""
    return re.findall(r"(?:\w+|[^\w\s])\s*", text.replace("\r\n", "\n"))


# ── the commitments ─────────────────────────────────────────────────────────────────────────────────────────────────

Key = tuple[int, int, str]  # severity and obligation, in the order in which people say them, and the label


def _commitments(old: ServiceAgreement, new: ServiceAgreement) -> Iterable[Row]:
    before, after = _by_key(old), _by_key(new)
    for key in sorted(before.keys() | after.keys()):
        said = before.get(key) or after[key]
        what = _("%(severity)s · %(what)s") % {
            "severity": said.commitment.get_severity_display(),
            "what": said.commitment.name_in_words(),
        }
        yield Row.of(what, before[key].lines if key in before else (), after[key].lines if key in after else ())


def _by_key(agreement: ServiceAgreement) -> dict[Key, Said]:
    severities, obligations = Severity.values, Obligation.values
    return {
        (severities.index(c.severity), obligations.index(c.obligation), c.label): Said.of(c)
        for c in Commitment.objects.of([agreement])
    }


# ── what is around them ─────────────────────────────────────────────────────────────────────────────────────────────


def _span(agreement: ServiceAgreement) -> str:
    begins = times.for_reader(agreement.effective_at)
    if agreement.ends_at is None:
        return _("from %(begins)s until further notice") % {"begins": begins}
    return _("from %(begins)s until %(ends)s") % {"begins": begins, "ends": times.for_reader(agreement.ends_at)}


def _calendars(old: ServiceCalendar, new: ServiceCalendar) -> tuple[list[str], list[str]]:
    """Day by day only where there are two of them."""
    if old == new:
        return [str(old)], [str(new)]
    return _days(old), _days(new)


def _meanings(agreement: ServiceAgreement) -> list[str]:
    return [
        _("%(severity)s: %(words)s") % {"severity": row.get_severity_display(), "words": row.words}
        for row in agreement.definitions.all()
    ]


def _days(calendar: ServiceCalendar) -> list[str]:
    return [str(calendar), *map(str, calendar.hours.all()), *map(str, calendar.special_days.all())]


def _owner(agreement: ServiceAgreement) -> list[str]:
    return [agreement.owner.get_full_name() or agreement.owner.username] if agreement.owner else []


def _services(agreement: ServiceAgreement) -> list[str]:
    return sorted(str(covered) for covered in agreement.coverage.select_related("service"))


def _contacts(agreement: ServiceAgreement, now: dt.datetime) -> list[str]:
    """Never as they were before the version was typed in: many a contract was in force long before that."""
    typed_in_at = agreement.history.order_by("history_date").values_list("history_date", flat=True).first()
    ended_at = min(agreement.ends_at or now, now)
    found = Contact.history.as_of(max(ended_at, typed_in_at or ended_at)).filter(client_id=agreement.client_id)
    return [str(contact) for contact in found if contact.is_active]
