"""What people do in the journeys, run inside the product: `manage.py shell -c "from tests.journeys import acts; …"`.

A journey's own process has another database, so it speaks to the product through these and reads what they print.
"""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

from django.core.management import call_command
from django.test import Client as Browser
from django.utils import timezone

from agreements.models import Obligation, ServiceAgreement, Severity, StartEvent
from config.fields import ProseField
from config.history import acting, history_of
from config.models import User
from incidents import lifecycle
from incidents.models import Deadline, Incident, MessageTemplate, Notice
from reviews import lifecycle as reviewing
from reviews.models import PostIncidentReview
from tests import cast


def seed() -> None:
    """The cast with its agreements."""
    for person in (cast.olga, cast.max_, cast.aude, cast.ada):
        person()
    cast.northwind()
    cast.contoso()


def declare(ago_seconds: float = 60, count: int = 1) -> list[Incident]:
    """Olga declares incidents that were detected so long ago."""
    now = timezone.now()
    return [
        lifecycle.declare(
            by=User.objects.get(username="olga"),
            now=now,
            title=f"Storage is down ({number})",
            severity=Severity.CRITICAL,
            services=[cast.service("Object storage")],
            detected_at=now - dt.timedelta(seconds=ago_seconds),
        )
        for number in range(count)
    ]


def declare_before(share: float, seconds: float = 2) -> None:
    """Declare an incident for which that share of Northwind's four hours is over in a moment."""
    declare(ago_seconds=4 * 3600 * share - seconds)


def keep_template(name: str, text: str) -> None:
    """A text in English that updates may start from."""
    MessageTemplate.objects.create(name=name, kind="update", text=text)


def notify_all() -> None:
    """Olga sends the client notice of every incident."""
    for incident in Incident.objects.all():
        lifecycle.notify_client(incident, by=User.objects.get(username="olga"), now=timezone.now())


def declare_and_notify() -> None:
    """Olga declares an incident and sends its clients their notice."""
    for incident in declare():
        lifecycle.notify_client(incident, by=User.objects.get(username="olga"), now=timezone.now())


def send() -> None:
    """One pass of everything."""
    call_command("outbox", "run")


def close_all() -> None:
    """Olga takes every incident to its end."""
    olga = User.objects.get(username="olga")
    for incident in Incident.objects.all():
        lifecycle.acknowledge(incident, by=olga, now=timezone.now())
        lifecycle.resolve(incident, by=olga, now=timezone.now())
        lifecycle.close(incident, by=olga, now=timezone.now(), reason="The disk was full; it is twice as large now.")


def see_through(keys: list[int]) -> None:
    """Olga tells the clients of these incidents and resolves them; then all is sealed."""
    olga = User.objects.get(username="olga")
    for incident in Incident.objects.filter(pk__in=keys):
        lifecycle.notify_client(incident, by=olga, now=timezone.now())
        lifecycle.resolve(incident, by=olga, now=timezone.now())
    call_command("audit", "seal")


def examine() -> None:
    """All that can say that something is wrong is asked."""
    for command in (("audit", "seal"), ("audit", "verify"), ("deadlines", "verify"), ("outbox", "audit")):
        call_command(*command)


def open_review() -> None:
    """Olga resolves an incident and opens its review."""
    olga, now = User.objects.get(username="olga"), timezone.now()
    reviewing.open_review(lifecycle.resolve(declare()[0], by=olga, now=now), by=olga, now=now)


def owe_reports() -> None:
    """Every agreement wants a report within five business days of resolution."""
    for agreement in ServiceAgreement.objects.all():
        cast.commit(agreement, Obligation.REPORT, 5, "business_days", start_event=StartEvent.RESOLVED)


def fill_in_review() -> None:
    """Olga writes all of her review but what happened, and picks the timeline."""
    review = PostIncidentReview.objects.get()
    cast.fill_in(review)
    write_summary("", by="olga")  # whoever writes does not approve


def write_everywhere(text: str) -> None:
    """The same in every text of the review, as far as it fits, and all of it for clients."""
    review = PostIncidentReview.objects.get()
    with acting(review.facilitator, reason="Written."):
        for row in (review, *review.answers.all(), *review.findings.all(), *review.picks.all(), *review.actions.all()):
            for field in row._meta.concrete_fields:
                if isinstance(field, ProseField):
                    setattr(row, field.name, text[: field.max_length])
                elif field.name.endswith("for_client"):
                    setattr(row, field.name, True)
            row.save()


def share_review() -> None:
    """Olga submits her review, Max approves it, and she shares it with every client."""
    olga, max_, now = User.objects.get(username="olga"), User.objects.get(username="max"), timezone.now()
    review = reviewing.submit(PostIncidentReview.objects.get(), by=olga, now=now)
    reviewing.approve(review, by=max_, now=now)
    reviewing.share(review, lifecycle.affected_clients(review.incident), by=olga, now=now)


def write_summary(text: str, by: str = "max") -> None:
    """Somebody writes what happened, in every review."""
    for review in PostIncidentReview.objects.all():
        review.summary = text
        with acting(User.objects.get(username=by)):
            review.save()


def look_around() -> None:
    """Olga signs in, opens the board and an incident with its history, saves a setting of her own, and signs out."""
    browser = Browser(headers={"host": "127.0.0.1"})
    form = {"username": "olga", "password": cast.PASSWORD}
    assert browser.post("/admin/login/", form).status_code == 302
    incident = f"/admin/incidents/incident/{Incident.objects.latest('pk').pk}"
    for page in ("/admin/", "/admin/incidents/incident/", f"{incident}/change/", f"{incident}/history/"):
        assert browser.get(page).status_code == 200, page
    setting = {"time_zone": "Europe/Paris", "language": "fr"}
    assert browser.post("/admin/settings/", setting).status_code == 302
    browser.post("/admin/logout/")


def tell() -> None:
    """Print what the database says, as JSON."""
    print(json.dumps(_facts(), default=str))


def _facts() -> dict[str, Any]:
    return {
        "statuses": sorted(Incident.objects.values_list("status", flat=True)),
        "references": sorted(Incident.objects.values_list("reference", flat=True)),
        "notices": {
            message_id: [state, address, ambiguous]
            for message_id, state, address, ambiguous in Notice.objects.values_list(
                "message_id", "state", "recipient_address", "ambiguous_tries"
            )
        },
        "notify_met": list(
            Deadline.objects.filter(obligation="notify", met_at__isnull=False).values_list("client__name", flat=True)
        ),
        "requests": {
            "olga": User.objects.get(username="olga").pk,
            "met_by_worker": list(
                history_of(Deadline)
                .objects.filter(actor_name="system: outbox.deliver")
                .values_list("request_id", flat=True)
            ),
        },
    }
