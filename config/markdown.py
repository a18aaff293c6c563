"""Markdown that people type (CommonMark with tables), as HTML that can do no harm.

No HTML of theirs, no pictures, no scheme but http, https and mailto: other things are shown as they were typed. What
the parser makes is sanitised once more, by a library that knows nothing of Markdown.
"""

from __future__ import annotations

from collections.abc import Sequence

import nh3
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.token import Token

SCHEMES = ("http", "https", "mailto")
#: How deep lists and quotes can stand in one another; what is deeper is left out.
DEPTH = 20

_PARSER = MarkdownIt("commonmark", {"html": False, "linkify": False, "maxNesting": DEPTH})
_PARSER.enable("table")
_PARSER.disable("image")
_PARSER.validateLink = lambda url: url.split(":", 1)[0].lower() in SCHEMES  # type: ignore[method-assign]

_TAGS = {
    *("p", "br", "hr", "h3", "h4", "h5", "h6", "em", "strong", "code", "pre", "blockquote"),
    *("ul", "ol", "li", "a", "table", "thead", "tbody", "tr", "th", "td"),
}


def parsed(text: str) -> Sequence[Token]:
    """The tokens of the parser, for whoever lays the text out otherwise than in HTML."""
    return _PARSER.parse(text)


def to_html(text: str) -> SafeString:
    """Headings begin at the third level, as parts of a page that has its own."""
    tokens = _PARSER.parse(text)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(int(token.tag[1:]) + 2, 6)}"
    made = _PARSER.renderer.render(tokens, _PARSER.options, {})
    clean = nh3.clean(
        made,
        tags=_TAGS,
        attributes={"a": {"href"}, "ol": {"start"}},
        url_schemes=set(SCHEMES),
        link_rel="noopener noreferrer nofollow",
    )
    return mark_safe(clean)  # noqa: S308 - sanitised in the line above
