"""The client's acknowledgement: opening the link changes nothing, pressing the button is evidence."""

from __future__ import annotations

import datetime as dt
import logging
import re
import threading
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
from django.apps import apps
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.db import connection
from django.test import Client as Browser
from django.test import RequestFactory
from django.utils import timezone
from pytest_django import Settings

from agreements.models import Client, Contact, ServiceAgreement, Severity
from config.addresses import client_address
from config.history import Caller
from config.limits import neighbourhood
from config.models import Event, User
from incidents import acknowledgement, acknowledgement_link, lifecycle, notices, views
from incidents.acknowledgement import LINK_LIFE
from incidents.models import Acknowledgement, DeliveryAttempt, Incident, Notice, TimelineEntry
from incidents.models.notice import DeliveryPhase, NoticeKind, NoticeState, Outcome
from tests import cast

pytestmark = pytest.mark.django_db

SECRETS = "the disk controller was bought second-hand"
HOSTILE = "<script>alert(1)</script> & <b>bold</b> %(title)s"
SEALED = {
    "Cache-Control": "no-store",
    "X-Robots-Tag": "noindex, nofollow",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
}


@pytest.fixture(autouse=True)
def _nothing_counted_yet() -> None:
    cache.clear()


@pytest.fixture
def incident(olga: User, northwind: ServiceAgreement, contoso: ServiceAgreement) -> Incident:
    Contact.objects.create(client=northwind.client, name="Nora Night", address="nora@northwind.example", position=2)
    return lifecycle.declare(
        by=olga,
        now=timezone.now(),
        title="Storage is down",
        severity=Severity.CRITICAL,
        services=[cast.service("Object storage")],
        detected_at=timezone.now() - dt.timedelta(minutes=5),
        description=SECRETS,
    )


@pytest.fixture
def notice(incident: Incident, olga: User) -> Notice:
    """Northwind's client notice, which its mail server has accepted."""
    lifecycle.notify_client(incident, by=olga, now=timezone.now(), message=HOSTILE)
    return accepted(Notice.objects.get(recipient_address="ops@northwind.example"))


def accepted(notice: Notice) -> Notice:
    cast.past_the_trail(Notice.objects.filter(pk=notice.pk), state=NoticeState.SENT, accepted_at=timezone.now())
    tried(notice, Outcome.ACCEPTED)
    return Notice.objects.get(pk=notice.pk)


def tried(notice: Notice, outcome: Outcome) -> None:
    DeliveryAttempt.objects.create(notice=notice, at=timezone.now(), outcome=outcome, phase=DeliveryPhase.DATA)


def key_of(notice: Notice) -> uuid.UUID:
    return uuid.UUID(notice.message_id[1:].partition("@")[0])


def address_of(notice: Notice) -> str:
    """The path of the link that the mail carries."""
    found = re.search(r"http://127\.0\.0\.1:8000(/notice/\S+)", notice.text)
    assert found, notice.text
    return found[1]


def token_of(notice: Notice) -> str:
    return address_of(notice).split("/")[2]


def database() -> dict[str, list[object]]:
    """Everything that every table holds, besides that somebody was there."""
    models = [model for model in apps.get_models() if model is not Event]
    return {model._meta.label: list(model._default_manager.order_by("pk").values()) for model in models}


def events() -> list[tuple[str, dict[str, str], str, str]]:
    """What the trail says of those who came by a link."""
    by_link = Event.objects.filter(caller=Caller.LINK).order_by("pk")
    return [(event.kind, event.said, event.actor_name, event.address or "") for event in by_link]


def text_of(answer: Any) -> str:
    return str(answer.content.decode())


class TestLink:
    def test_every_mail_to_a_client_carries_it_in_both_parts_and_no_mail_to_colleagues_does(
        self, incident: Incident, olga: User, max_: User
    ) -> None:
        now = timezone.now()
        lifecycle.notify_client(incident, by=olga, now=now)
        lifecycle.post_update(incident, by=olga, now=now, message="Half of it is back.")
        cast.past_the_trail(Contact.objects.filter(client__name="Contoso"), is_active=False)
        lifecycle.post_update(incident, by=olga, now=now, message="All of it is back.")  # an alarm for Contoso
        notices.raise_due(now + dt.timedelta(hours=2, minutes=30))
        cast.past_the_trail(Incident.objects, detected_at=now)
        notices.raise_due(now + dt.timedelta(days=30))
        lifecycle.declare(
            by=olga, now=now, title="Again", severity=Severity.CRITICAL, detected_at=now - dt.timedelta(minutes=5),
            services=[cast.service("Object storage")],
        )  # fmt: skip
        notices.raise_due(now + dt.timedelta(hours=2, minutes=30))

        kinds = {True: set(), False: set()}  # type: ignore[var-annotated]
        for made in Notice.objects.all():
            is_clients = made.contact_id is not None
            kinds[is_clients].add(NoticeKind(made.kind))
            link = acknowledgement_link.link(key_of(made))
            assert (link in made.text.splitlines()) is is_clients, made
            assert (f'href="{link}"' in made.html) is is_clients, made
            assert ("/notice/" in made.text + made.html) is is_clients, made
        K = NoticeKind
        assert kinds == {
            True: {K.CLIENT_NOTICE, K.HOLDING_NOTICE, K.UPDATE, K.WARNING},
            False: {K.STAFF_WARNING, K.OVERDUE, K.ALARM},
        }

    def test_it_leads_to_the_notice_of_its_mail_and_to_no_other(self, notice: Notice) -> None:
        others = [accepted(other) for other in Notice.objects.exclude(pk=notice.pk)]
        assert others
        for one in (notice, *others):
            assert acknowledgement.find(token_of(one)) == one

    def test_changed_anywhere_cut_off_or_signed_for_another_it_leads_nowhere(
        self, notice: Notice, django_assert_num_queries: Callable[[int], AbstractContextManager[Any]]
    ) -> None:
        token = token_of(notice)
        other = token_of(Notice.objects.exclude(pk=notice.pk)[0])
        changed = [
            token[:place] + sign + token[place + 1 :]
            for place in range(len(token))
            for sign in ("0", "A", "_", ".")
            if sign != token[place]
        ]
        cut = [token[:length] for length in range(len(token))]
        key, signature = token.split(".")
        swapped = [f"{key}.{other.split('.')[1]}", f"{other.split('.')[0]}.{signature}"]
        odd = [token.upper(), f"{token}=", f"{token}\n", f" {token}", "\x00", "é" * 76, f"{notice.pk}.{signature}"]
        with django_assert_num_queries(0):  # a guess costs the database nothing
            assert [guess for guess in changed + cut + swapped + odd if acknowledgement.find(guess)] == []

    def test_it_outlives_a_change_of_the_secret_key_as_long_as_the_old_key_is_kept(
        self, notice: Notice, settings: Settings
    ) -> None:
        token = token_of(notice)
        settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
        settings.SECRET_KEY = "new" * 20
        assert acknowledgement.find(token) == notice
        settings.SECRET_KEY_FALLBACKS = []
        assert acknowledgement.find(token) is None

    def test_it_does_not_end_with_a_sign_that_mail_programs_leave_out_of_links(self, notice: Notice) -> None:
        assert re.fullmatch(r"/notice/[\w.-]+/", address_of(notice), re.ASCII)

    def test_masked_it_is_of_no_use_to_whoever_reads_the_notice_in_the_office(self, notice: Notice) -> None:
        for content in (notice.text, notice.html):
            assert token_of(notice) in content
            masked = acknowledgement_link.masked(content)
            assert token_of(notice) not in masked
            assert "/notice/…/" in masked


class TestReading:
    def test_opening_it_a_hundred_times_changes_nothing(self, notice: Notice, client: Browser) -> None:
        before = database()
        for number in range(50):
            for method in (client.get, client.head):
                answer = method(address_of(notice), REMOTE_ADDR=f"192.0.2.{number}")
                assert answer.status_code == 200
                assert not answer.cookies
        assert database() == before
        assert events() == [("link_opened", {}, "anonymous", f"192.0.2.{number}") for number in range(50)]

    def test_it_shows_the_reference_the_notice_and_to_whom_it_was_written(
        self, notice: Notice, incident: Incident, client: Browser
    ) -> None:
        page = text_of(client.get(address_of(notice)))
        for shown in (incident.reference, notice.recipient_name, "Storage is down", "EST", "I have read this notice"):
            assert shown in page

    def test_it_shows_nothing_else(self, notice: Notice, olga: User, client: Browser) -> None:
        page = text_of(client.get(address_of(notice)))
        for hidden in (
            SECRETS,
            "Contoso",
            "contoso.example",
            "nora@",
            "Nora",
            "ops@northwind.example",
            "Olga",
            "/admin",
            notice.message_id,
            token_of(notice),
            "Please confirm here",
        ):
            assert hidden not in page
        assert set(re.findall(r'(?:href|src|action)="([^"]*)"', page)) == {"/static/due_notice/acknowledge.css"}

    def test_what_people_typed_is_shown_and_not_obeyed(self, notice: Notice, client: Browser) -> None:
        page = text_of(client.get(address_of(notice)))
        assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; &lt;b&gt;bold&lt;/b&gt; %(title)s" in page
        assert "<script" not in page

    def test_a_late_notice_says_so_as_the_mail_did(self, notice: Notice, client: Browser) -> None:
        late = "This message is late: it was due by 24 Nov 2026, 09:00 EST."
        cast.past_the_trail(Notice.objects.filter(pk=notice.pk), late_note=late)
        assert late not in text_of(client.get(address_of(notice)))
        cast.past_the_trail(Notice.objects.filter(pk=notice.pk), is_marked_late=True)
        assert late in text_of(client.get(address_of(notice)))

    def test_it_speaks_the_clients_language_whatever_the_browser_prefers(self, notice: Notice, client: Browser) -> None:
        cast.past_the_trail(Client.objects.filter(name="Northwind"), language="de")
        answer = client.get(address_of(notice), headers={"Accept-Language": "fr"})
        assert answer.headers["Content-Language"] == "de"
        assert '<html lang="de">' in text_of(answer)

    def test_the_last_slash_may_be_missing(self, notice: Notice, client: Browser) -> None:
        assert client.get(address_of(notice).rstrip("/")).status_code == 200

    @pytest.mark.parametrize(
        ("state", "outcome", "status"),
        [
            (NoticeState.PENDING, None, 404),
            (NoticeState.LEASED, None, 404),
            (NoticeState.TRANSMITTING, None, 200),  # in the client's inbox before the answer is recorded
            (NoticeState.RETRY_WAIT, Outcome.AMBIGUOUS, 200),
            (NoticeState.REVIEW, Outcome.AMBIGUOUS, 200),
            (NoticeState.PENDING, Outcome.AMBIGUOUS, 200),  # sent again by a person
            (NoticeState.RETRY_WAIT, Outcome.TRANSPORT_DOWN, 404),
            (NoticeState.FAILED, Outcome.REFUSED, 404),
            (NoticeState.CANCELLED, None, 404),
            (NoticeState.SUPERSEDED, None, 404),
        ],
    )
    def test_there_is_a_page_only_once_the_mail_may_have_left(
        self, incident: Incident, olga: User, client: Browser, state: NoticeState, outcome: Outcome | None, status: int
    ) -> None:
        now = timezone.now()
        lifecycle.notify_client(incident, by=olga, now=now)
        waiting = Notice.objects.get(recipient_address="ops@northwind.example")
        cast.past_the_trail(
            Notice.objects.filter(pk=waiting.pk), state=state, lease_token=uuid.uuid4(), leased_until=now
        )
        if outcome:
            tried(waiting, outcome)
        assert client.get(address_of(waiting)).status_code == status


class TestPressing:
    def test_it_records_who_was_written_to_when_and_from_where(
        self, notice: Notice, incident: Incident, client: Browser
    ) -> None:
        before = timezone.now()
        answer = client.post(
            address_of(notice), REMOTE_ADDR="203.0.113.9", headers={"User-Agent": "Mail\x00Reader\r\n" + "x" * 400}
        )
        assert (answer.status_code, answer.headers["Location"]) == (303, address_of(notice))
        assert not answer.cookies
        made = Acknowledgement.objects.get()
        assert made.notice == notice
        assert made.notice.recipient_address == "ops@northwind.example"
        assert before <= made.at <= timezone.now()
        assert made.from_address == "203.0.113.9"
        assert made.user_agent == "MailReader" + "x" * 290

        entry = incident.timeline.latest("pk")
        assert entry.text == "Acknowledged by the client: Northwind"
        assert (entry.author_name, entry.happened_at) == ("Northwind Operations", made.at)
        assert not entry.is_client_visible, "it names a client, and others read the same incident"
        row = entry.history.get()
        assert (row.actor_name, row.caller) == ("anonymous", Caller.LINK)
        assert events()[-1] == ("link_used", {}, "anonymous", "203.0.113.9")

        page = text_of(client.get(address_of(notice)))
        assert "Reading is confirmed." in page
        assert "<form" not in page

    def test_it_needs_no_form_token_and_no_session(self, notice: Notice) -> None:
        strict = Browser(enforce_csrf_checks=True)
        assert strict.post(address_of(notice), headers={"Origin": "null"}).status_code == 303
        assert Acknowledgement.objects.count() == 1

    def test_pressed_again_the_first_stays(self, notice: Notice, client: Browser) -> None:
        client.post(address_of(notice), REMOTE_ADDR="203.0.113.9")
        after_the_first = database()
        assert client.post(address_of(notice), REMOTE_ADDR="198.51.100.7").status_code == 303
        assert database() == after_the_first

    def test_of_two_tabs_that_both_saw_the_button_the_first_to_press_is_kept(self, notice: Notice) -> None:
        one, two = acknowledgement.find(token_of(notice)), acknowledgement.find(token_of(notice))
        assert one is not None
        assert two is not None
        now = timezone.now()
        first = acknowledgement.record(one, now=now, from_address="203.0.113.9")
        assert acknowledgement.record(two, now=now, from_address="198.51.100.7") == first
        assert Acknowledgement.objects.get().from_address == "203.0.113.9"
        assert TimelineEntry.objects.filter(text__startswith="Acknowledged by the client").count() == 1

    @pytest.mark.skipif("connection.vendor == 'sqlite'", reason="SQLite has one writer; the run on PostgreSQL races.")
    @pytest.mark.django_db(transaction=True)
    def test_two_that_press_at_the_same_instant_leave_one(self, notice: Notice) -> None:
        ready = threading.Barrier(4)
        statuses = []

        def press() -> None:
            ready.wait()
            statuses.append(Browser().post(address_of(notice)).status_code)
            connection.close()

        threads = [threading.Thread(target=press) for _number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert statuses == [303] * 4
        assert Acknowledgement.objects.count() == 1
        assert TimelineEntry.objects.filter(text__startswith="Acknowledged by the client").count() == 1

    def test_a_colleague_who_is_signed_in_cannot_press_in_the_clients_place(
        self, notice: Notice, olga: User, client: Browser
    ) -> None:
        client.force_login(olga)
        before = database()
        page = text_of(client.get(address_of(notice)))
        assert "You are signed in as a colleague" in page
        assert "<form" not in page
        assert client.post(address_of(notice)).status_code == 403
        assert database() == before
        who = ("Olga Petrova (olga)", "127.0.0.1")
        assert events() == [("link_opened", {}, *who), ("link_refused", {"why": "colleague"}, *who)]


class TestUselessLinks:
    def test_expired(self, notice: Notice, client: Browser) -> None:
        cast.past_the_trail(
            Notice.objects.filter(pk=notice.pk), made_at=timezone.now() - LINK_LIFE + dt.timedelta(minutes=1)
        )
        assert client.get(address_of(notice)).status_code == 200
        cast.past_the_trail(Notice.objects.filter(pk=notice.pk), made_at=timezone.now() - LINK_LIFE)
        self.refused(client, address_of(notice), 410, "This link has expired", "ask your contact at the provider")

    def test_revoked(self, notice: Notice, olga: User, client: Browser) -> None:
        acknowledgement.revoke(notice, by=olga, reason="Forwarded to the press.", now=timezone.now())
        self.refused(client, address_of(notice), 410, "This link has been withdrawn", "ask your contact")

    def test_revoked_between_opening_and_pressing(self, notice: Notice, olga: User) -> None:
        opened = acknowledgement.find(token_of(notice))
        assert opened is not None
        acknowledgement.revoke(notice, by=olga, reason="Forwarded to the press.", now=timezone.now())
        assert acknowledgement.record(opened, now=timezone.now()) is None
        assert not Acknowledgement.objects.exists()

    def test_forged_and_unknown_look_the_same(self, notice: Notice, client: Browser) -> None:
        unknown = acknowledgement_link.link(uuid.uuid4()).removeprefix("http://127.0.0.1:8000")
        waiting = Notice.objects.exclude(pk=notice.pk)[0]
        pages = {
            self.refused(client, address, 404, "There is nothing to read at this address")
            for address in (
                "/notice/",
                "/notice/x",
                "/notice/a/b/c/",
                "/notice/%0A",
                address_of(notice)[:-2] + "/",
                address_of(notice) + "/",
                unknown,
                address_of(waiting),
            )
        }
        assert len(pages) == 1
        assert "/admin" not in pages.pop()

    def test_the_trail_says_which_was_tried_and_is_not_filled_by_who_makes_them_up(
        self, notice: Notice, olga: User, client: Browser
    ) -> None:
        cache.clear()
        now = timezone.now()
        acknowledgement.revoke(notice, by=olga, reason="Forwarded to the press.", now=now)
        client.get(address_of(notice))
        client.get("/notice/x")
        assert [said for _kind, said, *_who in events()] == [{"why": "revoked"}, {"why": "unknown"}]
        assert Event.objects.order_by("pk").first().about_pk == notice.pk  # type: ignore[union-attr]
        for _number in range(views.FORGERIES.most):
            views.FORGERIES.wait("anybody", now)
        client.get("/notice/y")
        assert len(events()) == 2

    def refused(self, client: Browser, address: str, status: int, *sentences: str) -> str:
        before = database()
        for method in (client.head, client.post, client.get):
            answer = method(address)
            assert answer.status_code == status, address
            assert not answer.cookies
        assert database() == before
        page = text_of(answer)
        for sentence in sentences:
            assert sentence in page
        assert "INC-" not in page
        assert "<form" not in page
        return page


class TestRevoking:
    def test_it_leaves_who_when_and_why(self, notice: Notice, olga: User) -> None:
        now = timezone.now()
        acknowledgement.revoke(notice, by=olga, reason="Forwarded to the press.", now=now)
        revoked = Notice.objects.get(pk=notice.pk)
        assert revoked.link_revoked_at == now
        row = revoked.history.latest("pk")
        assert (row.actor_name, row.history_change_reason) == (olga.audit_name, "Forwarded to the press.")

    def test_what_was_recorded_stays(self, notice: Notice, olga: User, client: Browser) -> None:
        client.post(address_of(notice))
        acknowledgement.revoke(notice, by=olga, reason="Forwarded to the press.", now=timezone.now())
        assert Acknowledgement.objects.get().notice == notice

    def test_it_is_refused_twice_without_a_reason_and_where_there_is_no_link(
        self, notice: Notice, olga: User, incident: Incident
    ) -> None:
        now = timezone.now()
        with pytest.raises(ValidationError, match="Say why"):
            acknowledgement.revoke(notice, by=olga, reason=" ", now=now)
        acknowledgement.revoke(notice, by=olga, reason="Forwarded.", now=now)
        before = database()
        with pytest.raises(ValidationError, match="already revoked"):
            acknowledgement.revoke(notice, by=olga, reason="Forwarded again.", now=now)
        assert database() == before
        notices.raise_due(now + dt.timedelta(hours=2, minutes=30))
        internal = Notice.objects.filter(kind=NoticeKind.STAFF_WARNING)[0]
        with pytest.raises(ValidationError, match="no link"):
            acknowledgement.revoke(internal, by=olga, reason="Why not.", now=now)


class TestSealed:
    def answers(self, notice: Notice, client: Browser) -> dict[int, Any]:
        """One answer of each status that the page has."""
        address = address_of(notice)
        found = [client.get(address), client.post(address), client.get("/notice/x"), client.put(address)]
        cast.past_the_trail(Notice.objects.filter(pk=notice.pk), link_revoked_at=timezone.now())
        found.append(client.get(address))
        for _number in range(views.REQUESTS.most):
            last = client.get("/notice/x")
        found.append(last)
        return {answer.status_code: answer for answer in found}

    def test_every_answer_is_sealed(self, notice: Notice, client: Browser) -> None:
        answers = self.answers(notice, client)
        assert set(answers) == {200, 303, 404, 405, 410, 429}
        for status, answer in answers.items():
            assert {name: answer.headers.get(name) for name in SEALED} == SEALED, status
            assert not answer.cookies
            if status != 303:
                assert "<title>" in text_of(answer)
                assert "<script" not in text_of(answer)

    def test_a_failure_of_ours_is_sealed_too_and_its_report_does_not_name_the_address(
        self, notice: Notice, client: Browser, caplog: pytest.LogCaptureFixture
    ) -> None:
        cast.past_the_trail(Client.objects.filter(name="Northwind"), time_zone="Nowhere/Never")  # past every check
        with caplog.at_level(logging.DEBUG):
            answer = client.get(address_of(notice))
        assert answer.status_code == 500
        assert {name: answer.headers.get(name) for name in SEALED} == SEALED
        assert "UnknownZone" in caplog.text
        assert key_of(notice).hex not in caplog.text

    def test_no_log_line_holds_the_secret(
        self, notice: Notice, client: Browser, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.DEBUG):
            self.answers(notice, client)
        lines = [record.getMessage() for record in caplog.records if not record.name.startswith("django.db")]
        assert "/notice/" not in "\n".join(lines)

    @pytest.mark.parametrize("method", ["put", "patch", "delete", "options", "trace"])
    def test_there_is_no_other_method(self, notice: Notice, client: Browser, method: str) -> None:
        before = database()
        answer = getattr(client, method)(address_of(notice))
        assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD, POST")
        assert database() == before


class TestLimits:
    def test_one_address_that_asks_too_often_is_told_when_to_come_back_and_others_are_not(
        self, notice: Notice, client: Browser
    ) -> None:
        now = timezone.now()
        limited = [views.REQUESTS.wait("192.0.2.1/32", now) for _number in range(views.REQUESTS.most + 1)]
        assert limited[:-1] == [0] * views.REQUESTS.most
        assert 0 < limited[-1] <= 60
        assert views.REQUESTS.wait("192.0.2.2/32", now) == 0
        assert views.REQUESTS.wait("192.0.2.1/32", now + dt.timedelta(minutes=1)) == 0

        for _number in range(2 * views.REQUESTS.most + 1):  # a minute may begin in between
            answer = client.get(address_of(notice))
        assert answer.status_code == 429
        assert 0 < int(answer.headers["Retry-After"]) <= 60
        assert "try again in a minute" in text_of(answer)
        assert client.get(address_of(notice), REMOTE_ADDR="192.0.2.2").status_code == 200

    def test_one_button_cannot_be_pressed_all_day(self, notice: Notice, client: Browser) -> None:
        for number in range(2 * views.PRESSES.most + 1):
            answer = client.post(address_of(notice), REMOTE_ADDR=f"192.0.2.{number}")
        assert answer.status_code == 429
        assert 0 < int(answer.headers["Retry-After"]) <= 3600
        assert client.get(address_of(notice), REMOTE_ADDR="198.51.100.1").status_code == 200

    def test_an_ipv6_subscriber_counts_as_one(self) -> None:
        assert neighbourhood("2001:db8:1:2::5") == neighbourhood("2001:db8:1:2:ffff::1")
        assert neighbourhood("2001:db8:1:2::5") != neighbourhood("2001:db8:1:3::5")


class TestFromWhere:
    @pytest.mark.parametrize(
        ("remote", "address"),
        [
            ("203.0.113.9", "203.0.113.9"),
            ("2001:DB8::1", "2001:db8::1"),
            ("::ffff:203.0.113.9", "203.0.113.9"),
            ("fe80::1%eth0", "fe80::1"),
            ("", None),
            ("unix:", None),
        ],
    )
    def test_reached_directly_it_is_the_peer_whatever_the_header_claims(self, remote: str, address: str | None) -> None:
        request = RequestFactory().get("/", REMOTE_ADDR=remote, headers={"X-Forwarded-For": "198.51.100.7"})
        assert client_address(request) == address

    @pytest.mark.parametrize(
        ("forwarded", "address"),
        [
            ("203.0.113.9", "203.0.113.9"),
            ("198.51.100.7, 203.0.113.9", "203.0.113.9"),  # the first the client may have made up
            ("198.51.100.7,2001:db8::1", "2001:db8::1"),
            ("198.51.100.7, ", None),
            ("203.0.113.9, <script>", None),
            ("", None),
        ],
    )
    def test_behind_a_proxy_it_is_what_the_proxy_wrote(
        self, settings: Settings, forwarded: str, address: str | None
    ) -> None:
        settings.BEHIND_PROXY = 1
        request = RequestFactory().get("/", REMOTE_ADDR="127.0.0.1", headers={"X-Forwarded-For": forwarded})
        assert client_address(request) == address

    @pytest.mark.parametrize(
        ("forwarded", "address"),
        [
            ("203.0.113.9, 10.0.0.1", "203.0.113.9"),
            ("198.51.100.7, 203.0.113.9, 10.0.0.1", "203.0.113.9"),  # the first the client may have made up
            ("203.0.113.9", None),  # came past the outermost
            ("", None),
        ],
    )
    def test_behind_two_proxies_it_is_what_the_outermost_wrote(
        self, settings: Settings, forwarded: str, address: str | None
    ) -> None:
        settings.BEHIND_PROXY = 2
        request = RequestFactory().get("/", REMOTE_ADDR="127.0.0.1", headers={"X-Forwarded-For": forwarded})
        assert client_address(request) == address


class TestProof:
    """G5: only the client's acknowledgement proves reading, and what was read has arrived."""

    def doubtful(self, notice: Notice, state: NoticeState) -> None:
        cast.past_the_trail(Notice.objects.filter(pk=notice.pk), state=state, accepted_at=None, ambiguous_tries=1)
        cast.lose(DeliveryAttempt.objects.filter(notice=notice))
        DeliveryAttempt.objects.create(
            notice=notice, at=notice.made_at, worker="w", outcome=Outcome.AMBIGUOUS, phase=DeliveryPhase.BODY
        )

    @pytest.mark.parametrize("state", [NoticeState.REVIEW, NoticeState.RETRY_WAIT])
    def test_a_notice_in_doubt_has_arrived_once_its_client_says_so_and_meets_what_it_owed(
        self, notice: Notice, incident: Incident, state: NoticeState
    ) -> None:
        self.doubtful(notice, state)
        acknowledgement.record(notice, now=timezone.now())
        notice = Notice.objects.get(pk=notice.pk)
        assert (notice.state, notice.state_reason) == (
            NoticeState.HANDLED,
            "It arrived: the client has acknowledged it.",
        )
        met = incident.deadlines.filter(client=notice.client, obligation="notify", met_at=notice.made_at)
        assert met.exists(), "as of the try whose answer was lost"
        assert notice.history.first().actor_name == "anonymous"

    def test_what_was_accepted_stays_as_it_is(self, notice: Notice) -> None:
        cast.past_the_trail(Notice.objects.filter(pk=notice.pk), state=NoticeState.SENT, accepted_at=notice.made_at)
        acknowledgement.record(notice, now=timezone.now())
        assert Notice.objects.get(pk=notice.pk).state == NoticeState.SENT
