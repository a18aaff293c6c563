"""A small world for tests of pages that show all kinds of rows."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils import timezone

from agreements.models import Service, ServiceAgreement
from config.audit import keeping
from config.models import Export, User
from incidents import intake, lifecycle
from incidents.models import IntakeToken, MessageTemplate, Notice, Sending
from incidents.models.notice import NoticeState
from reviews import lifecycle as reviewing
from tests import cast


@pytest.fixture
def world(olga: User, max_: User, aude: User, ada: User, northwind: ServiceAgreement) -> None:
    """At least one row of everything, each with a version in its history."""
    now = timezone.now()
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
    Sending.row()
    MessageTemplate.objects.create(name="Investigating", kind="update", text="We look into {title}.")
    token = IntakeToken(name="Prometheus", service=cast.service("Object storage"), severity="high")
    intake.issue(token, now=now)
    token.save()
    Export.objects.create(at=now, by=olga, listed="incidents.incident", rows=1, sha256="0" * 64)
    lifecycle.resolve(incident, by=olga, now=now)
    review = reviewing.open_review(incident, by=olga, now=now)
    cast.fill_in(review)
    cast.policy()
    keeping.keep()  # the export is something to look at
