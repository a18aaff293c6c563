"""`manage.py doctor`: whether this installation is as it should be, and what to do where it is not."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error
from django.utils import timezone

from config import doctor, instants
from config.doctor import Finding, Level
from config.fields import validate_address, validate_line
from incidents import checkup


class Command(BaseCommand):
    help = (
        "Look at settings, database, Redis, workers, mail relay, audit trail, agreements and people, and say of each "
        "whether it is as it should be, and what to do if not. Changes nothing. Exits 1 if anything is an error."
    )
    requires_system_checks = []  # they are among what it looks at

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="a list of objects instead of lines")
        parser.add_argument("--send-test-mail", metavar="ADDRESS", help="send a real message there, past the queue")

    def handle(self, *args: Any, **options: Any) -> None:
        address = options["send_test_mail"]
        if address is not None:
            _refuse_what_is_no_address(address)
        levels, told = set(), []
        for finding in _findings(address):
            levels.add(finding.level)
            if options["json"]:
                told.append(asdict(finding))
            else:
                self.stdout.write(str(finding))
        if options["json"]:
            self.stdout.write(json.dumps(told, indent=1, ensure_ascii=False))
        if Level.ERROR in levels:
            raise SystemExit(1)


def _findings(address: str | None) -> Iterator[Finding]:
    yield from doctor.examine(_present())
    if address is not None:
        yield replace(checkup.send_test_mail(address), check="test mail")


def _present() -> dt.datetime:
    """By this machine's clock where the database's cannot be asked, which a check will say."""
    try:
        return instants.now()
    except Error:
        return timezone.now()


def _refuse_what_is_no_address(address: str) -> None:
    try:
        validate_line(address)
        validate_address(address)
    except ValidationError as refusal:
        raise CommandError(f"{address!r} is no mail address: {' '.join(refusal.messages)}") from refusal
    if not all(address.rpartition("@")):
        raise CommandError(f"{address!r} is no mail address. Write one like ada@example.com.")
