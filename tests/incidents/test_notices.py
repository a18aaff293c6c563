"""Who is told what at which moment: the rows that the sweep makes."""

from __future__ import annotations

import copy
import logging
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.db.models import Count
from django.test.utils import CaptureQueriesContext

from agreements.models import Contact, Obligation, ServiceAgreement, Severity
from config.models import User
from incidents import deadlines, letter, lifecycle, notices
from incidents.models import Deadline, Incident, Notice
from incidents.models.notice import NoticeKind, NoticeState
from tests import cast
from tests.cast import at

pytestmark = pytest.mark.django_db


def declare(by: User, detected: str = "10:00", now: str | None = None) -> Incident:
    return lifecycle.declare(
        by=by,
        now=at(now or detected),
        title="Storage is down",
        severity=Severity.CRITICAL,
        services=[cast.service("Object storage")],
        detected_at=at(detected),
    )


def sent_to(moment: str, state: NoticeState = NoticeState.PENDING) -> set[str]:
    return set(Notice.objects.filter(moment=moment, state=state).values_list("recipient_address", flat=True))


class TestWarnings:
    def test_they_come_at_their_share_of_the_allowance(self, olga: User, northwind: ServiceAgreement) -> None:
        notify = declare(olga).deadlines.get(obligation=Obligation.NOTIFY)
        planned = {moment.key: moment.at for moment in notify.planned_moments()}
        assert planned == {
            "warning-50%": at("12:00"),
            "warning-80%": at("13:12"),
            "holding": at("13:36"),
            "overdue": at("14:00"),
        }

    def test_nobody_is_told_before_the_moment_has_come(self, olga: User, northwind: ServiceAgreement) -> None:
        declare(olga)
        assert notices.raise_due(at("11:59:59")) == 0
        assert not Notice.objects.exists()

    def test_the_first_goes_to_the_clients_contacts_and_the_responders_the_second_to_the_manager_too(
        self, olga: User, max_: User, northwind: ServiceAgreement
    ) -> None:
        declare(olga)
        notices.raise_due(at("12:00"))
        assert sent_to("warning-50%") == {"ops@northwind.example", "olga@due-notice.example"}
        notices.raise_due(at("13:12"))
        everybody = {"ops@northwind.example", "olga@due-notice.example", "max@due-notice.example"}
        assert sent_to("warning-80%") == everybody

    def test_client_and_colleague_get_different_letters(self, olga: User, northwind: ServiceAgreement) -> None:
        declare(olga)
        notices.raise_due(at("12:00"))
        client = Notice.objects.get(kind=NoticeKind.WARNING)
        staff = Notice.objects.get(kind=NoticeKind.STAFF_WARNING)
        assert "09:00 EST" in client.text, "the due time is given in the client's zone, with the zone"
        assert "/admin/" not in client.text + client.html
        assert "/admin/incidents/incident/" in staff.text
        assert "14:00 UTC" in staff.text

    def test_a_second_sweep_makes_nothing_new(self, olga: User, northwind: ServiceAgreement) -> None:
        declare(olga)
        notices.raise_due(at("12:00"))
        before = Notice.objects.count()
        assert notices.raise_due(at("12:00")) == 0
        cast.past_the_trail(
            Deadline.objects, next_action_at=at("12:00"), raised_until=None
        )  # as if the first had not been recorded
        notices.raise_due(at("12:00"))
        assert Notice.objects.count() == before

    def test_what_is_done_is_not_warned_about(self, olga: User, northwind: ServiceAgreement) -> None:
        incident = declare(olga)
        lifecycle.record_told(incident, northwind.client, by=olga, now=at("11:59:59"), evidence="By phone.")
        notices.raise_due(at("12:00"))
        assert not Notice.objects.exists()

    def test_a_warning_in_the_queue_is_cancelled_with_the_reason_when_it_is_done(
        self, olga: User, northwind: ServiceAgreement
    ) -> None:
        incident = declare(olga)
        notices.raise_due(at("12:00"))
        lifecycle.record_told(incident, northwind.client, by=olga, now=at("12:00:01"), evidence="By phone.")
        assert set(Notice.objects.values_list("state", "state_reason")) == {
            (NoticeState.CANCELLED, "Done before this was sent.")
        }


class TestHoldingNotice:
    def test_it_goes_to_every_contact_by_itself_before_the_deadline(
        self, olga: User, northwind: ServiceAgreement
    ) -> None:
        Contact.objects.create(client=northwind.client, name="Duty", address="duty@northwind.example", position=2)
        declare(olga)
        notices.raise_due(at("13:36"))
        assert sent_to("holding") == {"ops@northwind.example", "duty@northwind.example"}
        assert set(Notice.objects.filter(moment="holding").values_list("kind", flat=True)) == {"holding_notice"}

    def test_it_still_goes_when_everybody_slept_past_the_deadline(
        self, olga: User, northwind: ServiceAgreement
    ) -> None:
        declare(olga)
        notices.raise_due(at("17:00"))
        holding = Notice.objects.get(moment="holding")
        assert holding.state == NoticeState.PENDING
        assert "This message is late: it was due by 24 Nov 2026, 09:00 EST." in letter.text_of(holding)
        assert "This message is late: it was due by 24 Nov 2026, 09:00 EST." in letter.html_of(holding)


class TestCatchingUp:
    def test_entered_after_the_deadline_gives_one_overdue_notice_and_no_old_warnings(
        self, olga: User, northwind: ServiceAgreement
    ) -> None:
        declare(olga, now="15:00")
        notices.raise_due(at("15:00"))
        assert Notice.objects.filter(kind=NoticeKind.OVERDUE).count() == 1
        assert not Notice.objects.filter(moment__startswith="warning").exists()

    def test_after_an_outage_only_the_last_warning_is_sent_and_the_others_say_why_not(
        self, olga: User, northwind: ServiceAgreement
    ) -> None:
        declare(olga)
        notices.raise_due(at("13:20"))  # both warnings have come meanwhile
        assert sent_to("warning-80%")
        assert sent_to("warning-50%") == set()
        assert sent_to("warning-50%", NoticeState.SUPERSEDED)
        for overtaken in Notice.objects.filter(state=NoticeState.SUPERSEDED):
            assert overtaken.superseded_by is not None
            assert overtaken.superseded_by.recipient_address == overtaken.recipient_address
            assert overtaken.superseded_by.moment == "warning-80%"

    def test_a_warning_that_still_waits_when_the_next_one_comes_is_superseded_with_a_link(
        self, olga: User, northwind: ServiceAgreement
    ) -> None:
        declare(olga)
        notices.raise_due(at("12:00"))  # the mail server is away, so it stays in the queue
        notices.raise_due(at("13:20"))
        assert {(n.moment, n.state, n.superseded_by and n.superseded_by.moment) for n in Notice.objects.all()} == {
            ("warning-50%", NoticeState.SUPERSEDED, "warning-80%"),
            ("warning-80%", NoticeState.PENDING, None),
        }
        notices.raise_due(at("14:01"))
        assert set(Notice.objects.waiting().values_list("moment", flat=True)) == {"overdue", "holding"}

    def test_each_batch_of_a_burst_can_be_sent_before_the_next_is_made(
        self, olga: User, northwind: ServiceAgreement, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(notices, "FIRST_BATCH", 1)
        monkeypatch.setattr(notices, "BATCH", 2)
        for _number in range(4):
            declare(olga)
        made: list[int] = []
        notices.raise_due(at("12:00"), then=lambda: made.append(Notice.objects.values("incident").distinct().count()))
        assert made == [1, 3, 4]

    def test_a_broken_template_gives_the_plain_facts_instead_of_nothing(
        self, olga: User, northwind: ServiceAgreement, settings: Any, tmp_path: Path
    ) -> None:
        (tmp_path / "notices").mkdir()
        (tmp_path / "notices" / "holding_notice.txt").write_text("{% load no_such_library %}")
        templates = copy.deepcopy(settings.TEMPLATES)
        templates[0]["DIRS"].insert(0, tmp_path)
        settings.TEMPLATES = templates
        incident = declare(olga)
        notices.raise_due(at("17:00"))
        holding = Notice.objects.get(moment="holding")
        assert holding.is_fallback
        assert not Notice.objects.filter(is_fallback=True).exclude(pk=holding.pk).exists()
        assert holding.subject == f"[{incident.reference}] Holding notice: {incident.title}"
        for fact in ("severity “Critical”", "Detected 24 Nov 2026, 05:00 EST", "Due by 24 Nov 2026, 09:00 EST"):
            assert fact in holding.text
        assert "This message is late" in letter.html_of(holding)

    def test_after_an_outage_past_the_deadline_only_overdue_and_holding_are_sent(
        self, olga: User, northwind: ServiceAgreement
    ) -> None:
        declare(olga)
        notices.raise_due(at("17:00"))
        assert set(Notice.objects.waiting().values_list("moment", flat=True)) == {"overdue", "holding"}

    def test_a_correction_that_makes_it_overdue_again_does_not_repeat_the_overdue_notice(
        self, olga: User, northwind: ServiceAgreement
    ) -> None:
        incident = declare(olga)
        notices.raise_due(at("14:00"))
        lifecycle.correct_times(incident, by=olga, now=at("14:30"), detected_at=at("9:00"), reason="Earlier.")
        notices.raise_due(at("14:30"))
        assert Notice.objects.waiting().filter(kind=NoticeKind.OVERDUE).count() == 1

    def test_a_moved_deadline_takes_its_unsent_notices_back_and_starts_a_revision(
        self, olga: User, northwind: ServiceAgreement
    ) -> None:
        incident = declare(olga)
        notices.raise_due(at("12:00"))
        lifecycle.correct_times(incident, by=olga, now=at("12:01"), detected_at=at("11:00"), reason="Later.")
        assert not Notice.objects.waiting().exists()
        notices.raise_due(at("13:00"))
        again = Notice.objects.waiting().filter(moment="warning-50%")
        assert set(again.values_list("revision", flat=True)) == {2}


class TestNobodyToTell:
    def test_operators_are_alarmed_and_the_obligation_is_not_met(
        self, olga: User, max_: User, northwind: ServiceAgreement
    ) -> None:
        cast.past_the_trail(northwind.client.contacts, is_active=False)
        incident = declare(olga)
        notices.raise_due(at("13:36"))
        alarm = Notice.objects.filter(kind=NoticeKind.ALARM, moment="no-contact-holding")
        assert set(alarm.values_list("recipient_address", flat=True)) == {
            "olga@due-notice.example",
            "max@due-notice.example",
        }
        assert incident.deadlines.get(obligation=Obligation.NOTIFY).is_open

    def test_pressing_the_button_says_that_nobody_was_mailed(self, olga: User, northwind: ServiceAgreement) -> None:
        cast.past_the_trail(northwind.client.contacts, is_active=False)
        assert lifecycle.notify_client(declare(olga), by=olga, now=at("10:10")) == 0

    def test_a_deactivated_colleague_is_not_mailed(self, olga: User, max_: User, northwind: ServiceAgreement) -> None:
        declare(olga)
        olga.is_active = False
        cast.save(olga)
        notices.raise_due(at("13:12"))
        assert "olga@due-notice.example" not in sent_to("warning-80%")
        assert "max@due-notice.example" in sent_to("warning-80%")


class TestLetters:
    def test_two_clients_never_see_each_other(
        self, olga: User, northwind: ServiceAgreement, contoso: ServiceAgreement
    ) -> None:
        lifecycle.notify_client(declare(olga), by=olga, now=at("10:10"), message="We are on it.")
        for notice in Notice.objects.all():
            other = "Contoso" if notice.client == northwind.client else "Northwind"
            assert other not in notice.subject + notice.text + notice.html

    def test_markup_is_shown_not_obeyed(self, olga: User, northwind: ServiceAgreement) -> None:
        incident = lifecycle.declare(
            by=olga,
            now=at("10:00"),
            title="<script>alert(1)</script> {{ 7|add:7 }}",
            severity=Severity.CRITICAL,
            services=[cast.service("Object storage")],
            detected_at=at("10:00"),
            client_summary="<img src=x onerror=alert(1)> {% now 'Y' %}",
        )
        lifecycle.notify_client(incident, by=olga, now=at("10:10"))
        notice = Notice.objects.get()
        assert "<script>" not in notice.html
        assert "<img" not in notice.html
        assert "{{ 7|add:7 }}" in notice.text
        assert "<script>alert(1)</script>" in notice.text, "plain text stays as it was typed"

    def test_internal_notes_never_reach_a_client(self, olga: User, northwind: ServiceAgreement) -> None:
        incident = lifecycle.declare(
            by=olga,
            now=at("10:00"),
            title="Down",
            severity=Severity.CRITICAL,
            services=[cast.service("Object storage")],
            detected_at=at("10:00"),
            description="ROOT-PASSWORD-LEAKED",
        )
        lifecycle.notify_client(incident, by=olga, now=at("10:10"))
        notices.raise_due(at("13:36"))
        assert not any("ROOT-PASSWORD" in n.text + n.html + n.subject for n in Notice.objects.all())

    def test_every_letter_about_one_incident_is_one_thread_per_recipient(
        self, olga: User, northwind: ServiceAgreement
    ) -> None:
        incident = declare(olga)
        notices.raise_due(at("12:00"))
        lifecycle.notify_client(incident, by=olga, now=at("12:10"))
        threads = Notice.objects.values("recipient_address").annotate(n=Count("thread_id", distinct=True))
        assert {row["n"] for row in threads} == {1}
        assert Notice.objects.values("thread_id").distinct().count() == 2


class TestSweep:
    def test_one_bad_row_never_stops_a_sweep(
        self, olga: User, northwind: ServiceAgreement, caplog: pytest.LogCaptureFixture
    ) -> None:
        bad, good = declare(olga), declare(olga)
        cast.past_the_trail(Deadline.objects.filter(incident=bad), moments=[{"kind": "nonsense"}])
        with caplog.at_level(logging.CRITICAL):
            notices.raise_due(at("12:00"))
        assert set(Notice.objects.values_list("incident", flat=True)) == {good.pk}
        assert not Deadline.objects.due_for_action(at("12:00")).exists(), "it is set aside for a minute"
        assert Deadline.objects.due_for_action(at("12:01")).exists(), "and then tried again"

    def test_a_deadline_that_was_met_meanwhile_is_not_set_aside(
        self, olga: User, northwind: ServiceAgreement, caplog: pytest.LogCaptureFixture
    ) -> None:
        incident = declare(olga)
        lifecycle.record_told(incident, northwind.client, by=olga, now=at("11:00"), evidence="By phone.")
        met = incident.deadlines.get(obligation=Obligation.NOTIFY)
        with caplog.at_level(logging.CRITICAL):
            assert notices._set_aside(met.pk, at("12:00")) == 0

    def test_the_queries_of_a_sweep_do_not_grow_with_its_deadlines(
        self, olga: User, northwind: ServiceAgreement
    ) -> None:
        def sweep(incidents: int) -> int:
            for _number in range(incidents):
                declare(olga)
            with CaptureQueriesContext(connection) as captured:
                notices.raise_due(at("12:00"))
            return len(captured)

        assert sweep(2) == sweep(8)

    def test_an_idle_sweep_asks_once(self, northwind: ServiceAgreement) -> None:
        with CaptureQueriesContext(connection) as captured:
            notices.raise_due(at("12:00"))
        assert len(captured) == 1


class TestUpdates:
    def test_each_is_due_an_interval_after_the_last(self, olga: User, northwind: ServiceAgreement) -> None:
        cast.commit(northwind, Obligation.UPDATE, 60, "minutes", is_recurring=True)
        incident = declare(olga)
        for sent in ("10:40", "12:10"):
            deadlines.meet(incident, Obligation.UPDATE, at=at(sent), now=at(sent))
        cycles = incident.deadlines.filter(obligation=Obligation.UPDATE).order_by("cycle")
        assert [(d.due_at, d.met_at) for d in cycles] == [
            (at("11:00"), at("10:40")),
            (at("11:40"), at("12:10")),
            (at("13:10"), None),
        ]
        assert [d.standing(at("12:30")) for d in cycles] == ["met", "missed", "running"]
