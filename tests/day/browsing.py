"""A colleague at a browser: opens the page of an act, fills in its form and presses the button until it is answered."""

from __future__ import annotations

import datetime as dt
import http.client
import re
import threading
from collections import Counter
from collections.abc import Mapping
from html import unescape
from html.parser import HTMLParser
from typing import NamedTuple

from tests.deploy.front import Front, Visitor

Form = dict[str, list[str]]
#: What a proxy or a node says while something is down: people wait a moment and press again.
BROKEN = frozenset({500, 502, 503, 504})
MOMENT = 0.3  # seconds


class Refused(Exception):
    """The page said why it was not done."""


class Span(NamedTuple):
    """Between the first press of a button and the answer to the last."""

    begin: dt.datetime
    end: dt.datetime

    @property
    def slack(self) -> dt.timedelta:
        return self.end - self.begin


class Pressed(NamedTuple):
    span: Span
    location: str


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def written(at: dt.datetime) -> str:
    """As the browser's own input has it; everybody here lives in UTC."""
    return f"{at:%Y-%m-%dT%H:%M:%S}"


class Colleague:
    """One person in one browser, who goes on through whatever happens to the servers; not for two threads at once."""

    def __init__(self, front: Front, username: str, enough: threading.Event, seen: Counter[int]) -> None:
        self.front, self.username = front, username
        self._visitor = Visitor(front)
        self._enough = enough
        self._seen = seen
        self._is_signed_in = False

    def open(self, path: str, *, expects: int = 200) -> str:
        status, text, _location = self._ask("GET", path)
        assert status == expects, f"{path} for {self.username}: {status}, not {expects}\n{said(text)}"
        return text

    def form(self, path: str) -> Form:
        """The form of an act's page, as it is shown."""
        status, text, _location = self._ask("GET", path)
        if status != 200:
            raise Refused(f"{path} is not offered to {self.username}: {status} {said(text)}")
        return form_of(text)

    def press(self, path: str, form: Form | None = None, /, *, once: bool = False, **fields: object) -> Pressed:
        """Fill these fields in and press, again if need be: the page's own key keeps it from being done twice.

        Who is told that somebody has changed something meanwhile reads it and presses again, unless it is said `once`.
        """
        sent: Mapping[str, object] = {**(self.form(path) if form is None else form), **fields}
        begin = now()
        while True:
            status, text, location = self._ask("POST", path, sent)
            if status == 302:
                return Pressed(Span(begin, now()), location)
            if once or "Somebody has changed this" not in text:
                raise Refused(f"{path} by {self.username} with {fields}: {status} {said(text)}")
            sent = {**form_of(text), **fields}

    def _ask(self, method: str, path: str, form: Mapping[str, object] | None = None) -> tuple[int, str, str]:
        """Until somebody answers."""
        while True:
            try:
                if not self._is_signed_in:
                    self._visitor = Visitor(self.front)
                    self._visitor.sign_in(self.username)
                    self._is_signed_in = True
                answer, text = self._visitor.ask(method, path, form)
            except (OSError, http.client.HTTPException, AssertionError, KeyError):
                self._seen[0] += 1
            else:
                self._seen[answer.status] += 1
                location = answer.headers.get("Location", "")
                if answer.status == 302 and "/login/" in location:
                    self._is_signed_in = False
                elif answer.status not in BROKEN:
                    return answer.status, text, location
            if self._enough.wait(MOMENT):
                raise Refused(f"Nobody answered {path} until the day was broken off.")


class _Forms(HTMLParser):
    """Every form of a page with what a browser would send of it."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._form: Form | None = None
        self._select: tuple[str, list[str], bool] | None = None
        self._text: str | None = None
        self._options: list[tuple[str, bool]] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        has = dict(attributes)
        name, value = has.get("name") or "", has.get("value") or ""
        if tag == "form":
            self._form = {}
            self.forms.append(self._form)
        if self._form is None or (not name and tag != "option"):
            return
        kind = has.get("type", "text")
        if tag == "input" and kind not in ("submit", "button", "file"):
            if kind not in ("checkbox", "radio") or "checked" in has:
                self._form.setdefault(name, []).append(value or ("on" if kind == "checkbox" else ""))
        elif tag == "textarea":
            self._form[name], self._text = [""], name
        elif tag == "select":
            self._select, self._options = (name, [], "multiple" in has), []
        elif tag == "option":
            self._options.append((value, "selected" in has))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag == "textarea":
            self._text = None
        elif tag == "select" and self._select and self._form is not None:
            name, _values, is_multiple = self._select
            chosen = [value for value, is_selected in self._options if is_selected]
            self._form[name] = chosen or ([] if is_multiple else [value for value, _is in self._options[:1]])
            self._select = None

    def handle_data(self, data: str) -> None:
        if self._text and self._form is not None:
            self._form[self._text] = [self._form[self._text][0] + data]


def form_of(page: str) -> Form:
    """The one that acts: of those that are sent with a token the one with the most to fill in."""
    parser = _Forms()
    parser.feed(page)
    return max((form for form in parser.forms if "csrfmiddlewaretoken" in form), key=len)


def said(page: str) -> str:
    """What a page complains of; else its first words."""
    listed = re.findall(r'<ul class="errorlist[^>]*>(.*?)</ul>', page, re.DOTALL)
    text = " ".join(listed) or re.sub(r"<(script|style|head).*?</\1>", "", page, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", text)).split())[:600]
