"""Whether a reason explains anything."""

from __future__ import annotations

import re

_PHRASES = """
    ok okay yes done fix fixed fixes update updated change changed changes correct corrected correction edit edited test
    testing tests na none nothing no reason reasons because just as agreed discussed see above ticket tbd todo misc
    other various typo oops adjust adjusted cleanup temp tmp asdf qwerty xyz abc foo bar blah whatever
    ja nein erledigt korrektur änderung geändert angepasst anpassung fehler siehe oben wie besprochen diverses
    oui non fait corrigé modifié modification changement divers rien voir plus haut
    sí si hecho corrección corregido cambio cambiado modificado varios nada ninguno ver arriba
"""
#: Words that people type when a field insists, in the languages that the product speaks.
EMPTY = frozenset(_PHRASES.split())
LONGEST = 24  # characters; what is longer than this is left to a person to judge


def say_nothing(reason: str) -> bool:
    """Whether it has no word beyond such phrases: "fix", "ok.", "???", "aaaa", "as discussed"."""
    text = reason.strip()
    if len(text) > LONGEST:
        return False
    words = re.findall(r"[^\W\d_]+", text.casefold())
    meant = [word for word in words if word not in EMPTY and len(set(word)) > 1 and len(word) > 1]
    has_reference = re.search(r"\d{2,}", text) is not None  # a ticket, a clause: somebody can look it up
    return not meant and not has_reference
