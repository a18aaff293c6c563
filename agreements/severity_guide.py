"""What agreements mean by each severity, in their own words, for whoever has to choose one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from agreements.models import Commitment, ServiceAgreement, Severity, SeverityDefinition

NAMED = 8  # agreements that say the same


@dataclass(frozen=True)
class Meaning:
    """What some agreements say of one severity: their `words`, or where they have none what they ask for then."""

    words: str
    asks: Sequence[str]
    agreements: Sequence[ServiceAgreement]

    @property
    def names(self) -> str:
        """The first of the agreements; the others are `other_names`."""
        return ", ".join(str(agreement) for agreement in self.agreements[:NAMED])

    @property
    def others(self) -> int:
        return len(self.agreements[NAMED:])

    @property
    def other_names(self) -> str:
        return ", ".join(str(agreement) for agreement in self.agreements[NAMED:])


def guide(agreements: Collection[ServiceAgreement]) -> dict[Severity, list[Meaning]]:
    """Two queries; agreements that say the same stand together, and those whose words are known come first."""
    words = _words(agreements)
    asked = _asked(agreements, words)
    return {severity: _meanings(agreements, words[severity], asked[severity]) for severity in Severity}


def _meanings(
    agreements: Collection[ServiceAgreement], words: Mapping[int, str], asked: Mapping[int, tuple[str, ...]]
) -> list[Meaning]:
    alike: dict[tuple[str, tuple[str, ...]], list[ServiceAgreement]] = defaultdict(list)
    for agreement in agreements:
        said = words.get(agreement.pk, "")
        alike[said, () if said else asked.get(agreement.pk, ())].append(agreement)
    found = [Meaning(said, asks, tuple(those)) for (said, asks), those in alike.items()]
    return sorted(found, key=lambda meaning: (not meaning.words, not meaning.asks))


def _words(agreements: Collection[ServiceAgreement]) -> dict[str, dict[int, str]]:
    found: dict[str, dict[int, str]] = defaultdict(dict)
    for definition in SeverityDefinition.objects.filter(agreement__in=agreements).order_by():
        found[definition.severity][definition.agreement_id] = definition.words
    return found


def _asked(
    agreements: Collection[ServiceAgreement], words: Mapping[str, Mapping[int, str]]
) -> dict[str, dict[int, tuple[str, ...]]]:
    """Only of those that have no words."""
    found: dict[str, dict[int, tuple[str, ...]]] = defaultdict(lambda: defaultdict(tuple))
    commitments = Commitment.objects.filter(agreement__in=agreements).select_related("follows")
    for commitment in commitments.order_by("pk"):
        if commitment.agreement_id not in words.get(commitment.severity, ()):
            found[commitment.severity][commitment.agreement_id] += (commitment.in_words(),)
    return found
