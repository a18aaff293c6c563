"""The guides of docs/ within the product, for whoever needs one when nothing else can be reached."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.template.response import TemplateResponse
from django.templatetags.static import static
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.token import Token

from config.admin.histories import READING_METHODS

INDEX, PAGE = "help", "guide"
FOLDER: Path = settings.BASE_DIR / "docs"
#: The page that lists the others.
FIRST = "README"
#: Below this address the pictures lie among the static files.
PICTURES = "guides"


@dataclass(frozen=True)
class Guide:
    """`content` is HTML of our own files, without its first heading, which is `title`."""

    title: str
    content: SafeString


def urls() -> list[URLPattern]:
    view = admin.site.admin_view(page)
    return [path("help/", view, name=INDEX), path("help/<slug:guide>/", view, name=PAGE)]


def page(request: HttpRequest, guide: str = FIRST) -> HttpResponse:
    if request.method not in READING_METHODS:
        return HttpResponseNotAllowed(READING_METHODS)
    file = FOLDER / f"{guide}.md"
    if file not in FOLDER.glob("*.md"):
        raise Http404
    shown = read(file)
    context = {**admin.site.each_context(request), "title": shown.title, "guide": shown, "is_first": guide == FIRST}
    return TemplateResponse(request, "admin/guide.html", context)


@cache
def read(file: Path) -> Guide:
    """As it was when this process first read it."""
    heading, title, _end, *tokens = _PARSER.parse(file.read_text())
    if heading.tag != "h1":
        raise ValueError(f"{file} does not begin with its title.")
    for token, after in pairwise(tokens):
        if token.type == "heading_open":
            token.attrSet("id", anchor(after.content))
        for part in token.children or ():
            _lead(part, token.children or [])
    made = _PARSER.renderer.render(tokens, _PARSER.options, {"title": title.content})
    return Guide(title.content, mark_safe(made))  # noqa: S308 - a file of ours, and no HTML in it


def anchor(heading: str) -> str:
    """The name of a heading in addresses, as code hosts make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _lead(part: Token, line: Sequence[Token]) -> None:
    """Links lead to where a guide lies here; what is not here is named, not linked."""
    if part.type == "image":
        part.attrSet("src", static(f"{PICTURES}/{str(part.attrs['src']).removeprefix('pictures/')}"))
        part.attrSet("loading", "lazy")
    if part.type != "link_open":
        return
    to, _hash, fragment = str(part.attrs["href"]).partition("#")
    if found := re.fullmatch(r"(?:docs/)?([\w-]+)\.md", to):
        here = reverse(f"admin:{INDEX}") if found[1] == FIRST else reverse(f"admin:{PAGE}", args=[found[1]])
        part.attrSet("href", f"{here}#{fragment}" if fragment else here)
    elif to and not to.startswith("https://"):
        end = next(other for other in line[line.index(part) :] if other.type == "link_close")
        part.tag = end.tag = "span"
        part.attrs = {}


def _table(_renderer: Any, _tokens: Sequence[Token], _n: int, _options: Any, env: dict[str, str]) -> str:
    return format_html('<div class="results" tabindex="0" role="region" aria-label="{}"><table>', env["title"])


def _table_end(*_given: Any) -> str:
    return "</table></div>"


def _commands(_renderer: Any, tokens: Sequence[Token], n: int, _options: Any, env: dict[str, str]) -> str:
    region = '<pre tabindex="0" role="region" aria-label="{}">{}</pre>'
    return format_html(region, env["title"], tokens[n].content)


_PARSER = MarkdownIt("commonmark", {"html": False}).enable("table")
_PARSER.add_render_rule("table_open", _table)
_PARSER.add_render_rule("table_close", _table_end)
_PARSER.add_render_rule("fence", _commands)
