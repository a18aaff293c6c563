"""The day's own journal: what was done to which incident and when, and what has to have come of it."""

from __future__ import annotations

import datetime as dt
import re
import threading
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from agreements.models import Obligation, Severity
from tests.day.browsing import Span
from tests.journeys.owed import Fact, What
from tests.services.smtp import ReceivedMail, SmtpSink

#: How a mail to a client says what it is, and what it fulfils.
SUBJECTS = {"incident: ": Obligation.NOTIFY, "Update: ": Obligation.UPDATE, "Report: ": Obligation.REPORT}
_TITLE = re.compile(r"#(\d{4})")
_REFERENCE = re.compile(r"\[(INC-\d+-\d+)\]")


@dataclass(frozen=True)
class Known:
    """A fact, and when the product learned it."""

    fact: Fact
    learned: Span


@dataclass
class Case:
    """One incident as the people of the day know it."""

    number: int
    service: int
    clients: tuple[int, ...]
    severity: str
    detected_at: dt.datetime
    key: int = 0  # of its pages
    known: list[Known] = field(default_factory=list)
    mailed: list[tuple[Obligation, int, Span]] = field(default_factory=list)  # what was asked to be mailed to whom
    merged_into: Case | None = None
    was_reopened: bool = False

    @property
    def title(self) -> str:
        return f"Storage is slow #{self.number:04}"

    @property
    def is_declared(self) -> bool:
        return bool(self.key)

    def learn(self, what: What, at: dt.datetime, span: Span, **more: Any) -> None:
        self.known.append(Known(Fact(what, at, **more), span))

    def latest(self, what: What) -> dt.datetime | None:
        return next((known.fact.at for known in reversed(self.known) if known.fact.what is what), None)

    def classify(self, severity: str, span: Span) -> None:
        self.severity = severity
        self.learn(What.CLASSIFIED, span.end, span, severity=Severity(severity))


class Post:
    """What came to the mail server, by incident; read on as it comes."""

    def __init__(self, sink: SmtpSink) -> None:
        self._sink = sink
        self._lock = threading.Lock()
        self._read = 0
        self._by_case: defaultdict[int, list[ReceivedMail]] = defaultdict(list)

    def of(self, case: Case) -> list[ReceivedMail]:
        with self._lock:
            mails = self._sink.messages
            for mail in mails[self._read :]:
                if found := _TITLE.search(mail.subject):
                    self._by_case[int(found[1])].append(mail)
            self._read = len(mails)
            return list(self._by_case[case.number])

    def has_all(self, case: Case, addresses: dict[int, list[str]]) -> bool:
        """Whether everything that was asked to be mailed is there."""
        arrived = Counter({key: len(found) for key, found in self.messages(case).items()})
        asked = Counter((what, address) for what, client, _span in case.mailed for address in addresses[client])
        return not asked - arrived

    def messages(self, case: Case) -> dict[tuple[Obligation, str], list[list[ReceivedMail]]]:
        """By what it fulfils and the address, every message with its copies, in the order of their arrival."""
        copies: dict[str, list[ReceivedMail]] = {}
        for mail in self.of(case):
            copies.setdefault(mail.message_id, []).append(mail)
        found: defaultdict[tuple[Obligation, str], list[list[ReceivedMail]]] = defaultdict(list)
        for mails in copies.values():
            if what := fulfils(mails[0]):
                found[what, mails[0].recipients[0]].append(mails)
        return found


def fulfils(mail: ReceivedMail) -> Obligation | None:
    """What a mail to a client's contact is about; None for what goes to colleagues."""
    return next((what for words, what in SUBJECTS.items() if words in mail.subject), None)


def reference_of(mail: ReceivedMail) -> str:
    found = _REFERENCE.search(mail.subject)
    return found[1] if found else ""
