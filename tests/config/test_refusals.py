"""The pages that refuse say what is wrong and what to do."""

from __future__ import annotations

import pytest
from django.template.loader import render_to_string
from django.test import Client as Browser

from config.models import User

pytestmark = pytest.mark.django_db


def test_who_may_not_is_told_so_and_where_to_go(client: Browser, aude: User) -> None:
    client.force_login(aude)
    page = client.get("/admin/incidents/incident/add/")
    assert page.status_code == 403
    assert "Ask an administrator" in page.content.decode()


def test_a_wrong_address_says_so(client: Browser) -> None:
    page = client.get("/nothing/here/")
    assert page.status_code == 404
    assert "Go to the board" in page.content.decode()


def test_a_fault_of_ours_can_be_shown_without_anything_else_working() -> None:
    assert "Nothing you saw as saved is lost" in render_to_string("500.html")
