"""What every verb does: one transaction on the locked incident, told to its trail and its story; or a refusal."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Collection, Iterator

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from agreements.models import Client
from config import scope, times
from config.history import acting, current_act
from config.models import User
from incidents.models import Incident, TimelineEntry, reaches_beyond
from incidents.models.incident import Status

EARLIEST = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)  # before it, a typed year is a slip of the keyboard


class Refused(ValidationError):
    """The verb is not lawful now; the message says why and what to do."""


@contextlib.contextmanager
def verb(incident: Incident, by: User, reason: str, *, clients: Collection[Client] | None = None) -> Iterator[Incident]:
    """One transaction on the locked, freshly read incident, told to the audit trail.

    `clients` are those whom it touches, if not all that the incident concerns; `by` must see each of them.
    """
    with transaction.atomic(), acting(by, reason=reason):
        locked = Incident.objects.locked().get(pk=incident.pk)
        refuse_beyond_scope(locked, by, clients)
        if locked.imported_at is not None:
            raise Refused(
                _("%(ref)s was imported as history, and stays as it was. Declare an incident for what happens now.")
                % {"ref": locked.reference}
            )
        yield locked


def refuse_beyond_scope(incident: Incident, by: User, clients: Collection[Client] | None = None) -> None:
    """Nobody mails, moves or ends anything of a client whom they do not see (config/scope.py)."""
    seen = scope.clients_of(by)
    if seen is None:
        return
    if reaches_beyond(incident, by) if clients is None else {client.pk for client in clients} - seen:
        raise Refused(scope.REFUSAL)


def log(
    incident: Incident,
    text: str,
    by: User | None,
    *,
    at: dt.datetime,
    now: dt.datetime,
    is_client_visible: bool = False,
    is_note: bool = False,
) -> TimelineEntry:
    entry = TimelineEntry(
        incident=incident,
        text=text,
        happened_at=at,
        typed_at=now,
        is_client_visible=is_client_visible,
        author_name=by.audit_name if by is not None else current_act().actor_name,
        is_note=is_note,
    )
    entry.full_clean()
    entry.save()
    return entry


def when(incident: Incident, at: dt.datetime | None, now: dt.datetime) -> dt.datetime:
    """When the step happened: `at` or now, never in the future, never before the incident was detected."""
    at = at or now
    check_instant("at", at, now)
    if at < incident.detected_at:
        raise Refused(
            {
                "at": _("That is before the incident was detected (%(at)s).")
                % {"at": times.for_reader(incident.detected_at)}
            }
        )
    return at


def check_instant(name: str, at: dt.datetime | None, now: dt.datetime, *, not_after: dt.datetime | None = None) -> None:
    if at is None:
        return
    if at < EARLIEST:
        raise Refused({name: _("That is before the year 2000. Check the date.")})
    if at > now:
        raise Refused({name: _("That lies in the future (it is %(now)s now).") % {"now": times.for_reader(now)}})
    if not_after is not None and at > not_after:
        raise Refused({name: _("It cannot have happened after it was detected.")})


def refuse_unless(incident: Incident, *lawful: Status) -> None:
    if incident.status not in lawful:
        raise Refused(
            _("Not possible now: %(ref)s is %(status)s.")
            % {"ref": incident.reference, "status": incident.get_status_display().lower()}
        )


def refuse_unless_open(incident: Incident) -> None:
    refuse_unless(incident, Status.DECLARED, Status.ACKNOWLEDGED, Status.MITIGATED)
