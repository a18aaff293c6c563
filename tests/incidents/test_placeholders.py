"""The placeholders of what people write: a name in braces and nothing else, filled in once, never evaluated."""

from __future__ import annotations

import contextlib
import re

import pytest
from django.core.exceptions import ValidationError
from hypothesis import example, given
from hypothesis import strategies as st

from incidents import placeholders
from incidents.message_presets import PRESETS
from incidents.models.message import WRITTEN_KINDS
from incidents.placeholders import EXAMPLES, PLACEHOLDERS, Wrong

names = st.sampled_from(sorted(PLACEHOLDERS))
prose = st.text(st.characters(exclude_characters="{}", codec="utf-8"))
hostile = st.text(st.sampled_from("{}}{.[]!:%_ a0'client__class__title"), max_size=40)


def test_each_placeholder_becomes_its_value() -> None:
    for name in PLACEHOLDERS:
        assert placeholders.fill(f"<{{{name}}}>", EXAMPLES) == f"<{EXAMPLES[name]}>"
    assert placeholders.fill("{client}, {client}: {title}", EXAMPLES) == "Northwind, Northwind: Object storage is down"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{client.__class__}", "Line 1: {client.__class__} is no placeholder."),
        ("{client.__init__.__globals__}", "is no placeholder"),
        ("{client[0]}", "Line 1: {client[0]} is no placeholder. Did you mean {client}?"),
        ("{0}", "Line 1: {0} is no placeholder. There are: {contact}, {client},"),
        ("{}", "Line 1: {} is no placeholder."),
        ("{title!r}", "Line 1: {title!r} is no placeholder. Did you mean {title}?"),
        ("{title:>1000000000}", "Line 1: {title:>1000000000} is no placeholder."),
        ("{ title }", "Line 1: { title } is no placeholder. Did you mean {title}?"),
        ("{Title}", "Line 1: {Title} is no placeholder. Did you mean {title}?"),
        ("{detected}", "Did you mean {detected_at}?"),
        ("{ x", "Line 1: a brace stands alone. Write braces only around a placeholder, as in {title}, or twice where"),
        ("{{ title }}", "Line 1: {{ title }} is no placeholder. Did you mean {title}?"),
        ("{{due_at}}", "Line 1: {{due_at}} is no placeholder. Did you mean {due_at}?"),
        ("{{title}", "Line 1: a brace stands alone."),
        ("{{{titel}}}", "Line 1: {titel} is no placeholder. Did you mean {title}?"),
        ("{% if x %}", "Line 1: {% if x %} is no placeholder."),
        ("{# x #}", "Line 1: {# x #} is no placeholder."),
        ("${title", "Line 1: a brace stands alone."),
        ("All is well.\r\n{title}\r\nAnd {client", "Line 3: a brace stands alone."),
        ("title}", "Line 1: a brace stands alone."),
        ("{cli\nent}", "Line 1: a brace stands alone."),
    ],
)
def test_any_other_use_of_braces_is_refused_with_its_place(text: str, sentence: str) -> None:
    with pytest.raises(Wrong, match=re.escape(sentence)):
        placeholders.used_in(text)
    with pytest.raises(Wrong, match=re.escape(sentence)):
        placeholders.fill(text, EXAMPLES)
    with pytest.raises(ValidationError, match=re.escape(sentence)):
        placeholders.validate(text)


@pytest.mark.parametrize(
    ("typed", "sent"),
    [
        ('{{"a": {{}}}}', '{"a": {}}'),
        ("{{ x }}", "{ x }"),
        ("{{{title}}}", "{Object storage is down}"),
        ("{{{{ and }}}}", "{{ and }}"),
        ("}}{title}{{", "}Object storage is down{"),
    ],
)
def test_a_brace_that_is_typed_twice_stands_for_itself(typed: str, sent: str) -> None:
    assert placeholders.fill(typed, EXAMPLES) == sent
    placeholders.validate(typed)


def test_a_placeholder_without_a_value_is_refused_naming_whose_it_is_and_why() -> None:
    values = {**EXAMPLES, "next_update_at": "", "client": "Contoso"}
    with pytest.raises(Wrong, match=r"\{next_update_at\} has no value for Contoso: no further update is due to them"):
        placeholders.fill("Until {next_update_at}.", values)
    assert placeholders.fill("For {client}.", values) == "For Contoso.", "what is not used need not have a value"


@given(st.lists(st.one_of(prose, names.map(lambda name: (name,)))), hostile)
@example([("title",)], "{client}")
@example([("title",)], r"\1\g<0>")
def test_values_are_data_and_everything_else_stays_as_it_was_typed(parts: list[str | tuple[str]], value: str) -> None:
    values = dict.fromkeys(PLACEHOLDERS, value or "–")
    text = "".join(part if isinstance(part, str) else f"{{{part[0]}}}" for part in parts)
    expected = "".join(part if isinstance(part, str) else value or "–" for part in parts)
    assert placeholders.fill(text, values) == expected
    assert placeholders.used_in(text) == {part[0] for part in parts if not isinstance(part, str)}


@given(hostile)
def test_whatever_is_typed_is_filled_or_refused_and_nothing_third(text: str) -> None:
    with contextlib.suppress(Wrong):
        filled = placeholders.fill(text, EXAMPLES)
        spelled = re.sub(r"\{\{|\}\}", lambda found: f"<{ord(found[0][0])}>", text)
        named = re.sub(r"\{([a-z_]+)\}", lambda found: EXAMPLES[found[1]], spelled)
        assert named.replace("<123>", "{").replace("<125>", "}") == filled


def test_the_texts_to_start_from_can_be_filled_in_and_are_there_in_every_language() -> None:
    for preset in PRESETS:
        assert preset.kind in WRITTEN_KINDS
        assert "{" not in placeholders.fill(preset.text, EXAMPLES), preset.key
        # An agreement or an incident may lack the others, and a text to start from must not be refused for that.
        assert placeholders.used_in(preset.text) <= {"detected_at", "services", "resolved_at"}, preset.key
    keys = [preset.key for preset in PRESETS]
    assert len(keys) == len(set(keys))
    for language in ("en", "de", "fr", "es"):
        named = [preset.name for preset in PRESETS if preset.language == language]
        assert named == ["First notice", "Investigating", "Identified", "Monitoring", "Resolved"]
