"""The page of what needs a human, and the pages of what people decide there."""

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
from incidents import acknowledgement_link, handling, lifecycle
from incidents.admin import attention
from incidents.models import Acknowledgement, Deadline, DeliveryAttempt, Incident, Notice, Sending
from incidents.models.notice import DeliveryPhase, NoticeKind, NoticeState, Outcome
from tests import cast
from tests.cast import browser_of

HOUR = dt.timedelta(hours=1)
MARKUP = "<script>alert(1)</script>"
ATTENTION = "/admin/incidents/notice/attention/"


@pytest.fixture
def incident(olga: User, northwind: ServiceAgreement) -> Incident:
    return declared(olga)


def declared(by: User, since: dt.timedelta = HOUR, **changes: Any) -> Incident:
    now = timezone.now()
    told: dict[str, Any] = {"title": "Object storage is down", "services": list(Service.objects.all()), **changes}
    return lifecycle.declare(by=by, now=now, severity="critical", detected_at=now - since, **told)


def stuck(
    incident: Incident,
    by: User,
    state: NoticeState = NoticeState.FAILED,
    outcome: Outcome = Outcome.REFUSED,
    answer: str = "550 5.1.1 User unknown",
) -> list[Notice]:
    """The client notices of this incident, each stuck after one try."""
    now = timezone.now()
    lifecycle.notify_client(incident, by=by, now=now)
    made = list(incident.notices.filter(kind=NoticeKind.CLIENT_NOTICE).order_by("pk"))
    for notice in made:
        DeliveryAttempt.objects.create(
            notice=notice, at=now, worker="here:1", server="mx:25", outcome=outcome, phase=DeliveryPhase.BODY
        )
        notice.state, notice.server_answer, notice.state_reason = state, answer, "The mail server refused it."
        notice.save()
    return made


def to_staff(like: Notice, user: User, number: int = 1) -> Notice:
    """A warning to a colleague that failed."""
    kept = Notice.objects.filter(pk=like.pk).values().get()
    changes = {
        "id": None,
        "kind": NoticeKind.STAFF_WARNING,
        "contact_id": None,
        "user_id": user.pk,
        "moment": f"warning-{number}",
        "message_id": f"<staff-{number}@due-notice.example>",
        "recipient_name": user.get_full_name(),
        "recipient_address": user.email,
    }
    return Notice.objects.create(**{**kept, **changes})


def shown(response: Any) -> str:
    return html.unescape(response.content.decode())


def act(notice: Notice, slug: str) -> str:
    return reverse(f"admin:incidents_notice_{slug}", args=[notice.pk])


def offered(browser: Browser, notice: Notice) -> list[str]:
    """The buttons in this notice's row."""
    found: attention.Attention = browser.get(ATTENTION).context["attention"]
    rows = [*found.to_clients.rows, *found.to_colleagues.rows]
    [row] = [row for row in rows if row.notice.pk == notice.pk]
    return [button.slug for button in row.buttons]


# ── who may ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_everybody_with_a_role_reads_the_page_and_nobody_writes_through_it(
    incident: Incident, olga: User, max_: User, aude: User, ada: User
) -> None:
    stuck(incident, olga)
    handling.hold(by=max_, now=timezone.now(), reason="Backup restored")
    assert reverse("admin:incidents_attention") == ATTENTION
    for user in (olga, max_, aude, ada):
        browser = browser_of(user)
        assert browser.get(ATTENTION).status_code == 200, user
        for send in (browser.post, browser.put, browser.delete, browser.patch):
            assert send(ATTENTION).status_code == 405, (user, send)


def test_nobody_reads_it_without_signing_in_or_without_a_role(db: None) -> None:
    response = Browser().get(ATTENTION)
    assert response.status_code == 302
    assert response["Location"].startswith(reverse("admin:login"))
    assert Browser().post(ATTENTION).status_code == 302
    without_role = User.objects.create_user("eve", password=cast.PASSWORD, is_staff=True)
    assert browser_of(without_role).get(ATTENTION).status_code == 403


def test_buttons_are_shown_only_to_whoever_may_press_them(
    incident: Incident, olga: User, max_: User, aude: User
) -> None:
    [notice] = stuck(incident, olga, NoticeState.REVIEW, Outcome.AMBIGUOUS)
    cast.past_the_trail(Contact.objects, is_active=False)
    handling.hold(by=max_, now=timezone.now(), reason="Backup restored")
    release, tell = "/sending/1/release/", f"/incident/{incident.pk}/tell/"
    assert offered(browser_of(olga), notice) == ["send-again", "it-arrived", "told-otherwise"]
    page = shown(browser_of(olga).get(ATTENTION))
    assert tell in page
    assert release not in page
    assert release in shown(browser_of(max_).get(ATTENTION))
    read_only = browser_of(aude).get(ATTENTION)
    content = shown(read_only).split('id="content"', 1)[1].split("</main>")[0]
    assert "Northwind" in content
    assert not any(word in content for word in ("send-again", "it-arrived", "told-otherwise", release, tell, "<form"))


# ── what it shows ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_when_nothing_is_wrong_one_sentence_says_so(browser: Browser, incident: Incident) -> None:
    text = shown(browser.get(ATTENTION))
    assert "Nothing needs a person" in text
    assert "<h2" not in text.split('id="content-main"', 1)[1].split("</main>")[0]


def test_a_fault_of_the_server_says_since_when_what_it_said_and_what_to_do(
    browser: Browser, incident: Incident
) -> None:
    now = timezone.now()
    lifecycle.notify_client(incident, by=User.objects.get(username="olga"), now=now)
    row = Sending.row()
    row.fault, row.fault_answer, row.failures = Outcome.CONFIGURATION, f"535 5.7.8 {MARKUP}", 4
    row.fault_since, row.retry_at = now - HOUR, now + dt.timedelta(minutes=5)
    row.save()
    text = shown(browser.get(ATTENTION))
    for expected in (
        "the mail server or our configuration is at fault",
        "535 5.7.8",
        f"{row.fault_since:%H:%M} UTC",
        f"{row.retry_at:%H:%M} UTC",
        "check the name, the password and the certificate in EMAIL_URL",
        "1 notice waits to be sent",
    ):
        assert expected in text, expected
    assert "Nothing needs a person" not in text
    cast.past_the_trail(Sending.objects, fault=Outcome.TRANSPORT_DOWN)
    assert "check that it runs" in shown(browser.get(ATTENTION))


def test_a_stuck_notice_says_what_is_owed_and_how_long_until_then_and_what_the_server_said(
    browser: Browser, incident: Incident, olga: User
) -> None:
    [notice] = stuck(incident, olga)
    cast.past_the_trail(Contact.objects, address="noc@northwind.example", phone="+1 555 0100")
    text = shown(browser.get(ATTENTION))
    due_at = incident.deadlines.get(obligation=Obligation.NOTIFY).due_at
    assert due_at is not None
    for expected in (
        incident.reference,
        "Northwind",
        "ops@northwind.example",
        f"{due_at:%H:%M} UTC",
        "EST",  # on the client's own clock
        "2 h 59 min left",
        "550 5.1.1 User unknown",
        "The contact is mailed at noc@northwind.example by now.",
        "+1 555 0100",
        act(notice, "send-again"),
        act(notice, "told-otherwise"),
    ):
        assert expected in text, expected


def test_what_is_still_owed_comes_first_then_what_is_due_first(
    browser: Browser, northwind: ServiceAgreement, olga: User
) -> None:
    fresh, overdue, met = declared(olga), declared(olga, 6 * HOUR), declared(olga, 8 * HOUR)
    for incident in (fresh, overdue, met):
        stuck(incident, olga)
    lifecycle.record_told(met, northwind.client, by=olga, now=timezone.now(), evidence="Called")
    rows = browser.get(ATTENTION).context["attention"].to_clients.rows
    assert [row.notice.incident for row in rows] == [overdue, fresh, met]
    assert "overdue by 2 h" in rows[0].owed.time_left
    assert rows[2].owed is None
    assert "was met" in rows[2].nothing_owed
    assert offered(browser, rows[2].notice) == ["send-again", "set-aside"]


def test_a_notice_that_its_client_has_acknowledged_says_so(browser: Browser, incident: Incident, olga: User) -> None:
    [notice] = stuck(incident, olga, NoticeState.REVIEW, Outcome.AMBIGUOUS)
    Acknowledgement.objects.create(notice=notice, at=timezone.now())
    assert "The client acknowledged it" in shown(browser.get(ATTENTION))
    form = browser.get(act(notice, "it-arrived")).context["form"]
    assert "acknowledged it by the link in the mail" in form["evidence"].value()


def test_a_client_whom_nobody_can_mail_is_listed_with_what_it_is_owed(
    browser: Browser, incident: Incident, northwind: ServiceAgreement
) -> None:
    assert not browser.get(ATTENTION).context["attention"].unreachable.count
    cast.past_the_trail(Contact.objects, is_active=False)
    response = browser.get(ATTENTION)
    [item] = response.context["attention"].unreachable.rows
    assert item.row.deadline.obligation == Obligation.NOTIFY
    text = shown(response)
    assert reverse("admin:agreements_client_change", args=[northwind.client.pk]) in text
    told = browser.get(item.tell_url)
    assert told.context["form"]["client"].value() in (northwind.client.pk, str(northwind.client.pk))


def test_colleagues_whom_no_mail_reached_have_a_section_of_their_own(
    browser: Browser, incident: Incident, olga: User, max_: User
) -> None:
    [notice] = stuck(incident, olga)
    warning = to_staff(notice, max_)
    found = browser.get(ATTENTION).context["attention"]
    assert [row.notice for row in found.to_clients.rows] == [notice]
    assert [row.notice for row in found.to_colleagues.rows] == [warning]
    assert offered(browser, warning) == ["send-again", "set-aside"]


def test_a_plain_fallback_is_shown_for_a_day(browser: Browser, incident: Incident, olga: User) -> None:
    [notice] = stuck(incident, olga)
    cast.past_the_trail(
        Notice.objects.filter(pk=notice.pk),
        state=NoticeState.SENT,
        accepted_at=timezone.now() - 23 * HOUR,
        is_fallback=True,
    )
    assert "Sent as bare facts" in shown(browser.get(ATTENTION))
    cast.past_the_trail(Notice.objects.filter(pk=notice.pk), accepted_at=timezone.now() - 25 * HOUR)
    assert "Nothing needs a person" in shown(browser.get(ATTENTION))


def test_a_long_list_is_cut_and_leads_to_the_rest(
    browser: Browser, incident: Incident, olga: User, max_: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attention, "SHOWN", 2)
    [notice] = stuck(incident, olga)
    for number in range(5):
        to_staff(notice, max_, number)
    listed = browser.get(ATTENTION).context["attention"].to_colleagues
    assert (len(listed.rows), listed.count, listed.more) == (2, 5, 3)
    assert "and 3 more" in shown(browser.get(ATTENTION))
    rest = browser.get(listed.url)
    assert len(rest.context["cl"].result_list) == 5
    everything = browser.get(reverse("admin:incidents_notice_changelist"), {"state": "stuck"})
    assert len(everything.context["cl"].result_list) == 6


def test_the_tile_on_the_board_leads_here(browser: Browser, incident: Incident, olga: User) -> None:
    stuck(incident, olga)
    tiles = {str(tile.label): tile for tile in browser.get(reverse("admin:index")).context["tiles"]}
    assert (tiles["Notices that need a person"].count, tiles["Notices that need a person"].url) == (1, ATTENTION)


def test_markup_is_shown_as_it_was_typed_and_never_as_markup(
    browser: Browser, northwind: ServiceAgreement, olga: User, max_: User
) -> None:
    cast.past_the_trail(Client.objects, name=MARKUP)
    cast.past_the_trail(Contact.objects, name=MARKUP, phone="1<b>")
    incident = declared(olga, title=MARKUP)
    [notice] = stuck(incident, olga, NoticeState.REVIEW, Outcome.AMBIGUOUS, answer=MARKUP)
    cast.past_the_trail(Notice.objects.filter(pk=notice.pk), state_reason=MARKUP, late_note=MARKUP, is_marked_late=True)
    handling.hold(by=max_, now=timezone.now(), reason=MARKUP)
    addresses = [ATTENTION, reverse("admin:incidents_sending_changelist"), page_of(notice), page_of(incident)]
    addresses += [act(notice, slug) for slug in ("send-again", "it-arrived", "told-otherwise")]
    for address in addresses:
        page = browser.get(address).content.decode()
        assert MARKUP not in page, address
        assert "alert(1)" in page, address


def page_of(row: Any) -> str:
    return reverse(f"admin:incidents_{row._meta.model_name}_change", args=[row.pk])


def test_it_asks_as_many_queries_for_sixty_stuck_notices_as_for_three(browser: Browser, olga: User, max_: User) -> None:
    def queries() -> int:
        browser.get(ATTENTION)  # what is read once per process
        with CaptureQueriesContext(connection) as captured:
            assert browser.get(ATTENTION).status_code == 200
        return sum("clock_timestamp" not in query["sql"] for query in captured)  # asked now and then

    def add(numbers: range) -> None:
        service = cast.service("Object storage")
        for number in numbers:
            client = cast.client(f"Client {number}", "Asia/Tokyo", f"ops@client{number}.example")
            cast.commit(cast.agreement(f"A-{number}", client, calendar, service), Obligation.NOTIFY, 4)
            nobody = cast.client(f"Nobody {number}", "Asia/Tokyo")
            cast.commit(cast.agreement(f"N-{number}", nobody, calendar, service), Obligation.NOTIFY, 4)
        made = stuck(declared(olga, services=[service]), olga, NoticeState.REVIEW, Outcome.AMBIGUOUS)
        for notice in made[len(made) - len(numbers) :]:
            to_staff(notice, max_, notice.pk)

    calendar = cast.always_open()
    add(range(3))
    with_three = queries()
    add(range(3, 30))
    assert Notice.objects.needing_a_person().count() >= 60
    assert queries() == with_three
    assert with_three <= 25


# ── deciding ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_each_page_says_what_will_happen_what_the_server_said_and_what_is_owed(
    browser: Browser, contoso: ServiceAgreement, olga: User, max_: User
) -> None:
    cast.past_the_trail(Contact.objects.filter(address="duty@contoso.example"), phone="+49 30 1234")
    first, second = stuck(declared(olga), olga, NoticeState.REVIEW, Outcome.AMBIGUOUS, answer="421 lost")
    cast.past_the_trail(Contact.objects.filter(address=first.recipient_address), address="new@contoso.example")
    handling.hold(by=max_, now=timezone.now(), reason="Backup restored")
    expected = {
        "send-again": ("once more, with the same Message-ID", "mailed at new@contoso.example by now", "is held: it"),
        "it-arrived": ("counts as met at", "before it was due"),
        "told-otherwise": (
            "“Notify the client” counts as met for Contoso",
            "serves them all",
            second.recipient_address,
            "Whom to call",
            "+49 30 1234",
        ),
    }
    for slug, sentences in expected.items():
        text = shown(browser.get(act(first, slug)))
        for sentence in (*sentences, "421 lost", "last tried", "Contoso, due"):
            assert sentence in text, (slug, sentence)


def test_sending_again_what_a_worker_would_cancel_is_said_beforehand(
    browser: Browser, incident: Incident, olga: User
) -> None:
    [notice] = stuck(incident, olga)
    cast.past_the_trail(Contact.objects, is_active=False)
    assert "no longer a contact who can be mailed" in shown(browser.get(act(notice, "send-again")))


def test_the_three_decisions_and_setting_aside_are_taken_through_their_pages(
    browser: Browser, northwind: ServiceAgreement, olga: User
) -> None:
    def one(state: NoticeState, outcome: Outcome) -> Notice:
        [notice] = stuck(declared(olga), olga, state, outcome)
        return notice

    def do(notice: Notice, slug: str, **form: str) -> str:
        response = browser.post(act(notice, slug), form, follow=True)
        assert response.redirect_chain == [(ATTENTION, 302)], shown(response)
        notice.refresh_from_db()
        return shown(response)

    again, arrived = one(NoticeState.FAILED, Outcome.REFUSED), one(NoticeState.REVIEW, Outcome.AMBIGUOUS)
    told, aside = one(NoticeState.FAILED, Outcome.REFUSED), one(NoticeState.FAILED, Outcome.REFUSED)
    assert "is in the outbox again" in do(again, "send-again", reason="Fixed")
    assert again.state == NoticeState.PENDING
    assert "arrived" in do(arrived, "it-arrived", reason="Asked", evidence="Ms Reyes has it")
    assert arrived.state == NoticeState.HANDLED
    said = do(told, "told-otherwise", reason="Mailbox full", channel="phone", evidence="Ms Reyes")
    assert "Recorded that Northwind was told. 1 notice is handled." in said
    assert told.state == NoticeState.HANDLED
    for notice in (arrived, told):
        assert Deadline.objects.get(incident=notice.incident_id, obligation=Obligation.NOTIFY).met_at is not None
    assert aside.incident is not None
    lifecycle.record_told(aside.incident, northwind.client, by=olga, now=timezone.now(), evidence="Called")
    assert "is set aside" in do(aside, "set-aside", reason="They were called")
    assert aside.state == NoticeState.HANDLED


@pytest.mark.parametrize("slug", ["send-again", "it-arrived", "told-otherwise", "set-aside"])
def test_what_a_worker_or_a_colleague_did_meanwhile_is_said_and_what_was_typed_stays(
    browser: Browser, incident: Incident, northwind: ServiceAgreement, olga: User, slug: str
) -> None:
    [notice] = stuck(incident, olga, NoticeState.REVIEW, Outcome.AMBIGUOUS)
    if slug == "set-aside":
        lifecycle.record_told(incident, northwind.client, by=olga, now=timezone.now(), evidence="Called")
    assert browser.get(act(notice, slug)).status_code == 200
    handling.send_again(notice, by=olga, now=timezone.now(), reason="I was quicker")
    late = browser.post(act(notice, slug), {"reason": "kept", "evidence": "kept too", "channel": "phone"})
    assert late.status_code == 200
    assert "Nothing was done: it needs nobody any more, it is “Pending” now." in shown(late)
    assert 'value="kept"' in shown(late)
    notice.refresh_from_db()
    assert notice.state == NoticeState.PENDING
    assert "is not possible now" in shown(browser.get(act(notice, slug), follow=True))


@pytest.mark.parametrize(
    ("slug", "form", "field"),
    [
        ("send-again", {"reason": ""}, "reason"),
        ("it-arrived", {"reason": "x", "evidence": ""}, "evidence"),
        ("told-otherwise", {"reason": "x", "channel": "phone", "evidence": " "}, "evidence"),
        ("told-otherwise", {"reason": "x", "channel": "pigeon", "evidence": "x"}, "channel"),
        ("told-otherwise", {"reason": "x", "channel": "phone", "evidence": "x", "at": "2999-01-01T00:00"}, "at"),
    ],
)
def test_a_refusal_stands_on_the_field_that_is_wrong(
    browser: Browser, incident: Incident, olga: User, slug: str, form: dict[str, str], field: str
) -> None:
    [notice] = stuck(incident, olga, NoticeState.REVIEW, Outcome.AMBIGUOUS)
    assert field in browser.post(act(notice, slug), form).context["form"].errors
    notice.refresh_from_db()
    assert notice.state == NoticeState.REVIEW


# ── the switch ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_manager_holds_and_releases_sending_and_sees_beforehand_what_waits(
    incident: Incident, olga: User, max_: User
) -> None:
    browser, switch = browser_of(max_), reverse("admin:incidents_sending_changelist")
    lifecycle.notify_client(incident, by=olga, now=timezone.now())
    assert "Goes out" in shown(browser.get(switch))
    assert "1 notice waits to be sent" in shown(browser.get("/admin/incidents/sending/1/hold/"))
    browser.post("/admin/incidents/sending/1/hold/", {"reason": "Backup of 02:00 restored"})
    assert "Backup of 02:00 restored" in shown(browser.get(switch))
    assert "Backup of 02:00 restored" in shown(browser.get(ATTENTION))
    assert "a copy may come" in shown(browser.get("/admin/incidents/sending/1/release/"))
    assert "held already" in shown(browser.post("/admin/incidents/sending/1/hold/", {"reason": "Me too"}))
    response = browser.post("/admin/incidents/sending/1/release/", {"reason": "Compared"}, follow=True)
    assert "Sending is released" in shown(response)
    changes = Sending.row().history.values_list("actor_name", "history_change_reason")
    assert list(changes[:2]) == [(max_.audit_name, "Compared"), (max_.audit_name, "Backup of 02:00 restored")]


def test_reading_the_switch_is_nobodys_change(aude: User) -> None:
    assert browser_of(aude).get(reverse("admin:incidents_sending_changelist")).status_code == 200
    assert "aude" not in Sending.row().history.get().actor_name


# ── the notice's own page and the incident's ────────────────────────────────────────────────────────────────────────


def test_a_notice_shows_all_that_became_of_it_and_no_link_to_press(
    browser: Browser, incident: Incident, olga: User
) -> None:
    [notice] = stuck(incident, olga)
    [other] = stuck(declared(olga), olga)
    cast.past_the_trail(
        Notice.objects.filter(pk=notice.pk),
        is_fallback=True,
        is_marked_late=True,
        late_note="It was due at 14:00.",
        superseded_by=other,
    )
    Acknowledgement.objects.create(notice=notice, at=timezone.now(), from_address="192.0.2.7", user_agent="Mutt")
    page = browser.get(page_of(notice)).content.decode()
    text = html.unescape(page)
    for expected in ("Plain fallback", "Marked as late", "It was due at 14:00.", "192.0.2.7", "Mutt", "mx:25"):
        assert expected in text, expected
    assert "Owed to a client" in text
    assert page_of(other) in text
    assert page_of(notice) in shown(browser.get(page_of(other)))  # what it was sent instead of
    [link] = {part for part in notice.text.split() if "/notice/" in part}
    assert link not in text
    assert link not in notice.text.replace(link, acknowledgement_link.masked(link))


def test_the_clients_link_is_revoked_with_a_reason_once(browser: Browser, incident: Incident, olga: User) -> None:
    [notice] = stuck(incident, olga)
    revoke = act(notice, "revoke-link")
    assert "stops working for good" in shown(browser.get(revoke))
    assert "reason" in browser.post(revoke, {"reason": ""}).context["form"].errors
    assert "is revoked" in shown(browser.post(revoke, {"reason": "Forwarded to the press"}, follow=True))
    notice.refresh_from_db()
    assert notice.link_revoked_at is not None
    assert notice.history.first().history_change_reason == "Forwarded to the press"
    assert "already revoked" in shown(browser.post(revoke, {"reason": "Again"}))
    assert "revoke-link" not in {button.slug for button in browser.get(page_of(notice)).context["buttons"]}


def test_the_incident_keeps_a_failed_notice_in_sight_and_says_what_was_acknowledged(
    browser: Browser, incident: Incident, olga: User
) -> None:
    [failed] = stuck(incident, olga)
    for number in range(6):
        lifecycle.post_update(incident, by=olga, now=timezone.now(), message=f"Step {number}")
    read = incident.notices.filter(kind=NoticeKind.UPDATE).order_by("-pk")[0]
    Acknowledgement.objects.create(notice=read, at=timezone.now())
    response = browser.get(page_of(incident))
    [told] = response.context["workspace"].told
    assert told.latest[0].notice == failed
    assert "Needs a person" in shown(response)
    assert "acknowledged by the client" in shown(response)
