"""People at their browsers, as far as a server sees them: cookies, form tokens, pauses. Threads that mostly wait."""

from __future__ import annotations

import http.client
import re
import ssl
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.cookies import SimpleCookie
from random import Random
from urllib.parse import urlencode

KEPT = 50.0  # seconds for which a connection that nobody used is still taken for open
Words = Mapping[str, object]


# ── what is noted ───────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Visit:
    """One page that was asked for: what of, when by the monotonic clock, for how many seconds, with what answer."""

    name: str
    began: float
    took: float
    status: int  # 0: none
    is_wanted: bool


@dataclass
class Record:
    """What all visitors of a run saw."""

    visits: list[Visit] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)  # what was answered instead, in short

    def between(self, since: float, until: float) -> list[Visit]:
        return [visit for visit in self.visits if since <= visit.began < until]


def percentile(values: Iterable[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


# ── forms ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class _Forms(HTMLParser):
    """The forms of a page that are sent by POST, each as the fields that a browser would send as they stand."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[dict[str, list[str]]] = []
        self._fields: dict[str, list[str]] | None = None
        self._choice: str | None = None  # the select that is open
        self._text: str | None = None  # the textarea that is open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._fields = {} if said.get("method", "").lower() == "post" else None
            if self._fields is not None:
                self.found.append(self._fields)
        if self._fields is None:
            return
        name = said.get("name", "")
        if tag == "input" and name and said.get("type") not in ("submit", "button", "file", "image"):
            if said.get("type") not in ("checkbox", "radio") or "checked" in said:
                self._fields.setdefault(name, []).append(said.get("value", "on" if "checked" in said else ""))
        elif tag == "select":
            self._choice = name
        elif tag == "option" and self._choice and "selected" in said:
            self._fields.setdefault(self._choice, []).append(said.get("value", ""))
        elif tag == "textarea":
            self._text = name
            self._fields[name] = [""]

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._fields = None
        elif tag == "select":
            self._choice = None
        elif tag == "textarea":
            self._text = None

    def handle_data(self, data: str) -> None:
        if self._text and self._fields is not None:
            self._fields[self._text][0] += data


def form_with(page: str, name: str) -> dict[str, list[str]]:
    """The form of a page that has a field of this name; empty if there is none."""
    forms = _Forms()
    forms.feed(page)
    return next((found for found in forms.found if name in found), {})


# ── visitors ────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Site:
    """Where the product is."""

    port: int
    certificate: str
    name: str
    visited_from: str = "127.0.0.1"

    def connect(self, timeout: float = 60) -> http.client.HTTPSConnection:
        context = ssl.create_default_context(cafile=self.certificate)
        own = (self.visited_from, 0)
        return http.client.HTTPSConnection("127.0.0.1", self.port, context=context, timeout=timeout, source_address=own)


@dataclass(frozen=True)
class Answer:
    status: int
    text: str
    location: str = ""


class Visitor:
    """One browser: its cookies, and one connection that is kept."""

    def __init__(self, site: Site, record: Record) -> None:
        self.site, self.record = site, record
        self.cookies: SimpleCookie = SimpleCookie()
        self._connection: http.client.HTTPSConnection | None = None
        self._used = 0.0

    def get(self, name: str, path: str, *, wanted: Sequence[int] = (200,), **headers: str) -> Answer:
        return self.ask(name, "GET", path, wanted=wanted, headers={n.replace("_", "-"): v for n, v in headers.items()})

    def post(self, name: str, path: str, form: Words, *, wanted: Sequence[int] = (302,)) -> Answer:
        sent = {**form, "csrfmiddlewaretoken": self.cookies["due_notice_csrf"].value}
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return self.ask(name, "POST", path, urlencode(sent, doseq=True).encode(), wanted=wanted, headers=kind)

    def ask(
        self,
        name: str,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        wanted: Sequence[int],
        headers: Mapping[str, str],
    ) -> Answer:
        """Ask and note; what was not wanted, and what broke, is an error of the run."""
        began = time.monotonic()
        try:
            answer = self._ask(method, path, body, headers)
            said = f"{answer.status} {sentence(answer.text)}"
        except (OSError, http.client.HTTPException) as error:
            self.hang_up()
            answer, said = Answer(0, ""), repr(error)
        is_wanted = answer.status in wanted
        self.record.visits.append(Visit(name, began, time.monotonic() - began, answer.status, is_wanted))
        if not is_wanted:
            self.record.wrong.append(f"{name}: {method} {path[:100]}: {said}")
        return answer

    def hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def sign_in(self, username: str, password: str) -> bool:
        self.get("sign-in page", "/admin/login/")
        form = {"username": username, "password": password, "next": "/admin/"}
        return self.post("sign in", "/admin/login/", form).status == 302

    def _ask(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        if self._connection is None or time.monotonic() - self._used > KEPT:
            self.hang_up()
            self._connection = self.site.connect()
        cookies = "; ".join(f"{name}={morsel.value}" for name, morsel in self.cookies.items())
        own = {
            "Host": self.site.name,
            "Origin": f"https://{self.site.name}",
            "Referer": f"https://{self.site.name}/admin/",
            "Cookie": cookies,
            "Accept-Encoding": "identity",
        }
        self._connection.request(method, path, body, {**own, **headers})
        answer = self._connection.getresponse()
        text = answer.read().decode(errors="replace")
        self._used = time.monotonic()
        for cookie in answer.headers.get_all("Set-Cookie", []):
            self.cookies.load(cookie)
        return Answer(answer.status, text, answer.headers.get("Location", ""))


def sentence(page: str) -> str:
    """What a refusal says, without its markup."""
    body = re.sub(r"(?s)<(head|style|script|nav|header)\b.*?</\1>", " ", page)
    return " ".join(re.sub(r"<[^>]*>", " ", body).split())[:200]


class Person(Visitor, threading.Thread):
    """Signed in, and at work until it is enough."""

    def __init__(self, site: Site, record: Record, username: str, enough: threading.Event, *, pause: float) -> None:
        Visitor.__init__(self, site, record)
        threading.Thread.__init__(self, daemon=True, name=username)
        self.username, self.enough, self.pause = username, enough, pause
        self.chance = Random(username)  # noqa: S311 - the same ways in each run

    def run(self) -> None:
        while not self.enough.is_set():
            self.work()
            self.think()
        self.hang_up()

    def work(self) -> None:
        raise NotImplementedError

    def think(self, share: float = 1.0) -> None:
        """As long as somebody reads: mostly short, now and then long."""
        self.wait(min(self.chance.expovariate(1 / (self.pause * share)), 5 * self.pause))

    def wait(self, seconds: float) -> None:
        self.enough.wait(seconds)
