"""What a document for a client is made of: plain blocks, which the web page, the PDF and the mail lay out alike.

Every value is a text of its own in a cell of its own, so that nothing in it can run into its neighbours, whatever
its direction or length.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

from django.template.loader import render_to_string
from django.utils.duration import duration_iso_string
from django.utils.formats import date_format
from django.utils.safestring import SafeString, mark_safe

from config import markdown, zones
from incidents import prose

NOTHING = "–"


@dataclass(frozen=True)
class Facts:
    """What a document says, as frozen values in no particular wording."""

    #: The form of `canonical`; a new number when the fields change, so that old digests are not taken for wrong.
    FORM: ClassVar[int] = 1

    def canonical(self) -> bytes:
        """The facts as JSON with sorted keys and every instant in UTC: equal facts give equal bytes."""
        facts = {"form": self.FORM, **asdict(self)}
        said = json.dumps(facts, default=_plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return said.encode("utf-8", "backslashreplace")

    def digest(self) -> str:
        """SHA-256 of `canonical`, in hexadecimal."""
        return hashlib.sha256(self.canonical()).hexdigest()


def _plain(value: Any) -> str:
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).isoformat(timespec="microseconds")
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, dt.timedelta):
        return duration_iso_string(value)
    raise TypeError(type(value))


# ── what a document is made of ──────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Cell:
    """One value: its lines, each shown by itself.

    `form` is "time" for instants, which are not broken, "code" for what a machine wrote and is compared by letter.
    """

    lines: tuple[str, ...]
    form: Literal["", "time", "code"] = ""

    @property
    def in_one_line(self) -> str:
        return " / ".join(self.lines)


@dataclass(frozen=True)
class Heading:
    kind: ClassVar[str] = "heading"
    text: str
    level: int  # 2 for a part, 3 for one thing in it


@dataclass(frozen=True)
class Paragraph:
    kind: ClassVar[str] = "paragraph"
    text: str


@dataclass(frozen=True)
class Fields:
    """Pairs of a label and its value."""

    kind: ClassVar[str] = "fields"
    rows: tuple[tuple[str, Cell], ...]


@dataclass(frozen=True)
class Table:
    """`shares` says how the width is divided among the columns."""

    kind: ClassVar[str] = "table"
    caption: str
    columns: tuple[str, ...]
    shares: tuple[int, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True)
class Verbatim:
    """A text exactly as it is elsewhere: its spaces and line breaks count."""

    kind: ClassVar[str] = "verbatim"
    label: str
    text: str
    is_mail: bool = False


@dataclass(frozen=True)
class Prose:
    """What people wrote in Markdown."""

    kind: ClassVar[str] = "prose"
    text: str

    @property
    def html(self) -> SafeString:
        return markdown.to_html(self.text)


Block = Heading | Paragraph | Fields | Table | Verbatim | Prose


@dataclass(frozen=True)
class Document:
    """`running` stands at the foot of every page, `made` and `digest` at the end."""

    title: str
    subtitle: str
    running: str
    language: str
    blocks: tuple[Block, ...]
    made: str
    digest: str
    digest_note: str

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "blocks": [_as_data(block) for block in self.blocks]}

    @property
    def html(self) -> SafeString:
        """The blocks as they stand in a page and in a mail."""
        parts = [render_to_string("incidents/document_block.html", {"block": block}) for block in self.blocks]
        return mark_safe("".join(parts))  # noqa: S308 - each comes from a template that escapes

    @property
    def text(self) -> str:
        """The blocks as plain text."""
        return "\n\n".join("\n".join(_lines(block)) for block in self.blocks).strip() + "\n"


def _as_data(block: Block) -> dict[str, Any]:
    said = {"kind": block.kind, **asdict(block)}
    if isinstance(block, Prose):
        said["parts"] = [asdict(part) for part in prose.parts_of(block.text)]
    return said


def _lines(block: Block) -> Iterable[str]:
    if isinstance(block, Heading):
        yield from (block.text, "-" * len(block.text)) if block.level == 2 else (block.text,)
    elif isinstance(block, Fields):
        yield from (f"{label}: {c.in_one_line}" for label, c in block.rows)
    elif isinstance(block, Table):
        yield block.caption
        for row in block.rows:
            said = [f"{name}: {c.in_one_line}" for name, c in zip(block.columns, row, strict=True)]
            yield f"* {'; '.join(said)}"
    else:
        if isinstance(block, Verbatim):
            yield block.label
        yield block.text


def exactly(instant: dt.datetime, zone_name: str) -> str:
    """`Tue 24 Nov 2026, 05:10:00 EST`: to the second, with the zone."""
    local = instant.astimezone(zones.zone(zone_name))
    name = local.tzname() or ""
    label = f"UTC{name}" if name.startswith(("+", "-")) else name
    return f"{date_format(local, 'D j M Y')}, {local:%H:%M:%S} {label}"


def cell(*lines: str, none: str = NOTHING) -> Cell:
    """The lines that say something, each on one line of its own."""
    said = tuple(line for text in lines for line in text.splitlines() if line.strip())
    return Cell(said or (none,))
