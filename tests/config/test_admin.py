"""Who may open which page of the admin, and what the pages promise whoever opens them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.core.exceptions import ValidationError
from django.db import models
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from agreements.models import Service
from config import roles
from config.forms import InstantField
from config.models import User
from config.site import site
from incidents import lifecycle
from incidents.models import Deadline, Incident, Notice
from tests import cast
from tests.cast import browser_of

EVERYBODY = frozenset(roles.ROLES)
NOBODY: frozenset[str] = frozenset()
RESPONDERS = frozenset({roles.OPERATOR, roles.MANAGER, roles.ADMINISTRATOR})
KEEPERS = frozenset({roles.MANAGER, roles.ADMINISTRATOR})
ADMINISTRATORS = frozenset({roles.ADMINISTRATOR})
AUDITORS = frozenset({roles.AUDITOR})

#: model → (who may add, who may change).
MAY: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "agreements.Client": (KEEPERS, KEEPERS),
    "agreements.Service": (KEEPERS, KEEPERS),
    "agreements.ServiceCalendar": (KEEPERS, KEEPERS),
    "agreements.ServiceAgreement": (KEEPERS, KEEPERS),
    "agreements.Commitment": (KEEPERS, KEEPERS),
    "incidents.Incident": (RESPONDERS, RESPONDERS),
    "incidents.IntakeToken": (ADMINISTRATORS, ADMINISTRATORS),
    "incidents.Deadline": (NOBODY, NOBODY),
    "incidents.MessageTemplate": (KEEPERS, KEEPERS),
    "incidents.Notice": (NOBODY, NOBODY),
    "incidents.Sending": (NOBODY, NOBODY),
    "reviews.PostIncidentReview": (NOBODY, RESPONDERS),
    "reviews.CorrectiveAction": (NOBODY, RESPONDERS),
    "reviews.Factor": (RESPONDERS, RESPONDERS),
    "reviews.QuestionSet": (KEEPERS, NOBODY),
    "reviews.ReviewPolicy": (KEEPERS, KEEPERS),
    "config.User": (ADMINISTRATORS, ADMINISTRATORS),
    "config.Export": (NOBODY, NOBODY),
    "config.Concern": (NOBODY, NOBODY),
}
#: What not everybody reads.
OVERSEERS = frozenset({roles.AUDITOR, roles.MANAGER, roles.ADMINISTRATOR})
READERS = {"config.Concern": OVERSEERS, "incidents.IntakeToken": OVERSEERS}
#: verb → who may use it
VERBS: dict[str, frozenset[str]] = {
    "agreements_client_pseudonymise": ADMINISTRATORS,
    "agreements_serviceagreement_add-commitments": KEEPERS,
    "agreements_serviceagreement_amend": KEEPERS,
    "agreements_servicecalendar_add-public-holidays": KEEPERS,
    "incidents_incident_acknowledge": RESPONDERS,
    "incidents_incident_notify": RESPONDERS,
    "incidents_incident_update": RESPONDERS,
    "incidents_incident_tell": RESPONDERS,
    "incidents_incident_mitigate": RESPONDERS,
    "incidents_incident_resolve": RESPONDERS,
    "incidents_incident_reopen": RESPONDERS,
    "incidents_incident_pause": RESPONDERS,
    "incidents_incident_resume": RESPONDERS,
    "incidents_incident_merge": RESPONDERS,
    "incidents_incident_close": RESPONDERS,
    "incidents_incident_reclassify": RESPONDERS,
    "incidents_incident_correct-times": RESPONDERS,
    "incidents_incident_assign": RESPONDERS,
    "incidents_incident_note": RESPONDERS,
    "incidents_incident_open-review": RESPONDERS,
    "incidents_incident_exclude-agreement": RESPONDERS,
    "incidents_incident_include-agreement": RESPONDERS,
    "incidents_notice_send-again": RESPONDERS,
    "incidents_notice_it-arrived": RESPONDERS,
    "incidents_notice_told-otherwise": RESPONDERS,
    "incidents_notice_set-aside": RESPONDERS,
    "incidents_notice_revoke-link": RESPONDERS,
    "incidents_intaketoken_revoke": ADMINISTRATORS,
    "incidents_sending_hold": KEEPERS,
    "incidents_sending_release": KEEPERS,
    **{
        f"reviews_correctiveaction_{slug}": RESPONDERS
        for slug in ("start", "finish", "hand-over", "drop", "check", "take-up-again")
    },
    "reviews_postincidentreview_approve": KEEPERS,
    "reviews_postincidentreview_close": RESPONDERS,
    "reviews_postincidentreview_join": RESPONDERS,
    "reviews_postincidentreview_pick-entries": RESPONDERS,
    "reviews_postincidentreview_reopen": KEEPERS,
    "reviews_postincidentreview_send-back": RESPONDERS,
    "reviews_postincidentreview_share": RESPONDERS,
    "reviews_postincidentreview_submit": RESPONDERS,
    "reviews_postincidentreview_waive": KEEPERS,
    "config_concern_look-at": AUDITORS,
    "config_user_end-sessions": ADMINISTRATORS,
    "config_user_reset-second-factor": ADMINISTRATORS,
    "config_user_unlink-single-sign-on": ADMINISTRATORS,
}

Person = Callable[[str], Browser]


def registered() -> Iterator[tuple[type[models.Model], admin.ModelAdmin[Any]]]:
    yield from admin.site._registry.items()


MODELS = [model for model, _admin in registered()]
ACTS = [
    (model, act.slug, f"{model._meta.app_label}_{model._meta.model_name}_{act.slug}")
    for model, model_admin in registered()
    for act in model_admin.get_acts()  # type: ignore[attr-defined]
]


@pytest.fixture
def person(world: None) -> Person:
    """A browser in which somebody with this role is signed in."""

    def sign_in(role: str) -> Browser:
        browser = Browser()
        browser.force_login(User.objects.get(groups__name=role))
        return browser

    return sign_in


def page(model: type[models.Model], name: str, *args: object) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{name}", args=args)


def any_of(model: type[Any]) -> Any:
    return model.objects.order_by("pk").first()


def allowed(response: Any) -> bool:
    assert response.status_code in (200, 302, 403)
    return bool(response.status_code != 403)


# ── role × model × page × method ────────────────────────────────────────────────────────────────────────────────────


def test_the_matrix_names_every_model_and_every_verb() -> None:
    assert {model._meta.label for model in MODELS} == set(MAY)
    assert {name for _model, _slug, name in ACTS} == set(VERBS)


@pytest.mark.parametrize("role", roles.ROLES)
def test_each_role_reads_everything_and_writes_only_what_is_its_own(person: Person, role: str) -> None:
    browser = person(role)
    for model in MODELS:
        adders, changers = MAY[model._meta.label]
        pk = any_of(model).pk
        reads = role in READERS.get(model._meta.label, roles.ROLES)
        for address in (page(model, "changelist"), page(model, "change", pk), page(model, "history", pk)):
            assert allowed(browser.get(address)) == reads, address
        for send in (browser.get, browser.post):
            assert allowed(send(page(model, "add"))) == (role in adders), (model, send)
        assert allowed(browser.post(page(model, "change", pk), {})) == (role in changers), model
        for send in (browser.get, browser.post):
            assert send(page(model, "delete", pk)).status_code == 403, (model, send)


@pytest.mark.parametrize("role", roles.ROLES)
def test_each_verb_answers_403_to_whoever_may_not_use_it(person: Person, role: str) -> None:
    browser = person(role)
    for model, slug, name in ACTS:
        address = page(model, slug, any_of(model).pk)
        for send in (browser.get, browser.post):
            assert allowed(send(address)) == (role in VERBS[name]), (name, send)
        for send in (browser.put, browser.delete, browser.patch):
            assert send(address).status_code == 405, (name, send)


def test_an_auditor_meets_no_button_that_writes(person: Person) -> None:
    browser = person(roles.AUDITOR)
    for model in MODELS:
        shown = browser.get(page(model, "change", any_of(model).pk)).content.decode()
        for verb_model, slug, name in ACTS:
            if verb_model is model and VERBS[name] != AUDITORS:
                assert f"/{slug}/" not in shown, name
        assert 'name="_save"' not in shown, model
        assert 'name="reason"' not in shown, model
    board = browser.get(reverse("admin:index")).content.decode()
    assert reverse("admin:incidents_incident_add") not in board
    assert not any(f"/{slug}/" in board for _model, slug, _name in ACTS)


def test_nobody_sees_anything_without_signing_in(world: None) -> None:
    for model in MODELS:
        response = Browser().get(page(model, "changelist"))
        assert response.status_code == 302
        assert response["Location"].startswith(reverse("admin:login"))


def test_a_client_that_is_no_colleague_cannot_sign_in_to_the_admin(world: None) -> None:
    outsider = User.objects.create_user("eve", password=cast.PASSWORD)
    browser = browser_of(outsider)
    assert browser.get(reverse("admin:index")).status_code == 302


# ── history is read, never written ──────────────────────────────────────────────────────────────────────────────────


def test_a_history_page_says_who_when_why_and_shows_labels(person: Person) -> None:
    browser = person(roles.OPERATOR)
    incident = any_of(Incident)
    lifecycle.reopen(incident, by=User.objects.get(username="olga"), now=timezone.now(), reason="It came back")
    lifecycle.reclassify(
        incident, "high", by=User.objects.get(username="olga"), now=timezone.now(), reason="Half of it works"
    )
    shown = browser.get(page(Incident, "history", incident.pk)).content.decode()
    assert "Olga Petrova (olga)" in shown
    assert "Half of it works" in shown
    assert "UTC" in shown
    changes = shown.split("Severity:</strong>")[1]
    assert "Critical" in changes.split("</li>")[0]
    assert "High" in changes.split("</li>")[0]


@pytest.mark.parametrize("address", ["abc", "9" * 40, "1_2F"])
def test_an_address_that_names_no_row_is_refused_without_a_fault(person: Person, address: str) -> None:
    browser = person(roles.ADMINISTRATOR)
    for model in MODELS:
        base = page(model, "changelist")
        for tail in ("change/", "history/", "history/1/"):
            assert browser.get(f"{base}{address}/{tail}").status_code in (302, 404), (model, tail)


# ── what every form promises ────────────────────────────────────────────────────────────────────────────────────────


def test_a_change_needs_a_reason_which_is_kept_with_who_made_it(person: Person) -> None:
    browser, service = person(roles.MANAGER), any_of(Service)
    typed = {"name": "Block storage", "description": "", "is_active": "on"}
    refused = browser.post(page(Service, "change", service.pk), typed)
    assert refused.status_code == 200
    assert "reason" in refused.context["adminform"].form.errors
    assert "Block storage" in refused.content.decode()
    browser.post(page(Service, "change", service.pk), {**typed, "reason": "It was renamed"})
    service.refresh_from_db()
    assert service.name == "Block storage"
    latest = service.history.first()
    assert (latest.actor_name, latest.history_change_reason) == ("Max Weber (max)", "It was renamed")


def test_saving_without_a_change_needs_no_reason_and_leaves_no_history(person: Person) -> None:
    browser, service = person(roles.MANAGER), any_of(Service)
    before = service.history.count()
    typed = {"name": service.name, "description": "", "is_active": "on"}
    assert browser.post(page(Service, "change", service.pk), typed).status_code == 302
    assert service.history.count() == before


def test_a_save_writes_only_what_was_typed_and_undoes_no_verb(person: Person) -> None:
    """The page was loaded before somebody else reopened the incident."""
    incident = any_of(Incident)
    stale = Incident.objects.get(pk=incident.pk)
    lifecycle.reopen(incident, by=User.objects.get(username="olga"), now=timezone.now(), reason="It came back")
    stale.title = "Object storage is slow"

    class Form:
        changed_data = ("title", "reason")

    admin.site._registry[Incident].save_model(None, stale, Form(), True)  # type: ignore[arg-type]
    incident.refresh_from_db()
    assert (incident.title, incident.status) == ("Object storage is slow", "acknowledged")


def test_a_wall_time_that_exists_twice_is_the_first_and_one_that_does_not_exist_is_refused() -> None:
    field = InstantField()
    with timezone.override("Europe/Berlin"):
        assert field.clean("2026-10-25T02:30") == dt.datetime(2026, 10, 25, 0, 30, tzinfo=dt.UTC)
        second = dt.datetime(2026, 10, 25, 1, 30, tzinfo=dt.UTC)
        assert not field.has_changed(second, "2026-10-25T02:30")
        assert field.has_changed(second, "2026-10-25T03:30")
        with pytest.raises(ValidationError, match="does not exist in Europe/Berlin"):
            field.clean("2026-03-29T02:30")


def test_a_form_that_does_not_come_from_our_pages_does_nothing(person: Person) -> None:
    person(roles.OPERATOR)
    browser = Browser(enforce_csrf_checks=True)
    browser.force_login(User.objects.get(username="olga"))
    for model, slug, name in ACTS:
        assert browser.post(page(model, slug, any_of(model).pk)).status_code == 403, name
    assert browser.post(page(Incident, "add")).status_code == 403


# ── people ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_administrator_changes_a_zone_and_a_role_with_a_reason(person: Person) -> None:
    browser, olga = person(roles.ADMINISTRATOR), User.objects.get(username="olga")
    typed = {
        "username": "olga",
        "first_name": "Olga",
        "last_name": "Petrova",
        "email": olga.email,
        "time_zone": "Europe/Berlin",
        "language": "de",
        "is_active": "on",
        "is_staff": "on",
        "groups": [group.pk for group in olga.groups.all()],
        "reason": "She moved",
        "client_scopes-TOTAL_FORMS": "0",
        "client_scopes-INITIAL_FORMS": "0",
    }
    assert browser.post(page(User, "change", olga.pk), typed).status_code == 302
    olga.refresh_from_db()
    assert olga.time_zone == "Europe/Berlin"
    assert olga.history.first().history_change_reason == "She moved"


def test_an_unknown_zone_is_refused_with_a_sentence_and_what_was_typed(person: Person) -> None:
    browser, olga = person(roles.ADMINISTRATOR), User.objects.get(username="olga")
    typed = {"username": "olga", "time_zone": "Europe/Berlln", "reason": "She moved", "is_active": "on"}
    shown = browser.post(page(User, "change", olga.pk), typed).content.decode()
    assert "Did you mean Europe/Berlin?" in shown
    assert "Europe/Berlln" in shown


def test_an_administrator_adds_a_colleague(person: Person) -> None:
    browser = person(roles.ADMINISTRATOR)
    typed = {
        "username": "ines",
        "time_zone": "Europe/Lisbon",
        "language": "en",
        "usable_password": "true",
        "password1": "a-long-enough-phrase",
        "password2": "a-long-enough-phrase",
    }
    assert browser.post(page(User, "add"), typed).status_code == 302
    assert User.objects.get(username="ines").check_password("a-long-enough-phrase")


def test_an_administrator_cannot_take_over_an_account_that_may_do_everything(person: Person) -> None:
    browser = person(roles.ADMINISTRATOR)
    root = User.objects.create_superuser("root", password=cast.PASSWORD)
    assert browser.post(page(User, "change", root.pk), {"username": "root"}).status_code == 403
    assert browser.get(reverse("admin:auth_user_password_change", args=[root.pk])).status_code == 403
    assert 'name="is_superuser"' not in browser.get(page(User, "change", any_of(User).pk)).content.decode()


# ── lists and shell ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_list_survives_nonsense_in_its_address(person: Person) -> None:
    browser = person(roles.ADMINISTRATOR)
    nonsense = {
        "client": "x",
        "severity": "zzz",
        "standing": "'",
        "state": "nope",
        "due_from": "0001-01-01",
        "due_until": "9999-12-31",
        "made_from": "never",
        "made_until": "9999-12-31",
        "detected_until": "9999-12-31",
        "owner": "-1",
        "progress": "?",
        "q": "<script>\x00",
        "p": "999",
    }
    for model in MODELS:
        own = getattr(admin.site._registry[model], "filterset_class", None)
        known = set(own.base_filters) | {"q", "p"} if own else {"q"}
        params = {name: value for name, value in nonsense.items() if name in known}
        response = browser.get(page(model, "changelist"), params, follow=True)
        assert response.status_code == 200, model
        assert b"<script>\x00" not in response.content
    assert browser.get(reverse("admin:index"), nonsense).status_code == 200


def test_the_pages_are_of_one_piece_without_inline_script_or_style_of_ours(person: Person) -> None:
    browser = person(roles.OPERATOR)
    for address in (
        reverse("admin:index"),
        page(Incident, "change", any_of(Incident).pk),
        page(Deadline, "changelist"),
        page(Notice, "change", any_of(Notice).pk),
        page(Incident, "history", any_of(Incident).pk),
        page(Incident, "add"),
    ):
        shown = browser.get(address).content.decode()
        assert "due_notice/admin.css" in shown
        assert ' style="' not in shown, address  # the mail in its frame brings its own, escaped
        assert "onclick" not in shown
        assert "times in UTC" in shown


def test_a_floor_above_can_add_a_tile_and_hide_it(person: Person) -> None:
    labels = {str(tile.label) for tile in person(roles.AUDITOR).get(reverse("admin:index")).context["tiles"]}
    assert {"At risk", "Corrective actions overdue"} <= labels
    assert "Calendars running out" not in labels, "one that says so is left out while it counts nothing"
    assert len(site._tiles) == len(labels) + 1


def test_words_that_the_product_does_not_use_are_on_no_page(person: Person) -> None:
    browser = person(roles.ADMINISTRATOR)
    for model in MODELS:
        for address in (page(model, "changelist"), page(model, "change", any_of(model).pk)):
            shown = browser.get(address).content.decode().lower()
            for word in ("customer", ">sla", " ticket", "postmortem"):
                assert word not in shown, (address, word)


def test_the_matrix_is_tried_on_rows_that_exist(world: None) -> None:
    assert all(any_of(model) is not None for model in MODELS)


def test_people_may_what_their_roles_may_and_nothing_besides(olga: User) -> None:
    olga.user_permissions.add(Permission.objects.get(codename="add_client"))
    again = User.objects.get(pk=olga.pk)
    assert not again.has_perm("agreements.add_client")
    assert again.has_perm("agreements.view_client")
