"""The client's acknowledgement: the link that each client mail carries, and what pressing its button records.

The link is signed, so that it cannot be guessed; it ends by itself, and a colleague can revoke it. Only pressing the
button writes anything: mail scanners open every link, often in a whole browser.
"""

from __future__ import annotations

import datetime as dt
import enum

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.utils import translation
from django.utils.translation import gettext as _

from config.audit import events
from config.erased import ERASED
from config.history import acting
from config.models import EventKind, User
from incidents import acknowledgement_link, outbox, retention
from incidents.models import Acknowledgement, DeliveryAttempt, Incident, Notice, TimelineEntry
from incidents.models.notice import STUCK_STATES, WAITING_STATES, NoticeState, Outcome

LINK_LIFE = dt.timedelta(days=90)  # from the making of the notice


class LinkStanding(enum.Enum):
    """What a link is good for now."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    EXPIRED = "expired"
    REVOKED = "revoked"


# ── the link ────────────────────────────────────────────────────────────────────────────────────────────────────────


def find(token: str) -> Notice | None:
    """The client's notice that a link was made for, if it may have reached the client; None for anything else.

    Nothing is asked of the database unless the signature is ours, under SECRET_KEY or one of its fallbacks.
    """
    key = acknowledgement_link.key_in(token)
    if key is None:
        return None
    return _readable().filter(message_id__startswith=f"<{key}@").first()


def _readable() -> models.QuerySet[Notice]:
    """Clients' notices that a mail server has, may have, or is just being given."""
    has_left = DeliveryAttempt.objects.filter(
        notice=models.OuterRef("pk"), outcome__in=(Outcome.ACCEPTED, Outcome.AMBIGUOUS)
    )
    # A fast reader opens the link before the server's answer is recorded.
    is_leaving = models.Q(state=NoticeState.TRANSMITTING) | models.Q(accepted_at__isnull=False)
    clients = Notice.objects.filter(contact__isnull=False, incident__isnull=False, client__isnull=False)
    return clients.filter(is_leaving | models.Exists(has_left)).select_related("incident", "client", "acknowledgement")


def standing(notice: Notice, now: dt.datetime) -> LinkStanding:
    if notice.link_revoked_at is not None or notice.recipient_address == ERASED:
        return LinkStanding.REVOKED
    if now >= notice.made_at + LINK_LIFE:
        return LinkStanding.EXPIRED
    return LinkStanding.ACKNOWLEDGED if hasattr(notice, "acknowledgement") else LinkStanding.OPEN


def paragraphs(notice: Notice) -> list[str]:
    """The text of the mail as its own page shows it: without the paragraph that leads to that page."""
    parts = (part.strip("\r\n") for part in retention.text_of(notice).split("\n\n"))
    return [part for part in parts if part.strip() and not acknowledgement_link.is_in(part)]


# ── the verbs ───────────────────────────────────────────────────────────────────────────────────────────────────────


def record(
    notice: Notice, *, now: dt.datetime, from_address: str | None = None, user_agent: str = ""
) -> Acknowledgement | None:
    """Record that whoever holds the notice's link says that it was read; the first time counts.

    `from_address` is an IP address, `user_agent` free of control characters and not longer than its field. None if
    the link has expired or been revoked, or there is none because it was not written to a client.
    """
    if notice.incident is None or notice.contact_id is None:
        return None
    # The page speaks the client's language, the trail ours.
    with transaction.atomic(), acting(by_link=True), translation.override(settings.LANGUAGE_CODE):
        # The incident before the notice, in the order in which verbs lock.
        incident = Incident.objects.locked().get(pk=notice.incident.pk)
        notice = Notice.objects.select_for_update(no_key=True).get(pk=notice.pk)
        stands = standing(notice, now)
        if stands == LinkStanding.ACKNOWLEDGED:
            return notice.acknowledgement
        if stands != LinkStanding.OPEN:
            return None
        acknowledged = Acknowledgement.objects.create(
            notice=notice, at=now, from_address=from_address, user_agent=user_agent
        )
        events.record(EventKind.LINK_USED, about=notice)
        _log(incident, notice, now)
        _settle_doubt(notice, now)
    return acknowledged


def _settle_doubt(notice: Notice, now: dt.datetime) -> None:
    """Its client has read it, so a notice in doubt arrived, as of the last try of which we do not know the outcome.

    What is being transmitted again is left to its worker.
    """
    doubtful = notice.attempts.filter(outcome=Outcome.AMBIGUOUS).order_by("at").last()
    if doubtful is not None and notice.state in (*WAITING_STATES, *STUCK_STATES, NoticeState.LEASED):
        outbox.arrived(notice, at=doubtful.at, why=_("It arrived: the client has acknowledged it."), now=now)


def _log(incident: Incident, notice: Notice, now: dt.datetime) -> None:
    TimelineEntry.objects.create(
        incident=incident,
        # who read it stands in the author's name alone, where it can be given up
        text=_("Acknowledged by the client: %(client)s") % {"client": notice.client},
        happened_at=now,
        typed_at=now,
        author_name=notice.recipient_name,
    )


def revoke(notice: Notice, *, by: User, reason: str, now: dt.datetime) -> Notice:
    """Make the notice's link useless, for example because the mail was forwarded to the wrong people.

    What it has recorded stays. Raises ValidationError without a link, if it is revoked already, or without a reason.
    """
    if not reason.strip():
        raise ValidationError({"reason": _("Say why the link is revoked; the client may ask.")})
    with transaction.atomic(), acting(by, reason=reason):
        notice = Notice.objects.select_for_update(no_key=True).get(pk=notice.pk)
        if notice.contact_id is None:
            raise ValidationError(_("This was not written to a client, so it carries no link."))
        if notice.link_revoked_at is not None:
            raise ValidationError(_("The link of this notice is already revoked."))
        notice.link_revoked_at = now
        notice.save()
    return notice
