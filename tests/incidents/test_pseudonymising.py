"""A contact is pseudonymised: nothing in the database names them any more, and the trail still proves the rest."""

from __future__ import annotations

import json
import re
from io import StringIO
from typing import Any

import pytest
from django.apps import apps
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.test import Client as Browser

from agreements.models import Client, Contact, ServiceAgreement, Severity
from config.audit import append_only, concerns, seals, verification
from config.erased import ERASED
from config.models import Concern, Event, GivenUp, User
from config.models.concern import ConcernKind
from incidents import acknowledgement, handling, lifecycle, outbox, pseudonymising
from incidents.models import DeliveryAttempt, Incident, Notice
from incidents.models.notice import SETTLED_STATES, NoticeKind, NoticeState
from tests import cast
from tests.cast import at
from tests.config.test_read_only import Form
from tests.services.smtp import Phase, SmtpSink

pytestmark = pytest.mark.django_db

WHY = "Asked for in letter 17."
NOW = at("12:00", day=25)
#: What names the person, in any spelling that is looked for; also what she was called before.
PLANTED = ("Quillfeather", "quillfeather", "0199 77", "Miranda", "miranda", "198.51.100.7", "Pigeon/3.1")


@pytest.fixture
def miranda(northwind: ServiceAgreement) -> Contact:
    """The first to be tried; she was called and reached otherwise before."""
    desk = northwind.client.contacts.get()
    desk.position = 2
    cast.save(desk)
    contact = Contact.objects.create(
        client=northwind.client,
        name="Miranda Miller",
        address="miranda@northwind.example",
        phone="+1 555 0199 77",
    )
    contact.name, contact.address = "Miranda Quillfeather", "m.quillfeather@northwind.example"
    cast.save(contact)
    return contact


@pytest.fixture
def incident(relay: SmtpSink, olga: User, miranda: Contact) -> Incident:
    """She was greeted by name and read it; a later mail was refused, colleagues were alarmed; all of it is sealed."""
    incident = lifecycle.declare(
        by=olga,
        now=at("10:00"),
        title="Storage is down",
        severity=Severity.CRITICAL,
        services=[cast.service("Object storage")],
        detected_at=at("10:00"),
    )
    lifecycle.send_test(
        incident, NoticeKind.CLIENT_NOTICE, miranda.client, by=olga, now=at("10:05"), message="Dear {contact}, hello."
    )
    lifecycle.notify_client(incident, by=olga, now=at("10:10"), message="Dear {contact}, we are on it.")
    relay.answer(250, "queued for <m.quillfeather@northwind.example>", phase=Phase.DOT, times=1)
    outbox.deliver(at("10:11"))
    relay.behave()
    relay.refuse(miranda.address, text="<m.quillfeather@northwind.example> is unknown here")
    lifecycle.post_update(incident, by=olga, now=at("10:20"), message="Dear {contact}, soon.")
    outbox.deliver(at("10:21"))
    outbox.deliver(at("10:22"))  # the alarm
    for stuck in Notice.objects.needing_a_person():
        handling.set_aside(stuck, by=olga, now=at("10:30"), reason="The desk has it.")
    read = Notice.objects.get(contact=miranda, state=NoticeState.SENT)
    Browser().get(address_of(read), REMOTE_ADDR="198.51.100.7")
    acknowledgement.record(read, now=at("10:40"), from_address="198.51.100.7", user_agent="Pigeon/3.1")
    settle()
    seals.seal()
    concerns.examine()
    seals.seal()
    return incident


def settle() -> None:
    """Nothing is on its way any more, and nothing runs."""
    for incident in Incident.objects.exclude(status="closed"):
        cast.past_the_trail(Incident.objects.filter(pk=incident.pk), closed_at=at("11:00"))
    unsettled = Notice.objects.exclude(state__in=SETTLED_STATES)
    cast.past_the_trail(unsettled, state=NoticeState.CANCELLED, lease_token=None, leased_until=None)


def address_of(notice: Notice) -> str:
    """The path of the link that the mail carries."""
    found = re.search(r"http://127\.0\.0\.1:8000(/notice/\S+)", notice.text)
    assert found
    return found[1]


def forget(contact: Contact, by: User, reason: str = WHY) -> Any:
    return pseudonymising.pseudonymise(contact, by=by, reason=reason, now=NOW)


def wrong() -> list[str]:
    """What verify finds, besides what the fixture has bent."""
    return [str(finding) for finding in verification.verify().findings if "closed_at" not in str(finding)]


def as_owner(statement: str, *values: Any) -> None:
    with append_only.lifted(connection), connection.cursor() as cursor:
        cursor.execute(statement, values)


def naming() -> dict[str, set[str]]:
    """column → what of the person stands there, of every column of every table."""
    found: dict[str, set[str]] = {}
    quote = connection.ops.quote_name
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {quote(table)}")  # noqa: S608 - the names of our own tables
            names = [column[0] for column in cursor.description]
            for row in cursor.fetchall():
                for name, value in zip(names, row, strict=True):
                    said = {word for word in PLANTED if word in str(value)}
                    if said:
                        found.setdefault(f"{table}.{name}", set()).update(said)
    return found


def test_nothing_in_any_table_names_the_person_and_every_seal_still_holds(
    incident: Incident, miranda: Contact, ada: User
) -> None:
    named = naming()
    assert {
        *("agreements_contact.name", "agreements_historicalcontact.address", "agreements_historicalcontact.phone"),
        *("incidents_notice.text", "incidents_notice.html", "incidents_notice.server_answer"),
        *("incidents_historicalnotice.recipient_name", "incidents_historicalnotice.server_answer"),
        *("incidents_deliveryattempt.answer", "incidents_acknowledgement.user_agent", "config_event.address"),
        *("incidents_timelineentry.author_name", "incidents_historicaltimelineentry.author_name"),
    } <= set(named)
    assert wrong() == []
    forget(miranda, ada)
    assert naming() == {}
    assert wrong() == []
    seals.seal()
    concerns.examine()
    assert Concern.objects.filter(kind=ConcernKind.GIVEN_UP, actor=ada).exists()
    assert wrong() == []
    assert naming() == {}


class TestWhatVerifyFinds:
    """Afterwards the trail still shows every other change of a row that was erased."""

    @pytest.fixture(autouse=True)
    def _forgotten(self, incident: Incident, miranda: Contact, ada: User) -> None:
        forget(miranda, ada)
        seals.seal()
        assert wrong() == []

    def test_something_else_of_an_erased_row(self, miranda: Contact) -> None:
        as_owner("UPDATE agreements_historicalcontact SET position = 9 WHERE history_type = '+' AND position = 1")
        assert any("HistoricalContact" in finding and "changed after it was sealed" in finding for finding in wrong())

    def test_something_else_of_an_erased_notice(self, miranda: Contact) -> None:
        as_owner("UPDATE incidents_notice SET due_at = made_at WHERE contact_id = %s", miranda.pk)
        assert any("incidents.Notice" in finding and "changed after it was sealed" in finding for finding in wrong())

    def test_a_value_that_stands_there_again(self, miranda: Contact) -> None:
        as_owner("UPDATE agreements_historicalcontact SET name = 'John Smith' WHERE id = %s", miranda.pk)
        assert any("a value stands there again" in finding for finding in wrong())

    def test_a_digest_that_is_not_by_our_key(self) -> None:
        kept = GivenUp.objects.filter(table="agreements.historicalcontact", name="name").earliest("pk")
        forged = json.dumps(dict.fromkeys(kept.digests, "0" * 64))
        as_owner("UPDATE config_givenup SET digests = %s WHERE id = %s", forged, kept.pk)
        assert any("not signed by our key" in finding for finding in wrong())

    def test_a_mark_that_somebody_sets_in_the_database(self) -> None:
        desk = Contact.objects.known().get()
        with connection.cursor() as cursor:  # which the triggers let by
            cursor.execute("UPDATE agreements_historicalcontact SET name = %s WHERE id = %s", [ERASED, desk.pk])
        assert any("HistoricalContact" in finding and "changed after it was sealed" in finding for finding in wrong())


def test_the_contact_is_never_mailed_again_and_its_address_is_free_for_another(
    incident: Incident, miranda: Contact, ada: User
) -> None:
    address = miranda.address
    forget(miranda, ada)
    miranda.refresh_from_db()
    assert (miranda.name, miranda.address, miranda.phone, miranda.is_active) == (ERASED, ERASED, ERASED, False)
    assert miranda not in Contact.objects.usable()
    miranda.is_active = True
    with pytest.raises(IntegrityError), transaction.atomic():
        cast.save(miranda)
    again = Contact.objects.create(client=miranda.client, name="Her successor", address=address)
    again.full_clean()
    forget(again, ada)
    assert list(Contact.objects.filter(address=ERASED).order_by("pk")) == [miranda, again]


def test_two_who_got_the_same_notice_can_both_be_pseudonymised(incident: Incident, miranda: Contact, ada: User) -> None:
    desk = Contact.objects.known().exclude(pk=miranda.pk).get()
    Contact.objects.create(client=miranda.client, name="Her successor", address="new@northwind.example")
    forget(miranda, ada)
    forget(desk, ada)
    assert Notice.objects.filter(recipient_address=ERASED).count() == 4
    assert wrong() == []


def test_who_did_it_why_and_to_what_client_is_one_act_without_a_name(
    incident: Incident, miranda: Contact, ada: User
) -> None:
    forget(miranda, ada)
    event = Event.objects.latest("pk")
    assert event.sentence == f"A contact of Northwind was pseudonymised (no. {miranda.pk})."
    assert (event.actor, event.about, event.about_pk) == (ada, "agreements.client", miranda.client_id)
    row = miranda.history.latest()
    assert (row.history_user, row.history_change_reason, row.request_id) == (ada, WHY, event.request_id)
    assert row.changed_names == ["name", "address", "phone", "is_active"]
    notices = Notice.history.filter(request_id=event.request_id)
    assert {row.history_change_reason for row in notices} == {WHY}


def test_the_link_of_a_mail_says_nothing_of_the_person_and_records_nothing_more(
    incident: Incident, miranda: Contact, ada: User
) -> None:
    unread = Notice.objects.filter(contact=miranda, acknowledgement=None).latest("pk")
    outbox_has_it = DeliveryAttempt.objects.filter(notice=unread)
    address = address_of(unread)
    assert outbox_has_it.exists()
    forget(miranda, ada)
    page = Browser().get(address, REMOTE_ADDR="198.51.100.7")
    assert not any(word in page.content.decode() for word in PLANTED)
    assert acknowledgement.record(unread, now=NOW, from_address="198.51.100.7", user_agent="Pigeon/3.1") is None


class TestRefused:
    def test_without_a_reason_or_with_one_that_names_the_person(
        self, incident: Incident, miranda: Contact, ada: User
    ) -> None:
        before = naming()
        for reason in (" ", "Miranda Quillfeather asked for it.", "m.quillfeather@northwind.example has left"):
            with pytest.raises(ValidationError) as refused:
                forget(miranda, ada, reason)
            assert set(refused.value.message_dict) == {"reason"}
        assert naming() == before

    @pytest.mark.parametrize("state", [NoticeState.RETRY_WAIT, NoticeState.FAILED])
    def test_while_a_notice_to_them_is_not_settled(
        self, incident: Incident, miranda: Contact, ada: User, state: NoticeState
    ) -> None:
        waiting = Notice.objects.filter(contact=miranda).latest("pk")
        cast.past_the_trail(Notice.objects.filter(pk=waiting.pk), state=state)
        with pytest.raises(ValidationError, match=rf"1 notice .* not settled \(Update, {incident.reference}\)"):
            forget(miranda, ada)
        miranda.refresh_from_db()
        assert miranda.name == "Miranda Quillfeather"

    def test_while_colleagues_wait_for_a_mail_that_names_them(
        self, incident: Incident, miranda: Contact, ada: User
    ) -> None:
        alarm = Notice.objects.filter(kind=NoticeKind.ALARM, text__contains=miranda.address).latest("pk")
        cast.past_the_trail(Notice.objects.filter(pk=alarm.pk), state=NoticeState.PENDING)
        with pytest.raises(ValidationError, match="not settled"):
            forget(miranda, ada)

    def test_while_nobody_else_could_be_told(self, incident: Incident, miranda: Contact, ada: User) -> None:
        desk = Contact.objects.exclude(pk=miranda.pk).get()
        desk.is_active = False
        cast.save(desk)
        with pytest.raises(
            ValidationError, match=r"Nobody else at Northwind .* NW-2025-03.* Add another contact first"
        ):
            forget(miranda, ada)
        cast.past_the_trail(ServiceAgreement.objects.all(), ends_at=at("00:00"))
        with pytest.raises(ValidationError, match=rf"Nobody else at Northwind .* {incident.reference}"):
            forget(miranda, ada)
        cast.past_the_trail(Incident.objects.all(), status="closed", resolved_at=at("10:50"))
        forget(miranda, ada)

    def test_a_second_time(self, incident: Incident, miranda: Contact, ada: User) -> None:
        forget(miranda, ada)
        with pytest.raises(ValidationError, match="Nothing of this contact is left"):
            forget(miranda, ada)


def test_what_was_written_meanwhile_is_given_up_by_doing_it_again(
    incident: Incident, miranda: Contact, ada: User
) -> None:
    forget(miranda, ada)
    late = Notice.objects.filter(contact=miranda).latest("pk")
    late.pk, late.message_id, late.moment = None, "<late@due-notice.example>", "late"
    late.recipient_name, late.recipient_address, late.text = "Miranda Quillfeather", "x@northwind.example", "Dear M."
    Notice.objects.bulk_create([late])
    forget(miranda, ada)
    assert naming() == {}


class TestTheCommand:
    @pytest.fixture(autouse=True)
    def _clock(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("config.instants.now", lambda: NOW)

    def run(self, *arguments: str) -> str:
        out = StringIO()
        call_command("retention", "pseudonymise-contact", *arguments, stdout=out)
        return out.getvalue()

    def test_a_dry_run_counts_the_rows_of_each_table_and_writes_nothing(
        self, incident: Incident, miranda: Contact
    ) -> None:
        before = everything()
        said = self.run("M.Quillfeather@northwind.example", "--dry-run")
        assert "agreements_historicalcontact: 2 rows" in said
        assert "agreements_contact: 1 rows" in said
        assert f"Contact {miranda.pk} would be pseudonymised. Nothing was changed." in said
        assert everything() == before

    def test_it_does_what_it_says(self, incident: Incident, miranda: Contact, ada: User) -> None:
        foretold = self.run(str(miranda.pk), "--dry-run").splitlines()[:-1]
        with pytest.raises(CommandError, match="Say who decides"):
            self.run(str(miranda.pk), "--reason", WHY)
        with pytest.raises(CommandError, match="Say why"):
            self.run(str(miranda.pk), "--by=ada")
        said = self.run(str(miranda.pk), "--by=ada", f"--reason={WHY}").splitlines()
        assert said == [*foretold, f"Contact {miranda.pk} is pseudonymised."]
        assert naming() == {}

    def test_an_address_of_several_is_not_guessed(self, miranda: Contact, contoso: ServiceAgreement) -> None:
        Contact.objects.create(client=contoso.client, name="She, too", address=miranda.address)
        with pytest.raises(CommandError, match=r"Several contacts .* \(Northwind\), .* \(Contoso\)"):
            self.run(miranda.address, "--dry-run")
        with pytest.raises(CommandError, match="no such contact"):
            self.run("nobody@northwind.example", "--dry-run")


def everything() -> dict[str, list[Any]]:
    return {model._meta.label: list(model._base_manager.order_by("pk").values()) for model in apps.get_models()}


class TestThePage:
    def page(self, contact: Contact, *, chosen: bool = True) -> str:
        return f"/admin/agreements/client/{contact.client_id}/pseudonymise/" + f"?contact={contact.pk}" * chosen

    def test_it_asks_whom_says_what_will_happen_and_does_it_once_it_is_confirmed(
        self, incident: Incident, miranda: Contact, ada: User
    ) -> None:
        browser = cast.browser_of(ada)
        assert f'href="?contact={miranda.pk}"' in browser.get(self.page(miranda, chosen=False)).content.decode()
        before = everything_but_sessions()
        shown = browser.get(self.page(miranda)).content.decode()
        assert "Contacts (earlier versions): 2" in shown
        assert "Nobody can bring that back" in shown
        typed = {"contact": miranda.pk, "reason": WHY, "typed": "ops@northwind.example"}
        refused = browser.post(self.page(miranda), typed)
        assert "That is not the mail address of this contact." in refused.content.decode()
        assert everything_but_sessions() == before
        done = browser.post(self.page(miranda), typed | {"typed": "M.Quillfeather@Northwind.example"})
        assert done.status_code == 302
        assert naming() == {}
        assert miranda.history.latest().caller == "admin"

    def test_a_refusal_is_said_before_and_after_it_is_pressed(
        self, incident: Incident, miranda: Contact, ada: User
    ) -> None:
        waiting = Notice.objects.filter(contact=miranda).latest("pk")
        cast.past_the_trail(Notice.objects.filter(pk=waiting.pk), state=NoticeState.FAILED)
        browser = cast.browser_of(ada)
        assert "Not possible now: 1 notice" in browser.get(self.page(miranda)).content.decode()
        typed = {"contact": miranda.pk, "reason": WHY, "typed": miranda.address}
        assert "is not settled" in browser.post(self.page(miranda), typed).content.decode()

    def test_only_administrators_find_it_and_only_for_contacts_of_that_client(
        self, incident: Incident, miranda: Contact, max_: User, ada: User, contoso: ServiceAgreement
    ) -> None:
        client_page = f"/admin/agreements/client/{miranda.client_id}/change/"
        assert "/pseudonymise/" in cast.browser_of(ada).get(client_page).content.decode()
        assert "/pseudonymise/" not in cast.browser_of(max_).get(client_page).content.decode()
        typed = {"contact": miranda.pk, "reason": WHY, "typed": miranda.address}
        assert cast.browser_of(max_).post(self.page(miranda), typed).status_code == 403
        elsewhere = f"/admin/agreements/client/{contoso.client_id}/pseudonymise/?contact={miranda.pk}"
        answer = cast.browser_of(ada).post(elsewhere, typed)
        assert answer.status_code == 200
        assert "Quillfeather" not in answer.content.decode()
        miranda.refresh_from_db()
        assert not miranda.is_erased

    def test_afterwards_every_page_about_them_says_erased_in_the_readers_language(
        self, incident: Incident, miranda: Contact, ada: User
    ) -> None:
        forget(miranda, ada)
        notice = Notice.objects.filter(contact=miranda, state=NoticeState.SENT).latest("pk")
        ada.language = "de"
        ada.save()
        browser = cast.browser_of(ada)
        for address in (
            *(f"/admin/agreements/client/{miranda.client_id}/{page}/" for page in ("change", "history", "as-it-was")),
            *(f"/admin/incidents/notice/{notice.pk}/{page}/" for page in ("change", "history")),
            *(f"/admin/incidents/incident/{incident.pk}/{page}/" for page in ("change", "history")),
            *("/admin/incidents/notice/", "/admin/trail/", "/admin/config/concern/"),
        ):
            page = browser.get(address)
            assert page.status_code == 200, address
            assert not any(word in page.content.decode() for word in PLANTED), address
            assert ERASED not in page.content.decode(), address

    def test_the_client_can_still_be_edited(self, incident: Incident, miranda: Contact, ada: User) -> None:
        forget(miranda, ada)
        browser = cast.browser_of(ada)
        address = f"/admin/agreements/client/{miranda.client_id}/change/"
        form = Form(browser.get(address).content.decode())
        typed = {**form.fields, "name": "Northwind Ltd", "reason": "They changed their name."}
        assert browser.post(address, typed).status_code == 302
        assert Client.objects.get().name == "Northwind Ltd"


def everything_but_sessions() -> dict[str, list[Any]]:
    return {label: rows for label, rows in everything().items() if label != "sessions.Session"}
