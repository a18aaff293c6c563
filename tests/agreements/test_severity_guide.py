"""What the agreements mean by a severity: where they say it, who says it, and what they ask for where they do not."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from agreements import presets, versions
from agreements.models import ServiceAgreement, Severity, SeverityDefinition
from agreements.severity_guide import guide
from config.models import User
from tests import cast

pytestmark = pytest.mark.django_db


def agreement(reference: str, preset: str) -> ServiceAgreement:
    made = cast.agreement(reference, cast.client(reference, "UTC"), cast.always_open(reference), cast.service("DNS"))
    presets.apply_preset(made, preset, hours=4)
    return made


def test_agreements_that_say_the_same_stand_together_in_their_own_words(
    northwind: ServiceAgreement, contoso: ServiceAgreement
) -> None:
    other = agreement("A-1", "critical_support_24x7")
    critical = guide([northwind, contoso, other])[Severity.CRITICAL]
    assert [(meaning.names, bool(meaning.words)) for meaning in critical] == [
        ("CT-2024-11, A-1", True),
        ("NW-2025-03", False),
    ]
    assert critical[0].words.startswith("The service cannot be used")


def test_an_agreement_without_words_is_known_by_what_it_asks_for(northwind: ServiceAgreement) -> None:
    by_severity = guide([northwind])
    [critical] = by_severity[Severity.CRITICAL]
    assert critical.asks == ("Notify the client within 4 hours of detection", "Resolve as quickly as possible")
    [low] = by_severity[Severity.LOW]
    assert (low.words, low.asks) == ("", ()), "nothing is owed at that severity"


def test_of_many_that_say_the_same_the_first_are_named_and_the_others_after_them() -> None:
    found = [agreement(f"A-{number}", "dora") for number in range(10)]
    [critical] = guide(found)[Severity.CRITICAL]
    assert (critical.names.count("A-"), critical.others, critical.other_names) == (8, 2, "A-8, A-9")


def test_however_many_agreements_are_read_in_two_queries(
    northwind: ServiceAgreement, django_assert_num_queries: Callable[[int], AbstractContextManager[Any]]
) -> None:
    found = [northwind, *(agreement(f"A-{number}", "dora") for number in range(5))]
    with django_assert_num_queries(2):
        guide(found)


@pytest.mark.parametrize("key", presets.PRESETS)
def test_a_preset_defines_only_severities_that_it_has_duties_for(key: str) -> None:
    preset = presets.PRESETS[key]
    assert preset.definitions.keys() <= {duty.severity for duty in preset.duties}
    made = agreement("A-1", key)
    assert {d.severity: d.words for d in made.definitions.all()} == {s: str(w) for s, w in preset.definitions.items()}


def test_a_preset_leaves_what_somebody_has_written() -> None:
    made = agreement("A-1", "notify_within_hours")
    SeverityDefinition.objects.create(agreement=made, severity=Severity.CRITICAL, words="Nobody can work.")
    presets.apply_preset(made, "dora")
    assert made.definitions.get().words == "Nobody can work."


def test_a_severity_is_defined_once_per_agreement(contoso: ServiceAgreement) -> None:
    with pytest.raises(ValidationError, match="already says"):
        SeverityDefinition(agreement=contoso, severity=Severity.LOW, words="Dull").full_clean()


def test_an_amendment_keeps_what_the_severities_mean(contoso: ServiceAgreement, max_: User) -> None:
    new = versions.amend(contoso, effective_at=cast.NOON, by=max_, reason="Amendment 2")
    kept = [(definition.severity, definition.words) for definition in contoso.definitions.all()]
    assert kept == [(definition.severity, definition.words) for definition in new.definitions.all()]
    assert len(kept) == 4
