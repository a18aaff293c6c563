"""Whoever sends more than any page of ours sends gets a sentence, and costs next to nothing."""

from __future__ import annotations

import io

import pytest
from django.test import Client as Browser

from config import refusals

TOO_MUCH = "More was sent at once than a page takes."
LOGIN = "/admin/login/"


@pytest.mark.django_db
def test_very_many_fields_are_refused_with_a_sentence(browser: Browser) -> None:
    many = {f"field{number}": "x" for number in range(1001)}
    for answer in (Browser().post(LOGIN, many), browser.get("/admin/incidents/incident/", many)):
        assert answer.status_code == 413
        assert TOO_MUCH in answer.content.decode()


@pytest.mark.django_db
def test_a_very_long_text_is_refused_with_a_sentence() -> None:
    answer = Browser().post(LOGIN, "name=" + "x" * 2_700_000, content_type="application/x-www-form-urlencoded")
    assert answer.status_code == 413
    assert TOO_MUCH in answer.content.decode()


@pytest.mark.django_db
def test_of_a_file_that_is_too_large_nothing_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "LARGEST", 1000)
    file = io.BytesIO(b"x" * 2000)
    answer = Browser().post(LOGIN, {"file": file})
    assert answer.status_code == 413
    assert TOO_MUCH in answer.content.decode()


def test_any_other_request_that_cannot_be_understood_gets_another_sentence(db: None) -> None:
    answer = Browser().get(LOGIN, headers={"host": "somewhere.else"})
    assert answer.status_code == 400
    assert "could not be understood" in answer.content.decode()
