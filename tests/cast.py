"""The cast of the tests: four colleagues with roles, two clients with agreements."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

from django.contrib.auth.models import Group
from django.db import connections, models
from django.db.models import QuerySet
from django.test import Client as Browser
from django.utils import timezone

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
    WarningPoint,
)
from config import roles
from config.audit import append_only
from config.history import acting
from config.models import User
from reviews.models import (
    Contributor,
    CorrectiveAction,
    Factor,
    Finding,
    PostIncidentReview,
    ReviewLink,
    ReviewPolicy,
    TimelinePick,
)

PASSWORD = "due-notice"
#: A Tuesday morning; tests say what time it is, nothing waits for it.
NOON = dt.datetime(2026, 11, 24, 12, 0, tzinfo=dt.UTC)
LONG_AGO = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def at(clock: str, day: int = 24) -> dt.datetime:
    """An instant in November 2026: at("14:05") is on Tuesday the 24th, UTC."""
    time = dt.time.fromisoformat(clock.zfill(5))
    return dt.datetime.combine(dt.date(2026, 11, day), time, dt.UTC)


def colleague(username: str, full_name: str, role: str, time_zone: str = "UTC") -> User:
    first_name, last_name = full_name.split()
    user = User.objects.create_user(
        username,
        f"{username}@due-notice.example",
        PASSWORD,
        first_name=first_name,
        last_name=last_name,
        is_staff=True,
        time_zone=time_zone,
    )
    group, _is_new = Group.objects.get_or_create(name=role)
    user.groups.add(group)
    return user


def past_the_trail(rows: models.QuerySet[Any] | models.Manager[Any], **values: Any) -> int:
    """Change rows as nothing of the product may, which saves each: to spare a test a story, or to see what finds it."""
    return models.QuerySet.update(rows.all(), **values)


def save(row: models.Model) -> None:
    """Change a row for a reason, whatever it is."""
    with acting(reason="As the test needs it."):
        row.save()


def remove(rows: models.QuerySet[Any] | models.Model) -> None:
    """Remove rows for a reason, whatever it is."""
    with acting(reason="As the test needs it."):
        rows.delete()


def demote(user: User) -> None:
    """Take all roles away."""
    with acting(reason="As the test needs it."):
        user.groups.clear()


def add_past_the_trail(to: models.QuerySet[Any] | models.Manager[Any], rows: Iterable[Any]) -> list[Any]:
    """Add many rows that have no history."""
    return models.QuerySet.bulk_create(to.all(), rows)


def browser_of(user: User) -> Browser:
    """One in which this colleague is signed in."""
    browser = Browser()
    browser.force_login(user)
    return browser


def olga() -> User:
    return colleague("olga", "Olga Petrova", roles.OPERATOR)


def max_() -> User:
    return colleague("max", "Max Weber", roles.MANAGER)


def aude() -> User:
    return colleague("aude", "Aude Martin", roles.AUDITOR)


def ada() -> User:
    return colleague("ada", "Ada Lind", roles.ADMINISTRATOR)


def lea() -> User:
    """Who is to be limited to some clients."""
    return colleague("lea", "Lea Novak", roles.OPERATOR)


def always_open(name: str = "Round the clock", time_zone: str = "UTC") -> ServiceCalendar:
    calendar = ServiceCalendar.objects.create(name=name, time_zone=time_zone)
    for weekday in range(7):
        OpeningHours.objects.create(calendar=calendar, weekday=weekday, opens=dt.time(0), closes=dt.time(0))
    return calendar


def office_hours(name: str = "Office hours", time_zone: str = "Europe/Berlin") -> ServiceCalendar:
    calendar = ServiceCalendar.objects.create(name=name, time_zone=time_zone)
    for weekday in range(5):
        OpeningHours.objects.create(calendar=calendar, weekday=weekday, opens=dt.time(9), closes=dt.time(17))
    return calendar


def client(name: str, time_zone: str, *addresses: str) -> Client:
    made = Client.objects.create(name=name, time_zone=time_zone)
    for position, address in enumerate(addresses, start=1):
        Contact.objects.create(client=made, name=f"{name} Operations", address=address, position=position)
    return made


def agreement(
    reference: str, of: Client, calendar: ServiceCalendar, *services: Service, owner: User | None = None
) -> ServiceAgreement:
    made = ServiceAgreement.objects.create(
        reference=reference, client=of, calendar=calendar, effective_at=LONG_AGO, clause="As agreed.", owner=owner
    )
    for service in services:
        ServiceCoverage.objects.create(agreement=made, service=service)
    return made


def commit(
    to: ServiceAgreement, obligation: Obligation, amount: int | None, unit: str = "hours", **terms: object
) -> Commitment:
    """One commitment, critical unless said otherwise, without warning points."""
    severity = terms.pop("severity", Severity.CRITICAL)
    commitment = Commitment(
        agreement=to,
        severity=severity,
        obligation=obligation,
        amount=amount,
        unit=unit,
        **terms,  # type: ignore[misc]
    )
    commitment.full_clean()
    commitment.save()
    return commitment


def warn(commitment: Commitment, percent: int, **audience: bool) -> WarningPoint:
    return WarningPoint.objects.create(commitment=commitment, percent=percent, **audience)


def lose(rows: QuerySet[Any]) -> None:
    """Rows that nothing deletes, as if they had never been made."""
    with append_only.lifted(connections[rows.db]), acting(reason="As if it had never been made."):
        rows.delete()


def service(name: str) -> Service:
    return Service.objects.get_or_create(name=name)[0]


def northwind() -> ServiceAgreement:
    """Northwind: 4 hours' notice round the clock with a holding notice, resolution as quickly as possible."""
    made = agreement(
        "NW-2025-03",
        client("Northwind", "America/New_York", "ops@northwind.example"),
        always_open(),
        service("Object storage"),
    )
    presets.apply_preset(made, "notify_within_hours", hours=4)
    return made


def contoso() -> ServiceAgreement:
    """Contoso: the office hours preset, counted in Berlin."""
    made = agreement(
        "CT-2024-11",
        client("Contoso", "Europe/Berlin", "it@contoso.example", "duty@contoso.example"),
        office_hours(),
        service("Object storage"),
        service("Payments"),
    )
    presets.apply_preset(made, "office_hours_support")
    return made


# ── reviews ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def fill_in(review: PostIncidentReview, *, action: str = "Add a replica") -> CorrectiveAction:
    """Everything that a review needs to be submitted, and one row of each of its parts; returns its action."""
    with acting(review.facilitator, reason="Written down."):
        review.summary, review.client_impact = "A disk filled up.", "Nobody could sign in for an hour."
        review.root_cause, review.what_will_change = "Nobody was told that it grew.", "It is measured."
        review.save()
        factor, _is_new = Factor.objects.get_or_create(name="Unwatched growth", defaults={"kind": "technical"})
        finding, _is_new = Finding.objects.get_or_create(review=review, factor=factor, explanation="It grew for weeks.")
        for answer in review.answers.all():
            answer.text = "As was usual."
            answer.save()
        Contributor.objects.get_or_create(review=review, user=review.facilitator)
        ReviewLink.objects.create(review=review, label="Chart", address="https://charts.example/disk")
        for entry in review.incident.timeline.all()[:1]:
            TimelinePick.objects.create(review=review, entry=entry, remark="Nobody knew yet.")
        due_on = review.opened_at.date()
        return CorrectiveAction.objects.create(
            review=review, what=action, owner=review.facilitator, due_on=due_on, finding=finding
        )


def policy(name: str = "Critical incidents", **terms: Any) -> ReviewPolicy:
    """Five days for the review, three to assign its actions, thirty to do them; for critical ones unless said."""
    given = {"severity": "critical", "review_within": 5, "actions_assigned_within": 3, "actions_done_within": 30}
    made_at = terms.pop("made_at", timezone.now())
    return ReviewPolicy.objects.create(name=name, made_at=made_at, **{**given, **terms})
