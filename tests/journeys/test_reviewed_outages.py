"""Ten real outages, each from its resolution to the report in the client’s inbox."""

from __future__ import annotations

import datetime as dt
import html
import io
import json
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pypdf import PdfReader

from agreements import presets
from agreements.models import Client, Obligation, ServiceAgreement
from config import roles as groups
from config.models import User
from incidents import lifecycle as incidents
from incidents import notices, outbox
from incidents.models import Deadline, Incident, Notice, Standing
from incidents.models.notice import NoticeKind
from reviews import due, followup, lifecycle
from reviews.lifecycle import Refused
from reviews.models import ClientEdition, Factor, PostIncidentReview, ReviewStatus
from tests import cast
from tests.journeys.outages import BACKBONE, DAY, HOUR, MINUTE, OUTAGES, Outage
from tests.reviews.test_admin import page, shown
from tests.reviews.test_document_page import save, sent
from tests.services.smtp import ReceivedMail, SmtpSink

pytestmark = pytest.mark.django_db
BEFORE_ALL = dt.datetime(2016, 1, 1, tzinfo=dt.UTC)
TURN = "Requests are answered again."


# ── who takes part, and what they do ────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def oscar(roles: None) -> User:
    return cast.colleague("oscar", "Oscar Roe", groups.OPERATOR)


@pytest.fixture
def contoso(northwind: ServiceAgreement, max_: User) -> Client:
    """Wants a report within five business days of Berlin's offices; Northwind wants none. A policy gives five days."""
    agreement = cast.agreement(
        "CT-2016-07",
        cast.client("Contoso", "Europe/Berlin", "it@contoso.example", "duty@contoso.example"),
        cast.office_hours(),
        cast.service("Object storage"),
    )
    presets.apply_preset(agreement, "critical_support_24x7")
    cast.past_the_trail(ServiceAgreement.objects, effective_at=BEFORE_ALL)
    cast.policy(made_at=BEFORE_ALL)
    return agreement.client


def send(now: dt.datetime) -> None:
    """What the workers do every second."""
    notices.raise_due(now)
    outbox.deliver(now)


def resolved(outage: Outage, olga: User) -> Incident:
    """The incident at its end, each step taken at its own instant: Contoso was mailed, Northwind was called."""
    of = {client.name: client for client in Client.objects.all()}
    incident = incidents.declare(
        by=olga,
        now=outage.detected_at + MINUTE,
        title=outage.title,
        severity=outage.severity,
        services=[cast.service("Object storage")],
        detected_at=outage.detected_at,
        occurred_at=outage.occurred_at,
    )

    def mail(now: dt.datetime) -> None:
        incidents.notify_client(incident, by=olga, now=now, message="We are on it.", clients=[of["Contoso"]])

    def call(now: dt.datetime) -> None:
        incidents.record_told(incident, of["Northwind"], by=olga, now=now, evidence="Called Kim Lee.")

    def mitigate(now: dt.datetime) -> None:
        incidents.note(incident, TURN, by=olga, now=now, is_client_visible=True)
        if now < outage.resolved_at:
            incidents.mitigate(incident, by=olga, now=now)

    steps: list[tuple[dt.datetime, Callable[[dt.datetime], object]]] = [
        (outage.acknowledged_at, lambda now: incidents.acknowledge(incident, by=olga, now=now)),
        (outage.mailed_at, mail),
        (outage.phoned_at, call),
        (outage.mitigated_at, mitigate),
        (outage.resolved_at, lambda now: incidents.resolve(incident, by=olga, now=now)),
    ]
    for at, step in sorted(steps, key=lambda one: one[0]):
        step(at)
        send(at)
    return Incident.objects.get(pk=incident.pk)


def write(review: PostIncidentReview, outage: Outage, olga: User, oscar: User) -> None:
    """Oscar joins, picks the timeline and writes; Olga adds what will be done and marks what clients may read."""
    lifecycle.join(review, by=oscar)
    told = review.incident.timeline.filter(text__in=(TURN, "Acknowledged.")).order_by("happened_at")
    lifecycle.pick(review, by=oscar, entries=list(told))
    factor = Factor.objects.create(name=outage.factor, kind=outage.kind)
    typed: dict[str, Any] = {
        "summary": outage.summary,
        "client_impact": "Objects could not be\r\n\r\n* read\r\n* written",
        "root_cause": "Only we read this.",
        "what_will_change": "It is **bounded** now.",
        "picks-0-remark": "The pager was heard at once.",
        "findings-TOTAL_FORMS": 1,
        "findings-0-factor": factor.pk,
        "findings-0-explanation": "Nobody had thought of it.",
        **{f"answers-{place}-text": "As was usual." for place in range(review.answers.count())},
    }
    browser = cast.browser_of(oscar)
    save(browser, review, sent(browser.get(page(review)), **typed))
    marks = ("is_summary", "is_client_impact", "is_what_will_change", "picks-0-is", "picks-1-is", "findings-0-is")
    typed = {
        "actions-TOTAL_FORMS": 1,
        "actions-0-what": outage.change,
        "actions-0-kind": "prevent",
        "actions-0-priority": 1,
        "actions-0-finding": review.findings.get().pk,
        "actions-0-owner": oscar.pk,
        "actions-0-due_on": "2031-05-02",
        **{f"{mark}_for_client": "on" for mark in (*marks, "actions-0-is")},
    }
    browser = cast.browser_of(olga)
    save(browser, review, sent(browser.get(page(review)), **typed))


def read_by(reader: User, review: PostIncidentReview) -> str:
    return shown(cast.browser_of(reader).get(page(review)))


def report(client: Client) -> Deadline:
    return Deadline.objects.get(client=client, obligation=Obligation.REPORT)


def reports(relay: SmtpSink, to: str) -> list[ReceivedMail]:
    return [mail for mail in relay.messages if "Report:" in mail.subject and to in mail.recipients]


# ── what is right, from the outage alone ────────────────────────────────────────────────────────────────────────────


def wall(at: dt.datetime, zone: str) -> str:
    local = at.astimezone(ZoneInfo(zone))
    return f"{local.day} {local:%b %Y, %H:%M %Z}"


def took(span: dt.timedelta) -> str:
    hours, minutes = divmod(int(span.total_seconds()) // 60, 60)
    return " ".join([f"{hours} h"] * bool(hours) + [f"{minutes} min"] * bool(minutes)) or "0 min"


def lines(outage: Outage, told_at: dt.datetime, zone: str) -> list[str]:
    """The phases as a client reads them: those of which it is known when they began."""
    return [
        f"* Phase: {name.capitalize()}; From: {wall(since, zone)}; Until: {wall(until, zone)}; "
        f"Took: {took(until - since)}"
        for name, (since, until) in outage.phases(told_at).items()
        if since
    ]


def facts(outage: Outage, told_at: dt.datetime) -> list[dict[str, str | None]]:
    """The same as the PDF carries it for machines."""
    return [
        {"name": name, "begins_at": utc(since) if since else None, "ends_at": utc(until)}
        for name, (since, until) in outage.phases(told_at).items()
    ]


def utc(at: dt.datetime) -> str:
    return at.astimezone(dt.UTC).isoformat(timespec="microseconds")


def why(outage: Outage) -> set[str]:
    """Contoso is owed mitigation within two hours and resolution within four, Northwind a notice within four."""
    found = {"Policy: Critical incidents.", "CT-2016-07 wants a report."}
    late = {
        "Missed: Acknowledge for Contoso.": outage.acknowledged > 15,
        "Missed: Notify the client for Contoso.": outage.mailed >= 60,
        "Missed: Notify the client for Northwind.": outage.phoned > 240,
        "Missed: Mitigate for Contoso.": outage.mitigated_at > outage.detected_at + 2 * HOUR,
        "Missed: Resolve for Contoso.": outage.resolved_at > outage.detected_at + 4 * HOUR,
        "Missed: Update the client for Contoso.": outage.resolved_at > outage.detected_at + HOUR,
    }
    return found | {sentence for sentence, is_late in late.items() if is_late}


# ── the journeys ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("outage", OUTAGES, ids=lambda outage: outage.key)
def test_an_outage_from_its_resolution_to_the_report_in_the_clients_inbox(
    outage: Outage, relay: SmtpSink, contoso: Client, northwind: ServiceAgreement, olga: User, oscar: User, max_: User
) -> None:
    incident = resolved(outage, olga)
    opened_at = outage.resolved_at + MINUTE
    assert followup.follow_up(opened_at)["reviews opened"] == 1
    review = PostIncidentReview.objects.get()
    last_day = dt.datetime.combine(outage.resolved_at.date() + 6 * DAY, dt.time(), dt.UTC)
    assert (review.incident, review.facilitator, review.due_at) == (incident, olga, last_day)
    assert set(review.why_owed.splitlines()) == why(outage)
    assert report(contoso).due_at == outage.due_at

    write(review, outage, olga, oscar)
    with pytest.raises(Refused, match="for its facilitator, Olga Petrova"):
        lifecycle.submit(review, by=oscar, now=opened_at + DAY)
    lifecycle.submit(review, by=olga, now=opened_at + 2 * DAY)
    review = lifecycle.approve(review, by=max_, now=opened_at + 3 * DAY)
    shared_at = outage.due_at - 10 * MINUTE
    lifecycle.share(review, [contoso, northwind.client], by=olga, now=shared_at)
    assert report(contoso).met_at is None
    send(shared_at)
    review.refresh_from_db()
    assert review.status == ReviewStatus.SHARED
    met = report(contoso)
    assert met.met_at is not None
    assert shared_at <= met.met_at < outage.due_at
    assert met.standing(outage.due_at + DAY) == Standing.MET
    assert due.of(review, max_, outage.due_at + DAY) is None

    notice = Notice.objects.filter(kind=NoticeKind.CLIENT_NOTICE, client=contoso).earliest("accepted_at")
    assert notice.accepted_at is not None
    assert outage.mailed_at <= notice.accepted_at < outage.mailed_at + MINUTE
    told = {"it@contoso.example": notice.accepted_at, "ops@northwind.example": outage.phoned_at}
    for address, zone in (("it@contoso.example", "Europe/Berlin"), ("ops@northwind.example", "America/New_York")):
        (mail,) = reports(relay, address)
        (file,) = mail.message.iter_attachments()
        paper = PdfReader(io.BytesIO(file.get_content()))
        (said,) = paper.attachments["facts.json"]
        assert json.loads(said)["phases"] == facts(outage, told[address])
        printed = "".join("".join(sheet.extract_text() for sheet in paper.pages).split())
        for line in lines(outage, told[address], zone):
            assert line in mail.text
            for part in line.removeprefix("* ").split("; "):
                assert "".join(part.partition(": ")[2].split()) in printed
        for words in (outage.title, outage.summary, outage.factor, outage.change, TURN, "The pager was heard at once."):
            assert words in mail.text
            assert words in html.unescape(mail.html)
            assert "".join(words.split()) in printed
        assert "<strong>bounded</strong>" in mail.html
        for text in (mail.text, mail.html):
            assert "Only we read this." not in text
            assert "Acknowledged." not in text
        assert "Onlywereadthis." not in printed
        assert "This message is late" not in mail.text


def test_a_report_that_comes_late_is_missed_says_why_and_still_arrives(
    relay: SmtpSink, contoso: Client, olga: User, oscar: User, max_: User
) -> None:
    resolved(BACKBONE, olga)
    followup.follow_up(BACKBONE.resolved_at)
    review = PostIncidentReview.objects.get()
    write(review, BACKBONE, olga, oscar)
    relay.forget()
    overdue_at = BACKBONE.due_at + MINUTE
    followup.follow_up(overdue_at)
    send(overdue_at)
    assert report(contoso).standing(overdue_at) == Standing.MISSED
    overdue, unapproved = "OVERDUE, owed to Contoso: Report", "Review of INC-2021-0001 is not approved in time"
    assert sorted((mail.subject.partition("] ")[2], *mail.recipients) for mail in relay.messages) == [
        (overdue, "max@due-notice.example"),
        (overdue, "olga@due-notice.example"),
        (unapproved, "max@due-notice.example"),
    ]

    late_at, reason = BACKBONE.due_at + 2 * DAY, "The routers’ vendor answered on Tuesday."
    lifecycle.submit(review, by=olga, now=late_at - 2 * HOUR)
    review = lifecycle.approve(review, by=max_, now=late_at - HOUR)
    assert "The report to Contoso is due 11 Oct 2021, 15:00 UTC by contract." in read_by(max_, review)
    with pytest.raises(Refused, match="The report is overdue for Contoso: say why"):
        lifecycle.share(review, [contoso], by=olga, now=late_at)
    lifecycle.share(review, [contoso], by=olga, now=late_at, late_reason=reason)
    send(late_at)
    given = report(contoso)
    assert given.met_at is not None
    assert late_at <= given.met_at < late_at + MINUTE
    assert given.standing(late_at + DAY) == Standing.MISSED
    assert ClientEdition.objects.get().late_reason == reason
    assert review.history.latest("history_id").history_change_reason == reason
    (mail,) = reports(relay, "it@contoso.example")
    assert "This message is late" in mail.text
    assert "This message is late" in mail.html
    assert "11 Oct 2021, 17:00 CEST" in mail.text
    assert reason not in mail.text
    assert "Overdue." not in read_by(max_, review)
