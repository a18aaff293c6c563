"""An operator's whole story through the pages of the admin, and what those pages refuse."""

from __future__ import annotations

import datetime as dt
import html
from typing import Any

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from agreements.models import Client, Contact, Obligation, Service, ServiceAgreement
from config.models import User
from incidents import lifecycle, notices
from incidents.admin.workspace import SHOWN_CLIENTS, SHOWN_NOTICES
from incidents.models import Deadline, DeliveryAttempt, Incident, Notice, TimelineEntry
from incidents.models.notice import DeliveryPhase, NoticeState, Outcome
from tests import cast
from tests.cast import browser_of

MARKUP = "<script>alert(1)</script>"
HOUR = dt.timedelta(hours=1)


def declared(by: User, **changes: Any) -> Incident:
    now = timezone.now()
    told = {
        "title": "Object storage is down",
        "severity": "critical",
        "services": list(Service.objects.all()),
        "detected_at": now - HOUR,
    }
    return lifecycle.declare(by=by, now=now, **{**told, **changes})


def verb(incident: Incident, slug: str) -> str:
    return reverse(f"admin:incidents_incident_{slug}", args=[incident.pk])


def page_of(incident: Incident) -> str:
    return reverse("admin:incidents_incident_change", args=[incident.pk])


def typed(instant: dt.datetime) -> str:
    """As a browser sends it, in UTC, which is Olga's zone."""
    return instant.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M")


def shown(response: Any) -> str:
    return html.unescape(response.content.decode())


def declaration(**changes: Any) -> dict[str, Any]:
    return {
        "title": "Object storage is down",
        "severity": "critical",
        "category": "outage",
        "services": [service.pk for service in Service.objects.all()],
        "detected_at": typed(timezone.now() - HOUR),
        **changes,
    }


# ── the story ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_declared_incident_shows_its_agreements_and_the_deadlines_that_started(
    browser: Browser, northwind: ServiceAgreement, contoso: ServiceAgreement
) -> None:
    summary = "Uploads fail; downloads work."
    response = browser.post(reverse("admin:incidents_incident_add"), declaration(client_summary=summary), follow=True)
    incident = Incident.objects.get()
    assert response.redirect_chain == [(page_of(incident), 302)]
    text = shown(response)
    for expected in (
        incident.reference,
        "Object storage is down",
        "Critical",
        "Declared",
        "NW-2025-03",
        "CT-2024-11",
        "Northwind",
        "Contoso",
        summary,
        "within 4 hours of detection",
        "within 3 business hours of detection",
        "as quickly as possible",
        "covers Object storage",
        "Olga Petrova",
        "Commander",
    ):
        assert expected in text, expected
    for deadline in Deadline.objects.filter(due_at__isnull=False):
        assert deadline.due_at is not None
        assert f"{deadline.due_at:%H:%M} UTC" in text
    assert "EST" in text or "EDT" in text  # Northwind's own clock
    assert incident.history.first().actor_name == "Olga Petrova (olga)"


def test_the_page_says_what_goes_out_if_nobody_acts(browser: Browser, northwind: ServiceAgreement, olga: User) -> None:
    text = shown(browser.get(page_of(declared(olga))))
    assert "What goes out next if nobody acts" in text
    assert "Holding notice" in text
    assert "to Northwind Operations" in text
    assert "“Overdue”" in text


def test_a_client_whom_nobody_can_mail_is_named_as_such(
    browser: Browser, northwind: ServiceAgreement, olga: User
) -> None:
    cast.lose(Contact.objects.all())
    incident = declared(olga)
    assert "operators, because nobody at Northwind can be mailed" in shown(browser.get(page_of(incident)))
    assert "nobody there can be mailed" in shown(browser.get(verb(incident, "notify")))
    response = browser.post(verb(incident, "notify"), {"clients": [northwind.client.pk]}, follow=True)
    assert "Nobody could be mailed." in shown(response)


def test_each_verb_has_its_button_only_while_it_is_lawful(
    browser: Browser, northwind: ServiceAgreement, olga: User
) -> None:
    incident, now = declared(olga), timezone.now()

    def offered() -> set[str]:
        return {button.slug for button in browser.get(page_of(incident)).context["buttons"]}

    always = {"note", "correct-times", "exclude-agreement"}
    tell = {"notify", "update"}
    working = {"mitigate", "resolve", "reclassify", "assign"}
    assert offered() == always | tell | working | {"acknowledge", "tell"}
    lifecycle.acknowledge(incident, by=olga, now=now)
    assert offered() == always | tell | working | {"tell"}
    lifecycle.mitigate(incident, by=olga, now=now)
    assert offered() == always | tell | (working - {"mitigate"}) | {"tell"}
    lifecycle.resolve(incident, by=olga, now=now)
    assert offered() == always | tell | {"tell", "reopen", "close", "open-review"}
    lifecycle.record_told(incident, northwind.client, by=olga, now=now, evidence="Called Ms Reyes")
    lifecycle.close(incident, by=olga, now=now)
    assert offered() == always | {"reopen", "open-review"}


def test_an_incident_is_led_from_declaration_to_its_review_and_each_step_is_in_the_history(
    browser: Browser, northwind: ServiceAgreement, olga: User
) -> None:
    incident = declared(olga)
    client = northwind.client

    def do(slug: str, **form: Any) -> str:
        response = browser.post(verb(incident, slug), form, follow=True)
        assert response.redirect_chain, shown(response)
        incident.refresh_from_db()
        return shown(response)

    do("acknowledge", reason="On it")
    assert incident.status == "acknowledged"
    assert "1 mail is in the outbox." in do("notify", clients=[client.pk], message="We are on it.")
    assert "1 mail is in the outbox." in do("update", clients=[client.pk], message="Half of it works.")
    assert {notice.kind for notice in Notice.objects.all()} == {"client_notice", "update"}
    do("note", text="Failover started", is_client_visible="on")
    do("assign", user=olga.pk, role="communications")
    do("tell", client=client.pk, obligation="notify", evidence="Called +1 555 0100, Ms Reyes")
    assert Deadline.objects.get(obligation=Obligation.NOTIFY).met_at is not None
    do("reclassify", severity="high", reason="Half of it works")
    do("reclassify", severity="critical", reason="It does not")
    do("mitigate", reason="Traffic moved")
    do("resolve", reason="Fixed")
    do("reopen", reason="It came back")
    do("resolve", reason="Fixed for good")
    do("close", reason="Nothing more to do")
    assert incident.status == "closed"
    assert "The review is open." in do("open-review", reason="We want to learn")
    kept = incident.history.values_list("history_change_reason", flat=True)
    assert {"On it", "Half of it works", "Traffic moved", "It came back", "Fixed for good"} <= set(kept)
    assert set(incident.history.values_list("actor_name", flat=True)) == {"Olga Petrova (olga)"}
    assert "Review" in {str(words) for words, _url in browser.get(page_of(incident)).context["workspace"].follow_ups}


def test_words_are_edited_on_the_page_with_a_reason_and_instants_are_not(
    browser: Browser, northwind: ServiceAgreement, olga: User
) -> None:
    incident = declared(olga)
    words = {"title": "Uploads fail", "category": "degradation", "client_summary": "", "description": ""}
    refused = browser.post(page_of(incident), {**words, "severity": "low", "status": "closed"})
    assert refused.status_code == 200
    assert "Say why this is changed" in shown(refused)
    assert "Uploads fail" in shown(refused)
    assert "Where it stands" in shown(refused)  # the workspace stays in sight
    browser.post(page_of(incident), {**words, "severity": "low", "status": "closed", "reason": "More exact"})
    incident.refresh_from_db()
    assert (incident.title, incident.category) == ("Uploads fail", "degradation")
    assert (incident.severity, incident.status) == ("critical", "declared")
    assert incident.history.first().history_change_reason == "More exact"


def test_corrected_times_move_the_deadlines_and_what_is_left_alone_stays(
    browser: Browser, northwind: ServiceAgreement, olga: User
) -> None:
    incident = declared(olga)
    before = Deadline.objects.get(obligation=Obligation.NOTIFY).due_at
    form = browser.get(verb(incident, "correct-times")).context["form"]
    earlier = incident.detected_at - 2 * HOUR
    sent = {
        "detected_at": typed(earlier),
        "aware_at": form["aware_at"].value().strftime("%Y-%m-%dT%H:%M:%S"),
        "reason": "The probe saw it first",
    }
    assert browser.post(verb(incident, "correct-times"), sent).status_code == 302
    incident.refresh_from_db()
    assert incident.detected_at == earlier.replace(second=0, microsecond=0)
    after = Deadline.objects.get(obligation=Obligation.NOTIFY).due_at
    assert before is not None
    assert after is not None
    assert after < before


def test_told_so_far_shows_the_state_and_the_servers_answer(
    browser: Browser, northwind: ServiceAgreement, contoso: ServiceAgreement, olga: User
) -> None:
    incident = declared(olga)
    lifecycle.notify_client(incident, by=olga, now=timezone.now(), clients=[northwind.client])
    notice = Notice.objects.get()
    notice.state, notice.accepted_at, notice.server_answer = NoticeState.SENT, timezone.now(), "250 2.0.0 queued as 7"
    notice.save()
    told = {row.client.name: row.notices for row in browser.get(page_of(incident)).context["workspace"].told}
    assert len(told["Northwind"]) == 1
    assert told["Contoso"] == []
    text = shown(browser.get(page_of(incident)))
    assert "250 2.0.0 queued as 7" in text
    assert "Nothing yet." in text


def test_a_client_who_was_told_is_never_said_to_have_been_told_nothing(
    browser: Browser, northwind: ServiceAgreement, contoso: ServiceAgreement, olga: User
) -> None:
    """However many newer notices there are to others and to colleagues."""
    incident = declared(olga)
    lifecycle.notify_client(incident, by=olga, now=timezone.now(), clients=[northwind.client])
    for number in range(SHOWN_NOTICES // 2 + 1):
        lifecycle.post_update(incident, by=olga, now=timezone.now(), message=f"Step {number}", clients=[contoso.client])
    told = {row.client.name: row for row in browser.get(page_of(incident)).context["workspace"].told}
    assert (told["Northwind"].has_any, told["Northwind"].notices) == (True, [])
    assert "Nothing yet." not in shown(browser.get(page_of(incident)))


def test_of_many_clients_those_come_first_whom_nothing_has_reached_and_the_rest_are_in_the_list(
    browser: Browser, olga: User
) -> None:
    for number in range(SHOWN_CLIENTS + 2):
        another_client(number)
    incident = declared(olga)
    lifecycle.notify_client(incident, by=olga, now=timezone.now(), clients=Client.objects.order_by("pk")[:3])
    stuck, *_others = Notice.objects.order_by("pk")
    stuck.state, stuck.state_reason = NoticeState.FAILED, "No such mailbox"
    stuck.save()
    page = browser.get(page_of(incident))
    workspace = page.context["workspace"]
    assert len(workspace.told_first) == SHOWN_CLIENTS
    assert workspace.told_first[0].client == stuck.client
    assert [row.has_any for row in workspace.told_first[1:]] == [False] * (SHOWN_CLIENTS - 1)
    assert [row.client.name for row in workspace.told_besides] == ["Client 1", "Client 2"]
    told = shown(page).split('id="told-heading"', 1)[1].split("</section>", 1)[0]
    assert "and 2 more clients" in told
    assert "Evidence for Client 2" in told
    assert told.count(workspace.notices_url) == 2


def test_the_notice_form_chooses_who_is_waiting_and_says_how_many_will_be_mailed(
    browser: Browser, northwind: ServiceAgreement, contoso: ServiceAgreement, olga: User
) -> None:
    incident = declared(olga)
    text = shown(browser.get(verb(incident, "notify")))
    assert "3 contacts of 2 clients will be mailed" in text
    lifecycle.record_told(incident, contoso.client, by=olga, now=timezone.now(), evidence="Called Herr Vogel")
    assert "1 contact of 1 client will be mailed" in shown(browser.get(verb(incident, "notify")))
    from_the_board = browser.get(verb(incident, "notify"), {"clients": contoso.client.pk})
    assert "2 contacts of 1 client will be mailed" in shown(from_the_board)


def test_an_incident_under_no_agreement_says_so_everywhere(browser: Browser, olga: User) -> None:
    cast.service("Forgotten thing")
    incident = declared(olga, services=[cast.service("Forgotten thing")])
    assert "No deadline runs" in shown(browser.get(page_of(incident)))
    refused = browser.post(verb(incident, "notify"), {})
    assert "falls under no agreement" in shown(refused)


# ── refusals ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("title", "x" * 10_000, "at most 200 characters"),
        ("title", "Down\r\nBcc: eve@example.com", "Write it on one line"),
        ("title", "", "This field is required"),
        ("severity", "apocalyptic", "is not one of the available choices"),
        ("services", [], "Choose at least one affected service"),
        ("services", ["999999"], "is not one of the available choices"),
        ("detected_at", "0001-01-01T00:00", "before the year 1900"),
        ("detected_at", "1999-12-31T00:00", "before the year 2000"),
        ("detected_at", "9999-12-31T23:59", "after the year 2999"),
        ("detected_at", "2999-01-01T00:00", "lies in the future"),
        ("detected_at", "yesterday", "Enter a valid date/time"),
        ("occurred_at", "2999-01-01T00:00", "lies in the future"),
        ("client_summary", "x" * 5_001, "at most 5000 characters"),
        ("client_summary", "bell \x07", "Control characters are not allowed"),
    ],
)
def test_a_declaration_that_cannot_be_is_refused_on_its_field_and_keeps_what_was_typed(
    browser: Browser, northwind: ServiceAgreement, field: str, value: Any, sentence: str
) -> None:
    response = browser.post(
        reverse("admin:incidents_incident_add"), declaration(**{field: value, "description": "kept"})
    )
    assert response.status_code == 200
    form = response.context["form"]
    assert sentence in " ".join(form.errors[field])
    assert "kept" in shown(response)
    assert form[field].value() == value
    assert not Incident.objects.exists()


def test_markup_is_shown_as_it_was_typed_and_never_as_markup(
    browser: Browser, northwind: ServiceAgreement, olga: User
) -> None:
    cast.past_the_trail(Client.objects, name=f"Northwind {MARKUP}"[:120])
    incident = declared(olga, title=MARKUP, client_summary=MARKUP, description=MARKUP)
    lifecycle.note(incident, MARKUP, by=olga, now=timezone.now())
    lifecycle.notify_client(incident, by=olga, now=timezone.now(), message=MARKUP)
    lifecycle.reclassify(incident, "high", by=olga, now=timezone.now(), reason=MARKUP)
    declared(olga, title=MARKUP)  # for the board: of the first one nothing is owed any more
    notice, deadline = Notice.objects.first(), Deadline.objects.first()
    assert notice is not None
    assert deadline is not None
    for address in (
        page_of(incident),
        verb(incident, "notify"),
        reverse("admin:index"),
        reverse("admin:incidents_incident_changelist"),
        reverse("admin:incidents_incident_history", args=[incident.pk]),
        reverse("admin:incidents_deadline_changelist"),
        reverse("admin:incidents_deadline_change", args=[deadline.pk]),
        reverse("admin:incidents_notice_change", args=[notice.pk]),
        reverse("admin:incidents_notice_changelist"),
    ):
        page = browser.get(address).content.decode()
        assert MARKUP not in page, address
        assert "alert(1)" in page, address


@pytest.mark.parametrize("slug", ["acknowledge", "mitigate", "resolve"])
@pytest.mark.parametrize(
    ("at", "sentence"),
    [("2999-01-01T00:00", "lies in the future"), ("2001-01-01T00:00", "before the incident was detected")],
)
def test_a_step_at_an_impossible_time_is_refused_on_that_field(
    browser: Browser, northwind: ServiceAgreement, olga: User, slug: str, at: str, sentence: str
) -> None:
    incident = declared(olga)
    response = browser.post(verb(incident, slug), {"at": at, "reason": "kept"})
    assert sentence in " ".join(response.context["form"].errors["at"])
    assert 'value="kept"' in shown(response)
    incident.refresh_from_db()
    assert incident.status == "declared"


def test_a_step_that_a_colleague_took_first_is_refused_with_a_sentence(
    browser: Browser, northwind: ServiceAgreement, olga: User
) -> None:
    incident = declared(olga)
    assert browser.get(verb(incident, "acknowledge")).status_code == 200
    lifecycle.acknowledge(incident, by=olga, now=timezone.now())
    late = browser.post(verb(incident, "acknowledge"), {"reason": "kept"})
    assert "is already acknowledged" in shown(late)
    assert 'value="kept"' in shown(late)
    again = browser.get(verb(incident, "acknowledge"), follow=True)
    assert "“Acknowledge” is not possible now." in shown(again)


@pytest.mark.parametrize(
    ("slug", "form", "field"),
    [
        ("update", {"message": "  "}, "message"),
        ("reclassify", {"severity": "high", "reason": ""}, "reason"),
        ("reclassify", {"severity": "critical", "reason": "why not"}, "severity"),
        ("tell", {"obligation": "notify", "evidence": ""}, "evidence"),
        ("tell", {"obligation": "resolve", "evidence": "x"}, "obligation"),
        ("note", {"text": ""}, "text"),
        ("note", {"text": "x" * 5_001}, "text"),
        ("correct-times", {"detected_at": "2999-01-01T00:00", "reason": "x"}, "detected_at"),
        ("assign", {"user": 999_999, "role": "expert"}, "user"),
    ],
)
def test_a_verb_refuses_on_the_field_that_is_wrong(
    browser: Browser, northwind: ServiceAgreement, olga: User, slug: str, form: dict[str, Any], field: str
) -> None:
    incident = declared(olga)
    response = browser.post(verb(incident, slug), {"client": northwind.client.pk, **form})
    assert response.status_code == 200
    assert field in response.context["form"].errors


def test_a_client_that_is_not_affected_cannot_be_told(
    browser: Browser, northwind: ServiceAgreement, olga: User
) -> None:
    incident = declared(olga)
    stranger = cast.client("Stranger", "UTC", "x@stranger.example")
    response = browser.post(verb(incident, "notify"), {"clients": [stranger.pk]})
    assert "clients" in response.context["form"].errors
    assert not Notice.objects.exists()


def test_closing_while_a_client_waits_for_its_notice_is_refused(
    browser: Browser, northwind: ServiceAgreement, olga: User
) -> None:
    incident = declared(olga)
    lifecycle.resolve(incident, by=olga, now=timezone.now())
    assert "Not yet notified: Northwind" in shown(browser.post(verb(incident, "close"), {}))


# ── deadlines and notices ───────────────────────────────────────────────────────────────────────────────────────────


def listed(browser: Browser, model: str, **params: Any) -> list[Any]:
    response = browser.get(reverse(f"admin:incidents_{model}_changelist"), params)
    assert response.status_code == 200
    return list(response.context["cl"].result_list)


def test_deadlines_are_filtered_by_client_severity_obligation_standing_and_due_day(
    browser: Browser, northwind: ServiceAgreement, contoso: ServiceAgreement, olga: User
) -> None:
    incident = declared(olga, detected_at=timezone.now() - 5 * HOUR)  # Northwind's 4 hours are over
    lifecycle.acknowledge(incident, by=olga, now=timezone.now())
    everything = listed(browser, "deadline")
    assert len(everything) == Deadline.objects.count()
    of_contoso = listed(browser, "deadline", client=contoso.client.pk)
    assert {deadline.client for deadline in of_contoso} == {contoso.client}
    assert {d.obligation for d in listed(browser, "deadline", obligation="notify")} == {"notify"}
    assert listed(browser, "deadline", severity="low") == []
    missed = listed(browser, "deadline", standing="missed")
    assert {(d.client.name, d.obligation) for d in missed} >= {("Northwind", "notify")}
    assert all(d.standing(timezone.now()) == "missed" for d in missed)
    today = timezone.now().date()
    assert listed(browser, "deadline", due_until=today - dt.timedelta(days=2)) == []
    assert listed(browser, "deadline", due_from=today + dt.timedelta(days=400)) == []
    assert listed(browser, "deadline", due_from=today - dt.timedelta(days=2), obligation="notify")


def test_notices_are_filtered_by_state_kind_client_incident_and_day(
    browser: Browser, northwind: ServiceAgreement, contoso: ServiceAgreement, olga: User
) -> None:
    incident = declared(olga)
    lifecycle.notify_client(incident, by=olga, now=timezone.now())
    stuck = Notice.objects.filter(client=northwind.client).get()
    stuck.state = NoticeState.REVIEW
    stuck.save()
    assert len(listed(browser, "notice")) == 3
    assert listed(browser, "notice", state="stuck") == [stuck]
    assert listed(browser, "notice", state="review") == [stuck]
    assert len(listed(browser, "notice", state="pending", client=contoso.client.pk)) == 2
    assert len(listed(browser, "notice", kind="client_notice")) == 3
    assert listed(browser, "notice", kind="alarm") == []
    assert len(listed(browser, "notice", incident=incident.reference.lower())) == 3
    assert listed(browser, "notice", incident="INC-1999-0001") == []
    assert listed(browser, "notice", made_until=timezone.now().date() - dt.timedelta(days=1)) == []


def test_incidents_are_found_by_reference_and_title_and_filtered(
    browser: Browser, northwind: ServiceAgreement, olga: User
) -> None:
    storage, payments = declared(olga), declared(olga, title="Payments are slow", severity="low")
    lifecycle.resolve(payments, by=olga, now=timezone.now())
    assert listed(browser, "incident", q=storage.reference) == [storage]
    assert listed(browser, "incident", q="payments") == [payments]
    assert listed(browser, "incident", status="open") == [storage]
    assert listed(browser, "incident", status="resolved") == [payments]
    assert listed(browser, "incident", severity="low") == [payments]
    text = shown(browser.get(reverse("admin:incidents_incident_changelist")))
    due_at = Deadline.objects.get(obligation=Obligation.NOTIFY, incident=storage).due_at
    assert due_at is not None
    assert f"{due_at:%H:%M} UTC" in text
    assert "Northwind" in text


def test_a_notice_shows_its_message_its_frame_without_rights_and_every_try(
    browser: Browser, northwind: ServiceAgreement, olga: User
) -> None:
    incident = declared(olga)
    lifecycle.notify_client(incident, by=olga, now=timezone.now(), message="We are on it.")
    notice = Notice.objects.get()
    DeliveryAttempt.objects.create(
        notice=notice,
        at=timezone.now(),
        worker="here:1",
        outcome=Outcome.REFUSED_FOR_NOW,
        phase=DeliveryPhase.RECIPIENT,
        code=451,
        answer="4.7.1 Greylisted",
    )
    response = browser.get(reverse("admin:incidents_notice_change", args=[notice.pk]))
    text = shown(response)
    for expected in (notice.message_id, notice.subject, "ops@northwind.example", "We are on it.", "451", "Greylisted"):
        assert expected in text, expected
    mail_url = reverse("admin:incidents_notice_mail", args=[notice.pk])
    assert f'<iframe class="mail" sandbox="" title="The message as a mail program shows it" src="{mail_url}"' in (
        response.content.decode()
    )
    assert "Refused for now" in text


def test_a_stuck_notice_is_sent_again_with_a_reason_and_any_other_is_not(
    browser: Browser, northwind: ServiceAgreement, olga: User
) -> None:
    lifecycle.notify_client(declared(olga), by=olga, now=timezone.now())
    notice = Notice.objects.get()
    again = reverse("admin:incidents_notice_send-again", args=[notice.pk])
    assert "“Send again” is not possible now." in shown(browser.get(again, follow=True))
    late = browser.post(again, {"reason": "They fixed their mailbox"}, follow=True)
    assert "Nothing was done" in shown(late)
    notice.state = NoticeState.FAILED
    notice.save()
    assert "reason" in browser.post(again, {"reason": ""}).context["form"].errors
    browser.post(again, {"reason": "They fixed their mailbox"})
    notice.refresh_from_db()
    assert notice.state == NoticeState.PENDING
    assert notice.history.first().history_change_reason == "They fixed their mailbox"


# ── speed ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def queries(browser: Browser, address: str) -> int:
    browser.get(address)  # what is read once per process
    with CaptureQueriesContext(connection) as captured:
        assert browser.get(address).status_code == 200
    return len(captured)


def another_client(number: int) -> ServiceAgreement:
    calendar = cast.always_open(f"Round the clock {number}")
    client = cast.client(f"Client {number}", "Asia/Tokyo", f"ops@client{number}.example")
    made = cast.agreement(f"AG-{number}", client, calendar, cast.service("Object storage"))
    cast.warn(cast.commit(made, Obligation.NOTIFY, number + 1), 50)
    return made


def test_the_incident_page_asks_as_many_queries_for_twenty_clients_as_for_two(browser: Browser, olga: User) -> None:
    def full_incident() -> Incident:
        incident = declared(olga, services=[cast.service("Object storage")])
        lifecycle.notify_client(incident, by=olga, now=timezone.now())
        notices.raise_due(timezone.now() + 2 * HOUR)
        for number in range(Client.objects.count()):
            lifecycle.note(incident, f"Step {number}", by=olga, now=timezone.now())
        return incident

    for number in range(2):
        another_client(number)
    with_two = queries(browser, page_of(full_incident()))
    for number in range(2, 20):
        another_client(number)
    assert queries(browser, page_of(full_incident())) == with_two
    assert TimelineEntry.objects.count() > 20


def test_every_list_asks_as_many_queries_for_twenty_rows_as_for_two(browser: Browser, olga: User) -> None:
    addresses = [
        reverse(f"admin:{name}_changelist")
        for name in (
            "incidents_incident",
            "incidents_deadline",
            "incidents_notice",
            "agreements_client",
            "agreements_service",
            "agreements_servicecalendar",
            "agreements_serviceagreement",
            "agreements_commitment",
        )
    ]

    def rows(numbers: range) -> None:
        for number in numbers:
            another_client(number)
            service = cast.service(f"Service {number}")
            incident = declared(olga, services=[service, cast.service("Object storage")])
            lifecycle.notify_client(incident, by=olga, now=timezone.now())

    rows(range(2))
    with_two = [queries(browser, address) for address in addresses]
    rows(range(2, 20))
    with_twenty = [queries(browser, address) for address in addresses]
    assert dict(zip(addresses, with_twenty, strict=True)) == dict(zip(addresses, with_two, strict=True))
    assert max(with_twenty) <= 12


def test_an_auditor_reads_the_incident_and_its_timeline_and_can_type_nothing(
    aude: User, olga: User, northwind: ServiceAgreement
) -> None:
    incident = declared(olga)
    response = browser_of(aude).get(page_of(incident))
    assert "Declared as Critical." in shown(response)
    page = response.content.decode().split('id="content"', 1)[1]
    assert "<textarea" not in page
    assert '<button type="submit"' not in page
    assert response.context["buttons"] == []
    for row in response.context["workspace"].deadlines:
        assert row.action is None
