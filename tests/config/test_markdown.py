"""What people type in Markdown is shown as they meant it, and can do nothing else."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import markdown


class Shown(HTMLParser):
    """The tags of a page, its links and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.links: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _value in attrs}
        self.links += [value or "" for name, value in attrs if name == "href"]

    def handle_data(self, data: str) -> None:
        self.text += data


def is_harmless(page: str) -> bool:
    shown = Shown(page)
    return (
        shown.tags <= markdown._TAGS
        and shown.attributes <= {"href", "rel", "start"}
        and all(link.lower().startswith(("http:", "https:", "mailto:")) for link in shown.links)
    )


def test_headings_lists_tables_emphasis_and_code_are_shown_as_such() -> None:
    shown = Shown(markdown.to_html("# Cause\n\n1. **disk**\n\n| a | b |\n|---|---|\n| 1 | `x` |\n\n> quoted"))
    assert {"h3", "ol", "li", "strong", "table", "th", "td", "code", "blockquote"} <= shown.tags


def test_a_link_goes_out_without_telling_where_from() -> None:
    made = markdown.to_html("[chart](https://charts.example/a?b=1&c=2)")
    assert made == (
        '<p><a href="https://charts.example/a?b=1&amp;c=2" rel="noopener noreferrer nofollow">chart</a></p>\n'
    )


@pytest.mark.parametrize(
    "typed",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[a](javascript:alert(1))",
        "[a](JaVaScRiPt:alert(1))",
        "[a](&#106;avascript:alert(1))",
        "[a](data:text/html,<script>alert(1)</script>)",
        "[a](//evil.example)",
        "[a](/admin/logout/)",
        "[a]: javascript:alert(1)\n\n[a]",
        "<javascript:alert(1)>",
        '[a](https://x.example/"onmouseover="alert(1))',
        "![a](https://x.example/pixel.png)",
        "<style>*{display:none}</style>",
        "<!-- late note -->",
    ],
)
def test_what_could_act_is_shown_as_it_was_typed(typed: str) -> None:
    made = markdown.to_html(typed)
    assert is_harmless(made)
    assert "img" not in Shown(made).tags


def test_a_table_of_thousands_of_cells_and_a_quote_of_thousands_of_levels_are_laid_out() -> None:
    row = "|" + "x|" * 500
    assert Shown(markdown.to_html(f"{row}\n{'|' + '-|' * 500}\n" + f"{row}\n" * 10)).tags == {
        *("table", "thead", "tbody", "tr", "th", "td")
    }
    assert is_harmless(markdown.to_html("> " * 9_000 + "deep"))
    assert is_harmless(markdown.to_html("[" * 10_000 + "]" * 10_000))


@given(st.text(alphabet="<>[]()!*_`#|&;:/\"'=\n abjscriptx1", max_size=200))
def test_nothing_that_can_be_typed_does_harm(typed: str) -> None:
    assert is_harmless(markdown.to_html(typed))
