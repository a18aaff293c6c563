"""Two people at the same incident: the second is refused with what the first did, loses nothing, and may go on."""

from __future__ import annotations

import datetime as dt
import html
import re
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from agreements.models import Client, ServiceAgreement
from config.history import acting
from config.models import User
from incidents import lifecycle, notices
from incidents.models import Incident, Notice
from tests import cast
from tests.cast import browser_of

HOUR = dt.timedelta(hours=1)
MEANWHILE = "Somebody has changed this since you opened the page."


@pytest.fixture
def incident(olga: User, northwind: ServiceAgreement) -> Incident:
    now = timezone.now()
    return lifecycle.declare(
        by=olga,
        now=now,
        title="Object storage is down",
        severity="critical",
        services=[cast.service("Object storage")],
        detected_at=now - HOUR,
    )


class Tab:
    """A page that stands open: what was typed is sent with all that the page carried when it was opened."""

    def __init__(self, user: User, address: str, **query: Any) -> None:
        self.browser, self.address = browser_of(user), address
        self.page = self.browser.get(address, query)
        assert self.page.status_code == 200

    def carried(self) -> dict[str, str]:
        """The hidden fields, and the fields of a form of words as they were shown."""
        found = dict(re.findall(r'type="hidden" name="(as_read|initial-\w+)" value="([^"]*)"', self._text()))
        form = self.page.context.get("adminform")
        words = {} if form is None else {f.name: f.value() or "" for f in form.form if f.name != "reason"}
        return {**words, **self._rows(), **found}

    def _rows(self) -> dict[str, Any]:
        """The tables below, as they were shown."""
        sent: dict[str, Any] = {}
        for table in self.page.context.get("inline_admin_formsets", ()):
            for form in (table.formset.management_form, *table.formset):
                shown = {field.html_name: field.value() for field in form}
                sent |= {name: value for name, value in shown.items() if value is not None and value is not False}
        return sent

    def send(self, **typed: Any) -> str:
        self.page = self.browser.post(self.address, {**self.carried(), **typed}, follow=True)
        return html.unescape(self._text())

    @property
    def was_refused(self) -> bool:
        return not self.page.redirect_chain

    def _text(self) -> str:
        return self.page.content.decode()


def verb(incident: Incident, slug: str) -> str:
    return reverse(f"admin:incidents_incident_{slug}", args=[incident.pk])


def words(incident: Incident) -> str:
    return reverse("admin:incidents_incident_change", args=[incident.pk])


def test_a_second_press_after_a_colleague_did_something_is_refused_with_what_that_was(
    incident: Incident, olga: User, max_: User
) -> None:
    tab = Tab(olga, verb(incident, "resolve"))
    Tab(max_, verb(incident, "acknowledge")).send(reason="I take it")

    said = tab.send(reason="Works again")

    assert tab.was_refused
    for expected in (MEANWHILE, "Max Weber (max)", "Acknowledged.", "I take it", 'value="Works again"'):
        assert expected in said, expected
    incident.refresh_from_db()
    assert incident.status == "acknowledged"

    assert "is resolved" in tab.send(reason="Works again")  # they have read it and press again


def test_the_same_verb_in_two_tabs_mails_the_clients_once(
    incident: Incident, olga: User, max_: User, northwind: ServiceAgreement
) -> None:
    mine, theirs = Tab(olga, verb(incident, "notify")), Tab(max_, verb(incident, "notify"))
    theirs.send(clients=[northwind.client_id], message="We look into it.")
    said = mine.send(clients=[northwind.client_id], message="We are on it.")
    assert mine.was_refused
    assert "Client notice to Northwind: We look into it." in said
    assert "We are on it." in said
    assert Notice.objects.count() == 1


def test_a_holding_notice_that_went_out_by_itself_is_told_to_who_is_about_to_send_another(
    incident: Incident, olga: User, northwind: ServiceAgreement
) -> None:
    notify, resolve = Tab(olga, verb(incident, "notify")), Tab(olga, verb(incident, "resolve"))
    with acting(task="raise_due"):
        notices.raise_due(timezone.now() + 4 * HOUR)
    said = notify.send(clients=[northwind.client_id], message="We are on it.")
    assert notify.was_refused
    assert "Holding notice to Northwind" in said
    resolve.send()
    assert not resolve.was_refused, "which does not matter to whoever resolves it"


@pytest.mark.parametrize("slug", ["resolve", "mitigate", "acknowledge"])
def test_a_note_of_a_colleague_stops_nobody(incident: Incident, olga: User, max_: User, slug: str) -> None:
    tab = Tab(olga, verb(incident, slug))
    Tab(max_, verb(incident, "note")).send(text="They called.")
    tab.send()
    assert not tab.was_refused


def test_two_notes_at_once_are_both_kept_and_one_that_is_sent_twice_once(
    incident: Incident, olga: User, max_: User
) -> None:
    mine, theirs = Tab(olga, verb(incident, "note")), Tab(max_, verb(incident, "note"))
    again = mine.carried()
    theirs.send(text="They called.")
    mine.send(text="Failover began.")
    twice = mine.browser.post(mine.address, {**again, "text": "Failover began."}, follow=True)
    assert "That is done already." in html.unescape(twice.content.decode())
    mine.browser.post(mine.address, {**again, "text": "Failover is through."})  # from the same page, gone back to
    kept = incident.timeline.filter(is_note=True).order_by("pk").values_list("text", flat=True)
    assert list(kept) == ["They called.", "Failover began.", "Failover is through."]


@pytest.mark.parametrize(
    ("slug", "typed"),
    [("notify", {"message": "We are on it."}), ("update", {"message": "Half of it works."}), ("resolve", {})],
)
def test_a_double_click_does_it_once_and_is_told_calmly(
    incident: Incident, olga: User, slug: str, typed: dict[str, str]
) -> None:
    tab = Tab(olga, verb(incident, slug))
    sent = {**tab.carried(), **typed, "clients": [client.pk for client in Client.objects.all()]}
    tab.browser.post(tab.address, sent)
    before = incident.timeline.count(), Notice.objects.count()
    second = tab.browser.post(tab.address, sent, follow=True)
    assert "That is done already. It was not done a second time." in html.unescape(second.content.decode())
    assert (incident.timeline.count(), Notice.objects.count()) == before


def test_a_page_that_was_refused_for_another_reason_still_knows_when_it_was_read(
    incident: Incident, olga: User, max_: User
) -> None:
    tab = Tab(olga, verb(incident, "reclassify"))
    Tab(max_, verb(incident, "acknowledge")).send()
    assert MEANWHILE not in tab.send(severity="high", reason="")
    assert MEANWHILE in tab.send(severity="high", reason="Half of it works")


def test_what_a_page_carries_cannot_be_made_up_or_used_elsewhere(incident: Incident, olga: User, max_: User) -> None:
    tab = Tab(olga, verb(incident, "acknowledge"))
    for foreign in ("made up", Tab(max_, verb(incident, "acknowledge")).carried()["as_read"]):
        assert "cannot be told what this page had shown" in tab.send(as_read=foreign)
    incident.refresh_from_db()
    assert incident.status == "declared"
    assert "is acknowledged" in tab.send()


def test_a_time_that_a_colleague_corrected_is_not_set_back_by_one_who_left_it_alone(
    incident: Incident, olga: User, max_: User
) -> None:
    def typed(instant: dt.datetime) -> str:
        return instant.strftime("%Y-%m-%dT%H:%M")

    def shown(tab: Tab) -> dict[str, str]:
        form = tab.page.context["form"]
        return {name: form[name].value() or "" for name in ("detected_at", "aware_at", "occurred_at")}

    mine, theirs = Tab(olga, verb(incident, "correct-times")), Tab(max_, verb(incident, "correct-times"))
    aware, detected = incident.detected_at - HOUR / 2, incident.detected_at - HOUR
    theirs.send(**{**shown(theirs), "aware_at": typed(aware), "reason": "The ticket says so"})
    sent = {**shown(mine), "detected_at": typed(detected), "reason": "The log says so"}
    assert "The ticket says so" in mine.send(**sent)
    mine.send(**sent)
    incident.refresh_from_db()
    assert (typed(incident.detected_at), typed(incident.aware_at or detected)) == (typed(detected), typed(aware))


# ── the form of words ───────────────────────────────────────────────────────────────────────────────────────────────


def test_saving_words_over_those_of_a_colleague_is_refused_with_both_and_then_done(
    incident: Incident, olga: User, max_: User
) -> None:
    mine, theirs = Tab(olga, words(incident)), Tab(max_, words(incident))
    theirs.send(title="Uploads fail", client_summary="Downloads work.", reason="More exact")

    said = mine.send(title="Object storage fails", reason="Shorter")

    assert mine.was_refused
    for expected in (
        MEANWHILE,
        "Max Weber (max)",
        "Title: Object storage is down → Uploads fail.",
        "More exact",
        'value="Object storage fails"',
        'value="Shorter"',
        "Downloads work.",  # which Olga left alone, and would else have emptied
    ):
        assert expected in said, expected
    incident.refresh_from_db()
    assert incident.title == "Uploads fail"

    mine.send(title="Object storage fails", reason="Shorter")
    incident.refresh_from_db()
    assert (incident.title, incident.client_summary) == ("Object storage fails", "Downloads work.")


def test_words_saved_twice_by_a_double_click_are_saved_once(incident: Incident, olga: User) -> None:
    tab = Tab(olga, words(incident))
    sent = {**tab.carried(), "title": "Uploads fail", "reason": "More exact"}
    for _click in range(2):
        assert tab.browser.post(tab.address, sent).status_code == 302
    assert incident.history.count() == 2


def test_what_workers_write_stops_nobody_from_saving_words(incident: Incident, olga: User) -> None:
    tab = Tab(olga, words(incident))
    with acting(task="deliver"):
        found = Incident.objects.get()
        found.acknowledged_at = timezone.now()
        found.save()
    tab.send(title="Uploads fail", reason="More exact")
    assert not tab.was_refused
