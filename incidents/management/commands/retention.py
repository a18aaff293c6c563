"""`manage.py retention`: give up the texts of old notices, or what names a contact, and keep the digests."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Count, Q

from agreements.models import Contact
from config import instants
from config.env import LONGEST_KEPT
from config.models import User
from incidents import pseudonymising, retention


class Command(BaseCommand):
    help = (
        "reduce-bodies: blank the texts of notices that were settled, and whose incident and review were closed, "
        "longer ago than --days; their SHA-256 stays, and `manage.py audit verify` still holds. Without --days by "
        "NOTICE_BODY_DAYS, as the worker does once a day; for cron. "
        "pseudonymise-contact: give up the name, the addresses and what else names a contact, in every table."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=["reduce-bodies", "pseudonymise-contact"])
        parser.add_argument("contact", nargs="?", help="of pseudonymise-contact: the contact's number or mail address")
        parser.add_argument("--days", type=int, help=f"how many days ago, from 1 to {LONGEST_KEPT}")
        parser.add_argument("--dry-run", action="store_true", help="say what would be changed, and change nothing")
        parser.add_argument("--by", metavar="USERNAME", help="who decides that")
        parser.add_argument("--reason", default="", help="why; kept in the audit trail")

    def handle(self, *, action: str, **options: Any) -> None:
        try:
            if action == "reduce-bodies":
                self._reduce_bodies(**options)
            else:
                self._pseudonymise(**options)
        except ValidationError as refusal:
            raise CommandError(" ".join(refusal.messages)) from refusal

    def _reduce_bodies(self, *, days: int | None, dry_run: bool, by: str | None, reason: str, **options: Any) -> None:
        now = instants.now()
        wanted = settings.NOTICE_BODY_DAYS if days is None else days
        if days is None and not wanted:
            raise CommandError("NOTICE_BODY_DAYS says to keep the texts for ever. Say --days to give some up.")
        if not 1 <= wanted <= LONGEST_KEPT:
            raise CommandError(f"Say how many days ago: --days with a number from 1 to {LONGEST_KEPT}.")
        before = now - dt.timedelta(days=wanted)
        if dry_run:
            return self._tell(before)
        done = (
            retention.reduce_as_set(now)
            if days is None
            else retention.reduce_bodies(before, by=_decider(by), reason=reason)
        )
        self.stdout.write(f"The texts of {done:,} notices were reduced to their digests.")
        if left := retention.preview(before).notices:
            self.stdout.write(f"{left:,} are left: do it again.")

    def _pseudonymise(self, *, contact: str | None, dry_run: bool, by: str | None, reason: str, **options: Any) -> None:
        found = _contact(contact or "")
        if dry_run:
            foreseen = pseudonymising.foresee(found, now=instants.now())
            self._tell_rows(foreseen.tally)
            if foreseen.obstacle:
                self.stdout.write(f"Not possible now: {foreseen.obstacle}")
            self.stdout.write(f"Contact {found.pk} would be pseudonymised. Nothing was changed.")
            return
        tally = pseudonymising.pseudonymise(found, by=_decider(by), reason=reason, now=instants.now())
        self._tell_rows(tally)
        self.stdout.write(f"Contact {found.pk} is pseudonymised.")

    def _tell_rows(self, tally: pseudonymising.Tally) -> None:
        for model, count in tally.most_common():
            self.stdout.write(f"{model._meta.db_table}: {count:,} rows")

    def _tell(self, before: dt.datetime) -> None:
        found = retention.reducible(before).order_by("incident__reference")
        total = 0
        for reference, count in found.values_list("incident__reference").annotate(count=Count("pk")):
            self.stdout.write(f"{reference}: {count:,} notices")
            total += count
        self.stdout.write(f"The texts of {total:,} notices would be reduced to their digests. Nothing was changed.")


def _decider(username: str | None) -> User:
    found = User.objects.filter(username=username, is_active=True).first()
    if found is None:
        raise CommandError("Say who decides that: --by with the name that a colleague signs in with.")
    return found


def _contact(asked: str) -> Contact:
    """By its number, or by a mail address that only one has."""
    wanted = Q(pk=int(asked)) if asked.isdecimal() else Q(address__iexact=asked)
    found = list(Contact.objects.filter(wanted).select_related("client").order_by("pk"))
    if not found:
        raise CommandError("There is no such contact. Give its number or its mail address.")
    if len(found) > 1:
        clients = ", ".join(f"{contact.pk} ({contact.client})" for contact in found)
        raise CommandError(f"Several contacts have that address: {clients}. Give the number of the one.")
    return found[0]
