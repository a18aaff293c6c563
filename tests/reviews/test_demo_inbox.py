"""The demo's inbox: what is received is kept as it came, and shown so that it can do no harm."""

from __future__ import annotations

import datetime as dt
import smtplib
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from reviews.demo.inbox import INDEX, Entry, Inbox, MailServer
from reviews.demo.processes import Trouble, bind, port_of

NOON = dt.datetime(2026, 11, 24, 12, 0, tzinfo=dt.UTC)


@pytest.fixture
def inbox(settings: Settings, tmp_path: Path) -> Inbox:
    settings.VAR_DIR = tmp_path
    made = Inbox(tmp_path / "inbox")
    made.open()
    return made


def mail(subject: str = "Hello", html: str = "<p>Hello</p>", to: str = "ops@northwind.example") -> bytes:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "notices@due-notice.example", to, subject
    message["Date"] = "Tue, 24 Nov 2026 11:59:00 +0000"
    message.set_content("See https://due-notice.example/")
    message.add_alternative(html, subtype="html")
    return message.as_bytes()


def keep(
    inbox: Inbox, *, subject: str = "Hello", html: str = "<p>Hello</p>", to: str = "ops@northwind.example"
) -> Entry:
    return inbox.keep(mail(subject, html, to), "notices@due-notice.example", [to], NOON)


# ── the folder ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_message_is_kept_as_it_came_and_listed(inbox: Inbox) -> None:
    raw = mail("Störung")
    entry = inbox.keep(raw, "notices@due-notice.example", ["ops@northwind.example"], NOON)
    assert inbox.raw(entry.number) == raw
    assert inbox.entries() == [entry]
    assert (entry.subject, entry.sent_at) == ("Störung", NOON - dt.timedelta(minutes=1))


def test_what_was_kept_without_its_line_is_listed_after_the_next_start(inbox: Inbox) -> None:
    first = keep(inbox)
    keep(inbox, subject="Second")
    index = inbox.folder / INDEX
    index.write_bytes(index.read_bytes()[:-20])  # as if the power had gone while the line was written
    (inbox.folder / "000009.part").write_bytes(b"half a mes")
    assert inbox.entries() == [first]
    again = Inbox(inbox.folder)
    again.open()
    assert [entry.subject for entry in again.entries()] == ["Hello", "Second"]
    assert keep(again).number == 3
    assert not list(inbox.folder.glob("*.part"))


@pytest.mark.parametrize(
    "raw", [b"", b"\xff\xfe no header", b"Subject: =?bad?q?=ff?=\nDate: never\n\n", b"To: <<>>\n\n"]
)
def test_whatever_is_sent_is_kept(inbox: Inbox, client: Client, raw: bytes) -> None:
    entry = inbox.keep(raw, "", ["x@y.example"], NOON)
    assert inbox.raw(entry.number) == raw
    assert entry.sent_at == NOON


# ── the server ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def received(inbox: Inbox) -> Iterator[tuple[int, list[Entry]]]:
    told: list[Entry] = []
    with bind(0, named=None, what="the mail server", option="--smtp-port") as bound:
        server = MailServer(inbox, bound, told.append)
        server.start()
        yield port_of(bound), told
        server.stop()


def test_accepted_means_kept(inbox: Inbox, received: tuple[int, list[Entry]]) -> None:
    port, told = received
    with smtplib.SMTP("127.0.0.1", port) as connection:
        connection.sendmail("notices@due-notice.example", ["a@x.example", "b@x.example"], mail("Over the wire"))
        assert [entry.recipients for entry in inbox.entries()] == [("a@x.example", "b@x.example")]
    assert told == inbox.entries()


def test_a_taken_port_that_was_named_is_refused_and_an_unnamed_one_gives_way() -> None:
    with bind(0, named=None, what="it", option="--port") as first:
        port = port_of(first)
        with pytest.raises(Trouble, match=f"Port {port} is taken"):
            bind(8000, named=port, what="the pages", option="--port")
        with bind(port, named=None, what="the pages", option="--port") as second:
            assert port_of(second) != port


# ── the pages ───────────────────────────────────────────────────────────────────────────────────────────────────────

pages = pytest.mark.urls("tests.reviews.demo_urls")


@pages
@pytest.mark.django_db
def test_the_list_shows_the_newest_first_and_can_leave_out_colleagues(inbox: Inbox, client: Client) -> None:
    keep(inbox, subject="To the client")
    keep(inbox, subject="To a colleague", to="olga@due-notice.example")
    page = client.get(reverse("demo_inbox")).content.decode()
    assert page.index("To a colleague") < page.index("To the client")
    assert "To a colleague" not in client.get(reverse("demo_inbox"), {"to": "clients"}).content.decode()
    assert client.post(reverse("demo_inbox")).status_code == 405


@pages
@pytest.mark.django_db
def test_the_html_part_is_shut_in(inbox: Inbox, client: Client) -> None:
    entry = keep(inbox, subject="<script>alert(1)</script>", html="<head></head><script>alert(2)</script><p>Hi</p>")
    page = client.get(reverse("demo_message", args=[entry.number]))
    assert "alert(1)</script>" not in page.content.decode()
    assert "alert(2)" not in page.content.decode()
    assert 'sandbox="allow-popups' in page.content.decode()
    assert "script-src 'self'" in page["Content-Security-Policy"]
    frame = client.get(reverse("demo_message_html", args=[entry.number]))
    assert frame["Content-Security-Policy"].startswith("sandbox ")
    assert "allow-scripts" not in frame["Content-Security-Policy"]
    assert "default-src 'none'" in frame["Content-Security-Policy"]
    assert '<base target="_blank">' in frame.content.decode()
    assert frame["X-Frame-Options"] == "SAMEORIGIN"
    source = client.get(reverse("demo_message_source", args=[entry.number]))
    assert source["Content-Type"].startswith("text/plain")


@pages
@pytest.mark.django_db
@pytest.mark.parametrize("name", ["demo_message", "demo_message_html", "demo_message_source"])
def test_a_message_that_does_not_exist_is_not_found(inbox: Inbox, client: Client, name: str) -> None:
    assert client.get(reverse(name, args=[7])).status_code == 404
