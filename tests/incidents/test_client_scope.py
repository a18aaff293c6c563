"""Olga is limited to Northwind: nothing that she can open names Contoso, which the same incident concerns."""

from __future__ import annotations

import datetime as dt
import io
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.test import Client as Browser
from django.urls import NoReverseMatch, URLPattern, reverse
from django.utils import timezone

from agreements.models import Client, ClientScope, Obligation, ServiceAgreement
from config import scope
from config.models import Export, User
from config.site import site
from incidents import lifecycle
from incidents.admin.verbs import VERBS
from incidents.lifecycle import Refused
from incidents.models import Deadline, Incident, Notice, TimelineEntry
from incidents.models.notice import NoticeState
from reviews import lifecycle as reviewing
from reviews.models import CorrectiveAction, PostIncidentReview
from tests import cast
from tests.cast import browser_of

SECRET = b"contoso"

pytestmark = pytest.mark.django_db


@pytest.fixture
def shared(max_: User, northwind: ServiceAgreement, contoso: ServiceAgreement) -> Incident:
    """An incident of both clients, with everything that there can be of each."""
    now = timezone.now()
    made = lifecycle.declare(
        by=max_,
        now=now,
        title="Object storage is down",
        severity="critical",
        services=[cast.service("Object storage")],
        detected_at=now - dt.timedelta(hours=1),
    )
    lifecycle.notify_client(made, by=max_, now=now, message="We look into it.")
    lifecycle.record_told(made, contoso.client, Obligation.NOTIFY, by=max_, now=now, evidence="Called Contoso.")
    lifecycle.note(made, "Contoso asked for more.", by=max_, now=now)
    for notice in Notice.objects.filter(contact__isnull=False):
        notice.state = NoticeState.FAILED
        notice.save()
    return made


@pytest.fixture
def alone(max_: User, contoso: ServiceAgreement) -> Incident:
    """An incident of Contoso's alone, with its review."""
    now = timezone.now()
    made = lifecycle.declare(
        by=max_, now=now, title="Payments fail", severity="low", services=[cast.service("Payments")], detected_at=now
    )
    lifecycle.resolve(made, by=max_, now=now)
    review = reviewing.open_review(made, by=max_, now=now)
    CorrectiveAction.objects.create(review=review, what="Add a replica", owner=max_, due_on=now.date())
    return made


@pytest.fixture
def limited(olga: User, northwind: ServiceAgreement) -> User:
    ClientScope.objects.create(user=olga, client=northwind.client)
    return User.objects.get(pk=olga.pk)


@pytest.fixture
def hers(limited: User) -> Browser:
    return browser_of(limited)


def body(response: Any) -> bytes:
    """What is said in it; in a file of files, in all of them."""
    found = b"".join(response) if response.streaming else response.content
    if response.get("Content-Type") == "application/zip":
        packed = zipfile.ZipFile(io.BytesIO(found))
        found = b"".join(packed.read(name) for name in packed.namelist())
    return bytes(found)


# ── each way ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("model", [Client, ServiceAgreement, Incident, Deadline, Notice, CorrectiveAction])
def test_a_list_and_its_file_have_the_rows_of_her_clients(
    hers: Browser, shared: Incident, alone: Incident, model: Any
) -> None:
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
    for address in (reverse(f"{name}_changelist"), reverse(f"{name}_export")):
        found = body(hers.get(address)).lower()
        assert SECRET not in found
        assert alone.reference.lower().encode() not in found
        assert model is CorrectiveAction or b"northwind" in found


def test_a_filter_by_another_client_names_and_finds_nothing(
    hers: Browser, shared: Incident, contoso: ServiceAgreement
) -> None:
    for value in (contoso.client.pk, "Contoso"):
        page = hers.get(reverse("admin:incidents_deadline_changelist"), {"client": value})
        assert page.context["cl"].result_count == 0
    asked = hers.get(reverse("admin:incidents_deadline_changelist"), {"client": contoso.client.pk})
    assert SECRET not in asked.content.lower()


def test_an_autocomplete_offers_her_clients(hers: Browser, shared: Incident) -> None:
    asked = {"app_label": "agreements", "model_name": "serviceagreement", "field_name": "client", "term": ""}
    offered = hers.get(reverse("admin:autocomplete"), asked).json()["results"]
    assert [row["text"] for row in offered] == ["Northwind"]


def test_a_search_finds_nothing_of_others(hers: Browser, shared: Incident, alone: Incident) -> None:
    page = hers.get(reverse("admin:incidents_incident_changelist"), {"q": alone.reference})
    assert page.context["cl"].result_count == 0
    assert hers.get(reverse("admin:incidents_incident_changelist"), {"q": shared.reference}).context["cl"].result_count


@pytest.mark.parametrize("model", [Incident, PostIncidentReview, CorrectiveAction])
def test_a_search_by_another_client_does_not_find_what_concerns_hers_too(
    hers: Browser, shared: Incident, max_: User, model: Any
) -> None:
    now = timezone.now()
    lifecycle.resolve(shared, by=max_, now=now)
    review = reviewing.open_review(shared, by=max_, now=now)
    CorrectiveAction.objects.create(review=review, what="Add a replica", owner=max_, due_on=now.date())
    address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    assert hers.get(address, {"q": "northwind"}).context["cl"].result_count == 1
    assert hers.get(address, {"q": "contoso"}).context["cl"].result_count == 0
    assert browser_of(max_).get(address, {"q": "contoso"}).context["cl"].result_count == 1


@pytest.mark.parametrize("page", ["change", "history"])
def test_an_address_of_what_she_does_not_see_leads_nowhere(
    hers: Browser, shared: Incident, alone: Incident, contoso: ServiceAgreement, page: str
) -> None:
    theirs = (
        contoso.client,
        contoso,
        contoso.commitments.earliest("pk"),
        alone,
        alone.review,
        alone.review.actions.get(),
        Deadline.objects.filter(client=contoso.client).earliest("pk"),
        Notice.objects.filter(client=contoso.client).earliest("pk"),
    )
    for row in theirs:
        address = reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_{page}", args=[row.pk])
        response = hers.get(address)
        assert response.status_code in (302, 404), address
        assert response.status_code == 404 or response["Location"] == reverse("admin:index")


def test_an_earlier_version_of_what_she_does_not_see_is_not_found(hers: Browser, alone: Incident) -> None:
    version = alone.history.earliest("history_id")
    address = reverse("admin:incidents_incident_simple_history", args=[alone.pk, version.pk])
    assert hers.get(address).status_code == 404


def test_the_board_and_every_number_count_her_clients_alone(
    hers: Browser, shared: Incident, alone: Incident, northwind: ServiceAgreement
) -> None:
    page = hers.get(reverse("admin:index"))
    owed = Deadline.objects.open().filter(client=northwind.client).count()
    assert page.context["board"]["open"] == str(owed)
    assert SECRET not in page.content.lower()
    counted = {
        str(line.entry.url_name): line.counted for _part, lines in page.context["navigation"]() for line in lines
    }
    assert counted["admin:incidents_deadline_changelist"] == owed
    stuck = Notice.objects.needing_a_person().filter(client=northwind.client).count()
    tile = next(tile for tile in page.context["tiles"] if "person" in str(tile.label))
    assert tile.count == stuck == 1


def test_the_page_of_a_shared_incident_shows_the_part_of_her_clients(
    hers: Browser, shared: Incident, northwind: ServiceAgreement
) -> None:
    page = hers.get(reverse("admin:incidents_incident_change", args=[shared.pk]))
    work = page.context["workspace"]
    assert {row.deadline.client for row in work.deadlines} == {northwind.client}
    assert [told.client for told in work.told] == [northwind.client]
    assert {row.agreement for row in work.agreements} == {northwind}
    assert SECRET not in page.content.lower()


def test_what_goes_out_next_and_evidence_are_those_of_her_clients(
    hers: Browser, shared: Incident, northwind: ServiceAgreement, contoso: ServiceAgreement
) -> None:
    for client, answer in ((northwind.client, 200), (contoso.client, 404)):
        for page in ("evidence", "evidence_pdf"):
            address = reverse(f"admin:incidents_incident_{page}", args=[shared.pk, client.pk])
            assert hers.get(address).status_code == answer


def test_a_message_can_be_written_to_her_clients_alone(
    hers: Browser, shared: Incident, northwind: ServiceAgreement, contoso: ServiceAgreement
) -> None:
    address = reverse("admin:incidents_incident_update", args=[shared.pk])
    assert SECRET not in body(hers.get(address)).lower()
    before = Notice.objects.count()
    hers.post(address, {"clients": [contoso.client.pk], "message": "We look into it."})
    hers.post(f"{address}mail/", {"clients": [contoso.client.pk], "message": "We look into it."})
    assert Notice.objects.count() == before
    hers.post(address, {"clients": [northwind.client.pk], "message": "We look into it."})
    assert Notice.objects.count() == before + 1


def test_what_touches_all_clients_is_refused_with_a_sentence(
    hers: Browser, limited: User, shared: Incident, contoso: ServiceAgreement
) -> None:
    now = timezone.now()
    with pytest.raises(Refused, match="clients whom you do not see"):
        lifecycle.resolve(shared, by=limited, now=now)
    with pytest.raises(Refused, match="clients whom you do not see"):
        lifecycle.notify_client(shared, by=limited, now=now, clients=[contoso.client])
    with pytest.raises(Refused, match="clients whom you do not see"):
        lifecycle.exclude_agreement(shared, contoso, by=limited, now=now, reason="No")
    page = hers.get(reverse("admin:incidents_incident_resolve", args=[shared.pk]), follow=True)
    assert "clients whom you do not see" in page.content.decode()
    assert not {button.slug for button in page.context["buttons"]} & {"resolve", "reclassify", "merge", "mitigate"}
    shared.refresh_from_db()
    assert shared.is_open


def test_many_at_once_are_those_of_her_clients(hers: Browser, shared: Incident, alone: Incident) -> None:
    asked = {"action": "acknowledge-many", "_selected_action": [shared.pk, alone.pk]}
    page = hers.get(reverse("admin:incidents_incident_changelist"))
    asked["action"] = page.context["action_form"].fields["action"].choices[1][0]
    shown = hers.post(reverse("admin:incidents_incident_changelist"), asked)
    assert [outcome.row.pk for outcome in shown.context["outcomes"]] == [shared.pk]
    assert not shown.context["outcomes"][0].is_lawful
    assert SECRET not in shown.content.lower()


def test_declaring_starts_what_is_owed_to_all_and_shows_her_clients(
    hers: Browser, limited: User, northwind: ServiceAgreement, contoso: ServiceAgreement
) -> None:
    service = cast.service("Object storage")
    typed = {"title": "Storage is slow", "severity": "critical", "services": [service.pk]}
    ahead = hers.post(reverse("admin:incidents_incident_add") + "ahead/", typed)
    assert b"Northwind" in ahead.content
    assert SECRET not in ahead.content.lower()
    now = timezone.now()
    made = lifecycle.declare(
        by=limited, now=now, title="Slow", severity="critical", services=[service], detected_at=now
    )
    assert {row.client for row in made.deadlines.all()} == {northwind.client, contoso.client}


def test_an_incident_that_concerns_no_client_is_seen_by_all(limited: User, northwind: ServiceAgreement) -> None:
    now = timezone.now()
    inner = lifecycle.declare(
        by=limited, now=now, title="Wiki is down", severity="low", services=[cast.service("Wiki")], detected_at=now
    )
    assert inner in scope.visible(Incident.objects.all(), limited)


def test_a_line_that_names_another_client_is_left_out_of_the_story(limited: User, shared: Incident) -> None:
    seen = scope.visible(TimelineEntry.objects.filter(incident=shared), limited)
    assert seen.exists()
    assert not [entry.text for entry in seen if "Contoso" in entry.text]
    told = scope.visible(TimelineEntry.history.filter(incident=shared), limited)
    assert not [row.text for row in told if "Contoso" in row.text]


@pytest.mark.parametrize("asked", ["", "?client={}", "?object=CT-2024-11", "?actor=olga", "?field=text"])
def test_the_trail_as_a_file_has_the_rows_of_her_clients_and_says_so(
    asked: str, max_: User, shared: Incident, alone: Incident, northwind: ServiceAgreement, contoso: ServiceAgreement
) -> None:
    ClientScope.objects.create(user=max_, client=northwind.client)
    browser = browser_of(User.objects.get(pk=max_.pk))
    found = body(browser.post(reverse("admin:trail_export") + asked.format(contoso.client.pk)))
    assert SECRET not in found.lower()
    assert alone.reference.encode() not in found
    assert b"agreements.client (all but those whom they see)" in found
    assert asked or b"Northwind" in found
    assert SECRET not in Export.objects.get().in_words.lower().encode()


# ── who is limited, and who says so ─────────────────────────────────────────────────────────────────────────────────


def test_who_has_no_such_row_sees_all_and_is_asked_about_once(
    max_: User, shared: Incident, django_assert_num_queries: Any
) -> None:
    somebody = User.objects.get(pk=max_.pk)
    with django_assert_num_queries(1):
        rows = [scope.visible(model.objects.all(), somebody) for model in (Client, Incident, Deadline)]
    assert rows[0].count() == 2


def test_a_superuser_is_never_limited(max_: User, northwind: ServiceAgreement) -> None:
    ClientScope.objects.create(user=max_, client=northwind.client)
    root = User.objects.get(pk=max_.pk)
    root.is_superuser = True
    assert scope.clients_of(root) is None


def test_an_administrator_limits_a_colleague_with_a_reason(ada: User, olga: User, northwind: ServiceAgreement) -> None:
    browser = browser_of(ada)
    address = reverse("admin:config_user_change", args=[olga.pk])
    form = browser.get(address).context["adminform"].form
    typed = {name: form[name].value() for name in form.fields if form[name].value() not in (None, "")}
    typed |= {
        "client_scopes-TOTAL_FORMS": "1",
        "client_scopes-INITIAL_FORMS": "0",
        "client_scopes-0-client": str(northwind.client.pk),
    }
    assert browser.post(address, typed).status_code == 200  # no reason
    assert not ClientScope.objects.exists()
    response = browser.post(address, typed | {"reason": "Works for Northwind alone"})
    assert response.status_code == 302, response.context["errors"]
    row = ClientScope.history.get()
    assert (row.client, row.history_change_reason) == (northwind.client, "Works for Northwind alone")


# ── all at once ─────────────────────────────────────────────────────────────────────────────────────────────────────


def every_address() -> Iterator[str]:
    """Of every page of every registered model, for every row that there is and every client."""
    yield reverse("admin:index")
    for pattern in site.get_urls():
        try:
            yield reverse(f"admin:{getattr(pattern, 'name', None)}")
        except NoReverseMatch:  # it needs more than its name
            continue
    acts = {row.request_id for model in (Incident, Deadline, TimelineEntry) for row in model.history.all()}
    for pattern in site.get_urls():
        if isinstance(pattern, URLPattern) and set(pattern.pattern.converters) == {"request_id"}:
            yield from (reverse(f"admin:{pattern.name}", args=[act]) for act in acts)
    clients = [client.pk for client in Client.objects.all()]
    moments = [
        {"object_id": deadline.incident_id, "deadline_id": deadline.pk, "moment": moment.key}
        for deadline in Deadline.objects.all()
        for moment in deadline.planned_moments()
    ]
    registry: dict[Any, Any] = dict(admin.site._registry)
    for model, model_admin in registry.items():
        for pattern in model_admin.get_urls():
            if not isinstance(pattern, URLPattern) or not pattern.name:
                continue
            name, names = f"admin:{pattern.name}", set(pattern.pattern.converters)
            if "moment" in names:
                yield from (reverse(name, kwargs=moment) for moment in moments)
                continue
            if not names and not pattern.pattern.regex.groups:
                yield reverse(name)
                yield from (f"{reverse(name)}?client={client}&agreement={client}&q=x" for client in clients)
                continue
            for row in model._default_manager.all():
                if pattern.name.endswith("_simple_history"):
                    yield from (reverse(name, args=[row.pk, old.pk]) for old in row.history.all())
                elif "client_id" in names:
                    rest = dict.fromkeys(names - {"client_id"}, row.pk)
                    yield from (reverse(name, kwargs={**rest, "client_id": client}) for client in clients)
                elif len(names) <= 1:
                    yield reverse(name, args=[row.pk])


@pytest.mark.parametrize("role", ["olga", "max_", "aude", "ada"])
def test_no_address_of_the_admin_names_a_client_whom_its_reader_does_not_see(
    role: str, request: pytest.FixtureRequest, shared: Incident, alone: Incident, northwind: ServiceAgreement
) -> None:
    person: User = request.getfixturevalue(role)
    ClientScope.objects.create(user=person, client=northwind.client)
    browser = browser_of(person)
    names, told, opened = [], sorted(set(every_address())), 0
    for address in told:
        response = browser.get(address)
        opened += response.status_code == 200
        if SECRET in body(response).lower():
            names.append(address)
    assert not names
    assert opened > 80


def test_every_verb_says_whether_it_touches_all_clients() -> None:
    some = {verb.slug for verb in VERBS if verb.is_for_some}
    assert some == {"notify", "update", "tell", "assign", "note", "exclude-agreement", "include-agreement"}
