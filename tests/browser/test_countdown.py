"""Countdowns in a real browser: they go by the server's clock, and say what the server says."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route

from config import times
from tests.cast import NOON

SCRIPT = Path(__file__).resolve().parents[2] / "config/static/due_notice/countdown.js"
SITE = "http://board.test"
#: A machine whose clock is an hour ahead, and can be set to anything.
WRONG_CLOCK = """
    const Real = Date;
    window.ahead = 3_600_000;
    window.Date = class extends Real {
        constructor(...given) { super(...(given.length ? given : [Real.now() + window.ahead])); }
        static now() { return Real.now() + window.ahead; }
    };
"""


def countdown(due_at: dt.datetime) -> str:
    return (
        f'<time data-countdown datetime="{due_at.isoformat()}" data-left="%(span)s left" '
        'data-over="overdue by %(span)s"></time>'
    )


def standing(at_risk_at: dt.datetime | None, due_at: dt.datetime) -> str:
    at_risk = at_risk_at.isoformat() if at_risk_at else ""
    return (
        f'<span data-standing="running" data-at-risk-at="{at_risk}" data-due-at="{due_at.isoformat()}"><b>Running</b>'
        '<template data-standing="at_risk"><b>At risk</b></template>'
        '<template data-standing="missed"><b>Missed</b></template></span>'
    )


@pytest.fixture(scope="module")
def page(chromium: Browser) -> Iterator[Page]:
    """A blank page of a site that serves the module, on a machine whose clock is wrong."""
    context = chromium.new_context()
    context.set_default_timeout(15_000)
    context.add_init_script(WRONG_CLOCK)
    page = context.new_page()

    def serve(route: Route) -> None:
        if route.request.url.endswith(".js"):
            route.fulfill(body=SCRIPT.read_text(), content_type="text/javascript")
        elif route.request.url.endswith("/healthz/live"):
            route.fulfill(body="ok", headers={"Date": "Tue, 24 Nov 2026 14:00:00 GMT"})
        else:
            route.fulfill(body=page.body, content_type="text/html")  # type: ignore[attr-defined]

    page.route("**/*", serve)
    yield page
    context.close()


def show(page: Page, *parts: str) -> None:
    words = json.dumps(times.span_words()).replace('"', "&quot;")
    clock = f'<span hidden data-server-now="{NOON.isoformat()}" data-words="{words}"></span>'
    page.body = (  # type: ignore[attr-defined]
        f'<!doctype html>{clock}{"".join(parts)}<script type="module" src="countdown.js"></script>'
    )
    page.goto(f"{SITE}/")
    page.wait_for_function("document.querySelector('time')?.textContent !== ''")


def said(page: Page) -> str:
    return str(page.locator("time").inner_text())


def test_a_browser_whose_clock_is_an_hour_ahead_counts_by_the_servers(page: Page) -> None:
    show(page, countdown(NOON + dt.timedelta(minutes=30)))
    assert said(page) in {f"29 min {second} s left" for second in range(50, 60)} | {"30 min 00 s left"}
    page.wait_for_function("before => document.querySelector('time').textContent !== before", arg=said(page))


def test_when_the_machine_slept_or_its_clock_was_set_the_server_is_asked_what_time_it_is(page: Page) -> None:
    show(page, countdown(NOON + dt.timedelta(hours=2, minutes=30)))
    assert said(page) in ("2 h 29 min left", "2 h 30 min left")
    page.evaluate("window.ahead += 10_000_000")
    page.wait_for_function("document.querySelector('time').textContent.startsWith('29 min')")


def test_a_standing_turns_at_its_instants_and_never_before(page: Page) -> None:
    second, hour = dt.timedelta(seconds=1), dt.timedelta(hours=1)
    show(
        page,
        countdown(NOON),
        standing(NOON - second, NOON + hour),
        standing(NOON - hour, NOON - second),
        standing(None, NOON + hour),
        standing(NOON + 3 * second, NOON + hour),
    )
    badges = page.locator("span[data-standing] > b")
    assert badges.all_inner_texts() == ["At risk", "Missed", "Running", "Running"]
    page.wait_for_function("document.querySelectorAll('span[data-standing=at_risk]').length === 2")
    assert badges.all_inner_texts() == ["At risk", "Missed", "Running", "At risk"]


def test_spans_are_said_in_the_words_of_the_server(page: Page) -> None:
    show(page, countdown(NOON))
    seconds = [0, 1, 59, 60, 61, 3599, 3600, 3661, 86_399, 86_400, 90_061, 40 * 86_400 + 7]
    script = """async seconds => {
        const { span } = await import("/countdown.js");
        return seconds.map(s => [span(s * 1000 + 999), span(s * 1000 + 999, "exact")]);
    }"""
    spans = [dt.timedelta(seconds=s) for s in seconds]
    assert page.evaluate(script, seconds) == [[times.duration(s), times.countdown(s)] for s in spans]
