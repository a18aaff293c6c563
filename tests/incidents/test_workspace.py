"""The page of one incident: what it shows, in which order of use, and at what price."""

from __future__ import annotations

import datetime as dt
import html
import re
from typing import Any

from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from agreements.models import Obligation, ServiceAgreement
from config.models import User
from incidents import lifecycle, notices
from incidents.models import Acknowledgement, Incident, Notice
from incidents.models.notice import NoticeState
from tests import cast
from tests.cast import browser_of

HOUR = dt.timedelta(hours=1)
MOST_QUERIES = 30


def declared(by: User, **changes: Any) -> Incident:
    now = timezone.now()
    told = {
        "title": "Object storage is down",
        "severity": "critical",
        "services": [cast.service("Object storage")],
        "detected_at": now - HOUR,
    }
    return lifecycle.declare(by=by, now=now, **{**told, **changes})


def page_of(incident: Incident) -> str:
    return reverse("admin:incidents_incident_change", args=[incident.pk])


def verb(incident: Incident, slug: str) -> str:
    return reverse(f"admin:incidents_incident_{slug}", args=[incident.pk])


def shown(response: Any) -> str:
    return html.unescape(response.content.decode())


def workspace(browser: Browser, incident: Incident, **query: str) -> Any:
    return browser.get(page_of(incident), query).context["workspace"]


# ── what comes first ────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_next_contractual_act_comes_before_everything_else_with_its_button_and_what_happens_without_it(
    browser: Browser, olga: User, northwind: ServiceAgreement
) -> None:
    incident = declared(olga)
    text = shown(browser.get(page_of(incident))).split('id="content"', 1)[1]
    order = [
        "Critical",
        "led by Olga Petrova",
        "Northwind must be notified",
        "Send client notice",
        "the holding notice goes out by itself at",
        'aria-label="What can be done"',
        "Deadlines",
        "Timeline",
    ]
    assert [text.index(what) for what in order] == sorted(text.index(what) for what in order)
    found = workspace(browser, incident)
    assert found.next_act.deadline.obligation == Obligation.NOTIFY
    assert f"clients={northwind.client_id}" in found.next_act.action.url


def test_verbs_are_grouped_and_each_is_offered_once(browser: Browser, olga: User, northwind: ServiceAgreement) -> None:
    found = workspace(browser, declared(olga))
    slugs = [button.slug for button in (found.main, *found.usual, *found.rare)]
    assert len(slugs) == len(set(slugs)) == len(found.buttons)
    assert found.main.slug == "notify"
    assert {"correct-times", "exclude-agreement"} <= {button.slug for button in found.rare}
    assert {"update", "resolve", "reclassify"} <= {button.slug for button in found.usual}


def test_a_deadline_says_how_much_of_its_time_is_used(
    browser: Browser, olga: User, northwind: ServiceAgreement
) -> None:
    rows = {row.deadline.obligation: row for row in workspace(browser, declared(olga)).deadlines}
    assert rows[Obligation.NOTIFY].used == 25
    assert rows[Obligation.RESOLVE].used is None  # no number in the clause


# ── what goes out by itself ─────────────────────────────────────────────────────────────────────────────────────────


def test_what_goes_out_next_names_its_recipients_and_is_previewed_in_the_clients_words_without_writing_anything(
    browser: Browser, olga: User, northwind: ServiceAgreement
) -> None:
    northwind.client.language = "de"
    cast.save(northwind.client)
    incident = declared(olga, client_summary="Uploads schlagen fehl.")
    planned = [item for item in workspace(browser, incident).planned if item.preview_url]
    holding = next(item for item in planned if item.moment.kind == "holding")
    assert "Northwind Operations" in holding.to

    with CaptureQueriesContext(connection) as captured:
        page = browser.get(holding.preview_url)
    written = [
        query["sql"]
        for query in captured
        if not query["sql"].lstrip("(").startswith(("SELECT", "SAVEPOINT", "RELEASE"))
    ]
    assert written == []
    assert not Notice.objects.exists()
    text = shown(page)
    for expected in ("ops@northwind.example", "Festgestellt", "America/New_York", "Uploads schlagen fehl."):
        assert expected in text, expected
    assert not re.search(r"/notice/[0-9a-f]{32}\.", text), "the client's own link would acknowledge it"
    mail = browser.get(page.context["mail_url"])
    assert "Festgestellt" in shown(mail)
    assert mail["Content-Security-Policy"].startswith("sandbox")


def test_a_preview_of_what_does_not_go_out_any_more_is_not_found(
    browser: Browser, olga: User, northwind: ServiceAgreement
) -> None:
    incident = declared(olga)
    url = next(item.preview_url for item in workspace(browser, incident).planned if item.preview_url)
    assert browser.post(url).status_code == 404
    lifecycle.record_told(incident, northwind.client, by=olga, now=timezone.now(), evidence="Called Ms Reyes")
    assert browser.get(url).status_code == 404


def test_whoever_may_not_see_notices_gets_no_preview(olga: User, northwind: ServiceAgreement) -> None:
    browser = browser_of(olga)
    url = next(item.preview_url for item in workspace(browser, declared(olga)).planned if item.preview_url)
    cast.demote(olga)
    assert browser.get(url).status_code == 403


# ── the story ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_timeline_tells_notes_verbs_with_their_reasons_edits_and_what_reached_the_client(
    browser: Browser, olga: User, max_: User, northwind: ServiceAgreement
) -> None:
    incident = declared(olga)
    lifecycle.note(incident, "Failover began.", by=olga, now=timezone.now(), is_client_visible=True)
    lifecycle.note(incident, "Blamed the cable.", by=olga, now=timezone.now())
    browser_of(max_).post(verb(incident, "acknowledge"), {"reason": "I take it"})
    lifecycle.notify_client(incident, by=olga, now=timezone.now(), message="We are on it.")
    words = {"title": "Uploads fail", "category": "outage", "client_summary": "", "description": ""}
    browser.post(page_of(incident), {**words, "reason": "More exact"})
    notice = Notice.objects.get()
    notice.state, notice.accepted_at = NoticeState.SENT, timezone.now()
    cast.save(notice)
    Acknowledgement.objects.create(notice=notice, at=timezone.now())

    def told(view: str) -> list[str]:
        return [line.text for line in workspace(browser, incident, timeline=view).story.lines]

    edit = "Title: Object storage is down → Uploads fail."
    sent = "Client notice to Northwind: We are on it."
    accepted = "Client notice accepted for 1 contact of Northwind."
    read = "Northwind Operations confirmed that they have read: Client notice."
    everything = {
        "Declared as Critical.", "Failover began.", "Blamed the cable.", "Acknowledged.", sent, edit, accepted, read,
    }  # fmt: skip
    assert set(told("all")) == set(told("nonsense")) == everything
    assert set(told("clients")) == {"Failover began.", sent, accepted, read}
    assert set(told("changes")) == {"Declared as Critical.", "Acknowledged.", sent, edit}
    text = shown(browser.get(page_of(incident), {"timeline": "changes"}))
    for expected in ("Reason: I take it", "Reason: More exact", "Max Weber (max)"):
        assert expected in text, expected


# ── agreements and relatives ────────────────────────────────────────────────────────────────────────────────────────


def test_an_agreement_is_excluded_from_the_page_with_what_that_does_and_included_again(
    browser: Browser, olga: User, northwind: ServiceAgreement, contoso: ServiceAgreement
) -> None:
    incident = declared(olga)
    lifecycle.notify_client(incident, by=olga, now=timezone.now(), clients=[northwind.client])
    row = next(row for row in workspace(browser, incident).agreements if row.agreement == northwind)
    form = shown(browser.get(row.url))
    assert "2 deadlines end as no longer owed: Notify the client (Northwind); Resolve (Northwind)." in form
    assert "1 unsent mail is taken back." in form
    why = "Their bucket lies in another region."
    browser.post(row.url, {"agreement": northwind.pk, "reason": why})

    text = shown(browser.get(page_of(incident)))
    assert why in text
    assert "Include again" in text
    assert lifecycle.affected_clients(incident) == [contoso.client]
    last = workspace(browser, incident).agreements[-1]
    assert (last.agreement, last.affected.is_excluded) == (northwind, True)
    assert "2 deadlines begin: Notify the client (Northwind); Resolve (Northwind)." in shown(browser.get(last.url))
    browser.post(last.url, {"agreement": northwind.pk, "reason": "They use both regions."})
    assert lifecycle.affected_clients(incident) == [contoso.client, northwind.client]


def test_related_incidents_are_those_merged_and_those_open_on_the_same_service(
    browser: Browser, olga: User, northwind: ServiceAgreement
) -> None:
    incident, child, similar, done = (declared(olga) for _number in range(4))
    declared(olga, services=[cast.service("Payments")])
    lifecycle.merge(child, incident, by=olga, now=timezone.now(), reason="One cause.")
    lifecycle.resolve(done, by=olga, now=timezone.now())
    assert [one.incident for one in workspace(browser, incident).related] == [child, similar]
    assert incident in [one.incident for one in workspace(browser, child).related]


# ── what each verb foretells ────────────────────────────────────────────────────────────────────────────────────────


def test_each_form_says_what_it_will_do_to_this_incident(
    browser: Browser, olga: User, northwind: ServiceAgreement, contoso: ServiceAgreement
) -> None:
    cast.commit(northwind, Obligation.NOTIFY, 8, severity="high")
    incident = declared(olga)

    def foretold(slug: str) -> str:
        response = browser.get(verb(incident, slug))
        assert response.status_code == 200, slug
        return html.unescape(re.sub(r"<[^>]+>", " ", str(response.context["form"].explanation())))

    assert "1 deadline is met: Acknowledge (Contoso)." in foretold("acknowledge")
    assert "stays owed: Resolve" in foretold("mitigate") or "stay owed: Resolve" in foretold("mitigate")
    resolve = foretold("resolve")
    assert "Resolve (Northwind, Contoso)" in resolve
    assert "Notify the client (Northwind, Contoso)" in resolve
    reclassify = foretold("reclassify")
    assert "end as no longer owed" in reclassify
    assert "To High: " in reclassify
    assert "Notify the client (Northwind" in reclassify
    assert "counted anew" in foretold("correct-times")
    assert "wait: " in foretold("tell")
    lifecycle.resolve(incident, by=olga, now=timezone.now())
    assert "Resolve (Northwind, Contoso)" in foretold("reopen")
    assert "Not yet notified: Contoso, Northwind." in foretold("close")


def test_what_a_verb_foretells_is_what_it_does(
    browser: Browser, olga: User, northwind: ServiceAgreement, contoso: ServiceAgreement
) -> None:
    cast.commit(northwind, Obligation.NOTIFY, 8, severity="high")
    incident = declared(olga)
    foretold = str(browser.get(verb(incident, "reclassify")).context["form"].explanation())
    to_high = next(line for line in re.findall(r'class="fact">([^<]+)', foretold) if line.startswith("To High"))
    open_before = incident.deadlines.open().count()
    assert f"{open_before} deadlines end" in foretold
    before = set(incident.deadlines.values_list("pk", flat=True))
    lifecycle.reclassify(incident, "high", by=olga, now=timezone.now(), reason="Half of it works.")
    begun = incident.deadlines.exclude(pk__in=before).count()
    assert re.search(rf"\b{begun} deadlines? begins?\b", to_high), (begun, to_high)


# ── who may what ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_auditor_sees_the_whole_page_and_not_one_control_that_writes(
    olga: User, aude: User, northwind: ServiceAgreement
) -> None:
    incident = declared(olga)
    lifecycle.exclude_agreement(incident, northwind, by=olga, now=timezone.now(), reason="Not theirs.")
    lifecycle.include_agreement(incident, northwind, by=olga, now=timezone.now(), reason="It is theirs.")
    page = browser_of(aude).get(page_of(incident)).content.decode().split('id="content"', 1)[1].split("<footer", 1)[0]
    for part in ("Deadlines", "Timeline", "What goes out next", "Told so far", "Responders", "Preview", "Evidence for"):
        assert part in page, part
    for control in ("<textarea", "<button", "<select", 'type="submit"', 'type="text"', 'type="checkbox"'):
        assert control not in page, control
    acts = {f"/{verb.slug}/" for verb in incident_verbs()}
    assert not [href for href in re.findall(r'href="([^"]+)"', page) for act in acts if act in href]


def incident_verbs() -> list[Any]:
    from incidents.admin.verbs import VERBS

    return list(VERBS)


# ── at what price ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_page_asks_as_many_queries_with_two_hundred_rows_as_with_ten_and_at_most_thirty(
    browser: Browser, olga: User
) -> None:
    service = cast.service("Object storage")

    def full_incident(clients: range, notes: int) -> Incident:
        for number in clients:
            calendar = cast.always_open(f"Round the clock {number}")
            client = cast.client(f"Client {number}", "Asia/Tokyo", f"ops@client{number}.example")
            made = cast.agreement(f"AG-{number}", client, calendar, service, owner=olga)
            cast.warn(cast.commit(made, Obligation.NOTIFY, 2), 25, has_owner=True)
            cast.commit(made, Obligation.RESOLVE, 8, is_pausable=True)
        incident = declared(olga, detected_at=timezone.now() - HOUR / 6)
        lifecycle.notify_client(incident, by=olga, now=timezone.now())
        notices.raise_due(timezone.now() + HOUR)
        cast.past_the_trail(
            Notice.objects.filter(contact__isnull=False), state=NoticeState.SENT, accepted_at=timezone.now()
        )
        for number in range(notes):
            lifecycle.note(incident, f"Step {number}", by=olga, now=timezone.now())
        return incident

    def queries(incident: Incident) -> list[str]:
        browser.get(page_of(incident))  # what is read once per process
        with CaptureQueriesContext(connection) as captured:
            assert browser.get(page_of(incident)).status_code == 200
        return [query["sql"] for query in captured]

    few = full_incident(range(5), 10)
    with_few = queries(few)
    lifecycle.resolve(few, by=olga, now=timezone.now())  # so that both have no open relative
    many = full_incident(range(5, 100), 200)
    assert (many.deadlines.count(), many.notices.count() >= 100) == (200, True)
    with_many = queries(many)
    assert len(with_many) == len(with_few)
    assert len(with_many) <= MOST_QUERIES, "\n".join(query[:150] for query in with_many)
