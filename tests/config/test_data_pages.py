"""The pages on which data goes out and comes in: two presses, and nothing before the second."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client as Browser
from django.urls import reverse

from agreements.models import Client
from config import transfer
from config.models import Export, User
from tests.cast import browser_of

FILE = "name,time_zone\nNorthwind,America/New_York\n"


def page(name: str = "data_kind", kind: str = "clients") -> str:
    return reverse(f"admin:{name}", args=[kind])


def chosen(browser: Browser, content: str | bytes, name: str = "old.csv") -> Any:
    content = content.encode() if isinstance(content, str) else content
    return browser.post(page(), {"file": SimpleUploadedFile(name, content)})


def sealed(answer: Any) -> str:
    found = re.search(r'name="sealed" value="([^"]+)"', answer.content.decode())
    assert found is not None
    return unescape(found[1])


def test_a_file_is_shown_first_and_imported_with_a_reason_by_the_second_press(max_: User) -> None:
    browser = browser_of(max_)
    shown = chosen(browser, FILE)
    assert "What “old.csv” would do" in shown.content.decode()
    assert not Client.objects.exists()
    refused = browser.post(page(), {"sealed": sealed(shown), "reason": ""})
    assert "This field is required" in refused.content.decode()
    assert not Client.objects.exists()
    done = browser.post(page(), {"sealed": sealed(refused), "reason": "We moved."}, follow=True)
    assert "1 line was imported." in done.content.decode()
    row = Client.history.get()
    assert (row.actor_name, row.history_change_reason, row.caller) == ("Max Weber (max)", "We moved.", "admin")
    assert "There is nothing to import" in chosen(browser, FILE).content.decode()


def test_what_is_wrong_is_told_and_there_is_nothing_to_press(max_: User) -> None:
    answer = chosen(browser_of(max_), "name,time_zone\n<b>A</b>,Europe/Berlln\n").content.decode()
    assert "Did you mean Europe/Berlin?" in answer
    assert 'name="sealed"' not in answer
    assert "<b>A</b>" not in answer


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"PK\x03\x04", b"a" * 2_000_000, b"no\ntable\n"])
def test_a_file_that_cannot_be_read_is_refused_on_its_field(max_: User, content: bytes) -> None:
    answer = chosen(browser_of(max_), content)
    assert answer.status_code == 200
    assert "This file cannot be read." in answer.content.decode()


def test_what_was_sealed_for_somebody_else_or_another_kind_is_refused(max_: User, ada: User) -> None:
    seal = sealed(chosen(browser_of(max_), FILE))
    typed = {"sealed": seal, "reason": "We moved."}
    for answer in (
        browser_of(ada).post(page(), typed),
        browser_of(max_).post(page(kind="services"), typed),
        browser_of(max_).post(page(), {**typed, "sealed": seal[:-2]}),
    ):
        assert "Choose the file again" in answer.content.decode()
    assert not Client.objects.exists()


def test_who_may_only_read_exports_and_imports_nothing(olga: User, aude: User) -> None:
    for user in (olga, aude):
        browser = browser_of(user)
        assert "not with your role" in browser.get(reverse("admin:data")).content.decode()
        for kind in transfer.KINDS:
            assert 'type="file"' not in browser.get(page(kind=kind)).content.decode()
            assert browser.post(page(kind=kind), {}).status_code == 403
            assert browser.get(page("data_export", kind)).status_code == 200
            assert browser.get(page("data_template", kind)).status_code == 200
    assert Export.objects.count() == 2 * len(transfer.KINDS)
    assert browser.get("/admin/data/secrets/").status_code == 404
