"""The people of the fault tests, at work in the product from a process of their own.

`python -m tests.faults.people` reads one JSON line per act from its standard input, `[number, name, {arguments}]`, and
answers with one JSON line that bears the number. So a test that has another database than the product can declare
incidents in it and read its pages without starting Django anew for every act.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import json
import os
import sys
import time
from typing import Any

import django

django.setup()  # the models can only be imported after it

# ruff: noqa: E402
from django.core.management import CommandError, call_command
from django.db import connections
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from agreements import presets
from agreements.models import Contact, Service, Severity, WarningPoint
from config import env
from config.models import User
from incidents import lifecycle
from incidents.models import AffectedService, Incident
from tests import cast

#: A client with many contacts, and one with a single contact: what they are covered for decides how many mails go out.
MANY, ONE = "Network", "Tape library"
CONTACTS = 20

Owed = list[tuple[str, str]]


def use(database: str) -> None:
    """From here on work in that database."""
    os.environ["DATABASE_URL"] = database
    connections.close_all()
    connections.settings = connections.configure_settings({"default": env.database("DATABASE_URL", database)})
    with contextlib.suppress(AttributeError):  # nothing was asked of the last one
        del connections["default"]


def build() -> None:
    """The tables, the cast, and two clients who are owed notice within four hours."""
    call_command("migrate", verbosity=0)
    cast.olga(), cast.max_()
    calendar = cast.always_open()
    for service, name, count in ((MANY, "Fabrikam", CONTACTS), (ONE, "Tailspin", 1)):
        addresses = [f"ops-{number}@{name.lower()}.example" for number in range(count)]
        client = cast.client(name, "Europe/Berlin", *addresses)
        agreement = cast.agreement(f"{name}-1", client, calendar, cast.service(service))
        presets.apply_preset(agreement, "notify_within_hours", hours=4)
    # One address gets a limited number of warnings, and here hours of incidents come within seconds.
    cast.remove(WarningPoint.objects.all())


def owe(mails: int) -> Owed:
    """Olga declares incidents and notifies the clients; (reference, address) of every mail that is owed for it."""
    olga = User.objects.get(username="olga")
    owed: Owed = []
    for incident in _declare(mails, dt.timedelta(minutes=1)):
        lifecycle.notify_client(incident, by=olga, now=timezone.now())
        owed += _owed(incident)
    return owed


def owe_holding_notices(mails: int, seconds: float = 0) -> Owed:
    """Olga declares incidents and notifies nobody: their holding notices fall due in so many seconds."""
    ago = dt.timedelta(hours=4 * 0.9) - dt.timedelta(seconds=seconds)
    return [owed for incident in _declare(mails, ago) for owed in _owed(incident)]


def _declare(mails: int, ago: dt.timedelta) -> list[Incident]:
    many, single = divmod(mails, CONTACTS)
    olga, detected_at = User.objects.get(username="olga"), timezone.now() - ago
    return [
        lifecycle.declare(
            by=olga,
            now=timezone.now(),
            title=f"{name} is down",
            severity=Severity.CRITICAL,
            services=[Service.objects.get(name=name)],
            detected_at=detected_at,
        )
        for name, count in ((MANY, many), (ONE, single))
        for _number in range(count)
    ]


def _owed(incident: Incident) -> Owed:
    services = AffectedService.objects.filter(incident=incident).values("service")
    covered = Contact.objects.filter(client__agreements__coverage__service__in=services)
    return [(incident.reference, address) for address in covered.values_list("address", flat=True)]


def declare_on_the_page() -> tuple[int, float]:
    """Olga fills in the page; the status she gets and the seconds she waits for it."""
    browser = _browser_of("olga")
    started = time.monotonic()
    response = browser.post(
        reverse("admin:incidents_incident_add"),
        {
            "title": "Tape library is down",
            "severity": "critical",
            "category": "outage",
            "services": [Service.objects.get(name=ONE).pk],
            "detected_at": (timezone.now() - dt.timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M"),
        },
    )
    return response.status_code, time.monotonic() - started


def open_page(name: str) -> tuple[int, float]:
    """Max opens a page of the admin."""
    browser = _browser_of("max")
    started = time.monotonic()
    response = browser.get(reverse(f"admin:{name}"))
    return response.status_code, time.monotonic() - started


def cron() -> str:
    """What cron does each minute."""
    printed = io.StringIO()
    call_command("outbox", "run", stdout=printed)
    return printed.getvalue()


def audit() -> str:
    """What `manage.py outbox audit` finds, one problem a line; nothing if it ends with 0."""
    printed = io.StringIO()
    try:
        call_command("outbox", "audit", stdout=printed, stderr=printed)
    except CommandError:
        return printed.getvalue()
    return ""


def _browser_of(username: str) -> Browser:
    browser = Browser(SERVER_NAME="127.0.0.1")
    browser.force_login(User.objects.get(username=username))
    return browser


ACTS = (use, build, owe, owe_holding_notices, declare_on_the_page, open_page, cron, audit)


def main() -> None:
    acts: dict[str, Any] = {act.__name__: act for act in ACTS}
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        number, name, arguments = json.loads(line)
        connections.close_all()  # the last act may have been before the server was restarted
        try:
            answer = {"result": acts[name](**arguments)}
        except Exception as error:  # noqa: BLE001 - the test decides whether it was to be expected
            answer = {"error": f"{type(error).__name__}: {error}"}
        connections.close_all()
        print(json.dumps([number, answer]), file=answers, flush=True)


if __name__ == "__main__":
    main()
