"""The verbs: what each does to the incident, its deadlines and the trail, and what each refuses."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import transaction

from agreements.models import Commitment, Obligation, Service, ServiceAgreement, Severity, StartEvent
from config.models import User
from incidents import lifecycle
from incidents.lifecycle import Refused
from incidents.models import Deadline, Incident, Notice, Standing, TimelineEntry
from incidents.models.incident import Status
from tests import cast
from tests.cast import at

pytestmark = pytest.mark.django_db


def declare(by: User, **said: Any) -> Incident:
    usual: dict[str, Any] = {
        "title": "Storage is down",
        "severity": Severity.CRITICAL,
        "services": [cast.service("Object storage")],
        "detected_at": at("10:00"),
        "now": at("10:05"),
    }
    return lifecycle.declare(by=by, **usual | said)


def only(incident: Incident, obligation: Obligation, **more: Any) -> Deadline:
    return incident.deadlines.get(obligation=obligation, **more)


class TestDeclare:
    def test_starts_the_deadlines_of_every_agreement_in_force_that_covers_an_affected_service(
        self, olga: User, northwind: ServiceAgreement, contoso: ServiceAgreement
    ) -> None:
        incident = declare(olga)

        assert {d.client.name for d in incident.deadlines.all()} == {"Northwind", "Contoso"}
        notify = incident.deadlines.get(client=northwind.client, obligation=Obligation.NOTIFY)
        assert notify.due_at == at("14:00")
        # 10:00 UTC is 11:00 in Berlin: three business hours end at 14:00 there
        assert incident.deadlines.get(client=contoso.client, obligation=Obligation.NOTIFY).due_at == at("13:00")

    def test_says_why_each_agreement_was_included(self, olga: User, northwind: ServiceAgreement) -> None:
        incident = declare(olga)
        assert "covers Object storage" in incident.affected_agreements.get().why

    def test_leaves_out_agreements_that_cover_other_services_or_are_not_in_force(
        self, olga: User, northwind: ServiceAgreement
    ) -> None:
        northwind.ends_at = at("10:00")  # half-open: at ten it no longer holds
        cast.save(northwind)
        assert not declare(olga).deadlines.exists()
        assert not declare(olga, services=[cast.service("Payments")]).deadlines.exists()

    def test_version_two_holds_from_its_first_instant(self, olga: User, northwind: ServiceAgreement) -> None:
        northwind.ends_at = at("12:00")
        cast.save(northwind)
        second = ServiceAgreement.objects.create(
            reference=northwind.reference,
            version=2,
            client=northwind.client,
            calendar=northwind.calendar,
            effective_at=at("12:00"),
            clause="As amended.",
            supersedes=northwind,
        )
        second.coverage.create(service=cast.service("Object storage"))
        cast.commit(second, Obligation.NOTIFY, 2)

        before = declare(olga, detected_at=at("11:59"), now=at("12:30"))
        after = declare(olga, detected_at=at("12:00"), now=at("12:30"))

        assert only(before, Obligation.NOTIFY).due_at == at("15:59")
        assert only(after, Obligation.NOTIFY).due_at == at("14:00")

    def test_a_duty_without_a_number_runs_without_a_due_time(self, olga: User, northwind: ServiceAgreement) -> None:
        resolve = only(declare(olga), Obligation.RESOLVE)
        assert (resolve.due_at, resolve.standing(at("23:59"))) == (None, Standing.RUNNING)

    def test_entered_late_is_overdue_at_once(self, olga: User, northwind: ServiceAgreement) -> None:
        incident = declare(olga, now=at("15:00"))
        notify = only(incident, Obligation.NOTIFY)
        assert notify.due_at == at("14:00")
        assert notify.standing(at("15:00")) == Standing.MISSED

    def test_references_count_up_within_the_year_and_leave_no_gap_after_a_failure(self, olga: User) -> None:
        first = declare(olga)
        with pytest.raises(Refused), transaction.atomic():
            lifecycle.acknowledge(declare(olga), by=olga, now=at("10:05"), at=at("10:06"))
        second = declare(olga)
        assert (first.reference, second.reference) == ("INC-2026-0001", "INC-2026-0002")

    def test_whoever_declares_is_the_commander(self, olga: User) -> None:
        assert declare(olga).responders.get().user == olga

    @pytest.mark.parametrize(
        ("said", "field"),
        [
            ({"detected_at": at("10:06")}, "detected_at"),
            ({"detected_at": dt.datetime(1, 1, 1, tzinfo=dt.UTC)}, "detected_at"),
            ({"detected_at": dt.datetime(9999, 12, 31, 23, 59, tzinfo=dt.UTC)}, "detected_at"),
            ({"occurred_at": at("10:01")}, "occurred_at"),
            ({"title": "x" * 10_000}, "title"),
            ({"title": "Down\r\nBcc: everybody@example.com"}, "title"),
            ({"title": ""}, "title"),
            ({"severity": "terrible"}, "severity"),
            ({"client_summary": "x" * 10_000}, "client_summary"),
        ],
    )
    def test_bad_input_is_refused_at_its_field_and_nothing_is_half_done(
        self, olga: User, northwind: ServiceAgreement, said: dict[str, Any], field: str
    ) -> None:
        with pytest.raises(ValidationError) as refusal:
            declare(olga, **said)
        assert field in refusal.value.message_dict
        assert not Incident.objects.exists()
        assert not Deadline.objects.exists()

    def test_without_a_service_it_is_refused(self, olga: User) -> None:
        with pytest.raises(Refused, match="at least one affected service"):
            lifecycle.declare(
                by=olga, now=at("10:05"), title="?", severity="high", services=[], detected_at=at("10:00")
            )


class TestRespond:
    @pytest.fixture
    def support(self, northwind: ServiceAgreement) -> ServiceAgreement:
        """Northwind with every obligation, counted from every start event."""
        cast.commit(northwind, Obligation.ACKNOWLEDGE, 15, "minutes")
        cast.commit(northwind, Obligation.MITIGATE, 2, start_event=StartEvent.ACKNOWLEDGED)
        cast.commit(northwind, Obligation.UPDATE, 60, "minutes", is_recurring=True)
        cast.commit(northwind, Obligation.REPORT, 24, start_event=StartEvent.RESOLVED)
        return northwind

    def test_acknowledging_meets_its_deadline_and_starts_what_was_waiting_for_it(
        self, olga: User, support: ServiceAgreement
    ) -> None:
        incident = declare(olga)
        assert only(incident, Obligation.MITIGATE).standing(at("10:05")) == Standing.WAITING

        lifecycle.acknowledge(incident, by=olga, now=at("10:10"), at=at("10:08"))

        assert only(incident, Obligation.ACKNOWLEDGE).met_at == at("10:08")
        assert only(incident, Obligation.MITIGATE).due_at == at("12:08")

    @pytest.mark.parametrize(("done", "standing"), [("10:15:00", Standing.MET), ("10:15:01", Standing.MISSED)])
    def test_done_exactly_when_due_is_met_and_one_second_later_is_missed(
        self, olga: User, support: ServiceAgreement, done: str, standing: Standing
    ) -> None:
        incident = declare(olga)
        lifecycle.acknowledge(incident, by=olga, now=at("10:20"), at=at(done))
        assert only(incident, Obligation.ACKNOWLEDGE).standing(at("10:20")) == standing

    def test_resolving_meets_what_it_implies_ends_updates_and_starts_the_report(
        self, olga: User, support: ServiceAgreement
    ) -> None:
        incident = declare(olga)
        incident = lifecycle.resolve(incident, by=olga, now=at("10:40"))

        met = {d.obligation for d in incident.deadlines.exclude(met_at=None)}
        assert met == {Obligation.ACKNOWLEDGE, Obligation.MITIGATE, Obligation.RESOLVE}
        assert only(incident, Obligation.UPDATE).standing(at("10:40")) == Standing.ENDED
        assert only(incident, Obligation.REPORT).due_at == at("10:40", day=25)
        assert only(incident, Obligation.NOTIFY).is_open, "a client is still owed its notice after resolution"

    def test_an_update_that_was_late_stays_missed_after_resolution(self, olga: User, support: ServiceAgreement) -> None:
        incident = declare(olga)
        lifecycle.resolve(incident, by=olga, now=at("11:30"))
        assert only(incident, Obligation.UPDATE).standing(at("12:00")) == Standing.MISSED

    def test_reopening_leaves_the_notice_met_and_owes_resolution_anew(
        self, olga: User, support: ServiceAgreement
    ) -> None:
        incident = declare(olga)
        lifecycle.record_told(
            incident, support.client, by=olga, now=at("10:20"), evidence="Called the desk, spoke to the duty lead."
        )
        lifecycle.resolve(incident, by=olga, now=at("10:40"))
        incident = lifecycle.reopen(incident, by=olga, now=at("11:00"), reason="It is down again.")

        assert incident.status == Status.ACKNOWLEDGED
        assert incident.resolved_at is None
        assert only(incident, Obligation.NOTIFY).met_at == at("10:20")
        again = only(incident, Obligation.RESOLVE, cycle=2)
        assert (again.started_at, again.is_open) == (at("11:00"), True)
        assert only(incident, Obligation.UPDATE, cycle=2).due_at == at("12:00")
        assert only(incident, Obligation.REPORT).standing(at("11:00")) == Standing.WAITING

    def test_closing_is_refused_while_a_client_waits_for_its_notice(
        self, olga: User, support: ServiceAgreement
    ) -> None:
        incident = declare(olga)
        lifecycle.resolve(incident, by=olga, now=at("10:40"))
        with pytest.raises(Refused, match="Northwind"):
            lifecycle.close(incident, by=olga, now=at("10:50"))
        lifecycle.record_told(incident, support.client, by=olga, now=at("10:55"), evidence="By phone.")
        assert lifecycle.close(incident, by=olga, now=at("11:00")).status == Status.CLOSED

    def test_telling_by_other_means_needs_evidence_and_a_client_who_waits(
        self, olga: User, support: ServiceAgreement, contoso: ServiceAgreement
    ) -> None:
        incident = declare(olga, services=[cast.service("Object storage")])
        with pytest.raises(Refused, match="Say how"):
            lifecycle.record_told(incident, support.client, by=olga, now=at("10:20"), evidence=" ")
        lifecycle.record_told(incident, support.client, by=olga, now=at("10:20"), evidence="By phone.")
        with pytest.raises(Refused, match="not waiting"):
            lifecycle.record_told(incident, support.client, by=olga, now=at("10:30"), evidence="By phone again.")

    def test_a_report_cannot_have_been_given_before_the_resolution(self, olga: User, support: ServiceAgreement) -> None:
        with pytest.raises(Refused, match="once the incident is resolved"):
            lifecycle.record_told(
                declare(olga), support.client, Obligation.REPORT, by=olga, now=at("10:20"), evidence="By post."
            )


class TestReclassify:
    @pytest.fixture
    def two_severities(self, northwind: ServiceAgreement) -> ServiceAgreement:
        cast.commit(northwind, Obligation.ACKNOWLEDGE, 8, severity=Severity.MEDIUM)
        cast.commit(northwind, Obligation.NOTIFY, 1, label="from detection")
        cast.commit(northwind, Obligation.NOTIFY, 1, label="from classification", start_event=StartEvent.CLASSIFIED)
        return northwind

    def test_raised_severity_owes_from_the_original_event_and_is_late_at_once(
        self, olga: User, two_severities: ServiceAgreement
    ) -> None:
        incident = declare(olga, severity=Severity.MEDIUM)
        incident = lifecycle.reclassify(incident, "critical", by=olga, now=at("13:00"), reason="All regions now.")

        from_detection = only(incident, Obligation.NOTIFY, commitment__label="from detection")
        assert from_detection.due_at == at("11:00")
        assert from_detection.standing(at("13:00")) == Standing.MISSED
        assert only(incident, Obligation.NOTIFY, commitment__label="from classification").due_at == at("14:00")

    def test_lowered_severity_ends_what_is_open_and_what_was_missed_stays_missed(
        self, olga: User, two_severities: ServiceAgreement
    ) -> None:
        incident = declare(olga)
        incident = lifecycle.reclassify(incident, "medium", by=olga, now=at("11:30"), reason="One tenant only.")

        missed = only(incident, Obligation.NOTIFY, commitment__label="from detection")
        assert missed.standing(at("12:00")) == Standing.MISSED
        ended = only(incident, Obligation.NOTIFY, commitment__label="")
        assert ended.standing(at("12:00")) == Standing.ENDED
        assert "Reclassified" in ended.end_reason

    def test_back_and_forth_owes_again_what_was_not_met(self, olga: User, two_severities: ServiceAgreement) -> None:
        incident = declare(olga)
        lifecycle.reclassify(incident, "medium", by=olga, now=at("10:10"), reason="One tenant only.")
        lifecycle.reclassify(incident, "critical", by=olga, now=at("10:20"), reason="All of them after all.")
        cycles = incident.deadlines.filter(obligation=Obligation.NOTIFY, commitment__label="").order_by("cycle")
        assert [(d.cycle, d.is_open, d.due_at) for d in cycles] == [(1, False, at("14:00")), (2, True, at("14:00"))]

    def test_it_needs_a_reason_and_a_change(self, olga: User) -> None:
        incident = declare(olga)
        with pytest.raises(Refused, match="Say why"):
            lifecycle.reclassify(incident, "low", by=olga, now=at("11:00"), reason=" ")
        with pytest.raises(Refused, match="already Critical"):
            lifecycle.reclassify(incident, "critical", by=olga, now=at("11:00"), reason="To be sure.")


class TestCorrectTimes:
    def test_an_earlier_detection_moves_the_due_time_and_can_make_it_overdue(
        self, olga: User, northwind: ServiceAgreement
    ) -> None:
        incident = declare(olga)
        lifecycle.correct_times(
            incident, by=olga, now=at("10:30"), detected_at=at("06:00"), reason="The probe had seen it at six."
        )
        notify = only(incident, Obligation.NOTIFY)
        assert (notify.due_at, notify.revision) == (at("10:00"), 2)
        assert notify.standing(at("10:30")) == Standing.MISSED

    def test_a_correction_that_excuses_a_miss_needs_a_reason_and_stays_visible(
        self, olga: User, northwind: ServiceAgreement
    ) -> None:
        incident = declare(olga, detected_at=at("05:00"))
        with pytest.raises(Refused, match="Say why"):
            lifecycle.correct_times(incident, by=olga, now=at("10:30"), detected_at=at("08:00"), reason="")
        lifecycle.correct_times(incident, by=olga, now=at("10:30"), detected_at=at("08:00"), reason="A false alarm.")
        trail = only(incident, Obligation.NOTIFY).history.order_by("history_id")
        assert [row.due_at for row in trail] == [at("09:00"), at("12:00")]
        assert trail.last().history_change_reason == "A false alarm."

    @pytest.fixture
    def second(self, northwind: ServiceAgreement) -> ServiceAgreement:
        """Northwind's second version, in force from ten: two hours' notice instead of four."""
        northwind.ends_at = at("10:00")
        cast.save(northwind)
        second = ServiceAgreement.objects.create(
            reference=northwind.reference,
            version=2,
            client=northwind.client,
            calendar=northwind.calendar,
            effective_at=at("10:00"),
            clause="As amended.",
            supersedes=northwind,
        )
        second.coverage.create(service=cast.service("Object storage"))
        cast.commit(second, Obligation.NOTIFY, 2)
        return second

    def test_another_version_in_force_at_the_corrected_time_takes_over(
        self, olga: User, northwind: ServiceAgreement, second: ServiceAgreement
    ) -> None:
        incident = declare(olga)
        lifecycle.correct_times(incident, by=olga, now=at("10:30"), detected_at=at("9:50"), reason="Seen in the logs.")
        assert only(incident, Obligation.NOTIFY, agreement=second).standing(at("10:30")) == Standing.ENDED
        assert only(incident, Obligation.NOTIFY, agreement=northwind).due_at == at("13:50")
        assert [affected.agreement for affected in incident.affected_agreements.all()] == [northwind]

    def test_a_client_that_was_told_is_not_owed_the_notice_again_under_another_version(
        self, olga: User, northwind: ServiceAgreement, second: ServiceAgreement
    ) -> None:
        incident = declare(olga, detected_at=at("9:50"))
        lifecycle.record_told(incident, northwind.client, by=olga, now=at("10:40"), evidence="By phone.")
        lifecycle.correct_times(incident, by=olga, now=at("11:00"), detected_at=at("10:00"), reason="No, it was ten.")
        notify = only(incident, Obligation.NOTIFY, agreement=second)
        assert (notify.met_at, notify.due_at) == (at("10:40"), at("12:00"))

    def test_what_is_left_out_stays(self, olga: User, northwind: ServiceAgreement) -> None:
        incident = declare(olga, aware_at=at("10:02"))
        incident = lifecycle.correct_times(incident, by=olga, now=at("11:00"), occurred_at=at("09:00"), reason="Logs.")
        assert (incident.occurred_at, incident.detected_at, incident.aware_at) == (at("9:00"), at("10:00"), at("10:02"))


class TestUnlawful:
    """A verb that is not lawful is refused with a sentence, and nothing is half done."""

    VERBS: dict[str, Callable[..., Any]] = {
        "acknowledge": lifecycle.acknowledge,
        "mitigate": lifecycle.mitigate,
        "resolve": lifecycle.resolve,
    }

    @pytest.mark.parametrize("verb", VERBS)
    @pytest.mark.parametrize(
        ("when", "sentence"),
        [
            (at("10:06"), "lies in the future"),
            (at("9:59"), "before the incident was detected"),
            (dt.datetime(1, 1, 1, tzinfo=dt.UTC), "before the year 2000"),
            (dt.datetime(9999, 12, 31, tzinfo=dt.UTC), "lies in the future"),
        ],
    )
    def test_times_that_cannot_be_are_refused(
        self, olga: User, northwind: ServiceAgreement, verb: str, when: dt.datetime, sentence: str
    ) -> None:
        incident = declare(olga)
        before = list(Deadline.objects.order_by("pk").values())
        with pytest.raises(Refused, match=sentence):
            self.VERBS[verb](incident, by=olga, now=at("10:05"), at=when)
        incident.refresh_from_db()
        assert incident.status == Status.DECLARED
        assert list(Deadline.objects.order_by("pk").values()) == before

    @pytest.mark.parametrize(
        ("status", "verbs"),
        [
            ("acknowledged", ["acknowledge"]),
            ("mitigated", ["acknowledge", "mitigate"]),
            ("resolved", ["acknowledge", "mitigate", "resolve"]),
        ],
    )
    def test_a_step_that_was_taken_is_not_taken_twice(self, olga: User, status: str, verbs: list[str]) -> None:
        incident = declare(olga)
        reach = {"acknowledged": "acknowledge", "mitigated": "mitigate", "resolved": "resolve"}[status]
        self.VERBS[reach](incident, by=olga, now=at("10:10"))
        for verb in verbs:
            with pytest.raises(Refused):
                self.VERBS[verb](incident, by=olga, now=at("10:20"))

    def test_reopening_needs_something_resolved(self, olga: User) -> None:
        with pytest.raises(Refused, match="is declared"):
            lifecycle.reopen(declare(olga), by=olga, now=at("11:00"), reason="Again.")

    def test_a_closed_incident_tells_clients_nothing(self, olga: User) -> None:
        incident = declare(olga)
        lifecycle.resolve(incident, by=olga, now=at("10:30"))
        lifecycle.close(incident, by=olga, now=at("10:40"))
        with pytest.raises(Refused, match="is closed"):
            lifecycle.notify_client(incident, by=olga, now=at("10:50"))

    def test_an_incident_under_no_agreement_has_nobody_to_tell(self, olga: User) -> None:
        with pytest.raises(Refused, match="no agreement"):
            lifecycle.notify_client(declare(olga), by=olga, now=at("10:50"))

    def test_a_client_that_is_not_affected_is_not_told(
        self, olga: User, northwind: ServiceAgreement, contoso: ServiceAgreement
    ) -> None:
        incident = declare(olga, services=[cast.service("Payments")])
        with pytest.raises(Refused, match="Northwind: not affected"):
            lifecycle.notify_client(incident, by=olga, now=at("10:50"), clients=[northwind.client])
        assert not Notice.objects.exists()


class TestTrail:
    def test_every_row_of_a_verb_says_who_when_why_and_shares_one_request_id(
        self, olga: User, northwind: ServiceAgreement
    ) -> None:
        incident = declare(olga)
        incident = lifecycle.reclassify(incident, "high", by=olga, now=at("10:20"), reason="Half the regions.")
        changed = incident.history.first()
        ended = only(incident, Obligation.NOTIFY).history.first()
        assert changed.history_change_reason == ended.history_change_reason == "Half the regions."
        assert changed.actor_name == ended.actor_name == "Olga Petrova (olga)"

    def test_the_name_outlives_the_account(self, olga: User) -> None:
        incident = declare(olga)
        olga.first_name, olga.last_name = "Somebody", "Else"
        cast.save(olga)
        assert incident.history.first().actor_name == "Olga Petrova (olga)"

    def test_a_save_that_changes_nothing_leaves_no_row(self, olga: User, northwind: ServiceAgreement) -> None:
        incident = declare(olga)
        rows = incident.history.count()
        Incident.objects.get(pk=incident.pk).save()
        cast.save(incident)
        assert incident.history.count() == rows

    def test_the_timeline_says_what_was_done_and_when_it_was_typed(self, olga: User) -> None:
        incident = declare(olga)
        lifecycle.acknowledge(incident, by=olga, now=at("10:20"), at=at("10:10"))
        entry = TimelineEntry.objects.get(text="Acknowledged.")
        assert (entry.happened_at, entry.typed_at, entry.author_name) == (at("10:10"), at("10:20"), olga.audit_name)


def test_standing_reads_the_same_in_sql_and_in_python(olga: User, northwind: ServiceAgreement) -> None:
    cast.commit(northwind, Obligation.UPDATE, 60, "minutes", is_recurring=True)
    cast.commit(northwind, Obligation.REPORT, 1, start_event=StartEvent.RESOLVED)
    lifecycle.resolve(declare(olga), by=olga, now=at("10:30"))
    lifecycle.reclassify(declare(olga), "low", by=olga, now=at("10:30"), reason="Small.")
    declare(olga)
    for now in (at("10:30"), at("11:50"), at("12:00"), at("13:59"), at("14:00"), at("14:00:01"), at("23:00")):
        in_sql = dict(Deadline.objects.with_standing(now).values_list("pk", "standing_now"))
        assert in_sql == {deadline.pk: deadline.standing(now) for deadline in Deadline.objects.all()}, now


def test_copied_terms_do_not_move_when_the_agreement_is_edited(olga: User, northwind: ServiceAgreement) -> None:
    incident = declare(olga)
    cast.remove(Commitment.objects.filter(obligation=Obligation.NOTIFY).get().warning_points.all())
    commitment = Commitment.objects.get(obligation=Obligation.NOTIFY)
    commitment.amount = 1
    cast.save(commitment)
    lifecycle.acknowledge(incident, by=olga, now=at("10:30"))
    assert only(incident, Obligation.NOTIFY).due_at == at("14:00")
    assert only(declare(olga), Obligation.NOTIFY).due_at == at("11:00")


def test_services_of_an_incident_are_those_it_was_declared_with(olga: User) -> None:
    incident = declare(olga, services=[cast.service("Payments"), cast.service("Backups")])
    assert set(incident.services.all()) == set(Service.objects.filter(name__in=["Payments", "Backups"]))
