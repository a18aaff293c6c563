"""Agreements, calendars and zone rules move nothing by themselves; applying them is an act that is seen first."""

from __future__ import annotations

import datetime as dt
import io
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from agreements.models import Obligation, ServiceAgreement, Severity, SpecialDay
from config.models import User
from incidents import deadlines, lifecycle
from incidents.lifecycle import Refused
from incidents.models import Deadline, Incident, Standing
from tests import cast
from tests.cast import at

pytestmark = pytest.mark.django_db


@pytest.fixture
def incident(olga: User, contoso: ServiceAgreement) -> Incident:
    """Contoso's, detected on Tuesday at 16:00 in Berlin: the notice is due on Wednesday at 11:00 there."""
    return lifecycle.declare(
        by=olga,
        now=at("15:05"),
        title="Payments delayed",
        severity=Severity.CRITICAL,
        services=[cast.service("Payments")],
        detected_at=at("15:00"),
    )


def notify(incident: Incident) -> Deadline:
    return incident.deadlines.get(obligation=Obligation.NOTIFY)


def close_wednesday(contoso: ServiceAgreement) -> None:
    SpecialDay.objects.create(calendar=contoso.calendar, on=dt.date(2026, 11, 25), name="Works outing")


def run(action: str) -> tuple[int, str]:
    out = io.StringIO()
    try:
        call_command("deadlines", action, stdout=out)
    except CommandError as error:
        return error.returncode, out.getvalue()
    return 0, out.getvalue()


def test_a_holiday_added_while_open_moves_nothing_until_it_is_applied(
    incident: Incident, olga: User, max_: User, contoso: ServiceAgreement
) -> None:
    assert notify(incident).due_at == at("10:00", day=25)
    close_wednesday(contoso)
    lifecycle.acknowledge(incident, by=olga, now=at("15:10"))
    assert notify(incident).due_at == at("10:00", day=25)

    seen = [change for change in deadlines.changes_by(Deadline.objects.all()) if change.moves]
    assert {c.deadline.obligation: c.course.plan.due_at for c in seen}[Obligation.NOTIFY] == at("10:00", day=26)
    lifecycle.apply_present_terms(
        [change.deadline for change in seen], by=max_, now=at("15:20"), reason="Agreed with Contoso by phone."
    )

    moved = notify(incident)
    assert (moved.due_at, moved.revision) == (at("10:00", day=26), 2)
    trail = moved.history.first()
    assert (trail.actor_name, trail.history_change_reason) == ("Max Weber (max)", "Agreed with Contoso by phone.")
    assert not [c for c in deadlines.changes_by(Deadline.objects.all()) if c.moves]


def test_applying_needs_a_reason_and_changes_only_what_was_chosen(
    incident: Incident, max_: User, contoso: ServiceAgreement
) -> None:
    close_wednesday(contoso)
    with pytest.raises(Refused, match="Say why"):
        lifecycle.apply_present_terms([notify(incident)], by=max_, now=at("15:20"), reason=" ")
    lifecycle.apply_present_terms([notify(incident)], by=max_, now=at("15:20"), reason="Agreed.")
    assert notify(incident).due_at == at("10:00", day=26)
    assert incident.deadlines.get(obligation=Obligation.RESOLVE).due_at == at("15:00", day=25)


def test_what_is_done_is_never_changed_by_other_terms(
    incident: Incident, olga: User, max_: User, contoso: ServiceAgreement
) -> None:
    lifecycle.record_told(incident, contoso.client, by=olga, now=at("15:10"), evidence="By phone.")
    close_wednesday(contoso)
    assert notify(incident) not in [c.deadline for c in deadlines.changes_by(Deadline.objects.all())]
    lifecycle.apply_present_terms([notify(incident)], by=max_, now=at("15:20"), reason="Agreed.")
    assert notify(incident).due_at == at("10:00", day=25)


def test_recheck_lists_what_would_move_and_changes_nothing(incident: Incident, contoso: ServiceAgreement) -> None:
    assert run("recheck") == (0, "0 open deadlines would change. Nothing was changed.\n")
    close_wednesday(contoso)
    before = list(Deadline.objects.order_by("pk").values())
    code, said = run("recheck")
    assert code == 1
    assert "Contoso: notify, due 25 Nov 2026, 10:00 UTC, would be due 26 Nov 2026, 10:00 UTC" in said
    assert list(Deadline.objects.order_by("pk").values()) == before


def test_verify_finds_a_due_time_that_its_terms_do_not_give(incident: Incident) -> None:
    code, said = run("verify")
    assert (code, said) == (0, f"{incident.deadlines.count()} deadlines recomputed, 0 of them differ.\n")
    cast.past_the_trail(
        Deadline.objects.filter(pk=notify(incident).pk), due_at=at("12:00", day=25)
    )  # past everything that checks
    code, said = run("verify")
    assert code == 1
    assert "notify: stored 25 Nov 2026, 12:00 UTC, its terms give 25 Nov 2026, 10:00 UTC." in said


class TestPauseAndMerge:
    def declare(self, by: User, **said: Any) -> Incident:
        usual: dict[str, Any] = {
            "title": "Storage is down",
            "severity": Severity.CRITICAL,
            "services": [cast.service("Object storage")],
            "detected_at": at("10:00"),
            "now": at("10:05"),
        }
        return lifecycle.declare(by=by, **usual | said)

    def test_pausing_needs_a_reason_and_happens_once(self, olga: User, northwind: ServiceAgreement) -> None:
        incident = self.declare(olga)
        with pytest.raises(Refused, match="Say what the clock waits for"):
            lifecycle.pause(incident, by=olga, now=at("11:00"), reason="")
        lifecycle.pause(incident, by=olga, now=at("11:00"), reason="Waiting for their logs.")
        with pytest.raises(Refused, match="paused already"):
            lifecycle.pause(incident, by=olga, now=at("11:10"), reason="Again.")
        lifecycle.resume(incident, by=olga, now=at("11:20"), reason="They came.")
        with pytest.raises(Refused, match="is not paused"):
            lifecycle.resume(incident, by=olga, now=at("11:30"), reason="Again.")

    def test_only_what_the_clause_lets_stop_is_paused(self, olga: User, northwind: ServiceAgreement) -> None:
        cast.commit(northwind, Obligation.MITIGATE, 4, is_pausable=True)
        incident = self.declare(olga)
        lifecycle.pause(incident, by=olga, now=at("12:00"), reason="Waiting for their logs.")
        standing = {d.obligation: d.standing(at("23:00")) for d in incident.deadlines.all()}
        assert (standing["mitigate"], standing["notify"]) == (Standing.PAUSED, Standing.MISSED)
        lifecycle.resume(incident, by=olga, now=at("13:00"), reason="They came.")
        due = {d.obligation: d.due_at for d in incident.deadlines.all()}
        assert (due["mitigate"], due["notify"]) == (at("15:00"), at("14:00"))

    def test_a_preview_of_a_merge_says_what_would_happen_and_changes_nothing(
        self, olga: User, northwind: ServiceAgreement, contoso: ServiceAgreement
    ) -> None:
        master = self.declare(olga, services=[cast.service("Payments")], detected_at=at("10:02"))
        child = self.declare(olga)
        before = list(Deadline.objects.order_by("pk").values())
        preview = lifecycle.preview_merge(child, master, by=olga, now=at("10:30"))
        assert list(Deadline.objects.order_by("pk").values()) == before
        assert preview.detected_at == at("10:00")
        assert {d.client.name for d in preview.beginning} == {"Northwind"}

        lifecycle.merge(child, master, by=olga, now=at("10:30"), reason="One cause.")
        child.refresh_from_db()
        master.refresh_from_db()
        assert (child.status, child.merged_into, master.detected_at) == ("merged", master, at("10:00"))
        owed = master.deadlines.get(client=northwind.client, obligation=Obligation.NOTIFY)
        assert owed.due_at == at("14:00")
        assert not child.deadlines.open().exists()
