"""Sharing a review: each client gets its own edition and nothing else, by mail and as a PDF, and the copy is kept."""

from __future__ import annotations

import datetime as dt
import io
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.apps import apps
from django.db import IntegrityError, connection, models, transaction
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from pypdf import PdfReader

from agreements.models import Client, ClientScope, Contact, Obligation, ServiceAgreement, Severity, StartEvent
from config.audit import append_only, seals, verification
from config.history import acting
from config.models import User
from config.roles import OPERATOR
from incidents import lifecycle as incidents
from incidents import outbox
from incidents.evidence import AttachmentFacts, evidence_of
from incidents.letter import as_mail
from incidents.models import Attachment, Deadline, Incident, Notice, Standing
from incidents.models.notice import NoticeKind, NoticeState
from reviews import edition, lifecycle
from reviews.lifecycle import Refused
from reviews.models import (
    Answer,
    ClientEdition,
    CorrectiveAction,
    Factor,
    Finding,
    PostIncidentReview,
    ReviewStatus,
    TimelinePick,
)
from tests import cast
from tests.cast import at, browser_of
from tests.services.smtp import ReceivedMail, SmtpSink

pytestmark = pytest.mark.django_db


@pytest.fixture
def incident(olga: User, max_: User, northwind: ServiceAgreement, contoso: ServiceAgreement) -> Incident:
    """Of both clients, each of which wants a report within a day of resolution; resolved on Tuesday at 13:00."""
    for agreement in (northwind, contoso):
        cast.lose(agreement.commitments.filter(obligation=Obligation.REPORT))
        cast.commit(agreement, Obligation.REPORT, 24, "hours", start_event=StartEvent.RESOLVED)
    made = incidents.declare(
        by=olga,
        now=at("12:00"),
        title="Storage is down",
        severity=Severity.CRITICAL,
        services=[cast.service("Object storage")],
        detected_at=at("12:00"),
        occurred_at=at("11:50"),
        description="Kim pulled the wrong cable.",
    )
    incidents.note(made, "The array lost power.", by=olga, now=at("12:20"), is_client_visible=True)
    incidents.note(made, "Kim is on the train.", by=olga, now=at("12:21"))
    incidents.resolve(made, by=olga, now=at("13:00"))
    return made


@pytest.fixture
def draft(incident: Incident, olga: User) -> PostIncidentReview:
    """Whole, and nothing of it marked for clients."""
    review = lifecycle.open_review(incident, by=olga, now=at("13:05"))
    cast.fill_in(review)
    return review


@pytest.fixture
def approved(draft: PostIncidentReview, olga: User, max_: User) -> PostIncidentReview:
    """What happened is for clients."""
    cast.past_the_trail(PostIncidentReview.objects, is_summary_for_client=True)
    return approve(draft, olga, max_)


def approve(review: PostIncidentReview, olga: User, max_: User, clock: str = "14:00") -> PostIncidentReview:
    lifecycle.submit(review, by=olga, now=at(clock))
    return lifecycle.approve(review, by=max_, now=at(clock) + dt.timedelta(minutes=30))


def report_of(client: Client) -> Deadline:
    return Deadline.objects.get(client=client, obligation=Obligation.REPORT)


def mails_to(relay: SmtpSink, client: Client) -> list[ReceivedMail]:
    addresses = set(client.contacts.values_list("address", flat=True))
    return [
        mail
        for mail in relay.messages
        if mail.message.is_multipart() and set(mail.recipients) & addresses and list(mail.message.iter_attachments())
    ]


def paper(content: bytes) -> PdfReader:
    return PdfReader(io.BytesIO(content))


def words_on(reader: PdfReader) -> str:
    """All that can be read from a PDF, without any space: where a line is broken says nothing."""
    said = [page.extract_text() for page in reader.pages]
    said += [part.decode() for files in reader.attachments.values() for part in files]
    return "".join(" ".join([*said, str(reader.metadata)]).split())


def everything_in(mail: ReceivedMail) -> str:
    """Headers and parts, decoded and as they came, and what the PDF says."""
    parts = [part for part in mail.message.walk() if not part.is_multipart()]
    bodies = [part.get_payload(decode=True) for part in parts]
    said = [mail.message.as_string(), *(f"{name}: {value}" for name, value in mail.message.items())]
    said += [body.decode("utf-8", "replace") for body in bodies if isinstance(body, bytes)]
    said += [
        words_on(paper(b)) for p, b in zip(parts, bodies, strict=True) if p.get_filename() and isinstance(b, bytes)
    ]
    return "\n".join(said)


# ── nothing but what is marked ──────────────────────────────────────────────────────────────────────────────────────


class Planted:
    """A secret of its own in every text of the database; those that a client may read are remembered apart."""

    #: What is told by its value and is no text: a language, a zone, a key.
    PLAIN = (
        "language",
        "time_zone",
        "state",
        "status",
        "severity",
        "kind",
        "reference",
        "media_type",
        "sha256",
        "unit",
        "start_event",
    )
    LENGTH = 12

    def __init__(self, may_be_read: Callable[[models.Model, str], bool]) -> None:
        self.open: dict[str, str] = {}
        self.secrets: dict[str, str] = {}
        self.refused: set[str] = set()
        self._may_be_read = may_be_read
        with append_only.lifted(connection):
            for model in apps.get_models():
                if model._meta.app_label in ("config", "agreements", "incidents", "reviews"):
                    self._plant_in(model)

    def _plant_in(self, model: type[models.Model]) -> None:
        is_history = hasattr(model, "history_object")
        for name in self._texts(model):
            if not is_history or name in ("history_change_reason", "actor_name"):
                for row in model._base_manager.order_by("pk"):
                    self._plant(row, name)

    def _plant(self, row: models.Model, name: str) -> None:
        secret = f"ZQ{len(self.open) + len(self.secrets):06d}KXZQ"
        try:
            with transaction.atomic():
                models.QuerySet.update(type(row)._base_manager.filter(pk=row.pk), **{name: secret})
        except IntegrityError:  # it says something else of itself, or has to be empty
            self.refused.add(f"{row._meta.label}.{name}")
        else:
            may = self._may_be_read(row, name)
            (self.open if may else self.secrets)[secret] = f"{row._meta.label}.{name} of {row.pk}"

    def _texts(self, model: type[models.Model]) -> Iterator[str]:
        for one in model._meta.concrete_fields:
            is_text = isinstance(one, models.CharField | models.TextField) and not one.primary_key and not one.choices
            if is_text and one.name not in self.PLAIN and (one.max_length or 99) >= self.LENGTH:
                yield one.name

    def found_in(self, text: str) -> tuple[set[str], set[str]]:
        """(what may be read, what may not) of the secrets in the text, by what they stand for."""
        said = set(re.findall(r"ZQ\d{6}KXZQ", text))
        return {self.open[s] for s in said & set(self.open)}, {self.secrets[s] for s in said & set(self.secrets)}


def mark_one_of_each(review: PostIncidentReview, olga: User) -> None:
    """Of each part that can be marked one that is, beside others that are not."""
    with acting(olga, reason="Marked."):
        review.is_summary_for_client = review.is_what_will_change_for_client = True
        review.save()
        answer = review.answers.all()[0]
        answer.is_for_client = True
        answer.save()
        factor = Factor.objects.create(name="Told to clients", kind="technical")
        Finding.objects.create(review=review, factor=factor, explanation="In short.", is_for_client=True)
        owner, day = review.facilitator, at("12:00").date()
        CorrectiveAction.objects.create(review=review, what="Marked", owner=owner, due_on=day, is_for_client=True)
        cast.lose(review.picks.all())
        visible, internal = (review.incident.timeline.get(text__startswith=text) for text in ("The array", "Kim is"))
        unmarked = review.incident.timeline.exclude(pk__in=(visible.pk, internal.pk)).first()
        assert unmarked is not None
        for entry, is_marked in ((visible, True), (internal, True), (unmarked, False)):
            TimelinePick.objects.create(review=review, entry=entry, remark="Said.", is_for_client=is_marked)


def test_no_text_of_ours_or_of_another_client_reaches_a_client_unless_it_is_marked(
    relay: SmtpSink, draft: PostIncidentReview, incident: Incident, contoso: ServiceAgreement, olga: User, max_: User
) -> None:
    client = contoso.client
    mark_one_of_each(draft, olga)
    approve(draft, olga, max_)
    letters = {("incidents.Incident", "title"), ("agreements.Client", "name"), ("agreements.Service", "name")}

    def may_be_read(row: Any, name: str) -> bool:
        place = (row._meta.label, name)
        if place == ("agreements.Contact", "name") or place == ("agreements.Contact", "address"):
            return bool(row.client_id == client.pk)
        if place == ("agreements.Client", "name"):
            return bool(row.pk == client.pk)
        if place == ("agreements.Service", "name"):
            return bool(row.name == "Object storage")
        if place in letters:
            return True
        if place[0] == "reviews.PostIncidentReview":
            return name in ("summary", "what_will_change")
        if place[0] == "incidents.TimelineEntry":
            return name == "text" and row.text == "The array lost power."
        if place[0] == "reviews.Question":
            return name == "text" and Answer.objects.filter(question=row, is_for_client=True).exists()
        if place[0] == "reviews.Factor":
            return name == "name" and row.findings.filter(is_for_client=True).exists()
        open_fields = {
            "reviews.Answer": "text",
            "reviews.Finding": "explanation",
            "reviews.CorrectiveAction": "what",
            "reviews.TimelinePick": "remark",
        }
        return open_fields.get(place[0]) == name and row.is_for_client

    planted = Planted(may_be_read)
    assert len(planted.secrets) > 200
    assert not {place for place in planted.refused if place.startswith("reviews.")}
    lifecycle.share(draft, [Client.objects.get(pk=client.pk)], by=User.objects.get(pk=olga.pk), now=at("15:00"))
    outbox.deliver(at("15:01"))

    kept = ClientEdition.objects.get()
    mails = [mail for mail in relay.messages if mail.message.get_content_type() == "multipart/mixed"]
    assert len(mails) == 2
    for text in (kept.html, kept.text, words_on(paper(kept.attachment.data)), *map(everything_in, mails)):
        shown, leaked = planted.found_in(text)
        assert not leaked
        expected = {said for said in planted.open.values() if said.startswith("reviews.")}
        assert {said for said in shown if said.startswith("reviews.")} == expected
        assert f"incidents.Incident.title of {incident.pk}" in shown
        assert any(said.startswith("incidents.TimelineEntry.text") for said in shown)


@pytest.mark.parametrize("only", ["summary", "client_impact", "root_cause", "what_will_change"])
def test_each_text_is_for_clients_by_its_own_mark(
    only: str, draft: PostIncidentReview, contoso: ServiceAgreement
) -> None:
    cast.past_the_trail(PostIncidentReview.objects, **{f"is_{only}_for_client": True})
    draft.refresh_from_db()
    found = edition.facts(draft, contoso.client)
    assert found.texts == ((only, getattr(draft, only)),)
    assert {found.answers, found.timeline, found.findings, found.actions} == {()}


def test_an_internal_entry_is_told_by_its_remark_or_not_at_all(
    draft: PostIncidentReview, incident: Incident, contoso: ServiceAgreement
) -> None:
    cast.lose(draft.picks.all())
    entry = incident.timeline.get(text="Kim is on the train.")
    pick = TimelinePick.objects.create(review=draft, entry=entry, is_for_client=True)
    assert edition.facts(draft, contoso.client).timeline == ()
    assert edition.Marked.of(draft).left_out(contoso.client) == [
        "“Kim is on the train.”: it is internal and has no remark that could stand for it."
    ]
    pick.remark = "Our engineer was under way."
    cast.save(pick)
    (told,) = edition.facts(draft, contoso.client).timeline
    assert (told.text, told.remark) == ("", "Our engineer was under way.")


def test_what_names_another_client_is_left_out_of_the_timeline_and_refused_in_a_text(
    draft: PostIncidentReview, incident: Incident, northwind: ServiceAgreement, contoso: ServiceAgreement, olga: User
) -> None:
    incidents.notify_client(incident, by=olga, now=at("13:10"), message="Over.")
    entry = incident.timeline.get(text="Client notice to Contoso, Northwind: Over.")
    TimelinePick.objects.create(review=draft, entry=entry, is_for_client=True)
    assert edition.facts(draft, contoso.client).timeline == ()
    assert edition.Marked.of(draft).left_out(contoso.client) == [f"“{entry}”: it names Northwind."]

    draft.summary, draft.is_summary_for_client = "As with northwind, it filled up.", True
    cast.save(draft)
    with pytest.raises(Refused, match=r"What Contoso would read names Northwind\."):
        lifecycle.prepare(draft, contoso.client, now=at("14:00"))
    assert lifecycle.prepare(draft, northwind.client, now=at("14:00")).draft.mails


def test_phases_and_deadlines_are_those_of_this_client(
    draft: PostIncidentReview, incident: Incident, northwind: ServiceAgreement, contoso: ServiceAgreement, olga: User
) -> None:
    incidents.record_told(incident, northwind.client, by=olga, now=at("13:30"), evidence="Called.", at=at("12:30"))
    incidents.notify_client(incident, by=olga, now=at("13:31"), message="Over.", clients=[northwind.client])
    cast.past_the_trail(Notice.objects.filter(kind=NoticeKind.CLIENT_NOTICE), accepted_at=at("13:32"))
    found = edition.facts(draft, contoso.client)
    assert {one.name: one.ends_at for one in found.phases}["notice"] is None
    assert {one.name: one.ends_at for one in edition.facts(draft, northwind.client).phases}["notice"] == at("12:30")
    owed = Deadline.objects.filter(client=contoso.client, started_at__isnull=False, ended_at__isnull=True)
    assert len(found.deadlines) == owed.count()


# ── hostile Markdown ────────────────────────────────────────────────────────────────────────────────────────────────

HOSTILE = """\
<script>alert(1)</script> <img src=x onerror=alert(1)> <!-- late note --> {{ secret }} {% now 'Y' %} #panic() $x$ @ref
#eval("1") [click](javascript:alert(1)) [data](data:text/html,x) ![picture](https://evil.example/p.png)
[well](https://status.example/)

# A heading with *stress* and `#panic()`

1. one
   - two **strong**
     > three

| a | b |
|---|---|
| <b>x</b> | #panic() |

```
#panic("code")
\tkept
```

***
"""


def test_hostile_markdown_comes_out_harmless(
    relay: SmtpSink, approved: PostIncidentReview, contoso: ServiceAgreement, olga: User
) -> None:
    wide = "|" + "a|" * 400 + "\n|" + "-|" * 400 + "\n" + ("|" + "#panic()|" * 400 + "\n") * 2
    deep = ">" * 60 + " deep " + "- " * 60 + "x"
    cast.past_the_trail(PostIncidentReview.objects, summary=f"{HOSTILE}\n{wide}\n{deep}")
    lifecycle.share(approved, [contoso.client], by=olga, now=at("15:00"))
    outbox.deliver(at("15:01"))
    kept = ClientEdition.objects.get()
    mail = mails_to(relay, contoso.client)[0]
    for html in (kept.html, mail.html):
        assert not re.search(r"<(script|img|iframe|svg|style|b)[ >]", html)
        tags = " ".join(re.findall(r"<[^>]*>", html))
        assert not re.search(r'(href|src)="(?!https://|mailto:|http://)', tags)
        assert "javascript:" not in tags
        assert "&lt;script&gt;" in html
        assert 'rel="noopener noreferrer nofollow"' in html
    read = paper(kept.attachment.data)
    assert "<script>alert(1)</script>" in "".join(words_on(read).split())
    assert "#panic()" in words_on(read)
    assert "{{secret}}" in words_on(read)
    links = [note.get_object() for page in read.pages for note in page.get("/Annots", [])]
    assert not [note for note in links if note.get("/A", {}).get("/S") in ("/JavaScript", "/URI", "/Launch")]
    assert "/JavaScript" not in str(read.trailer["/Root"])


def test_a_brace_or_a_formula_is_no_placeholder_and_no_header(
    approved: PostIncidentReview, contoso: ServiceAgreement
) -> None:
    cast.past_the_trail(PostIncidentReview.objects, summary="{contact} {nonsense}\r\nBcc: x@evil.example")
    approved.refresh_from_db()
    (first, *_rest) = lifecycle.prepare(approved, contoso.client, now=at("15:00")).draft.mails
    head = as_mail(first, at("15:00")).split(b"\r\n\r\n")[0]
    assert b"Bcc" not in head
    assert "{contact} {nonsense}" in first.text


# ── what it meets ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_report_is_met_when_the_server_accepts_the_mail_and_for_that_client_only(
    relay: SmtpSink, approved: PostIncidentReview, northwind: ServiceAgreement, contoso: ServiceAgreement, olga: User
) -> None:
    shared = lifecycle.share(approved, [contoso.client], by=olga, now=at("15:00"))
    assert (len(shared.editions), shared.mails) == (1, 2)
    approved.refresh_from_db()
    assert (approved.status, approved.shared_at) == (ReviewStatus.SHARED, at("15:00"))
    assert report_of(contoso.client).met_at is None

    outbox.deliver(at("15:01"))
    met = report_of(contoso.client)
    assert met.standing(at("15:02")) == Standing.MET
    assert met.met_at in Notice.objects.filter(kind=NoticeKind.REPORT).values_list("accepted_at", flat=True)
    assert len(mails_to(relay, contoso.client)) == 2
    assert report_of(northwind.client).met_at is None
    assert not mails_to(relay, northwind.client)


def test_a_refused_mail_meets_nothing_and_the_report_can_be_shared_once_more(
    relay: SmtpSink, approved: PostIncidentReview, northwind: ServiceAgreement, olga: User
) -> None:
    relay.refuse("ops@northwind.example")
    lifecycle.share(approved, [northwind.client], by=olga, now=at("15:00"))
    outbox.deliver(at("15:01"))
    assert Notice.objects.get(kind=NoticeKind.REPORT).state == NoticeState.FAILED
    assert report_of(northwind.client).met_at is None
    assert Notice.objects.filter(kind=NoticeKind.ALARM, moment__startswith="undelivered").exists()
    relay.behave()
    lifecycle.share(approved, [northwind.client], by=olga, now=at("16:00"))
    outbox.deliver(at("16:01"))
    assert report_of(northwind.client).met_at is not None
    assert [one.version for one in ClientEdition.objects.all()] == [1, 2]


def test_a_late_report_needs_its_reason_which_is_kept_and_stays_missed(
    relay: SmtpSink, approved: PostIncidentReview, northwind: ServiceAgreement, contoso: ServiceAgreement, olga: User
) -> None:
    both, late = [northwind.client, contoso.client], at("13:00", day=26)
    with pytest.raises(Refused) as refusal:
        lifecycle.share(approved, both, by=olga, now=late, late_reason="  ")
    assert "late_reason" in refusal.value.message_dict
    assert not Notice.objects.filter(kind=NoticeKind.REPORT).exists()

    why = "We waited for the vendor’s analysis."
    lifecycle.share(approved, both, by=olga, now=late, late_reason=why)
    outbox.deliver(late)
    assert set(ClientEdition.objects.values_list("late_reason", flat=True)) == {why}
    assert report_of(contoso.client).standing(late) == Standing.MISSED
    assert report_of(contoso.client).met_at is not None
    mail = mails_to(relay, contoso.client)[0]
    assert "This message is late" in mail.text
    assert why not in everything_in(mail)


def test_two_presses_share_once(approved: PostIncidentReview, contoso: ServiceAgreement, olga: User) -> None:
    lifecycle.share(approved, [contoso.client], by=olga, now=at("15:00"))
    with pytest.raises(Refused, match="sent this already"):
        lifecycle.share(approved, [contoso.client], by=olga, now=at("15:00"))
    assert Notice.objects.filter(kind=NoticeKind.REPORT).count() == 2
    assert ClientEdition.objects.count() == Attachment.objects.count() == 1


def test_after_reopening_a_second_version_is_sent_and_both_are_kept(
    relay: SmtpSink, approved: PostIncidentReview, contoso: ServiceAgreement, olga: User, max_: User
) -> None:
    lifecycle.share(approved, [contoso.client], by=olga, now=at("15:00"))
    draft = lifecycle.reopen(approved, by=max_, now=at("16:00"), reason="More came to light.")
    draft.summary = "It was the controller."
    cast.save(draft)
    approve(draft, olga, max_, "17:00")
    lifecycle.share(draft, [contoso.client], by=olga, now=at("18:00"))
    first, second = ClientEdition.objects.order_by("version")
    assert (first.version, second.version) == (1, 2)
    assert "A disk filled up." in first.text
    assert "It was the controller." in second.text
    assert first.attachment.name.endswith("-v1.pdf")


def test_without_a_contact_colleagues_are_alarmed_and_nothing_counts(
    approved: PostIncidentReview, contoso: ServiceAgreement, olga: User
) -> None:
    for contact in Contact.objects.filter(client=contoso.client):
        contact.is_active = False
        cast.save(contact)
    shared = lifecycle.share(approved, [contoso.client], by=olga, now=at("15:00"))
    assert (shared.editions, shared.mails, shared.unreachable) == ([], 0, [contoso.client])
    assert Notice.objects.filter(kind=NoticeKind.ALARM, moment__startswith="no-contact-report").exists()
    approved.refresh_from_db()
    assert approved.status == ReviewStatus.APPROVED
    assert not ClientEdition.objects.exists()


# ── a test to oneself ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_test_bears_the_pdf_goes_to_its_asker_alone_and_counts_for_nobody(
    relay: SmtpSink, approved: PostIncidentReview, contoso: ServiceAgreement, olga: User
) -> None:
    entries = approved.incident.timeline.count()
    lifecycle.send_test(approved, contoso.client, by=olga, now=at("15:00"))
    outbox.deliver(at("15:01"))
    (mail,) = relay.messages
    assert list(mail.recipients) == [olga.email]
    assert mail.subject.startswith("[Test] ")
    assert "This is what Contoso Operations of Contoso would read" in " ".join(mail.text.split())
    (file,) = mail.message.iter_attachments()
    content = file.get_payload(decode=True)
    assert isinstance(content, bytes)
    assert "Adiskfilledup." in words_on(paper(content))
    assert report_of(contoso.client).met_at is None
    assert not ClientEdition.objects.exists()
    approved.refresh_from_db()
    assert (approved.status, approved.shared_at) == (ReviewStatus.APPROVED, None)
    assert approved.incident.timeline.count() == entries

    shared = lifecycle.share(approved, [contoso.client], by=olga, now=at("15:10"))
    assert ([one.version for one in shared.editions], shared.mails) == ([1], 2)
    assert not evidence_of(approved.incident, contoso.client, now=at("15:11")).canonical().count(olga.email.encode())


def test_the_database_lets_no_test_of_a_report_count_for_a_client(
    approved: PostIncidentReview, contoso: ServiceAgreement, olga: User
) -> None:
    test = lifecycle.send_test(approved, contoso.client, by=olga, now=at("15:00"))
    for told in ({"client": contoso.client}, {"deadline": report_of(contoso.client)}):
        with pytest.raises(IntegrityError, match="notice_test_is_for_a_colleague"), transaction.atomic():
            cast.past_the_trail(Notice.objects.filter(pk=test.pk), **told)


def test_a_test_is_refused_as_sharing_is(
    draft: PostIncidentReview, contoso: ServiceAgreement, olga: User, max_: User, roles: None
) -> None:
    def asked(by: User, client: Client = contoso.client) -> None:
        lifecycle.send_test(draft, client, by=by, now=at("15:00"))

    with pytest.raises(Refused, match="the review is “Draft”"):
        asked(olga)
    approve(draft, olga, max_)
    with pytest.raises(Refused, match="Nothing in this review is marked for clients"):
        asked(olga)
    cast.past_the_trail(PostIncidentReview.objects, is_summary_for_client=True)
    draft.refresh_from_db()
    with pytest.raises(Refused, match="for its facilitator, Olga Petrova"):
        asked(cast.colleague("oscar", "Oscar Roe", OPERATOR))
    with pytest.raises(Refused, match="Fabrikam: not affected"):
        asked(olga, cast.client("Fabrikam", "UTC", "it@fabrikam.example"))
    max_.email = ""
    cast.save(max_)
    with pytest.raises(Refused, match="Your account has no mail address"):
        asked(max_)
    for contact in Contact.objects.filter(client=contoso.client):
        contact.is_active = False
        cast.save(contact)
    with pytest.raises(Refused, match="Contoso has no contact"):
        asked(olga)
    assert not Notice.objects.filter(kind=NoticeKind.TEST).exists()
    assert not Attachment.objects.exists()


def test_the_page_sends_a_test_whatever_else_is_chosen_and_stays(
    approved: PostIncidentReview, northwind: ServiceAgreement, contoso: ServiceAgreement, olga: User
) -> None:
    browser = browser_of(olga)
    address = page_of("reviews_postincidentreview_share", approved.pk)
    answer = browser.post(address, {"test": contoso.client.pk, "reason": "Half written"})
    assert answer.status_code == 200
    said = answer.content.decode()
    assert f"A test is on its way to {olga.email}. No client was told anything." in said
    assert "Half written" in said
    assert "errornote" not in said
    test = Notice.objects.get()
    assert (test.kind, test.user, test.client) == (NoticeKind.TEST, olga, None)
    stranger = browser.post(address, {"test": "999"}).content.decode()
    assert "Choose whose mail to test." in stranger
    assert Notice.objects.count() == 1


# ── when it is lawful, and for whom ─────────────────────────────────────────────────────────────────────────────────


def test_only_an_approved_review_is_shared_and_only_with_something_in_it(
    draft: PostIncidentReview, contoso: ServiceAgreement, olga: User, max_: User
) -> None:
    with pytest.raises(Refused, match="the review is “Draft”"):
        lifecycle.share(draft, [contoso.client], by=olga, now=at("15:00"))
    approve(draft, olga, max_)
    with pytest.raises(Refused, match="Nothing in this review is marked for clients"):
        lifecycle.share(draft, [contoso.client], by=olga, now=at("15:00"))
    with pytest.raises(Refused, match="Choose at least one client"):
        lifecycle.share(draft, [], by=olga, now=at("15:00"))


def test_it_is_shared_by_its_facilitator_or_a_manager_with_those_it_concerns(
    approved: PostIncidentReview, contoso: ServiceAgreement, max_: User, roles: None
) -> None:
    oscar = cast.colleague("oscar", "Oscar Roe", OPERATOR)
    with pytest.raises(Refused, match="for its facilitator, Olga Petrova"):
        lifecycle.share(approved, [contoso.client], by=oscar, now=at("15:00"))
    stranger = cast.client("Fabrikam", "UTC", "it@fabrikam.example")
    with pytest.raises(Refused, match="Fabrikam: not affected"):
        lifecycle.share(approved, [stranger], by=max_, now=at("15:00"))
    assert lifecycle.share(approved, [contoso.client], by=max_, now=at("15:00")).mails == 2


def test_the_mail_is_in_the_clients_language_and_zone_and_bears_the_pdf(
    relay: SmtpSink, approved: PostIncidentReview, contoso: ServiceAgreement, olga: User
) -> None:
    contoso.client.language = "de"
    cast.save(contoso.client)
    lifecycle.share(approved, [contoso.client], by=olga, now=at("15:00"))
    outbox.deliver(at("15:01"))
    kept = ClientEdition.objects.get()
    assert kept.language == "de"
    assert "CET" in kept.text
    (mail, _second) = mails_to(relay, contoso.client)
    kinds = [part.get_content_type() for part in mail.message.walk()]
    assert kinds == ["multipart/mixed", "multipart/alternative", "text/plain", "text/html", "application/pdf"]
    (file,) = mail.message.iter_attachments()
    assert file.get_payload(decode=True) == kept.attachment.data
    assert file.get_filename() == kept.attachment.name
    assert paper(kept.attachment.data).trailer["/Root"]["/Lang"] == "de"  # type: ignore[index]


# ── what is kept ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_was_sent_is_sealed_and_cannot_be_changed_unseen(
    approved: PostIncidentReview, contoso: ServiceAgreement, olga: User
) -> None:
    lifecycle.share(approved, [contoso.client], by=olga, now=at("15:00"))
    while seals.seal():
        pass
    assert not verification.verify().findings
    with append_only.lifted(connection):
        cast.past_the_trail(Attachment.objects, content=b"%PDF-forged")
    assert verification.verify().findings


def test_a_pdf_that_was_changed_is_not_mailed(
    approved: PostIncidentReview, contoso: ServiceAgreement, olga: User
) -> None:
    lifecycle.share(approved, [contoso.client], by=olga, now=at("15:00"))
    with append_only.lifted(connection):
        cast.past_the_trail(Attachment.objects, content=b"%PDF-forged")
    with pytest.raises(Exception, match="is not what was made"):
        as_mail(Notice.objects.filter(kind=NoticeKind.REPORT)[0], at("15:01"))


def test_a_notice_without_an_attachment_costs_no_query_more(incident: Incident, olga: User) -> None:
    incidents.notify_client(incident, by=olga, now=at("13:10"), message="Over.")
    notice = Notice.objects.filter(kind=NoticeKind.CLIENT_NOTICE)[0]
    with CaptureQueriesContext(
        connection,
    ) as queries:
        as_mail(notice, at("13:11"))
    assert not queries.captured_queries


def test_evidence_names_the_file_that_was_sent_its_size_and_its_digest(
    relay: SmtpSink, approved: PostIncidentReview, northwind: ServiceAgreement, contoso: ServiceAgreement, olga: User
) -> None:
    incidents.notify_client(approved.incident, by=olga, now=at("14:50"), message="Over.", clients=[contoso.client])
    lifecycle.share(approved, [contoso.client, northwind.client], by=olga, now=at("15:00"))
    outbox.deliver(at("15:01"))
    kept = ClientEdition.objects.get(client=contoso.client).attachment
    other = ClientEdition.objects.get(client=northwind.client).attachment
    with CaptureQueriesContext(connection) as queries:
        found = evidence_of(approved.incident, contoso.client, now=at("15:02"))
    measured = 'LENGTH("incidents_attachment"."content")'
    assert not [q for q in queries if '"content"' in q["sql"].replace(measured, "")], "the file stays there"
    said = {one.kind: one.attachment for one in found.notices}
    assert said[NoticeKind.CLIENT_NOTICE] is None
    assert said[NoticeKind.REPORT] == AttachmentFacts(kept.name, len(kept.data), kept.sha256)
    page = browser_of(olga).get(page_of("incidents_incident_evidence", approved.incident_id, contoso.client.pk))
    read = page.content.decode()
    for told in (kept.name, f"{len(kept.data)} bytes", kept.sha256):
        assert told in read
    assert other.sha256 not in read


def test_the_page_of_a_notice_offers_its_file_to_who_may_see_the_notice(
    approved: PostIncidentReview, northwind: ServiceAgreement, contoso: ServiceAgreement, olga: User, aude: User
) -> None:
    lifecycle.share(approved, [contoso.client], by=olga, now=at("15:00"))
    notice = Notice.objects.filter(kind=NoticeKind.REPORT)[0]
    file = page_of("incidents_notice_attachment", notice.pk)
    page = browser_of(aude).get(page_of("incidents_notice_change", notice.pk)).content.decode()
    attachment = ClientEdition.objects.get().attachment
    for told in (file, attachment.name, attachment.sha256):
        assert told in page
    assert browser_of(aude).get(file).content == attachment.data
    limited = cast.colleague("lena", "Lena Short", OPERATOR)
    limit_to(limited, northwind.client)
    assert browser_of(limited).get(file).status_code == 404


# ── the pages ───────────────────────────────────────────────────────────────────────────────────────────────────────


def page_of(name: str, *args: int) -> str:
    return reverse(f"admin:{name}", args=args)


def test_the_page_shows_who_gets_what_and_shares_it(
    approved: PostIncidentReview, northwind: ServiceAgreement, contoso: ServiceAgreement, olga: User
) -> None:
    browser = browser_of(olga)
    address = page_of("reviews_postincidentreview_share", approved.pk)
    page = browser.get(address).content.decode()
    assert "it@contoso.example" in page
    assert "The PDF for Contoso" in page
    shown = browser.get(page_of("reviews_edition_preview", approved.pk, contoso.client.pk))
    assert "A disk filled up." in shown.content.decode()
    assert "sandbox" in shown["Content-Security-Policy"]
    file = browser.get(page_of("reviews_edition_preview_pdf", approved.pk, contoso.client.pk))
    assert "Adiskfilledup." in words_on(paper(file.content))
    assert not Notice.objects.filter(kind=NoticeKind.REPORT).exists()

    past_due = {"clients": [contoso.client.pk], "reason": "", "late_reason": "It took long."}
    answer = browser.post(address, past_due, follow=True)
    assert "2 mails are in the outbox." in answer.content.decode()
    kept = ClientEdition.objects.get()
    assert page_of("reviews_edition_kept", approved.pk, kept.pk) in answer.content.decode()
    copy = browser.get(page_of("reviews_edition_kept", approved.pk, kept.pk))
    assert "A disk filled up." in copy.content.decode()
    file = browser.get(page_of("reviews_edition_kept_pdf", approved.pk, kept.pk))
    assert file.content == kept.attachment.data
    notice = Notice.objects.filter(kind=NoticeKind.REPORT)[0]
    assert browser.get(page_of("incidents_notice_attachment", notice.pk)).content == kept.attachment.data


def test_copies_are_read_by_those_who_read_reviews_and_see_the_client(
    approved: PostIncidentReview, northwind: ServiceAgreement, contoso: ServiceAgreement, olga: User, aude: User
) -> None:
    lifecycle.share(approved, [contoso.client], by=olga, now=at("15:00"))
    kept = ClientEdition.objects.get()
    pages = [
        page_of("reviews_edition_kept", approved.pk, kept.pk),
        page_of("reviews_edition_kept_pdf", approved.pk, kept.pk),
        page_of("reviews_edition_preview", approved.pk, contoso.client.pk),
        page_of("reviews_edition_preview_pdf", approved.pk, contoso.client.pk),
    ]
    assert [browser_of(aude).get(page).status_code for page in pages] == [200] * 4
    assert [browser_of(aude).post(page).status_code for page in pages] == [405] * 4
    limited = cast.colleague("lena", "Lena Short", OPERATOR)
    limit_to(limited, northwind.client)
    assert [browser_of(limited).get(page).status_code for page in pages] == [404] * 4
    lara = cast.colleague("lara", "Lara Short", OPERATOR)
    limit_to(lara, contoso.client)
    assert [browser_of(lara).get(page).status_code for page in pages] == [200] * 4
    cast.past_the_trail(PostIncidentReview.objects, root_cause="As it was at Northwind.")
    assert [browser_of(lara).get(page).status_code for page in pages] == [404] * 4
    cast.demote(aude)
    assert [browser_of(aude).get(page).status_code for page in pages] == [403] * 4


def limit_to(user: User, client: Client) -> None:
    ClientScope.objects.create(user=user, client=client)
