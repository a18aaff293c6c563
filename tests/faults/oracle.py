"""The oracle of the fault tests that run in this process: what must be true after each of them."""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Collection, Iterable

from django.db.models import Exists, OuterRef

from agreements.models import Obligation
from incidents import watchdog
from incidents.models import Deadline, DeliveryAttempt, Heartbeat, Notice
from incidents.models.notice import HELD_STATES, NoticeKind, NoticeState, Outcome
from incidents.models.sending import Part
from tests.services.smtp import ReceivedMail, SmtpSink

#: (reference of the incident, address as the mail server was told it) of a mail that has to arrive
Owed = tuple[str, str]


def nothing_is_lost(
    now: dt.datetime, sink: SmtpSink, owed: Iterable[Owed] = (), *, problems: Collection[str] = ()
) -> None:
    """Every mail that is `owed` arrived, copies are bounded and alike, and the audit finds `problems` and no others."""
    copies = sink.by_message_id()
    rows = {row.message_id: row for row in Notice.objects.all()}
    ambiguous = Counter(DeliveryAttempt.objects.filter(outcome=Outcome.AMBIGUOUS).values_list("notice", flat=True))

    assert not Notice.objects.filter(state__in=HELD_STATES).exists(), "nothing is stuck in a worker's hands"
    unsent = [row for row in rows.values() if row.state == NoticeState.SENT and row.message_id not in copies]
    assert not unsent, "what is called sent was accepted by the server"
    assert set(copies) <= set(rows), "every mail has its row"
    excess = {key: len(mails) for key, mails in copies.items() if len(mails) > 1 + ambiguous[rows[key].pk]}
    assert not excess, "one copy, and one more for each transmission whose outcome is unknown"
    changed = [key for key, mails in copies.items() if len({but_for_its_date(mail) for mail in mails}) > 1]
    assert not changed, "a copy is the same but for its date"

    arrived = Counter((reference_of(mails[0]), mails[0].recipients[0]) for mails in copies.values())
    missing = Counter(owed) - arrived
    assert not missing, "every mail that is owed has reached the server"
    accepted = Notice.objects.filter(
        incident=OuterRef("incident"),
        client=OuterRef("client"),
        state=NoticeState.SENT,
        kind__in=(NoticeKind.CLIENT_NOTICE, NoticeKind.HOLDING_NOTICE),
    )
    unmet = Deadline.objects.open().filter(Exists(accepted), obligation=Obligation.NOTIFY)
    assert not unmet.exists(), "what the server accepted has met its deadline"

    all_at_work(now)
    assert {problem.key for problem in watchdog.audit(now, whole=True)} == set(problems)


def all_at_work(now: dt.datetime) -> None:
    """No part is silent: here a test calls them by hand."""
    for part in Part:
        Heartbeat.objects.update_or_create(part=part, defaults={"at": now, "worker": "test"})


def but_for_its_date(mail: ReceivedMail) -> bytes:
    """All of the message that no second transmission may change."""
    return re.sub(rb"(?m)^Date: .*\r\n", b"", mail.raw, count=1)


def reference_of(mail: ReceivedMail) -> str:
    """The incident that the message is about."""
    found = re.search(r"\[(INC-\d+-\d+)\]", mail.subject)
    return found[1] if found else ""
