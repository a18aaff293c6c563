"""Finds every page that somebody can reach: each link is followed until nothing new comes."""

from __future__ import annotations

import http.cookiejar
import re
import urllib.error
import urllib.request
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import unescape
from html.parser import HTMLParser
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

from django.urls import Resolver404, URLPattern, URLResolver, get_resolver, resolve

from tests import cast

URLCONF = "tests.reviews.demo_urls"  # the product's addresses with those of the demo's inbox
_HREF = re.compile(r"""<a\b[^>]*?\shref=["']([^"'#]*)""", re.IGNORECASE)
#: So many pages of one kind are read for their links; of these enough to find an object in every state.
ENOUGH = defaultdict(
    lambda: 2,
    {
        "admin:incidents_incident_change": 24,
        "admin:incidents_notice_change": 16,
        "admin:reviews_postincidentreview_change": 12,
        "admin:reviews_correctiveaction_change": 16,
    },
)
#: Parts of a query that make no other kind of page.
SAME_PAGE = {"o", "p", "page", "e", "q", "_changelist_filters", "_to_field", "next", "client", "clients"}
#: Addresses at which there is no page for anybody, and why.
NO_PAGE = {
    "admin:logout": "answers to POST alone",
    "admin:incidents_incident_ahead": "answers to POST alone, with pieces of the page that declares",
    "admin:autocomplete": "JSON for a field",
    "admin:jsi18n": "a script",
    "admin:passkey_challenge": "answers to POST alone, with JSON",
    "admin:view_on_site": "no object of ours has a page outside the admin",
    "admin:password_change_done": "shown once a password was changed",
    "admin:incidents_incident_evidence_pdf": "a file",
    "admin:incidents_notice_attachment": "a file",
    "admin:reviews_edition_preview": "a mail inside its page",
    "admin:reviews_edition_preview_pdf": "a file",
    "admin:reviews_edition_kept_pdf": "a file",
    "admin:reviews_statement_preview": "a mail inside its page",
    "admin:reviews_statement_preview_pdf": "a file",
    "admin:reviews_statement_kept_pdf": "a file",
    "demo_message_source": "a file",
    "demo_message_html": "a mail inside its page",
    "admin:incidents_notice_mail": "a mail inside its page",
    "admin:incidents_incident_goes_out_mail": "a mail inside its page",
    "admin:incidents_incident_notify_mail": "a mail inside its page",
    "admin:incidents_incident_update_mail": "a mail inside its page",
    "admin:saved_filters": "answers to POST alone",
    "admin:data_template": "a file",
    "outside:alertmanager": "answers to POST alone, with JSON",
    "outside:calendar": "a file",
    "admin:reviews_postincidentreview_preview": "answers to POST alone, with a piece of the page that writes",
}


@dataclass(frozen=True)
class Kind:
    """Pages that one view makes in one way: its name, and the names in the query that it understood."""

    name: str
    query: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "-".join((self.name.replace(":", "-"), *self.query))


def kind_of(address: str) -> Kind | None:
    """None if there is no such address, or no page."""
    parts = urlsplit(address)
    try:
        match = resolve(parts.path, urlconf=URLCONF)
    except Resolver404:
        return None
    name = match.view_name
    if match.url_name is None or not is_page(name):
        return None
    query = {key for key, _value in parse_qsl(parts.query)} - SAME_PAGE
    if query and name.endswith("_changelist"):
        query = {"filtered"}
    return Kind(name, tuple(sorted(query)))


def names() -> set[str]:
    """Of every address at which there is a page."""
    return {name for name in _names(get_resolver(URLCONF)) if is_page(name)}


def is_page(name: str) -> bool:
    """Nothing can be deleted, so the pages for that are refusals; exports are files."""
    return name not in NO_PAGE and not name.endswith(("_delete", "_export"))


def _names(resolver: URLResolver, prefix: str = "") -> Iterator[str]:
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLResolver):
            yield from _names(pattern, f"{prefix}{pattern.namespace}:" if pattern.namespace else prefix)
        elif isinstance(pattern, URLPattern) and pattern.name:
            yield prefix + pattern.name


class _Parts(HTMLParser):
    """Each element by its tag, classes and attributes, and what it lies in by its own; the headings in their order."""

    ALONE = frozenset({"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"})

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.headings: list[str] = []
        self._open: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        said = dict(attributes)
        classes = ".".join(sorted((said.get("class") or "").split()))
        above = ">".join(f"{tag}.{classes}" for tag, classes in self._open[-4:])
        names = " ".join(sorted(said))
        self.found.add(f"{above}>{tag}.{classes} {names} {said.get('type')} {said.get('role')}")
        if re.fullmatch(r"h[1-6]", tag) and self.headings[-1:] != [tag]:
            self.headings.append(tag)
        if tag not in self.ALONE:
            self._open.append((tag, classes))

    def handle_endtag(self, tag: str) -> None:
        while tag in (name for name, _classes in self._open) and self._open.pop()[0] != tag:
            pass  # what was left open within it


def parts_of(page: str) -> frozenset[str]:
    """What a page is made of, without its words: two that are made of the same are readable, or not, for the same."""
    parts = _Parts()
    parts.feed(page)
    return frozenset(parts.found | {" ".join(parts.headings)})


@dataclass
class Walk:
    """What a reader finds from some addresses on. `pages`: the first address of each kind; `dead`: what answers no.

    `parts`: what that page is made of.
    """

    site: str
    username: str = ""
    pages: dict[Kind, str] = field(default_factory=dict)
    parts: dict[Kind, frozenset[str]] = field(default_factory=dict)
    dead: list[str] = field(default_factory=list)
    cookies: http.cookiejar.CookieJar = field(default_factory=http.cookiejar.CookieJar)

    def __post_init__(self) -> None:
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))
        if self.username:
            self._sign_in()

    def follow(self, *starts: str) -> None:
        """Read these pages and all that they lead to."""
        waiting, known, read = deque((start, "") for start in starts), set(starts), defaultdict[Kind, int](int)
        while waiting:
            address, found_on = waiting.popleft()
            kind = kind_of(address)
            if kind is None or read[kind] >= ENOUGH[kind.name]:
                continue
            read[kind] += 1
            for found in self._read(address, kind, found_on):
                if found not in known:
                    known.add(found)
                    waiting.append((found, address))

    def browser_cookies(self) -> list[dict[str, str]]:
        """For a browser that is to be signed in as this reader."""
        return [{"name": cookie.name, "value": cookie.value or "", "url": self.site} for cookie in self.cookies]

    def _read(self, address: str, kind: Kind, found_on: str) -> list[str]:
        try:
            with self._opener.open(self.site + address, timeout=30) as answer:
                if not answer.headers["Content-Type"].startswith("text/html"):
                    return []
                reached = answer.url.removeprefix(self.site)
                page = answer.read().decode()
        except urllib.error.HTTPError as error:
            self.dead.append(f"{address} answers {error.code}; the link is on {found_on or 'no page'}")
            return []
        if kind not in self.pages and urlsplit(reached).path == urlsplit(address).path:  # not led elsewhere
            self.pages[kind], self.parts[kind] = address, parts_of(page)
        return [found for href in _HREF.findall(page) if (found := self._here(unescape(href), reached))]

    def _here(self, href: str, page: str) -> str | None:
        """The address as this site has it; None if it leads elsewhere."""
        whole = urlsplit(urljoin(self.site + page, href))
        if f"{whole.scheme}://{whole.netloc}" != self.site:
            return None
        return whole.path + (f"?{whole.query}" if whole.query else "")

    def _sign_in(self) -> None:
        login = f"{self.site}/admin/login/"
        self._opener.open(login, timeout=30).close()
        [token] = [cookie.value for cookie in self.cookies if cookie.name == "due_notice_csrf"]
        form = {"username": self.username, "password": cast.PASSWORD, "csrfmiddlewaretoken": token, "next": "/admin/"}
        with self._opener.open(login, urlencode(form).encode(), timeout=30) as answer:
            assert answer.url == f"{self.site}/admin/", f"{self.username} cannot sign in"
