"""Looks at a page as people see it, on a phone, a desk and a wall, by day and by night, and says all that is wrong."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from gettext import GNUTranslations
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from axe_playwright_python.base import AXE_SCRIPT
from django.contrib import admin
from playwright.sync_api import Browser, ConsoleMessage, Request, Response

from reviews import policy_presets, questions

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / "var" / "screenshots"
LOCALE = ROOT / "locale"
#: All that colours our pages, and Django's under them.
SHEETS = (ROOT / "config" / "static" / "due_notice", Path(admin.__file__).parent / "static" / "admin" / "css")
PATIENCE = 20_000  # milliseconds

OPTIONS = {
    "resultTypes": ["violations"],
    "iframes": False,  # a mail in the demo's inbox is its own document, and nothing runs in it
    "preload": False,  # or it copies our style sheets into the page, which the policy forbids
}
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
#: Not asked by WCAG's letter, or switched off by default: what makes a page easy to hear and to touch.
ALSO = ("target-size", "heading-order", "page-has-heading-one")
#: The rules that ask for the colours; they take most of the time.
COLOURS = ("color-contrast", "link-in-text-block")
_AXE = """
rules => axe.run(document, rules).then(found => found.violations.map(fault => {
    const [first, ...others] = fault.nodes
    const where = [first, ...others.slice(0, 5)].map(node => node.target.join(' ')).join(' | ')
    return `${fault.id}, ${fault.nodes.length} ×: ${where} – ${first.failureSummary.replace(/\\s+/g, ' ')}`
}))
"""
#: In what it is written: each visible element that says something, and what it lies in, by all that stylesheets name.
_INKS = """
names => {
    const known = new Set(names), named = list => [...list].filter(name => known.has(name)).sort().join('.')
    const states = e => [...e.attributes].flatMap(state => [state.name, state.value])
    const own = e => `${e.tagName} ${named([e.id, ...e.classList])} ${named(states(e))}`
    const path = e => e ? path(e.parentElement) + '>' + own(e) : ''
    const says = e => 'value' in e || [...e.childNodes].some(node => node.nodeType === 3 && node.data.trim())
    return [...new Set([...document.querySelectorAll('*')].filter(e => e.checkVisibility() && says(e)).map(path))]
}
"""
_LAYOUT = """
() => {
    const faults = [], root = document.documentElement, width = root.clientWidth
    if (root.scrollWidth > width) {
        const scrolls = e => e && e !== document.body && e !== root && (
            ['auto', 'scroll', 'hidden', 'clip'].includes(getComputedStyle(e).overflowX)
            || scrolls(e.parentElement))
        const wide = [...document.body.querySelectorAll('*')]
            .filter(e => e.getBoundingClientRect().right > width + 1 && !scrolls(e.parentElement))
        const name = e => [e.tagName.toLowerCase() + (e.id ? '#' + e.id : ''), ...e.classList].join('.')
        faults.push(`scrolls sideways (${root.scrollWidth} of ${width} px): ${wide.slice(-4).map(name).join(', ')}`)
    }
    const seen = new Set()
    for (const {id} of document.querySelectorAll('[id]')) {
        if (seen.has(id)) faults.push(`two elements have the id ${id}`)
        seen.add(id)
    }
    return faults
}
"""
#: Before anything of the page runs: what the policy forbids is told to us.
_LISTEN = """
document.addEventListener('securitypolicyviolation', event => {
    const place = `${event.sourceFile}:${event.lineNumber} ${event.sample}`
    console.error(`policy: ${event.violatedDirective} forbids ${event.blockedURI} (${place})`)
})
"""
#: A colour that is still changing is none that anybody reads; a sheet that was made by script is not under the policy.
_STAND_STILL = """
() => {
    const sheet = new CSSStyleSheet()
    sheet.replaceSync('*, *::before, *::after { transition: none !important; animation: none !important }'
        // what sticks to the edge covers what is below it until that is scrolled to
        + '.submit-row { position: static !important }')
    document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet]
}
"""
_OPEN_ALL = "() => document.querySelectorAll('details:not([open])').forEach(part => { part.open = true })"
_SAID = """
() => ({
    language: document.documentElement.lang,
    texts: [document.title.split(' | ')[0],
        ...[...document.querySelectorAll('h1, h2, h3, h4, thead th, legend, label, summary, button, a.button')]
            .filter(part => !part.closest('body [lang]'))  // which says itself what language it is in
            .map(part => part.innerText.trim().replace(/:$/, ''))],
})
"""
_POSTS_TO = """
() => [...document.forms]
    .filter(form => form.getAttribute('method')?.toLowerCase() === 'post')
    .filter(form => [...form.elements].some(part => ['submit', 'image'].includes(part.type)))
    .map(form => new URL(form.getAttribute('action') ?? '', location).pathname)
"""
_SETTLED = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done())))"


@dataclass(frozen=True)
class View:
    """How somebody looks at a page."""

    width: int
    scheme: str

    def __str__(self) -> str:
        return f"{self.width}-{self.scheme}"


#: On a wall by day alone: by night nothing is laid out otherwise.
VIEWS = (View(1920, "light"), *(View(width, scheme) for width in (1280, 375) for scheme in ("light", "dark")))
#: Between these nothing may be laid out anew, so that the colours on a wall are those on a desk.
DESK, WALL = 1280, 1920
#: The narrowest and the widest at which the product promises to be comfortable.
EDGES = (360, 2560)
_HEIGHTS = {360: 800, 375: 800, 1280: 900, 1920: 1080, 2560: 1440}


def is_whole(view: View, views: Sequence[View]) -> bool:
    """By day on a desk, where the page is as it opens, and in the last view, where every part of it is open."""
    return view in (views[-1], View(DESK, "light"))


#: By view, what was written in colours that axe has been asked about, by whichever reader.
Inks = defaultdict[View, set[str]]


@cache
def styled() -> list[str]:
    """Whatever a stylesheet names: classes, ids, attributes and their values, states."""
    sheets = "".join(sheet.read_text() for folder in SHEETS for sheet in folder.glob("*.css"))
    return sorted(set(re.findall(r"""[.#:\[=]["']?([A-Za-z][\w-]*)""", sheets)))


class Eye:
    """One reader's browser. `faults` has what is wrong: by page, the views that show it."""

    def __init__(self, browser: Browser, who: str, cookies: Sequence[Any] = (), inks: Inks | None = None) -> None:
        self.faults: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        self.looks = self.asked = 0
        self._inks = defaultdict(set) if inks is None else inks
        #: What its reader reads.
        self.language = "en"
        #: By page, the addresses that its buttons write to.
        self.writes: dict[str, list[str]] = {}
        self._who = who
        self._heard: list[str] = []
        self._context = browser.new_context(timezone_id="UTC", locale="en-GB", reduced_motion="reduce")
        self._context.set_default_timeout(PATIENCE)
        self._context.add_init_script(_LISTEN)
        self._context.add_cookies(cookies)
        self.page = self._context.new_page()
        self._address = ""
        self._view: View | None = None
        self.page.on("console", self._hear_console)
        self.page.on("pageerror", lambda error: self._heard.append(f"script: {error}"))
        self.page.on("requestfailed", self._hear_failure)
        self.page.on("response", self._hear_answer)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._context.close()

    def open(
        self,
        address: str,
        name: str,
        views: Sequence[View] = VIEWS,
        status: int = 200,
        *,
        structure: bool = True,
        colours: bool = True,
    ) -> None:
        """Open the page once, and look at it in each of these ways; at its structure and colours unless others do."""
        self._show(views[0])
        self._address = address
        response = self.page.goto(address)
        assert response is not None
        if response.status != status:
            self._note(name, f"answers {response.status}", "")
            return
        self.look(name, views, structure=structure, colours=colours)

    def look(self, name: str, views: Sequence[View] = VIEWS, *, structure: bool = True, colours: bool = True) -> None:
        """Look at what is open. The last look has every part opened that can be."""
        self.writes[name] = self.page.evaluate(_POSTS_TO)
        self.page.evaluate(_STAND_STILL)
        self._read(name)
        for view in views:
            self._show(view)
            if view == views[-1]:
                self.page.evaluate(_OPEN_ALL)
            self.page.evaluate(_SETTLED)
            self._judge(name, view, whole=structure and is_whole(view, views), colours=colours)
            if _keeps_pictures():
                self._take(name, view, down_to_the_end=colours and is_whole(view, views))
        if views == VIEWS:
            self._fit(name)
        self._hear_all(name)

    def report(self) -> str:
        """All that is wrong, each with the pages and views that show it; empty if nothing is."""
        lines = []
        for fault, shown in sorted(self.faults.items(), key=lambda item: -len(item[1])):
            where = ", ".join(f"{name} [{' '.join(dict.fromkeys(views))}]" for name, views in list(shown.items())[:3])
            others = f" and {len(shown) - 3} more pages" if len(shown) > 3 else ""
            lines.append(f"· {fault}\n    {self._who} on {where}{others}")
        return "\n".join(lines)

    def _show(self, view: View) -> None:
        if view == self._view:
            return
        self._view = view
        self.page.set_viewport_size({"width": view.width, "height": _HEIGHTS[view.width]})
        self.page.emulate_media(color_scheme="dark" if view.scheme == "dark" else "light")

    def _read(self, name: str) -> None:
        """Is the page in the reader's language? What has a translation is translated."""
        said = self.page.evaluate(_SAID)
        if said["language"] != self.language:
            self._note(name, f"says that its language is {said['language']!r}", "")
        for text in sorted(untranslated(self.language).intersection(said["texts"])):
            self._note(name, f"is not translated: {text!r}", "")

    def _judge(self, name: str, view: View, *, whole: bool, colours: bool) -> None:
        self.looks += 1
        faults = self.page.evaluate(_LAYOUT)
        if rules := self._to_be_asked(view, whole=whole, colours=colours):
            self.asked += 1
            if not self.page.evaluate("() => 'axe' in window"):
                self.page.evaluate(AXE_SCRIPT)
            faults += self.page.evaluate(_AXE, {**OPTIONS, **rules})
        for fault in faults:
            self._note(name, fault, str(view))

    def _to_be_asked(self, view: View, *, whole: bool, colours: bool) -> dict[str, Any] | None:
        """What axe is to be asked in this view, so that nothing is asked twice.

        What is wrong in whatever colours is so in all of them. Colours, which take most of the time, are those of the
        stylesheets: they are asked by day and by night, on a desk and a phone, if something is written in what was not
        seen in that view. On a wall nothing is laid out or coloured otherwise than on a desk.
        """
        colours = colours and view.width != WALL and self._has_new_inks(view)
        if whole:
            rules = {name: {"enabled": True} for name in ALSO} | {name: {"enabled": colours} for name in COLOURS}
            return {"runOnly": {"type": "tag", "values": TAGS}, "rules": rules}
        return {"runOnly": {"type": "rule", "values": COLOURS}} if colours else None

    def _has_new_inks(self, view: View) -> bool:
        new = set(self.page.evaluate(_INKS, styled())) - self._inks[view]
        self._inks[view] |= new
        return bool(new)

    def _take(self, name: str, view: View, *, down_to_the_end: bool) -> None:
        """Keep a picture: of the whole page where all is asked of it, elsewhere of what its reader sees at first."""
        path = KEPT / self._who / f"{name}-{view}.jpeg"
        self.page.screenshot(path=path, type="jpeg", quality=50, full_page=down_to_the_end)

    def _fit(self, name: str) -> None:
        for width in EDGES:
            view = View(width, "dark")
            self._show(view)
            self.page.evaluate(_SETTLED)
            for fault in self.page.evaluate(_LAYOUT):
                self._note(name, fault, str(view))

    def _note(self, name: str, fault: str, view: str) -> None:
        self.faults[fault][name].append(view)

    # ── what the browser says ───────────────────────────────────────────────────────────────────────────────────────

    def _hear_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and message.location.get("url") != self._address:
            self._heard.append(f"console: {message.text} ({message.location.get('url')})")

    def _hear_failure(self, request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # which is a page that was left
            self._heard.append(f"request: {request.url} failed: {request.failure}")

    def _hear_answer(self, response: Response) -> None:
        if response.status >= 400 and response.url != self._address:
            self._heard.append(f"request: {response.url} answered {response.status}")

    def _hear_all(self, name: str) -> None:
        heard, self._heard[:] = list(self._heard), []
        for fault in heard:
            self._note(name, fault, "")


@cache
def untranslated(language: str) -> frozenset[str]:
    """The texts of our catalogue that nobody who reads this language should see."""
    if language == "en":
        return frozenset()
    texts = GNUTranslations((LOCALE / language / "LC_MESSAGES" / "django.mo").open("rb"))
    catalogue: dict[Any, str] = texts._catalog  # type: ignore[attr-defined]  # there is no other way to all of them
    said = {text[:1].upper() + text[1:] for text in catalogue.values()}  # some words are the same in both
    return frozenset(text for text in catalogue if isinstance(text, str) and text and text not in said | _saved())


def _saved() -> set[str]:
    """Ready-made texts of which this world has rows, in the language of whoever made those."""
    asked = {str(part) for question in questions.PRESETS for part in (question.text, question.guidance)}
    return asked | {str(preset.name) for preset in policy_presets.PRESETS}


def _keeps_pictures() -> bool:
    """Only when they are asked for: they take up to a fifth of the time, and nothing is told from them by itself."""
    return bool(os.environ.get("SCREENSHOTS"))
