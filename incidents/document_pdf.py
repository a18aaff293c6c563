"""A document as PDF: tagged for screen readers, for keeping (PDF/A-3a, PDF/UA-1), with its facts attached.

What people typed reaches the layout as data, which Typst never reads as markup; the layout reads no other file and
nothing from the network.
"""

from __future__ import annotations

import datetime as dt
import functools
import json

import typst
from django.conf import settings
from django.utils.translation import gettext as _

from incidents.document import Document

#: For archives and for screen readers. Both refuse a document with a sign that no font at hand has.
STANDARDS: list[typst.PDFStandard] = ["a-3a", "ua-1"]


def pdf_of(document: Document, *, facts: bytes, made_at: dt.datetime) -> bytes:
    """The PDF, with `facts` as its attachment facts.json.

    A sign that no font at hand has is shown as a box, its text can still be searched and copied, and the PDF then
    does not call itself fit for archives.
    """
    inputs = {
        "document": _as_text(document),
        "facts": facts.decode(),
        "made_at": json.dumps(made_at.utctimetuple()[:6]),
    }
    try:
        return _compile(inputs, made_at, STANDARDS)
    except typst.TypstError:
        note = _("Signs that the fonts at hand lack are shown as boxes; the attachment facts.json has every sign.")
        return _compile({**inputs, "note": note}, made_at, [])


def _compile(inputs: dict[str, str], made_at: dt.datetime, standards: list[typst.PDFStandard]) -> bytes:
    layout = settings.BASE_DIR / "templates" / "incidents" / "document.typ"
    made = typst.compile(
        layout,
        root=layout.parent,
        font_paths=_fonts(),
        format="pdf",
        sys_inputs=inputs,
        pdf_standards=standards,
        timestamp=made_at.replace(microsecond=0),
    )
    assert isinstance(made, bytes)  # noqa: S101 - a list only where pages become pictures
    return made


@functools.cache
def _fonts() -> typst.Fonts:
    """Those that Typst carries, by which everything is laid out, and the server's for signs that those lack."""
    return typst.Fonts()


def _as_text(document: Document) -> str:
    """JSON that Rust reads as well: half a surrogate pair, which is no character, becomes a question mark."""
    return json.dumps(document.to_json(), ensure_ascii=False).encode("utf-8", "replace").decode()
