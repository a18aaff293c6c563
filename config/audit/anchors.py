"""The head of the chain, to be kept where nobody who can change the database can change it.

Seals show what became of rows while the newest seal is there. Whoever removes the newest seals together with their
rows, or puts an old copy of the database back, is found by an anchor that was taken later than what is left.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from config.audit import canonical
from config.audit.verification import Finding
from config.models.seal import Seal

TITLE = "Due Notice anchor"


@dataclass(frozen=True)
class Anchor:
    number: int
    cut: str
    rows: int
    digest: str
    key: str
    mac: str = ""

    def __str__(self) -> str:
        """Short lines of plain letters, which a mail leaves as they are."""
        return "\n".join((TITLE, *(f"{name}: {value}" for name, value in vars(self).items())))

    def signature(self) -> str:
        """Raises KeyError if this installation does not know the key."""
        content = canonical.encoded({name: value for name, value in vars(self).items() if name != "mac"})
        return canonical.signature(canonical.keys()[self.key], "anchor", content)


def of(seal: Seal) -> Anchor:
    """Signed with the key that seals now."""
    cut, key = seal.cut_at.isoformat(timespec="microseconds"), next(iter(canonical.keys()))
    bare = Anchor(number=seal.number, cut=cut, rows=seal.total, digest=seal.digest, key=key)
    return Anchor(**{**vars(bare), "mac": bare.signature()})


_LINE = re.compile(r"^[>\s]*(number|cut|rows|digest|key|mac): (\S+)\s*$")


def read(text: str) -> list[Anchor]:
    """Every anchor in a text, as it was printed or within mails; what is none is passed over."""
    found = []
    for block in text.split(TITLE)[1:]:
        lines = filter(None, map(_LINE.match, block.splitlines()))
        said: dict[str, Any] = {line[1]: line[2] for line in lines}
        if (
            said.keys() >= vars(Anchor(0, "", 0, "", "")).keys()
            and said["number"].isdecimal()
            and said["rows"].isdecimal()
        ):
            found.append(Anchor(**{**said, "number": int(said["number"]), "rows": int(said["rows"])}))
    return found


def check(anchor: Anchor) -> Iterator[Finding]:
    """Whether the chain still goes through it."""
    where = f"Anchor of seal {anchor.number}, cut at {anchor.cut}"
    known = canonical.keys()
    if anchor.key not in known:
        yield Finding(anchor.number, where, f"signed with the key {anchor.key}, which this installation does not know")
    elif anchor.mac != anchor.signature():
        yield Finding(anchor.number, where, "not by us, or altered where it was kept")
        return
    seal = Seal.objects.filter(number=anchor.number).first()
    if seal is None:
        newest = Seal.objects.first()
        told = f"the newest seal here is {newest.number}" if newest else "there is no seal here"
        yield Finding(
            anchor.number,
            where,
            f"{told}: what was sealed since then was cut off, or an older copy of the database was put in its place",
        )
    elif seal.digest != anchor.digest:
        yield Finding(
            anchor.number,
            where,
            "the seal with that number is another one: the chain was cut off before it, or an older copy of the "
            "database was put in its place, and went on from there",
        )
