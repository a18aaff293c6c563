"""The ratchet: a page asks as many queries beside two hundred rows as beside ten, and few of them."""

from __future__ import annotations

import copy
import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, reverse
from django.utils import timezone

from agreements.models import (
    Client,
    Commitment,
    Contact,
    Obligation,
    Service,
    ServiceAgreement,
    ServiceCalendar,
    ServiceCoverage,
    SpecialDay,
    WarningPoint,
)
from config.audit import keeping
from config.models import Concern, Export, User
from incidents import calendar_feed, intake, lifecycle
from incidents.models import (
    AffectedAgreement,
    Deadline,
    DeliveryAttempt,
    Incident,
    IntakeToken,
    MessageTemplate,
    Notice,
    Responder,
    Sending,
    TimelineEntry,
)
from incidents.models.notice import NoticeState, Outcome
from reviews import lifecycle as reviewing
from reviews.models import CorrectiveAction, PostIncidentReview
from tests import cast
from tests.cast import browser_of

FEW, MANY = 10, 200
LIST_MOST, WORKSPACE_MOST = 12, 30
WORKSPACE = "incidents_incident_change"

#: Pages whose queries may grow with their rows, with why.
MAY_GROW: dict[str, str] = {
    "incidents_deadline_present_terms": "counts each open deadline anew by the terms that hold now",
}
#: No pages, or nobody's.
FILES = ("_export", "_pdf", "_delete")


# ── the world, of any size ──────────────────────────────────────────────────────────────────────────────────────────


def copies(row: Any, count: int, **changed: Callable[[int], Any]) -> list[Any]:
    """So many more rows like this one, with some fields set by number."""
    made = []
    for number in range(count):
        other = copy.copy(row)
        other.pk, other._state = None, copy.copy(row._state)
        other._state.adding = True
        other._state.fields_cache = {}
        for name, value in changed.items():
            setattr(other, name, value(number))
        made.append(other)
    created: list[Any] = cast.add_past_the_trail(type(row)._default_manager, made)
    return created


def first_of_everything(olga: User) -> Incident:
    now = timezone.now()
    northwind = cast.northwind()
    cast.warn(northwind.commitments.earliest("pk"), 50, has_contacts=True)
    incident = lifecycle.declare(
        by=olga,
        now=now,
        title="Object storage is down",
        severity="critical",
        services=list(Service.objects.all()),
        detected_at=now - dt.timedelta(hours=1),
    )
    lifecycle.notify_client(incident, by=olga, now=now)
    notice = Notice.objects.get()
    notice.state = NoticeState.FAILED
    notice.save()
    DeliveryAttempt.objects.create(
        notice=notice, at=now, worker="w", outcome=Outcome.REFUSED, phase="recipient", answer="550 no"
    )
    Sending.row()
    MessageTemplate.objects.create(name="Investigating", kind="update", text="We look into {title}.")
    calendar_feed.make(olga, now=now)
    token = IntakeToken(name="Prometheus", service=cast.service("Login"), severity="low")
    intake.issue(token, now=now)
    token.save()
    Export.objects.create(at=now, by=olga, listed="incidents.incident", rows=1, sha256="0" * 64)
    SpecialDay.objects.create(calendar=northwind.calendar, on=dt.date(2026, 1, 1), name="New year")
    past = lifecycle.declare(
        by=olga, now=now, title="Login failed", severity="low", services=[cast.service("Login")], detected_at=now
    )
    lifecycle.resolve(past, by=olga, now=now)
    review = reviewing.open_review(past, by=olga, now=now)
    cast.fill_in(review)
    cast.policy()
    keeping.keep()  # the export is something to look at
    return incident


def grow(incident: Incident, more: int, start: int) -> None:
    """So many more rows of everything, and of what belongs to the first of each."""

    def n(text: str) -> Callable[[int], str]:
        return lambda number: text.format(start + number)

    agreement = ServiceAgreement.objects.earliest("pk")
    past = PostIncidentReview.objects.earliest("pk").incident
    people = copies(User.objects.earliest("pk"), more, username=n("colleague{}"))
    clients = copies(agreement.client, more, name=n("Client {}"))
    for client in clients:
        Contact.objects.create(client=client, name="Desk", address="desk@client.example")
    copies(Contact.objects.earliest("pk"), more, address=n("desk{}@northwind.example"))
    services = copies(Service.objects.earliest("pk"), more, name=n("Service {}"))
    calendars = copies(ServiceCalendar.objects.earliest("pk"), more, name=n("Calendar {}"))
    day = SpecialDay.objects.earliest("pk")
    copies(day, more, on=lambda number: day.on + dt.timedelta(days=1 + start + number))
    copies(day, more, calendar_id=lambda number: calendars[number].pk)
    agreements = copies(
        agreement,
        more,
        reference=n("XX-{}"),
        client_id=lambda number: clients[number].pk,
        calendar_id=lambda number: calendars[number].pk,
        owner_id=lambda number: people[number].pk,
    )
    copies(ServiceCoverage.objects.earliest("pk"), more, service_id=lambda number: services[number].pk)
    commitments = copies(Commitment.objects.earliest("pk"), more, label=n("Part {}"))
    copies(Commitment.objects.earliest("pk"), more, agreement_id=lambda number: agreements[number].pk)
    copies(WarningPoint.objects.earliest("pk"), more, commitment_id=lambda number: commitments[number].pk)
    some = copies(incident, more, reference=n("INC-1999-{:04d}"))
    done = copies(past, more, reference=n("INC-1998-{:04d}"))
    affected = AffectedAgreement.objects.filter(incident=incident).earliest("pk")
    responder = Responder.objects.filter(incident=incident).earliest("pk")
    deadline = Deadline.objects.filter(incident=incident, obligation=Obligation.NOTIFY).earliest("pk")
    notice = Notice.objects.filter(incident=incident).earliest("pk")
    for others in (some, [incident] * more):
        copies(
            affected,
            more,
            incident_id=lambda number, others=others: others[number].pk,  # type: ignore[misc]
            agreement_id=lambda number: agreements[number].pk,
        )
        copies(
            responder,
            more,
            incident_id=lambda number, others=others: others[number].pk,  # type: ignore[misc]
            user_id=lambda number: people[number].pk,
        )
        copies(
            deadline,
            more,
            incident_id=lambda number, others=others: others[number].pk,  # type: ignore[misc]
            client_id=lambda number: clients[number].pk,
            agreement_id=lambda number: agreements[number].pk,
            commitment_id=lambda number: commitments[number].pk,
        )
        kind = "own" if others is some else "first"
        copies(
            notice,
            more,
            incident_id=lambda number, others=others: others[number].pk,  # type: ignore[misc]
            client_id=lambda number: clients[number].pk,
            moment=n(f"{kind}-{{}}"),
            message_id=n(f"<{kind}-{{}}@due-notice.example>"),
            recipient_address=n("desk{}@client.example"),
        )
    copies(DeliveryAttempt.objects.earliest("pk"), more)
    copies(TimelineEntry.objects.filter(incident=incident).earliest("pk"), more)
    copies(MessageTemplate.objects.earliest("pk"), more, name=n("Text {}"))
    copies(Export.objects.earliest("pk"), more)
    copies(IntakeToken.objects.earliest("pk"), more, name=n("Monitor {}"), digest=n("{:064d}"))
    copies(Concern.objects.earliest("pk"), more, about_pk=lambda number: start + number + 2)
    reviews = copies(past.review, more, incident_id=lambda number: done[number].pk)
    action = CorrectiveAction.objects.earliest("pk")
    copies(action, more, what=n("Step {}"))
    copies(action, more, review_id=lambda number: reviews[number].pk)
    for row in (incident, agreement, agreement.client, agreement.calendar, action, notice, past.review):
        for past_row in row.history.all()[:1]:
            copies(past_row, more)


# ── its pages ───────────────────────────────────────────────────────────────────────────────────────────────────────


def pages() -> Iterator[tuple[str, str]]:
    """(name, address) of the index and of every page of every registered model, for the first row of each."""
    yield "index", reverse("admin:index")
    for model, model_admin in admin.site._registry.items():
        row: Any = model._default_manager.earliest("pk")
        known = {"object_id": row.pk, "client_id": Client.objects.earliest("pk").pk}
        for pattern in model_admin.get_urls():
            if not isinstance(pattern, URLPattern) or not pattern.name or pattern.name.endswith(FILES):
                continue
            if pattern.name.endswith("_simple_history"):
                if hasattr(row, "history"):
                    yield pattern.name, reverse(f"admin:{pattern.name}", args=[row.pk, row.history.earliest("pk").pk])
                continue
            names = set(pattern.pattern.converters)
            if names <= known.keys():
                yield pattern.name, reverse(f"admin:{pattern.name}", kwargs={name: known[name] for name in names})


def counted(browser: Browser) -> dict[str, int]:
    """Queries of each page that is shown."""
    found = {}
    for name, address in pages():
        with CaptureQueriesContext(connection) as asked:
            response = browser.get(address)
        if response.status_code == 200:
            found[name] = len(asked)
    return found


@pytest.mark.usefixtures("roles")
def test_a_page_asks_as_many_queries_beside_two_hundred_rows_as_beside_ten_and_few_of_them(
    ada: User, olga: User
) -> None:
    browser = browser_of(ada)
    incident = first_of_everything(olga)
    counted(browser)  # the process remembers what never changes
    grow(incident, FEW, 0)
    few = counted(browser)
    grow(incident, MANY - FEW, FEW)
    many = counted(browser)
    assert few.keys() == many.keys()
    # a history asks less once the newest rows, which are all that it shows, are of fewer kinds
    assert {name: (few[name], many[name]) for name in few if few[name] < many[name] and name not in MAY_GROW} == {}
    lists = {name: count for name, count in many.items() if name.endswith("_changelist")}
    assert len(lists) == len(admin.site._registry)
    assert {name: count for name, count in lists.items() if count > LIST_MOST} == {}
    assert many[WORKSPACE] <= WORKSPACE_MOST
    assert {name for name in MAY_GROW if few[name] != many[name]} == set(MAY_GROW), "an exemption that nothing needs"
