"""What every list promises: ready tabs, filters by name, a file of it, and acts on many rows."""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import html
import io
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from agreements.models import Client, ServiceAgreement
from config import exports, roles
from config.admin import CappedPaginator
from config.filters import FilteredAdmin
from config.models import Export, User
from incidents import lifecycle
from incidents.models import Deadline, Incident, Notice
from incidents.models.incident import ResponderRole, Status
from incidents.models.notice import NoticeState
from reviews import lifecycle as reviewing
from reviews.models import CorrectiveAction
from tests import cast
from tests.cast import browser_of

HOUR = dt.timedelta(hours=1)


def declared(by: User, title: str = "Object storage is down", **terms: Any) -> Incident:
    now = timezone.now()
    given = {"severity": "critical", "services": [cast.service("Object storage")], "detected_at": now - HOUR, **terms}
    return lifecycle.declare(by=by, now=now, title=title, **given)


def list_of(name: str) -> str:
    return reverse(f"admin:{name}_changelist")


def listed(browser: Browser, name: str, **params: Any) -> list[Any]:
    response = browser.get(list_of(name), params)
    assert response.status_code == 200
    return list(response.context["cl"].result_list)


def text_of(response: Any) -> str:
    return html.unescape(response.content.decode())


LISTS = [model_admin for model_admin in admin.site._registry.values() if isinstance(model_admin, FilteredAdmin)]


# ── tabs and filters ────────────────────────────────────────────────────────────────────────────────────────────────


def test_tabs_are_ordinary_addresses_that_keep_what_else_is_chosen_and_mark_the_present_one(
    browser: Browser, olga: User, northwind: ServiceAgreement
) -> None:
    response = browser.get(list_of("incidents_incident"), {"status": "open", "q": "storage", "p": "3", "client": "x"})
    assert [tab.is_current for tab in response.context["tabs"]] == [True, False, False, False]
    assert text_of(response).count('aria-current="page">Open</a>') == 1
    for tab in response.context["tabs"]:
        assert "q=storage" in tab.url
        assert "client=x" in tab.url
        assert "p=3" not in tab.url
        assert browser.get(list_of("incidents_incident") + tab.url).status_code == 200
    plain = browser.get(list_of("incidents_incident")).context["tabs"]
    assert [str(tab.label) for tab in plain if tab.is_current] == ["All"]


def test_every_tab_of_every_list_opens_and_is_the_present_one_then(ada: User, northwind: ServiceAgreement) -> None:
    browser = browser_of(ada)
    for model_admin in LISTS:
        address = reverse(f"admin:{model_admin.opts.app_label}_{model_admin.opts.model_name}_changelist")
        for tab in model_admin.tabs:
            response = browser.get(address, tab.filters)
            assert response.status_code == 200
            assert [shown.label for shown in response.context["tabs"] if shown.is_current] == [tab.label]


def test_mine_are_those_that_i_answer_and_at_risk_those_with_a_deadline_in_danger(
    browser: Browser, olga: User, max_: User, northwind: ServiceAgreement
) -> None:
    mine, late = declared(olga), declared(max_, "Payments fail", detected_at=timezone.now() - 5 * HOUR)
    assert listed(browser, "incidents_incident", status="open", responder="me") == [mine]
    assert listed(browser, "incidents_incident", responder="max") == [late]
    assert listed(browser, "incidents_incident", responder="weber") == [late]
    assert listed(browser, "incidents_incident", standing="at_risk") == [late]
    for params in ({"responder": "me"}, {"mine": "on"}):
        assert {d.incident for d in listed(browser, "incidents_deadline", standing="open", **params)} == {mine}


def test_incidents_are_filtered_by_the_names_of_client_service_and_agreement(
    browser: Browser, olga: User, northwind: ServiceAgreement, contoso: ServiceAgreement
) -> None:
    both = declared(olga)
    payments = declared(olga, "Payments fail", services=[cast.service("Payments")])
    assert listed(browser, "incidents_incident", client="NORTH") == [both]
    assert listed(browser, "incidents_incident", client=northwind.client.pk) == [both]
    assert listed(browser, "incidents_incident", client="Contoso") == [payments, both]
    assert listed(browser, "incidents_incident", client="nobody") == []
    assert listed(browser, "incidents_incident", client="9" * 40) == []
    assert listed(browser, "incidents_incident", service="payments") == [payments]
    assert listed(browser, "incidents_incident", agreement="nw-2025") == [both]
    assert listed(browser, "incidents_deadline", client="northwind", standing="open")
    assert listed(browser, "agreements_serviceagreement", service="payments") == [contoso]


def test_a_client_that_was_excluded_from_an_incident_does_not_find_it(
    browser: Browser, olga: User, northwind: ServiceAgreement, contoso: ServiceAgreement
) -> None:
    incident = declared(olga)
    lifecycle.exclude_agreement(incident, northwind, by=olga, now=timezone.now(), reason="They had left it")
    assert listed(browser, "incidents_incident", client="northwind") == []
    assert "Northwind" not in text_of(browser.get(list_of("incidents_incident"))).split("result_list", 1)[1]


def test_a_key_in_the_address_is_shown_as_the_name_and_names_are_suggested(
    browser: Browser, northwind: ServiceAgreement
) -> None:
    shown = text_of(browser.get(list_of("incidents_deadline"), {"client": northwind.client.pk}))
    assert 'name="client" value="Northwind"' in shown
    address = shown.split('data-suggest="')[1].split('"')[0]
    assert browser.get(f"{address}&term=north").json()["results"] == [
        {"id": str(northwind.client.pk), "text": "Northwind"}
    ]
    assert "due_notice/suggest.js" in shown


def test_colleagues_are_named_in_full_suggested_by_their_names_and_found_as_they_are_listed(
    ada: User, max_: User, northwind: ServiceAgreement
) -> None:
    cast.colleague("max2", "Max Weber", roles.OPERATOR)
    northwind.owner = max_
    cast.save(northwind)
    page, browser = list_of("agreements_serviceagreement"), browser_of(ada)
    shown = text_of(browser.get(page))
    assert "Max Weber (max)" in shown
    address = next(part for part in shown.split('data-suggest="')[1:] if "field_name=owner" in part).split('"')[0]
    suggested = browser.get(f"{html.unescape(address)}&term=weber+max").json()["results"]
    assert [one["text"] for one in suggested] == ["Max Weber (max)", "Max Weber (max2)"]
    assert listed(browser, "agreements_serviceagreement", owner="Max Weber (max)") == [northwind]
    assert listed(browser, "agreements_serviceagreement", owner="Max Weber (max2)") == []


def test_a_list_says_who_answers_and_when_it_is_due_for_whom(
    browser: Browser, olga: User, northwind: ServiceAgreement
) -> None:
    declared(olga)
    shown = text_of(browser.get(list_of("incidents_incident")))
    for expected in ("2 h 59 min left", "Running", "UTC", "Northwind", "Olga Petrova"):
        assert expected in shown
    assert "EST" in shown or "EDT" in shown
    assert "Olga Petrova" in text_of(browser.get(list_of("incidents_deadline")))
    assert "In force" in text_of(browser.get(list_of("agreements_serviceagreement")))


def test_a_list_that_is_not_counted_to_its_end_says_so(
    browser: Browser, olga: User, northwind: ServiceAgreement, monkeypatch: pytest.MonkeyPatch
) -> None:
    declared(olga)
    declared(olga)
    assert "2 incidents or more" not in text_of(browser.get(list_of("incidents_incident")))
    monkeypatch.setattr(CappedPaginator, "CAP", 2)
    assert "2 incidents or more" in text_of(browser.get(list_of("incidents_incident")))


# ── the file ────────────────────────────────────────────────────────────────────────────────────────────────────────


def file_of(response: Any) -> bytes:
    assert response.status_code == 200
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    return b"".join(response.streaming_content)


def rows_of(response: Any) -> list[list[str]]:
    return list(csv.reader(io.StringIO(file_of(response).decode("utf-8-sig"), newline="")))


def export_of(name: str) -> str:
    return reverse(f"admin:{name}_export")


def test_an_export_has_labels_for_codes_and_instants_with_their_zone(
    browser: Browser, olga: User, northwind: ServiceAgreement
) -> None:
    olga.time_zone = "Europe/Berlin"
    olga.save()
    incident = declared(olga, detected_at=dt.datetime(2026, 7, 1, 10, 0, tzinfo=dt.UTC))
    response = browser.get(export_of("incidents_incident"))
    assert "attachment" in response["Content-Disposition"]
    data = file_of(response)
    assert data.startswith(b"\xef\xbb\xbf")
    head, row = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""))
    found = dict(zip(head, row, strict=True))
    assert found["Reference"] == incident.reference
    assert found["Severity"] == "Critical"
    assert found["Clients"] == "Northwind"
    assert found["Responders"] == "Olga Petrova"
    assert found["Detected at"] == "2026-07-01T12:00:00+02:00"
    assert found["Resolved at"] == ""


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_what_a_spreadsheet_would_run_is_only_text(start: str) -> None:
    assert exports.plain(f"{start}cmd|' /C calc'!A0") == f"'{start}cmd|' /C calc'!A0"


def test_no_cell_of_an_export_begins_a_formula(browser: Browser, olga: User, northwind: ServiceAgreement) -> None:
    cast.past_the_trail(Client.objects.filter(pk=northwind.client_id), name="@SUM(A1)")
    declared(olga, title='=HYPERLINK("http://evil.example","x")')
    head, row = rows_of(browser.get(export_of("incidents_incident")))
    assert row[head.index("Title")] == '\'=HYPERLINK("http://evil.example","x")'
    assert row[head.index("Clients")] == "'@SUM(A1)"
    assert not [cell for cell in row if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]


def test_the_file_has_the_rows_of_the_list_in_its_order(
    browser: Browser, olga: User, northwind: ServiceAgreement, contoso: ServiceAgreement
) -> None:
    first, second = declared(olga), declared(olga, "Storage is slow")
    declared(olga, "Payments fail", services=[cast.service("Payments")])
    params = {"q": "storage", "client": "northwind", "status": "open", "o": "1"}
    assert listed(browser, "incidents_incident", **params) == [first, second]
    rows = rows_of(browser.get(export_of("incidents_incident"), params))
    assert [row[0] for row in rows[1:]] == [first.reference, second.reference]
    shown = text_of(browser.get(list_of("incidents_incident"), {**params, "p": "1"}))
    assert f"{export_of('incidents_incident')}?q=storage&client=northwind&status=open&o=1" in shown


def test_an_export_is_recorded_before_its_first_byte_and_nobody_can_change_that(
    browser: Browser, olga: User, ada: User, northwind: ServiceAgreement
) -> None:
    declared(olga)
    response = browser.get(export_of("incidents_incident"), {"severity": "critical"})
    kept = Export.objects.get()  # although nothing was read of the file yet
    data = file_of(response)
    assert (kept.by, kept.listed, kept.query, kept.rows) == (olga, "incidents.incident", "severity=critical", 1)
    assert kept.sha256 == hashlib.sha256(data).hexdigest()
    written = kept.history.get()
    assert written.actor_name == "Olga Petrova (olga)"
    page = reverse("admin:config_export_change", args=[kept.pk])
    boss = browser_of(ada)
    assert boss.post(page, {"rows": 0, "reason": "x"}).status_code == 403
    assert boss.get(reverse("admin:config_export_add")).status_code == 403


def test_auditors_read_who_exported_what(browser: Browser, aude: User, northwind: ServiceAgreement) -> None:
    file_of(browser.get(export_of("agreements_client"), {"state": "active"}))
    digest = Export.objects.get().sha256
    shown = text_of(browser_of(aude).get(list_of("config_export"), {"q": digest[:12]}))
    for expected in ("olga", "Clients", "state=active", digest):
        assert expected in shown


def test_more_rows_than_a_file_may_have_are_refused_with_a_sentence(
    browser: Browser, olga: User, northwind: ServiceAgreement, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "CAP", 1)
    declared(olga)
    declared(olga)
    response = browser.get(export_of("incidents_incident"), {"q": "storage"}, follow=True)
    assert "more than 1 rows" in text_of(response)
    assert response.request["QUERY_STRING"] == "q=storage"
    assert not Export.objects.exists()


def test_every_list_is_exported_by_whoever_may_see_it_and_by_nobody_else(
    olga: User, aude: User, northwind: ServiceAgreement
) -> None:
    incident = declared(olga)
    lifecycle.notify_client(incident, by=olga, now=timezone.now())
    lifecycle.resolve(incident, by=olga, now=timezone.now())
    review = reviewing.open_review(incident, by=olga, now=timezone.now())
    CorrectiveAction.objects.create(review=review, what="Add a replica", owner=olga, due_on=timezone.localdate())
    outsider = User.objects.create_user("eve", password=cast.PASSWORD, is_staff=True)
    exported = [model_admin for model_admin in LISTS if model_admin.export_columns]
    assert len(exported) >= 8
    for model_admin in exported:
        address = export_of(f"{model_admin.opts.app_label}_{model_admin.opts.model_name}")
        head, *rows = rows_of(browser_of(aude).get(address))
        assert len(rows) == model_admin.model.objects.count()
        assert all(head), model_admin
        assert browser_of(outsider).get(address).status_code == 403
        assert Browser().get(address).status_code == 302
        for send in (browser_of(aude).post, browser_of(aude).head):
            assert send(address).status_code == 405
    assert Export.objects.count() == len(exported)


def test_an_address_that_the_list_does_not_understand_exports_nothing(browser: Browser, olga: User) -> None:
    response = browser.get(export_of("incidents_incident"), {"nonsense__lookup": "1"})
    assert response.status_code in (302, 400)
    assert not Export.objects.exists()


# ── acts on many ────────────────────────────────────────────────────────────────────────────────────────────────────


def press(browser: Browser, name: str, action: str, *chosen: Any, **typed: Any) -> Any:
    """What the list posts, or with a `step` what the page between posts."""
    data = {"action": action, ACTION_CHECKBOX_NAME: [row.pk for row in chosen], **typed}
    return browser.post(list_of(name), data)


def do(browser: Browser, name: str, action: str, *chosen: Any, **typed: Any) -> Any:
    """Both presses: look, then do what was shown."""
    step = {"step": "preview"} if typed.keys() - {"reason"} else {}
    shown = press(browser, name, action, *chosen, **typed, **step)
    return press(browser, name, action, *chosen, **typed, step="do", seen=shown.context["seen"])


def said(response: Any) -> dict[Any, tuple[bool, str]]:
    return {outcome.row: (outcome.is_lawful, outcome.said) for outcome in response.context["outcomes"]}


def test_many_are_acknowledged_after_a_look_with_one_reason_and_what_is_refused_stops_no_other(
    browser: Browser, olga: User, northwind: ServiceAgreement
) -> None:
    known, new, other = (declared(olga, f"Storage {number}") for number in range(3))
    lifecycle.acknowledge(known, by=olga, now=timezone.now())
    shown = press(browser, "incidents_incident", "acknowledge-many", known, new, other)
    expected = {
        known: (False, f"{known.reference} is already acknowledged."),
        new: (True, "Declared → Acknowledged"),
        other: (True, "Declared → Acknowledged"),
    }
    assert said(shown) == expected
    assert Incident.objects.filter(status=Status.ACKNOWLEDGED).count() == 1  # only looked at
    done = do(browser, "incidents_incident", "acknowledge-many", known, new, other, reason="All hands are here")
    assert done.context["is_done"]
    assert said(done) == expected
    assert "Done: 2 of 3." in text_of(done)
    for incident in (new, other):
        incident.refresh_from_db()
        assert incident.status == Status.ACKNOWLEDGED
        latest = incident.history.first()
        assert (latest.actor_name, latest.history_change_reason) == ("Olga Petrova (olga)", "All hands are here")


def test_looking_leaves_no_trace(browser: Browser, olga: User, northwind: ServiceAgreement) -> None:
    incident = declared(olga)
    rows = incident.history.count(), incident.timeline.count(), Deadline.history.count()
    press(browser, "incidents_incident", "acknowledge-many", incident)
    press(
        browser, "incidents_incident", "assign-many", incident, user=olga.pk, role=ResponderRole.EXPERT, step="preview"
    )
    incident.refresh_from_db()
    assert incident.status == Status.DECLARED
    assert rows == (incident.history.count(), incident.timeline.count(), Deadline.history.count())


def test_nothing_is_done_without_a_reason_or_without_what_was_shown(
    browser: Browser, olga: User, northwind: ServiceAgreement
) -> None:
    incident = declared(olga)
    seen = press(browser, "incidents_incident", "acknowledge-many", incident).context["seen"]
    without = press(browser, "incidents_incident", "acknowledge-many", incident, step="do", seen=seen, reason=" ")
    assert "reason" in without.context["form"].errors
    blind = press(browser, "incidents_incident", "acknowledge-many", incident, step="do", reason="Here")
    assert "has changed" in text_of(blind)
    lifecycle.acknowledge(incident, by=olga, now=timezone.now())
    late = press(browser, "incidents_incident", "acknowledge-many", incident, step="do", seen=seen, reason="Here")
    assert "has changed" in text_of(late)
    assert "is already acknowledged" in text_of(late)
    assert incident.timeline.filter(text="Acknowledged.").count() == 1


def test_a_responder_is_assigned_to_many_once_it_is_said_who(
    browser: Browser, olga: User, max_: User, northwind: ServiceAgreement
) -> None:
    first, second = declared(olga), declared(olga)
    asked = press(browser, "incidents_incident", "assign-many", first, second)
    assert asked.context["outcomes"] == []
    assert "Show what will happen" in text_of(asked)
    typed = {"user": max_.pk, "role": ResponderRole.EXPERT}
    shown = press(browser, "incidents_incident", "assign-many", first, second, **typed, step="preview")
    assert not shown.context["form"].errors
    assert [lawful for lawful, _said in said(shown).values()] == [True, True]
    done = do(browser, "incidents_incident", "assign-many", first, second, **typed, reason="He knows storage")
    assert done.context["is_done"]
    assert [incident.responders.filter(user=max_).count() for incident in (first, second)] == [1, 1]


def test_what_is_resolved_is_closed_and_what_is_not_says_so(
    browser: Browser, olga: User, northwind: ServiceAgreement
) -> None:
    resolved, waiting, open_ = (declared(olga, f"Storage {number}") for number in range(3))
    for incident in (resolved, waiting):
        lifecycle.resolve(incident, by=olga, now=timezone.now())
    lifecycle.record_told(resolved, northwind.client, by=olga, now=timezone.now(), evidence="Called Ms Reyes")
    done = do(browser, "incidents_incident", "close-many", resolved, waiting, open_, reason="Tidying up")
    lawful = {row: is_lawful for row, (is_lawful, _said) in said(done).items()}
    assert lawful == {resolved: True, waiting: False, open_: False}
    assert "Not yet notified: Northwind" in said(done)[waiting][1]
    assert Incident.objects.filter(status=Status.CLOSED).get() == resolved


def test_stuck_notices_are_sent_again_together(browser: Browser, olga: User, contoso: ServiceAgreement) -> None:
    lifecycle.notify_client(declared(olga), by=olga, now=timezone.now())
    stuck, pending = Notice.objects.order_by("pk")
    stuck.state = NoticeState.FAILED
    stuck.save()
    done = do(browser, "incidents_notice", "send-many-again", stuck, pending, reason="The relay is back")
    assert said(done)[stuck] == (True, f"Failed → Pending, to {stuck.recipient_address}")
    assert said(done)[pending][0] is False
    stuck.refresh_from_db()
    assert stuck.state == NoticeState.PENDING


def test_actions_are_handed_over_and_finished_together(
    browser: Browser, olga: User, max_: User, northwind: ServiceAgreement
) -> None:
    incident = declared(olga)
    lifecycle.resolve(incident, by=olga, now=timezone.now())
    review = reviewing.open_review(incident, by=olga, now=timezone.now())
    due = dt.date(2027, 1, 31)
    first, second = (
        CorrectiveAction.objects.create(review=review, what=what, owner=olga, due_on=due)
        for what in ("Add a replica", "Write it down")
    )
    name = "reviews_correctiveaction"
    done = do(browser, name, "hand-over-many", first, owner=max_.pk, due_on="2027-02-28", reason="Olga is away")
    assert said(done)[first] == (True, "Olga Petrova (olga) → Max Weber (max); 31 Jan 2027 → 28 Feb 2027")
    nothing = press(browser, name, "hand-over-many", second, owner=olga.pk, due_on="", step="preview")
    assert said(nothing)[second] == (False, "Nothing would change.")
    typed = {"done_on": "2026-11-24", "evidence": "Change 4711"}
    done = do(browser, name, "finish-many", first, second, **typed, reason="Both went live")
    assert [lawful for lawful, _said in said(done).values()] == [True, True]
    again = press(browser, name, "finish-many", first, **typed, step="preview")
    assert said(again)[first] == (False, "It is done already.")
    first.refresh_from_db()
    assert (first.owner, first.done_on, first.evidence) == (max_, dt.date(2026, 11, 24), "Change 4711")
    assert first.history.first().history_change_reason == "Both went live"


@pytest.mark.parametrize(
    ("name", "action"),
    [
        ("incidents_incident", "acknowledge-many"),
        ("incidents_incident", "assign-many"),
        ("incidents_incident", "close-many"),
        ("incidents_notice", "send-many-again"),
        ("reviews_correctiveaction", "hand-over-many"),
        ("reviews_correctiveaction", "finish-many"),
        ("reviews_correctiveaction", "drop-many"),
    ],
)
def test_an_auditor_is_offered_no_act_and_can_press_none(
    aude: User, olga: User, northwind: ServiceAgreement, name: str, action: str
) -> None:
    incident = declared(olga)
    browser = browser_of(aude)
    assert action not in browser.get(list_of(name)).content.decode()
    before = incident.history.count()
    response = press(browser, name, action, incident, reason="Because", step="do", seen="")
    assert "outcomes" not in (response.context or {})
    assert incident.history.count() == before


def test_more_than_a_page_of_rows_is_refused(
    browser: Browser, olga: User, northwind: ServiceAgreement, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("config.bulk.MOST", 1)
    declared(olga)
    declared(olga)
    response = browser.post(
        list_of("incidents_incident"),
        {"action": "acknowledge-many", "select_across": "1", ACTION_CHECKBOX_NAME: ["1"]},
        follow=True,
    )
    assert "more than 1 at a time" in text_of(response)
    assert not Incident.objects.filter(status=Status.ACKNOWLEDGED).exists()


def test_nobody_is_offered_to_delete_many(ada: User, northwind: ServiceAgreement) -> None:
    browser = browser_of(ada)
    for model in admin.site._registry:
        address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        assert "delete_selected" not in browser.get(address).content.decode()
