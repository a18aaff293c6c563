"""Evidence for a client: everything that proves what it was owed and told, and nothing that is not its business."""

from __future__ import annotations

import datetime as dt
import hashlib
import html
import io
import json
import re
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from pypdf import PdfReader

from agreements.models import Client, Contact, Obligation, ServiceAgreement, Severity
from config.models import User
from incidents import lifecycle, outbox
from incidents.acknowledgement_link import masked
from incidents.document_pdf import pdf_of
from incidents.evidence import Evidence, evidence_of
from incidents.evidence_document import document_of
from incidents.models import Acknowledgement, DeliveryAttempt, Incident, Notice
from incidents.models.notice import DeliveryPhase, NoticeState, Outcome
from tests import cast
from tests.cast import at, browser_of
from tests.services.smtp import SmtpSink

pytestmark = pytest.mark.django_db

#: Markup of every language on the way, a reversed word, and scripts that no one font has.
HOSTILE = (
    "<script>alert(1)</script> {{ secret }} {% now 'Y' %} #panic() *b* $x$ @ref \\u{41} "
    "\u202ereversed\u202c 😀👩‍👩‍👧 日本語 한국어 עברית العربية Ελληνικά Кириллица é ß"
)


@pytest.fixture
def incident(olga: User, northwind: ServiceAgreement, contoso: ServiceAgreement) -> Incident:
    """Of both clients; acknowledged at 10:05, both told at 10:10."""
    incident = lifecycle.declare(
        by=olga,
        now=at("10:00"),
        title="Storage is down",
        severity=Severity.CRITICAL,
        services=[cast.service("Object storage")],
        detected_at=at("09:40"),
        occurred_at=at("09:31"),
        description="For colleagues: Kim pulled the wrong cable.",
    )
    lifecycle.acknowledge(incident, by=olga, now=at("10:05"))
    lifecycle.note(incident, "Kim is on the train.", by=olga, now=at("10:06"))
    lifecycle.notify_client(incident, by=olga, now=at("10:10"), message="Uploads fail.\n\n  Downloads  work.")
    incident.refresh_from_db()
    return incident


def facts_of(incident: Incident, of: ServiceAgreement, now: dt.datetime | None = None) -> Evidence:
    return evidence_of(incident, of.client, now=now or at("12:00"))


def page_url(incident: Incident, client: Client) -> str:
    return reverse("admin:incidents_incident_evidence", args=[incident.pk, client.pk])


def pdf_url(incident: Incident, client: Client) -> str:
    return reverse("admin:incidents_incident_evidence_pdf", args=[incident.pk, client.pk])


def page(by: User, incident: Incident, of: ServiceAgreement) -> str:
    response = browser_of(by).get(page_url(incident, of.client))
    assert response.status_code == 200
    return response.content.decode()


def pdf(by: User, incident: Incident, of: ServiceAgreement) -> PdfReader:
    response = browser_of(by).get(pdf_url(incident, of.client))
    assert response.status_code == 200
    assert response["Content-Type"] == "application/pdf"
    return PdfReader(io.BytesIO(response.content))


def words_in(text: str) -> str:
    """As people read it: without markup, in one line."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())


def words_on(paper: PdfReader) -> str:
    """As it can be copied from the PDF; a line that was broken is one again."""
    return " ".join(" ".join(sheet.extract_text() for sheet in paper.pages).split())


def squeezed(text: str) -> str:
    """Without any space: where a line is broken says nothing about what it says."""
    return "".join(text.replace("\u200b", "").split())


def the_notice(of: ServiceAgreement) -> Notice:
    return Notice.objects.get(client=of.client, kind="client_notice", contact__position=1)


def tried(notice: Notice, outcome: Outcome, **changes: Any) -> DeliveryAttempt:
    told = {"at": at("10:11"), "worker": "host:1", "phase": DeliveryPhase.RECIPIENT, "server": "mx.example:25"}
    return DeliveryAttempt.objects.create(notice=notice, outcome=outcome, **{**told, **changes})


# ── what it says ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("medium", ["page", "pdf"])
def test_it_shows_what_was_owed_when_due_when_accepted_by_whom_and_what_was_said(
    medium: str, relay: SmtpSink, incident: Incident, northwind: ServiceAgreement, olga: User
) -> None:
    northwind.clause = "7.2 The Service Provider shall notify the Client within four (4) hours."
    cast.save(northwind)
    tried(the_notice(northwind), Outcome.REFUSED_FOR_NOW, code=451, answer="4.7.1 Greylisted, try again", elapsed_ms=42)
    outbox.deliver(at("10:11"))
    notice = the_notice(northwind)
    Acknowledgement.objects.create(
        notice=notice, at=at("10:31"), from_address="203.0.113.9", user_agent="Mozilla/5.0 Firefox/140"
    )
    if medium == "page":
        said = squeezed(words_in(page(olga, incident, northwind)))
    else:
        said = squeezed(words_on(pdf(olga, incident, northwind)))
    server = notice.attempts.get(outcome=Outcome.ACCEPTED).server
    assert server
    for expected in (
        "INC-2026-0001",
        "Storage is down",
        "NW-2025-03",
        "7.2 The Service Provider shall notify the Client within four (4) hours.",
        "Notify the client",
        "within 4 hours of detection",
        "Tue 24 Nov 2026, 04:31:00 EST",  # happened
        "Tue 24 Nov 2026, 08:40:00 EST",  # due, in the client's zone
        "Tue 24 Nov 2026, 13:40:00 UTC",  # and in ours
        "Tue 24 Nov 2026, 05:11:00 EST",  # accepted, and met
        "before it was due",
        "as quickly as possible",
        "no fixed time agreed",
        "ops@northwind.example",
        notice.message_id,
        notice.subject,
        server,
        notice.server_answer,
        "451 4.7.1 Greylisted, try again",
        "Refused for now",
        "mx.example:25",
        "42 ms",
        "Tue 24 Nov 2026, 05:31:00 EST",  # acknowledged
        "203.0.113.9",
        "Mozilla/5.0 Firefox/140",
        "it does not mean that anybody has read it",
        *masked(notice.text).split("\n"),
        "by Olga Petrova",
    ):
        assert squeezed(expected) in said, expected


def test_the_body_of_a_late_notice_begins_with_the_sentence_that_it_is_late(
    incident: Incident, northwind: ServiceAgreement, olga: User
) -> None:
    late = "This message is late: it was due by 24 Nov 2026, 08:40 EST."
    cast.past_the_trail(Notice.objects.filter(pk=the_notice(northwind).pk), is_marked_late=True, late_note=late)
    facts = facts_of(incident, northwind).notices[0]
    assert facts.text == f"{late}\n\n{masked(the_notice(northwind).text)}"
    assert "It went out late" in words_in(page(olga, incident, northwind))


def test_spaces_and_line_breaks_of_the_body_are_kept_on_the_page(
    incident: Incident, northwind: ServiceAgreement, olga: User
) -> None:
    assert html.escape(masked(the_notice(northwind).text)) in page(olga, incident, northwind)
    assert "  Downloads  work." in the_notice(northwind).text


def test_a_notice_that_no_server_took_does_not_read_as_sent(
    incident: Incident, northwind: ServiceAgreement, olga: User
) -> None:
    notice = the_notice(northwind)
    tried(notice, Outcome.REFUSED, code=550, answer="5.1.1 No such user")
    cast.past_the_trail(
        Notice.objects.filter(pk=notice.pk), state=NoticeState.FAILED, state_reason="The mail server refused it."
    )
    said = words_in(page(olga, incident, northwind))
    for expected in ("by no mail server", "Failed The mail server refused it.", "550 5.1.1 No such user"):
        assert expected in said, expected
    assert "The body as sent" not in said
    assert "Accepted by mx.example" not in said


def test_one_that_a_person_says_arrived_does_not_read_as_accepted_by_a_server(
    incident: Incident, northwind: ServiceAgreement, olga: User
) -> None:
    cast.past_the_trail(
        Notice.objects.filter(pk=the_notice(northwind).pk), state=NoticeState.HANDLED, accepted_at=at("10:12")
    )
    said = words_in(page(olga, incident, northwind))
    assert "Counted as arrived Tue 24 Nov 2026, 05:12:00 EST" in said
    assert "Accepted by" not in said


def test_an_obligation_names_the_notice_that_met_it(
    relay: SmtpSink, incident: Incident, northwind: ServiceAgreement, olga: User
) -> None:
    outbox.deliver(at("10:11"))
    owed = {one.obligation: one for one in facts_of(incident, northwind).obligations}
    assert owed["notify"].met_by == (the_notice(northwind).message_id,)
    assert owed["resolve"].met_by == ()
    assert "Met by notice N1" in words_in(page(olga, incident, northwind))


def test_a_moment_too_late_is_missed_and_says_by_how_little(
    incident: Incident, northwind: ServiceAgreement, olga: User
) -> None:
    deadline = incident.deadlines.get(client=northwind.client, obligation=Obligation.NOTIFY)
    assert deadline.due_at
    deadline.met_at, deadline.next_action_at = deadline.due_at + dt.timedelta(milliseconds=3), None
    cast.save(deadline)
    said = words_in(page(olga, incident, northwind))
    assert "less than a second after it was due" in said
    assert "Standing Missed" in said


def test_an_ended_obligation_says_why(incident: Incident, northwind: ServiceAgreement, olga: User) -> None:
    lifecycle.reclassify(incident, Severity.LOW, by=olga, now=at("11:00"), reason="Only one bucket.")
    said = words_in(page(olga, incident, northwind))
    assert "Ended, no longer owed Tue 24 Nov 2026, 06:00:00 EST" in said
    assert "Reclassified from Critical to Low." in said


def test_a_pause_is_shown_where_the_clause_allows_it_and_nowhere_else(
    incident: Incident, northwind: ServiceAgreement, contoso: ServiceAgreement, olga: User
) -> None:
    cast.commit(contoso, Obligation.REPORT, 5, severity=Severity.CRITICAL, is_pausable=True, label="interim")
    lifecycle.correct_times(incident, by=olga, now=at("10:20"), reason="A probe saw it.", detected_at=at("09:39"))
    lifecycle.pause(incident, by=olga, now=at("10:30"), reason="Waiting for your logs.")
    lifecycle.resume(incident, by=olga, now=at("10:50"), reason="They came.")
    assert all(one.pauses == () for one in facts_of(incident, northwind).obligations)
    paused = [one for one in facts_of(incident, contoso).obligations if one.pauses]
    assert [one.label for one in paused] == ["interim"]
    assert paused[0].pauses[0].why == "Waiting for your logs."
    said = words_in(page(olga, incident, contoso))
    assert "Clock stopped Tue 24 Nov 2026, 11:30:00 CET · Tue 24 Nov 2026, 10:30:00 UTC Waiting for your logs." in said
    assert "Clock went on Tue 24 Nov 2026, 11:50:00 CET" in said


def test_a_notice_of_an_incident_that_was_merged_into_this_one_counts_here(
    relay: SmtpSink, incident: Incident, northwind: ServiceAgreement, olga: User
) -> None:
    outbox.deliver(at("10:11"))
    master = lifecycle.declare(
        by=olga,
        now=at("10:20"),
        title="Region is down",
        severity=Severity.CRITICAL,
        services=[cast.service("Object storage")],
        detected_at=at("09:50"),
    )
    master = lifecycle.merge(incident, master, by=olga, now=at("10:30"), reason="One cause.")
    facts = facts_of(master, northwind)
    assert [notice.incident for notice in facts.notices] == [incident.reference]
    notify = next(one for one in facts.obligations if one.obligation == "notify")
    assert notify.met_by == (facts.notices[0].message_id,)
    assert "which was merged into this incident" in words_in(page(olga, master, northwind))
    whole = lifecycle.declare(
        by=olga,
        now=at("10:40"),
        title="All regions are down",
        severity=Severity.CRITICAL,
        services=[cast.service("Object storage")],
        detected_at=at("09:50"),
    )
    whole = lifecycle.merge(master, whole, by=olga, now=at("10:50"), reason="One cause.")
    assert [notice.incident for notice in facts_of(whole, northwind).notices] == [incident.reference]


# ── told by other means ─────────────────────────────────────────────────────────────────────────────────────────────


def test_told_by_other_means_is_shown_with_how_and_who_took_it(
    incident: Incident, northwind: ServiceAgreement, olga: User
) -> None:
    evidence = "Called the duty desk at 0123, Ms Roe took it."
    lifecycle.record_told(incident, northwind.client, by=olga, now=at("10:40"), at=at("10:35"), evidence=evidence)
    (told,) = facts_of(incident, northwind).told
    assert (told.obligation, told.at, told.words) == ("notify", at("10:35"), evidence)
    said = words_in(page(olga, incident, northwind))
    assert "What was told by other means" in said
    assert "Tue 24 Nov 2026, 05:35:00 EST" in said
    assert evidence in said


# ── what is nobody else's business ──────────────────────────────────────────────────────────────────────────────────


def test_it_never_shows_another_client_a_colleague_or_what_is_internal(
    relay: SmtpSink, incident: Incident, northwind: ServiceAgreement, contoso: ServiceAgreement, olga: User
) -> None:
    cast.past_the_trail(Contact.objects.filter(client=northwind.client), is_active=False)
    lifecycle.post_update(incident, by=olga, now=at("10:20"), message="Failing over.")  # alarms the operators
    outbox.deliver(at("10:21"))
    addresses = set(Notice.objects.values_list("recipient_address", flat=True))
    assert {"olga@due-notice.example", "it@contoso.example", "duty@contoso.example"} <= addresses

    facts = facts_of(incident, northwind).canonical().decode()
    texts = (page(olga, incident, northwind), words_on(pdf(olga, incident, northwind)), facts)
    for address in addresses - {"ops@northwind.example"}:
        assert all(squeezed(address) not in squeezed(text) for text in texts), address
    for internal in ("Contoso", "CT-2024-11", "Kim", "wrong cable", "on the train", "Alarm"):
        assert all(squeezed(internal) not in squeezed(text) for text in texts), internal


def test_a_client_that_has_no_part_in_the_incident_has_no_evidence(incident: Incident, olga: User) -> None:
    stranger = cast.client("Fabrikam", "UTC", "ops@fabrikam.example")
    for url in (page_url(incident, stranger), pdf_url(incident, stranger)):
        assert browser_of(olga).get(url).status_code == 404


# ── what people and servers typed ───────────────────────────────────────────────────────────────────────────────────


def hostile(incident: Incident, northwind: ServiceAgreement) -> Notice:
    """Hostile text in every field that somebody outside this document fills."""
    cast.past_the_trail(Client.objects.filter(pk=northwind.client_id), name=HOSTILE[:120])
    cast.past_the_trail(
        ServiceAgreement.objects.filter(pk=northwind.pk), clause=f"{HOSTILE}\r\n\r\n   {'W' * 5000}", reference="<b>#x"
    )
    cast.past_the_trail(Incident.objects.filter(pk=incident.pk), title=HOSTILE[:200])
    cast.past_the_trail(incident.deadlines, end_reason=HOSTILE)
    notice = the_notice(northwind)
    tried(notice, Outcome.AMBIGUOUS, answer=HOSTILE, server="m" * 260, phase=DeliveryPhase.DATA)
    tried(notice, Outcome.REFUSED, code=550, answer="\x01\x1b[31m\ufffe\ue000" + "9" * 490)
    Acknowledgement.objects.create(notice=notice, at=at("10:31"), user_agent=HOSTILE[:150] + "U" * 150)
    cast.past_the_trail(
        Notice.objects.filter(pk=notice.pk),
        recipient_name=HOSTILE,
        recipient_address=f"{'a' * 240}@x.example",
        subject=HOSTILE + "S" * 90,
        message_id=f"<{'i' * 190}@x>",
        state_reason=HOSTILE,
        server_answer=HOSTILE,
        text=f"{HOSTILE}\n{'x' * 5000}\n{'日本' * 2500}\n\ttab\r\nend",
    )
    return Notice.objects.get(pk=notice.pk)


def test_hostile_text_is_shown_as_text_on_the_page(incident: Incident, northwind: ServiceAgreement, olga: User) -> None:
    notice = hostile(incident, northwind)
    shown = page(olga, incident, northwind)
    assert "<script>" not in shown
    assert "<b>" not in shown
    assert "style=" not in shown
    assert html.escape(notice.text) in shown
    assert "{{ secret }}" in shown


def test_hostile_text_is_shown_as_text_in_the_pdf(incident: Incident, northwind: ServiceAgreement, olga: User) -> None:
    notice = hostile(incident, northwind)
    paper = pdf(olga, incident, northwind)
    said = squeezed(words_on(paper))
    for expected in ("<script>alert(1)</script>", "{{ secret }}", "#panic() *b* $x$ @ref", "Кириллица"):
        assert squeezed(expected) in said, expected[:40]
    assert min(said.count("W"), said.count("x")) >= 5000  # which no page holds, so foot lines stand between
    assert notice.message_id in said
    attached = json.loads(paper.attachments["facts.json"][0])
    assert attached["notices"][0]["text"] == notice.text


def test_nothing_runs_over_the_edge_of_the_paper(incident: Incident, northwind: ServiceAgreement, olga: User) -> None:
    hostile(incident, northwind)
    lines = [line for sheet in pdf(olga, incident, northwind).pages for line in sheet.extract_text().splitlines()]
    assert len(lines) > 200
    assert max(len(line) for line in lines) < 150  # of signs, at the size of the smallest


# ── what the PDF is ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_pdf_is_fit_for_archives_and_screen_readers_and_its_pages_are_numbered(
    incident: Incident, northwind: ServiceAgreement, olga: User
) -> None:
    paper = pdf(olga, incident, northwind)
    root: Any = paper.trailer["/Root"]
    assert root["/MarkInfo"]["/Marked"]
    assert root["/Lang"] == "en"
    about = root["/Metadata"].get_object().get_data().decode()
    assert "pdfaid:part" in about
    assert "pdfuaid:part" in about
    for number, sheet in enumerate(paper.pages, start=1):
        assert f"{number} / {len(paper.pages)}" in sheet.extract_text()


def test_the_page_and_the_pdf_print_the_digest_of_the_facts_that_the_pdf_carries(
    incident: Incident, northwind: ServiceAgreement, olga: User
) -> None:
    paper = pdf(olga, incident, northwind)
    carried = hashlib.sha256(paper.attachments["facts.json"][0]).hexdigest()
    assert carried in words_on(paper)
    assert carried in page(olga, incident, northwind)


def test_every_word_of_the_page_is_in_the_pdf(incident: Incident, northwind: ServiceAgreement) -> None:
    facts = facts_of(incident, northwind)
    document = document_of(facts, made_at=at("12:00"), made_by="Olga Petrova")
    paper = PdfReader(io.BytesIO(pdf_of(document, facts=facts.canonical(), made_at=at("12:00"))))
    said = squeezed(words_on(paper))

    def strings(value: Any) -> Any:
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            for key in value.keys() - {"kind", "form", "language"}:
                yield from strings(value[key])
        elif isinstance(value, list | tuple):
            for one in value:
                yield from strings(one)

    for text in strings(document.to_json()):
        for line in text.split("\n"):
            assert squeezed(line) in said, line


# ── the digest ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_digest_is_the_same_whoever_reads_it_whenever(
    incident: Incident, northwind: ServiceAgreement, olga: User, aude: User
) -> None:
    cast.past_the_trail(User.objects.filter(pk=aude.pk), time_zone="Asia/Tokyo")
    aude.refresh_from_db()
    digest = facts_of(incident, northwind).digest()
    assert digest == facts_of(incident, northwind, at("12:30")).digest()
    assert digest == facts_of(Incident.objects.get(), northwind).digest()
    ours, theirs = (page(user, incident, northwind) for user in (olga, aude))
    assert re.findall(r"[0-9a-f]{64}", ours) == re.findall(r"[0-9a-f]{64}", theirs) != []


def test_the_digest_changes_with_a_fact(incident: Incident, northwind: ServiceAgreement) -> None:
    seen = {facts_of(incident, northwind).digest()}
    notice = the_notice(northwind)
    tried(notice, Outcome.REFUSED_FOR_NOW)
    seen.add(facts_of(incident, northwind).digest())
    Acknowledgement.objects.create(notice=notice, at=at("10:31"))
    seen.add(facts_of(incident, northwind).digest())
    cast.past_the_trail(Notice.objects.filter(pk=notice.pk), text=notice.text + " ")
    seen.add(facts_of(incident, northwind).digest())
    seen.add(facts_of(incident, northwind, at("20:00")).digest())  # missed by now
    assert len(seen) == 5


def test_what_concerns_others_leaves_the_digest_alone(
    incident: Incident, northwind: ServiceAgreement, contoso: ServiceAgreement, olga: User
) -> None:
    before = facts_of(incident, northwind).digest()
    tried(the_notice(contoso), Outcome.REFUSED)
    lifecycle.note(incident, "Coffee is out.", by=olga, now=at("10:30"))
    assert facts_of(incident, northwind).digest() == before


# ── who may see it, and how ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("role", ["olga", "max_", "aude", "ada"])
def test_every_role_may_see_it(
    role: str, request: pytest.FixtureRequest, incident: Incident, northwind: ServiceAgreement
) -> None:
    browser = browser_of(request.getfixturevalue(role))
    for url in (page_url(incident, northwind.client), pdf_url(incident, northwind.client)):
        response = browser.get(url)
        assert response.status_code == 200
        assert "no-store" in response["Cache-Control"]
        assert browser.head(url).status_code == 200
        assert browser.post(url).status_code == 405
    assert (
        page_url(incident, northwind.client)
        in browser.get(reverse("admin:incidents_incident_change", args=[incident.pk])).content.decode()
    )


def test_without_signing_in_it_leads_to_the_login(incident: Incident, northwind: ServiceAgreement) -> None:
    for url in (page_url(incident, northwind.client), pdf_url(incident, northwind.client)):
        response = Browser().get(url)
        assert response.status_code == 302
        assert response["Location"].startswith(reverse("admin:login"))


@pytest.mark.parametrize("lacking", ["view_incident", "view_deadline", "view_notice"])
def test_whoever_may_not_see_one_part_may_not_see_the_whole(
    lacking: str, incident: Incident, northwind: ServiceAgreement
) -> None:
    someone = User.objects.create_user("someone", is_staff=True)
    seeing = Permission.objects.filter(codename__in={"view_incident", "view_deadline", "view_notice"} - {lacking})
    role = Group.objects.create(name="sees a part")
    role.permissions.set(seeing)
    someone.groups.add(role)
    for url in (page_url(incident, northwind.client), pdf_url(incident, northwind.client)):
        assert browser_of(someone).get(url).status_code == 403


def test_many_notices_take_no_more_queries_than_one(
    incident: Incident, northwind: ServiceAgreement, olga: User
) -> None:
    def queries() -> int:
        browser = browser_of(olga)
        with CaptureQueriesContext(connection) as captured:
            assert browser.get(page_url(incident, northwind.client)).status_code == 200
        return len(captured)

    tried(the_notice(northwind), Outcome.REFUSED_FOR_NOW)
    before = queries()
    for minute in range(11, 41):
        lifecycle.notify_client(incident, by=olga, now=at(f"10:{minute}"))
    for notice in Notice.objects.filter(client=northwind.client):
        tried(notice, Outcome.REFUSED_FOR_NOW)
    assert queries() == before <= 20
