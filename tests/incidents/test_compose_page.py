"""The pages on which people write to clients: they show what will be read and by whom, and lose nothing typed."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from agreements.models import Client, Contact, ServiceAgreement
from config.models import User
from incidents import lifecycle
from incidents.models import Incident, MessageTemplate, Notice
from incidents.models.notice import NoticeKind
from tests import cast
from tests.cast import browser_of
from tests.incidents.test_admin import HOUR, another_client, declared, page_of, shown, verb


@pytest.fixture
def incident(olga: User, northwind: ServiceAgreement, contoso: ServiceAgreement) -> Incident:
    """Northwind reads English, Contoso German."""
    cast.past_the_trail(Client.objects.filter(name="Contoso"), language="de")
    return declared(olga)


def pk(name: str) -> int:
    return Client.objects.get(name=name).pk


def typed(*clients: str, message: str = "We are on it.", **more: Any) -> dict[str, Any]:
    return {"clients": [pk(name) for name in clients], "message": message, **more}


def preview_in(response: Any) -> str:
    return shown(response).split('id="preview"', 1)[1].split("</section>", 1)[0]


def post(browser: Browser, incident: Incident, slug: str, form: dict[str, Any]) -> str:
    """What a press shows that sends nothing."""
    response = browser.post(verb(incident, slug), form)
    assert response.status_code == 200
    return shown(response)


# ── who will get it, and how they will read it ──────────────────────────────────────────────────────────────────────


def test_the_page_names_everybody_who_will_get_it_and_whoever_nobody_can_reach(
    browser: Browser, incident: Incident
) -> None:
    cast.past_the_trail(Contact.objects.filter(client__name="Northwind"), is_active=False)
    page = shown(browser.get(verb(incident, "notify")))
    for address in ("it@contoso.example", "duty@contoso.example"):
        assert f"Contoso Operations <{address}>" in page
    assert "ops@northwind.example" not in page
    assert "No contact gets mail" in page
    assert "reads Deutsch, times in Europe/Berlin" in page
    assert "reads English, times in America/New_York" in page


def test_the_preview_is_there_at_once_and_follows_the_client_whose_button_is_pressed(
    browser: Browser, incident: Incident
) -> None:
    first = browser.get(verb(incident, "notify"))
    assert "it@contoso.example" in preview_in(first)
    assert "Wir teilen Ihnen mit" in preview_in(first)
    form = typed("Northwind", "Contoso", preview=pk("Northwind"), shown=pk("Contoso"))
    second = browser.post(verb(incident, "notify"), form)
    assert "We notify you of an incident" in preview_in(second)
    assert "We are on it." in preview_in(second)
    assert "EST" in preview_in(second)
    kept = browser.post(verb(incident, "notify"), typed("Northwind", "Contoso", use="1", shown=pk("Northwind")))
    assert "We notify you of an incident" in preview_in(kept), "the client that was looked at stays in sight"
    only = browser.post(verb(incident, "notify"), typed("Contoso", preview=pk("Northwind")))
    assert "Wir teilen Ihnen mit" in preview_in(only), "one that is not chosen is not shown"
    assert "2 contacts of 1 client will be mailed" in shown(only)
    assert not Notice.objects.exists()


def test_a_preview_carries_no_link_that_could_acknowledge(browser: Browser, incident: Incident) -> None:
    for content in (
        shown(browser.get(verb(incident, "notify"))),
        shown(browser.post(f"{verb(incident, 'notify')}mail/", typed("Northwind"))),
    ):
        assert "/notice/…/" in content
        assert not re.search(r"/notice/[0-9a-f]{32}", content)


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        ("Dear {klient}", "Line 1: {klient} is no placeholder. Did you mean {client}?"),
        ("{{ client }}", "{{ client }} is no placeholder. Did you mean {client}?"),
        ("Until {next_update_at}", "{next_update_at} has no value for Northwind"),
        ("  ", "Write what the clients should know."),
    ],
)
def test_what_will_be_refused_is_said_before_it_is_sent_and_what_was_typed_stays(
    browser: Browser, incident: Incident, message: str, sentence: str
) -> None:
    page = browser.post(verb(incident, "update"), typed("Northwind", message=message, preview=pk("Northwind")))
    assert sentence in preview_in(page)
    sent = browser.post(verb(incident, "update"), typed("Northwind", message=message))
    form = sent.context["form"]
    assert "message" in form.errors
    if message.strip():
        assert sentence in " ".join(form.errors["message"])
    assert form["message"].value() == message
    assert not Notice.objects.exists()


def test_what_is_sent_is_what_was_previewed(browser: Browser, incident: Incident) -> None:
    form = typed("Northwind", message="\r\nFor {client}, {contact}: {title} \r\n")
    page = browser.post(verb(incident, "notify"), {**form, "preview": pk("Northwind")})
    mail = browser.post(f"{verb(incident, 'notify')}mail/", form).content.decode()
    assert browser.post(verb(incident, "notify"), form).status_code == 302
    notice = Notice.objects.get()
    assert "For Northwind, Northwind Operations: Object storage is down" in notice.text

    def apart_from_the_link(content: str) -> str:
        return re.sub(r"/notice/[^/]+/", "/notice/…/", content)

    assert apart_from_the_link(notice.text) == page.context["form"].shown.text
    shown_html = mail.replace('<head><base target="_blank">', "<head>")
    assert apart_from_the_link(notice.html).replace("<!-- late note -->", "") == shown_html


# ── the frame ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_mail_is_a_document_of_its_own_without_rights_and_shows_markup_as_typed(
    browser: Browser, incident: Incident
) -> None:
    address = f"{verb(incident, 'notify')}mail/"
    markup = "<script>alert(1)</script><img src=x>"
    response = browser.post(address, typed("Northwind", message=markup))
    assert response["Content-Security-Policy"].startswith("sandbox")
    assert response["X-Frame-Options"] == "SAMEORIGIN"
    assert markup not in response.content.decode()
    assert markup in shown(response)
    refused = browser.post(address, typed("Northwind", message="{<b>}"))
    assert "{<b>} is no placeholder" in shown(refused)
    assert "<b>" not in refused.content.decode()


def test_the_frame_answers_nobody_who_may_not_write_and_only_what_is_posted(
    browser: Browser, incident: Incident, aude: User
) -> None:
    for slug in ("notify", "update"):
        address = f"{verb(incident, slug)}mail/"
        assert browser_of(aude).post(address, typed("Northwind")).status_code == 403
        assert browser.get(address).status_code == 405
        assert browser.post(address, typed()).status_code == 404
        assert Browser().post(address, typed("Northwind")).status_code == 302
        strict = Browser(enforce_csrf_checks=True)
        strict.force_login(User.objects.get(username="olga"))
        assert strict.post(address, typed("Northwind")).status_code == 403
    gone = reverse("admin:incidents_incident_notify", args=[999_999])
    assert browser.post(f"{gone}mail/", typed("Northwind")).status_code == 404


# ── texts to start from ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def templates(db: None) -> dict[str, MessageTemplate]:
    made = [
        MessageTemplate.objects.create(name=name, kind=kind, language=language, text=text, is_active=is_active)
        for name, kind, language, text, is_active in (
            ("Investigating", "update", "en", "We look into {title}.", True),
            ("Fixed", "update", "de", "{title} ist behoben.", True),
            ("Old", "update", "en", "Old", False),
            ("First", "client_notice", "en", "First words.", True),
        )
    ]
    return {template.name: template for template in made}


def test_texts_are_offered_per_kind_one_group_per_language(
    browser: Browser, incident: Incident, templates: dict[str, MessageTemplate]
) -> None:
    form = browser.get(verb(incident, "update")).context["form"]
    assert form.fields["template"].choices == [
        ("", "Choose a text"),
        ("Deutsch", [(str(templates["Fixed"].pk), "Fixed")]),
        ("English", [(str(templates["Investigating"].pk), "Investigating")]),
    ]
    assert set(form.texts) == {str(templates["Fixed"].pk), str(templates["Investigating"].pk)}
    cast.past_the_trail(MessageTemplate.objects.all(), is_active=False)
    assert "Use this text" not in shown(browser.get(verb(incident, "update")))


def test_a_text_takes_the_place_of_another_and_stands_below_what_was_typed(
    browser: Browser, incident: Incident, templates: dict[str, MessageTemplate]
) -> None:
    def after(message: str, name: str) -> str:
        form = typed("Northwind", message=message, template=templates[name].pk, use="1")
        return str(browser.post(verb(incident, "update"), form).context["form"]["message"].value())

    assert after("", "Investigating") == "We look into {title}."
    assert after("We look into {title}.\r\n", "Fixed") == "{title} ist behoben."
    assert after("Rack 7 is off.\r\nTwo to go. ", "Fixed") == "Rack 7 is off.\nTwo to go.\n\n{title} ist behoben."
    assert after("kept", "First") == "kept", "a text of another kind is not offered here"
    assert after("kept", "Old") == "kept"
    assert not Notice.objects.exists()


def test_a_text_in_another_language_than_the_client_reads_is_pointed_out(
    browser: Browser, incident: Incident, templates: dict[str, MessageTemplate]
) -> None:
    form = typed("Northwind", "Contoso", template=templates["Fixed"].pk, use="1", message="")
    page = browser.post(verb(incident, "update"), {**form, "shown": pk("Northwind")})
    assert "Northwind reads English; the text that you started from is in Deutsch." in preview_in(page)
    assert "the text that you started from" not in preview_in(
        browser.post(verb(incident, "update"), {**form, "shown": pk("Contoso")})
    )


# ── the test mail ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_test_goes_to_oneself_and_the_page_stays_as_it_was_typed(browser: Browser, incident: Incident) -> None:
    form = typed("Northwind", "Contoso", message="Hello {contact}", test=pk("Contoso"))
    response = browser.post(verb(incident, "notify"), form)
    assert response.status_code == 200
    assert "A test is on its way to olga@due-notice.example. No client was told anything." in shown(response)
    assert response.context["form"]["message"].value() == "Hello {contact}"
    assert "Hello Contoso Operations" in preview_in(response)
    (test,) = Notice.objects.all()
    assert (test.kind, test.recipient_address) == (NoticeKind.TEST, "olga@due-notice.example")
    told = {row.client.name: row for row in browser.get(page_of(incident)).context["workspace"].told}
    assert not any(row.has_any for row in told.values())
    listed = shown(browser.get(reverse("admin:incidents_notice_changelist")))
    assert "Test mail" in listed
    assert browser.post(verb(incident, "notify"), typed("Contoso")).status_code == 302
    assert Notice.objects.filter(kind=NoticeKind.CLIENT_NOTICE).count() == 2


@pytest.mark.parametrize("client", ["0", "x", "Stranger"])
def test_a_test_of_a_client_that_is_not_affected_is_refused(browser: Browser, incident: Incident, client: str) -> None:
    stranger = Client.objects.create(name="Stranger", time_zone="UTC")
    wanted = str(stranger.pk) if client == "Stranger" else client
    page = post(browser, incident, "notify", typed("Northwind", test=wanted))
    assert "Choose whose mail to test." in page
    assert not Notice.objects.exists()


def test_somebody_without_an_address_is_told_so(browser: Browser, incident: Incident) -> None:
    cast.past_the_trail(User.objects.filter(username="olga"), email="")
    page = post(browser, incident, "notify", typed("Northwind", test=pk("Northwind")))
    assert "Your account has no mail address." in page
    assert not Notice.objects.exists()


# ── limits ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("message", "sentence"),
    [("x" * 5_001, "at most 5000 characters"), ("bell \x07", "Control characters are not allowed")],
)
def test_a_message_that_cannot_be_is_refused_on_its_field(
    browser: Browser, incident: Incident, message: str, sentence: str
) -> None:
    response = browser.post(verb(incident, "notify"), typed("Northwind", message=message))
    assert sentence in " ".join(response.context["form"].errors["message"])
    assert response.context["form"]["message"].value() == message
    assert not Notice.objects.exists()


def test_the_page_asks_as_many_queries_for_twenty_clients_as_for_two(browser: Browser, olga: User) -> None:
    def queries(incident: Incident) -> int:
        browser.get(verb(incident, "notify"))
        with CaptureQueriesContext(connection) as captured:
            assert browser.get(verb(incident, "notify")).status_code == 200
        return len(captured)

    for number in range(2):
        another_client(number)
    with_two = queries(declared(olga))
    for number in range(2, 20):
        another_client(number)
    assert queries(declared(olga)) == with_two
    assert with_two <= 30


def test_after_the_resolution_the_update_can_say_when_that_was(
    browser: Browser, incident: Incident, olga: User
) -> None:
    now = timezone.now()
    lifecycle.resolve(incident, by=olga, now=now, at=now - HOUR / 2)
    page = browser.post(
        verb(incident, "update"), typed("Northwind", message="Resolved on {resolved_at}.", preview=pk("Northwind"))
    )
    assert re.search(r"Resolved on \d+ \w+ \d{4}, \d\d:\d\d E[SD]T\.", preview_in(page))
