"""Whether the records of this floor that no seal holds are what they were: terms, and what was said to be sent."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from django.db.models import Exists, OuterRef

from agreements.terms import digest_of
from config import times
from config.audit.verification import Finding
from incidents.models import Deadline, DeliveryAttempt, Notice, TermsCopy
from incidents.models.notice import NoticeState, Outcome

RECORDED_WITHIN = dt.timedelta(minutes=1)


def terms() -> Iterator[Finding]:
    """Each copy of terms is what its key says, and none that a deadline names is missing."""
    for copy in TermsCopy.objects.order_by("pk").iterator(chunk_size=500):
        if digest_of(copy.content) != copy.pk:
            yield Finding(None, f"{TermsCopy._meta.label} {copy}", "changed: its key is not the digest of its content")
    without = Deadline.objects.filter(~Exists(TermsCopy.objects.filter(pk=OuterRef("terms_copy_id"))))
    for pk, digest in without.order_by("pk").values_list("pk", "terms_copy_id"):
        yield Finding(None, f"{Deadline._meta.label} {pk}", f"the copy of its terms was removed: {digest}")


def acceptances() -> Iterator[Finding]:
    """A notice was sent when an attempt, which is sealed, says that a mail server accepted it."""
    accepting = DeliveryAttempt.objects.filter(notice=OuterRef("pk"), outcome=Outcome.ACCEPTED)
    told = accepting.filter(
        at__gte=OuterRef("accepted_at") - RECORDED_WITHIN, at__lte=OuterRef("accepted_at") + RECORDED_WITHIN
    )
    untold = Notice.objects.filter(~Exists(told), state=NoticeState.SENT).order_by("pk")
    for pk, at in untold.values_list("pk", "accepted_at").iterator(chunk_size=500):
        sentence = (
            f"said to be accepted at {times.in_zone(at, 'UTC') if at else 'no instant'}, of which no attempt tells"
        )
        yield Finding(None, f"{Notice._meta.label} {pk}", sentence)
