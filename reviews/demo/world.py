"""Who is in the demo: four colleagues, four invented clients, and what was agreed with them.

Everything is found again by its own name (login, service name, agreement reference), so that loading it a second time
adds only what is missing and changes nothing that somebody has edited meanwhile.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Callable, Iterator, Sequence

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group
from django.db import transaction

from agreements import presets
from agreements.models import (
    Client,
    Commitment,
    Contact,
    Obligation,
    OpeningHours,
    Service,
    ServiceAgreement,
    ServiceCalendar,
    ServiceCoverage,
    Severity,
    SpecialDay,
    StartEvent,
)
from agreements.models.commitment import DayEnd, Unit
from config import roles
from config.history import AuditedModel, acting
from config.models import User
from incidents import message_presets
from incidents.models import MessageTemplate
from reviews import policy_presets
from reviews.models import ReviewPolicy

PASSWORD = "due-notice"  # noqa: S105 - printed for everybody to read; the demo is reachable from this machine only
STAFF_DOMAIN = "due-notice.example"

#: login, first name, last name, role, time zone
PEOPLE = (
    ("olga", "Olga", "Petrova", roles.OPERATOR, "Europe/Berlin"),
    ("max", "Max", "Weber", roles.MANAGER, "Europe/Vienna"),
    ("aude", "Aude", "Martin", roles.AUDITOR, "Europe/Paris"),
    ("ada", "Ada", "Lind", roles.ADMINISTRATOR, "Europe/Stockholm"),
)

SERVICES = {
    "Object storage": "Buckets and objects, in two regions.",
    "Backups": "Nightly copies, kept for 35 days.",
    "Payments API": "Card and bank payments for web shops.",
    "Content delivery": "The edge network with its firewall and bot protection.",
    "DNS": "Authoritative name service and health-checked records.",
    "API control plane": "Creating, changing and deleting resources through the API.",
    "Managed database": "Databases that we run, back up and keep up to date.",
    "Sign-in": "Single sign-on for people and applications.",
    "Endpoint protection": "The agent on laptops and servers, with its content updates.",
    "Code hosting": "Repositories, reviews and webhooks.",
}

CONTOSO_CLAUSE = (
    "6.1 Incidents are handled during Service Hours (Monday to Friday, 09:00 to 17:00, Berlin; public holidays "
    "excepted). 6.2 The Provider acknowledges a critical incident within one Service Hour, notifies Contoso within "
    "three and restores the service within eight. 6.3 For incidents of lower severity the times of Annex B apply."
)
FABRIKAM_CLAUSE = (
    "Schedule 2, Priority One. The Supplier shall, at any hour of any day, acknowledge the incident within fifteen "
    "minutes of detection, notify Fabrikam within one hour, thereafter provide an update at least every hour, mitigate "
    "within two and resolve within four hours, and deliver a written report within five Business Days of resolution."
)
ADVENTURE_CLAUSE = (
    "9.3 The Provider shall inform Adventure Works of every critical incident within {hours} hours of its detection "
    "and shall spare no effort to resolve it without undue delay."
)
ADVENTURE_AMENDMENT = (
    ADVENTURE_CLAUSE.format(hours="eight")
    + " Until resolution it shall provide an update every four hours, and within ten Business Days thereafter a report."
    " (Amendment No. 1; replaces the former period of twenty-four hours.)"
)

ADVENTURE_SERVICES = ("DNS", "Managed database", "Sign-in", "Code hosting")

Hours = tuple[Sequence[int], str, str]  # weekdays, opens, closes

WEEKDAYS, ALL_DAYS = range(5), range(7)


@transaction.atomic
def load(now: dt.datetime) -> None:
    """Make the people, services, clients and agreements that are missing, each as of its day before `now`."""
    with trail_dated() as date_trail:
        date_trail(_days_before(now, 600))
        ada = _people(_days_before(now, 600))["ada"]
        with acting(ada, reason="Entered from the signed agreement."):
            for name, description in SERVICES.items():
                Service.objects.get_or_create(name=name, defaults={"description": description})
            for age, make in (
                (500, _contoso),
                (420, _northwind),
                (330, _adventure_works),
                (300, _fabrikam),
                (21, _amend_adventure_works),
            ):
                date_trail(_days_before(now, age))
                make(_days_before(now, age))
        date_trail(_days_before(now, 300))
        with acting(people()["max"], reason="The texts that come with the product."):
            for preset in message_presets.PRESETS:
                named = {"kind": preset.kind, "language": preset.language, "name": preset.name}
                MessageTemplate.objects.get_or_create(**named, defaults={"text": preset.text})
        with acting(people()["max"], reason="As our operations handbook says."):
            _review_policy(_days_before(now, 300))


@contextlib.contextmanager
def trail_dated() -> Iterator[Callable[[dt.datetime], None]]:
    """Lets history rows bear the instant of the step that wrote them; the library reads this attribute of a model."""

    def date_trail(at: dt.datetime) -> None:
        AuditedModel._history_date = at  # type: ignore[attr-defined]

    try:
        yield date_trail
    finally:
        if hasattr(AuditedModel, "_history_date"):
            del AuditedModel._history_date


def people() -> dict[str, User]:
    """The colleagues by login."""
    return {user.username: user for user in User.objects.filter(username__in=[person[0] for person in PEOPLE])}


def _people(joined_at: dt.datetime) -> dict[str, User]:
    known = people()
    password = make_password(PASSWORD)
    for login, first_name, last_name, role, time_zone in PEOPLE:
        if login in known:
            continue
        known[login] = User.objects.create(
            username=login,
            password=password,
            email=f"{login}@{STAFF_DOMAIN}",
            first_name=first_name,
            last_name=last_name,
            time_zone=time_zone,
            is_staff=True,
            is_superuser=role == roles.ADMINISTRATOR,
            date_joined=joined_at,
        )
        known[login].groups.add(Group.objects.get(name=role))
    return known


def _review_policy(made_at: dt.datetime) -> None:
    """Every critical incident is reviewed, by Olga."""
    preset = policy_presets.PRESETS[0]
    terms = {**preset.terms, "facilitator": people()["olga"], "made_at": made_at}
    ReviewPolicy.objects.get_or_create(name=str(preset.name), defaults=terms)


# ── the clients ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _northwind(signed_at: dt.datetime) -> None:
    if _has_agreement("NW-2025-03"):
        return
    client = _client(
        "Northwind",
        "America/New_York",
        ("Northwind Operations", "ops@northwind.example", "+1 212 555 0142"),
        ("Dana Whitfield", "dana.whitfield@northwind.example", "+1 212 555 0177"),
    )
    calendar = _calendar("Round the clock, New York", "America/New_York", (ALL_DAYS, "00:00", "00:00"))
    agreement = _agreement(
        "NW-2025-03",
        client,
        calendar,
        presets.SEED_CLAUSE.format(hours=4),
        signed_at,
        "Object storage",
        "Backups",
        "Payments API",
    )
    presets.apply_preset(agreement, "notify_within_hours", hours=4)


def _contoso(signed_at: dt.datetime) -> None:
    if _has_agreement("CT-2024-11"):
        return
    client = _client(
        "Contoso",
        "Europe/Berlin",
        ("Contoso IT", "it@contoso.example", "+49 30 5550 120"),
        ("Contoso Duty Manager", "duty@contoso.example", "+49 30 5550 199"),
    )
    calendar = _calendar("Office hours, Berlin", "Europe/Berlin", (WEEKDAYS, "09:00", "17:00"))
    for year in range(signed_at.year, signed_at.year + 4):
        for month, day, name in (
            (1, 1, "New Year's Day"),
            (5, 1, "Labour Day"),
            (10, 3, "Day of German Unity"),
            (12, 25, "Christmas Day"),
            (12, 26, "Second Day of Christmas"),
        ):
            _closed(calendar, dt.date(year, month, day), name)
        _open_only(calendar, dt.date(year, 12, 24), "Christmas Eve", "09:00", "12:00")
    agreement = _agreement(
        "CT-2024-11",
        client,
        calendar,
        CONTOSO_CLAUSE,
        signed_at,
        "Object storage",
        "Sign-in",
        "Endpoint protection",
    )
    presets.apply_preset(agreement, "office_hours_support")


def _fabrikam(signed_at: dt.datetime) -> None:
    if _has_agreement("FB-2025-07"):
        return
    client = _client(
        "Fabrikam",
        "Europe/London",
        ("Fabrikam Service Desk", "servicedesk@fabrikam.example", "+44 20 7946 0321"),
    )
    calendar = _calendar("Business days, London", "Europe/London", (WEEKDAYS, "08:00", "18:00"))
    for year in range(signed_at.year, signed_at.year + 4):
        for month, day, name in ((1, 1, "New Year's Day"), (12, 25, "Christmas Day"), (12, 26, "Boxing Day")):
            _closed(calendar, dt.date(year, month, day), name)
    agreement = _agreement(
        "FB-2025-07",
        client,
        calendar,
        FABRIKAM_CLAUSE,
        signed_at,
        "Content delivery",
        "DNS",
        "API control plane",
        "Managed database",
    )
    presets.apply_preset(agreement, "critical_support_24x7")


def _adventure_works(signed_at: dt.datetime) -> None:
    if _has_agreement("AW-2025-01"):
        return
    client = _client(
        "Adventure Works",
        "Asia/Kolkata",
        ("Priya Raman", "priya.raman@adventure-works.example", "+91 80 5550 4410"),
        ("Adventure Works NOC", "noc@adventure-works.example", "+91 80 5550 4400"),
    )
    calendar = _calendar("Office hours, Bengaluru", "Asia/Kolkata", (range(6), "09:30", "18:30"))
    for year in range(signed_at.year, signed_at.year + 4):
        for month, day, name in ((1, 26, "Republic Day"), (8, 15, "Independence Day"), (10, 2, "Gandhi Jayanti")):
            _closed(calendar, dt.date(year, month, day), name)
    clause = ADVENTURE_CLAUSE.format(hours="twenty-four")
    agreement = _agreement("AW-2025-01", client, calendar, clause, signed_at, *ADVENTURE_SERVICES)
    _owe(agreement, Obligation.NOTIFY, 24, sends_holding_notice=True)
    _owe(agreement, Obligation.RESOLVE, None)


def _amend_adventure_works(amended_at: dt.datetime) -> None:
    """The amendment is a second version: incidents from before it stay under the first."""
    first = ServiceAgreement.objects.filter(reference="AW-2025-01", version=1).first()
    if first is None or hasattr(first, "superseded_by") or first.ends_at is not None:
        return
    first.ends_at = amended_at
    first.save()
    second = _agreement(
        "AW-2025-01",
        first.client,
        first.calendar,
        ADVENTURE_AMENDMENT,
        amended_at,
        *ADVENTURE_SERVICES,
        version=2,
        supersedes=first,
    )
    _owe(second, Obligation.NOTIFY, 8, sends_holding_notice=True)
    _owe(second, Obligation.UPDATE, 4, is_recurring=True)
    _owe(second, Obligation.RESOLVE, None)
    _owe(
        second,
        Obligation.REPORT,
        10,
        unit=Unit.BUSINESS_DAYS,
        start_event=StartEvent.RESOLVED,
        day_end=DayEnd.CLOSE_OF_BUSINESS,
    )
    _owe(second, Obligation.NOTIFY, 24, severity=Severity.HIGH)


# ── building blocks ─────────────────────────────────────────────────────────────────────────────────────────────────


def _has_agreement(reference: str) -> bool:
    return ServiceAgreement.objects.filter(reference=reference).exists()


def _client(name: str, time_zone: str, *contacts: tuple[str, str, str]) -> Client:
    client, is_new = Client.objects.get_or_create(name=name, defaults={"time_zone": time_zone})
    if is_new:
        for position, (who, address, phone) in enumerate(contacts, start=1):
            contact = Contact(client=client, name=who, address=address, phone=phone, position=position)
            contact.full_clean()
            contact.save()
    return client


def _calendar(name: str, time_zone: str, *hours: Hours) -> ServiceCalendar:
    calendar, is_new = ServiceCalendar.objects.get_or_create(name=name, defaults={"time_zone": time_zone})
    if is_new:
        for weekdays, opens, closes in hours:
            for weekday in weekdays:
                OpeningHours.objects.create(
                    calendar=calendar, weekday=weekday, opens=_clock(opens), closes=_clock(closes)
                )
    return calendar


def _closed(calendar: ServiceCalendar, on: dt.date, name: str) -> None:
    if not calendar.special_days.filter(on=on).exists():
        SpecialDay.objects.create(calendar=calendar, on=on, name=name)


def _open_only(calendar: ServiceCalendar, on: dt.date, name: str, opens: str, closes: str) -> None:
    if not calendar.special_days.filter(on=on).exists():
        SpecialDay.objects.create(calendar=calendar, on=on, name=name, opens=_clock(opens), closes=_clock(closes))


def _clock(time: str) -> dt.time:
    return dt.time.fromisoformat(time)


def _days_before(now: dt.datetime, days: int) -> dt.datetime:
    """The midnight so many days ago; an agreement begins with a day."""
    return (now - dt.timedelta(days=days)).replace(hour=0, minute=0, second=0, microsecond=0)


def _agreement(
    reference: str,
    client: Client,
    calendar: ServiceCalendar,
    clause: str,
    effective_at: dt.datetime,
    *services: str,
    version: int = 1,
    supersedes: ServiceAgreement | None = None,
) -> ServiceAgreement:
    agreement = ServiceAgreement(
        reference=reference,
        version=version,
        supersedes=supersedes,
        client=client,
        calendar=calendar,
        clause=clause,
        effective_at=effective_at,
        owner=people()["max"],
    )
    agreement.full_clean()
    agreement.save()
    for name in services:
        ServiceCoverage.objects.create(agreement=agreement, service=Service.objects.get(name=name))
    return agreement


def _owe(
    agreement: ServiceAgreement,
    obligation: Obligation,
    amount: int | None,
    *,
    severity: Severity = Severity.CRITICAL,
    unit: Unit = Unit.HOURS,
    **terms: object,
) -> None:
    commitment = Commitment(
        agreement=agreement,
        severity=severity,
        obligation=obligation,
        amount=amount,
        unit=unit,
        **terms,
    )
    commitment.full_clean()
    commitment.save()
    presets.add_usual_warning_points(commitment)
