"""Writing to clients: each reads its own facts; a preview is what is sent; a test reaches no client."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from agreements.models import Client, Contact, Obligation, Service, ServiceAgreement
from config.models import User
from incidents import evidence, lifecycle, notices, outbox
from incidents.lifecycle import Refused
from incidents.models import Deadline, Incident, Notice, TimelineEntry
from incidents.models.notice import NoticeKind, NoticeState, Rank
from tests import cast
from tests.cast import at
from tests.services.smtp import SmtpSink

NOTICE, UPDATE = NoticeKind.CLIENT_NOTICE, NoticeKind.UPDATE


@pytest.fixture
def incident(olga: User, northwind: ServiceAgreement, contoso: ServiceAgreement) -> Incident:
    """Detected at 11:00 UTC. Northwind is owed an update every two hours and reads English, Contoso German."""
    cast.commit(northwind, Obligation.UPDATE, 2, "hours", is_recurring=True)
    cast.past_the_trail(Client.objects.filter(name="Contoso"), language="de")
    return declared(olga)


def declared(by: User, **changes: Any) -> Incident:
    told = {"title": "Object storage is down", "severity": "critical", "detected_at": at("11:00")}
    services = list(Service.objects.filter(name="Object storage"))
    return lifecycle.declare(by=by, now=at("11:10"), **{**told, "services": services, **changes})


def notify(incident: Incident, by: User, message: str, **options: Any) -> dict[str, Notice]:
    """The notices that are queued, by address."""
    lifecycle.notify_client(incident, by=by, now=at("12:00"), message=message, **options)
    return {notice.recipient_address: notice for notice in Notice.objects.filter(kind=NOTICE)}


def without_tokens(content: str) -> str:
    return re.sub(r"[0-9a-f]{32}\.[\w-]{43}", "…", content)


# ── placeholders ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_each_contact_reads_the_message_with_its_own_facts_in_its_zone_and_language(
    incident: Incident, olga: User
) -> None:
    message = "{contact} / {client}: {reference}, {title} ({severity}, {status}), {services}, {detected_at}."
    read = notify(incident, olga, message)
    facts = f"{incident.reference}, Object storage is down"
    for address, words in (
        (
            "ops@northwind.example",
            f"Northwind Operations / Northwind: {facts} (Critical, Declared), Object storage, 24 Nov 2026, 06:00 EST.",
        ),
        (
            "it@contoso.example",
            f"Contoso Operations / Contoso: {facts} (Kritisch, Eröffnet), Object storage, "
            "24. November 2026, 12:00 CET.",
        ),
    ):
        assert words in read[address].text
        assert words in read[address].html
    assert len(read) == 3


def test_what_a_placeholder_becomes_is_data(incident: Incident, olga: User) -> None:
    cast.past_the_trail(Incident.objects, title="{client} {contact} <b>{0}</b> {title!r}")
    read = notify(incident, olga, "It is this: {title}")["ops@northwind.example"]
    assert "It is this: {client} {contact} <b>{0}</b> {title!r}" in read.text
    assert "It is this: {client} {contact} &lt;b&gt;{0}&lt;/b&gt; {title!r}" in read.html
    assert "<b>" not in read.html


@pytest.mark.parametrize(
    "message", ["{titel}", "{client.__class__}", "{0}", "{title!r}", "{{ title }}", "{% x %}", "{"]
)
@pytest.mark.parametrize("tell", [lifecycle.notify_client, lifecycle.post_update])
def test_a_message_with_any_other_brace_is_refused_and_nothing_is_queued(
    incident: Incident, olga: User, message: str, tell: Any
) -> None:
    cast.lose(Contact.objects.filter(client__name="Contoso"))  # refused even where nobody could be mailed
    with pytest.raises(Refused) as refused:
        tell(incident, by=olga, now=at("12:00"), message=message)
    assert set(refused.value.message_dict) == {"message"}
    assert not Notice.objects.exists()


def test_a_brace_that_is_typed_twice_is_sent_once(incident: Incident, olga: User) -> None:
    notify(incident, olga, 'The answer is {{"error": 503}}.')
    for notice in Notice.objects.all():
        assert 'The answer is {"error": 503}.' in notice.text


def test_a_placeholder_that_has_no_value_for_one_of_the_clients_is_refused_naming_it(
    incident: Incident, olga: User
) -> None:
    with pytest.raises(Refused, match=r"\{next_update_at\} has no value for Contoso: no further update is due"):
        notify(incident, olga, "Next update by {next_update_at}.")
    with pytest.raises(Refused, match=r"\{resolved_at\} has no value for Contoso: it is not resolved"):
        notify(incident, olga, "Resolved on {resolved_at}.")
    assert not Notice.objects.exists()
    told = notify(incident, olga, "Next update by {next_update_at}.", clients=[Client.objects.get(name="Northwind")])
    assert "Next update by 24 Nov 2026, 08:00 EST." in told["ops@northwind.example"].text


def test_an_update_promises_the_next_one_when_it_will_be_owed(
    relay: SmtpSink, incident: Incident, olga: User, northwind: ServiceAgreement
) -> None:
    lifecycle.post_update(
        incident, by=olga, now=at("12:30"), message="Until {next_update_at}.", clients=[northwind.client]
    )
    assert "Until 24 Nov 2026, 09:30 EST." in Notice.objects.get().text
    outbox.deliver(at("12:30"))
    following = Deadline.objects.open().get(client=northwind.client, obligation=Obligation.UPDATE)
    assert following.due_at is not None
    assert following.due_at - at("14:30") < dt.timedelta(seconds=10)
    lifecycle.resolve(incident, by=olga, now=at("13:00"))
    with pytest.raises(Refused, match="no further update is due"):
        lifecycle.post_update(
            incident, by=olga, now=at("13:01"), message="Until {next_update_at}.", clients=[northwind.client]
        )


def test_a_notice_says_by_when_it_was_due(incident: Incident, olga: User, northwind: ServiceAgreement) -> None:
    told = notify(incident, olga, "Owed by {due_at}.", clients=[northwind.client])
    assert "Owed by 24 Nov 2026, 10:00 EST." in told["ops@northwind.example"].text


def test_the_timeline_keeps_the_words_that_each_client_was_sent(incident: Incident, olga: User) -> None:
    before = TimelineEntry.objects.count()
    notify(incident, olga, "We are on it.")
    assert TimelineEntry.objects.count() == before + 1
    assert TimelineEntry.objects.first().text == "Client notice to Contoso, Northwind: We are on it."  # type: ignore[union-attr]
    notify(incident, olga, "{client}: we are on it.")
    said = set(TimelineEntry.objects.values_list("text", flat=True))
    assert {
        "Client notice to Contoso: Contoso: we are on it.",
        "Client notice to Northwind: Northwind: we are on it.",
    } <= said


def test_a_message_as_long_as_may_be_is_sent_whole_whatever_its_placeholders_become(
    incident: Incident, olga: User
) -> None:
    cast.past_the_trail(Incident.objects, title="x" * 200)
    message = "{title}" * 700 + "y" * 100  # 5,000 characters
    read = notify(incident, olga, message)
    assert "x" * 200 * 700 + "y" * 100 in read["ops@northwind.example"].text
    entry = TimelineEntry.objects.first()
    assert entry is not None
    assert len(entry.text) == 5_000
    assert entry.text.endswith("…")


# ── the preview ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("minutes_late", [0, 600])
@pytest.mark.parametrize("message", ["", "We are on it, {contact}: <b>{title}</b>"])
def test_a_preview_is_what_is_sent_byte_for_byte_and_writes_nothing(
    incident: Incident, olga: User, message: str, minutes_late: int
) -> None:
    now = at("12:00") + dt.timedelta(minutes=minutes_late)
    clients = list(Client.objects.order_by("name"))
    drafts = lifecycle.draft(incident, NOTICE, clients, now=now, message=message)
    assert not Notice.objects.exists()
    lifecycle.notify_client(incident, by=olga, now=now, message=message, clients=clients)
    drafted = {row.recipient_address: row for each in drafts for row in each.rows}
    assert len(drafted) == 3
    apart = {"id", "message_id", "cause", "text", "html"}
    for sent in Notice.objects.all():
        shown = drafted[sent.recipient_address]
        for field in Notice._meta.concrete_fields:
            if field.name not in apart:
                assert getattr(shown, field.attname) == getattr(sent, field.attname), field.name
        assert without_tokens(shown.text) == without_tokens(sent.text)
        assert without_tokens(shown.html) == without_tokens(sent.html)


# ── the test mail ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_test_goes_to_whoever_asks_marked_as_one_and_counts_for_nobody(
    relay: SmtpSink, incident: Incident, olga: User
) -> None:
    contoso = Client.objects.get(name="Contoso")
    owed = list(Deadline.objects.order_by("pk").values_list("pk", "met_at", "ended_at"))
    said = TimelineEntry.objects.count()
    lifecycle.send_test(incident, NOTICE, contoso, by=olga, now=at("12:00"), message="Hello {contact}")
    outbox.deliver(at("12:00"))
    (mail,) = relay.messages
    assert mail.recipients == ("olga@due-notice.example",)
    assert mail.subject == f"[Test] [{incident.reference}] Vorfall, Schweregrad „Kritisch“: Object storage is down"
    mark = "Test, sent to you alone. This is what Contoso Operations of Contoso would read:"
    assert mail.text.startswith(mark)
    assert mail.html.index(mark) < mail.html.index("Contoso Operations:")
    for content in (mail.text, mail.html):
        assert "Hello Contoso Operations" in content
        assert not re.search(r"/notice/[0-9a-f]{32}", content), "no link that could acknowledge"
        assert "24. November 2026, 12:00 CET" in content
    assert list(Deadline.objects.order_by("pk").values_list("pk", "met_at", "ended_at")) == owed
    assert TimelineEntry.objects.count() == said
    facts = evidence.evidence_of(incident, contoso, now=at("12:05"))
    assert facts.notices == ()
    row = Notice.objects.get()
    assert (row.state, row.kind, row.rank) == (NoticeState.SENT, NoticeKind.TEST, Rank.TEST)
    version = row.history.last()
    assert (version.actor_name, version.history_change_reason) == (
        "Olga Petrova (olga)",
        "Test of a message to Contoso.",
    )
    notify(incident, olga, "Hello", clients=[contoso])
    assert Notice.objects.filter(kind=NOTICE).values_list("moment", flat=True)[0] == "client_notice-1"


def test_a_test_goes_after_everything_else_that_waits(incident: Incident, olga: User) -> None:
    northwind = Client.objects.get(name="Northwind")
    test = lifecycle.send_test(incident, UPDATE, northwind, by=olga, now=at("11:20"), message="x")
    notify(incident, olga, "x")
    notices.raise_due(at("14:59"))
    ready = list(Notice.objects.ready(at("15:00")))
    assert len(ready) > 3
    assert ready[-1] == test


def test_a_test_of_a_late_notice_shows_that_it_would_say_so(incident: Incident, olga: User) -> None:
    northwind = Client.objects.get(name="Northwind")
    test = lifecycle.send_test(incident, NOTICE, northwind, by=olga, now=at("20:00"), message="x")
    for content in (test.text, test.html):
        assert "This message is late: it was due by 24 Nov 2026, 10:00 EST." in content
    assert not test.is_marked_late


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda: cast.past_the_trail(User.objects, email=""), "Your account has no mail address."),
        (lambda: cast.lose(Contact.objects.all()), "Northwind has no contact that can be mailed."),
        (
            lambda: cast.past_the_trail(Client.objects.filter(name="Northwind"), is_active=False),
            "has no contact that can be mailed",
        ),
    ],
)
def test_a_test_that_cannot_be_is_refused(incident: Incident, olga: User, change: Any, sentence: str) -> None:
    northwind = Client.objects.get(name="Northwind")
    change()
    olga.refresh_from_db()
    with pytest.raises(ValidationError, match=sentence):
        lifecycle.send_test(incident, NOTICE, northwind, by=olga, now=at("12:00"), message="x")
    assert not Notice.objects.exists()


def test_a_test_of_what_would_be_refused_is_refused(incident: Incident, olga: User) -> None:
    northwind = Client.objects.get(name="Northwind")
    for kind, message in ((UPDATE, " "), (NOTICE, "{titel}"), (NOTICE, "{resolved_at}")):
        with pytest.raises(Refused):
            lifecycle.send_test(incident, kind, northwind, by=olga, now=at("12:00"), message=message)
    assert not Notice.objects.exists()


@pytest.mark.parametrize("owner", ["contact", "client", "deadline", "nobody"])
def test_the_database_itself_refuses_a_test_that_is_for_a_client(incident: Incident, olga: User, owner: str) -> None:
    northwind = Client.objects.get(name="Northwind")
    test = lifecycle.send_test(incident, NOTICE, northwind, by=olga, now=at("12:00"), message="x")
    changes: dict[str, dict[str, Any]] = {
        "contact": {"contact": Contact.objects.first()},
        "client": {"client": northwind},
        "deadline": {"deadline": Deadline.objects.first()},
        "nobody": {"user": None},
    }
    with pytest.raises(IntegrityError), transaction.atomic():
        cast.past_the_trail(Notice.objects.filter(pk=test.pk), **changes[owner])


def test_a_name_that_would_break_a_header_breaks_no_test(relay: SmtpSink, incident: Incident, olga: User) -> None:
    cast.past_the_trail(Incident.objects, title="Down\r\nBcc: eve@example.com")
    cast.past_the_trail(Client.objects.filter(language="en"), name="North\r\nwind")
    lifecycle.send_test(
        incident, NOTICE, Client.objects.get(language="en"), by=olga, now=at("12:00"), message="{title}"
    )
    outbox.deliver(at("12:00"))
    (mail,) = relay.messages
    assert mail.recipients == ("olga@due-notice.example",)
    assert "Bcc" not in mail.message
    assert mail.subject.endswith("Critical incident: Down Bcc: eve@example.com")
