"""Choices are drawn as Django draws them, only sooner."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django import forms
from django.forms.renderers import DjangoTemplates
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext_lazy as _

from config.rendering import Renderer

PLAIN = [("", "---------"), ("a", "One & <two>"), (3, _("Save")), ('"', mark_safe("<b>as it is</b>"))]


@pytest.mark.parametrize(
    ("widget", "value"),
    [
        (forms.Select(choices=PLAIN), "a"),
        (forms.Select(choices=PLAIN), 3),
        (forms.Select(choices=PLAIN), None),
        (forms.Select(choices=[("First > of all", PLAIN), ("x", "Beside")]), "x"),
        (forms.SelectMultiple(choices=PLAIN), ["a", "3"]),
        (forms.Select({"required": True, "disabled": False, "data-x": '"<&'}, choices=PLAIN), "a"),
    ],
)
def test_choices_are_drawn_as_django_draws_them(widget: Any, value: Any) -> None:
    drawn, expected = (
        widget.render('na"me', value, {"id": "id_x"}, renderer) for renderer in (Renderer(), DjangoTemplates())
    )
    assert isinstance(drawn, SafeString)
    assert _lines(drawn) == _lines(expected)


def _lines(text: str) -> list[str]:
    return [line.strip() for line in re.split(r"\n|(?=<opt)|(?=</opt)", text) if line.strip()]
