"""Whatever people type, or gets into a row past every check: one valid mail to one recipient, or none of that row."""

from __future__ import annotations

import contextlib
import email
import email.policy
import re
from collections.abc import Callable
from email.header import decode_header, make_header
from html.parser import HTMLParser
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, models
from pytest_django import Settings

from agreements.models import Client, Contact, Service, ServiceAgreement, Severity
from config.models import User
from incidents import letter, lifecycle, notices, outbox
from incidents.models import Incident, Notice
from incidents.models.notice import NoticeKind, NoticeState
from tests import cast
from tests.cast import at
from tests.faults.oracle import nothing_is_lost
from tests.services.smtp import ReceivedMail, SmtpSink

pytestmark = pytest.mark.django_db

OPS, OLGA = "ops@northwind.example", "olga@due-notice.example"
NEED_A_PERSON = "notices-need-a-person"
CONTROLS = ["\r\n", "\n", "\r", "\x00", "\x0b", "\x1b", "\x7f", "\u2028", "\u2029"]
HEADERS = [
    *("Content-Type", "MIME-Version", "From", "To", "Reply-To", "Subject", "Date", "Message-ID", "In-Reply-To"),
    *("References", "Auto-Submitted", "X-Auto-Response-Suppress"),
]


def declare(by: User, **facts: Any) -> Incident:
    usual: dict[str, Any] = {"title": "Storage is down", "services": [cast.service("Object storage")]}
    return lifecycle.declare(
        by=by, now=at("10:00"), severity=Severity.CRITICAL, detected_at=at("10:00"), **(usual | facts)
    )


@pytest.fixture
def incident(olga: User, northwind: ServiceAgreement) -> Incident:
    return declare(olga)


def notify(incident: Incident, by: User, message: str = "We are on it.") -> None:
    lifecycle.notify_client(incident, by=by, now=at("10:10"), message=message)


def deliver(relay: SmtpSink) -> dict[str, ReceivedMail]:
    """Two passes, so that an alarm about what failed goes too; the mails by the recipient of their envelope."""
    for now in (at("10:11"), at("10:12")):
        outbox.deliver(now)
    return {mail.recipients[0]: mail for mail in relay.messages}


def is_wellformed(mail: ReceivedMail) -> None:
    """RFC 5322 on the wire: our headers once each, lines that end with CRLF and are not too long, no strange bytes."""
    head, _blank, body = mail.raw.partition(b"\r\n\r\n")
    names = re.findall(rb"(?m)^([^\s:]+):", head)
    assert [name.decode() for name in names] == HEADERS
    assert len(mail.recipients) == 1
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n", mail.raw), "no bare CR or LF"
    assert max(len(line) for line in mail.raw.split(b"\r\n")) <= 998
    assert re.fullmatch(rb"[\t\r\n\x20-\x7e]*", mail.raw), "plain ASCII without control characters"
    assert all(len(word) <= 75 for word in re.findall(rb"=\?[^\s]+\?=", head)), "RFC 2047"
    assert not mail.message.defects
    assert [part.get_content_type() for part in mail.message.iter_parts()] == ["text/plain", "text/html"]
    assert body.count(b"--" + str(mail.message.get_boundary()).encode()) == 3


class _Page(HTMLParser):
    """What a reader of the HTML sees, and what its program does."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.seen = ""
        self.comments: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _value in attrs}

    def handle_data(self, data: str) -> None:
        self.seen += data

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)


def refusal(row: models.Model, field: str) -> list[str]:
    """What full_clean says about that field."""
    with pytest.raises(ValidationError) as refused:
        row.full_clean()
    return refused.value.message_dict[field]


def frozen(**values: Any) -> Notice:
    """A row as it is sent, which was never in a database."""
    usual: dict[str, Any] = {
        "recipient_name": "Northwind Operations",
        "recipient_address": OPS,
        "subject": "[INC-2026-0001] Critical incident: Down",
        "text": "It is down.\n",
        "html": "<p>It is down.</p>",
        "message_id": "<1@due-notice.example>",
        "thread_id": "<INC-2026-0001@due-notice.example>",
    }
    return Notice(**(usual | values))


# ── what gets into headers ──────────────────────────────────────────────────────────────────────────────────────────


LINES = (
    (Client, "name"),
    (Contact, "name"),
    (Contact, "address"),
    (Service, "name"),
    (ServiceAgreement, "reference"),
    (Incident, "title"),
    (Notice, "recipient_name"),
    (Notice, "recipient_address"),
)


@pytest.mark.parametrize("control", [*CONTROLS, "\x85", "\x9b"], ids=ascii)
def test_control_characters_are_refused_with_a_sentence_where_they_are_typed(control: str) -> None:
    sentence = "Line breaks and control characters are not allowed here. Write it on one line."
    for model, field in LINES:
        typed = f"ops{control}@x.example" if "address" in field else f"Ops{control}Bcc: all@x.example"
        assert sentence in refusal(model(**{field: typed}), field)


@pytest.mark.parametrize("control", CONTROLS, ids=ascii)
def test_control_characters_that_got_into_a_row_get_out_in_no_header(control: str) -> None:
    for field in ("recipient_name", "recipient_address", "subject", "message_id", "thread_id"):
        with pytest.raises(ValidationError):
            letter.as_mail(frozen(**{field: f"ops{control}Bcc: all@x.example"}), at("10:11"))


@pytest.mark.parametrize("field", ["first_name", "last_name", "email"])
def test_a_colleagues_name_and_address_are_one_line(field: str) -> None:
    value = '"\x1b"@x.example' if field == "email" else "Olga\r\nBcc: all@x.example"
    assert refusal(User(username="olga", password="x", **{field: value}), field)


PLACES: dict[str, Callable[[str], object]] = {
    "client": lambda value: cast.past_the_trail(Client.objects, name=value),
    "contact": lambda value: cast.past_the_trail(Contact.objects.filter(address=OPS), name=value),
    "address": lambda value: cast.past_the_trail(Contact.objects.filter(address=OPS), address=f"{OPS}{value}"),
    "title": lambda value: cast.past_the_trail(Incident.objects, title=value),
    "service": lambda value: cast.past_the_trail(Service.objects, name=value),
    "agreement": lambda value: cast.past_the_trail(ServiceAgreement.objects, reference=value),
    "colleague": lambda value: cast.past_the_trail(User.objects.filter(username="olga"), first_name=value),
    "mailbox": lambda value: cast.past_the_trail(User.objects.filter(username="olga"), email=f"{OLGA}{value}"),
}


@pytest.mark.parametrize("control", ["\r\n", "\x00", "\x85"], ids=ascii)
@pytest.mark.parametrize("place", PLACES)
def test_forced_past_every_check_they_fail_their_own_mail_at_most_and_address_nobody_else(
    relay: SmtpSink, olga: User, max_: User, incident: Incident, place: str, control: str
) -> None:
    if control == "\x00" and connection.vendor == "postgresql":
        pytest.skip("PostgreSQL keeps no NUL.")
    Contact.objects.create(client=Client.objects.get(), name="Duty", address="duty@northwind.example")
    PLACES[place](f"{control}Bcc: all@x.example")
    with contextlib.suppress(ValidationError):  # the name of the client goes into the timeline, which takes no NUL
        lifecycle.notify_client(incident, by=olga, now=at("13:35"), message="We are on it.")
    notices.raise_due(at("13:36"))  # the holding notice to the client, warnings to colleagues
    for now in (at("13:37"), at("13:38")):
        outbox.deliver(now)

    for mail in relay.messages:
        is_wellformed(mail)
    everybody = {OPS, "duty@northwind.example", OLGA, "max@due-notice.example"}
    reached = {mail.recipients[0] for mail in relay.messages}
    failed = set(Notice.objects.filter(state=NoticeState.FAILED).values_list("recipient_address", flat=True))
    assert reached <= everybody
    if place not in ("title", "client") or control != "\x00":  # those stand in subjects, of which some cannot be sent
        assert reached >= everybody - {OPS, OLGA}
        assert all(address.startswith((OPS, OLGA)) for address in failed)
    assert not Notice.objects.waiting().exists()
    told = [(incident.reference, address) for address in reached]
    nothing_is_lost(at("13:38"), relay, told, problems=[NEED_A_PERSON] if failed else [])


@pytest.mark.parametrize("setting", ["NOTICE_FROM", "NOTICE_REPLY_TO"])
@pytest.mark.parametrize(
    "value",
    [
        "Due Notice\r\nBcc: all@x.example <notices@due-notice.example>",
        "Due Notice <notices@due-notice.example>\r\nBcc: all@x.example",
        "Due \x00Notice <notices@due-notice.example>",
    ],
    ids=ascii,
)
def test_a_line_break_in_our_own_address_addresses_nobody_else(settings: Settings, setting: str, value: str) -> None:
    setattr(settings, setting, value)
    try:
        raw = letter.as_mail(frozen(), at("10:11"))
    except ValidationError:
        return
    assert [name.decode() for name in re.findall(rb"(?m)^([^\s:]+):", raw.partition(b"\r\n\r\n")[0])] == HEADERS


def test_our_own_name_may_have_umlauts(relay: SmtpSink, olga: User, incident: Incident, settings: Settings) -> None:
    settings.NOTICE_FROM = '"Störungsdienst, Süd" <notices@due-notice.example>'
    notify(incident, olga)
    mail = deliver(relay)[OPS]
    is_wellformed(mail)
    (sender,) = mail.message["From"].addresses
    assert (sender.display_name, sender.addr_spec) == ("Störungsdienst, Süd", "notices@due-notice.example")
    nothing_is_lost(at("10:12"), relay, [(incident.reference, OPS)])


# ── addresses ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("address", "wire"),
    [
        ("ops@bücher.example", "ops@xn--bcher-kva.example"),
        ("ops@BÜCHER.example", "ops@xn--bcher-kva.example"),
        ("ops@例え.テスト", "ops@xn--r8jz45g.xn--zckzah"),
        ("ops@xn--bcher-kva.example", "ops@xn--bcher-kva.example"),
        ("ops@xn--strae-oqa.example", "ops@xn--strae-oqa.example"),
        ("ops@\N{PILE OF POO}.example", "ops@xn--ls8h.example"),
    ],
)
def test_an_international_domain_goes_in_its_plain_letters(
    relay: SmtpSink, olga: User, incident: Incident, address: str, wire: str
) -> None:
    cast.past_the_trail(Contact.objects, address=address)
    notify(incident, olga)
    mail = deliver(relay)[wire]
    is_wellformed(mail)
    assert mail.message["To"].addresses[0].addr_spec == wire
    nothing_is_lost(at("10:12"), relay, [(incident.reference, wire)])


CANNOT_BE_MAILED = {
    "jörg@x.example": "Only plain letters, digits and signs can stand before the @: few mail servers take others.",
    "\N{KELVIN SIGN}im@x.example": "Only plain letters, digits and signs can stand before the @",
    "ops@straße.example": "This domain can be read as two different ones.",  # strasse.example is somebody else's
    "ops@ς.example": "This domain can be read as two different ones.",
    "ops@a\N{ZERO WIDTH JOINER}b.example": "This domain can be read as two different ones.",
    f"ops@{'ü' * 70}.example": "There can be no such domain.",
    "ops@bücher..example": "There can be no such domain.",
    "ops@.bücher": "There can be no such domain.",
    "ops@all\N{FULLWIDTH COMMERCIAL AT}x.example": "There can be no such domain.",
    "ops@x.example\N{FULLWIDTH GREATER-THAN SIGN}": "There can be no such domain.",
}


@pytest.mark.parametrize(("address", "sentence"), CANNOT_BE_MAILED.items(), ids=ascii)
def test_an_address_that_no_server_understands_is_refused_and_one_in_a_row_fails_alone(
    relay: SmtpSink, olga: User, incident: Incident, address: str, sentence: str
) -> None:
    assert sentence in " ".join(refusal(Contact(name="Ops", address=address), "address"))
    cast.past_the_trail(Contact.objects, address=address)
    Contact.objects.create(client=Client.objects.get(), name="Duty", address="duty@northwind.example")
    notify(incident, olga)
    assert set(deliver(relay)) == {"duty@northwind.example", OLGA}
    failed = Notice.objects.get(state=NoticeState.FAILED)
    assert (failed.recipient_address, failed.tries) == (address, 1)
    assert sentence in failed.server_answer
    told = [(incident.reference, "duty@northwind.example"), (incident.reference, OLGA)]
    nothing_is_lost(at("10:12"), relay, told, problems=[NEED_A_PERSON])


@pytest.mark.parametrize("address", ["ops@x.example.", "ops@x..example", "ops@-x.example", "ops", "@x.example", "ops@"])
def test_a_plain_address_that_is_none_is_refused_and_one_in_a_row_holds_up_nobody(
    relay: SmtpSink, olga: User, incident: Incident, address: str
) -> None:
    assert refusal(Contact(name="Ops", address=address), "address")
    cast.past_the_trail(Contact.objects, address=address)
    Contact.objects.create(client=Client.objects.get(), name="Duty", address="duty@northwind.example")
    notify(incident, olga)
    assert "duty@northwind.example" in deliver(relay)
    row = Notice.objects.get(recipient_address=address)
    assert row.state in (NoticeState.SENT, NoticeState.FAILED), "as the server says"
    problems = [NEED_A_PERSON] if row.state == NoticeState.FAILED else []
    nothing_is_lost(at("10:12"), relay, [(incident.reference, "duty@northwind.example")], problems=problems)


# ── what gets into bodies ───────────────────────────────────────────────────────────────────────────────────────────

FAMILY = "\N{MAN}\N{ZERO WIDTH JOINER}\N{WOMAN}\N{ZERO WIDTH JOINER}\N{GIRL}"
TYPED = {
    "emoji": f"\N{FIRE} {FAMILY} \N{REGIONAL INDICATOR SYMBOL LETTER D}\N{REGIONAL INDICATOR SYMBOL LETTER E}",
    "reversed": "abc \u202egnissim\u202c def",
    "one long line": "x" * 4900,
    "one long line of emoji": "\N{FIRE}" * 4900,
    "lines with dots": ".\n..\n.a\n...\n\n.\n",
    "a dot alone at the end": "That is all\n.",
    "an end of message": "a\r\n.\r\nMAIL FROM:<evil@x.example>\r\nRCPT TO:<all@x.example>\r\nDATA\r\n.\r\n",
    "a bare CR": "one\rtwo\r\rthree",
    "old separators": "one\u2028two\u2029three",
    "From at the beginning": "From here on\nFrom: nobody\n>From there",
    "spaces at the end": "one  \ntwo\t\n   \n",
    "equals signs": "=0D=0A.=0D=0A =?utf-8?q?x?= ====\n=",
    "a boundary": "--=_0123456789abcdef0123456789abcdef--\n--=_",
    "combining marks": "Z" + "\N{COMBINING GRAVE ACCENT}" * 400,
}


def as_lines(text: str) -> list[str]:
    return text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n").split("\n")


def test_whatever_is_typed_arrives_as_it_was_typed(relay: SmtpSink, olga: User, incident: Incident) -> None:
    for message in TYPED.values():
        notify(incident, olga, message)
    outbox.deliver(at("10:11"))
    rows = {row.message_id: row for row in Notice.objects.all()}
    assert len(relay.messages) == len(rows) == len(TYPED)
    for mail, message in zip(relay.messages, TYPED.values(), strict=True):
        is_wellformed(mail)
        assert as_lines(mail.text) == as_lines(rows[mail.message_id].text)
        assert as_lines(mail.html) == as_lines(letter.html_of(rows[mail.message_id]))
        assert "\n".join(as_lines(message)) in "\n".join(as_lines(mail.text))
    nothing_is_lost(at("10:11"), relay, [(incident.reference, OPS)] * len(TYPED))


@pytest.mark.parametrize("control", ["\x00", "\x08", "\x0b", "\x0c", "\x1b[31m", "\x1a", "\x7f"], ids=ascii)
def test_control_characters_in_prose_are_refused_and_in_a_row_are_only_data(
    relay: SmtpSink, olga: User, incident: Incident, control: str
) -> None:
    if control == "\x00" and connection.vendor == "postgresql":
        pytest.skip("PostgreSQL keeps no NUL.")
    with pytest.raises(ValidationError, match="Control characters are not allowed here"):
        notify(incident, olga, f"red {control} alert")
    notify(incident, olga)
    cast.past_the_trail(Notice.objects, text=f"red {control} alert\n", html=f"<p>red {control} alert</p>\n")
    mail = deliver(relay)[OPS]
    is_wellformed(mail)
    assert as_lines(mail.text) == [f"red {control} alert"]
    nothing_is_lost(at("10:12"), relay, [(incident.reference, OPS)])


def test_half_a_character_is_refused_and_cannot_be_sent(olga: User, northwind: ServiceAgreement) -> None:
    """A lone surrogate: no database keeps it, no mail can carry it."""
    for facts in ({"title": "Down \ud83d"}, {"client_summary": "Down \ud83d"}, {"description": "Down \ude00"}):
        with pytest.raises(ValidationError) as refused:
            declare(olga, **facts)
        assert set(refused.value.message_dict) == set(facts)
    for field in ("recipient_name", "subject", "text", "html"):
        with pytest.raises((ValidationError, UnicodeEncodeError)):
            letter.as_mail(frozen(**{field: "Down \ud83d"}), at("10:11"))


@pytest.mark.parametrize("title", ["x" * 201, "x" * 5000, "Down \u202egnissim"])
def test_a_title_that_is_too_long_or_reversed_is_refused(olga: User, northwind: ServiceAgreement, title: str) -> None:
    with pytest.raises(ValidationError) as refused:
        declare(olga, title=title)
    assert "title" in refused.value.message_dict


@pytest.mark.parametrize(
    "title",
    ["x" * 5000, "word " * 1000, "ü" * 5000, "\N{FIRE}" * 5000, FAMILY * 1000, "e\N{COMBINING ACUTE ACCENT}" * 2500],
    ids=["letters", "words", "umlauts", "emoji", "families", "accents"],
)
def test_a_subject_of_five_thousand_characters_is_cut_into_a_valid_one(
    relay: SmtpSink, incident: Incident, northwind: ServiceAgreement, title: str
) -> None:
    directory = notices.Directory([incident])
    incident.title = title
    (recipient,) = directory.client_recipients(northwind.client)
    row = notices.compose(
        NoticeKind.CLIENT_NOTICE,
        recipient,
        incident,
        directory,
        now=at("10:10"),
        moment="client_notice-1",
        client=northwind.client,
    )
    notices.queue([row])
    mail = deliver(relay)[OPS]
    is_wellformed(mail)
    assert len(row.subject) <= 300
    assert mail.subject == row.subject
    assert mail.subject.startswith(f"[{incident.reference}] Critical incident: {title[:200]}")
    nothing_is_lost(at("10:12"), relay, [(incident.reference, OPS)])


def test_the_longest_name_and_address_make_valid_headers(relay: SmtpSink, olga: User, incident: Incident) -> None:
    for name in ("\N{FIRE}" * 120, "x" * 120, "Ops, (Süd) <x@y> " * 6 + "x"):
        relay.forget()
        address = f"{'o' * 64}@{'x' * 63}.{'y' * 63}.{'z' * 53}.example"
        cast.past_the_trail(Contact.objects, name=name, address=address)
        notify(incident, olga)
        outbox.deliver(at("10:11"))
        (mail,) = relay.messages
        is_wellformed(mail)
        # Not by EmailMessage, which takes the space between two encoded words of a name for a part of it.
        head = email.message_from_bytes(mail.raw, policy=email.policy.compat32)
        words, _space, shown = head["To"].rpartition(" ")
        assert str(make_header(decode_header(words))).strip('"') == name
        assert shown == f"<{address}>"


# ── markup ──────────────────────────────────────────────────────────────────────────────────────────────────────────

MARKUP = "<blink onclick=x>{{ 7|add:7 }}{% now 'Y' %}%(client)s%s&lt; <!-- late note -->"
SHORT = "<blink>{{ 7|add:7 }}{% now 'Y' %}%s"


def test_markup_in_every_field_that_people_fill_in_is_shown_as_it_was_typed(
    relay: SmtpSink, olga: User, northwind: ServiceAgreement
) -> None:
    olga.first_name, olga.last_name = MARKUP, "Petrova"
    cast.save(olga)
    northwind.reference = SHORT
    cast.save(northwind)
    client = northwind.client
    client.name = f"Client {MARKUP}"
    cast.save(client)
    cast.past_the_trail(client.contacts, name=f"Contact {MARKUP}")
    cast.past_the_trail(Service.objects, name=f"Service {MARKUP}")
    typed = {"title": f"Title {MARKUP}", "client_summary": f"Summary {MARKUP}"}
    incident = declare(olga, services=list(Service.objects.all()), **typed)
    notify(incident, olga, "")
    with pytest.raises(ValidationError, match="is no placeholder"):
        notify(incident, olga, MARKUP)
    notify(incident, olga, "Message <blink onclick=x>%(client)s%s&lt; <!-- late note --> {title}")
    outbox.deliver(at("10:11"))
    slept_through = declare(olga, services=list(Service.objects.all()), **typed)
    cast.past_the_trail(Contact.objects, is_active=False)
    notices.raise_due(at("13:36"))  # an alarm, for the client cannot be told, and a warning
    outbox.deliver(at("13:36"))

    to_client = [mail for mail in relay.messages if mail.recipients == (OPS,)]
    to_olga = [mail for mail in relay.messages if mail.recipients == (OLGA,)]
    assert len(to_client) == 2
    assert len(to_olga) >= 2
    for mail in relay.messages:
        is_wellformed(mail)
        page = _Page(mail.html)
        assert f"Title {MARKUP}" in mail.text
        assert f"Title {MARKUP}" in page.seen
        assert "blink" not in page.tags
        assert "onclick" not in page.attributes
        assert page.comments == []
    for mail, said in zip(to_client, (f"Summary {MARKUP}", f"%s&lt; <!-- late note --> Title {MARKUP}"), strict=True):
        page = _Page(mail.html)
        for what in (f"Contact {MARKUP}", f"Client {MARKUP}", f"Service {MARKUP}", said):
            assert what in mail.text
            assert what in page.seen
        assert f"Title {MARKUP}" in mail.subject
        assert mail.message["To"].addresses[0].display_name == f"Contact {MARKUP}"
    for mail in to_olga:
        page = _Page(mail.html)
        for what in (f"{MARKUP} Petrova", f"Client {MARKUP}", SHORT):
            assert what in mail.text
            assert what in page.seen
    nothing_is_lost(at("13:36"), relay, [(incident.reference, OPS)] * 2 + [(slept_through.reference, OLGA)] * 2)


def test_the_place_of_the_late_note_cannot_be_typed(relay: SmtpSink, olga: User, northwind: ServiceAgreement) -> None:
    cast.past_the_trail(northwind.client.contacts, name="<!-- late note -->")
    incident = declare(olga, title="<!-- late note -->")
    notify(incident, olga, "<!-- late note -->")
    outbox.deliver(at("14:05"))
    (mail,) = relay.messages
    page = _Page(mail.html)
    late = "This message is late: it was due by 24 Nov 2026, 09:00 EST."
    assert (page.seen.count(late), page.seen.count("<!-- late note -->"), page.comments) == (1, 3, [])
    assert page.seen.index(late) > page.seen.index("We notify you"), "where it belongs"
    assert (mail.text.count(late), mail.text.count("<!-- late note -->")) == (1, 3)
    nothing_is_lost(at("14:05"), relay, [(incident.reference, OPS)])


def test_what_looks_like_an_encoded_word_is_read_as_it_was_typed(
    relay: SmtpSink, olga: User, northwind: ServiceAgreement
) -> None:
    """Else a title of plain letters could hide a line break, a reversal or another title from whoever checks it."""
    words = "=?utf-8?q?=0D=0ABcc:_all=40x.example?="
    cast.past_the_trail(northwind.client.contacts, name=words)
    incident = declare(olga, title=words)
    notify(incident, olga)
    mail = deliver(relay)[OPS]
    is_wellformed(mail)
    assert mail.subject.endswith(words)
    assert mail.message["To"].addresses[0].display_name == words
    nothing_is_lost(at("10:12"), relay, [(incident.reference, OPS)])
