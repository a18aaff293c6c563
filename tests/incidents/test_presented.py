"""A text that somebody presents is compared with what was sent, also after that was given up."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from pytest_django import Settings

from agreements.models import ServiceAgreement, Severity
from config.models import Event, EventKind, GivenUp, User
from incidents import acknowledgement_link, letter, lifecycle, presented, retention
from incidents.models import Incident, Notice
from incidents.models.notice import NoticeState
from incidents.presented import Answer, Part, compare
from tests import cast
from tests.cast import at, browser_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def notice(olga: User, northwind: ServiceAgreement) -> Notice:
    incident = lifecycle.declare(
        by=olga, now=at("10:00"), title="Störung – Storage is down", severity=Severity.CRITICAL,
        services=[cast.service("Object storage")], detected_at=at("10:00"),
    )  # fmt: skip
    lifecycle.notify_client(incident, by=olga, now=at("10:10"), message="Uploads fail.\r\n\r\n.\r\nWe work on it… ")
    notice = Notice.objects.get()
    cast.past_the_trail(Notice.objects.all(), state=NoticeState.SENT, accepted_at=at("10:11"))
    cast.past_the_trail(Incident.objects.all(), closed_at=at("11:00"))
    notice.refresh_from_db()
    return notice


def as_it_stands(notice: Notice, ada: User) -> Notice:
    return notice


def given_up(notice: Notice, ada: User) -> Notice:
    assert retention.reduce_bodies(at("12:00", day=25), by=ada, reason="Kept for a day only.") == 1
    notice.refresh_from_db()
    assert not notice.text
    return notice


State = Callable[[Notice, User], Notice]
states = pytest.mark.parametrize("state", [as_it_stands, given_up])


def answers(notice: Notice, content: str | bytes) -> set[tuple[Part, Answer]]:
    content = content if isinstance(content, bytes) else content.encode()
    return {(one.part, one.answer) for one in compare(notice, content).findings}


SENT = {
    (Part.MESSAGE_ID, Answer.AS_SENT),
    (Part.SUBJECT, Answer.AS_SENT),
    (Part.TEXT, Answer.AS_SENT),
    (Part.HTML, Answer.AS_SENT),
}


@states
@pytest.mark.parametrize("is_late", [False, True])
def test_the_mail_that_went_out_is_what_was_sent(notice: Notice, ada: User, state: State, is_late: bool) -> None:
    cast.past_the_trail(Notice.objects.all(), is_marked_late=is_late)
    notice.refresh_from_db()
    mail, text, html = letter.as_mail(notice, at("10:11")), letter.text_of(notice), letter.html_of(notice)
    notice = state(notice, ada)
    assert answers(notice, mail) == SENT
    assert answers(notice, text) == {(Part.TEXT, Answer.AS_SENT)}
    assert answers(notice, html) == {(Part.HTML, Answer.AS_SENT)}


@states
def test_how_lines_end_and_how_it_was_encoded_does_not_count(notice: Notice, ada: User, state: State) -> None:
    mail = email.message_from_bytes(letter.as_mail(notice, at("10:11")), policy=email.policy.default)
    for part in mail.iter_parts():
        part.set_content(part.get_content(), subtype=part.get_content_subtype(), cte="base64")
    text, html = letter.text_of(notice), letter.html_of(notice)
    notice = state(notice, ada)
    assert answers(notice, bytes(mail)) == SENT
    for spelled in (text.strip("\n"), text + "\n\n\n", text.replace("\n", "\r\n"), "\ufeff" + text):
        assert answers(notice, spelled) == {(Part.TEXT, Answer.AS_SENT)}
    assert answers(notice, html.replace("\n", "\r\n")) == {(Part.HTML, Answer.AS_SENT)}


@states
def test_a_copy_from_our_own_pages_is_known_without_its_link(
    notice: Notice, ada: User, state: State, settings: Settings
) -> None:
    text, html = (acknowledgement_link.masked(one) for one in (letter.text_of(notice), letter.html_of(notice)))
    assert text != notice.text
    notice = state(notice, ada)
    assert answers(notice, text) == {(Part.TEXT, Answer.AS_SENT)}
    assert answers(notice, html) == {(Part.HTML, Answer.AS_SENT)}
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "another key " * 5
    assert answers(notice, text) == {(Part.TEXT, Answer.AS_SENT)}


@states
def test_a_letter_more_or_less_is_not_what_was_sent(notice: Notice, ada: User, state: State) -> None:
    mail, text = letter.as_mail(notice, at("10:11")), letter.text_of(notice)
    notice = state(notice, ada)
    other = {(Part.EITHER, Answer.NOT_AS_SENT)}
    for wrong in (text.replace("fail", "fall"), text + ".", text[1:], " " + text, text.replace("\n\n", "\n", 1), "…"):
        assert answers(notice, wrong) == other, wrong
    assert answers(notice, b"\xff\xfe" + text.encode("utf-16-le")) == other
    assert (Part.TEXT, Answer.NOT_AS_SENT) in answers(notice, mail.replace(b"Uploads fail", b"Uploads fall", 1))
    assert (Part.MESSAGE_ID, Answer.NOT_AS_SENT) in answers(notice, mail.replace(b"Message-ID: <", b"Message-ID: <x"))
    subject = mail.replace(b"Subject: ", b"Subject: Re: ", 1)
    assert (Part.SUBJECT, Answer.NOT_AS_SENT) in answers(notice, subject)


@states
def test_what_was_put_into_the_mail_is_found(notice: Notice, ada: User, state: State) -> None:
    boundary = letter._boundary(notice).encode()
    added = b"--" + boundary + b"\r\nContent-Type: application/pdf\r\n\r\nx\r\n--" + boundary + b"--"
    mail = letter.as_mail(notice, at("10:11")).replace(b"--" + boundary + b"--", added)
    assert answers(state(notice, ada), mail) == SENT | {(Part.OTHER, Answer.NOT_AS_SENT)}


def test_a_late_mail_without_its_sentence_is_not_what_was_sent(notice: Notice, ada: User) -> None:
    cast.past_the_trail(Notice.objects.all(), is_marked_late=True)
    notice.refresh_from_db()
    assert answers(notice, notice.text) == {(Part.EITHER, Answer.NOT_AS_SENT)}


@pytest.mark.parametrize(
    "hostile",
    [
        "",
        "\n" * presented.LARGEST,
        "From: \x00\nMessage-ID: =?x?q?\nSubject: =?utf-8?b?/w?=\nContent-Type: multipart/x\n\n",
        "From: a\nMessage-ID: b\nContent-Type: text/plain; charset=nonsense\n\nx",
        "From: a\nMessage-ID: b\nContent-Type: multipart/mixed; boundary=b\n\n" + "--b\n\n" * 5000,
        "\ud800",
    ],
)
def test_nonsense_is_not_what_was_sent(notice: Notice, hostile: str) -> None:
    assert compare(notice, hostile.encode("utf-8", "surrogatepass")).answer == Answer.NOT_AS_SENT


def test_a_digest_that_our_key_has_not_signed_decides_nothing(notice: Notice, ada: User, settings: Settings) -> None:
    text = notice.text
    given_up(notice, ada)
    settings.SEAL_KEY = "another key " * 5
    assert compare(notice, text.encode()).answer == Answer.UNDECIDED


# ── the page ────────────────────────────────────────────────────────────────────────────────────────────────────────


def address_of(notice: Notice) -> str:
    return reverse("admin:incidents_notice_check", args=[notice.pk])


@pytest.mark.parametrize("is_right", [True, False])
def test_an_auditor_pastes_a_text_and_is_told(notice: Notice, ada: User, aude: User, is_right: bool) -> None:
    text = notice.text if is_right else "All is well."
    given_up(notice, ada)
    browser = browser_of(aude)
    address = address_of(notice)
    assert f'href="{address}"' in browser.get(f"/admin/incidents/notice/{notice.pk}/change/").content.decode()
    assert browser.get(address).status_code == 200
    assert not Event.objects.filter(kind=EventKind.TEXT_CHECKED).exists()
    with CaptureQueriesContext(connection) as queries:
        said = browser.post(address, {"pasted": text.replace("\n", "\r\n")}).content.decode()
    assert ("This is what was sent" in said) == is_right
    assert ("This is not what was sent" in said) != is_right
    event = Event.objects.get(kind=EventKind.TEXT_CHECKED)
    assert (event.actor, event.about, event.about_pk) == (aude, "incidents.notice", notice.pk)
    assert event.said == {"answer": "as_sent" if is_right else "not_as_sent"}
    written = [one["sql"] for one in queries if one["sql"].lstrip().startswith(("INSERT", "UPDATE"))]
    assert len(written) == 1
    assert "Uploads fail" not in written[0]


def test_a_file_may_be_handed_in(notice: Notice, aude: User) -> None:
    file = SimpleUploadedFile("mail.eml", letter.as_mail(notice, at("10:11")), "message/rfc822")
    assert "This is what was sent" in browser_of(aude).post(address_of(notice), {"file": file}).content.decode()


@pytest.mark.parametrize(
    ("typed", "refusal"),
    [
        ({}, "one of the two"),
        ({"pasted": "x", "file": SimpleUploadedFile("a.txt", b"x")}, "one of the two"),
        ({"file": SimpleUploadedFile("a.txt", b"x" * (presented.LARGEST + 1))}, "larger than any notice"),
        ({"pasted": "x" * presented.LARGEST}, "at most"),
    ],
    ids=["nothing", "both", "a large file", "a long text"],
)
def test_what_cannot_be_compared_is_refused_and_leaves_nothing(
    notice: Notice, aude: User, typed: dict[str, Any], refusal: str
) -> None:
    said = browser_of(aude).post(address_of(notice), typed)
    assert refusal in said.content.decode()
    assert not Event.objects.filter(kind=EventKind.TEXT_CHECKED).exists()


def test_who_does_not_read_the_trail_or_see_the_client_is_not_told(
    notice: Notice, olga: User, aude: User, contoso: ServiceAgreement
) -> None:
    from agreements.models import ClientScope

    assert browser_of(olga).get(address_of(notice)).status_code == 403
    assert "Check a text" not in browser_of(olga).get(f"/admin/incidents/notice/{notice.pk}/change/").content.decode()
    ClientScope.objects.create(user=aude, client=contoso.client)
    assert browser_of(aude).post(address_of(notice), {"pasted": notice.text}).status_code == 403
    assert not GivenUp.objects.exists()
