"""The guides within the product lead to each other, show their pictures, and are there for whoever has signed in."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles import finders
from django.test import Client as Browser
from django.utils import timezone

from config import health
from config.models import User
from incidents.models import Heartbeat
from incidents.models.sending import Part
from tests import cast

NAMES = sorted(file.stem for file in (Path(settings.BASE_DIR) / "docs").glob("*.md"))
HELP = "/admin/help/"
HREF = re.compile(r'<a href="([^"]+)"')


def article(browser: Browser, address: str) -> str:
    answer = browser.get(address)
    assert answer.status_code == 200, address
    return answer.content.decode().partition("<article")[2].partition("</article>")[0]


def test_every_link_within_them_leads_to_a_guide_and_its_heading(browser: Browser) -> None:
    pages = {f"{HELP}{name}/": article(browser, f"{HELP}{name}/") for name in NAMES}
    pages[HELP] = article(browser, HELP)
    for address, content in pages.items():
        for link in HREF.findall(content):
            to, _hash, fragment = link.partition("#")
            if not to.startswith("https://"):
                assert to in ("", *pages), f"{address}: {link}"
                assert not fragment or f'id="{fragment}"' in pages[to or address], f"{address}: {link}"


def test_every_picture_is_a_static_file_of_ours(browser: Browser) -> None:
    shown = [
        source for name in NAMES for source in re.findall(r'<img src="([^"]+)"', article(browser, f"{HELP}{name}/"))
    ]
    assert len(shown) > 8
    assert [source for source in shown if not finders.find(source.removeprefix("/static/"))] == []


def test_a_reason_of_the_banner_leads_to_its_heading_in_the_runbook(browser: Browser) -> None:
    Heartbeat.objects.create(part=Part.PLANNER, at=timezone.now() - dt.timedelta(minutes=5), worker="test")
    keys = [problem.key for problem in health.problems()]
    assert "planner-silent" in keys
    page, runbook = browser.get(HELP).content.decode(), article(browser, f"{HELP}runbook/")
    for key in keys:
        assert f'<a href="{HELP}runbook/#{key}">' in page
        assert f'id="{key}"' in runbook


def test_no_other_file_is_told_and_nobody_reads_who_has_not_signed_in(browser: Browser) -> None:
    assert browser.get(f"{HELP}CONTRIBUTING/").status_code == 404
    assert browser.post(HELP).status_code == 405
    assert Browser().get(HELP).status_code == 302


def test_who_reads_another_language_is_told_that_they_are_in_english(browser: Browser, olga: User) -> None:
    cast.past_the_trail(User.objects.filter(pk=olga.pk), language="de")
    page = browser.get(HELP).content.decode()
    assert 'class="note"' in page
    assert '<article class="guide" lang="en">' in page
