"""The statement of a month: what the client may read and nothing else, once, by mail and as a PDF, and it is kept."""

from __future__ import annotations

import datetime as dt
import io
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.urls import reverse
from pypdf import PdfReader

from agreements.models import Client, ClientScope, Obligation, ServiceAgreement, Severity
from config.models import User
from config.periods import Month
from incidents import lifecycle as incidents
from incidents import outbox, watchdog
from incidents.models import Attachment, Incident, Notice
from incidents.models.notice import NoticeKind, NoticeState, Rank
from reviews import lifecycle
from reviews.lifecycle import Refused
from reviews.models import ClientStatement
from tests import cast
from tests.cast import at, browser_of
from tests.reviews.test_sharing import Planted, everything_in, paper, words_on
from tests.services.smtp import ReceivedMail, SmtpSink

pytestmark = pytest.mark.django_db
NOVEMBER: Month = dt.date(2026, 11, 1)
LATER = dt.datetime(2026, 12, 2, 12, 0, tzinfo=dt.UTC)


@pytest.fixture
def incident(olga: User, max_: User, northwind: ServiceAgreement, contoso: ServiceAgreement) -> Incident:
    """Of both clients, with something for every table: told late, corrected, reclassified, excluded, with a target."""
    cast.commit(contoso, Obligation.MITIGATE, None, target_amount=1, target_unit="hours", label="Ours")
    cast.commit(contoso, Obligation.RESOLVE, 8, unit="hours", severity=Severity.LOW, label="Low")
    made = incidents.declare(
        by=olga,
        now=at("12:00"),
        title="Storage is down",
        severity=Severity.CRITICAL,
        services=[cast.service("Object storage")],
        detected_at=at("12:00"),
        description="Kim pulled the wrong cable, as at Northwind.",
    )
    incidents.note(made, "Kim is on the train.", by=olga, now=at("12:21"))
    incidents.correct_times(made, by=olga, now=at("12:30"), detected_at=at("12:10"), reason="Kim mistook the clock.")
    incidents.notify_client(made, by=olga, now=at("12:40"), message="We work on it.")
    incidents.resolve(made, by=olga, now=at("23:00"))
    low = incidents.declare(
        by=olga,
        now=at("08:00"),
        title="Payments are slow",
        severity=Severity.LOW,
        services=[cast.service("Payments")],
        detected_at=at("08:00"),
    )
    incidents.exclude_agreement(low, contoso, by=max_, now=at("09:00"), reason="Sold with Northwind's contract.")
    review = lifecycle.open_review(made, by=olga, now=at("23:05"))
    lifecycle.waive(review, by=max_, now=at("23:30"), reason="Kim knows.")
    return made


def send(client: Client, by: User, now: dt.datetime = LATER, **said: str) -> ClientStatement:
    return lifecycle.send_statement(client, NOVEMBER, by=by, now=now, **said)


def statements() -> Any:
    return Notice.objects.filter(kind=NoticeKind.STATEMENT)


def told_by(mail: ReceivedMail) -> str:
    """Its subject and its bodies; in a file's base64 any three letters may stand."""
    parts = [part for part in mail.message.walk() if part.get_content_maintype() == "text"]
    bodies = [part.get_payload(decode=True) for part in parts]
    return "\n".join([mail.subject, *(body.decode() for body in bodies if isinstance(body, bytes))])


# ── nothing but what they may read ──────────────────────────────────────────────────────────────────────────────────


def test_no_internal_text_and_none_of_another_client_reaches_a_client(
    relay: SmtpSink, incident: Incident, contoso: ServiceAgreement, max_: User
) -> None:
    client = contoso.client

    def may_be_read(row: Any, name: str) -> bool:
        place = (row._meta.label, name)
        if row._meta.label == "agreements.Contact" and name in ("name", "address"):
            return bool(row.client_id == client.pk)
        return place == ("incidents.Incident", "title") or (
            place == ("agreements.Client", "name") and row.pk == client.pk
        )

    planted = Planted(may_be_read)
    assert len(planted.secrets) > 150
    for place in ("incidents.Deadline.end_reason", "incidents.AffectedAgreement.exclusion_reason", "Commitment.label"):
        assert any(place in said for said in planted.secrets.values()), place
    assert any("history_change_reason" in said for said in planted.secrets.values())
    kept = send(Client.objects.get(pk=client.pk), User.objects.get(pk=max_.pk), message="All is well again.")
    outbox.deliver(LATER)

    mails = [mail for mail in relay.messages if mail.message.get_content_type() == "multipart/mixed"]
    assert len(mails) == client.contacts.count() == 2
    for text in (kept.html, kept.text, words_on(paper(kept.attachment.data)), *map(everything_in, mails)):
        shown, leaked = planted.found_in(text)
        assert not leaked
        assert f"incidents.Incident.title of {incident.pk}" in shown
        assert "All is well again." in text or "Alliswellagain." in text


def test_names_of_colleagues_other_clients_and_our_targets_are_in_none_of_its_forms(
    relay: SmtpSink, incident: Incident, contoso: ServiceAgreement, max_: User
) -> None:
    kept = send(contoso.client, max_)
    outbox.deliver(LATER)
    mails = [told_by(mail) for mail in relay.messages if "Monthly" in mail.subject]
    assert len(mails) == 2
    for text in (kept.html, kept.text, words_on(paper(kept.attachment.data)), *mails):
        squeezed = "".join(text.split())
        for word in ("Northwind", "Olga", "Max", "Weber", "Kim", "mistook", "Sold", "Ours", "target", "Target"):
            assert word not in squeezed, word
        assert incident.reference in squeezed


def test_one_that_does_not_concern_the_client_is_named_without_its_title(
    incident: Incident, contoso: ServiceAgreement, max_: User
) -> None:
    kept = send(contoso.client, max_)
    low = Incident.objects.get(severity=Severity.LOW)
    assert low.reference in kept.text
    assert low.title not in kept.text
    assert "The agreement does not apply to the incident" in kept.text


# ── as the client reads it ──────────────────────────────────────────────────────────────────────────────────────────


def test_it_is_in_the_client_s_language_and_zone_and_its_pdf_says_the_same(
    relay: SmtpSink, incident: Incident, contoso: ServiceAgreement, max_: User
) -> None:
    kept = send(contoso.client, max_, message="All is *well*.")
    assert (kept.language, kept.version, kept.by) == ("en", 1, max_)
    assert "24 Nov 2026, 13:10 CET" in kept.text  # detected
    assert "<em>well</em>" in kept.html
    said = words_on(PdfReader(io.BytesIO(kept.attachment.data)))
    for line in ("Monthly statement", "Contoso · November 2026", "24 Nov 2026, 13:10 CET", "Europe/Berlin"):
        assert "".join(line.split()) in said
    outbox.deliver(LATER)
    mail = next(mail for mail in relay.messages if "Monthly" in mail.subject)
    assert mail.subject == "Monthly statement: Contoso · November 2026"
    assert {part.get_filename() for part in mail.message.walk()} == {None, "statement-2026-11-v1.pdf"}
    assert "24 Nov 2026, 13:10 CET" in everything_in(mail)

    contoso.client.language = "de"
    cast.save(contoso.client)
    prepared = lifecycle.prepare_statement(contoso.client, NOVEMBER, now=LATER)
    assert prepared.document.language == "de"
    assert "November 2026" in prepared.document.subtitle


def test_a_month_without_anything_is_told_so(contoso: ServiceAgreement, max_: User) -> None:
    kept = send(contoso.client, max_)
    assert "Nothing with a fixed time fell due." in kept.text
    assert "There was no incident." in kept.text


# ── once, and kept ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_it_waits_in_the_outbox_for_every_contact_behind_what_is_owed_and_is_kept(
    relay: SmtpSink, incident: Incident, contoso: ServiceAgreement, max_: User
) -> None:
    kept = send(contoso.client, max_)
    rows = list(statements())
    assert {row.recipient_address for row in rows} == {"it@contoso.example", "duty@contoso.example"}
    for row in rows:
        assert (row.client, row.incident, row.deadline, row.user) == (contoso.client, None, None, None)
        assert (row.rank, row.attachment) == (Rank.WARNING, kept.attachment)
    assert kept.attachment.incident is None
    assert kept.attachment.is_whole
    outbox.deliver(LATER)
    assert {row.state for row in statements()} == {NoticeState.SENT}


def test_it_is_sent_once_and_again_only_with_a_reason(
    incident: Incident, contoso: ServiceAgreement, northwind: ServiceAgreement, max_: User
) -> None:
    send(contoso.client, max_)
    with pytest.raises(Refused, match="It was sent already"):
        send(contoso.client, max_)
    with pytest.raises(Refused, match="It was sent already"):
        send(contoso.client, max_, reason="  ")
    assert (ClientStatement.objects.count(), statements().count()) == (1, 2)
    send(northwind.client, max_)
    lifecycle.send_statement(contoso.client, dt.date(2026, 10, 1), by=max_, now=LATER)
    again = send(contoso.client, max_, reason="A late correction.")
    assert (again.version, again.reissue_reason) == (2, "A late correction.")
    assert "A late correction." not in again.text
    assert again.attachment.name == "statement-2026-11-v2.pdf"


def test_the_database_keeps_it_so(incident: Incident, contoso: ServiceAgreement, max_: User) -> None:
    kept = send(contoso.client, max_)
    for version, reason in ((1, ""), (2, ""), (1, "Why not?")):
        kept.pk, kept.version, kept.reissue_reason = None, version, reason
        with pytest.raises(IntegrityError), transaction.atomic():
            kept.save(force_insert=True)
    kept.version, kept.reissue_reason, kept.month = 2, "Why not?", dt.date(2026, 11, 2)
    with pytest.raises(IntegrityError, match="statement_of_a_month_by_its_first_day"), transaction.atomic():
        kept.save(force_insert=True)
    row = statements()[0]
    row.pk, row.moment, row.message_id, row.contact = None, "x", "<x@y>", None
    with pytest.raises(IntegrityError), transaction.atomic():
        row.save(force_insert=True)


def test_nothing_is_sent_before_the_month_is_over_where_the_client_lives(
    contoso: ServiceAgreement, northwind: ServiceAgreement, max_: User
) -> None:
    now = dt.datetime(2026, 11, 30, 23, 30, tzinfo=dt.UTC)  # December in Berlin, November in New York
    with pytest.raises(Refused, match=r"November 2026 is not over yet in America/New_York\."):
        send(northwind.client, max_, now)
    assert send(contoso.client, max_, now).version == 1


def test_a_message_that_names_another_client_and_a_client_without_a_contact_are_refused(
    contoso: ServiceAgreement, northwind: ServiceAgreement, max_: User
) -> None:
    with pytest.raises(Refused, match="Contoso would read of Northwind here"):
        send(contoso.client, max_, message="As with northwind, all is well.")
    for contact in northwind.client.contacts.all():
        contact.is_active = False
        cast.save(contact)
    with pytest.raises(Refused, match="Northwind has no contact that can be mailed"):
        send(northwind.client, max_)
    assert not ClientStatement.objects.exists()
    assert not Attachment.objects.exists()


def test_managers_send_others_read_and_nobody_beyond_their_clients(
    contoso: ServiceAgreement, northwind: ServiceAgreement, max_: User, olga: User, aude: User
) -> None:
    for user in (olga, aude):
        with pytest.raises(Refused, match="That is for a manager"):
            send(contoso.client, user)
    ClientScope.objects.create(user=max_, client=northwind.client)
    with pytest.raises(ValidationError, match="clients whom you do not see"):
        send(contoso.client, User.objects.get(pk=max_.pk))


# ── its pages ───────────────────────────────────────────────────────────────────────────────────────────────────────


class TestPages:
    @pytest.fixture
    def address(self, contoso: ServiceAgreement) -> str:
        return f"{reverse('admin:reviews_statement', args=[contoso.client_id])}?month=2026-10"

    def test_the_draft_is_looked_at_and_sent_and_sent_again_with_a_reason(
        self, address: str, contoso: ServiceAgreement, max_: User
    ) -> None:
        browser = browser_of(max_)
        shown = browser.get(address).content.decode()
        assert "it@contoso.example" in shown
        assert "Why it is sent again" not in shown
        draft = address.replace("?", "draft/?")
        mail = browser.post(draft, {"message": "All is *well*."}).content.decode()
        assert "<em>well</em>" in mail
        assert "November" not in mail
        file = browser.post(draft.replace("draft/", "draft/pdf/"), {"message": "All is *well*."})
        assert "Alliswell." in words_on(paper(file.content))
        assert not ClientStatement.objects.exists()

        went = browser.post(address, {"message": "All is *well*."}, follow=True)
        kept = ClientStatement.objects.get()
        assert went.redirect_chain[0][0] == reverse("admin:reviews_statement_kept", args=[kept.pk])
        assert kept.attachment.sha256 in went.content.decode()
        pdf = browser.get(reverse("admin:reviews_statement_kept_pdf", args=[kept.pk]))
        assert pdf.content == kept.attachment.data

        refused = browser.post(address, {"message": ""}).content.decode()
        assert "It was sent already" in refused
        assert browser.post(address, {"message": "", "reason": "A correction."}).status_code == 302
        assert [one.version for one in ClientStatement.objects.order_by("version")] == [1, 2]
        overview = browser.get(reverse("admin:reviews_compliance"), {"client": "Contoso"}).content.decode()
        assert "Contoso, October 2026, version 2" in overview

    def test_who_may_not_send_reads_all_of_it(
        self, address: str, contoso: ServiceAgreement, max_: User, olga: User, aude: User
    ) -> None:
        kept = lifecycle.send_statement(contoso.client, dt.date(2026, 10, 1), by=max_, now=LATER)
        pages = [
            reverse(f"admin:{name}", args=[kept.pk])
            for name in ("reviews_statement_kept", "reviews_statement_kept_pdf")
        ]
        for user in (olga, aude):
            browser = browser_of(user)
            shown = browser.get(address).content.decode()
            assert "Send" not in shown.split('id="content-main"')[1].split("</form>")[0].replace("Sent", "")
            assert browser.post(address, {"reason": "Mine."}).status_code == 403
            assert {browser.get(page).status_code for page in pages} == {200}
        cast.demote(olga)
        assert {browser_of(olga).get(page).status_code for page in (address, *pages)} == {403}
        assert ClientStatement.objects.count() == 1

    def test_nobody_reads_those_of_clients_whom_they_do_not_see(
        self, address: str, contoso: ServiceAgreement, northwind: ServiceAgreement, max_: User, ada: User
    ) -> None:
        kept = lifecycle.send_statement(contoso.client, dt.date(2026, 10, 1), by=ada, now=LATER)
        ClientScope.objects.create(user=max_, client=northwind.client)
        browser = browser_of(max_)
        pages = [address, address.replace("?", "draft/?"), address.replace("?", "draft/pdf/?")]
        pages += [
            reverse(f"admin:{name}", args=[kept.pk])
            for name in ("reviews_statement_kept", "reviews_statement_kept_pdf")
        ]
        assert {browser.get(page).status_code for page in pages} == {404}
        assert browser.post(address, {"reason": "Mine."}).status_code == 404

    @pytest.mark.parametrize("month", ["2026-13", "9999-99", "x", "0000-01", "2026-11-05", "9999-12", "1899-12"])
    def test_a_month_that_there_is_not_is_not_found(self, month: str, contoso: ServiceAgreement, max_: User) -> None:
        page = reverse("admin:reviews_statement", args=[contoso.client_id])
        assert browser_of(max_).get(page, {"month": month}).status_code == 404

    def test_a_month_that_is_not_over_offers_nothing_to_send(self, contoso: ServiceAgreement, max_: User) -> None:
        page = reverse("admin:reviews_statement", args=[contoso.client_id])
        shown = browser_of(max_).get(page, {"month": "2999-01"}).content.decode()
        assert "This month is not over yet" in shown
        assert "Send the statement" not in shown
        assert "is not over yet" in browser_of(max_).get(f"{page}draft/?month=2999-01").content.decode()


def alarms() -> list[Notice]:
    return list(Notice.objects.filter(kind=NoticeKind.ALARM).order_by("recipient_address"))


def test_a_statement_that_is_refused_alarms_operators_and_managers_and_waits_for_a_person(
    relay: SmtpSink, northwind: ServiceAgreement, olga: User, max_: User
) -> None:
    relay.refuse("ops@northwind.example", 550, "no such user here")
    send(northwind.client, max_)
    outbox.deliver(LATER)
    assert statements().get().state == NoticeState.FAILED
    assert [alarm.user for alarm in alarms()] == [max_, olga]
    (mail,) = [mail for mail in relay.messages if mail.recipients == ("olga@due-notice.example",)]
    assert mail.subject == "ALARM: Northwind cannot be mailed"
    assert "“Monthly statement” did not go to ops@northwind.example: 550" in told_by(mail)
    assert reverse("admin:incidents_notice_change", args=[statements().get().pk]) in told_by(mail)
    assert "notices-need-a-person" in [problem.key for problem in watchdog.audit(LATER)]
    assert "ops@northwind.example" in browser_of(olga).get(reverse("admin:incidents_attention")).content.decode()


def test_a_statement_to_whom_nobody_may_mail_any_more_is_not_dropped_in_silence(
    relay: SmtpSink, northwind: ServiceAgreement, olga: User, max_: User
) -> None:
    send(northwind.client, max_)
    contact = northwind.client.contacts.get()
    contact.is_active = False
    cast.save(contact)
    outbox.deliver(LATER)
    assert statements().get().state == NoticeState.CANCELLED
    assert [alarm.user for alarm in alarms()] == [max_, olga]
