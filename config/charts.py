"""Pictures of numbers, drawn by the server as SVG: columns by month, and bars.

Each stands beside the table that it shows. No picture has a style of its own: the stylesheet gives each tone its
colour, in light and in dark, and a pattern tells the tones apart without colours.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from django.utils.functional import Promise
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

Tone = Literal["run", "high", "ok", "off", "crit"]

#: What is drawn over each tone, so that it is known without its colour too; the first is plain.
_PATTERNS: dict[Tone, str] = {
    "high": "M0 8 8 0M-2 2 2-2M6 10 10 6",
    "ok": "M0 2H8M0 6H8",
    "off": "M2 1V3M6 5V7",
    "crit": "M0 0 8 8M0 8 8 0",
}

# of columns, in pixels
STEP, COLUMN = 46, 28
LEFT, TOP, PLOT, BELOW = 34, 12, 150, 26
# of bars
NAME, BAR, SAID, LINE = 78, 140, 98, 26


@dataclass(frozen=True)
class Series:
    """One number for each column, in one tone."""

    label: str | Promise
    tone: Tone
    values: Sequence[int]


class Bar(NamedTuple):
    """How long it is, where its mark stands, and what it says in words."""

    label: str | Promise
    value: float
    mark: float
    words: str


def columns(
    name: str, title: str | Promise, labels: Sequence[str], series: Sequence[Series], step: int = STEP
) -> SafeString:
    """A column for each label, in which the series lie on each other; with a legend. `name` is unique on its page.

    `step` is from one column to the next: as wide as the longest label.
    """
    totals = [sum(numbers) for numbers in zip(*(one.values for one in series), strict=True)]
    rise = _step(max(totals, default=0))
    top = rise * max(-(-max(totals, default=0) // rise), 1)
    width, height = LEFT + step * len(labels) + 6, TOP + PLOT + BELOW
    lines = format_html_join(
        "",
        '<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/><text class="number" x="{}" y="{}">{}</text>',
        (
            (LEFT, width, y, y, LEFT - 6, y + 4, str(value))
            for value in range(0, top + 1, rise)
            for y in (_height(top - value, top) + TOP,)
        ),
    )
    names = format_html_join(
        "",
        '<text class="month" x="{}" y="{}">{}</text>',
        ((LEFT + step * number + step // 2, height - 8, label) for number, label in enumerate(labels)),
    )
    drawn = format_html_join("", "{}", ((part,) for part in _stacked(name, labels, series, top, step)))
    return format_html(
        '{}<svg class="picture" role="img" aria-label="{}" width="{}" height="{}" viewBox="0 0 {} {}">{}{}{}{}</svg>',
        _legend(name, series),
        title,
        *(str(size) for size in (width, height, width, height)),
        _patterns(name, series),
        lines,
        drawn,
        names,
    )


def _stacked(name: str, labels: Sequence[str], series: Sequence[Series], top: int, step: int) -> Iterable[SafeString]:
    for number, label in enumerate(labels):
        below = 0
        for one in series:
            value = one.values[number]
            if value:
                y = TOP + _height(top - below - value, top)
                size = TOP + _height(top - below, top) - y
                said = f"{label}, {one.label}: {value}"
                yield _box(name, one.tone, LEFT + step * number + (step - COLUMN) // 2, y, COLUMN, size, said)
            below += value


def _box(name: str, tone: Tone, x: int, y: int, width: int, height: int, said: str = "") -> SafeString:
    """A box in that tone, under its pattern."""
    place = format_html('x="{}" y="{}" width="{}" height="{}"', *map(str, (x, y, width, height)))
    over = format_html('<rect {} fill="url(#{}-{})"/>', place, name, tone) if tone in _PATTERNS else ""
    return format_html('<g>{}<rect {} class="tone-{}"/>{}</g>', _title(said), place, tone, over)


def _title(said: str) -> SafeString:
    return format_html("<title>{}</title>", said) if said else SafeString()


def _patterns(name: str, series: Sequence[Series]) -> SafeString:
    return format_html_join(
        "",
        '<pattern id="{}-{}" width="8" height="8" patternUnits="userSpaceOnUse"><path class="hatch" d="{}"/></pattern>',
        ((name, one.tone, _PATTERNS[one.tone]) for one in series if one.tone in _PATTERNS),
    )


def _legend(name: str, series: Sequence[Series]) -> SafeString:
    swatch = '<li><svg aria-hidden="true" width="16" height="16">{}</svg> {}</li>'
    keys = format_html_join("", swatch, ((_box(name, one.tone, 0, 0, 16, 16), one.label) for one in series))
    return format_html('<ul class="legend">{}</ul>', keys)


def _step(most: int) -> int:
    """Between two lines, so that there are at most five: 1, 2, 5, 10, 20, 50 …"""
    size = 1
    while True:
        for step in (size, 2 * size, 5 * size):
            if step * 4 >= most:
                return step
        size *= 10


def _height(value: int, top: int) -> int:
    return round(PLOT * value / top)


def bars(title: str | Promise, rows: Sequence[Bar], left: int = NAME) -> SafeString:
    """A bar for each row, with a mark on its line and its words beside it. The longest label takes `left`."""
    most = max((max(row.value, row.mark) for row in rows), default=0) or 1
    width, height = left + BAR + SAID, LINE * len(rows) + 4
    drawn = format_html_join(
        "", "{}", ((_line(row, left, LINE * number + 4, most),) for number, row in enumerate(rows))
    )
    return format_html(
        '<svg class="picture" role="img" aria-label="{}" width="{}" height="{}" viewBox="0 0 {} {}">{}</svg>',
        title,
        *map(str, (width, height, width, height)),
        drawn,
    )


def _line(row: Bar, left: int, y: int, most: float) -> SafeString:
    length, mark = max(round(BAR * row.value / most), 1), left + round(BAR * row.mark / most)
    return format_html(
        '<text class="name" x="{}" y="{}">{}</text><rect class="tone-run" x="{}" y="{}" width="{}" height="12"/>'
        '<line class="mark" x1="{}" x2="{}" y1="{}" y2="{}"/><text class="said" x="{}" y="{}">{}</text>',
        *(left - 8, y + 12, row.label, left, y + 2, length),
        *(mark, mark, y - 2, y + 18, left + BAR + 8, y + 12, row.words),
    )
