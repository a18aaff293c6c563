"""The pages on which data goes out and comes in: two presses, and nothing before the second."""

from __future__ import annotations

import hashlib
import io
import re
from html import unescape
from typing import Any

import openpyxl
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client as Browser
from django.urls import reverse

from agreements.models import Client
from config import exports, transfer
from config.models import Export, User
from tests import cast
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


def test_a_spreadsheet_gets_text_that_it_does_not_run_and_its_export_is_recorded(max_: User) -> None:
    cast.client("=1+1", "UTC")
    answer = browser_of(max_).get(page("data_export"), {"form": "xlsx"})
    content = b"".join(answer.streaming_content)  # type: ignore[attr-defined]
    sheet = openpyxl.load_workbook(io.BytesIO(content)).active
    assert sheet is not None
    cells = [[(cell.value, cell.data_type, cell.number_format) for cell in row] for row in sheet.iter_rows()]
    assert [value for value, *_how in cells[1]] == ["=1+1", "UTC", "en", "yes"]
    assert {how for row in cells for _value, *how_it_is in row for how in [tuple(how_it_is)]} == {("s", "@")}
    kept = Export.objects.get()
    assert (kept.rows, kept.sha256) == (1, hashlib.sha256(content).hexdigest())
    assert re.fullmatch(r'attachment; filename="clients-.*\.xlsx"', answer["Content-Disposition"])
    assert browser_of(max_).get(page("data_export"), {"form": "exe"}).status_code == 404


def test_what_does_not_fit_into_a_file_is_refused_with_a_sentence(max_: User, monkeypatch: pytest.MonkeyPatch) -> None:
    cast.client("Northwind", "UTC")
    cast.client("Contoso", "UTC")
    browser = browser_of(max_)
    for limit, form in (("CAP", "csv"), ("LONGEST_CELL", "xlsx")):
        with monkeypatch.context() as smaller:
            smaller.setattr(exports, limit, 1)
            answer = browser.get(page("data_export"), {"form": form}, follow=True)
        assert re.search("too many for a file|too long for a cell", answer.content.decode())
    assert not Export.objects.exists()
