"""How people set their own zone and language."""

from __future__ import annotations

import pytest
from django.test import Client as Browser
from django.urls import reverse

from config.models import SavedFilter, User

URL = "/admin/settings/"
BERLIN = {"time_zone": "Europe/Berlin", "language": "de"}

every_person = pytest.mark.parametrize("login", ["olga", "max_", "aude", "ada"])


@every_person
def test_everybody_sets_their_own_zone_and_language_whatever_their_role(
    login: str, client: Browser, request: pytest.FixtureRequest
) -> None:
    person: User = request.getfixturevalue(login)
    client.force_login(person)
    assert client.post(URL, BERLIN, follow=True).status_code == 200
    person.refresh_from_db()
    assert (person.time_zone, person.language) == ("Europe/Berlin", "de")


def test_the_trail_says_who_changed_what_and_why(olga: User, client: Browser) -> None:
    client.force_login(olga)
    client.post(URL, BERLIN)
    row = User.history.first()
    assert (row.id, row.actor_name, row.history_change_reason) == (
        olga.pk,
        "Olga Petrova (olga)",
        "Changed own settings",
    )
    before = User.history.count()
    client.post(URL, BERLIN)
    assert User.history.count() == before, "what changes nothing leaves no row"


def test_nobody_changes_another_and_nothing_else_is_taken(olga: User, max_: User, client: Browser) -> None:
    client.force_login(olga)
    client.post(URL, {**BERLIN, "id": max_.pk, "username": "boss", "is_superuser": "on", "email": "x@y.example"})
    olga.refresh_from_db()
    max_.refresh_from_db()
    assert max_.time_zone == "UTC"
    assert (olga.username, olga.is_superuser, olga.email) == ("olga", False, "olga@due-notice.example")


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("Europe/Berln", "Did you mean Europe/Berlin?"),
        ("../../etc/passwd", "is not the name of a time zone"),
        ("", "This field is required."),
    ],
)
def test_an_unknown_zone_is_refused_with_a_sentence_and_stays_as_typed(
    typed: str, said: str, olga: User, client: Browser
) -> None:
    client.force_login(olga)
    refused = client.post(URL, {"time_zone": typed, "language": "fr"})
    content = refused.content.decode()
    assert said in content
    assert f'value="{typed}"' in content or not typed
    olga.refresh_from_db()
    assert (olga.time_zone, olga.language) == ("UTC", "en")


def test_a_language_that_is_not_offered_is_refused(olga: User, client: Browser) -> None:
    client.force_login(olga)
    client.post(URL, {"time_zone": "UTC", "language": "ja"})
    olga.refresh_from_db()
    assert olga.language == "en"


def test_the_page_offers_every_zone_and_leads_to_the_password(olga: User, client: Browser) -> None:
    client.force_login(olga)
    content = client.get(URL).content.decode()
    assert '<option value="America/New_York">' in content
    assert 'list="zones"' in content
    assert reverse("admin:password_change") in content


def test_whoever_has_not_signed_in_is_sent_to_do_so(db: None, client: Browser) -> None:
    assert client.get(URL).headers["Location"].startswith("/admin/login/")


def test_every_page_leads_to_the_settings(olga: User, client: Browser) -> None:
    client.force_login(olga)
    assert f'href="{URL}"' in client.get(reverse("admin:incidents_incident_changelist")).content.decode()


def test_saving_is_confirmed_in_the_language_that_was_chosen(olga: User, client: Browser) -> None:
    client.force_login(olga)
    saved = client.post(URL, BERLIN, follow=True)
    assert saved.headers["Content-Language"] == "de"


def test_the_board_opens_with_the_filter_that_was_chosen_and_with_everything_again(
    olga: User, max_: User, client: Browser
) -> None:
    own, other = (
        SavedFilter.objects.create(user=person, page="board", name="Critical", query="severity=critical")
        for person in (olga, max_)
    )
    client.force_login(olga)
    client.post(URL, {**BERLIN, "landing": own.pk})
    own.refresh_from_db()
    assert own.is_landing
    assert f'<option value="{own.pk}" selected>' in client.get(URL).content.decode()
    assert client.post(URL, {**BERLIN, "landing": other.pk}).status_code == 200, "refused, on the page"
    other.refresh_from_db()
    assert not other.is_landing
    client.post(URL, {**BERLIN, "landing": ""})
    own.refresh_from_db()
    assert not own.is_landing
