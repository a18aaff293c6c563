"""The placeholders of what people write to clients: `{title}` in a message, filled in for each reader.

A name in braces and nothing else; a brace that is typed twice stands for itself. What people wrote is never evaluated:
it is searched for the names below, and a name is replaced by words. A value is data, so that a title which reads
“{client}” is sent as it reads.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from django.core.exceptions import ValidationError
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy


@dataclass(frozen=True)
class Placeholder:
    """What a placeholder becomes, said to whoever writes; how that may read; why there may be nothing to say."""

    meaning: str | Promise
    example: str
    absence: str | Promise = ""


PLACEHOLDERS: Mapping[str, Placeholder] = {
    "contact": Placeholder(gettext_lazy("the person or desk that reads it"), "Northwind Operations"),
    "client": Placeholder(gettext_lazy("the client"), "Northwind"),
    "reference": Placeholder(gettext_lazy("the incident’s reference"), "INC-2026-0042"),
    "title": Placeholder(gettext_lazy("the incident’s title"), "Object storage is down"),
    "severity": Placeholder(gettext_lazy("its severity, in the client’s language"), "Critical"),
    "status": Placeholder(gettext_lazy("its status, in the client’s language"), "Acknowledged"),
    "services": Placeholder(gettext_lazy("the affected services"), "Object storage, Backups"),
    "summary": Placeholder(
        gettext_lazy("what clients may be told, as the incident says"),
        "Objects can be neither read nor written.",
        gettext_lazy("the incident does not say what clients may be told"),
    ),
    "detected_at": Placeholder(gettext_lazy("when it was detected, in the client’s zone"), "24 Nov 2026, 05:00 EST"),
    "mitigated_at": Placeholder(
        gettext_lazy("when its effect ended"), "24 Nov 2026, 07:10 EST", gettext_lazy("it is not mitigated")
    ),
    "resolved_at": Placeholder(
        gettext_lazy("when it was resolved"), "24 Nov 2026, 08:30 EST", gettext_lazy("it is not resolved")
    ),
    "due_at": Placeholder(
        gettext_lazy("by when the agreement wants this message"),
        "24 Nov 2026, 09:00 EST",
        gettext_lazy("nothing of this kind is due to them at a certain time"),
    ),
    "next_update_at": Placeholder(
        gettext_lazy("by when the agreement wants the next update after it"),
        "24 Nov 2026, 11:00 EST",
        gettext_lazy("no further update is due to them at a certain time"),
    ),
}
EXAMPLES = {name: placeholder.example for name, placeholder in PLACEHOLDERS.items()}

#: A placeholder in doubled braces is how other programs write it: taken at its word, it would be sent as it stands.
_BRACED = re.compile(rf"\{{(\{{ *(?:{'|'.join(PLACEHOLDERS)}) *\}})\}}|\{{\{{|\}}\}}|\{{([^{{}}\n]*)\}}|[{{}}]")
_DOUBLED = {"{{": "{", "}}": "}"}


class Wrong(ValueError):
    """A text with a brace that is no placeholder's, or a placeholder without a value; the message is a sentence."""


def used_in(text: str) -> set[str]:
    """The placeholders of a text. Raises Wrong, naming the line, for any other use of a brace."""
    return set(_names(text))


def fill(text: str, values: Mapping[str, str]) -> str:
    """The text with its placeholders and doubled braces replaced, each once: nothing is looked for in what was put in.

    Raises Wrong, naming the client, for a placeholder whose value is empty.
    """
    for name in _names(text):
        if not values[name]:
            sentence = _("{%(name)s} has no value for %(client)s: %(why)s. Take it out, or write to them separately.")
            raise Wrong(sentence % {"name": name, "client": values["client"], "why": str(PLACEHOLDERS[name].absence)})
    return _BRACED.sub(lambda braced: _DOUBLED.get(braced[0]) or values[braced[2]], text)


def validate(text: str) -> None:
    """For a model field: refuses what `used_in` refuses."""
    try:
        used_in(text)
    except Wrong as error:
        raise ValidationError(str(error), code="placeholder") from error


def _names(text: str) -> Iterator[str]:
    for braced in _BRACED.finditer(text):
        if braced[0] in _DOUBLED:
            continue
        name = braced[1] or braced[2]
        if name not in PLACEHOLDERS:
            raise Wrong(_what_is_wrong(name, line=text.count("\n", 0, braced.start()) + 1))
        yield name


def _what_is_wrong(name: str | None, *, line: int) -> str:
    if name is None:
        sentence = _(
            "Line %(line)d: a brace stands alone. Write braces only around a placeholder, as in {title}, "
            "or twice where you mean the brace itself."
        )
        return sentence % {"line": line}
    found = {"line": line, "name": name[:40]}
    if close := difflib.get_close_matches(name.strip().lower(), PLACEHOLDERS, n=1):
        return _("Line %(line)d: {%(name)s} is no placeholder. Did you mean {%(close)s}?") % {
            **found,
            "close": close[0],
        }
    known = ", ".join(f"{{{each}}}" for each in PLACEHOLDERS)
    return _("Line %(line)d: {%(name)s} is no placeholder. There are: %(known)s.") % {**found, "known": known}
