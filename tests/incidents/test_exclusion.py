"""An agreement that somebody excludes from an incident: what ends, what stays so, and how it is taken back."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from agreements.models import Obligation, ServiceAgreement, Severity
from config.models import User
from incidents import lifecycle, notices, watchdog
from incidents.lifecycle import Refused
from incidents.models import AffectedAgreement, Deadline, Incident, Notice, Standing
from incidents.models.notice import NoticeState
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


def exclude(
    incident: Incident, agreement: ServiceAgreement, by: User, now: dt.datetime | None = None
) -> AffectedAgreement:
    why = "Their bucket lies in another region."
    return lifecycle.exclude_agreement(incident, agreement, by=by, now=now or at("10:20"), reason=why)


def include(incident: Incident, agreement: ServiceAgreement, by: User, now: dt.datetime) -> AffectedAgreement:
    return lifecycle.include_agreement(incident, agreement, by=by, now=now, reason="They use both regions.")


def owed(incident: Incident, agreement: ServiceAgreement) -> set[str]:
    return set(incident.deadlines.open().filter(agreement=agreement).values_list("obligation", flat=True))


def test_its_open_deadlines_end_with_the_reason_and_those_of_others_run_on(
    olga: User, northwind: ServiceAgreement, contoso: ServiceAgreement
) -> None:
    incident = declare(olga)
    of_contoso = owed(incident, contoso)

    affected = exclude(incident, northwind, olga)

    assert owed(incident, northwind) == set()
    assert owed(incident, contoso) == of_contoso != set()
    ended = Deadline.objects.filter(agreement=northwind)
    assert {deadline.standing(at("23:00")) for deadline in ended} == {Standing.ENDED}
    assert all("Their bucket lies in another region." in deadline.end_reason for deadline in ended)
    assert affected.history.first().history_change_reason == "Their bucket lies in another region."
    assert affected.history.first().actor_name == olga.audit_name
    assert "NW-2025-03" in incident.timeline.first().text  # type: ignore[union-attr]


def test_what_was_met_or_missed_before_stays_so(olga: User, northwind: ServiceAgreement) -> None:
    incident = declare(olga, now=at("15:00"))
    exclude(incident, northwind, olga, at("15:10"))
    notify = incident.deadlines.get(obligation=Obligation.NOTIFY)
    assert notify.standing(at("16:00")) == Standing.MISSED


def test_what_is_unsent_is_taken_back_with_the_reason_and_what_is_sent_stays(
    olga: User, northwind: ServiceAgreement, contoso: ServiceAgreement
) -> None:
    incident = declare(olga)
    lifecycle.notify_client(incident, by=olga, now=at("10:06"), message="We look into it.")
    notices.raise_due(at("12:30"))
    sent = Notice.objects.filter(client=northwind.client).first()
    assert sent is not None
    cast.past_the_trail(Notice.objects.filter(pk=sent.pk), state=NoticeState.SENT, accepted_at=at("10:07"))
    lifecycle.post_update(incident, by=olga, now=at("10:08"), message="Half of it works.")

    exclude(incident, northwind, olga)

    for notice in Notice.objects.filter(client=northwind.client).exclude(pk=sent.pk):
        assert notice.state in (NoticeState.CANCELLED, NoticeState.SUPERSEDED), notice
        assert "Their bucket lies in another region." in notice.state_reason
    sent.refresh_from_db()
    assert sent.state == NoticeState.SENT
    assert Notice.objects.waiting().filter(client=contoso.client).exists()


def test_a_client_with_another_agreement_still_gets_what_a_person_sent(olga: User, northwind: ServiceAgreement) -> None:
    second = cast.agreement("NW-2", northwind.client, northwind.calendar, cast.service("Object storage"))
    cast.commit(second, Obligation.NOTIFY, 8)
    incident = declare(olga)
    lifecycle.notify_client(incident, by=olga, now=at("10:06"))
    exclude(incident, northwind, olga)
    assert lifecycle.affected_clients(incident) == [northwind.client]
    assert Notice.objects.waiting().count() == 1


def test_its_client_is_no_longer_told(olga: User, northwind: ServiceAgreement, contoso: ServiceAgreement) -> None:
    incident = declare(olga)
    exclude(incident, northwind, olga)
    assert lifecycle.affected_clients(incident) == [contoso.client]
    lifecycle.post_update(incident, by=olga, now=at("10:30"), message="Half of it works.")
    notices.raise_due(at("23:00"))
    assert not Notice.objects.filter(client=northwind.client).exists()
    with pytest.raises(Refused, match="not affected"):
        lifecycle.notify_client(incident, by=olga, now=at("10:31"), clients=[northwind.client])


@pytest.mark.parametrize("verb", ["reclassify", "correct_times", "reopen", "apply_present_terms", "audit"])
def test_it_stays_excluded_through_every_later_verb(olga: User, northwind: ServiceAgreement, verb: str) -> None:
    cast.commit(northwind, Obligation.NOTIFY, 8, severity=Severity.HIGH)
    incident = declare(olga)
    exclude(incident, northwind, olga)
    later = at("11:00")
    if verb == "reclassify":
        lifecycle.reclassify(incident, Severity.HIGH, by=olga, now=later, reason="Half of it works.")
    elif verb == "correct_times":
        lifecycle.correct_times(incident, by=olga, now=later, reason="The log says so.", detected_at=at("09:30"))
    elif verb == "reopen":
        lifecycle.resolve(incident, by=olga, now=later)
        lifecycle.reopen(incident, by=olga, now=at("11:30"), reason="It came back.")
    elif verb == "apply_present_terms":
        lifecycle.apply_present_terms(list(incident.deadlines.all()), by=olga, now=later, reason="Amended.")
    else:
        assert not [found for found in watchdog.audit(later) if found.key == "deadlines-missing"]
    assert owed(incident, northwind) == set()
    assert incident.affected_agreements.get().is_excluded


def test_corrected_times_keep_the_exclusion_of_an_agreement_that_they_leave_and_come_back_to(
    olga: User, northwind: ServiceAgreement
) -> None:
    northwind.effective_at = at("09:30")
    cast.save(northwind)
    incident = declare(olga)
    exclude(incident, northwind, olga)
    correct = {"by": olga, "reason": "The log says so."}
    lifecycle.correct_times(incident, detected_at=at("09:00"), now=at("10:30"), **correct)  # type: ignore[arg-type]
    with pytest.raises(Refused, match="not in force"):
        include(incident, northwind, olga, at("10:31"))
    lifecycle.correct_times(incident, detected_at=at("09:45"), now=at("10:32"), **correct)  # type: ignore[arg-type]
    assert owed(incident, northwind) == set()
    include(incident, northwind, olga, at("10:33"))
    assert Obligation.NOTIFY in owed(incident, northwind)


def test_merging_carries_the_exclusion_to_a_master_that_does_not_know_the_agreement(
    olga: User, northwind: ServiceAgreement, contoso: ServiceAgreement
) -> None:
    master = declare(olga, services=[cast.service("Payments")])  # Contoso's alone
    child = declare(olga)
    exclude(child, northwind, olga)
    lifecycle.merge(child, master, by=olga, now=at("11:00"), reason="One cause.")
    assert owed(master, northwind) == set()
    assert master.affected_agreements.get(agreement=northwind).exclusion_reason
    assert owed(master, contoso)


def test_merging_into_a_master_that_excludes_what_is_owed_here_is_refused(
    olga: User, northwind: ServiceAgreement
) -> None:
    master, child = declare(olga), declare(olga)
    exclude(master, northwind, olga)
    with pytest.raises(Refused, match="Decide for both first"):
        lifecycle.merge(child, master, by=olga, now=at("11:00"), reason="One cause.")
    exclude(child, northwind, olga)
    lifecycle.merge(child, master, by=olga, now=at("11:00"), reason="One cause.")
    assert owed(master, northwind) == set()


def test_included_again_it_owes_from_the_original_events(olga: User, northwind: ServiceAgreement) -> None:
    incident = declare(olga)
    before = incident.deadlines.get(obligation=Obligation.NOTIFY)
    exclude(incident, northwind, olga)

    affected = include(incident, northwind, olga, at("10:40"))

    again = incident.deadlines.open().get(obligation=Obligation.NOTIFY)
    assert (again.due_at, again.cycle) == (before.due_at, before.cycle + 1)
    assert (affected.is_excluded, affected.exclusion_reason) == (False, "")
    assert notices.raise_due(at("12:30"))
    assert Notice.objects.filter(client=northwind.client).exists()
    assert affected.history.count() == 3


def test_included_again_after_a_reopening_it_owes_the_work_anew(olga: User, northwind: ServiceAgreement) -> None:
    """It was excluded while the incident was taken to be resolved, so it had no part in the reopening."""
    incident = declare(olga)
    lifecycle.resolve(incident, by=olga, now=at("11:00"))
    exclude(incident, northwind, olga, at("11:10"))
    lifecycle.reopen(incident, by=olga, now=at("11:30"), reason="It came back.")
    assert owed(incident, northwind) == set()
    include(incident, northwind, olga, at("11:40"))
    assert Obligation.RESOLVE in owed(incident, northwind)


def test_needs_a_reason_which_the_database_asks_for_too(olga: User, northwind: ServiceAgreement) -> None:
    incident = declare(olga)
    with pytest.raises(Refused, match="Say why"):
        lifecycle.exclude_agreement(incident, northwind, by=olga, now=at("10:20"), reason=" ")
    affected = incident.affected_agreements.get()
    for wrong in ({"excluded_at": at("10:20")}, {"exclusion_reason": "No instant"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            cast.past_the_trail(AffectedAgreement.objects.filter(pk=affected.pk), **wrong)


def test_what_is_not_so_cannot_be_taken_back_or_done_twice(
    olga: User, northwind: ServiceAgreement, contoso: ServiceAgreement
) -> None:
    incident = declare(olga, services=[cast.service("Payments")])
    with pytest.raises(Refused, match="does not fall under"):
        exclude(incident, northwind, olga)
    with pytest.raises(Refused, match="is not excluded"):
        include(incident, contoso, olga, at("10:20"))
    exclude(incident, contoso, olga)
    with pytest.raises(Refused, match="excluded already"):
        exclude(incident, contoso, olga)
