"""Two long texts compared word by word, as fast for hostile texts as for honest ones."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum
from itertools import accumulate

from django.utils.translation import ngettext

#: Comparisons of two words that one difference may cost. What is left after them is shown as written anew.
STEPS = 200_000
#: Words that did not change are shown this far around those that did.
AROUND = 12
#: Characters of one stretch that was added or removed; of more it says how many.
LONGEST = 4_000

_WORD = re.compile(r"\S+\s*|\s+")


class Kind(StrEnum):
    SAME = "same"
    REMOVED = "removed"
    ADDED = "added"
    LEFT_OUT = "left_out"


@dataclass(frozen=True)
class Piece:
    """A stretch of text; of what was left out, the words that say how much."""

    kind: Kind
    text: str


def difference(old: str, new: str) -> tuple[Piece, ...]:
    """What to strike out of the old text and to put in for the new one; what did not change is cut to its ends."""
    before, after = _WORD.findall(old), _WORD.findall(new)
    pieces: list[Piece] = []
    a = b = 0
    for start, again, size in [*_common(before, after), (len(before), len(after), 0)]:
        pieces += _pieces(Kind.REMOVED, before[a:start])
        pieces += _pieces(Kind.ADDED, after[b:again])
        a, b = start + size, again + size
        is_first, is_last = start == again == 0, (a, b) == (len(before), len(after))
        pieces += _same(before[start:a], is_first=is_first, is_last=is_last)
    return tuple(pieces)


def _common(before: Sequence[str], after: Sequence[str]) -> list[tuple[int, int, int]]:
    """Stretches that both have, in order: (where in the first, where in the second, how many words)."""
    head = _alike(before, after)
    tail = _alike(before[head:][::-1], after[head:][::-1])
    ends = len(before) - tail, len(after) - tail
    middle = _matches(before[head : ends[0]], after[head : ends[1]])
    found = [(0, 0, head), *((a + head, b + head, size) for a, b, size in middle), (*ends, tail)]
    joined: list[tuple[int, int, int]] = []
    for a, b, size in found:
        last = joined[-1] if joined else None
        if last and (last[0] + last[2], last[1] + last[2]) == (a, b):
            joined[-1] = (last[0], last[1], last[2] + size)
        elif size:
            joined.append((a, b, size))
    return joined


def _alike(before: Sequence[str], after: Sequence[str]) -> int:
    """With how many equal words both begin."""
    pairs = zip(before, after, strict=False)
    return next((n for n, (old, new) in enumerate(pairs) if old != new), min(len(before), len(after)))


def _matches(before: Sequence[str], after: Sequence[str]) -> list[tuple[int, int, int]]:
    """As SequenceMatcher.get_matching_blocks finds them, which for texts made to that end takes minutes."""
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    times = Counter(after)
    steps = list(accumulate((times[word] + 1 for word in before), initial=0))
    left, found = STEPS, []
    waiting = [(0, len(before), 0, len(after))]
    while waiting:
        a, a_end, b, b_end = waiting.pop()
        left -= steps[a_end] - steps[a]
        if left < 0:
            break
        match = matcher.find_longest_match(a, a_end, b, b_end)
        if match.size:
            found.append((match.a, match.b, match.size))
            rests = (a, match.a, b, match.b), (match.a + match.size, a_end, match.b + match.size, b_end)
            waiting += [rest for rest in rests if rest[0] < rest[1] and rest[2] < rest[3]]
    return sorted(found)


def _pieces(kind: Kind, words: Sequence[str]) -> Iterator[Piece]:
    text = "".join(words)
    if text:
        yield Piece(kind, text[:LONGEST])
    if (more := len(text) - LONGEST) > 0:
        said = ngettext("(%d more character)", "(%d more characters)", more) % more
        yield Piece(kind, said)


def _same(words: Sequence[str], *, is_first: bool, is_last: bool) -> Iterator[Piece]:
    """The words next to what changed; an end of the text has nothing that changed beside it."""
    before, after = 0 if is_first else AROUND, 0 if is_last else AROUND
    cut = len(words) - before - after
    if cut <= AROUND:
        yield from _pieces(Kind.SAME, words)
        return
    yield from _pieces(Kind.SAME, words[:before])
    yield Piece(Kind.LEFT_OUT, ngettext("(%d word as before)", "(%d words as before)", cut) % cut)
    yield from _pieces(Kind.SAME, words[len(words) - after :])
