"""Texts of old notices are reduced to their digests, and the audit trail still proves what was sent."""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from agreements.models import ClientScope, ServiceAgreement, Severity
from config.audit import append_only, concerns, seals, verification
from config.history import Caller
from config.models import Concern, Event, EventKind, GivenUp, User
from config.models.concern import ConcernKind
from incidents import evidence, lifecycle, loop, notices, outbox, retention, tasks
from incidents.models import Incident, Notice
from incidents.models.incident import Status
from incidents.models.notice import FOLLOW_UPS, NoticeKind, NoticeState
from reviews import lifecycle as reviewing
from reviews.models import PostIncidentReview, ReviewStatus
from tests import cast
from tests.cast import at
from tests.services.smtp import SmtpSink

pytestmark = pytest.mark.django_db

SECRET = "We lost the tapes of Mrs Miller."
LATER = at("12:00", day=25)


@pytest.fixture
def notice(relay: SmtpSink, olga: User, northwind: ServiceAgreement) -> Notice:
    """Sent and sealed; its incident was closed."""
    incident = lifecycle.declare(
        by=olga,
        now=at("10:00"),
        title="Storage is down",
        severity=Severity.CRITICAL,
        services=[cast.service("Object storage")],
        detected_at=at("10:00"),
    )
    lifecycle.notify_client(incident, by=olga, now=at("10:10"), message=SECRET)
    outbox.deliver(at("10:11"))
    close(incident)
    seals.seal()
    return Notice.objects.get(state=NoticeState.SENT)


def close(incident: Incident) -> None:
    cast.past_the_trail(Incident.objects.filter(pk=incident.pk), closed_at=at("11:00"))


def copies(notice: Notice, count: int) -> list[Notice]:
    """So many more like it."""
    made = []
    for number in range(count):
        copy = Notice.objects.get(pk=notice.pk)
        copy.pk, copy.message_id, copy.moment = None, f"<{number}@due-notice.example>", f"copy-{number}"
        made.append(copy)
    return cast.add_past_the_trail(Notice.objects.all(), made)


def standing() -> int:
    return Notice.objects.exclude(text="").count()


def found() -> list[str]:
    return [str(finding) for finding in verification.verify().findings if "closed_at" not in str(finding)]


def as_owner(statement: str, *values: Any) -> None:
    with append_only.lifted(connection), connection.cursor() as cursor:
        cursor.execute(statement, values)


def reduce(by: User) -> int:
    return retention.reduce_bodies(LATER, by=by, reason="Kept for a day only.")


def test_a_text_is_given_up_for_its_digest_and_the_seal_still_holds(notice: Notice, ada: User) -> None:
    text = notice.text
    assert SECRET in text
    assert reduce(ada) == 1
    notice.refresh_from_db()
    assert (notice.text, notice.html) == ("", "")
    assert hashlib.sha256(text.encode()).hexdigest() in retention.text_of(notice)
    assert found() == []
    seals.seal()
    assert found() == []
    assert reduce(ada) == 0


def test_the_page_of_a_notice_and_the_evidence_show_what_is_left_of_its_text(
    notice: Notice, ada: User, aude: User
) -> None:
    digest = hashlib.sha256(notice.text.encode()).hexdigest()
    reduce(ada)
    page = cast.browser_of(aude).get(f"/admin/incidents/notice/{notice.pk}/change/")
    assert page.status_code == 200
    assert digest in page.content.decode()
    assert SECRET not in page.content.decode()
    assert notice.incident is not None
    assert notice.client is not None
    facts = evidence.evidence_of(notice.incident, notice.client, now=at("13:00", day=25))
    assert digest in facts.canonical().decode()


def test_evidence_asks_the_same_however_many_texts_were_given_up(notice: Notice, ada: User) -> None:
    assert notice.incident is not None
    assert notice.client is not None
    incident, client = notice.incident, notice.client
    close(incident)

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            evidence.evidence_of(incident, client, now=at("13:00", day=25))
        return len(captured)

    reduce(ada)
    with_one = queries()
    copies(notice, 12)
    reduce(ada)
    assert queries() == with_one


def test_history_says_who_gave_a_text_up_and_why(notice: Notice, ada: User) -> None:
    reduce(ada)
    row = notice.history.latest()
    assert (row.history_user, row.history_change_reason, row.changed) == (ada, "Kept for a day only.", ",text,html,")


def test_nothing_is_given_up_of_an_open_incident_of_late_or_without_a_reason(notice: Notice, ada: User) -> None:
    assert retention.reduce_bodies(at("10:30"), by=ada, reason="Too early.") == 0
    with pytest.raises(retention.NoReason):
        retention.reduce_bodies(LATER, by=ada, reason=" ")
    cast.past_the_trail(Incident.objects.all(), closed_at=None)
    assert reduce(ada) == 0


def test_what_colleagues_were_told_of_reviews_is_given_up_as_other_mails_are_a_weekly_list_by_its_age_alone(
    notice: Notice, olga: User, max_: User, ada: User
) -> None:
    assert notice.incident is not None
    cast.past_the_trail(Notice.objects.filter(pk=notice.pk), state=NoticeState.PENDING)
    told: dict[str, Any] = {"now": at("10:30"), "link": "/admin/", "headline": "Add a replica", "message": "It is due."}
    rows = [
        notices.to_colleague(kind, max_, moment=kind, incident=about, **told)
        for kind, about in (*((kind, notice.incident) for kind in FOLLOW_UPS), (NoticeKind.OUTSTANDING, None))
    ]
    notices.queue(rows)
    assert reduce(ada) == 0, "none is settled"
    colleagues = Notice.objects.filter(kind__in=FOLLOW_UPS)
    cast.past_the_trail(colleagues, state=NoticeState.SENT, accepted_at=at("10:31"))
    assert retention.reduce_bodies(at("10:31"), by=ada, reason="Too early.") == 0
    cast.past_the_trail(Incident.objects.all(), closed_at=None)
    assert reduce(ada) == 1
    assert colleagues.get(text="").incident is None
    close(notice.incident)
    assert reduce(ada) == len(FOLLOW_UPS)
    assert not colleagues.exclude(text="", html="").exists()


def test_a_text_that_an_insider_blanks_is_found(notice: Notice) -> None:
    as_owner("UPDATE incidents_notice SET text = ''")
    assert any(f"incidents.Notice {notice.pk}" in finding and "changed" in finding for finding in found())


def test_a_digest_that_an_insider_keeps_or_swaps_is_found(notice: Notice, ada: User) -> None:
    reduce(ada)
    kept = GivenUp.objects.get(name="text")
    forged = hashlib.sha256(b"All is well.").hexdigest()
    as_owner("UPDATE config_givenup SET digests = %s WHERE id = %s", f'{{"{kept.by}": "{forged}"}}', kept.pk)
    assert any("not signed by our key" in finding for finding in found())
    assert any(f"incidents.Notice {notice.pk}" in finding for finding in found())


def test_another_text_put_where_one_was_given_up_is_found(notice: Notice, ada: User) -> None:
    reduce(ada)
    as_owner("UPDATE incidents_notice SET text = 'All is well.'")
    assert any("a value stands there again" in finding for finding in found())


def test_a_dry_run_names_the_incidents_and_changes_nothing(
    notice: Notice, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("config.instants.now", lambda: at("12:00", day=27))
    out = StringIO()
    call_command("retention", "reduce-bodies", "--days=2", "--dry-run", stdout=out)
    assert notice.incident is not None
    assert f"{notice.incident.reference}: 1 notices" in out.getvalue()
    notice.refresh_from_db()
    assert SECRET in notice.text
    with pytest.raises(CommandError, match="who decides"):
        call_command("retention", "reduce-bodies", "--days=2")
    call_command("retention", "reduce-bodies", "--days=2", "--by=ada", "--reason=Kept for two days.", stdout=out)
    assert "The texts of 1 notices were reduced" in out.getvalue()


# ── what is left alone ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("state", sorted(set(NoticeState) - {"sent", "handled", "cancelled", "superseded"}))
def test_what_is_not_settled_keeps_its_text(notice: Notice, ada: User, state: str) -> None:
    lease = {"lease_token": "0" * 32, "leased_until": LATER} if state in ("leased", "transmitting") else {}
    cast.past_the_trail(Notice.objects.all(), state=state, **lease)
    assert reduce(ada) == 0
    assert standing() == 1


def test_an_incident_whose_review_is_open_or_was_completed_since_keeps_its_texts(
    notice: Notice, ada: User, olga: User
) -> None:
    cast.past_the_trail(Incident.objects.all(), status=Status.RESOLVED, resolved_at=at("11:00"))
    assert notice.incident is not None
    notice.incident.refresh_from_db()
    reviewing.open_review(notice.incident, by=olga, now=at("11:30"))
    assert reduce(ada) == 0
    cast.past_the_trail(PostIncidentReview.objects.all(), status=ReviewStatus.CLOSED, completed_at=at("13:00", day=25))
    assert reduce(ada) == 0
    cast.past_the_trail(PostIncidentReview.objects.all(), completed_at=at("12:00"))
    assert reduce(ada) == 1


def test_a_merged_incident_is_closed_with_the_one_that_it_was_merged_into(
    notice: Notice, ada: User, olga: User
) -> None:
    master = lifecycle.declare(
        by=olga, now=at("10:20"), title="All of it", severity=Severity.CRITICAL,
        services=[cast.service("Object storage")], detected_at=at("10:20"),
    )  # fmt: skip
    merged = {"status": Status.MERGED, "merged_into": master, "merged_at": at("10:30"), "closed_at": None}
    cast.past_the_trail(Incident.objects.exclude(pk=master.pk), **merged)
    assert reduce(ada) == 0
    close(master)
    assert reduce(ada) == 1


# ── by the worker, once a day ───────────────────────────────────────────────────────────────────────────────────────


def test_the_worker_reduces_what_is_older_than_is_set_and_nothing_where_nothing_is(
    notice: Notice, settings: Settings
) -> None:
    a_month_later = at("11:00") + dt.timedelta(days=30)
    assert retention.reduce_as_set(a_month_later) == 0
    settings.NOTICE_BODY_DAYS = 30
    assert retention.reduce_as_set(a_month_later) == 0
    assert retention.reduce_as_set(a_month_later + dt.timedelta(seconds=1)) == 1
    assert standing() == 0


def test_a_run_is_one_act_of_the_worker_that_says_how_many_there_were(notice: Notice, settings: Settings) -> None:
    copies(notice, 2)
    settings.NOTICE_BODY_DAYS = 30
    retention.reduce_as_set(at("12:00") + dt.timedelta(days=30))
    event = Event.objects.get(kind=EventKind.TEXTS_REDUCED)
    assert (event.caller, event.actor, event.actor_name) == (Caller.WORKER, None, "system: retention.reduce_as_set")
    assert event.said == {"count": "3", "before": "2026-11-24 12:00 UTC"}
    assert "3, of before 2026-11-24 12:00 UTC" in event.sentence
    rows = Notice.history.filter(request_id=event.request_id)
    assert {(row.caller, row.history_change_reason, row.changed) for row in rows} == {
        (Caller.WORKER, "Texts of notices are kept for 30 days (NOTICE_BODY_DAYS).", ",text,html,")
    }
    assert rows.count() == 3


def test_a_run_that_finds_nothing_leaves_nothing(notice: Notice, settings: Settings) -> None:
    settings.NOTICE_BODY_DAYS = 30
    retention.reduce_as_set(at("12:00"))
    assert not Event.objects.exists()


@pytest.mark.parametrize("run", [tasks.give_up_old_texts, loop.give_up], ids=["the bell", "the loop"])
def test_the_bell_and_the_loop_do_so(
    notice: Notice, settings: Settings, monkeypatch: pytest.MonkeyPatch, run: Callable[[], object]
) -> None:
    monkeypatch.setattr("config.instants.now", lambda: at("12:00") + dt.timedelta(days=30))
    settings.NOTICE_BODY_DAYS = 30
    run()
    assert standing() == 0


def test_it_is_done_once_a_day() -> None:
    bell = settings_of_the_beat()["give up old texts"]["schedule"]
    assert (bell.hour, bell.minute, bell.day_of_week) == ({3}, {10}, set(range(7)))
    assert dt.timedelta(seconds=loop.GIVE_UP_EVERY) == dt.timedelta(days=1)


def settings_of_the_beat() -> dict[str, dict[str, Any]]:
    from django.conf import settings

    return dict(settings.CELERY_BEAT_SCHEDULE)


def test_a_run_does_at_most_so_many_and_the_next_goes_on(notice: Notice, ada: User) -> None:
    copies(notice, 4)
    given: dict[str, Any] = {"by": ada, "reason": "Kept for a day only.", "most": 2}
    assert [retention.reduce_bodies(LATER, **given) for _run in range(4)] == [2, 2, 1, 0]


def test_a_worker_that_is_told_to_stop_stops_between_two(notice: Notice, ada: User) -> None:
    copies(notice, 4)
    asked = iter([False, False, *[True] * 10])
    done = retention.reduce_bodies(LATER, by=ada, reason="Kept for a day only.", should_stop=lambda: next(asked))
    assert done == 2
    assert standing() == 3


def test_one_that_cannot_be_reduced_stops_no_other(notice: Notice, ada: User, caplog: pytest.LogCaptureFixture) -> None:
    """Somebody has put a text where one had been given up."""
    reduce(ada)
    as_owner("UPDATE incidents_notice SET text = 'All is well.'")
    copies(notice, 2)
    caplog.set_level(logging.ERROR)
    assert reduce(ada) == 2
    assert f"notice {notice.pk} could not be given up" in caplog.text
    assert list(Notice.objects.exclude(text="").values_list("pk", flat=True)) == [notice.pk]


def test_the_chain_verifies_before_and_after_a_run(notice: Notice, settings: Settings) -> None:
    copies(notice, 3)
    seals.seal()
    before = found()  # the copies were made late, and sent by nobody
    settings.NOTICE_BODY_DAYS = 30
    assert retention.reduce_as_set(at("12:00") + dt.timedelta(days=30)) == 4
    assert found() == before
    seals.seal()
    assert found() == before


@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="SQLite has one writer; the run on PostgreSQL races.")
@pytest.mark.django_db(transaction=True)
def test_two_runs_at_once_reduce_each_once(notice: Notice, settings: Settings) -> None:
    copies(notice, 40)
    settings.NOTICE_BODY_DAYS = 30
    begin = threading.Barrier(2)

    def run() -> int:
        try:
            begin.wait(30)
            return retention.reduce_as_set(at("12:00") + dt.timedelta(days=30))
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        done = [future.result() for future in [pool.submit(run), pool.submit(run)]]
    assert sum(done) == 41
    assert GivenUp.objects.filter(name="text").count() == 41
    assert Notice.history.filter(changed=",text,html,").count() == 41


# ── by a person ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_a_person_gives_up_is_to_be_looked_at_and_what_the_worker_does_is_not(
    notice: Notice, ada: User, settings: Settings
) -> None:
    copy = copies(notice, 1)[0]
    settings.NOTICE_BODY_DAYS = 30
    cast.past_the_trail(Notice.objects.filter(pk=copy.pk), accepted_at=at("10:11", day=25))
    retention.reduce_as_set(at("12:00") + dt.timedelta(days=30))
    seals.seal()
    concerns.examine()
    assert not Concern.objects.filter(kind=ConcernKind.GIVEN_UP).exists()
    reduce(ada)
    seals.seal()
    concerns.examine()
    assert Concern.objects.get(kind=ConcernKind.GIVEN_UP).actor == ada


def test_the_command_does_as_is_set_where_no_days_are_said(notice: Notice, settings: Settings) -> None:
    with pytest.raises(CommandError, match="for ever"):
        call_command("retention", "reduce-bodies")
    for days in (0, -1, 10**9):
        with pytest.raises(CommandError, match="from 1 to 36500"):
            call_command("retention", "reduce-bodies", f"--days={days}", "--dry-run")
    settings.NOTICE_BODY_DAYS = 30
    out = StringIO()
    call_command("retention", "reduce-bodies", stdout=out)
    assert "The texts of 0 notices" in out.getvalue()


# ── where it is seen ────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_page_of_a_notice_says_since_when_by_whom_and_what_is_left(notice: Notice, ada: User, olga: User) -> None:
    digests = [hashlib.sha256(body.encode()).hexdigest() for body in (notice.text, notice.html)]
    reduce(ada)
    page = cast.browser_of(olga).get(f"/admin/incidents/notice/{notice.pk}/change/").content.decode()
    for said in (*digests, "SHA-256 of the HTML", "Ada Lind (ada)", f"/admin/incidents/notice/{notice.pk}/history/"):
        assert said in page, said
    assert "<iframe" not in page
    frame = cast.browser_of(olga).get(f"/admin/incidents/notice/{notice.pk}/mail/").content.decode()
    assert digests[0] in frame


def test_the_incident_says_that_texts_were_given_up_and_of_which_notices(notice: Notice, ada: User, olga: User) -> None:
    address = f"/admin/incidents/incident/{notice.incident_id}/change/"
    mark = "text given up"
    assert mark not in cast.browser_of(olga).get(address).content.decode()
    reduce(ada)
    page = cast.browser_of(olga).get(address).content.decode()
    assert mark in page
    assert "The text of 1 notice was reduced to its digest." in page


# ── the page ────────────────────────────────────────────────────────────────────────────────────────────────────────

PAGE = "/admin/incidents/notice/retention/"


@pytest.fixture
def _two_days_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("config.instants.now", lambda: at("12:00", day=27))


def pressed(browser: Any, **typed: str) -> Any:
    """As somebody presses who has read the preview."""
    shown = browser.get(PAGE, {"days": "2"})
    given = {"days": "2", "seen": shown.context["seen"], "reason": "Kept for two days.", "is_sure": "on"}
    return browser.post(PAGE, {**given, **typed})


@pytest.mark.usefixtures("_two_days_later")
class TestPage:
    def test_it_shows_what_would_be_given_up_and_does_it_when_it_is_pressed(self, notice: Notice, ada: User) -> None:
        copies(notice, 2)
        browser = cast.browser_of(ada)
        shown = browser.get(PAGE, {"days": "2"})
        preview = shown.context["preview"]
        assert (preview.notices, preview.clients, preview.incidents) == (3, 1, 1)
        assert (preview.oldest_at, preview.newest_at) == (at("10:10"), at("10:10"))
        assert standing() == 3
        assert pressed(browser).status_code == 302
        assert standing() == 0
        event = Event.objects.get(kind=EventKind.TEXTS_REDUCED)
        assert (event.actor, event.caller, event.said["count"]) == (ada, Caller.ADMIN, "3")
        assert set(Notice.history.filter(request_id=event.request_id).values_list("history_change_reason")) == {
            ("Kept for two days.",)
        }
        assert event.sentence in browser.get(PAGE).content.decode()

    @pytest.mark.parametrize("missing", [{"reason": ""}, {"reason": " "}, {"is_sure": ""}, {"seen": "other"}])
    def test_without_a_reason_a_word_that_it_is_meant_or_what_was_shown_nothing_is_done(
        self, notice: Notice, ada: User, missing: dict[str, str]
    ) -> None:
        assert pressed(cast.browser_of(ada), **missing).status_code == 200
        assert standing() == 1

    @pytest.mark.parametrize("days", ["0", "-1", "x", "99999999999"])
    def test_days_that_are_none_are_refused(self, notice: Notice, ada: User, days: str) -> None:
        browser = cast.browser_of(ada)
        assert browser.get(PAGE, {"days": days}).status_code == 200
        assert browser.post(PAGE, {"days": days, "reason": "Why.", "is_sure": "on"}).status_code == 200
        assert standing() == 1

    def test_one_press_does_so_many_and_says_what_is_left(
        self, notice: Notice, ada: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        copies(notice, 2)
        monkeypatch.setattr("incidents.admin.retention.MOST", 2)
        browser = cast.browser_of(ada)
        first = pressed(browser)
        assert (first.status_code, standing()) == (200, 1)
        assert first.context["preview"].notices == 1
        assert 'value="Kept for two days."' in first.content.decode()
        assert pressed(browser).status_code == 302
        assert standing() == 0

    def test_who_reads_the_trail_sees_what_was_given_up_and_gives_up_nothing(
        self, notice: Notice, ada: User, aude: User, max_: User, olga: User
    ) -> None:
        assert cast.browser_of(ada).put(PAGE).status_code == 405
        for reader in (aude, max_, olga):
            answer = cast.browser_of(reader).post(PAGE, {"days": "2", "reason": "Why.", "is_sure": "on"})
            assert answer.status_code == 403
        assert standing() == 1
        pressed(cast.browser_of(ada))
        for reader in (aude, max_):
            page = cast.browser_of(reader).get(PAGE, {"days": "2"}).content.decode()
            assert "reduced to their digests: 1" in page
            assert 'name="reason"' not in page
        assert cast.browser_of(olga).get(PAGE).status_code == 403

    def test_who_is_limited_to_some_clients_gives_up_theirs_only(
        self, notice: Notice, ada: User, contoso: ServiceAgreement
    ) -> None:
        ClientScope.objects.create(user=ada, client=contoso.client)
        assert cast.browser_of(ada).get(PAGE, {"days": "2"}).context["preview"].notices == 0
        assert retention.reduce_bodies(LATER, by=ada, reason="All of them.") == 0
