"""The history of one thing with its parts, who last changed what, and how it all stood at an instant."""

from __future__ import annotations

import datetime as dt
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from agreements.models import Contact, Obligation, ServiceAgreement, Severity, WarningPoint
from config.audit import as_it_was, histories
from config.audit.as_it_was import Whole
from config.audit.histories import Asked, ToldAct
from config.history import AuditedModel, acting
from config.models import User
from incidents import lifecycle
from incidents.models import Deadline, Incident, TimelineEntry
from tests import cast
from tests.cast import NOON, at

pytestmark = pytest.mark.django_db


@pytest.fixture
def incident(northwind: ServiceAgreement, olga: User) -> Incident:
    return lifecycle.declare(
        by=olga, now=NOON, title="Down", severity=Severity.CRITICAL, detected_at=NOON, services=northwind.services.all()
    )


def everything(_model: Any) -> bool:
    return True


def acts_of(row: AuditedModel, **asked: Any) -> list[ToldAct]:
    return histories.page(type(row), row.pk, asked=Asked(**asked), may=everything).acts


def things(act: ToldAct) -> set[str]:
    return {told.model.__name__ for told in act.told}


def signed_in(user: User) -> Browser:
    browser = Browser()
    browser.force_login(user)
    return browser


def history_of(browser: Browser, row: Any, **asked: str) -> Any:
    answer = browser.get(f"/admin/{row._meta.app_label}/{row._meta.model_name}/{row.pk}/history/", asked)
    assert answer.status_code == 200
    return answer


def was(browser: Browser, row: Any, then: dt.datetime | str) -> Any:
    said = quote(then if isinstance(then, str) else then.isoformat())
    return browser.get(f"/admin/{row._meta.app_label}/{row._meta.model_name}/{row.pk}/as-it-was/?at={said}")


# its history


def test_what_one_act_did_to_a_thing_and_to_its_parts_is_one_entry_the_newest_first(
    incident: Incident, olga: User
) -> None:
    lifecycle.acknowledge(incident, by=olga, now=at("12:05"))
    newest, oldest = acts_of(incident)
    assert things(newest) >= {"Incident", "TimelineEntry"}
    assert things(oldest) >= {"Incident", "AffectedService", "AffectedAgreement", "Deadline"}


def test_parts_of_parts_are_told_with_the_whole_even_when_what_they_were_a_part_of_is_gone(
    northwind: ServiceAgreement,
) -> None:
    commitment = cast.commit(northwind, Obligation.UPDATE, 3, severity=Severity.MEDIUM)
    cast.warn(commitment, 50, has_contacts=True)
    with acting(reason="No longer agreed."):
        commitment.delete()
    told = [told for act in acts_of(northwind) for told in act.told if told.model is WarningPoint]
    assert [one.kind for one in told][:2] == ["-", "+"]


def test_pages_go_on_where_the_last_one_ended_and_show_each_row_once(
    northwind: ServiceAgreement, monkeypatch: pytest.MonkeyPatch
) -> None:
    for position in range(9):
        with acting(reason=f"No. {position}"):
            Contact.objects.create(client=northwind.client, name="Kim", address=f"{position}@example.com")
    monkeypatch.setattr(histories, "ROWS", 4)
    seen, before = [], None
    for _page in range(20):
        page = histories.page(type(northwind.client), northwind.client.pk, asked=Asked(before=before), may=everything)
        seen += [(told.model, told.row.pk) for act in page.acts for told in act.told]
        before = page.older
        if before is None:
            break
    assert len(seen) == len(set(seen)) == northwind.client.history.count() + Contact.history.count()


def test_acts_of_one_instant_are_each_shown_on_some_page(
    northwind: ServiceAgreement, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, instant = northwind.client, timezone.now() + dt.timedelta(hours=1)
    for number in range(2):
        saved(client, instant, name=f"No. {number}")
        saved(Contact(client=client, name="Kim", address=f"{number}@example.com"), instant)
    monkeypatch.setattr(histories, "ROWS", 1)
    seen, before = [], None
    for _page in range(4):
        page = histories.page(type(client), client.pk, asked=Asked(before=before), may=everything)
        seen += [(told.model, told.row.pk) for act in page.acts for told in act.told]
        before = page.older
    assert [model.__name__ for model, _pk in seen] == ["Contact", "Contact", "Client", "Client"]
    assert len(set(seen)) == 4


def test_an_act_is_not_torn_by_the_end_of_a_page(incident: Incident, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = sum(len(act.told) for act in acts_of(incident))
    for number in range(3):
        with acting(reason=f"No. {number}"):
            TimelineEntry.objects.create(incident=incident, text="x", happened_at=NOON, typed_at=NOON)
    monkeypatch.setattr(histories, "ROWS", 5)
    page = histories.page(Incident, incident.pk, asked=Asked(), may=everything)
    assert [things(act) for act in page.acts] == [{"TimelineEntry"}] * 3
    monkeypatch.setattr(histories, "ROWS", 100)
    rest = histories.page(Incident, incident.pk, asked=Asked(before=page.older), may=everything)
    assert [len(act.told) for act in rest.acts] == [rows]


def test_it_can_be_asked_for_a_field_a_part_and_a_person(incident: Incident, olga: User, max_: User) -> None:
    lifecycle.acknowledge(incident, by=max_, now=at("12:05"))
    changes = [change.name for act in acts_of(incident, field="status") for told in act.told for change in told.changes]
    assert changes == ["status", "status"]
    assert {name for act in acts_of(incident, part=Deadline) for name in things(act)} == {"Deadline"}
    assert {act.newest.actor_name for act in acts_of(incident, who=max_.audit_name)} == {max_.audit_name}


def test_the_page_asks_as_often_however_much_there_is_to_tell(incident: Incident, aude: User) -> None:
    browser = signed_in(aude)
    counts = []
    for more in (1, 30):
        for number in range(more):
            with acting(reason=f"No. {number}"):
                incident.title = f"{more} {number}"
                incident.save()
                TimelineEntry.objects.create(incident=incident, text="x", happened_at=NOON, typed_at=NOON)
        with CaptureQueriesContext(connection) as asked:
            history_of(browser, incident)
        counts.append(len(asked))
    assert counts[0] == counts[1]


def test_what_the_reader_may_not_view_is_not_told(incident: Incident) -> None:
    page = histories.page(Incident, incident.pk, asked=Asked(), may=lambda model: model is Incident)
    assert {name for act in page.acts for name in things(act)} == {"Incident"}


@pytest.mark.parametrize("place", ["x", "1.2", "~~", "0001-01-01T00:00:00+23:59~agreements.client~1"])
def test_a_made_up_place_shows_the_first_page(incident: Incident, aude: User, place: str) -> None:
    assert history_of(signed_in(aude), incident, before=place).context["acts"]


# who last changed it


def test_the_page_says_who_last_changed_a_field_when_and_why(incident: Incident, olga: User, aude: User) -> None:
    lifecycle.reclassify(incident, Severity.HIGH, by=olga, now=at("12:10"), reason="Nobody can pay.")
    answer = history_of(signed_in(aude), incident, field="severity").context["answer"]
    assert answer.startswith("“Severity” was last changed by Olga Petrova (olga) at ")
    assert answer.endswith("because “Nobody can pay.”.")


def test_of_what_never_changed_it_says_since_when_it_has_stood(incident: Incident, aude: User) -> None:
    answer = history_of(signed_in(aude), incident, field="severity").context["answer"]
    assert answer.startswith("“Severity” has stood so since it was added by Olga Petrova (olga) at ")


def test_each_field_of_a_page_links_to_who_changed_it(
    incident: Incident, northwind: ServiceAgreement, aude: User
) -> None:
    browser = signed_in(aude)
    for row, names in ((incident, ("severity", "status", "detected_at")), (northwind, ("clause", "effective_at"))):
        meta = row._meta
        page = browser.get(f"/admin/{meta.app_label}/{meta.model_name}/{row.pk}/change/").content.decode()
        for name in names:
            assert f'href="/admin/{meta.app_label}/{meta.model_name}/{row.pk}/history/?field={name}"' in page


# as it was


def whole(row: AuditedModel, then: dt.datetime) -> Whole:
    found = as_it_was.whole(type(row), row.pk, then, may=everything)
    assert found is not None
    return found


def then_of(row: AuditedModel) -> dt.datetime:
    return row.history.first().history_date  # type: ignore[attr-defined, no-any-return]


def saved(row: AuditedModel, instant: dt.datetime, **values: Any) -> None:
    """Saved at that instant, as the trail has it."""
    for name, value in values.items():
        setattr(row, name, value)
    row._history_date = instant  # type: ignore[attr-defined]
    with acting(reason="They moved."):
        row.save()


def test_a_thing_stands_as_it_stood_with_its_parts(northwind: ServiceAgreement) -> None:
    client, now = northwind.client, timezone.now()
    (before,) = client.contacts.all()
    saved(client, now + dt.timedelta(hours=1), name="Southwind")
    saved(before, now + dt.timedelta(hours=1), name="Somebody else")
    saved(Contact(client=client, name="Late", address="late@example.com"), now + dt.timedelta(hours=1))
    old, new = whole(client, now + dt.timedelta(minutes=1)), whole(client, now + dt.timedelta(hours=1))
    assert (old.itself.name, new.itself.name) == ("Northwind", "Southwind")
    assert [len(kind.rows) for kind in (*old.parts, *new.parts)] == [1, 2]
    assert ("Name", "Somebody else") not in old.parts[0].rows[0].facts
    assert ("Name", "Somebody else") in new.parts[0].rows[0].facts


def test_a_part_that_was_removed_is_gone_from_then_on_only(northwind: ServiceAgreement) -> None:
    commitment = cast.commit(northwind, Obligation.UPDATE, 3, severity=Severity.MEDIUM)
    then, name = then_of(commitment), str(commitment)
    removed = timezone.now() + dt.timedelta(hours=1)
    commitment._history_date = removed  # type: ignore[attr-defined]
    with acting(reason="No longer agreed."):
        commitment.delete()

    def names(instant: dt.datetime) -> list[str]:
        return [row.name for kind in whole(northwind, instant).parts for row in kind.rows]

    assert name in names(then)
    assert name not in names(removed)


def test_a_deadline_stands_as_the_clock_had_it_then(incident: Incident, olga: User) -> None:
    declared = acts_of(incident)[0].at
    deadlines = next(kind for kind in whole(incident, declared).parts if kind.title == "Deadlines")
    expected = {deadline.standing(declared).label for deadline in incident.deadlines.all()}
    assert {row.standing for row in deadlines.rows} == {str(label) for label in expected}


def test_before_it_was_there_and_in_the_future_a_sentence_says_so(incident: Incident, aude: User) -> None:
    browser = signed_in(aude)
    assert "did not exist then" in was(browser, incident, "2001-01-01T00:00").content.decode()
    assert "in the future" in was(browser, incident, timezone.now() + dt.timedelta(days=1)).content.decode()
    assert was(browser, incident, "no instant").status_code == 200


@pytest.mark.parametrize("of", ["incident", "northwind"])
def test_the_page_as_it_was_is_linked_from_each_entry(request: pytest.FixtureRequest, of: str, aude: User) -> None:
    row, browser = request.getfixturevalue(of), signed_in(aude)
    page = history_of(browser, row)
    for act in page.context["acts"]:
        assert f"as-it-was/?at={quote(act.moment, safe='')}" in page.content.decode()
    assert "As it was known at" in was(browser, row, page.context["acts"][0].moment).content.decode()


def test_neither_page_takes_anything_but_reading(incident: Incident, ada: User) -> None:
    browser = signed_in(ada)
    for page in ("history", "as-it-was"):
        for method in ("post", "put", "delete"):
            assert getattr(browser, method)(f"/admin/incidents/incident/{incident.pk}/{page}/").status_code == 405
